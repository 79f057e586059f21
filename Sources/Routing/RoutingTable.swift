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
        /// False: it is for every number. Which ones is in the tenant's `RouteIndex`.
        var listsNumbers: Bool
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

        /// It speaks as no assistant of the tenant's, but as one of its own id.
        var isAssistant: Bool { self.problem == nil && self.row.assistant == nil }
    }

    struct Tenant: Sendable {
        var id: TenantID
        var domain: String
        var isEnabled: Bool
        var plan: NumberingPlan
        var fallback: RoutingFallback?
        /// In the order of their ids.
        private(set) var routes: [Route] = []
        private(set) var index = RouteIndex()
        private var places: [RouteID: Int] = [:]
        var agents: [AssistantID: Agent] = [:]

        init(id: TenantID, domain: String, isEnabled: Bool, plan: NumberingPlan, fallback: RoutingFallback?) {
            self.id = id
            self.domain = domain
            self.isEnabled = isEnabled
            self.plan = plan
            self.fallback = fallback
        }

        /// Rows come in the order of their ids.
        mutating func add(_ route: Route, _ numbers: RouteNumbers) {
            self.index.add(RouteIndex.Scope(trunk: route.trunk, store: route.store), numbers, at: self.routes.count)
            self.places[route.id] = self.routes.count
            self.routes.append(route)
        }

        func route(_ id: RouteID) -> Route? { self.places[id].map { self.routes[$0] } }
    }

    /// All tenants, and whose what is. A tenant is taken out and put in without a look at the others.
    private struct Contents: Sendable {
        var tenants: [TenantID: Tenant] = [:]
        var domains = RouteOwners()
        var trunks = RouteOwners()
        var numbers = RouteOwners()
        var routes: [RouteID: TenantID] = [:]
        /// Whose the agents are that are assistants themselves.
        var assistants: [AssistantID: TenantID] = [:]

        mutating func put(_ tenant: Tenant) {
            self.tenants[tenant.id] = tenant
            if !tenant.domain.isEmpty { self.domains.add(tenant.domain, tenant.id) }
            for trunk in tenant.index.trunks { self.trunks.add(trunk, tenant.id) }
            for number in tenant.index.numbers { self.numbers.add(number, tenant.id) }
            for route in tenant.routes { self.routes[route.id] = tenant.id }
            for agent in tenant.agents.values where agent.isAssistant { self.assistants[agent.row.id] = tenant.id }
        }

        mutating func remove(_ id: TenantID) {
            guard let tenant = self.tenants.removeValue(forKey: id) else { return }
            if !tenant.domain.isEmpty { self.domains.remove(tenant.domain, id) }
            for trunk in tenant.index.trunks { self.trunks.remove(trunk, id) }
            for number in tenant.index.numbers { self.numbers.remove(number, id) }
            // A row may be another tenant's by now.
            for route in tenant.routes where self.routes[route.id] == id { self.routes[route.id] = nil }
            for agent in tenant.agents.keys where self.assistants[agent] == id { self.assistants[agent] = nil }
        }
    }

    private let contents: Contents
    private let home: Zone
    /// What is wrong with the rows.
    package let problems: [RowProblem]

    package static let empty = RoutingTable(RoutingRows(), home: .utc)

    /// - Parameter home: the zone of windows and calendars for which neither they nor their tenant name one.
    package init(_ rows: RoutingRows, home: Zone) {
        let (tenants, problems) = Self.read(rows, home)
        var contents = Contents()
        contents.tenants.reserveCapacity(tenants.count)
        for tenant in tenants { contents.put(tenant) }
        self.contents = contents
        self.home = home
        self.problems = problems
    }

    private init(_ contents: Contents, _ home: Zone, _ problems: [RowProblem]) {
        self.contents = contents
        self.home = home
        self.problems = problems
    }

    private static func read(_ rows: RoutingRows, _ home: Zone) -> (tenants: [Tenant], problems: [RowProblem]) {
        var reading = RoutingReading(home: home, problems: rows.lost)
        var tenants = reading.tenants(rows.tenants)
        let calendars = reading.calendars(rows.calendars, of: tenants)
        reading.agents(rows.agents, into: &tenants)
        reading.routes(rows.trunks, calendars, into: &tenants)
        return (Array(tenants.values), reading.problems)
    }

    /// The table with these rows: all of it anew, or the tenants that they are of. What the others have is then neither
    /// read nor copied.
    package func taking(_ rows: RoutingRows) -> RoutingTable {
        guard let tenants = rows.asked else { return RoutingTable(rows, home: self.home) }
        let (new, found) = Self.read(rows, self.home)
        var contents = self.contents
        for tenant in tenants { contents.remove(tenant) }
        for tenant in new { contents.put(tenant) }
        let others = self.problems.filter { problem in problem.tenant.map { !tenants.contains($0) } ?? true }
        return RoutingTable(contents, self.home, others + found)
    }

    /// Nobody has a row of `voip_trunk_ai_settings`.
    package var isEmpty: Bool { self.contents.routes.isEmpty }

    /// Whose call it is. A tenant and a domain that contradict each other are nobody's.
    func tenant(of question: RoutingQuestion) -> Tenant? {
        if let domain = question.domain {
            guard let owner = self.contents.domains[domain.lowercased()], let tenant = self.tenant(owner),
                question.tenant == nil || question.tenant == tenant.id
            else { return nil }
            return tenant
        }
        if let id = question.tenant { return self.contents.tenants[id] }
        if let trunk = question.trunk, let owner = self.contents.trunks[trunk] { return self.tenant(owner) }
        if let did = question.did, let number = NumberingPlan().number(did), let owner = self.contents.numbers[number] {
            return self.tenant(owner)
        }
        return self.contents.tenants.count == 1 ? self.contents.tenants.values.first : nil
    }

    private func tenant(_ owner: RouteOwners.Owner) -> Tenant? {
        guard case .one(let id) = owner else { return nil }
        return self.contents.tenants[id]
    }

    /// Whose call it is, where no row has to decide it: the tenant, whether it is switched on, and who rings for it.
    package func owner(
        of question: RoutingQuestion
    ) -> (tenant: TenantID, isEnabled: Bool, fallback: RoutingFallback?)? {
        self.tenant(of: question).map { ($0.id, $0.isEnabled, $0.fallback) }
    }

    /// The agent of a row, for a call that brings the row's id; nil: the tenant has no such row, or it cannot be used.
    package func agent(of route: RouteID, tenant: TenantID) -> RoutedAgent? {
        guard let entry = self.contents.tenants[tenant], let found = entry.route(route), found.problem == nil,
            let id = found.agent, let agent = entry.agents[id], agent.problem == nil
        else { return nil }
        return RoutedAgent(found, agent, in: entry)
    }

    /// A tenant's agent by its name, in any case, and whether it is switched on; nil: there is none that can be used.
    ///
    /// Of several with one name the first by id answers: an answer that stays the same. A row's own words (language, voice)
    /// are a trunk's and not the agent's.
    package func agent(named name: String, of tenant: TenantID) -> (agent: RoutedAgent, isEnabled: Bool)? {
        let name = name.lowercased()
        let found = self.contents.tenants[tenant]?.agents.values
            .filter { $0.problem == nil && $0.row.name.lowercased() == name }
            .min { $0.row.id.text < $1.row.id.text }
        return found.map { (RoutedAgent($0), $0.row.isEnabled) }
    }

    /// The SIP domain of a tenant.
    package func domain(of tenant: TenantID) -> String? { self.contents.tenants[tenant]?.domain }

    /// Whose a row is.
    package func owner(of route: RouteID) -> TenantID? { self.contents.routes[route] }

    /// An agent that is an assistant itself, and its tools; nil: there is none of this id, or it cannot be used.
    package func assistant(_ id: AssistantID) -> (agent: AgentRow, tools: [String]?)? {
        guard let tenant = self.contents.assistants[id], let agent = self.contents.tenants[tenant]?.agents[id],
            agent.isAssistant
        else { return nil }
        return (agent.row, agent.tools)
    }
}

extension RoutedAgent {
    init(_ route: RoutingTable.Route, _ agent: RoutingTable.Agent, in tenant: RoutingTable.Tenant) {
        self.init(agent)
        self.language = route.language
        self.voice = route.voice
        self.bargeIn = route.bargeIn
        self.maximumMinutes = route.maximumMinutes
        self.recording = route.recording
        self.fallback = route.fallback ?? tenant.fallback
    }

    /// What the agent says, whatever brought the call to it.
    init(_ agent: RoutingTable.Agent) {
        self.init(
            id: agent.row.id, name: agent.row.name, assistant: agent.row.assistant ?? agent.row.id,
            isAssistantItself: agent.row.assistant == nil)
        self.gatewayURL = agent.row.gatewayURL
        self.model = agent.row.model
        self.tools = agent.tools
        self.context = agent.row.systemPrompt
    }
}
