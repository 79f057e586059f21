import Telephony

/// Reads a writer's answer as it streams in (providers.md §5), in either protocol.
///
/// Lenient where servers differ: no `[DONE]`, no usage, `content: null`, tool calls without id or index, a name repeated
/// in every fragment, an answer that is not streamed at all. Reasoning is not spoken.
struct ChatAnswer: Sendable {
    enum Event: Sendable, Equatable {
        case text(String)
        case usage(AssistantUsage)
        /// Complete. `reason` is nil unless a limit cut it short.
        case finished(tools: [ChatMemory.ToolUse], incomplete: String?)
        case failed(AssistantFailure)
    }

    private struct Fragment: Sendable {
        var index: Int
        var id = ""
        var name = ""
        var arguments = ""
    }

    /// A refusal's text, or an answer that is not streamed.
    private static let bodyLimit = 1024 * 1024
    private static let argumentsLimit = 256 * 1024
    private static let toolLimit = 32

    private let isAnthropic: Bool
    private var status = 0
    private var isStream = true
    private var stream = ServerSentEvents()
    private var body: [UInt8] = []
    private var fragments: [Fragment] = []
    private var stopReason: String?
    private var usage = AssistantUsage()
    private var isOver = false
    /// Text or a tool came: a second attempt would say it twice.
    private(set) var hasBegun = false

    init(_ service: WriterConfiguration.Service) { self.isAnthropic = service == .anthropic }

    mutating func head(status: Int, headers: [(name: String, value: String)]) {
        self.status = status
        let type = headers.first { $0.name.lowercased() == "content-type" }?.value.lowercased() ?? ""
        self.isStream = status == 200 && !type.hasPrefix("application/json")
    }

    mutating func bytes(_ bytes: UnsafeRawBufferPointer) -> [Event] {
        guard !self.isOver else { return [] }
        guard self.isStream else {
            if self.body.count + bytes.count <= Self.bodyLimit { self.body.append(contentsOf: bytes) }
            return []
        }
        do throws(ServerSentEvents.TooLong) {
            return self.read(try self.stream.feed(bytes))
        } catch {
            return self.fail(AssistantFailure("writer-overflow", .failOver))
        }
    }

    /// The exchange is over.
    mutating func ended(_ end: ChannelEnd) -> [Event] {
        guard !self.isOver else { return [] }
        guard case .finished = end else { return self.fail(StageVerdicts.ofEnd(end, .writer)) }
        guard self.status == 200 else { return self.fail(StageVerdicts.ofBody(self.status, self.body, .writer)) }
        guard self.isStream else { return self.readWhole() }
        var events = self.read(self.stream.finish())
        if !self.isOver {
            // Without `[DONE]`. A stream that broke off before its reason has lost something.
            if self.stopReason != nil {
                events += self.finish()
            } else {
                events += self.fail(AssistantFailure("writer-cut-off", .retry))
            }
        }
        return events
    }

    private mutating func read(_ events: [ServerSentEvents.Event]) -> [Event] {
        var result: [Event] = []
        for event in events where !self.isOver {
            if event.data.elementsEqual("[DONE]".utf8) {
                result += self.finish()
                continue
            }
            let scanned = event.data.withUnsafeBytes { bytes in (try? JSONScan(bytes)).map { JSONValue($0) } }
            guard let value = scanned else {
                result += self.fail(AssistantFailure("writer-garbled", .retry))
                break
            }
            if event.name == "error" || value["error"].map({ !$0.isNull }) ?? false {
                let code = StageVerdicts.errorCode(in: value)
                let detail = value[["error", "message"]]?.text ?? ""
                let known = code.flatMap { StageVerdicts.ofCode($0, detail: detail, .writer) }
                result += self.fail(known ?? AssistantFailure("writer-error", .retry, detail: detail))
            } else if self.isAnthropic {
                result += self.anthropic(value)
            } else {
                result += self.chunk(value)
            }
        }
        return result
    }

    // MARK: Chat completions

    private mutating func chunk(_ value: JSONValue) -> [Event] {
        var events: [Event] = []
        if let failure = value[["x_groq", "error"]]?.text {
            return self.fail(AssistantFailure("writer-error", .retry, detail: failure))
        }
        for usage in [value["usage"], value[["x_groq", "usage"]]] { if let usage { self.count(usage) } }
        guard let choice = value["choices"]?.elements?.first else { return events }
        if let text = choice[["delta", "content"]]?.text, !text.isEmpty {
            self.hasBegun = true
            events.append(.text(text))
        }
        for call in choice[["delta", "tool_calls"]]?.elements ?? [] { self.add(call) }
        if let reason = choice["finish_reason"]?.text, !reason.isEmpty { self.stopReason = reason }
        return events
    }

