import Assistants
import Telephony

/// A response while it is being made.
struct OpenAIRealtimeMaking: Sendable {
    let id: String
    /// From 1, in order of all responses: mishaps name it.
    let number: Int
    let answer: OpenAIRealtimeScript.Answer
    let sound: OpenAIRealtimeSound
    let format: AudioFormat
    /// When the first piece is due.
    let beginsAt: Duration
    /// From piece to piece; zero: all at once.
    let interval: Duration
    let pieceBytes: Int
    /// Nothing audible is made, as the client wanted.
    let isText: Bool
    /// Out of the conversation (`conversation: none`).
    let isAside: Bool
    /// With what it will end instead of its answer.
    let failure: (code: String, message: String)?
    let metadata: JSONValue
    /// Of the message item, once it was told.
    var itemID: String?
    var sentBytes = 0
    var sentPieces = 0
    var sentCharacters = 0
    /// Items told and finished, for `response.done`.
    var output: [JSONValue] = []

    var isAllSent: Bool { self.sentBytes >= self.sound.count }
    var nextDue: Duration { self.beginsAt + self.interval * self.sentPieces }
    var sentDuration: Duration { self.format.duration(ofBytes: self.sentBytes) }

    /// What of the text goes with the audio so far, beyond what has been told.
    mutating func nextText() -> String {
        let text = self.answer.text
        let share =
            self.sound.count == 0
            ? text.count : Int(Double(text.count) * Double(self.sentBytes) / Double(self.sound.count))
        let end = min(text.count, self.isAllSent ? text.count : share)
        guard end > self.sentCharacters else { return "" }
        let piece = text.dropFirst(self.sentCharacters).prefix(end - self.sentCharacters)
        self.sentCharacters = end
        return String(piece)
    }

    /// The text told so far.
    var saidText: String { String(self.answer.text.prefix(self.sentCharacters)) }
}
