import Assistants
import Records
import Telephony
import Testing

@testable import PhoneServer

/// Where the machines of a tenant with an account of its own go, with whose key, and for what they ask there.
@Suite struct StandardAssistantsTests {
    /// What a machine does first, and what it sends when that socket is open.
    private struct Begun {
        var url = ""
        var headers: [String: String] = [:]
        var sent: [JSONValue] = []
        var everything: String { "\(self.url) \(self.headers) \(self.sent.map(\.json))" }
    }

    private static let ourKey = "our-key"
    private static let elsewhere = #""base_url":"https://own.example/base""#

    private static func begin(
        _ provider: String, _ change: (inout ProviderAccount) -> Void
    ) throws -> Begun {
        let tenant = try #require(TenantID("11111111-2222-3333-4444-555555555555"))
        let id = try #require(AssistantID("aaaaaaaa-0000-4000-8000-000000000001"))
        let name = try #require(ProviderName(provider))
        var assistant = Assistant(id: id, tenant: tenant, name: "reception", language: "en")
        assistant.providers = [name]
        var account = ProviderAccount(tenant: tenant, provider: name)
        change(&account)
        let directory = AssistantDirectory()
        directory.replace(with: [
            .init(tenant: Tenant(id: tenant, name: "one"), assistants: [assistant], accounts: [account])
        ])
        let key = Redacted(Self.ourKey)
        var openAI = OpenAIRealtimeConfiguration(
            credential: .bearer(key), organisation: "our-organisation", project: "our-project", voice: "cedar")
        openAI.extraHeaders = [("X-Ours", "our-header")]
        let assistants = StandardAssistants(
            directory: directory, defaults: AssistantDefaults(), openAI: openAI,
            elevenLabs: ElevenLabsAgentsConfiguration(
                agent: "our-agent", key: key, overrides: [.voice], voice: "our-voice"),
            gemini: GeminiLiveConfiguration(credential: .apiKey(key), voice: "Kore")
        ) { _, _, _ in throw AssistantFailure("no-local-assistant", .failOver) }
        let identity = CallIdentity(
            call: try #require(CallID("c")), tenant: tenant, assistant: id, assistantName: "reception")
        var machine = try assistants.make(
            provider: provider, identity: identity, legFormat: .l16(.narrowband), history: [])
        var output = AssistantOutput()
        machine.start(at: .zero, &output)
        var begun = Begun()
        for effect in output.effects {
            switch effect {
            case .connect(_, let target):
                begun.url = target.url
                begun.headers = Dictionary(uniqueKeysWithValues: target.headers.map { ($0.name, $0.value) })
            case .request(_, let target):
                begun.url = target.url
                begun.headers = Dictionary(uniqueKeysWithValues: target.headers.map { ($0.name, $0.value) })
            default: break
            }
        }
        output.removeAll()
        machine.received(.opened(.main), at: .zero, &output)
        if provider == "openai" {
            // It configures what the server has made.
            let created = Array(#"{"type":"session.created","session":{"id":"s","type":"realtime"}}"#.utf8)
            created.withUnsafeBytes { machine.received(.text(.main, $0), at: .zero, &output) }
        }
        for effect in output.effects {
            switch effect {
            case .sendText(_, let range), .sendBinary(_, let range):
                let text = String(decoding: output.bytes[range], as: UTF8.self)
                begun.sent.append(try #require(JSONValue(json: text)))
            default: break
            }
        }
        return begun
    }

    @Test("OpenAI: address, key, model and voice are the account's, and nothing of ours goes there")
    func openAI() throws {
        let own = try Self.begin("openai") {
            $0.configuration = "{\(Self.elsewhere),\"model\":\"own-model\",\"voice\":\"verse\"}"
            ($0.secret, $0.hasSecret) = (Redacted("own-key"), true)
        }
        #expect(own.url == "wss://own.example/base/realtime?model=own-model")
        #expect(own.headers == ["Authorization": "Bearer own-key"])
        #expect(own.sent.first?[["session", "audio", "output", "voice"]] == "verse")

        let keyless = try Self.begin("openai") { $0.configuration = "{\(Self.elsewhere)}" }
        #expect(keyless.url == "wss://own.example/base/realtime?model=gpt-realtime-2.1")
        #expect(keyless.headers.isEmpty)
    }

    @Test("An account with a key alone, or a model alone, leaves the address ours; a model alone our key too")
    func ourAddress() throws {
        let key = try Self.begin("openai") { ($0.secret, $0.hasSecret) = (Redacted("own-key"), true) }
        #expect(key.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1")
        #expect(key.headers == ["Authorization": "Bearer own-key", "X-Ours": "our-header"])
        #expect(key.sent.first?[["session", "audio", "output", "voice"]] == "cedar")

        let model = try Self.begin("openai") { $0.configuration = #"{"model":"own-model","voice":"","base_url":""}"# }
        #expect(model.url == "wss://api.openai.com/v1/realtime?model=own-model")
        #expect(model.headers["Authorization"] == "Bearer \(Self.ourKey)")
        #expect(model.headers["OpenAI-Organization"] == "our-organisation")
        #expect(model.sent.first?[["session", "audio", "output", "voice"]] == "cedar")

        let off = try Self.begin("openai") {
            $0.configuration = "{\(Self.elsewhere)}"
            $0.isEnabled = false
        }
        #expect(off.url.hasPrefix("wss://api.openai.com/"))
    }

    @Test("Gemini: address, key, model and voice are the account's, and nothing of ours goes there")
    func gemini() throws {
        let own = try Self.begin("gemini") {
            $0.configuration = "{\(Self.elsewhere),\"model\":\"own-model\",\"voice\":\"Puck\"}"
            ($0.secret, $0.hasSecret) = (Redacted("own-key"), true)
        }
        #expect(own.url.hasPrefix("wss://own.example/base/ws/"))
        #expect(own.headers == ["x-goog-api-key": "own-key"])
        #expect(own.sent.first?[["setup", "model"]] == "models/own-model")
        #expect(own.everything.contains("Puck"))

        let keyless = try Self.begin("gemini") { $0.configuration = "{\(Self.elsewhere)}" }
        #expect(keyless.url.hasPrefix("wss://own.example/base/ws/") && keyless.headers.isEmpty)
        #expect(keyless.everything.contains("Kore"))
    }

    @Test("ElevenLabs: address, key, agent and voice are the account's, and nothing of ours goes there")
    func elevenLabs() throws {
        let own = try Self.begin("elevenlabs") {
            $0.configuration = "{\(Self.elsewhere),\"agent_id\":\"own-agent\",\"voice\":\"own-voice\"}"
            ($0.secret, $0.hasSecret) = (Redacted("own-key"), true)
        }
        #expect(own.url == "https://own.example/base/v1/convai/conversation/get-signed-url?agent_id=own-agent")
        #expect(own.headers == ["xi-api-key": "own-key"])

        let keyless = try Self.begin("elevenlabs") {
            $0.configuration = "{\(Self.elsewhere),\"agent_id\":\"own-agent\",\"voice\":\"own-voice\"}"
        }
        #expect(keyless.url == "wss://own.example/base/v1/convai/conversation?agent_id=own-agent")
        #expect(keyless.headers.isEmpty)
        #expect(keyless.everything.contains("own-voice"))
    }

    @Test("A key that cannot be opened is not replaced by ours", arguments: ["openai", "elevenlabs", "gemini"])
    func unreadable(provider: String) throws {
        #expect(throws: AssistantFailure("key-not-readable", .failOver)) {
            _ = try Self.begin(provider) { $0.hasSecret = true }
        }
    }

    @Test("An address that is none is not replaced by ours", arguments: ["gemini", "elevenlabs"])
    func malformed(provider: String) throws {
        #expect(throws: AssistantFailure("configuration-base-url", .failOver)) {
            _ = try Self.begin(provider) { $0.configuration = #"{"base_url":"no address","agent_id":"a"}"# }
        }
        // Here the machine itself finds out, and fails before it connects.
        let begun = try Self.begin("openai") { $0.configuration = #"{"base_url":"no address"}"# }
        #expect(begun.url.isEmpty && begun.sent.isEmpty)
    }
}
