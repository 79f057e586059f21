import Foundation
import Records
import Routing
import Synchronization
import Telephony
import Testing

@testable import Stores

/// A statement of whoever else writes this database.
private func other(_ store: any RecordsStore, _ script: String) async throws {
    try await #require(store as? SQLStore).perform { database throws(StoreError) in try database.execute(script) }
}

private func count(_ table: String, _ store: any RecordsStore) async throws -> Int {
    try await #require(store as? SQLStore).perform { database throws(StoreError) in
        try database.rows("SELECT count(*) AS n FROM \(table)").first?.integer("n") ?? -1
    }
}

@Suite("Nothing recorded is lost: what the database refuses, or takes too long for")
struct LosslessTests {
    /// What makes the table refuse every row, as a rule of another program's would.
    private static func refusal(of table: String, _ store: any RecordsStore) throws -> String {
        switch try #require(store as? SQLStore).dialect {
        case .sqlite:
            "CREATE TRIGGER theirs BEFORE INSERT ON \(table) BEGIN SELECT RAISE(ABORT, 'theirs'); END"
        case .postgres: "ALTER TABLE \(table) ADD CONSTRAINT theirs CHECK (false) NOT VALID"
        }
    }

    private func lines(_ path: String) throws -> [FinishedCall] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else { return [] }
        return try data.split(separator: UInt8(ascii: "\n")).map { try SpoolLine.decoded(Data($0)) }
    }

    @Test(
        "A refused conversation costs the conversation's row: the call's is written, the whole is set aside",
        arguments: StoreUnderTest.allCases)
    func refused(kind: StoreUnderTest) async throws {
        try await withFolder { folder in
            try await kind.withStore { store in
                let tenant = try Sample.tenantID(1)
                let path = folder + "/spool"
                let spool = try CallSpool(path: path)
                let calls = DurableCalls(store: store, spool: spool)
                try await other(store, try Self.refusal(of: "v_voice_messages", store))
                let (one, two) = (
                    try Sample.finished(1, of: tenant, at: 1), try Sample.finished(2, of: tenant, at: 2)
                )
                guard case .setAside(let error, hasAccount: true) = try await calls.finish(one, of: tenant) else {
                    Issue.record("not set aside")
                    return
                }
                #expect(error.code == .invalid)
                #expect(try await store.call(one.call.id, of: tenant) == one.call)
                #expect(try await count("v_voice_conversations", store) == 0)
                #expect(try self.lines(path + ".damaged") == [one])
                // The same by way of the spool.
                try await spool.append(two)
                #expect(try await calls.replay() == CallSpool.Outcome(damaged: 1))
                #expect(try await store.call(two.call.id, of: tenant) == two.call)
                #expect(try self.lines(path + ".damaged") == [one, two])
                #expect(await spool.isEmpty)
                // And where even the call's own row is refused, nothing is lost.
                try await other(
                    store, try Self.refusal(of: "voip_cdr", store).replacing("TRIGGER theirs", with: "TRIGGER more"))
                let three = try Sample.finished(3, of: tenant, at: 3)
                guard case .setAside(_, hasAccount: false) = try await calls.finish(three, of: tenant) else {
                    Issue.record("not set aside")
                    return
                }
                #expect(try self.lines(path + ".damaged") == [one, two, three])
            }
        }
    }

    /// A store that cannot take some calls now, and counts who asks.
    private final class Stubborn: CallRecordStore {
        let written = Mutex<[CallID]>([])
        let asked = Mutex(0)
        let refused: @Sendable (CallID) -> Bool
        init(_ refused: @escaping @Sendable (CallID) -> Bool) { self.refused = refused }
        func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> FinishOutcome {
            self.asked.withLock { $0 += 1 }
            if self.refused(finished.call.id) { throw StoreError(.unavailable, "not in time") }
            return self.written.withLock { written in
                defer { written.append(finished.call.id) }
                return written.contains(finished.call.id) ? .alreadyWritten : .written
            }
        }
        func call(_ id: CallID, of tenant: TenantID) async throws(StoreError) -> CallRecord? { nil }
        func calls(of tenant: TenantID, before: Date?, limit: Int) async throws(StoreError) -> [CallRecord] { [] }
    }

    @Test("Lines that never get through in time hold up no other, however many they are")
    func stubbornLines() async throws {
        try await withFolder { folder in
            let tenant = try Sample.tenantID(1)
            let spool = try CallSpool(path: folder + "/spool")
            // The first ten are the stubborn ones.
            for number in 0..<40 { try await spool.append(try Sample.finished(number, of: tenant, at: Double(number))) }
            let bad = Set((0..<10).map { "call-\($0)" })
            let store = Stubborn { bad.contains($0.text) }
            var rounds = 0
            while store.written.withLock({ $0.count }) < 30, rounds < 10 {
                _ = try await spool.replay(into: store)
                rounds += 1
            }
            #expect(store.written.withLock { $0.count } == 30, "after \(rounds) rounds")
            // New calls get through beside them.
            try await spool.append(try Sample.finished(50, of: tenant, at: 50))
            #expect(try await spool.replay(into: store).written == 1)
            // And nothing of them is lost.
            let well = Stubborn { _ in false }
            #expect(try await spool.replay(into: well) == CallSpool.Outcome(written: 10))
            #expect(await spool.isEmpty)
        }
    }

    @Test("A database that is away is asked three times a round, not once for each line")
    func away() async throws {
        try await withFolder { folder in
            let tenant = try Sample.tenantID(1)
            let spool = try CallSpool(path: folder + "/spool")
            for number in 0..<40 { try await spool.append(try Sample.finished(number, of: tenant, at: Double(number))) }
            let store = Stubborn { _ in true }
            #expect(try await spool.replay(into: store) == CallSpool.Outcome(kept: 40))
            #expect(store.asked.withLock { $0 } == 3)
        }
    }

    /// A log that takes few rows in the time there is, and refuses some for ever.
    private final class Slow: ActivityOnlyStore {
        let written = Mutex<[String]>([])
        let most: Int
        let refused: String?
        init(most: Int, refused: String? = nil) {
            self.most = most
            self.refused = refused
        }
        func log(_ decisions: [ActivityRecord]) async throws(StoreError) {
            guard decisions.count <= self.most else { throw StoreError(.unavailable, "not in time") }
            guard !decisions.contains(where: { $0.reason == self.refused }) else { throw StoreError(.invalid, "no") }
            self.written.withLock { $0 += decisions.map(\.id) }
        }
    }

    private func decisions(_ number: Int, refused: Int? = nil) throws -> [ActivityRecord] {
        let tenant = try Sample.tenantID(1)
        return (0..<number).map { index in
            ActivityRecord(
                id: Sample.uuid(index), tenant: tenant, decidedAt: Sample.moment(Double(index)), isAI: true,
                reason: index == refused ? "refused" : "open", latency: .zero)
        }
    }

    @Test("A batch that takes too long is halved until it fits", .timeLimit(.minutes(1)))
    func halves() async throws {
        let store = Slow(most: 7)
        var limits = ActivityLog.Limits()
        (limits.batch, limits.pause, limits.longestPause) = (100, .milliseconds(1), .milliseconds(2))
        let log = ActivityLog(store: store, limits: limits)
        for decision in try self.decisions(300) { log.add(decision) }
        log.start()
        for _ in 0..<2000 where log.waiting > 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(log.waiting == 0 && log.dropped == 0)
        #expect(store.written.withLock { Set($0).count } == 300)
        await log.finish()
    }

    @Test("One decision that the database refuses takes no other with it", .timeLimit(.minutes(1)))
    func oneRefused() async throws {
        let store = Slow(most: 1000, refused: "refused")
        var limits = ActivityLog.Limits()
        limits.pause = .milliseconds(1)
        let outcomes = Mutex<[ActivityLog.Outcome]>([])
        let log = ActivityLog(store: store, limits: limits) { outcome in outcomes.withLock { $0.append(outcome) } }
        for decision in try self.decisions(200, refused: 77) { log.add(decision) }
        log.start()
        for _ in 0..<2000 where log.waiting > 0 { try await Task.sleep(for: .milliseconds(5)) }
        await log.finish()
        #expect(store.written.withLock { $0.count } == 199)
        #expect(log.dropped == 1)
        #expect(outcomes.withLock { $0.count { if case .refused(_, 1) = $0 { true } else { false } } } == 1)
    }

    @Test("A table that refuses every decision is told in few words", .timeLimit(.minutes(1)))
    func allRefused() async throws {
        let store = Slow(most: 1000, refused: "refused")
        var limits = ActivityLog.Limits()
        limits.pause = .milliseconds(1)
        let refusals = Mutex<[Int]>([])
        let log = ActivityLog(store: store, limits: limits) { outcome in
            if case .refused(_, let count) = outcome { refusals.withLock { $0.append(count) } }
        }
        for var decision in try self.decisions(2000) {
            decision.reason = "refused"
            log.add(decision)
        }
        log.start()
        for _ in 0..<2000 where log.waiting > 0 { try await Task.sleep(for: .milliseconds(5)) }
        await log.finish()
        #expect(log.dropped == 2000)
        #expect(refusals.withLock { $0.reduce(0, +) } == 2000)
        #expect(refusals.withLock { $0 } == [500, 500, 500, 500])
    }

    @Test("A long call goes in few statements, and comes back whole", arguments: StoreUnderTest.allCases)
    func manyTurns(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            var finished = try Sample.finished(1, of: tenant)
            let turn = finished.turns[0]
            finished.turns = (1...777).map { number in
                var turn = turn
                turn.number = number
                turn.text = Redacted("said \(number)")
                return turn
            }
            #expect(try await store.finish(finished, of: tenant) == .written)
            #expect(try await store.finish(finished, of: tenant) == .alreadyWritten)
            let conversation = try #require(finished.conversation)
            #expect(try await store.turns(of: conversation.id, tenant: tenant) == finished.turns)
        }
    }

    @Test("However many, in runs of powers of two, in order", arguments: [0, 1, 2, 3, 127, 128, 129, 500, 1000])
    func batches(number: Int) {
        let batches = Array(0..<number).batches()
        #expect(batches.flatMap { $0 } == Array(0..<number))
        #expect(batches.allSatisfy { $0.count.nonzeroBitCount == 1 && $0.count <= 128 })
        #expect(batches.count <= number / 128 + 7)
    }
}

