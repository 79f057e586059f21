/// Checks UTF-8 piece by piece (RFC 3629), as RFC 6455 §8.1 asks of text messages.
package struct UTF8Validator: Sendable {
    /// Continuation bytes still to come.
    private var needed: UInt8 = 0
    /// What the next continuation byte may be: narrower after E0, ED, F0 and F4 (overlong forms, surrogates, beyond
    /// U+10FFFF).
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    package init() {}

    /// Whether the text so far ends with a whole character.
    package var isComplete: Bool { self.needed == 0 }

    /// False: the bytes so far cannot be the beginning of valid text.
    package mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        let count = bytes.count
        while index < count {
            if self.needed == 0 {
                // Most text is ASCII: eight bytes at a time.
                while index &+ 8 <= count,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index &+= 8
                }
                guard index < count else { return true }
                let byte = bytes[index]
                index &+= 1
                switch byte {
                case 0x00...0x7F: continue
                case 0xC2...0xDF: self.expect(1)
                case 0xE0: self.expect(2, lower: 0xA0)
                case 0xED: self.expect(2, upper: 0x9F)
                case 0xE1...0xEF: self.expect(2)
                case 0xF0: self.expect(3, lower: 0x90)
                case 0xF1...0xF3: self.expect(3)
                case 0xF4: self.expect(3, upper: 0x8F)
                default: return false
                }
            } else {
                let byte = bytes[index]
                index &+= 1
                guard byte >= self.lower, byte <= self.upper else { return false }
                self.expect(self.needed &- 1)
            }
        }
        return true
    }

    private mutating func expect(_ count: UInt8, lower: UInt8 = 0x80, upper: UInt8 = 0xBF) {
        self.needed = count
        self.lower = lower
        self.upper = upper
    }

    /// Whether `bytes` are one whole valid text.
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(bytes) && validator.isComplete
    }
}
