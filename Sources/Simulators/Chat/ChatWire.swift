import Assistants
import Telephony

/// The two protocols of text models as the simulator speaks them (providers.md §5): strict in what it takes, so that a
/// request that a real service would refuse is refused here.
enum ChatWire {
    /// What is wrong with a chat-completions request; nil: nothing.
    static func refusal(ofCompletion body: JSONValue) -> String? {
        guard body["model"]?.text?.isEmpty == false else { return "model is missing" }
        guard let messages = body["messages"]?.elements, !messages.isEmpty else { return "messages is empty" }
        var open: Set<String> = []
        for (index, message) in messages.enumerated() {
            guard let role = message["role"]?.text else { return "messages[\(index)].role is missing" }
            if role == "tool" {
                guard let id = message["tool_call_id"]?.text, open.remove(id) != nil else {
                    return "messages[\(index)]: a tool message must answer a preceding tool_call"
                }
                continue
            }
            guard open.isEmpty else { return "messages[\(index)]: tool_calls before it were not answered" }
            guard ["system", "developer", "user", "assistant"].contains(role) else {
                return "messages[\(index)].role is unknown"
            }
            for call in message["tool_calls"]?.elements ?? [] {
                guard let id = call["id"]?.text, !id.isEmpty, call[["function", "name"]]?.text?.isEmpty == false else {
                    return "messages[\(index)].tool_calls: id or name is missing"
                }
                open.insert(id)
            }
            if message["tool_calls"] == nil, message["content"]?.text == nil, message["content"]?.elements == nil {
                return "messages[\(index)].content is missing"
            }
        }
        guard open.isEmpty else { return "the last tool_calls were not answered" }
        for tool in body["tools"]?.elements ?? [] where tool[["function", "name"]]?.text == nil {
            return "tools: function.name is missing"
        }
        return nil
    }

    /// What is wrong with an Anthropic request; nil: nothing.
    static func refusal(ofMessage body: JSONValue) -> String? {
        guard body["model"]?.text?.isEmpty == false else { return "model: Field required" }
        guard body["max_tokens"]?.whole ?? 0 > 0 else { return "max_tokens: Field required" }
        guard let messages = body["messages"]?.elements, let first = messages.first, let last = messages.last else {
            return "messages: Field required"
        }
        guard first["role"] == "user" else { return "messages: first message must use the \"user\" role" }
        guard last["role"] == "user" else { return "messages: prefilling is not supported" }
        var open: Set<String> = []
        for (index, message) in messages.enumerated() {
            let blocks = message["content"]?.elements ?? []
            if !open.isEmpty {
                let ids = Set(blocks.filter { $0["type"] == "tool_result" }.compactMap { $0["tool_use_id"]?.text })
                guard open.isSubset(of: ids) else { return "messages.\(index): tool_use ids without tool_result" }
            }
            open = Set(blocks.filter { $0["type"] == "tool_use" }.compactMap { $0["id"]?.text })
        }
        return nil
    }

