import Foundation
import Records
import Testing

@testable import Stores

@Suite("The schema goes up and down")
struct MigrationTests {
    private static let root =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/database/migrations/"

    @Test("Up, down and up again, each of them safe twice")
    func upDownUp() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let numbers = Migration.sqlite.map(\.number)
            let now = Sample.moment(0)
            let migrator = Migrator(database: try SQLiteDatabase(path: path))
            #expect(try migrator.status().allSatisfy { $0.appliedAt == nil })
            #expect(try migrator.up(at: now) == numbers)
            #expect(try migrator.up(at: now) == [])
            #expect(try migrator.status().allSatisfy { $0.appliedAt == now })
            let tables = try Self.tables(path)
            #expect(try migrator.down(to: 0) == numbers.reversed())
            #expect(try migrator.down(to: 0) == [])
            #expect(try Self.tables(path) == ["pronto_migrations"])
            #expect(try migrator.up(at: now) == numbers)
            #expect(try Self.tables(path) == tables)
        }
    }

    @Test("A step that fails half-way leaves nothing of itself")
    func halfStep() throws {
        let database = try SQLiteDatabase(path: ":memory:")
        let broken = Migration(number: 1, name: "broken", up: "CREATE TABLE a (x); CREATE TABLE a (x)", down: "")
        #expect(throws: StoreError.self) {
            try Migrator(database: database, migrations: [broken]).up(at: Sample.moment(0))
        }
        var whole = broken
        whole.up = "CREATE TABLE a (x)"
        #expect(try Migrator(database: database, migrations: [whole]).up(at: Sample.moment(0)) == [1])
    }

    @Test("A database of a newer program is refused, and so is an older one where nobody may migrate")
    func wrongSchema() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            var options = SQLStore.Options()
            options.migrates = false
            let strict = options
            #expect(await code { _ = try await SQLStore(path: path, options: strict) } == .wrongSchema)
            _ = try Migrator(database: SQLiteDatabase(path: path)).up(at: Sample.moment(0))
            _ = try await SQLStore(path: path, options: strict)
            try SQLiteDatabase(path: path).run(
                "INSERT INTO pronto_migrations VALUES (999, 'future', '2030-01-01T00:00:00.000Z')", [])
            #expect(await code { _ = try await SQLStore(path: path) } == .wrongSchema)
        }
    }

    @Test("The embedded migrations are the files of database/migrations", arguments: SQLDialect.allCases)
    func generated(dialect: SQLDialect) throws {
        let folder = Self.root + dialect.rawValue + "/"
        let migrations = dialect == .sqlite ? Migration.sqlite : Migration.postgres
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        let wanted = migrations.flatMap { migration -> [String] in
            let number = String(migration.number)
            let base = String(repeating: "0", count: 4 - number.count) + number + "_" + migration.name
            return [base + ".down.sql", base + ".up.sql"]
        }
        #expect(names == wanted, "run scripts/generate-migrations")
        for (index, migration) in migrations.enumerated() where names == wanted {
            let up = try String(contentsOfFile: folder + names[index * 2 + 1], encoding: .utf8)
            let down = try String(contentsOfFile: folder + names[index * 2], encoding: .utf8)
            #expect(migration.up + "\n" == up, "run scripts/generate-migrations")
            #expect(migration.down + "\n" == down, "run scripts/generate-migrations")
        }
        #expect(zip(migrations, migrations.dropFirst()).allSatisfy { $0.number < $1.number })
    }

    @Test("Both databases have the same migrations, tables and columns")
    func same() async throws {
        #expect(Migration.sqlite.map(\.number) == Migration.postgres.map(\.number))
        #expect(Migration.sqlite.map(\.name) == Migration.postgres.map(\.name))
        let sqlite = try SQLiteDatabase(path: ":memory:")
        _ = try Migrator(database: sqlite).up(at: Sample.moment(0))
        let ours = try sqlite.rows(
            """
            SELECT m.name || '.' || c.name AS name FROM sqlite_master AS m, pragma_table_info(m.name) AS c
            WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'pronto_changes'
            """
        ).map { try $0.text("name") }
        try await withPostgres { options in
            let postgres = try PostgresDatabase(options: options.database)
            _ = try Migrator(database: postgres).up(at: Sample.moment(0))
            let theirs = try postgres.rows(
                """
                SELECT table_name || '.' || column_name AS name FROM information_schema.columns
                WHERE table_schema = 'public'
                """
            ).map { try $0.text("name") }
            #expect(ours.sorted() == theirs.sorted())
            #expect(ours.count > 100, "the reading of the schemas finds their columns")
        }
    }

    @Test("Every table says whose a row is: domain_uuid, or tenant_id as requirements 2 have it")
    func tenantEverywhere() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            _ = try Migrator(database: SQLiteDatabase(path: path)).up(at: Sample.moment(0))
            let database = try SQLiteDatabase(path: path)
            for table in try Self.tables(path) where table != "pronto_migrations" {
                let columns = try database.rows("SELECT name FROM pragma_table_info('\(table)')").map {
                    try $0.text("name")
                }
                #expect(columns.contains("domain_uuid") || columns.contains("tenant_id"), "\(table)")
            }
        }
    }

    private static func tables(_ path: String) throws -> [String] {
        try SQLiteDatabase(path: path)
            .rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
            .map { try $0.text("name") }
    }
}
