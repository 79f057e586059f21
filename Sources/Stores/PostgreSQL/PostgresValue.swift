import Foundation
import Records

/// PostgreSQL's texts of values, by the type of their column, as the store's rows have them.
enum PostgresValue {
    /// Types by their numbers (`SELECT oid, typname FROM pg_type`): these never change.
    private enum Kind {
        static let bool: UInt32 = 16
        static let integers: Set<UInt32> = [20, 21, 23, 26]
        static let reals: Set<UInt32> = [700, 701]
        static let numeric: UInt32 = 1700
        static let moments: Set<UInt32> = [1114, 1184]
        static let json: Set<UInt32> = [114, 3802]
        static let texts: Set<UInt32> = [1009, 1015]
    }

    static func value(_ bytes: UnsafeBufferPointer<UInt8>, type: UInt32) -> StoredValue {
        switch type {
        case Kind.bool: return .integer(bytes.first == UInt8(ascii: "t") ? 1 : 0)
        case _ where Kind.json.contains(type): return .text(Self.compact(bytes))
        default: break
        }
        let text = String(decoding: bytes, as: UTF8.self)
        switch type {
        case _ where Kind.integers.contains(type): return Int64(text).map { .integer($0) } ?? .text(text)
        case _ where Kind.reals.contains(type): return Double(text).map { .real($0) } ?? .text(text)
        case Kind.numeric:
            // sum() of a bigint is a numeric without a point.
            return Int64(text).map { .integer($0) } ?? Double(text).map { .real($0) } ?? .text(text)
        case _ where Kind.moments.contains(type): return .text(Self.moment(text) ?? text)
        case _ where Kind.texts.contains(type): return .text(Self.list(text).map { Row.json($0) } ?? text)
        default: return .text(text)
        }
    }

    /// `2026-11-20 09:41:00.123456+01` as `2026-11-20T08:41:00.123Z`; a time without a zone counts as UTC. Nil: no such
    /// moment (`infinity`, years before Christ or beyond 9999).
    static func moment(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 19, bytes[10] == UInt8(ascii: " ") else { return nil }
        var index = 19
        var fraction = 0
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            var digits = 0
            while index < bytes.count, let digit = Self.digit(bytes[index]) {
                // Milliseconds: what is finer is cut, as our own writing would.
                if digits < 3 { fraction = fraction * 10 + digit }
                digits += 1
                index += 1
            }
            while digits < 3 {
                fraction *= 10
                digits += 1
            }
        }
        var offset = 0
        if index < bytes.count {
            let isEast = bytes[index] == UInt8(ascii: "+")
            guard isEast || bytes[index] == UInt8(ascii: "-") else { return nil }
            let parts = bytes[(index + 1)...].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard (1...3).contains(parts.count) else { return nil }
            for (place, part) in zip([3600, 60, 1], parts) {
                guard part.count == 2, let number = Int(String(decoding: part, as: UTF8.self)) else { return nil }
                offset += number * place
            }
            if !isEast { offset = -offset }
        }
        let milliseconds = String(fraction + 1000).dropFirst()
        let whole =
            String(decoding: bytes[0..<10], as: UTF8.self) + "T" + String(decoding: bytes[11..<19], as: UTF8.self)
        let local = "\(whole).\(milliseconds)Z"
        guard let date = Timestamp.date(local) else { return nil }
        return offset == 0 ? local : Timestamp.text(date.addingTimeInterval(Double(-offset)))
    }

    /// JSON without the blanks that PostgreSQL's jsonb adds after commas and colons.
    static func compact(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var (isInside, isEscaped) = (false, false)
        for byte in bytes {
            if isInside {
                result.append(byte)
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInside = false
                }
            } else if byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\t") {
                result.append(byte)
                isInside = byte == UInt8(ascii: "\"")
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The elements of a one-dimensional array's text, `{a,"b c",NULL}` (postgresql.org/docs/15/arrays.html#ARRAYS-IO);
    /// a NULL is left out. Nil: another shape.
    static func list(_ text: String) -> [String]? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}") else { return nil }
        var list: [String] = []
        var index = 1
        let end = bytes.count - 1
        while index < end {
            var element: [UInt8] = []
            let isQuoted = bytes[index] == UInt8(ascii: "\"")
            if isQuoted {
                index += 1
                while index < end, bytes[index] != UInt8(ascii: "\"") {
                    if bytes[index] == UInt8(ascii: "\\") { index += 1 }
                    if index < end { element.append(bytes[index]) }
                    index += 1
                }
                guard index < end else { return nil }
                index += 1
            } else {
                while index < end, bytes[index] != UInt8(ascii: ",") {
                    if bytes[index] == UInt8(ascii: "{") { return nil }
                    element.append(bytes[index])
                    index += 1
                }
            }
            let word = String(decoding: element, as: UTF8.self)
            if isQuoted || word != "NULL" { list.append(word) }
            guard index == end || bytes[index] == UInt8(ascii: ",") else { return nil }
            index += 1
        }
        return list
    }

    private static func digit(_ byte: UInt8) -> Int? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
    }
}
