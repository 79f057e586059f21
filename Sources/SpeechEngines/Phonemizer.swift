import Foundation

/// Text as the phonemes that a Piper voice was trained on: espeak-ng's IPA, with the punctuation between.
///
/// sherpa-onnx has no phonemes of its own since 2.0.0. espeak-ng is GPL and runs as a child; its `--ipa` drops the
/// punctuation that a voice pauses by, so each piece between two marks is a line of its own, and the marks are put back
/// (as `piper/phonemize_espeak.py` has them: `, ` `; ` `: ` within a sentence, `.` `!` `?` at its end).
///
/// Blocks (a child process, some 10 ms): for engine threads.
enum Phonemizer {
    /// A stretch of text and the mark at its end.
    struct Piece: Equatable {
        var text: String
        var mark: Character?
    }

    static func pieces(of text: String) -> [Piece] {
        var pieces: [Piece] = []
        var current = ""
        func close(_ mark: Character?) {
            if current.contains(where: { $0.isLetter || $0.isNumber }) {
                pieces.append(Piece(text: current.trimmingCharacters(in: .whitespaces), mark: mark))
            } else if let mark, !pieces.isEmpty, pieces[pieces.count - 1].mark == nil {
                pieces[pieces.count - 1].mark = mark
            }
            current = ""
        }
        let characters: [Character] = Array(text)
        for (index, character) in characters.enumerated() {
            let isBeforeSpace: Bool = index + 1 == characters.count || characters[index + 1].isWhitespace
            switch character {
            // "3,50" and "10.30" are one word; "..." is one end.
            case ",", ";", ":", ".", "!", "?":
                if isBeforeSpace { close(character) } else { current.append(character) }
            case "…": close(".")
            case _ where character.isNewline: close(".")
            default: current.append(character)
            }
        }
        close(nil)
        return pieces
    }

    /// The phonemes of `text`, sentence by sentence, as code points that the voice knows.
    static func phonemes(
        of text: String, voice: VoiceFile, espeak: String
    ) throws(SpeechEngineError) -> [[Int32]] {
        let pieces: [Piece] = Self.pieces(of: text)
        guard !pieces.isEmpty else { return [] }
        var lines: [String] = try Self.transcribe(pieces.map(\.text), voice.espeakVoice, espeak)
        if lines.count != pieces.count {
            // espeak-ng has broken a piece in two (an abbreviation): one child a piece keeps them apart.
            lines = []
            for piece in pieces {
                lines.append(try Self.transcribe([piece.text], voice.espeakVoice, espeak).joined(separator: " "))
            }
        }
        var sentences: [[Int32]] = []
        var sentence = ""
        for (piece, line) in zip(pieces, lines) {
            sentence += line
            if let mark = piece.mark { sentence.append(mark) }
            if let mark = piece.mark, ",;:".contains(mark) {
                sentence += " "
            } else {
                sentences.append(Self.known(sentence, to: voice))
                sentence = ""
            }
        }
        sentences.append(Self.known(sentence, to: voice))
        return sentences.filter { !$0.isEmpty }
    }

    /// Without the marks of a changed language, `(en)word(it)`, and without what the voice has no number for.
    private static func known(_ ipa: String, to voice: VoiceFile) -> [Int32] {
        var points: [Int32] = []
        var depth = 0
        // Decomposed: the map has "c" and the cedilla, not "ç".
        for scalar in ipa.decomposedStringWithCanonicalMapping.unicodeScalars {
            switch scalar {
            case "(": depth += 1
            case ")": depth = max(0, depth - 1)
            case _ where depth > 0: break
            default:
                if voice.phonemes[String(scalar)] != nil { points.append(Int32(scalar.value)) }
            }
        }
        return points.contains { $0 != 0x20 } ? points : []
    }

    private static func transcribe(
        _ pieces: [String], _ voice: String, _ espeak: String
    ) throws(SpeechEngineError) -> [String] {
        let text: [UInt8] = EspeakSynthesizer.sanitiseLines(pieces)
        let child = try ChildProcess(espeak, ["-q", "--ipa", "-b", "1", "-v", voice], input: text)
        guard let output = child.readToEnd(within: 5) else { throw .rejected("to transcribe in time") }
        guard child.reap() else { throw .rejected("to transcribe with the voice's espeak-ng language") }
        return String(decoding: output, as: UTF8.self).split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}

extension EspeakSynthesizer {
    /// Lines that espeak-ng reads one after another, each sanitised.
    static func sanitiseLines(_ lines: [String]) -> [UInt8] {
        var text: [UInt8] = []
        for line in lines { text += Self.sanitise(line, limit: 4000) + [0x0A] }
        return text
    }
}
