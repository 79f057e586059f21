/// `pronto.toml`: a strict part of TOML 1.0 (toml.io/en/v1.0.0).
///
/// Understood: comments, `[tables]`, bare, quoted and dotted keys, basic and literal strings on one line, integers,
/// decimals, booleans, and arrays of these over several lines. Refused with the line's number: multi-line strings,
/// dates, inline tables, arrays of tables, and whatever is no TOML. A key's full name is its table's and its own with
/// `_` between them, in capitals: `[openai]` `realtime_model` is `OPENAI_REALTIME_MODEL`.
package enum TOML {
    package static func values(in text: String, name: String) throws(ConfigurationError) -> [RawValue] {
        var parser = TOMLParser(text)
        do throws(TOMLError) {
            return try parser.document().map { entry in
                RawValue(key: entry.key, text: entry.text, origin: .file(name, line: entry.line))
            }
        } catch {
            let origin = Origin.file(name, line: error.line)
            throw ConfigurationError(problems: [
                ConfigurationProblem(key: name, origin: origin, kind: .unreadable(error.reason.rawValue))
            ])
        }
    }
}

/// Why a text is not the TOML that we read, and where.
struct TOMLError: Error, Equatable {
    enum Reason: String {
        case key = "a key was expected"
        case equals = "= was expected after the key"
        case value = "a value was expected: a string, a number, true, false or an array"
        case endOfLine = "the line goes on after its end"
        case tableHeader = "the table's header does not close"
        case arrayOfTables = "arrays of tables ([[…]]) are not read"
        case inlineTable = "inline tables ({…}) are not read"
        case multilineString = "strings over several lines are not read"
        case unclosedString = "the string does not close on its line"
        case escape = "no such escape in a string"
        case controlCharacter = "a control character"
        case number = "no such number (dates are not read)"
        case array = "the array does not close, or lacks a comma"
        case repeatedKey = "the key was given before"
        case repeatedTable = "the table was given before"
    }
    var line: Int
    var reason: Reason
}

struct TOMLParser {
    struct Entry: Equatable {
        var key: String
        var text: String
        var line: Int
    }

    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var line = 1

    init(_ text: String) { self.scalars = Array(text.unicodeScalars) }

    mutating func document() throws(TOMLError) -> [Entry] {
        var entries: [Entry] = []
        var keys: Set<String> = []
        var tables: Set<String> = []
        var prefix = ""
        while true {
            try self.skipToContent(newlines: true)
            guard let next = self.peek else { return entries }
            if next == "[" {
                self.advance()
                guard self.peek != "[" else { throw self.error(.arrayOfTables) }
                prefix = try self.key() + "_"
                guard self.take("]") else { throw self.error(.tableHeader) }
                guard tables.insert(prefix).inserted else { throw self.error(.repeatedTable) }
            } else {
                let line = self.line
                let key = prefix + (try self.key())
                guard self.take("=") else { throw self.error(.equals) }
                self.skipBlanks()
                let text = try self.value(isElement: false)
                guard keys.insert(key).inserted else { throw TOMLError(line: line, reason: .repeatedKey) }
                entries.append(Entry(key: key, text: text, line: line))
            }
            try self.endLine()
        }
    }

    private mutating func key() throws(TOMLError) -> String {
        var parts: [String] = []
        repeat {
            self.skipBlanks()
            guard let next = self.peek else { throw self.error(.key) }
            if next == "\"" || next == "'" {
                parts.append(try self.string(next))
            } else {
                var part = ""
                while let scalar = self.peek, Self.isBare(scalar) {
                    part.unicodeScalars.append(scalar)
                    self.advance()
                }
                parts.append(part)
            }
            guard parts.last != "" else { throw self.error(.key) }
            self.skipBlanks()
        } while self.take(".")
        return parts.joined(separator: "_").uppercased()
    }

    private mutating func value(isElement: Bool) throws(TOMLError) -> String {
        switch self.peek {
        case "\"", "'":
            return try self.string(self.peek ?? "\"")
        case "[" where !isElement:
            return try self.array()
        case "{":
            throw self.error(.inlineTable)
        default:
            var word = ""
            while let scalar = self.peek, Self.isBare(scalar) || scalar == "+" || scalar == "." || scalar == ":" {
                word.unicodeScalars.append(scalar)
                self.advance()
            }
            if word == "true" || word == "false" { return word }
            return try self.number(word)
        }
    }

