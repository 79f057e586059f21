import Foundation
import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony
import Testing

@testable import pronto

@Suite("Finished calls behind a slow database", .timeLimit(.minutes(1))) struct RecordsQueueTests {
    /// A database that answers when the test lets it.
    private final class Held: CallRecordStore {
        private struct State {
            var isOpen = false
            var written: [CallID] = []
        }
        private let state = Mutex(State())
        var written: [CallID] { self.state.withLock { $0.written } }
        func open() { self.state.withLock { $0.isOpen = true } }
        func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> FinishOutcome {
            while !self.state.withLock({ $0.isOpen }) {
                // Nobody cancels it.
                try? await Task.sleep(for: .milliseconds(5))
            }
            self.state.withLock { $0.written.append(finished.call.id) }
            return .written
        }
        func call(_ id: CallID, of tenant: TenantID) async throws(StoreError) -> CallRecord? { nil }
        func calls(of tenant: TenantID, before: Date?, limit: Int) async throws(StoreError) -> [CallRecord] { [] }
    }

    private func calls(_ number: Int) throws -> [FinishedCall] {
        let tenant = try #require(TenantID("11111111-1111-1111-1111-111111111111"))
        return try (0..<number).map { index in
            FinishedCall(
                call: CallRecord(
                    id: try #require(CallID("call-\(index)")), tenant: tenant,
                    startedAt: Date(timeIntervalSince1970: Double(index)),
                    endedAt: Date(timeIntervalSince1970: Double(index + 1)), termination: .callerHungUp))
        }
    }

    private func withQueue(
        limit: Int, patience: Duration,
        _ body: (RecordsQueue, Held, CallSpool, SaidLines) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-queue-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (store, spool, lines) = (Held(), try CallSpool(path: folder + "/spool"), SaidLines())
        let queue = RecordsQueue(
            calls: DurableCalls(store: store, spool: spool), metrics: GatewayMetrics(),
            logger: Logger(level: .trace) { lines.add($0) }, limit: limit, patience: patience)
        try await body(queue, store, spool, lines)
    }

    private func until(_ condition: () async -> Bool) async throws {
        for _ in 0..<2000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it never came to be")
    }

    @Test("What waits beyond its time is on the disk, and comes from there: all of it, once")
    func patience() async throws {
        try await self.withQueue(limit: 1000, patience: .milliseconds(100)) { queue, store, spool, lines in
            let calls = try self.calls(50)
            for call in calls { queue.add(call) }
            try await self.until { queue.waiting == 0 }
            // One is with the database, the others wait for it on the disk.
            #expect(await !spool.isEmpty && store.written.isEmpty)
            store.open()
            await queue.finish()
            let outcome = try await spool.replay(into: store)
            #expect(outcome.written == 49)
            #expect(Set(store.written).count == 50 && store.written.count == 50)
            #expect(lines.all.contains { $0.contains("the database is behind") })
        }
    }

    @Test("More than the bound never wait in memory")
    func bound() async throws {
        try await self.withQueue(limit: 5, patience: .seconds(3600)) { queue, store, spool, _ in
            for call in try self.calls(200) { queue.add(call) }
            try await self.until { queue.waiting <= 5 }
            store.open()
            await queue.finish()
            _ = try await spool.replay(into: store)
            #expect(Set(store.written).count == 200)
        }
    }

    @Test("A call that ends after the others were written waits on the disk for the next start, and is told")
    func late() async throws {
        try await self.withQueue(limit: 1000, patience: .seconds(30)) { queue, store, spool, lines in
            store.open()
            let calls = try self.calls(3)
            queue.add(calls[0])
            await queue.finish()
            for call in calls.dropFirst() { queue.add(call) }
            await queue.finish()
            #expect(store.written == [calls[0].call.id])
            #expect(lines.all.count { $0.contains("Call spooled") } == 2)
            #expect(try await spool.replay(into: store).written == 2)
            #expect(Set(store.written) == Set(calls.map(\.call.id)))
        }
    }

    @Test("A database that keeps up gets every call, in order, and the disk none")
    func keepsUp() async throws {
        try await self.withQueue(limit: 1000, patience: .seconds(30)) { queue, store, spool, _ in
            store.open()
            let calls = try self.calls(100)
            for call in calls { queue.add(call) }
            await queue.finish()
            #expect(store.written == calls.map(\.call.id))
            #expect(await spool.isEmpty)
        }
    }
}

/// Lines that a logger said.
private final class SaidLines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { self.lines.withLock { $0 } }
    func add(_ line: String) { self.lines.withLock { $0.append(line) } }
}
