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
            #expect(try SQLiteStore.Schema.status(path: path).allSatisfy { $0.appliedAt == nil })
            #expect(try SQLiteStore.Schema.up(path: path, at: now) == numbers)
            #expect(try SQLiteStore.Schema.up(path: path, at: now) == [])
            #expect(try SQLiteStore.Schema.status(path: path).allSatisfy { $0.appliedAt == now })
            let tables = try Self.tables(path)
            #expect(try SQLiteStore.Schema.down(path: path, to: 0) == numbers.reversed())
            #expect(try SQLiteStore.Schema.down(path: path, to: 0) == [])
            #expect(try Self.tables(path) == ["pronto_migrations"])
            #expect(try SQLiteStore.Schema.up(path: path, at: now) == numbers)
            #expect(try Self.tables(path) == tables)
        }
    }

    @Test("A step that fails half-way leaves nothing of itself")
    func halfStep() throws {
        let database = try SQLiteDatabase(path: ":memory:")
        let broken = Migration(number: 1, name: "broken", up: "CREATE TABLE a (x); CREATE TABLE a (x)", down: "")
        var migrator = Migrator(database: database, migrations: [broken])
        #expect(throws: StoreError.self) { try migrator.up(at: Sample.moment(0)) }
        migrator.migrations[0].up = "CREATE TABLE a (x)"
        #expect(try migrator.up(at: Sample.moment(0)) == [1])
    }

    @Test("A database of a newer program is refused, and so is an older one where nobody may migrate")
    func wrongSchema() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            var options = SQLiteStore.Options()
            options.migrates = false
            let strict = options
            #expect(await code { _ = try await SQLiteStore(path: path, options: strict) } == .wrongSchema)
            _ = try SQLiteStore.Schema.up(path: path, at: Sample.moment(0))
            _ = try await SQLiteStore(path: path, options: strict)
            try SQLiteDatabase(path: path).run(
                "INSERT INTO pronto_migrations VALUES (999, 'future', '2030-01-01T00:00:00.000Z')")
            #expect(await code { _ = try await SQLiteStore(path: path) } == .wrongSchema)
        }
    }

    @Test("The embedded migrations are the files of database/migrations/sqlite")
    func generated() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.root + "sqlite").sorted()
        let wanted = Migration.sqlite.flatMap { migration -> [String] in
            let number = String(migration.number)
            let base = String(repeating: "0", count: 4 - number.count) + number + "_" + migration.name
            return [base + ".down.sql", base + ".up.sql"]
        }
        #expect(names == wanted, "run scripts/generate-migrations")
        for (index, migration) in Migration.sqlite.enumerated() where names == wanted {
            let up = try String(contentsOfFile: Self.root + "sqlite/" + names[index * 2 + 1], encoding: .utf8)
            let down = try String(contentsOfFile: Self.root + "sqlite/" + names[index * 2], encoding: .utf8)
            #expect(migration.up + "\n" == up, "run scripts/generate-migrations")
            #expect(migration.down + "\n" == down, "run scripts/generate-migrations")
        }
        #expect(zip(Migration.sqlite, Migration.sqlite.dropFirst()).allSatisfy { $0.number < $1.number })
    }

    @Test("PostgreSQL's migrations have the same numbers, tables and columns")
    func postgres() throws {
        let sqlite = try FileManager.default.contentsOfDirectory(atPath: Self.root + "sqlite").sorted()
        let postgres = try FileManager.default.contentsOfDirectory(atPath: Self.root + "postgres").sorted()
        #expect(sqlite == postgres)
        var found = 0
        for name in sqlite where name.hasSuffix(".up.sql") {
            let ours = Self.columns(try String(contentsOfFile: Self.root + "sqlite/" + name, encoding: .utf8))
            let theirs = Self.columns(try String(contentsOfFile: Self.root + "postgres/" + name, encoding: .utf8))
            #expect(ours == theirs)
            found += ours.count
        }
        #expect(found > 100, "the reading of the files finds their columns")
    }

    @Test("Every table says whose a row is: domain_uuid, or tenant_id as requirements 2 have it")
    func tenantEverywhere() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            _ = try SQLiteStore.Schema.up(path: path, at: Sample.moment(0))
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

    /// `table.column` of each column line: four spaces, a lower-case name, a type.
    private static func columns(_ sql: String) -> [String] {
        var table = ""
        var columns: [String] = []
        for line in sql.split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("CREATE TABLE") {
                table = String(words[words.count - 2])
            } else if line.hasPrefix("    "), !line.hasPrefix("     "), let name = words.first,
                name.allSatisfy({ $0.isLowercase || $0 == "_" || $0.isNumber })
            {
                columns.append("\(table).\(name)")
            }
        }
        return columns
    }
}
