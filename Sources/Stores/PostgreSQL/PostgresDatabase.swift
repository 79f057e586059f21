import CPostgreSQL
import Glibc
import Records

/// One connection to PostgreSQL, for one thread at a time, through libpq.
///
/// libpq never waits here: what it would wait for is waited for with `poll` until a deadline, so that a server that
/// stalls, or a network that swallows everything, holds the thread no longer. Past the deadline the connection is
/// closed; the server's own `statement_timeout` ends what it was doing. (PQcancel is no help: in libpq 15 it connects
/// anew, and waits for that without a limit.)
///
/// Statements go with their values apart (the extended protocol), never pasted together, and unprepared: a prepared
/// `SELECT *` fails after another program has added a column, and a pooler between us and the server may lend another
/// session for each transaction (docs/decisions/0022).
package final class PostgresDatabase: SQLDatabase {
    package struct Options: Sendable {
        package var address: PostgresAddress
        /// From the first packet to a session that answers; of each host of several.
        package var connectTime: Duration = .seconds(3)
        /// What one question may take, all its statements together.
        package var time: Duration = .seconds(5)

        package init(address: PostgresAddress) { self.address = address }
    }

    package var dialect: SQLDialect { .postgres }
    package let options: Options
    private var connection: OpaquePointer?
    private var deadline: ContinuousClock.Instant
    /// Statements as the server takes them, by the store's texts, which are constants.
    private var numbered: [String: String] = [:]

    /// Connects. The name of a host is looked up by the system first, which has time limits of its own.
    package init(options: Options) throws(StoreError) {
        self.options = options
        self.deadline = ContinuousClock.now + options.connectTime
        var parameters = Self.parameters(options)
        parameters.append(("", nil))
        // libpq copies both lists; a nil name ends them.
        var (names, values): ([UnsafeMutablePointer<CChar>?], [UnsafeMutablePointer<CChar>?]) = ([], [])
        for (name, value) in parameters {
            names.append(name.isEmpty ? nil : strdup(name))
            values.append(value.flatMap { strdup($0) })
        }
        defer { for pointer in names + values { free(pointer) } }
        let (constantNames, constantValues) = (names.map { UnsafePointer($0) }, values.map { UnsafePointer($0) })
        self.connection = PQconnectStartParams(constantNames, constantValues, 0)
        guard self.connection != nil else { throw StoreError(.unavailable, "libpq has no memory for a connection") }
        do throws(StoreError) {
            try self.connect()
        } catch {
            self.close()
            throw error
        }
    }

    deinit { self.close() }

    package func close() {
        PQfinish(self.connection)
        self.connection = nil
    }

    /// Whether the session lives, as far as can be known without asking it: an idle server has nothing to say but
    /// farewell.
    package var isAlive: Bool {
        guard self.connection != nil, PQstatus(self.connection) == CONNECTION_OK else { return false }
        guard Self.poll(PQsocket(self.connection), Int16(POLLIN), 0) != 0 else { return true }
        return PQconsumeInput(self.connection) == 1 && PQstatus(self.connection) == CONNECTION_OK
    }

    /// Gives everything that is asked from now on until `time` has gone by.
    package func begin(within time: Duration?) throws(StoreError) {
        let time = time ?? self.options.time
        self.deadline = ContinuousClock.now + time
        // What is above the session's own time is granted by the server too. It ends with `end()`.
        if time > self.options.time { try self.execute("SET statement_timeout = \(Self.milliseconds(time))") }
    }

    /// Leaves the session as it was found; false: it cannot be used again.
    package func end(within time: Duration?) -> Bool {
        guard self.connection != nil, PQstatus(self.connection) == CONNECTION_OK,
            PQtransactionStatus(self.connection) == PQTRANS_IDLE
        else { return false }
        guard let time, time > self.options.time else { return true }
        self.deadline = ContinuousClock.now + self.options.time
        do throws(StoreError) {
            try self.execute("SET statement_timeout = \(Self.milliseconds(self.options.time))")
            return true
        } catch {
            return false
        }
    }

    package func execute(_ script: String) throws(StoreError) {
        guard PQsendQuery(try self.open(), script) == 1 else { throw self.lost() }
        try self.results { _ throws(StoreError) in }
    }

    @discardableResult
    package func run(_ sql: String, _ values: [StoredValue]) throws(StoreError) -> Int {
        try self.send(sql, values)
        var changed = 0
        try self.results { result throws(StoreError) in
            if let count = PQcmdTuples(result) { changed = Int(String(cString: count)) ?? changed }
        }
        return changed
    }

    package func each(
        _ sql: String, _ values: [StoredValue], _ body: (Row) throws(StoreError) -> Void
    ) throws(StoreError) {
        try self.send(sql, values)
        // Row by row: otherwise libpq would first gather the whole table.
        guard PQsetSingleRowMode(self.connection) == 1 else { throw self.lost() }
        var columns: RowColumns?
        try self.results { result throws(StoreError) in
            let count = PQnfields(result)
            let names: RowColumns
            if let columns {
                names = columns
            } else {
                names = RowColumns((0..<count).map { PQfname(result, $0).map { String(cString: $0) } ?? "" })
                columns = names
            }
            for row in 0..<PQntuples(result) {
                try body(Row(names, (0..<count).map { Self.value(result, row, $0) }))
            }
        }
    }

    package func transaction<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        try self.execute("BEGIN")
        do throws(StoreError) {
            let value = try body()
            try self.execute("COMMIT")
            return value
        } catch {
            // Where the connection is lost the server rolls back by itself.
            if PQstatus(self.connection) == CONNECTION_OK, PQtransactionStatus(self.connection) != PQTRANS_IDLE {
                do throws(StoreError) { try self.execute("ROLLBACK") } catch { self.close() }
            }
            throw error
        }
    }

    /// What others have said by NOTIFY: what is there, or what comes first within `time`, or all until `last` comes.
    package func notices(within time: Duration, until last: String?) throws(StoreError) -> [String] {
        let end = ContinuousClock.now + time
        var heard: [String] = []
        while true {
            let connection = try self.open()
            while let notice = PQnotifies(connection) {
                heard.append(String(cString: notice.pointee.extra))
                PQfreemem(notice)
            }
            let left = end - ContinuousClock.now
            if last.map({ heard.contains($0) }) ?? !heard.isEmpty { return heard }
            guard left > .zero else { return heard }
            if Self.poll(PQsocket(connection), Int16(POLLIN), Self.milliseconds(left) + 1) != 0,
                PQconsumeInput(connection) == 0
            {
                throw self.lost()
            }
        }
    }

    // MARK: Talking

    private func open() throws(StoreError) -> OpaquePointer {
        guard let connection = self.connection, PQstatus(connection) == CONNECTION_OK else {
            throw StoreError(.unavailable, "the connection to the database was lost")
        }
        return connection
    }

    private func send(_ sql: String, _ values: [StoredValue]) throws(StoreError) {
        let connection = try self.open()
        let text: String
        if let kept = self.numbered[sql] {
            text = kept
        } else {
            text = PostgresStatement.numbered(sql)
            self.numbered[sql] = text
        }
        // All values one after another, each with the NUL that ends it for C.
        var bytes: [CChar] = []
        var starts: [Int?] = []
        for value in values {
            let written: String
            switch value {
            case .null:
                starts.append(nil)
                continue
            case .integer(let number): written = String(number)
            case .real(let number): written = number.isFinite ? "\(number)" : number.isNaN ? "NaN" : "Infinity"
            case .text(let text): written = text
            }
            guard !written.utf8.contains(0) else { throw StoreError(.invalid, "a text has a NUL inside") }
            starts.append(bytes.count)
            bytes.append(contentsOf: written.utf8.lazy.map { CChar(bitPattern: $0) })
            bytes.append(0)
        }
        let sent = bytes.withUnsafeBufferPointer { buffer in
            let pointers = starts.map { start in start.flatMap { buffer.baseAddress?.advanced(by: $0) } }
            return PQsendQueryParams(connection, text, Int32(values.count), nil, pointers, nil, nil, 0)
        }
        guard sent == 1 else { throw self.lost() }
    }

    /// Hands over every result of what was sent. The first error is thrown, when all has been read.
    private func results(_ body: (OpaquePointer) throws(StoreError) -> Void) throws(StoreError) {
        try self.flush()
        var failure: StoreError?
        while true {
            while PQisBusy(self.connection) == 1 { try self.receive() }
            guard let result = PQgetResult(self.connection) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY:
                guard failure == nil else { continue }
                do throws(StoreError) { try body(result) } catch { failure = error }
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // No statement of ours copies; such a session would wait for ever.
                self.close()
                throw StoreError(.failed, "the statement copies, which is not spoken here")
            default:
                if failure == nil { failure = PostgresFailure.error(result) }
            }
        }
        if let failure { throw failure }
        guard PQstatus(self.connection) == CONNECTION_OK else { throw self.lost() }
    }

    private func flush() throws(StoreError) {
        while true {
            switch PQflush(self.connection) {
            case 0: return
            case 1:
                // The server may want to be read before it reads on (libpq, PQflush).
                let events = try self.wait(Int16(POLLIN | POLLOUT))
                if events & Int16(POLLIN) != 0, PQconsumeInput(self.connection) == 0 { throw self.lost() }
            default: throw self.lost()
            }
        }
    }

    private func receive() throws(StoreError) {
        _ = try self.wait(Int16(POLLIN))
        guard PQconsumeInput(self.connection) == 1 else { throw self.lost() }
    }

    private func connect() throws(StoreError) {
        var status = PGRES_POLLING_WRITING
        while status != PGRES_POLLING_OK {
            switch status {
            case PGRES_POLLING_READING: _ = try self.wait(Int16(POLLIN))
            case PGRES_POLLING_WRITING: _ = try self.wait(Int16(POLLOUT))
            default: throw PostgresFailure.connecting(self.connection)
            }
            status = PQconnectPoll(self.connection)
        }
        pronto_pq_silence(self.connection)
        guard PQsetnonblocking(self.connection, 1) == 0 else { throw self.lost() }
        // A statement whose asker has gone is stopped, not carried on to its end. Older servers do not know the word.
        if PQserverVersion(self.connection) >= 140000 {
            try self.execute("SET client_connection_check_interval = 1000")
        }
    }

    /// What is ready. Past the deadline the connection is closed, and it is an error.
    private func wait(_ events: Int16) throws(StoreError) -> Int16 {
        while true {
            let left = self.deadline - ContinuousClock.now
            guard left > .zero else {
                self.close()
                throw StoreError(.unavailable, "the database did not answer in time")
            }
            let ready = Self.poll(PQsocket(self.connection), events, Self.milliseconds(left) + 1)
            if ready != 0 { return ready }
        }
    }

    private func lost() -> StoreError {
        self.close()
        return StoreError(.unavailable, "the connection to the database was lost")
    }

    private static func poll(_ descriptor: Int32, _ events: Int16, _ milliseconds: Int) -> Int16 {
        var polled = pollfd(fd: descriptor, events: events, revents: 0)
        // EINTR counts as nothing ready yet: the caller looks at the clock and comes again.
        return Glibc.poll(&polled, 1, Int32(clamping: milliseconds)) > 0 ? polled.revents : 0
    }

    private static func value(_ result: OpaquePointer, _ row: Int32, _ column: Int32) -> StoredValue {
        guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else { return .null }
        let count = Int(PQgetlength(result, row, column))
        return start.withMemoryRebound(to: UInt8.self, capacity: count) {
            PostgresValue.value(UnsafeBufferPointer(start: $0, count: count), type: PQftype(result, column))
        }
    }

    static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }

    /// libpq's parameters. What the session is set to goes with the first packet: nothing has to be asked afterwards.
    private static func parameters(_ options: Options) -> [(String, String?)] {
        let address = options.address
        let time = Self.milliseconds(options.time)
        // A pooler in between must let `options` pass (pgbouncer: ignore_startup_parameters).
        let session = [
            "-c statement_timeout=\(time)", "-c lock_timeout=\(time)",
            // A session that died inside a transaction keeps its locks no longer than this.
            "-c idle_in_transaction_session_timeout=\(max(time * 2, 10000))",
            "-c timezone=UTC", "-c datestyle=ISO",
        ].joined(separator: " ")
        return [
            ("host", address.host), ("port", String(address.port)), ("dbname", address.name),
            ("user", address.user), ("password", address.password?.value), ("sslmode", address.tls.rawValue),
            ("sslrootcert", address.authorities), ("application_name", "pronto"), ("client_encoding", "UTF8"),
            ("options", session), ("gssencmode", "disable"), ("keepalives_idle", "30"), ("keepalives_interval", "5"),
            ("keepalives_count", "3"), ("tcp_user_timeout", String(max(time, 10000))),
            ("target_session_attrs", address.host.contains(",") ? "read-write" : "any"),
        ]
    }
}
