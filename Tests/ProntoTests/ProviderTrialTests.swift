import Assistants
import Foundation
import Networking
import PhoneServer
import Simulators
import Telephony
import Testing

@testable import pronto

/// `pronto provider test` against the simulators, closed ports and wrong certificates.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ProviderTrialTests {
    private func trial(
        _ words: String..., environment: [String: String] = [:]
    ) async throws -> (text: String, status: Int32) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await ProviderCommand.test(["test"] + words, folder: folder, environment: environment)
    }

    /// The services and what names them to the settings.
    private struct Services {
        let openAI: OpenAIRealtimeSimulator
        let elevenLabs: ElevenLabsAgentsSimulator
        let gemini: GeminiLiveSimulator
        let deepgram: DeepgramSimulator
        let chat: ChatSimulator

        init(key: String = "right", status: Int? = nil) throws {
            var script = AssistantScript()
            script.key = key
            script.handshakeStatus = status
            var deepgram = DeepgramScript()
            deepgram.key = key
            deepgram.handshakeStatus = status
            var chat = ChatScript()
            chat.key = key
            if let status { chat.answers = [.init("", status: status, errorCode: "insufficient_quota")] }
            self.openAI = try .start(script: script)
            self.elevenLabs = try .start(script: script)
            self.gemini = try .start(script: script)
            self.deepgram = try .start(script: deepgram)
            self.chat = try .start(script: chat)
        }

        func environment(key: String = "right") -> [String: String] {
            [
                "OPENAI_API_KEY": key, "OPENAI_BASE_URL": "http://127.0.0.1:\(self.openAI.port)/v1",
                "ELEVENLABS_API_KEY": key, "ELEVENLABS_AGENT_ID": "agent_1",
                "ELEVENLABS_BASE_URL": "http://127.0.0.1:\(self.elevenLabs.port)",
                "GOOGLE_API_KEY": key, "GEMINI_BASE_URL": "http://127.0.0.1:\(self.gemini.port)",
                "DEEPGRAM_API_KEY": key, "DEEPGRAM_BASE_URL": "http://127.0.0.1:\(self.deepgram.port)",
                "GROQ_API_KEY": key, "GROQ_BASE_URL": "http://127.0.0.1:\(self.chat.port)/openai/v1",
                "ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": "http://127.0.0.1:\(self.chat.port)",
            ]
        }

        func stop() {
            self.openAI.stop()
            self.elevenLabs.stop()
            self.gemini.stop()
            self.deepgram.stop()
            self.chat.stop()
        }
    }

    private static let services = [
        "openai", "elevenlabs", "gemini", "pipeline", "turn-based", "deepgram", "groq", "anthropic",
    ]

    @Test("A provider that works is said to work, with its times", arguments: Self.services)
    func works(_ name: String) async throws {
        let services = try Services()
        let (text, status) = try await self.trial(name, environment: services.environment())
        #expect(status == 0, "\(text)")
        #expect(text.contains("works") && text.contains(" ms"))
        let json = try await self.trial(name, "--json", environment: services.environment()).text
        let trials = JSONValue(json: json)?["trials"]?.elements ?? []
        #expect(!trials.isEmpty)
        #expect(trials.allSatisfy { $0["works"]?.flag == true && ($0["first_sound_ms"]?.whole ?? -1) >= 0 })
        services.stop()
    }

    @Test("A wrong key is called a wrong key, and never printed", arguments: Self.services)
    func wrongKey(_ name: String) async throws {
        let services = try Services()
        let wrong = "sk-0123456789-0123456789-wrong"
        let environment = services.environment(key: wrong)
        let (text, status) = try await self.trial(name, "--json", environment: environment)
        #expect(status == 1)
        let trials = JSONValue(json: text)?["trials"]?.elements ?? []
        #expect(trials.allSatisfy { $0["cause"]?.text == "key" }, "\(text)")
        #expect(!text.contains(wrong))
        services.stop()
    }

    @Test(
        "What the provider's refusal means is said in plain words",
        arguments: [(429, "quota"), (404, "model"), (451, "region"), (503, "provider"), (407, "proxy")])
    func refusals(_ status: Int, _ cause: String) async throws {
        let services = try Services(status: status)
        let text = try await self.trial("openai", "--json", environment: services.environment()).text
        #expect(JSONValue(json: text)?["trials"]?.elements?.first?["cause"]?.text == cause, "\(text)")
        services.stop()
    }

    @Test("A closed port, a name without address and a port that is not TLS are told apart", arguments: Self.services)
    func network(_ name: String) async throws {
        let loop = EventLoop(name: "closed")
        loop.start()
        let server = try HTTPServer(on: [loop], address: SocketAddress("127.0.0.1", port: 0)!) { _ in { _, _ in } }
        let port = server.address.port
        func environment(_ base: String) -> [String: String] {
            var environment: [String: String] = ["ELEVENLABS_AGENT_ID": "agent_1"]
            for company in ["OPENAI", "ELEVENLABS", "DEEPGRAM", "GROQ", "ANTHROPIC"] {
                environment[company + "_API_KEY"] = "k"
                environment[company + "_BASE_URL"] = base
            }
            environment["GOOGLE_API_KEY"] = "k"
            environment["GEMINI_BASE_URL"] = base
            return environment
        }
        func cause(_ base: String) async throws -> String? {
            let (text, status) = try await self.trial(name, "--json", environment: environment(base))
            #expect(status == 1)
            return JSONValue(json: text)?["trials"]?.elements?.first?["cause"]?.text
        }
        // Plain HTTP where TLS is asked for.
        #expect(try await cause("https://127.0.0.1:\(port)") == "tls")
        server.close()
        try await loop.run {}
        #expect(try await cause("http://127.0.0.1:\(port)") == "network")
        #expect(try await cause("http://nowhere.invalid") == "dns")
        loop.stop()
    }

    @Test("Without a key the setting is named; an unknown name lists what there is")
    func usage() async throws {
        let (text, status) = try await self.trial("openai")
        #expect(status == 1)
        #expect(text.contains("OPENAI_API_KEY"))
        do {
            _ = try await self.trial("nobody")
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains("elevenlabs-tts"))
        }
    }

    @Test("A model that will be switched off is warned about")
    func retirement() async throws {
        let services = try Services()
        var environment = services.environment()
        environment["OPENAI_REALTIME_MODEL"] = "gpt-realtime"
        let (text, status) = try await self.trial("openai", environment: environment)
        #expect(status == 0)
        #expect(text.contains("2027-01-20"))
        services.stop()
    }

    @Test("A provider's text is one printable line without what looks like a key")
    func printable() {
        #expect(
            ProviderCommand.printable("bad\nkey\u{1B}[31m sk-abcdefghij0123456789xyz given") == "bad key [31m ‹…› given"
        )
    }
}
