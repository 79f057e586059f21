import Foundation
import Records
import Routing
import Telephony
import Testing

@testable import Stores

@Suite("Tables of others under our names: adopted, with what they lack, and left to them", .timeLimit(.minutes(3)))
struct AdoptedTablesTests {
    private static func tables(_ database: PostgresDatabase) throws -> Set<String> {
        Set(
            try database.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").map {
                try $0.text("table_name")
            })
    }

    @Test("Beside FusionPBX's dialplans a transfer whose context nobody stated is in the context of the domain's name")
    func contexts() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(OlderTables.fusionPBX(flag: "boolean") + OlderTables.voice)
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try #require(TenantID(OlderTables.tenant))
            for asked in [nil, [tenant]] as [Set<TenantID>?] {
                let reading = try await store.configuration(of: asked)
                #expect(reading.tenants.first { $0.tenant.id == tenant }?.tenant.context == "demo.example")
            }
            // A database of Pronto's own says nothing about the switch: FreeSWITCH's own context stands.
            try database.execute("DROP TABLE v_dialplans")
            let reading = try await store.configuration(of: nil)
            #expect(reading.tenants.first { $0.tenant.id == tenant }?.tenant.context == "default")
            await store.close()
        }
    }

    @Test("Words that are neither true nor false in a switch of another system's", arguments: ["", "yes", "0", "Off"])
    func switches(word: String) async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(
                OlderTables.fusionPBX(flag: "boolean") + OlderTables.voice
                    + "UPDATE v_voice_secretaries SET enabled = '\(word)' WHERE secretary_name = 'Bia'")
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try #require(TenantID(OlderTables.tenant))
            let bia = try #require(try await store.assistant(named: "Bia", of: tenant))
            #expect(bia.isEnabled == ["", "yes"].contains(word))
            await store.close()
        }
    }

    @Test("Routing's names")
    func routing() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(
                """
                CREATE TABLE ai_agents (id uuid PRIMARY KEY, label text);
                COMMENT ON TABLE ai_agents IS 'of the sales bot';
                CREATE TABLE voip_trunk_ai_settings (id uuid PRIMARY KEY, note text);
                CREATE TABLE voip_activity_log (id uuid PRIMARY KEY, what text);
                INSERT INTO ai_agents VALUES ('41111111-2222-4333-8444-555555555555', 'theirs');
                INSERT INTO voip_trunk_ai_settings VALUES ('41111111-2222-4333-8444-555555555555', 'theirs');
                INSERT INTO voip_activity_log VALUES ('41111111-2222-4333-8444-555555555555', 'theirs');
                """)
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            let agent = AgentRow(
                id: try #require(AssistantID(Sample.uuid(5))), tenant: tenant.id, name: "ours")
            try await store.save(agent, of: tenant.id)
            #expect(try await store.agents(of: tenant.id).map(\.name) == ["ours"])
            _ = try await store.routingRows()
            await store.close()
            _ = try Migrator(database: database).down(to: 0)
            for (table, column) in [
                ("ai_agents", "label"), ("voip_trunk_ai_settings", "note"), ("voip_activity_log", "what"),
            ] {
                let rows = try database.rows("SELECT \(column) AS word FROM \(table) WHERE \(column) IS NOT NULL")
                #expect(try rows.map { try $0.text("word") } == ["theirs"], "\(table)")
            }
            #expect(!(try Self.tables(database)).contains("voip_ai_tenants"), "what was ours goes")
            let comment = try database.rows("SELECT obj_description('ai_agents'::regclass, 'pg_class') AS c").first
            #expect(try comment?.text("c") == "of the sales bot")
            _ = try Migrator(database: database).up(at: Sample.moment(0))
        }
    }

    @Test("A schema whose tables an earlier Pronto made, without a mark, is still taken back whole")
    func unmarked() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            let migrator = Migrator(database: database)
            _ = try migrator.up(at: Sample.moment(0))
            for table in ["ai_agents", "voip_activity_log", "voip_ai_tenants"] {
                try database.execute("COMMENT ON TABLE \(table) IS NULL")
            }
            _ = try migrator.down(to: 0)
            #expect(try Self.tables(database) == ["pronto_migrations", "v_domains"])
        }
    }

    @Test("A call table that has next to nothing of ours takes our calls, each once, and keeps its own rows")
    func calls() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(
                """
                CREATE TABLE voip_cdr (number bigserial PRIMARY KEY, started timestamptz DEFAULT now(), who text);
                INSERT INTO voip_cdr (who) VALUES ('theirs');
                """)
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try Sample.tenantID(1)
            let finished = try Sample.finished(1, of: tenant)
            #expect(try await store.finish(finished, of: tenant) == .written)
            #expect(try await store.finish(finished, of: tenant) == .alreadyWritten)
            #expect(try await store.calls(of: tenant, before: nil, limit: 9) == [finished.call])
            await store.close()
            _ = try Migrator(database: database).down(to: 0)
            let kept = try database.rows("SELECT who FROM voip_cdr WHERE who IS NOT NULL")
            #expect(try kept.map { try $0.text("who") } == ["theirs"])
        }
    }

    @Test("A caller is forgotten beside a call table whose ids are UUIDs")
    func uuids() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute("CREATE TABLE voip_cdr (number bigserial PRIMARY KEY, call_uuid uuid)")
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try Sample.tenantID(1)
            var call = try Sample.finished(1, of: tenant).call
            call.id = try #require(CallID(Sample.uuid(77)))
            try await store.finish(FinishedCall(call: call), of: tenant)
            var activity = ActivityRecord(
                id: Sample.uuid(78), tenant: tenant, decidedAt: Sample.moment(0), isAI: true, reason: "open",
                latency: .milliseconds(1))
            activity.call = call.id
            try await store.log([activity])
            let caller = try #require(call.caller?.value)
            #expect(try await store.forgetActivities(ofCaller: [caller], calls: [], tenant: tenant) == 1)
            #expect(try await store.activity(of: tenant, before: nil, limit: 9) == [])
            let traces = try await store.calls(ofCaller: [caller], tenant: tenant, limit: 9)
            #expect(try await store.forgetCaller(of: traces, tenant: tenant, noting: []).calls == 1)
            #expect(try await store.removeCalls(traces, tenant: tenant, noting: []) == 1)
            await store.close()
        }
    }

    @Test("Secrets that others left in the clear are told, by table and column and never by value")
    func openSecrets() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute(
                """
                CREATE TABLE v_voice_secretary_settings (domain_uuid uuid, esl_password text,
                    omniplay_api_key varchar(200), rate_limit_rpm bigint);
                INSERT INTO v_voice_secretary_settings VALUES (NULL, 'ClueCon', '', 1), (NULL, NULL, 'op-1', 2),
                    (NULL, 'x', 'op-2', 3);
                """)
            let store = try await SQLStore(postgres: options, migrates: true)
            #expect(
                try await store.openSecrets() == [
                    OpenSecrets(table: "v_voice_secretary_settings", column: "esl_password", rows: 2),
                    OpenSecrets(table: "v_voice_secretary_settings", column: "omniplay_api_key", rows: 2),
                ])
            await store.close()
        }
        let file = try await SQLStore(path: ":memory:")
        #expect(try await file.openSecrets() == [])
        await file.close()
    }
}
