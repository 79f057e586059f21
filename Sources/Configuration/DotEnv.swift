/// `.env` files as shells and container engines read them: `KEY=value`, `export KEY=value`, comments, quotes.
///
/// Left out, with an error: values over several lines, and the expansion of `$NAME` (which is taken as it stands).
package enum DotEnv {
    package static func values(in text: String, name: String) throws(ConfigurationError) -> [RawValue] {
        var values: [RawValue] = []
        var problems: [ConfigurationProblem] = []
        // Swift takes CR LF for one Character, which is a newline too.
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let origin = Origin.file(name, line: index + 1)
            let trimmed = Plain.trimmed(line)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            let assignment = trimmed.hasPrefix("export ") ? Plain.trimmed(trimmed.dropFirst(7)) : trimmed
            guard let equals = assignment.firstIndex(of: "=") else {
                problems.append(
                    ConfigurationProblem(key: name, origin: origin, kind: .unreadable("the line is no KEY=value")))
                continue
            }
            let key = Plain.trimmed(assignment[..<equals])
            guard Self.isName(key) else {
                problems.append(
                    ConfigurationProblem(
                        key: name, origin: origin, kind: .unreadable("the name before = is not of A-Z, a-z, 0-9 and _"))
                )
                continue
            }
            guard let value = Self.value(Plain.trimmed(assignment[assignment.index(after: equals)...])) else {
                problems.append(
                    ConfigurationProblem(
                        key: key, origin: origin, kind: .unreadable("a quote is not closed as it should")))
                continue
            }
            values.append(RawValue(key: key, text: value, origin: origin))
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
        return values
    }

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    /// Nil: a quote that does not close, or text after it.
    private static func value(_ text: String) -> String? {
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            // ` #` begins a comment; `#` inside a word does not.
            var end = text.startIndex
            var isAfterSpace = true
            while end < text.endIndex {
                if text[end] == "#", isAfterSpace { break }
                isAfterSpace = text[end].isWhitespace
                end = text.index(after: end)
            }
            return Plain.trimmed(text[..<end])
        }
        var value = ""
        var isEscaped = false
        var index = text.index(after: text.startIndex)
        while index < text.endIndex {
            let character = text[index]
            index = text.index(after: index)
            if isEscaped {
                value.append(character == "n" ? "\n" : character)
                isEscaped = false
            } else if character == "\\", quote == "\"" {
                isEscaped = true
            } else if character == quote {
                let rest = Plain.trimmed(text[index...])
                return rest.isEmpty || rest.hasPrefix("#") ? value : nil
            } else {
                value.append(character)
            }
        }
        return nil
    }
}
