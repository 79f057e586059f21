/// How long packets were on their way, as a distribution that slowly forgets: in samples, against an unknown origin.
///
/// Bins of 2 ms over half a second. It holds absolute delays, not differences to a fastest packet, so one scan gives both
/// the base (what the fastest packets need) and the delay that all but a few stay below; a clock that drifts moves both.
package struct DelayHistogram: Sendable {
    private var weights = [Float](repeating: 0, count: DelayHistogram.bins)
    /// The delay at the lower edge of bin 0.
    private var origin: Int64 = 0
    private var total: Float = 0
    /// What the next packet weighs. It grows, in place of all others shrinking.
    private var weight: Float = 1
    package private(set) var packets = 0

    private static let bins = 256
    /// Samples in a bin: 2 ms.
    package static let step: Int64 = 16
    /// A packet's weight fades to 1/e in 1000 packets, 20 s.
    private static let growth: Float = 1.001
    /// A call begins with whatever a switch had kept: after one second that counts for little.
    private static let opening = 50

    package init() {}

    package mutating func add(_ delay: Int64) {
        if self.packets == 0 { self.origin = delay - DelayHistogram.step * 64 }
        self.packets += 1
        var bin: Int64 = (delay - self.origin).floorDivided(by: DelayHistogram.step)
        if bin < 0 {
            // A faster way: everything moves up. What falls off the top was slower than half a second above it.
            let shift = Int(min(-bin + 16, Int64(DelayHistogram.bins)))
            self.moveUp(by: shift, delay: delay)
            bin = (delay - self.origin).floorDivided(by: DelayHistogram.step)
        }
        let index = Int(min(max(0, bin), Int64(DelayHistogram.bins - 1)))
        self.weights[index] += self.weight
        self.total += self.weight
        self.weight *= DelayHistogram.growth
        if self.packets == DelayHistogram.opening { self.fade() }
        if self.weight > 1e6 {
            let factor: Float = 1 / self.weight
            self.scale(by: factor)
            self.weight = 1
        }
    }

    /// The delay that `share` of the packets did not exceed: the upper edge of its bin.
    package func upperQuantile(_ share: Float) -> Int64 {
        let above: Float = self.total * (1 - share)
        var sum: Float = 0
        for index in stride(from: DelayHistogram.bins - 1, through: 0, by: -1) {
            sum += self.weights[index]
            if sum > above { return self.origin + Int64(index + 1) * DelayHistogram.step }
        }
        return self.origin
    }

    /// The delay that `share` of the packets stayed below: the lower edge of its bin.
    package func lowerQuantile(_ share: Float) -> Int64 {
        let below: Float = self.total * share
        var sum: Float = 0
        for index in 0..<DelayHistogram.bins {
            sum += self.weights[index]
            if sum > below { return self.origin + Int64(index) * DelayHistogram.step }
        }
        return self.origin
    }

    /// What was measured so far counts for little from now on.
    package mutating func fade() { self.scale(by: 0.02) }

    private mutating func scale(by factor: Float) {
        self.total = 0
        for index in 0..<DelayHistogram.bins {
            self.weights[index] *= factor
            self.total += self.weights[index]
        }
    }

    private mutating func moveUp(by shift: Int, delay: Int64) {
        guard shift < DelayHistogram.bins else {
            for index in 0..<DelayHistogram.bins { self.weights[index] = 0 }
            self.total = 0
            self.origin = delay - DelayHistogram.step * 64
            return
        }
        for index in stride(from: DelayHistogram.bins - 1, through: 0, by: -1) {
            self.weights[index] = index >= shift ? self.weights[index - shift] : 0
        }
        self.total = self.weights.reduce(0, +)
        self.origin -= Int64(shift) * DelayHistogram.step
    }

    /// Makes room above when the fastest packets of today are far up (a drifting clock, a longer way).
    package mutating func recentre() {
        let base: Int64 = self.lowerQuantile(0.001)
        let shift = Int((base - self.origin) / DelayHistogram.step) - 64
        guard shift >= 64 else { return }
        for index in 0..<DelayHistogram.bins {
            self.weights[index] = index + shift < DelayHistogram.bins ? self.weights[index + shift] : 0
        }
        self.total = self.weights.reduce(0, +)
        self.origin += Int64(shift) * DelayHistogram.step
    }
}

extension Int64 {
    func floorDivided(by divisor: Int64) -> Int64 {
        let quotient: Int64 = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
