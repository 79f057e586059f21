import Observability
import Records
import Synchronization
import Telephony

/// Tells what is wrong with rows of the configuration: each fault once, until it was repaired.
final class FaultTelling: Sendable {
    /// Of very many only so many are told by name.
    private static let atOnce = 20

    /// What was read: of another reading's faults it says nothing.
    enum Reading: Sendable { case assistants, access }

    private let logger: Logger
    private let known = Mutex<[Reading: Set<ConfigurationFault>]>([:])

    init(_ logger: Logger) { self.logger = logger }

    /// How many there are.
    var count: Int { self.known.withLock { $0.values.reduce(0) { $0 + $1.count } } }

    /// What a reading of the tenants that are named, or of all, has found.
    func tell(_ faults: [ConfigurationFault], in reading: Reading, of asked: Set<TenantID>?) {
        let new = self.known.withLock { all in
            let (known, found) = (all[reading] ?? [], Set(faults))
            let others = known.filter { fault in
                asked.map { asked in !(fault.tenant.map { asked.contains($0) } ?? false) } ?? false
            }
            all[reading] = found.union(others)
            return found.subtracting(known)
        }
        for fault in new.sorted(by: { ($0.table, $0.row) < ($1.table, $1.row) }).prefix(Self.atOnce) {
            self.logger.warning(
                "A row of the configuration is not as it must be, and left out or used in part",
                [
                    "table": .string(fault.table), "row": .string(fault.row), "reason": .string(fault.message),
                ])
        }
        if new.count > Self.atOnce {
            self.logger.warning(
                "More rows of the configuration are not as they must be", ["rows": .integer(new.count - Self.atOnce)])
        }
    }
}
