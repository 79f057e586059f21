/// What the generated page and the checks need to know of a setting, whatever its type.
package protocol SettingDescription: Sendable {
    /// The environment variable's name.
    var name: String { get }
    /// One word: `text`, `integer`, `list`.
    var type: String { get }
    var unit: String? { get }
    /// What may be written, for the page and for errors.
    var allowed: String { get }
    /// As it would be written; nil: none.
    var defaultText: String? { get }
    /// Never shown, and never taken from the command line.
    var isSecret: Bool { get }
    /// A switch: on the command line its name alone means `true`.
    var isSwitch: Bool { get }
    /// A sentence.
    var documentation: String { get }
    /// The value that `text` means; nil: not allowed.
    func value(of text: String) -> (any Sendable)?
}

/// One setting: its name, its type, what may be written, its default, and why it exists.
package struct Setting<Value: Sendable>: SettingDescription {
    package let name: String
    package let type: String
    package var unit: String?
    package let allowed: String
    package let defaultText: String?
    package var isSecret = false
    package var isSwitch = false
    package let documentation: String
    package let defaultValue: Value
    private let parse: @Sendable (String) -> Value?

    init(
        _ name: String, type: String, unit: String? = nil, allowed: String, default defaultText: String?,
        value defaultValue: Value, _ documentation: String, parse: @escaping @Sendable (String) -> Value?
    ) {
        self.name = name
        self.type = type
        self.unit = unit
        self.allowed = allowed
        self.defaultText = defaultText
        self.defaultValue = defaultValue
        self.documentation = documentation
        self.parse = parse
    }

    package func value(of text: String) -> (any Sendable)? { self.parse(text) }
}

extension Setting {
    var secret: Setting {
        var setting = self
        setting.isSecret = true
        return setting
    }
}

extension Setting where Value == String {
    static func text(_ name: String, default text: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "text", allowed: "1 to 256 printable characters", default: text, value: text, documentation,
            parse: { Plain.isText($0, longest: 256) ? $0 : nil })
    }

    static func path(_ name: String, default text: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "path", allowed: "a path of 1 to 1024 characters", default: text, value: text, documentation,
            parse: { Plain.isText($0, longest: 1024) ? $0 : nil })
    }

    /// An address to listen at or to connect to.
    static func host(_ name: String, default text: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "host", allowed: "an IPv4 or IPv6 address, or a host name", default: text, value: text,
            documentation, parse: { Plain.isHost($0) ? $0 : nil })
    }

    /// A short word that may stand in a key, a log line and a path.
    static func slug(_ name: String, default text: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "text", allowed: "1 to 64 letters, digits, -, _ and .", default: text, value: text,
            documentation, parse: { Plain.isSlug($0) ? $0 : nil })
    }

    static func url(_ name: String, default text: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "URL", allowed: "http://, https://, ws:// or wss:// and a host", default: text, value: text,
            documentation, parse: { Plain.isURL($0) ? $0 : nil })
    }
}

extension Setting where Value == String? {
    static func optionalText(_ name: String, longest: Int = 256, _ documentation: String) -> Setting {
        Setting(
            name, type: "text", allowed: "1 to \(longest) printable characters", default: nil, value: nil,
            documentation, parse: { Plain.isText($0, longest: longest) ? .some($0) : nil })
    }

    static func optionalHost(_ name: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "host", allowed: "an IPv4 or IPv6 address, or a host name", default: nil, value: nil,
            documentation, parse: { Plain.isHost($0) ? .some($0) : nil })
    }

    static func optionalSlug(_ name: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "text", allowed: "1 to 64 letters, digits, -, _ and .", default: nil, value: nil,
            documentation, parse: { Plain.isSlug($0) ? .some($0) : nil })
    }

    static func optionalPath(_ name: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "path", allowed: "a path of 1 to 1024 characters", default: nil, value: nil, documentation,
            parse: { Plain.isText($0, longest: 1024) ? .some($0) : nil })
    }
}

extension Setting where Value == [String] {
    /// Files or folders with commas between them.
    static func paths(_ name: String, _ documentation: String) -> Setting {
        .list(
            name, of: "paths with commas between them", default: nil, value: [], documentation,
            parse: { Plain.isText($0, longest: 1024) ? $0 : nil })
    }
}

