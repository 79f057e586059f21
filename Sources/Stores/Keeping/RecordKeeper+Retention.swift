import Foundation
import Records
import Telephony

extension RecordKeeper {
    /// What one sweep took away.
    package struct Sweep: Sendable, Equatable {
        package var calls = 0
        package var conversations = 0
        package var recordings = 0
        package var activities = 0
        package var spooled = 0
        /// Recordings that are still to go: see `catchUp`.
        package var left = 0
        /// Tenants whose sweep broke off, and why. The others' did not.
        package var failures: [TenantID: StoreError] = [:]
        package init() {}
        package var isEmpty: Bool { self == Sweep() }
    }

    /// Takes away what every tenant's retention no longer covers.
    package func sweep(installation: Retention, at now: Date) async throws(StoreError) -> Sweep {
        let policies = try await self.store.policies()
        var sweep = Sweep()
        var inARow = 0
        for tenant in try await self.store.tenants() {
            guard !Task.isCancelled else { break }
            let retention = policies[tenant.id]?.retention ?? Retention()
            do throws(StoreError) {
                try await self.sweep(tenant.id, retention, installation, at: now, &sweep)
                inARow = 0
            } catch {
                if Task.isCancelled { break }
                sweep.failures[tenant.id] = error
                inARow += 1
                // One tenant's rows are in trouble, or the database is: that one is left alone.
                if error.code == .closed || (inARow == 3 && error.isRetryable) { break }
            }
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
            try await self.sweepSpool(tenant, calls: calls, conversations: conversations, at: now, &sweep)
        }
        if let end = end(.recordings) { try await self.sweepRecordings(tenant, end, &sweep) }
        if let end = conversations {
            while true {
                let count = try await self.store.removeConversations(of: tenant, before: end, limit: Self.step)
                sweep.conversations += count
                guard count == Self.step else { break }
                try await self.rest()
            }
        }
        if let end = calls { try await self.sweepCalls(tenant, end, &sweep) }
        if let end = end(.activity), let activities = self.activities {
            while true {
                let count = try await activities.removeActivities(of: tenant, before: end, limit: Self.step)
                sweep.activities += count
                guard count == Self.step else { break }
                try await self.rest()
            }
        }
    }

    private func sweepRecordings(
        _ tenant: TenantID, _ end: Date, _ sweep: inout Sweep
    ) async throws(StoreError) {
        var before: [CallTrace] = []
        while true {
            let calls = try await self.store.recordings(of: tenant, before: end, limit: Self.step)
            guard !calls.isEmpty else { break }
            try Self.check(calls, isNot: before)
            before = calls
            let left = self.removeRecordings(of: calls, tenant, &sweep.recordings)
            sweep.left += left.count
            _ = try await self.store.clearRecordings(of: calls, tenant: tenant, noting: left)
            try await self.rest()
        }
        sweep.recordings += self.recordings.removeFiles(of: tenant, before: end, limit: 10_000)
    }

    private func sweepCalls(_ tenant: TenantID, _ end: Date, _ sweep: inout Sweep) async throws(StoreError) {
        var before: [CallTrace] = []
        while true {
            let calls = try await self.store.calls(of: tenant, before: end, limit: Self.step)
            guard !calls.isEmpty else { return }
            try Self.check(calls, isNot: before)
            before = calls
            let left = self.removeRecordings(of: calls, tenant, &sweep.recordings)
            sweep.left += left.count
            sweep.calls += try await self.store.removeCalls(calls, tenant: tenant, noting: left)
            try await self.rest()
        }
    }

    private func sweepSpool(
        _ tenant: TenantID, calls: Date?, conversations: Date?, at now: Date, _ sweep: inout Sweep
    ) async throws(StoreError) {
        let month = CivilMonth.start(of: now)
        let work = try await self.editSpool({ finished -> SpoolEdit? in
            guard finished.call.tenant == tenant, let calls, finished.call.startedAt < calls else { return nil }
            let account = FinishedCall(call: finished.call.withoutCaller)
            guard finished.call.startedAt >= month, finished.call.cost != nil else { return { _ in nil } }
            // What it cost counts this month: the database takes the account, and keeps the sum when it goes.
            guard account != finished else { return nil }
            return { _ in account }
        })
        sweep.spooled += work.lines
        sweep.recordings += work.removed
        sweep.left += work.noted
        guard let conversations, let spool = self.spool else { return }
        sweep.spooled += try await spool.rewrite(edit: { finished in
            guard finished.call.tenant == tenant, finished.conversation != nil,
                finished.call.startedAt < conversations
            else { return finished }
            return FinishedCall(call: finished.call)
        })
    }
}

/// Months as spending is counted: of UTC.
enum CivilMonth {
    static func start(of date: Date) -> Date {
        Timestamp.date(String(Timestamp.text(date).prefix(7)) + "-01T00:00:00.000Z") ?? date
    }
}
