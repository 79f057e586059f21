import Audio
import Foundation
import Telephony
import Testing

@testable import SpeechEngines

@Suite struct SherpaFilesTests {
    @Test("Moonshine's token file becomes the list that sherpa-onnx reads; a broken one is refused")
    func tokens() throws {
        let long = [UInt8](repeating: 65, count: 130)
        let bytes: [UInt8] = [3, 1, 2, 3, 0, 1, 0x41, 130, 1] + long
        let text = String(decoding: try SherpaRecogniserModel.tokens(ofTokenizer: Data(bytes)), as: UTF8.self)
        #expect(text == "AQID 0\n 1\nQQ== 2\n\(Data(long).base64EncodedString()) 3\n")
        for broken: [UInt8] in [[], [5, 1], [200], [130, 1, 1]] {
            #expect(throws: SpeechEngineError.self) {
                try SherpaRecogniserModel.tokens(ofTokenizer: Data(broken))
            }
        }
    }

    @Test("A folder's files tell the model, its tokens and its languages")
    func folders() async throws {
        try await withTemporaryFolder { root in
            func model(_ name: String, _ files: [String]) throws -> (SherpaRecogniserModel, Set<String>?) {
                let folder = root + "/" + name
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for file in files { try Data().write(to: URL(fileURLWithPath: folder + "/" + file)) }
                let model = try SherpaRecogniserModel(folder: folder)
                return (model, model.languages(folder: folder))
            }
            let moonshine = try model(
                "tiny-it", ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"])
            #expect(moonshine.1 == ["it"])
            #expect(
                try model("mine", ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"]).1 == nil)
            let f = root + "/w"
            let whisper = try model(
                "w", ["tiny-encoder.onnx", "tiny-encoder.int8.onnx", "tiny-decoder.onnx", "tiny-tokens.txt"])
            #expect(
                whisper.0
                    == .whisper(
                        encoder: f + "/tiny-encoder.int8.onnx", decoder: f + "/tiny-decoder.onnx",
                        tokens: f + "/tiny-tokens.txt"))
            #expect(whisper.1 == nil)
            #expect(try model("x-sense-voice-y", ["model.int8.onnx", "tokens.txt"]).1?.contains("ja") == true)
            #expect(
                try model("zipformer-en-1", ["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"]).1 == ["en"])
            #expect(throws: SpeechEngineError.self) { try model("empty", []) }
            #expect(throws: SpeechEngineError.self) { try model("half", ["tokens.txt", "encoder.onnx"]) }
            #expect(throws: SpeechEngineError.modelMissing(path: root + "/none")) {
                try SherpaRecogniserModel(folder: root + "/none")
            }
        }
    }

    @Test("The metadata of a voice is protobuf that a reader of ONNX finds at the file's end")
    func metadata() async throws {
        try await withTemporaryFolder { folder in
            try Data().write(to: URL(fileURLWithPath: folder + "/v.onnx"))
            try #"{"audio":{"sample_rate":16000},"espeak":{"voice":"it"},"phoneme_id_map":{"a":[4],"_":[0]}}"#
                .write(toFile: folder + "/v.onnx.json", atomically: true, encoding: .utf8)
            let voice = try VoiceFile(path: folder + "/v.onnx")
            #expect(String(decoding: SherpaVoiceFiles.tokens(of: voice), as: UTF8.self) == "_ 0\na 4\n")
            let bytes = Array(SherpaVoiceFiles.metadata(of: voice))
            var fields: [String: String] = [:]
            var index = 0
            while index < bytes.count {
                #expect(bytes[index] == 14 << 3 | 2)
                let end = index + 2 + Int(bytes[index + 1])
                let keyEnd = index + 4 + Int(bytes[index + 3])
                #expect(bytes[index + 2] == 1 << 3 | 2 && bytes[keyEnd] == 2 << 3 | 2)
                fields[String(decoding: bytes[(index + 4)..<keyEnd], as: UTF8.self)] = String(
                    decoding: bytes[(keyEnd + 2)..<end], as: UTF8.self)
                index = end
            }
            #expect(fields["sample_rate"] == "16000" && fields["comment"] == "piper" && fields["voice"] == "it")
        }
    }

    @Test(
        "Text is cut at the marks that a voice pauses by, and at none within a number",
        arguments: [
            ("Sì, costa 3,50 euro. Va bene?", ["Sì|,", "costa 3,50 euro|.", "Va bene|?"]),
            ("Alle 10.30: chiuso", ["Alle 10.30|:", "chiuso|"]), ("Aspetti… ecco!", ["Aspetti|.", "ecco|!"]),
            ("...", []), ("Ciao!?!", ["Ciao!?|!"]),
        ])
    func pieces(text: String, pieces: [String]) {
        #expect(Phonemizer.pieces(of: text).map { $0.text + "|" + ($0.mark.map(String.init) ?? "") } == pieces)
    }
}

