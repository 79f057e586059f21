import Foundation
import Records
import Telephony
import TestDatabases
import Testing

@testable import Stores

@Suite("PostgreSQL's schema, in an empty database and beside other people's tables", .timeLimit(.minutes(3)))
struct PostgresMigrationTests {
    /// Every table's name, with how many rows it has and what they are: what must stay as it was.
    private static func contents(_ database: PostgresDatabase, of tables: [String]) throws -> [String] {
        try tables.flatMap { table in
            try database.rows("SELECT to_jsonb(t)::text AS row FROM \(table) AS t ORDER BY 1").map {
                "\(table) \(try $0.text("row"))"
            }
        }
    }

    private static func tables(_ database: PostgresDatabase) throws -> [String] {
        try database.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name"
        ).map { try $0.text("table_name") }
    }

    @Test("Up, down and up again in an empty database, each of them safe twice")
    func empty() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            let migrator = Migrator(database: database)
            let (numbers, now) = (Migration.postgres.map(\.number), Sample.moment(0))
            #expect(try migrator.status().allSatisfy { $0.appliedAt == nil })
            #expect(throws: StoreError.self) { try migrator.check() }
            #expect(try migrator.up(at: now) == numbers)
            #expect(try migrator.up(at: now) == [])
            try migrator.check()
            #expect(try migrator.status().allSatisfy { $0.appliedAt == now })
            let tables = try Self.tables(database)
            #expect(try migrator.down(to: 0) == numbers.reversed())
            #expect(try migrator.down(to: 0) == [])
            // v_domains could be FusionPBX's.
            #expect(try Self.tables(database) == ["pronto_migrations", "v_domains"])
            #expect(try migrator.up(at: now) == numbers)
            #expect(try Self.tables(database) == tables)
        }
    }

    @Test("Programs that migrate at the same time do each step once")
    func concurrently() async throws {
        try await withPostgres { options in
            let done = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let database = try PostgresDatabase(options: options.database)
                        try database.begin(within: Migrator.time)
                        return try Migrator(database: database).up(at: Sample.moment(0))
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(done.sorted() == Migration.postgres.map(\.number))
        }
    }

    @Test("Another program's migration is waited for, longer than a session waits for locks")
    func patience() async throws {
        try await withPostgres { options in
            var hasty = options
            hasty.database.time = .milliseconds(500)
            let other = try PostgresDatabase(options: options.database)
            try other.execute("BEGIN")
            _ = try other.rows("SELECT pg_advisory_xact_lock(123636798092399)")
            let given = hasty
            let opening = Task { try await SQLStore(postgres: given, migrates: true) }
            // Longer than the session's time for a lock: that is what it must outlast.
            try await Task.sleep(for: .milliseconds(1500))
            try other.execute("COMMIT")
            let store = try await opening.value
            try await store.save(try Sample.tenant(1))
            await store.close()
            // Other locks are waited for as always.
            try other.execute("BEGIN; LOCK TABLE v_domains IN ACCESS EXCLUSIVE MODE")
            let impatient = try PostgresDatabase(options: given.database)
            try impatient.begin(within: Migrator.time)
            let step = Migration(number: 900, name: "late", up: "ALTER TABLE v_domains ADD COLUMN late text", down: "")
            let error = #expect(throws: StoreError.self) {
                try Migrator(database: impatient, migrations: Migration.postgres + [step]).up(at: Sample.moment(0))
            }
            #expect(error?.code == .locked)
            try other.execute("ROLLBACK")
        }
    }

    @Test("An older schema is not migrated behind people's backs; a newer one is refused")
    func wrongSchema() async throws {
        try await withPostgres { options in
            let error = await #expect(throws: StoreError.self) { _ = try await SQLStore(postgres: options) }
            #expect(error?.code == .wrongSchema && error?.message.contains("pronto migrate up") == true)
            let store = try await SQLStore(postgres: options, migrates: true)
            await store.close()
            let again = try await SQLStore(postgres: options)
            await again.close()
            try PostgresDatabase(options: options.database).run(
                "INSERT INTO pronto_migrations VALUES (999, 'future', now())")
            #expect(await code { _ = try await SQLStore(postgres: options, migrates: true) } == .wrongSchema)
        }
    }

    @Test("Beside FusionPBX: its tenants are ours, its tables stay as they were", arguments: ["boolean", "text"])
    func fusionPBX(flag: String) async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(OlderTables.fusionPBX(flag: flag))
            let theirs = try Self.tables(database)
            let before = try Self.contents(database, of: theirs)
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenants = try await store.tenants()
            #expect(tenants.map(\.name) == ["demo.example", "off.example"])
            #expect(tenants.map(\.isEnabled) == [true, false])
            let assistant = try Sample.assistant(1, of: tenants[0].id)
            try await store.save(assistant, of: tenants[0].id)
            #expect(try await store.assistants(of: tenants[0].id) == [assistant])
            #expect(try Self.contents(database, of: theirs) == before)
            try await self.broken(store, database, flag)
            #expect(try Self.contents(database, of: theirs) == before)
            // What we say of a tenant is said in FusionPBX's own way.
            var tenant = tenants[1]
            tenant.isEnabled = true
            try await store.save(tenant)
            #expect(try database.rows("SELECT 1 AS n FROM v_domains WHERE domain_enabled = 'true'").count == 2)
            tenant.isEnabled = false
            try await store.save(tenant)
            await store.close()
            _ = try Migrator(database: database).down(to: 0)
            #expect(try Self.tables(database) == (theirs + ["pronto_migrations"]).sorted())
            #expect(try Self.contents(database, of: theirs) == before)
        }
    }

    /// Rows that FusionPBX may hold and that name no tenant: each harms itself only, and is told.
    private func broken(_ store: SQLStore, _ database: PostgresDatabase, _ flag: String) async throws {
        let (nameless, unset, empty) = (Sample.uuid(71), Sample.uuid(72), Sample.uuid(73))
        try database.execute(
            """
            INSERT INTO v_domains (domain_uuid, domain_name, domain_enabled)
            VALUES ('\(nameless)', NULL, 'true'), ('\(unset)', 'unset.example', NULL)
            """)
        if flag == "text" {
            try database.execute(
                """
                INSERT INTO v_domains (domain_uuid, domain_name, domain_enabled)
                VALUES ('\(empty)', 'empty.example', '')
                """)
        }
        let listed = try await store.listedTenants()
        #expect(listed.tenants.map(\.name) == ["demo.example", "off.example", "unset.example"])
        #expect(listed.tenants.last?.isEnabled == true, "NULL is on")
        #expect(Set(listed.faults.map(\.row)) == (flag == "text" ? [nameless, empty] : [nameless]))
        #expect(try await store.tenants() == listed.tenants)
        let rows = try await store.routingRows()
        #expect(rows.tenants.first { $0.tenant.text == unset }?.isEnabled == true, "for routing too")
        #expect(Set(rows.lost.compactMap(\.tenant?.text)) == Set(listed.faults.map(\.row)))
        try database.execute("DELETE FROM v_domains WHERE domain_uuid IN ('\(nameless)', '\(unset)', '\(empty)')")
    }

    @Test("Beside an older voice system: its tables are adopted, with their rows and their own columns")
    func olderSystem() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(OlderTables.fusionPBX(flag: "boolean") + OlderTables.voice)
            let theirs = try Self.tables(database)
            let own = "company_name, max_turns, realtime_provider_uuid, silence_fallback_seconds, vad_threshold"
            func kept() throws -> [Row] {
                try database.rows("SELECT \(own) FROM v_voice_secretaries ORDER BY voice_secretary_uuid")
            }
            let before = try kept()
            let store = try await SQLStore(
                postgres: options, secretKeys: SecretKeys(Sample.secretKey), migrates: true)
            let tenant = try #require(TenantID(OlderTables.tenant))
            let assistants = try await store.assistants(of: tenant).sorted { $0.id.text < $1.id.text }
            #expect(assistants.map(\.name) == ["Ana", "Bia", "Ana"])
            #expect(assistants.map(\.isEnabled) == [true, false, true])
            #expect(assistants.map(\.number) == ["8000", nil, nil])
            #expect(assistants[0].providers == [.openAI])
            #expect(assistants[0].noInput.after == .seconds(10) && assistants[0].noInput.prompts == ["Alô?"])
            #expect(assistants[0].turns.threshold == 0.5 && assistants[0].turns.detection == .semantic)
            #expect(assistants[0].fallback?.number.value == "2000" && assistants[1].fallback == nil)
            #expect(try await store.assistant(number: "8000", of: tenant) == assistants[0])
            #expect(try await store.destinations(of: tenant).map(\.name) == ["vendas"])
            let account = try #require(try await store.accounts(of: tenant).first)
            #expect(account.provider == .openAI && account.priority == 100)
            #expect(
                account.hasSecret && !account.configuration.contains("sk-plain"), "a key that lies open is not shown")
            let old = try await store.conversations(of: try #require(CallID("old")), tenant: tenant)
            #expect(old.map(\.language) == [nil] && old.map(\.endedAt) == old.map(\.startedAt))
            #expect(try await store.turns(of: try #require(old.first).id, tenant: tenant).map(\.text.value) == ["Alô"])

            // Ours goes into the same tables.
            var changed = assistants[0]
            changed.greeting = "Alô!"
            try await store.save(changed, of: tenant)
            #expect(try await store.assistant(changed.id, of: tenant) == changed)
            #expect(try kept() == before)
            let finished = try Sample.finished(1, of: tenant)
            #expect(try await store.finish(finished, of: tenant) == .written)
            #expect(try await store.finish(finished, of: tenant) == .alreadyWritten)
            let conversation = try #require(finished.conversation)
            #expect(try await store.turns(of: conversation.id, tenant: tenant) == finished.turns)
            await store.close()

            // Taken back, the tables stay: with their rows.
            _ = try Migrator(database: database).down(to: 0)
            #expect(Set(try Self.tables(database)).isSuperset(of: theirs))
            #expect(try kept() == before)
            _ = try Migrator(database: database).up(at: Sample.moment(0))
            #expect(try kept() == before)
        }
    }

    @Test("`enabled` and `is_enabled` are one switch, whoever sets which")
    func oneSwitch() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(OlderTables.fusionPBX(flag: "boolean") + OlderTables.voice)
            _ = try Migrator(database: database).up(at: Sample.moment(0))
            let id = "51111111-2222-4333-8444-555555555555"
            for (column, value, wanted) in [
                ("enabled", "false", false), ("is_enabled", "true", true), ("is_enabled", "false", false),
                ("enabled", "true", true),
            ] {
                try database.run(
                    "UPDATE v_voice_secretaries SET \(column) = '\(value)' WHERE voice_secretary_uuid = ?", [.text(id)])
                let row = try #require(
                    try database.rows(
                        "SELECT enabled, is_enabled FROM v_voice_secretaries WHERE voice_secretary_uuid = ?",
                        [.text(id)]
                    ).first)
                #expect(try row.bool("enabled") == wanted && row.bool("is_enabled") == wanted, "\(column) = \(value)")
            }
            // A new row that says it once.
            try database.run(
                """
                INSERT INTO v_voice_secretaries (domain_uuid, secretary_name, enabled)
                VALUES ('\(OlderTables.tenant)', 'new', 'false')
                """)
            let new = try #require(
                try database.rows("SELECT * FROM v_voice_secretaries WHERE secretary_name = 'new'").first)
            #expect(try new.bool("enabled") == false && new.bool("is_enabled") == false)
        }
    }
}
