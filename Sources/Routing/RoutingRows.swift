import Telephony

// The rows of the routing tables as a database holds them: JSON still text, hand-written nonsense included. Reading them
// is `RoutingTable`'s, so that a row that cannot be read is a problem with a name and no missing row.

/// One row of `voip_trunk_ai_settings` (requirements 2 §1): which calls, when, by which agent, and who else.
package struct TrunkSettings: Sendable, Equatable {
    package var id: RouteID
    package var tenant: TenantID
    /// Nil: every trunk of the tenant.
    package var trunk: String?
    /// Nil: every store.
    package var store: String?
    package var isEnabled: Bool
    /// JSON; nil: always.
    package var timeWindows: String?
    /// JSON array of ids of `voip_ai_calendars`.
    package var calendars: String?
    /// JSON arrays of numbers.
    package var didAllow: String?
    package var didBlock: String?
    /// An id of `ai_agents`.
    package var agent: String?
    /// `ext`, `ring`, `queue`, `vm`.
    package var fallbackType: String?
    package var fallbackRef: String?
    package var language: String?
    package var voice: String?
    package var bargeIn: Bool?
    package var maximumMinutes: Int?
    /// `off`, `on`, `policy`.
    package var recording: String?
    /// JSON, free; kept and handed on to nobody.
    package var meta: String?
    /// Columns that hold what they cannot hold, as the store found them.
    package var unreadable: [String] = []

    package init(id: RouteID, tenant: TenantID, isEnabled: Bool = true) {
        self.id = id
        self.tenant = tenant
        self.isEnabled = isEnabled
    }

    package static let table = "voip_trunk_ai_settings"
}

/// One row of `ai_agents` (requirements 2 §1).
package struct AgentRow: Sendable, Equatable {
    /// A UUID: an agent without `assistant` is itself an assistant of this id.
    package var id: AssistantID
    package var tenant: TenantID
    package var name: String
    package var isEnabled: Bool
    package var model: String?
    /// `wss://voice-gw.example/rt/:tenant`; nil: this installation.
    package var gatewayURL: String?
    /// Names of tools, with commas between them; nil: as the assistant has them.
    package var toolsProfile: String?
    /// The brand's or store's context, beside what the assistant is told.
    package var systemPrompt: Redacted<String>?
    /// The row of `v_voice_secretaries` that it speaks as (`secretary_uuid`).
    package var assistant: AssistantID?
    package var unreadable: [String] = []

    package init(id: AssistantID, tenant: TenantID, name: String, isEnabled: Bool = true) {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.isEnabled = isEnabled
    }

    package static let table = "ai_agents"
}

/// One row of `voip_ai_calendars`: holidays and exceptions that several rows share.
package struct CalendarRow: Sendable, Equatable {
    package var id: CalendarID
    package var tenant: TenantID
    package var name: String
    /// Nil: the tenant's.
    package var zone: String?
    package var dates: [CalendarDateRow] = []
    package var unreadable: [String] = []

    package init(id: CalendarID, tenant: TenantID, name: String, zone: String? = nil, dates: [CalendarDateRow] = []) {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.zone = zone
        self.dates = dates
    }

    package static let table = "voip_ai_calendars"
}

/// One row of `voip_ai_calendar_dates`.
package struct CalendarDateRow: Sendable, Equatable {
    /// 1 upwards within its calendar.
    package var number: Int
    package var name: String?
    /// `closed` or `open`.
    package var mode: String
    /// `2026-12-25`, or `12-25` for each year; the last day included.
    package var from: String
    package var to: String
    /// `09:00`; both nil: the whole day.
    package var start: String?
    package var end: String?

    package init(
        number: Int, name: String?, mode: String, from: String, to: String, start: String? = nil, end: String? = nil
    ) {
        self.number = number
        self.name = name
        self.mode = mode
        self.from = from
        self.to = to
        self.start = start
        self.end = end
    }

    package static let table = "voip_ai_calendar_dates"
}

/// Names one calendar.
package struct CalendarID: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }
    package var description: String { self.text }
}

/// One row of `voip_ai_tenants`: what holds for every trunk of a tenant.
package struct RoutingTenantRow: Sendable, Equatable {
    package var tenant: TenantID
    /// Of `v_domains`: the SIP domain.
    package var domain: String
    package var isEnabled: Bool
    /// `39`: how national numbers are written out.
    package var country: String?
    /// For windows and calendars that name none.
    package var zone: String?
    /// Where calls go that no row decides.
    package var fallbackType: String?
    package var fallbackRef: String?
    package var unreadable: [String] = []

    package init(tenant: TenantID, domain: String, isEnabled: Bool = true) {
        self.tenant = tenant
        self.domain = domain
        self.isEnabled = isEnabled
    }

    package static let table = "voip_ai_tenants"
}

/// All rows of all tenants, or of some.
package struct RoutingRows: Sendable, Equatable {
    /// Where they are kept.
    package static let tables = [
        TrunkSettings.table, AgentRow.table, CalendarRow.table, CalendarDateRow.table, RoutingTenantRow.table,
    ]

    /// Whose all these rows are; nil: everybody's. One who is asked for and not among `tenants` exists no more.
    package var asked: Set<TenantID>?
    package var tenants: [RoutingTenantRow]
    package var trunks: [TrunkSettings]
    package var agents: [AgentRow]
    package var calendars: [CalendarRow]
    /// Rows that have not even an id and a tenant, as sentences.
    package var lost: [RowProblem]

    package init(
        asked: Set<TenantID>? = nil, tenants: [RoutingTenantRow] = [], trunks: [TrunkSettings] = [],
        agents: [AgentRow] = [],
        calendars: [CalendarRow] = [], lost: [RowProblem] = []
    ) {
        self.asked = asked
        self.tenants = tenants
        self.trunks = trunks
        self.agents = agents
        self.calendars = calendars
        self.lost = lost
    }
}

/// Something wrong with one row: says where and what would be right, never what is there. Safe to log.
package struct RowProblem: Sendable, Hashable, CustomStringConvertible {
    package var table: String
    package var row: String
    /// The column, with the place in it: `time_windows[1].end`.
    package var column: String
    package var repair: String
    package var tenant: TenantID?

    package init(table: String, row: String, column: String, repair: String, tenant: TenantID? = nil) {
        self.table = table
        self.row = row
        self.column = column
        self.repair = repair
        self.tenant = tenant
    }

    package var description: String { "\(self.table) \(self.row): \(self.column): \(self.repair)" }
}
