import Foundation
import Records
import Synchronization
import Telephony

/// Takes away what is too old, and what one caller left behind: rows, recordings, and lines of the spool.
///
/// In small steps, so that the database is free for calls in between, and in an order that survives a crash: a file goes
/// before the row that names it, the spool before the database (a line that is replayed in between is found there).
/// A file that cannot go now is noted in the database in the step that takes its name off the row, for whichever node
/// has it (`catchUp`).
package struct RecordKeeper: Sendable {
    let store: any RecordsStore
    let spool: CallSpool?
    let recordings: RecordingFolder
    let activities: (any ActivityErasure)?
    /// This node's name, as `voip_cdr.node` has it; nil: there is one node.
    let node: String?
    /// Other places that know calls (a shared state of several nodes); nil: it could not be asked.
    private let elsewhere: (@Sendable ([CallID], TenantID) async -> Int?)?

    /// Rows of one step.
    static let step = 200
    private static let pause = Duration.milliseconds(20)

    package init(
        store: any RecordsStore, spool: CallSpool?, recordings: RecordingFolder,
        activities: (any ActivityErasure)? = nil, node: String? = nil,
        elsewhere: (@Sendable ([CallID], TenantID) async -> Int?)? = nil
    ) {
        self.store = store
        self.spool = spool
        self.recordings = recordings
        self.activities = activities
        self.node = node
        self.elsewhere = elsewhere
    }

    // MARK: One caller

    package func forget(caller number: String, of tenant: TenantID) async throws(StoreError) -> ErasureReport {
        let numbers = CallerNumbers.spellings(of: number)
        var report = ErasureReport()
        // First of all: what waits on another node's disk is for that node to find, also when we fail further on.
        try await self.store.announce(
            CallerErasure(tenant: tenant, caller: CallerNumbers.hash(number, of: tenant), askedAt: Date()))
        let spooled = try await self.forgetSpooled(
            { $0.tenant == tenant && $0.isOf(numbers) },
            // What no program can read, and mentions both, is most likely this caller's.
            keeps: { line in !(line.contains(tenant.text) && numbers.contains { line.contains("\"\($0)\"") }) })
        report.spooled = spooled.lines
        report.recordings = spooled.removed
        report.left = spooled.noted
        let waiting = spooled.calls[tenant] ?? []
        try await self.forgetElsewhere(waiting, tenant)
        if let activities = self.activities {
            // Before the records: an activity is this caller's by the call's record, which has the numbers now.
            report.activities = try await activities.forgetActivities(
                ofCaller: numbers, calls: waiting, tenant: tenant)
        }
        try await self.forgetRecords(numbers, tenant, &report)
        while true {
            let count = try await self.store.removeConversations(ofCaller: numbers, tenant: tenant, limit: Self.step)
            report.conversations += count
            guard count == Self.step else { break }
            try await self.rest()
        }
        return report
    }

    private func forgetRecords(
        _ numbers: [String], _ tenant: TenantID, _ report: inout ErasureReport
    ) async throws(StoreError) {
        var before: [CallTrace] = []
        while true {
            let calls = try await self.store.calls(ofCaller: numbers, tenant: tenant, limit: Self.step)
            guard !calls.isEmpty else { return }
            try Self.check(calls, isNot: before)
            before = calls
            // First: without the numbers the calls would not be found again.
            try await self.forgetElsewhere(calls.compactMap(\.id), tenant)
            let left = self.removeRecordings(of: calls, tenant, &report.recordings)
            report.left += left.count
            let done = try await self.store.forgetCaller(of: calls, tenant: tenant, noting: left)
            report.calls += done.calls
            report.conversations += done.conversations
            try await self.rest()
        }
    }

    // MARK: Steps

    func forgetElsewhere(_ calls: [CallID], _ tenant: TenantID) async throws(StoreError) {
        guard !calls.isEmpty, let elsewhere = self.elsewhere, await elsewhere(calls, tenant) == nil else { return }
        throw StoreError(.unavailable, "the state that the nodes share cannot be asked")
    }

    /// What became of lines of the spool.
    struct SpoolWork: Sendable {
        var lines = 0
        var calls: [TenantID: [CallID]] = [:]
        var removed = 0
        var noted = 0
    }

    /// Takes the caller out of the calls that wait.
    func forgetSpooled(
        _ matches: @escaping @Sendable (CallRecord) -> Bool, keeps: @escaping @Sendable (String) -> Bool
    ) async throws(StoreError) -> SpoolWork {
        try await self.editSpool(
            { finished -> SpoolEdit? in
                guard matches(finished.call) else { return nil }
                return { FinishedCall(call: $0.call.withoutCaller) }
            }, keeps: keeps)
    }

    typealias SpoolEdit = @Sendable (FinishedCall) -> FinishedCall?

    /// Changes lines of the spool that lose their recording: `choose` gives the edit of a line, or nil where it stays. A
    /// recording goes first; one that cannot is noted in the database before the line forgets it.
    func editSpool(
        _ choose: @escaping @Sendable (FinishedCall) -> SpoolEdit?,
        keeps: @escaping @Sendable (String) -> Bool = { _ in true }
    ) async throws(StoreError) -> SpoolWork {
        guard let spool = self.spool else { return SpoolWork() }
        let (recordings, node) = (self.recordings, self.node)
        let state = Mutex((work: SpoolWork(), left: [RecordingRemoval]()))
        var lines = try await spool.rewrite(
            edit: { finished in
                guard let edit = choose(finished) else { return finished }
                return state.withLock { state in
                    state.work.calls[finished.call.tenant, default: []].append(finished.call.id)
                    if let path = finished.call.recording {
                        switch recordings.remove(path, of: finished.call.tenant) {
                        case .removed: state.work.removed += 1
                        case .missing, .foreign: break
                        case .failed:
                            state.left.append(
                                RecordingRemoval(tenant: finished.call.tenant, recording: path, node: node))
                            return finished
                        }
                    }
                    return edit(finished)
                }
            }, keeps: keeps)
        let left = state.withLock { $0.left }
        if !left.isEmpty {
            try await self.store.note(left)
            let noted = Set(left.map(\.recording))
            lines += try await spool.rewrite(edit: { finished in
                guard let edit = choose(finished), let path = finished.call.recording, noted.contains(path) else {
                    return finished
                }
                return edit(finished)
            })
        }
        var work = state.withLock { $0.work }
        work.lines = lines
        work.noted = left.count
        return work
    }

    /// Removes the files; returns what is still to go.
    func removeRecordings(
        of calls: [CallTrace], _ tenant: TenantID, _ removed: inout Int
    ) -> [RecordingRemoval] {
        var left: [RecordingRemoval] = []
        for call in calls {
            guard let path = call.recording, !path.isEmpty else { continue }
            switch self.recordings.remove(path, of: tenant) {
            case .removed: removed += 1
            case .failed: left.append(RecordingRemoval(tenant: tenant, recording: path, node: self.node))
            case .missing, .foreign:
                // Not here, or not ours to touch: where the call was, it may be both.
                guard let node = call.node, let own = self.node, node != own else { continue }
                left.append(RecordingRemoval(tenant: tenant, recording: path, node: node))
            }
        }
        return left
    }

    /// A step that found the same rows as the one before changed none of them, whatever the database said.
    static func check(_ calls: [CallTrace], isNot before: [CallTrace]) throws(StoreError) {
        guard calls == before else { return }
        throw StoreError(
            .failed, "rows of voip_cdr do not change: a trigger or a policy of the table keeps them as they are")
    }

    /// Leaves the database to calls for a moment. Whoever was cancelled goes no further.
    func rest() async throws(StoreError) {
        // Fails only by cancellation, which is asked for next.
        try? await Task.sleep(for: Self.pause)
        guard !Task.isCancelled else {
            throw StoreError(.closed, "stopped before the end: what is done is done, the rest is for the next time")
        }
    }
}

extension CallRecord {
    /// Whether one of `numbers` made the call, or was called by us.
    func isOf(_ numbers: [String]) -> Bool { self.person.map { numbers.contains($0) } ?? false || self.called(numbers) }

    private var person: String? { self.caller?.value }

    private func called(_ numbers: [String]) -> Bool {
        guard self.direction == .outbound, let dialed = self.dialed?.value else { return false }
        return numbers.contains(dialed)
    }

    /// The account of what was used, and nobody's.
    var withoutCaller: CallRecord {
        var call = self
        call.recording = nil
        call.caller = nil
        if call.direction == .outbound { call.dialed = nil }
        return call
    }
}
