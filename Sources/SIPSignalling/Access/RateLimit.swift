/// A token bucket: `rate` a second in the long run, `burst` at once. A value; the time is an argument.
package struct RateLimit: Sendable {
    private let rate: Double
    private let burst: Double
    private var level: Double
    private var last: Duration?

    package init(perSecond rate: Int, burst: Int) {
        self.rate = Double(rate)
        self.burst = Double(burst)
        self.level = Double(burst)
    }

    /// Whether one more is allowed now. `now` is monotonic.
    package mutating func take(at now: Duration) -> Bool {
        if let last = self.last, now > last {
            let (seconds, attoseconds) = (now - last).components
            self.level = min(self.burst, self.level + (Double(seconds) + Double(attoseconds) / 1e18) * self.rate)
        }
        self.last = now
        guard self.level >= 1 else { return false }
        self.level -= 1
        return true
    }
}
