import Foundation
import Records
import Telephony
import Testing

@testable import Stores

@Suite("An older voice system's Event Sockets and transfer rules are read where they are", .timeLimit(.minutes(3)))
struct OlderTablesTests {
    /// As that system makes them (field notes §1.10), for two tenants.
    private static let tables = """
        CREATE TABLE v_voice_secretary_settings (voice_secretary_setting_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            domain_uuid uuid NOT NULL, setting_name varchar(100) NOT NULL, setting_value text,
            UNIQUE (domain_uuid, setting_name));
        CREATE TABLE v_voice_transfer_rules (transfer_rule_uuid uuid PRIMARY KEY, voice_secretary_uuid uuid,
            domain_uuid uuid NOT NULL, intent_keywords text[], intent_patterns text[], keywords jsonb DEFAULT '[]',
            department_name varchar(100) NOT NULL, transfer_extension varchar(20) NOT NULL, transfer_message text,
            priority integer DEFAULT 0, is_enabled boolean DEFAULT true, is_active boolean DEFAULT true,
            transfer_timeout_seconds integer DEFAULT 30, skip_presence_check boolean DEFAULT false);
        """

    private static func settings(_ tenant: TenantID, _ values: [String: String]) -> String {
        "INSERT INTO v_voice_secretary_settings (domain_uuid, setting_name, setting_value) VALUES "
            + values.map { "('\(tenant.text)', '\($0)', '\($1)')" }.joined(separator: ", ")
            + " ON CONFLICT (domain_uuid, setting_name) DO UPDATE SET setting_value = excluded.setting_value;"
    }

    /// Every one of FusionPBX's page, in document 4's own words, and what lies beside them.
    private static let whole = [
        "esl_host": "PBX.example", "esl_port": "8031", "esl_password": "ClueCon-1", "esl_connect_timeout": "5.0",
        "esl_read_timeout": "30.0", "omniplay_api_key": "op-key", "max_concurrent_calls": "10",
    ]

    private struct Place {
        var store: SQLStore
        var database: PostgresDatabase
        var one: Tenant
        var two: Tenant

        func entry(_ tenant: Tenant) async throws -> (TenantConfiguration, faults: [ConfigurationFault]) {
            let reading = try await self.store.configuration(of: [tenant.id])
            return (try #require(reading.tenants.first), reading.faults)
        }
    }

