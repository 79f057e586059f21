/// `%XX` in URLs (RFC 3986 §2.1), and in FreeSWITCH's events and SIP's URIs, which borrow it.
package enum PercentEncoding {
    /// Everything but the unreserved characters (§2.3) is escaped: a value can be neither a second line nor a second key.
    package static func encoded(_ text: some StringProtocol) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += self.escaped(byte)
            }
        }
        return result
    }

    /// `%0A`.
    package static func escaped(_ byte: UInt8) -> String {
        "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }

    /// What begins no escape stands for itself, and a plus is a plus.
    package static func lenientlyDecoded(_ bytes: some RandomAccessCollection<UInt8>) -> String {
        let percent = UInt8(ascii: "%")
        guard bytes.contains(percent) else { return String(decoding: bytes, as: UTF8.self) }
        var plain: [UInt8] = []
        plain.reserveCapacity(bytes.count)
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            if byte == percent, rest.count >= 2, let high = hexadecimalDigit(rest[rest.startIndex]),
                let low = hexadecimalDigit(rest[rest.index(after: rest.startIndex)])
            {
                plain.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                plain.append(byte)
            }
        }
        return String(decoding: plain, as: UTF8.self)
    }
}
