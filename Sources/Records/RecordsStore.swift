import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Keeps tenants.
package protocol TenantStore: Sendable {
    func tenant(_ id: TenantID) async throws(StoreError) -> Tenant?
    func tenant(named name: String) async throws(StoreError) -> Tenant?
    /// Every tenant by name, and what is wrong with the rows that are left out: for operators on the machine, never for an
    /// answer to the outside.
    func listedTenants() async throws(StoreError) -> (tenants: [Tenant], faults: [ConfigurationFault])
    /// The tenant whose assistant this is. The only question that crosses tenants: a media path may name the assistant
    /// alone. The connection's credential is checked against the answer.
    func tenant(owning assistant: AssistantID) async throws(StoreError) -> TenantID?
    /// Adds the tenant or changes it.
    func save(_ tenant: Tenant) async throws(StoreError)
}

/// Keeps assistants.
package protocol AssistantStore: Sendable {
    func assistant(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Assistant?
    /// The enabled assistant that the tenant's dialplan reaches by this number.
    func assistant(number: String, of tenant: TenantID) async throws(StoreError) -> Assistant?
    func assistant(named name: String, of tenant: TenantID) async throws(StoreError) -> Assistant?
    /// All of the tenant, by name.
    func assistants(of tenant: TenantID) async throws(StoreError) -> [Assistant]
    /// Adds the assistant or changes it. `conflict` when its name or number is another's, or its id another tenant's.
    func save(_ assistant: Assistant, of tenant: TenantID) async throws(StoreError)
    /// Whether there was one. Calls that it answered keep their records.
    @discardableResult
    func removeAssistant(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Bool
}

/// Keeps transfer destinations.
package protocol DestinationStore: Sendable {
    func destination(_ id: DestinationID, of tenant: TenantID) async throws(StoreError) -> DestinationRecord?
    /// What an assistant may transfer to: enabled, its own and the tenant's common ones, by priority and name.
    func destinations(
        for assistant: AssistantID, of tenant: TenantID
    ) async throws(StoreError) -> [DestinationRecord]
    /// All of the tenant, by priority and name, enabled or not.
    func destinations(of tenant: TenantID) async throws(StoreError) -> [DestinationRecord]
    func save(_ destination: DestinationRecord, of tenant: TenantID) async throws(StoreError)
    @discardableResult
    func removeDestination(_ id: DestinationID, of tenant: TenantID) async throws(StoreError) -> Bool
}

/// Keeps accounts with providers, their keys encrypted.
package protocol ProviderAccountStore: Sendable {
    /// With its key decrypted; nil when the tenant has no such account.
    func account(
        _ provider: ProviderName, kind: ProviderAccount.Kind, of tenant: TenantID
    ) async throws(StoreError) -> ProviderAccount?
    /// Without keys.
    func accounts(of tenant: TenantID) async throws(StoreError) -> [ProviderAccount]
    /// Adds or changes. A nil `secret` with `hasSecret` keeps the stored key, if there is one; `invalid` when `base_url` is
    /// not the one that it is stored with.
    func save(_ account: ProviderAccount, of tenant: TenantID) async throws(StoreError)
    @discardableResult
    func removeAccount(
        _ provider: ProviderName, kind: ProviderAccount.Kind, of tenant: TenantID
    ) async throws(StoreError) -> Bool
}

/// Keeps tenants' own Event Sockets, their passwords encrypted.
package protocol SwitchAccountStore: Sendable {
    /// With its password decrypted; nil when the tenant has none of its own.
    func switchAccount(of tenant: TenantID) async throws(StoreError) -> SwitchAccount?
    /// Of every tenant: the gateway's own question. One whose password cannot be decrypted comes without it.
    func switchAccounts() async throws(StoreError) -> [SwitchAccount]
    /// Adds or changes. A nil password keeps the stored one, and is `invalid` where there is none.
    func save(_ account: SwitchAccount, of tenant: TenantID) async throws(StoreError)
    @discardableResult
    func removeSwitchAccount(of tenant: TenantID) async throws(StoreError) -> Bool
}

/// Whether a finished call was new to the store.
package enum FinishOutcome: Sendable, Equatable {
    case written
    /// It was there already: nothing was changed.
    case alreadyWritten
}

/// Keeps call records.
package protocol CallRecordStore: Sendable {
    /// Writes all that a call leaves behind, in one transaction. Idempotent by tenant, call id and start: a retry
    /// after a doubtful failure writes nothing twice. (The start belongs to the key because a switch gives a channel
    /// that comes back from a transfer the same id again.)
    @discardableResult
    func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> FinishOutcome
    /// The latest call of this id.
    func call(_ id: CallID, of tenant: TenantID) async throws(StoreError) -> CallRecord?
    /// Newest first, those that started before `before`, at most `limit` (1–1000).
    func calls(of tenant: TenantID, before: Date?, limit: Int) async throws(StoreError) -> [CallRecord]
}

/// Adds up what calls cost.
package protocol CostStore: Sendable {
    /// By day and currency, oldest first: calls of the tenant that started in `from` ..< `to`.
    func costs(of tenant: TenantID, from: Date, to: Date) async throws(StoreError) -> [DailyCost]
    /// What is known to have been spent by calls that started since then, by currency.
    func spent(by tenant: TenantID, since: Date) async throws(StoreError) -> [(currency: String, micros: Int)]
}

/// Reads conversations.
package protocol ConversationStore: Sendable {
    /// The conversations of a call, oldest first.
    func conversations(of call: CallID, tenant: TenantID) async throws(StoreError) -> [ConversationRecord]
    /// In the order of the conversation.
    func turns(of conversation: ConversationID, tenant: TenantID) async throws(StoreError) -> [TurnRecord]
    func toolUses(of conversation: ConversationID, tenant: TenantID) async throws(StoreError) -> [ToolUse]
}

extension TenantStore {
    /// Every tenant whose row can be read, by name. The gateway tells what is wrong with the others when it reads the
    /// configuration.
    package func tenants() async throws(StoreError) -> [Tenant] { try await self.listedTenants().tenants }
}

/// A place that keeps everything: SQLite or PostgreSQL.
package protocol RecordsStore: TenantStore, AssistantStore, DestinationStore, ProviderAccountStore, CallRecordStore,
    ConversationStore, SwitchAccountStore, ConfigurationStore, RecordQueries, ErasureStore, APITokenStore,
    TenantPolicyStore, RoutingStore, ActivityErasure, CostStore
{
    /// Ends the store after the work that waits. Later calls answer `closed`.
    func close() async
}
