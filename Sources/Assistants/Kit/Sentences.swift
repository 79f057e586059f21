/// The languages that Pronto's own sentences exist in. Any other language is answered in English.
package enum SpokenLanguage: String, Sendable, CaseIterable, Codable {
    case english = "en"
    case italian = "it"
    case portuguese = "pt-BR"

    /// The one that a BCP 47 tag means, by its first part: `pt-PT` is served in Brazilian Portuguese.
    package init(tag: String) {
        switch tag.split(whereSeparator: { $0 == "-" || $0 == "_" }).first?.lowercased() {
        case "it": self = .italian
        case "pt": self = .portuguese
        default: self = .english
        }
    }
}

/// Everything that Pronto itself may say to a caller. What a tenant or a model writes is not among it.
package enum Sentence: Sendable, Equatable {
    // For the conversation core, whichever assistant talks.
    /// An answer is late: fills the gap.
    case filler
    /// Something failed; another attempt follows or a human.
    case apology
    /// The caller has been silent.
    case stillThere
    /// The caller stayed silent: the call ends.
    case goodbyeSilent
    case goodbye
    case transferring(String)
    case transferFailed
    /// The assistant could not go on; a person takes over.
    case handOver
    /// Another assistant takes over.
    case bridgeToOtherAssistant
    case maximumDuration
    /// The line has come back after a hold or a reconnect.
    case welcomeBack

    // For the local assistant.
    case greeting
    case askChoice
    case didYouSay(String)
    case notUnderstood
    case notUnderstoodAgain
    case keypadIntroduction
    case pressFor(digit: Character, name: String)
    case pressForOperator
    case pressToRepeat
    case youCanSay([String])
    case wrongKey
    case anythingElse
    case noOperator
    case leaveMessage
    case messageTaken
    case done
}