@Suite("Everything erased is gone: other programs' rows, refusing disks, other nodes")
struct ErasingTests {
    private struct Place {
        var folder: String
        var store: any RecordsStore
        var spool: CallSpool
        var one: TenantID
        var two: TenantID

        func keeper(node: String? = nil, folder: String? = nil, spool: CallSpool? = nil) -> RecordKeeper {
            RecordKeeper(
                store: self.store, spool: spool ?? self.spool,
                recordings: RecordingFolder((folder ?? self.folder) + "/recordings"), activities: self.store, node: node
            )
        }

        /// A file of a recording; its path.
        func recording(_ name: String, of tenant: TenantID, folder: String? = nil) throws -> String {
            let home = "\(folder ?? self.folder)/recordings/\(tenant.text)"
            try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
            try Data("sound".utf8).write(to: URL(fileURLWithPath: "\(home)/\(name).wav"))
            return "\(home)/\(name).wav"
        }

        func call(_ number: Int, of tenant: TenantID, at start: Double = 0) throws -> FinishedCall {
            var finished = try Sample.finished(number, of: tenant)
            finished.call.startedAt += start
            finished.call.endedAt += start
            finished.conversation?.startedAt += start
            finished.conversation?.endedAt += start
            finished.call.direction = .inbound
            finished.call.recording = nil
            finished.conversation?.id = try #require(ConversationID(UUID().uuidString))
            return finished
        }
    }

