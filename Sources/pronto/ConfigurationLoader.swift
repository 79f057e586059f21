import Foundation
import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony

/// Keeps what calls are answered by in memory as the database has it: reads at the start, follows every change, and says
/// which rows had to be left out. The assistants are its own; routing, policies and keys read their part when it says so.
///
/// While the database is away the last known configuration answers; with PostgreSQL also after a restart, from a copy in a
/// file. What could not be read is told again by the watch, and nothing is confirmed until all of it has been.
final class ConfigurationLoader: Sendable {
    /// Reads another part of the tenants that are named, or of all; what it answers applies what it has read.
    typealias Part = @Sendable (Set<TenantID>?) async throws(StoreError) -> @Sendable () -> Void

    private struct Away {
        var since: ContinuousClock.Instant
        /// What has been told of it; nil: nothing but that there was a copy.
        var code: StoreError.Code?
    }

    private let store: SQLStore
    private let directory: AssistantDirectory
    private let copy: ConfigurationCopy?
    private let keeping: CopyKeeping
    private let secretKeys: SecretKeys?
    private let logger: Logger
    private let faults: FaultTelling
    private let away = Mutex<Away?>(nil)
    private let part = Mutex<Part?>(nil)
    private let turns: Turns

    /// - Parameter turns: shared with whoever else reads and applies a part.
    init(
        store: SQLStore, directory: AssistantDirectory, copy: ConfigurationCopy?, secretKeys: SecretKeys?,
        turns: Turns, faults: FaultTelling, logger: Logger, registry: MetricsRegistry
    ) {
        self.turns = turns
        self.store = store
        self.directory = directory
        self.copy = copy
        self.keeping = CopyKeeping(copy, store, logger)
        self.secretKeys = secretKeys
        self.logger = logger
        self.faults = faults
        registry.computed(
            "voice_ai_realtime_configuration_faults", "Rows of the configuration that are not as they must be"
        ) { Double(faults.count) }
        registry.computed(
            "voice_ai_realtime_configuration_age_seconds", "How long ago the configuration was last confirmed"
        ) { Double(directory.unconfirmed.components.seconds) }
    }

    /// What else is read with every change from now on, in the same turn: nothing is applied before all has been read.
    func alsoReads(_ part: @escaping Part) { self.part.withLock { $0 = part } }

    /// The first reading: from the database, or, when it is away or locked, from the copy.
    func begin() async throws(StoreError) {
        do throws(StoreError) {
            try await self.read(nil)
        } catch {
            guard error.isPassing, let copy = self.copy, let age = copy.age() else { throw error }
            let reading = try copy.read(secretKeys: self.secretKeys)
            self.directory.restore(reading, age: age)
            self.faults.tell(reading.faults, in: .assistants, of: nil)
            self.away.withLock { $0 = Away(since: .now) }
            self.logger.warning(
                "The database is away: the configuration is the one of the last run",
                [
                    "configuration.age_seconds": .integer(Int(age.components.seconds)),
                    "store.error": .string("\(error)"),
                ])
        }
    }

    /// Reads everything anew: SIGHUP, and another node's word.
    func reload() async throws(StoreError) {
        try await self.read(nil)
        self.keeping.changed()
    }

    /// Follows the database until the task is cancelled. `returned` is called when it answers again.
    func run(returned: @escaping @Sendable () async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keeping.run() }
            group.addTask {
                await self.store.watchConfiguration { news in await self.dealtWith(news, returned) }
            }
        }
    }

    private func dealtWith(_ news: ConfigurationNews, _ returned: @Sendable () async -> Void) async -> Bool {
        switch news {
        case .unchanged:
            // Only now: one tenant's change that was read says nothing of another's that could not be.
            self.directory.confirm()
            self.keeping.confirmed()
        case .changed(let tenants):
            do throws(StoreError) {
                try await self.read(tenants)
            } catch {
                self.isAway(error)
                return false
            }
            self.keeping.changed()
        case .away(let error):
            self.isAway(error)
            return false
        }
        if self.isBack() { await returned() }
        return true
    }

    private func read(_ tenants: Set<TenantID>?) async throws(StoreError) {
        try await self.turns.inTurn { () async throws(StoreError) in
            let reading = try await self.store.configuration(of: tenants)
            let part = self.part.withLock { $0 }
            let applyPart = try await part?(tenants)
            self.directory.apply(reading)
            self.faults.tell(reading.faults, in: .assistants, of: reading.asked)
            applyPart?()
            guard tenants == nil else { return }
            self.directory.confirm()
            // What the old one had, and what the rows were read through, goes back to the system.
            Heap.giveBack()
        }
    }

    /// Said once, and again when the reason is another one.
    private func isAway(_ error: StoreError) {
        let isNew = self.away.withLock { away in
            defer { away = Away(since: away?.since ?? .now, code: error.code) }
            return away == nil || (away?.code).map { $0 != error.code } ?? !error.isPassing
        }
        guard isNew else { return }
        self.logger.warning(
            "Configuration not reloaded: the last one stands", ["store.error": .string("\(error)")])
    }

    /// Whether it was away.
    private func isBack() -> Bool {
        let since = self.away.withLock { away in
            defer { away = nil }
            return away?.since
        }
        guard let since else { return false }
        self.logger.info(
            "The database answers again",
            ["away.seconds": .integer(Int((ContinuousClock.now - since).components.seconds))])
        return true
    }
}
