import Records
import Routing
import Telephony

extension AssistantDirectory {
    /// Takes new rows. What a call has looked up already stays with it.
    package func replace(routing table: RoutingTable) {
        let old = self.routing.withLock { known in
            defer { known = table }
            return known
        }
        // Ten thousand tenants are let go here, while no question waits for the lock.
        withExtendedLifetime(old) {}
    }

    package var routingTable: RoutingTable { self.routing.withLock { $0 } }

    /// An agent that is an assistant itself: reached by its id only, so that it changes nobody's "only assistant".
    func agent(_ id: AssistantID) -> Assistant? {
        self.routingTable.assistant(id).map { Assistant($0.agent, tools: $0.tools) }
    }

    /// Who answers calls that a row of routing sent; nil: nobody that could be named, or another tenant's row.
    func assistant(by route: RouteID, of tenant: TenantID?) -> AssistantID? {
        let table = self.routingTable
        guard let owner = table.owner(of: route), tenant == nil || tenant == owner else { return nil }
        return table.agent(of: route, tenant: owner)?.assistant
    }

    /// What a row of routing says about the calls that it sent; nil: the tenant has no such row.
    package func overrides(by route: RouteID, of tenant: TenantID) -> AssistantOverrides? {
        self.routingTable.agent(of: route, tenant: tenant).map { AssistantOverrides($0) }
    }

    /// The assistant as it would answer a call that goes to `agent`.
    package func assistant(for agent: RoutedAgent, of tenant: TenantID) -> Assistant? {
        guard let (entry, assistant) = self.assistant(agent.assistant), entry.tenant.id == tenant else { return nil }
        return AssistantOverrides(agent).applied(to: assistant)
    }
}

extension Gateway {
    /// Why this node would rather not be sent a call of the tenant now; nil: let it come. For the routing question, so
    /// that a caller is at the human at once and not after a failure.
    ///
    /// - Parameter agent: who would answer; nil: whoever the tenant has.
    package func refusal(of tenant: TenantID, for agent: RoutedAgent?, at now: Duration) -> RoutingReason? {
        if self.isDraining { return .draining }
        if self.isFull(for: tenant) { return .full }
        if self.directory.isOutdated { return .notReady }
        // Another gateway's agent is another gateway's business.
        if agent?.gatewayURL != nil { return nil }
        if self.configuration.needsControl, self.control(for: tenant)?.isDown ?? false { return .switchDown }
        guard let agent else { return self.directory.answers(tenant) ? nil : .noAssistant }
        guard let assistant = self.directory.assistant(for: agent, of: tenant), assistant.isEnabled else {
            return .noAssistant
        }
        let providers = self.plans.backEnds(of: assistant)
        return self.breakerWouldPermit(anyOf: providers, tenant, at: now) ? nil : .providersDown
    }
}
