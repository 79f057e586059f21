/// One JSON value (RFC 8259), for messages that come a few times a second at most.
///
/// Members keep their order, so that what we write reads the same every time. The audio path never makes one: it
/// scans the bytes.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// One name and its value in an object.
    package struct Member: Sendable, Equatable {
        package var name: String
        package var value: JSONValue
        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// The value of a member; nil when this is no object or has none of that name. The first of duplicates counts,
    /// as in `JSONScan`.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The value at the end of a path of names.
    package subscript(path: [String]) -> JSONValue? {
        var current: JSONValue = self
        for name in path {
            guard let next = current[name] else { return nil }
            current = next
        }
        return current
    }

    /// Puts `value` at the end of a path, making the objects on the way.
    package mutating func set(_ value: JSONValue, at path: [String]) {
        guard let name = path.first else {
            self = value
            return
        }
        var members: [Member] = []
        if case .object(let existing) = self { members = existing }
        let rest = Array(path.dropFirst())
        if let index = members.firstIndex(where: { $0.name == name }) {
            members[index].value.set(value, at: rest)
        } else {
            var made = JSONValue.null
            made.set(value, at: rest)
            members.append(Member(name, made))
        }
        self = .object(members)
    }

    package var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// A whole number; a fraction is cut, what does not fit is nil.
    package var whole: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value.rounded(.towardZero))
        default: nil
        }
    }

    package var real: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    package var flag: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    package var elements: [JSONValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    package var members: [Member]? {
        if case .object(let members) = self { return members }
        return nil
    }

    package var isNull: Bool { self == .null }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    package init(nilLiteral: ()) { self = .null }
}

extension JSONValue {
    /// Appends the value as compact JSON text.
    package func write(into bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .number(let value):
            // RFC 8259 §6 knows neither infinity nor NaN.
            bytes.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
        case .string(let text): JSONText.appendString(text, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                value.write(into: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                JSONText.appendString(member.name, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.write(into: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// The value as compact JSON text.
    package var json: String {
        var bytes: [UInt8] = []
        self.write(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value that `scan` stands for, copied out. The depth is bounded by `JSONScan.maximumDepth`.
    package init(_ scan: JSONScan) {
        switch scan.kind {
        case .null: self = .null
        case .bool: self = .bool(scan.bool ?? false)
        case .string: self = scan.string.map { .string($0) } ?? .null
        case .number:
            if let whole = scan.integer { self = .integer(whole) } else { self = .number(scan.double ?? 0) }
        case .array:
            var values: [JSONValue] = []
            scan.forEachElement { values.append(JSONValue($0)) }
            self = .array(values)
        case .object:
            var members: [Member] = []
            scan.forEachMember { key, value in members.append(Member(key.string ?? "", JSONValue(value))) }
            self = .object(members)
        }
    }

    /// Reads one whole JSON text; nil when it is none.
    package init?(json text: String) {
        let bytes = Array(text.utf8)
        let value: JSONValue? = bytes.withUnsafeBytes { buffer in (try? JSONScan(buffer)).map { JSONValue($0) } }
        guard let value else { return nil }
        self = value
    }
}
