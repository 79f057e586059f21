import Foundation
import Records
import Synchronization
import Telephony

extension RecordKeeper {
    /// What one round of `catchUp` did on this node's disk.
    package struct CaughtUp: Sendable, Equatable {
        package var recordings = 0
        package var spooled = 0
        /// Recordings that the disk still keeps.
        package var left = 0
        package init() {}
        package var isEmpty: Bool { self == CaughtUp() }
    }

    /// For how long an erasure is held out to other nodes: one that was away longer than this, with calls in its spool,
    /// begins with them older than any retention of a spool.
    private static let held = 31.0 * 86400

    /// Does on this node's disk what others could not: recordings that are still to go, and lines of the spool that are
    /// an erased caller's. Repeating it changes nothing more.
    package func catchUp(at now: Date) async throws(StoreError) -> CaughtUp {
        var done = CaughtUp()
        let removals = try await self.store.recordingRemovals(of: self.node, limit: 1000)
        var gone: [RecordingRemoval] = []
        for removal in removals {
            switch self.recordings.remove(removal.recording, of: removal.tenant) {
            case .removed:
                done.recordings += 1
                gone.append(removal)
            case .missing, .foreign: gone.append(removal)
            case .failed: done.left += 1
            }
        }
        try await self.store.finish(gone)
        let spooled = try await self.forgetErased(at: now)
        for (tenant, calls) in spooled.calls {
            try await self.forgetElsewhere(calls, tenant)
            // Routing's log has them by the call's id only, which nobody knew before.
            _ = try await self.activities?.forgetActivities(ofCaller: [], calls: calls, tenant: tenant)
        }
        done.spooled = spooled.lines
        done.recordings += spooled.removed
        done.left += spooled.noted
        return done
    }

    private func forgetErased(at now: Date) async throws(StoreError) -> SpoolWork {
        let end = now.addingTimeInterval(-Self.held)
        try await self.store.removeErasures(before: end)
        guard let spool = self.spool, await spool.mayHaveLines else { return SpoolWork() }
        var erased: [TenantID: [String: Date]] = [:]
        for erasure in try await self.store.erasures(since: end) {
            erased[erasure.tenant, default: [:]][erasure.caller] = erasure.askedAt
        }
        guard !erased.isEmpty else { return SpoolWork() }
        let callers = erased
        return try await self.forgetSpooled(
            { call in
                guard let callers = callers[call.tenant] else { return false }
                // A call after that is a new one.
                return call.people.contains { number in
                    callers[CallerNumbers.hash(number, of: call.tenant)].map { call.startedAt < $0 } ?? false
                }
            },
            keeps: { line in
                guard let (tenant, callers) = callers.first(where: { line.contains($0.key.text) }) else { return true }
                // Quoted texts of a line that no program can read: the number is one of them, if it is there.
                return !line.split(separator: "\"").contains {
                    callers[CallerNumbers.hash(String($0), of: tenant)] != nil
                }
            })
    }
}

extension CallRecord {
    /// Numbers of the person at the other end.
    fileprivate var people: [String] {
        [self.caller?.value, self.direction == .outbound ? self.dialed?.value : nil].compactMap { $0 }
    }
}