    /// Pieces of an answer: its words with the spaces before them.
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        for part in text.split(separator: " ") { words.append(words.isEmpty ? String(part) : " " + part) }
        return words
    }

    private static func chunk(_ model: String, _ delta: JSONValue, finish: String? = nil) -> String {
        let value: JSONValue = [
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": .string(model),
            "choices": [
                ["index": 0, "delta": delta, "finish_reason": finish.map { .string($0) } ?? .null]
            ],
        ]
        return "data: \(value.json)\n\n"
    }

    /// The stream of a completion, in pieces that may be paced.
    static func completion(
        _ answer: ChatScript.Answer, model: String, withUsage: Bool, isGroq: Bool, seed: Int
    ) -> [String] {
        var pieces = [self.chunk(model, ["role": "assistant", "content": ""])]
        pieces += self.words(answer.text).map { self.chunk(model, ["content": .string($0)]) }
        if answer.fault == .cutOff { return Array(pieces.prefix(pieces.count / 2 + 1)) }
        for (index, tool) in answer.tools.enumerated() {
            pieces.append(
                self.chunk(
                    model,
                    [
                        "tool_calls": [
                            [
                                "index": .integer(index), "id": .string("call_\(seed)_\(index)"), "type": "function",
                                "function": ["name": .string(tool.name), "arguments": ""],
                            ]
                        ]
                    ]))
            // In two fragments, as models write.
            let cut = tool.arguments.index(tool.arguments.startIndex, offsetBy: tool.arguments.count / 2)
            for part in [tool.arguments[..<cut], tool.arguments[cut...]] {
                let piece: JSONValue = ["index": .integer(index), "function": ["arguments": .string(String(part))]]
                pieces.append(self.chunk(model, ["tool_calls": .array([piece])]))
            }
        }
        pieces.append(self.chunk(model, .object([]), finish: answer.tools.isEmpty ? "stop" : "tool_calls"))
        let usage: JSONValue = [
            "prompt_tokens": 20, "completion_tokens": .integer(answer.text.count / 4 + 1),
            "total_tokens": .integer(answer.text.count / 4 + 21),
        ]
        if isGroq {
            let last: JSONValue = [
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": .string(model),
                "choices": [["index": 0, "delta": .object([]), "finish_reason": .null]],
                "x_groq": ["id": "req_1", "usage": usage],
            ]
            pieces.append("data: \(last.json)\n\n")
        } else if withUsage {
            let last: JSONValue = [
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": .string(model),
                "choices": [], "usage": usage,
            ]
            pieces.append("data: \(last.json)\n\n")
        }
        return pieces + ["data: [DONE]\n\n"]
    }

    /// A completion that is not streamed.
    static func whole(_ answer: ChatScript.Answer, model: String, seed: Int) -> JSONValue {
        var message: JSONValue = ["role": "assistant", "content": .string(answer.text)]
        if !answer.tools.isEmpty {
            let calls = answer.tools.enumerated().map { index, tool -> JSONValue in
                [
                    "id": .string("call_\(seed)_\(index)"), "type": "function",
                    "function": ["name": .string(tool.name), "arguments": .string(tool.arguments)],
                ]
            }
            message.set(.array(calls), at: ["tool_calls"])
        }
        return [
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": .string(model),
            "choices": [
                [
                    "index": 0, "message": message, "finish_reason": answer.tools.isEmpty ? "stop" : "tool_calls",
                ]
            ], "usage": ["prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25],
        ]
    }

    private static func event(_ name: String, _ value: JSONValue) -> String {
        "event: \(name)\ndata: \(value.json)\n\n"
    }

    /// The stream of an Anthropic message.
    static func message(_ answer: ChatScript.Answer, model: String, seed: Int) -> [String] {
        let head: JSONValue = [
            "id": "msg_1", "type": "message", "role": "assistant", "model": .string(model), "content": [],
            "stop_reason": .null, "stop_sequence": .null, "usage": ["input_tokens": 20, "output_tokens": 1],
        ]
        var pieces = [self.event("message_start", ["type": "message_start", "message": head])]
        var index = 0
        if !answer.text.isEmpty {
            pieces.append(
                self.event(
                    "content_block_start",
                    ["type": "content_block_start", "index": 0, "content_block": ["type": "text", "text": ""]]))
            pieces.append(self.event("ping", ["type": "ping"]))
            for word in self.words(answer.text) {
                let delta: JSONValue = ["type": "text_delta", "text": .string(word)]
                pieces.append(
                    self.event("content_block_delta", ["type": "content_block_delta", "index": 0, "delta": delta]))
            }
            if answer.fault == .cutOff { return Array(pieces.prefix(pieces.count / 2 + 1)) }
            pieces.append(self.event("content_block_stop", ["type": "content_block_stop", "index": 0]))
            index = 1
        }
        for (number, tool) in answer.tools.enumerated() {
            let block: JSONValue = [
                "type": "tool_use", "id": .string("toolu_\(seed)_\(number)"), "name": .string(tool.name),
                "input": .object([]),
            ]
            pieces.append(
                self.event(
                    "content_block_start",
                    ["type": "content_block_start", "index": .integer(index), "content_block": block]))
            let delta: JSONValue = ["type": "input_json_delta", "partial_json": .string(tool.arguments)]
            pieces.append(
                self.event(
                    "content_block_delta", ["type": "content_block_delta", "index": .integer(index), "delta": delta]))
            pieces.append(
                self.event("content_block_stop", ["type": "content_block_stop", "index": .integer(index)]))
            index += 1
        }
        let reason: JSONValue = .string(answer.tools.isEmpty ? "end_turn" : "tool_use")
        pieces.append(
            self.event(
                "message_delta",
                [
                    "type": "message_delta", "delta": ["stop_reason": reason, "stop_sequence": .null],
                    "usage": ["output_tokens": 9],
                ]))
        return pieces + [self.event("message_stop", ["type": "message_stop"])]
    }
}
