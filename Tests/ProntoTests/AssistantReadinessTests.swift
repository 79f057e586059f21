import Configuration
import Foundation
import Records
import Stores
import Telephony
import Testing

@testable import pronto

/// An assistant that could not answer is refused when it is saved, with the repair.
@Suite("Whether an assistant could answer")
struct AssistantReadinessTests {
    /// What `pronto assistant add` says, with these settings and, where given, a tenant's own key.
    private func saved(_ words: String, _ given: [String: String] = [:], key provider: String? = nil) async throws
        -> String
    {
        try await withFolder { folder in
            let environment = ["PRONTO_DATABASE": folder + "/pronto.db", "PRONTO_SECRET_KEY": key(7)]
                .merging(given) { $1 }
            func run(_ name: String, _ words: [String], _ input: String? = nil) async throws -> String {
                try await StoreCommands.run(
                    name, words, folder: folder, environment: environment, readInput: { input })
            }
            _ = try await run("tenant", ["add", "clinic.example"])
            if let provider { _ = try await run("provider", ["set-key", provider], "sk-own") }
            do {
                let id = try await run("assistant", ["add", "desk"] + words.split(separator: " ").map(String.init))
                #expect(AssistantID(id) != nil)
                return "saved"
            } catch {
                let left = try await run("assistant", ["list"])
                #expect(!left.contains("desk"), "refused and saved all the same")
                return "\(error)"
            }
        }
    }

    @Test(
        "A key that neither the store nor the settings have is asked for",
        arguments: [
            ("--provider openai", "openai could not answer: no key: set OPENAI_API_KEY"),
            ("--provider local --provider gemini", "gemini could not answer: no key: set GOOGLE_API_KEY"),
            ("--provider elevenlabs", "no agent: set ELEVENLABS_AGENT_ID"),
            ("--provider pipeline", "pipeline could not answer: no key: set DEEPGRAM_API_KEY"),
            ("--provider turn-based", "turn-based could not answer: no key: set DEEPGRAM_API_KEY"),
            ("--mode turn_based", "turn-based could not answer: no key: set DEEPGRAM_API_KEY"),
            ("--mode auto", "turn-based could not answer: no key: set DEEPGRAM_API_KEY"),
        ])
    func missingKey(words: String, complaint: String) async throws {
        let said = try await self.saved(words)
        #expect(said.contains(complaint) && said.contains("--unchecked"))
        #expect(try await self.saved(words + " --unchecked") == "saved")
        #expect(try await self.saved(words + " --disabled") == "saved")
    }

    @Test("A tenant's own key, the settings' key and a compatible server without one are enough")
    func enough() async throws {
        #expect(try await self.saved("--provider openai", key: "openai") == "saved")
        #expect(try await self.saved("--provider openai", ["OPENAI_API_KEY": "sk-1"]) == "saved")
        #expect(try await self.saved("--provider openai", ["OPENAI_BASE_URL": "http://127.0.0.1:9/v1"]) == "saved")
        #expect(try await self.saved("--provider gemini", key: "gemini") == "saved")
        #expect(try await self.saved("--provider elevenlabs --model agent_1") == "saved")
        #expect(try await self.saved("--provider local") == "saved")
        let keys = ["DEEPGRAM_API_KEY": "d", "GROQ_API_KEY": "g"]
        #expect(try await self.saved("--provider pipeline", keys) == "saved")
        #expect(
            try await self.saved("--provider pipeline", ["DEEPGRAM_API_KEY": "d"]).contains("set GROQ_API_KEY"))
        #expect(
            try await self.saved("--provider pipeline", keys.merging(["PRONTO_PIPELINE_TTS": "elevenlabs"]) { $1 })
                .contains("set ELEVENLABS_API_KEY"))
        #expect(
            try await self.saved("--provider pipeline", keys.merging(["PRONTO_PIPELINE_LLM": "compatible"]) { $1 })
                .contains("no model is named"))
    }

    @Test("A voice that nobody has is refused; a custom one is not")
    func voice() async throws {
        let given = ["OPENAI_API_KEY": "sk-1"]
        let refused = try await self.saved("--provider openai --voice paola", given)
        #expect(refused.contains("--voice: OpenAI has no voice of this name") && refused.contains("marin"))
        #expect(try await self.saved("--provider openai --voice marin", given) == "saved")
        #expect(try await self.saved("--provider openai --voice voice_1234", given) == "saved")
        #expect(try await self.saved("--provider local --provider openai --voice it+f2", given) == "saved")
    }

    @Test("Voice files and models of this machine are looked at")
    func files() async throws {
        try await withFolder { folder in
            try Data().write(to: URL(fileURLWithPath: folder + "/it_IT-paola-medium.onnx"))
            try #"{"audio":{"sample_rate":22050},"language":{"code":"it_IT"},"espeak":{"voice":"it"}}"#
                .write(toFile: folder + "/it_IT-paola-medium.onnx.json", atomically: true, encoding: .utf8)
            let base = [
                "DEEPGRAM_API_KEY": "d", "GROQ_API_KEY": "g", "PRONTO_PIPELINE_TTS": "piper",
                "PIPER_BINARY": "/bin/true",
            ]
            let given = base.merging(["PIPER_VOICE": folder]) { $1 }
            func saved(_ words: String, _ given: [String: String]) async throws -> String {
                try await self.saved("--provider pipeline " + words, given)
            }
            #expect(try await saved("--language it-IT", given) == "saved")
            #expect(try await saved("--language en --voice it_IT-paola-medium", given) == "saved")
            #expect(try await saved("--language it", base).contains("no voice: set PIPER_VOICE"))
            #expect(try await saved("--language pt-BR", given).contains("PIPER_VOICE: no voice for pt-BR"))
            let unknown = try await saved("--language it --voice marin", given)
            #expect(unknown.contains("--voice: no such voice in PIPER_VOICE") && unknown.contains("it_IT-paola-medium"))
            #expect(
                try await saved("--language it", given.merging(["PIPER_BINARY": "/nowhere"]) { $1 })
                    .contains("PIPER_BINARY"))
            #expect(
                try await saved("--language it", given.merging(["PIPER_VOICE": folder + "/x.onnx"]) { $1 })
                    .contains("speech model missing: \(folder)/x.onnx"))
            let sherpa = given.merging(["PRONTO_PIPELINE_STT": "sherpa"]) { $1 }
            #expect(try await saved("--language it", sherpa).contains("set PRONTO_SHERPA_STT"))
            let model = folder + "/tiny-en"
            try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
            #expect(
                try await saved("--language it", sherpa.merging(["PRONTO_SHERPA_STT": model]) { $1 })
                    .contains("no tokens.txt"))
            for name in ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"] {
                try Data().write(to: URL(fileURLWithPath: model + "/" + name))
            }
            #expect(
                try await saved("--language it", sherpa.merging(["PRONTO_SHERPA_STT": model]) { $1 })
                    .contains("understands en"))
            #expect(
                try await saved(
                    "--language it",
                    sherpa.merging(["PRONTO_SHERPA_STT": model, "PRONTO_SHERPA_STT_LANGUAGES": "it,en"]) { $1 })
                    == "saved")
        }
    }
}