/// The one catalogue of sentences: every language has every one (the compiler sees to it).
package enum SentenceCatalogue {
    package static func text(_ sentence: Sentence, in language: SpokenLanguage) -> String {
        switch language {
        case .english: Self.english(sentence)
        case .italian: Self.italian(sentence)
        case .portuguese: Self.portuguese(sentence)
        }
    }

    /// "a, b or c".
    private static func list(_ names: [String], or conjunction: String) -> String {
        guard names.count > 1, let last = names.last else { return names.first ?? "" }
        return names.dropLast().joined(separator: ", ") + " \(conjunction) " + last
    }

    private static func english(_ sentence: Sentence) -> String {
        switch sentence {
        case .filler: "One moment, please."
        case .apology: "I'm sorry, something went wrong on our side."
        case .stillThere: "Are you still there?"
        case .goodbyeSilent: "I can't hear you, so I'll end the call now. Goodbye."
        case .goodbye: "Thank you for calling. Goodbye."
        case .transferring(let name): "I'm connecting you to \(name). One moment, please."
        case .transferFailed: "I'm sorry, nobody is available there right now."
        case .handOver: "I'm sorry, I can't continue. I'm connecting you to a colleague."
        case .bridgeToOtherAssistant: "One moment please, I'm still with you."
        case .maximumDuration: "I'm sorry, we have reached the maximum duration of this call. Goodbye."
        case .welcomeBack: "Thank you for waiting."
        case .greeting: "Hello, how can I help you?"
        case .askChoice: "How can I help you?"
        case .didYouSay(let name): "Did you say \(name)?"
        case .notUnderstood: "Sorry, I didn't understand. Could you say that again?"
        case .notUnderstoodAgain: "I'm afraid I still didn't understand."
        case .keypadIntroduction: "You can also use the keypad."
        case .pressFor(let digit, let name): "Press \(digit) for \(name)."
        case .pressForOperator: "Press 0 for an operator."
        case .pressToRepeat: "Press star to hear this again."
        case .youCanSay(let names): "You can say: \(Self.list(names, or: "or"))."
        case .wrongKey: "That key has no function here."
        case .anythingElse: "Is there anything else I can do for you?"
        case .noOperator: "I'm sorry, there is no operator on this line."
        case .leaveMessage: "Please speak your message, and press the hash key when you are done."
        case .messageTaken: "Thank you, your message has been recorded."
        case .done: "Done."
        }
    }

    private static func italian(_ sentence: Sentence) -> String {
        switch sentence {
        case .filler: "Un attimo, per favore."
        case .apology: "Mi dispiace, c'è stato un problema da parte nostra."
        case .stillThere: "È ancora in linea?"
        case .goodbyeSilent: "Non la sento, quindi chiudo la chiamata. Arrivederci."
        case .goodbye: "Grazie per aver chiamato. Arrivederci."
        case .transferring(let name): "La metto in contatto con \(name). Un attimo, per favore."
        case .transferFailed: "Mi dispiace, in questo momento non risponde nessuno."
        case .handOver: "Mi dispiace, non posso continuare. La passo a un collega."
        case .bridgeToOtherAssistant: "Un attimo per favore, sono ancora qui."
        case .maximumDuration: "Mi dispiace, abbiamo raggiunto la durata massima della chiamata. Arrivederci."
        case .welcomeBack: "Grazie per l'attesa."
        case .greeting: "Pronto, come posso aiutarla?"
        case .askChoice: "Come posso aiutarla?"
        case .didYouSay(let name): "Ha detto \(name)?"
        case .notUnderstood: "Mi scusi, non ho capito. Può ripetere?"
        case .notUnderstoodAgain: "Purtroppo non ho ancora capito."
        case .keypadIntroduction: "Può anche usare la tastiera."
        case .pressFor(let digit, let name): "Prema \(digit) per \(name)."
        case .pressForOperator: "Prema 0 per un operatore."
        case .pressToRepeat: "Prema asterisco per riascoltare."
        case .youCanSay(let names): "Può dire: \(Self.list(names, or: "oppure"))."
        case .wrongKey: "Questo tasto non ha una funzione."
        case .anythingElse: "Posso fare altro per lei?"
        case .noOperator: "Mi dispiace, su questa linea non c'è un operatore."
        case .leaveMessage: "Lasci il suo messaggio e prema cancelletto quando ha finito."
        case .messageTaken: "Grazie, il suo messaggio è stato registrato."
        case .done: "Fatto."
        }
    }

    private static func portuguese(_ sentence: Sentence) -> String {
        switch sentence {
        case .filler: "Um momento, por favor."
        case .apology: "Desculpe, houve um problema do nosso lado."
        case .stillThere: "Você ainda está na linha?"
        case .goodbyeSilent: "Não consigo ouvir você, por isso vou encerrar a ligação. Até logo."
        case .goodbye: "Obrigado por ligar. Até logo."
        case .transferring(let name): "Vou transferir você para \(name). Um momento, por favor."
        case .transferFailed: "Desculpe, ninguém está disponível nesse momento."
        case .handOver: "Desculpe, não posso continuar. Vou passar você para um colega."
        case .bridgeToOtherAssistant: "Um momento por favor, ainda estou com você."
        case .maximumDuration: "Desculpe, chegamos à duração máxima desta ligação. Até logo."
        case .welcomeBack: "Obrigado por aguardar."
        case .greeting: "Olá, como posso ajudar?"
        case .askChoice: "Como posso ajudar?"
        case .didYouSay(let name): "Você disse \(name)?"
        case .notUnderstood: "Desculpe, não entendi. Pode repetir?"
        case .notUnderstoodAgain: "Infelizmente ainda não entendi."
        case .keypadIntroduction: "Você também pode usar o teclado."
        case .pressFor(let digit, let name): "Pressione \(digit) para \(name)."
        case .pressForOperator: "Pressione 0 para um atendente."
        case .pressToRepeat: "Pressione asterisco para ouvir de novo."
        case .youCanSay(let names): "Você pode dizer: \(Self.list(names, or: "ou"))."
        case .wrongKey: "Essa tecla não tem função."
        case .anythingElse: "Posso ajudar em mais alguma coisa?"
        case .noOperator: "Desculpe, não há atendente nesta linha."
        case .leaveMessage: "Deixe a sua mensagem e pressione jogo da velha quando terminar."
        case .messageTaken: "Obrigado, a sua mensagem foi gravada."
        case .done: "Pronto."
        }
    }
}