    private func withPlace(_ kind: StoreUnderTest, _ body: (Place) async throws -> Void) async throws {
        try await withFolder { folder in
            try await kind.withStore { store in
                let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
                for tenant in [one, two] { try await store.save(tenant) }
                try await body(
                    Place(
                        folder: folder, store: store, spool: try CallSpool(path: folder + "/spool"), one: one.id,
                        two: two.id))
            }
        }
    }

    private static let now = Sample.moment(100 * 86400)

    @Test(
        "Rows with a finer clock, and ids that no call of ours has, are swept and forgotten like others",
        .timeLimit(.minutes(1)), arguments: StoreUnderTest.allCases)
    func othersRows(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            for number in 0..<4 {
                try await place.store.finish(try place.call(number, of: place.one), of: place.one)
            }
            // Times as the database's own programs write them.
            let isPostgres = try #require(place.store as? SQLStore).dialect == .postgres
            let fine = isPostgres ? "2025-10-09 08:53:20.123456+00" : "2025-10-09T08:53:20.123456Z"
            try await other(
                place.store,
                """
                UPDATE voip_cdr SET start_time = '\(fine)', caller_id_number = '+39061', recording_path = '/gone.wav'
                    WHERE call_uuid IN ('call-0', 'call-1');
                UPDATE v_voice_conversations SET call_uuid = 'abc@10.0.0.1' WHERE call_uuid = 'call-1';
                UPDATE voip_cdr SET call_uuid = 'abc@10.0.0.1', caller_id_number = '+39061' WHERE call_uuid = 'call-1';
                UPDATE voip_cdr SET caller_id_number = '+39062' WHERE call_uuid IN ('call-2', 'call-3');
                """)
            let keeper = place.keeper()
            let report = try await keeper.forget(caller: "+39061", of: place.one)
            #expect(report.calls == 2)
            #expect(try await place.store.calls(ofCaller: ["+39061"], tenant: place.one, limit: 9) == [])
            // What can be read is listed, what cannot is told.
            let listed = try await place.store.calls(of: place.one, matching: CallFilter(), after: nil, limit: 9)
            #expect(
                listed.map(\.id.text).sorted()
                    == (kind == .postgres ? ["call-0", "call-2", "call-3"] : ["call-2", "call-3"]))
            #expect(try #require(place.store as? SQLStore).unreadable.counts.isEmpty == false)

