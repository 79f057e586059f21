import Telephony

/// The client events as JSON, in either dialect. Values in, values out.
struct OpenAIRealtimeMessages: Sendable {
    let configuration: OpenAIRealtimeConfiguration
    let setup: AssistantSetup

    private var dialect: OpenAIRealtimeConfiguration.Dialect { self.configuration.dialect }

    /// A part of the session and where each dialect has it: the whole difference between the two (providers.md §1.9).
    enum Field: CaseIterable {
        case modalities, maximumTokens, inputFormat, outputFormat, voice, speed, transcription, noiseReduction
        case turnDetection

        func path(_ dialect: OpenAIRealtimeConfiguration.Dialect) -> [String] {
            switch (self, dialect) {
            case (.modalities, .ga): ["output_modalities"]
            case (.modalities, .beta): ["modalities"]
            case (.maximumTokens, .ga): ["max_output_tokens"]
            case (.maximumTokens, .beta): ["max_response_output_tokens"]
            case (.inputFormat, .ga): ["audio", "input", "format"]
            case (.inputFormat, .beta): ["input_audio_format"]
            case (.noiseReduction, .ga): ["audio", "input", "noise_reduction"]
            case (.noiseReduction, .beta): ["input_audio_noise_reduction"]
            case (.transcription, .ga): ["audio", "input", "transcription"]
            case (.transcription, .beta): ["input_audio_transcription"]
            case (.turnDetection, .ga): ["audio", "input", "turn_detection"]
            case (.turnDetection, .beta): ["turn_detection"]
            case (.outputFormat, .ga): ["audio", "output", "format"]
            case (.outputFormat, .beta): ["output_audio_format"]
            case (.voice, .ga): ["audio", "output", "voice"]
            case (.voice, .beta): ["voice"]
            case (.speed, .ga): ["audio", "output", "speed"]
            case (.speed, .beta): ["speed"]
            }
        }
    }

    /// A format's name. OpenAI takes and makes three: PCM at 24 kHz, µ-law and A-law at 8 kHz.
    static func name(
        of format: AudioFormat, _ dialect: OpenAIRealtimeConfiguration.Dialect
    ) -> JSONValue {
        switch (format.encoding, dialect) {
        case (.l16, .ga): ["type": "audio/pcm", "rate": 24000]
        // No `rate` on G.711 here (the Live API is the one that wants it).
        case (.pcmu, .ga): ["type": "audio/pcmu"]
        case (.pcma, .ga): ["type": "audio/pcma"]
        case (.l16, .beta): "pcm16"
        case (.pcmu, .beta): "g711_ulaw"
        case (.pcma, .beta): "g711_alaw"
        }
    }

    func sessionUpdate(input: AudioFormat, output: AudioFormat, eventID: String) -> JSONValue {
        var session: JSONValue = .object([])
        if self.dialect == .ga { session.set("realtime", at: ["type"]) }
        session.set(.string(self.setup.instructions.value), at: ["instructions"])
        // GA makes audio with its transcript, or text; never both by name.
        let modalities: JSONValue = self.dialect == .ga ? ["audio"] : ["audio", "text"]
        self.put(modalities, .modalities, &session)
        if let tokens = self.configuration.maximumOutputTokens { self.put(.integer(tokens), .maximumTokens, &session) }
        let tools: [JSONValue] = self.setup.tools.compactMap(OpenAIRealtimeMessages.tool)
        session.set(.array(tools), at: ["tools"])
        session.set("auto", at: ["tool_choice"])
        self.put(OpenAIRealtimeMessages.name(of: input, self.dialect), .inputFormat, &session)
        if self.configuration.noiseReduction != .off {
            let reduction: JSONValue = ["type": .string(self.configuration.noiseReduction.rawValue)]
            self.put(reduction, .noiseReduction, &session)
        }
        if let transcription = self.configuration.transcription {
            self.put(self.transcription(transcription), .transcription, &session)
        }
        self.put(self.turnDetection(), .turnDetection, &session)
        self.put(OpenAIRealtimeMessages.name(of: output, self.dialect), .outputFormat, &session)
        let fallback = self.dialect == .ga ? "marin" : "alloy"
        self.put(.string(self.setup.voice ?? self.configuration.voice ?? fallback), .voice, &session)
        if self.configuration.speed != 1 { self.put(.number(self.configuration.speed), .speed, &session) }
        return ["type": "session.update", "event_id": .string(eventID), "session": session]
    }

    private func put(_ value: JSONValue, _ field: Field, _ session: inout JSONValue) {
        session.set(value, at: field.path(self.dialect))
    }

    /// The model that writes down what the caller says.
    var transcriptionModel: String {
        self.configuration.transcription?.model ?? (self.dialect == .ga ? "gpt-transcribe" : "whisper-1")
    }

