import Telephony

extension RoutingTable {
    /// Decides one call: which rows it falls under, then which of them is the most specific, then what that one says.
    ///
    /// 1. Tenant: by `sip_domain` or id, else by trunk or number where these are one tenant's only.
    /// 2. Rows whose trunk and store are the call's (or every).
    /// 3. A number that any of these rows blocks goes to a human, whatever others allow.
    /// 4. Of the rows that take the number, the most specific decides: one that lists the number before one that does
    ///    not, then one with the store, then one with the trunk.
    /// 5. That row: broken, switched off, its agent, exceptions of dates, weekly hours; in this order.
    package func decide(_ question: RoutingQuestion, explaining: Bool = false) -> RoutingDecision {
        var decision = RoutingDecision(reason: .unknownTenant)
        func step(_ subject: String, _ finding: @autoclosure () -> String) {
            if explaining { decision.steps.append(.init(subject, finding())) }
        }
        func decided(_ reason: RoutingReason) -> RoutingDecision {
            decision.reason = reason
            step("result", "\(reason.isAI ? "ai" : "human"): \(reason.rawValue)")
            return decision
        }

        guard let tenant = self.tenant(of: question) else {
            step("tenant", "no tenant of that domain, id, trunk or number")
            return decided(.unknownTenant)
        }
        decision.tenant = tenant.id
        decision.fallback = tenant.fallback
        step("tenant", "\(tenant.domain) (\(tenant.id))")
        guard tenant.isEnabled else { return decided(.tenantDisabled) }
        guard !tenant.routes.isEmpty else {
            step("row", "the tenant has no row of \(TrunkSettings.table)")
            return decided(.noSettings)
        }

        let forms = question.did.map { tenant.plan.forms(of: $0) } ?? []
        step(
            "number",
            forms.isEmpty
                ? (question.did == nil ? "none given" : "not a telephone number")
                : forms.joined(separator: " or ") + (tenant.plan.country.map { " (country \($0))" } ?? ""))

        let matching = tenant.index.match(trunk: question.trunk, store: question.store)
        // Where no row takes the number, the most specific of the trunk's still says who rings.
        guard let general = matching.general else {
            step("row", "none of \(tenant.routes.count) is for this trunk and store")
            return decided(.unknownTrunk)
        }
        step("row", "\(matching.count) of \(tenant.routes.count) for this trunk and store")
        decision.fallback = tenant.routes[general].fallback ?? tenant.fallback
        if let place = matching.blocking(forms) {
            let route = tenant.routes[place]
            decision.route = route.id
            decision.fallback = route.fallback ?? tenant.fallback
            step("blocklist", "row \(route.id) blocks the number")
            return decided(.didBlocked)
        }
        guard let place = matching.taking(forms) else {
            step("allowlist", "no row lists the number")
            return decided(.didNotAllowed)
        }
        let route = tenant.routes[place]
        decision.route = route.id
        decision.fallback = route.fallback ?? tenant.fallback
        step("row", "\(route.id) decides: \(Self.specificity(route))")
        if let problem = route.problem {
            decision.problem = problem
            step("row", problem.description)
            return decided(.settingsInvalid)
        }
        guard route.isEnabled else { return decided(.disabled) }
        guard let id = route.agent, let agent = tenant.agents[id] else {
            step("agent", route.agent == nil ? "the row names none" : "the tenant has no agent of that id")
            return decided(.agentMissing)
        }
        if let problem = agent.problem {
            decision.problem = problem
            step("agent", problem.description)
            return decided(.agentInvalid)
        }
        guard agent.row.isEnabled else { return decided(.agentDisabled) }
        step("agent", "\(agent.row.name) (\(id))")
        if explaining { self.explainClocks(of: route, question, &decision) }
        switch route.schedule.verdict(at: question.at) {
        case .exceptionClosed(let name):
            step("exceptions", "closed: \(name)")
            return decided(.exceptionClosed)
        case .outside:
            step("exceptions", "none applies")
            step("hours", "outside every window")
            return decided(.outOfHours)
        case .exceptionOpen(let name):
            step("exceptions", "open: \(name)")
            decision.agent = RoutedAgent(route, agent, in: tenant)
            return decided(.exceptionOpen)
        case .window(let index):
            step("exceptions", "none applies")
            step("hours", "inside time_windows[\(index)]")
            decision.agent = RoutedAgent(route, agent, in: tenant)
            return decided(.timeWindowMatch)
        case .always:
            step("exceptions", "none applies")
            step("hours", "no windows: always")
            decision.agent = RoutedAgent(route, agent, in: tenant)
            return decided(.alwaysOn)
        }
    }

    private static func specificity(_ route: Route) -> String {
        var parts: [String] = []
        if route.listsNumbers { parts.append("lists the number") }
        if route.store != nil { parts.append("of the store") }
        parts.append(route.trunk == nil ? "every trunk" : "of the trunk")
        return parts.joined(separator: ", ")
    }

    private func explainClocks(of route: Route, _ question: RoutingQuestion, _ decision: inout RoutingDecision) {
        var zones: [Zone] = []
        for zone in (route.schedule.weeks ?? []).map(\.zone) + route.schedule.exceptions.map(\.zone)
        where !zones.contains(zone) { zones.append(zone) }
        let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        for zone in zones {
            let clock = zone.clock(at: question.at)
            decision.steps.append(.init("clock", "\(zone.name): \(days[clock.day.weekday]) \(clock.text)"))
        }
    }
}
