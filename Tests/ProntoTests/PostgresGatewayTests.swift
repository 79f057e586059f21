import Foundation
import Records
import Simulators
import Stores
import Telephony
import TestDatabases
import Testing

@testable import pronto

/// A whole gateway on a real PostgreSQL.
@Suite("The gateway on PostgreSQL", .serialized, .timeLimit(.minutes(3)))
struct PostgresGatewayTests {
    private static func environment(_ server: TestPostgres, _ database: String) -> [String: String] {
        [
            "DB_HOST": "127.0.0.1", "DB_PORT": String(server.port), "DB_NAME": database, "DB_USER": TestPostgres.user,
            "DB_PASS": TestPostgres.password, "PRONTO_DB_MIGRATE": "true", "PRONTO_SECRET_KEY": key(7),
        ]
    }

    private static func calls(
        _ server: TestPostgres, _ database: String, _ tenant: TenantID
    ) async throws -> [CallRecord] {
        let address = PostgresAddress(
            port: server.port, name: database, user: TestPostgres.user, password: Redacted(TestPostgres.password))
        let store = try await SQLStore(
            postgres: PostgresPool.Options(database: PostgresDatabase.Options(address: address)))
        let calls = try await store.calls(of: tenant, before: nil, limit: 100)
        await store.close()
        return calls
    }

