import Foundation
import Observability
import Records
import Stores
import Synchronization
import Telephony

/// Which tenants have spent what they may of this calendar month (UTC): asked of the records from time to time, told to
/// admission from memory. A call that began goes on; while the database is away the last answer stands.
final class TenantSpending: Sendable {
    private let over = Mutex<Set<TenantID>>([])
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    func isOver(_ tenant: TenantID) -> Bool { self.over.withLock { $0.contains(tenant) } }

    /// Asks each 15 seconds, until it is cancelled.
    func follow(_ policies: TenantPolicies, _ store: any RecordsStore) async {
        while !Task.isCancelled {
            await self.refresh(policies.all, at: Date()) { tenant, month throws(StoreError) in
                try await store.spent(by: tenant, since: month).map(\.micros).max() ?? 0
            }
            // Ends early only by cancellation, which the loop's condition sees.
            try? await Task.sleep(for: .seconds(15))
        }
    }

    /// Asks for every tenant that has a limit. `spent`: in millionths, since a moment; of several currencies the one that
    /// most was spent of.
    func refresh(
        _ policies: [TenantID: TenantPolicy], at now: Date,
        spent: (TenantID, Date) async throws(StoreError) -> Int
    ) async {
        let month = Self.month(of: now)
        var over: Set<TenantID> = []
        for (tenant, policy) in policies {
            guard let limit = policy.limits.spendMicros else { continue }
            do throws(StoreError) {
                if try await spent(tenant, month) >= limit { over.insert(tenant) }
            } catch {
                // Neither punished nor forgiven by a database that is away.
                if self.isOver(tenant) { over.insert(tenant) }
            }
        }
        let found = over
        let (new, gone) = self.over.withLock { known in
            defer { known = found }
            return (found.subtracting(known), known.subtracting(found))
        }
        for tenant in new {
            self.logger.warning(
                "A tenant has spent what it may this month: new calls go to their fallback",
                ["tenant.id": .string(tenant.text)])
        }
        for tenant in gone {
            self.logger.info("A tenant may spend again", ["tenant.id": .string(tenant.text)])
        }
    }

    /// When the month of `date` began.
    static func month(of date: Date) -> Date {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar.dateInterval(of: .month, for: date)?.start ?? date
    }
}
