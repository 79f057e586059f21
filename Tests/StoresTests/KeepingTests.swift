import Foundation
import Records
import Synchronization
import Telephony
import Testing

@testable import Stores

@Suite("What is too old, and what a caller wants forgotten, goes: rows, recordings, spool")
struct KeepingTests {
    /// Activities as a store of them would have them.
    private final class Activities: ActivityErasure {
        let rows = Mutex<[(tenant: TenantID, number: String, at: Date)]>([])
        func removeActivities(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> Int {
            self.rows.withLock { rows in
                let count = rows.count
                rows.removeAll { $0.tenant == tenant && $0.at < end }
                return count - rows.count
            }
        }
        /// Calls that were named beside the numbers.
        let named = Mutex<[CallID]>([])
        func forgetActivities(
            ofCaller numbers: [String], calls: [CallID], tenant: TenantID
        ) async throws(StoreError) -> Int {
            self.named.withLock { $0 += calls }
            return self.rows.withLock { rows in
                let count = rows.count
                rows.removeAll { $0.tenant == tenant && numbers.contains($0.number) }
                return count - rows.count
            }
        }
    }

    private struct Place {
        var folder: String
        var store: any RecordsStore
        var spool: CallSpool
        var keeper: RecordKeeper
        var activities: Activities
        var one: TenantID
        var two: TenantID

        /// A finished call with a recording on the disk.
        func call(
            _ number: Int, of tenant: TenantID, at start: Double, caller: String
        ) throws -> (FinishedCall, String) {
            var finished = try Sample.finished(number, of: tenant, at: start)
            finished.call.direction = .inbound
            finished.call.caller = Redacted(caller)
            finished.conversation?.id = try #require(ConversationID(UUID().uuidString))
            let path = "\(self.folder)/recordings/\(tenant.text)/\(number)-\(Int(start)).wav"
            try FileManager.default.createDirectory(
                atPath: "\(self.folder)/recordings/\(tenant.text)", withIntermediateDirectories: true)
            try Data("sound".utf8).write(to: URL(fileURLWithPath: path))
            finished.call.recording = path
            return (finished, path)
        }

        func conversations(_ tenant: TenantID) async throws -> Int {
            try await self.store.conversations(of: tenant, matching: ConversationFilter(), after: nil, limit: 1000)
                .count
        }
    }

    private func withPlace(_ kind: StoreUnderTest, _ body: (Place) async throws -> Void) async throws {
        try await withFolder { folder in
            try await kind.withStore { store in
                let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
                for tenant in [one, two] { try await store.save(tenant) }
                let spool = try CallSpool(path: folder + "/spool")
                let activities = Activities()
                let keeper = RecordKeeper(
                    store: store, spool: spool, recordings: RecordingFolder(folder + "/recordings"),
                    activities: activities)
                try await body(
                    Place(
                        folder: folder, store: store, spool: spool, keeper: keeper, activities: activities, one: one.id,
                        two: two.id))
            }
        }
    }

    @Test(
        "One caller's data goes everywhere; another's, and another tenant's of the same caller, stays",
        arguments: StoreUnderTest.allCases)
    func forget(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            var paths: [String: String] = [:]
            // The same person in the three spellings of one number, and somebody else.
            for (number, caller) in ["+390612345", "00390612345", "390612345", "+390699999"].enumerated() {
                let (finished, path) = try place.call(number, of: place.one, at: Double(number), caller: caller)
                try await place.store.finish(finished, of: place.one)
                paths["one \(number)"] = path
            }
            let (theirs, path) = try place.call(0, of: place.two, at: 0, caller: "+390612345")
            try await place.store.finish(theirs, of: place.two)
            paths["two 0"] = path
            // And waiting in the spool, of both tenants.
            for (tenant, name) in [(place.one, "one"), (place.two, "two")] {
                let (finished, path) = try place.call(9, of: tenant, at: 9, caller: "390612345")
                try await place.spool.append(finished)
                paths["\(name) 9"] = path
            }
            let damaged = place.folder + "/spool.damaged"
            let lines = [place.one, place.two].map { "{\"domain_uuid\":\"\($0.text)\",\"caller\":\"390612345\"" }
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: damaged))
            place.activities.rows.withLock {
                $0 = [place.one, place.two].map { ($0, "+390612345", Sample.moment(0)) }
            }

