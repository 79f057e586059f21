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
struct Migrator {
    let database: SQLiteDatabase
    var migrations: [Migration] = Migration.sqlite

    private static let table = """
        CREATE TABLE IF NOT EXISTS pronto_migrations (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL
        ) STRICT
        """

    func status() throws(StoreError) -> [MigrationStatus] {
        let applied = try self.applied()
        if let unknown = applied.keys.max(), unknown > (self.migrations.last?.number ?? 0) {
            throw StoreError(.wrongSchema, "the database has migration \(unknown), which this program does not know")
        }
        return self.migrations.map { MigrationStatus(number: $0.number, name: $0.name, appliedAt: applied[$0.number]) }
    }

    /// Applies what is missing; returns the numbers.
    func up(at now: Date) throws(StoreError) -> [Int] {
        try self.database.execute(Self.table)
        _ = try self.status()
        var done: [Int] = []
        for migration in self.migrations {
            let isNew = try self.database.transaction { () throws(StoreError) -> Bool in
                guard try self.applied()[migration.number] == nil else { return false }
                try self.database.execute(migration.up)
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
    func down(to target: Int) throws(StoreError) -> [Int] {
        _ = try self.status()
        var done: [Int] = []
        for migration in self.migrations.reversed() where migration.number > target {
            let wasThere = try self.database.transaction { () throws(StoreError) -> Bool in
                guard try self.applied()[migration.number] != nil else { return false }
                try self.database.execute(migration.down)
                try self.database.run(
                    "DELETE FROM pronto_migrations WHERE number = ?", [.integer(Int64(migration.number))])
                return true
            }
            if wasThere { done.append(migration.number) }
        }
        return done
    }

    private func applied() throws(StoreError) -> [Int: Date] {
        let exists = try self.database.rows(
            "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'pronto_migrations'")
        guard !exists.isEmpty else { return [:] }
        var applied: [Int: Date] = [:]
        for row in try self.database.rows("SELECT number, applied_at FROM pronto_migrations") {
            applied[try row.integer("number")] = try row.date("applied_at")
        }
        return applied
    }
}
