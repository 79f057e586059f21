import Telephony

/// A network that loses, delays, reorders and doubles datagrams, the same ones each time: a seed makes its mind up.
///
/// In virtual time: it says when what was sent arrives, and waits for nothing.
package struct NetworkEmulator: Sendable {
    package struct Conditions: Sendable, Equatable {
        /// Of all datagrams, 0…1.
        package var loss: Double
        /// How many are lost in a row, on average (Gilbert's model). 1: each on its own.
        package var lossRun: Double
        /// What every datagram needs.
        package var delay: Duration
        /// What each needs beyond that: evenly drawn between nothing and this, each for itself, so that one may overtake
        /// another (as `tc netem delay` does).
        package var jitter: Duration
        /// Whether datagrams stay in order: one that would overtake waits for the one before it (a queue's jitter).
        package var keepsOrder: Bool
        package var duplication: Double
        /// Of all datagrams, those that are held up for `reorderDelay` more.
        package var reordering: Double
        package var reorderDelay: Duration

        package init(
            loss: Double = 0, lossRun: Double = 1, delay: Duration = .milliseconds(20), jitter: Duration = .zero,
            keepsOrder: Bool = false, duplication: Double = 0, reordering: Double = 0,
            reorderDelay: Duration = .milliseconds(30)
        ) {
            self.loss = loss
            self.lossRun = lossRun
            self.delay = delay
            self.jitter = jitter
            self.keepsOrder = keepsOrder
            self.duplication = duplication
            self.reordering = reordering
            self.reorderDelay = reorderDelay
        }
    }

    private let conditions: Conditions
    private var random: SeededRandom
    private var isLosing = false
    private var lastArrival: Duration = .zero

    package init(_ conditions: Conditions, seed: UInt64) {
        self.conditions = conditions
        self.random = SeededRandom(seed: seed)
    }

    /// When what is sent at `now` arrives: never, once or twice.
    package mutating func arrivals(ofOneSentAt now: Duration) -> [Duration] {
        guard !self.loses() else { return [] }
        var arrivals: [Duration] = [self.arrival(ofOneSentAt: now)]
        if self.random.fraction() < self.conditions.duplication {
            arrivals.append(self.arrival(ofOneSentAt: now))
        }
        return arrivals
    }

    private mutating func arrival(ofOneSentAt now: Duration) -> Duration {
        var arrival: Duration = now + self.conditions.delay
        arrival += .nanoseconds(Int64(Double(self.conditions.jitter.nanoseconds) * self.random.fraction()))
        if self.random.fraction() < self.conditions.reordering { arrival += self.conditions.reorderDelay }
        if self.conditions.keepsOrder { arrival = max(arrival, self.lastArrival) }
        self.lastArrival = max(arrival, self.lastArrival)
        return arrival
    }

    /// Two states: in one all is carried, in the other all is lost.
    private mutating func loses() -> Bool {
        let loss: Double = self.conditions.loss
        guard loss > 0 else { return false }
        let leaving: Double = 1 / max(1, self.conditions.lossRun)
        if self.isLosing {
            // Runs of one are independent: the next is lost as likely as any.
            self.isLosing =
                self.conditions.lossRun <= 1
                ? self.random.fraction() < loss : self.random.fraction() >= leaving
        } else {
            let entering: Double = self.conditions.lossRun <= 1 ? loss : leaving * loss / (1 - min(0.99, loss))
            self.isLosing = self.random.fraction() < entering
        }
        return self.isLosing
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same on every machine.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value: UInt64 = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// 0..<1.
    package mutating func fraction() -> Double { Double(self.next() >> 11) / 9_007_199_254_740_992 }
}
