import Assistants
import Telephony

/// What a simulated Gemini Live server was sent on one connection: what a test asks.
package struct GeminiLiveRecord: Sendable {
    package struct Reply: Sendable, Equatable {
        package var number: Int
        /// Nil while it is being made; `complete`, `interrupted` or `rejected`.
        package var end: String?
        package var audio: Duration = .zero
    }

    /// As it was sent, in camelCase.
    package var setup: JSONValue = .null
    package var resumedHandle: String?
    /// Caller audio, in all.
    package var appended: Duration = .zero
    package var replies: [Reply] = []
    /// Texts that are to be answered.
    package var prompts: [String] = []
    /// Turns of the conversation that the client told: role and text.
    package var turns: [(role: String, text: String)] = []
    /// New instructions in the middle of the call.
    package var contextUpdates: [String] = []
    package var toolOutputs: [(id: String, name: String, response: String)] = []
    package var streamEnds = 0
    package var activities = 0
    /// Why the client was cut off, if it was.
    package var refusal: String?
    package var messages: [String] = []
}

/// What the server remembers of a session from one connection to the next.
package struct GeminiLiveMemory: Sendable {
    package var handle: String
    var answerCount: Int
    var replyCount: Int
    var seed: Int
}
