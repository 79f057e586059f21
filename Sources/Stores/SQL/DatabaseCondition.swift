import Records

/// What a database is like, looked at without changing anything: for `pronto doctor`.
package struct DatabaseCondition: Sendable, Equatable {
    /// Of the server, or of SQLite.
    package var version: String
    /// Migrations that this program has and the database has not.
    package var missing: [Int]
    package var applied: Int
    /// Our tables that this user may not read and write, each with what is missing.
    package var denied: [String]

    package init(version: String, missing: [Int], applied: Int, denied: [String]) {
        self.version = version
        self.missing = missing
        self.applied = applied
        self.denied = denied
    }

    /// Throws what `Migrator.status` throws too: a database that a newer program wrote.
    package static func read(_ database: any SQLDatabase) throws(StoreError) -> DatabaseCondition {
        let question =
            switch database.dialect {
            case .sqlite: "SELECT 'SQLite ' || sqlite_version() AS version"
            case .postgres: "SELECT 'PostgreSQL ' || current_setting('server_version') AS version"
            }
        let version = try database.rows(question).first?.text("version") ?? ""
        let status = try Migrator(database: database).status()
        return DatabaseCondition(
            version: version, missing: status.filter { $0.appliedAt == nil }.map(\.number),
            applied: status.filter { $0.appliedAt != nil }.count, denied: try Self.denied(database))
    }

    private static func denied(_ database: any SQLDatabase) throws(StoreError) -> [String] {
        guard database.dialect == .postgres else {
            // Takes the write lock and gives it back: a file that may only be read refuses it.
            try database.transaction { () throws(StoreError) in }
            return []
        }
        var denied: [String] = []
        for table in Self.tables {
            // FusionPBX's own table of domains is read, tenants are made there; migrations may be another user's work.
            let wanted =
                ["v_domains", "pronto_migrations"].contains(table)
                ? ["SELECT"] : ["SELECT", "INSERT", "UPDATE", "DELETE"]
            for right in wanted {
                let row = try database.rows(
                    "SELECT to_regclass(?) IS NULL OR has_table_privilege(to_regclass(?), '\(right)') AS may",
                    [.text(table), .text(table)]
                ).first
                if try row?.bool("may") == false { denied.append("\(table): \(right)") }
            }
        }
        return denied
    }

    /// The tables that the migrations make.
    private static var tables: [String] {
        var tables: Set<String> = ["pronto_migrations", "v_domains"]
        for migration in Migration.postgres {
            for line in migration.up.split(whereSeparator: \.isNewline) {
                let words = line.split(separator: " ")
                guard words.starts(with: ["CREATE", "TABLE"]) else { continue }
                let rest = words.dropFirst(2).drop { ["IF", "NOT", "EXISTS"].contains($0) }
                guard let name = rest.first?.prefix(while: { $0 != "(" }), !name.isEmpty else { continue }
                tables.insert(String(name))
            }
        }
        return tables.sorted()
    }
}
