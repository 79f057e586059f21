/// Writes JSON (RFC 8259) into a buffer, for messages whose shape is fixed: templates around a few values.
package enum JSONText {
    /// Appends `text` as it is: for the fixed parts of a message.
    package static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends `text` quoted and escaped. Beyond ASCII it stays UTF-8; a Swift string is always valid.
    package static func appendString(_ text: some StringProtocol, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 { self.appendEscaped(byte, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// `text` as a JSON string with its quotes.
    package static func quoted(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        self.appendString(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends a whole number.
    package static func appendInteger(_ value: Int, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var divisor: UInt = 1
        while value.magnitude / divisor >= 10 { divisor *= 10 }
        var rest: UInt = value.magnitude
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest / divisor))
            rest %= divisor
            divisor /= 10
        }
    }

    private static func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0x0A: self.append("\\n", to: &bytes)
        case 0x0D: self.append("\\r", to: &bytes)
        case 0x09: self.append("\\t", to: &bytes)
        case 0..<0x20, 0x7F:
            self.append("\\u00", to: &bytes)
            bytes.append(self.digit(byte >> 4))
            bytes.append(self.digit(byte & 0xF))
        default: bytes.append(byte)
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
    }
}
