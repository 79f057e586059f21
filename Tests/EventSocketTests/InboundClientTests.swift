import EventSocket
import Telephony
import Testing

/// Drives a client in virtual time; each step answers with its effects, one word or two each.
private struct Line {
    var client: InboundClient
    var now: Duration = .zero
    /// Where the owner's timer stands.
    var wake: Duration?

    init(attempts: Int = 3, password: String = "ClueCon", filters: Bool = false, pending: Int = 100) {
        let configuration = InboundClient.Configuration(
            password: password, maximumAttempts: attempts, events: [.channelHangup], subclasses: [],
            onlyWatchedChannels: filters, maximumPending: pending)
        self.client = InboundClient(configuration, seed: 1, jobPrefix: "pronto")
    }

    mutating func step(_ body: (inout InboundClient, Duration, inout [InboundClient.Effect]) -> Void) -> [String] {
        var effects: [InboundClient.Effect] = []
        body(&self.client, self.now, &effects)
        return effects.compactMap { effect in
            switch effect {
            case .connect: return "connect"
            case .send(let bytes):
                let text = String(decoding: bytes, as: UTF8.self)
                return "> " + text.trimmed().replacing("\n", with: " | ")
            case .close: return "close"
            case .wake(let at):
                self.wake = at
                return nil
            case .deliver(let event): return "event \(event.name.wire)"
            case .complete(let id, .success(let reply)): return "\(id.number) = \(reply.text)"
            case .complete(let id, .failure(let failure)): return "\(id.number) ! \(failure.slug)"
            case .statusChanged(.ready): return "ready"
            case .statusChanged(.interrupted(let loss)): return "interrupted \(loss.rawValue)"
            case .statusChanged(.down(let loss)): return "down \(loss.rawValue)"
            case .statusChanged(.connecting): return "connecting"
            case .statusChanged(.stopped): return "stopped"
            case .channelGone(_, let wasRestarted): return wasRestarted ? "gone by restart" : "gone"
            case .oddity(let slug): return "odd \(slug)"
            }
        }
    }

    mutating func start() -> [String] { self.step { $0.start(at: $1, into: &$2) } }
    mutating func connected() -> [String] { self.step { $0.connected(at: $1, into: &$2) } }
    mutating func lost() -> [String] { self.step { $0.connectionLost(at: $1, into: &$2) } }
    mutating func stop() -> [String] { self.step { $0.stop(at: $1, into: &$2) } }
    mutating func hears(_ text: String) -> [String] {
        self.step { client, now, effects in
            Array(text.utf8).withUnsafeBytes { client.received($0, at: now, into: &effects) }
        }
    }
    mutating func asks(_ number: UInt64, _ command: ApiCommand, timeout: Duration? = nil) -> [String] {
        self.step {
            $0.execute(command, id: EventSocketRequestID(number), timeout: timeout, at: $1, into: &$2)
        }
    }
    /// Lets time pass to the timer, however often it has to be set again, until something happens.
    mutating func waits(_ limit: Int = 10) -> [String] {
        for _ in 0..<limit {
            guard let wake = self.wake else { return ["no timer"] }
            self.now = max(self.now, wake)
            self.wake = nil
            let effects = self.step { $0.timerFired(at: $1, into: &$2) }
            if !effects.isEmpty { return effects }
        }
        return []
    }
    mutating func becomeReady() {
        _ = self.start()
        _ = self.connected()
        _ = self.hears(greeting)
        _ = self.hears(accepted)
        _ = self.hears(ok)
    }
}

extension String {
    fileprivate func trimmed() -> String {
        var text = self[...]
        while text.last == "\n" { text.removeLast() }
        return String(text)
    }
}

private let greeting = "Content-Type: auth/request\n\n"
private let accepted = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
private let ok = "Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n"
private func answer(_ text: String) -> String {
    "Content-Type: api/response\nContent-Length: \(text.utf8.count)\n\n\(text)"
}
private func event(_ text: String) -> String {
    "Content-Length: \(text.utf8.count)\nContent-Type: text/event-plain\n\n\(text)"
}
private func job(_ id: String, _ result: String) -> String {
    event("Event-Name: BACKGROUND_JOB\nJob-UUID: \(id)\nContent-Length: \(result.utf8.count)\n\n\(result)")
}
private let notice = "Content-Type: text/disconnect-notice\nContent-Length: 4\n\nBye\n"
private let channel = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")!