    private mutating func add(_ call: JSONValue) {
        self.hasBegun = true
        // Servers that send whole calls leave the index out, or have 0 in each: a new id then means a new call.
        let index = call["index"]?.whole ?? 0
        let id = call["id"]?.text ?? ""
        let name = call[["function", "name"]]?.text ?? ""
        let found = self.fragments.lastIndex { $0.index == index && (id.isEmpty || $0.id.isEmpty || $0.id == id) }
        let isNew = found == nil || (call["index"] == nil && !name.isEmpty && id.isEmpty)
        guard !isNew || self.fragments.count < Self.toolLimit else { return }
        if isNew { self.fragments.append(Fragment(index: index)) }
        let place = isNew ? self.fragments.count - 1 : found ?? 0
        if self.fragments[place].id.isEmpty { self.fragments[place].id = id }
        if self.fragments[place].name.isEmpty { self.fragments[place].name = name }
        // Ollama has been seen to send an object where a string belongs.
        let piece: String
        switch call[["function", "arguments"]] {
        case .string(let text)?: piece = text
        case .object(let members)?: piece = JSONValue.object(members).json
        default: piece = ""
        }
        self.append(piece, at: place)
    }

    private mutating func append(_ arguments: String, at place: Int) {
        guard self.fragments[place].arguments.utf8.count + arguments.utf8.count <= Self.argumentsLimit else { return }
        self.fragments[place].arguments += arguments
    }

    /// A server that does not stream.
    private mutating func readWhole() -> [Event] {
        guard let value = JSONValue(json: String(decoding: self.body, as: UTF8.self)) else {
            return self.fail(AssistantFailure("writer-garbled", .retry))
        }
        var events: [Event] = []
        if self.isAnthropic {
            for (index, block) in (value["content"]?.elements ?? []).enumerated() {
                if let text = block["text"]?.text { events.append(.text(text)) }
                if block["type"] == "tool_use" {
                    self.fragments.append(
                        Fragment(
                            index: index, id: block["id"]?.text ?? "", name: block["name"]?.text ?? "",
                            arguments: (block["input"] ?? .object([])).json))
                }
            }
            self.stopReason = value["stop_reason"]?.text
        } else {
            let choice = value["choices"]?.elements?.first
            if let text = choice?[["message", "content"]]?.text, !text.isEmpty { events.append(.text(text)) }
            for call in choice?[["message", "tool_calls"]]?.elements ?? [] { self.add(call) }
            self.stopReason = choice?["finish_reason"]?.text
        }
        if let usage = value["usage"] { self.count(usage) }
        return events + self.finish()
    }

    // MARK: Anthropic

    private mutating func anthropic(_ value: JSONValue) -> [Event] {
        switch value["type"]?.text {
        case "message_start": if let usage = value[["message", "usage"]] { self.count(usage) }
        case "content_block_start":
            guard value[["content_block", "type"]] == "tool_use", self.fragments.count < Self.toolLimit else { break }
            self.hasBegun = true
            self.fragments.append(
                Fragment(
                    index: value["index"]?.whole ?? 0, id: value[["content_block", "id"]]?.text ?? "",
                    name: value[["content_block", "name"]]?.text ?? ""))
        case "content_block_delta":
            if let text = value[["delta", "text"]]?.text, value[["delta", "type"]] == "text_delta", !text.isEmpty {
                self.hasBegun = true
                return [.text(text)]
            }
            let index = value["index"]?.whole ?? 0
            if let json = value[["delta", "partial_json"]]?.text,
                let place = self.fragments.lastIndex(where: { $0.index == index })
            {
                self.append(json, at: place)
            }
        case "message_delta":
            self.stopReason = value[["delta", "stop_reason"]]?.text ?? self.stopReason
            if let usage = value["usage"] { self.count(usage) }
        case "message_stop": return self.finish()
        default: break
        }
        return []
    }

    // MARK: The end

    /// Both protocols' names. What comes later is cumulative and replaces.
    private mutating func count(_ usage: JSONValue) {
        if let tokens = AssistantUsage.count(usage["prompt_tokens"] ?? usage["input_tokens"]) {
            self.usage.inputTextTokens = tokens
        }
        if let tokens = AssistantUsage.count(usage["completion_tokens"] ?? usage["output_tokens"]) {
            self.usage.outputTextTokens = tokens
        }
        let cached = usage[["prompt_tokens_details", "cached_tokens"]] ?? usage["cache_read_input_tokens"]
        if let tokens = AssistantUsage.count(cached) {
            self.usage.cachedTextTokens = tokens
            // Anthropic counts kept tokens beside the others, OpenAI among them.
            if usage["cache_read_input_tokens"] != nil, let read = AssistantUsage.count(usage["input_tokens"]) {
                self.usage.inputTextTokens = AssistantUsage.sum(read, tokens)
            }
        }
    }

    private mutating func finish() -> [Event] {
        self.isOver = true
        var events: [Event] = []
        if self.usage != AssistantUsage() { events.append(.usage(self.usage)) }
        let tools = self.fragments.filter { !$0.name.isEmpty }.map { fragment in
            ChatMemory.ToolUse(
                id: fragment.id, name: fragment.name, arguments: fragment.arguments.isEmpty ? "{}" : fragment.arguments)
        }
        let limits: Set<String> = [
            "length", "max_tokens", "content_filter", "refusal", "model_context_window_exceeded",
        ]
        let incomplete = self.stopReason.flatMap { limits.contains($0) ? $0 : nil }
        // Arguments that a limit cut in the middle are no call.
        events.append(.finished(tools: incomplete == nil ? tools : [], incomplete: incomplete))
        return events
    }

    private mutating func fail(_ failure: AssistantFailure) -> [Event] {
        self.isOver = true
        return [.failed(failure)]
    }
}
