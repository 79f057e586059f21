import Telephony

/// The client's messages: exactly one key at the top of each (providers.md §3.2). Values in, values out.
struct GeminiLiveMessages: Sendable {
    let configuration: GeminiLiveConfiguration
    let setup: AssistantSetup
    let model: GeminiLiveModel
    /// As `setup.model` names it.
    let resource: String

    // MARK: Set-up

    /// The first message of every connection; with a handle, the session goes on where it was.
    func setupMessage(handle: String?) -> JSONValue {
        var setup: JSONValue = ["model": .string(self.resource)]
        var generation: JSONValue = ["responseModalities": ["AUDIO"]]
        if let voice = self.setup.voice ?? self.configuration.voice {
            generation.set(
                .string(voice), at: ["speechConfig", "voiceConfig", "prebuiltVoiceConfig", "voiceName"])
        }
        if let tokens = self.configuration.maximumOutputTokens {
            generation.set(.integer(tokens), at: ["maxOutputTokens"])
        }
        setup.set(generation, at: ["generationConfig"])
        setup.set(self.content(self.setup.instructions.value), at: ["systemInstruction"])
        let tools = self.setup.tools.compactMap(self.declaration)
        if !tools.isEmpty { setup.set(.array([["functionDeclarations": .array(tools)]]), at: ["tools"]) }
        setup.set(self.realtimeInputConfig(), at: ["realtimeInputConfig"])
        setup.set(handle.map { ["handle": .string($0)] } ?? .object([]), at: ["sessionResumption"])
        if self.configuration.compressesContext {
            var compression: JSONValue = ["slidingWindow": .object([])]
            if let trigger = self.configuration.compressionTrigger {
                compression.set(.integer(trigger), at: ["triggerTokens"])
            }
            setup.set(compression, at: ["contextWindowCompression"])
        }
        if self.configuration.transcribes {
            setup.set(.object([]), at: ["inputAudioTranscription"])
            setup.set(.object([]), at: ["outputAudioTranscription"])
        }
        if handle == nil, !self.setup.history.isEmpty, self.model.takesTextInRealtime {
            setup.set(true, at: ["historyConfig", "initialHistoryInClientContent"])
        }
        return ["setup": setup]
    }

    private func realtimeInputConfig() -> JSONValue {
        let turns = self.setup.turns
        var detection: JSONValue = .object([])
        switch turns.kind {
        case .none: detection.set(true, at: ["disabled"])
        case .server:
            detection.set(.integer(turns.prefixPadding.milliseconds), at: ["prefixPaddingMs"])
            detection.set(.integer(turns.silence.milliseconds), at: ["silenceDurationMs"])
            // Two steps here, a probability elsewhere: only a clear wish is passed on.
            if turns.threshold >= 0.65 {
                detection.set("START_SENSITIVITY_LOW", at: ["startOfSpeechSensitivity"])
            } else if turns.threshold <= 0.35 {
                detection.set("START_SENSITIVITY_HIGH", at: ["startOfSpeechSensitivity"])
            }
        case .semantic:
            switch turns.eagerness {
            case .low: detection.set("END_SENSITIVITY_LOW", at: ["endOfSpeechSensitivity"])
            case .high: detection.set("END_SENSITIVITY_HIGH", at: ["endOfSpeechSensitivity"])
            case .medium, .auto: break
            }
        }
        var config: JSONValue = ["automaticActivityDetection": detection]
        if !turns.mayInterrupt { config.set("NO_INTERRUPTION", at: ["activityHandling"]) }
        return config
    }

    /// Nil when the tool's parameters are no JSON object.
    func declaration(_ tool: ToolDefinition) -> JSONValue? {
        guard let parameters = JSONValue(json: tool.parameters), parameters.members != nil else { return nil }
        var declaration: JSONValue = [
            "name": .string(tool.name), "description": .string(tool.description), "parametersJsonSchema": parameters,
        ]
        // An answer that comes before the tool's outcome would be a guess, spoken.
        if self.model.isNonBlockingByDefault { declaration.set("BLOCKING", at: ["behavior"]) }
        return declaration
    }

