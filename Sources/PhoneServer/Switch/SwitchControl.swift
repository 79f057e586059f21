import EventSocket
import Networking
import Telephony

/// The way to a channel through the outbound socket that brought it: no look-up, no second connection, and nobody else's
/// channel can be reached by it.
final class SwitchControl: CallControl, Sendable {
    private let visit: LoopBound<SwitchVisit>
    private let channel: CallID
    /// Which socket this is: a channel may have had several.
    let visitID: ObjectIdentifier

    init?(_ visit: SwitchVisit) {
        guard let channel = visit.dial?.channel else { return nil }
        self.channel = channel
        self.visitID = ObjectIdentifier(visit)
        self.visit = LoopBound(visit, on: visit.loop)
    }

    /// Until its socket ends; what is asked later is answered with a failure.
    var isAvailable: Bool { true }
    /// The socket stays behind: only its linger is left.
    var followsElsewhere: Bool { false }

    private func perform(_ body: @escaping @Sendable (SwitchVisit) -> Void) {
        let visit = self.visit
        if visit.loop.isInLoop { body(visit.value) } else { visit.loop.execute { body(visit.value) } }
    }

    func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.perform { visit in
            visit.whenQuiet { $0.line.run(.api(command), timeout: timeout, done: done) }
        }
    }

    func willDismiss(_ channel: CallID) {
        guard channel == self.channel else { return }
        self.perform { $0.dismiss() }
    }

    func keeps(_ channel: CallID) {
        guard channel == self.channel else { return }
        self.perform { $0.keep() }
    }

    func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {
        guard channel == self.channel else { return }
        self.perform { visit in
            visit.observer = observer
            visit.isInCall = true
        }
    }

    func unwatch(_ channel: CallID) {
        guard channel == self.channel else { return }
        self.perform { $0.callOver() }
    }
}
