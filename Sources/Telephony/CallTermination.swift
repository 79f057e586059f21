/// Why a leg ended: Q.850's number and FreeSWITCH's name for it.
package struct HangupCause: Hashable, Sendable, CustomStringConvertible {
    package let q850: Int
    package let name: String
    package init(q850: Int, name: String) {
        self.q850 = q850
        self.name = name
    }

    package static let normalClearing = HangupCause(q850: 16, name: "NORMAL_CLEARING")
    package static let userBusy = HangupCause(q850: 17, name: "USER_BUSY")
    package static let noAnswer = HangupCause(q850: 19, name: "NO_ANSWER")
    package static let callRejected = HangupCause(q850: 21, name: "CALL_REJECTED")
    package static let destinationOutOfOrder = HangupCause(q850: 27, name: "DESTINATION_OUT_OF_ORDER")
    package static let temporaryFailure = HangupCause(q850: 41, name: "NORMAL_TEMPORARY_FAILURE")
    package static let congestion = HangupCause(q850: 42, name: "SWITCH_CONGESTION")
    package static let protocolError = HangupCause(q850: 111, name: "PROTOCOL_ERROR")
    package static let interworking = HangupCause(q850: 127, name: "INTERWORKING")
    package static let mediaTimeout = HangupCause(q850: 604, name: "MEDIA_TIMEOUT")
    package var description: String { self.name }
}

/// Whose doing an end was. A closed set: it labels metrics and the CDR.
package enum Fault: String, Sendable, CaseIterable, Codable {
    case nobody, caller, phone, gateway, provider, configuration, `operator`
}

/// What the caller hears at an end that was not theirs.
package enum SpokenFallback: String, Sendable, Codable {
    /// Nothing: the caller is gone, or the farewell was the last word.
    case nothing
    /// An apology, then the fallback extension.
    case apologyAndTransfer
    /// Only the transfer: a sentence would need what has failed.
    case transfer
    /// An apology, then the hang-up.
    case apology
}

/// How a call ended, decided once. The CDR, the metric's label and the log line all read this value.
package struct CallTermination: Hashable, Sendable {
    package let cause: HangupCause
    package let fault: Fault
    /// A stable slug such as `caller-hung-up`, from the constants beside each error; never free text.
    package let reason: String
    package let spoken: SpokenFallback

    package init(cause: HangupCause, fault: Fault, reason: String, spoken: SpokenFallback = .nothing) {
        self.cause = cause
        self.fault = fault
        self.reason = reason
        self.spoken = spoken
    }

    /// The conversation came to its end: nobody has to be found for the caller any more.
    package var isAgreed: Bool {
        [Self.farewell, .maximumDuration, .callerSilent].contains { $0.reason == self.reason }
    }

    package static let callerHungUp = CallTermination(
        cause: .normalClearing, fault: .nobody, reason: "caller-hung-up")
    package static let farewell = CallTermination(cause: .normalClearing, fault: .nobody, reason: "farewell")
    package static let transferred = CallTermination(cause: .normalClearing, fault: .nobody, reason: "transferred")
    package static let maximumDuration = CallTermination(
        cause: .normalClearing, fault: .nobody, reason: "maximum-duration")
    package static let callerSilent = CallTermination(cause: .normalClearing, fault: .caller, reason: "caller-silent")
    package static let phoneLost = CallTermination(cause: .mediaTimeout, fault: .phone, reason: "phone-leg-lost")
    package static let assistantsExhausted = CallTermination(
        cause: .temporaryFailure, fault: .provider, reason: "assistants-exhausted", spoken: .apologyAndTransfer)
    package static let draining = CallTermination(
        cause: .temporaryFailure, fault: .operator, reason: "draining", spoken: .apologyAndTransfer)
    package static let operatorHungUp = CallTermination(
        cause: .normalClearing, fault: .operator, reason: "operator-hung-up")
    package static let transferFailed = CallTermination(
        cause: .temporaryFailure, fault: .gateway, reason: "transfer-failed", spoken: .apology)
}
