import CLinux
import Foundation
import Glibc

/// Files that exist in memory only, for a library that takes paths and nothing else.
///
/// sherpa-onnx wants a Piper voice with its facts in the model's metadata and a token list beside it, and a Moonshine
/// model with a token list in text: both follow from the files as their makers publish them, so nobody has to convert
/// them, and nothing is written to a disk.
final class MemoryFile: Sendable {
    private let descriptor: Int32
    var path: String { "/proc/self/fd/\(self.descriptor)" }

    init(_ name: String, _ pieces: [Data]) throws(SpeechEngineError) {
        let descriptor: Int32 = pronto_memory_file(name)
        guard descriptor >= 0 else { throw .rejected("a file in memory") }
        self.descriptor = descriptor
        for piece in pieces {
            let isWritten: Bool = piece.withUnsafeBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let count: Int = Glibc.write(
                        descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { return false }
                    offset += count
                }
                return true
            }
            guard isWritten else { throw .rejected("a file in memory") }
        }
    }

    deinit { close(self.descriptor) }
}

/// What sherpa-onnx wants to find in a Piper model (`csrc/offline-tts-vits-model.cc`, 2.0.1).
enum SherpaVoiceFiles {
    /// `PHONEME NUMBER` a line.
    static func tokens(of voice: VoiceFile) -> Data {
        let lines: [String] = voice.phonemes.compactMap { phoneme, numbers in
            numbers.first.map { "\(phoneme) \($0)\n" }
        }
        return Data(lines.sorted().joined().utf8)
    }

    /// The model's metadata, as a tail of its file.
    ///
    /// An ONNX file is one protobuf message, `ModelProto`, whose field 14 is `repeated StringStringEntryProto
    /// metadata_props` (key = 1, value = 2). Protobuf reads repeated fields wherever they stand, so appending them adds
    /// them. A model that has them already keeps its own: sherpa-onnx takes the first.
    static func metadata(of voice: VoiceFile) -> Data {
        let entries: [(String, String)] = [
            ("model_type", "vits"), ("comment", "piper"), ("language", voice.language), ("voice", voice.espeakVoice),
            ("has_espeak", "1"), ("n_speakers", String(voice.speakerCount)), ("sample_rate", String(voice.rate.hertz)),
        ]
        var tail: [UInt8] = []
        for (key, value) in entries {
            Self.field(14, Self.field(1, Array(key.utf8)) + Self.field(2, Array(value.utf8)), into: &tail)
        }
        return Data(tail)
    }

    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        var field: [UInt8] = []
        Self.field(number, bytes, into: &field)
        return field
    }

    /// A length-delimited field of the protobuf wire format.
    private static func field(_ number: UInt8, _ bytes: [UInt8], into output: inout [UInt8]) {
        output.append(number << 3 | 2)
        var count: Int = bytes.count
        while count >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: count) | 0x80)
            count >>= 7
        }
        output.append(UInt8(count))
        output += bytes
    }
}

