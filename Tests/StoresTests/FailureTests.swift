import Foundation
import Records
import Telephony
import Testing

@testable import Stores

@Suite("When the database cannot")
struct FailureTests {
    @Test("A full database is `full`, keeps what it had, and the call goes to the spool and back")
    func full() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let tenant = try Sample.tenantID(1)
            var options = SQLStore.Options()
            // The tables take some 100 pages of 4 KB, a call five.
            options.database.pageLimit = 180
            let store = try await SQLStore(path: path, options: options)
            let spool = try CallSpool(path: path + ".spool")
            let calls = DurableCalls(store: store, spool: spool)
            var outcomes: [DurableCalls.Outcome] = []
            for number in 0..<40 {
                var finished = try Sample.finished(number, of: tenant, at: Double(number))
                finished.turns[0].text = Redacted(String(repeating: "x", count: 20000))
                outcomes.append(try await calls.finish(finished, of: tenant))
            }
            let written = outcomes.count { $0 == .written }
            let spooled = outcomes.count { if case .spooled(let error) = $0 { error.code == .full } else { false } }
            #expect(written > 0 && spooled > 0 && written + spooled == 40)
            #expect(try await store.calls(of: tenant, before: nil, limit: 1000).count == written)
            #expect(try await calls.replay() == CallSpool.Outcome(kept: spooled))
            await store.close()

            let larger = try await SQLStore(path: path)
            let again = DurableCalls(store: larger, spool: spool)
            #expect(try await again.replay() == CallSpool.Outcome(written: spooled))
            #expect(try await again.replay() == CallSpool.Outcome())
            #expect(await spool.isEmpty)
            #expect(try await larger.calls(of: tenant, before: nil, limit: 1000).count == 40)
        }
    }

    @Test("A database that another writer locks is `locked`, and works when the lock is gone")
    func locked() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let tenant = try Sample.tenantID(1)
            var options = SQLStore.Options()
            options.database.busyTimeout = .milliseconds(10)
            let store = try await SQLStore(path: path, options: options)
            let other = try SQLiteDatabase(path: path)
            try other.execute("BEGIN IMMEDIATE")
            let finished = try Sample.finished(1, of: tenant)
            #expect(await code { try await store.finish(finished, of: tenant) } == .locked)
            #expect(try await store.calls(of: tenant, before: nil, limit: 1) == [], "readers go on")
            try other.execute("COMMIT")
            #expect(try await store.finish(finished, of: tenant) == .written)
        }
    }

    @Test("A file that is no database, a folder that is not there, a row that cannot be")
    func broken() async throws {
        try await withFolder { folder in
            let garbage = folder + "/garbage.db"
            try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: garbage))
            #expect(await code { _ = try await SQLStore(path: garbage) } == .corrupt)
            #expect(await code { _ = try await SQLStore(path: folder + "/no/such/x.db") } == .unavailable)

            let path = folder + "/pronto.db"
            let store = try await SQLStore(path: path)
            let tenant = try Sample.tenantID(1)
            try await store.finish(try Sample.finished(1, of: tenant), of: tenant)
            let other = try SQLiteDatabase(path: path)
            for change in ["end_time = 'soon'", "fault = 'martian'", "latency_p50_ms = -1", "providers = '[7]'"] {
                try other.execute("SAVEPOINT s; UPDATE voip_cdr SET \(change); RELEASE s")
                #expect(await code { _ = try await store.call(try #require(CallID("call-1")), of: tenant) } == .corrupt)
                // In a list it is left out, and told.
                let told = store.unreadable.counts.values.reduce(0, +)
                #expect(try await store.calls(of: tenant, before: nil, limit: 1) == [])
                #expect(store.unreadable.counts.values.reduce(0, +) == told + 1)
                try other.execute("DELETE FROM voip_cdr; DELETE FROM v_voice_conversations")
                try await store.finish(try Sample.finished(1, of: tenant), of: tenant)
            }
        }
    }

    @Test("Only the owner may read the files")
    func modes() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let store = try await SQLStore(path: path)
            let spool = try CallSpool(path: path + ".spool")
            let tenant = try Sample.tenantID(1)
            try await store.finish(try Sample.finished(1, of: tenant), of: tenant)
            try await spool.append(try Sample.finished(2, of: tenant))
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
                #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
            }
        }
    }

    @Test("More questions than may wait are refused, not queued for ever")
    func overloaded() async throws {
        var options = SQLStore.Options()
        options.waitingLimit = 0
        let limited = options
        #expect(await code { _ = try await SQLStore(path: ":memory:", options: limited) } == .overloaded)
    }
}

