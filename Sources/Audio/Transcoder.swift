import Telephony

/// Turns audio of one format into another: encoding, rate, stereo into mono. One per direction and call.
///
/// Equal formats pass through untouched. Anything else goes by way of 16-bit mono samples. Bytes may come in any
/// lengths: half a sample waits for the rest of it. A stereo source becomes the mean of both sides; a stereo target is
/// refused, since no leg takes one.
package struct Transcoder: Sendable {
    package let source: AudioFormat
    package let target: AudioFormat
    private var resampler: Resampler?
    /// Bytes of a sample whose rest has not come, at most 3.
    private var partial: [UInt8] = []
    private var joined: [UInt8] = []
    private var linear: [Int16] = []
    private var resampled: [Int16] = []

    /// Why no transcoder could be made.
    package enum Failure: Error, Equatable {
        case unsupportedChannels(Int)
        case resampler(ResamplerError)
    }

    package init(from source: AudioFormat, to target: AudioFormat) throws(Failure) {
        guard (1...2).contains(source.channels) else { throw .unsupportedChannels(source.channels) }
        guard target.channels == 1 || source == target else { throw .unsupportedChannels(target.channels) }
        self.source = source
        self.target = target
        if source.rate == target.rate {
            self.resampler = nil
        } else {
            do { self.resampler = try Resampler(from: source.rate, to: target.rate) } catch {
                throw .resampler(error)
            }
        }
    }

    /// Whether bytes go through untouched.
    package var isPassThrough: Bool { self.source == self.target }

    /// Appends what `bytes` become.
    package mutating func convert(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        if self.isPassThrough {
            output.append(contentsOf: bytes)
            return
        }
        let size: Int = self.source.bytesPerSample
        if self.partial.isEmpty, bytes.count % size == 0 {
            self.convertWhole(bytes, into: &output)
            return
        }
        self.joined.removeAll(keepingCapacity: true)
        self.joined.append(contentsOf: self.partial)
        self.joined.append(contentsOf: bytes)
        let whole: Int = self.joined.count / size * size
        self.partial.removeAll(keepingCapacity: true)
        self.partial.append(contentsOf: self.joined[whole...])
        // Taken out for the loan and put back: the buffer is not copied.
        let joined: [UInt8] = self.joined
        self.joined = []
        joined.withUnsafeBytes { self.convertWhole(UnsafeRawBufferPointer(rebasing: $0[..<whole]), into: &output) }
        self.joined = joined
    }

    /// Ends an item: appends what the filter still holds, and begins anew. Half a sample is dropped.
    package mutating func finish(into output: inout [UInt8]) {
        self.partial.removeAll(keepingCapacity: true)
        self.resampled.removeAll(keepingCapacity: true)
        self.resampler?.flush(into: &self.resampled)
        self.resampled.withUnsafeBufferPointer { self.encode($0, into: &output) }
    }

    /// Forgets what came before, at a cut: the next bytes begin something new.
    package mutating func reset() {
        self.partial.removeAll(keepingCapacity: true)
        self.resampler?.reset()
    }

    private mutating func convertWhole(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        self.linear.removeAll(keepingCapacity: true)
        if let law = self.source.encoding.law {
            G711.decode(bytes, as: law, into: &self.linear)
        } else {
            self.linear.appendLittleEndian(bytes)
        }
        if self.source.channels == 2 { self.linear.mixPairs() }
        guard self.resampler != nil else {
            self.linear.withUnsafeBufferPointer { self.encode($0, into: &output) }
            return
        }
        self.resampled.removeAll(keepingCapacity: true)
        // Another name for the same buffer, for the loan: it is read only.
        let linear: [Int16] = self.linear
        linear.withUnsafeBufferPointer { self.resampler?.resample($0, into: &self.resampled) }
        self.resampled.withUnsafeBufferPointer { self.encode($0, into: &output) }
    }

    private func encode(_ samples: UnsafeBufferPointer<Int16>, into output: inout [UInt8]) {
        if let law = self.target.encoding.law {
            G711.encode(samples, as: law, into: &output)
        } else {
            output.append(contentsOf: UnsafeRawBufferPointer(samples))
        }
    }
}

extension [Int16] {
    /// Appends the samples that `bytes` are (little-endian, wherever they are in memory); an odd last byte is left out.
    package mutating func appendLittleEndian(_ bytes: UnsafeRawBufferPointer) {
        let start: Int = self.count
        let count: Int = bytes.count / 2
        guard count > 0 else { return }
        self.append(contentsOf: repeatElement(0, count: count))
        self.withUnsafeMutableBytes { samples in
            UnsafeMutableRawBufferPointer(rebasing: samples[(start * 2)...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<(count * 2)]))
        }
    }

    /// Replaces each pair of samples by its mean.
    fileprivate mutating func mixPairs() {
        let pairs: Int = self.count / 2
        self.withUnsafeMutableBufferPointer { samples in
            for index in 0..<pairs {
                let sum: Int32 = Int32(samples[index &* 2]) &+ Int32(samples[index &* 2 &+ 1])
                samples[index] = Int16(truncatingIfNeeded: sum >> 1)
            }
        }
        self.removeLast(self.count - pairs)
    }
}
