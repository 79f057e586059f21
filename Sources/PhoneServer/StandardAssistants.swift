import Assistants
import Conversation
import Records
import Telephony

/// Makes the machines of the back ends that this version has, from the assistants' rows and the gateway's settings.
package struct StandardAssistants: AssistantMaking {
    package var directory: AssistantDirectory
    package var defaults: AssistantDefaults
    /// OpenAI's settings with the key of the environment, if there is one; a tenant's own key replaces it.
    package var openAI: OpenAIRealtimeConfiguration
    package var elevenLabs: ElevenLabsAgentsConfiguration
    package var gemini: GeminiLiveConfiguration
    /// The speech pipeline's services; nil: there are none.
    package var pipeline: PipelineServices?
    package typealias LocalMaker =
        @Sendable (Assistant, AssistantDirectory.Entry, AssistantSetup) throws -> any AssistantMachine
    package var local: LocalMaker

    package init(
        directory: AssistantDirectory, defaults: AssistantDefaults, openAI: OpenAIRealtimeConfiguration,
        elevenLabs: ElevenLabsAgentsConfiguration = ElevenLabsAgentsConfiguration(agent: ""),
        gemini: GeminiLiveConfiguration = GeminiLiveConfiguration(credential: .none),
        pipeline: PipelineServices? = nil, local: @escaping LocalMaker
    ) {
        self.directory = directory
        self.defaults = defaults
        self.openAI = openAI
        self.elevenLabs = elevenLabs
        self.gemini = gemini
        self.pipeline = pipeline
        self.local = local
    }

    package func make(
        provider: String, identity: CallIdentity, legFormat: AudioFormat, history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        guard let (entry, row) = self.directory.assistant(identity.assistant), entry.tenant.id == identity.tenant
        else { throw AssistantFailure("assistant-removed", .failOver) }
        let assistant = identity.overrides?.applied(to: row) ?? row
        switch provider {
        case "openai":
            return try self.makeOpenAI(assistant, entry, legFormat: legFormat, history: history)
        case "pipeline":
            return try self.makePipeline(.streaming, assistant, entry, legFormat: legFormat, history: history)
        case "turn-based":
            return try self.makePipeline(.turnBased, assistant, entry, legFormat: legFormat, history: history)
        case "elevenlabs":
            return try self.makeElevenLabs(assistant, entry, legFormat: legFormat, history: history)
        case "gemini":
            return try self.makeGemini(assistant, entry, legFormat: legFormat, history: history)
        case "local":
            let setup = self.setup(assistant, entry, for: .local, legFormat: legFormat, history: history)
            return try self.local(assistant, entry, setup)
        default:
            throw AssistantFailure("unknown-provider", .failOver)
        }
    }

    private func makeOpenAI(
        _ assistant: Assistant, _ entry: AssistantDirectory.Entry, legFormat: AudioFormat,
        history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        var configuration = self.openAI
        if let own = try self.ownAccount(.openAI, entry) {
            // Whose they are our key says, and what else is sent is meant for our address.
            if own.secret != nil || own.baseURL != nil {
                (configuration.organisation, configuration.project) = (nil, nil)
            }
            if let base = own.baseURL {
                configuration.baseURL = base
                configuration.extraHeaders = []
                // OpenAI always echoes the session; servers that imitate it may not.
                configuration.requiresFormatEcho = base.contains("api.openai.com")
            }
            switch (own.secret, configuration.credential) {
            case (let secret?, .apiKey): configuration.credential = .apiKey(secret)
            case (let secret?, _): configuration.credential = .bearer(secret)
            case (nil, _): if own.baseURL != nil { configuration.credential = .none }
            }
            configuration.model = own.model ?? configuration.model
            configuration.voice = own.voice ?? configuration.voice
        }
        if case .none = configuration.credential, configuration.baseURL.contains("api.openai.com") {
            throw AssistantFailure("no-key", .failOver)
        }
        if let tokens = assistant.maximumOutputTokens { configuration.maximumOutputTokens = tokens }
        let setup = self.setup(assistant, entry, for: .openAI, legFormat: legFormat, history: history)
        do {
            try configuration.check(turns: setup.turns)
        } catch {
            throw AssistantFailure(error.slug, .failOver)
        }
        return OpenAIRealtimeMachine(configuration: configuration, setup: setup)
    }

    private func makeElevenLabs(
        _ assistant: Assistant, _ entry: AssistantDirectory.Entry, legFormat: AudioFormat,
        history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        var configuration = self.elevenLabs
        if let own = try self.ownAccount(.elevenLabs, entry) {
            if own.secret != nil || own.baseURL != nil { configuration.key = own.secret }
            configuration.baseURL = own.baseURL ?? configuration.baseURL
            // Agents belong to an account: a tenant's key opens the tenant's agents. They have the model; a session may
            // only replace the voice.
            configuration.agent = own.agent ?? configuration.agent
            configuration.voice = own.voice ?? configuration.voice
        }
        let setup = self.setup(assistant, entry, for: .elevenLabs, legFormat: legFormat, history: history)
        do {
            _ = try configuration.opening(agent: setup.model)
        } catch {
            throw AssistantFailure(error.slug, .failOver)
        }
        return ElevenLabsAgentsMachine(configuration: configuration, setup: setup)
    }

    private func makeGemini(
        _ assistant: Assistant, _ entry: AssistantDirectory.Entry, legFormat: AudioFormat,
        history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        var configuration = self.gemini
        if let own = try self.ownAccount(.gemini, entry) {
            if let secret = own.secret {
                configuration.credential = .apiKey(secret)
            } else if own.baseURL != nil {
                configuration.credential = .none
            }
            configuration.baseURL = own.baseURL ?? configuration.baseURL
            configuration.model = own.model ?? configuration.model
            configuration.voice = own.voice ?? configuration.voice
        }
        if case .none = configuration.credential, configuration.baseURL.contains("googleapis.com") {
            throw AssistantFailure("no-key", .failOver)
        }
        if let tokens = assistant.maximumOutputTokens { configuration.maximumOutputTokens = tokens }
        let setup = self.setup(assistant, entry, for: .gemini, legFormat: legFormat, history: history)
        do {
            try configuration.check(model: setup.model ?? configuration.model, turns: setup.turns)
        } catch {
            throw AssistantFailure(error.slug, .failOver)
        }
        return GeminiLiveMachine(configuration: configuration, setup: setup)
    }

    /// What a tenant has of its own with a provider. What is nil is as the gateway is configured, but for the key: ours
    /// goes to no address that a tenant has named.
    private struct OwnAccount {
        var secret: Redacted<String>?
        /// Anywhere on the Internet, and into this network only where the installation lets it (`ProviderReach`, at each
        /// connection).
        var baseURL: String?
        var model: String?
        var voice: String?
        var agent: String?
    }

    /// Of several the default one, then by their order, then one with a key.
    private func ownAccount(_ provider: ProviderName, _ entry: AssistantDirectory.Entry) throws -> OwnAccount? {
        let accounts = entry.accounts.filter { $0.provider == provider && $0.kind == .realtime && $0.isEnabled }
        func rank(_ account: ProviderAccount) -> (Int, Int, Int) {
            (account.isDefault ? 0 : 1, account.priority, account.hasSecret ? 0 : 1)
        }
        guard let account = accounts.min(by: { rank($0) < rank($1) }) else { return nil }
        // A tenant with a key of its own must never be billed to ours because its key could not be opened.
        if account.hasSecret, account.secret == nil { throw AssistantFailure("key-not-readable", .failOver) }
        let values = JSONValue(json: account.configuration)
        func text(_ name: String) -> String? { values?[name]?.text.flatMap { $0.isEmpty ? nil : $0 } }
        return OwnAccount(
            secret: account.secret, baseURL: text("base_url"), model: text("model"), voice: text("voice"),
            agent: text("agent_id"))
    }

    /// - Parameter provider: the back end that it is for. An assistant's model and voice are names of its first one's:
    ///   another would refuse them.
    package func setup(
        _ assistant: Assistant, _ entry: AssistantDirectory.Entry, for provider: ProviderName, legFormat: AudioFormat,
        history: [ConversationEntry]
    ) -> AssistantSetup {
        let first = assistant.providers.first ?? self.defaults.providers.first.flatMap { ProviderName($0) }
        let isFirst = first == nil || first == provider
        var turns = TurnDetection()
        turns.kind = TurnDetection.Kind(assistant.turns.detection)
        turns.eagerness = TurnDetection.Eagerness(rawValue: assistant.turns.eagerness.rawValue) ?? .auto
        turns.threshold = assistant.turns.threshold ?? self.defaults.vadThreshold
        turns.silence = assistant.turns.silence ?? self.defaults.silence
        turns.prefixPadding = assistant.turns.prefixPadding ?? self.defaults.prefixPadding
        let mayInterrupt = assistant.bargeIn.isEnabled ?? self.defaults.bargeIn
        let window = assistant.bargeIn.resumeWindow ?? self.defaults.resumeWindow
        turns.drivenByUs = !mayInterrupt || window > .zero
        turns.mayInterrupt = mayInterrupt
        let destinations = StandardPlans.destinations(for: assistant, in: entry)
        return AssistantSetup(
            instructions: assistant.instructions.value, greeting: assistant.greeting, language: assistant.language,
            voice: isFirst ? assistant.voice : nil, model: isFirst ? assistant.model : nil,
            tools: CallTools.definitions(destinations: destinations, allowed: assistant.tools), turns: turns,
            legFormat: legFormat, history: history)
    }
}

