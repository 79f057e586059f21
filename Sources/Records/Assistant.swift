import Telephony

/// A configured AI persona (`v_voice_secretaries`): what it is, how it takes turns, and what it may do.
package struct Assistant: Sendable, Equatable {
    package var id: AssistantID
    package var tenant: TenantID
    /// Shown to operators, and a reference that a dialplan may use in place of the id. Unique within the tenant.
    package var name: String
    /// The number that reaches it in the tenant's dialplan; nil: reached by id only.
    package var number: String?
    /// BCP 47, as `it-IT`.
    package var language: String = "en"
    package var isEnabled: Bool = true
    package var mode: ProcessingMode = .realtime

    /// What it is told to be (`personality_prompt`). Never logged.
    package var instructions: Redacted<String> = Redacted("")
    /// Its first words; nil: it makes its own.
    package var greeting: String?
    /// Its last words before it hangs up; nil: it makes its own.
    package var farewell: String?
    /// The caller speaks first: no greeting.
    package var callerSpeaksFirst: Bool = false

    /// Back ends in the order in which they are tried. Empty: the configured default, then `local`.
    package var providers: [ProviderName] = []
    /// The provider's name of a voice and a model; nil: the back end's default.
    package var voice: String?
    package var model: String?
    package var maximumOutputTokens: Int?

    package var turns: TurnSettings = TurnSettings()
    package var bargeIn: BargeInSettings = BargeInSettings()
    package var noInput: NoInputSettings = NoInputSettings()
    /// Nobody says anything for this long: the call ends; nil: as the gateway is configured.
    package var idleTimeout: Duration?
    /// The longest call; nil: as the gateway is configured.
    package var maximumDuration: Duration?

    /// Whether calls are recorded; nil: as the gateway is configured.
    package var isRecorded: Bool?
    /// Where a caller goes when no back end works.
    package var fallback: FallbackDestination?
    /// Tools that it may use, by name. Empty: all that the gateway has.
    package var tools: [String] = []
    /// What the embedded assistant can answer by itself.
    package var topics: [Topic] = []

    package init(id: AssistantID, tenant: TenantID, name: String, number: String? = nil, language: String = "en") {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.number = number
        self.language = language
    }
}

/// How an assistant answers: at once and interruptible; a recording at a time; or the first, then the second.
package enum ProcessingMode: String, Sendable, CaseIterable {
    case realtime
    case turnBased = "turn_based"
    case auto
}

/// How the end of a caller's turn is found; nil fields follow the gateway's configuration.
package struct TurnSettings: Sendable, Equatable {
    package enum Detection: String, Sendable, CaseIterable {
        case server = "server_vad"
        case semantic = "semantic_vad"
        case none
    }
    package enum Eagerness: String, Sendable, CaseIterable { case low, medium, high, auto }

    package var detection: Detection = .server
    package var eagerness: Eagerness = .auto
    /// Probability of speech, 0–1.
    package var threshold: Double?
    /// Silence that ends a turn.
    package var silence: Duration?
    /// Audio kept from before the detected start.
    package var prefixPadding: Duration?
    package init() {}
}

/// Whether and how a caller may interrupt; nil fields follow the gateway's configuration.
package struct BargeInSettings: Sendable, Equatable {
    package var isEnabled: Bool?
    /// How long a paused agent waits for the interruption to prove itself before it resumes. Zero: every barge-in is
    /// final at once.
    package var resumeWindow: Duration?
    package init() {}
}

/// What happens when a caller says nothing.
package struct NoInputSettings: Sendable, Equatable {
    package enum Action: String, Sendable, CaseIterable { case reprompt, hangup }
    package var isEnabled: Bool = true
    package var after: Duration = .seconds(8)
    package var action: Action = .reprompt
    /// What the agent says, in order; the last is repeated. Empty: the agent's own words.
    package var prompts: [String] = []
    /// Prompts before the farewell.
    package var retries: Int = 2
    package init() {}
}

/// An extension and the dialplan context that it is dialed in.
package struct FallbackDestination: Sendable, Equatable {
    package var number: Redacted<String>
    package var context: String
    package init(number: String, context: String) {
        self.number = Redacted(number)
        self.context = context
    }
}

/// Something that callers ask about and the answer to it, for the embedded assistant's grammar.
package struct Topic: Sendable, Equatable {
    package var name: String
    /// Words or short phrases that mean this topic.
    package var phrases: [String]
    package var answer: String
    package init(name: String, phrases: [String], answer: String) {
        self.name = name
        self.phrases = phrases
        self.answer = answer
    }
}
