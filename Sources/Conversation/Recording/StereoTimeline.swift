import Audio
import Telephony

/// Lays what the caller said and what the caller heard side by side: left and right of one stereo recording.
///
/// Both sides are placed by the time at which they sounded, so that an interruption is heard in the recording where it
/// happened. Agent audio that a flush threw away is taken out again: the window stays open for `horizon`, longer than
/// any leg holds audio, before samples leave as interleaved L16.
package struct StereoTimeline: Sendable {
    /// Samples per second of the recording: the uplink's.
    package let rate: SampleRate
    private let horizon: Duration
    private var callerToL16: Transcoder
    private var agentToL16: Transcoder
    private let start: Duration
    /// Samples that left already; index 0 of both windows.
    private var base = 0
    private var caller: [Int16] = []
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
        let position = self.position(of: now) - self.converted.count / 2
        Self.place(self.converted, at: position, base: self.base, slack: self.slack, on: &self.caller)
    }

    /// An agent frame that sounds from `playsAt`.
    package mutating func agentFrame(_ frame: UnsafeRawBufferPointer, playsAt: Duration) {
        self.converted.removeAll(keepingCapacity: true)
        self.agentToL16.convert(frame, into: &self.converted)
        Self.place(
            self.converted, at: self.position(of: playsAt), base: self.base, slack: self.slack, on: &self.agent)
    }

    /// The phone threw away what had not sounded by `now`.
    package mutating func flush(at now: Duration) {
        let keep = max(self.position(of: now) - self.base, 0)
        if self.agent.count > keep { self.agent.removeLast(self.agent.count - keep) }
    }

    /// Appends what can no longer change, as interleaved little-endian L16, left the caller.
    package mutating func drain(at now: Duration, into bytes: inout [UInt8]) {
        self.emit(self.position(of: now - self.horizon) - self.base, into: &bytes)
    }

    /// The call ended at `now`: appends all that is left.
    package mutating func finish(at now: Duration, into bytes: inout [UInt8]) {
        self.flush(at: now)
        self.emit(max(self.caller.count, self.agent.count), into: &bytes)
    }

    private mutating func emit(_ count: Int, into bytes: inout [UInt8]) {
        guard count > 0 else { return }
        bytes.reserveCapacity(bytes.count + count * 4)
        for index in 0..<count {
            let left = index < self.caller.count ? self.caller[index] : 0
            let right = index < self.agent.count ? self.agent[index] : 0
            bytes.append(UInt8(truncatingIfNeeded: left))
            bytes.append(UInt8(truncatingIfNeeded: left >> 8))
            bytes.append(UInt8(truncatingIfNeeded: right))
            bytes.append(UInt8(truncatingIfNeeded: right >> 8))
        }
        self.caller.removeFirst(min(count, self.caller.count))
        self.agent.removeFirst(min(count, self.agent.count))
        self.base += count
    }

    private func position(of time: Duration) -> Int { self.rate.samples(in: max(time - self.start, .zero)) }

    private static func place(_ bytes: [UInt8], at position: Int, base: Int, slack: Int, on side: inout [Int16]) {
        let wanted = position - base
        if wanted > side.count + slack {
            side.append(contentsOf: repeatElement(0, count: wanted - side.count))
        }
        // Earlier than the end: the frame is late on our clock, not a replacement. It follows what is there.
        var index = 0
        while index + 1 < bytes.count {
            side.append(Int16(truncatingIfNeeded: UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8))
            index += 2
        }
    }
}
