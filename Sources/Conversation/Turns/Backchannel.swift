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
        let known = Self.words[String(language.prefix(2)).lowercased()] ?? Self.words["en"] ?? []
        var spoken = beginning.lowercased().split { !$0.isLetter && $0 != "-" && $0 != "'" }.map(String.init)
        guard spoken.count <= 3, let last = spoken.popLast() else { return spoken.isEmpty }
        let isWhole = beginning.last.map { !$0.isLetter && $0 != "-" && $0 != "'" } ?? true
        let fits = known.contains(last) || (!isWhole && known.contains { $0.hasPrefix(last) })
        return fits && spoken.allSatisfy { known.contains($0) }
    }

    /// Whether `utterance` consists of backchannel words of `language` (BCP 47) only. Empty text is: nothing was said.
    package static func matches(_ utterance: String, language: String) -> Bool {
        let known = Self.words[String(language.prefix(2)).lowercased()] ?? Self.words["en"] ?? []
        let spoken = utterance.lowercased().split { !$0.isLetter && $0 != "-" && $0 != "'" }
        return spoken.count <= 3 && spoken.allSatisfy { known.contains(String($0)) }
    }
}
