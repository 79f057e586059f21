/// The closed grammar of one tenant: what its callers may say, as JSGF for the recogniser, and the way back from
/// words to what they mean.
///
/// Closed on purpose: with a grammar pocketsphinx is right far more often than with an open language model
/// (engineering-notes §6). Around a choice stand the polite phrases of the language.
package struct LocalGrammar: Sendable, Equatable {
    /// The grammar's text (JSpeech Grammar Format 1.0), all words lower case.
    package let text: String
    package let language: SpokenLanguage
    /// Phrase (words joined by one space) → meaning, longest phrase first.
    private let phrases: [Phrase]

    private struct Phrase: Sendable, Equatable {
        var words: [Substring]
        var intent: LocalIntent
    }

    package init(_ configuration: LocalAssistantConfiguration, language: SpokenLanguage, takesMessages: Bool = false) {
        self.language = language
        let carriers = CarrierPhrases.of(language)
        var seen: Set<String> = []
        var phrases: [Phrase] = []
        var choices: [String] = []
        var commands: [String] = []
        func add(_ spoken: String, _ intent: LocalIntent, to list: inout [String]) {
            // The tenant's phrases come first and win over ours.
            guard let phrase = Self.normalise(spoken), seen.insert(phrase).inserted else { return }
            list.append(phrase)
            phrases.append(Phrase(words: phrase.split(separator: " "), intent: intent))
        }
        for (index, destination) in configuration.destinations.enumerated() {
            add(destination.name, .destination(index), to: &choices)
            for alias in destination.aliases.prefix(10) { add(alias, .destination(index), to: &choices) }
        }
        for (index, topic) in configuration.topics.enumerated() {
            add(topic.name, .topic(index), to: &choices)
            for keyword in topic.keywords.prefix(10) { add(keyword, .topic(index), to: &choices) }
        }
        for phrase in carriers.callOperator { add(phrase, .callOperator, to: &choices) }
        for phrase in carriers.yes { add(phrase, .yes, to: &commands) }
        for phrase in carriers.no { add(phrase, .no, to: &commands) }
        for phrase in carriers.help { add(phrase, .help, to: &commands) }
        for phrase in carriers.repeatLast { add(phrase, .repeatLast, to: &commands) }
        for phrase in carriers.goodbye { add(phrase, .goodbye, to: &commands) }
        if takesMessages { for phrase in carriers.message { add(phrase, .leaveMessage, to: &choices) } }
        self.phrases = phrases.sorted { $0.words.count > $1.words.count }
        self.text = """
            #JSGF V1.0;
            grammar pronto;
            public <said> = [ <lead> ] ( \(choices.joined(separator: " | ")) ) [ <tail> ] | \
            \(commands.joined(separator: " | "));
            <lead> = \(carriers.leads.joined(separator: " | "));
            <tail> = \(carriers.tails.joined(separator: " | "));

            """
    }

    /// What recognised words mean: the longest phrase among them. Nil: nothing that a caller can mean.
    package func intent(of words: String) -> LocalIntent? {
        let said: [Substring] = words.lowercased().split(separator: " ").map { $0[...] }
        for phrase in self.phrases where Self.contains(said, phrase.words) { return phrase.intent }
        return nil
    }

    /// Lower case, letters and inner apostrophes only, one space between words. Nil when nothing speakable remains, a
    /// digit is in it (nobody knows how it is read out) or it is longer than a phrase should be.
    package static func normalise(_ spoken: String) -> String? {
        var words: [String] = []
        var word = ""
        func end() {
            while word.last == "'" { word.removeLast() }
            if !word.isEmpty { words.append(word) }
            word = ""
        }
        for character in spoken.lowercased() {
            if character.isNumber { return nil }
            if character.isLetter {
                word.append(character)
            } else if character == "'" || character == "’", !word.isEmpty {
                word.append("'")
            } else {
                end()
            }
        }
        end()
        guard !words.isEmpty, words.count <= 8, words.allSatisfy({ $0.count <= 40 }) else { return nil }
        return words.joined(separator: " ")
    }

    private static func contains(_ said: [Substring], _ phrase: [Substring]) -> Bool {
        guard phrase.count <= said.count, !phrase.isEmpty else { return false }
        return (0...(said.count - phrase.count)).contains { start in
            said[start..<(start + phrase.count)].elementsEqual(phrase)
        }
    }
}

/// What people say around a choice, and the words that every assistant understands.
package struct CarrierPhrases: Sendable {
    package var leads: [String]
    package var tails: [String]
    package var callOperator: [String]
    package var yes: [String]
    package var no: [String]
    package var help: [String]
    package var repeatLast: [String]
    package var goodbye: [String]
    package var message: [String]

    package static func of(_ language: SpokenLanguage) -> CarrierPhrases {
        switch language {
        case .english:
            CarrierPhrases(
                leads: [
                    "i would like", "i'd like", "i want", "i would like to speak to", "i'd like to speak to",
                    "i want to speak to", "can i speak to", "connect me to", "transfer me to", "please", "i need",
                    "the",
                ],
                tails: ["please", "thank you"],
                callOperator: ["operator", "an operator", "a person", "a human being", "somebody"],
                yes: ["yes", "yes please", "that's right", "correct"], no: ["no", "no thank you", "wrong"],
                help: ["help", "what can i say"], repeatLast: ["repeat", "repeat that", "say that again"],
                goodbye: ["goodbye", "bye bye", "that's all"], message: ["leave a message"])
        case .italian:
            CarrierPhrases(
                leads: [
                    "vorrei", "vorrei parlare con", "voglio parlare con", "mi passi", "posso parlare con",
                    "per favore", "mi serve", "ho bisogno di", "mi colleghi con",
                ],
                tails: ["per favore", "grazie"],
                callOperator: ["operatore", "un operatore", "una persona", "qualcuno"],
                yes: ["sì", "sì grazie", "esatto", "va bene", "certo"], no: ["no", "no grazie", "sbagliato"],
                help: ["aiuto", "cosa posso dire"], repeatLast: ["ripeta", "ripeti", "può ripetere"],
                goodbye: ["arrivederci", "buona giornata", "basta così"], message: ["lasciare un messaggio"])
        case .portuguese:
            CarrierPhrases(
                leads: [
                    "eu quero", "quero", "eu gostaria de", "quero falar com", "posso falar com", "por favor",
                    "me passa para", "preciso de", "gostaria de falar com",
                ],
                tails: ["por favor", "obrigado", "obrigada"],
                callOperator: ["atendente", "um atendente", "uma pessoa", "alguém"],
                yes: ["sim", "sim por favor", "correto", "isso mesmo", "claro"], no: ["não", "não obrigado", "errado"],
                help: ["ajuda", "o que posso dizer"], repeatLast: ["repetir", "repita", "pode repetir"],
                goodbye: ["tchau", "até logo", "só isso"], message: ["deixar um recado"])
        }
    }
}
