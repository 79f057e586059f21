/// "Uh-huh": words that say "go on" and do not ask for the floor.
package enum Backchannel {
    private static let words: [String: Set<String>] = [
        "en": [
            "uh-huh", "uh", "huh", "mm", "mhm", "mm-hmm", "hmm", "yeah", "yes", "ok", "okay", "right", "sure", "ah",
        ],
        "it": ["sì", "si", "mm", "mh", "ah", "eh", "ok", "okay", "certo", "bene", "va"],
        "pt": ["sim", "aham", "uhum", "ah", "é", "ok", "okay", "tá", "certo", "isso", "hum"],
    ]

    /// Whether words that are still coming may turn out to be such an utterance: "Mm-" before "hmm", "o" before "okay".
    package static func mayBecome(_ beginning: String, language: String) -> Bool {
        let known = Self.known(in: language)
        var spoken = Self.split(beginning)
        guard spoken.count <= 3, let last = spoken.popLast() else { return spoken.isEmpty }
        let isWhole = beginning.last.map { !Self.isInside($0) } ?? true
        let fits = known.contains(last) || (!isWhole && known.contains { $0.hasPrefix(last) })
        return fits && spoken.allSatisfy { known.contains($0) }
    }

    /// Whether `utterance` consists of backchannel words of `language` (BCP 47) only. Empty text is: nothing was said.
    package static func matches(_ utterance: String, language: String) -> Bool {
        let known = Self.known(in: language)
        let spoken = Self.split(utterance)
        return spoken.count <= 3 && spoken.allSatisfy { known.contains($0) }
    }

    private static func known(in language: String) -> Set<String> {
        Self.words[String(language.prefix(2)).lowercased()] ?? Self.words["en"] ?? []
    }

    private static func split(_ utterance: String) -> [String] {
        utterance.lowercased().split { !Self.isInside($0) }.map(String.init)
    }

    /// Of a word, as `uh-huh` is one.
    private static func isInside(_ character: Character) -> Bool {
        character.isLetter || character == "-" || character == "'"
    }
}
