import Telephony

/// What a recogniser listens for.
package struct RecognitionGrammar: Sendable, Hashable {
    /// JSGF, all words lower case.
    package var text: String
    /// BCP 47; decides how words are pronounced.
    package var language: String
    /// Word → phones, winning over dictionary and espeak-ng: a tenant's own name, as they say it.
    package var pronunciations: [String: [String]]
    package init(text: String, language: String, pronunciations: [String: [String]] = [:]) {
        self.text = text
        self.language = language
        self.pronunciations = pronunciations
    }
}

/// Reads the words out of a JSGF grammar, and refuses what would make pocketsphinx fail or never end.
///
/// Not a full parser: the subset that Pronto writes (rules, words, `|`, groups, options, repetition).
enum GrammarWords {
    static let maximumBytes = 64 << 10
    static let maximumWords = 2000

    /// The words, each once, in order. Throws on undefined or recursive rules, on tags, weights and quotes, and on
    /// words of anything but letters and apostrophes.
    static func words(of text: String) throws(SpeechEngineError) -> [String] {
        guard text.utf8.count <= Self.maximumBytes, text.hasPrefix("#JSGF") else { throw .badGrammar }
        var words: [String] = []
        var seen: Set<String> = []
        var references: [String: Set<String>] = [:]
        var statements = text.split(separator: ";")[...]
        // `#JSGF V1.0` and `grammar name`.
        guard statements.count >= 3 else { throw .badGrammar }
        statements.removeFirst(2)
        for statement in statements where statement.contains(where: { !$0.isWhitespace }) {
            guard let equals = statement.firstIndex(of: "="), let open = statement.firstIndex(of: "<"),
                let close = statement.firstIndex(of: ">"), open < close, close < equals
            else { throw .badGrammar }
            let name = String(statement[statement.index(after: open)..<close])
            guard references[name] == nil else { throw .badGrammar }
            references[name] = []
            var token = ""
            var isReference = false
            for character in statement[statement.index(after: equals)...] + " " {
                if isReference {
                    if character == ">" {
                        references[name]?.insert(token)
                        token = ""
                        isReference = false
                    } else {
                        token.append(character)
                    }
                } else if character.isLetter || (character == "'" && !token.isEmpty) {
                    token.append(character)
                } else {
                    if !token.isEmpty, seen.insert(token).inserted { words.append(token) }
                    token = ""
                    switch character {
                    case "<": isReference = true
                    case "(", ")", "[", "]", "|", "*", "+": break
                    case _ where character.isWhitespace: break
                    default: throw .badGrammar
                    }
                }
            }
            guard !isReference else { throw .badGrammar }
        }
        guard !words.isEmpty, words.count <= Self.maximumWords else { throw .badGrammar }
        try Self.check(references)
        return words
    }

    /// Every rule defined, none reachable from itself.
    private static func check(_ references: [String: Set<String>]) throws(SpeechEngineError) {
        var settled: Set<String> = []
        var progress = true
        while progress {
            progress = false
            for (name, uses) in references where !settled.contains(name) && uses.isSubset(of: settled) {
                settled.insert(name)
                progress = true
            }
        }
        guard settled.count == references.count else { throw .badGrammar }
    }
}
