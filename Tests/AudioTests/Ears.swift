import Audio
import Glibc
import Telephony

/// What a test hears: fits the sine of a known frequency into samples and calls the rest noise.
struct Ears {
    let amplitude: Double
    /// Signal to everything else, in dB.
    let ratio: Double

    init(listeningTo samples: ArraySlice<Int16>, for hertz: Double, at rate: SampleRate) {
        // Least squares for a·sin + b·cos + c over the stretch, solved by the normal equations.
        var matrix = [[Double]](repeating: [0, 0, 0], count: 3)
        var right: [Double] = [0, 0, 0]
        let angle: Double = 2 * Double.pi * hertz / Double(rate.hertz)
        let basis: [[Double]] = samples.indices.map { [sin(angle * Double($0)), cos(angle * Double($0)), 1] }
        for (row, sample) in zip(basis, samples) {
            for i in 0..<3 {
                right[i] += row[i] * Double(sample)
                for j in 0..<3 { matrix[i][j] += row[i] * row[j] }
            }
        }
        for pivot in 0..<3 {
            for other in 0..<3 where other != pivot {
                let factor: Double = matrix[other][pivot] / matrix[pivot][pivot]
                for column in 0..<3 { matrix[other][column] -= factor * matrix[pivot][column] }
                right[other] -= factor * right[pivot]
            }
        }
        let fit: [Double] = (0..<3).map { right[$0] / matrix[$0][$0] }
        var signal = 0.0
        var noise = 0.0
        for (row, sample) in zip(basis, samples) {
            let heard: Double = row[0] * fit[0] + row[1] * fit[1]
            signal += heard * heard
            let rest: Double = Double(sample) - heard - fit[2]
            noise += rest * rest
        }
        self.amplitude = (fit[0] * fit[0] + fit[1] * fit[1]).squareRoot() / 32768
        self.ratio = 10 * log10(signal / max(noise, 1e-9))
    }
}

extension [Int16] {
    var asBytes: [UInt8] { self.withUnsafeBytes { Array<UInt8>($0) } }
}

extension [UInt8] {
    var asSamples: [Int16] {
        var samples: [Int16] = []
        self.withUnsafeBytes { samples.appendLittleEndian($0) }
        return samples
    }
}
