/// Byte-wise text handling for a wire that is ASCII where it has structure.
enum Ascii {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let colon = UInt8(ascii: ":")

    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// Whether the two are the same but for the case of ASCII letters.
    static func equal(_ bytes: ArraySlice<UInt8>, _ text: String) -> Bool {
        let other = text.utf8
        guard bytes.count == other.count else { return false }
        return zip(bytes, other).allSatisfy { lowercased($0) == lowercased($1) }
    }

    /// `range` without blanks at either end.
    static func trim(_ bytes: [UInt8], _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, bytes[start] == space || bytes[start] == tab { start += 1 }
        while end > start, bytes[end - 1] == space || bytes[end - 1] == tab { end -= 1 }
        return start..<end
    }

    /// A plain decimal number of at most 15 digits (no sign, no blanks, no overflow); nil for anything else.
    static func decimal(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard (1...15).contains(bytes.count) else { return nil }
        var number = 0
        for byte in bytes {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }
}

/// Walks the lines of a header block, with LF or CRLF ends. A last line needs no end.
struct HeaderLines {
    struct Line {
        let start: Int
        /// The first byte after the text, line end excluded.
        let end: Int
        /// Where the first colon is.
        let colon: Int?
    }

    private let bytes: [UInt8]
    private(set) var position: Int
    private let limit: Int

    init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        self.position = range.lowerBound
        self.limit = range.upperBound
    }

    /// The next line, which may be empty; nil at the end of the block.
    mutating func next() -> Line? {
        guard self.position < self.limit else { return nil }
        let start = self.position
        var end = start
        var colon: Int?
        while end < self.limit, self.bytes[end] != Ascii.lineFeed {
            if colon == nil, self.bytes[end] == Ascii.colon { colon = end }
            end += 1
        }
        self.position = min(end + 1, self.limit)
        if end > start, self.bytes[end - 1] == Ascii.carriageReturn { end -= 1 }
        return Line(start: start, end: end, colon: colon)
    }
}
