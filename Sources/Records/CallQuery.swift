import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Which calls of a tenant are asked for. Every nil field lets all through.
package struct CallFilter: Sendable, Equatable {
    /// Started at this moment or later.
    package var from: Date?
    /// Started before this moment.
    package var until: Date?
    package var caller: Redacted<String>?
    package var dialed: Redacted<String>?
    package var assistant: AssistantID?
    package var direction: CallRecord.Direction?
    /// FreeSWITCH's name of the hang-up cause, as `NORMAL_CLEARING`.
    package var cause: String?
    package var fault: Fault?
    package var reason: String?
    package var minimumDuration: Duration?
    package var maximumDuration: Duration?
    package init() {}
}

/// Which conversations of a tenant are asked for.
package struct ConversationFilter: Sendable, Equatable {
    package var from: Date?
    package var until: Date?
    package var call: CallID?
    package var assistant: AssistantID?
    package var finalAction: ConversationRecord.FinalAction?
    package init() {}
}

/// A place in a list that is ordered by start, newest first, and then by id: the last row of a page. Rows that are
/// written meanwhile neither repeat nor hide what follows it.
package struct ListPosition: Sendable, Equatable {
    package var startedAt: Date
    package var id: String
    package init(startedAt: Date, id: String) {
        self.startedAt = startedAt
        self.id = id
    }
}

/// One call as erasing sees it: the key of its row, and the file that goes with it.
package struct CallTrace: Sendable, Equatable {
    /// `call_uuid` and `start_time` as the database itself writes them. Whoever made the row may have other ids than
    /// ours, a finer clock, or neither: it can be erased all the same.
    package var call: String?
    package var start: String?
    package var recording: String?
    /// The node that has the recording on its disk; nil: the only one.
    package var node: String?

    package init(call: String?, start: String?, recording: String? = nil, node: String? = nil) {
        self.call = call
        self.start = start
        self.recording = recording
        self.node = node
    }

    /// Nil: no id that a call of ours has.
    package var id: CallID? { self.call.flatMap { CallID($0) } }
}

/// A recording that is still to be removed although no call's record names it any more: its disk refused, or it is on
/// another node's.
package struct RecordingRemoval: Sendable, Hashable {
    package var tenant: TenantID
    package var recording: String
    /// The node that is to do it; nil: the only one.
    package var node: String?

    package init(tenant: TenantID, recording: String, node: String?) {
        self.tenant = tenant
        self.recording = recording
        self.node = node
    }
}

/// A caller who was erased, as the nodes tell each other: what lies on a node's own disk is for that node to find.
package struct CallerErasure: Sendable, Hashable {
    package var tenant: TenantID
    /// `CallerNumbers.hash`: the number itself is gone.
    package var caller: String
    package var askedAt: Date

    package init(tenant: TenantID, caller: String, askedAt: Date) {
        self.tenant = tenant
        self.caller = caller
        self.askedAt = askedAt
    }
}

/// Finds calls and conversations for people.
package protocol RecordQueries: Sendable {
    /// Newest first, those after `position` in that order, at most `limit` (1–1000).
    func calls(
        of tenant: TenantID, matching filter: CallFilter, after position: ListPosition?, limit: Int
    ) async throws(StoreError) -> [CallRecord]
    func conversations(
        of tenant: TenantID, matching filter: ConversationFilter, after position: ListPosition?, limit: Int
    ) async throws(StoreError) -> [ConversationRecord]
    func conversation(_ id: ConversationID, of tenant: TenantID) async throws(StoreError) -> ConversationRecord?
}

