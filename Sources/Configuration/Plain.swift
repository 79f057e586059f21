import Glibc

/// Checks of plain texts that several kinds of settings share.
enum Plain {
    static func isText(_ text: String, longest: Int) -> Bool {
        (1...longest).contains(text.utf8.count) && !text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
    }

    static func isSlug(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy { scalar in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": true
                default: false
                }
            }
    }

    static func isHost(_ text: String) -> Bool {
        if AddressRange(text) != nil, !text.contains("/") { return true }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        // RFC 1123 §2.1, and `_` as container networks use it. All digits would be a mistyped address.
        return text.utf8.count <= 253 && text.contains { $0.isLetter }
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                            true
                        default: false
                        }
                    }
            }
    }

    static func isURL(_ text: String) -> Bool {
        guard Self.isText(text, longest: 1024), !text.contains(" ") else { return false }
        for scheme in ["http://", "https://", "ws://", "wss://"] where text.hasPrefix(scheme) {
            guard let first = text.dropFirst(scheme.count).utf8.first else { return false }
            return first != UInt8(ascii: "/") && first != UInt8(ascii: ":")
        }
        return false
    }

    /// Digits with at most one point: what `Double` takes beyond that (`0x1p3`, `nan`, `1e9`) is a mistake here.
    static func decimal(_ text: String, in range: ClosedRange<Double>) -> Double? {
        let isPlain = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
        }
        guard isPlain, let number = Double(text), range.contains(number) else { return nil }
        return number
    }

    static func short(_ number: Double) -> String {
        number == number.rounded() ? String(Int(number)) : String(number)
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        var text = Substring(text)
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}

/// A range of IP addresses (RFC 4632 notation): `10.0.0.0/8`, `::1`, `192.0.2.7`.
package struct AddressRange: Sendable, Equatable, CustomStringConvertible {
    private let bytes: [UInt8]
    private let prefix: Int
    package let description: String

    /// Nil unless `text` is an address with an optional prefix length, and no bit beyond the prefix is set.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Self.bytes(String(parts[0])) else { return nil }
        var prefix = bytes.count * 8
        if parts.count == 2 {
            guard let given = Int(parts[1]), (0...prefix).contains(given), String(given) == parts[1] else { return nil }
            prefix = given
        }
        guard Self.masked(bytes, prefix) == bytes else { return nil }
        self.bytes = bytes
        self.prefix = prefix
        self.description = String(text)
    }

    /// Whether `address` (a text as `getnameinfo` writes it) is inside. An IPv4 address mapped into IPv6
    /// (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2) counts as the IPv4 address that it is.
    package func contains(_ address: String) -> Bool {
        guard var bytes = Self.bytes(address) else { return false }
        let mapped: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF]
        if bytes.count == 16, Array(bytes.prefix(12)) == mapped { bytes = Array(bytes.suffix(4)) }
        return bytes.count == self.bytes.count && Self.masked(bytes, self.prefix) == self.bytes
    }

    package static func == (lhs: AddressRange, rhs: AddressRange) -> Bool {
        lhs.bytes == rhs.bytes && lhs.prefix == rhs.prefix
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 { return Array(buffer.prefix(4)) }
        if inet_pton(AF_INET6, text, &buffer) == 1 { return buffer }
        return nil
    }

    private static func masked(_ bytes: [UInt8], _ prefix: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let bits = min(max(prefix - index * 8, 0), 8)
            return bits == 0 ? 0 : byte & (0xFF << UInt8(8 - bits))
        }
    }
}