extension TurnDetection.Kind {
    init(_ detection: TurnSettings.Detection) {
        switch detection {
        case .server: self = .server
        case .semantic: self = .semantic
        case .none: self = .none
        }
    }
}

/// The tools that every call has, as the model is told of them. What they do is the conversation's.
package enum CallTools {
    package static func definitions(destinations: [DestinationRecord], allowed: [String]) -> [ToolDefinition] {
        var tools: [ToolDefinition] = []
        if !destinations.isEmpty {
            let names = destinations.map { JSONText.quoted($0.name) }.joined(separator: ",")
            tools.append(
                ToolDefinition(
                    name: "transfer_call",
                    description:
                        "Hands the caller over to a person or department. First say in one short sentence that you do.",
                    parameters:
                        "{\"type\":\"object\",\"properties\":{\"destination\":{\"type\":\"string\",\"enum\":[\(names)],"
                        + "\"description\":\"Where to\"}},\"required\":[\"destination\"]}"))
        }
        tools.append(
            ToolDefinition(
                name: "end_call",
                description: "Ends the call. First say goodbye; the caller hears it to its end.",
                parameters:
                    "{\"type\":\"object\",\"properties\":{\"reason\":{\"type\":\"string\",\"description\":\"Why\"}}}"))
        return allowed.isEmpty ? tools : tools.filter { allowed.contains($0.name) }
    }
}
