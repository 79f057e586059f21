import Telephony

/// Reads rows into what decides. A row that cannot be read keeps its place, with its problem: the calls that it would
/// have decided go to a human, and nobody else's.
struct RoutingReading {
    private let home: Zone
    private var zones = ZoneBook()
    private(set) var problems: [RowProblem]

    /// What a calendar gives: its exceptions, or what is wrong with it.
    typealias Calendars = [CalendarID: (tenant: TenantID, exceptions: Result<[ExceptionList], ColumnProblem>)]

    init(home: Zone, problems: [RowProblem]) {
        self.home = home
        self.problems = problems
    }

    private var homes: [TenantID: Zone] = [:]

    private mutating func note(
        _ table: String, _ row: String, _ problem: ColumnProblem, _ tenant: TenantID
    ) -> RowProblem {
        let found = RowProblem(
            table: table, row: row, column: problem.place, repair: problem.repair, tenant: tenant)
        self.problems.append(found)
        return found
    }

    mutating func tenants(_ rows: [RoutingTenantRow]) -> [TenantID: RoutingTable.Tenant] {
        var tenants: [TenantID: RoutingTable.Tenant] = [:]
        tenants.reserveCapacity(rows.count)
        for row in rows {
            for column in row.unreadable {
                _ = self.note(RoutingTenantRow.table, row.tenant.text, Self.unreadable(column), row.tenant)
            }
            var plan = NumberingPlan()
            if let country = row.country {
                if let found = NumberingPlan(country: country) {
                    plan = found
                } else {
                    let problem = ColumnProblem("country_code", "1 to 3 digits, such as 39 or 55")
                    _ = self.note(RoutingTenantRow.table, row.tenant.text, problem, row.tenant)
                }
            }
            if let name = row.zone {
                if let zone = self.zones.zone(name) {
                    self.homes[row.tenant] = zone
                } else {
                    let problem = ColumnProblem("time_zone", "a zone of the IANA database, such as Europe/Rome")
                    _ = self.note(RoutingTenantRow.table, row.tenant.text, problem, row.tenant)
                }
            }
            var fallback: RoutingFallback?
            do throws(ColumnProblem) {
                fallback = try Self.fallback(row.fallbackType, row.fallbackRef)
            } catch {
                _ = self.note(RoutingTenantRow.table, row.tenant.text, error, row.tenant)
            }
            tenants[row.tenant] = RoutingTable.Tenant(
                id: row.tenant, domain: row.domain.lowercased(), isEnabled: row.isEnabled, plan: plan,
                fallback: fallback,
                routes: [], byTrunk: [:], ofEveryTrunk: [], agents: [:])
        }
        return tenants
    }

    // MARK: Calendars

    /// Dates of one calendar at most.
    static let dateLimit = 5000

    mutating func calendars(_ rows: [CalendarRow], of tenants: [TenantID: RoutingTable.Tenant]) -> Calendars {
        var calendars: Calendars = [:]
        for row in rows where tenants[row.tenant] != nil {
            do throws(ColumnProblem) {
                calendars[row.id] = (row.tenant, .success([try self.calendar(row)]))
            } catch {
                _ = self.note(CalendarRow.table, row.id.text, error, row.tenant)
                calendars[row.id] = (row.tenant, .failure(error))
            }
        }
        return calendars
    }

    private mutating func calendar(_ row: CalendarRow) throws(ColumnProblem) -> ExceptionList {
        if let column = row.unreadable.first { throw Self.unreadable(column) }
        var zone = self.homes[row.tenant] ?? self.home
        if let name = row.zone {
            guard let named = self.zones.zone(name) else {
                throw ColumnProblem("time_zone", "a zone of the IANA database, such as Europe/Rome")
            }
            zone = named
        }
        guard row.dates.count <= Self.dateLimit else {
            throw ColumnProblem("dates", "at most \(Self.dateLimit) in one calendar")
        }
        var exceptions: [DateException] = []
        exceptions.reserveCapacity(row.dates.count)
        for date in row.dates { exceptions.append(try date.exception()) }
        return ExceptionList(zone: zone, exceptions)
    }

    // MARK: Agents

