import Foundation
import Records
import Routing
import Telephony

/// The tables of routing, tenants first; the names are those of the copy of the configuration too.
enum RoutingQuery: String, CaseIterable, Sendable {
    case tenants = "voip_ai_tenants"
    case trunks = "voip_trunk_ai_settings"
    case agents = "ai_agents"
    case calendars = "voip_ai_calendars"
    case dates = "voip_ai_calendar_dates"

    /// What is read of every tenant.
    static let everyTenant = """
        SELECT d.domain_uuid, d.domain_name, d.domain_enabled, t.country_code, t.time_zone,
            t.fallback_target_type, t.fallback_target_ref
        FROM v_domains d LEFT JOIN voip_ai_tenants t ON t.tenant_id = d.domain_uuid
        """

    func sql(_ asked: SQLStore.Asked) -> String {
        switch self {
        case .tenants: "\(Self.everyTenant) \(asked.condition("d.domain_uuid"))"
        case .trunks, .agents, .calendars:
            "SELECT * FROM \(self.rawValue) \(asked.condition("tenant_id")) ORDER BY id"
        case .dates:
            "SELECT * FROM \(self.rawValue) \(asked.condition("tenant_id")) ORDER BY calendar_id, date_number"
        }
    }

    /// The columns of a row's id, and of whose it is.
    var columns: (id: String, tenant: String) {
        switch self {
        case .tenants: ("domain_uuid", "domain_uuid")
        case .trunks, .agents, .calendars: ("id", "tenant_id")
        case .dates: ("calendar_id", "tenant_id")
        }
    }
}

/// Rows on their way to be routing's. One that has not even an id and a tenant is nobody's: it is named, and decides
/// nothing.
struct RoutingGathering {
    private(set) var rows: RoutingRows
    private var places: [String: Int] = [:]

    /// Nil: of everybody.
    init(of asked: Set<TenantID>?) { self.rows = RoutingRows(asked: asked) }

    mutating func take(_ row: Row, of table: RoutingQuery) {
        do throws(StoreError) {
            switch table {
            case .tenants: self.rows.tenants.append(try RoutingTenantRow(row: row))
            case .trunks: self.rows.trunks.append(try TrunkSettings(row: row))
            case .agents: self.rows.agents.append(try AgentRow(row: row))
            case .calendars:
                let calendar = try CalendarRow(row: row)
                self.places[calendar.id.text] = self.rows.calendars.count
                self.rows.calendars.append(calendar)
            case .dates:
                guard let index = self.places[try row.text("calendar_id").lowercased()] else { return }
                do throws(StoreError) {
                    self.rows.calendars[index].dates.append(try CalendarDateRow(row: row))
                } catch {
                    self.rows.calendars[index].unreadable.append("dates")
                }
            }
        } catch {
            // An id is no secret; what stands in its place in a broken row may be anything.
            let id = row[column: table.columns.id]?.tenant?.text ?? "without id"
            self.rows.lost.append(
                RowProblem(
                    table: table.rawValue, row: id, column: "id or tenant", repair: error.message,
                    tenant: row[column: table.columns.tenant]?.tenant))
        }
    }
}

extension SQLStore: RoutingStore {
    package func routingRows(of tenants: Set<TenantID>?) async throws(StoreError) -> RoutingRows {
        let asked = Asked(tenants)
        if asked.isNobody { return RoutingRows(asked: []) }
        return try await self.perform(within: Self.loadingTime) { database throws(StoreError) in
            var gathering = RoutingGathering(of: asked.tenants)
            for table in RoutingQuery.allCases {
                try database.each(table.sql(asked), asked.ids) { row throws(StoreError) in
                    gathering.take(row, of: table)
                }
            }
            return gathering.rows
        }
    }

    private static func add(_ dates: [Row], to calendars: inout [CalendarRow]) {
        var places: [String: Int] = [:]
        for (index, calendar) in calendars.enumerated() { places[calendar.id.text] = index }
        for row in dates {
            guard let id = try? row.text("calendar_id"), let index = places[id.lowercased()] else { continue }
            do throws(StoreError) {
                calendars[index].dates.append(try CalendarDateRow(row: row))
            } catch {
                calendars[index].unreadable.append("dates")
            }
        }
    }

    // MARK: Trunks

