import Telephony

/// What each way of failing calls for (providers.md §2.6).
package enum ElevenLabsAgentsVerdicts {
    /// `error_type`s that never succeed on a second try: our messages, the agent's settings, the account.
    static let hopeless: Set<String> = [
        "invalid_message", "override_error", "missing_dynamic_variable", "missing_fields", "value_error",
        "safety_violation", "quota_exceeded", "invalid_api_key", "agent_not_found", "http_exception",
        "telephony_agent_error",
    ]
    /// Those that pass.
    static let passing: Set<String> = [
        "max_duration_exceeded", "custom_llm_error", "llm_error", "llm_timeout", "cascade_brain_error",
        "asr_transcription_error", "vad_error", "tts_cascade_error", "unknown_websocket_crash",
        "transport_receive_timeout",
    ]

    package static func ofError(type: String?, message: String) -> AssistantFailure {
        guard let type else { return AssistantFailure("provider-error", .ignore, detail: message) }
        if self.hopeless.contains(type) { return AssistantFailure(slugged(type), .failOver, detail: message) }
        if self.passing.contains(type) { return AssistantFailure(slugged(type), .retry, detail: message) }
        // The session is open, and a close follows where it is not to stay so.
        return AssistantFailure("provider-error", .ignore, detail: message)
    }

    package static func ofEnd(_ end: ChannelEnd) -> AssistantFailure {
        switch end {
        case .finished: AssistantFailure("closed", .retry)
        case .closed(let code, let reason): self.ofClose(code: code, reason: reason)
        case .refused(let status): self.ofStatus(status)
        case .failed(let slug):
            // A certificate that does not fit now will not fit in a second.
            AssistantFailure("connection-" + slug, slug == "tls" ? .failOver : .retry)
        }
    }

    private static func ofClose(code: UInt16, reason: String) -> AssistantFailure {
        let lowered = reason.lowercased()
        for name in self.hopeless.union(self.passing)
        where lowered.contains(name) || lowered.contains(name.replacing("_", with: " ")) {
            return self.ofError(type: name, message: reason)
        }
        if lowered.contains("quota") || lowered.contains("credits") {
            return AssistantFailure("quota", .failOver, detail: reason)
        }
        if lowered.contains("does not exist") || lowered.contains("not found") {
            return AssistantFailure("agent-not-found", .failOver, detail: reason)
        }
        if lowered.contains("override") { return AssistantFailure("override-error", .failOver, detail: reason) }
        let verdict: AssistantFailure.Verdict =
            switch code {
            // 1002 is this server's word for an operational failure (a timeout, its model, its voice).
            case 1000, 1001, 1002, 1005, 1006, 1011, 1012, 1013, 1014, 1015: .retry
            case 4408, 4429, 4500...4599: .retry
            // 1008: a message, a variable, an override or the key.
            default: .failOver
            }
        return AssistantFailure("closed-\(code)", verdict, detail: reason)
    }

    package static func ofStatus(_ status: Int) -> AssistantFailure {
        switch status {
        case 401, 403: AssistantFailure("unauthorised", .failOver, detail: "HTTP \(status)")
        case 404: AssistantFailure("agent-not-found", .failOver, detail: "HTTP 404")
        case 422, 400: AssistantFailure("refused-\(status)", .failOver, detail: "HTTP \(status)")
        case 429: AssistantFailure("rate-limited", .retry, detail: "HTTP 429")
        case 408, 425, 500...599: AssistantFailure("refused-\(status)", .retry)
        default: AssistantFailure("refused", .failOver, detail: "HTTP \(status)")
        }
    }
}

private func slugged(_ name: String) -> String { String(name.map { $0 == "_" ? "-" : $0 }) }