            try await other(place.store, "UPDATE voip_cdr SET recording_path = '/gone.wav'")
            var sweep = try await keeper.sweep(installation: Retention(recordings: 1), at: Self.now)
            #expect(sweep.failures == [:] && sweep.left == 0)
            #expect(try await place.store.recordings(of: place.one, before: Self.now, limit: 9) == [])
            sweep = try await keeper.sweep(installation: Retention(calls: 1), at: Self.now)
            #expect(sweep.calls == 4 && sweep.failures == [:])
            #expect(try await count("voip_cdr", place.store) == 0)
            #expect(try await count("v_voice_messages", place.store) == 0)
        }
    }

    @Test("A page is full although rows in it cannot be read", arguments: StoreUnderTest.allCases)
    func pages(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            for number in 0..<30 {
                try await place.store.finish(try place.call(number, of: place.one, at: Double(number)), of: place.one)
            }
            // The newest, and every third.
            let odd = (0..<30).filter { $0 % 3 == 0 || $0 > 24 }
            for number in odd {
                try await other(place.store, "UPDATE voip_cdr SET fault = 'martian' WHERE call_uuid = 'call-\(number)'")
            }
            var seen: [String] = []
            var last: ListPosition?
            repeat {
                let page = try await place.store.calls(of: place.one, matching: CallFilter(), after: last, limit: 4)
                seen += page.map(\.id.text)
                last = page.count == 4 ? page.last.map { ListPosition(startedAt: $0.startedAt, id: $0.id.text) } : nil
            } while last != nil
            #expect(seen == (0..<30).reversed().filter { !odd.contains($0) }.map { "call-\($0)" })
        }
    }

    @Test("One tenant's trouble keeps no other's rows", arguments: [StoreUnderTest.sqliteMemory, .postgres])
    func oneTenant(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            for tenant in [place.one, place.two] {
                try await place.store.finish(try place.call(1, of: tenant), of: tenant)
            }
            let store = try #require(place.store as? SQLStore)
            try await other(
                store,
                store.dialect == .sqlite
                    ? """
                    CREATE TRIGGER theirs BEFORE DELETE ON voip_cdr WHEN OLD.domain_uuid = '\(place.one.text)'
                    BEGIN SELECT RAISE(IGNORE); END
                    """
                    : """
                    CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
                        IF OLD.domain_uuid = ''\(place.one.text)'' THEN RETURN NULL; END IF; RETURN OLD; END';
                    CREATE TRIGGER theirs BEFORE DELETE ON voip_cdr FOR EACH ROW EXECUTE FUNCTION theirs()
                    """)
            let sweep = try await place.keeper().sweep(installation: Retention(calls: 1), at: Self.now)
            #expect(sweep.calls == 1)
            #expect(sweep.failures.keys.map(\.text) == [place.one.text])
            #expect(sweep.failures[place.one]?.message.contains("voip_cdr") == true)
            #expect(try await count("voip_cdr", store) == 1)
        }
    }

    @Test("A sweep that is cancelled ends", .timeLimit(.minutes(1)))
    func cancelled() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            for number in 0..<450 {
                try await place.store.finish(
                    FinishedCall(call: try place.call(number, of: place.one).call), of: place.one)
            }
            let keeper = place.keeper()
            let task = Task { try await keeper.sweep(installation: Retention(calls: 1), at: Self.now) }
            task.cancel()
            _ = try await task.value
            // At most the step that was under way.
            #expect(try await count("voip_cdr", place.store) >= 250)
        }
    }

    @Test(
        "A recording that the disk keeps is noted, its row loses the number, and it goes when the disk lets it",
        arguments: [StoreUnderTest.sqliteMemory, .postgres])
    func diskKeeps(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            // A folder stands where the file was: unlink(2) refuses it, whoever asks.
            var paths: [String] = []
            for (number, isSpooled) in [(1, false), (2, true)] {
                var finished = try place.call(number, of: place.one)
                let path = try place.recording("call-\(number)", of: place.one)
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
                finished.call.recording = path
                paths.append(path)
                if isSpooled {
                    try await place.spool.append(finished)
                } else {
                    try await place.store.finish(finished, of: place.one)
                }
            }
            let keeper = place.keeper(node: "a")
            let report = try await keeper.forget(caller: "+390612345", of: place.one)
            #expect(report.left == 2 && report.recordings == 0 && report.calls == 1 && report.spooled == 1)
            #expect(try await place.spool.replay(into: place.store).written == 1)
            for number in [1, 2] {
                let call = try await place.store.call(try #require(CallID("call-\(number)")), of: place.one)
                #expect(call?.caller == nil && call?.recording == nil)
            }
            #expect(try await keeper.catchUp(at: Date()).left == 2)
            for path in paths {
                try FileManager.default.removeItem(atPath: path)
                try Data("sound".utf8).write(to: URL(fileURLWithPath: path))
            }
            #expect(try await keeper.catchUp(at: Date()).recordings == 2)
            for path in paths { #expect(!FileManager.default.fileExists(atPath: path)) }
            #expect(try await keeper.catchUp(at: Date()).isEmpty)
        }
    }

    @Test("What one node erases goes from the disk of another: its recording, and its line of the spool")
    func twoNodes() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            let far = place.folder + "/far"
            let theirSpool = try CallSpool(path: far + "-spool")
            let (here, there) = (
                place.keeper(node: "here"), place.keeper(node: "there", folder: far, spool: theirSpool)
            )
            // Recorded there; written down for both.
            var call = try place.call(1, of: place.one)
            call.call.node = "there"
            let path = try place.recording("1", of: place.one, folder: far)
            call.call.recording = path
            try await place.store.finish(call, of: place.one)
            // And one that waits there, with a recording.
            var waiting = try place.call(2, of: place.one)
            waiting.call.node = "there"
            waiting.call.caller = Redacted("00390612345")
            let second = try place.recording("2", of: place.one, folder: far)
            waiting.call.recording = second
            try await theirSpool.append(waiting)
            var stranger = try place.call(3, of: place.one)
            stranger.call.caller = Redacted("+390699999")
            try await theirSpool.append(stranger)

            let report = try await here.forget(caller: "+390612345", of: place.one)
            #expect(report.calls == 1 && report.left == 1)
            #expect(FileManager.default.fileExists(atPath: path), "here nobody can remove it")
            #expect(try await here.catchUp(at: Date()).isEmpty, "nor is it here's to do")
            let done = try await there.catchUp(at: Date())
            #expect(done.recordings == 2 && done.spooled == 1 && done.left == 0)
            #expect(!FileManager.default.fileExists(atPath: path) && !FileManager.default.fileExists(atPath: second))
            #expect(try await there.catchUp(at: Date()).isEmpty)
            #expect(try await theirSpool.replay(into: place.store).written == 2)
            let late = try await place.store.call(waiting.call.id, of: place.one)
            #expect(late?.caller == nil && late?.recording == nil)
            #expect(try await place.store.conversations(of: waiting.call.id, tenant: place.one) == [])
            #expect(try await place.store.call(stranger.call.id, of: place.one)?.caller?.value == "+390699999")

            // A call that comes afterwards is a new one.
            var again = try place.call(4, of: place.one)
            again.call.startedAt = Date().addingTimeInterval(60)
            again.call.endedAt = again.call.startedAt
            try await theirSpool.append(again)
            #expect(try await there.catchUp(at: Date()).isEmpty)
            // The number itself is nowhere in what the nodes share.
            let shared = try await place.store.erasures(since: .distantPast)
            #expect(shared.count == 1 && shared.allSatisfy { !$0.caller.contains("0612345") })
            try await place.store.removeErasures(before: .distantFuture)
            #expect(try await place.store.erasures(since: .distantPast) == [])
        }
    }

    @Test("What was spent stays spent when its rows go", arguments: StoreUnderTest.allCases)
    func spending(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            // 2025-10-09 and after: within one month, the month before, and another tenant's.
            let month = CivilMonth.start(of: Sample.moment(0))
            for (number, day) in [0.0, 1, 2, -30].enumerated() {
                var finished = FinishedCall(call: try place.call(number, of: place.one, at: day * 86400).call)
                finished.call.cost = CallCost(micros: nil, knownMicros: 1000 + number, currency: "USD", priceDate: "x")
                try await place.store.finish(finished, of: place.one)
            }
            try await place.store.finish(try place.call(9, of: place.two), of: place.two)
            func spent(_ tenant: TenantID) async throws -> [String: Int] {
                Dictionary(
                    uniqueKeysWithValues: try await place.store.spent(by: tenant, since: month).map {
                        ($0.currency, $0.micros)
                    })
            }
            #expect(try await spent(place.one) == ["USD": 3003])
            // The tenant keeps its calls for a day: also those that wait.
            var waiting = FinishedCall(call: try place.call(8, of: place.one, at: 100).call)
            waiting.call.cost = CallCost(micros: 7, knownMicros: 7, currency: "USD", priceDate: "x")
            try await place.spool.append(waiting)
            try await place.store.save(TenantPolicy(retention: Retention(calls: 1)), of: place.one)
            let keeper = place.keeper()
            let now = Sample.moment(5 * 86400)
            for _ in 0..<2 { _ = try await keeper.sweep(installation: Retention(), at: now) }
            #expect(try await place.spool.replay(into: place.store).written == 1)
            let late = try #require(try await place.store.call(waiting.call.id, of: place.one))
            #expect(late.caller == nil && late.cost?.knownMicros == 7)
            for _ in 0..<2 { _ = try await keeper.sweep(installation: Retention(), at: now) }
            #expect(try await place.store.calls(of: place.one, before: nil, limit: 9) == [])
            #expect(try await spent(place.one) == ["USD": 3010])
            #expect(try await spent(place.two) == ["USD": 12_345])
        }
    }

    @Test(
        "Conversations of an older system are read for what they are, and erased by the caller that they name",
        arguments: StoreUnderTest.allCases)
    func olderConversations(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            let finished = try place.call(1, of: place.one)
            try await place.store.finish(finished, of: place.one)
            let id = try #require(finished.conversation).id
            try await other(
                place.store,
                """
                UPDATE v_voice_conversations SET final_action = 'ticket', call_uuid = 'abc@10.0.0.1',
                    processing_mode = 'chained', caller_id_number = '00390612345';
                UPDATE v_voice_messages SET role = 'bot', provider_used = 'Some Voice™' WHERE turn_number = 1;
                UPDATE v_voice_messages SET role = 'system' WHERE turn_number = 2;
                """)
            let stored = try #require(try await place.store.conversation(id, of: place.one))
            #expect(stored.finalAction == .abandoned && stored.call.text == id.text)
            let turns = try await place.store.turns(of: id, tenant: place.one)
            #expect(turns.map(\.role) == [.agent] && turns.map(\.provider) == [nil])
            let report = try await place.keeper().forget(caller: "+390612345", of: place.one)
            #expect(report.conversations == 1)
            #expect(try await count("v_voice_messages", place.store) == 0)
            #expect(try await count("v_voice_conversations", place.store) == 0)
        }
    }
}
