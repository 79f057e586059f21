import EventSocket
import Telephony
import Testing

/// Drives a session in virtual time; each step answers with its effects.
private struct Line {
    var session = OutboundSession()
    var now: Duration = .zero
    var wake: Duration?

    mutating func step(_ body: (inout OutboundSession, Duration, inout [OutboundSession.Effect]) -> Void) -> [String] {
        var effects: [OutboundSession.Effect] = []
        body(&self.session, self.now, &effects)
        return effects.compactMap { effect in
            switch effect {
            case .send(let bytes):
                let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                return "> " + lines.joined(separator: " | ")
            case .close: return "close"
            case .wake(let at):
                self.wake = at
                return nil
            case .began(let data): return "began \(data.headers.count)"
            case .deliver(let event): return "event \(event.name.wire)"
            case .complete(let id, .success(let reply)): return "\(id.number) = \(reply.text)"
            case .complete(let id, .failure(let failure)): return "\(id.number) ! \(failure.slug)"
            case .lingering: return "lingering"
            case .ended(let end): return "ended \(end)"
            case .oddity(let slug): return "odd \(slug)"
            }
        }
    }

    mutating func accepted() -> [String] { self.step { $0.accepted(at: $1, into: &$2) } }
    mutating func lost() -> [String] { self.step { $0.connectionLost(at: $1, into: &$2) } }
    mutating func hears(_ bytes: some Sequence<UInt8>) -> [String] {
        self.step { session, now, effects in
            Array(bytes).withUnsafeBytes { session.received($0, at: now, into: &effects) }
        }
    }
    mutating func asks(_ number: UInt64, _ command: EventSocketCommand) -> [String] {
        self.step { $0.execute(command, id: EventSocketRequestID(number), at: $1, into: &$2) }
    }
    mutating func waits() -> [String] {
        for _ in 0..<10 {
            guard let wake = self.wake else { return ["no timer"] }
            self.now = max(self.now, wake)
            self.wake = nil
            let effects = self.step { $0.timerFired(at: $1, into: &$2) }
            if !effects.isEmpty { return effects }
        }
        return []
    }
}

private func data(_ mode: String = "async", _ control: String = "full", channel: String = "708cb2e8") -> [UInt8] {
    let head = "Event-Name: CHANNEL_DATA\nUnique-ID: \(channel)\nContent-Type: command/reply\nReply-Text: %2BOK%0A\n"
    return Array((head + "Socket-Mode: \(mode)\nControl: \(control)\n\n").utf8)
}
private let parked: [UInt8] = {
    let event = "Event-Name: CHANNEL_PARK\nUnique-ID: 708cb2e8\n\n"
    return Array("Content-Length: \(event.utf8.count)\nContent-Type: text/event-plain\n\n\(event)".utf8)
}()
private let ok = Array("Content-Type: command/reply\nReply-Text: +OK\n\n".utf8)

@Suite struct OutboundSessionTests {
    @Test("A recorded call: channel, events, digits, both notices")
    func recordedCall() throws {
        let pieces = try Transcript(named: "esl-outbound-async-full").pieces
        var line = Line()
        #expect(line.accepted() == ["> connect"])
        let first = try #require(pieces.first { $0.side == .freeSwitch })
        let modules = "> event plain CUSTOM " + SwitchEvent.audioStreamSubclasses.joined(separator: " ")
        #expect(line.hears(first.bytes) == ["> linger 3", "> myevents", modules, "began 175"])
        #expect(line.session.channel?.text == "708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")
        // Of the recording's own commands each is asked as some command of ours: only the order counts. Three are ours.
        var heard: [String] = []
        var commands = 0
        var replies: [UInt64] = []
        for piece in pieces.dropFirst(2) {
            if piece.side == .controller {
                commands += 1
                if commands > 3 { _ = line.asks(UInt64(commands), .api(.status)) }
            } else {
                for effect in line.hears(piece.bytes) {
                    if let number = UInt64(effect.prefix { $0 != " " }) {
                        replies.append(number)
                    } else {
                        heard.append(effect)
                    }
                }
            }
        }
        #expect(replies == Array(4...UInt64(commands)))
        #expect(heard.filter { $0 == "event DTMF" }.count == 2)
        #expect(heard.suffix(4) == ["event CHANNEL_HANGUP_COMPLETE", "lingering", "close", "ended channelGone"])
        #expect(line.waits() == ["no timer"])
    }