@Suite(
    .serialized,
    .enabled(if: SileroDetector.isBuiltIn, "built without the trait LocalSpeech"),
    .enabled(if: LocalModels.hasVoice, "no models here: scripts/install --with-models"))
struct SherpaTests {
    @Test("A voice as Piper publishes it speaks, and what it says is written down again")
    func roundTrip() async throws {
        let voices = try VoiceFiles([LocalModels.voice])
        let speaker = try SherpaSynthesizer(.init(voices: voices, threads: 1, cacheBytes: 0))
        defer { speaker.stop() }
        let scribe = try SherpaRecognizer(folder: LocalModels.recogniser, threads: 1)
        defer { scribe.stop() }
        let sentences = [
            ("I would like to speak to the sales department, please.", [["sales department"]]),
            ("My order number is four seven two.", [["order number"], ["472", "four seven two", "four, seven, two"]]),
        ]
        for (text, expected) in sentences {
            let (audio, events) = await Voices.collect {
                speaker.speak(SynthesisRequest(text: text, language: "en-US", format: .pcmu), $0)
            }
            #expect(events.first == .started && events.last == .finished)
            let samples = try Voices.wideband(audio)
            let result = await withCheckedContinuation { continuation in
                _ = scribe.transcribe(samples, language: "en") { continuation.resume(returning: $0) }
            }
            let words = try result.get().value.lowercased()
            for spellings in expected {
                #expect(spellings.contains { words.contains($0) }, "what was written: \(words)")
            }
        }
    }

    @Test("A language that the model does not know is refused, and not written down as something else")
    func language() async throws {
        let scribe = try SherpaRecognizer(folder: LocalModels.recogniser, threads: 1)
        defer { scribe.stop() }
        #expect(scribe.understands("en-GB") && !scribe.understands("it"))
        let heard = Voices.Box<Bool>()
        _ = scribe.transcribe([1, 2, 3], language: "it-IT") { result in
            if case .failure(.noLanguage) = result { heard.append(true) } else { heard.append(false) }
        }
        #expect(heard.all == [true])
    }

    @Test("A cancelled clause delivers nothing more")
    func cancel() async throws {
        let speaker = try SherpaSynthesizer(.init(voices: try VoiceFiles([LocalModels.voice]), threads: 1))
        let heard = Voices.Box<SynthesisEvent>()
        let long = Array(repeating: "This is one more sentence of a long answer.", count: 12).joined(separator: " ")
        let job = speaker.speak(SynthesisRequest(text: long, language: "en", format: .pcmu)) { heard.append($0) }
        for _ in 0..<2000 where heard.all.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        job.cancel()
        let count = heard.all.count
        speaker.stop()
        #expect(heard.all.count <= count + 1)
        #expect(heard.all.last != .finished)
    }

    @Test("The check that a child makes takes the good models")
    func check() throws {
        try SpeechModelCheck.run(.voice, path: LocalModels.voice)
        try SpeechModelCheck.run(.recogniser, path: LocalModels.recogniser)
        try SpeechModelCheck.run(.detector, path: Voices.sileroModel)
        #expect(throws: SpeechEngineError.self) {
            try SpeechModelCheck.runInChild(executable: "/bin/false", arguments: [], path: "/x")
        }
        let error = #expect(throws: SpeechEngineError.self) {
            try SpeechModelCheck.runInChild(
                executable: "/bin/sh", arguments: ["-c", "echo what is wrong >&2; exit 255"], path: "/x")
        }
        #expect(error == .badVoice(path: "/x", "what is wrong"))
    }
}
