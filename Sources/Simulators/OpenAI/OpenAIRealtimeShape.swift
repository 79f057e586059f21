import Assistants
import Telephony

/// What a client event may look like: a description that a message is checked against, strictly, as the real server
/// does (`unknown_parameter`, `missing_required_parameter`, `invalid_type`, `invalid_value`).
indirect enum OpenAIRealtimeShape: Sendable {
    case any
    case text
    case flag
    case whole(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case words(Set<String>)
    case nullable(OpenAIRealtimeShape)
    case list(OpenAIRealtimeShape)
    /// Known members, and which of them must be there.
    case object([String: OpenAIRealtimeShape], required: Set<String> = [])
    /// The first that fits in kind: a word or an object, say.
    case either(OpenAIRealtimeShape, OpenAIRealtimeShape)
    /// An object whose `type` says which.
    case byType([String: OpenAIRealtimeShape])

    /// Why a message was refused.
    struct Refusal: Error, Equatable {
        var code: String
        var message: String
        var parameter: String
    }

    func check(_ value: JSONValue, at path: String) throws(Refusal) {
        switch self {
        case .any: return
        case .text: try self.expect(value.text != nil, "a string", path)
        case .flag: try self.expect(value.flag != nil, "a boolean", path)
        case .whole(let range):
            guard case .integer(let number) = value else { throw .kind("an integer", path) }
            guard range.contains(number) else { throw .value(path) }
        case .number(let range):
            guard let number = value.real else { throw .kind("a number", path) }
            guard range.contains(number) else { throw .value(path) }
        case .words(let allowed):
            guard let word = value.text else { throw .kind("a string", path) }
            guard allowed.contains(word) else { throw .value(path) }
        case .nullable(let shape): if !value.isNull { try shape.check(value, at: path) }
        case .list(let shape):
            guard let elements = value.elements else { throw .kind("an array", path) }
            for (index, element) in elements.enumerated() { try shape.check(element, at: "\(path)[\(index)]") }
        case .object(let known, let required): try self.checkObject(value, known, required, path)
        case .either(let first, let second):
            if (try? first.check(value, at: path)) == nil { try second.check(value, at: path) }
        case .byType(let shapes):
            guard value.members != nil else { throw .kind("an object", path) }
            guard let type = value["type"] else { throw .missing(join(path, "type")) }
            guard let name = type.text, let shape = shapes[name] else { throw .value(join(path, "type")) }
            try shape.check(value, at: path)
        }
    }

    private func expect(_ isRight: Bool, _ kind: String, _ path: String) throws(Refusal) {
        guard isRight else { throw .kind(kind, path) }
    }

    private func checkObject(
        _ value: JSONValue, _ known: [String: OpenAIRealtimeShape], _ required: Set<String>, _ path: String
    ) throws(Refusal) {
        guard let members = value.members else { throw .kind("an object", path) }
        for member in members {
            guard let shape = known[member.name] else { throw .unknown(join(path, member.name)) }
            try shape.check(member.value, at: join(path, member.name))
        }
        for name in required.sorted() where value[name] == nil { throw .missing(join(path, name)) }
    }
}

private func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : path + "." + name }

extension OpenAIRealtimeShape.Refusal {
    static func kind(_ kind: String, _ path: String) -> Self {
        Self(code: "invalid_type", message: "Invalid type for '\(path)': expected \(kind).", parameter: path)
    }
    static func value(_ path: String) -> Self {
        Self(code: "invalid_value", message: "Invalid value for '\(path)'.", parameter: path)
    }
    static func missing(_ path: String) -> Self {
        Self(
            code: "missing_required_parameter", message: "Missing required parameter: '\(path)'.", parameter: path)
    }
    static func unknown(_ path: String) -> Self {
        Self(code: "unknown_parameter", message: "Unknown parameter: '\(path)'.", parameter: path)
    }
}

/// The client events of both dialects (providers.md §1.2, §1.3, §1.9).
enum OpenAIRealtimeShapes {
    typealias Shape = OpenAIRealtimeShape
    typealias Dialect = OpenAIRealtimeConfiguration.Dialect

    /// The shape of a client event; nil: there is no such event.
    static func event(_ type: String, _ dialect: Dialect) -> Shape? { (dialect == .ga ? self.ga : self.beta)[type] }

    private static let ga = events(.ga)
    private static let beta = events(.beta)

    private static func events(_ dialect: Dialect) -> [String: Shape] {
        func event(_ members: [String: Shape] = [:], required: Set<String> = []) -> Shape {
            var all = members
            all["type"] = .text
            all["event_id"] = .nullable(.text)
            return .object(all, required: required)
        }
        return [
            "session.update": event(["session": session(dialect)], required: ["session"]),
            "input_audio_buffer.append": event(["audio": .text], required: ["audio"]),
            "input_audio_buffer.commit": event(),
            "input_audio_buffer.clear": event(),
            "conversation.item.create": event(
                ["item": item(dialect), "previous_item_id": .nullable(.text)], required: ["item"]),
            "conversation.item.retrieve": event(["item_id": .text], required: ["item_id"]),
            "conversation.item.delete": event(["item_id": .text], required: ["item_id"]),
            "conversation.item.truncate": event(
                ["item_id": .text, "content_index": .whole(0...99), "audio_end_ms": .whole(0...Int.max)],
                required: ["item_id", "content_index", "audio_end_ms"]),
            "response.create": event(["response": .nullable(response(dialect))]),
            "response.cancel": event(["response_id": .nullable(.text)]),
        ]
    }

