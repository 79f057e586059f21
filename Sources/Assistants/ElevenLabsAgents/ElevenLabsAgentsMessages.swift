import Telephony

/// The client's messages (providers.md §2.3). Values in, values out.
struct ElevenLabsAgentsMessages: Sendable {
    let configuration: ElevenLabsAgentsConfiguration
    let setup: AssistantSetup

    /// The first message: what of the agent is replaced for this call.
    func initiation() -> JSONValue {
        var message: JSONValue = ["type": "conversation_initiation_client_data"]
        let overrides = self.configuration.overrides
        var config: JSONValue = .object([])
        if overrides.contains(.prompt) {
            config.set(.string(self.setup.instructions.value), at: ["agent", "prompt", "prompt"])
        }
        if overrides.contains(.firstMessage) {
            // Empty: the agent waits. One that takes over in the middle of a call has been greeted for.
            if !self.setup.history.isEmpty {
                config.set("", at: ["agent", "first_message"])
            } else if let greeting = self.setup.greeting {
                config.set(.string(greeting), at: ["agent", "first_message"])
            }
        }
        if overrides.contains(.language) { config.set(.string(self.language), at: ["agent", "language"]) }
        if overrides.contains(.voice), let voice = self.setup.voice ?? self.configuration.voice {
            config.set(.string(voice), at: ["tts", "voice_id"])
        }
        message.set(config, at: ["conversation_config_override"])
        var variables: JSONValue = .object([])
        if overrides.contains(.variables) {
            variables.set(.string(self.setup.instructions.value), at: ["instructions"])
            variables.set(.string(self.setup.greeting ?? ""), at: ["greeting"])
            variables.set(.string(self.setup.language), at: ["language"])
        }
        message.set(variables, at: ["dynamic_variables"])
        message.set("pronto", at: ["source_info", "source"])
        return message
    }

    /// ISO 639-1 with the region where the service tells them apart (`pt-br`).
    private var language: String {
        let lowered = self.setup.language.lowercased().replacing("_", with: "-")
        return lowered == "pt-br" ? lowered : String(lowered.prefix { $0 != "-" })
    }

    /// The conversation so far, for an agent that takes over.
    func history(_ entries: some Sequence<ConversationEntry>) -> String? {
        let lines = entries.filter { !$0.text.value.isEmpty }.map { entry in
            switch entry.role {
            case .caller: "Caller: " + entry.text.value
            case .agent: "You: " + entry.text.value
            case .tool: "(A tool was used: " + entry.text.value + ")"
            }
        }
        guard !lines.isEmpty else { return nil }
        return "The call has been going on for a while. Do not greet again; go on from here.\n"
            + lines.joined(separator: "\n")
    }

    /// Known from now on, and not answered.
    func context(_ text: String) -> JSONValue { ["type": "contextual_update", "text": .string(text)] }

    /// As if the caller had said it: it is answered.
    func prompt(_ text: String) -> JSONValue { ["type": "user_message", "text": .string(text)] }

    func pong(_ id: Int) -> JSONValue { ["type": "pong", "event_id": .integer(id)] }

    func toolResult(id: String, output: String) -> JSONValue {
        // What a tool could not do is told as JSON with an `error`.
        let isError = JSONValue(json: output)?["error"] != nil
        return [
            "type": "client_tool_result", "tool_call_id": .string(id), "result": .string(output),
            "is_error": .bool(isError),
        ]
    }

    /// One sentence, as nearly verbatim as an agent can.
    static func say(_ words: String) -> String {
        "(Read the following text aloud to the caller, word for word. Say nothing before it and nothing after it, do "
            + "not answer it.)\n\n" + words
    }
    static let greeting = "(The call has just been answered. Greet the caller in one or two short sentences.)"
    static let reply = "(The caller is waiting for your answer to what was said last. Please go on.)"
}
