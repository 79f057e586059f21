import Telephony

/// Why no resampler could be made.
package enum ResamplerError: Error, Equatable {
    /// A rate outside 8 000–48 000 Hz.
    case unsupportedRate(hertz: Int)
    /// Rates whose ratio has more than 1 024 steps. Any two multiples of 50 Hz have fewer.
    case unsupportedRatio(from: Int, to: Int)
}

/// Changes the rate of mono audio, keeping its state from buffer to buffer, so that no frame border is heard.
///
/// A polyphase filter (`PolyphaseFilter`), in whole numbers: flat to the band edge of telephony (3.4 kHz), alias and image
/// below -70 dB (docs/decisions/0025). The filter's delay is skipped at the start, so that output sample 0 belongs to input
/// sample 0: the first buffer yields less by `latency`, and `flush` yields that rest.
package struct Resampler: Sendable {
    package let source: SampleRate
    package let target: SampleRate
    private let filter: PolyphaseFilter
    /// The input that coming output still needs: before its first sample lies silence of half a filter.
    private var pending: [Int16] = []
    /// Of the next output sample: which phase of the filter it takes.
    private var phase = 0

    package init(from source: SampleRate, to target: SampleRate) throws(ResamplerError) {
        for rate in [source, target] where !(8000...48000).contains(rate.hertz) {
            throw .unsupportedRate(hertz: rate.hertz)
        }
        guard let filter = PolyphaseFilter.between(source, target) else {
            throw .unsupportedRatio(from: source.hertz, to: target.hertz)
        }
        self.source = source
        self.target = target
        self.filter = filter
        self.pending.reserveCapacity(filter.taps + Self.piece)
        self.reset()
    }

    /// How much of the input is still in the filter.
    package var latency: Duration {
        .nanoseconds(Int64(self.filter.taps / 2) * 1_000_000_000 / Int64(self.source.hertz))
    }

    /// Appends what `samples` become.
    package mutating func resample(_ samples: UnsafeBufferPointer<Int16>, into output: inout [Int16]) {
        var done = 0
        while done < samples.count {
            let count: Int = min(Self.piece, samples.count - done)
            self.pending.append(contentsOf: UnsafeBufferPointer(rebasing: samples[done..<(done + count)]))
            self.drain(into: &output)
            done += count
        }
    }

    /// Input that is taken in at once: 32 ms at 16 kHz. It bounds what a call keeps.
    private static let piece = 512

    private mutating func drain(into output: inout [Int16]) {
        let (up, down, taps) = (self.filter.up, self.filter.down, self.filter.taps)
        // Output n begins at sample (phase + n · down) / up, and needs `taps` from there on.
        let steps: Int = (self.pending.count - taps + 1) * up - self.phase
        guard steps > 0 else { return }
        let count: Int = (steps + down - 1) / down
        let start: Int = output.count
        output.append(contentsOf: repeatElement(0, count: count))
        let last: (phase: Int, position: Int) = output.withUnsafeMutableBufferPointer { output in
            let new = UnsafeMutableBufferPointer(rebasing: output[start...])
            return self.pending.withUnsafeBufferPointer { self.filter.run(from: $0, phase: self.phase, into: new) }
        }
        self.phase = last.phase
        // The next output begins at most a few samples after one that had all of its `taps`.
        self.pending.removeFirst(last.position)
    }

    /// Appends what is still in the filter (the end of an item), then forgets it all.
    package mutating func flush(into output: inout [Int16]) {
        self.pending.append(contentsOf: repeatElement(0, count: self.filter.taps / 2))
        self.drain(into: &output)
        self.reset()
    }

    /// Forgets what came before: the next buffer begins something new.
    package mutating func reset() {
        self.pending.removeAll(keepingCapacity: true)
        self.pending.append(contentsOf: repeatElement(0, count: self.filter.taps / 2 - 1))
        self.phase = 0
    }
}
