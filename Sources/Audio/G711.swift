import Telephony

/// ITU-T G.711: one byte a sample, in two laws. Whole buffers at once.
///
/// Encoding is computed rather than looked up: a table of 65 536 entries would push a call's own data out of the
/// processor's first cache.
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
        codes.withUnsafeMutableBufferPointer { codes in
            switch law {
            case .mu: for index in 0..<samples.count { codes[start &+ index] = self.muLaw(samples[index]) }
            case .a: for index in 0..<samples.count { codes[start &+ index] = self.aLaw(samples[index]) }
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

    private static let muTable: [Int16] = (0..<256).map { G711.linear(muLaw: UInt8($0)) }
    private static let aTable: [Int16] = (0..<256).map { G711.linear(aLaw: UInt8($0)) }

    /// µ-law: the magnitude plus a bias of 132 (33 in G.711's 14 bits) has its top bit in one of eight segments; the
    /// four bits below it are kept. All bits are inverted on the line.
    package static func muLaw(_ sample: Int16) -> UInt8 {
        let magnitude: UInt32 = UInt32(sample.magnitude) &+ 132
        let mask: UInt8 = sample < 0 ? 0x7F : 0xFF
        // 15 bits at most: what lies beyond is the loudest code.
        let clipped: UInt32 = min(magnitude, 0x7FFF)
        let segment: UInt32 = 24 &- UInt32(truncatingIfNeeded: (clipped | 0xFF).leadingZeroBitCount)
        let code: UInt32 = segment &<< 4 | (clipped &>> (segment &+ 3)) & 0xF
        return UInt8(truncatingIfNeeded: code) ^ mask
    }

    /// A-law: eight segments, the first two of equal step; every second bit is inverted on the line.
    package static func aLaw(_ sample: Int16) -> UInt8 {
        let mask: UInt8 = sample < 0 ? 0x55 : 0xD5
        // Negative values by one's complement, so that both signs have 32 768 magnitudes.
        let magnitude = UInt32(UInt16(bitPattern: sample < 0 ? ~sample : sample))
        let segment: UInt32 = 24 &- UInt32(truncatingIfNeeded: (magnitude | 0xFF).leadingZeroBitCount)
        let shift: UInt32 = segment == 0 ? 4 : segment &+ 3
        let code: UInt32 = segment &<< 4 | (magnitude &>> shift) & 0xF
        return UInt8(truncatingIfNeeded: code) ^ mask
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
