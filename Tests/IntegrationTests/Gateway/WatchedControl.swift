import EventSocket
import PhoneServer
import Telephony

/// An Event Socket that notes who is followed by it.
final class WatchedControl: CallControl {
    let link = Observed<ControlLink?>(nil)
    let watched = Observed<Set<CallID>>([])
    let unwatched = Observed(0)

    var isAvailable: Bool { self.link.value?.isAvailable ?? false }

    func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        guard let link = self.link.value else { return done(.failure(.stopped)) }
        link.ask(command, timeout: timeout, done: done)
    }

    func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {
        self.watched.change { $0.insert(channel) }
        self.link.value?.watch(channel, observer: observer)
    }

    func unwatch(_ channel: CallID) {
        self.watched.change { $0.remove(channel) }
        self.unwatched.change { $0 += 1 }
        self.link.value?.unwatch(channel)
    }
}
