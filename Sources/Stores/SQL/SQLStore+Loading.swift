import Foundation
import Records
import Telephony

extension SQLStore: ConfigurationStore {
    /// What reading everything may take: 10 000 tenants take seconds on a busy machine.
    static let loadingTime = Duration.seconds(60)
    /// More tenants at once are read as all of them.
    static let mostAtOnce = 100

    package func configuration(of tenants: Set<TenantID>?) async throws(StoreError) -> ConfigurationReading {
        let asked = Asked(tenants)
        if asked.isNobody { return ConfigurationReading(asked: []) }
        let secrets = self.secrets
        return try await self.perform(within: Self.loadingTime) { database throws(StoreError) in
            var gathering = ConfigurationGathering(secrets: secrets)
            for table in ConfigurationTable.allCases {
                try database.each(
                    "\(table.select(database.dialect)) \(asked.condition("domain_uuid"))", asked.ids
                ) { row throws(StoreError) in gathering.take(row, of: table) }
            }
            try OlderTable.each(asked, in: database) { table, row throws(StoreError) in
                gathering.take(row, of: table)
            }
            return gathering.reading(of: asked.tenants)
        }
    }

    package func watchConfiguration(_ news: @Sendable (ConfigurationNews) async -> Bool) async {
        await self.connections.watch({ () throws(StoreError) in try await self.settle() }, news)
    }

    /// Whose rows a reading asks for.
    struct Asked: Sendable {
        /// Nil: everybody's.
        let tenants: Set<TenantID>?
        let ids: [StoredValue]

        /// More of them than `mostAtOnce` are everybody.
        init(_ tenants: Set<TenantID>?) {
            self.tenants = tenants.flatMap { $0.count > SQLStore.mostAtOnce ? nil : $0 }
            self.ids = (self.tenants ?? []).map { .text($0.text) }
        }

        var isNobody: Bool { self.tenants?.isEmpty ?? false }

        /// `WHERE`, or nothing where everybody is asked for.
        func condition(_ column: String) -> String {
            guard self.tenants != nil else { return "" }
            return "WHERE \(column) IN (\(Array(repeating: "?", count: self.ids.count).joined(separator: ", ")))"
        }
    }

    /// Every row of the configuration as it is stored, secrets encrypted: for the copy that a restart without a database
    /// begins with.
    func eachConfigurationRow(
        _ body: @Sendable (String, Row) throws(StoreError) -> Void
    ) async throws(StoreError) {
        try await self.perform(within: Self.loadingTime) { database throws(StoreError) in
            for table in ConfigurationTable.allCases {
                try database.each(table.select(database.dialect), []) { row throws(StoreError) in
                    try body(table.name, row)
                }
            }
            let everybody = Asked(nil)
            try OlderTable.each(everybody, in: database) { table, row throws(StoreError) in
                try body(table.rawValue, row)
            }
            for table in RoutingQuery.allCases {
                try database.each(table.sql(everybody), []) { row throws(StoreError) in try body(table.rawValue, row) }
            }
            for table in AccessTable.allCases {
                try database.each("SELECT * FROM \(table.rawValue)", []) { row throws(StoreError) in
                    try body(table.rawValue, row)
                }
            }
        }
    }
}

/// The tables that calls are answered by, tenants first: the others' rows are put to them.
enum ConfigurationTable: String, CaseIterable, Sendable {
    case tenants = "v_domains"
    case assistants = "v_voice_secretaries"
    case destinations = "v_voice_transfer_destinations"
    case accounts = "v_voice_ai_providers"
    case switches = "v_voice_event_sockets"

    var name: String { self.rawValue }

    /// Reads all columns; of tenants also whether the database is FusionPBX's, which has dialplans beside them. It is part
    /// of the row, so that the copy of the configuration knows it too.
    func select(_ dialect: SQLDialect) -> String {
        guard self == .tenants else { return "SELECT * FROM \(self.name)" }
        let test =
            switch dialect {
            case .postgres: "to_regclass('v_dialplans') IS NOT NULL"
            case .sqlite: "EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'v_dialplans')"
            }
        return "SELECT v_domains.*, \(test) AS \(Tenant.isFusionPBX) FROM \(self.name)"
    }

    /// The column of a row's id.
    var key: String {
        switch self {
        case .tenants, .switches: "domain_uuid"
        case .assistants: "voice_secretary_uuid"
        case .destinations: "transfer_destination_uuid"
        case .accounts: "voice_ai_provider_uuid"
        }
    }
}

/// Puts rows together to tenants. A row that cannot be is left out, and said; so is a secret that cannot be opened, or
/// that lies open.
struct ConfigurationGathering {
    let secrets: SecretBox?
    private var tenants: [TenantID: TenantConfiguration] = [:]
    private var faults: [ConfigurationFault] = []
    /// Tenants that have a row of their own of an Event Socket, good or not: an older system's settings are not theirs.
    private var owners: Set<TenantID> = []
    private var older: [TenantID: OlderSettings] = [:]
    private var rules: [Row] = []

    init(secrets: SecretBox?) { self.secrets = secrets }

