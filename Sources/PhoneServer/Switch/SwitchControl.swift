import EventSocket
import Networking
import Telephony

/// The way to a channel through the outbound socket that brought it: no look-up, no second connection, and nobody else's
/// channel can be reached by it.
final class SwitchControl: CallControl, Sendable {
    private let visit: LoopBound<SwitchVisit>
    private let channel: CallID

    init?(_ visit: SwitchVisit) {
        guard let channel = visit.dial?.channel else { return nil }
        self.channel = channel
        self.visit = LoopBound(visit, on: visit.loop)
    }

    /// Until its socket ends; what is asked later is answered with a failure.
    var isAvailable: Bool { true }

    private func perform(_ body: @escaping @Sendable (SwitchVisit) -> Void) {
        let visit = self.visit
        if visit.loop.isInLoop { body(visit.value) } else { visit.loop.execute { body(visit.value) } }
    }

    func transfer(_ channel: CallID, to destination: TransferDestination, done: @escaping @Sendable (Bool) -> Void) {
        guard channel == self.channel else { return done(false) }
        self.perform { visit in
            visit.dismiss()
            visit.api(try? .transfer(channel, to: DialplanTarget(destination))) { result in
                guard case .success(let reply) = result else { return done(false) }
                done(reply.refusal == nil)
            }
        }
    }

    func hangUp(_ channel: CallID, cause: HangupCause) {
        guard channel == self.channel else { return }
        self.perform { visit in
            visit.dismiss()
            visit.api(try? .kill(channel, cause: cause))
        }
    }

    func stopStream(_ channel: CallID) {
        guard channel == self.channel else { return }
        self.perform { $0.api(try? .stopAudioStream(channel)) }
    }

    func stopPlayback(_ channel: CallID) {
        guard channel == self.channel else { return }
        self.perform { $0.api(try? .stopPlayback(of: channel)) }
    }

    func variables(
        _ names: [String], of channel: CallID, done: @escaping @Sendable ([String: Redacted<String>]) -> Void
    ) {
        guard channel == self.channel, !names.isEmpty else { return done([:]) }
        self.perform { visit in
            let gathered = Gathered(expecting: names.count, done)
            for name in names {
                visit.api(try? .getVariable(name, of: channel)) { result in
                    guard case .success(let reply) = result, reply.refusal == nil, reply.text != "_undef_" else {
                        return gathered.add(name, nil)
                    }
                    gathered.add(name, Redacted(reply.text))
                }
            }
        }
    }

    func watch(_ channel: CallID, observer: @escaping @Sendable (PhoneEvent) -> Void) {
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

    /// Waits for several answers. Confined to the loop.
    private final class Gathered {
        private var left: Int
        private var values: [String: Redacted<String>] = [:]
        private let done: ([String: Redacted<String>]) -> Void
        init(expecting count: Int, _ done: @escaping ([String: Redacted<String>]) -> Void) {
            self.left = count
            self.done = done
        }
        func add(_ name: String, _ value: Redacted<String>?) {
            self.values[name] = value
            self.left -= 1
            if self.left == 0 { self.done(self.values) }
        }
    }
}
