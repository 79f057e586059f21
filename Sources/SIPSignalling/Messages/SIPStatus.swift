/// A final answer's number and phrase (RFC 3261 §21). The phrase is a literal: it becomes part of a line.
package struct SIPStatus: Sendable, Hashable, CustomStringConvertible {
    package let code: UInt16
    package let phrase: StaticString

    package init(_ code: UInt16, _ phrase: StaticString) {
        self.code = code
        self.phrase = phrase
    }

    package static let badRequest = SIPStatus(400, "Bad Request")
    package static let forbidden = SIPStatus(403, "Forbidden")
    package static let notFound = SIPStatus(404, "Not Found")
    package static let methodNotAllowed = SIPStatus(405, "Method Not Allowed")
    package static let tooLarge = SIPStatus(413, "Request Entity Too Large")
    package static let unsupportedMediaType = SIPStatus(415, "Unsupported Media Type")
    package static let badExtension = SIPStatus(420, "Bad Extension")
    package static let temporarilyUnavailable = SIPStatus(480, "Temporarily Unavailable")
    package static let noSuchDialog = SIPStatus(481, "Call/Transaction Does Not Exist")
    package static let busy = SIPStatus(486, "Busy Here")
    package static let terminated = SIPStatus(487, "Request Terminated")
    package static let notAcceptableHere = SIPStatus(488, "Not Acceptable Here")
    package static let serverError = SIPStatus(500, "Server Internal Error")
    package static let notImplemented = SIPStatus(501, "Not Implemented")
    package static let serviceUnavailable = SIPStatus(503, "Service Unavailable")
    package static let messageTooLarge = SIPStatus(513, "Message Too Large")
    package static let declined = SIPStatus(603, "Decline")

    package static func == (lhs: SIPStatus, rhs: SIPStatus) -> Bool { lhs.code == rhs.code }
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
    package var description: String { "\(self.code) \(self.phrase)" }
}

/// A refusal of a call. With `retryAfter` the caller's side knows that it is not for ever (RFC 3261 §20.33).
package struct SIPRejection: Sendable, Hashable {
    package var status: SIPStatus
    package var retryAfter: Duration?

    package init(_ status: SIPStatus, retryAfter: Duration? = nil) {
        self.status = status
        self.retryAfter = retryAfter
    }

    /// No place for one more call.
    package static func full(retryAfter: Duration = .seconds(5)) -> SIPRejection {
        SIPRejection(.busy, retryAfter: retryAfter)
    }
    /// The gateway is about to end.
    package static func draining(retryAfter: Duration = .seconds(30)) -> SIPRejection {
        SIPRejection(.serviceUnavailable, retryAfter: retryAfter)
    }

    /// Whole lines. At least a second: 0 would be an invitation to try at once, for ever.
    var headers: String {
        self.retryAfter.map { "Retry-After: \(max(1, $0.components.seconds))\r\n" } ?? ""
    }
}
