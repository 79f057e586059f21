import Configuration
import Records
import Stores
import Telephony

/// Opens the store as the settings say: PostgreSQL where DB_HOST or DB_NAME is set, else the SQLite file.
enum StoreOpening {
    /// `connections`: how many a short command needs; nil: as the settings say. `mayBeAway`: see `SQLStore`.
    static func open(
        _ settings: Settings, connections: Int? = nil, mayBeAway: Bool = false
    ) async throws -> SQLStore {
        let keys = try StoreCommands.secretKeys(settings)
        do throws(StoreError) {
            guard let database = Self.postgres(settings) else {
                return try await SQLStore(path: settings.database, secretKeys: keys)
            }
            var options = PostgresPool.Options(database: database)
            options.size = connections ?? settings.databasePool
            return try await SQLStore(
                postgres: options, secretKeys: keys, migrates: settings.databaseMigrates, mayBeAway: mayBeAway)
        } catch {
            throw Self.startError(settings, error)
        }
    }

    /// Where the gateway keeps a copy of the configuration for a start without its database; nil: the database is a file.
    static func copy(_ settings: Settings) -> ConfigurationCopy? {
        Self.postgres(settings).map { _ in ConfigurationCopy(path: settings.database + ".configuration") }
    }

    /// One connection without a store, for `pronto migrate`.
    static func database(_ settings: Settings) throws -> any SQLDatabase {
        do throws(StoreError) {
            guard let options = Self.postgres(settings) else { return try SQLiteDatabase(path: settings.database) }
            let database = try PostgresDatabase(options: options)
            try database.begin(within: Migrator.time)
            return database
        } catch {
            throw Self.startError(settings, error)
        }
    }

    /// Nil: SQLite.
    static func postgres(_ settings: Settings) -> PostgresDatabase.Options? {
        guard settings.databaseHost != nil || settings.databaseName != nil else { return nil }
        var options = PostgresDatabase.Options(
            address: PostgresAddress(
                host: settings.databaseHost ?? "127.0.0.1", port: settings.databasePort,
                name: settings.databaseName ?? "fusionpbx", user: settings.databaseUser,
                password: settings.databasePassword.map { Redacted($0) },
                tls: PostgresAddress.TLSMode(rawValue: settings.databaseTLS.rawValue) ?? .prefer,
                authorities: settings.databaseAuthorities))
        options.time = settings.databaseTime
        options.connectTime = min(settings.databaseTime, .seconds(5))
        return options
    }

    static func startError(_ settings: Settings, _ error: StoreError) -> StartError {
        guard let options = Self.postgres(settings) else {
            return StartError("PRONTO_DATABASE: \(settings.database): \(error); \(Self.fileRepair(error))")
        }
        return StartError("DB_HOST: \(options.address.summary): \(error); \(Self.serverRepair(error))")
    }

    private static func fileRepair(_ error: StoreError) -> String {
        switch error.code {
        case .unavailable: "make its folder, or name another file"
        case .readOnly: "let this user write there, or name another file"
        case .corrupt: "restore a copy, or name another file"
        case .full: "make room, or name another file"
        case .locked: "stop the program that holds it"
        case .wrongSchema: "run this file's version of Pronto, or `pronto migrate`"
        default: "name another file"
        }
    }

    private static func serverRepair(_ error: StoreError) -> String {
        switch error.code {
        case .unavailable: "look at DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASS and PRONTO_DB_SSLMODE"
        case .readOnly: "name the primary server, and a user who may create and write tables"
        case .wrongSchema: "run `pronto migrate status` with this version of Pronto, or PRONTO_DB_MIGRATE=true"
        case .locked: "another program changes the same tables: try again"
        case .full: "make room on the database's disk"
        default: "look at the server's log"
        }
    }
}
