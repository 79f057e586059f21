import Assistants
import Conversation

/// What Pronto itself says, from the one catalogue of sentences.
enum HouseVoice {
    static func text(of sentence: HouseSentence, language: String) -> String {
        SentenceCatalogue.text(self.sentence(sentence), in: SpokenLanguage(tag: language))
    }

    private static func sentence(_ sentence: HouseSentence) -> Sentence {
        switch sentence {
        case .filler: .filler
        case .apology: .apology
        case .stillThere: .stillThere
        case .goodbyeSilent: .goodbyeSilent
        case .transferring(let name): .transferring(name)
        case .transferFailed: .transferFailed
        case .changeOver: .bridgeToOtherAssistant
        case .maximumDuration: .maximumDuration
        }
    }
}
