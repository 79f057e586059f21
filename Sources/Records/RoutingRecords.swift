import Routing
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a trunk's row (and its agent) say about one call, beside what the assistant's row says about every call.
/// Nil: as the assistant has it.
package struct AssistantOverrides: Sendable, Equatable {
    package var language: String?
    package var voice: String?
    package var model: String?
    package var bargeIn: Bool?
    package var maximumDuration: Duration?
    /// `policy` is nil: as the assistant or the gateway is configured.
    package var isRecorded: Bool?
    package var tools: [String]?
    /// The brand's or store's context, said after the assistant's own instructions.
    package var context: Redacted<String>?
    /// Who rings when no back end works, in place of the assistant's own (`CallIdentity.fallback`).
    package var fallback: RoutingFallback?

    package init() {}

    package init(_ agent: RoutedAgent) {
        self.language = agent.language
        self.voice = agent.voice
        self.bargeIn = agent.bargeIn
        self.maximumDuration = agent.maximumMinutes.map { .seconds($0 * 60) }
        switch agent.recording {
        case .on?: self.isRecorded = true
        case .off?: self.isRecorded = false
        case .policy?, nil: self.isRecorded = nil
        }
        self.fallback = agent.fallback
        // An agent that is an assistant itself has these in its own row already.
        guard !agent.isAssistantItself else { return }
        self.model = agent.model
        self.tools = agent.tools
        self.context = agent.context
    }

    package func applied(to assistant: Assistant) -> Assistant {
        var assistant = assistant
        if let language = self.language { assistant.language = language }
        if let voice = self.voice { assistant.voice = voice }
        if let model = self.model { assistant.model = model }
        if let bargeIn = self.bargeIn { assistant.bargeIn.isEnabled = bargeIn }
        if let limit = self.maximumDuration {
            // The assistant's own limit is not lifted by a trunk's.
            assistant.maximumDuration = assistant.maximumDuration.map { $0 == .zero ? limit : min($0, limit) } ?? limit
        }
        if let isRecorded = self.isRecorded { assistant.isRecorded = isRecorded }
        if let tools = self.tools { assistant.tools = tools }
        if let context = self.context, !context.value.isEmpty {
            let own = assistant.instructions.value
            assistant.instructions = Redacted(own.isEmpty ? context.value : "\(own)\n\n\(context.value)")
        }
        return assistant
    }
}

extension Assistant {
    /// An agent that speaks as no other assistant is one itself: reached by its id only.
    package init(_ agent: AgentRow, tools: [String]?) {
        self.init(id: agent.id, tenant: agent.tenant, name: agent.name)
        self.isEnabled = agent.isEnabled
        self.instructions = agent.systemPrompt ?? Redacted("")
        self.model = agent.model
        self.tools = tools ?? []
    }
}

/// What of a dialed number is kept in the activity log.
package enum NumberPolicy: String, Sendable, CaseIterable {
    /// All of it.
    case full
    /// The country and the last two digits.
    case masked
    /// Nothing.
    case none

    package func applied(to number: String?) -> String? {
        guard let number else { return nil }
        switch self {
        case .full: return String(number.prefix(64))
        case .none: return nil
        case .masked:
            let digits = Array(number)
            guard digits.count > 6 else { return String(repeating: "*", count: digits.count) }
            return String(digits.prefix(3)) + String(repeating: "*", count: min(digits.count, 20) - 5)
                + String(digits.suffix(2))
        }
    }
}

/// One routing decision (`voip_activity_log`): when, about what, what it was, and why.
package struct ActivityRecord: Sendable, Equatable {
    /// A UUID text, so that a write that is tried again doubles nothing.
    package var id: String
    package var tenant: TenantID
    package var decidedAt: Date
    package var call: CallID?
    package var trunk: String?
    /// As `NumberPolicy` leaves it.
    package var did: String?
    package var isAI: Bool
    /// `RoutingReason`'s slug.
    package var reason: String
    package var route: RouteID?
    package var agent: AssistantID?
    /// From the question to the answer.
    package var latency: Duration
    package var node: String?

    package init(
        id: String, tenant: TenantID, decidedAt: Date, isAI: Bool, reason: String, latency: Duration
    ) {
        self.id = id
        self.tenant = tenant
        self.decidedAt = decidedAt
        self.isAI = isAI
        self.reason = reason
        self.latency = latency
    }

    package static let table = "voip_activity_log"
}

/// Keeps who answers, and when: trunks' settings, agents, calendars, and the log of decisions.
package protocol RoutingStore: Sendable {
    /// Every row of the tenants that are named, or of all (more than a store asks for at once are all): the gateway's own
    /// question, and nobody else's. Rows with nonsense in them are there too, as such.
    func routingRows(of tenants: Set<TenantID>?) async throws(StoreError) -> RoutingRows

    /// Of one tenant, by trunk.
    func trunkSettings(of tenant: TenantID) async throws(StoreError) -> [TrunkSettings]
    /// Adds or changes. `other-tenant` when the id, the agent or a calendar is another tenant's.
    func save(_ settings: TrunkSettings, of tenant: TenantID) async throws(StoreError)
    @discardableResult
    func removeTrunkSettings(_ id: RouteID, of tenant: TenantID) async throws(StoreError) -> Bool

    func agents(of tenant: TenantID) async throws(StoreError) -> [AgentRow]
    func save(_ agent: AgentRow, of tenant: TenantID) async throws(StoreError)
    /// `conflict` while a trunk's row names it.
    @discardableResult
    func removeAgent(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Bool

    /// With their dates, by name.
    func calendars(of tenant: TenantID) async throws(StoreError) -> [CalendarRow]
    /// Adds the calendar, or changes it and all its dates.
    func save(_ calendar: CalendarRow, of tenant: TenantID) async throws(StoreError)
    @discardableResult
    func removeCalendar(_ id: CalendarID, of tenant: TenantID) async throws(StoreError) -> Bool

    /// What holds for every trunk of a tenant.
    func save(_ defaults: RoutingTenantRow, of tenant: TenantID) async throws(StoreError)

    /// Adds decisions; those that are there already are left.
    func log(_ decisions: [ActivityRecord]) async throws(StoreError)
    /// Newest first, those before `before`, at most `limit` (1–1000).
    func activity(of tenant: TenantID, before: Date?, limit: Int) async throws(StoreError) -> [ActivityRecord]
}

extension RoutingStore {
    /// Every row of every tenant.
    package func routingRows() async throws(StoreError) -> RoutingRows { try await self.routingRows(of: nil) }
}