    private func transcription(_ wanted: OpenAIRealtimeConfiguration.Transcription) -> JSONValue {
        var value: JSONValue = ["model": .string(self.transcriptionModel)]
        let language = wanted.language ?? String(self.setup.language.prefix { $0 != "-" && $0 != "_" }).lowercased()
        if !language.isEmpty { value.set(.string(language), at: ["language"]) }
        if let prompt = wanted.prompt { value.set(.string(prompt), at: ["prompt"]) }
        return value
    }

    private func turnDetection() -> JSONValue {
        let turns = self.setup.turns
        // Both must be off when we drive: `create_response` alone would leave the server cancelling by itself.
        let byServer = JSONValue.bool(!turns.drivenByUs)
        switch turns.kind {
        case .none: return .null
        case .server:
            return [
                "type": "server_vad", "threshold": .number(turns.threshold),
                "prefix_padding_ms": .integer(turns.prefixPadding.milliseconds),
                "silence_duration_ms": .integer(turns.silence.milliseconds),
                "create_response": byServer, "interrupt_response": byServer,
            ]
        case .semantic:
            return [
                "type": "semantic_vad", "eagerness": .string(turns.eagerness.rawValue),
                "create_response": byServer, "interrupt_response": byServer,
            ]
        }
    }

    /// Nil when the tool's parameters are no JSON object.
    static func tool(_ tool: ToolDefinition) -> JSONValue? {
        guard let parameters = JSONValue(json: tool.parameters), parameters.members != nil else { return nil }
        return [
            "type": "function", "name": .string(tool.name), "description": .string(tool.description),
            "parameters": parameters,
        ]
    }

    /// A text item of the conversation. Assistant *audio* cannot be created by a client.
    func item(role: String, text: String, eventID: String) -> JSONValue {
        let kind: String
        switch (role, self.dialect) {
        case ("assistant", .ga): kind = "output_text"
        case ("assistant", .beta): kind = "text"
        default: kind = "input_text"
        }
        let content: JSONValue = ["type": .string(kind), "text": .string(text)]
        let item: JSONValue = ["type": "message", "role": .string(role), "content": .array([content])]
        return ["type": "conversation.item.create", "event_id": .string(eventID), "item": item]
    }

    func toolOutput(callID: String, output: String, eventID: String) -> JSONValue {
        let item: JSONValue = [
            "type": "function_call_output", "call_id": .string(callID), "output": .string(output),
        ]
        return ["type": "conversation.item.create", "event_id": .string(eventID), "item": item]
    }

    /// A reply from the conversation as it stands.
    func reply(eventID: String) -> JSONValue { ["type": "response.create", "event_id": .string(eventID)] }

    /// The configured first words verbatim, or a greeting of the assistant's own making.
    func greeting(eventID: String) -> JSONValue {
        if let words = self.setup.greeting { return self.say(words, eventID: eventID) }
        // A response's instructions replace the session's: the persona is repeated, or the greeting would lack it.
        let instructions =
            self.setup.instructions.value
            + "\n\nThe call has just been answered. Greet the caller in one or two short sentences, in the language "
            + "\(self.setup.language), and ask how you can help."
        let response: JSONValue = ["instructions": .string(instructions)]
        return ["type": "response.create", "event_id": .string(eventID), "response": response]
    }

    /// One sentence, as nearly verbatim as a speech model can.
    ///
    /// `input: []` hides the conversation, so that nothing invites the model to answer instead of reading out;
    /// `conversation` stays at its default `auto`, so that the sentence is in the history of what was said, and can be
    /// truncated like any other item. No tools, or "say that you are transferring" could transfer.
    func say(_ words: String, eventID: String) -> JSONValue {
        let instructions =
            "Read the following text aloud, word for word, in the language it is written in. Say nothing before it and "
            + "nothing after it, do not translate it, do not answer it.\n\n" + words
        let response: JSONValue = [
            "instructions": .string(instructions), "input": .array([]), "tool_choice": "none",
        ]
        return ["type": "response.create", "event_id": .string(eventID), "response": response]
    }

    func cancel(responseID: String, eventID: String) -> JSONValue {
        var value: JSONValue = ["type": "response.cancel", "event_id": .string(eventID)]
        if !responseID.isEmpty { value.set(.string(responseID), at: ["response_id"]) }
        return value
    }

    func truncate(itemID: String, contentIndex: Int, milliseconds: Int, eventID: String) -> JSONValue {
        [
            "type": "conversation.item.truncate", "event_id": .string(eventID), "item_id": .string(itemID),
            "content_index": .integer(contentIndex), "audio_end_ms": .integer(milliseconds),
        ]
    }

    func plain(_ type: String, eventID: String) -> JSONValue { ["type": .string(type), "event_id": .string(eventID)] }
}
