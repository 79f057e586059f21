import Glibc
import Telephony

/// Makes one or two sines, sample after sample without a break between calls: test signals, keypad digits, the tones
/// that a caller hears while somebody else's telephone rings.
package struct Tone: Sendable {
    package let rate: SampleRate
    private let steps: [Double]
    private let amplitude: Double
    private var phases: [Double]

    /// A sum of sines of `frequencies` hertz, each of `amplitude` (1 is full scale; the sum is clipped there).
    package init(_ frequencies: Double..., amplitude: Double = 0.25, rate: SampleRate) {
        self.init(frequencies: frequencies, amplitude: amplitude, rate: rate)
    }

    package init(frequencies: [Double], amplitude: Double, rate: SampleRate) {
        self.rate = rate
        self.steps = frequencies.map { 2 * Double.pi * $0 / Double(rate.hertz) }
        self.amplitude = amplitude
        self.phases = frequencies.map { _ in 0 }
    }

    /// The two tones of a key (ITU-T Q.23); nil for anything but 0–9, `*`, `#`, A–D.
    package init?(digit: Character, amplitude: Double = 0.25, rate: SampleRate) {
        guard let pair = Tone.frequencies(of: digit) else { return nil }
        self.init(frequencies: [pair.row, pair.column], amplitude: amplitude, rate: rate)
    }

    /// Row and column of a key in hertz.
    package static func frequencies(of digit: Character) -> (row: Double, column: Double)? {
        guard let key = Tone.keypad.firstIndex(of: digit) else { return nil }
        return (Tone.rows[key / 4], Tone.columns[key % 4])
    }

    package static let rows: [Double] = [697, 770, 852, 941]
    package static let columns: [Double] = [1209, 1336, 1477, 1633]
    package static let keypad: [Character] = Array("123A456B789C*0#D")

    /// Appends `count` samples.
    package mutating func append(samples count: Int, to samples: inout [Int16]) {
        for _ in 0..<max(0, count) {
            var value = 0.0
            for index in self.steps.indices {
                value += sin(self.phases[index])
                self.phases[index] += self.steps[index]
                if self.phases[index] > 2 * Double.pi { self.phases[index] -= 2 * Double.pi }
            }
            samples.append(Int16(max(-32768, min(32767, (value * self.amplitude * 32767).rounded()))))
        }
    }

    /// The first `duration` of it.
    package func samples(for duration: Duration) -> [Int16] {
        var tone: Tone = self
        var samples: [Int16] = []
        tone.append(samples: self.rate.samples(in: duration), to: &samples)
        return samples
    }

    /// One period of a ringing tone, its pause included.
    package static func ringback(_ cadence: Cadence, amplitude: Double = 0.1, rate: SampleRate) -> [Int16] {
        var samples: [Int16] = []
        for ring in cadence.rings {
            let tone = Tone(frequencies: cadence.frequencies, amplitude: amplitude, rate: rate)
            samples += tone.samples(for: ring.on)
            samples += [Int16](repeating: 0, count: rate.samples(in: ring.off))
        }
        return samples
    }

    /// How a country's exchange rings (ITU-T E.180 supplement 2).
    package struct Cadence: Sendable, Equatable {
        package struct Ring: Sendable, Equatable {
            package let on: Duration
            package let off: Duration
        }
        package let frequencies: [Double]
        package let rings: [Ring]

        /// Italy, Brazil, Germany and most of Europe: 425 Hz, 1 s on, 4 s off.
        package static let europe = Cadence(frequencies: [425], rings: [Ring(on: .seconds(1), off: .seconds(4))])
        /// North America: 440 and 480 Hz, 2 s on, 4 s off.
        package static let northAmerica = Cadence(
            frequencies: [440, 480], rings: [Ring(on: .seconds(2), off: .seconds(4))])
        /// United Kingdom: 400 and 450 Hz, the double ring.
        package static let unitedKingdom = Cadence(
            frequencies: [400, 450],
            rings: [
                Ring(on: .milliseconds(400), off: .milliseconds(200)), Ring(on: .milliseconds(400), off: .seconds(2)),
            ])
    }
}

/// How much of one frequency is in a stretch of samples (Goertzel's recurrence): cheaper than a spectrum when a few
/// frequencies are asked for.
package enum Goertzel {
    /// The amplitude of the sine of `hertz` in `samples`, 1 being full scale. Exact where a whole number of its periods
    /// fits; elsewhere the more samples the sharper.
    package static func amplitude(of hertz: Double, in samples: UnsafeBufferPointer<Int16>, rate: SampleRate) -> Double
    {
        guard !samples.isEmpty else { return 0 }
        let angle: Double = 2 * Double.pi * hertz / Double(rate.hertz)
        let coefficient: Double = 2 * cos(angle)
        var last = 0.0
        var beforeLast = 0.0
        for sample in samples {
            let value: Double = Double(sample) + coefficient * last - beforeLast
            beforeLast = last
            last = value
        }
        let power: Double = last * last + beforeLast * beforeLast - coefficient * last * beforeLast
        return 2 * max(0, power).squareRoot() / Double(samples.count) / 32768
    }

    package static func amplitude(of hertz: Double, in samples: [Int16], rate: SampleRate) -> Double {
        samples.withUnsafeBufferPointer { self.amplitude(of: hertz, in: $0, rate: rate) }
    }
}
