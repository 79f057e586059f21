/// "Uh-huh": words that say "go on" and do not ask for the floor.
package enum Backchannel {
    private static let words: [String: Set<String>] = [
        "en": [
            "uh-huh", "uh", "huh", "mm", "mhm", "mm-hmm", "hmm", "yeah", "yes", "ok", "okay", "right", "sure", "ah",
        ],
        "it": ["sì", "si", "mm", "mh", "ah", "eh", "ok", "okay", "certo", "bene", "va"],
        "pt": ["sim", "aham", "uhum", "ah", "é", "ok", "okay", "tá", "certo", "isso", "hum"],
    ]

    /// Whether `utterance` consists of backchannel words of `language` (BCP 47) only. Empty text is: nothing was said.
    package static func matches(_ utterance: String, language: String) -> Bool {
        let known = Self.words[String(language.prefix(2)).lowercased()] ?? Self.words["en"] ?? []
        let spoken = utterance.lowercased().split { !$0.isLetter && $0 != "-" && $0 != "'" }
        return spoken.count <= 3 && spoken.allSatisfy { known.contains(String($0)) }
    }
}