@Suite struct InboundClientTests {
    @Test("Password, subscription, ready; what was asked meanwhile is sent then, in order")
    func setUp() throws {
        var line = Line()
        #expect(line.start() == ["connect"])
        #expect(try line.asks(1, .exists(channel)) == [])
        #expect(line.asks(2, .status) == [])
        #expect(line.connected() == [])
        #expect(line.hears(greeting) == ["> auth ClueCon"])
        #expect(line.hears(accepted) == ["> event plain BACKGROUND_JOB HEARTBEAT CHANNEL_HANGUP"])
        #expect(line.hears(ok) == ["ready", "> api uuid_exists \(channel)", "> api status"])
        #expect(line.hears(answer("true") + answer("UP\n")) == ["1 = true", "2 = UP"])
    }

    @Test("With filters, jobs and heartbeats pass, and each watched channel, also after a reconnection")
    func filters() {
        var line = Line(filters: true)
        _ = line.start()
        _ = line.connected()
        _ = line.hears(greeting)
        let first = [
            "> event plain BACKGROUND_JOB HEARTBEAT CHANNEL_HANGUP", "> filter Event-Name BACKGROUND_JOB",
            "> filter Event-Name HEARTBEAT",
        ]
        #expect(line.hears(accepted) == first)
        let watch = "> filter Unique-ID \(channel)"
        #expect(line.step { $0.watch(channel, at: $1, into: &$2) } == [watch])
        #expect(line.hears(ok + ok + ok) == [])
        #expect(line.hears(ok) == ["ready", "> api global_getvar core_uuid", "> api show channels as json"])
        #expect(line.lost() == ["interrupted closed-by-peer"])
        #expect(line.waits() == ["connect"])
        _ = line.connected()
        _ = line.hears(greeting)
        #expect(line.hears(accepted) == first + [watch])
        #expect(
            line.hears(ok + ok + ok + ok) == ["ready", "> api global_getvar core_uuid", "> api show channels as json"])
        #expect(line.step { $0.unwatch(channel, at: $1, into: &$2) } == ["> filter delete Unique-ID \(channel)"])
        #expect(line.step { $0.unwatch(channel, at: $1, into: &$2) } == [])
        let odd = CallID("-both")!
        #expect(line.step { $0.watch(odd, at: $1, into: &$2) } == ["odd unsafe-channel-id"])
    }

    @Test("Events between a command and its reply do not take its place")
    func eventsBetween() throws {
        var line = Line()
        line.becomeReady()
        _ = try line.asks(1, .kill(channel))
        _ = try line.asks(2, .exists(channel))
        let hangup = event("Event-Name: CHANNEL_HANGUP\nUnique-ID: \(channel)\n\n")
        #expect(
            line.hears(hangup + answer("+OK\n") + hangup + answer("false"))
                == ["event CHANNEL_HANGUP", "1 = +OK", "event CHANNEL_HANGUP", "2 = false"])
    }

    @Test(
        "A refusal is the switch's own words, typed",
        arguments: [
            ("-ERR No such channel!\n", "no-such-channel"),
            ("-ERR nosuchcmd Command not found!\n", "command-not-found"),
            ("-ERR Operation Failed\n", "operation-failed"), ("-ERR no reply\n", "no-reply"),
            ("-ERR USER_BUSY\n", "hangup-cause"), ("-USAGE: <uuid> ...\n", "usage"), ("-ERR so what\n", "other"),
        ])
    func refusals(text: String, slug: String) throws {
        var line = Line()
        line.becomeReady()
        _ = try line.asks(1, .exists(channel))
        #expect(line.hears(answer(text)) == ["1 ! \(slug)"])
    }

    @Test("A job ends by its BACKGROUND_JOB, before or after its reply, and other jobs are not ours")
    func jobs() throws {
        var line = Line()
        line.becomeReady()
        let call = OriginatedCall(to: .user(extension: "2002", domain: "127.0.0.1"))
        let begun = "Content-Type: command/reply\nReply-Text: +OK Job-UUID: x\nJob-UUID: x\n\n"
        #expect(
            try line.asks(1, .originate(call)) == [
                "> bgapi originate {originate_timeout=30}user/2002@127.0.0.1 &park() | Job-UUID: pronto-1"
            ])
        _ = try line.asks(2, .originate(call))
        #expect(line.hears(job("somebody-else", "+OK\n")) == [])
        #expect(line.hears(begun) == [])
        #expect(line.hears(job("pronto-2", "+OK 4500d4b5\n")) == ["2 = +OK 4500d4b5"])
        #expect(line.hears(begun) == [])
        #expect(line.hears(event("Event-Name: CHANNEL_HANGUP_COMPLETE\n\n")) == ["event CHANNEL_HANGUP_COMPLETE"])
        #expect(line.hears(job("pronto-1", "-ERR USER_BUSY\n")) == ["1 ! hangup-cause"])
        #expect(line.hears(job("pronto-1", "-ERR USER_BUSY\n")) == [])
    }

    @Test("A recorded session with jobs: every originate ends once, with FreeSWITCH's answer")
    func recordedJobs() throws {
        var line = Line()
        line.becomeReady()
        let pieces = try Transcript(named: "esl-inbound-bgapi").pieces.dropFirst(5)
        var outcome: [String] = []
        var asked: UInt64 = 0
        for piece in pieces {
            let text = String(decoding: piece.bytes, as: UTF8.self)
            guard piece.side == .controller else {
                outcome += line.hears(text).filter { !$0.hasPrefix("event") }
                continue
            }
            asked += 1
            let id = EventSocketRequestID(asked)
            // The two jobs that FreeSWITCH named itself are given the names it gave.
            let names = ["my-job-1", "50d4555d-56ce-437d-9e31-d948f217fea8", "2ec8a6a4-421f-4bf9-860f-e827fc64ad50"]
            let command: EventSocketCommand =
                asked <= 3 ? try .background(.status, job: names[Int(asked) - 1]) : .api(.status)
            _ = line.step { $0.execute(command, id: id, at: $1, into: &$2) }
        }
        #expect(
            outcome == [
                "1 ! hangup-cause", "2 ! hangup-cause", "3 = +OK c4f587ef-1819-4e50-947a-3f02f34afc6b",
                "4 ! hangup-cause", "5 = +OK hangup all channels with cause MANAGER_REQUEST",
            ])
    }

    @Test("A wrong password counts, and is tried again later")
    func wrongPassword() throws {
        var line = Line(password: "wrong")
        _ = line.start()
        _ = line.connected()
        let bytes = try Transcript(named: "esl-inbound-badauth").bytes(from: .freeSwitch)
        #expect(
            line.hears(String(decoding: bytes, as: UTF8.self))
                == ["> auth wrong", "close", "interrupted authentication-refused"])
        #expect(line.waits() == ["connect"])
    }

    @Test("A password that could be a second command is never sent")
    func unsafePassword() {
        var line = Line(password: "a\n\napi hupall")
        _ = line.start()
        _ = line.connected()
        #expect(line.hears(greeting) == ["close", "interrupted authentication-refused"])
    }

    @Test("The switch's access list says no")
    func rudeRejection() {
        var line = Line()
        _ = line.start()
        _ = line.connected()
        #expect(
            line.hears("Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
                == ["close", "interrupted access-denied"])
    }

    @Test("A loss fails each command by what is known of it, and the client comes back")
    func loss() throws {
        var line = Line()
        line.becomeReady()
        _ = try line.asks(1, .kill(channel))
        _ = try line.asks(2, .stopAudioStream(channel))
        #expect(
            line.hears(notice).sorted()
                == ["1 ! outcome-unknown", "2 ! outcome-unknown", "close", "interrupted disconnect-notice"])
        #expect(try line.asks(3, .kill(channel)) == [])
        #expect(line.waits() == ["connect"])
        #expect(line.lost() == ["interrupted connect-failed", "3 ! not-sent"])
    }

    @Test("After the attempts of the setting it is down, refuses at once, and still comes back")
    func down() throws {
        var line = Line(attempts: 3)
        #expect(line.start() == ["connect"])
        var delays: [Duration] = []
        var said: [String] = []
        for _ in 0..<6 {
            said += line.lost()
            let before = line.now
            #expect(line.waits() == ["connect"])
            delays.append(line.now - before)
        }
        #expect(said == ["interrupted connect-failed", "down connect-failed"])
        #expect(try line.asks(1, .kill(channel)) == ["1 ! down"])
        for (index, base) in [2, 4, 8, 16, 30, 30].enumerated() {
            #expect(delays[index] >= .seconds(base) * 0.75)
            #expect(delays[index] <= .seconds(base) * 1.25)
        }
        _ = line.connected()
        _ = line.hears(greeting)
        _ = line.hears(accepted)
        #expect(line.hears(ok) == ["ready"])
        #expect(line.lost() == ["interrupted closed-by-peer"])
    }

    @Test("A connection that is never made, greeted or subscribed ends at the deadline", arguments: 0...3)
    func setUpDeadline(steps: Int) {
        var line = Line()
        _ = line.start()
        if steps > 0 { _ = line.connected() }
        if steps > 1 { _ = line.hears(greeting) }
        if steps > 2 { _ = line.hears(accepted) }
        #expect(line.waits() == ["close", "interrupted set-up-timed-out"])
        #expect(line.now == .seconds(5))
    }

    @Test("Idle, it asks for a sign of life; without one the connection is given up")
    func heartbeat() {
        var line = Line()
        line.becomeReady()
        #expect(line.waits() == ["> api status"])
        #expect(line.now == .seconds(25))
        #expect(line.hears(answer("UP\n")) == [])
        line.now += .seconds(10)
        #expect(line.hears(event("Event-Name: HEARTBEAT\n\n")) == ["event HEARTBEAT"])
        #expect(line.waits() == ["> api status"])
        #expect(line.now == .seconds(60))
        #expect(line.waits() == ["close", "interrupted silent"])
        #expect(line.now == .seconds(90))
    }

    @Test("A late answer belongs to the command that was given up, not to the next")
    func lateAnswer() throws {
        var line = Line()
        line.becomeReady()
        _ = try line.asks(1, .exists(channel), timeout: .seconds(1))
        _ = try line.asks(2, .exists(channel), timeout: .seconds(9))
        #expect(line.waits() == ["1 ! timed-out"])
        #expect(line.hears(answer("true") + answer("false")) == ["2 = false"])
    }

    @Test("A reply that nobody asked for means that nothing matches any more")
    func unexpectedReply() {
        var line = Line()
        line.becomeReady()
        #expect(line.hears(answer("true")) == ["close", "interrupted garbled"])
        #expect(line.hears(answer("true")) == [])
    }

    @Test("What is no Event Socket ends the connection")
    func garbage() {
        var line = Line()
        _ = line.start()
        _ = line.connected()
        #expect(line.hears("HTTP/1.1 400 Bad Request\r\n\r\n") == ["close", "interrupted garbled"])
    }

    @Test("The queue is bounded")
    func queueFull() throws {
        var line = Line(pending: 2)
        _ = line.start()
        _ = try line.asks(1, .exists(channel))
        _ = try line.asks(2, .exists(channel))
        #expect(try line.asks(3, .exists(channel)) == ["3 ! queue-full"])
    }

    private static func rows(_ channels: [CallID]) -> String {
        let rows = channels.map { "{\"uuid\":\"\($0)\"}" }.joined(separator: ",")
        return answer("{\"row_count\":\(channels.count),\"rows\":[\(rows)]}")
    }

    /// Loses the connection and comes back, to the questions about what is still there.
    private func comeBack(_ line: inout Line) -> [String] {
        _ = line.lost()
        _ = line.waits()
        _ = line.connected()
        _ = line.hears(greeting)
        _ = line.hears(accepted)
        return line.hears(ok)
    }

    @Test("After a reconnection a channel that had been seen and is gone is told, once; a restart is told apart")
    func reconciling() throws {
        let other = CallID("4500d4b5-8aaa-403f-8a72-dbca171df510")!
        let foreign = CallID("2f698551-cfc0-4c64-a96a-359c25203c25")!
        var line = Line()
        line.becomeReady()
        for channel in [channel, other, foreign] { _ = line.step { $0.watch(channel, at: $1, into: &$2) } }
        // One is proven by an event, one by an answer about it, and the third is no channel of this switch.
        _ = line.hears(event("Event-Name: DTMF\nUnique-ID: \(channel)\nCore-UUID: first\n\n"))
        _ = try line.asks(1, .getVariable("a", of: other))
        _ = try line.asks(2, .getVariable("a", of: foreign))
        #expect(
            line.hears(answer("_undef_") + answer("-ERR No such channel!\n")) == ["1 = _undef_", "2 ! no-such-channel"])
        #expect(
            self.comeBack(&line) == ["ready", "> api global_getvar core_uuid", "> api show channels as json"])
        let asked = line.hears(answer("first") + Self.rows([other]))
        #expect(Set(asked) == ["> api uuid_exists \(channel)", "> api uuid_exists \(other)"])
        let order = asked.map { $0.hasSuffix(channel.text) ? "false" : "true" }
        #expect(line.hears(order.map(answer).joined()) == ["gone"])
        // Now the switch itself is another: the one that was left goes with it, the one that is gone is not told again.
        #expect(self.comeBack(&line).first == "ready")
        #expect(line.hears(answer("second") + answer("{\"row_count\":0}")) == ["> api uuid_exists \(other)"])
        #expect(line.hears(answer("false")) == ["gone by restart"])
        #expect(self.comeBack(&line).first == "ready")
        #expect(line.hears(answer("second") + answer("{\"row_count\":0}")) == [])
    }

    @Test("A table of channels that cannot be read costs a question for each channel, and no call")
    func unreadableChannels() throws {
        var line = Line()
        line.becomeReady()
        _ = line.step { $0.watch(channel, at: $1, into: &$2) }
        _ = line.hears(event("Event-Name: DTMF\nUnique-ID: \(channel)\n\n"))
        _ = self.comeBack(&line)
        #expect(
            line.hears(answer("-ERR no reply") + answer("-ERR no database\n"))
                == ["odd unreadable-channels", "> api uuid_exists \(channel)"])
        #expect(line.hears(answer("true")) == [])
    }

    @Test("A hang-up that was told by its event is not told again by its absence")
    func toldHangup() throws {
        var line = Line()
        line.becomeReady()
        _ = line.step { $0.watch(channel, at: $1, into: &$2) }
        _ = line.hears(event("Event-Name: CHANNEL_HANGUP\nUnique-ID: \(channel)\n\n"))
        _ = self.comeBack(&line)
        #expect(line.hears(answer("x") + answer("{\"row_count\":0}")) == [])
    }

    @Test("Listeners' events are subscribed to once, filtered by name where no channel is meant, and again later")
    func addedSubscriptions() throws {
        var line = Line(filters: true)
        line.becomeReady()
        _ = line.hears(ok + ok)
        let record = EventInterest([.other("RECORD_STOP"), .channelHangup], subclasses: ["sofia::register"])
        func subscribe(_ interest: EventInterest) -> [String] {
            line.step { client, now, effects in
                #expect(throws: Never.self) { try client.subscribe(to: interest, at: now, into: &effects) }
            }
        }
        let open = [
            "> filter Event-Name RECORD_STOP", "> filter Event-Name CHANNEL_HANGUP",
            "> filter Event-Subclass sofia::register",
        ]
        #expect(subscribe(record) == ["> event plain RECORD_STOP CUSTOM sofia::register"] + open)
        #expect(subscribe(record) == [])
        #expect(
            subscribe(EventInterest([.other("RECORD_STOP"), .channelAnswer], of: channel)) == [
                "> event plain CHANNEL_ANSWER"
            ])
        _ = line.hears(ok + ok + ok + ok + ok)
        _ = line.lost()
        _ = line.waits()
        _ = line.connected()
        _ = line.hears(greeting)
        #expect(
            line.hears(accepted) == [
                "> event plain BACKGROUND_JOB HEARTBEAT CHANNEL_HANGUP RECORD_STOP CHANNEL_ANSWER CUSTOM sofia::register",
                "> filter Event-Name BACKGROUND_JOB", "> filter Event-Name HEARTBEAT",
            ] + open)
    }

    @Test("A listener whose event cannot be written is refused and spoils no later subscription")
    func unsafeSubscription() {
        var line = Line()
        line.becomeReady()
        let interest = EventInterest([.other("ALL\n\napi hupall")])
        let said = line.step { client, now, effects in
            #expect(throws: EventSocketCommandError.unsafe(argument: .eventName)) {
                try client.subscribe(to: interest, at: now, into: &effects)
            }
        }
        #expect(said == [])
    }

    @Test("A channel that several watch is watched until the last of them leaves")
    func sharedWatch() {
        var line = Line(filters: true)
        line.becomeReady()
        _ = line.hears(ok + ok)
        #expect(line.step { $0.watch(channel, at: $1, into: &$2) } == ["> filter Unique-ID \(channel)"])
        #expect(line.step { $0.watch(channel, at: $1, into: &$2) } == [])
        #expect(line.step { $0.unwatch(channel, at: $1, into: &$2) } == [])
        #expect(line.step { $0.unwatch(channel, at: $1, into: &$2) } == ["> filter delete Unique-ID \(channel)"])
    }

    @Test("An answer that is too long fails its command, and the connection goes on")
    func answerTooLong() throws {
        var configuration = InboundClient.Configuration(
            password: "ClueCon", events: [], subclasses: [], onlyWatchedChannels: false)
        configuration.limits = .init(head: 4096, body: 1000)
        var line = Line()
        line.client = InboundClient(configuration, seed: 1, jobPrefix: "pronto")
        line.becomeReady()
        _ = line.asks(1, .showChannels)
        _ = try line.asks(2, .exists(channel))
        #expect(
            line.hears(answer(String(repeating: "x", count: 1001)) + answer("true"))
                == ["1 ! reply-too-long", "2 = true"])
    }

    @Test("A stop says goodbye and answers everybody")
    func stop() throws {
        var line = Line()
        line.becomeReady()
        _ = try line.asks(1, .exists(channel))
        #expect(line.stop() == ["> exit", "close", "1 ! outcome-unknown", "stopped"])
        #expect(try line.asks(2, .exists(channel)) == ["2 ! stopped"])
        #expect(line.waits() == ["no timer"])
    }
}
