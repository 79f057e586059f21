import Records
import Telephony

/// The end of a call, kept whatever happens: in the database, or in the spool until the database takes it.
package struct DurableCalls: Sendable {
    package enum Outcome: Sendable, Equatable {
        case written
        case alreadyWritten
        /// The database could not take it for this reason; the spool did.
        case spooled(StoreError)
        /// The database will never take all of it, for this reason: it is in `PATH.damaged`, for people. `hasAccount`:
        /// the call's own row is in the database.
        case setAside(StoreError, hasAccount: Bool)
    }

    private let store: any CallRecordStore
    private let spool: CallSpool

    package init(store: any CallRecordStore, spool: CallSpool) {
        self.store = store
        self.spool = spool
    }

    /// Throws only when nothing could take the call: neither the database nor the disk.
    @discardableResult
    package func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> Outcome {
        do throws(StoreError) {
            switch try await self.store.finish(finished, of: tenant) {
            case .written: return .written
            case .alreadyWritten: return .alreadyWritten
            }
        } catch {
            guard error.isRetryable else { return try await self.setAside(finished, error) }
            try await self.spool.append(finished)
            return .spooled(error)
        }
    }

    /// Without asking the database, which is behind.
    package func spool(_ finished: FinishedCall) async throws(StoreError) { try await self.spool.append(finished) }

    /// A table that was adopted may have rules of its own: one more column that must not be empty, a narrower text.
    private func setAside(
        _ finished: FinishedCall, _ error: StoreError
    ) async throws(StoreError) -> Outcome {
        // A call in another tenant's name is no account of this one's.
        guard error.code != .otherTenant else { throw error }
        do throws(StoreError) {
            try await self.spool.setAside(finished)
        } catch {
            // The disk does not take it: then at least the account.
            _ = try await CallSpool.account(of: finished, to: self.store)
            throw error
        }
        do throws(StoreError) {
            return .setAside(error, hasAccount: try await CallSpool.account(of: finished, to: self.store))
        } catch {
            // The database went away in between: the account waits.
            try await self.spool.append(FinishedCall(call: finished.call))
            return .setAside(error, hasAccount: true)
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