    @Test(
        "A socket without async or full is refused, with the repair",
        arguments: [
            (data("static", "full"), OutboundSession.Refusal.notAsync),
            (data("static", "single-channel"), .notAsync),
        ])
    func refusal(bytes: [UInt8], refusal: OutboundSession.Refusal) {
        var line = Line()
        _ = line.accepted()
        let effects = line.hears(bytes)
        #expect(effects == ["close", "ended refused(EventSocket.OutboundSession.Refusal.\(refusal))"])
        #expect(refusal.repair.contains("async full"))
    }

    @Test(
        "A refused socket whose channel is being parked is left when it is",
        arguments: [
            (data("async", "single-channel"), OutboundSession.Refusal.notFull),
            (data(channel: "a b"), .noChannel),
        ])
    func refusalInPark(bytes: [UInt8], refusal: OutboundSession.Refusal) {
        var line = Line()
        _ = line.accepted()
        #expect(line.hears(bytes) == [])
        #expect(
            line.waits() == ["> exit", "close", "ended refused(EventSocket.OutboundSession.Refusal.\(refusal))"])
        #expect(line.now == .milliseconds(500))
    }

    @Test("The recorded plain socket is refused")
    func recordedPlain() throws {
        var line = Line()
        _ = line.accepted()
        let bytes = try Transcript(named: "esl-outbound-plain").bytes(from: .freeSwitch)
        #expect(line.hears(bytes).first == "close")
    }

    @Test("Commands are answered in order, and fail when the socket is lost")
    func commands() throws {
        var line = Line()
        _ = line.accepted()
        #expect(line.asks(1, .api(.status)) == ["1 ! stopped"])
        _ = line.hears(data())
        #expect(line.hears(ok + ok + ok) == [])
        #expect(
            try line.asks(2, .execute("answer", id: "app-1"))
                == ["> sendmsg | call-command: execute | execute-app-name: answer | Event-UUID: app-1"])
        _ = try line.asks(3, .getVariable("nosuch"))
        #expect(line.hears(ok) == ["2 = +OK"])
        #expect(line.lost() == ["3 ! outcome-unknown", "ended connectionLost"])
        #expect(line.lost() == [])
    }

    @Test("Without linger's second notice the socket is closed all the same")
    func lingerDeadline() {
        var line = Line()
        _ = line.accepted()
        _ = line.hears(data() + ok + ok + ok)
        let notice = "Content-Type: text/disconnect-notice\nContent-Disposition: linger\nContent-Length: 0\n\n"
        #expect(line.hears(notice.utf8) == ["lingering"])
        #expect(line.waits() == ["close", "ended channelGone"])
    }

    @Test("A peer that says nothing, or nonsense, or stops answering, is let go", arguments: 0...3)
    func badPeers(kind: Int) {
        var line = Line()
        _ = line.accepted()
        switch kind {
        case 0: #expect(line.waits() == ["close", "ended silent"])
        case 1: #expect(line.hears("GET / HTTP/1.1\r\n\r\n".utf8) == ["close", "ended garbled"])
        case 2: #expect(line.hears("Content-Type: auth/request\n\n".utf8) == ["close", "ended garbled"])
        default:
            _ = line.hears(data() + ok + ok + ok)
            #expect(line.waits() == ["> api status"])
            #expect(line.waits() == ["close", "ended silent"])
        }
    }

    @Test("A stop says goodbye")
    func stop() {
        var line = Line()
        _ = line.accepted()
        _ = line.hears(data() + ok + ok + ok + parked)
        line.now += .seconds(1)
        #expect(line.step { $0.stop(at: $1, into: &$2) } == ["> exit", "close", "ended stopped"])
    }

    @Test("A stop waits for the park, or the caller would stay in it; what was asked is answered at once")
    func stopBeforePark() throws {
        var line = Line()
        _ = line.accepted()
        _ = line.hears(data() + ok + ok + ok)
        _ = try line.asks(1, .getVariable("x"))
        #expect(line.step { $0.stop(at: $1, into: &$2) } == ["1 ! outcome-unknown"])
        #expect(line.asks(2, .api(.status)) == ["2 ! stopped"])
        line.now += .milliseconds(100)
        #expect(line.hears(parked) == [], "not delivered any more")
        #expect(line.waits() == ["> exit", "close", "ended stopped"])
        #expect(line.now == .milliseconds(120))
    }

    @Test("A stop before the channel's data begins nothing and leaves; a park that was missed costs half a second")
    func stopBeforeData() {
        var line = Line()
        _ = line.accepted()
        #expect(line.step { $0.stop(at: $1, into: &$2) } == [])
        #expect(line.hears(data()).allSatisfy { $0.hasPrefix("> ") })
        #expect(line.waits() == ["> exit", "close", "ended stopped"])
        #expect(line.now == .milliseconds(500))
        #expect(line.lost() == [])
    }
}