    mutating func agents(_ rows: [AgentRow], into tenants: inout [TenantID: RoutingTable.Tenant]) {
        for row in rows where tenants[row.tenant] != nil {
            var agent = RoutingTable.Agent(row: row)
            do throws(ColumnProblem) {
                if let column = row.unreadable.first { throw Self.unreadable(column) }
                agent.tools = try Self.tools(row.toolsProfile)
                if let url = row.gatewayURL, !Self.isGateway(url) {
                    throw ColumnProblem(
                        "gateway_url",
                        "ws:// or wss:// with a host, such as wss://voice.example/rt/:tenant, without blanks")
                }
            } catch {
                agent.problem = self.note(AgentRow.table, row.id.text, error, row.tenant)
            }
            tenants[row.tenant]?.agents[row.id] = agent
        }
    }

    private static func tools(_ text: String?) throws(ColumnProblem) -> [String]? {
        guard let text, !text.isEmpty else { return nil }
        let names = text.split(separator: ",").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard names.count <= 64, names.allSatisfy({ RoutingText.isSlug($0) }) else {
            throw ColumnProblem(
                "tools_profile", "names of tools with commas between them, such as transfer_call,end_call")
        }
        return names
    }

    /// As it is written into a line of the dialplan: what FreeSWITCH's module and `pronto_stream.lua` take.
    static func isGateway(_ text: String) -> Bool {
        guard text.utf8.count <= 1024, !text.contains("${"),
            text.utf8.allSatisfy({
                $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x27 && $0 != 0x5C && $0 != 0x60 && $0 != 0x23
            })
        else { return false }
        for scheme in ["ws://", "wss://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard let host = parts.first, !host.isEmpty, parts.count <= 2,
                host.utf8.allSatisfy({ RoutingText.isWord($0) || $0 == UInt8(ascii: ".") })
            else { return false }
            return parts.count == 1 || wholeNumber(parts[1]).map { (1...65535).contains($0) } ?? false
        }
        return false
    }

    // MARK: Routes

    /// Numbers of one list at most.
    static let numberLimit = 20_000

    mutating func routes(
        _ rows: [TrunkSettings], _ calendars: Calendars, into tenants: inout [TenantID: RoutingTable.Tenant]
    ) {
        for row in rows {
            guard let plan = tenants[row.tenant]?.plan else { continue }
            var route = self.route(row, plan, calendars)
            if route.problem == nil, let twin = tenants[row.tenant]?.twin(of: route) {
                // Two rows that differ in nothing that a call could tell: the first by id decides, and it is said.
                let problem = ColumnProblem("trunk_id", "decides the same calls as row \(twin.id): remove one of them")
                _ = self.note(TrunkSettings.table, row.id.text, problem, row.tenant)
            }
            if let trunk = route.trunk, !RoutingText.isReference(trunk) {
                route.problem = self.note(
                    TrunkSettings.table, row.id.text,
                    ColumnProblem("trunk_id", "1 to 128 printable characters, or null for every trunk"), row.tenant)
            }
            let index = tenants[row.tenant]?.routes.count ?? 0
            tenants[row.tenant]?.routes.append(route)
            if let trunk = route.trunk {
                tenants[row.tenant]?.byTrunk[trunk, default: []].append(index)
            } else {
                tenants[row.tenant]?.ofEveryTrunk.append(index)
            }
        }
    }

