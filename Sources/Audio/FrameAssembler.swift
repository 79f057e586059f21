import Telephony

/// Cuts messages of any size into whole frames of one ptime (20 ms unless told).
///
/// It holds less than one frame at any time, whatever comes; half a sample waits with the rest.
package struct FrameAssembler: Sendable {
    /// Bytes of one frame.
    package let frameBytes: Int
    private let silence: UInt8
    private var partial: [UInt8] = []

    /// Traps when a frame of `format` would be empty: formats are checked where they are stated.
    package init(format: AudioFormat, ptime: Duration = .milliseconds(20)) {
        self.frameBytes = format.bytes(in: ptime)
        self.silence = format.encoding.silence
        precondition(self.frameBytes > 0, "a frame has at least one sample")
        self.partial.reserveCapacity(self.frameBytes)
    }

    /// Bytes that wait for the rest of their frame.
    package var pendingBytes: Int { self.partial.count }

    /// Takes `bytes` and appends all frames that are now complete to `frames`.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, into frames: inout [UInt8]) {
        var rest: UnsafeRawBufferPointer = bytes
        if !self.partial.isEmpty {
            let missing: Int = min(self.frameBytes - self.partial.count, rest.count)
            self.partial.append(contentsOf: rest[..<missing])
            rest = UnsafeRawBufferPointer(rebasing: rest[missing...])
            guard self.partial.count == self.frameBytes else { return }
            frames.append(contentsOf: self.partial)
            self.partial.removeAll(keepingCapacity: true)
        }
        let whole: Int = rest.count / self.frameBytes * self.frameBytes
        // Rebased: an array takes a slice of a raw buffer byte by byte.
        frames.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[..<whole]))
        if whole < rest.count {
            self.partial.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[whole...]))
        }
    }

    /// Ends a stretch: what waits goes out as a last frame, filled up with silence. Nothing when nothing waits.
    package mutating func finish(into frames: inout [UInt8]) {
        guard !self.partial.isEmpty else { return }
        frames.append(contentsOf: self.partial)
        frames.append(contentsOf: repeatElement(self.silence, count: self.frameBytes - self.partial.count))
        self.partial.removeAll(keepingCapacity: true)
    }

    /// Drops what waits.
    package mutating func reset() { self.partial.removeAll(keepingCapacity: true) }
}