    @Test("The commands fill it, a call is answered from it and kept in it, a change is answered within a second")
    func call() async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in
            try await withFolder { folder in
                let house = try await House(folder, given: Self.environment(server, name))
                house.process.start()
                let call = try #require(CallID("3c1a4a4e-0000-4000-8000-000000000001"))
                let result = try await house.converse(call)
                #expect(result.failure == nil && result.answers.count == 1)
                try await soon("the record is in PostgreSQL") {
                    try await Self.calls(server, name, house.tenant).map(\.id) == [call]
                }
                _ = try await house.command("assistant", "add", "second", "--tenant", "clinic.example")
                try await soon("the new assistant is known") {
                    house.process.directory.entry(of: house.tenant)?.assistants.count == 2
                }
                let rows = try await server.sql("SELECT secret FROM v_voice_ai_providers", in: name)
                #expect(rows.hasPrefix("v1:") && !rows.contains("cinnamon"))
                #expect(!FileManager.default.fileExists(atPath: folder + "/pronto.db"))
                await house.stop()
                for canary in House.canaries {
                    #expect(!house.lines.all.contains { $0.contains(canary) }, "\(canary)")
                }
            }
        }
    }

    @Test(
        "The database dies in a call, stays away over a restart, and comes back: every call is answered, every record kept"
    )
    func away() async throws {
        let server = try await TestPostgres.start()
        try await server.sql("CREATE DATABASE voice", in: "postgres")
        let ids = try (1...3).map { try #require(CallID("3c1a4a4e-0000-4000-8000-00000000000\($0)")) }
        try await withFolder { folder in
            let house = try await House(folder, given: Self.environment(server, "voice"))
            house.process.start()
            try await soon("the copy is written") {
                FileManager.default.fileExists(atPath: folder + "/pronto.db.configuration")
            }
            let phone = try await house.dial(ids[0])
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
            #expect(await phone.perform([listen]) == .done)
            try await server.crash()
            #expect(await phone.perform([.speak(House.voice), listen]) == .done, "the caller is still answered")
            phone.hangUp()
            #expect(await phone.result().answers.count == 1)
            // A new call, without the database.
            #expect(try await house.converse(ids[1]).answers.count == 1)
            try await soon("both are in the spool") {
                try await house.metric("voice_ai_realtime_records_spooled_total") == 2
            }
            #expect(house.lines.all.contains { $0.contains("the last one stands") })
            await house.process.stop(patience: .seconds(2))

            // The gateway starts again; the database is still away.
            let process = try await GatewayProcess(
                settings: try settings(in: folder, house.environment), logger: house.lines.logger(.trace))
            process.start()
            #expect(house.lines.all.contains { $0.contains("the configuration is the one of the last run") })
            let next = House(house, process)
            #expect(try await next.converse(ids[2]).answers.count == 1, "answered from the copy, the key opened")
            try await server.restart()
            try await soon("all three are in the database") {
                try await Self.calls(server, "voice", house.tenant).count == 3
            }
            #expect(Set(try await Self.calls(server, "voice", house.tenant).map(\.id)) == Set(ids))
            try await soon("it is said") { next.lines.all.contains { $0.contains("The database answers again") } }
            await next.stop()
        }
    }

    @Test("A start while somebody keeps a table locked begins with the copy, and follows when the lock is gone")
    func locked() async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in
            try await withFolder { folder in
                let house = try await House(
                    folder, given: Self.environment(server, name).merging(["PRONTO_DB_TIMEOUT": "1"]) { $1 })
                house.process.start()
                try await soon("the copy is written") {
                    FileManager.default.fileExists(atPath: folder + "/pronto.db.configuration")
                }
                await house.process.stop(patience: .zero)

                let address = PostgresAddress(
                    port: server.port, name: name, user: TestPostgres.user, password: Redacted(TestPostgres.password))
                let other = try PostgresDatabase(options: PostgresDatabase.Options(address: address))
                try other.begin(within: .seconds(120))
                try other.execute("BEGIN; UPDATE v_domains SET domain_name = 'new.example'")
                try other.execute("LOCK TABLE v_voice_secretaries IN ACCESS EXCLUSIVE MODE")
                let process = try await GatewayProcess(
                    settings: try settings(in: folder, house.environment), logger: house.lines.logger(.trace))
                process.start()
                #expect(house.lines.all.contains { $0.contains("the configuration is the one of the last run") })
                let next = House(house, process)
                let call = try #require(CallID("3c1a4a4e-0000-4000-8000-000000000001"))
                #expect(try await next.converse(call).answers.count == 1, "answered from the copy")
                #expect(process.directory.entry(of: house.tenant)?.tenant.name == "clinic.example")
                try other.execute("COMMIT")
                try await soon("the database is followed") {
                    process.directory.entry(of: house.tenant)?.tenant.name == "new.example"
                }
                await next.stop()
            }
        }
    }

    @Test("A database that takes connections and answers nothing holds up no call; what it did not take, it gets later")
    func stalls() async throws {
        let server = try await TestPostgres.start()
        try await server.sql("CREATE DATABASE voice", in: "postgres")
        let ids = try (1...2).map { try #require(CallID("3c1a4a4e-0000-4000-8000-00000000000\($0)")) }
        try await withFolder { folder in
            let house = try await House(
                folder, given: Self.environment(server, "voice").merging(["PRONTO_DB_TIMEOUT": "1"]) { $1 })
            house.process.start()
            try await server.freeze()
            do {
                for id in ids { #expect(try await house.converse(id).answers.count == 1) }
                try await soon("both are in the spool") {
                    try await house.metric("voice_ai_realtime_records_spooled_total") == 2
                }
            } catch {
                try await server.thaw()
                throw error
            }
            try await server.thaw()
            try await soon("both are in the database") {
                try await Self.calls(server, "voice", house.tenant).count == 2
            }
            await house.stop()
        }
    }

    @Test("A start that cannot be says which setting, and what to do; never the password")
    func refused() async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in
            try await withFolder { folder in
                for (change, words) in [
                    (["DB_PASS": "nutmeg"], ["DB_HOST", "password authentication failed", "DB_PASS"]),
                    (["DB_PORT": "1"], ["refused", "DB_PORT"]),
                    (["DB_NAME": "nowhere"], ["\"nowhere\" does not exist", "DB_NAME"]),
                    (["PRONTO_DB_SSLMODE": "require"], ["SSL", "PRONTO_DB_SSLMODE"]),
                    (["PRONTO_DB_MIGRATE": "false"], ["wrong-schema", "pronto migrate up"]),
                ] {
                    let environment = Self.environment(server, name).merging(change) { $1 }
                    let error = await #expect(throws: StartError.self) {
                        _ = try await GatewayProcess(
                            settings: try settings(in: folder, environment), logger: Lines().logger(.trace))
                    }
                    for word in words { #expect("\(error as Any)".contains(word), "\(error as Any)") }
                    #expect(!"\(error as Any)".contains("nutmeg") && !"\(error as Any)".contains(TestPostgres.password))
                }
            }
        }
    }

    @Test("pronto migrate, on PostgreSQL")
    func migrate() async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in
            try await withFolder { folder in
                try await Self.migrate(
                    folder, Self.environment(server, name).merging(["PRONTO_DB_MIGRATE": "false"]) { $1 })
            }
        }
    }

    private static func migrate(_ folder: String, _ environment: [String: String]) async throws {
        func pronto(_ words: String...) async throws -> String {
            try await StoreCommands.run(
                words[0], Array(words.dropFirst()), folder: folder, environment: environment)
        }
        #expect(try await pronto("migrate", "status").contains("no"))
        #expect(try await pronto("migrate", "up").hasPrefix("applied 1, 2, 3"))
        #expect(try await pronto("migrate", "up") == "nothing to do")
        #expect(try await pronto("migrate", "status").contains(" no\n") == false)
        await #expect(throws: CommandFailure.self) { _ = try await pronto("migrate", "down") }
        #expect(try await pronto("migrate", "down", "--to", "0", "--yes").hasSuffix("3, 2, 1"))
        await #expect(throws: StartError.self) { _ = try await pronto("tenant", "list") }
    }
}