    /// With tables that are there before us, or that come later.
    private func withPlace(isOlder: Bool = true, _ body: (Place) async throws -> Void) async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            if isOlder { try database.execute(Self.tables) }
            let store = try await SQLStore(postgres: options, secretKeys: SecretKeys(Sample.secretKey), migrates: true)
            let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, two] { try await store.save(tenant) }
            try await body(Place(store: store, database: database, one: one, two: two))
            await store.close()
        }
    }

    @Test("The Event Socket of a domain's settings page is used, and its open password is told, never shown")
    func eventSocket() async throws {
        try await self.withPlace { place in
            try place.database.execute(Self.settings(place.one.id, Self.whole))
            let (entry, faults) = try await place.entry(place.one)
            let account = SwitchAccount(
                tenant: place.one.id, host: "pbx.example", port: 8031, password: Redacted("ClueCon-1"),
                connectTimeout: .seconds(5), readTimeout: .seconds(30))
            #expect(entry.switchAccount == account)
            #expect(faults.count == 1 && faults[0].table == "v_voice_secretary_settings")
            #expect(faults[0].message.contains("--adopt-esl") && !"\(faults)".contains("ClueCon"))
            #expect(try await place.entry(place.two).0.switchAccount == nil)
            let open = try await place.store.openSecrets()
            #expect(
                open == [
                    OpenSecrets(
                        table: "v_voice_secretary_settings", column: "setting_value", rows: 1, setting: "esl_password"),
                    OpenSecrets(
                        table: "v_voice_secretary_settings", column: "setting_value", rows: 1,
                        setting: "omniplay_api_key"),
                ])
            // A start without the database knows it too, and nothing of what is beside it.
            try await withFolder { folder in
                let copy = ConfigurationCopy(path: folder + "/copy")
                try await copy.write(from: place.store)
                let read = try copy.read(secretKeys: SecretKeys(Sample.secretKey))
                #expect(read.tenants.first { $0.tenant.id == place.one.id }?.switchAccount == account)
                let data = try Data(contentsOf: URL(fileURLWithPath: copy.path))
                #expect(data.range(of: Data("op-key".utf8)) == nil)
            }
            // What is the tenant's own goes before it: also switched off, and also when it cannot be opened.
            var own = SwitchAccount(tenant: place.one.id, host: "own.example", password: Redacted("p"))
            own.isEnabled = false
            try await place.store.save(own, of: place.one.id)
            let (after, none) = try await place.entry(place.one)
            #expect(after.switchAccount == own && none.isEmpty)
            try place.database.execute("UPDATE v_voice_event_sockets SET esl_connect_timeout_ms = -1")
            #expect(try await place.entry(place.one).0.switchAccount == nil)
        }
    }

    @Test(
        "A setting that cannot be is named with its row and column, and harms what it is for",
        arguments: [
            ("esl_host", "a b", false, "row esl_host, column setting_value must be a host"),
            ("esl_port", "70000", false, "row esl_port, column setting_value must be 1 to 65535"),
            ("esl_port", "x", false, "row esl_port"), ("esl_password", "", false, "row esl_password"),
            ("esl_password", "a\nb", false, "row esl_password"),
            ("esl_connect_timeout", "soon", true, "row esl_connect_timeout, column setting_value must be 0.1 to 60.0"),
            ("esl_read_timeout", "nan", true, "row esl_read_timeout"), ("esl_host", "", false, nil),
        ] as [(String, String, Bool, String?)])
    func wrongSettings(name: String, value: String, isUsed: Bool, message: String?) async throws {
        try await self.withPlace { place in
            try place.database.execute(
                Self.settings(place.one.id, Self.whole) + Self.settings(place.two.id, Self.whole))
            try place.database.execute(Self.settings(place.one.id, [name: value]))
            let (entry, faults) = try await place.entry(place.one)
            #expect((entry.switchAccount != nil) == isUsed)
            if let message {
                #expect(faults.contains { $0.message.hasPrefix(message) && $0.tenant == place.one.id }, "\(faults)")
            } else {
                #expect(faults.isEmpty, "an empty page is nobody's mistake")
            }
            #expect(try await place.entry(place.two).0.switchAccount?.host == "pbx.example")
        }
    }

    @Test("Transfer rules are destinations, beside those of the tenant, which go before them")
    func rules() async throws {
        try await self.withPlace { place in
            let assistant = try Sample.assistant(1, of: place.one.id)
            try await place.store.save(assistant, of: place.one.id)
            var own = try Sample.destination(1, of: place.one.id)
            own.name = "Sales"
            try await place.store.save(own, of: place.one.id)
            func rule(_ number: Int, _ columns: String, _ values: String) -> String {
                """
                INSERT INTO v_voice_transfer_rules (transfer_rule_uuid, domain_uuid, \(columns))
                VALUES ('\(Sample.uuid(number))', '\(place.one.id.text)', \(values));
                """
            }
            try place.database.execute(
                rule(
                    301,
                    "department_name, transfer_extension, keywords, intent_keywords, priority, voice_secretary_uuid",
                    "'Financeiro', '2001', '[\"boleto\", \"fatura\"]', '{fatura,cobrança}', 5, '\(assistant.id.text)'")
                    + rule(302, "department_name, transfer_extension", "'sales', '2002'")
                    + rule(303, "department_name, transfer_extension, is_enabled", "'off', '2003', false")
                    + rule(304, "department_name, transfer_extension, is_active", "'also off', '2004', false")
                    + rule(305, "department_name, transfer_extension, keywords", "'Suporte', '2005', '\"x\"'")
                    + rule(306, "department_name, transfer_extension", "'evil', '2006 XML x'")
                    + rule(307, "department_name, transfer_extension, transfer_timeout_seconds", "'slow', '2007', -1")
                    + rule(308, "department_name, transfer_extension", "'Recepção', '2008'"))
            let (entry, faults) = try await place.entry(place.one)
            #expect(entry.destinations.map(\.name) == ["Recepção", "Sales", "Financeiro"])
            let money = try #require(entry.destinations.last)
            #expect(money.number.value == "2001" && money.context == place.one.name && money.priority == 5)
            #expect(money.aliases == ["boleto", "fatura", "cobrança"] && money.assistant == assistant.id)
            #expect(money.department == "Financeiro" && money.isEnabled && !money.isDefault)
            #expect(
                faults.map { "\($0.row) \($0.message)" } == [
                    "\(Sample.uuid(305)) column keywords must be a JSON array of texts",
                    "\(Sample.uuid(306)) column transfer_extension must be 1 to 64 letters, digits, +, *, #, ., - or _",
                    "\(Sample.uuid(307)) column transfer_timeout_seconds must be 1 to 600",
                ])
            #expect(try await place.entry(place.two).0.destinations == [])
        }
    }

    @Test("Tables that come later, change and go: each is seen, and none is missed", arguments: [true, false])
    func comeAndGo(isOlder: Bool) async throws {
        try await self.withPlace(isOlder: isOlder) { place in
            func fingerprint() throws -> String {
                try place.database.rows(WatchedTable.fingerprint)[0].text("fingerprint")
            }
            let empty = try fingerprint()
            #expect(try await place.entry(place.one).0.switchAccount == nil)
            if !isOlder { try place.database.execute(Self.tables) }
            try place.database.execute(Self.settings(place.one.id, Self.whole))
            let filled = try fingerprint()
            #expect(filled != empty)
            #expect(try await place.entry(place.one).0.switchAccount?.port == 8031)
            try place.database.execute(Self.settings(place.one.id, ["esl_port": "8032"]))
            #expect(try fingerprint() != filled)
            #expect(try await place.entry(place.one).0.switchAccount?.port == 8032)
            let triggers = try place.database.rows(
                "SELECT count(*) AS n FROM pg_trigger WHERE tgrelid = 'v_voice_secretary_settings'::regclass AND NOT tgisinternal"
            )[0].integer("n")
            #expect(triggers == (isOlder ? 4 : 0))
            // One of another shape is none of what we read.
            try place.database.execute(
                "ALTER TABLE v_voice_secretary_settings RENAME COLUMN setting_name TO name; DROP TABLE v_voice_transfer_rules"
            )
            #expect(try await place.entry(place.one).0.switchAccount == nil)
            #expect(try await place.entry(place.one).faults == [])
            _ = try Migrator(database: place.database).down(to: 0)
            let left = try place.database.rows(
                "SELECT count(*) AS n FROM pg_trigger WHERE tgname LIKE 'pronto%'")[0].integer("n")
            #expect(left == 0)
            #expect(try place.database.rows("SELECT name FROM v_voice_secretary_settings").count == Self.whole.count)
            _ = try Migrator(database: place.database).up(at: Sample.moment(0))
        }
    }
}
