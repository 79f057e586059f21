import Foundation
import Telephony
import Testing

@testable import SpeechEngines

@Suite struct VoiceFilesTests {
    private func write(_ name: String, _ description: String, in folder: String) throws {
        try Data().write(to: URL(fileURLWithPath: folder + "/\(name).onnx"))
        try description.write(toFile: folder + "/\(name).onnx.json", atomically: true, encoding: .utf8)
    }

    @Test("A voice is chosen by name and speaker, or by language and region; none stands in for another language")
    func choice() async throws {
        try await withTemporaryFolder { folder in
            try self.write(
                "en_GB-a", #"{"audio":{"sample_rate":22050},"language":{"code":"en_GB"},"espeak":{"voice":"en-gb"}}"#,
                in: folder)
            try self.write(
                "en_US-b",
                #"{"audio":{"sample_rate":16000},"espeak":{"voice":"en-us"},"num_speakers":3,"speaker_id_map":{"ann":2}}"#,
                in: folder)
            try self.write("it-c", #"{"audio":{"sample_rate":22050},"espeak":{"voice":"it"}}"#, in: folder)
            let files = try VoiceFiles([folder])
            func chosen(_ name: String?, _ language: String) -> String? {
                files.choose(name: name, language: language).map { choice in
                    choice.voice.name + (choice.speaker.map { "#\($0)" } ?? "")
                }
            }
            #expect(files.voices.map(\.language) == ["en-GB", "en-us", "it"])
            #expect(files.voices.map(\.rate.hertz) == [22050, 16000, 22050])
            #expect(chosen(nil, "en") == "en_GB-a")
            #expect(chosen(nil, "en-US") == "en_US-b")
            #expect(chosen("", "it-IT") == "it-c")
            #expect(chosen(nil, "pt-BR") == nil)
            #expect(chosen("en_US-b#ann", "it") == "en_US-b#2")
            #expect(chosen("en_US-b#1", "it") == "en_US-b#1")
            #expect(chosen("en_US-b#7", "it") == nil)
            #expect(chosen("en_US-b#bob", "it") == nil)
            #expect(chosen("../../etc/passwd", "it") == nil)
        }
    }

    @Test("What is missing or wrong is named with its path")
    func errors() async throws {
        func complaint(_ paths: [String]) -> String {
            do throws(SpeechEngineError) {
                _ = try VoiceFiles(paths)
                return "read"
            } catch {
                return "\(error)"
            }
        }
        try await withTemporaryFolder { folder in
            #expect(complaint([folder + "/none.onnx"]) == "speech model missing: \(folder)/none.onnx")
            #expect(complaint([folder]).contains("\(folder): the folder holds no NAME.onnx"))
            try Data().write(to: URL(fileURLWithPath: folder + "/a.bin"))
            #expect(complaint([folder + "/a.bin"]).contains("NAME.onnx"))
            try Data().write(to: URL(fileURLWithPath: folder + "/a.onnx"))
            #expect(complaint([folder + "/a.onnx"]) == "speech model missing: \(folder)/a.onnx.json")
            for text in ["", "[]", "{}", #"{"audio":{"sample_rate":"x"}}"#, #"{"audio":{"sample_rate":1}}"#] {
                try text.write(toFile: folder + "/a.onnx.json", atomically: true, encoding: .utf8)
                #expect(complaint([folder]).contains("audio.sample_rate"))
            }
        }
    }
}
