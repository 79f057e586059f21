import Telephony

/// The routing rows of all tenants, read and indexed: decides a call in microseconds, and is never changed. New rows
/// make a new one.
package final class RoutingTable: Sendable {
    /// One row of `voip_trunk_ai_settings`, read.
    struct Route: Sendable {
        var id: RouteID
        var trunk: String?
        var store: String?
        var isEnabled: Bool
        /// Nil: every number.
        var allowed: Set<String>?
        var blocked: Set<String>
        var schedule: Schedule
        var agent: AssistantID?
        var fallback: RoutingFallback?
        var language: String?
        var voice: String?
        var bargeIn: Bool?
        var maximumMinutes: Int?
        var recording: RecordingChoice?
        /// Nothing of it decides but this.
        var problem: RowProblem?
    }

    struct Agent: Sendable {
        var row: AgentRow
        var tools: [String]?
        var problem: RowProblem?
    }

    struct Tenant: Sendable {
        var id: TenantID
        var domain: String
        var isEnabled: Bool
        var plan: NumberingPlan
        var fallback: RoutingFallback?
        var routes: [Route]
        /// Places in `routes`.
        var byTrunk: [String: [Int]]
        var ofEveryTrunk: [Int]
        var agents: [AssistantID: Agent]
    }

    let tenants: [TenantID: Tenant]
    private let domains: [String: TenantID]
    /// Whose a trunk or a number is, where it is one tenant's only.
    private let trunkOwners: [String: TenantID?]
    private let numberOwners: [String: TenantID?]
    private let routeOwners: [RouteID: TenantID]
    /// What is wrong with the rows, in the order of the tables.
    package let problems: [RowProblem]
    /// Nobody has a row of `voip_trunk_ai_settings`.
    package let isEmpty: Bool

    package static let empty = RoutingTable(RoutingRows(), home: .utc)

    /// - Parameter home: the zone of windows and calendars for which neither they nor their tenant name one.
    package init(_ rows: RoutingRows, home: Zone) {
        var reading = RoutingReading(home: home, problems: rows.lost)
        var tenants = reading.tenants(rows.tenants)
        let calendars = reading.calendars(rows.calendars, of: tenants)
        reading.agents(rows.agents, into: &tenants)
        reading.routes(rows.trunks, calendars, into: &tenants)

        var domains: [String: TenantID] = [:]
        var trunkOwners: [String: TenantID?] = [:]
        var numberOwners: [String: TenantID?] = [:]
        var routeOwners: [RouteID: TenantID] = [:]
        func own(_ owners: inout [String: TenantID?], _ key: String, _ tenant: TenantID) {
            if let known = owners[key] {
                if known != tenant { owners[key] = .some(nil) }
            } else {
                owners[key] = .some(tenant)
            }
        }
        for tenant in tenants.values {
            if !tenant.domain.isEmpty { domains[tenant.domain] = tenant.id }
            for route in tenant.routes {
                routeOwners[route.id] = tenant.id
                if let trunk = route.trunk { own(&trunkOwners, trunk, tenant.id) }
                for number in route.allowed ?? [] { own(&numberOwners, number, tenant.id) }
            }
        }
        self.tenants = tenants
        self.domains = domains
        self.trunkOwners = trunkOwners
        self.numberOwners = numberOwners
        self.routeOwners = routeOwners
        self.problems = reading.problems
        self.isEmpty = rows.trunks.isEmpty
    }

    /// Whose call it is. A tenant and a domain that contradict each other are nobody's.
    func tenant(of question: RoutingQuestion) -> Tenant? {
        if let domain = question.domain {
            guard let id = self.domains[domain.lowercased()], question.tenant == nil || question.tenant == id else {
                return nil
            }
            return self.tenants[id]
        }
        if let id = question.tenant { return self.tenants[id] }
        if let trunk = question.trunk, let owner = self.trunkOwners[trunk] {
            return owner.flatMap { self.tenants[$0] }
        }
        if let did = question.did, let number = NumberingPlan().number(did), let owner = self.numberOwners[number] {
            return owner.flatMap { self.tenants[$0] }
        }
        return self.tenants.count == 1 ? self.tenants.values.first : nil
    }

    /// Whose call it is, where no row has to decide it: the tenant, whether it is switched on, and who rings for it.
    package func owner(
        of question: RoutingQuestion
    ) -> (tenant: TenantID, isEnabled: Bool, fallback: RoutingFallback?)? {
        self.tenant(of: question).map { ($0.id, $0.isEnabled, $0.fallback) }
    }

    /// The agent of a row, for a call that brings the row's id; nil: the tenant has no such row, or it cannot be used.
    package func agent(of route: RouteID, tenant: TenantID) -> RoutedAgent? {
        guard let entry = self.tenants[tenant], let found = entry.routes.first(where: { $0.id == route }),
            found.problem == nil, let id = found.agent, let agent = entry.agents[id], agent.problem == nil
        else { return nil }
        return RoutedAgent(found, agent)
    }

    /// The SIP domain of a tenant.
    package func domain(of tenant: TenantID) -> String? { self.tenants[tenant]?.domain }

    /// Whose a row is.
    package func owner(of route: RouteID) -> TenantID? { self.routeOwners[route] }

    /// Agents that are assistants themselves.
    package func assistants() -> [AgentRow] {
        self.tenants.values.flatMap { tenant in
            tenant.agents.values.filter { $0.problem == nil && $0.row.assistant == nil }.map(\.row)
        }
    }

    package func tools(of agent: AssistantID, tenant: TenantID) -> [String]? {
        self.tenants[tenant]?.agents[agent]?.tools
    }
}

extension RoutedAgent {
    init(_ route: RoutingTable.Route, _ agent: RoutingTable.Agent) {
        self.init(
            id: agent.row.id, name: agent.row.name, assistant: agent.row.assistant ?? agent.row.id,
            isAssistantItself: agent.row.assistant == nil)
        self.gatewayURL = agent.row.gatewayURL
        self.model = agent.row.model
        self.tools = agent.tools
        self.context = agent.row.systemPrompt
        self.language = route.language
        self.voice = route.voice
        self.bargeIn = route.bargeIn
        self.maximumMinutes = route.maximumMinutes
        self.recording = route.recording
    }
}
