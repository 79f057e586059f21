import CSpeexDSP
import Telephony

/// Why no resampler could be made.
package enum ResamplerError: Error, Equatable {
    /// A rate outside 8 000–48 000 Hz.
    case unsupportedRate(hertz: Int)
    /// speexdsp answered with this code (1: no memory, 3: bad argument).
    case engine(code: Int32)
}

/// Changes the rate of mono audio, keeping its state from buffer to buffer, so that no frame border is heard.
///
/// speexdsp at quality 4 (docs/decisions/0016): flat to the band edge of telephony (3.4 kHz); its
/// cost lies between the 3.7 µs a 20 ms frame of quality 3 and the 5.8 µs of 5 (engineering-notes §3). The filter's delay is skipped at the start, so that output sample 0 belongs to input sample
/// 0: the first buffer yields less by `latency`, and `flush` yields that rest.
///
/// `@unchecked Sendable`: it owns C state that is not locked. It is confined to the one call whose value holds it, which
/// one loop's thread mutates; a copy of that value shares this state and must not be used beside it.
package final class Resampler: @unchecked Sendable {
    package let source: SampleRate
    package let target: SampleRate
    private let state: OpaquePointer
    private var silence: [Int16]

    package init(from source: SampleRate, to target: SampleRate) throws(ResamplerError) {
        for rate in [source, target] where !(8000...48000).contains(rate.hertz) {
            throw .unsupportedRate(hertz: rate.hertz)
        }
        var code: Int32 = 0
        guard
            let state = speex_resampler_init(1, UInt32(source.hertz), UInt32(target.hertz), 4, &code),
            code == 0
        else { throw .engine(code: code) }
        self.source = source
        self.target = target
        self.state = state
        self.silence = [Int16](repeating: 0, count: Int(speex_resampler_get_input_latency(state)))
        speex_resampler_skip_zeros(state)
    }

    deinit { speex_resampler_destroy(self.state) }

    /// How much of the input is still in the filter.
    package var latency: Duration {
        .nanoseconds(Int64(self.silence.count) * 1_000_000_000 / Int64(self.source.hertz))
    }

    /// Appends what `samples` become.
    ///
    /// By the library's floating-point entrance: Debian's build computes in floating point anyway, and its conversion from
    /// and to 16 bits is a quarter of a frame's cost. The pieces are small enough for the stack.
    package func resample(_ samples: UnsafeBufferPointer<Int16>, into output: inout [Int16]) {
        guard let input = samples.baseAddress else { return }
        // Rounding makes the filter yield a sample more at times, at most one for each call.
        let most: Int = (Self.piece - 8) * self.source.hertz / self.target.hertz
        let length: Int = min(Self.piece, most)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.piece) { raw in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.piece) { resampled in
                guard let rawBase = raw.baseAddress, let resampledBase = resampled.baseAddress else { return }
                var done = 0
                while done < samples.count {
                    let count: Int = min(length, samples.count - done)
                    for index in 0..<count { rawBase[index] = Float(input[done &+ index]) }
                    var consumed = UInt32(count)
                    var produced = UInt32(Self.piece)
                    _ = speex_resampler_process_float(self.state, 0, rawBase, &consumed, resampledBase, &produced)
                    Self.append(resampledBase, Int(produced), to: &output)
                    guard consumed > 0 || produced > 0 else { return }
                    done += Int(consumed)
                }
            }
        }
    }

    /// Samples of a piece: what Swift puts on the stack without asking, 1 KB.
    private static let piece = 256

    /// Rounds to 16 bits, clipped at full scale.
    private static func append(_ samples: UnsafePointer<Float>, _ count: Int, to output: inout [Int16]) {
        let start: Int = output.count
        output.append(contentsOf: repeatElement(0, count: count))
        output.withUnsafeMutableBufferPointer { output in
            for index in 0..<count {
                var sample: Float = samples[index]
                sample = sample < -32768 ? -32768 : sample
                sample = sample > 32767 ? 32767 : sample
                // 1.5 × 2²³: after it a float has no bits below one, so the sum is rounded, and its lowest bits are the
                // whole number. `rounded()` would be a call of the C library for each sample without SSE 4.1.
                let shifted: UInt32 = (sample + 12_582_912).bitPattern
                output[start &+ index] = Int16(truncatingIfNeeded: shifted)
            }
        }
    }

    /// Appends what is still in the filter (the end of an item), then forgets it all.
    package func flush(into output: inout [Int16]) {
        self.silence.withUnsafeBufferPointer { self.resample($0, into: &output) }
        self.reset()
    }

    /// Forgets what came before: the next buffer begins something new.
    package func reset() {
        speex_resampler_reset_mem(self.state)
        speex_resampler_skip_zeros(self.state)
    }
}
