import Telephony

/// What each way of ending calls for. There is no error message on this wire: the close frame, with its reason, is all
/// that is told (providers.md §3.6).
package enum GeminiLiveVerdicts {
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

    /// Reasons that say more than their code, by a part of their text.
    private static let reasons: [(part: String, slug: String, verdict: AssistantFailure.Verdict)] = [
        ("api key", "invalid-key", .failOver), ("api_key", "invalid-key", .failOver),
        ("unauthenticated", "invalid-key", .failOver), ("permission", "permission-denied", .failOver),
        ("quota", "quota", .failOver), ("billing", "quota", .failOver),
        ("resource_exhausted", "quota", .failOver), ("resource has been exhausted", "quota", .failOver),
        ("not found for api version", "model-not-found", .failOver),
        ("is not supported for bidigeneratecontent", "model-not-found", .failOver),
        ("was not found", "model-not-found", .failOver),
        ("token count", "context-exhausted", .retry), ("context window", "context-exhausted", .retry),
        ("deadline", "deadline", .retry), ("session duration", "session-limit", .retry),
    ]

    private static func ofClose(code: UInt16, reason: String) -> AssistantFailure {
        let lowered = reason.lowercased()
        if let known = self.reasons.first(where: { lowered.contains($0.part) }) {
            return AssistantFailure(known.slug, known.verdict, detail: reason)
        }
        let verdict: AssistantFailure.Verdict =
            switch code {
            // The connection's time is over, the network broke, or the server had an accident.
            case 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015: .retry
            // Our bytes, or our account: the same would meet the same answer. 1007 is "invalid argument", 1008 policy.
            case 1002, 1003, 1007, 1008, 1009, 1010: .failOver
            case 4408, 4429, 4500...4599: .retry
            default: .failOver
            }
        return AssistantFailure("closed-\(code)", verdict, detail: reason)
    }

    private static func ofStatus(_ status: Int) -> AssistantFailure {
        switch status {
        case 400: AssistantFailure("refused-400", .failOver, detail: "HTTP 400")
        case 401, 403: AssistantFailure("unauthorised", .failOver, detail: "HTTP \(status)")
        case 404: AssistantFailure("version-not-found", .failOver, detail: "HTTP 404")
        case 429: AssistantFailure("rate-limited", .retry, detail: "HTTP 429")
        case 408, 425, 500...599: AssistantFailure("refused-\(status)", .retry)
        default: AssistantFailure("refused", .failOver, detail: "HTTP \(status)")
        }
    }

    /// `turnCompleteReason` → a slug, of those that mean a reply was not given.
    static func incompleteReason(_ reason: String?) -> String? {
        switch reason {
        case "MALFORMED_FUNCTION_CALL": "malformed-function-call"
        case "RESPONSE_REJECTED": "response-rejected"
        case "PROHIBITED_INPUT_CONTENT", "IMAGE_PROHIBITED_INPUT_CONTENT": "content-filter"
        default: nil
        }
    }
}
