/// Why a text is not the JSON that we accept. Offsets only: the text itself is a person's or a provider's.
package enum JSONScanError: Error, Equatable {
    case unexpectedByte(offset: Int)
    case unexpectedEnd
    /// More than 64 arrays and objects within one another.
    case tooDeep(offset: Int)
}

/// One value inside a JSON text (RFC 8259), found without copying: for messages that come fifty times a second and
/// whose audio is one long string.
///
/// Made from a whole document, which is checked from end to end (grammar, escapes, depth; not UTF-8, which the
/// WebSocket has checked, and which `string` checks again). After that every look-up is safe. It borrows the bytes: it
/// must not outlive them. Where a key is given twice, the first counts.
package struct JSONScan {
    package enum Kind: Equatable, Sendable { case object, array, string, number, bool, null }

    package let kind: Kind
    /// The value's text as it stands in the document; of a string what is between the quotes, still escaped.
    package let bytes: UnsafeRawBufferPointer
    /// Whether `bytes` of a string (or key) holds a backslash. Without one they are the string.
    package let hasEscapes: Bool

    /// Deepest nesting that is read: the open brackets are kept as the bits of one word.
    package static let maximumDepth = 64

    /// Checks all of `document` and stands for its outermost value.
    package init(_ document: UnsafeRawBufferPointer) throws(JSONScanError) {
        var cursor = JSONCursor(document)
        cursor.skipSpace()
        self = try cursor.value()
        cursor.skipSpace()
        guard cursor.isAtEnd else { throw .unexpectedByte(offset: cursor.offset) }
    }

    /// Checks all of `document`, and calls `member` with each key and value of its outermost object on the way: one pass
    /// where look-ups by key would each walk the text again. What was told counts for nothing when this throws.
    package init(
        _ document: UnsafeRawBufferPointer, eachMember member: (_ key: JSONScan, _ value: JSONScan) -> Void
    ) throws(JSONScanError) {
        var cursor = JSONCursor(document)
        cursor.skipSpace()
        self = try cursor.value(eachMember: member)
        cursor.skipSpace()
        guard cursor.isAtEnd else { throw .unexpectedByte(offset: cursor.offset) }
    }

    fileprivate init(kind: Kind, bytes: UnsafeRawBufferPointer, hasEscapes: Bool = false) {
        self.kind = kind
        self.bytes = bytes
        self.hasEscapes = hasEscapes
    }

    /// The member of an object; nil when there is none or this is no object. `scan["data"]?["audioData"]`.
    package subscript(key: StaticString) -> JSONScan? {
        guard self.kind == .object else { return nil }
        var cursor = JSONCursor(self.bytes)
        cursor.enter()
        while let (name, value) = cursor.nextMember() {
            if name.isText(key) { return value }
        }
        return nil
    }

    /// Calls `body` with each key and value of an object, in order.
    package func forEachMember(_ body: (_ key: JSONScan, _ value: JSONScan) -> Void) {
        guard self.kind == .object else { return }
        var cursor = JSONCursor(self.bytes)
        cursor.enter()
        while let (name, value) = cursor.nextMember() { body(name, value) }
    }

    /// Calls `body` with each element of an array, in order.
    package func forEachElement(_ body: (JSONScan) -> Void) {
        guard self.kind == .array else { return }
        var cursor = JSONCursor(self.bytes)
        cursor.enter()
        while let value = cursor.nextElement() { body(value) }
    }

    /// Whether this is the string `text`.
    package func isText(_ text: StaticString) -> Bool {
        guard self.kind == .string else { return false }
        if self.hasEscapes {
            var plain: [UInt8] = []
            self.unescape(into: &plain)
            return plain.withUnsafeBytes { JSONScan.areEqual($0, text) }
        }
        return JSONScan.areEqual(self.bytes, text)
    }

    /// Whether this is the string `name`, without making one of it.
    package func isName(_ name: String) -> Bool {
        guard self.kind == .string else { return false }
        if self.hasEscapes { return self.string == name }
        let utf8 = name.utf8
        guard utf8.count == self.bytes.count else { return false }
        return utf8.withContiguousStorageIfAvailable { JSONScan.areEqual(self.bytes, UnsafeRawBufferPointer($0)) }
            ?? utf8.elementsEqual(self.bytes)
    }

    /// The text of a string; nil when it is none or not valid UTF-8 (a lone surrogate's escape is U+FFFD).
    package var string: String? {
        guard self.kind == .string else { return nil }
        guard self.hasEscapes else { return String(validating: self.bytes, as: UTF8.self) }
        var plain: [UInt8] = []
        self.unescape(into: &plain)
        return String(validating: plain, as: UTF8.self)
    }

    /// The value of a whole number that fits; nil otherwise (also for `1.0` and `1e3`).
    package var integer: Int? {
        guard self.kind == .number else { return nil }
        var value = 0
        let isNegative: Bool = self.bytes[0] == UInt8(ascii: "-")
        for byte in isNegative ? self.bytes.dropFirst() : self.bytes[...] {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (tens, isTooLong) = value.multipliedReportingOverflow(by: 10)
            let digit = Int(byte &- 0x30)
            let (sum, isTooLarge) =
                isNegative ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
            guard !isTooLong, !isTooLarge else { return nil }
            value = sum
        }
        return value
    }

    /// The value of a number; infinite where it is beyond a double.
    package var double: Double? {
        guard self.kind == .number else { return nil }
        return Double(String(decoding: self.bytes, as: UTF8.self))
    }

    package var bool: Bool? {
        guard self.kind == .bool else { return nil }
        return self.bytes[0] == UInt8(ascii: "t")
    }

    /// Appends the bytes of a string, its escapes undone. Nothing for any other kind.
    package func unescape(into plain: inout [UInt8]) {
        guard self.kind == .string else { return }
        guard self.hasEscapes else {
            plain.append(contentsOf: self.bytes)
            return
        }
        var index = 0
        while index < self.bytes.count {
            let byte: UInt8 = self.bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < self.bytes.count else {
                plain.append(byte)
                continue
            }
            let escape: UInt8 = self.bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "b"): plain.append(0x08)
            case UInt8(ascii: "f"): plain.append(0x0C)
            case UInt8(ascii: "n"): plain.append(0x0A)
            case UInt8(ascii: "r"): plain.append(0x0D)
            case UInt8(ascii: "t"): plain.append(0x09)
            case UInt8(ascii: "u"): index = self.unescapeScalar(at: index, into: &plain)
            default: plain.append(escape)
            }
        }
    }

    /// One `\uXXXX`, or a pair of them, whose digits begin at `index`; answers where the text goes on.
    private func unescapeScalar(at index: Int, into plain: inout [UInt8]) -> Int {
        guard let first = self.codeUnit(at: index) else { return self.bytes.count }
        var scalar = UInt32(first)
        var next: Int = index + 4
        if first & 0xFC00 == 0xD800, next + 6 <= self.bytes.count, self.bytes[next] == UInt8(ascii: "\\"),
            self.bytes[next + 1] == UInt8(ascii: "u"), let second = self.codeUnit(at: next + 2),
            second & 0xFC00 == 0xDC00
        {
            scalar = 0x10000 + (UInt32(first & 0x3FF) << 10 | UInt32(second & 0x3FF))
            next += 6
        }
        plain.append(contentsOf: UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter)
        return next
    }

    private func codeUnit(at index: Int) -> UInt16? {
        guard index + 4 <= self.bytes.count else { return nil }
        var unit: UInt16 = 0
        for offset in index..<index + 4 {
            guard let digit = hexadecimalDigit(self.bytes[offset]) else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    private static func areEqual(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard text.hasPointerRepresentation, bytes.count == text.utf8CodeUnitCount else { return false }
        return self.areEqual(bytes, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether two buffers of one length hold the same: eight bytes at a time.
    private static func areEqual(_ bytes: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index &+ 8 <= bytes.count {
            guard
                bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    == other.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            else { return false }
            index &+= 8
        }
        while index < bytes.count {
            guard bytes[index] == other[index] else { return false }
            index &+= 1
        }
        return true
    }
}

/// The value of one hexadecimal digit.
package func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}

/// Walks a JSON text byte by byte, without recursion: a hostile depth costs a comparison, not the stack.
private struct JSONCursor {
    private let text: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { self.offset == self.text.count }

    private var next: UInt8? { self.offset < self.text.count ? self.text[self.offset] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.next == byte else { return false }
        self.offset &+= 1
        return true
    }

    private func refusal() -> JSONScanError {
        self.isAtEnd ? .unexpectedEnd : .unexpectedByte(offset: self.offset)
    }

    mutating func skipSpace() {
        while let byte = self.next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { self.offset &+= 1 }
    }

    /// Steps over the bracket of a container that has been checked.
    mutating func enter() { self.offset = 1 }

    /// The next member of a checked object; nil at its end.
    mutating func nextMember() -> (JSONScan, JSONScan)? {
        self.skipSpace()
        _ = self.take(UInt8(ascii: ","))
        self.skipSpace()
        guard let name = try? self.stringValue() else { return nil }
        self.skipSpace()
        guard self.take(UInt8(ascii: ":")) else { return nil }
        self.skipSpace()
        guard let value = try? self.value() else { return nil }
        return (name, value)
    }

    /// The next element of a checked array; nil at its end.
    mutating func nextElement() -> JSONScan? {
        self.skipSpace()
        _ = self.take(UInt8(ascii: ","))
        self.skipSpace()
        return try? self.value()
    }

    /// Reads one value, checking all within it. `depth` arrays and objects are open around it.
    mutating func value(within depth: Int = 0) throws(JSONScanError) -> JSONScan {
        let start: Int = self.offset
        switch self.next {
        case UInt8(ascii: "{"):
            try self.container(within: depth)
            return JSONScan(kind: .object, bytes: self.slice(from: start))
        case UInt8(ascii: "["):
            try self.container(within: depth)
            return JSONScan(kind: .array, bytes: self.slice(from: start))
        default:
            return try self.scalar()
        }
    }

    /// Reads one value as `value()` does; of an object each member is told. One level less may lie in it.
    mutating func value(eachMember member: (JSONScan, JSONScan) -> Void) throws(JSONScanError) -> JSONScan {
        guard self.next == UInt8(ascii: "{") else { return try self.value() }
        let start: Int = self.offset
        self.offset &+= 1
        self.skipSpace()
        if self.take(UInt8(ascii: "}")) { return JSONScan(kind: .object, bytes: self.slice(from: start)) }
        while true {
            let key: JSONScan = try self.stringValue()
            self.skipSpace()
            guard self.take(UInt8(ascii: ":")) else { throw self.refusal() }
            self.skipSpace()
            member(key, try self.value(within: 1))
            self.skipSpace()
            if self.take(UInt8(ascii: ",")) {
                self.skipSpace()
            } else if self.take(UInt8(ascii: "}")) {
                return JSONScan(kind: .object, bytes: self.slice(from: start))
            } else {
                throw self.refusal()
            }
        }
    }

    private func slice(from start: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self.text[start..<self.offset])
    }

    private mutating func scalar() throws(JSONScanError) -> JSONScan {
        let start: Int = self.offset
        switch self.next {
        case UInt8(ascii: "\""): return try self.stringValue()
        case UInt8(ascii: "t"):
            try self.word("true")
            return JSONScan(kind: .bool, bytes: self.slice(from: start))
        case UInt8(ascii: "f"):
            try self.word("false")
            return JSONScan(kind: .bool, bytes: self.slice(from: start))
        case UInt8(ascii: "n"):
            try self.word("null")
            return JSONScan(kind: .null, bytes: self.slice(from: start))
        default:
            try self.number()
            return JSONScan(kind: .number, bytes: self.slice(from: start))
        }
    }

    /// An object or array with all within it. `open` holds one bit a level: 1 for an object.
    private mutating func container(within outer: Int) throws(JSONScanError) {
        var open: UInt64 = 0
        var depth = 0
        var expectsValue = true
        while true {
            if expectsValue {
                switch self.next {
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    guard outer &+ depth < JSONScan.maximumDepth else { throw .tooDeep(offset: self.offset) }
                    let isObject: Bool = self.next == UInt8(ascii: "{")
                    self.offset &+= 1
                    open = open << 1 | (isObject ? 1 : 0)
                    depth &+= 1
                    self.skipSpace()
                    if self.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                        open >>= 1
                        depth &-= 1
                        expectsValue = false
                    } else if isObject {
                        try self.key()
                    }
                default:
                    _ = try self.scalar()
                    expectsValue = false
                }
                continue
            }
            guard depth > 0 else { return }
            self.skipSpace()
            let isObject: Bool = open & 1 == 1
            if self.take(UInt8(ascii: ",")) {
                self.skipSpace()
                if isObject { try self.key() }
                expectsValue = true
            } else if self.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                open >>= 1
                depth &-= 1
            } else {
                throw self.refusal()
            }
        }
    }

    private mutating func key() throws(JSONScanError) {
        _ = try self.stringValue()
        self.skipSpace()
        guard self.take(UInt8(ascii: ":")) else { throw self.refusal() }
        self.skipSpace()
    }

    private mutating func stringValue() throws(JSONScanError) -> JSONScan {
        guard self.take(UInt8(ascii: "\"")) else { throw self.refusal() }
        let start: Int = self.offset
        var hasEscapes = false
        while true {
            self.skipPlainText()
            guard let byte = self.next else { throw .unexpectedEnd }
            switch byte {
            case UInt8(ascii: "\""):
                let bytes: UnsafeRawBufferPointer = self.slice(from: start)
                self.offset &+= 1
                return JSONScan(kind: .string, bytes: bytes, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try self.escape()
            default: throw .unexpectedByte(offset: self.offset)
            }
        }
    }

    /// Stops at a quote, a backslash, a control character or the end: nearly all of an audio message is one such run.
    ///
    /// 32 bytes at a time as four words; `SIMD32` costs 60 times as much without AVX flags (measured, Swift 6.3.1).
    private mutating func skipPlainText() {
        guard let base = self.text.baseAddress else { return }
        var offset: Int = self.offset
        let end: Int = self.text.count
        while offset &+ 32 <= end {
            var marks: UInt64 = self.endMarks(base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            marks |= self.endMarks(base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
            marks |= self.endMarks(base.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self))
            marks |= self.endMarks(base.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self))
            guard marks == 0 else { break }
            offset &+= 32
        }
        // Keys and names are shorter than that; the lowest mark of a word is always a true one.
        while offset &+ 8 <= end {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let marks: UInt64 = self.endMarks(word)
            guard marks == 0 else {
                self.offset = offset &+ marks.trailingZeroBitCount >> 3
                return
            }
            offset &+= 8
        }
        self.offset = offset
        while let byte = self.next, byte >= 0x20, byte != 0x22, byte != 0x5C { self.offset &+= 1 }
    }

    /// The top bit of a byte is set where the word has an end of plain text; a borrow may set it in other bytes too,
    /// but never where there is none at all.
    @inline(__always)
    private func endMarks(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quote: UInt64 = word ^ (ones &* 0x22)
        let backslash: UInt64 = word ^ (ones &* 0x5C)
        let ends: UInt64 =
            ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
        return ends & 0x8080_8080_8080_8080
    }

    private mutating func escape() throws(JSONScanError) {
        self.offset &+= 1
        guard let byte = self.next else { throw .unexpectedEnd }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            self.offset &+= 1
        case UInt8(ascii: "u"):
            self.offset &+= 1
            for _ in 0..<4 {
                guard let digit = self.next else { throw .unexpectedEnd }
                guard hexadecimalDigit(digit) != nil else { throw .unexpectedByte(offset: self.offset) }
                self.offset &+= 1
            }
        default: throw .unexpectedByte(offset: self.offset)
        }
    }

    private mutating func word(_ word: StaticString) throws(JSONScanError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard self.take(word.utf8Start[index]) else { throw self.refusal() }
        }
    }

    private mutating func number() throws(JSONScanError) {
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")) { try self.digits() }
        if self.take(UInt8(ascii: ".")) { try self.digits() }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            try self.digits()
        }
    }

    private mutating func digits() throws(JSONScanError) {
        let start: Int = self.offset
        while let byte = self.next, byte >= 0x30, byte <= 0x39 { self.offset &+= 1 }
        guard self.offset > start else { throw self.refusal() }
    }
}
