import Synchronization
import Telephony

/// How much may be asked: so many at once, and so many a second after that.
package struct Rate: Sendable, Equatable {
    package var perSecond: Double
    package var burst: Double
    package init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
    }

    /// So many a minute, a sixth of them at once.
    package static func perMinute(_ count: Int) -> Rate {
        Rate(perSecond: Double(count) / 60, burst: max(1, Double(count) / 6))
    }
}

/// A bucket of tokens: each request takes one, and time brings them back. A value: time is told.
package struct TokenBucket: Sendable, Equatable {
    private var level: Double
    private var filledAt: Duration

    /// Full.
    package init(_ rate: Rate, at now: Duration) {
        self.level = rate.burst
        self.filledAt = now
    }

    /// Takes one token; otherwise says how long until there is one.
    package mutating func take(_ rate: Rate, at now: Duration) -> Duration? {
        if let wait = self.wait(rate, at: now) { return wait }
        self.level -= 1
        return nil
    }

    /// How long until there is a token; nil: there is one. Takes none.
    package mutating func wait(_ rate: Rate, at now: Duration) -> Duration? {
        self.fill(rate, at: now)
        guard self.level < 1 else { return nil }
        guard rate.perSecond > 0 else { return .seconds(60) }
        return .seconds(min((1 - self.level) / rate.perSecond, 3600))
    }

    /// Whether it says no more than a new one would.
    mutating func isFull(_ rate: Rate, at now: Duration) -> Bool {
        self.fill(rate, at: now)
        return self.level >= rate.burst
    }

    private mutating func fill(_ rate: Rate, at now: Duration) {
        let passed = max(.zero, now - self.filledAt)
        let (seconds, attoseconds) = passed.components
        self.level = min(rate.burst, self.level + (Double(seconds) + Double(attoseconds) * 1e-18) * rate.perSecond)
        self.filledAt = max(self.filledAt, now)
    }
}

/// Whose requests are counted together.
package struct RateKey: Hashable, Sendable {
    package enum Kind: String, Sendable { case client, tenant, refusals, routing }
    package var kind: Kind
    package var name: String
    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }
}

/// Counts requests. Nil: go on; else how long to wait. Answers within a moment, whatever the state that it shares does.
package protocol RateLimiter: Sendable {
    func take(_ key: RateKey, _ rate: Rate, at now: Duration) async -> Duration?
    /// How long the next one would have to wait, by what this node has counted. Counts nothing.
    func wait(_ key: RateKey, _ rate: Rate, at now: Duration) async -> Duration?
}

/// Counts the requests of this node, in a table that is bounded: a stranger who makes up clients cannot fill it.
package final class LocalRateLimiter: RateLimiter {
    private struct State {
        var buckets: [RateKey: (bucket: TokenBucket, rate: Rate)] = [:]
    }
    private let state = Mutex(State())
    private let limit: Int

    package init(limit: Int = 10_000) { self.limit = limit }

    package func take(_ key: RateKey, _ rate: Rate, at now: Duration) -> Duration? {
        self.state.withLock { state in
            if state.buckets[key] == nil, state.buckets.count >= self.limit { Self.makeRoom(&state, self.limit, now) }
            var entry = state.buckets[key] ?? (TokenBucket(rate, at: now), rate)
            entry.rate = rate
            let wait = entry.bucket.take(rate, at: now)
            state.buckets[key] = entry
            return wait
        }
    }

    package func wait(_ key: RateKey, _ rate: Rate, at now: Duration) -> Duration? {
        self.state.withLock { $0.buckets[key]?.bucket.wait(rate, at: now) }
    }

    package var count: Int { self.state.withLock { $0.buckets.count } }

    /// Full buckets say nothing. Where none is full, an arbitrary half goes: their owners begin anew, which is kinder than
    /// to count strangers together.
    private static func makeRoom(_ state: inout State, _ limit: Int, _ now: Duration) {
        for (key, entry) in state.buckets {
            var bucket = entry.bucket
            if bucket.isFull(entry.rate, at: now) { state.buckets[key] = nil }
        }
        guard state.buckets.count >= limit else { return }
        for key in Array(state.buckets.keys.prefix(limit / 2)) { state.buckets[key] = nil }
    }
}
