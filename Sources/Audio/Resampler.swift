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
    package func resample(_ samples: UnsafeBufferPointer<Int16>, into output: inout [Int16]) {
        guard var input = samples.baseAddress else { return }
        var remaining: Int = samples.count
        while remaining > 0 {
            // Bounded pieces keep every count within the 32 bits of the C interface.
            let piece: Int = min(remaining, 48_000)
            let room: Int = piece * self.target.hertz / self.source.hertz + 16
            let start: Int = output.count
            output.append(contentsOf: repeatElement(0, count: room))
            var consumed = UInt32(piece)
            var produced = UInt32(room)
            output.withUnsafeMutableBufferPointer { output in
                guard let base = output.baseAddress else { return }
                _ = speex_resampler_process_int(self.state, 0, input, &consumed, base + start, &produced)
            }
            output.removeLast(room - Int(produced))
            guard consumed > 0 || produced > 0 else { return }
            input += Int(consumed)
            remaining -= Int(consumed)
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
