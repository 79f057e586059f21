import Synchronization
import Telephony

/// Numbers the calls of one server, from 1.
package struct SIPDialogID: Sendable, Hashable, CustomStringConvertible {
    package let number: UInt64
    package var description: String { "\(self.number)" }
}

/// What happens on a call after its invitation, in this order: perhaps `confirmed`, then any of the middle ones, then
/// exactly one of `cancelled` and `ended`, and nothing after it.
package enum SIPDialogEvent: Sendable, Equatable {
    /// The other end has our answer: the call is up. The agreement is the one of the invitation, or, where we had to
    /// offer, what the other end made of our offer.
    case confirmed(MediaAgreement)
    /// The other end changed the session (re-INVITE, UPDATE) and has been answered: hold, resume, or another address.
    /// Comes also when nothing has changed (a session's refresh).
    case reoffered(MediaAgreement)
    /// Our own hold or resume was taken.
    case modified(MediaAgreement)
    /// Our own hold or resume was refused, or its answer was of no use; what was in force still is.
    case modificationFailed(status: Int)
    /// A key, by SIP INFO.
    case digit(InfoDigit)
    /// How the transfer goes: 100 trying, 180 ringing.
    case transferProgress(status: Int)
    /// The other end has taken the call elsewhere. It usually sends BYE now; say `bye` if it does not.
    case transferred
    /// The transfer did not happen; the caller is still with us. 0: no word came from the other end.
    case transferFailed(status: Int)
    /// The caller went away before an answer.
    case cancelled(HangupCause)
    case ended(SIPEnding)
}

/// How a call ended.
package struct SIPEnding: Sendable, Equatable {
    package enum Initiator: Sendable, Equatable {
        /// BYE from the other end.
        case peer
        /// `bye`, `reject`, or `stop`.
        case us
        /// Nobody decided on an invitation in time.
        case deadline
        /// The other end is gone: no ACK, no answer to a re-INVITE, or it does not know the call.
        case lost
        /// What the other end said could not be served (its answer to our offer, above all).
        case protocolFailure
    }

    package var initiator: Initiator
    package var cause: HangupCause

    package init(_ initiator: Initiator, _ cause: HangupCause) {
        self.initiator = initiator
        self.cause = cause
    }
}

/// Where REFER sends a caller: a SIP URI whose every byte may stand in a header.
package struct SIPTransferTarget: Sendable, Equatable {
    let uri: String

    /// `sip:<number>@<host>`. Nil unless both are made of what RFC 3261 §25.1 allows in a user and a host unescaped, so
    /// that no number can become a header line.
    package init?(number: String, host: String, port: UInt16? = nil) {
        let user = number.utf8.allSatisfy { byte in
            Self.isAlphanumeric(byte) || "-_.!~*'()&=+$,;?/#".utf8.contains(byte)
        }
        let hostIsPlain = host.utf8.allSatisfy { Self.isAlphanumeric($0) || "-.:[]".utf8.contains($0) }
        guard user, hostIsPlain, (1...128).contains(number.utf8.count), (1...255).contains(host.utf8.count) else {
            return nil
        }
        // '#' is a key of the phone and not of the grammar.
        let escaped = number.split(separator: "#", omittingEmptySubsequences: false).joined(separator: "%23")
        self.uri = "sip:\(escaped)@\(host)" + (port.map { ":\($0)" } ?? "")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }
}

/// A call, for any thread: commands go to SIP's thread, events come from it. A command that has come too late (the call
/// is over, or was answered already) does nothing; what happened is in the events.
package final class SIPDialog: Sendable {
    private struct Observation {
        var observer: (@Sendable (SIPDialogEvent) -> Void)?
        /// Events from before there was an observer.
        var early: [SIPDialogEvent] = []
    }

    package let id: SIPDialogID
    private let inbox: SIPInbox
    private let observation = Mutex(Observation())

    init(id: SIPDialogID, inbox: SIPInbox) {
        self.id = id
        self.inbox = inbox
    }

    /// Delivers every event of this call, those that came before first, in order, on SIP's thread (the early ones on the
    /// caller's). The observer only passes them on: it holds up all other calls, and must not observe in turn.
    package func observe(_ observer: @escaping @Sendable (SIPDialogEvent) -> Void) {
        self.observation.withLock { observation in
            observation.observer = observer
            for event in observation.early { observer(event) }
            observation.early = []
        }
    }

    func deliver(_ event: SIPDialogEvent) {
        self.observation.withLock { observation in
            if let observer = observation.observer { observer(event) } else { observation.early.append(event) }
        }
    }

    // MARK: Before the answer

    /// 180: the caller hears ringing.
    package func ring() { self.command { $0.ring() } }

    /// 200. `local`: the bound RTP socket.
    package func accept(_ local: LocalMedia) { self.command { $0.accept(local) } }

    package func reject(_ rejection: SIPRejection, cause: HangupCause = .callRejected) {
        self.command { $0.reject(rejection, initiator: .us, cause: cause) }
    }

    // MARK: After the answer

    /// Ends the call, in whatever state it is. Before an answer it is a refusal (480).
    package func bye(_ cause: HangupCause = .normalClearing) { self.command { $0.bye(cause) } }

    /// Hands the caller over (RFC 3515). One at a time: a second one while the first runs fails with status 491.
    package func refer(to target: SIPTransferTarget) { self.command { $0.refer(to: target) } }

    /// Says that we do not listen (`a=sendonly`), so that the other end need not send.
    package func hold() { self.command { $0.modify(.sendOnly) } }

    package func resume() { self.command { $0.modify(.sendReceive) } }

    private func command(_ body: @escaping @Sendable (SIPSession) -> Void) {
        let id = self.id
        self.inbox.post { stack in
            if let session = stack.sessions[id] { body(session) }
        }
    }
}
