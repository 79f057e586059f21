import Telephony

/// One reply of the local assistant on its way: sentences spoken one after another as one item.
struct LocalReply: Sendable {
    /// What follows when the last sentence has been delivered.
    enum Sequel: Sendable, Equatable {
        case nothing
        /// Ask the conversation to use a tool. The conversation waits until the words before it were heard.
        case tool(name: String, arguments: String)
    }

    let item: AgentItem
    let sentences: [String]
    let sequel: Sequel
    /// The sentence being spoken.
    var current = 0
    /// Bytes of the item delivered before and with each sentence that is complete.
    var ends: [Int] = []
    var bytes = 0
    var channel: ChannelID?
    /// Whether the sentence being spoken was tried once already.
    var isRetry = false

    init(item: AgentItem, sentences: [String], sequel: Sequel) {
        self.item = item
        self.sentences = sentences
        self.sequel = sequel
    }

    var text: String { self.sentences.joined(separator: " ") }

    /// The sentences that were heard to their end, when only so much of the item was heard.
    func heard(bytes heard: Int) -> String {
        self.sentences.prefix(self.ends.prefix { $0 <= heard }.count).joined(separator: " ")
    }
}

/// Cuts text where a speaker breathes, so that the first sound does not wait for the last word.
enum SentenceSplitter {
    /// Pieces of at most `limit` characters, ends at `.`, `!`, `?`, `…` or a line's end; longer ones at a space.
    static func split(_ text: String, limit: Int = 300) -> [String] {
        var pieces: [String] = []
        var piece = ""
        var previous: Character = " "
        for character in text.prefix(4000) {
            // A full stop ends a sentence only before a space: 3.5 and pronto.com stay whole.
            let ends: Bool = character.isWhitespace && ".!?…".contains(previous) || character.isNewline
            if ends || (piece.count >= limit && character.isWhitespace) || piece.count >= limit * 2 {
                Self.append(&piece, to: &pieces)
            }
            piece.append(character)
            previous = character
        }
        Self.append(&piece, to: &pieces)
        return pieces
    }

    private static func append(_ piece: inout String, to pieces: inout [String]) {
        let trimmed = piece.trimmed
        if trimmed.contains(where: { $0.isLetter || $0.isNumber }) { pieces.append(trimmed) }
        piece = ""
    }
}
