import Glibc
import Telephony

/// How loud a frame is, in dBFS: 0 is a square wave of full scale, a full sine is −3.01, silence is −96.33 (half a
/// step of 16 bits) so that it can be averaged and compared.
package struct Level: Hashable, Sendable {
    /// Root mean square of the frame.
    package let rms: Double
    /// Its largest sample.
    package let peak: Double

    /// What silence measures.
    package static let floor: Double = -96.33
    package static let silence = Level(rms: Level.floor, peak: Level.floor)

    package init(rms: Double, peak: Double) {
        self.rms = rms
        self.peak = peak
    }

    /// Measures samples.
    package init(of samples: UnsafeBufferPointer<Int16>) {
        var sum: Int64 = 0
        var peak: Int32 = 0
        for sample in samples {
            let value = Int32(sample)
            // 32 768² fits 31 bits, and 2³² such squares fit the sum.
            sum &+= Int64(value &* value)
            peak = max(peak, abs(value))
        }
        self.init(sum: sum, peak: peak, count: samples.count)
    }

    /// `rms` alone of a frame as it is on the wire: what the conversation asks of each. Of stereo, both sides together.
    package static func rms(of frame: UnsafeRawBufferPointer, encoding: AudioEncoding) -> Double {
        var sum: Int64 = 0
        let count: Int
        if let law = encoding.law {
            count = frame.count
            G711.withPowers(of: law) { powers in
                for code in frame { sum &+= Int64(powers[Int(code)]) }
            }
        } else {
            count = frame.count / 2
            for index in 0..<count {
                let sample: Int16 = frame.loadUnaligned(fromByteOffset: index &* 2, as: Int16.self)
                let value = Int32(Int16(littleEndian: sample))
                sum &+= Int64(value &* value)
            }
        }
        return self.rms(sum: sum, count: count)
    }

    /// Measures a frame as it is on the wire. Of stereo, both sides together.
    package init(of frame: UnsafeRawBufferPointer, encoding: AudioEncoding) {
        var sum: Int64 = 0
        var peak: Int32 = 0
        let count: Int
        if let law = encoding.law {
            count = frame.count
            G711.table(of: law).withUnsafeBufferPointer { table in
                for code in frame {
                    let value = Int32(table[Int(code)])
                    sum &+= Int64(value &* value)
                    peak = max(peak, abs(value))
                }
            }
        } else {
            count = frame.count / 2
            for index in 0..<count {
                let sample: Int16 = frame.loadUnaligned(fromByteOffset: index &* 2, as: Int16.self)
                let value = Int32(Int16(littleEndian: sample))
                sum &+= Int64(value &* value)
                peak = max(peak, abs(value))
            }
        }
        self.init(sum: sum, peak: peak, count: count)
    }

    private init(sum: Int64, peak: Int32, count: Int) {
        guard sum > 0 else {
            self = .silence
            return
        }
        self.rms = Level.rms(sum: sum, count: count)
        self.peak = max(Level.floor, 20 * log10(Double(peak) / 32768))
    }

    private static func rms(sum: Int64, count: Int) -> Double {
        guard sum > 0 else { return Level.floor }
        let power: Double = Double(sum) / Double(count) / (32768 * 32768)
        return max(Level.floor, 10 * log10(power))
    }
}
