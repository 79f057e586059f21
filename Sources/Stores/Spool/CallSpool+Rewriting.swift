import Foundation
import Glibc
import Records
import Telephony

extension CallSpool {
    /// Whether there is a line of any kind, also one that nobody can read.
    package var mayHaveLines: Bool { !self.isEmpty || FileManager.default.fileExists(atPath: self.damagedPath) }

    /// Changes the calls that wait: `edit` gives each back as it is to be, or nil where it is to go. `keeps` says whether
    /// a line that no program can read stays. How many lines were changed or went.
    ///
    /// Waits for a replay, whichever program does it: what it has in hand would come back otherwise.
    package func rewrite(
        edit: @Sendable (FinishedCall) -> FinishedCall?, keeps: @Sendable (String) -> Bool = { _ in true }
    ) async throws(StoreError) -> Int {
        guard self.mayHaveLines else { return 0 }
        for _ in 0..<300 {
            if let lock = try FileLock.trying(self.replayLock) {
                defer { lock.release() }
                return try self.rewriteFiles(edit, keeps)
            }
            // Fails only by cancellation, which the rounds bound as well.
            try? await Task.sleep(for: .milliseconds(100))
        }
        throw StoreError(.locked, "the spool is being replayed for too long")
    }

    private func rewriteFiles(
        _ edit: (FinishedCall) -> FinishedCall?, _ keeps: (String) -> Bool
    ) throws(StoreError) -> Int {
        let lock = try FileLock.waiting(self.appendLock)
        defer { lock.release() }
        var changed = 0
        for path in [self.path, self.working, self.damagedPath] where access(path, F_OK) == 0 {
            changed += try Self.rewrite(path, edit, keeps)
        }
        return changed
    }

    private static func rewrite(
        _ path: String, _ edit: (FinishedCall) -> FinishedCall?, _ keeps: (String) -> Bool
    ) throws(StoreError) -> Int {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw StoreError(.failed, "the spool cannot be read")
        }
        var (kept, changed): ([UInt8], Int) = ([], 0)
        for line in data.split(separator: UInt8(ascii: "\n")) {
            guard let finished = try? SpoolLine.decoded(Data(line)) else {
                if keeps(String(decoding: line, as: UTF8.self)) {
                    kept += line + [UInt8(ascii: "\n")]
                } else {
                    changed += 1
                }
                continue
            }
            let edited = edit(finished)
            if edited == finished {
                kept += line + [UInt8(ascii: "\n")]
            } else {
                changed += 1
                if let edited { kept += try SpoolLine(edited).encoded() + [UInt8(ascii: "\n")] }
            }
        }
        guard changed > 0 else { return 0 }
        try Self.replace(path, with: kept)
        return changed
    }

    /// The whole file or the one before: never half of one.
    static func replace(_ path: String, with bytes: [UInt8]) throws(StoreError) {
        guard !bytes.isEmpty else {
            guard unlink(path) == 0 else { throw AppendFile.failure() }
            return try AppendFile.syncFolder(of: path)
        }
        let new = path + ".new"
        unlink(new)
        // `append` writes all of it or nothing, and is sure of it. It adds the last line's end itself.
        try AppendFile(path: new, limit: Int.max).append(Array(bytes.dropLast()))
        guard rename(new, path) == 0 else { throw AppendFile.failure() }
        try AppendFile.syncFolder(of: path)
    }
}
