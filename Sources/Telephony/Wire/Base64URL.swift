/// Base64 for URLs and headers, without padding (RFC 4648 §5).
package enum Base64URL {
    package static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
        while text.last == UInt8(ascii: "=") { text.removeLast() }
        for index in text.indices {
            switch text[index] {
            case UInt8(ascii: "+"): text[index] = UInt8(ascii: "-")
            case UInt8(ascii: "/"): text[index] = UInt8(ascii: "_")
            default: break
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Strictly: no padding, no other alphabet, and no bits beyond the last byte, so that a value has one text only.
    package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        var padded: [UInt8] = []
        for byte in text.utf8 {
            guard Self.isDigit(byte) else { return nil }
            switch byte {
            case UInt8(ascii: "-"): padded.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): padded.append(UInt8(ascii: "/"))
            default: padded.append(byte)
            }
        }
        while padded.count % 4 != 0 { padded.append(UInt8(ascii: "=")) }
        var bytes: [UInt8] = []
        let isWhole = padded.withUnsafeBytes { text in (try? Base64.decode(text, into: &bytes)) != nil }
        return isWhole ? bytes : nil
    }

    /// Whether `byte` is one of the alphabet's 64.
    package static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
