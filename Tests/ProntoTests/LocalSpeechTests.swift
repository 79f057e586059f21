import Audio
import Configuration
import Foundation
import Simulators
import SpeechEngines
import Telephony
import Testing

@testable import pronto

/// The engines of this machine behind a whole gateway, with the real program and models where they are installed
/// (`scripts/install --with-piper --with-models`).
@Suite("Local speech", .serialized, .timeLimit(.minutes(3)))
struct LocalSpeechTests {
    private static let root = (0..<3).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }
    private static func path(_ name: String) -> String { root.appendingPathComponent(name).path }
    private static let piper = path(".deps/piper/bin/piper")
    private static let voice = path(".deps/voices/en_US-joe-medium.onnx")
    private static let recogniser = path(".deps/recognisers/tiny-en")
    private static let silero = path(".deps/models/silero_vad_16k_op15.onnx")
    private static let isInstalled =
        SileroDetector.isBuiltIn
        && [piper, voice, recogniser + "/tokenizer.bin", silero].allSatisfy {
            FileManager.default.fileExists(atPath: $0)
        }

    private func complaint(_ given: [String: String]) async throws -> String {
        try await withFolder { folder in
            do {
                let process = try await GatewayProcess(
                    settings: try settings(in: folder, given), logger: .silent)
                await process.stop(patience: .zero)
                return "started"
            } catch {
                return "\(error)"
            }
        }
    }

    @Test(
        "A start without what the settings need names the setting and the repair",
        arguments: [
            (["PRONTO_PIPELINE_TTS": "piper"], "PIPER_VOICE: needed by PRONTO_PIPELINE_TTS=piper"),
            (["PRONTO_LOCAL_VOICE": "piper"], "PIPER_VOICE: needed by PRONTO_LOCAL_VOICE=piper"),
            (["PIPER_VOICE": "/nowhere/it.onnx"], "PIPER_BINARY: needed by PIPER_VOICE"),
            (
                ["PIPER_VOICE": "/nowhere/it.onnx", "PIPER_BINARY": "/bin/true"],
                "PIPER_VOICE: speech model missing: /nowhere/it.onnx"
            ),
            (["PRONTO_PIPELINE_TTS": "sherpa"], "PRONTO_SHERPA_VOICE: needed by PRONTO_PIPELINE_TTS=sherpa"),
            (["PRONTO_PIPELINE_STT": "sherpa"], "PRONTO_SHERPA_STT: needed by PRONTO_PIPELINE_STT=sherpa"),
            (["PRONTO_TURN_BASED_STT": "sherpa"], "PRONTO_SHERPA_STT: needed by PRONTO_TURN_BASED_STT=sherpa"),
            (["PRONTO_SHERPA_STT": "/nowhere"], "PRONTO_SHERPA_STT: speech model missing: /nowhere"),
        ])
    func missing(given: [String: String], complaint: String) async throws {
        #expect(try await self.complaint(given).hasPrefix(complaint))
    }

    @Test(
        "A voice that does not exist and a program that is none are told at the start",
        .enabled(if: isInstalled, "no Piper or models here: scripts/install --with-piper --with-models"))
    func wrong() async throws {
        let voices = ["PIPER_VOICE": Self.voice, "PIPER_BINARY": Self.piper]
        let unknown = try await self.complaint(
            voices.merging(["PRONTO_PIPELINE_TTS": "piper", "PRONTO_PIPELINE_TTS_VOICE": "paola"]) { $1 })
        #expect(unknown.hasPrefix("PRONTO_PIPELINE_TTS_VOICE: ") && unknown.contains("en_US-joe-medium"))
        let absent = try await self.complaint(["PIPER_VOICE": Self.voice, "PIPER_BINARY": "/nowhere/piper"])
        #expect(absent.hasPrefix("PIPER_BINARY: speech program missing: /nowhere/piper"))
        let mute = try await self.complaint(["PIPER_VOICE": Self.voice, "PIPER_BINARY": "/bin/false"])
        #expect(mute.hasPrefix("PIPER_VOICE: ") && mute.contains("/bin/false ended at its start"))
    }

    @Test(
        "The house's voice passes to espeak-ng where its own has no voice of the language",
        .enabled(if: isInstalled, "no Piper or models here: scripts/install --with-piper --with-models"))
    func standIn() async throws {
        try await withFolder { folder in
            let voices = try LocalVoices(
                try settings(
                    in: folder,
                    ["PIPER_VOICE": Self.voice, "PIPER_BINARY": Self.piper, "PRONTO_LOCAL_VOICE": "piper"]))
            defer { voices.stop() }
            for language in ["it", "en"] {
                let (stream, continuation) = AsyncStream.makeStream(of: Int?.self)
                _ = voices.synthesise(.init(text: "Pronto.", language: language, voice: "it+f2", format: .pcmu)) {
                    report in
                    switch report {
                    case .started: break
                    case .audio(let bytes): continuation.yield(bytes.count)
                    case .ended(let end):
                        continuation.yield(end == .finished ? 0 : nil)
                        continuation.finish()
                    }
                }
                var heard = 0
                var isFinished = false
                for await count in stream {
                    heard += count ?? 0
                    isFinished = count == 0
                }
                #expect(heard > 1600 && isFinished, "in \(language)")
            }
        }
    }

    @Test(
        "A caller's spoken question is written down here, answered by a text model, and spoken here",
        .enabled(if: isInstalled, "no Piper or models here: scripts/install --with-piper --with-models"),
        arguments: ["piper", "sherpa"])
    func wholeCall(speaker: String) async throws {
        var script = ChatScript()
        script.answers = [.init("We open at nine o'clock. Goodbye.")]
        let chat = try ChatSimulator.start(script: script)
        defer { chat.stop() }
        let call = try #require(CallID("3c1a4a4e-0000-4000-8000-00000000000a"))
        try await withFolder { folder in
            let house = try await House(
                folder,
                given: [
                    "PRONTO_PIPELINE_STT": "sherpa", "PRONTO_SHERPA_STT": Self.recogniser,
                    "PRONTO_PIPELINE_TTS": speaker, "PIPER_VOICE": Self.voice, "PIPER_BINARY": Self.piper,
                    "PRONTO_SHERPA_VOICE": Self.voice, "PRONTO_PIPELINE_LLM": "compatible",
                    "PRONTO_PIPELINE_LLM_MODEL": "test", "PRONTO_PIPELINE_LLM_KEY": "test-key",
                    "PRONTO_PIPELINE_LLM_URL": "http://127.0.0.1:\(chat.port)/v1",
                    "PRONTO_FIRST_AUDIO_DEADLINE_MS": "20000", "PRONTO_SILERO_MODEL": Self.silero,
                ], provider: "pipeline")
            house.process.start()
            let phone = try await house.dial(call)
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(1500), timeout: .seconds(30))
            let question = try await Self.spoken("I would like to speak to the sales department, please.")
            #expect(await phone.perform([listen, .speak(question), listen]) == .done)
            phone.hangUp()
            let result = await phone.result()
            #expect(result.failure == nil)
            await house.stop()
            let kept = try #require(try await house.kept(call))
            #expect(house.lines.all.contains { $0.contains("Speech is heard") && $0.contains("silero") })
            #expect(kept.call.providers.map(\.text) == ["pipeline"])
            #expect(kept.turns.map(\.role) == [.agent, .caller, .agent])
            let words = kept.turns.dropFirst().first?.text.value.lowercased() ?? ""
            #expect(words.contains("sales department"), "what was written: \(words)")
            #expect(kept.turns.last?.text.value == "We open at nine o'clock. Goodbye.")
            #expect((kept.turns.last?.heard ?? .zero) > .seconds(1))
            #expect(!house.lines.all.contains { $0.lowercased().contains("sales") }, "words in the log")
        }
    }

    /// A question in Piper's voice, at the phone's 8 kHz.
    private static func spoken(_ text: String) async throws -> [Int16] {
        let speaker = try SherpaSynthesizer(.init(voices: try VoiceFiles([Self.voice]), threads: 1))
        defer { speaker.stop() }
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        _ = speaker.speak(SynthesisRequest(text: text, language: "en", format: .l16(.narrowband))) { event in
            switch event {
            case .started: break
            case .audio(let bytes): continuation.yield(bytes)
            case .finished, .failed: continuation.finish()
            }
        }
        var bytes: [UInt8] = []
        for await piece in stream { bytes += piece }
        return stride(from: 0, to: bytes.count - 1, by: 2).map {
            Int16(truncatingIfNeeded: Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8)
        }
    }
}
