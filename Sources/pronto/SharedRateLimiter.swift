import AdminAPI
import SharedState
import Stores
import Telephony

/// Counts requests for all nodes together: this node's own count first, which costs nothing, then the shared one. While
/// Redis is away each node counts for itself.
struct SharedRateLimiter: RateLimiter {
    let nodes: RedisNodes
    let local = LocalRateLimiter()
    /// A request waits no longer than this for the other nodes.
    private static let patience = Duration.milliseconds(50)

    func take(_ key: RateKey, _ rate: Rate, at now: Duration) async -> Duration? {
        if let wait = self.local.take(key, rate, at: now) { return wait }
        let limit = max(1, Int(rate.burst))
        guard rate.perSecond > 0 else { return nil }
        let verdict = await self.nodes.spend(
            Self.bucket(of: key), limit: limit, window: .seconds(Double(limit) / rate.perSecond), within: Self.patience)
        guard let verdict, !verdict.isAllowed else { return nil }
        return verdict.retryAfter
    }

    /// What its count is called in Redis. A client's name may be long and hold anything (a signing key's id is of its
    /// tenant's choosing), and no two may share a count because they begin alike: so it is a digest of the whole name.
    static func bucket(of key: RateKey) -> String { "\(key.kind.rawValue):\(TextDigest.hex(key.name))" }

    func wait(_ key: RateKey, _ rate: Rate, at now: Duration) async -> Duration? {
        self.local.wait(key, rate, at: now)
    }
}
