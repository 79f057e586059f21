import AdminAPI
import Assistants
import Audio
import Foundation
import Networking
import Observability
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// `/api/v1` over real sockets, with simulated services behind it.
@Suite(.serialized, .timeLimit(.minutes(1))) struct SpeechInterfaceTests {
    private final class Served: Sendable {
        let group = EventLoopGroup(count: 1, name: "interface")
        let deepgram: DeepgramSimulator
        let chat: ChatSimulator
        let server: HTTPServer
        let assistant = AssistantID("aaaaaaaa-0000-4000-8000-000000000001")!

        init(
            trusted: Bool = true, folder: String? = nil, chat: ChatScript = ChatScript(),
            speech: LevelSpeech = LevelSpeech(),
            services change: @escaping (inout PipelineServices) -> Void = { _ in }
        ) throws {
            self.deepgram = try DeepgramSimulator.start()
            self.chat = try ChatSimulator.start(script: chat)
            var configuration = SpeechInterface.Configuration()
            configuration.services = PipelineGateway.services(deepgram: self.deepgram.port, chat: self.chat.port) {
                $0.voice = "aura-2-thalia-en"
                change(&$0)
            }
            configuration.isTrustedPeer = { _ in trusted }
            configuration.token = Redacted("a-service-token")
            configuration.folder = folder
            let directory = AssistantDirectory()
            let destination = DestinationRecord(
                id: DestinationID("dddddddd-0000-4000-8000-000000000001")!, tenant: TestGateway.tenant, name: "Sales",
                number: "200", context: "internal")
            directory.replace(with: [
                .init(
                    tenant: Tenant(id: TestGateway.tenant, name: "one"),
                    assistants: [Assistant(id: self.assistant, tenant: TestGateway.tenant, name: "a")],
                    destinations: [destination])
            ])
            let interface = SpeechInterface(
                configuration, directory: directory, http: ProviderHTTP(), speech: speech, logger: .silent)
            self.server = try AdminServer.start(
                host: "127.0.0.1", port: 0, loops: self.group.loops,
                health: { .init(isDraining: false, activeCalls: 0) }, registry: MetricsRegistry(),
                speech: interface.handle)
        }

        func ask(
            _ method: String, _ path: String, _ body: JSONValue? = nil, token: String? = nil
        ) async throws -> (status: Int, body: JSONValue) {
            var headers: [(name: String, value: String)] = []
            if let token { headers.append(("Authorization", "Bearer " + token)) }
            var bytes: [UInt8] = []
            body?.write(into: &bytes)
            let request = HTTPClientRequest(
                method: method, url: "http://127.0.0.1:\(self.server.address.port)/api/v1/\(path)", headers: headers,
                body: bytes)
            let loop = self.group.loops[0]
            let response: HTTPResponse = try await withCheckedThrowingContinuation { continuation in
                loop.execute {
                    let client = HTTPClient(on: loop)
                    client.fetch(request) { result in continuation.resume(with: result) }
                }
            }
            return (response.status, JSONValue(json: String(decoding: response.body, as: UTF8.self)) ?? .null)
        }

        func stop() {
            self.server.close()
            self.deepgram.stop()
            self.chat.stop()
            self.group.stop()
        }
    }

    @Test("Engines of this machine serve the interface too: what they write, speak and have")
    func local() async throws {
        let speech = LevelSpeech()
        speech.utterances.change { $0 = ["When do you open?"] }
        let served = try Served(
            speech: speech,
            services: { services in
                services.turnBasedRecogniser = .sherpa
                services.speaker = .piper
                services.voice = nil
                services.localVoices = [.piper: [.init(id: "it_IT-paola-medium", name: "paola", language: "it-IT")]]
            })
        defer { served.stop() }
        let written = try await served.ask(
            "POST", "transcribe", ["audio_base64": Self.wav, "domain_uuid": Self.tenant, "language": "en"])
        #expect(written.status == 200)
        #expect(written.body["text"] == "When do you open?" && written.body["provider"] == "sherpa")
        #expect(speech.recorded.value == [.seconds(1)])
        let spoken = try await served.ask(
            "POST", "synthesize",
            ["text": "Good morning.", "domain_uuid": Self.tenant, "voice_id": "it_IT-paola-medium"])
        #expect(spoken.status == 200 && spoken.body["provider"] == "piper")
        #expect(speech.engines.value == [.piper])
        let voices = try await served.ask("GET", "tts/voices")
        #expect(voices.body.elements?.first?["voice_id"] == "it_IT-paola-medium")
        speech.utterances.change { $0 = ["‹broken›"] }
        let failed = try await served.ask(
            "POST", "transcribe", ["audio_base64": Self.wav, "domain_uuid": Self.tenant])
        #expect(failed.status == 502 && failed.body["error"] == "recogniser-engine")
    }

    private static let tenant = JSONValue.string(TestGateway.tenant.text)
    private static let wav: JSONValue = {
        let wav = WAV(linear: Tone(440, rate: .narrowband).samples(for: .seconds(1)), rate: .narrowband)
        return .string(Data(wav.encoded()).base64EncodedString())
    }()

    @Test("A recording is transcribed, a text is spoken, a message is answered")
    func stages() async throws {
        let served = try Served()
        let heard = try await served.ask(
            "POST", "transcribe", ["domain_uuid": Self.tenant, "audio_base64": Self.wav, "language": "en"])
        #expect(heard.status == 200)
        #expect(heard.body["text"]?.text == "Hello, who is there?")
        #expect(heard.body["duration_ms"]?.whole == 1000)
        let spoken = try await served.ask("POST", "synthesize", ["domain_uuid": Self.tenant, "text": "Good morning."])
        #expect(spoken.status == 200)
        #expect(spoken.body["duration_ms"]?.whole == 780)
        let audio = try #require(Data(base64Encoded: spoken.body["audio_base64"]?.text ?? ""))
        #expect(try WAV(parsing: Array(audio)).format == .l16(.wideband))
        let message: JSONValue = [
            "domain_uuid": Self.tenant, "session_id": "s", "secretary_id": .string(served.assistant.text),
            "user_message": "When are you open?", "use_rag": false,
            "conversation_history": [["role": "user", "content": "Hello"], ["role": "assistant", "content": "Hi."]],
        ]
        let answer = try await served.ask("POST", "chat", message)
        #expect(answer.status == 200)
        #expect(answer.body["text"]?.text == "We are open from nine to five. Is there anything else?")
        #expect(answer.body["action"] == "continue")
        #expect(try await served.ask("GET", "health").body["status"] == "healthy")
        #expect(try await served.ask("GET", "tts/voices").body.elements?.isEmpty == false)
        served.stop()
    }

    @Test("A wish to be transferred is an action, with the extension")
    func transfer() async throws {
        var chat = ChatScript()
        chat.answers = [.init("One moment.", tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)])]
        let served = try Served(chat: chat)
        let answer = try await served.ask(
            "POST", "chat",
            [
                "domain_uuid": Self.tenant, "secretary_id": .string(served.assistant.text),
                "user_message": "Sales please",
            ])
        #expect(answer.body["action"] == "transfer")
        #expect(answer.body["transfer_extension"] == "200")
        #expect(answer.body["transfer_department"] == "Sales")
        served.stop()
    }

    @Test("Files stay in their folder")
    func files() async throws {
        let folder = NSTemporaryDirectory() + "pronto-interface-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let served = try Served(folder: folder)
        let spoken = try await served.ask("POST", "synthesize", ["domain_uuid": Self.tenant, "text": "Good morning."])
        let path = try #require(spoken.body["audio_file"]?.text)
        #expect(FileManager.default.fileExists(atPath: path))
        #expect(path.contains("/\(try #require(Self.tenant.text))/tts-"), "each tenant has its own part")
        let heard = try await served.ask(
            "POST", "transcribe", ["domain_uuid": Self.tenant, "audio_file": .string(path), "language": "en"])
        #expect(heard.body["text"]?.text == "Hello, who is there?")
        for name in ["/etc/hostname", "../x.wav", folder + "/../../etc/hostname"] {
            let refused = try await served.ask(
                "POST", "transcribe", ["domain_uuid": Self.tenant, "audio_file": .string(name)])
            #expect(refused.status == 422)
        }
        served.stop()
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("Who may not ask is refused, and what is wrong is named")
    func refusals() async throws {
        let served = try Served(trusted: false)
        #expect(try await served.ask("GET", "health").status == 401)
        #expect(try await served.ask("GET", "health", token: "another-token!!").status == 401)
        #expect(try await served.ask("GET", "health", token: "a-service-token").status == 200)
        let token = "a-service-token"
        let cases: [(String, JSONValue, String)] = [
            ("transcribe", ["audio_base64": "AAAA"], "domain_uuid"),
            ("transcribe", ["domain_uuid": Self.tenant, "audio_base64": "%%"], "audio_base64"),
            ("transcribe", ["domain_uuid": Self.tenant, "audio_base64": "AAAA"], "WAV"),
            ("transcribe", ["domain_uuid": Self.tenant], "audio_file"),
            ("synthesize", ["domain_uuid": Self.tenant], "text"),
            ("synthesize", ["domain_uuid": Self.tenant, "text": "x", "output_format": "mp3"], "output_format"),
            ("chat", ["domain_uuid": Self.tenant, "user_message": "x"], "secretary_id"),
        ]
        for (path, body, named) in cases {
            let refused = try await served.ask("POST", path, body, token: token)
            #expect(refused.status == 422)
            #expect(refused.body["detail"]?.text?.contains(named) == true)
        }
        #expect(try await served.ask("GET", "chat", token: token).status == 405)
        served.stop()
    }
}