    private static let betaFormat: Shape = .words(["pcm16", "g711_ulaw", "g711_alaw"])
    private static let format: Shape = .byType([
        "audio/pcm": .object(["type": .text, "rate": .whole(24000...24000)]),
        "audio/pcmu": .object(["type": .text]), "audio/pcma": .object(["type": .text]),
    ])
    private static let voice: Shape = .either(.text, .object(["id": .text], required: ["id"]))
    private static let speed: Shape = .number(0.25...1.5)
    private static let tokens: Shape = .either(.whole(1...4096), .words(["inf"]))
    private static let toolChoice: Shape = .either(
        .words(["auto", "none", "required"]),
        .byType([
            "function": .object(["type": .text, "name": .text], required: ["name"]),
            "mcp": .object(
                ["type": .text, "server_label": .text, "name": .nullable(.text)], required: ["server_label"]),
        ]))
    private static let tools: Shape = .list(
        .byType([
            "function": .object(
                ["type": .text, "name": .text, "description": .text, "parameters": .any],
                required: ["name"]),
            "mcp": .any,
        ]))
    private static let noiseReduction: Shape = .nullable(
        .object(["type": .words(["near_field", "far_field"]), "strength": .number(0...1)]))
    private static let transcription: Shape = .nullable(
        .object([
            "model": .text, "language": .text, "languages": .list(.text), "keywords": .list(.text), "prompt": .text,
            "delay": .words(["minimal", "low", "medium", "high", "xhigh"]),
        ]))
    private static let turnDetection: Shape = .nullable(
        .byType([
            "server_vad": .object([
                "type": .text, "threshold": .number(0...1), "prefix_padding_ms": .whole(0...2000),
                "silence_duration_ms": .whole(100...5000), "create_response": .flag, "interrupt_response": .flag,
                "idle_timeout_ms": .nullable(.whole(5000...30000)),
            ]),
            "semantic_vad": .object([
                "type": .text, "eagerness": .words(["low", "medium", "high", "auto"]), "create_response": .flag,
                "interrupt_response": .flag,
            ]),
        ]))

    private static func session(_ dialect: Dialect) -> Shape {
        switch dialect {
        case .ga:
            let input: Shape = .object([
                "format": format, "noise_reduction": noiseReduction, "transcription": transcription,
                "turn_detection": turnDetection,
            ])
            let output: Shape = .object(["format": format, "voice": voice, "speed": speed])
            return .object(
                [
                    "type": .words(["realtime"]), "model": .text, "instructions": .text,
                    "output_modalities": .list(.words(["audio", "text"])), "max_output_tokens": tokens,
                    "tools": tools, "tool_choice": toolChoice, "parallel_tool_calls": .flag,
                    "reasoning": .object(["effort": .text]), "prompt": .nullable(.any), "tracing": .nullable(.any),
                    "truncation": .any, "include": .nullable(.list(.text)),
                    "audio": .object(["input": input, "output": output]),
                ], required: ["type"])
        case .beta:
            return .object([
                "model": .text, "instructions": .text, "modalities": .list(.words(["audio", "text"])),
                "max_response_output_tokens": tokens, "tools": tools, "tool_choice": toolChoice, "voice": .text,
                "speed": speed, "temperature": .number(0.6...1.2), "input_audio_format": betaFormat,
                "output_audio_format": betaFormat, "input_audio_noise_reduction": noiseReduction,
                "input_audio_transcription": transcription, "turn_detection": turnDetection,
                "tracing": .nullable(.any),
            ])
        }
    }

    private static func item(_ dialect: Dialect) -> Shape {
        let own: [String: Shape] = [
            "id": .text, "object": .words(["realtime.item"]), "type": .text,
            "status": .words(["completed", "incomplete", "in_progress"]),
        ]
        func with(_ members: [String: Shape], required: Set<String>) -> Shape {
            .object(own.merging(members) { $1 }, required: required)
        }
        let spoken = dialect == .ga ? ["output_text", "output_audio"] : ["text", "audio"]
        let part: Shape = .object(
            [
                "type": .words(Set(["input_text", "input_audio", "input_image"] + spoken)), "text": .text,
                "audio": .text, "transcript": .text, "image_url": .text, "detail": .text,
            ], required: ["type"])
        return .byType([
            "message": with(
                ["role": .words(["system", "user", "assistant"]), "content": .list(part)],
                required: ["role", "content"]),
            "function_call": with(
                ["call_id": .text, "name": .text, "arguments": .text], required: ["name", "arguments"]),
            "function_call_output": with(["call_id": .text, "output": .text], required: ["call_id", "output"]),
            "item_reference": .object(["type": .text, "id": .text], required: ["id"]),
            "mcp_approval_response": .any,
        ])
    }

    private static func response(_ dialect: Dialect) -> Shape {
        let metadata: Shape = .nullable(.any)
        let shared: [String: Shape] = [
            "conversation": .words(["auto", "none"]), "input": .list(item(dialect)), "instructions": .text,
            "tools": tools, "tool_choice": toolChoice, "metadata": metadata,
        ]
        let own: [String: Shape] =
            dialect == .ga
            ? [
                "output_modalities": .list(.words(["audio", "text"])), "max_output_tokens": tokens,
                "audio": .object(["output": .object(["format": format, "voice": voice])]),
                "prompt": .nullable(.any), "reasoning": .any, "parallel_tool_calls": .flag,
            ]
            : [
                "modalities": .list(.words(["audio", "text"])), "max_response_output_tokens": tokens, "voice": .text,
                "output_audio_format": betaFormat, "temperature": .number(0.6...1.2),
            ]
        return .object(shared.merging(own) { $1 })
    }
}
