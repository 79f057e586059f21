import Glibc
import Synchronization
import Telephony

/// The low-pass between two rates, cut into the phases that a resampler takes in turn: made once for a pair of rates, shared
/// by all calls.
///
/// A sinc under Kaiser's window (β = 8; Oppenheim and Schafer, Discrete-Time Signal Processing, §7.5.3), 64 samples of the
/// lower rate long. Coefficients are whole numbers, 1 is 32 768: eight products and their sums are two instructions even without AVX, and
/// what rounding them does lies 80 dB below the signal.
final class PolyphaseFilter: Sendable {
    /// Rates divided by what both are multiples of: `up` phases, and `down` of them from one output to the next.
    let up: Int
    let down: Int
    /// Coefficients of a phase; a multiple of 32.
    let taps: Int
    /// Phase by phase, in eights: so they lie where the processor reads eight at once.
    private let coefficients: [SIMD8<Int16>]

    private static let kept = Mutex<[Int: PolyphaseFilter]>([:])
    /// Rates come from outside: what is kept for them has an end.
    private static let mostKept = 64
    private static let mostPhases = 1024

    /// The filter from one rate to the other; nil where their ratio has too many steps. Rates in hertz, both above 0.
    static func between(_ source: SampleRate, _ target: SampleRate) -> PolyphaseFilter? {
        let common: Int = Self.commonDivisor(source.hertz, target.hertz)
        let (up, down) = (target.hertz / common, source.hertz / common)
        guard max(up, down) <= Self.mostPhases else { return nil }
        let key: Int = up * (Self.mostPhases + 1) + down
        if let filter = Self.kept.withLock({ $0[key] }) { return filter }
        let filter = PolyphaseFilter(up: up, down: down)
        Self.kept.withLock { if $0.count < Self.mostKept { $0[key] = filter } }
        return filter
    }

    private static func commonDivisor(_ one: Int, _ other: Int) -> Int {
        var (larger, smaller) = (max(one, other), min(one, other))
        while smaller > 0 { (larger, smaller) = (smaller, larger % smaller) }
        return larger
    }

    private init(up: Int, down: Int) {
        // Downwards the lower rate is the target's: the filter has as many more of the source's samples.
        let longer: Double = max(1, Double(down) / Double(up))
        self.up = up
        self.down = down
        self.taps = Int((64 * longer / 32).rounded(.up)) * 32
        // Where the pass band ends (-6 dB), of the source's half rate. Upwards the images lie beyond what a telephone passes.
        let edge: Double = up > down ? 0.94 : 0.921 / longer
        let half: Double = Double(self.taps) / 2
        var coefficients: [SIMD8<Int16>] = []
        coefficients.reserveCapacity(up * self.taps / 8)
        var exact = [Double](repeating: 0, count: self.taps)
        for phase in 0..<up {
            var sum = 0.0
            for tap in 0..<self.taps {
                let time: Double = Double(tap) - (half - 1) - Double(phase) / Double(up)
                exact[tap] = edge * Self.sinc(edge * time) * Self.kaiser(time / half)
                sum += exact[tap]
            }
            // Each phase passes a level exactly as it is; else a level would hum at the target's rate.
            let whole: [Int] = exact.map { Int(($0 / sum * 32768).rounded()) }
            let middle: Int = self.taps / 2 - (2 * phase < up ? 1 : 0)
            let rest: Int = 32768 - whole.reduce(0, +)
            let row: [Int16] = whole.indices.map { Int16(clamping: whole[$0] + ($0 == middle ? rest : 0)) }
            for first in stride(from: 0, to: self.taps, by: 8) {
                coefficients.append(SIMD8<Int16>(row[first..<(first + 8)]))
            }
        }
        self.coefficients = coefficients
    }

    private static func sinc(_ x: Double) -> Double { abs(x) < 1e-9 ? 1 : sin(.pi * x) / (.pi * x) }

    /// Kaiser's window with β = 8, at `x` of its half length.
    private static func kaiser(_ x: Double) -> Double {
        abs(x) > 1 ? 0 : Self.bessel(8 * (1 - x * x).squareRoot()) / Self.bessel(8)
    }

    /// The modified Bessel function of the first kind, order 0, by its power series.
    private static func bessel(_ x: Double) -> Double {
        var (term, sum) = (1.0, 1.0)
        for n in 1...40 {
            term *= (x / 2 / Double(n)) * (x / 2 / Double(n))
            sum += term
        }
        return sum
    }

    /// Fills `output`, whose sample 0 takes `phase` at input sample 0. `input` must have `taps` samples for each output.
    ///
    /// Written so that the compiler takes one multiply-and-add for eight products (x86 `pmaddwd`; checked in its output).
    ///
    /// - Returns: phase and input sample of the output after the last.
    func run(
        from input: UnsafeBufferPointer<Int16>, phase: Int, into output: UnsafeMutableBufferPointer<Int16>
    ) -> (phase: Int, position: Int) {
        let (up, blocks) = (self.up, self.taps / 8)
        let (wholeStep, partStep) = (self.down / up, self.down % up)
        let last: Int = (phase + max(0, output.count - 1) * self.down) / up
        precondition(phase < up && input.count >= last + self.taps, "the caller counts outputs by its input")
        return self.coefficients.withUnsafeBufferPointer { coefficients in
            guard let rows = coefficients.baseAddress, let samples = input.baseAddress else { return (phase, 0) }
            var (phase, position) = (phase, 0)
            for index in output.indices {
                let lanes: SIMD4<Int32> = Self.product(
                    UnsafeRawPointer(samples + position), rows + phase &* blocks, blocks)
                // A quarter of the sum: 1 is 8 192.
                output[index] = Int16(clamping: (lanes.wrappedSum() &+ 4096) &>> 13)
                position &+= wholeStep
                phase &+= partStep
                if phase >= up {
                    phase &-= up
                    position &+= 1
                }
            }
            return (phase, position)
        }
    }

    /// A quarter of the sum of products, in four parts.
    ///
    /// The magnitudes of a phase's coefficients sum up to less than 3, of those that share a lane to less than 2: no samples
    /// can overflow a lane, nor the quarter of the sum.
    @inline(__always)
    private static func product(
        _ samples: UnsafeRawPointer, _ row: UnsafePointer<SIMD8<Int16>>, _ blocks: Int
    ) -> SIMD4<Int32> {
        var (even, odd) = (SIMD4<Int32>(), SIMD4<Int32>())
        var block = 0
        while block < blocks {
            even = even &+ Self.eight(samples, row, block)
            odd = odd &+ Self.eight(samples, row, block &+ 1)
            even = even &+ Self.eight(samples, row, block &+ 2)
            odd = odd &+ Self.eight(samples, row, block &+ 3)
            block &+= 4
        }
        return (even &>> 2) &+ (odd &>> 2)
    }

    /// Eight products, in four sums of two.
    @inline(__always)
    private static func eight(
        _ samples: UnsafeRawPointer, _ row: UnsafePointer<SIMD8<Int16>>, _ block: Int
    ) -> SIMD4<Int32> {
        let samples: SIMD8<Int16> = samples.loadUnaligned(fromByteOffset: block &* 16, as: SIMD8<Int16>.self)
        let products: SIMD8<Int32> =
            SIMD8<Int32>(truncatingIfNeeded: samples) &* SIMD8<Int32>(truncatingIfNeeded: row[block])
        return products.evenHalf &+ products.oddHalf
    }
}
