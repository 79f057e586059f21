import Foundation
import Records
import Synchronization
import Telephony
import TestDatabases
import Testing

@testable import Stores

@Suite("Statements and values of PostgreSQL")
struct PostgresTextTests {
    @Test(
        "Question marks are numbered where they are values",
        arguments: [
            ("SELECT ? , ?", "SELECT $1 , $2"), ("a = ?2 AND b = ?1", "a = $2 AND b = $1"),
            ("'?' || \"a?\" || ?", "'?' || \"a?\" || $1"), ("'it''s ?' = ?", "'it''s ?' = $1"),
            ("-- why?\n? /* ?\n? */ ?", "-- why?\n$1 /* ?\n? */ $2"), ("'open ?", "'open ?"), ("", ""),
            ("-- end?", "-- end?"), ("/* open ?", "/* open ?"), ("è = ?", "è = $1"),
        ])
    func numbered(sql: String, wanted: String) {
        #expect(PostgresStatement.numbered(sql) == wanted)
    }

    @Test(
        "Moments, in whatever zone the session is",
        arguments: [
            ("2026-11-20 09:41:00.123+00", "2026-11-20T09:41:00.123Z"),
            ("2026-11-20 09:41:00+00", "2026-11-20T09:41:00.000Z"),
            ("2026-11-20 09:41:00.1+00", "2026-11-20T09:41:00.100Z"),
            ("2026-11-20 09:41:00.123999+01", "2026-11-20T08:41:00.123Z"),
            ("2026-11-20 23:41:00-03:30", "2026-11-21T03:11:00.000Z"),
            ("1890-01-01 00:00:00+00:19:32", "1889-12-31T23:40:28.000Z"),
            ("2026-11-20 09:41:00", "2026-11-20T09:41:00.000Z"), ("infinity", nil), ("0044-03-15 12:00:00+00 BC", nil),
            ("2026-11-20 09:41:00.123+0", nil), ("", nil),
        ])
    func moments(text: String, wanted: String?) {
        #expect(PostgresValue.moment(text) == wanted)
    }

    @Test(
        "Arrays of texts",
        arguments: [
            ("{}", []), ("{a,b}", ["a", "b"]),
            (#"{"a b","c\"d","e\\f",NULL,"NULL"}"#, ["a b", "c\"d", "e\\f", "NULL"]),
            ("{{a},{b}}", nil), ("[0:1]={a,b}", nil), (#"{"open}"#, nil), ("", nil), ("{\"è, ù\"}", ["è, ù"]),
        ] as [(String, [String]?)])
    func lists(text: String, wanted: [String]?) {
        #expect(PostgresValue.list(text) == wanted)
    }

    @Test("JSON loses the blanks between its parts and keeps those inside texts")
    func compact() {
        let text = Array(#"{"a b": [1, 2], "c": "x: \"y\", z"}"#.utf8)
        let compact = text.withUnsafeBufferPointer { PostgresValue.compact($0) }
        #expect(compact == #"{"a b":[1,2],"c":"x: \"y\", z"}"#)
    }

    @Test("What a server's error repeats: never a value of a row")
    func failures() {
        let secret = PostgresFailure.error(state: "22P02", names: " (t, c)", message: "invalid input: \"+390612345\"")
        #expect(secret.code == .invalid && !secret.message.contains("+39") && secret.message.contains("t, c"))
        for (state, code) in [
            ("08006", StoreError.Code.unavailable), ("57P01", .unavailable), ("57014", .unavailable),
            ("40P01", .locked), ("55P03", .locked), ("53100", .full), ("53300", .overloaded), ("25006", .readOnly),
            ("23505", .conflict), ("23503", .invalid), ("23514", .invalid), ("42P01", .wrongSchema),
            ("28P01", .unavailable), ("XX001", .corrupt), ("XX000", .failed), ("42601", .failed), ("P0001", .failed),
        ] {
            #expect(PostgresFailure.error(state: state, names: "", message: "m").code == code, "\(state)")
        }
    }
}

@Suite("A connection to PostgreSQL", .timeLimit(.minutes(2)))
struct PostgresDatabaseTests {
    @Test("Every type comes back as the store's rows have it")
    func types() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            let row = try #require(
                try database.rows(
                    """
                    SELECT true AS yes, false AS no, 7::smallint AS small, 9000000000 AS big, 0.5::real AS half,
                        sum(n) AS total, avg(n) AS mean, NULL::text AS nothing, 'è'::varchar AS word,
                        '{"a": [1, "b, c"]}'::jsonb AS object, '{x,"y z"}'::text[] AS words,
                        '2026-11-20 09:41:00.1239+01'::timestamptz AS moment,
                        '00000000-0000-4000-8000-00000000000A'::uuid AS id, ''::text AS empty
                    FROM (VALUES (1::bigint), (2)) AS v (n)
                    """
                ).first)
            #expect(
                row.values == [
                    "yes": .integer(1), "no": .integer(0), "small": .integer(7), "big": .integer(9_000_000_000),
                    "half": .real(0.5), "total": .integer(3), "mean": .real(1.5), "nothing": .null,
                    "word": .text("è"), "object": .text(#"{"a":[1,"b, c"]}"#), "words": .text(#"["x","y z"]"#),
                    "moment": .text("2026-11-20T08:41:00.123Z"),
                    "id": .text("00000000-0000-4000-8000-00000000000a"), "empty": .text(""),
                ])
        }
    }