extension Setting where Value == Int {
    static func integer(
        _ name: String, _ range: ClosedRange<Int>, unit: String? = nil, default value: Int, _ documentation: String
    ) -> Setting {
        Setting(
            name, type: "integer", unit: unit, allowed: "\(range.lowerBound) to \(range.upperBound)",
            default: String(value), value: value, documentation,
            parse: { text in Int(text).flatMap { range.contains($0) ? $0 : nil } })
    }

    static func port(_ name: String, default value: Int, _ documentation: String) -> Setting {
        .integer(name, 0...65535, default: value, documentation)
    }
}

extension Setting where Value == Int? {
    static func optionalInteger(
        _ name: String, _ range: ClosedRange<Int>, unit: String? = nil, _ documentation: String
    ) -> Setting {
        Setting(
            name, type: "integer", unit: unit, allowed: "\(range.lowerBound) to \(range.upperBound)", default: nil,
            value: nil, documentation,
            parse: { text in Int(text).flatMap { range.contains($0) ? .some($0) : nil } })
    }

    static func optionalPort(_ name: String, _ documentation: String) -> Setting {
        Setting(
            name, type: "integer", allowed: "0 to 65535", default: nil, value: nil, documentation,
            parse: { text in Int(text).flatMap { (0...65535).contains($0) ? .some($0) : nil } })
    }
}

extension Setting where Value == Double {
    static func decimal(
        _ name: String, _ range: ClosedRange<Double>, default value: Double, _ documentation: String
    ) -> Setting {
        Setting(
            name, type: "decimal", allowed: "\(range.lowerBound) to \(range.upperBound)", default: String(value),
            value: value, documentation, parse: { text in Plain.decimal(text, in: range) })
    }
}

extension Setting where Value == Bool {
    static func switched(_ name: String, default value: Bool, _ documentation: String) -> Setting {
        var setting = Setting(
            name, type: "switch", allowed: "true, false, on, off, yes, no, 1, 0", default: value ? "true" : "false",
            value: value, documentation,
            parse: { text in
                switch text.lowercased() {
                case "true", "on", "yes", "1": true
                case "false", "off", "no", "0": false
                default: nil
                }
            })
        setting.isSwitch = true
        return setting
    }
}

extension Setting where Value == Duration {
    /// Seconds, which may have a fraction.
    static func seconds(
        _ name: String, _ range: ClosedRange<Double>, default value: Double, _ documentation: String
    ) -> Setting {
        Setting(
            name, type: "decimal", unit: "s",
            allowed: "\(Plain.short(range.lowerBound)) to \(Plain.short(range.upperBound))",
            default: Plain.short(value), value: .seconds(value), documentation,
            parse: { text in Plain.decimal(text, in: range).map { .seconds($0) } })
    }

    static func milliseconds(
        _ name: String, _ range: ClosedRange<Int>, default value: Int, _ documentation: String
    ) -> Setting {
        Setting(
            name, type: "integer", unit: "ms", allowed: "\(range.lowerBound) to \(range.upperBound)",
            default: String(value), value: .milliseconds(value), documentation,
            parse: { text in Int(text).flatMap { range.contains($0) ? .milliseconds($0) : nil } })
    }
}

extension Setting where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    static func choice(_ name: String, default value: Value, _ documentation: String) -> Setting {
        Setting(
            name, type: "choice", allowed: Value.allCases.map(\.rawValue).joined(separator: ", "),
            default: value.rawValue, value: value, documentation, parse: { Value(rawValue: $0.lowercased()) })
    }
}

extension Setting {
    /// A choice that may be left open.
    static func optionalChoice<Choice: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ documentation: String
    ) -> Setting where Value == Choice?, Choice.RawValue == String {
        Setting(
            name, type: "choice", allowed: Choice.allCases.map(\.rawValue).joined(separator: ", "), default: nil,
            value: nil, documentation, parse: { text in Choice(rawValue: text.lowercased()).map { .some($0) } })
    }

    /// Values of one kind with commas between them.
    static func list<Element: Sendable>(
        _ name: String, of allowed: String, default text: String?, value: [Element], _ documentation: String,
        parse: @escaping @Sendable (String) -> Element?
    ) -> Setting where Value == [Element] {
        Setting(
            name, type: "list", allowed: allowed, default: text, value: value, documentation,
            parse: { text in
                var elements: [Element] = []
                for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                    guard elements.count < 256, let element = parse(Plain.trimmed(part)) else { return nil }
                    elements.append(element)
                }
                return elements
            })
    }
}