/// A recogniser's model as sherpa-onnx knows it, told from the files of its folder.
package enum SherpaRecogniserModel: Sendable, Equatable {
    /// Moonshine, the merged form: `encoder_model.ort` and `decoder_model_merged.ort` (moonshine-voice's own names).
    case moonshine(encoder: String, decoder: String, tokens: String)
    /// Whisper: `…encoder….onnx`, `…decoder….onnx`, `…tokens.txt`.
    case whisper(encoder: String, decoder: String, tokens: String)
    /// A transducer: encoder, decoder and joiner.
    case transducer(encoder: String, decoder: String, joiner: String, tokens: String)
    /// SenseVoice: one model in a folder that says so.
    case senseVoice(model: String, tokens: String)

    /// Throws what the folder lacks.
    package init(folder: String) throws(SpeechEngineError) {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted() } catch {
            throw .modelMissing(path: folder)
        }
        /// The one whose name holds `word`; the smaller of two precisions, which is as good on the telephone.
        func model(_ word: String) -> String? {
            let found: [String] = names.filter {
                $0.contains(word) && ($0.hasSuffix(".onnx") || $0.hasSuffix(".ort"))
            }
            return (found.first { $0.contains("int8") } ?? found.first).map { folder + "/" + $0 }
        }
        let tokens: String? =
            (names.first { $0 == "tokens.txt" || $0.hasSuffix("-tokens.txt") }
            ?? names.first { $0 == "tokenizer.bin" }).map { folder + "/" + $0 }
        guard let tokens else {
            throw .badVoice(path: folder, "no tokens.txt: name the folder of a model for sherpa-onnx, or of Moonshine")
        }
        switch (model("encoder"), model("decoder"), model("joiner")) {
        case (let encoder?, let decoder?, let joiner?):
            self = .transducer(encoder: encoder, decoder: decoder, joiner: joiner, tokens: tokens)
        case (let encoder?, let decoder?, nil) where decoder.contains("merged"):
            self = .moonshine(encoder: encoder, decoder: decoder, tokens: tokens)
        case (let encoder?, let decoder?, nil):
            self = .whisper(encoder: encoder, decoder: decoder, tokens: tokens)
        case (nil, nil, nil) where folder.lowercased().contains("sense-voice") && model("model") != nil:
            self = .senseVoice(model: model("model") ?? "", tokens: tokens)
        default:
            throw .badVoice(
                path: folder, "neither Moonshine, Whisper, a transducer nor SenseVoice: see docs/local-assistant.md")
        }
    }

    /// The languages that it understands, by their first part, as far as its name says; nil: many, or it does not say.
    package func languages(folder: String) -> Set<String>? {
        let name: String = folder.lowercased()
        switch self {
        case .senseVoice: return ["zh", "en", "ja", "ko", "yue"]
        case .whisper(let encoder, _, _):
            // OpenAI's names: `tiny.en` knows English only, `tiny` a hundred languages.
            return encoder.contains(".en") || name.contains(".en") ? ["en"] : nil
        case .moonshine, .transducer:
            // Models of one language say which in their name: `tiny-en`, `sherpa-onnx-zipformer-en-2023-06-26`.
            let words: [Substring] = (name.split(separator: "/").last ?? "").split(whereSeparator: {
                "-_.".contains($0)
            })
            let known: Set<String> = [
                "en", "it", "pt", "es", "fr", "de", "ar", "ja", "ko", "zh", "vi", "uk", "ru", "nl", "pl",
            ]
            let found: Set<String> = Set(words.map(String.init)).intersection(known)
            return found.isEmpty ? nil : found
        }
    }

    /// Moonshine's `tokenizer.bin` as the list that sherpa-onnx reads: `BASE64 NUMBER` a line.
    ///
    /// The file is one token after another, each with its length before it: a byte, or for 128 and more two, the low
    /// seven bits first. Measured on moonshine-voice 0.0.73: 32 768 tokens, to the last byte.
    static func tokens(ofTokenizer data: Data) throws(SpeechEngineError) -> Data {
        let bytes: [UInt8] = Array(data)
        var lines = Data()
        var index = 0
        var number = 0
        while index < bytes.count {
            var length: Int = Int(bytes[index])
            index += 1
            if length >= 128 {
                guard index < bytes.count else { throw .rejected("tokenizer.bin: it ends within a token") }
                length = Int(bytes[index]) * 128 + length - 128
                index += 1
            }
            guard index + length <= bytes.count else { throw .rejected("tokenizer.bin: it ends within a token") }
            lines.append(Data(bytes[index..<(index + length)]).base64EncodedData())
            lines.append(contentsOf: " \(number)\n".utf8)
            index += length
            number += 1
        }
        guard number > 0 else { throw .rejected("tokenizer.bin: it is empty") }
        return lines
    }
}
