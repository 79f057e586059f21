import Telephony

/// The last queue before the wire of a leg that has no buffer of its own to flush: what the playout has committed, cut
/// into the leg's own frames, one a tick, silence when there is none.
///
/// The playout commits `lead` ahead and keeps the rest; so at most `capacity` waits here, a flush empties it, and from
/// then on the wire carries silence: at most one frame after the decision.
struct FramePacer {
    private let format: AudioFormat
    private let capacityBytes: Int
    private var waiting: [UInt8] = []
    private var start = 0
    /// Frames that carried audio, and that carried silence because nothing waited.
    private(set) var audioFrames = 0
    private(set) var silentFrames = 0

    init(format: AudioFormat, capacity: Duration = .milliseconds(120)) {
        self.format = format
        self.capacityBytes = format.bytes(in: capacity)
        self.waiting.reserveCapacity(self.capacityBytes * 2)
    }

    var waitingBytes: Int { self.waiting.count - self.start }

    /// Takes a frame of the playout. False: more waits than the playout ever commits; nothing was taken.
    mutating func append(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard self.waitingBytes + frame.count <= self.capacityBytes else { return false }
        if self.start > self.capacityBytes / 2 {
            self.waiting.removeFirst(self.start)
            self.start = 0
        }
        self.waiting.append(contentsOf: frame)
        return true
    }

    mutating func flush() {
        self.waiting.removeAll(keepingCapacity: true)
        self.start = 0
    }

    /// Calls `body` with the next `count` bytes for the wire: audio, silence, or audio filled up with silence.
    mutating func next<Result>(
        _ count: Int, into frame: inout [UInt8], _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        frame.removeAll(keepingCapacity: true)
        let taken = min(count, self.waitingBytes)
        if taken > 0 {
            self.audioFrames += 1
            self.waiting.withUnsafeBufferPointer {
                frame.append(contentsOf: UnsafeBufferPointer(rebasing: $0[self.start..<(self.start + taken)]))
            }
            self.start += taken
            if self.start == self.waiting.count { self.flush() }
        } else {
            self.silentFrames += 1
        }
        if taken < count {
            frame.append(contentsOf: repeatElement(self.format.encoding.silence, count: count - taken))
        }
        return frame.withUnsafeBytes(body)
    }
}
