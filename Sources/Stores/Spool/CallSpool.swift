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
    /// How often lines have failed that still wait.
    private var failures: [Data: Int] = [:]

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

    /// Keeps what no database takes, for people: `PATH.damaged`.
    package func setAside(_ finished: FinishedCall) throws(StoreError) {
        try self.setAside(line: try SpoolLine(finished).encoded())
    }

    private func setAside(line: [UInt8]) throws(StoreError) {
        let lock = try FileLock.waiting(self.appendLock)
        defer { lock.release() }
        try self.damaged.append(line)
    }

    /// Hands every waiting call to the store. Stops when the store takes none, one after another; a single call that it
    /// cannot take now holds up no other.
    package func replay(into store: any CallRecordStore) async throws(StoreError) -> Outcome {
        // The actor is free while the store works: calls go on to append, to a file of their own.
        guard !self.isReplaying else { return Outcome() }
        self.isReplaying = true
        defer { self.isReplaying = false }
        guard !self.isEmpty else { return Outcome() }
        // Another program's turn: it is at the same work, or takes a caller's data out.
        guard let lock = try FileLock.trying(self.replayLock) else { return Outcome() }
        defer { lock.release() }
        try self.gather()
        return try await self.work(store)
    }

    /// What waits, in one file that nobody appends to; with what a round before left, or a crash.
    private func gather() throws(StoreError) {
        let lock = try FileLock.waiting(self.appendLock)
        defer { lock.release() }
        guard access(self.path, F_OK) == 0 else { return }
        guard access(self.working, F_OK) == 0 else {
            guard rename(self.path, self.working) == 0 else { throw AppendFile.failure() }
            return
        }
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: self.path)) else {
            throw StoreError(.failed, "the spool cannot be read")
        }
        // A crash before the old file is gone doubles lines, which the store knows.
        if !data.isEmpty { try AppendFile(path: self.working, limit: Int.max).append([UInt8](data)) }
        guard unlink(self.path) == 0 else { throw AppendFile.failure() }
        try AppendFile.syncFolder(of: self.path)
    }

    var working: String { self.path + ".replaying" }
    var damagedPath: String { self.path + ".damaged" }
    /// Held for a moment: the files change.
    var appendLock: String { self.path + ".lock" }
    /// Held while a program hands the calls over.
    var replayLock: String { self.path + ".replay.lock" }

    /// Calls that may fail in a row before it is the database that is in trouble, and not they.
    private static let patience = 3

    private func work(_ store: any CallRecordStore) async throws(StoreError) -> Outcome {
        var outcome = Outcome()
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: self.working), options: .mappedIfSafe) else {
            throw StoreError(.failed, "the spool cannot be read")
        }
        var lines = data.split(separator: UInt8(ascii: "\n"))
        // Those that failed before come after those that did not.
        let failures = self.failures
        if !failures.isEmpty {
            lines = lines.enumerated().sorted {
                let (one, other) = (failures[$0.element] ?? 0, failures[$1.element] ?? 0)
                return one == other ? $0.offset < $1.offset : one < other
            }.map(\.element)
        }
        var rest: [Data] = []
        var inARow = 0
        for line in lines {
            guard inARow < Self.patience else {
                rest.append(line)
                continue
            }
            do throws(StoreError) {
                try await self.hand(line, to: store, &outcome)
                inARow = 0
                self.failures[line] = nil
            } catch  where error.isRetryable {
                rest.append(line)
                inARow += 1
                // A copy: a slice would keep the whole file in memory.
                self.failures[Data(line), default: 0] += 1
            }
        }
        outcome.kept = rest.count
        // The file stays as it is while nothing was taken: a database that is away costs no writing.
        guard rest.count < lines.count else { return outcome }
        // Only now: a crash before this repeats lines, which the store knows.
        try Self.replace(self.working, with: rest.flatMap { [UInt8]($0) + [UInt8(ascii: "\n")] })
        let waiting = Set(rest)
        self.failures = self.failures.filter { waiting.contains($0.key) }
        return outcome
    }

    /// Throws only what may pass. A line that the store refuses, or that nobody can read, is set aside.
    private func hand(
        _ line: Data, to store: any CallRecordStore, _ outcome: inout Outcome
    ) async throws(StoreError) {
        let finished: FinishedCall
        do throws(StoreError) { finished = try SpoolLine.decoded(Data(line)) } catch {
            try self.setAside(line: [UInt8](line))
            outcome.damaged += 1
            return
        }
        do throws(StoreError) {
            switch try await store.finish(finished, of: finished.call.tenant) {
            case .written: outcome.written += 1
            case .alreadyWritten: outcome.alreadyWritten += 1
            }
        } catch  where !error.isRetryable {
            // First aside, then the account alone: with the account in the database the line would be known there.
            try self.setAside(line: [UInt8](line))
            _ = try await Self.account(of: finished, to: store)
            outcome.damaged += 1
        }
    }

    /// Writes the call's own row without its conversation: what was used is accounted for whatever else a table refuses.
    /// False: this row is refused too.
    static func account(
        of finished: FinishedCall, to store: any CallRecordStore
    ) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            _ = try await store.finish(FinishedCall(call: finished.call), of: finished.call.tenant)
            return true
        } catch  where !error.isRetryable {
            return false
        }
    }
}