    @Test("Values go apart from the statement: what looks like SQL is a text")
    func injection() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute("CREATE TABLE t (a text, b bigint, c boolean, d double precision, e jsonb)")
            let evil = "'); DROP TABLE t; --"
            let values: [StoredValue] = [.text(evil), .integer(.min), .integer(1), .real(0.1), .text("[1]")]
            #expect(try database.run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", values) == 1)
            #expect(try database.run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [.null, .null, .null, .null, .null]) == 1)
            let row = try #require(try database.rows("SELECT * FROM t WHERE a = ?", [.text(evil)]).first)
            #expect(row.values == ["a": values[0], "b": values[1], "c": values[2], "d": values[3], "e": values[4]])
            #expect(try database.run("UPDATE t SET b = 1") == 2)
            for wrong: StoredValue in [.text("a\u{0}b"), .text("x")] {
                let error = #expect(throws: StoreError.self) {
                    try database.run("UPDATE t SET b = ? WHERE a IS NULL", [wrong])
                }
                #expect(error?.code == .invalid)
            }
            #expect(database.isAlive && database.end(within: nil))
        }
    }

    @Test("A transaction is all or nothing, also when its rows stop half-way")
    func transaction() async throws {
        try await withPostgres { options in
            let database = try PostgresDatabase(options: options.database)
            try database.execute("CREATE TABLE t (a bigint PRIMARY KEY)")
            let conflict = #expect(throws: StoreError.self) {
                try database.transaction { () throws(StoreError) in
                    try database.run("INSERT INTO t VALUES (1)")
                    try database.run("INSERT INTO t VALUES (1)")
                }
            }
            #expect(conflict?.code == .conflict && conflict?.message.contains("t_pkey") == true)
            var seen = 0
            let stopped = #expect(throws: StoreError.self) {
                try database.transaction { () throws(StoreError) in
                    try database.run("INSERT INTO t VALUES (2)")
                    try database.each("SELECT n FROM generate_series(1, 100000) AS n", []) { _ throws(StoreError) in
                        seen += 1
                        if seen == 10 { throw StoreError(.invalid, "enough") }
                    }
                }
            }
            #expect(stopped?.message == "enough" && seen == 10)
            #expect(try database.rows("SELECT * FROM t").isEmpty)
            #expect(database.end(within: nil))
        }
    }

    @Test("A wrong password, database or port is said, the password never")
    func refused() async throws {
        try await withPostgres { options in
            var cases: [(PostgresAddress, String)] = []
            var address = options.database.address
            address.password = Redacted("nutmeg")
            cases.append((address, "password authentication failed"))
            address = options.database.address
            address.name = "nowhere"
            cases.append((address, "\"nowhere\" does not exist"))
            address = options.database.address
            address.port = 1
            cases.append((address, "refused"))
            for (address, words) in cases {
                let error = #expect(throws: StoreError.self) {
                    _ = try PostgresDatabase(options: PostgresDatabase.Options(address: address))
                }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
                for secret in ["nutmeg", TestPostgres.password] {
                    #expect(error?.message.contains(secret) == false)
                }
            }
        }
    }

    @Test("A statement that takes too long is stopped by the server, and the session lives")
    func statementTimeout() async throws {
        try await withPostgres { options in
            var short = options.database
            short.time = .milliseconds(300)
            let database = try PostgresDatabase(options: short)
            // The thread itself would wait longer: the server is asked to stop first.
            let error = #expect(throws: StoreError.self) {
                try database.begin(within: nil)
                _ = try database.rows("SELECT set_config('statement_timeout', '100', false)")
                _ = try database.rows("SELECT pg_sleep(30)")
            }
            #expect(error?.code == .unavailable)
            #expect(database.isAlive)
            // More time, when it is stated.
            try database.begin(within: .seconds(60))
            _ = try database.rows("SELECT pg_sleep(0.4)")
            #expect(database.end(within: .seconds(60)))
            try database.begin(within: nil)
            #expect(try database.rows("SHOW statement_timeout").first?.values.values.first == .text("300ms"))
        }
    }

    @Test("A server that falls silent holds the thread until the deadline, no longer")
    func stalled() async throws {
        let server = try await TestPostgres.start()
        var options = server.options("postgres").database
        let (connected, time) = (try PostgresDatabase(options: options), Duration.milliseconds(400))
        options.connectTime = time
        try await server.freeze()
        let clock = ContinuousClock()
        let start = clock.now
        let asked = #expect(throws: StoreError.self) {
            try connected.begin(within: time)
            _ = try connected.rows("SELECT 1")
        }
        let connecting = #expect(throws: StoreError.self) { _ = try PostgresDatabase(options: options) }
        let spent = clock.now - start
        try await server.thaw()
        #expect(asked?.code == .unavailable && connecting?.code == .unavailable)
        #expect(spent >= time * 2 && spent < .seconds(15), "\(spent)")
        #expect(!connected.isAlive && !connected.end(within: nil))
    }
}

