import Assistants
import Audio
import Configuration
import Foundation
import Networking
import Simulators
import SpeechEngines
import Stores
import Synchronization
import Telephony
import Testing

@testable import pronto

/// `pronto provider voices` and `preview`, against a server on loopback that answers as each provider does.
@Suite("Voices of providers", .serialized, .timeLimit(.minutes(2)))
struct ProviderVoicesTests {
    /// Answers by path, and notes what was asked with which headers.
    private final class Service: Sendable {
        final class Notes: Sendable {
            private let asked = Mutex<[String]>([])
            func add(_ key: String) { self.asked.withLock { $0.append(key) } }
            var keys: [String] { self.asked.withLock { $0 } }
        }
        let notes = Notes()
        let port: Int
        private let loop: EventLoop
        private let server: HTTPServer

        init(_ answers: [String: (status: Int, body: String)]) throws {
            let loop = EventLoop(name: "service")
            loop.start()
            let notes = self.notes
            guard let address = SocketAddress("127.0.0.1", port: 0) else { throw CommandFailure("no address") }
            self.server = try HTTPServer(on: [loop], address: address) { _ in
                { request, responder in
                    let headers = request.headers
                    let key = headers["xi-api-key"] ?? headers["x-goog-api-key"] ?? headers["Authorization"]
                    notes.add(key ?? "")
                    let answer = answers[String(request.path)] ?? (404, "{}")
                    responder.respond(HTTPResponse(status: answer.status, text: answer.body, type: "application/json"))
                }
            }
            self.loop = loop
            self.port = Int(self.server.address.port)
        }

        func stop() { self.loop.stop() }
    }

    private func run(_ words: [String], in folder: String, _ given: [String: String] = [:]) async throws -> String {
        try await StoreCommands.run(
            "provider", words, folder: folder,
            environment: ["PRONTO_DATABASE": folder + "/pronto.db"].merging(given) { $1 }, readInput: { nil })
    }

    private func complaint(_ words: [String], _ given: [String: String] = [:]) async throws -> String {
        try await withFolder { folder in
            do { return try await self.run(words, in: folder, given) } catch { return "\(error)" }
        }
    }

    @Test("ElevenLabs is asked for its voices and models, with its key, and a language is picked out")
    func elevenLabs() async throws {
        let service = try Service([
            "/v1/voices": (
                200,
                #"{"voices":[{"voice_id":"v1","name":"Paola","labels":{"language":"it"}},{"voice_id":"v2","name":"Ann","verified_languages":[{"language":"en"}]},{"name":"broken"}]}"#
            ),
            "/v1/models": (
                200,
                #"[{"model_id":"eleven_x","can_do_text_to_speech":true,"languages":[{"language_id":"it"},{"language_id":"en"}]}]"#
            ),
        ])
        defer { service.stop() }
        try await withFolder { folder in
            let given = ["ELEVENLABS_BASE_URL": "http://127.0.0.1:\(service.port)", "ELEVENLABS_API_KEY": "xi-1"]
            let all = try await self.run(["voices", "elevenlabs"], in: folder, given)
            #expect(all.contains("v1") && all.contains("v2") && all.contains("eleven_x"))
            let italian = try await self.run(["voices", "elevenlabs", "--language", "it-IT"], in: folder, given)
            #expect(italian.contains("Paola") && !italian.contains("Ann") && italian.contains("eleven_x"))
            #expect(service.notes.keys.allSatisfy { $0 == "xi-1" } && service.notes.keys.count == 4)
        }
    }

