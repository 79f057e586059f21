import Telephony

/// ITU-T G.711: one byte a sample, in two laws. Whole buffers at once.
///
/// Encoding looks the magnitude up without the bits that no code keeps: 4096 and 2048 entries, which leave a call's own
/// data in the processor's first cache, where a table of 65 536 would not.
package enum G711 {
    package enum Law: Sendable, CaseIterable {
        /// Of North America and Japan (`PCMU`).
        case mu
        /// Of the rest of the world (`PCMA`).
        case a
    }

    /// Appends one code for each sample.
    package static func encode(_ samples: UnsafeBufferPointer<Int16>, as law: Law, into codes: inout [UInt8]) {
        let start: Int = codes.count
        codes.append(contentsOf: repeatElement(0, count: samples.count))
        let magnitudes: [UInt8] = law == .mu ? self.muMagnitudes : self.aMagnitudes
        magnitudes.withUnsafeBufferPointer { magnitudes in
            codes.withUnsafeMutableBufferPointer { codes in
                switch law {
                case .mu:
                    for index in 0..<samples.count {
                        let (magnitude, mask) = self.muParts(samples[index])
                        codes[start &+ index] = magnitudes[Int(truncatingIfNeeded: magnitude &>> 3)] ^ mask
                    }
                case .a:
                    for index in 0..<samples.count {
                        let (magnitude, mask) = self.aParts(samples[index])
                        codes[start &+ index] = magnitudes[Int(truncatingIfNeeded: magnitude &>> 4)] ^ mask
                    }
                }
            }
        }
    }

    /// Appends one sample for each code.
    package static func decode(_ codes: UnsafeRawBufferPointer, as law: Law, into samples: inout [Int16]) {
        let start: Int = samples.count
        samples.append(contentsOf: repeatElement(0, count: codes.count))
        self.table(of: law).withUnsafeBufferPointer { table in
            samples.withUnsafeMutableBufferPointer { samples in
                for index in 0..<codes.count { samples[start &+ index] = table[Int(codes[index])] }
            }
        }
    }

    /// The 256 sample values of a law, by code.
    package static func table(of law: Law) -> [Int16] { law == .mu ? self.muTable : self.aTable }

    /// The squares of a law's 256 sample values, by code, lent to `body`.
    static func withPowers(of law: Law, _ body: (UnsafePointer<Int32>) -> Void) {
        body(law == .mu ? self.muPowers.base : self.aPowers.base)
    }

    private static let muPowers = powers(of: muTable)
    private static let aPowers = powers(of: aTable)

    private static func powers(of table: [Int16]) -> ConstantTable<Int32> {
        ConstantTable(table.map { Int32($0) * Int32($0) })
    }

    private static let muTable: [Int16] = (0..<256).map { G711.linear(muLaw: UInt8($0)) }
    private static let aTable: [Int16] = (0..<256).map { G711.linear(aLaw: UInt8($0)) }

    /// µ-law's magnitude of a sample, and what its code is inverted with: all bits on the line, less the sign's.
    ///
    /// 132 is the bias (33 in G.711's 14 bits); beyond 15 bits is the loudest code.
    private static func muParts(_ sample: Int16) -> (magnitude: UInt32, mask: UInt8) {
        let magnitude: UInt32 = UInt32(truncatingIfNeeded: sample.magnitude) &+ 132
        return (min(magnitude, 0x7FFF), sample < 0 ? 0x7F : 0xFF)
    }

    /// A-law's: negative values by one's complement, so that both signs have 32 768 magnitudes; every second bit is
    /// inverted on the line.
    private static func aParts(_ sample: Int16) -> (magnitude: UInt32, mask: UInt8) {
        let magnitude = UInt32(truncatingIfNeeded: UInt16(bitPattern: sample < 0 ? ~sample : sample))
        return (magnitude, sample < 0 ? 0x55 : 0xD5)
    }

    /// Codes by magnitude >> 3: the top bit says which of eight segments, the four bits below it are kept.
    private static let muMagnitudes: [UInt8] = (0..<4096).map { index in
        let magnitude: UInt32 = UInt32(index) << 3
        let segment: UInt32 = 24 - UInt32((magnitude | 0xFF).leadingZeroBitCount)
        return UInt8(segment << 4 | (magnitude >> (segment + 3)) & 0xF)
    }

    /// Codes by magnitude >> 4: the first two of the eight segments have equal steps.
    private static let aMagnitudes: [UInt8] = (0..<2048).map { index in
        let magnitude: UInt32 = UInt32(index) << 4
        let segment: UInt32 = 24 - UInt32((magnitude | 0xFF).leadingZeroBitCount)
        return UInt8(segment << 4 | (magnitude >> (segment == 0 ? 4 : segment + 3)) & 0xF)
    }

    private static func linear(muLaw code: UInt8) -> Int16 {
        let plain: UInt8 = ~code
        let magnitude: Int = ((Int(plain & 0xF) << 3) + 132) << Int((plain >> 4) & 7) - 132
        return Int16(plain & 0x80 == 0 ? magnitude : -magnitude)
    }

    private static func linear(aLaw code: UInt8) -> Int16 {
        let plain: UInt8 = code ^ 0x55
        let segment = Int((plain >> 4) & 7)
        let step: Int = Int(plain & 0xF) << 4
        let magnitude: Int = segment == 0 ? step + 8 : (step + 0x108) << (segment - 1)
        return Int16(plain & 0x80 == 0 ? -magnitude : magnitude)
    }
}

extension AudioEncoding {
    /// The law of a G.711 encoding; nil for linear samples.
    package var law: G711.Law? {
        switch self {
        case .l16: nil
        case .pcmu: .mu
        case .pcma: .a
        }
    }
}