    mutating func take(_ row: Row, of table: ConfigurationTable) {
        do throws(StoreError) {
            switch table {
            case .tenants:
                let tenant = try Tenant(row: row)
                self.tenants[tenant.id] = TenantConfiguration(tenant: tenant)
            case .assistants:
                let assistant = try Assistant(row: row)
                self.tenants[assistant.tenant]?.assistants.append(assistant)
            case .destinations:
                let destination = try DestinationRecord(row: row)
                self.tenants[destination.tenant]?.destinations.append(destination)
            case .accounts:
                var account = try ProviderAccount(row: row)
                if let sealed = try row.textIfAny("secret") {
                    account.secret = self.opened(sealed, for: account.owner, row, table, "secret")
                } else if let plain = try row.textIfAny("config").flatMap({ PlainKey(in: $0)?.key }) {
                    account.secret = plain
                    self.fault(row, table, "column config has a key that is not encrypted: run pronto secrets rotate")
                }
                self.tenants[account.tenant]?.accounts.append(account)
            case .switches:
                self.owners.insert(try row.value("domain_uuid") { TenantID($0) })
                var account = try SwitchAccount(row: row)
                account.password = self.opened(
                    try row.text("esl_password"), for: account.owner, row, table, "esl_password")
                self.tenants[account.tenant]?.switchAccount = account
            }
        } catch {
            self.fault(row, table, error.message)
        }
    }

    mutating func take(_ row: Row, of table: OlderTable) {
        switch table {
        case .rules: self.rules.append(row)
        case .settings:
            guard let tenant = row[column: "domain_uuid"]?.tenant else { return }
            do throws(StoreError) {
                try self.older[tenant, default: OlderSettings(tenant: tenant)].take(row)
            } catch {
                self.fault(table, tenant.text, tenant, error.message)
            }
        }
    }

    func reading(of asked: Set<TenantID>?) -> ConfigurationReading {
        var whole = self
        whole.addOlder()
        return whole.ordered(of: asked)
    }

    /// What an older system says, where ours says nothing.
    private mutating func addOlder() {
        for (tenant, settings) in self.older where self.tenants[tenant] != nil && !self.owners.contains(tenant) {
            let (account, messages) = settings.account
            self.tenants[tenant]?.switchAccount = account
            for message in messages { self.fault(.settings, tenant.text, tenant, message) }
        }
        for row in self.rules {
            guard let id = row[column: "domain_uuid"]?.tenant, let entry = self.tenants[id] else { continue }
            do throws(StoreError) {
                guard let destination = try DestinationRecord(rule: row, of: entry.tenant) else { continue }
                // A destination of the same name, for the same assistant, is the newer word.
                let isKnown = entry.destinations.contains { known in
                    known.name.lowercased() == destination.name.lowercased()
                        && (known.assistant == nil || destination.assistant == nil
                            || known.assistant == destination.assistant)
                }
                guard !isKnown else { continue }
                self.tenants[id]?.destinations.append(destination)
            } catch {
                let rule = row[column: "transfer_rule_uuid"]?.tenant?.text ?? "(no id)"
                self.fault(.rules, rule, id, error.message)
            }
        }
    }

    private mutating func fault(_ table: OlderTable, _ row: String, _ tenant: TenantID, _ message: String) {
        self.faults.append(
            ConfigurationFault(table: table.rawValue, row: row, tenant: tenant, message: message))
    }

    private func ordered(of asked: Set<TenantID>?) -> ConfigurationReading {
        let tenants = self.tenants.values.map { tenant in
            var tenant = tenant
            tenant.assistants.sort { ($0.name, $0.id.text) < ($1.name, $1.id.text) }
            tenant.destinations.sort { ($0.priority, $0.name) < ($1.priority, $1.name) }
            tenant.accounts.sort {
                ($0.priority, $0.kind.rawValue, $0.provider.text) < ($1.priority, $1.kind.rawValue, $1.provider.text)
            }
            return tenant
        }
        return ConfigurationReading(asked: asked, tenants: tenants, faults: self.faults)
    }

    /// One that cannot be opened stays shut: it harms those calls only that need it.
    private mutating func opened(
        _ sealed: String, for owner: String, _ row: Row, _ table: ConfigurationTable, _ column: String
    ) -> Redacted<String>? {
        guard let secrets = self.secrets else {
            self.fault(row, table, "column \(column) is encrypted, and neither PRONTO_SECRET_KEY nor _FILE is set")
            return nil
        }
        do throws(StoreError) {
            return Redacted(try secrets.opened(sealed, for: owner))
        } catch {
            self.fault(row, table, "column \(column): \(error.message)")
            return nil
        }
    }

    private mutating func fault(_ row: Row, _ table: ConfigurationTable, _ message: String) {
        // An id is no secret; what stands in its place in a broken row may be anything.
        var id = "(no id)"
        if let known = row[column: table.key]?.tenant { id = known.text }
        self.faults.append(
            ConfigurationFault(
                table: table.name, row: id, tenant: row[column: "domain_uuid"]?.tenant, message: message))
    }
}
