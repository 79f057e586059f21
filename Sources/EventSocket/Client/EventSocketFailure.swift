import Telephony

/// Names one command for the one who asked. Chosen by the caller; unique among those in flight.
package struct EventSocketRequestID: Hashable, Sendable {
    package let number: UInt64
    package init(_ number: UInt64) { self.number = number }
}

/// Why a command has no good answer.
package enum EventSocketFailure: Error, Sendable, Equatable {
    /// The switch said no.
    case refused(SwitchRefusal)
    /// The connection was lost, or not there, before the command could be sent: it was certainly not carried out.
    case notSent
    /// The connection was lost after the command was sent: it may have been carried out.
    case outcomeUnknown
    /// No answer in time; as with `outcomeUnknown` it may still be carried out.
    case timedOut
    /// The switch has been unreachable for `Configuration.maximumAttempts` in a row.
    case down
    /// Too many commands wait already.
    case queueFull
    /// The command was carried out, and its answer was longer than the limit of a body.
    case replyTooLong
    /// The switch's answer is not of the form that this question has.
    case unreadable
    /// We are shutting down, or the outbound socket's call is over.
    case stopped

    package var termination: CallTermination {
        switch self {
        case .refused(let refusal) where refusal.kind == .noSuchChannel: .callerHungUp
        default: .transferFailed
        }
    }

    /// A stable word for logs and labels.
    package var slug: String {
        switch self {
        case .refused(let refusal): refusal.kind.rawValue
        case .notSent: "not-sent"
        case .outcomeUnknown: "outcome-unknown"
        case .timedOut: "timed-out"
        case .down: "down"
        case .queueFull: "queue-full"
        case .replyTooLong: "reply-too-long"
        case .unreadable: "unreadable"
        case .stopped: "stopped"
        }
    }
}

/// Why a connection to the switch ended or could not be made. A closed set: it labels metrics.
package enum EventSocketLoss: String, Error, Sendable, CaseIterable {
    case connectFailed = "connect-failed"
    /// Connect, greeting and password together took longer than ESL_CONNECT_TIMEOUT.
    case setUpTimedOut = "set-up-timed-out"
    /// Wrong ESL_PASSWORD.
    case authenticationRefused = "authentication-refused"
    /// `text/rude-rejection`: our address is not in the switch's access list.
    case accessDenied = "access-denied"
    /// An event name or a filter was not taken.
    case subscriptionRefused = "subscription-refused"
    /// What came is no Event Socket.
    case garbled
    /// An answer was due and nothing came for ESL_READ_TIMEOUT.
    case silent
    /// A disconnect notice: the switch is stopping, or its module was reloaded.
    case disconnectNotice = "disconnect-notice"
    case closedByPeer = "closed-by-peer"

    package var termination: CallTermination {
        CallTermination(cause: .temporaryFailure, fault: .gateway, reason: "event-socket-" + self.rawValue)
    }
}