    private mutating func route(
        _ row: TrunkSettings, _ plan: NumberingPlan, _ calendars: Calendars
    ) -> RoutingTable.Route {
        var route = RoutingTable.Route(
            id: row.id, trunk: row.trunk, store: row.store, isEnabled: row.isEnabled, allowed: nil, blocked: [],
            schedule: Schedule(), agent: row.agent.flatMap { AssistantID($0) }, language: row.language,
            voice: row.voice,
            bargeIn: row.bargeIn, maximumMinutes: row.maximumMinutes)
        func attempt(_ body: () throws(ColumnProblem) -> Void) -> ColumnProblem? {
            do throws(ColumnProblem) {
                try body()
                return nil
            } catch {
                return error
            }
        }
        // Each part by itself: a bad window takes neither the fallback nor the lists with it.
        var failures: [ColumnProblem] = row.unreadable.map { Self.unreadable($0) }
        if let problem = attempt({ () throws(ColumnProblem) in
            route.fallback = try Self.fallback(row.fallbackType, row.fallbackRef)
        }) {
            failures.append(problem)
        }
        if let problem = attempt({ () throws(ColumnProblem) in
            route.allowed = try Self.numbers(row.didAllow, "did_allowlist", plan)
        }) {
            failures.append(problem)
        }
        if let problem = attempt({ () throws(ColumnProblem) in
            route.blocked = try Self.numbers(row.didBlock, "did_blocklist", plan) ?? []
        }) {
            failures.append(problem)
        }
        var zones = self.zones
        let home = self.homes[row.tenant] ?? self.home
        if let problem = attempt({ () throws(ColumnProblem) in
            if let text = row.timeWindows { route.schedule = try Schedule.read(text, zone: home, zones: &zones) }
            for id in try Self.ids(row.calendars) {
                guard let calendar = calendars[id], calendar.tenant == row.tenant else {
                    throw ColumnProblem("calendar_ids", "names a calendar that the tenant does not have")
                }
                switch calendar.exceptions {
                case .success(let lists): route.schedule.exceptions += lists
                case .failure: throw ColumnProblem("calendar_ids", "calendar \(id) cannot be read")
                }
            }
        }) {
            failures.append(problem)
        }
        self.zones = zones
        if let problem = attempt({ () throws(ColumnProblem) in try Self.checkParameters(row, &route) }) {
            failures.append(problem)
        }
        for failure in failures {
            let found = self.note(TrunkSettings.table, row.id.text, failure, row.tenant)
            route.problem = route.problem ?? found
        }
        return route
    }

    private static func checkParameters(
        _ row: TrunkSettings, _ route: inout RoutingTable.Route
    ) throws(ColumnProblem) {
        if let agent = row.agent, AssistantID(agent) == nil {
            throw ColumnProblem("agent_id", "the id of a row of ai_agents")
        }
        if let store = row.store, !RoutingText.isReference(store) {
            throw ColumnProblem("store_id", "1 to 128 printable characters, or null for every store")
        }
        if let language = row.language, !RoutingText.isLanguage(language) {
            throw ColumnProblem("language", "a language tag, such as it-IT or pt-BR")
        }
        if let voice = row.voice, !RoutingText.isReference(voice) {
            throw ColumnProblem("tts_voice", "1 to 128 printable characters")
        }
        if let minutes = row.maximumMinutes, !(1...1440).contains(minutes) {
            throw ColumnProblem("max_ai_minutes", "1 to 1440")
        }
        if let recording = row.recording {
            guard let choice = RecordingChoice(rawValue: recording) else {
                throw ColumnProblem("recording", "off, on or policy")
            }
            route.recording = choice
        }
    }

    static func fallback(_ kind: String?, _ reference: String?) throws(ColumnProblem) -> RoutingFallback? {
        switch (kind, reference) {
        case (nil, nil): return nil
        case (let kind?, let reference?):
            guard let known = RoutingFallback.Kind(rawValue: kind) else {
                throw ColumnProblem("fallback_target_type", "ext, ring, queue or vm")
            }
            guard RoutingFallback.isReference(reference) else {
                throw ColumnProblem("fallback_target_ref", "1 to 64 letters, digits, +, *, # and (not first) _ . -")
            }
            return RoutingFallback(kind: known, reference: reference)
        case (nil, _): throw ColumnProblem("fallback_target_type", "is missing: ext, ring, queue or vm")
        case (_, nil): throw ColumnProblem("fallback_target_ref", "is missing: what the fallback rings")
        }
    }

    private static func numbers(
        _ json: String?, _ column: String, _ plan: NumberingPlan
    ) throws(ColumnProblem) -> Set<String>? {
        guard let texts = try Self.strings(json, column) else { return nil }
        guard texts.count <= Self.numberLimit else {
            throw ColumnProblem(column, "at most \(Self.numberLimit) numbers")
        }
        var numbers: Set<String> = []
        for (index, text) in texts.enumerated() {
            guard let number = plan.number(text) else {
                throw ColumnProblem("\(column)[\(index)]", "a number as E.164 writes it, such as +39061234567")
            }
            numbers.insert(number)
        }
        return numbers
    }

