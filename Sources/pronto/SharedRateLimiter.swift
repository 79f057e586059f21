import AdminAPI
import SharedState
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
        // What may stand in a key of Redis: clients' names have spaces.
        let name = "\(key.kind.rawValue):\(key.name)".utf8.prefix(64).map { $0 > 0x20 && $0 < 0x7F ? $0 : 0x2D }
        let verdict = await self.nodes.spend(
            String(decoding: name, as: UTF8.self), limit: limit,
            window: .seconds(Double(limit) / rate.perSecond), within: Self.patience)
        guard let verdict, !verdict.isAllowed else { return nil }
        return verdict.retryAfter
    }

    func wait(_ key: RateKey, _ rate: Rate, at now: Duration) async -> Duration? {
        self.local.wait(key, rate, at: now)
    }
}
