import Records
import Telephony

/// The end of a call, kept whatever happens: in the database, or in the spool until the database takes it.
package struct DurableCalls: Sendable {
    package enum Outcome: Sendable, Equatable {
        case written
        case alreadyWritten
        /// The database could not take it for this reason; the spool did.
        case spooled(StoreError)
    }

    private let store: any CallRecordStore
    private let spool: CallSpool

    package init(store: any CallRecordStore, spool: CallSpool) {
        self.store = store
        self.spool = spool
    }

    /// Throws only when nothing could take the call: neither the database nor the spool, or what it says is not fit to
    /// be stored.
    @discardableResult
    package func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> Outcome {
        do throws(StoreError) {
            switch try await self.store.finish(finished, of: tenant) {
            case .written: return .written
            case .alreadyWritten: return .alreadyWritten
            }
        } catch {
            guard error.isRetryable else { throw error }
            try await self.spool.append(finished)
            return .spooled(error)
        }
    }

    /// Hands waiting calls to the database: at start, and then from time to time.
    package func replay() async throws(StoreError) -> CallSpool.Outcome {
        try await self.spool.replay(into: self.store)
    }

    /// Replays at once and every `interval`, until it is cancelled. `report` hears of every round that found something
    /// or failed.
    package func run(
        every interval: Duration = .seconds(30),
        report: @Sendable (Result<CallSpool.Outcome, StoreError>) -> Void
    ) async {
        while !Task.isCancelled {
            await self.replayOnce(report: report)
            // Fails only by cancellation, which the loop's condition sees.
            try? await Task.sleep(for: interval)
        }
    }

    /// One round of it.
    package func replayOnce(report: @Sendable (Result<CallSpool.Outcome, StoreError>) -> Void) async {
        do throws(StoreError) {
            let outcome = try await self.replay()
            if outcome != CallSpool.Outcome() { report(.success(outcome)) }
        } catch {
            report(.failure(error))
        }
    }
}
