import Audio
import MediaDialects
import Telephony
import Testing

@testable import Simulators

/// A conversation is drawn as text, one character 100 ms: what the gateway sends in real time (`A` voice, `-` silent
/// frames, space nothing), and what the phone measured.
@Suite("The phone measures a conversation")
struct PhoneCoreMeasureTests {
    private static func voice(_ milliseconds: Int) -> [Int16] {
        PhoneCoreDriver.tone(.milliseconds(milliseconds), rate: .narrowband)
    }

    /// Plays a drawing to a phone that starts without a cushion, so that times are exact.
    private static func run(_ agent: String, _ script: [PhoneStep]) -> PhoneCoreDriver {
        var configuration = PhoneConfiguration(dialect: .binary, rate: .narrowband, script: script)
        configuration.ear = .cushion(.zero)
        configuration.ending = .stay
        var phone: PhoneCoreDriver = .connected(configuration)
        for character in agent {
            for _ in 0..<5 {
                switch character {
                case "A": phone.receive(.binary, PhoneCoreDriver.bytes(Self.voice(20)))
                case "-": phone.receive(.binary, [UInt8](repeating: 0, count: 320))
                case "!": phone.text(#"{"type":"stopAudio"}"#)
                default: break
                }
                phone.advance(by: .milliseconds(20))
            }
        }
        phone.peerCloses()
        return phone
    }

    @Test("An answer is timed from the last voiced frame to the first sound, and so is the greeting")
    func answer() {
        // Caller: 1 s of listening, 0.5 s of speech, 0.3 s of silence within the step.
        let speech: [Int16] = Self.voice(500) + [Int16](repeating: 0, count: 2400)
        let phone = Self.run("  AAA                 AAAA      ", [.silence(.seconds(1)), .speak(speech)])
        let result: PhoneResult = phone.core.result
        #expect(result.firstAudio == .milliseconds(220))
        // The last voiced frame is sent at 1.5 s; the answer sounds from 2.22 s.
        #expect(result.answers == [.milliseconds(720)])
        #expect(result.agentHeard == .milliseconds(700))
        #expect(result.gaps == 0)
        #expect(result.failure == nil)
        #expect(phone.reports.contains(.answered(after: .milliseconds(720))))
        #expect(phone.reports.count { $0 == .agentSpeaking(true) } == 2)
        #expect(phone.reports.count { $0 == .agentSpeaking(false) } == 2)
    }

    @Test("The agent's own last words are not taken for an answer")
    func overlap() {
        // The caller speaks from 0.02 to 0.5 s, the agent until 1.0 s, and again from 1.6 s.
        let result: PhoneResult = Self.run("AAAAAAAAAA      AAA     ", [.speak(Self.voice(500))]).core.result
        #expect(result.answers == [.milliseconds(1120)])
    }

    @Test(
        "An interruption ends with the agent's last sound",
        arguments: [
            // The caller speaks from 0.50 s on.
            (agent: "AAAAAAAAAA          AAA   ", stop: 520, answers: 1),
            (agent: "AAAAAAA!            AAA   ", stop: 220, answers: 1),
            (agent: "AAAAA               AAA   ", stop: 0, answers: 1),
        ])
    func bargeIn(agent: String, stop: Int, answers: Int) {
        let result: PhoneResult = Self.run(
            agent, [.interrupt(afterHearing: .milliseconds(480), Self.voice(400), timeout: .seconds(5))]
        ).core.result
        #expect(result.bargeInStops.count == 1)
        #expect(abs((result.bargeInStops.first ?? .zero).milliseconds - stop) <= 20)
        #expect(result.answers.count == answers)
        #expect(result.ignoredInterruptions == 0)
    }

    @Test("An agent that speaks on for five seconds has ignored the interruption")
    func ignored() {
        let phone = Self.run(
            String(repeating: "A", count: 70),
            [.interrupt(afterHearing: .milliseconds(500), Self.voice(400), timeout: .seconds(5))])
        #expect(phone.core.result.ignoredInterruptions == 1)
        #expect(phone.core.result.bargeInStops.isEmpty)
        #expect(phone.core.result.failure == "interruption-ignored")
    }

    @Test(
        "A dry moment inside an utterance is a gap, a pause between two is none",
        arguments: [
            (agent: "AAAA AAAA  AAAA", gaps: 2, milliseconds: 300), (agent: "AAAA     AAAA", gaps: 0, milliseconds: 0),
            (agent: "AAAA--AAAA", gaps: 0, milliseconds: 0), (agent: "AAAA!AAAA", gaps: 0, milliseconds: 0),
        ])
    func gaps(agent: String, gaps: Int, milliseconds: Int) {
        let result: PhoneResult = Self.run(agent, [.silence(.seconds(9))]).core.result
        #expect(result.gaps == gaps)
        #expect(result.gapTime == .milliseconds(milliseconds))
    }

    @Test("A turn without an answer in time is a failure, a greeting that never comes is not a turn")
    func unanswered() {
        let listen: PhoneStep = .waitForAgent(quietFor: .milliseconds(500), timeout: .seconds(1))
        let silent: PhoneResult = Self.run(
            String(repeating: " ", count: 30), [listen, .speak(Self.voice(200)), listen]
        )
        .core.result
        #expect(silent.unansweredTurns == 1)
        #expect(silent.failure == "agent-silent")
        let greeted: PhoneResult = Self.run(
            "AA" + String(repeating: " ", count: 30), [listen, .speak(Self.voice(200)), listen]
        ).core.result
        #expect(greeted.failure == "turn-unanswered")
    }

    @Test("Listening goes on through the agent's pauses, and ends when it is quiet for long enough")
    func listening() {
        let phone = Self.run(
            "  AAA  AAA              ",
            [.waitForAgent(quietFor: .milliseconds(400), timeout: .seconds(9)), .digit(Redacted("1"))])
        let digit: Duration? = phone.messages.first { $0.kind == .text }?.at
        #expect(digit == .milliseconds(1420))
    }

    @Test(
        "How a call ends",
        arguments: [
            (PhoneEnd.closedByGateway(code: 1000), true, Optional<String>.none),
            (.closedByGateway(code: 1011), true, "closed-1011"), (.lost, true, "lost"),
            (.violation, true, "violation"), (.closedByGateway(code: 1000), false, "agent-silent"),
        ])
    func ends(_ end: PhoneEnd, agentSpoke: Bool, failure: String?) {
        var phone: PhoneCoreDriver = .connected(
            PhoneConfiguration(dialect: .binary, rate: .narrowband, script: [.silence(.seconds(9))]))
        if agentSpoke { phone.receive(.binary, PhoneCoreDriver.bytes(Self.voice(500))) }
        phone.advance(by: .seconds(1))
        phone.peerCloses(end)
        #expect(phone.core.result.end == end)
        #expect(phone.core.result.failure == failure)
        #expect(phone.core.result.duration == .seconds(1))
    }

    @Test("A gateway that does not answer our Close is told of, any other end after it is a hang-up")
    func closing() {
        for (end, expected) in [(PhoneEnd.lost, PhoneEnd.hungUp), (.closeUnanswered, .closeUnanswered)] {
            var phone: PhoneCoreDriver = .connected(PhoneConfiguration(dialect: .binary, script: [.hangUp]))
            phone.advance(by: .milliseconds(100))
            #expect(phone.closes == [1000])
            phone.peerCloses(end)
            #expect(phone.core.result.end == expected)
        }
    }

    @Test("The maximum duration ends any script")
    func maximum() {
        var configuration = PhoneConfiguration(dialect: .binary, script: [.silence(.seconds(3600))])
        configuration.maximumDuration = .seconds(3)
        var phone: PhoneCoreDriver = .connected(configuration)
        phone.advance(by: .seconds(10))
        #expect(phone.closes == [1000])
        #expect(phone.binaries.count == 149 || phone.binaries.count == 150)
    }

    @Test("A late wake sends what is due, a sleep of the host skips it")
    func lateness() {
        var phone: PhoneCoreDriver = .connected(PhoneConfiguration(dialect: .binary, script: [.silence(.seconds(60))]))
        phone.now = .milliseconds(500)
        phone.event { $0.wake(at: $1, &$2) }
        #expect(phone.binaries.count == 25)
        phone.now = .seconds(20)
        phone.event { $0.wake(at: $1, &$2) }
        #expect(phone.binaries.count < 30)
        phone.peerCloses()
        #expect(phone.core.result.skippedFrames > 900)
    }

    @Test("The recording has the caller left and the agent right, in time", arguments: [PhoneModule.binary, .forkL16])
    func recording(_ dialect: PhoneModule) throws {
        var configuration = PhoneConfiguration(
            dialect: dialect, rate: .wideband,
            script: [
                .silence(.milliseconds(480)),
                .speak(PhoneCoreDriver.tone(.milliseconds(500), hertz: 400, rate: .wideband)),
            ])
        configuration.records = true
        configuration.ending = .stay
        var phone: PhoneCoreDriver = .connected(configuration)
        phone.text(PhoneCoreDriver.streamAudio(Self.voice(500), rate: 8000))
        phone.advance(by: .seconds(2))
        phone.peerCloses()
        let recording: WAV = try #require(phone.core.result.recording)
        #expect(recording.format == AudioFormat(.l16, .wideband, channels: 2))
        #expect(recording.duration == .seconds(2))
        let samples: [Int16] = recording.samples.withUnsafeBytes { Array($0.bindMemory(to: Int16.self)) }
        func side(_ channel: Int, _ range: Range<Int>) -> [Int16] { range.map { samples[$0 * 2 + channel] } }
        let agent: [Int16] = side(1, 0..<8000)
        #expect(Goertzel.amplitude(of: 700, in: agent, rate: .wideband) > 0.2)
        #expect(Goertzel.amplitude(of: 400, in: side(0, 8000..<15_000), rate: .wideband) > 0.2)
        #expect(side(0, 0..<7600).allSatisfy { $0 == 0 })
    }

    @Test("Percentiles are by nearest rank")
    func percentiles() {
        let values: [Duration] = (1...100).map { .milliseconds($0) }.reversed()
        #expect(PhoneResult.percentile(0.5, of: values) == .milliseconds(50))
        #expect(PhoneResult.percentile(0.99, of: values) == .milliseconds(99))
        #expect(PhoneResult.percentile(1, of: values) == .milliseconds(100))
        #expect(PhoneResult.percentile(0.5, of: []) == nil)
    }
}
