import Assistants
import Conversation
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// Calls of every back end at once, over sockets, and one of the services dies in the middle of them.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FailoverTests {
    /// The order of the ladders: each back end is first for a quarter of the calls.
    private static let names = ["openai", "elevenlabs", "gemini", "pipeline"]

    /// The services, on loopback.
    private struct Services {
        let openAI: OpenAIRealtimeSimulator
        let elevenLabs: ElevenLabsAgentsSimulator
        let gemini: GeminiLiveSimulator
        let deepgram: DeepgramSimulator
        let chat: ChatSimulator

        init() throws {
            var script = AssistantScript()
            script.greeting = .init("Hello.", sound: .tone(hertz: 440, .milliseconds(400)))
            script.answers = [
                .init("It is ten.", sound: .tone(hertz: 500, .milliseconds(1500)), callerTranscript: "The time?")
            ]
            var deepgram = DeepgramScript()
            deepgram.utterances = ["What is the time?"]
            var chat = ChatScript()
            chat.greeting = .init("Hello.")
            chat.answers = [.init("It is ten o'clock and a little.")]
            self.openAI = try OpenAIRealtimeSimulator.start(script: script)
            self.elevenLabs = try ElevenLabsAgentsSimulator.start(script: script)
            self.gemini = try GeminiLiveSimulator.start(script: script)
            self.deepgram = try DeepgramSimulator.start(script: deepgram)
            self.chat = try ChatSimulator.start(script: chat)
        }

        func stop(_ name: String) {
            switch name {
            case "openai": self.openAI.stop()
            case "elevenlabs": self.elevenLabs.stop()
            case "gemini": self.gemini.stop()
            default:
                self.deepgram.stop()
                self.chat.stop()
            }
        }

        func makers() -> @Sendable (AssistantDirectory, AssistantDefaults) -> any AssistantMaking {
            let (openAI, elevenLabs, gemini) = (self.openAI.port, self.elevenLabs.port, self.gemini.port)
            let pipeline = PipelineGateway.services(deepgram: self.deepgram.port, chat: self.chat.port)
            return { directory, defaults in
                StandardAssistants(
                    directory: directory, defaults: defaults,
                    openAI: OpenAIRealtimeConfiguration(
                        baseURL: "http://127.0.0.1:\(openAI)/v1", credential: .bearer(Redacted("k"))),
                    elevenLabs: ElevenLabsAgentsConfiguration(
                        baseURL: "http://127.0.0.1:\(elevenLabs)", agent: "agent_1", overrides: [.firstMessage]),
                    gemini: GeminiLiveConfiguration(
                        baseURL: "http://127.0.0.1:\(gemini)", credential: .apiKey(Redacted("k"))),
                    pipeline: pipeline
                ) { _, _, _ in throw AssistantFailure("no-local-assistant", .failOver) }
            }
        }
    }

    /// One call: the caller asks, listens, pauses, and asks again until told to stop.
    private func converse(
        _ gateway: TestGateway, _ call: CallID, until isOver: Observed<Bool>
    ) async throws -> Bool {
        let phone = try await TestPhone.dial(
            port: gateway.port, path: "/stream/\(TestGateway.assistant.text)/\(call.text)",
            on: gateway.group.loops[0])
        while !isOver.value {
            phone.speak(true)
            try await Task.sleep(for: .milliseconds(700))
            phone.speak(false)
            // The turn's silence, the answer and a breath.
            try await Task.sleep(for: .milliseconds(2600))
        }
        let stood = phone.heard.value.end == nil
        phone.hangUp()
        return stood
    }

    /// What became of one call. Times count from the failure of its back end.
    private struct Change {
        /// Nil: its back end did not fail.
        var ready: Duration?
        /// The next one's first words, where the caller waited for some.
        var words: Duration?
        var goesOn: Bool
    }

    private func change(_ notes: [CallNotes.Entry], killedAt: ContinuousClock.Instant, stood: Bool) -> Change {
        func first(after time: ContinuousClock.Instant, _ matches: (SessionNote) -> Bool) -> ContinuousClock.Instant? {
            notes.first { $0.at > time && matches($0.note) }?.at
        }
        func speaks(_ note: SessionNote) -> Bool { if case .agentSaid = note { true } else { false } }
        let isAnsweredLater = first(after: killedAt + .seconds(3), speaks) != nil
        let failed = first(after: killedAt) { if case .assistantFailed = $0 { true } else { false } }
        guard let failed else { return Change(goesOn: stood && isAnsweredLater) }
        let ready = first(after: failed) { if case .assistantReady = $0 { true } else { false } }
        let words = first(after: failed, speaks)
        // Whom the caller had to speak to first owed nothing.
        let asked = first(after: failed) { if case .callerSpeaking(true) = $0 { true } else { false } }
        let isOwed = words.map { words in asked.map { words < $0 } ?? true } ?? false
        return Change(
            ready: ready.map { $0 - failed }, words: isOwed ? words.map { $0 - failed } : nil,
            goesOn: stood && isAnsweredLater && ready != nil)
    }

    /// PRONTO_FAILOVER_CALLS calls (default 8) for each service that dies; prints what was measured.
    @Test("A service dies in the middle of many calls: every call goes on with the next one", arguments: Self.names)
    func oneDies(_ dying: String) async throws {
        let count = ProcessInfo.processInfo.environment["PRONTO_FAILOVER_CALLS"].flatMap { Int($0) } ?? 8
        let services = try Services()
        var gateways: [TestGateway] = []
        for first in Self.names.indices {
            let order = (0..<Self.names.count).map { Self.names[(first + $0) % Self.names.count] }
            gateways.append(
                try await TestGateway(speech: LevelSpeech(), backEnds: (order, services.makers())) {
                    assistant, defaults in
                    assistant.turns.silence = .milliseconds(300)
                    assistant.maximumDuration = .seconds(120)
                    // Of a machine with other things to do: what is measured is the change and not the patience.
                    defaults.deadlines.ready = .seconds(8)
                    defaults.deadlines.firstAudio = .seconds(8)
                    defaults.deadlines.stall = .seconds(8)
                })
        }
        let isOver = Observed(false)
        let calls = (0..<count).compactMap { _ in CallID(UUID().uuidString) }
        var killedAt = ContinuousClock.now
        let stood: [Bool] = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
            for (index, call) in calls.enumerated() {
                let gateway = gateways[index % gateways.count]
                group.addTask { (index, try await self.converse(gateway, call, until: isOver)) }
                // Callers come one after another: not all are in the same state when it happens.
                try await Task.sleep(for: .milliseconds(3000 / max(count, 1)))
            }
            try await Task.sleep(for: .seconds(5))
            killedAt = ContinuousClock.now
            services.stop(dying)
            // Every call goes on: its agent speaks again, well after what was under way then.
            try await eventually(within: .seconds(40), "every call to be answered again") {
                calls.enumerated().allSatisfy { index, call in
                    let notes = gateways[index % gateways.count].notes.entries(of: call)
                    return self.change(notes, killedAt: killedAt, stood: true).goesOn
                }
            }
            isOver.change { $0 = true }
            var results = [Bool](repeating: false, count: count)
            for try await (index, result) in group { results[index] = result }
            return results
        }
        let changes = calls.enumerated().map { index, call in
            self.change(
                gateways[index % gateways.count].notes.entries(of: call), killedAt: killedAt, stood: stood[index])
        }
        let ready = changes.compactMap(\.ready).sorted()
        let words = changes.compactMap(\.words).sorted()
        func at(_ share: Int, _ times: [Duration]) -> Int {
            times.isEmpty ? 0 : times[min(times.count - 1, times.count * share / 100)].milliseconds
        }
        func text(_ times: [Duration]) -> String {
            "median \(at(50, times)) ms, p95 \(at(95, times)) ms, longest \(at(100, times)) ms"
        }
        let lost = changes.count { !$0.goesOn }
        print(
            "failover: \(dying) dies under \(count) calls: \(ready.count) changed over, the next one ready after "
                + "\(text(ready)); \(words.count) waited for words, which came after \(text(words)); \(lost) lost")
        #expect(lost == 0)
        // Those that had it first, at the least.
        #expect(ready.count >= count / Self.names.count)
        for gateway in gateways { try await gateway.stop() }
        for name in Self.names where name != dying { services.stop(name) }
    }
}
