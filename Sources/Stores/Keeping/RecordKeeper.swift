import Foundation
import Records
import Telephony

/// Takes away what is too old, and what one caller left behind: rows, recordings, and lines of the spool.
///
/// In small steps, so that the database is free for calls in between, and in an order that survives a crash: a file goes
/// before the row that names it, the spool before the database (a line that is replayed in between is found there).
package struct RecordKeeper: Sendable {
    private let store: any RecordsStore
    private let spool: CallSpool?
    private let recordings: RecordingFolder
    private let activities: (any ActivityErasure)?
    /// Other places that know calls (a shared state of several nodes); nil: it could not be asked.
    private let elsewhere: (@Sendable ([CallID], TenantID) async -> Int?)?

    /// Rows of one step.
    private static let step = 200
    private static let pause = Duration.milliseconds(20)

    package init(
        store: any RecordsStore, spool: CallSpool?, recordings: RecordingFolder,
        activities: (any ActivityErasure)? = nil,
        elsewhere: (@Sendable ([CallID], TenantID) async -> Int?)? = nil
    ) {
        self.store = store
        self.spool = spool
        self.recordings = recordings
        self.activities = activities
        self.elsewhere = elsewhere
    }

    // MARK: One caller

    package func forget(caller number: String, of tenant: TenantID) async throws(StoreError) -> ErasureReport {
        let numbers = CallerNumbers.spellings(of: number)
        var report = ErasureReport()
        report.spooled = try await self.forgetSpooled(numbers, tenant)
        while true {
            let calls = try await self.store.calls(ofCaller: numbers, tenant: tenant, limit: Self.step)
            guard !calls.isEmpty else { break }
            // First: without the numbers the calls would not be found again.
            if let elsewhere = self.elsewhere, await elsewhere(calls.map(\.id), tenant) == nil {
                throw StoreError(.unavailable, "the state that the nodes share cannot be asked")
            }
            let left = self.removeRecordings(of: calls, tenant, &report.recordings)
            report.left += left.count { $0.recording != nil }
            report.conversations += try await self.store.forgetCaller(of: left, tenant: tenant)
            report.calls += calls.count
            await self.rest()
        }
        if let activities = self.activities {
            report.activities = try await activities.forgetActivities(ofCaller: numbers, tenant: tenant)
        }
        return report
    }

    private func forgetSpooled(
        _ numbers: [String], _ tenant: TenantID
    ) async throws(StoreError) -> Int {
        guard let spool = self.spool else { return 0 }
        let recordings = self.recordings
        return try await spool.rewrite(
            edit: { finished in
                guard finished.call.tenant == tenant, finished.call.isOf(numbers) else { return finished }
                var call = finished.call
                if let path = call.recording { _ = recordings.remove(path, of: tenant) }
                call.recording = nil
                call.caller = nil
                if call.direction == .outbound { call.dialed = nil }
                return FinishedCall(call: call)
            },
            // What no program can read, and mentions both, is most likely this caller's.
            keeps: { line in
                !(line.contains(tenant.text) && numbers.contains { line.contains("\"\($0)\"") })
            })
    }

    /// The calls as they are to be written: without the recordings that are gone.
    private func removeRecordings(
        of calls: [CallTrace], _ tenant: TenantID, _ removed: inout Int
    ) -> [CallTrace] {
        calls.map { call in
            guard let path = call.recording else { return call }
            var call = call
            switch self.recordings.remove(path, of: tenant) {
            case .removed:
                removed += 1
                call.recording = nil
            case .missing, .foreign: call.recording = nil
            case .failed: break
            }
            return call
        }
    }

    // MARK: What is too old

    /// What one sweep took away.
    package struct Sweep: Sendable, Equatable {
        package var calls = 0
        package var conversations = 0
        package var recordings = 0
        package var activities = 0
        package var spooled = 0
        /// Recordings that the disk would not let go.
        package var left = 0
        package init() {}
        package var isEmpty: Bool { self == Sweep() }
    }

    /// Takes away what every tenant's retention no longer covers.
    package func sweep(installation: Retention, at now: Date) async throws(StoreError) -> Sweep {
        let policies = try await self.store.policies()
        var sweep = Sweep()
        for tenant in try await self.store.tenants() {
            guard !Task.isCancelled else { break }
            let retention = policies[tenant.id]?.retention ?? Retention()
            try await self.sweep(tenant.id, retention, installation, at: now, &sweep)
        }
        return sweep
    }

    private func sweep(
        _ tenant: TenantID, _ retention: Retention, _ installation: Retention, at now: Date, _ sweep: inout Sweep
    ) async throws(StoreError) {
        func end(_ subject: Retention.Subject) -> Date? {
            retention.days(subject, otherwise: installation).map { now.addingTimeInterval(-86400 * Double($0)) }
        }
        let (calls, conversations) = (end(.calls), end(.conversations))
        if calls != nil || conversations != nil {
            sweep.spooled += try await self.sweepSpool(tenant, calls: calls, conversations: conversations)
        }
        if let end = end(.recordings) { try await self.sweepRecordings(tenant, end, &sweep) }
        if let end = conversations {
            while true {
                let count = try await self.store.removeConversations(of: tenant, before: end, limit: Self.step)
                sweep.conversations += count
                guard count == Self.step else { break }
                await self.rest()
            }
        }
        if let end = calls { try await self.sweepCalls(tenant, end, &sweep) }
        if let end = end(.activity), let activities = self.activities {
            while true {
                let count = try await activities.removeActivities(of: tenant, before: end, limit: Self.step)
                sweep.activities += count
                guard count == Self.step else { break }
                await self.rest()
            }
        }
    }

    private func sweepRecordings(
        _ tenant: TenantID, _ end: Date, _ sweep: inout Sweep
    ) async throws(StoreError) {
        while true {
            let calls = try await self.store.recordings(of: tenant, before: end, limit: Self.step)
            guard !calls.isEmpty else { break }
            let gone = self.removeRecordings(of: calls, tenant, &sweep.recordings).filter { $0.recording == nil }
            // Those that the disk keeps would come first for ever: the next sweep tries them again.
            guard !gone.isEmpty else {
                sweep.left += calls.count
                break
            }
            try await self.store.clearRecordings(of: gone, tenant: tenant)
            await self.rest()
        }
        sweep.recordings += self.recordings.removeFiles(of: tenant, before: end, limit: 10_000)
    }

    private func sweepCalls(_ tenant: TenantID, _ end: Date, _ sweep: inout Sweep) async throws(StoreError) {
        while true {
            let calls = try await self.store.calls(of: tenant, before: end, limit: Self.step)
            guard !calls.isEmpty else { return }
            let gone = self.removeRecordings(of: calls, tenant, &sweep.recordings).filter { $0.recording == nil }
            guard !gone.isEmpty else {
                sweep.left += calls.count
                return
            }
            sweep.calls += try await self.store.removeCalls(gone, tenant: tenant)
            await self.rest()
        }
    }

    private func sweepSpool(
        _ tenant: TenantID, calls: Date?, conversations: Date?
    ) async throws(StoreError) -> Int {
        guard let spool = self.spool else { return 0 }
        let recordings = self.recordings
        return try await spool.rewrite(edit: { finished in
            guard finished.call.tenant == tenant else { return finished }
            if let calls, finished.call.startedAt < calls {
                if let path = finished.call.recording { _ = recordings.remove(path, of: tenant) }
                return nil
            }
            if let conversations, finished.conversation != nil, finished.call.startedAt < conversations {
                return FinishedCall(call: finished.call)
            }
            return finished
        })
    }

    private func rest() async {
        // Fails only by cancellation, which the next round's question notices.
        try? await Task.sleep(for: Self.pause)
    }
}

extension CallRecord {
    /// Whether one of `numbers` made the call, or was called by us.
    fileprivate func isOf(_ numbers: [String]) -> Bool {
        if let caller = self.caller?.value, numbers.contains(caller) { return true }
        guard self.direction == .outbound, let dialed = self.dialed?.value else { return false }
        return numbers.contains(dialed)
    }
}
