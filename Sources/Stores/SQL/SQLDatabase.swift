import Records

/// Which database it is, where a statement has to be another one.
package enum SQLDialect: String, Sendable, CaseIterable {
    case sqlite, postgres
}

/// One connection to a database, for one thread at a time: what the store's code is written against, once for all
/// databases.
///
/// Statements are standard SQL as SQLite and PostgreSQL both take it: `?` for each value in turn (PostgreSQL's own
/// operators with a question mark cannot be used), `TRUE`, `ON CONFLICT`. Values come back alike: a boolean is 1 or 0, a
/// moment is `2026-11-20T09:41:00.123Z`, a JSON value is its text, an array of texts is a JSON array's text.
package protocol SQLDatabase: AnyObject {
    var dialect: SQLDialect { get }

    /// Runs a script of statements without values.
    func execute(_ script: String) throws(StoreError)

    /// Runs one statement and says how many rows it changed.
    @discardableResult
    func run(_ sql: String, _ values: [StoredValue]) throws(StoreError) -> Int

    /// Hands over the rows one after another: a large table is never in memory as a whole.
    func each(
        _ sql: String, _ values: [StoredValue], _ body: (Row) throws(StoreError) -> Void
    ) throws(StoreError)

    /// All of `body`, or nothing of it.
    func transaction<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value
}

extension SQLDatabase {
    /// Ends a question for rows that its transaction goes on to change: no other node's may change them in between. It waits
    /// for one that has them, and then sees them as they are. SQLite has one writer at a time, whose transaction this is.
    var holding: String {
        switch self.dialect {
        case .sqlite: ""
        case .postgres: "FOR UPDATE"
        }
    }

    @discardableResult
    package func run(_ sql: String) throws(StoreError) -> Int { try self.run(sql, []) }

    package func rows(_ sql: String, _ values: [StoredValue] = []) throws(StoreError) -> [Row] {
        var rows: [Row] = []
        try self.each(sql, values) { row throws(StoreError) in rows.append(row) }
        return rows
    }

    /// Adds the row, as its table has its columns; returns how many rows there are more.
    @discardableResult
    package func insert(_ row: Row, into table: String, or conflict: String = "") throws(StoreError) -> Int {
        let values = row.values
        // Sorted, so that one table has one text and one prepared statement.
        let columns = values.keys.sorted()
        let marks = Array(repeating: "?", count: columns.count).joined(separator: ", ")
        return try self.run(
            "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(marks)) \(conflict)",
            columns.map { values[$0] ?? .null })
    }

    /// Adds the row, or changes the one with the same `key` if it is of the same tenant. Columns that `kept` names stay
    /// as they are stored.
    package func upsert(
        _ row: Row, into table: String, key: String, keeping kept: Set<String> = []
    ) throws(StoreError) {
        let changes = row.values.keys.sorted()
            .filter { $0 != key && $0 != "domain_uuid" && !kept.contains($0) }
            .map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let conflict =
            "ON CONFLICT (\(key)) DO UPDATE SET \(changes) WHERE \(table).domain_uuid = excluded.domain_uuid"
        guard try self.insert(row, into: table, or: conflict) == 1 else {
            throw StoreError(.otherTenant, "the id belongs to another tenant")
        }
    }
}

/// The connections of one store: lends one of them at a time, each on a thread of its own.
package protocol SQLConnections: Sendable {
    var dialect: SQLDialect { get }

    /// Runs `body` on a connection. All its statements together have `time`, where the database can be stopped; nil: the
    /// time that the settings give to an ordinary question.
    func perform<Value: Sendable>(
        within time: Duration?, _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value

    /// As `ConfigurationStore.watchConfiguration` promises. `prepare` comes before the first question of every connection
    /// to the database; what it throws is a database that is away.
    func watch(
        _ prepare: @Sendable () async throws(StoreError) -> Void, _ news: @Sendable (ConfigurationNews) async -> Bool
    ) async

    /// Ends after the work that waits. Later work answers `closed`.
    func close() async
}
