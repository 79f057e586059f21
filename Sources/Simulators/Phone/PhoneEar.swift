import Telephony

/// What becomes of the agent's audio between its arrival and the caller's ear: the buffer of a module, drained by
/// 20 ms every 20 ms.
package struct PhoneEar: Sendable {
    /// How a module plays.
    package enum Model: Sendable, Equatable {
        /// Starts when this much is held, or has been waited for; anew after each dry moment.
        case cushion(Duration)
        /// The PCMU fork (freeswitch.md §3.4): silent below `warmUp` however long it waits; keeps the newest
        /// `capacity`; a dry stretch of `grace` ends the playing, and the warm-up is due again.
        case ring(warmUp: Duration, capacity: Duration, grace: Duration)
        /// jambonz (field.md Part C): gathers `first`, later `then`, before handing on to the playout; a flush does
        /// not reach what is being gathered. Marks are samples of −1.
        case gathered(first: Duration, then: Duration)
        /// Whole files, one after another, each started by a controller: `delay` after its message, and `hole` after
        /// the file before it.
        case files(delay: Duration, hole: Duration)
    }

    package let model: Model
    package let rate: SampleRate
    /// Audio that was lost because the buffer was full.
    package private(set) var discarded: Duration = .zero
    /// Names of marks that were reached since the last look.
    package private(set) var reachedMarks: [String] = []
    /// Names of marks that a flush threw out since the last look.
    package private(set) var clearedMarks: [String] = []

    private let frameSamples: Int
    private let capacity: Int
    // The playout: a queue whose consumed head is cut off now and then.
    private var samples: [Int16] = []
    private var head = 0
    private var isPlaying = false
    /// Since when something waits for the cushion, or the ring has been dry.
    private var since: Duration?
    // `gathered`.
    private var gathering: [Int16] = []
    private var hasGathered = false
    private var marks: [String] = []
    private var marksToInsert = 0
    // `files`: samples left of each file, the current one first.
    private var files: [Int] = []
    private var startsAt: Duration = .zero

    /// More marks than this are dropped (field.md Part C).
    private static let pendingMarksLimit = 30
    /// What no module limits is limited all the same.
    private static let longest: Duration = .seconds(120)
    private static let mostFiles = 1000

    package init(_ model: Model, rate: SampleRate) {
        self.model = model
        self.rate = rate
        self.frameSamples = rate.samples(in: .milliseconds(20))
        if case .ring(_, let capacity, _) = model {
            self.capacity = rate.samples(in: capacity)
        } else {
            self.capacity = rate.samples(in: PhoneEar.longest)
        }
    }

    private var available: Int { self.samples.count - self.head }

    /// How much waits to be heard.
    package var held: Duration {
        AudioFormat.l16(self.rate).duration(ofBytes: 2 * (self.available + self.gathering.count))
    }

    // MARK: What comes

    /// One message's audio has come: for `files` a whole file.
    package mutating func append(_ audio: [Int16], at now: Duration) {
        guard !audio.isEmpty else { return }
        switch self.model {
        case .ring:
            self.samples.append(contentsOf: audio)
            self.discardOldest()
        case .cushion:
            if self.available == 0, !self.isPlaying { self.since = now }
            self.appendBounded(audio)
        case .gathered(let first, let then):
            guard self.gathering.count + audio.count <= self.capacity else { return self.lose(audio.count) }
            if self.marksToInsert > 0 {
                self.gathering.append(contentsOf: repeatElement(-1, count: self.marksToInsert))
                self.marksToInsert = 0
            }
            self.gathering.append(contentsOf: audio)
            guard self.gathering.count >= self.rate.samples(in: self.hasGathered ? then : first) else { return }
            self.hasGathered = true
            let batch: [Int16] = self.gathering
            self.gathering.removeAll(keepingCapacity: true)
            self.appendBounded(batch)
        case .files(let delay, _):
            guard self.files.count < PhoneEar.mostFiles, self.available + audio.count <= self.capacity else {
                return self.lose(audio.count)
            }
            if self.files.isEmpty { self.startsAt = max(self.startsAt, now + delay) }
            self.files.append(audio.count)
            self.samples.append(contentsOf: audio)
        }
    }

    /// Throws away what waits (`stopAudio`, `killAudio`, a controller's `uuid_break`).
    package mutating func flush() {
        self.samples.removeAll(keepingCapacity: true)
        self.head = 0
        self.isPlaying = false
        self.since = nil
        self.files.removeAll(keepingCapacity: true)
        self.clearedMarks.append(contentsOf: self.marks)
        self.marks.removeAll(keepingCapacity: true)
    }

    /// Puts a mark before the next audio that comes. False: too many are pending, or this module has no marks.
    package mutating func mark(_ name: String) -> Bool {
        guard case .gathered = self.model, self.marks.count < PhoneEar.pendingMarksLimit else { return false }
        self.marks.append(name)
        self.marksToInsert += 1
        return true
    }

    /// Forgets all marks, and none of them is reported.
    package mutating func clearMarks() {
        self.marks.removeAll(keepingCapacity: true)
        self.marksToInsert = 0
    }

    package mutating func removeReportedMarks() {
        self.reachedMarks.removeAll(keepingCapacity: true)
        self.clearedMarks.removeAll(keepingCapacity: true)
    }

    private mutating func appendBounded(_ audio: [Int16]) {
        guard self.available + audio.count <= self.capacity else { return self.lose(audio.count) }
        self.samples.append(contentsOf: audio)
    }

    private mutating func lose(_ count: Int) {
        self.discarded += AudioFormat.l16(self.rate).duration(ofBytes: 2 * count)
    }

    private mutating func discardOldest() {
        let excess: Int = self.available - self.capacity
        guard excess > 0 else { return }
        self.head += excess
        self.lose(excess)
        self.compact()
    }

    // MARK: What is heard

    /// Appends the next 20 ms, filled up with silence, to `frame`. False: nothing plays, all of it is silence.
    package mutating func tick(at now: Duration, into frame: inout [Int16]) -> Bool {
        let count: Int = self.mayPlay(at: now) ? min(self.frameSamples, self.playable) : 0
        frame.append(contentsOf: self.samples[self.head..<self.head + count])
        frame.append(contentsOf: repeatElement(0, count: self.frameSamples - count))
        if !self.marks.isEmpty { self.reachMarks(in: count) }
        self.head += count
        self.compact()
        if case .files(_, let hole) = self.model, count > 0 { self.played(count, at: now, hole: hole) }
        return count > 0
    }

    private var playable: Int {
        if case .files = self.model { return self.files.first ?? 0 }
        return self.available
    }

    private mutating func mayPlay(at now: Duration) -> Bool {
        switch self.model {
        case .files: return !self.files.isEmpty && now >= self.startsAt
        case .gathered: return self.available > 0
        case .cushion(let cushion):
            guard self.available > 0 else {
                self.isPlaying = false
                self.since = nil
                return false
            }
            if !self.isPlaying {
                let waited: Duration = now - (self.since ?? now)
                self.isPlaying = self.available >= self.rate.samples(in: cushion) || waited >= cushion
            }
            return self.isPlaying
        case .ring(let warmUp, _, let grace):
            if !self.isPlaying {
                self.isPlaying = self.available >= self.rate.samples(in: warmUp)
                self.since = nil
                return self.isPlaying
            }
            guard self.available == 0 else {
                self.since = nil
                return true
            }
            let dry: Duration = self.since ?? now
            self.since = dry
            if now - dry >= grace { self.isPlaying = false }
            return false
        }
    }

    private mutating func played(_ count: Int, at now: Duration, hole: Duration) {
        self.files[0] -= count
        guard self.files[0] == 0 else { return }
        self.files.removeFirst()
        self.startsAt = now + .milliseconds(20) + hole
    }

    private mutating func reachMarks(in count: Int) {
        for index in self.head..<self.head + count where self.samples[index] == -1 && !self.marks.isEmpty {
            self.reachedMarks.append(self.marks.removeFirst())
        }
    }

    /// Cuts the consumed head off once it is the larger part: each sample is moved once on average.
    private mutating func compact() {
        guard self.head > 4096, self.head > self.available else { return }
        self.samples.removeFirst(self.head)
        self.head = 0
    }
}
