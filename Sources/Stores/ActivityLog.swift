import Foundation
import Records
import Synchronization
import Telephony

/// Routing decisions on their way to `voip_activity_log`: taken at once, written together a moment later, off every
/// loop.
///
/// Bounded: while the database is away the newest decisions are kept, and those that are given up are counted. They are
/// telemetry: a call's own record is never lost so (`DurableCalls`).
package final class ActivityLog: Sendable {
    package struct Limits: Sendable {
        /// Decisions that wait at most: ten seconds of 1 000 a second.
        package var waiting = 10_000
        /// Rows of one transaction.
        package var batch = 500
        /// How long decisions gather before they are written.
        package var pause: Duration = .milliseconds(250)
        /// The longest pause after failures; each doubles it.
        package var longestPause: Duration = .seconds(10)
        package init() {}
    }

    private struct State {
        var waiting: [ActivityRecord] = []
        var dropped = 0
        var isFinishing = false
    }

    private let state = Mutex(State())
    private let limits: Limits
    private let store: any RoutingStore
    private let writer: Mutex<Task<Void, Never>?>
    private let report: @Sendable (Outcome) -> Void

    /// What became of a batch.
    package enum Outcome: Sendable, Equatable {
        case written(Int)
        /// Kept, and tried again.
        case failed(StoreError)
        /// The database would never take them.
        case refused(StoreError, Int)
    }

    package init(
        store: any RoutingStore, limits: Limits = Limits(), report: @escaping @Sendable (Outcome) -> Void = { _ in }
    ) {
        self.store = store
        self.limits = limits
        self.report = report
        self.writer = Mutex(nil)
    }

    /// Begins to write. Once.
    package func start() {
        self.writer.withLock { writer in
            precondition(writer == nil, "started twice")
            writer = Task { [self] in await self.run() }
        }
    }

    /// Takes a decision. Never blocks. False: the oldest that waited was given up for it.
    @discardableResult
    package func add(_ decision: ActivityRecord) -> Bool {
        self.state.withLock { state in
            state.waiting.append(decision)
            guard state.waiting.count > self.limits.waiting else { return true }
            // A tenth at once: one by one, each would move all the others.
            let surplus = max(1, self.limits.waiting / 10)
            state.waiting.removeFirst(surplus)
            state.dropped += surplus
            return false
        }
    }

    /// Decisions that were given up since the start.
    package var dropped: Int { self.state.withLock { $0.dropped } }
    package var waiting: Int { self.state.withLock { $0.waiting.count } }

    private func run() async {
        var pause = self.limits.pause
        // Halved by what fails: a batch that takes longer than a question may would fail for ever.
        var size = self.limits.batch
        var (refused, reason) = (0, StoreError?.none)
        func tell(_ error: StoreError?) {
            if let error, refused > 0 { self.report(.refused(error, refused)) }
            refused = 0
        }
        while true {
            let isFinishing = self.state.withLock { $0.isFinishing }
            let wanted = size
            let batch = self.state.withLock { Array($0.waiting.prefix(wanted)) }
            if batch.isEmpty {
                tell(reason)
                if isFinishing { return }
                pause = self.limits.pause
            } else {
                do throws(StoreError) {
                    try await self.store.log(batch)
                    self.forget(batch)
                    self.report(.written(batch.count))
                    pause = self.limits.pause
                    tell(reason)
                    if batch.count == size || isFinishing {
                        size = min(size * 2, self.limits.batch)
                        continue
                    }
                    size = self.limits.batch
                } catch {
                    size = max(1, batch.count / 2)
                    if error.isRetryable {
                        self.report(.failed(error))
                        pause = min(pause * 2, self.limits.longestPause)
                        // The process ends: one try was all.
                        if isFinishing { return self.giveUp() }
                    } else if batch.count > 1 {
                        // One of them is refused: which?
                        continue
                    } else {
                        self.forget(batch)
                        self.state.withLock { $0.dropped += 1 }
                        // Told together: a table that refuses all would fill the log.
                        refused += 1
                        if refused == self.limits.batch { tell(error) }
                        reason = error
                        continue
                    }
                }
            }
            // Cancelled by `finish`, which wants what waits to be written at once.
            try? await Task.sleep(for: pause)
        }
    }

    private func giveUp() {
        self.state.withLock { state in
            state.dropped += state.waiting.count
            state.waiting = []
        }
    }

    /// What was written, by id: the oldest may have been given up meanwhile.
    private func forget(_ batch: [ActivityRecord]) {
        let ids = Set(batch.map(\.id))
        self.state.withLock { state in
            let end = state.waiting.prefix(batch.count).prefix { ids.contains($0.id) }.count
            state.waiting.removeFirst(end)
        }
    }

    /// Writes what waits, and ends.
    package func finish() async {
        self.state.withLock { $0.isFinishing = true }
        guard let writer = self.writer.withLock({ $0 }) else { return await self.run() }
        writer.cancel()
        await writer.value
    }
}
