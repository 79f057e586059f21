import Assistants
import Telephony

/// All that was decided about a call before its first frame: who answers, in which order, by which rules.
package struct CallPlan: Sendable {
    /// Who speaks first.
    package enum Opening: Sendable, Equatable { case agent, caller }

    /// Assistants, best first: their slugs, for records and metrics (`openai`, `local`).
    package var assistants: [String]
    package var opening: Opening = .agent
    package var language = "en"
    package var bargeIn: BargeIn.Mode = .twoStep(confirm: .milliseconds(300))
    /// Silence that ends the caller's turn where the assistant detects none (`detectsTurns` false) and we drive it.
    package var endpointing: Duration = .milliseconds(600)
    package var noInput = NoInputClock.Configuration()
    /// The assistant's own sentences for a silent caller, in order; the last is repeated. Empty: the house's.
    package var noInputPrompts: [String] = []
    /// The assistant's own last words before we hang up (silent caller, maximum duration); nil: the house's.
    package var farewell: String?
    /// Zero: no limit.
    package var maximumDuration: Duration = .seconds(3600)
    /// Where the caller can be handed to by tool.
    package var destinations: [TransferDestination] = []
    /// Where the caller goes when nothing else works; nil: an apology and the hang-up.
    package var fallback: TransferDestination?
    package var deadlines = Deadlines()
    /// What a call may hold of agent audio.
    package var maximumPlayout: Duration = .seconds(120)

    package init(assistants: [String]) { self.assistants = assistants }

    /// How long each stage may take before the ladder's next rung.
    package struct Deadlines: Sendable, Equatable {
        /// Assistant opened → ready.
        package var ready: Duration = .seconds(6)
        /// Caller's turn closed (or a reply asked for) → first audio; first missed: a filler, second missed: the ladder.
        package var firstAudio: Duration = .seconds(4)
        /// Audio stopped coming in the middle of an item, and the caller has heard all there was.
        package var stall: Duration = .seconds(4)
        /// Tool called → its result; then the assistant is told that it failed.
        package var tool: Duration = .seconds(15)
        /// A turn that was taken for noise is closed → without its words, it is answered or forgotten.
        package var doubt: Duration = .seconds(2)
        /// The last digit pressed → a reply is asked for (`#` asks at once).
        package var digits: Duration = .milliseconds(1500)
        /// A decided end waits at most this long for the last words to be heard.
        package var lastWords: Duration = .seconds(20)
        /// Transfer asked of the phone → its outcome.
        package var transfer: Duration = .seconds(15)
        /// The media connection is lost → the call is given up.
        package var mediaReturn: Duration = .seconds(8)
        package init() {}
    }
}

/// A sentence that Pronto itself says, in its own voice, when the assistant cannot.
package enum HouseSentence: Hashable, Sendable {
    /// "One moment, please."
    case filler
    /// "I am sorry, there is a technical problem."
    case apology
    /// "Are you still there?"
    case stillThere
    /// "I cannot hear you. Goodbye."
    case goodbyeSilent
    /// "I am putting you through to …"
    case transferring(to: String)
    /// "Nobody is available there at the moment."
    case transferFailed
    /// "I am sorry for the interruption. Please go on."
    case changeOver
    /// "We have to come to an end."
    case maximumDuration
    /// A configured sentence, as it stands.
    case custom(String)

    /// A slug for logs.
    package var slug: String {
        switch self {
        case .filler: "filler"
        case .apology: "apology"
        case .stillThere: "still-there"
        case .goodbyeSilent: "goodbye-silent"
        case .transferring: "transferring"
        case .transferFailed: "transfer-failed"
        case .changeOver: "change-over"
        case .maximumDuration: "maximum-duration"
        case .custom: "custom"
        }
    }
}

/// What the conversation wants done, in order.
package enum SessionCommand: Sendable, Equatable {
    /// Open rung `index` of the plan as session `session`, with the conversation so far. Any open one is closed first.
    case openAssistant(index: Int, session: Int, history: [ConversationEntry])
    case closeAssistant
    case assistant(AssistantCommand)
    /// `output.bytes[range]`: caller audio in the assistant's input format.
    case assistantAudio(Range<Int>)
    /// `output.bytes[range]`: one frame for the phone, in the leg's downlink format. It begins to sound at `playsAt`.
    case phoneFrame(Range<Int>, playsAt: Duration)
    case phone(PhoneCommand)
    /// Say this with the house voice; its audio comes back by `houseAudio`.
    case speak(HouseSentence, number: Int)
    case runTool(ToolCall)
    case note(SessionNote)
    /// The call is over for the conversation; nothing follows. Said exactly once.
    case finish(CallTermination)
}

/// What is worth writing down or showing. Texts are redacted: the console and the records open them, logs do not.
package enum SessionNote: Sendable, Equatable {
    case assistantReady(index: Int)
    case assistantFailed(index: Int, slug: String)
    case callerSpeaking(Bool)
    case agentSpeaking(Bool)
    case callerSaid(Redacted<String>, isFinal: Bool)
    case agentSaid(Redacted<String>, isFinal: Bool)
    /// Caller stopped → first agent audio on the wire.
    case turnLatency(Duration)
    /// Speech that silenced the agent, from the decision to the last frame (ours: the flush follows at once).
    case bargeIn(confirmed: Bool)
    case paused
    case cut(heard: Duration, received: Duration)
    case tool(ToolCall)
    /// One of the conversation's own tools (a transfer, the end of the call) has been answered: taken, or refused for what
    /// the result says. What is taken is done later, when the words before it were heard.
    case toolAnswered(id: String, result: Redacted<String>, isTaken: Bool)
    case houseSentence(slug: String)
    case transferStarted(name: String)
    /// The transfer noted last did not happen: the caller is still with us, or was hung up.
    case transferFailed(name: String)
    case underrun(Duration)
    case usage(AssistantUsage)
}

/// Commands and the bytes that they point into; reused from event to event.
package struct SessionOutput: Sendable {
    package var commands: [SessionCommand] = []
    package var bytes: [UInt8] = []
    package init() {}
    package mutating func removeAll() {
        // Asked after every event, most of which leave one of them empty; and to empty an empty array is not free.
        if !self.commands.isEmpty { self.commands.removeAll(keepingCapacity: true) }
        if !self.bytes.isEmpty { self.bytes.removeAll(keepingCapacity: true) }
    }
}
