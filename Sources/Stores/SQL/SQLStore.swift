import Foundation
import Records
import Synchronization
import Telephony

/// Records in a database: SQLite, the embedded default, or PostgreSQL, FusionPBX's own or another. The code is one; what
/// differs is below `SQLDatabase`, and in the migrations.
package final class SQLStore: Sendable {
    package struct Options: Sendable {
        package var database = SQLiteDatabase.Options()
        /// Bring an older schema up to date while opening. Without it an older schema is `wrong-schema`.
        package var migrates = true
        /// Questions that may wait at once; the next is `overloaded`.
        package var waitingLimit = 4096
        package init() {}
    }

    let connections: any SQLConnections
    let secrets: SecretBox?
    /// Whether to migrate when the database answers; nil: the schema has been seen to.
    private let unsettled = Mutex<Bool?>(nil)
    /// What answers leave out.
    package let unreadable = UnreadableRows()

    package var dialect: SQLDialect { self.connections.dialect }

    /// Opens an SQLite file, or makes it, and sees to its schema.
    package convenience init(
        path: String, secretKeys: SecretKeys? = nil, options: Options = Options()
    ) async throws(StoreError) {
        self.init(
            try await SQLiteConnection(path: path, options: options.database, waitingLimit: options.waitingLimit),
            secretKeys)
        try await self.settleOrClose(migrates: options.migrates)
    }

    /// Connects to PostgreSQL and sees to its schema. A shared database is migrated by people (`pronto migrate up`), not
    /// by whichever program starts first: unless `migrates` says so. `mayBeAway`: a server that does not answer, or whose
    /// tables somebody keeps locked, is no error; the store then begins without it, and its schema is seen to when it
    /// answers, before it is followed.
    package convenience init(
        postgres: PostgresPool.Options, secretKeys: SecretKeys? = nil, migrates: Bool = false, mayBeAway: Bool = false
    ) async throws(StoreError) {
        do throws(StoreError) {
            self.init(try await PostgresPool(postgres), secretKeys)
        } catch {
            guard mayBeAway, error.isPassing else { throw error }
            self.init(try PostgresPool(away: postgres), secretKeys)
            self.unsettled.withLock { $0 = migrates }
            return
        }
        guard mayBeAway else {
            try await self.settleOrClose(migrates: migrates)
            return
        }
        self.unsettled.withLock { $0 = migrates }
        do throws(StoreError) {
            try await self.settle()
        } catch {
            guard !error.isPassing else { return }
            await self.close()
            throw error
        }
    }

    private init(_ connections: any SQLConnections, _ secretKeys: SecretKeys?) {
        self.connections = connections
        self.secrets = secretKeys.map { SecretBox(keys: $0.list) }
    }

    private func settleOrClose(migrates: Bool) async throws(StoreError) {
        self.unsettled.withLock { $0 = migrates }
        do throws(StoreError) {
            try await self.settle()
        } catch {
            await self.close()
            throw error
        }
    }

    /// Sees to the schema, unless that has been done.
    func settle() async throws(StoreError) {
        guard let migrates = self.unsettled.withLock({ $0 }) else { return }
        let now = Date()
        try await self.perform(within: Migrator.time) { database throws(StoreError) in
            let migrator = Migrator(database: database)
            if migrates {
                _ = try migrator.up(at: now)
            } else {
                try migrator.check()
            }
        }
        self.unsettled.withLock { $0 = nil }
    }

    package func close() async { await self.connections.close() }

    /// Runs `body` on a connection, off every other thread. Where `body` may take long (a whole table, a migration) its
    /// time is stated.
    package func perform<Value: Sendable>(
        within time: Duration? = nil, _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try await self.connections.perform(within: time, body)
    }
}
