import Telephony

/// One stretch of agent audio in the playout: an assistant session's item, or a sentence of the house voice.
package struct PlayoutItem: Hashable, Sendable {
    /// The assistant session that made it (1, 2, … in the order they were opened); 0 is the house voice.
    package var session: Int
    package var number: Int
    package init(session: Int, number: Int) {
        self.session = session
        self.number = number
    }
}

/// Agent audio waiting for the caller's ear, and on its way to it.
///
/// A deep store on our side (providers deliver faster than real time) and a shallow commitment on the phone's: frames
/// leave on absolute deadlines, `t0 + n · 20 ms`, at most `traits.lead` early. Because the deadlines are absolute a late
/// tick catches up and nothing drifts. The store is FIFO, so that one number, the offset of the last byte heard, says
/// of every item how much of it the caller has heard.
///
/// Assumption: a leg plays what it gets in order and at once, `traits.latency` after we sent it. A leg with a warm-up
/// plays nothing before it holds `traits.warmUp`: a run for it begins when that much is there to be sent at once (or all
/// that there will be, padded), so that its first frame sounds when it is sent, also when the assistant delivers in real
/// time. Sending the first frames earlier would not be heard earlier. Omission: clock drift between us and the switch; the
/// leg's buffer absorbs it within an answer, and each answer starts a new run.
package struct Playout: Sendable {
    /// Audio of one run, as it was sent: `count` bytes from `offset` begin to sound at `playsAt`.
    private struct Span: Sendable {
        var offset: Int
        var count: Int
        var playsAt: Duration
    }
    private struct Item: Sendable {
        var item: PlayoutItem
        var start: Int
        var end: Int
        var isFinished: Bool
    }

    package let format: AudioFormat
    package let traits: PlayoutTraits
    /// `Duration * Int` is a generic of the library, slow where it is asked for each frame of each call (1.3 % of a bridge).
    private let ptimeNanoseconds: Int64
    /// Silence to send after an utterance, or the leg sits on the end of it.
    private let tail: Duration
    private let frameBytes: Int
    /// A warm-up is sent at once.
    private let lead: Duration
    /// What has to wait before a run begins.
    private let warmUpBytes: Int
    private let maximumBytes: Int

    /// Bytes from offset `base`; those before `cursor` were sent and are kept until they were surely heard.
    private var store: [UInt8] = []
    private var base = 0
    private var cursor = 0
    private var items: [Item] = []
    private var spans: [Span] = []
    /// When the run's first frame sounds, and how many frames of it were sent. Nil: idle, the next frame starts a run.
    private var runStart: Duration?
    /// When the ear ran dry inside an item: until the next run begins, that is an underrun.
    private var dryAt: Duration?
    private var runFrames = 0
    /// As many of them as ended with real audio: what follows is padding.
    private var audioFrames = 0
    package private(set) var isPaused = false
    /// Everything below this offset counts as heard (earlier runs, flushed legs).
    private var heardFloor = 0

    /// Times that the ear ran dry inside an item, and for how long altogether.
    package private(set) var underruns = 0
    package private(set) var underrunTime: Duration = .zero
    /// Bytes of real audio sent to the phone so far (padding apart).
    package private(set) var sentBytes = 0

    /// - Parameters:
    ///   - maximum: the most that may wait; beyond it the response has to be cancelled (design §3: 120 s).
    package init(
        format: AudioFormat, traits: PlayoutTraits, tail: Duration = .zero, ptime: Duration = .milliseconds(20),
        maximum: Duration = .seconds(120)
    ) {
        self.tail = tail
        self.format = format
        self.traits = traits
        self.ptimeNanoseconds = ptime.nanoseconds
        self.frameBytes = format.bytes(in: ptime)
        self.lead = max(traits.lead, traits.warmUp)
        self.warmUpBytes = format.bytes(in: traits.warmUp)
        self.maximumBytes = format.bytes(in: maximum)
    }

    // MARK: Audio arrives

    /// More audio of `item`. False: the store is full and nothing of `bytes` was taken.
    package mutating func enqueue(_ bytes: UnsafeRawBufferPointer, of item: PlayoutItem, at now: Duration) -> Bool {
        guard self.store.count - (self.cursor - self.base) + bytes.count <= self.maximumBytes else { return false }
        guard !bytes.isEmpty else { return true }
        let end = self.base + self.store.count
        if let last = self.items.indices.last, self.items[last].item == item {
            self.items[last].end = end + bytes.count
        } else {
            // A new item implies that nothing more comes of the one before it.
            if let last = self.items.indices.last { self.items[last].isFinished = true }
            self.items.append(Item(item: item, start: end, end: end + bytes.count, isFinished: false))
        }
        if self.store.count + bytes.count > self.store.capacity { self.makeRoom(for: bytes.count, at: now) }
        self.store.append(contentsOf: bytes)
        return true
    }

    /// All audio of `item` was delivered to us.
    package mutating func finish(_ item: PlayoutItem) {
        guard let index = self.items.lastIndex(where: { $0.item == item }) else { return }
        self.items[index].isFinished = true
    }

    // MARK: Audio leaves

    /// When the next frame is due; nil while there is nothing to send (or paused).
    package var nextDue: Duration? {
        guard !self.isPaused, self.hasFrame else { return nil }
        guard let runStart = self.runStart else { return .zero }
        return runStart + self.length(ofFrames: self.runFrames) - self.lead
    }

    /// Appends the next frame to `frame` if it is due. Call until false. The frame begins to sound at `playsAt`.
    package mutating func nextFrame(at now: Duration, into frame: inout [UInt8]) -> (isDue: Bool, playsAt: Duration) {
        guard !self.isPaused else { return (false, .zero) }
        self.endRunIfDry(at: now)
        guard self.hasFrame else { return (false, .zero) }
        self.beginRunIfNeeded(at: now)
        guard let runStart = self.runStart else { return (false, .zero) }
        let playsAt = runStart + self.length(ofFrames: self.runFrames)
        guard now >= playsAt - self.lead else { return (false, .zero) }
        let available = self.base + self.store.count - self.cursor
        let count = min(self.frameBytes, available)
        let start = self.cursor - self.base
        self.store.withUnsafeBufferPointer {
            frame.append(contentsOf: UnsafeBufferPointer(rebasing: $0[start..<(start + count)]))
        }
        if count < self.frameBytes { self.appendSilence(self.frameBytes - count, to: &frame) }
        self.runFrames += 1
        if count > 0 {
            self.audioFrames = self.runFrames
            self.note(Span(offset: self.cursor, count: count, playsAt: playsAt))
            self.cursor += count
            self.sentBytes += count
        }
        if self.runFrames % 64 == 0 { self.prune(at: now) }
        return (true, playsAt)
    }

    /// All that was stored was sent, padding included, and the newest item is finished: nothing more comes of it.
    package var isComplete: Bool {
        !self.hasFrame && self.cursor == self.base + self.store.count && self.items.last?.isFinished ?? true
    }

    /// A whole frame waits, or the tail of what is finished, or the silence that a leg with a warm-up needs to begin.
    private var hasFrame: Bool {
        let available = self.base + self.store.count - self.cursor
        let isFinished = self.items.last?.isFinished ?? true
        if self.runStart == nil, !isFinished, available < self.warmUpBytes { return false }
        if available >= self.frameBytes { return true }
        if available > 0 { return isFinished }
        // The PCMU fork never plays an utterance shorter than its warm-up, and jambonz's sits on the last frames until
        // more comes: pad the run.
        guard isFinished, self.audioFrames > 0 else { return false }
        let wanted = max(
            self.traits.warmUp, self.tail > .zero ? self.length(ofFrames: self.audioFrames) + self.tail : .zero)
        return self.length(ofFrames: self.runFrames) < wanted
    }

    private func length(ofFrames count: Int) -> Duration { .nanoseconds(self.ptimeNanoseconds &* Int64(count)) }

    private mutating func beginRunIfNeeded(at now: Duration) {
        guard self.runStart == nil else { return }
        self.runStart = now
        self.runFrames = 0
        self.audioFrames = 0
        guard let dryAt = self.dryAt else { return }
        self.dryAt = nil
        self.underruns += 1
        self.underrunTime += now - dryAt
    }

    /// More has come, too late: the ear had nothing since the end of what was sent. Inside an item that is an underrun;
    /// between items it is a pause. Either way a new run begins, with a warm-up where the leg has one.
    private mutating func endRunIfDry(at now: Duration) {
        guard let runStart = self.runStart, self.base + self.store.count > self.cursor else { return }
        let ranDryAt = runStart + self.length(ofFrames: self.runFrames)
        guard now > ranDryAt else { return }
        if self.isInsideItem { self.dryAt = ranDryAt }
        self.runStart = nil
        self.runFrames = 0
        self.audioFrames = 0
    }

    private var isInsideItem: Bool {
        guard let item = self.items.last(where: { $0.start < self.cursor }) else { return false }
        return item.end > self.cursor
    }

    private mutating func appendSilence(_ count: Int, to frame: inout [UInt8]) {
        frame.append(contentsOf: repeatElement(self.format.encoding.silence, count: count))
    }

    private mutating func note(_ span: Span) {
        if let last = self.spans.indices.last {
            let previous = self.spans[last]
            let end = previous.playsAt + self.format.duration(ofBytes: previous.count)
            if previous.offset + previous.count == span.offset, end == span.playsAt {
                self.spans[last].count += span.count
                return
            }
        }
        self.spans.append(span)
    }

    /// Gives back the memory of what was heard, keeping what a pause could have to take back.
    private mutating func prune(at now: Duration) {
        let heard = self.heardOffset(at: now)
        let keep = min(heard, self.cursor)
        let drop = keep - self.base
        // Moving the rest down costs a copy: worth it when a good piece is dropped.
        if drop > 0, drop >= min(self.store.count / 2, Self.growth) {
            self.store.removeFirst(drop)
            self.base += drop
        }
        self.heardFloor = max(self.heardFloor, heard)
        if let current = self.spans.lastIndex(where: { $0.playsAt <= now - self.traits.latency }), current > 0 {
            self.spans.removeFirst(current)
        }
        while self.items.count > 8, let first = self.items.first, first.isFinished, first.end <= heard {
            self.items.removeFirst()
        }
    }

    /// Grows by steps instead of doubling: hundreds of calls hold seconds of audio each, and unused capacity is memory.
    private mutating func makeRoom(for count: Int, at now: Duration) {
        self.prune(at: now)
        let wanted = self.store.count + count
        guard wanted > self.store.capacity else { return }
        self.store.reserveCapacity((wanted + Self.growth - 1) / Self.growth * Self.growth)
    }

    /// Everything was heard: gives back what a long answer took.
    package mutating func releaseMemory(at now: Duration) {
        self.prune(at: now)
        if self.store.isEmpty, self.store.capacity > 2 * Self.growth { self.store = [] }
    }

    /// 16 KB: half a second of L16 at 16 kHz.
    private static let growth = 16 * 1024

    // MARK: What was heard

    /// The offset of the last byte that the caller has heard.
    private func heardOffset(at now: Duration) -> Int {
        let ear = now - self.traits.latency
        // Asked several times a frame, and nearly always answered by the last.
        guard let index = self.spans.lastIndex(where: { $0.playsAt <= ear }) else { return self.heardFloor }
        let span = self.spans[index]
        let elapsed = min(self.format.bytes(in: ear - span.playsAt), span.count)
        let sample = self.format.bytesPerSample
        return max(self.heardFloor, span.offset + elapsed / sample * sample)
    }

    /// How much of `item` the caller has heard by `now`.
    package func heard(of item: PlayoutItem, at now: Duration) -> Duration {
        guard let entry = self.items.last(where: { $0.item == item }) else { return .zero }
        let heard = self.heardOffset(at: now)
        return self.format.duration(ofBytes: max(0, min(heard, entry.end) - entry.start))
    }

    /// How much of `item` has come from the assistant.
    package func received(of item: PlayoutItem) -> Duration {
        guard let entry = self.items.last(where: { $0.item == item }) else { return .zero }
        return self.format.duration(ofBytes: entry.end - entry.start)
    }

    /// Whether something sounds in the caller's ear at `now`, or waits to.
    package func isSounding(at now: Duration) -> Bool {
        self.heardOffset(at: now) < self.base + self.store.count
    }

    /// When all that is stored will have been heard, if nothing more comes; nil when that is so already.
    package func heardOutAt(_ now: Duration) -> Duration? {
        let end = self.base + self.store.count
        let heard = self.heardOffset(at: now)
        guard heard < end else { return nil }
        return now + self.format.duration(ofBytes: end - heard)
    }

    /// When what was sent so far will have been heard; nil when paused or when that is so already.
    package func soundEnds(at now: Duration) -> Duration? {
        let heard = self.heardOffset(at: now)
        guard !self.isPaused, heard < self.cursor else { return nil }
        return now + self.format.duration(ofBytes: self.cursor - heard)
    }

    /// How much waits unheard.
    package func backlog(at now: Duration) -> Duration {
        self.format.duration(ofBytes: self.base + self.store.count - self.heardOffset(at: now))
    }

    /// The item whose audio is in the ear at `now`, or that comes next.
    package func currentItem(at now: Duration) -> PlayoutItem? {
        let heard = self.heardOffset(at: now)
        return self.items.first(where: { heard < $0.end })?.item
    }

    // MARK: Barge-in

    /// Stops sending and takes back what was sent but not heard. The caller of this flushes the leg.
    package mutating func pause(at now: Duration) {
        guard !self.isPaused else { return }
        let heard = self.traits.canFlush ? self.heardOffset(at: now) : self.cursor
        self.heardFloor = max(self.heardFloor, heard)
        self.cursor = min(self.cursor, max(heard, self.base))
        self.spans.removeAll(keepingCapacity: true)
        self.runStart = nil
        self.dryAt = nil
        self.runFrames = 0
        self.audioFrames = 0
        self.isPaused = true
    }

    /// Goes on from what was heard.
    package mutating func resume() { self.isPaused = false }

    /// One item's account at an interruption.
    package struct Heard: Equatable, Sendable {
        package var item: PlayoutItem
        /// What the caller heard of it, never more than `received`.
        package var heard: Duration
        /// What the assistant had delivered of it.
        package var received: Duration
        package init(item: PlayoutItem, heard: Duration, received: Duration) {
            self.item = item
            self.heard = heard
            self.received = received
        }
    }

    /// Drops all that was not heard, for good, and says for each item that was cut how much of it was heard.
    package mutating func discard(at now: Duration) -> [Heard] {
        if !self.isPaused { self.pause(at: now) }
        self.isPaused = false
        let heard = self.heardFloor
        var cut: [Heard] = []
        for entry in self.items where entry.end > heard || !entry.isFinished {
            cut.append(
                Heard(
                    item: entry.item, heard: self.format.duration(ofBytes: max(0, heard - entry.start)),
                    received: self.format.duration(ofBytes: entry.end - entry.start)))
        }
        self.items.removeAll(keepingCapacity: true)
        let end = self.base + self.store.count
        self.store.removeAll(keepingCapacity: self.store.capacity <= 2 * Self.growth)
        self.base = end
        self.cursor = end
        self.heardFloor = end
        return cut
    }
}