    /// Decimal integers and fractions; `_` stands between digits only.
    private func number(_ word: String) throws(TOMLError) -> String {
        guard !word.isEmpty else { throw self.error(.value) }
        var digits = Substring(word)
        let isNegative = digits.first == "-"
        if isNegative || digits.first == "+" { digits = digits.dropFirst() }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw self.error(.number) }
        for part in parts {
            let groups = part.split(separator: "_", omittingEmptySubsequences: false)
            let isNumber = groups.allSatisfy { group in
                !group.isEmpty && group.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            }
            guard isNumber else { throw self.error(.number) }
        }
        // TOML has no leading zeros: elsewhere they mean octal.
        guard parts[0] == "0" || !parts[0].hasPrefix("0") else { throw self.error(.number) }
        return (isNegative ? "-" : "") + digits.filter { $0 != "_" }
    }

    private mutating func array() throws(TOMLError) -> String {
        self.advance()
        var elements: [String] = []
        while true {
            try self.skipToContent(newlines: true)
            if self.take("]") { return elements.joined(separator: ",") }
            elements.append(try self.value(isElement: true))
            try self.skipToContent(newlines: true)
            if self.take("]") { return elements.joined(separator: ",") }
            guard self.take(",") else { throw self.error(.array) }
        }
    }

    private mutating func string(_ quote: Unicode.Scalar) throws(TOMLError) -> String {
        self.advance()
        if self.peek == quote, self.index + 1 < self.scalars.count, self.scalars[self.index + 1] == quote {
            throw self.error(.multilineString)
        }
        var text = ""
        while let scalar = self.peek {
            if scalar == "\n" || scalar == "\r" { break }
            guard scalar.value >= 0x20 || scalar == "\t", scalar.value != 0x7F else {
                throw self.error(.controlCharacter)
            }
            self.advance()
            if scalar == quote { return text }
            if scalar == "\\", quote == "\"" {
                text.unicodeScalars.append(try self.escape())
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        throw self.error(.unclosedString)
    }

    private mutating func escape() throws(TOMLError) -> Unicode.Scalar {
        guard let scalar = self.peek else { throw self.error(.unclosedString) }
        self.advance()
        switch scalar {
        case "\"", "\\": return scalar
        case "b": return "\u{8}"
        case "t": return "\t"
        case "n": return "\n"
        case "f": return "\u{C}"
        case "r": return "\r"
        case "u", "U":
            var code: UInt32 = 0
            for _ in 0..<(scalar == "u" ? 4 : 8) {
                guard let digit = self.peek, let value = UInt32(String(digit), radix: 16) else {
                    throw self.error(.escape)
                }
                // Eight digits at most: no overflow.
                code = code << 4 | value
                self.advance()
            }
            guard let made = Unicode.Scalar(code) else { throw self.error(.escape) }
            return made
        default: throw self.error(.escape)
        }
    }

    private mutating func endLine() throws(TOMLError) {
        try self.skipToContent(newlines: false)
        guard self.peek == nil || self.peek == "\n" else { throw self.error(.endOfLine) }
    }

    /// Blanks, comments, and newlines where they mean nothing.
    private mutating func skipToContent(newlines: Bool) throws(TOMLError) {
        while let scalar = self.peek {
            switch scalar {
            case " ", "\t": self.advance()
            case "\r" where self.index + 1 < self.scalars.count && self.scalars[self.index + 1] == "\n": self.advance()
            case "\n" where newlines: self.advance()
            case "#":
                while let inside = self.peek, inside != "\n" {
                    let isAllowed = inside.value >= 0x20 || inside == "\t" || inside == "\r"
                    guard isAllowed, inside.value != 0x7F else { throw self.error(.controlCharacter) }
                    self.advance()
                }
            default: return
            }
        }
    }

    private mutating func skipBlanks() {
        while self.peek == " " || self.peek == "\t" { self.advance() }
    }

    private var peek: Unicode.Scalar? { self.index < self.scalars.count ? self.scalars[self.index] : nil }

    private mutating func advance() {
        if self.peek == "\n" { self.line += 1 }
        self.index += 1
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard self.peek == scalar else { return false }
        self.advance()
        return true
    }

    private func error(_ reason: TOMLError.Reason) -> TOMLError { TOMLError(line: self.line, reason: reason) }

    private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
        default: false
        }
    }
}