/// Takes away what is too old, and what one caller left behind. Every step is bounded by `limit` rows, so that it holds
/// the database for a moment only, and safe to repeat: whoever erases removes a recording's file first, and its row
/// after that. A file that could not be removed is noted (`noting`) in the transaction that takes its name off the row.
///
/// Each step says how many rows it changed: one that was asked for rows that are there and changed none must not be
/// repeated for ever.
package protocol ErasureStore: Sendable {
    /// Calls that started before `end` and have a recording, oldest first.
    func recordings(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> [CallTrace]
    /// Their recordings are gone, or noted; how many rows say so now.
    func clearRecordings(
        of calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> Int
    /// Calls that started before `end`, oldest first.
    func calls(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> [CallTrace]
    /// Removes the calls' records with their conversations; how many calls. What they cost stays counted, by month
    /// (`CostStore.spent`).
    func removeCalls(
        _ calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> Int
    /// Removes conversations that started before `end`, with turns and tool uses; how many.
    func removeConversations(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> Int
    /// Calls that one of `numbers` made, or that were made to one of them.
    func calls(ofCaller numbers: [String], tenant: TenantID, limit: Int) async throws(StoreError) -> [CallTrace]
    /// Takes the numbers and the recordings off the calls' records, and removes their conversations with turns and tool
    /// uses. The records stay: they are accounts of what was used.
    func forgetCaller(
        of calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> (calls: Int, conversations: Int)
    /// Removes conversations that name the caller themselves, as those of an older system do, at most `limit`; how many.
    func removeConversations(
        ofCaller numbers: [String], tenant: TenantID, limit: Int
    ) async throws(StoreError) -> Int

    /// Recordings that no row names, and that are still to go.
    func note(_ removals: [RecordingRemoval]) async throws(StoreError)
    /// What `node` is still to remove, of every tenant; the oldest, at most `limit`.
    func recordingRemovals(of node: String?, limit: Int) async throws(StoreError) -> [RecordingRemoval]
    /// They are gone.
    func finish(_ removals: [RecordingRemoval]) async throws(StoreError)

    /// Tells every node that the caller was erased.
    func announce(_ erasure: CallerErasure) async throws(StoreError)
    /// Of every tenant, those that were asked for since then.
    func erasures(since: Date) async throws(StoreError) -> [CallerErasure]
    /// Removes those from before `end`: no node's disk has anything of them any more.
    func removeErasures(before end: Date) async throws(StoreError)
}

/// Takes activities away (`voip_activity_log`).
package protocol ActivityErasure: Sendable {
    /// Removes activities from before `end`, at most `limit`; how many.
    func removeActivities(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> Int
    /// Removes the activities of one caller; how many. `calls`: those of the caller that no record names yet.
    func forgetActivities(
        ofCaller numbers: [String], calls: [CallID], tenant: TenantID
    ) async throws(StoreError) -> Int
}

/// Keeps API tokens. Only the owner's are seen: a tenant's (`tenant`), or the installation's (nil).
package protocol APITokenStore: Sendable {
    func add(_ token: APIToken) async throws(StoreError)
    /// Oldest first, revoked and expired ones too.
    func apiTokens(of tenant: TenantID?) async throws(StoreError) -> [APIToken]
    /// The token with this hash, whosever it is: the question that finds out who asks.
    func apiToken(hash: String) async throws(StoreError) -> APIToken?
    /// Whether there was one that was not revoked yet.
    @discardableResult
    func revokeAPIToken(_ id: APITokenID, of tenant: TenantID?, at now: Date) async throws(StoreError) -> Bool
    /// Remembers when it was last used.
    func apiTokenUsed(_ id: APITokenID, at now: Date) async throws(StoreError)
}

/// Keeps what each tenant may use and keeps, and the keys that it signs with, encrypted.
package protocol TenantPolicyStore: Sendable {
    func policy(of tenant: TenantID) async throws(StoreError) -> TenantPolicy
    /// Of every tenant that has one: the gateway's own question.
    func policies() async throws(StoreError) -> [TenantID: TenantPolicy]
    /// All of it.
    func save(_ policy: TenantPolicy, of tenant: TenantID) async throws(StoreError)
    /// The one subject, whatever the others are meanwhile.
    func change(_ change: TenantPolicy.Change, of tenant: TenantID) async throws(StoreError)

    /// Policies and keys of the tenants that are named, or of all: the gateway's own question.
    func access(of tenants: Set<TenantID>?) async throws(StoreError) -> AccessReading
    /// Without keys.
    func signingKeys(of tenant: TenantID) async throws(StoreError) -> [SigningKeyRecord]
    func save(_ key: SigningKeyRecord, of tenant: TenantID, at now: Date) async throws(StoreError)
    @discardableResult
    func removeSigningKey(_ id: String, of tenant: TenantID) async throws(StoreError) -> Bool
}

/// What became of one caller's data.
package struct ErasureReport: Sendable, Equatable {
    /// Call records whose numbers were taken off.
    package var calls = 0
    package var conversations = 0
    package var recordings = 0
    /// Lines of the spool.
    package var spooled = 0
    package var activities = 0
    /// Recordings that are still to go: the disk would not let them go yet, or they are another node's, which does it.
    package var left = 0
    package init() {}
}
