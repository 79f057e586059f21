import Audio
import Telephony

/// Why the bounds of a jitter buffer are refused.
package enum JitterLimitsError: Error, Equatable, CustomStringConvertible {
    case outOfRange(setting: String, milliseconds: Int)
    case crossed(minimum: Int, maximum: Int)
    case targetOutside(target: Int, minimum: Int, maximum: Int)

    package var description: String {
        switch self {
        case .outOfRange(let setting, let milliseconds):
            "\(setting) is \(milliseconds): a depth from 0 to 500 ms is possible (20 to 200 is usual)"
        case .crossed(let minimum, let maximum):
            "RTP_JITTER_MIN_MS \(minimum) is above RTP_JITTER_MAX_MS \(maximum): exchange them"
        case .targetOutside(let target, let minimum, let maximum):
            "RTP_JITTER_TARGET_MS \(target) must lie between RTP_JITTER_MIN_MS \(minimum) and RTP_JITTER_MAX_MS \(maximum)"
        }
    }
}

/// Keeps the caller's audio for as long as the network needs to bring it in order, and gives it out at a steady rate.
///
/// A store of samples on one line (`MediaTimeline`), not of packets: any packet length fits, and what overlaps is there
/// once. Depth is how much later than the fastest packets would allow the caller is heard. It follows the network
/// (`DelayHistogram`): all but 0.5 % of the packets of the last 20 s or so shall be in time, within the limits. It changes
/// where nobody hears it: in pauses freely, in speech by whole pitch periods (`TimeStretch`).
///
/// A hole in the line is a loss only when sequence numbers are missing too; else the sender was silent.
/// Given out in `JitterBuffer+Playout.swift`. Times are samples since any origin.
package struct JitterBuffer: Sendable {
    /// Between what the depth moves. Unset: 20 to 200 ms, from 40: what a network does not need
    /// is not waited for (measured, docs/rtp.md), and with 60 ms one with 80 ms of jitter loses 16 % of the audio.
    package struct Limits: Sendable, Equatable {
        package let minimum: Duration
        package let maximum: Duration
        /// The depth until the network is known (one second).
        package let target: Duration

        package static let standard = Limits(
            minimum: .milliseconds(20), maximum: .milliseconds(200), target: .milliseconds(40))

        private init(minimum: Duration, maximum: Duration, target: Duration) {
            self.minimum = minimum
            self.maximum = maximum
            self.target = target
        }

        /// From RTP_JITTER_MIN_MS, RTP_JITTER_MAX_MS and RTP_JITTER_TARGET_MS, nil where unset. One that is set moves
        /// the unset others as far as it must.
        package init(minimum: Int?, maximum: Int?, target: Int?) throws(JitterLimitsError) {
            let settings: [(String, Int?)] = [
                ("RTP_JITTER_MIN_MS", minimum), ("RTP_JITTER_MAX_MS", maximum), ("RTP_JITTER_TARGET_MS", target),
            ]
            for (setting, value) in settings {
                if let value, !(0...500).contains(value) { throw .outOfRange(setting: setting, milliseconds: value) }
            }
            let low: Int = minimum ?? min(20, maximum ?? 20, target ?? 20)
            let high: Int = maximum ?? max(200, low, target ?? 200)
            guard low <= high else { throw .crossed(minimum: low, maximum: high) }
            let start: Int = target ?? min(high, max(low, 40))
            guard (low...high).contains(start) else {
                throw .targetOutside(target: start, minimum: low, maximum: high)
            }
            self.init(minimum: .milliseconds(low), maximum: .milliseconds(high), target: .milliseconds(start))
        }
    }

    /// What became of a packet.
    package enum Insertion: Sendable, Equatable {
        case stored
        /// Its time was over.
        case late
        /// All of it was there already.
        case duplicate
        /// Too far ahead, or too many pieces: nothing keeps audio for that long.
        case overflow
    }

    /// A stretch of the line that came, or (with no samples) a description of the silence that begins there.
    struct Segment: Sendable {
        var start: Int64
        var count: Int
        var sequence: Int64
        var noise: ComfortNoise.Description?
        var end: Int64 { self.start + Int64(self.count) }
    }

    /// Pulls in a row at which something was above a bound, and the least that it was.
    struct Streak: Sendable {
        private(set) var pulls = 0
        private(set) var least: Int64 = 0

        mutating func note(_ value: Int64, above bound: Int64) {
            guard value > bound else {
                self = Streak()
                return
            }
            self.least = self.pulls == 0 ? value : min(self.least, value)
            self.pulls += 1
        }
    }

    let law: G711.Law
    let minimum: Int64
    let maximum: Int64
    private let target: Int64
    /// The line's samples, each at its place modulo the capacity.
    var ring: [UInt8]
    /// In order of their start, never overlapping.
    var segments: [Segment] = []
    private var histogram = DelayHistogram()
    /// The delay of the fastest packets, and the one at which samples are to be played.
    private(set) var base: Int64 = 0
    private(set) var playout: Int64 = 0

    // What playing is about: see JitterBuffer+Playout.swift.
    var position: Int64?
    var floor: Int64 = .min
    /// The newest stretch that was played, or whose time is over: its number, its end, its length.
    var last: (sequence: Int64, end: Int64, count: Int)?
    var stalled: Int64 = 0
    var dry: Int64 = 0
    var dryFrom: Int64 = 0
    var lateBeforeDry = 0
    private var lateInWaiting = 0
    var isPauseAnnounced = false
    var surplus = Streak()
    var shortage = Streak()
    var pullsSinceAdjustment = 0
    var concealer: Concealer
    var noise: ComfortNoise
    var isNoisy = false
    var stretch: TimeStretch
    package var counts = Counts()

    /// What the buffer has done, in packets or samples.
    package struct Counts: Sendable, Equatable {
        package var played = 0
        package var concealed = 0
        package var silent = 0
        package var late = 0
        package var overflowed = 0
        /// Samples put in or taken out by stretching, in speech or in a quiet stretch; and thrown away after a stall.
        package var stretched = 0
        package var shortened = 0
        package var skipped = 0
        /// Frames that were given out while audio was there, and the sum of their depths in samples.
        package var measured = 0
        package var depthSum: Int64 = 0
        package var depthMost: Int64 = 0
    }

    /// One second: the power of two makes the modulo cheap.
    static let capacity: Int64 = 8192
    private static let mostSegments = 128
    /// While nothing is played, so many packets in a row before what was played last are no stragglers: the line has moved.
    private static let mostLateInWaiting = 5
    /// 200 ms: the longest ptime that RFC 3551 speaks of.
    package static let longestPacket = 1600

    package init(law: G711.Law, limits: Limits = .standard, noiseSeed: UInt64) {
        self.law = law
        self.minimum = MediaClock.samples(limits.minimum)
        self.maximum = MediaClock.samples(limits.maximum)
        self.target = MediaClock.samples(limits.target)
        self.ring = [UInt8](repeating: law.silence, count: Int(JitterBuffer.capacity))
        self.segments.reserveCapacity(JitterBuffer.mostSegments)
        self.concealer = Concealer(law: law)
        self.noise = ComfortNoise(seed: noiseSeed)
        self.stretch = TimeStretch(law: law)
    }

    /// How deep it wants to be now.
    package var depth: Duration { MediaClock.duration(Int(self.playout - self.base)) }

    /// Takes audio. `place` is its first sample's, `codes` of `law`, 1…`longestPacket` of them.
    package mutating func insert(
        _ codes: UnsafeRawBufferPointer, law: G711.Law, at place: Int64, sequence: Int64, arrival: Int64
    ) -> Insertion {
        guard (1...JitterBuffer.longestPacket).contains(codes.count) else { return .overflow }
        self.measure(arrival - place)
        var start: Int64 = place
        var end: Int64 = place + Int64(codes.count)
        guard end > self.earliest, arrival - place - self.base < JitterBuffer.capacity else {
            self.counts.late += 1
            self.lateInWaiting += 1
            // Its place was filled: the hole that is left begins after it.
            self.noteLast(Segment(start: start, count: Int(end - start), sequence: sequence, noise: nil))
            if self.position == nil, self.lateInWaiting >= JitterBuffer.mostLateInWaiting { self.floor = .min }
            return .late
        }
        self.lateInWaiting = 0
        self.isPauseAnnounced = false
        // Waiting, the line is as long as what is there; playing, it begins with what is played next.
        let from: Int64 = min(self.position ?? start, self.segments.first?.start ?? start)
        guard self.segments.count < JitterBuffer.mostSegments,
            end - from < JitterBuffer.capacity - Int64(JitterBuffer.longestPacket)
        else {
            self.counts.overflowed += 1
            return .overflow
        }
        var index: Int = self.segments.count
        while index > 0, self.segments[index - 1].start > start { index -= 1 }
        if index > 0 { start = max(start, self.segments[index - 1].end) }
        if index < self.segments.count { end = min(end, self.segments[index].start) }
        guard end > start else { return .duplicate }
        self.copy(codes, from: Int(start - place), count: Int(end - start), law: law, to: start)
        self.segments.insert(
            Segment(start: start, count: Int(end - start), sequence: sequence, noise: nil), at: index)
        return .stored
    }

    /// Takes a description of silence, which begins at `place`.
    package mutating func insert(
        noise: ComfortNoise.Description, at place: Int64, sequence: Int64
    ) -> Insertion {
        guard place >= self.earliest else {
            // A description is good for whenever it comes.
            if self.isNoisy { self.noise.use(noise) }
            return .late
        }
        guard self.segments.count < JitterBuffer.mostSegments else { return .overflow }
        var index: Int = self.segments.count
        while index > 0, self.segments[index - 1].start > place { index -= 1 }
        if index > 0, self.segments[index - 1].end > place { return .duplicate }
        self.segments.insert(Segment(start: place, count: 0, sequence: sequence, noise: noise), at: index)
        return .stored
    }

    /// Whether a packet comes too late to be played in time, even if it can still be played.
    package func isBehind(_ place: Int64, arrival: Int64) -> Bool {
        self.histogram.packets > 0 && arrival - place > self.playout + Int64(JitterBuffer.frame)
    }

    /// The sender says by other packets (a digit's) that it sends no audio for now: what is dry is no loss.
    package mutating func pauseAnnounced() { self.isPauseAnnounced = true }

    /// The line was laid anew: the delays of before say little of those to come.
    package mutating func lineMoved() { self.histogram.fade() }

    /// Throws away all that waits (hold, another peer): what comes next begins anew.
    package mutating func clear() {
        self.segments.removeAll(keepingCapacity: true)
        self.stop()
    }

    /// Nothing before this can be played any more.
    private var earliest: Int64 { self.position ?? self.floor }

    private mutating func measure(_ delay: Int64) {
        self.histogram.add(delay)
        if self.histogram.packets % 64 == 0 { self.histogram.recentre() }
        self.base = self.histogram.lowerQuantile(0.01)
        var wanted: Int64 = self.histogram.upperQuantile(0.995) - self.base
        if self.histogram.packets < 50 { wanted = max(wanted, self.target) }
        self.playout = self.base + min(self.maximum, max(self.minimum, wanted))
    }

    private mutating func copy(
        _ codes: UnsafeRawBufferPointer, from offset: Int, count: Int, law: G711.Law, to place: Int64
    ) {
        let mask: Int64 = JitterBuffer.capacity - 1
        let isForeign: Bool = law != self.law
        let first: Int = Int(place & mask)
        self.ring.withUnsafeMutableBytes { ring in
            let head: Int = min(count, ring.count - first)
            UnsafeMutableRawBufferPointer(rebasing: ring[first..<(first + head)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: codes[offset..<(offset + head)]))
            UnsafeMutableRawBufferPointer(rebasing: ring[0..<(count - head)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: codes[(offset + head)..<(offset + count)]))
            guard isForeign else { return }
            let table: [UInt8] = G711.Law.translations[law == .mu ? 0 : 1]
            for index in 0..<count {
                let at = Int((place + Int64(index)) & mask)
                ring[at] = table[Int(ring[at])]
            }
        }
    }
}
