import CSQLite
import Glibc
import Records

/// One connection to an SQLite file, for one thread at a time. Statements are prepared once and kept.
///
/// WAL, foreign keys on, `synchronous=FULL`: what a commit has answered survives a power cut. A call is a handful of
/// rows at its end, so that the sync it costs is of no weight.
package final class SQLiteDatabase: SQLDatabase {
    package var dialect: SQLDialect { .sqlite }

    package struct Options: Sendable {
        /// How long to wait for another writer's lock.
        package var busyTimeout: Duration = .seconds(5)
        /// The most pages (of 4096 bytes) that the file may have; nil: SQLite's own limit.
        package var pageLimit: Int?
        package init() {}
    }

    private var handle: OpaquePointer?
    private var statements: [String: OpaquePointer] = [:]

    /// Opens the file, or makes it. `:memory:` is a database that ends with the connection.
    package init(path: String, options: Options = Options()) throws(StoreError) {
        if path != ":memory:" {
            // Transcripts and numbers are inside: nobody else reads it. SQLite gives its -wal and -shm the same mode.
            let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw Self.openingFailure(errno) }
            Glibc.close(descriptor)
        }
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &self.handle, flags, nil)
        guard code == SQLITE_OK else {
            sqlite3_close_v2(self.handle)
            self.handle = nil
            throw StoreError(.unavailable, "the database file cannot be opened")
        }
        sqlite3_extended_result_codes(self.handle, 1)
        sqlite3_busy_timeout(
            self.handle,
            Int32(
                clamping: options.busyTimeout.components.seconds * 1000
                    + options.busyTimeout.components.attoseconds / 1_000_000_000_000_000))
        do throws(StoreError) {
            try self.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON")
            if let limit = options.pageLimit { try self.execute("PRAGMA max_page_count=\(limit)") }
        } catch {
            self.close()
            throw error
        }
    }

    deinit { self.close() }

    package func close() {
        for statement in self.statements.values { sqlite3_finalize(statement) }
        self.statements = [:]
        sqlite3_close_v2(self.handle)
        self.handle = nil
    }

    /// Runs a script of statements without values.
    package func execute(_ script: String) throws(StoreError) {
        let code = sqlite3_exec(self.handle, script, nil, nil, nil)
        guard code == SQLITE_OK else { throw Self.failure(code) }
    }

    /// Runs one statement and says how many rows it changed.
    @discardableResult
    package func run(_ sql: String, _ values: [StoredValue]) throws(StoreError) -> Int {
        let statement = try self.prepared(sql, values)
        defer { Self.reset(statement) }
        var code = sqlite3_step(statement)
        while code == SQLITE_ROW { code = sqlite3_step(statement) }
        guard code == SQLITE_DONE else { throw Self.failure(code) }
        return Int(sqlite3_changes(self.handle))
    }

    package func each(
        _ sql: String, _ values: [StoredValue], _ body: (Row) throws(StoreError) -> Void
    ) throws(StoreError) {
        let statement = try self.prepared(sql, values)
        defer { Self.reset(statement) }
        let columns = RowColumns(
            (0..<sqlite3_column_count(statement)).map { index in
                sqlite3_column_name(statement, index).map { String(cString: $0) } ?? ""
            })
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: try body(Self.row(statement, columns))
            case SQLITE_DONE: return
            case let code: throw Self.failure(code)
            }
        }
    }

    /// All of `body`, or nothing of it. The write lock is taken at the start: a transaction that reads first and
    /// writes later could fail in its middle.
    package func transaction<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        try self.execute("BEGIN IMMEDIATE")
        do throws(StoreError) {
            let value = try body()
            try self.execute("COMMIT")
            return value
        } catch {
            // SQLite has rolled back by itself after some errors (a full disk); then there is nothing left to undo.
            if sqlite3_get_autocommit(self.handle) == 0 { sqlite3_exec(self.handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    private func prepared(_ sql: String, _ values: [StoredValue]) throws(StoreError) -> OpaquePointer {
        let statement: OpaquePointer
        if let kept = self.statements[sql] {
            statement = kept
        } else {
            var made: OpaquePointer?
            let code = sqlite3_prepare_v3(self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &made, nil)
            guard code == SQLITE_OK, let made else { throw Self.failure(code) }
            self.statements[sql] = made
            statement = made
        }
        for (index, value) in values.enumerated() {
            let code = Self.bind(value, at: Int32(index + 1), of: statement)
            guard code == SQLITE_OK else {
                Self.reset(statement)
                throw Self.failure(code)
            }
        }
        return statement
    }

    private static func bind(_ value: StoredValue, at index: Int32, of statement: OpaquePointer) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(statement, index)
        case .integer(let number): return sqlite3_bind_int64(statement, index, number)
        case .real(let number): return sqlite3_bind_double(statement, index, number)
        case .text(var text):
            return text.withUTF8 { bytes in
                guard let count = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
                guard let base = bytes.baseAddress else {
                    return pronto_sqlite_bind_text(statement, index, "", 0)
                }
                return base.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                    pronto_sqlite_bind_text(statement, index, $0, count)
                }
            }
        }
    }

    /// Values are let go with the statement's run: a transcript does not stay in memory.
    private static func reset(_ statement: OpaquePointer) {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
    }

    private static func row(_ statement: OpaquePointer, _ columns: RowColumns) -> Row {
        Row(
            columns,
            (0..<Int32(columns.names.count)).map { index in
                switch sqlite3_column_type(statement, index) {
                case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
                case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, index))
                case SQLITE_NULL: return .null
                default:
                    let start = sqlite3_column_text(statement, index)
                    // No text at all: SQLite is out of memory.
                    let count = start == nil ? 0 : Int(sqlite3_column_bytes(statement, index))
                    let bytes = UnsafeBufferPointer(start: start, count: count)
                    return .text(String(decoding: bytes, as: UTF8.self))
                }
            })
    }

    /// What SQLite's code means to us (sqlite.org/rescode.html); the low byte is the primary code.
    private static func failure(_ code: Int32) -> StoreError {
        switch code & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED: StoreError(.locked, "another writer keeps the database locked")
        case SQLITE_FULL: StoreError(.full, "the disk or the database is full")
        case SQLITE_READONLY, SQLITE_PERM: StoreError(.readOnly, "the database cannot be written")
        case SQLITE_CORRUPT, SQLITE_NOTADB: StoreError(.corrupt, "the file is no database, or a damaged one")
        case SQLITE_CANTOPEN, SQLITE_AUTH: StoreError(.unavailable, "the database file cannot be opened")
        case SQLITE_TOOBIG: StoreError(.invalid, "a value is too long")
        case SQLITE_MISUSE: StoreError(.closed, "the database is closed")
        case SQLITE_CONSTRAINT:
            switch code {
            case SQLITE_CONSTRAINT | (8 << 8), SQLITE_CONSTRAINT | (6 << 8):
                // SQLITE_CONSTRAINT_UNIQUE and _PRIMARYKEY: macros that are not imported.
                StoreError(.conflict, "a row of that name, number or id exists")
            case SQLITE_CONSTRAINT | (3 << 8): StoreError(.invalid, "the row refers to one that does not exist")
            default: StoreError(.invalid, "a value breaks a rule of its table")
            }
        // SQLITE_IOERR and what else may come: said with SQLite's own number.
        default: StoreError(.failed, "SQLite error \(code)")
        }
    }

    private static func openingFailure(_ number: Int32) -> StoreError {
        switch number {
        case ENOSPC, EDQUOT: StoreError(.full, "there is no room for the database file")
        case EACCES, EPERM, EROFS: StoreError(.readOnly, "the database file cannot be opened for writing")
        default: StoreError(.unavailable, "the database file cannot be opened")
        }
    }
}
