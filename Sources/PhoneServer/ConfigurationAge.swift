import Synchronization

/// How long ago the configuration in memory was last known to be the database's, and whether that is too long.
final class ConfigurationAge: Sendable {
    private let limit: Duration?
    private let confirmed = Mutex(ContinuousClock.now)

    init(limit: Duration?) { self.limit = limit }

    func confirm() { self.set(.zero) }
    func set(_ age: Duration) { self.confirmed.withLock { $0 = ContinuousClock.now - age } }

    var now: Duration { self.confirmed.withLock { ContinuousClock.now - $0 } }
    var isBeyondLimit: Bool { self.limit.map { self.now > $0 } ?? false }
}
