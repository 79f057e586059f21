import Assistants
import Telephony

/// What the simulated agent is set to at ElevenLabs, beside what it says.
package struct ElevenLabsAgentSettings: Sendable {
    /// Which id is known; nil: any.
    package var agent: String?
    /// Only by a signed URL.
    package var isPrivate = false
    package var inputFormat = "pcm_16000"
    package var outputFormat = "pcm_16000"
    /// What a session may replace; nil: everything.
    package var allowedOverrides: Set<String>?
    /// The agent greets by itself (with the script's greeting, unless it is overridden).
    package var greets = true
    package var pingInterval: Duration = .seconds(2)
    /// No audio of the client for so long: 1002.
    package var inactivityLimit: Duration = .seconds(60)
    /// `agent_response_correction` is among the events that the agent sends.
    package var sendsCorrections = true
    /// `agent_response_complete` is.
    package var sendsCompletions = false
    /// The agent hangs up by itself after this many replies; nil: never.
    package var hangsUpAfter: Int?
    package init() {}
}

/// What a simulated agent was sent on one connection: what a test asks.
package struct ElevenLabsAgentsRecord: Sendable {
    package struct Reply: Sendable, Equatable {
        package var number: Int
        /// Nil while it is being made; `complete` or `interrupted`.
        package var end: String?
        package var audio: Duration = .zero
    }

    package var initiation: JSONValue = .null
    /// Caller audio, in all.
    package var appended: Duration = .zero
    package var replies: [Reply] = []
    package var prompts: [String] = []
    package var context: [String] = []
    package var toolOutputs: [(id: String, output: String, isError: Bool)] = []
    package var pings = 0
    package var pongs: [Int] = []
    /// Audio was sent after the interruption that covers it, as happens in life.
    package var lateAudio = 0
    /// Why the client was cut off, if it was.
    package var refusal: String?
    package var messages: [String] = []
}
