import Foundation
import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony

/// Keeps the assistants in memory as the database has them: reads at the start, follows every change, and says which rows
/// had to be left out.
///
/// While the database is away the last known configuration answers; with PostgreSQL also after a restart, from a copy in a
/// file.
final class ConfigurationLoader: Sendable {
    /// A row that is wrong is told once; of very many only so many.
    private static let toldAtOnce = 20
    /// The copy is written at most this often.
    private static let copyPause = Duration.seconds(60)

    private struct State {
        var faults: Set<ConfigurationFault> = []
        var awaySince: ContinuousClock.Instant?
        var isCopyOld = true
        var copied: ContinuousClock.Instant?
    }

    private let store: SQLStore
    private let directory: AssistantDirectory
    private let copy: ConfigurationCopy?
    private let secretKeys: SecretKeys?
    private let logger: Logger
    private let faulty: Gauge
    private let age: Gauge
    private let state = Mutex(State())
    private let turns = Turns()

    init(
        store: SQLStore, directory: AssistantDirectory, copy: ConfigurationCopy?, secretKeys: SecretKeys?,
        logger: Logger, registry: MetricsRegistry
    ) {
        self.store = store
        self.directory = directory
        self.copy = copy
        self.secretKeys = secretKeys
        self.logger = logger
        self.faulty = registry.gauge(
            "voice_ai_realtime_configuration_faults", "Rows of the configuration that are not as they must be")
        self.age = registry.gauge(
            "voice_ai_realtime_configuration_age_seconds", "How long ago the configuration was last confirmed")
    }

    /// The first reading: from the database, or, when it is away, from the copy.
    func begin() async throws(StoreError) {
        do throws(StoreError) {
            try await self.read(nil)
        } catch {
            guard error.code == .unavailable, let copy = self.copy, let age = copy.age() else { throw error }
            let reading = try copy.read(secretKeys: self.secretKeys)
            self.directory.restore(reading, age: age)
            self.tell(reading)
            self.state.withLock { $0.awaySince = .now }
            self.logger.warning(
                "The database is away: the configuration is the one of the last run",
                [
                    "configuration.age_seconds": .integer(Int(age.components.seconds)),
                    "store.error": .string("\(error)"),
                ])
        }
    }

    /// Reads everything anew (SIGHUP).
    func reload() async throws(StoreError) { try await self.read(nil) }

    /// Follows the database until the task is cancelled. `applied` is called after every change, `returned` when the
    /// database answers again.
    func run(applied: @escaping @Sendable () async -> Void, returned: @escaping @Sendable () async -> Void) async {
        await self.store.watchConfiguration { news in
            switch news {
            case .unchanged:
                self.directory.confirm()
                if self.isBack() { await returned() }
                await self.keepCopy()
            case .changed(let tenants):
                do throws(StoreError) {
                    try await self.read(tenants)
                    await applied()
                    if self.isBack() { await returned() }
                    self.state.withLock { $0.isCopyOld = true }
                    await self.keepCopy()
                } catch {
                    self.isAway(error)
                }
            case .away(let error): self.isAway(error)
            }
            self.age.set(Int(self.directory.unconfirmed.components.seconds))
        }
    }

    private func read(_ tenants: Set<TenantID>?) async throws(StoreError) {
        // One after another: a reading that began before a change must not be applied after the one that has it.
        await self.turns.take()
        let result: Result<Void, StoreError>
        do throws(StoreError) {
            let reading = try await self.store.configuration(of: tenants)
            self.directory.apply(reading)
            self.tell(reading)
            // What the old one had, and what the rows were read through, goes back to the system.
            if tenants == nil { Heap.giveBack() }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await self.turns.pass()
        try result.get()
    }

    /// Whose turn it is, in the order of asking.
    private actor Turns {
        private var isTaken = false
        private var waiting: [CheckedContinuation<Void, Never>] = []

        func take() async {
            guard self.isTaken else {
                self.isTaken = true
                return
            }
            await withCheckedContinuation { self.waiting.append($0) }
        }

        func pass() {
            if self.waiting.isEmpty { self.isTaken = false } else { self.waiting.removeFirst().resume() }
        }
    }

    private func tell(_ reading: ConfigurationReading) {
        let (new, count) = self.state.withLock { state in
            let found = Set(reading.faults)
            let others = state.faults.filter { fault in
                reading.asked.map { asked in !(fault.tenant.map { asked.contains($0) } ?? false) } ?? false
            }
            let new = found.subtracting(state.faults)
            state.faults = found.union(others)
            return (new, state.faults.count)
        }
        self.faulty.set(count)
        for fault in new.sorted(by: { ($0.table, $0.row) < ($1.table, $1.row) }).prefix(Self.toldAtOnce) {
            self.logger.warning(
                "A row of the configuration is not as it must be, and left out or used in part",
                [
                    "table": .string(fault.table), "row": .string(fault.row), "reason": .string(fault.message),
                ])
        }
        if new.count > Self.toldAtOnce {
            self.logger.warning(
                "More rows of the configuration are not as they must be",
                ["rows": .integer(new.count - Self.toldAtOnce)])
        }
    }

    private func isAway(_ error: StoreError) {
        let isNew = self.state.withLock { state in
            defer { state.awaySince = state.awaySince ?? .now }
            return state.awaySince == nil
        }
        guard isNew else { return }
        self.logger.warning(
            "Configuration not reloaded: the last one stands", ["store.error": .string("\(error)")])
    }

    /// Whether it was away.
    private func isBack() -> Bool {
        let since = self.state.withLock { state in
            defer { state.awaySince = nil }
            return state.awaySince
        }
        guard let since else { return false }
        self.logger.info(
            "The database answers again",
            ["away.seconds": .integer(Int((ContinuousClock.now - since).components.seconds))])
        return true
    }

    private func keepCopy() async {
        guard let copy = self.copy else { return }
        let now = ContinuousClock.now
        let (isDue, isOld) = self.state.withLock { state in
            let isDue = state.copied.map { now - $0 > Self.copyPause } ?? true
            if isDue { state.copied = now }
            return (isDue, state.isCopyOld)
        }
        guard isDue else { return }
        guard isOld else { return copy.confirm() }
        do throws(StoreError) {
            self.state.withLock { $0.isCopyOld = false }
            try await copy.write(from: self.store)
        } catch {
            self.state.withLock { $0.isCopyOld = true }
            self.logger.warning(
                "The copy of the configuration was not written: a restart without the database would know nothing",
                ["store.error": .string("\(error)")])
        }
    }
}