@Suite("The spool")
struct CallSpoolTests {
    @Test("A torn line is set aside and takes no other with it")
    func torn() async throws {
        try await withFolder { folder in
            let path = folder + "/spool"
            let tenant = try Sample.tenantID(1)
            let spool = try CallSpool(path: path)
            try await spool.append(try Sample.finished(1, of: tenant))
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            // As a power cut leaves it: the line, then half of it again without an end.
            try (whole + whole.prefix(whole.count / 2)).write(to: URL(fileURLWithPath: path))
            try await spool.append(try Sample.finished(2, of: tenant, at: 2))

            let store = try await SQLStore(path: ":memory:")
            #expect(try await spool.replay(into: store) == CallSpool.Outcome(written: 2, damaged: 1))
            let stored = try await store.call(try #require(CallID("call-1")), of: tenant)
            #expect(stored == (try Sample.finished(1, of: tenant).call))
            let damaged = try Data(contentsOf: URL(fileURLWithPath: path + ".damaged"))
            #expect(damaged == whole.prefix(whole.count / 2) + Data("\n".utf8))
        }
    }

    @Test("A replay that a crash cut short doubles nothing and loses nothing")
    func crashed() async throws {
        try await withFolder { folder in
            let path = folder + "/spool"
            let tenant = try Sample.tenantID(1)
            let store = try await SQLStore(path: ":memory:")
            let spool = try CallSpool(path: path)
            for number in 1...3 { try await spool.append(try Sample.finished(number, of: tenant, at: Double(number))) }
            // One was stored; the file was not removed; a new call came.
            try await store.finish(try Sample.finished(1, of: tenant, at: 1), of: tenant)
            try FileManager.default.moveItem(atPath: path, toPath: path + ".replaying")
            try await spool.append(try Sample.finished(4, of: tenant, at: 4))
            #expect(try await spool.replay(into: store) == CallSpool.Outcome(written: 3, alreadyWritten: 1))
            #expect(try await store.calls(of: tenant, before: nil, limit: 10).count == 4)
            #expect(await spool.isEmpty)
        }
    }

    @Test("A call comes out as it went in")
    func roundTrip() throws {
        let tenant = try Sample.tenantID(1)
        let bare = FinishedCall(
            call: CallRecord(
                id: try #require(CallID("x")), tenant: tenant, startedAt: Sample.moment(0), endedAt: Sample.moment(0),
                termination: .draining))
        for finished in [try Sample.finished(1, of: tenant), bare] {
            let line = try SpoolLine(finished).encoded()
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try SpoolLine.decoded(Data(line)) == finished)
        }
    }

    @Test("A full spool refuses, and keeps what it has whole")
    func limit() async throws {
        try await withFolder { folder in
            let tenant = try Sample.tenantID(1)
            let line = try SpoolLine(Sample.finished(1, of: tenant)).encoded()
            let spool = try CallSpool(path: folder + "/spool", limit: line.count + 10)
            try await spool.append(try Sample.finished(1, of: tenant))
            let second = try Sample.finished(2, of: tenant)
            #expect(await code { try await spool.append(second) } == .full)
            let kept = try Data(contentsOf: URL(fileURLWithPath: folder + "/spool"))
            #expect(kept.count == line.count + 1)
        }
    }

    @Test("The service that replays hands over what waits, and ends when it is cancelled")
    func service() async throws {
        try await withFolder { folder in
            let tenant = try Sample.tenantID(1)
            let spool = try CallSpool(path: folder + "/spool")
            try await spool.append(try Sample.finished(1, of: tenant))
            let calls = DurableCalls(store: try await SQLStore(path: ":memory:"), spool: spool)
            let (reports, report) = AsyncStream.makeStream(of: CallSpool.Outcome?.self)
            let service = Task { await calls.run(every: .seconds(3600)) { report.yield(try? $0.get()) } }
            #expect(await reports.first { _ in true } == CallSpool.Outcome(written: 1))
            service.cancel()
            await service.value
        }
    }

    @Test("What can never be stored is an error, not a line")
    func unfit() async throws {
        try await withFolder { folder in
            let (tenant, other) = (try Sample.tenantID(1), try Sample.tenantID(2))
            let spool = try CallSpool(path: folder + "/spool")
            let calls = DurableCalls(store: try await SQLStore(path: ":memory:"), spool: spool)
            let finished = try Sample.finished(1, of: tenant)
            #expect(await code { try await calls.finish(finished, of: other) } == .otherTenant)
            #expect(await spool.isEmpty)
        }
    }

    @Test("10 000 mutations of a line are a call or an error")
    func mutations() throws {
        let tenant = try Sample.tenantID(1)
        let line = try SpoolLine(Sample.finished(1, of: tenant)).encoded()
        var random = SeededGenerator(seed: 1)
        var (calls, errors) = (0, 0)
        for _ in 0..<10000 {
            var mutated = line
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                mutated[Int.random(in: 0..<mutated.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            do {
                _ = try SpoolLine.decoded(Data(mutated))
                calls += 1
            } catch {
                errors += 1
            }
        }
        #expect(calls + errors == 10000 && errors > 1000)
    }
}

/// The same numbers on every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