    private static func ids(_ json: String?) throws(ColumnProblem) -> [CalendarID] {
        var ids: [CalendarID] = []
        for (index, text) in (try Self.strings(json, "calendar_ids") ?? []).enumerated() {
            guard let id = CalendarID(text) else {
                throw ColumnProblem("calendar_ids[\(index)]", "the id of a row of voip_ai_calendars")
            }
            ids.append(id)
        }
        return ids
    }

    /// A JSON array of strings; nil: null.
    private static func strings(_ json: String?, _ column: String) throws(ColumnProblem) -> [String]? {
        guard let json else { return nil }
        guard json.utf8.count <= 1_000_000 else { throw ColumnProblem(column, "at most 1 000 000 bytes") }
        let bytes = Array(json.utf8)
        let strings: [String?]?? = bytes.withUnsafeBytes { buffer in
            guard let scan = try? JSONScan(buffer) else { return .none }
            if scan.kind == .null { return .some(nil) }
            guard scan.kind == .array else { return .none }
            var strings: [String?] = []
            scan.forEachElement { strings.append($0.string) }
            return .some(strings)
        }
        guard let found = strings else { throw ColumnProblem(column, "a JSON array of texts, or null") }
        guard let found else { return nil }
        var texts: [String] = []
        for (index, text) in found.enumerated() {
            guard let text else { throw ColumnProblem("\(column)[\(index)]", "a text") }
            texts.append(text)
        }
        return texts
    }

    private static func unreadable(_ column: String) -> ColumnProblem {
        ColumnProblem(column, "holds what the column cannot hold")
    }
}

extension RoutingTable.Tenant {
    /// A row that decides calls which `route` would decide as well, with nothing to choose between the two.
    func twin(of route: RoutingTable.Route) -> RoutingTable.Route? {
        let places = route.trunk.map { self.byTrunk[$0] ?? [] } ?? self.ofEveryTrunk
        return places.lazy.map { self.routes[$0] }.first { other in
            guard other.store == route.store, other.problem == nil else { return false }
            switch (other.allowed, route.allowed) {
            case (nil, nil): return true
            case (let some?, let others?): return !some.isDisjoint(with: others)
            default: return false
            }
        }
    }
}

extension CalendarDateRow {
    package func exception() throws(ColumnProblem) -> DateException {
        let place = "dates[\(self.number)]"
        var hours: [(start: Int, end: Int)] = []
        if self.start != nil || self.end != nil {
            guard let start = self.start.flatMap({ TimeOfDay.minute($0) }), start < 1440 else {
                throw ColumnProblem("\(place).start_time", "HH:MM, 00:00 to 23:59")
            }
            guard let end = self.end.flatMap({ TimeOfDay.minute($0) }) else {
                throw ColumnProblem("\(place).end_time", "HH:MM, 00:00 to 24:00")
            }
            guard start < end else { throw ColumnProblem("\(place).end_time", "is not after start_time") }
            hours = [(start, end)]
        }
        guard self.mode == "closed" || self.mode == "open" else {
            throw ColumnProblem("\(place).mode", "closed or open")
        }
        return try DateException.checked(
            from: self.from, to: self.to, isOpen: self.mode == "open", hours: hours, name: self.name ?? self.from,
            place: place, names: ("date_from", "date_to"))
    }
}

/// What the texts of rows and questions may consist of.
package enum RoutingText {
    /// An id of somebody else's (a trunk's, a store's): 1 to 128 characters without control characters.
    package static func isReference(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && !text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
    }

    /// A domain or host name: letters, digits, `.`, `-` and `_`.
    package static func isDomain(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { Self.isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
    }

    /// RFC 5646, its characters and lengths.
    package static func isLanguage(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard let first = parts.first, (2...8).contains(first.utf8.count), text.utf8.count <= 35,
            first.utf8.allSatisfy({ (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) })
        else { return false }
        return parts.allSatisfy { part in
            (1...8).contains(part.utf8.count)
                && part.utf8.allSatisfy { Self.isWord($0) && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }
        }
    }

    static func isSlug(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(Self.isWord)
    }

    static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

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
