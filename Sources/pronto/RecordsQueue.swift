import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony

/// Finished calls on their way to the database, in order, off the loops.
///
/// What waits in memory is on no disk. So it does not wait there for long: while the database is slow, what has waited for
/// `patience`, or is beyond `limit`, goes to the spool, from where it is replayed.
final class RecordsQueue: Sendable {
    private struct State {
        var waiting: [(call: FinishedCall, since: ContinuousClock.Instant)] = []
        var isFinishing = false
        /// The writer has returned: nobody takes what comes now.
        var isOver = false
        /// On their way to the spool.
        var late: [Task<Void, Never>] = []
        /// The writer, where it waits for a call.
        var wake: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let calls: DurableCalls
    private let metrics: GatewayMetrics
    private let logger: Logger
    private let limit: Int
    private let patience: Duration
    private let tasks = Mutex<[Task<Void, Never>]>([])

    init(
        calls: DurableCalls, metrics: GatewayMetrics, logger: Logger, limit: Int = 64,
        patience: Duration = .seconds(2)
    ) {
        self.calls = calls
        self.metrics = metrics
        self.logger = logger
        self.limit = limit
        self.patience = patience
        self.tasks.withLock { tasks in
            tasks.append(Task { [self] in await self.write() })
            tasks.append(Task { [self] in await self.relieve() })
        }
    }

    /// Takes a finished call. Never blocks.
    @Sendable func add(_ finished: FinishedCall) {
        let wake = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isOver else {
                state.late.append(Task { [self] in await self.spool(finished) })
                return nil
            }
            state.waiting.append((finished, .now))
            defer { state.wake = nil }
            return state.wake
        }
        wake?.resume()
    }

    /// Calls that are in memory only.
    var waiting: Int { self.state.withLock { $0.waiting.count } }

    /// Waits until all is written. What comes later goes to the spool; another `finish`, when nothing can come any more,
    /// waits for that too.
    func finish() async {
        let wake = self.state.withLock { state in
            state.isFinishing = true
            defer { state.wake = nil }
            return state.wake
        }
        wake?.resume()
        // The writer last takes what there is; meanwhile the other goes on to relieve it.
        let tasks = self.tasks.withLock { $0 }
        await tasks.first?.value
        tasks.last?.cancel()
        await tasks.last?.value
        let late = self.state.withLock { state in
            defer { state.late = [] }
            return state.late
        }
        for task in late { await task.value }
    }

    private func write() async {
        while true {
            let (next, isFinishing) = self.state.withLock { state -> (FinishedCall?, Bool) in
                guard state.waiting.isEmpty else { return (state.waiting.removeFirst().call, state.isFinishing) }
                state.isOver = state.isFinishing
                return (nil, state.isFinishing)
            }
            guard let next else {
                if isFinishing { return }
                await self.sleep()
                continue
            }
            do throws(StoreError) {
                self.tell(try await self.calls.finish(next, of: next.call.tenant), next)
            } catch {
                self.lost(next, error)
            }
        }
    }

    private func sleep() async {
        await withCheckedContinuation { continuation in
            let isWanted = self.state.withLock { state in
                guard state.waiting.isEmpty, !state.isFinishing else { return true }
                state.wake = continuation
                return false
            }
            if isWanted { continuation.resume() }
        }
    }

    /// Takes from the queue what waits for too long behind a slow database.
    private func relieve() async {
        while !Task.isCancelled {
            let late: [FinishedCall] = self.state.withLock { state in
                let now = ContinuousClock.now
                let count = max(
                    state.waiting.count - self.limit, state.waiting.prefix { now - $0.since > self.patience }.count)
                let late = count > 0 ? state.waiting.prefix(count).map(\.call) : []
                state.waiting.removeFirst(late.count)
                return late
            }
            if !late.isEmpty {
                self.logger.warning(
                    "Calls spooled: the database is behind", ["records.spooled": .integer(late.count)])
            }
            for finished in late {
                do throws(StoreError) {
                    try await self.calls.spool(finished)
                    self.metrics.spooledRecords.increment()
                } catch {
                    // Neither disk nor database: the database is asked once more, whatever time it takes.
                    do throws(StoreError) {
                        self.tell(try await self.calls.finish(finished, of: finished.call.tenant), finished)
                    } catch {
                        self.lost(finished, error)
                    }
                }
            }
            // Cancelled when there is nothing left to do, which the loop's condition sees.
            try? await Task.sleep(for: min(self.patience / 4, .milliseconds(250)))
        }
    }

    /// A call that ended when the database is no longer asked: it waits for the next start.
    private func spool(_ finished: FinishedCall) async {
        do throws(StoreError) {
            try await self.calls.spool(finished)
            self.metrics.spooledRecords.increment()
            self.logger.warning(
                "Call spooled: it ended after the others were written",
                ["call.id": .string(finished.call.id.text)])
        } catch {
            self.lost(finished, error)
        }
    }

    private func tell(_ outcome: DurableCalls.Outcome, _ finished: FinishedCall) {
        switch outcome {
        case .written, .alreadyWritten: break
        case .spooled(let error):
            self.metrics.spooledRecords.increment()
            self.logger.warning(
                "Call spooled: the database did not take it", ["store.error": .string("\(error.code)")])
        case .setAside(let error, let hasAccount):
            self.metrics.setAsideRecords.increment()
            self.logger.error(
                "Call set aside: the database refuses it",
                [
                    "call.id": .string(finished.call.id.text), "store.error": .string("\(error)"),
                    "records.account": .string(hasAccount ? "written" : "refused"),
                ])
        }
    }

    private func lost(_ finished: FinishedCall, _ error: StoreError) {
        self.metrics.lostRecords.increment()
        self.logger.error(
            "Call record lost",
            ["call.id": .string(finished.call.id.text), "store.error": .string("\(error.code)")])
    }
}