/// How many are inside at once.
private final class Crowd: Sendable {
    private let counts = Mutex((now: 0, most: 0))
    func enter() {
        self.counts.withLock {
            $0.now += 1
            $0.most = max($0.most, $0.now)
        }
    }
    func leave() { self.counts.withLock { $0.now -= 1 } }
    var most: Int { self.counts.withLock { $0.most } }
}

@Suite("The pool of connections", .timeLimit(.minutes(2)))
struct PostgresPoolTests {
    @Test("Questions share the connections, at most as many as there are")
    func shared() async throws {
        try await withPostgres { options in
            var two = options
            two.size = 2
            let pool = try await PostgresPool(two)
            let crowd = Crowd()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        try await pool.perform(within: nil) { database throws(StoreError) in
                            crowd.enter()
                            defer { crowd.leave() }
                            return try database.rows("SELECT ?::bigint AS n", [.integer(Int64(number))])[0].integer("n")
                        }
                    }
                }
                var seen: Set<Int> = []
                for try await number in group { seen.insert(number) }
                #expect(seen.count == 40)
            }
            #expect((1...2).contains(crowd.most))
            await pool.close()
            #expect(await code { try await pool.perform(within: nil) { _ throws(StoreError) in } } == .closed)
        }
    }

    @Test("Who waits too long, or finds too many waiting, is told so")
    func overloaded() async throws {
        try await withPostgres { options in
            var one = options
            one.size = 1
            one.waitingLimit = 1
            one.database.time = .milliseconds(500)
            let pool = try await PostgresPool(one)
            // Long enough for those who wait to come on a busy machine, and to give up.
            let slow = Task {
                await code {
                    try await pool.perform(within: .seconds(20)) { database throws(StoreError) in
                        _ = try database.rows("SELECT pg_sleep(10)")
                    }
                }
            }
            // Until the slow one is inside.
            try await soonTrue {
                let other = try PostgresDatabase(options: options.database)
                return try !other.rows(
                    "SELECT 1 AS n FROM pg_stat_activity WHERE query LIKE '%sleep(10)' AND pid <> pg_backend_pid()"
                )
                .isEmpty
            }
            let waiting = Task { await code { try await pool.perform(within: nil) { _ throws(StoreError) in } } }
            let answers = [
                await code { try await pool.perform(within: nil) { _ throws(StoreError) in } }, await waiting.value,
            ]
            // One waited in vain, one was not let in to wait.
            #expect(answers == [.overloaded, .overloaded])
            #expect(await slow.value == nil)
            #expect(await code { try await pool.perform(within: nil) { _ throws(StoreError) in } } == nil)
            await pool.close()
        }
    }

    @Test("A server that crashes and comes back: refused at once while it is away, served again by itself")
    func crash() async throws {
        let server = try await TestPostgres.start()
        var options = server.options("postgres")
        options.pauses = .milliseconds(20) ... .milliseconds(100)
        let pool = try await PostgresPool(options)
        let ask = { @Sendable () async -> StoreError.Code? in
            await code {
                try await pool.perform(within: nil) { database throws(StoreError) in _ = try database.rows("SELECT 1") }
            }
        }
        #expect(await ask() == nil)
        try await server.crash()
        #expect(await ask() == .unavailable)
        let start = ContinuousClock.now
        for _ in 0..<20 { #expect(await ask() == .unavailable) }
        #expect(ContinuousClock.now - start < .seconds(10))
        try await server.restart()
        try await soonTrue { await ask() == nil }
        await pool.close()
    }
}

/// Waits until `condition` holds; an issue after 30 s.
func soonTrue(_ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("nothing came of it in 30 s")
}
