/// Extends the 16-bit sequence numbers of one source and keeps account of what came (RFC 3550 A.1, A.3).
package struct RTPSequence: Sendable {
    package enum Arrival: Sendable, Equatable {
        /// The next number, or one beyond it: `missing` numbers lie between it and the highest so far.
        case ahead(Int64, missing: Int)
        /// An older one that had not come yet.
        case reordered(Int64)
        case duplicate(Int64)
        /// Far from what was expected: dropped, unless the next one goes on from it.
        case implausible
        /// The second in a row from elsewhere: the source began anew with the same SSRC.
        case restarted(Int64)
    }

    /// The highest number so far, counted on beyond 65 535. Nil before the first packet.
    package private(set) var highest: Int64?
    /// Different packets that came.
    package private(set) var received = 0
    package private(set) var duplicates = 0
    package private(set) var reordered = 0
    package private(set) var restarts = 0

    private var first: Int64 = 0
    /// The highest of the source before this one.
    private var previous: Int64?
    private var reported = (expected: 0, received: 0)
    /// Expected and received before the last restart: losses of the past stay counted.
    private var expectedBefore = 0
    /// The number that would confirm a restart.
    private var restartCandidate: UInt16?
    /// Which of the last 512 numbers came.
    private var seen = [UInt64](repeating: 0, count: 8)

    /// RFC 3550 A.1: MAX_DROPOUT, MAX_MISORDER.
    private static let mostMissing = 3000
    private static let mostMisordered = 100
    private static let window: Int64 = 512

    package init() {}

    /// Packets that should have come.
    package var expected: Int { self.expectedBefore + self.expectedSinceStart }
    /// RFC 3550 §6.4.1, without its flaw that duplicates hide losses. Silence is not in it: a sender that pauses skips
    /// timestamps, not numbers.
    package var lost: Int { max(0, self.expected - self.received) }

    /// What a receiver report says (RFC 3550 §6.4.1): the number, with how often it wrapped in the upper half.
    package var reportedHighest: UInt32 {
        UInt32(truncatingIfNeeded: (self.highest ?? 0) - (self.first >> 16) << 16)
    }

    private var expectedSinceStart: Int { self.highest.map { Int($0 - self.first) + 1 } ?? 0 }

    package mutating func accept(_ number: UInt16) -> Arrival {
        guard let highest = self.highest else {
            return .ahead(self.begin(at: number), missing: 0)
        }
        let step = Int(Int16(bitPattern: number &- UInt16(truncatingIfNeeded: highest)))
        if step > 0, step < RTPSequence.mostMissing {
            self.restartCandidate = nil
            self.forget(from: highest + 1, count: Int64(step))
            self.highest = highest + Int64(step)
            self.mark(highest + Int64(step))
            self.received += 1
            return .ahead(highest + Int64(step), missing: step - 1)
        }
        let extended: Int64 = highest + Int64(step)
        if step <= 0, step > -RTPSequence.mostMisordered {
            self.restartCandidate = nil
            if self.wasSeen(extended) {
                self.duplicates += 1
                return .duplicate(extended)
            }
            // The first that came need not have been the first that was sent.
            self.first = min(self.first, extended)
            self.mark(extended)
            self.received += 1
            self.reordered += 1
            return .reordered(extended)
        }
        guard number == self.restartCandidate else {
            self.restartCandidate = number &+ 1
            return .implausible
        }
        // The one before it was dropped and is counted as lost: it was sent, and is not heard.
        self.expectedBefore += self.expectedSinceStart + 1
        self.restarts += 1
        self.restartCandidate = nil
        return .restarted(self.begin(at: number))
    }

    /// How many of the numbers between `lower` and `upper`, both excluded, have not come. Older than the window counts
    /// as missing; between a source and the one after it nothing is.
    package func missing(between lower: Int64, and upper: Int64) -> Int {
        guard lower >= self.first, upper > lower + 1 else { return 0 }
        guard let highest = self.highest, highest - lower < RTPSequence.window else { return Int(upper - lower - 1) }
        var count = 0
        for number in (lower + 1)..<upper where !self.wasSeen(number) { count += 1 }
        return count
    }

    /// The account of the source that follows this one. Its numbers lie above all of this one's, so that the buffer, which
    /// may still hold packets of both, orders them.
    package func successor() -> RTPSequence {
        var next = RTPSequence()
        next.previous = self.highest ?? self.previous
        return next
    }

    /// What a report says of the time since the last one: lost of expected, in 256ths (RFC 3550 A.3).
    package mutating func takeFractionLost() -> UInt8 {
        let expected: Int = self.expected - self.reported.expected
        let received: Int = self.received - self.reported.received
        self.reported = (self.expected, self.received)
        guard expected > 0, received < expected else { return 0 }
        return UInt8(min(255, (expected - received) * 256 / expected))
    }

    /// Begins far above the last, so that numbers of before and after a restart never meet.
    private mutating func begin(at number: UInt16) -> Int64 {
        let epoch: Int64 = (self.highest ?? self.previous).map { ($0 >> 16) + 2 } ?? 1
        let extended: Int64 = epoch << 16 | Int64(number)
        self.first = extended
        self.highest = extended
        self.forget(from: extended, count: RTPSequence.window)
        self.mark(extended)
        self.received += 1
        return extended
    }

    private mutating func mark(_ number: Int64) {
        let index = Int(number & (RTPSequence.window - 1))
        self.seen[index >> 6] |= 1 << UInt64(index & 63)
    }

    private func wasSeen(_ number: Int64) -> Bool {
        let index = Int(number & (RTPSequence.window - 1))
        return self.seen[index >> 6] & 1 << UInt64(index & 63) != 0
    }

    private mutating func forget(from number: Int64, count: Int64) {
        for offset in 0..<min(count, RTPSequence.window) {
            let index = Int((number + offset) & (RTPSequence.window - 1))
            self.seen[index >> 6] &= ~(1 << UInt64(index & 63))
        }
    }
}