    package func trunkSettings(of tenant: TenantID) async throws(StoreError) -> [TrunkSettings] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM voip_trunk_ai_settings WHERE tenant_id = ? ORDER BY trunk_id, store_id, id",
                [.text(tenant.text)]
            ).map { row throws(StoreError) in try TrunkSettings(row: row) }
        }
    }

    package func save(_ settings: TrunkSettings, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(settings.tenant, is: tenant)
        let row = settings.row
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                let home = try database.rows(
                    RoutingQuery.everyTenant + " WHERE d.domain_uuid = ?", [.text(tenant.text)]
                ).first
                guard let home else { throw StoreError(.invalid, "there is no such tenant") }
                // The foreign key alone would take another tenant's agent; a JSON list has none.
                if let agent = settings.agent {
                    try Self.demand("ai_agents", agent, tenant, "agent_id: the tenant has no such agent", database)
                }
                let calendars = try database.rows(
                    "SELECT * FROM voip_ai_calendars WHERE tenant_id = ?", [.text(tenant.text)]
                ).map { row throws(StoreError) in try CalendarRow(row: row) }
                if let problem = RoutingTable.problem(
                    of: settings, tenant: try RoutingTenantRow(row: home), calendars: calendars)
                {
                    throw StoreError(.invalid, "\(problem.column): \(problem.repair)")
                }
                try database.put(row, into: TrunkSettings.table)
            }
        }
    }

    private static func demand(
        _ table: String, _ id: String, _ tenant: TenantID, _ message: String, _ database: any SQLDatabase
    ) throws(StoreError) {
        // A text that is no UUID would be PostgreSQL's error, and not ours.
        guard isUUID(id) else { throw StoreError(.invalid, message) }
        let found = try database.rows(
            "SELECT 1 AS found FROM \(table) WHERE tenant_id = ? AND id = ?",
            [.text(tenant.text), .text(id.lowercased())])
        guard !found.isEmpty else { throw StoreError(.invalid, message) }
    }

    @discardableResult
    package func removeTrunkSettings(_ id: RouteID, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.removeRouting(TrunkSettings.table, id.text, tenant)
    }

    private func removeRouting(_ table: String, _ id: String, _ tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.run("DELETE FROM \(table) WHERE tenant_id = ? AND id = ?", [.text(tenant.text), .text(id)]) > 0
        }
    }

    // MARK: Agents

    package func agents(of tenant: TenantID) async throws(StoreError) -> [AgentRow] {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM ai_agents WHERE tenant_id = ? ORDER BY name", [.text(tenant.text)])
                .map { row throws(StoreError) in try AgentRow(row: row) }
        }
    }

    package func save(_ agent: AgentRow, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(agent.tenant, is: tenant)
        try StoreError.check("name", agent.name, 1...128)
        if let prompt = agent.systemPrompt { try StoreError.check("system_prompt", prompt.value, 0...200_000) }
        if let problem = RoutingTable.problem(of: agent) {
            throw StoreError(.invalid, "\(problem.column): \(problem.repair)")
        }
        let row = agent.row
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                if let assistant = agent.assistant {
                    let found = try database.rows(
                        "SELECT 1 AS found FROM v_voice_secretaries WHERE domain_uuid = ? AND voice_secretary_uuid = ?",
                        [.text(tenant.text), .text(assistant.text)])
                    guard !found.isEmpty else {
                        throw StoreError(.invalid, "secretary_uuid: the tenant has no such assistant")
                    }
                }
                try database.put(row, into: AgentRow.table)
            }
        }
    }

    @discardableResult
    package func removeAgent(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                let users = try database.rows(
                    "SELECT 1 AS found FROM voip_trunk_ai_settings WHERE agent_id = ? AND tenant_id = ?",
                    [.text(id.text), .text(tenant.text)])
                guard users.isEmpty else { throw StoreError(.conflict, "a trunk's settings name the agent") }
                return try database.run(
                    "DELETE FROM ai_agents WHERE tenant_id = ? AND id = ?", [.text(tenant.text), .text(id.text)]) > 0
            }
        }
    }

    // MARK: Calendars

    package func calendars(of tenant: TenantID) async throws(StoreError) -> [CalendarRow] {
        try await self.perform { database throws(StoreError) in
            var calendars = try database.rows(
                "SELECT * FROM voip_ai_calendars WHERE tenant_id = ? ORDER BY name", [.text(tenant.text)]
            ).map { row throws(StoreError) in try CalendarRow(row: row) }
            let dates = try database.rows(
                "SELECT * FROM voip_ai_calendar_dates WHERE tenant_id = ? ORDER BY calendar_id, date_number",
                [.text(tenant.text)])
            Self.add(dates, to: &calendars)
            return calendars
        }
    }

    package func save(_ calendar: CalendarRow, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(calendar.tenant, is: tenant)
        try StoreError.check("name", calendar.name, 1...128)
        if let problem = RoutingTable.problem(of: calendar) {
            throw StoreError(.invalid, "\(problem.column): \(problem.repair)")
        }
        let row = calendar.row
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                try database.put(row, into: CalendarRow.table)
                try database.run(
                    "DELETE FROM voip_ai_calendar_dates WHERE calendar_id = ? AND tenant_id = ?",
                    [.text(calendar.id.text), .text(tenant.text)])
                for date in calendar.dates {
                    try database.insert(date.row(of: calendar), into: CalendarDateRow.table)
                }
            }
        }
    }

    @discardableResult
    package func removeCalendar(_ id: CalendarID, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.removeRouting(CalendarRow.table, id.text, tenant)
    }

    // MARK: Tenants

    package func save(_ defaults: RoutingTenantRow, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(defaults.tenant, is: tenant)
        if let problem = RoutingTable.problem(of: defaults) {
            throw StoreError(.invalid, "\(problem.column): \(problem.repair)")
        }
        let row = defaults.row
        try await self.perform { database throws(StoreError) in
            try database.put(row, into: RoutingTenantRow.table, key: "tenant_id")
        }
    }

    // MARK: The log

    package func log(_ decisions: [ActivityRecord]) async throws(StoreError) {
        guard !decisions.isEmpty else { return }
        _ = try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                try database.insert(
                    decisions.map(\.row), into: ActivityRecord.table, or: "ON CONFLICT DO NOTHING")
            }
        }
    }

    package func activity(
        of tenant: TenantID, before: Date?, limit: Int
    ) async throws(StoreError) -> [ActivityRecord] {
        let limit = min(max(limit, 1), 1000)
        return try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT * FROM voip_activity_log WHERE tenant_id = ? AND created_at < ?
                ORDER BY created_at DESC, id LIMIT ?
                """, [.text(tenant.text), .text(Timestamp.text(before ?? .distantFuture)), .integer(Int64(limit))]
            ).map { row throws(StoreError) in try ActivityRecord(row: row) }
        }
    }
}

extension SQLStore: ActivityErasure {
    package func removeActivities(
        of tenant: TenantID, before end: Date, limit: Int
    ) async throws(StoreError) -> Int {
        try await self.perform { database throws(StoreError) in
            try database.run(
                """
                DELETE FROM voip_activity_log WHERE tenant_id = ? AND id IN (
                    SELECT id FROM voip_activity_log WHERE tenant_id = ? AND created_at < ? ORDER BY created_at LIMIT ?)
                """,
                [
                    .text(tenant.text), .text(tenant.text), .text(Timestamp.text(end)),
                    .integer(Int64(min(max(limit, 1), 1000))),
                ])
        }
    }

    /// The log has no callers in it: a decision is a caller's by the record of its call, which the database has or, where it
    /// waits in the spool, whoever asks (`calls`). A person may also be whom a call of ours was made to.
    package func forgetActivities(
        ofCaller numbers: [String], calls: [CallID], tenant: TenantID
    ) async throws(StoreError) -> Int {
        let values: [StoredValue] = numbers.map { .text($0) }
        let tenant = StoredValue.text(tenant.text)
        return try await self.perform { database throws(StoreError) in
            var removed = 0
            if !values.isEmpty {
                let marks = Stores.marks(values.count)
                removed += try database.run(
                    """
                    DELETE FROM voip_activity_log WHERE tenant_id = ? AND (did IN (\(marks)) OR call_id IN (
                        SELECT CAST(call_uuid AS text) FROM voip_cdr WHERE domain_uuid = ? AND caller_id_number IN (\(marks))))
                    """, [tenant] + values + [tenant] + values)
            }
            for batch in calls.batches() {
                removed += try database.run(
                    "DELETE FROM voip_activity_log WHERE tenant_id = ? AND call_id IN (\(Stores.marks(batch.count)))",
                    [tenant] + batch.map { .text($0.text) })
            }
            return removed
        }
    }
}

extension SQLDatabase {
    /// Adds the row, or changes the one with the same key if it is of the same tenant (`tenant_id`).
    fileprivate func put(_ row: Row, into table: String, key: String = "id") throws(StoreError) {
        let changes = row.values.keys.sorted().filter { $0 != key && $0 != "tenant_id" }
            .map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let conflict = "ON CONFLICT (\(key)) DO UPDATE SET \(changes) WHERE \(table).tenant_id = excluded.tenant_id"
        guard try self.insert(row, into: table, or: conflict) == 1 else {
            throw StoreError(.otherTenant, "the id belongs to another tenant")
        }
    }
}