    private func content(_ text: String, role: String? = nil) -> JSONValue {
        var content: JSONValue = .object([])
        // A role that is null or "system" closes the session with 1007 (providers.md §3.5).
        if let role { content.set(.string(role), at: ["role"]) }
        content.set(.array([["text": .string(text)]]), at: ["parts"])
        return content
    }

    // MARK: Text

    /// The conversation so far, once, after `setupComplete` of a new session.
    func history(_ entries: some Sequence<ConversationEntry>) -> JSONValue? {
        var turns: [JSONValue] = []
        for entry in entries where !entry.text.value.isEmpty {
            switch entry.role {
            case .caller: turns.append(self.content(entry.text.value, role: "user"))
            case .agent: turns.append(self.content(entry.text.value, role: "model"))
            case .tool: turns.append(self.content("(A tool was used: " + entry.text.value + ")", role: "user"))
            }
        }
        guard !turns.isEmpty else { return nil }
        // Newer models wait for `turnComplete` to end the history, and answer nothing to it; older ones would answer.
        let isWaitedFor = JSONValue.bool(self.model.takesTextInRealtime)
        return ["clientContent": ["turns": .array(turns), "turnComplete": isWaitedFor]]
    }

    /// Text that is answered.
    func prompt(_ text: String) -> JSONValue {
        if self.model.takesTextInRealtime { return ["realtimeInput": ["text": .string(text)]] }
        return ["clientContent": ["turns": .array([self.content(text, role: "user")]), "turnComplete": true]]
    }

    /// Text that is known from now on and not answered; nil: this model has no way for it in the middle of a call, and
    /// it goes with the next prompt.
    func note(_ text: String, all notes: [String]) -> JSONValue? {
        if self.model.takesContextUpdates {
            // The update replaces the instructions: they are repeated, with all notes so far.
            let whole = ([self.setup.instructions.value] + notes).joined(separator: "\n\n")
            return ["contextUpdate": ["systemInstruction": self.content(whole)]]
        }
        if self.model.takesTextInRealtime { return nil }
        return ["clientContent": ["turns": .array([self.content(text, role: "user")]), "turnComplete": false]]
    }

    /// The configured first words verbatim, or a greeting of the assistant's own making.
    func greeting() -> String {
        if let words = self.setup.greeting { return self.say(words) }
        return "(The call has just been answered. Greet the caller in one or two short sentences, in the language "
            + "\(self.setup.language), and ask how you can help.)"
    }

    /// One sentence, as nearly verbatim as a speech model can.
    func say(_ words: String) -> String {
        "(Read the following text aloud to the caller, word for word, in the language it is written in. Say nothing "
            + "before it and nothing after it, do not translate it, do not answer it.)\n\n" + words
    }

    static let reply = "(The caller is waiting for your answer to what was said last. Please go on.)"

    // MARK: Tools

    /// The outcome of one call. The Developer API requires the id.
    func toolResponse(id: String, name: String, output: String) -> JSONValue {
        let value = JSONValue(json: output)
        let response: JSONValue
        if let error = value?["error"] {
            response = ["error": error]
        } else if let value, value.members != nil {
            response = ["output": value]
        } else {
            response = ["output": .string(output)]
        }
        let answer: JSONValue = ["id": .string(id), "name": .string(name), "response": response]
        return ["toolResponse": ["functionResponses": .array([answer])]]
    }

    static let activityStart: JSONValue = ["realtimeInput": ["activityStart": .object([])]]
    static let activityEnd: JSONValue = ["realtimeInput": ["activityEnd": .object([])]]
    static let audioStreamEnd: JSONValue = ["realtimeInput": ["audioStreamEnd": true]]
}
