import Audio

/// Giving out, one frame of 20 ms a pull.
///
/// Three situations. *Waiting* (`position` is nil): nothing has come yet, or the sender has paused; the next stretch begins
/// when its playout time has come. *Playing*: samples leave in order. *Dry*: it is time to play what has not come; made
/// audio goes out, and while the depth may grow the line stands still (`stalled`), for the packet may only be late. When
/// it turns out lost, the hole is shortened by what was made already.
extension JitterBuffer {
    /// Samples of a frame.
    package static let frame = 160
    /// Depths are corrected beyond this (10 ms).
    private static let tolerance: Int64 = 80
    /// A pause of the sender, after nothing has come for this long (200 ms).
    private static let longestDry: Int64 = 1600
    /// Holes beyond this (one second) are no losses that anybody would fill.
    private static let longestHole: Int64 = 8000

    /// Appends one frame of `law`. `sequence` knows which packets are missing.
    package mutating func pull(
        at now: Int64, accountedBy sequence: RTPSequence, into output: inout [UInt8]
    ) -> RTPFrameKind {
        let frameStart: Int = output.count
        let kind: RTPFrameKind = self.produce(at: now, sequence, into: &output, frameStart)
        self.concealer.played(output[frameStart...])
        return kind
    }

    private mutating func produce(
        at now: Int64, _ sequence: RTPSequence, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind {
        guard self.begin(at: now, sequence) else {
            return self.background(JitterBuffer.frame, into: &output)
        }
        self.dropPassed()
        if self.dry == 0, let kind = self.adjust(at: now, into: &output, frameStart) { return kind }
        var kind: RTPFrameKind?
        var rest: Int = JitterBuffer.frame
        while rest > 0 {
            self.dropPassed()
            let place: Int64 = self.position ?? 0
            guard let next = self.segments.first else {
                self.combine(&kind, self.runDry(rest, at: now, into: &output, frameStart))
                break
            }
            if next.start <= place {
                let count: Int = min(rest, Int(next.end - place))
                self.settleDry(next: next, sequence)
                self.play(count, of: next, into: &output)
                self.combine(&kind, .audio)
                rest -= count
            } else if self.isLoss(before: next, at: place, sequence) {
                self.settleDry(next: next, sequence)
                if self.stalled > 0 {
                    // Already filled while it might still have come.
                    let credit: Int64 = min(self.stalled, next.start - place)
                    self.position = place + credit
                    self.stalled -= credit
                    continue
                }
                let end: Int64 = min(next.start, (self.last?.end ?? place) + self.lost(before: next, sequence))
                let count: Int = min(rest, Int(end - place))
                self.conceal(count, into: &output, frameStart)
                self.counts.concealed += count
                self.position = place + Int64(count)
                self.floor = place + Int64(count)
                self.combine(&kind, .concealed)
                rest -= count
            } else if rest == JitterBuffer.frame {
                // The sender was silent: the one place where the depth changes for free.
                guard self.isDue(next, at: now) else {
                    self.stalled = 0
                    return self.background(JitterBuffer.frame, into: &output)
                }
                self.settleDry(next: next, sequence)
                self.stalled = 0
                self.position = max(self.floor, next.start)
            } else {
                let count: Int = min(rest, Int(next.start - place))
                self.combine(&kind, self.background(count, into: &output))
                self.position = place + Int64(count)
                rest -= count
            }
        }
        self.measureDepth(at: now)
        return kind ?? .silence
    }

    /// Ends a stretch: back to waiting.
    mutating func stop() {
        self.position = nil
        self.stalled = 0
        self.dry = 0
        self.surplus = Streak()
        self.shortage = Streak()
        self.concealer.pause()
    }

    // MARK: Steps

    /// Whether something is to be played in this frame.
    private mutating func begin(at now: Int64, _ sequence: RTPSequence) -> Bool {
        if self.position != nil { return true }
        guard let first = self.segments.first else { return false }
        guard self.isDue(first, at: now) else { return false }
        self.settleDry(next: first, sequence)
        // Late already: from its beginning all the same, and shorter later.
        self.position = max(self.floor, first.start)
        return true
    }

    /// Whether a stretch is to begin with this frame. It begins with a frame, never within one: the frames then lie on the
    /// packets as well as they can, and no depth is spent on waiting for a packet of which a few samples are needed.
    private func isDue(_ segment: Segment, at now: Int64) -> Bool {
        segment.start <= now - self.playout - (Int64(JitterBuffer.frame) - JitterBuffer.grid(of: segment))
    }

    private mutating func dropPassed() {
        guard let position = self.position else { return }
        while let first = self.segments.first, first.end <= position {
            if let noise = first.noise {
                self.noise.use(noise)
                self.isNoisy = true
            }
            self.noteLast(first)
            self.segments.removeFirst()
        }
    }

    private mutating func play(_ count: Int, of segment: Segment, into output: inout [UInt8]) {
        let place: Int64 = self.position ?? segment.start
        let start: Int = output.count
        self.copy(count, from: place, into: &output)
        self.concealer.resume(in: &output, from: start)
        self.position = place + Int64(count)
        self.floor = place + Int64(count)
        self.noteLast(segment)
        self.stalled = 0
        self.isNoisy = false
        self.counts.played += count
    }

    /// Nothing more is there.
    private mutating func runDry(
        _ count: Int, at now: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind {
        let place: Int64 = self.position ?? 0
        guard !self.isNoisy, !self.isPauseAnnounced, self.dry < JitterBuffer.longestDry else {
            // A pause that was announced, or one that lasts.
            self.stop(afterDry: true)
            return self.background(count, into: &output)
        }
        if self.dry == 0 {
            self.dryFrom = place
            self.lateBeforeDry = self.counts.late
        }
        self.dry += Int64(count)
        self.conceal(count, into: &output, frameStart)
        // The packet may only be late: the line waits for it as long as the depth may grow.
        if now - place + Int64(count) - self.base <= self.maximum {
            self.stalled += Int64(count)
        } else {
            self.position = place + Int64(count)
            self.floor = place + Int64(count)
        }
        return .concealed
    }

    /// Something came after the buffer had run dry: now it is known what that was. What was lost or came late was audio; the
    /// rest, when the sender's clock went on meanwhile, was a pause.
    private mutating func settleDry(next: Segment, _ sequence: RTPSequence) {
        guard self.dry > 0 else { return }
        let wentOn: Bool = next.start - self.dryFrom >= self.dry / 2
        let isPause: Bool = wentOn && self.counts.late == self.lateBeforeDry
        let audio: Int64 = isPause ? min(self.dry, self.lost(before: next, sequence)) : self.dry
        self.counts.concealed += Int(audio)
        self.counts.silent += Int(self.dry - audio)
        self.dry = 0
    }

    private mutating func stop(afterDry: Bool) {
        let dry: Int64 = self.dry
        self.stop()
        self.dry = dry
    }

    mutating func noteLast(_ segment: Segment) {
        guard segment.sequence >= self.last?.sequence ?? .min else { return }
        // A description of silence has no length; the packets around it have.
        self.last = (segment.sequence, segment.end, segment.noise == nil ? segment.count : self.last?.count ?? 0)
    }

    /// How many samples before `next` were lost: as many packets as there are numbers missing, each as long as the last one.
    private func lost(before next: Segment, _ sequence: RTPSequence) -> Int64 {
        guard let last = self.last else { return 0 }
        return Int64(sequence.missing(between: last.sequence, and: next.sequence)) * Int64(last.count)
    }

    /// Whether what is missing at `place` was lost, and is no pause. A loss at the end of a talkspurt is followed by one.
    private func isLoss(before next: Segment, at place: Int64, _ sequence: RTPSequence) -> Bool {
        guard let last = self.last, next.start - place <= JitterBuffer.longestHole else { return false }
        return place < last.end + self.lost(before: next, sequence)
    }

    private mutating func conceal(_ count: Int, into output: inout [UInt8], _ frameStart: Int) {
        self.concealer.conceal(count, into: &output, frameStart: frameStart)
    }

    private mutating func background(_ count: Int, into output: inout [UInt8]) -> RTPFrameKind {
        self.concealer.pause()
        self.counts.silent += count
        guard self.isNoisy else {
            output.append(contentsOf: repeatElement(self.law.silence, count: count))
            return .silence
        }
        self.noise.append(count, as: self.law, to: &output)
        return .comfortNoise
    }

    func copy(_ count: Int, from place: Int64, into output: inout [UInt8]) {
        let first = Int(place & (JitterBuffer.capacity - 1))
        let head: Int = min(count, self.ring.count - first)
        output.append(contentsOf: self.ring[first..<(first + head)])
        if count > head { output.append(contentsOf: self.ring[0..<(count - head)]) }
    }

    /// A frame of several parts is called by the most notable.
    private func combine(_ kind: inout RTPFrameKind?, _ part: RTPFrameKind) {
        func rank(_ kind: RTPFrameKind) -> Int {
            switch kind {
            case .silence: 0
            case .comfortNoise: 1
            case .audio: 2
            case .adjusted: 3
            case .concealed: 4
            }
        }
        guard let known = kind, rank(known) >= rank(part) else {
            kind = part
            return
        }
    }

    // MARK: Depth

    private mutating func measureDepth(at now: Int64) {
        guard let position = self.position, self.dry == 0 else { return }
        let depth: Int64 = now + Int64(JitterBuffer.frame) - position - self.base
        self.counts.measured += 1
        self.counts.depthSum += depth
        self.counts.depthMost = max(self.counts.depthMost, depth)
    }

    /// The greatest step by which a frame can be moved and still lie on packets of this length in the same way.
    private static func grid(of segment: Segment) -> Int64 {
        var (a, b) = (JitterBuffer.frame, segment.count)
        while b > 0 { (a, b) = (b, a % b) }
        return Int64(a)
    }

    /// Brings the depth towards what is wanted. Nil: the frame is made as usual.
    ///
    /// What counts is when the last packet that a frame touches must be there. A frame that lies askew on the packets needs
    /// the next one for its last few samples: it is `askew` samples worse off than one that lies well.
    private mutating func adjust(
        at now: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard let position = self.position, let first = self.segments.first, first.start <= position,
            first.count > 0
        else { return nil }
        self.pullsSinceAdjustment += 1
        let grid: Int64 = JitterBuffer.grid(of: first)
        let askew: Int64 = (grid - (position - first.start) % grid) % grid
        let needed: Int64 = self.playout + Int64(JitterBuffer.frame) - grid + askew
        let surplus: Int64 = now - position - needed
        // The least of several pulls: one late tick of the loop is no depth.
        self.surplus.note(surplus, above: max(grid, JitterBuffer.tolerance) + JitterBuffer.tolerance / 2)
        // A depth that the network asks for is needed to the full; one that is only the least allowed is not.
        let isAsked: Bool = self.playout > self.base + self.minimum
        self.shortage.note(-surplus, above: isAsked ? JitterBuffer.tolerance / 4 : JitterBuffer.tolerance)
        if self.surplus.pulls >= 5, self.surplus.least > self.base + self.maximum - self.playout + 320 {
            return self.skip(self.surplus.least, into: &output, frameStart)
        }
        if self.shortage.pulls >= 2 {
            var step: Int64 = grid - askew
            while step + askew < self.shortage.least, step + grid <= Int64(TimeStretch.longest) { step += grid }
            return self.lengthen(by: Int(step), into: &output, frameStart)
        }
        if self.surplus.pulls >= 8 {
            let steps: Int64 = (self.surplus.least - JitterBuffer.tolerance / 2) / grid
            return self.shorten(by: Int(askew + steps * grid), into: &output, frameStart)
        }
        // Straightening costs nothing in a quiet moment, and brings the caller nearer.
        guard askew > 0, self.pullsSinceAdjustment >= 10 else { return nil }
        return self.shorten(by: Int(askew), isInSpeechAllowed: false, into: &output, frameStart)
    }

    /// How many samples are there without a hole, up to `most`.
    private func contiguous(upTo most: Int) -> Int {
        guard let position = self.position else { return 0 }
        var end: Int64 = position
        for segment in self.segments {
            guard segment.noise == nil, segment.start <= end, end - position < most else { break }
            end = segment.end
        }
        return min(most, Int(end - position))
    }

    private mutating func shorten(
        by wanted: Int, isInSpeechAllowed: Bool = true, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard self.concealer.missing == 0, let position = self.position else { return nil }
        let most: Int = min(wanted, TimeStretch.longest)
        guard self.contiguous(upTo: JitterBuffer.frame + most) == JitterBuffer.frame + most else { return nil }
        self.stretch.begin()
        self.copyForStretch(JitterBuffer.frame + most, from: position)
        let isInSpeechAllowed: Bool = isInSpeechAllowed && self.pullsSinceAdjustment >= 5
        guard let lag = self.stretch.shorten(by: most, isInSpeechAllowed: isInSpeechAllowed, into: &output) else {
            return nil
        }
        self.moved(by: JitterBuffer.frame + lag)
        self.counts.shortened += lag
        return .adjusted
    }

    private mutating func lengthen(
        by wanted: Int, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard self.concealer.missing == 0, let position = self.position,
            self.contiguous(upTo: JitterBuffer.frame) == JitterBuffer.frame
        else { return nil }
        self.stretch.begin()
        self.copyForStretch(JitterBuffer.frame, from: position)
        guard
            let lag = self.stretch.lengthen(
                by: wanted, after: self.concealer, isInSpeechAllowed: self.pullsSinceAdjustment >= 5, into: &output)
        else { return nil }
        self.moved(by: JitterBuffer.frame - lag)
        self.counts.stretched += lag
        return .adjusted
    }

    /// Far too much is there: a stall of the network is over and its backlog came at once. A made frame bridges the cut.
    private mutating func skip(
        _ surplus: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind {
        self.concealer.conceal(JitterBuffer.frame, into: &output, frameStart: frameStart)
        let position: Int64 = (self.position ?? 0) + Int64(JitterBuffer.frame) + surplus
        self.position = position
        self.floor = position
        self.counts.skipped += Int(surplus)
        self.counts.concealed += JitterBuffer.frame
        self.surplus = Streak()
        self.dropPassed()
        return .concealed
    }

    private mutating func copyForStretch(_ count: Int, from place: Int64) {
        let first = Int(place & (JitterBuffer.capacity - 1))
        let head: Int = min(count, self.ring.count - first)
        self.stretch.add(self.ring[first..<(first + head)])
        if count > head { self.stretch.add(self.ring[0..<(count - head)]) }
    }

    private mutating func moved(by samples: Int) {
        let position: Int64 = (self.position ?? 0) + Int64(samples)
        self.position = position
        self.floor = position
        self.counts.played += samples
        self.surplus = Streak()
        self.shortage = Streak()
        self.pullsSinceAdjustment = 0
        self.stalled = 0
        self.isNoisy = false
        self.dropPassed()
    }
}
