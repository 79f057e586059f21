import Assistants
import Conversation

/// What Pronto itself says, from the one catalogue of sentences.
enum HouseVoice {
    static func text(of sentence: HouseSentence, language: String) -> String {
        let spoken: Sentence
        switch sentence {
        case .custom(let text): return text
        case .filler: spoken = .filler
        case .apology: spoken = .apology
        case .stillThere: spoken = .stillThere
        case .goodbyeSilent: spoken = .goodbyeSilent
        case .transferring(let name): spoken = .transferring(name)
        case .transferFailed: spoken = .transferFailed
        case .changeOver: spoken = .bridgeToOtherAssistant
        case .maximumDuration: spoken = .maximumDuration
        }
        return SentenceCatalogue.text(spoken, in: SpokenLanguage(tag: language))
    }
}
