import Telephony

/// Makes a writer's requests: OpenAI's chat completions (Groq, Ollama, vLLM and the like) and Anthropic's messages.
/// Wire facts: providers.md §5.
struct ChatRequest {
    let configuration: WriterConfiguration
    let setup: AssistantSetup
    let memory: ChatMemory
    /// Told besides the memory, for this request only ("greet the caller").
    var task: String?
    /// A model that keeps calling tools is made to speak.
    var mayUseTools = true
    var timeout: Duration = .seconds(60)

    func target() throws(SpeechPipelineError) -> HTTPTarget {
        let address = try StageAddress(self.configuration.baseURL)
        var headers: [(name: String, value: String)] = [("Content-Type", "application/json")]
        headers.append(("Accept", "text/event-stream"))
        let isAnthropic = self.configuration.service == .anthropic
        if let key = self.configuration.key {
            headers.append(
                isAnthropic && self.configuration.usesKeyHeader
                    ? ("x-api-key", key.value) : ("Authorization", "Bearer " + key.value))
        }
        var body: [UInt8] = []
        let url: String
        if isAnthropic {
            headers.append(("anthropic-version", self.configuration.anthropicVersion))
            self.messagesBody.write(into: &body)
            url = address.http("/v1/messages")
        } else {
            self.completionsBody.write(into: &body)
            url = address.http("/chat/completions")
        }
        return HTTPTarget(method: "POST", url: url, headers: headers, body: body, timeout: self.timeout)
    }

    /// The persona, and what every voice on a telephone has to know.
    private var system: String {
        self.setup.instructions.value + "\n\nYou are speaking on the telephone in the language \(self.setup.language). "
            + "Answer in short spoken sentences, without lists, headings, links or emoji. Write numbers as they are said. "
            + "An answer of yours that ends with … was interrupted there: the caller did not hear the rest."
    }

    // MARK: Chat completions

    private var completionsBody: JSONValue {
        var messages: [JSONValue] = [["role": "system", "content": .string(self.system)]]
        for entry in self.memory.recent { Self.append(entry, to: &messages) }
        if let task = self.task { messages.append(["role": "system", "content": .string(task)]) }
        var body: [JSONValue.Member] = [
            .init("model", .string(self.configuration.model)), .init("messages", .array(messages)),
            .init("stream", true),
        ]
        // OpenAI has renamed it, Groq follows, the others still have the old name only.
        let limit = self.configuration.service == .compatible ? "max_tokens" : "max_completion_tokens"
        body.append(.init(limit, .integer(self.configuration.maximumTokens)))
        // Groq has no such option and reports usage by itself (`x_groq`).
        if self.configuration.service != .groq {
            body.append(.init("stream_options", ["include_usage": true]))
        }
        // A caller waits: these models think before they speak, and would think long.
        if self.configuration.service == .groq, self.configuration.model.contains("gpt-oss") {
            body.append(.init("reasoning_effort", "low"))
        }
        if let temperature = self.configuration.temperature { body.append(.init("temperature", .number(temperature))) }
        if !self.setup.tools.isEmpty {
            let tools = self.setup.tools.map { tool -> JSONValue in
                [
                    "type": "function",
                    "function": [
                        "name": .string(tool.name), "description": .string(tool.description),
                        "parameters": JSONValue(json: tool.parameters) ?? ["type": "object"],
                    ],
                ]
            }
            body.append(.init("tools", .array(tools)))
            if !self.mayUseTools { body.append(.init("tool_choice", "none")) }
        }
        return .object(body)
    }

    private static func append(_ entry: ChatMemory.Entry, to messages: inout [JSONValue]) {
        switch entry {
        case .caller(let text): messages.append(["role": "user", "content": .string(text)])
        case .note(let text): messages.append(["role": "system", "content": .string(text)])
        case .agent(let text, _, let tools):
            var message: [JSONValue.Member] = [
                .init("role", "assistant"), .init("content", text.isEmpty && !tools.isEmpty ? .null : .string(text)),
            ]
            if !tools.isEmpty {
                let calls = tools.map { tool -> JSONValue in
                    [
                        "id": .string(tool.id), "type": "function",
                        "function": ["name": .string(tool.name), "arguments": .string(tool.arguments)],
                    ]
                }
                message.append(.init("tool_calls", .array(calls)))
            }
            messages.append(.object(message))
            for tool in tools {
                messages.append([
                    "role": "tool", "tool_call_id": .string(tool.id), "content": .string(tool.result ?? Self.noResult),
                ])
            }
        }
    }

    /// Every call must have a result, also one that the caller's next words overtook.
    private static let noResult = "{\"status\":\"no result yet\"}"

    // MARK: Anthropic's messages

    private var messagesBody: JSONValue {
        var messages: [JSONValue] = []
        // The first message must be the user's.
        if case .agent? = self.memory.recent.first { messages.append(Self.user("(The call begins.)")) }
        for entry in self.memory.recent { Self.appendBlocks(entry, to: &messages) }
        if let task = self.task {
            messages.append(Self.user("(\(task))"))
        } else if messages.last?["role"] != "user" {
            // A last message of the assistant's own would be continued, or is refused.
            messages.append(Self.user("(The caller waits for your answer.)"))
        }
        var body: [JSONValue.Member] = [
            .init("model", .string(self.configuration.model)),
            .init("max_tokens", .integer(self.configuration.maximumTokens)), .init("system", .string(self.system)),
            .init("messages", .array(messages)), .init("stream", true),
        ]
        if !self.setup.tools.isEmpty {
            let tools = self.setup.tools.map { tool -> JSONValue in
                [
                    "name": .string(tool.name), "description": .string(tool.description),
                    "input_schema": JSONValue(json: tool.parameters) ?? ["type": "object"],
                ]
            }
            body.append(.init("tools", .array(tools)))
            if !self.mayUseTools { body.append(.init("tool_choice", ["type": "none"])) }
        }
        return .object(body)
    }

    private static func user(_ text: String) -> JSONValue { ["role": "user", "content": .string(text)] }

    private static func appendBlocks(_ entry: ChatMemory.Entry, to messages: inout [JSONValue]) {
        switch entry {
        case .caller(let text): messages.append(Self.user(text))
        case .note(let text): messages.append(Self.user("(\(text))"))
        case .agent(let text, _, let tools):
            var blocks: [JSONValue] = []
            if !text.isEmpty { blocks.append(["type": "text", "text": .string(text)]) }
            for tool in tools {
                blocks.append([
                    "type": "tool_use", "id": .string(tool.id), "name": .string(tool.name),
                    "input": JSONValue(json: tool.arguments).flatMap { $0.members == nil ? nil : $0 } ?? .object([]),
                ])
            }
            guard !blocks.isEmpty else { return }
            messages.append(["role": "assistant", "content": .array(blocks)])
            guard !tools.isEmpty else { return }
            let results = tools.map { tool -> JSONValue in
                [
                    "type": "tool_result", "tool_use_id": .string(tool.id),
                    "content": .string(tool.result ?? Self.noResult),
                ]
            }
            messages.append(["role": "user", "content": .array(results)])
        }
    }
}
