import Foundation
import Records

/// One numbered step of the schema, forth and back.
package struct Migration: Sendable, Equatable {
    package var number: Int
    package var name: String
    package var up: String
    package var down: String

    package init(number: Int, name: String, up: String, down: String) {
        self.number = number
        self.name = name
        self.up = up
        self.down = down
    }
}

/// A migration as one database knows it.
package struct MigrationStatus: Sendable, Equatable {
    package var number: Int
    package var name: String
    /// When it was applied; nil: not yet.
    package var appliedAt: Date?
}

/// Brings a database's schema up and down. Every step is one transaction that looks again under the lock, so that two
/// programs that start together do it once.
package struct Migrator {
    /// What a step may take: an index over a large table of calls is built in it.
    package static let time = Duration.seconds(600)

    private let database: any SQLDatabase
    private let migrations: [Migration]

    package init(database: any SQLDatabase) {
        self.init(database: database, migrations: database.dialect == .sqlite ? Migration.sqlite : Migration.postgres)
    }

    init(database: any SQLDatabase, migrations: [Migration]) {
        self.database = database
        self.migrations = migrations
    }

    package func status() throws(StoreError) -> [MigrationStatus] {
        let applied = try self.applied()
        let known = Set(self.migrations.map(\.number))
        if let unknown = applied.keys.filter({ !known.contains($0) }).max() {
            throw StoreError(
                .wrongSchema,
                "the database has migration \(unknown), which this program does not know: a newer Pronto wrote it")
        }
        return self.migrations.map { MigrationStatus(number: $0.number, name: $0.name, appliedAt: applied[$0.number]) }
    }

    /// `wrong-schema` unless every migration is there.
    package func check() throws(StoreError) {
        let missing = try self.status().filter { $0.appliedAt == nil }.map { String($0.number) }
        guard missing.isEmpty else {
            throw StoreError(
                .wrongSchema,
                "the schema is older than this program (migration \(missing.joined(separator: ", ")) is missing): "
                    + "pronto migrate up")
        }
    }

    /// Applies what is missing; returns the numbers.
    package func up(at now: Date) throws(StoreError) -> [Int] {
        _ = try self.status()
        var done: [Int] = []
        for migration in self.migrations {
            let isNew = try self.database.transaction { () throws(StoreError) -> Bool in
                try self.lock()
                try self.database.execute(self.table)
                guard try self.applied()[migration.number] == nil else { return false }
                try self.step(migration, migration.up)
                try self.database.run(
                    "INSERT INTO pronto_migrations (number, name, applied_at) VALUES (?, ?, ?)",
                    [.integer(Int64(migration.number)), .text(migration.name), .text(Timestamp.text(now))])
                return true
            }
            if isNew { done.append(migration.number) }
        }
        return done
    }

    /// Takes back every migration above `target`, newest first; returns the numbers. The rows go with their tables.
    package func down(to target: Int) throws(StoreError) -> [Int] {
        _ = try self.status()
        var done: [Int] = []
        for migration in self.migrations.reversed() where migration.number > target {
            let wasThere = try self.database.transaction { () throws(StoreError) -> Bool in
                try self.lock()
                guard try self.applied()[migration.number] != nil else { return false }
                try self.step(migration, migration.down)
                try self.database.run(
                    "DELETE FROM pronto_migrations WHERE number = ?", [.integer(Int64(migration.number))])
                return true
            }
            if wasThere { done.append(migration.number) }
        }
        return done
    }

    private func step(_ migration: Migration, _ script: String) throws(StoreError) {
        do throws(StoreError) {
            try self.database.execute(script)
        } catch {
            throw StoreError(error.code, "migration \(migration.number) (\(migration.name)): \(error.message)")
        }
    }

    /// SQLite's transactions have the write lock from their start. In PostgreSQL an advisory lock that ends with the
    /// transaction; the number is "pronto" in ASCII.
    private func lock() throws(StoreError) {
        guard self.database.dialect == .postgres else { return }
        // Another program's migration may take longer than a session waits for locks: this one is waited for as long as
        // the statement may take. Locks of tables afterwards are not.
        try self.database.execute("SET LOCAL lock_timeout = 0")
        _ = try self.database.rows("SELECT pg_advisory_xact_lock(123636798092399)")
        try self.database.execute("SET LOCAL lock_timeout TO DEFAULT")
    }

    private var table: String {
        switch self.database.dialect {
        case .sqlite:
            """
            CREATE TABLE IF NOT EXISTS pronto_migrations (
                number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL
            ) STRICT
            """
        case .postgres:
            """
            CREATE TABLE IF NOT EXISTS pronto_migrations (
                number bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL
            )
            """
        }
    }

    private func applied() throws(StoreError) -> [Int: Date] {
        let question =
            switch self.database.dialect {
            case .sqlite: "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'pronto_migrations'"
            case .postgres: "SELECT 1 AS found WHERE to_regclass('pronto_migrations') IS NOT NULL"
            }
        guard !(try self.database.rows(question)).isEmpty else { return [:] }
        var applied: [Int: Date] = [:]
        for row in try self.database.rows("SELECT number, applied_at FROM pronto_migrations") {
            applied[try row.integer("number")] = try row.date("applied_at")
        }
        return applied
    }
}
