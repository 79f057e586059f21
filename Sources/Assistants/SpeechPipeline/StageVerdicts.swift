import Telephony

/// What each way in which a stage's service fails calls for. Slugs begin with the stage, so that a log says which of the
/// three it was, and hold only words that are known here, so that labels stay bounded.
enum StageVerdicts {
    enum Stage: String, Sendable { case recogniser, writer, speaker }

    /// Codes, types and reasons that never succeed on a second try.
    private static let hopeless: Set<String> = [
        "insufficient_quota", "invalid_api_key", "model_not_found", "billing_hard_limit_reached", "account_deactivated",
        "authentication_error", "permission_error", "not_found_error", "model_decommissioned", "billing_error",
        "credit_balance_exhausted", "INVALID_AUTH", "INSUFFICIENT_PERMISSIONS", "quota_exceeded",
    ]
    private static let passing: Set<String> = [
        "rate_limit_error", "rate_limit_exceeded", "overloaded_error", "api_error", "server_error", "timeout_error",
    ]

    /// What will be so in a second too: a certificate, and engines and models of this machine.
    private static let lasting: Set<String> = [
        "tls", "engine", "no-voice", "no-language", "no-recogniser", "bad-voice", "model-missing", "program-missing",
    ]

    static func ofStatus(_ status: Int, code: String?, detail: String, _ stage: Stage) -> AssistantFailure {
        if let code, let failure = self.ofCode(code, detail: detail, stage) { return failure }
        let (slug, verdict): (String, AssistantFailure.Verdict) =
            switch status {
            case 401, 403: ("unauthorised", .failOver)
            case 402: ("no-credit", .failOver)
            case 404: ("not-found", .failOver)
            case 408, 425: ("refused-\(status)", .retry)
            case 429: ("rate-limited", .retry)
            case 500...599: ("refused-\(status)", .retry)
            default: ("refused", .failOver)
            }
        return AssistantFailure("\(stage.rawValue)-\(slug)", verdict, detail: "HTTP \(status) " + detail)
    }

    /// An error that is told by its code or type; nil for one that no table has.
    static func ofCode(_ code: String, detail: String, _ stage: Stage) -> AssistantFailure? {
        let isHopeless = self.hopeless.contains(code)
        guard isHopeless || self.passing.contains(code) else { return nil }
        let slug = String(code.lowercased().map { $0 == "_" ? "-" : $0 })
        return AssistantFailure("\(stage.rawValue)-\(slug)", isHopeless ? .failOver : .retry, detail: detail)
    }

    static func ofEnd(_ end: ChannelEnd, _ stage: Stage) -> AssistantFailure {
        let name = stage.rawValue
        switch end {
        case .finished: return AssistantFailure("\(name)-closed", .retry)
        case .closed(let code, let reason):
            // 1008: policy or undecodable audio; 1002/1003/1007/1009: our bytes. The same would meet the same.
            let isOurs = [1002, 1003, 1007, 1008, 1009, 1010].contains(code)
            return AssistantFailure("\(name)-closed-\(code)", isOurs ? .failOver : .retry, detail: reason)
        case .refused(let status): return self.ofStatus(status, code: nil, detail: "", stage)
        case .failed(let slug):
            return AssistantFailure("\(name)-\(slug)", self.lasting.contains(slug) ? .failOver : .retry)
        }
    }

    /// `error.code`, `error.type` (OpenAI, Anthropic), `err_code` (Deepgram) or `detail.status` (ElevenLabs).
    static func errorCode(in value: JSONValue) -> String? {
        for path in [["error", "code"], ["error", "type"], ["err_code"], ["detail", "status"], ["code"]] {
            if let text = value[path]?.text, !text.isEmpty { return text }
        }
        return nil
    }

    /// A refused request's body: what it says, for the debug log, and the code in it.
    static func ofBody(_ status: Int, _ body: [UInt8], _ stage: Stage) -> AssistantFailure {
        let text = String(decoding: body.prefix(2048), as: UTF8.self)
        let value = JSONValue(json: String(decoding: body, as: UTF8.self))
        return self.ofStatus(status, code: value.flatMap { self.errorCode(in: $0) }, detail: text, stage)
    }
}

/// A stage of the pipeline whose service is asked over HTTP outside a call: what its answer comes to.
package enum ProviderStage: String, Sendable {
    case recogniser, writer, speaker

    /// The failure of an exchange that is over; nil: it was complete.
    package func failure(status: Int, body: [UInt8], end: ChannelEnd) -> AssistantFailure? {
        let stage: StageVerdicts.Stage =
            switch self {
            case .recogniser: .recogniser
            case .writer: .writer
            case .speaker: .speaker
            }
        guard case .finished = end else { return StageVerdicts.ofEnd(end, stage) }
        guard status == 200 else { return StageVerdicts.ofBody(status, body, stage) }
        // Complete, and empty: whoever waited for something has got nothing.
        return AssistantFailure("\(self.rawValue)-silent", .retry)
    }
}
