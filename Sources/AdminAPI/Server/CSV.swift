/// Comma-separated values (RFC 4180) that are safe to open in a spreadsheet.
package enum CSV {
    /// One line with its line end. A cell that a spreadsheet would take for a formula gets a `'` before it (OWASP, "CSV
    /// Injection"); a plain number with its sign is no formula.
    package static func line(_ cells: [String]) -> [UInt8] {
        Array((cells.map(Self.cell).joined(separator: ",") + "\r\n").utf8)
    }

    package static func cell(_ text: String) -> String {
        var text = text
        // Spreadsheets look at the first thing that is no blank.
        let first = text.unicodeScalars.first { $0 != " " }
        if let first, "=+-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars.contains(first), !Self.isNumber(text)
        {
            text = "'" + text
        }
        guard text.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    private static func isNumber(_ text: String) -> Bool {
        let digits = text.utf8.dropFirst()
        return (1...32).contains(digits.count) && digits.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
            && (text.hasPrefix("+") || text.hasPrefix("-"))
    }
}

/// What a `Range` field asks for (RFC 9110 §14.2): one part of bytes. Several parts, and what is no range at all, are
/// answered with the whole, as the RFC allows.
package enum ByteRange: Equatable {
    case whole
    case part(Range<Int>)
    case unsatisfiable

    package static func read(_ field: String?, length: Int) -> ByteRange {
        guard let field, field.hasPrefix("bytes=") else { return .whole }
        let parts = field.dropFirst("bytes=".count).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ $0.utf8.count <= 18 && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
        else { return .whole }
        switch (Int(parts[0]), Int(parts[1])) {
        case (nil, nil): return .whole
        case (nil, let suffix?):
            guard suffix > 0, length > 0 else { return .unsatisfiable }
            return .part(max(0, length - suffix)..<length)
        case (let first?, let last):
            let end = min(last ?? length - 1, length - 1)
            if let last, last < first { return .whole }
            return first <= end ? .part(first..<end + 1) : .unsatisfiable
        }
    }
}
