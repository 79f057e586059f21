import Assistants
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// Whole calls over sockets: a phone, the gateway, and the simulators of ElevenLabs and Gemini.
@Suite(.serialized) struct CloudCallTests {
    private static func script() -> AssistantScript {
        var script = AssistantScript()
        script.greeting = .init("Hello.", sound: .tone(hertz: 440, .milliseconds(400)))
        script.answers = [.init("Ten.", sound: .tone(hertz: 500, .milliseconds(600)), callerTranscript: "The time?")]
        return script
    }

    /// Machines as `pronto serve` makes them, towards these ports.
    private static func making(
        _ names: [String], elevenLabs: Int = 1, key: String? = nil, gemini: Int = 1, openAI: Int = 1
    ) -> (names: [String], make: @Sendable (AssistantDirectory, AssistantDefaults) -> any AssistantMaking) {
        let make: @Sendable (AssistantDirectory, AssistantDefaults) -> any AssistantMaking = { directory, defaults in
            StandardAssistants(
                directory: directory, defaults: defaults,
                openAI: OpenAIRealtimeConfiguration(
                    baseURL: "http://127.0.0.1:\(openAI)/v1", credential: .bearer(Redacted("k"))),
                elevenLabs: ElevenLabsAgentsConfiguration(
                    baseURL: "http://127.0.0.1:\(elevenLabs)", agent: "agent_1", key: key.map { Redacted($0) }),
                gemini: GeminiLiveConfiguration(
                    baseURL: "http://127.0.0.1:\(gemini)", credential: .apiKey(Redacted("k")))
            ) { _, _, _ in throw AssistantFailure("no-local-assistant", .failOver) }
        }
        return (names, make)
    }

    private func dial(_ gateway: TestGateway) async throws -> TestPhone {
        try await TestPhone.dial(
            port: gateway.port, path: "/stream/\(TestGateway.assistant.text)/\(UUID().uuidString)",
            on: gateway.group.loops[0])
    }

    /// The tests' gateway is impatient: an agent's reply ends with a pause of a second (there is no event for its end).
    private static func patient(_ assistant: inout Assistant, _ defaults: inout AssistantDefaults) {
        defaults.deadlines.stall = .seconds(4)
        defaults.deadlines.firstAudio = .seconds(4)
    }

    /// Greeted, one turn, hung up.
    /// - Parameter between: waited for after the greeting; the caller speaks when it is so.
    private func talk(_ gateway: TestGateway, between: () async throws -> Bool = { true }) async throws {
        let phone = try await self.dial(gateway)
        try await self.heard(replies: 1, on: gateway)
        try await eventually("what comes between greeting and turn", between)
        phone.speak(true)
        try await Task.sleep(for: .milliseconds(800))
        phone.speak(false)
        try await self.heard(replies: 2, on: gateway)
        phone.hangUp()
        try await eventually("the end") { gateway.finished.value.count == 1 }
    }

    private func heard(replies: Int, on gateway: TestGateway) async throws {
        try await eventually(within: .seconds(30), "reply \(replies) to be heard") {
            gateway.notes.repliesHeard >= replies
        }
    }

    @Test("A call to a private ElevenLabs agent: signed URL, greeting, a turn, the hang-up")
    func elevenLabs() async throws {
        var settings = ElevenLabsAgentSettings()
        settings.isPrivate = true
        var script = Self.script()
        script.key = "xi"
        let simulator = try ElevenLabsAgentsSimulator.start(script: script, settings: settings)
        let gateway = try await TestGateway(
            backEnds: Self.making(["elevenlabs"], elevenLabs: simulator.port, key: "xi"), change: Self.patient)
        try await self.talk(gateway)
        let record = try await simulator.records().first
        #expect(record?.refusal == nil)
        #expect(record?.replies.count == 2)
        #expect(record?.appended ?? .zero > .seconds(1))
        try await gateway.stop()
        simulator.stop()
    }

    @Test("A call to Gemini Live: setup, greeting, a turn, the hang-up")
    func gemini() async throws {
        let simulator = try GeminiLiveSimulator.start(script: Self.script())
        let gateway = try await TestGateway(
            backEnds: Self.making(["gemini"], gemini: simulator.port), change: Self.patient)
        try await self.talk(gateway)
        let record = try await simulator.records().first
        #expect(record?.refusal == nil)
        #expect(record?.replies.count == 2)
        try await gateway.stop()
        simulator.stop()
    }

    @Test("goAway in the middle of a call: the same session on another connection, and the caller is answered")
    func resumption() async throws {
        var script = Self.script()
        script.mishaps = [.init(.after(.milliseconds(2000)), .expiry)]
        let simulator = try GeminiLiveSimulator.start(script: script)
        let gateway = try await TestGateway(
            backEnds: Self.making(["gemini"], gemini: simulator.port), change: Self.patient)
        try await self.talk(gateway) { try await simulator.records().count >= 2 }
        let records = try await simulator.records()
        #expect(records.count >= 2)
        #expect(records.dropFirst().allSatisfy { $0.resumedHandle != nil && $0.refusal == nil })
        try await gateway.stop()
        simulator.stop()
    }

    @Test("A wrong key goes to the next kind; after some calls the broken one is passed over")
    func breaker() async throws {
        var script = Self.script()
        script.key = "another"
        let broken = try GeminiLiveSimulator.start(script: script)
        let works = try ElevenLabsAgentsSimulator.start(script: Self.script())
        let gateway = try await TestGateway(
            configure: { $0.breaker.failures = 2 },
            backEnds: Self.making(["gemini", "elevenlabs"], elevenLabs: works.port, gemini: broken.port),
            change: Self.patient)
        for number in 1...4 {
            let phone = try await self.dial(gateway)
            try await self.heard(replies: number, on: gateway)
            phone.hangUp()
            try await eventually("the end of call \(number)") { gateway.finished.value.count == number }
        }
        // Two calls found out; two did not have to.
        #expect(try await broken.records().count == 2)
        #expect(try await works.records().count == 4)
        try await gateway.stop()
        broken.stop()
        works.stop()
    }

    @Test("A server that accepts and says nothing (slow loris) costs the deadline of being ready, not the call")
    func slowLoris() async throws {
        let loop = EventLoop(name: "loris")
        loop.start()
        // It reads the request and never answers: a responder that is let go of would end the connection.
        final class Held {
            var responders: [HTTPResponder] = []
        }
        let held = try await loop.run { LoopBound(Held(), on: loop) }
        let loris = try HTTPServer(on: [loop], address: SocketAddress("127.0.0.1", port: 0)!) { _ in
            { _, responder in held.value.responders.append(responder) }
        }
        let works = try GeminiLiveSimulator.start(script: Self.script())
        let gateway = try await TestGateway(
            backEnds: Self.making(
                ["elevenlabs", "gemini"], elevenLabs: Int(loris.address.port), gemini: works.port),
            change: Self.patient)
        let phone = try await self.dial(gateway)
        try await self.heard(replies: 1, on: gateway)
        #expect(try await loop.run { held.value.responders.count } >= 1)
        phone.hangUp()
        try await eventually("the end") { gateway.finished.value.count == 1 }
        try await gateway.stop()
        works.stop()
        loris.close()
        loop.stop()
    }
}