    @Test("Deepgram's, Gemini's and OpenAI's lists are read; what is no list of theirs has its date")
    func others() async throws {
        let service = try Service([
            "/v1/models": (
                200,
                #"{"stt":[{"canonical_name":"nova-3","languages":["en","it"],"streaming":true}],"tts":[{"canonical_name":"aura-2-livia-it","name":"livia","languages":["it"]}],"models":[{"name":"models/gemini-3.8-live","supportedGenerationMethods":["bidiGenerateContent"]},{"name":"models/other","supportedGenerationMethods":["generateContent"]}],"data":[{"id":"gpt-realtime-2.1"},{"id":"gpt-4o-mini-tts"}]}"#
            )
        ])
        defer { service.stop() }
        let base = "http://127.0.0.1:\(service.port)"
        try await withFolder { folder in
            let deepgram = try await self.run(
                ["voices", "deepgram", "--language", "it"], in: folder,
                ["DEEPGRAM_BASE_URL": base, "DEEPGRAM_API_KEY": "dg"])
            #expect(
                deepgram.contains("aura-2-livia-it") && deepgram.contains("nova-3") && deepgram.contains("recognition"))
            let gemini = try await self.run(
                ["voices", "gemini"], in: folder, ["GEMINI_BASE_URL": base, "GOOGLE_API_KEY": "g"])
            #expect(gemini.contains("gemini-3.8-live") && !gemini.contains("other") && gemini.contains("Sulafat"))
            #expect(gemini.contains("2026-"))
            let openAI = try await self.run(
                ["voices", "openai"], in: folder, ["OPENAI_BASE_URL": base + "/v1", "OPENAI_API_KEY": "sk"])
            #expect(openAI.contains("gpt-realtime-2.1  realtime") && openAI.contains("gpt-4o-mini-tts"))
            #expect(service.notes.keys == ["Token dg", "g", "Bearer sk"])
        }
    }

    @Test("What is wrong is said in plain words, with the setting")
    func errors() async throws {
        #expect(try await self.complaint(["voices"]).contains("name"))
        #expect(try await self.complaint(["voices", "martian"]).contains("elevenlabs"))
        #expect(try await self.complaint(["voices", "elevenlabs"]).contains("set ELEVENLABS_API_KEY"))
        #expect(try await self.complaint(["voices", "piper"]).contains("PIPER_VOICE is not set"))
        #expect(
            try await self.complaint(["voices", "piper"], ["PIPER_VOICE": "/nowhere.onnx"]).contains("/nowhere.onnx"))
        #expect(
            try await self.complaint(
                ["voices", "openai"], ["OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "k"]
            ).contains("was not reached: connect"))
        let service = try Service(["/v1/models": (401, "{}"), "/v1/audio/speech": (429, "{}")])
        defer { service.stop() }
        let given = ["OPENAI_BASE_URL": "http://127.0.0.1:\(service.port)/v1", "OPENAI_API_KEY": "sk-secret"]
        let refused = try await self.complaint(["voices", "openai"], given)
        #expect(
            refused.contains("refuses the key") && refused.contains("OPENAI_API_KEY") && !refused.contains("secret"))
        let path = NSTemporaryDirectory() + "pronto-preview-\(UUID().uuidString).wav"
        #expect(
            try await self.complaint(["preview", "openai", "--text", "a", "--out", path], given).contains("HTTP 429"))
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(
            try await self.complaint(["preview", "gemini", "--text", "a", "--out", path], given).contains("no speech"))
        #expect(try await self.complaint(["preview", "openai", "--out", path], given).contains("--text"))
        #expect(try await self.complaint(["preview", "espeak", "--text", "a", "--out", "/tmp"]).contains("exists"))
    }

    @Test("A preview is a WAV file that sounds: from a service, and from espeak-ng")
    func preview() async throws {
        let chat = try ChatSimulator.start(script: ChatScript())
        defer { chat.stop() }
        try await withFolder { folder in
            let said = try await self.run(
                ["preview", "openai", "--voice", "marin", "--text", "Good morning.", "--out", folder + "/a.wav"],
                in: folder, ["OPENAI_BASE_URL": "http://127.0.0.1:\(chat.port)/v1", "OPENAI_API_KEY": "test-key"])
            #expect(said.contains("a.wav: ") && said.contains("ms of sound"))
            _ = try await self.run(
                ["preview", "espeak", "--language", "it", "--text", "Buongiorno.", "--out", folder + "/b.wav"],
                in: folder)
            for name in ["a", "b"] {
                let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/\(name).wav"))
                let wav = try WAV(parsing: Array(data))
                #expect(wav.format == .l16(.realtime))
                #expect(wav.format.duration(ofBytes: wav.samples.count) > .milliseconds(100))
                let level = wav.samples.withUnsafeBytes { Level(of: $0, encoding: .l16).rms }
                #expect(level > -50)
            }
            let voices = try await self.run(["voices", "espeak", "--language", "pt"], in: folder)
            #expect(voices.contains("pt-br") && !voices.contains("en-gb"))
        }
    }
}
