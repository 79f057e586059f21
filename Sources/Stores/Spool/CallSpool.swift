import Foundation
import Glibc
import Records
import Telephony

/// Finished calls that the database could not take, one a line, until it can.
///
/// Nothing is lost and nothing doubled: a line is on the disk before `append` returns; it leaves the file after the
/// database has answered; and the database takes a call that it has already for what it is. Lines that can never be
/// stored (damaged, refused) move to `PATH.damaged`, for people. Programs that share a spool take turns (`PATH.lock`).
package actor CallSpool {
    /// What became of the lines.
    package struct Outcome: Sendable, Equatable {
        package var written = 0
        package var alreadyWritten = 0
        /// Back in the spool: the database still refuses.
        package var kept = 0
        /// Moved to `PATH.damaged`.
        package var damaged = 0
        package init(written: Int = 0, alreadyWritten: Int = 0, kept: Int = 0, damaged: Int = 0) {
            self.written = written
            self.alreadyWritten = alreadyWritten
            self.kept = kept
            self.damaged = damaged
        }
    }

    private nonisolated let executor: ThreadExecutor
    let path: String
    private let file: AppendFile
    private let damaged: AppendFile
    private var isReplaying = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    /// `limit` in bytes; a call of ten minutes is some 10 KB.
    package init(path: String, limit: Int = 512 * 1024 * 1024) throws(StoreError) {
        guard let executor = ThreadExecutor() else { throw StoreError(.unavailable, "the system gives no thread") }
        self.executor = executor
        self.path = path
        self.file = AppendFile(path: path, limit: limit)
        self.damaged = AppendFile(path: path + ".damaged", limit: limit)
    }

    // Nobody can ask any more: the thread may end.
    deinit { self.executor.stop() }

    /// Whether lines wait.
    package var isEmpty: Bool {
        !FileManager.default.fileExists(atPath: self.path) && !FileManager.default.fileExists(atPath: self.working)
    }

    package func append(_ finished: FinishedCall) throws(StoreError) {
        let line = try SpoolLine(finished).encoded()
        let lock = try FileLock.waiting(self.appendLock)
        defer { lock.release() }
        try self.file.append(line)
    }

    /// Hands every waiting call to the store. Stops at the first that the store cannot take now.
    package func replay(into store: any CallRecordStore) async throws(StoreError) -> Outcome {
        // The actor is free while the store works: calls go on to append, to a file of their own.
        guard !self.isReplaying else { return Outcome() }
        self.isReplaying = true
        defer { self.isReplaying = false }
        guard !self.isEmpty else { return Outcome() }
        // Another program's turn: it is at the same work, or takes a caller's data out.
        guard let lock = try FileLock.trying(self.replayLock) else { return Outcome() }
        defer { lock.release() }

        var outcome = Outcome()
        // What a crash left half done comes first.
        if access(self.working, F_OK) == 0 { try await self.work(store, &outcome) }
        if outcome.kept == 0, access(self.path, F_OK) == 0 {
            try self.moveToWorking()
            try await self.work(store, &outcome)
        }
        return outcome
    }

    private func moveToWorking() throws(StoreError) {
        let lock = try FileLock.waiting(self.appendLock)
        defer { lock.release() }
        guard rename(self.path, self.working) == 0 else { throw AppendFile.failure() }
    }

    var working: String { self.path + ".replaying" }
    var damagedPath: String { self.path + ".damaged" }
    /// Held for a moment: the files change.
    var appendLock: String { self.path + ".lock" }
    /// Held while a program hands the calls over.
    var replayLock: String { self.path + ".replay.lock" }

    private func work(_ store: any CallRecordStore, _ outcome: inout Outcome) async throws(StoreError) {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: self.working), options: .mappedIfSafe) else {
            throw StoreError(.failed, "the spool cannot be read")
        }
        let lines = data.split(separator: UInt8(ascii: "\n"))
        var unfit: [Data] = []
        for (index, line) in lines.enumerated() {
            do throws(StoreError) {
                let finished = try SpoolLine.decoded(Data(line))
                do throws(StoreError) {
                    switch try await store.finish(finished, of: finished.call.tenant) {
                    case .written: outcome.written += 1
                    case .alreadyWritten: outcome.alreadyWritten += 1
                    }
                } catch  where error.isRetryable {
                    // The file stays as it is: the store will know the lines that it has taken.
                    outcome.kept = lines.count - index
                    return
                }
            } catch {
                unfit.append(Data(line))
            }
        }
        for line in unfit { try self.damaged.append([UInt8](line)) }
        outcome.damaged += unfit.count
        // Only now: a crash before this repeats lines, which the store knows.
        guard unlink(self.working) == 0 else { throw AppendFile.failure() }
        try AppendFile.syncFolder(of: self.path)
    }
}
