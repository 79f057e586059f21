import Synchronization
import Telephony

/// Allowances that all nodes spend from, for those who cannot wait: what Redis says about one request counts for the
/// next ones.
///
/// A request is let through at once and told to Redis; when Redis answers that there was nothing left, the node holds
/// back until there is. So what is let through beyond the limit is what arrives while one answer is on its way. Without
/// Redis nobody is held back here: the node's own limit, which stands before this one, is what there is.
package final class SharedAllowance: Sendable {
    private let nodes: RedisNodes
    private let holds = Mutex(AllowanceHolds(capacity: 10_000))

    package init(_ nodes: RedisNodes) { self.nodes = nodes }

    /// Nil: go on; else how long to wait.
    ///
    /// - Parameters:
    ///   - limit: so many at once.
    ///   - window: in which so many come back.
    package func take(_ bucket: String, limit: Int, window: Duration, at now: Duration) -> Duration? {
        if let wait = self.holds.withLock({ $0.wait(for: bucket, at: now) }) { return wait }
        self.nodes.spend(bucket, limit: limit, window: window) { [self] verdict in
            guard let verdict, !verdict.isAllowed else { return }
            self.holds.withLock { $0.hold(bucket, until: now + verdict.retryAfter) }
        }
        return nil
    }
}

/// Until when each allowance is spent. Bounded: names come from strangers.
package struct AllowanceHolds: Sendable {
    private var holds: [String: Duration] = [:]
    private let capacity: Int

    package init(capacity: Int) { self.capacity = capacity }
    package var count: Int { self.holds.count }

    /// How long is left; nil: nothing is.
    package mutating func wait(for bucket: String, at now: Duration) -> Duration? {
        guard let until = self.holds[bucket] else { return nil }
        if until > now { return until - now }
        self.holds[bucket] = nil
        return nil
    }

    /// When there is no room, those that end first go: they are over soon anyway.
    package mutating func hold(_ bucket: String, until: Duration) {
        if self.holds[bucket] == nil, self.holds.count >= self.capacity {
            for (bucket, _) in self.holds.sorted(by: { $0.value < $1.value }).prefix(max(1, self.capacity / 10)) {
                self.holds[bucket] = nil
            }
        }
        self.holds[bucket] = until
    }
}
