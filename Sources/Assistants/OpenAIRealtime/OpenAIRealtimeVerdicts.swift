import Telephony

/// What each way of failing calls for (providers.md §1.8).
package enum OpenAIRealtimeVerdicts {
    /// Codes that never succeed on a second try: the key, the account, the model, or our own configuration.
    static let hopeless: Set<String> = [
        "insufficient_quota", "credit_balance_exhausted", "invalid_api_key", "account_deactivated",
        "billing_hard_limit_reached", "billing_not_active", "model_not_found", "beta_api_shape_disabled",
        "permission_denied", "organization_not_found", "unsupported_country_region_territory", "authentication_error",
        "permission_error",
    ]

    /// Codes that pass.
    static let passing: Set<String> = [
        "rate_limit_exceeded", "server_error", "internal_error", "overloaded_error", "service_unavailable",
        "session_expired", "timeout",
    ]

    /// Codes of a race that both sides survive.
    static let harmless: Set<String> = [
        "response_cancel_not_active", "conversation_already_has_active_response", "input_audio_buffer_commit_empty",
        "item_not_found", "item_truncate_invalid_item_id", "invalid_audio_end_ms",
    ]

    /// The verdict on an error that is told inside a session, by its code or, where that is absent, its type.
    ///
    /// Most errors leave the session open, so what is in no table is harmless here; `isConfiguring` says that nothing
    /// was accepted yet, when any error that does not pass means that our configuration was refused.
    package static func ofError(code: String?, type: String?, isConfiguring: Bool) -> AssistantFailure.Verdict {
        let names = [code, type].compactMap { $0 }
        if names.contains(where: self.hopeless.contains) { return .failOver }
        if names.contains(where: self.passing.contains) { return .retry }
        if names.contains(where: self.harmless.contains) { return .ignore }
        return isConfiguring ? .failOver : .ignore
    }

    /// The verdict on the end of the socket, by how it came.
    package static func ofEnd(_ end: ChannelEnd) -> AssistantFailure {
        switch end {
        case .finished: AssistantFailure("closed", .retry)
        case .closed(let code, let reason): self.ofClose(code: code, reason: reason)
        case .refused(let status): self.ofStatus(status)
        case .failed(let slug):
            AssistantFailure("connection-" + slug, self.failOverSlugs.contains(slug) ? .failOver : .retry)
        }
    }

    /// A certificate that does not fit now will not fit in a second.
    private static let failOverSlugs: Set<String> = ["tls"]

    /// RFC 6455 §7.4.1 and the registry of close codes. The SDK retries 1001, 1005, 1006, 1011, 1012, 1013 and 1015.
    private static func ofClose(code: UInt16, reason: String) -> AssistantFailure {
        let slug = "closed-\(code)"
        // A quota error is closed with a code that would be tried again for ever: the reason decides first.
        if let known = self.hopeless.first(where: { reason.contains($0) }) {
            return AssistantFailure(slugged(known), .failOver, detail: reason)
        }
        let verdict: AssistantFailure.Verdict =
            switch code {
            case 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015: .retry
            // Protocol error, unsupported data, invalid payload, policy, too big, missing extension: the same bytes
            // would meet the same answer.
            case 1002, 1003, 1007, 1008, 1009, 1010: .failOver
            case 3008: .retry
            // 4000–4999 are the application's own; those in use mirror HTTP.
            case 4408, 4429, 4500...4599: .retry
            default: .failOver
            }
        return AssistantFailure(slug, verdict, detail: reason)
    }

    /// The handshake's answer.
    private static func ofStatus(_ status: Int) -> AssistantFailure {
        switch status {
        case 401, 403: AssistantFailure("unauthorised", .failOver, detail: "HTTP \(status)")
        case 404: AssistantFailure("model-not-found", .failOver, detail: "HTTP 404")
        case 429: AssistantFailure("rate-limited", .retry, detail: "HTTP 429")
        case 408, 425: AssistantFailure("refused-\(status)", .retry)
        case 500...599: AssistantFailure("refused-\(status)", .retry)
        default: AssistantFailure("refused", .failOver, detail: "HTTP \(status)")
        }
    }

    /// A provider's code as a slug: only what this program knows becomes one, so that labels stay bounded.
    static func slug(code: String?, type: String?) -> String {
        for name in [code, type].compactMap({ $0 })
        where self.hopeless.contains(name) || self.passing.contains(name) || self.harmless.contains(name)
            || self.refusals.contains(name)
        {
            return slugged(name)
        }
        return "provider-error"
    }

    /// Ways in which a message of ours can be wrong.
    private static let refusals: Set<String> = [
        "unknown_parameter", "missing_required_parameter", "invalid_value", "invalid_type", "invalid_request_error",
    ]
}

private func slugged(_ code: String) -> String { String(code.map { $0 == "_" ? "-" : $0 }) }
