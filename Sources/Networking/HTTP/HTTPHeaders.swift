/// Header fields in the order they came; names compare without case (RFC 9110 §5.1).
package struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral, CustomStringConvertible, CustomReflectable {
    package private(set) var fields: [(name: String, value: String)] = []

    package init() {}
    package init(_ fields: [(name: String, value: String)]) { self.fields = fields }
    package init(dictionaryLiteral elements: (String, String)...) {
        self.fields = elements.map { (name: $0.0, value: $0.1) }
    }

    package mutating func add(_ name: String, _ value: String) { self.fields.append((name: name, value: value)) }

    /// The first field of that name.
    package subscript(_ name: String) -> String? {
        self.fields.first { equalIgnoringCase($0.name, name) }?.value
    }

    package func all(_ name: String) -> [String] {
        self.fields.filter { equalIgnoringCase($0.name, name) }.map(\.value)
    }

    package func contains(_ name: String) -> Bool { self[name] != nil }

    /// Whether one of the comma-separated elements of the fields `name` is `token`, in any case.
    package func hasToken(_ token: String, in name: String) -> Bool {
        self.all(name).contains { value in
            value.split(separator: ",").contains { equalIgnoringCase(trimmed($0), token) }
        }
    }

    // Fields hold tokens and numbers: they do not print.
    package var description: String { "HTTPHeaders(\(self.fields.count) fields)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Whether two texts are the same but for the case of ASCII letters. Allocates nothing.
func equalIgnoringCase(_ lhs: some StringProtocol, _ rhs: some StringProtocol) -> Bool {
    let (left, right) = (lhs.utf8, rhs.utf8)
    guard left.count == right.count else { return false }
    return zip(left, right).allSatisfy { lowercased($0) == lowercased($1) }
}

private func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}

/// `text` without spaces and tabs at its ends.
func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.utf8.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
    while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
    return text
}

/// RFC 9110 §5.6.2.
func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
        UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}
