import Foundation
import Records
import Telephony

/// Tables that an older voice system has in FusionPBX's database (requirements 4 §2.2; its pages write them, by hand or by
/// PHP). They are read where they are and never written, by `pronto_older` (migration 0015), which knows no row where there
/// is no such table.
enum OlderTable: String, CaseIterable, Sendable {
    /// One row for each setting of a domain: of these only those of its Event Socket.
    case settings = "v_voice_secretary_settings"
    /// Whom callers are handed to, by department and key words.
    case rules = "v_voice_transfer_rules"

    /// As a table of a question; an SQLite file has none.
    var source: String { "pronto_older('\(self.rawValue)')" }

    /// The columns that are read, all of them texts.
    private var columns: [String] {
        switch self {
        case .settings: ["setting_name", "setting_value"]
        case .rules:
            [
                "transfer_rule_uuid", "voice_secretary_uuid", "department_name", "keywords", "intent_keywords",
                "transfer_extension", "transfer_timeout_seconds", "priority", "is_enabled", "is_active",
            ]
        }
    }

    func sql(_ asked: SQLStore.Asked) -> String {
        let columns = self.columns.map { "value->>'\($0)' AS \($0)" }.joined(separator: ", ")
        let tenants = asked.condition("domain_uuid")
        let all = "SELECT domain_uuid, \(columns) FROM \(self.source) \(tenants)"
        guard self == .settings else { return all + " ORDER BY 1, 2" }
        // Others beside them are none of our business, and some are secrets: they come neither here nor into the copy.
        let names = OlderSettings.Name.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        return "SELECT * FROM (\(all)) AS older WHERE setting_name IN (\(names)) ORDER BY 1, 2"
    }

    /// Hands over the rows.
    static func each(
        _ asked: SQLStore.Asked, in database: any SQLDatabase,
        _ body: (OlderTable, Row) throws(StoreError) -> Void
    ) throws(StoreError) {
        guard database.dialect == .postgres else { return }
        for table in Self.allCases {
            try database.each(table.sql(asked), asked.ids) { row throws(StoreError) in try body(table, row) }
        }
    }
}

/// A domain's Event Socket as the older system's settings page has it: texts, the password in the clear.
struct OlderSettings {
    enum Name: String, CaseIterable {
        case host = "esl_host"
        case port = "esl_port"
        case password = "esl_password"
        case connectTimeout = "esl_connect_timeout"
        case readTimeout = "esl_read_timeout"
    }

    let tenant: TenantID
    private var values: [Name: String] = [:]

    init(tenant: TenantID) { self.tenant = tenant }

    mutating func take(_ row: Row) throws(StoreError) {
        guard let name = Name(rawValue: try row.text("setting_name")) else { return }
        self.values[name] = try row.filledText("setting_value")?.trimmingCharacters(in: .whitespaces)
    }

    /// The account, and what is to be said of it. Where its host, port or password cannot be, there is none: the Event
    /// Socket of the settings serves. A time that cannot be is left out by itself.
    var account: (SwitchAccount?, messages: [String]) {
        guard let host = self[.host] else { return (nil, []) }
        guard SwitchAccount.isHost(host) else { return (nil, [Self.wrong(.host, "a host's name or address")]) }
        guard let password = self[.password], SwitchAccount.isPassword(password) else {
            return (nil, [Self.wrong(.password, "1 to 256 bytes in one line")])
        }
        var account = SwitchAccount(tenant: self.tenant, host: host.lowercased(), password: Redacted(password))
        if let text = self[.port] {
            guard let port = Int(text), (1...65535).contains(port) else {
                return (nil, [Self.wrong(.port, "1 to 65535")])
            }
            account.port = port
        }
        var messages = [
            "row esl_password, column setting_value is a password that is not encrypted: run pronto tenant set NAME --adopt-esl"
        ]
        for (name, range, path) in [
            (Name.connectTimeout, 0.1...60, \SwitchAccount.connectTimeout), (.readTimeout, 1...600, \.readTimeout),
        ] {
            guard let text = self[name] else { continue }
            guard let seconds = Double(text), range.contains(seconds) else {
                messages.append(Self.wrong(name, "\(range.lowerBound) to \(range.upperBound) seconds"))
                continue
            }
            account[keyPath: path] = .milliseconds(Int(seconds * 1000))
        }
        return (account, messages)
    }

    private subscript(name: Name) -> String? { self.values[name].flatMap { $0.isEmpty ? nil : $0 } }

    private static func wrong(_ name: Name, _ allowed: String) -> String {
        "row \(name.rawValue), column setting_value must be \(allowed)"
    }
}

extension DestinationRecord {
    /// Of the older system's rule: the department is what callers call it, its key words are other words for it. It has no
    /// context of its own: FusionPBX's extensions are in the domain's. Nil: it is switched off.
    init?(rule row: Row, of tenant: Tenant) throws(StoreError) {
        for column in ["is_enabled", "is_active"] where try Self.isOff(row, column) { return nil }
        let name = try row.text("department_name").trimmingCharacters(in: .whitespaces)
        guard (1...128).contains(name.utf8.count) else { throw Row.corrupt("department_name", "1 to 128 bytes") }
        let number = try row.text("transfer_extension").trimmingCharacters(in: .whitespaces)
        guard (1...64).contains(number.utf8.count), number.utf8.allSatisfy(Self.isDialed) else {
            throw Row.corrupt("transfer_extension", "1 to 64 letters, digits, +, *, #, ., - or _")
        }
        self.init(
            id: try row.value("transfer_rule_uuid") { DestinationID($0) }, tenant: tenant.id, name: name,
            number: number, context: tenant.name)
        self.assistant =
            try row.filledText("voice_secretary_uuid") == nil
            ? nil : try row.value("voice_secretary_uuid") { AssistantID($0) }
        self.department = name
        // Both columns are held equal by the older system's triggers; where they are not, both are meant.
        for column in ["keywords", "intent_keywords"] {
            for word in try row.list(column) where !word.isEmpty && !self.aliases.contains(word) {
                self.aliases.append(word)
            }
        }
        self.ringTimeout =
            try Self.whole(row, "transfer_timeout_seconds", 1...600).map { .seconds($0) } ?? self.ringTimeout
        self.priority = try Self.whole(row, "priority", -1_000_000...1_000_000) ?? self.priority
    }

    private static func isOff(_ row: Row, _ column: String) throws(StoreError) -> Bool {
        guard let word = try row.filledText(column)?.lowercased() else { return false }
        return ["false", "f", "no", "n", "off", "0"].contains(word)
    }

    private static func isDialed(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || "+*#.-_".utf8.contains(byte)
    }

    private static func whole(
        _ row: Row, _ column: String, _ range: ClosedRange<Int>
    ) throws(StoreError) -> Int? {
        guard let text = try row.filledText(column) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Row.corrupt(column, "\(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
