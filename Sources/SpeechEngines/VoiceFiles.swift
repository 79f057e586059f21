import Foundation
import Glibc
import Telephony

/// A voice that is a file: a Piper model (`NAME.onnx`) with its description (`NAME.onnx.json`) beside it.
///
/// The description's fields are those of piper-tts 1.8.0 (`piper/config.py`): the sample rate, espeak-ng's voice for the
/// phonemes, the map from phonemes to the model's numbers, and the speakers.
package struct VoiceFile: Sendable, Equatable {
    /// The file's name without `.onnx`, as `it_IT-paola-medium`.
    package var name: String
    package var path: String
    package var rate: SampleRate
    /// BCP 47, as `it-IT`.
    package var language: String
    /// The espeak-ng voice that its phonemes come from.
    package var espeakVoice: String
    /// Speakers by name; a model of one voice has none.
    package var speakers: [String: Int]
    /// How many speakers the model has.
    package var speakerCount: Int
    /// Phonemes that the model knows, with their numbers.
    var phonemes: [String: [Int]]

    /// The part of a voice's description that is read; its keys are in snake case (`decoder`).
    private struct Description: Decodable {
        struct Audio: Decodable { var sampleRate: Int }
        struct Espeak: Decodable { var voice: String }
        struct Language: Decodable { var code: String? }
        var audio: Audio
        var espeak: Espeak?
        var language: Language?
        var phonemeIdMap: [String: [Int]]?
        var numSpeakers: Int?
        var speakerIdMap: [String: Int]?

        static func read(_ data: Data) throws -> Description {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Description.self, from: data)
        }
    }

    /// Reads the description beside `path`. Throws what is wrong, naming the file.
    package init(path: String) throws(SpeechEngineError) {
        guard path.hasSuffix(".onnx") else { throw .badVoice(path: path, "a Piper voice is a file NAME.onnx") }
        guard access(path, R_OK) == 0 else { throw .modelMissing(path: path) }
        let beside: String = path + ".json"
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: beside)), data.count < 4 << 20 else {
            throw .modelMissing(path: beside)
        }
        let description: Description
        do { description = try Description.read(data) } catch {
            throw .badVoice(path: beside, "it is no description of a Piper voice (audio.sample_rate is missing)")
        }
        guard (8000...48000).contains(description.audio.sampleRate) else {
            throw .badVoice(path: beside, "audio.sample_rate: 8000 to 48000 is possible")
        }
        self.name = String(path.split(separator: "/").last?.dropLast(".onnx".count) ?? "")
        self.path = path
        self.rate = SampleRate(hertz: description.audio.sampleRate)
        self.espeakVoice = description.espeak?.voice ?? "en-us"
        // Voices before 2023 have no language of their own: espeak-ng's name begins with it.
        self.language = (description.language?.code ?? self.espeakVoice).replacingOccurrences(of: "_", with: "-")
        self.speakers = description.speakerIdMap ?? [:]
        self.speakerCount = max(1, description.numSpeakers ?? 1)
        self.phonemes = description.phonemeIdMap ?? [:]
    }
}

/// The voices that are configured: files, and folders of files.
package struct VoiceFiles: Sendable, Equatable {
    /// One voice, and who of it speaks.
    package struct Choice: Sendable, Equatable {
        package var voice: VoiceFile
        /// Nil: the model's own.
        package var speaker: Int?
    }

    package var voices: [VoiceFile]

    /// Reads every voice that `paths` name; a folder stands for the voices in it. Throws the first that cannot be read.
    package init(_ paths: [String]) throws(SpeechEngineError) {
        var voices: [VoiceFile] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw .modelMissing(path: path)
            }
            guard isFolder.boolValue else {
                voices.append(try VoiceFile(path: path))
                continue
            }
            let names: [String] = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            let models: [String] = names.filter { $0.hasSuffix(".onnx") }.sorted()
            guard !models.isEmpty else { throw .badVoice(path: path, "the folder holds no NAME.onnx") }
            for model in models { voices.append(try VoiceFile(path: path + "/" + model)) }
        }
        self.voices = voices
    }

    /// The voice of that name (`NAME` or `NAME#SPEAKER`); without a name the first of the language, of its region where
    /// there is one. Nil: there is none. A voice reads another language's words as noise, so none stands in.
    package func choose(name: String?, language: String) -> Choice? {
        guard let name, !name.isEmpty else {
            let wanted: [Substring] = Self.parts(language)
            let fitting: [VoiceFile] = self.voices.filter { Self.parts($0.language).first == wanted.first }
            let best: VoiceFile? =
                fitting.first { Self.parts($0.language).dropFirst().first == wanted.dropFirst().first } ?? fitting.first
            return best.map { Choice(voice: $0, speaker: nil) }
        }
        let parts: [Substring] = name.split(separator: "#", maxSplits: 1)
        guard let first = parts.first, let voice = self.voices.first(where: { $0.name == first }) else { return nil }
        guard parts.count == 2 else { return Choice(voice: voice, speaker: nil) }
        let speaker: Int? = voice.speakers[String(parts[1])] ?? Int(parts[1])
        guard let speaker, (0..<voice.speakerCount).contains(speaker) else { return nil }
        return Choice(voice: voice, speaker: speaker)
    }

    private static func parts(_ language: String) -> [Substring] {
        language.lowercased().split(whereSeparator: { $0 == "-" || $0 == "_" })
    }
}
