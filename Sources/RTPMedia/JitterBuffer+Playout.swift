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
        if let kind = self.adjust(at: now, into: &output, frameStart) { return kind }
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
                self.play(count, of: next, into: &output)
                self.combine(&kind, .audio)
                rest -= count
            } else if self.isLoss(before: next, at: place, sequence) {
                if self.stalled > 0 {
                    // Already filled while it might still have come.
                    let credit: Int64 = min(self.stalled, next.start - place)
                    self.position = place + credit
                    self.stalled -= credit
                    continue
                }
                let count: Int = min(rest, Int(next.start - place))
                self.conceal(count, into: &output, frameStart)
                self.position = place + Int64(count)
                self.floor = place + Int64(count)
                self.combine(&kind, .concealed)
                rest -= count
            } else {
                // The sender was silent: the one place where the depth changes for free.
                let due: Int64 = now + Int64(JitterBuffer.frame - rest) - self.playout
                let free: Int64 = max(self.floor, min(due, next.start))
                self.settleDry(next: next, isLoss: false)
                self.stalled = 0
                self.position = free
                guard next.start > free else { continue }
                let count: Int = min(rest, Int(next.start - free))
                self.combine(&kind, self.background(count, into: &output))
                self.position = free + Int64(count)
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
        self.surplus = (0, 0)
        self.shortage = (0, 0)
        self.concealer.pause()
    }

    // MARK: Steps

    /// Whether something is to be played in this frame.
    private mutating func begin(at now: Int64, _ sequence: RTPSequence) -> Bool {
        if self.position != nil { return true }
        guard let first = self.segments.first else { return false }
        let due: Int64 = now - self.playout
        guard first.start < due + Int64(JitterBuffer.frame) else { return false }
        self.settleDry(next: first, isLoss: self.isLoss(before: first, at: self.floor, sequence))
        // Late already: from its beginning all the same, and shorter later.
        self.position = max(self.floor, min(due, first.start))
        return true
    }

    private mutating func dropPassed() {
        guard let position = self.position else { return }
        while let first = self.segments.first, first.end <= position {
            if let noise = first.noise {
                self.noise.use(noise)
                self.isNoisy = true
            }
            self.lastSequence = max(self.lastSequence ?? first.sequence, first.sequence)
            self.segments.removeFirst()
        }
    }

    private mutating func play(_ count: Int, of segment: Segment, into output: inout [UInt8]) {
        let place: Int64 = self.position ?? segment.start
        self.settleDry(next: segment, isLoss: true)
        let start: Int = output.count
        self.copy(count, from: place, into: &output)
        self.concealer.resume(in: &output, from: start)
        self.position = place + Int64(count)
        self.floor = place + Int64(count)
        self.lastSequence = max(self.lastSequence ?? segment.sequence, segment.sequence)
        self.stalled = 0
        self.isNoisy = false
        self.counts.played += count
    }

    /// Nothing more is there.
    private mutating func runDry(
        _ count: Int, at now: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind {
        let place: Int64 = self.position ?? 0
        guard !self.isNoisy, self.dry < JitterBuffer.longestDry else {
            // A pause that was announced, or one that lasts.
            self.stop(afterDry: true)
            return self.background(count, into: &output)
        }
        if self.dry == 0 {
            self.dryFrom = place
            self.lateBeforeDry = self.counts.late
        }
        self.dry += Int64(count)
        self.conceal(count, into: &output, frameStart, isCounted: false)
        // The packet may only be late: the line waits for it as long as the depth may grow.
        if now - place + Int64(count) - self.base <= self.maximum {
            self.stalled += Int64(count)
        } else {
            self.position = place + Int64(count)
            self.floor = place + Int64(count)
        }
        return .concealed
    }

    /// Something came after the buffer had run dry: now it is known what that was. A pause of the sender, when no number
    /// is missing, nothing came late and its clock went on; else audio was missing.
    private mutating func settleDry(next: Segment, isLoss: Bool) {
        guard self.dry > 0 else { return }
        let isPause: Bool =
            !isLoss && self.counts.late == self.lateBeforeDry && next.start - self.dryFrom >= self.dry / 2
        if isPause { self.counts.silent += Int(self.dry) } else { self.counts.concealed += Int(self.dry) }
        self.dry = 0
    }

    private mutating func stop(afterDry: Bool) {
        let dry: Int64 = self.dry
        self.stop()
        self.dry = dry
    }

    private func isLoss(before next: Segment, at place: Int64, _ sequence: RTPSequence) -> Bool {
        guard let last = self.lastSequence, next.start - place <= JitterBuffer.longestHole else { return false }
        return sequence.missing(between: last, and: next.sequence) > 0
    }

    private mutating func conceal(
        _ count: Int, into output: inout [UInt8], _ frameStart: Int, isCounted: Bool = true
    ) {
        self.concealer.conceal(count, into: &output, frameStart: frameStart)
        if isCounted {
            self.counts.concealed += count + Int(self.dry)
            self.dry = 0
        }
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

    /// Brings the depth towards what is wanted. Nil: the frame is made as usual.
    private mutating func adjust(
        at now: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard let position = self.position, let first = self.segments.first, first.start <= position else {
            return nil
        }
        self.pullsSinceAdjustment += 1
        let surplus: Int64 = now - position - self.playout
        // The least of several pulls: one late tick of the loop is no depth.
        self.surplus =
            surplus > JitterBuffer.tolerance
            ? (self.surplus.pulls + 1, min(self.surplus.pulls == 0 ? surplus : self.surplus.least, surplus)) : (0, 0)
        self.shortage =
            -surplus > JitterBuffer.tolerance
            ? (self.shortage.pulls + 1, min(self.shortage.pulls == 0 ? -surplus : self.shortage.least, -surplus))
            : (0, 0)
        if self.surplus.pulls >= 5, self.surplus.least > self.base + self.maximum - self.playout + 320 {
            return self.skip(self.surplus.least, into: &output, frameStart)
        }
        if self.surplus.pulls >= 8 { return self.shorten(by: self.surplus.least, into: &output, frameStart) }
        if self.shortage.pulls >= 2 { return self.lengthen(by: self.shortage.least, into: &output, frameStart) }
        return nil
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
        by surplus: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard self.concealer.missing == 0, let position = self.position else { return nil }
        let there: Int = self.contiguous(upTo: JitterBuffer.frame + TimeStretch.longest)
        let most: Int = min(there - JitterBuffer.frame, Int(surplus))
        guard most >= TimeStretch.shortest else { return nil }
        self.stretch.begin()
        self.copyForStretch(JitterBuffer.frame + most, from: position)
        guard let lag = self.stretch.shorten(by: most, isInSpeechAllowed: self.pullsSinceAdjustment >= 5, into: &output)
        else { return nil }
        self.moved(by: JitterBuffer.frame + lag)
        self.counts.shortened += lag
        return .adjusted
    }

    private mutating func lengthen(
        by shortage: Int64, into output: inout [UInt8], _ frameStart: Int
    ) -> RTPFrameKind? {
        guard self.concealer.missing == 0, let position = self.position,
            self.contiguous(upTo: JitterBuffer.frame) == JitterBuffer.frame
        else { return nil }
        self.stretch.begin()
        self.copyForStretch(JitterBuffer.frame, from: position)
        let most: Int = min(TimeStretch.longest, Int(shortage))
        guard
            let lag = self.stretch.lengthen(
                by: most, after: self.concealer, isInSpeechAllowed: self.pullsSinceAdjustment >= 5, into: &output)
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
        self.surplus = (0, 0)
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
        self.settleDry(next: self.segments[0], isLoss: true)
        let position: Int64 = (self.position ?? 0) + Int64(samples)
        self.position = position
        self.floor = position
        self.counts.played += samples
        self.surplus = (0, 0)
        self.shortage = (0, 0)
        self.pullsSinceAdjustment = 0
        self.stalled = 0
        self.isNoisy = false
        self.dropPassed()
    }
}
