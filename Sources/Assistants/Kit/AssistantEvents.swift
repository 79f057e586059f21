import Telephony

/// One stretch of agent speech (a provider's item) within one session. The machine numbers them from 1 and keeps the
/// provider's own name to itself.
package struct AgentItem: Hashable, Sendable, Comparable {
    package var number: Int
    package init(_ number: Int) { self.number = number }
    package static func < (lhs: AgentItem, rhs: AgentItem) -> Bool { lhs.number < rhs.number }
}

/// One stretch of caller speech as the assistant counts them, to match a transcript that comes late.
package struct CallerItem: Hashable, Sendable {
    package var number: Int
    package init(_ number: Int) { self.number = number }
}

/// What an assistant tells the conversation.
package enum AssistantEvent: Sendable, Equatable {
    /// Configured and listening: the formats are now certain. Sent once a session.
    case ready(input: AudioFormat, output: AudioFormat)
    /// The assistant's own detector heard the caller begin.
    case callerSpeechStarted
    /// The assistant's own detector heard the caller end: the reply's latency counts from here at the latest.
    case callerSpeechStopped
    /// A caller's turn is closed and will be answered (or has been committed, where we drive the turns).
    case callerTurnCommitted(CallerItem)
    /// What the caller said. `isFinal` closes the item.
    case callerTranscript(CallerItem, Redacted<String>, isFinal: Bool)
    /// The assistant began to make a reply.
    case responseStarted
    /// All audio of this item has been delivered (not: heard).
    case agentAudioFinished(AgentItem)
    /// What the agent says, piece by piece; `isFinal` carries the whole text of the item.
    case agentTranscript(AgentItem, Redacted<String>, isFinal: Bool)
    /// What of an interrupted item the back end itself believes to have been heard: its memory has no more of it.
    case agentTranscriptCorrected(AgentItem, Redacted<String>)
    /// The assistant itself says that the caller has interrupted it.
    case interrupted
    /// The assistant wants a tool used. Answer each with `AssistantCommand.toolResult`.
    case toolCalled(ToolCall)
    /// The assistant no longer wants these.
    case toolsCancelled([String])
    /// The reply is complete, or was stopped.
    case responseFinished(ResponseOutcome)
    case usage(AssistantUsage)
    /// The session will be cut in this time (nil: soon): move at a quiet moment.
    case goingAway(in: Duration?)
    /// The session cannot go on, or a part of it failed; `verdict` says what to do.
    case failed(AssistantFailure)
}

/// How a reply ended.
package enum ResponseOutcome: Sendable, Equatable {
    case completed
    /// Stopped by us or by the caller's speech.
    case cancelled
    /// Cut short by a limit: what was said stands.
    case incomplete(reason: String)
    /// Nothing will come; retry or fail over.
    case failed(AssistantFailure)
}

/// A tool that the assistant wants used.
package struct ToolCall: Sendable, Equatable {
    package var id: String
    package var name: String
    /// A JSON object's text, exactly as the model wrote it: validate before use.
    package var arguments: Redacted<String>
    package init(id: String, name: String, arguments: String) {
        self.id = id
        self.name = name
        self.arguments = Redacted(arguments)
    }
}

/// What was used up of one service's model, in the units that it bills (`UsageMeter`).
package struct AssistantUsage: Sendable, Equatable {
    /// Whose price applies: the service (`openai`, `deepgram`) and the model, as the machine was told to use them.
    package var service: String
    package var model: String
    /// Tokens read, those that the service had kept included.
    package var inputTextTokens = 0
    package var inputAudioTokens = 0
    /// Of them, those that it had kept.
    package var cachedTextTokens = 0
    package var cachedAudioTokens = 0
    package var outputTextTokens = 0
    package var outputAudioTokens = 0
    /// Characters given to a voice.
    package var characters = 0
    /// Audio given to a recogniser.
    package var heard: Duration = .zero
    /// How long a session stood that is billed by its length.
    package var connected: Duration = .zero
    /// The service was used and did not say how much.
    package var isUncounted = false

    package init(service: String = "", model: String = "") {
        self.service = service
        self.model = model
    }

    package var cachedTokens: Int { Self.sum(self.cachedTextTokens, self.cachedAudioTokens) }
}

/// What an assistant is asked for.
package enum AssistantCommand: Sendable, Equatable {
    /// Say something now. `.greeting`: the configured first words. `.reply`: answer what the caller said. `.say`: this
    /// sentence, as nearly verbatim as the back end can.
    case respond(ResponseRequest)
    /// The caller's turn is over (only where we drive the turns).
    case commitCallerTurn
    /// Forget caller audio that was taken in but is no turn (noise, a false interruption).
    case clearCallerAudio
    /// Stop making the reply that is under way. Harmless when none is.
    case cancelResponse
    /// The caller heard only this much of that item: the assistant's memory must agree.
    case truncate(AgentItem, heard: Duration)
    /// The outcome of a tool: JSON or plain text. With `respond`, the assistant speaks about it when it can.
    case toolResult(id: String, output: Redacted<String>, respond: Bool)
    /// Something that the assistant should know and not answer.
    case inform(Redacted<String>)
    /// A digit that the caller pressed.
    case digit(Redacted<Character>)
    /// End the session. The machine closes its channels; only `.wake(nil)` follows.
    case finish
}

/// What to say.
package enum ResponseRequest: Sendable, Equatable {
    case greeting
    case reply
    case say(Redacted<String>)
}

/// Why an assistant failed, and what that calls for. The slug is safe to log and labels metrics.
package struct AssistantFailure: Error, Sendable, Equatable {
    package enum Verdict: String, Sendable {
        /// The same back end may be tried again (a lost connection, a busy server).
        case retry
        /// This back end will not work in this call (quota, key, model): go to the next.
        case failOver
        /// Harmless: note it and go on.
        case ignore
    }
    package var slug: String
    package var verdict: Verdict
    /// What the provider wrote, for the debug log only.
    package var detail: Redacted<String>
    package init(_ slug: String, _ verdict: Verdict, detail: String = "") {
        self.slug = slug
        self.verdict = verdict
        self.detail = Redacted(detail)
    }
    package var isRetryable: Bool { self.verdict == .retry }
}
