import Telephony

/// The keys and values of a request's query, decoded.
struct Query {
    private var values: [String: String] = [:]

    init(_ text: Substring) throws(StreamRequestError) {
        guard !text.isEmpty else { return }
        let pairs: [Substring] = text.split(separator: "&", omittingEmptySubsequences: true)
        guard pairs.count <= StreamRequest.keyLimit else { throw .tooManyKeys }
        for pair in pairs {
            let equals: Substring.Index = pair.firstIndex(of: "=") ?? pair.endIndex
            let key: String = try PercentDecoding.decode(pair[..<equals], in: .query, limit: 64)
            let limit: Int = key == "token" ? 2048 : 256
            let value: String = try PercentDecoding.decode(pair[equals...].dropFirst(), in: .query, limit: limit)
            // Two readers of the same address must not see two values.
            guard self.values.updateValue(value, forKey: key) == nil else { throw .duplicateKey }
        }
    }

    /// The value of `key`; nil when it is absent or empty.
    subscript(key: String) -> String? {
        guard let value = self.values[key], !value.isEmpty else { return nil }
        return value
    }
}

/// RFC 3986 §2.1, strictly: `%` takes two hexadecimal digits, and what comes out is UTF-8 without control characters.
enum PercentDecoding {
    static func decode(
        _ text: Substring, in part: StreamRequestError.Part, limit: Int
    ) throws(StreamRequestError) -> String {
        guard text.utf8.count <= limit * 3 else { throw .tooLong }
        var bytes: [UInt8] = []
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(hexadecimalDigit),
                let low = iterator.next().flatMap(hexadecimalDigit)
            else { throw .malformed(part) }
            bytes.append(high << 4 | low)
        }
        guard bytes.count <= limit else { throw .tooLong }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), let decoded = String(validating: bytes, as: UTF8.self)
        else { throw .malformed(part) }
        return decoded
    }
}
