/// Where a value came from.
package enum Origin: Sendable, Equatable, CustomStringConvertible {
    case environment
    case file(String, line: Int?)
    case commandLine

    package var description: String {
        switch self {
        case .environment: "environment"
        case .file(let path, let line?): "\(path):\(line)"
        case .file(let path, nil): path
        case .commandLine: "command line"
        }
    }
}

/// One thing that is wrong with the configuration. Prints with the key, the value (a secret's is masked) and what is
/// allowed.
package struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        case notAllowed(value: String, allowed: String)
        case unknown(suggestion: String?)
        case repeated
        case secretOnCommandLine
        case unreadable(String)
        /// Two settings do not go together.
        case conflict(String)
    }

    package var key: String
    package var origin: Origin?
    package var kind: Kind

    package var description: String {
        let place = self.origin.map { " (\($0))" } ?? ""
        switch self.kind {
        case .notAllowed(let value, let allowed):
            return "\(self.key)\(place): \(value) is not allowed; allowed: \(allowed)"
        case .unknown(let suggestion?): return "\(self.key)\(place): no such key; did you mean \(suggestion)?"
        case .unknown(nil): return "\(self.key)\(place): no such key; `pronto config` lists all"
        case .repeated: return "\(self.key)\(place): given twice"
        case .secretOnCommandLine:
            return "\(self.key)\(place): a secret on the command line is seen by every user; set it in the environment"
        case .unreadable(let why): return "\(self.key)\(place): \(why)"
        case .conflict(let why): return "\(self.key)\(place): \(why)"
        }
    }

    /// A value as errors show it: quoted, without control characters, cut short.
    static func shown(_ value: String, isSecret: Bool) -> String {
        guard !isSecret else { return "‹secret›" }
        let printable = value.unicodeScalars.prefix(60).map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
        }
        return "\"" + printable.joined() + (value.unicodeScalars.count > 60 ? "…" : "") + "\""
    }
}

/// All that is wrong, so that one start shows it all.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    package var problems: [ConfigurationProblem]
    package var description: String { self.problems.map(\.description).joined(separator: "\n") }
}

/// Finds what somebody meant.
enum Suggestion {
    /// The nearest of `names` within a third of the word's length, by insertions, deletions, replacements and swaps.
    static func nearest(to word: String, in names: some Sequence<String>) -> String? {
        let word = Array(word.uppercased().utf8.prefix(64))
        var best: (name: String, distance: Int)?
        for name in names {
            let distance = Self.distance(word, Array(name.uppercased().utf8))
            if distance < (best?.distance ?? Int.max) { best = (name, distance) }
        }
        guard let best, best.distance <= max(1, word.count / 3) else { return nil }
        return best.name
    }

    /// Optimal string alignment distance.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous: [Int] = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current: [Int] = [row + 1]
            for (column, other) in right.enumerated() {
                var cost: Int = previous[column] + (byte == other ? 0 : 1)
                cost = min(cost, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current.append(cost)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
