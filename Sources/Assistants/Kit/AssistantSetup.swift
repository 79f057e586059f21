import Telephony

/// What a back end can do, for the conversation to plan by.
package struct AssistantCapabilities: Sendable, Equatable {
    /// Formats that can be sent to it, best first.
    package var input: [AudioFormat]
    /// Formats that can come from it, best first.
    package var output: [AudioFormat]
    /// It hears by itself where a caller's turn begins and ends.
    package var detectsTurns: Bool
    /// It must be told what was heard of an interrupted item (`AssistantCommand.truncate`).
    package var needsHeardReport: Bool
    /// Its turns can be driven by us, so that an interruption can be taken back (pause, then resume).
    package var canBePaused: Bool
    package var usesTools: Bool
    /// It says `AssistantCommand.respond(.say)` word by word rather than in its own words.
    package var speaksVerbatim: Bool
    /// The session ends by itself after this; recycle before.
    package var maximumSession: Duration?
    /// It acts on `AssistantCommand.digit` by itself; otherwise a reply is asked for when the digits are complete.
    package var answersDigits: Bool

    package init(
        input: [AudioFormat], output: [AudioFormat], detectsTurns: Bool, needsHeardReport: Bool, canBePaused: Bool,
        usesTools: Bool, speaksVerbatim: Bool, maximumSession: Duration?, answersDigits: Bool = false
    ) {
        self.input = input
        self.output = output
        self.detectsTurns = detectsTurns
        self.needsHeardReport = needsHeardReport
        self.canBePaused = canBePaused
        self.usesTools = usesTools
        self.speaksVerbatim = speaksVerbatim
        self.maximumSession = maximumSession
        self.answersDigits = answersDigits
    }
}

/// All that a machine needs to begin: the persona, the tools, the leg's format and the conversation so far.
package struct AssistantSetup: Sendable {
    /// What the assistant is told to be (system prompt).
    package var instructions: Redacted<String>
    /// The first words; nil: the assistant makes its own (`greets` false: the caller speaks first).
    package var greeting: String?
    /// BCP 47, as `it-IT`, `pt-BR`, `en`.
    package var language: String
    /// Provider's voice name; nil: the back end's default.
    package var voice: String?
    /// Provider's model name; nil: the back end's default.
    package var model: String?
    package var tools: [ToolDefinition]
    package var turns: TurnDetection
    /// What the phone leg carries: a back end that takes the same G.711 passes it through.
    package var legFormat: AudioFormat
    /// The conversation so far, when this session takes over from another.
    package var history: [ConversationEntry]

    package init(
        instructions: String, greeting: String? = nil, language: String, voice: String? = nil, model: String? = nil,
        tools: [ToolDefinition] = [], turns: TurnDetection = TurnDetection(), legFormat: AudioFormat,
        history: [ConversationEntry] = []
    ) {
        self.instructions = Redacted(instructions)
        self.greeting = greeting
        self.language = language
        self.voice = voice
        self.model = model
        self.tools = tools
        self.turns = turns
        self.legFormat = legFormat
        self.history = history
    }
}

/// How a caller's turn is found.
package struct TurnDetection: Sendable, Equatable {
    package enum Kind: String, Sendable, Codable { case server, semantic, none }
    package enum Eagerness: String, Sendable, Codable { case low, medium, high, auto }
    package var kind: Kind
    /// Probability of speech, 0–1 (server).
    package var threshold: Double
    /// Audio kept from before the detected start, 0–2000 ms (server).
    package var prefixPadding: Duration
    /// Silence that ends a turn, 100–5000 ms (server).
    package var silence: Duration
    package var eagerness: Eagerness
    /// We drive: the provider neither answers nor interrupts by itself, so that an interruption can be taken back.
    package var drivenByUs: Bool
    /// The caller's voice may stop the agent. A server that interrupts by itself must be told when not.
    package var mayInterrupt: Bool

    package init(
        kind: Kind = .server, threshold: Double = 0.5, prefixPadding: Duration = .milliseconds(300),
        silence: Duration = .milliseconds(500), eagerness: Eagerness = .auto, drivenByUs: Bool = false,
        mayInterrupt: Bool = true
    ) {
        self.kind = kind
        self.threshold = threshold
        self.prefixPadding = prefixPadding
        self.silence = silence
        self.eagerness = eagerness
        self.drivenByUs = drivenByUs
        self.mayInterrupt = mayInterrupt
    }
}

/// A tool that an assistant may use.
package struct ToolDefinition: Sendable, Equatable {
    package var name: String
    package var description: String
    /// A JSON Schema object's text.
    package var parameters: String
    package init(name: String, description: String, parameters: String) {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// One thing that was said (and heard), or a tool used, in order: what a new session is told of the old one.
package struct ConversationEntry: Sendable, Equatable {
    package enum Role: String, Sendable, Codable { case caller, agent, tool }
    package var role: Role
    package var text: Redacted<String>
    package init(role: Role, text: String) {
        self.role = role
        self.text = Redacted(text)
    }
}
