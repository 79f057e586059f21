import Audio
import Telephony

/// Lays what the caller said and what the caller heard side by side: left and right of one stereo recording.
///
/// Both sides are placed by the time at which they sounded, so that an interruption is heard in the recording where it
/// happened. Agent audio that a flush threw away is taken out again: the window stays open for `horizon`, longer than
/// any leg holds audio, before samples leave as interleaved L16.
///
/// Whoever feeds it drains it first, by the time of what it is about to lay: a side that was silent for long (a hold, a
/// transfer that rings) then leaves as a number of samples, and never as zeros in memory.
package struct StereoTimeline: Sendable {
    /// What can no longer change: sound, and the silence that follows it.
    package struct Stretch: Sendable, Equatable {
        /// Interleaved little-endian L16, left the caller.
        package var bytes: [UInt8] = []
        /// Samples of each side.
        package var silence = 0
        package init() {}
        package var isEmpty: Bool { self.bytes.isEmpty && self.silence == 0 }
    }

    /// Samples per second of the recording: the uplink's.
    package let rate: SampleRate
    private let horizon: Duration
    private var callerToL16: Transcoder
    private var agentToL16: Transcoder
    private let start: Duration
    /// Samples that left already; index 0 of both windows.
    private var base = 0
    private var caller: [Int16] = []
    /// The last silence laid where caller frames were missing: its end (an index of `caller`) and what is left of it.
    private var gap = (end: 0, length: 0)
    private var agent: [Int16] = []
    private var converted: [UInt8] = []
    /// Time stamps jitter by scheduling: a frame that is this near to the end of its side is appended to it.
    private let slack: Int

    package init(
        uplink: AudioFormat, downlink: AudioFormat, start: Duration, horizon: Duration = .seconds(3)
    ) throws(Transcoder.Failure) {
        self.rate = uplink.rate
        self.horizon = horizon
        self.start = start
        self.callerToL16 = try Transcoder(from: uplink, to: .l16(uplink.rate))
        self.agentToL16 = try Transcoder(from: downlink, to: .l16(uplink.rate))
        self.slack = uplink.rate.samples(in: .milliseconds(80))
    }

    /// A caller frame that ended at `now`.
    package mutating func callerFrame(_ frame: UnsafeRawBufferPointer, endedAt now: Duration) {
        self.converted.removeAll(keepingCapacity: true)
        self.callerToL16.convert(frame, into: &self.converted)
        let count = self.converted.count / 2
        let wanted = self.position(of: now) - count - self.base
        // A peer that sends faster than time goes by fills no memory.
        guard self.caller.count - wanted <= self.rate.samples(in: self.horizon) else { return }
        let silence = Self.place(self.converted, at: wanted, slack: self.slack, on: &self.caller)
        if silence > 0 {
            self.gap = (self.caller.count - count, silence)
        } else {
            self.closeGap(ahead: self.caller.count - count - wanted, by: count)
        }
    }

    /// After a stall of the network the frames that were missing come at once: they belong where silence was laid, or
    /// the caller would be late in the recording for the rest of the call.
    private mutating func closeGap(ahead: Int, by count: Int) {
        let length = min(count, self.gap.length)
        guard ahead > self.slack, length > 0 else { return }
        self.caller.removeSubrange((self.gap.end - length)..<self.gap.end)
        self.gap = (self.gap.end - length, self.gap.length - length)
    }

    /// An agent frame that sounds from `playsAt`.
    package mutating func agentFrame(_ frame: UnsafeRawBufferPointer, playsAt: Duration) {
        self.converted.removeAll(keepingCapacity: true)
        self.agentToL16.convert(frame, into: &self.converted)
        _ = Self.place(
            self.converted, at: self.position(of: playsAt) - self.base, slack: self.slack, on: &self.agent)
    }

    /// The phone threw away what had not sounded by `now`.
    package mutating func flush(at now: Duration) {
        let keep = max(self.position(of: now) - self.base, 0)
        if self.agent.count > keep { self.agent.removeLast(self.agent.count - keep) }
    }

    /// Takes what can no longer change. Before a frame is laid, and at least each second or so.
    package mutating func drain(at now: Duration) -> Stretch {
        self.emit(self.position(of: now - self.horizon) - self.base)
    }

    /// The call ended at `now`: takes all that is left.
    package mutating func finish(at now: Duration) -> Stretch {
        self.flush(at: now)
        return self.emit(max(self.caller.count, self.agent.count))
    }

    private mutating func emit(_ count: Int) -> Stretch {
        var stretch = Stretch()
        guard count > 0 else { return stretch }
        let sound = min(count, max(self.caller.count, self.agent.count))
        stretch.silence = count - sound
        stretch.bytes.reserveCapacity(sound * 4)
        for index in 0..<sound {
            let left = index < self.caller.count ? self.caller[index] : 0
            let right = index < self.agent.count ? self.agent[index] : 0
            stretch.bytes.append(UInt8(truncatingIfNeeded: left))
            stretch.bytes.append(UInt8(truncatingIfNeeded: left >> 8))
            stretch.bytes.append(UInt8(truncatingIfNeeded: right))
            stretch.bytes.append(UInt8(truncatingIfNeeded: right >> 8))
        }
        self.caller.removeFirst(min(count, self.caller.count))
        self.agent.removeFirst(min(count, self.agent.count))
        self.base += count
        // What has left cannot be closed any more.
        self.gap.end = max(self.gap.end - count, 0)
        self.gap.length = min(self.gap.length, self.gap.end)
        return stretch
    }

    private func position(of time: Duration) -> Int { self.rate.samples(in: max(time - self.start, .zero)) }

    /// Appends samples that belong at index `wanted`. Returns the silence that had to be laid before them.
    private static func place(_ bytes: [UInt8], at wanted: Int, slack: Int, on side: inout [Int16]) -> Int {
        let silence = wanted > side.count + slack ? wanted - side.count : 0
        if silence > 0 { side.append(contentsOf: repeatElement(0, count: silence)) }
        // Earlier than the end: the frame is late on our clock, not a replacement. It follows what is there.
        var index = 0
        while index + 1 < bytes.count {
            side.append(Int16(truncatingIfNeeded: UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8))
            index += 2
        }
        return silence
    }
}
