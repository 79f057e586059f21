import Assistants
import Telephony

/// How the server side writes things, in both dialects.
enum OpenAIRealtimeWire {
    typealias Dialect = OpenAIRealtimeConfiguration.Dialect

    /// A server event's name (providers.md §1.9).
    static func name(_ ga: String, _ dialect: Dialect) -> String {
        guard dialect == .beta else { return ga }
        return self.betaNames[ga] ?? ga
    }

    private static let betaNames: [String: String] = [
        "response.output_audio.delta": "response.audio.delta",
        "response.output_audio.done": "response.audio.done",
        "response.output_audio_transcript.delta": "response.audio_transcript.delta",
        "response.output_audio_transcript.done": "response.audio_transcript.done",
        "response.output_text.delta": "response.text.delta",
        "response.output_text.done": "response.text.done",
        "conversation.item.added": "conversation.item.created",
    ]

    /// The configuration that a session begins with.
    static func defaultSession(_ dialect: Dialect, model: String, seed: Int) -> JSONValue {
        let instructions: JSONValue = "You are a helpful assistant."
        switch dialect {
        case .ga:
            let input: JSONValue = [
                "format": ["type": "audio/pcm", "rate": 24000], "noise_reduction": nil, "transcription": nil,
                "turn_detection": self.defaultDetection(dialect),
            ]
            let output: JSONValue = [
                "format": ["type": "audio/pcm", "rate": 24000], "voice": "marin", "speed": 1.0,
            ]
            let audio: JSONValue = ["input": input, "output": output]
            return [
                "type": "realtime", "object": "realtime.session", "id": .string("sess_\(seed)"),
                "model": .string(model), "output_modalities": ["audio"], "instructions": instructions, "tools": [],
                "tool_choice": "auto", "max_output_tokens": "inf", "tracing": nil, "truncation": "auto",
                "prompt": nil, "expires_at": 1_800_003_600, "include": nil, "audio": audio,
            ]
        case .beta:
            return [
                "object": "realtime.session", "id": .string("sess_\(seed)"), "model": .string(model),
                "modalities": ["audio", "text"], "instructions": instructions, "voice": "alloy",
                "input_audio_format": "pcm16", "output_audio_format": "pcm16", "input_audio_transcription": nil,
                "input_audio_noise_reduction": nil, "turn_detection": self.defaultDetection(dialect), "tools": [],
                "tool_choice": "auto", "temperature": 0.8, "max_response_output_tokens": "inf", "speed": 1.0,
                "tracing": nil, "expires_at": 1_800_003_600,
            ]
        }
    }

    private static func defaultDetection(_ dialect: Dialect) -> JSONValue {
        var detection: JSONValue = [
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
            "create_response": true, "interrupt_response": true,
        ]
        if dialect == .ga { detection.set(nil, at: ["idle_timeout_ms"]) }
        return detection
    }

    static func format(_ value: JSONValue?) -> AudioFormat? {
        switch value?["type"]?.text ?? value?.text {
        case "audio/pcm", "pcm16": .l16(.realtime)
        case "audio/pcmu", "g711_ulaw": .pcmu
        case "audio/pcma", "g711_alaw": .pcma
        default: nil
        }
    }

    /// The paths of the formats and the voice in a session.
    static func inputFormatPath(_ dialect: Dialect) -> [String] {
        dialect == .ga ? ["audio", "input", "format"] : ["input_audio_format"]
    }
    static func outputFormatPath(_ dialect: Dialect) -> [String] {
        dialect == .ga ? ["audio", "output", "format"] : ["output_audio_format"]
    }
    static func voicePath(_ dialect: Dialect) -> [String] { dialect == .ga ? ["audio", "output", "voice"] : ["voice"] }

    /// An update onto what is there: only the members present change, objects member by member, null clears.
    static func merge(_ update: JSONValue, into session: inout JSONValue, at path: [String] = []) {
        guard let members = update.members else {
            session.set(update, at: path)
            return
        }
        // Those are replaced whole: a `semantic_vad` has nothing of the `server_vad` before it.
        let isWhole = ["format", "turn_detection", "transcription", "noise_reduction", "tool_choice", "reasoning"]
            .contains(path.last ?? "")
        let betaWhole = ["input_audio_transcription", "input_audio_noise_reduction"].contains(path.last ?? "")
        if isWhole || betaWhole {
            session.set(update, at: path)
            return
        }
        for member in members { self.merge(member.value, into: &session, at: path + [member.name]) }
    }
}
