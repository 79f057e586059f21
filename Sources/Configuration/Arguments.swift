/// Why a command line was not understood.
package enum ArgumentError: Error, Equatable, CustomStringConvertible {
    case unknown(String, suggestion: String?)
    case missingValue(String)
    case unexpectedValue(String)
    /// A required option or word is missing.
    case missing(String)
    case notAllowed(option: String, allowed: String)
    case tooMany(String)

    package var description: String {
        switch self {
        case .unknown(let word, let suggestion?): "\(word): no such option; did you mean \(suggestion)?"
        case .unknown(let word, nil): "\(word): no such option"
        case .missingValue(let option): "\(option) needs a value"
        case .unexpectedValue(let option): "\(option) takes no value"
        case .missing(let what): "\(what) is missing"
        case .notAllowed(let option, let allowed): "\(option): not allowed; allowed: \(allowed)"
        case .tooMany(let word): "\(word): one word too many"
        }
    }
}

/// A command's words, sorted: `--option value`, `--option=value`, `--flag`, settings (`--realtime-port 9000`; the
/// beginning `pronto-` may be left out), and what remains. `--` ends the options.
package struct Arguments: Sendable, Equatable {
    package private(set) var words: [String] = []
    package private(set) var settings: [RawValue] = []
    private var options: [String: [String]] = [:]
    private var flags: Set<String> = []

    /// `options` and `flags` are the command's own, with their dashes. They stand above a setting of the same name.
    package init(
        _ arguments: some Sequence<String>, options: Set<String> = [], flags: Set<String> = []
    ) throws(ArgumentError) {
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else {
                self.words.append(argument)
                continue
            }
            guard argument != "--" else {
                self.words += rest
                return
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let given: String? = parts.count == 2 ? String(parts[1]) : nil
            if flags.contains(name) {
                guard given == nil else { throw .unexpectedValue(name) }
                self.flags.insert(name)
            } else if options.contains(name) {
                guard let value = given ?? rest.popFirst() else { throw .missingValue(name) }
                self.options[name, default: []].append(value)
            } else if let setting = Self.setting(name) {
                guard let value = given ?? (setting.isSwitch ? "true" : rest.popFirst()) else {
                    throw .missingValue(name)
                }
                self.settings.append(RawValue(key: setting.name, text: value, origin: .commandLine))
            } else {
                let known = options.union(flags).union(SettingKeys.all.map { Self.option($0.name) })
                throw .unknown(name, suggestion: Suggestion.nearest(to: name, in: known.sorted()))
            }
        }
    }

    package func has(_ flag: String) -> Bool { self.flags.contains(flag) }

    /// Every value of a repeated option.
    package func all(_ option: String) -> [String] { self.options[option] ?? [] }

    /// The value of an option that may be given once.
    package func optional(_ option: String) throws(ArgumentError) -> String? {
        let values = self.all(option)
        guard values.count <= 1 else { throw .tooMany(option) }
        return values.first
    }

    package func required(_ option: String) throws(ArgumentError) -> String {
        guard let value = try self.optional(option) else { throw .missing(option) }
        return value
    }

    /// The option's value as `make` understands it; nil where it is not given.
    package func optional<Value>(
        _ option: String, allowed: String, _ make: (String) -> Value?
    ) throws(ArgumentError) -> Value? {
        guard let text = try self.optional(option) else { return nil }
        guard let value = make(text) else { throw .notAllowed(option: option, allowed: allowed) }
        return value
    }

    private static func setting(_ name: String) -> (any SettingDescription)? {
        let key = name.dropFirst(2).uppercased().map { $0 == "-" ? "_" : $0 }
        return SettingKeys.byName[String(key)] ?? SettingKeys.byName["PRONTO_" + String(key)]
    }

    private static func option(_ name: String) -> String {
        "--" + String(name.lowercased().map { $0 == "_" ? "-" : $0 })
    }
}
