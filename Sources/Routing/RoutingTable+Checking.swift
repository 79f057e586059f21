import Telephony

// What is wrong with one row before it is stored; nil: nothing. Whoever writes a row gets the same words that the log
// would have had for it.
extension RoutingTable {
    package static func problem(
        of settings: TrunkSettings, tenant: RoutingTenantRow, calendars: [CalendarRow]
    ) -> RowProblem? {
        let table = RoutingTable(
            RoutingRows(tenants: [tenant], trunks: [settings], calendars: calendars), home: .utc)
        return table.problems.first { $0.table == TrunkSettings.table }
    }

    package static func problem(of agent: AgentRow) -> RowProblem? {
        let tenant = RoutingTenantRow(tenant: agent.tenant, domain: "")
        return RoutingTable(RoutingRows(tenants: [tenant], agents: [agent]), home: .utc).problems.first
    }

    package static func problem(of calendar: CalendarRow) -> RowProblem? {
        let tenant = RoutingTenantRow(tenant: calendar.tenant, domain: "")
        return RoutingTable(RoutingRows(tenants: [tenant], calendars: [calendar]), home: .utc).problems.first
    }

    package static func problem(of tenant: RoutingTenantRow) -> RowProblem? {
        RoutingTable(RoutingRows(tenants: [tenant]), home: .utc).problems.first
    }
}
