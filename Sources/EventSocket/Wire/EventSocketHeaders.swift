import Telephony

/// A header block as a view over its bytes: names are found without regard to case, values are decoded when asked for.
/// An event has 100 to 230 headers and its reader wants five.
///
/// Prints as nothing: numbers and names of callers are among the values.
package struct EventSocketHeaders: Sendable, CustomStringConvertible, CustomReflectable {
    private struct Field: Sendable {
        var name: Range<Int>
        var value: Range<Int>
    }

    private var bytes: [UInt8]
    private var fields: [Field] = []
    /// Inside events and in the reply to `connect` the values are URL-encoded, elsewhere not (measured).
    private let isPercentEncoded: Bool
    /// Lines that have no colon (skipped) and lengths that do not fit. Worth a count in a log, not a lost connection: a
    /// channel variable with an odd name must not bring the whole Event Socket down.
    package private(set) var oddities = 0

    package var description: String { "EventSocketHeaders(\(self.fields.count))" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    /// No headers at all.
    package init() {
        self.bytes = []
        self.isPercentEncoded = false
    }

    /// Reads lines from the beginning of `bytes` to the first blank one, or to the end.
    ///
    /// - Parameter end: set to the first byte after the blank line.
    init(_ bytes: [UInt8], isPercentEncoded: Bool, end: inout Int) {
        self.bytes = bytes
        self.isPercentEncoded = isPercentEncoded
        self.fields.reserveCapacity(bytes.count / 32)
        var lines = HeaderLines(bytes, in: 0..<bytes.count)
        while let line = lines.next(), line.end > line.start {
            guard let colon = line.colon else {
                self.oddities += 1
                continue
            }
            self.fields.append(Field(name: line.start..<colon, value: Ascii.trim(bytes, colon + 1..<line.end)))
        }
        end = lines.position
    }

    /// From names and values that are already plain (JSON events, the simulator).
    package init(plain pairs: [(name: String, value: String)]) {
        self.bytes = []
        self.isPercentEncoded = false
        for (name, value) in pairs {
            let start = self.bytes.count
            self.bytes.append(contentsOf: name.utf8)
            let middle = self.bytes.count
            self.bytes.append(contentsOf: value.utf8)
            self.fields.append(Field(name: start..<middle, value: middle..<self.bytes.count))
        }
    }

    package var count: Int { self.fields.count }

    /// The first value under `name`, decoded; invalid UTF-8 is repaired.
    package subscript(name: String) -> String? {
        guard let field = self.fields.first(where: { Ascii.equal(self.bytes[$0.name], name) }) else { return nil }
        return self.text(field)
    }

    /// Every header in the order of the wire.
    package var all: [(name: String, value: String)] {
        self.fields.map { (String(decoding: self.bytes[$0.name], as: UTF8.self), self.text($0)) }
    }

    /// A value that has to be a plain decimal number.
    func number(_ name: String) -> Int? {
        guard let field = self.fields.first(where: { Ascii.equal(self.bytes[$0.name], name) }) else { return nil }
        return Ascii.decimal(self.bytes[field.value])
    }

    mutating func noteOddity() { self.oddities += 1 }

    /// The bytes from `offset` on: an event's own body.
    func rest(from offset: Int) -> ArraySlice<UInt8> { self.bytes[min(offset, self.bytes.count)...] }

    private func text(_ field: Field) -> String {
        self.isPercentEncoded
            ? PercentEncoding.lenientlyDecoded(self.bytes[field.value])
            : String(decoding: self.bytes[field.value], as: UTF8.self)
    }
}
