import EventSocket
import Telephony
import Testing

/// A switch that sends damaged recordings at any moment: nothing traps, and nobody waits for ever.
@Suite struct HostileSwitchTests {
    @Test("Whatever comes, each command is answered exactly once")
    func everyCommandIsAnswered() throws {
        let channel = try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1"))
        let ok = "Content-Type: command/reply\nReply-Text: +OK\n\n"
        let setUp = Array(("Content-Type: auth/request\n\n" + ok + ok + ok + ok + ok).utf8)
        let recordings = [
            setUp + (try Transcript(named: "esl-inbound-commands").bytes(from: .freeSwitch)),
            try Transcript(named: "esl-inbound-badauth").bytes(from: .freeSwitch),
        ]
        var generator = SeededGenerator(seed: 42)
        var outcomes: Set<String> = []
        for round in 0..<600 {
            var client = InboundClient(
                InboundClient.Configuration(password: "x", maximumAttempts: 100, events: [.dtmf]), seed: UInt64(round),
                jobPrefix: "job")
            var effects: [InboundClient.Effect] = []
            var now: Duration = .zero
            var asked: Set<UInt64> = []
            var answered: [UInt64: Int] = [:]
            var recording = recordings[round % 2][...]
            client.start(at: now, into: &effects)
            for step in 0..<40 {
                now += .milliseconds(Int.random(in: 0...4000, using: &generator))
                switch Int.random(in: 0..<10, using: &generator) {
                case 0 where step % 4 == 0: client.connectionLost(at: now, into: &effects)
                case 2: client.timerFired(at: now, into: &effects)
                case 3: client.watch(channel, at: now, into: &effects)
                case 4, 5:
                    asked.insert(UInt64(step))
                    let command: ApiCommand = step % 2 == 0 ? .status : try .stopAudioStream(channel)
                    client.execute(command, id: EventSocketRequestID(UInt64(step)), at: now, into: &effects)
                default:
                    if case .connect = effects.last(where: Self.isSocket) {
                        client.connected(at: now, into: &effects)
                        recording = recordings[round % 2][...]
                        effects.append(.send([]))  // the socket is open now
                    }
                    var piece = Array(recording.prefix(Int.random(in: 1...300, using: &generator)))
                    recording = recording.dropFirst(piece.count)
                    if Int.random(in: 0..<4, using: &generator) == 0, round % 3 == 0 {
                        for _ in 0..<3 where !piece.isEmpty {
                            piece[Int.random(in: 0..<piece.count, using: &generator)] = UInt8.random(
                                in: 0...255, using: &generator)
                        }
                    }
                    piece.withUnsafeBytes { client.received($0, at: now, into: &effects) }
                }
            }
            client.stop(at: now, into: &effects)
            for case .complete(let id, let result) in effects {
                answered[id.number, default: 0] += 1
                switch result {
                case .success: outcomes.insert("success")
                case .failure(let failure): outcomes.insert(failure.slug)
                }
            }
            #expect(Set(answered.keys) == asked)
            #expect(answered.values.allSatisfy { $0 == 1 })
        }
        #expect(outcomes.isSuperset(of: ["not-sent", "outcome-unknown", "success"]))
    }

    private static func isSocket(_ effect: InboundClient.Effect) -> Bool {
        switch effect {
        case .connect, .close, .send: true
        default: false
        }
    }

    @Test("A damaged outbound socket ends once, and nothing follows")
    func outboundEndsOnce() throws {
        let recording = try Transcript(named: "esl-outbound-plain").bytes(from: .freeSwitch)
        let full = try Transcript(named: "esl-outbound-json-nolinger").bytes(from: .freeSwitch)
        var generator = SeededGenerator(seed: 43)
        for round in 0..<100 {
            var session = OutboundSession()
            var effects: [OutboundSession.Effect] = []
            session.accepted(at: .zero, into: &effects)
            var bytes = Array((round % 2 == 0 ? recording : full).prefix(20_000))
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.withUnsafeBytes { session.received($0, at: .zero, into: &effects) }
            session.stop(at: .zero, into: &effects)
            session.connectionLost(at: .zero, into: &effects)
            let ends = effects.filter { if case .ended = $0 { true } else { false } }
            #expect(ends.count == 1)
        }
    }
}