            let report = try await place.keeper.forget(caller: "+390612345", of: place.one)
            #expect(report.calls == 3 && report.conversations == 3 && report.recordings == 4 && report.activities == 1)
            // Of a call that no record names yet the activities are found by its id.
            #expect(place.activities.named.withLock { $0.map(\.text) } == ["call-9"])
            // The waiting one, and the line that nobody can read.
            #expect(report.spooled == 2 && report.left == 0)
            for (name, path) in paths {
                let stays = name == "one 3" || name.hasPrefix("two")
                #expect(FileManager.default.fileExists(atPath: path) == stays, "\(name)")
            }
            let ours = try await place.store.calls(of: place.one, matching: CallFilter(), after: nil, limit: 100)
            #expect(ours.count == 4 && ours.compactMap(\.caller?.value) == ["+390699999"])
            #expect(try await place.conversations(place.one) == 1)
            let call = try await place.store.call(theirs.call.id, of: place.two)
            #expect(call?.caller?.value == "+390612345" && call?.recording == path)
            #expect(try await place.conversations(place.two) == 1)
            let rest = try String(contentsOfFile: damaged, encoding: .utf8)
            #expect(rest == lines[1] + "\n")

            // What the spool hands over later no longer knows the caller; the other tenant's does.
            #expect(try await place.spool.replay(into: place.store).written == 2)
            let id = try #require(CallID("call-9"))
            let late = try #require(try await place.store.call(id, of: place.one))
            #expect(late.caller == nil && late.recording == nil)
            #expect(try await place.store.conversations(of: id, tenant: place.one) == [])
            #expect(try await place.store.call(id, of: place.two)?.caller?.value == "390612345")
            #expect(try await place.store.conversations(of: id, tenant: place.two).count == 1)
            #expect(try await place.keeper.forget(caller: "+390612345", of: place.one) == ErasureReport())
        }
    }

    @Test(
        "Each tenant's retention: its own days, else the installation's, each subject by itself",
        arguments: StoreUnderTest.allCases)
    func sweep(kind: StoreUnderTest) async throws {
        try await self.withPlace(kind) { place in
            let now = Sample.moment(100 * 86400)
            // 100, 40 and 1 days old, of both tenants.
            var paths: [String: String] = [:]
            for (name, tenant) in [("one", place.one), ("two", place.two)] {
                for (number, day) in [0.0, 60, 99].enumerated() {
                    let (finished, path) = try place.call(number, of: tenant, at: day * 86400, caller: "+39061")
                    try await place.store.finish(finished, of: tenant)
                    paths["\(name) \(number)"] = path
                }
            }
            try await place.store.save(
                TenantPolicy(retention: Retention(conversations: 30, recordings: 0, calls: 90)), of: place.one)
            let sweep = try await place.keeper.sweep(installation: Retention(recordings: 30), at: now)
            // One: conversations of 30 days, calls of 90 with their recordings, other recordings for ever.
            #expect(try await place.conversations(place.one) == 1)
            #expect(try await place.store.calls(of: place.one, matching: CallFilter(), after: nil, limit: 9).count == 2)
            // Two: recordings of 30 days, by the installation's setting.
            #expect(try await place.conversations(place.two) == 3)
            #expect(try await place.store.calls(of: place.two, matching: CallFilter(), after: nil, limit: 9).count == 3)
            let left = paths.filter { FileManager.default.fileExists(atPath: $0.value) }.keys.sorted()
            #expect(left == ["one 1", "one 2", "two 2"])
            #expect(sweep.calls == 1 && sweep.conversations == 2 && sweep.recordings == 3 && sweep.left == 0)
            #expect(try await place.keeper.sweep(installation: Retention(recordings: 30), at: now).isEmpty)
            let names = try await place.store.calls(of: place.two, matching: CallFilter(), after: nil, limit: 9)
            #expect(names.compactMap(\.recording).count == 1)
        }
    }

    @Test("Nothing is removed by an installation that keeps everything")
    func keepsEverything() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            let (finished, path) = try place.call(1, of: place.one, at: 0, caller: "+39061")
            try await place.store.finish(finished, of: place.one)
            #expect(try await place.keeper.sweep(installation: Retention(), at: Sample.moment(1e9)).isEmpty)
            #expect(FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("Waiting lines beyond their retention go too")
    func sweepsSpool() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            for (number, day) in [0.0, 50].enumerated() {
                try await place.spool.append(try place.call(number, of: place.one, at: day * 86400, caller: "1").0)
            }
            let sweep = try await place.keeper.sweep(
                installation: Retention(conversations: 10, calls: 60), at: Sample.moment(100 * 86400))
            #expect(sweep.spooled == 2)
            #expect(try await place.spool.replay(into: place.store).written == 1)
            #expect(try await place.conversations(place.one) == 0)
        }
    }

    @Test("Rows that name a file elsewhere lose the name, and the file stays")
    func foreignFiles() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            let outside = place.folder + "/precious.wav"
            try Data("mine".utf8).write(to: URL(fileURLWithPath: outside))
            let (_, theirs) = try place.call(5, of: place.two, at: 0, caller: "1")
            let link = "\(place.folder)/recordings/\(place.one.text)/link.wav"
            try FileManager.default.createDirectory(
                atPath: "\(place.folder)/recordings/\(place.one.text)", withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: outside)
            for (number, target) in [outside, theirs, link, place.folder].enumerated() {
                var finished = try Sample.finished(number, of: place.one, at: Double(number))
                finished.call.recording = target
                try await place.store.finish(finished, of: place.one)
            }
            let sweep = try await place.keeper.sweep(
                installation: Retention(recordings: 1), at: Sample.moment(10 * 86400))
            #expect(sweep.recordings == 0 && sweep.left == 0)
            for path in [outside, theirs] { #expect(FileManager.default.fileExists(atPath: path)) }
            #expect(try await place.store.recordings(of: place.one, before: Sample.moment(1e6), limit: 9) == [])
        }
    }

    @Test("The spool is rewritten while calls come and another program replays it: nothing lost, nothing torn")
    func concurrency() async throws {
        try await self.withPlace(.sqliteMemory) { place in
            let other = try CallSpool(path: place.folder + "/spool")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<60 {
                        try await place.spool.append(try Sample.finished(number, of: place.one, at: Double(number)))
                    }
                }
                group.addTask {
                    for _ in 0..<20 {
                        _ = try await place.spool.rewrite { $0.call.id.text.hasSuffix("7") ? nil : $0 }
                    }
                }
                group.addTask { for _ in 0..<20 { _ = try await other.replay(into: place.store) } }
                try await group.waitForAll()
            }
            _ = try await place.spool.rewrite { $0.call.id.text.hasSuffix("7") ? nil : $0 }
            let outcome = try await other.replay(into: place.store)
            #expect(outcome.damaged == 0 && outcome.kept == 0)
            let calls = try await place.store.calls(of: place.one, matching: CallFilter(), after: nil, limit: 1000)
            // Those ending in 7 may have been handed over before the first rewriting saw them; the others are all there.
            #expect(calls.count { !$0.id.text.hasSuffix("7") } == 54)
            #expect(!FileManager.default.fileExists(atPath: place.folder + "/spool.damaged"))
        }
    }

    @Test(
        "One number in its spellings",
        arguments: [
            ("+390612345", ["+390612345", "00390612345", "390612345"]),
            ("00390612345", ["+390612345", "00390612345", "390612345"]), ("0612345", ["0612345"]), ("112", ["112"]),
            ("alice", ["alice"]), ("+39a", ["+39a"]), ("", [""]),
        ])
    func spellings(number: String, all: [String]) { #expect(CallerNumbers.spellings(of: number) == all) }
}
