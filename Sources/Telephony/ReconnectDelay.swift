/// How long to wait before the next attempt: doubled for each failure in a row, capped, and spread by a quarter either
/// way so that the nodes of a system do not return all at once.
package struct ReconnectDelay: Sendable {
    private let first: Duration
    private let longest: Duration
    /// A SplitMix64 generator's state; the seed is the shell's.
    private var state: UInt64

    package init(first: Duration, longest: Duration, seed: UInt64) {
        self.first = first
        self.longest = longest
        self.state = seed
    }

    /// - Parameter failures: in a row, from 1.
    package mutating func next(failures: Int) -> Duration {
        let doubled = self.first * (1 << min(max(failures - 1, 0), 16))
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        let fraction = Double(mixed >> 11) / 9_007_199_254_740_992  // 2^53: 0 ..< 1
        return min(doubled, self.longest) * (0.75 + fraction / 2)
    }
}
