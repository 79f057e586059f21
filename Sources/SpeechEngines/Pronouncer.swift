import Foundation
import Synchronization

/// Finds the phones of words: given ones first, then (for English) the model's dictionary, then espeak-ng's phonemes
/// mapped by `PhoneMap`. So a name that no dictionary has can still be recognised.
///
/// Blocks (a file, a child process): for engine threads.
final class Pronouncer: Sendable {
    private struct Key: Hashable {
        var word: String
        var voice: String
    }

    private let dictionaryPath: String
    private let espeak: String
    /// What was found before; a few tenants' words, bounded.
    private let known = Mutex<[Key: [[String]]]>([:])
    private static let maximumKnown = 20_000

    init(dictionaryPath: String, espeak: String) {
        self.dictionaryPath = dictionaryPath
        self.espeak = espeak
    }

    /// Phones of every word of `words`, best first, none empty. Throws when one cannot be pronounced.
    func pronounce(
        _ words: [String], language: String, given: [String: [String]]
    ) throws(SpeechEngineError) -> [String: [[String]]] {
        let voice: String = EspeakSynthesizer.voice(language: language, voice: nil)
        var found: [String: [[String]]] = [:]
        var missing: [String] = []
        let known: [Key: [[String]]] = self.known.withLock { $0 }
        for word in words {
            if let phones = given[word] {
                guard !phones.isEmpty, phones.allSatisfy(PhoneMap.phones.contains) else { throw .badGrammar }
                found[word] = [phones]
            } else if let phones = known[Key(word: word, voice: voice)] {
                found[word] = phones
            } else {
                missing.append(word)
            }
        }
        guard !missing.isEmpty else { return found }
        var fresh: [String: [[String]]] = [:]
        if voice.hasPrefix("en") { fresh = try self.lookUp(Set(missing)) }
        let unknown: [String] = missing.filter { fresh[$0] == nil }
        for (word, ipa) in zip(unknown, try self.transcribe(unknown, voice: voice)) {
            let phones: [[String]] = PhoneMap.phones(ofIPA: ipa)
            guard !phones.isEmpty else { throw .badGrammar }
            fresh[word] = phones
        }
        let learned: [String: [[String]]] = fresh
        self.known.withLock { known in
            if known.count + learned.count > Self.maximumKnown { known.removeAll() }
            for (word, phones) in learned { known[Key(word: word, voice: voice)] = phones }
        }
        return found.merging(fresh) { first, _ in first }
    }

    /// Reads the model's dictionary (134 000 lines: `word PH PH`, other readings as `word(2)`) once through.
    private func lookUp(_ words: Set<String>) throws(SpeechEngineError) -> [String: [[String]]] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: self.dictionaryPath), options: .alwaysMapped) else {
            throw .modelMissing(path: self.dictionaryPath)
        }
        var found: [String: [[String]]] = [:]
        data.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var start = 0
            while start < bytes.count {
                let rest: Int = bytes.count - start
                let end: Int = memchr(base + start, 0x0A, rest).map { UnsafeRawPointer($0) - base } ?? bytes.count
                let space: Int = memchr(base + start, 0x20, end - start).map { UnsafeRawPointer($0) - base } ?? end
                let open: Int = memchr(base + start, 0x28, space - start).map { UnsafeRawPointer($0) - base } ?? space
                let word = String(decoding: bytes[start..<open], as: UTF8.self)
                if words.contains(word) {
                    let phones = String(decoding: bytes[space..<end], as: UTF8.self).split(
                        whereSeparator: \.isWhitespace)
                    found[word, default: []].append(phones.map(String.init))
                }
                start = end + 1
            }
        }
        return found
    }

    /// espeak-ng's IPA for each word, one child for all (it reads its input line by line); one a word should it not
    /// keep the lines apart.
    private func transcribe(_ words: [String], voice: String) throws(SpeechEngineError) -> [String] {
        guard !words.isEmpty else { return [] }
        let lines: [String] = try self.run(words.joined(separator: "\n") + "\n", voice)
        if lines.count == words.count { return lines }
        guard words.count > 1 else { throw .badGrammar }
        var each: [String] = []
        for word in words { each += try self.transcribe([word], voice: voice) }
        return each
    }

    private func run(_ text: String, _ voice: String) throws(SpeechEngineError) -> [String] {
        let child = try ChildProcess(self.espeak, ["-q", "--ipa", "-b", "1", "-v", voice], input: Array(text.utf8))
        guard let output = child.readToEnd(within: 10) else { throw .rejected("to transcribe in time") }
        child.kill()
        _ = child.reap()
        return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { $0.contains { !$0.isWhitespace } }
    }
}
