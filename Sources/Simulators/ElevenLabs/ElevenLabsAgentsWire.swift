import Assistants
import Telephony

/// What a client of an ElevenLabs agent may write (providers.md §2.3).
enum ElevenLabsAgentsWire {
    /// By the message's `type`; audio has none.
    static let messages: [String: WireShape] = [
        "conversation_initiation_client_data": initiation,
        "pong": .object(["type": .text, "event_id": id], required: ["event_id"]),
        "client_tool_result": .object(
            ["type": .text, "tool_call_id": .text, "result": .any, "is_error": .flag],
            required: ["tool_call_id", "result", "is_error"]),
        "contextual_update": .object(["type": .text, "text": .text, "context_id": .text], required: ["text"]),
        "user_message": .object(["type": .text, "text": .nullable(.text), "rich_content_id": .text]),
        "user_activity": .object(["type": .text]),
        "feedback": .object(
            ["type": .text, "event_id": id, "score": .nullable(.words(["like", "dislike"]))],
            required: ["event_id", "score"]),
        "mcp_tool_approval_result": .object(
            ["type": .text, "tool_call_id": .text, "is_approved": .flag], required: ["tool_call_id", "is_approved"]),
        "multimodal_message": .object(["type": .text, "text": .any, "file": .any, "files": .list(.any)]),
    ]

    static let audio: WireShape = .object(["user_audio_chunk": .text], required: ["user_audio_chunk"])

    private static let id: WireShape = .whole(0...Int.max)

    private static let initiation: WireShape = .object([
        "type": .text,
        "conversation_config_override": .object([
            "agent": .object([
                "first_message": .text, "language": .text, "max_conversation_duration_message": .text,
                "prompt": .object([
                    "prompt": .text, "llm": .text, "tool_ids": .list(.text), "knowledge_base": .any,
                    "native_mcp_server_ids": .list(.text), "reasoning_effort": .text,
                ]),
            ]),
            "tts": .object([
                "voice_id": .text, "model_id": .text, "stability": .number(0...1), "speed": .number(0.5...2),
                "similarity_boost": .number(0...1),
            ]),
            "asr": .object(["keywords": .list(.text)]), "turn": .any,
            "conversation": .object([
                "text_only": .flag, "max_duration_seconds": .whole(1...86_400), "client_events": .list(.text),
            ]),
        ]),
        "dynamic_variables": .any, "custom_llm_extra_body": .any, "user_id": .nullable(.text),
        "source_info": .object(["source": .text, "version": .text]), "branch_id": .text, "environment": .text,
        "starting_workflow_node_id": .text, "procedure_ids": .list(.text), "tool_mock_config": .any,
    ])

    /// The overrides of an initiation, by the names that the machine's configuration has for them.
    static func overrides(in initiation: JSONValue) -> [String] {
        let config = initiation["conversation_config_override"] ?? .null
        let paths: [(String, [String])] = [
            ("prompt", ["agent", "prompt", "prompt"]), ("first_message", ["agent", "first_message"]),
            ("language", ["agent", "language"]), ("voice", ["tts", "voice_id"]),
            ("text_only", ["conversation", "text_only"]),
        ]
        var found = paths.compactMap { config[$0.1] == nil ? nil : $0.0 }
        if !(initiation["dynamic_variables"]?.members ?? []).isEmpty { found.append("variables") }
        return found
    }
}
