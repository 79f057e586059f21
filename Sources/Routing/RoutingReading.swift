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
                fallback: fallback)
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
        var places: [TenantID: [Int]] = [:]
        for (place, row) in rows.enumerated() { places[row.tenant, default: []].append(place) }
        for (id, places) in places {
            guard var tenant = tenants[id] else { continue }
            // The tenant's own storage is let go, so that its rows are added in place.
            tenants[id] = nil
            // By their ids: the first of several that are equal decides, whatever the order of rows.
            let sorted = places.map { rows[$0] }.sorted { $0.id.text < $1.id.text }
            // Most tenants have one row.
            let hasTwins = sorted.count > 1
            var twins = Twins()
            for row in sorted {
                let (read, numbers) = self.route(row, tenant.plan, calendars)
                var route = read
                if hasTwins, route.problem == nil, let twin = twins.first(of: route, numbers) {
                    // Two rows that differ in nothing that a call could tell: the first by id decides, and it is said.
                    let problem = ColumnProblem(
                        "trunk_id", "decides the same calls as row \(twin): remove one of them")
                    _ = self.note(TrunkSettings.table, row.id.text, problem, row.tenant)
                }
                if let trunk = route.trunk, !RoutingText.isReference(trunk) {
                    route.problem = self.note(
                        TrunkSettings.table, row.id.text,
                        ColumnProblem("trunk_id", "1 to 128 printable characters, or null for every trunk"), row.tenant)
                }
                if hasTwins, route.problem == nil { twins.add(route, numbers) }
                tenant.add(route, numbers)
            }
            tenants[id] = tenant
        }
    }

    /// Sound rows of one tenant by what a call could tell them by: finds one that decides the same calls in as many steps
    /// as the row lists numbers, and not in as many as the tenant has rows.
    private struct Twins {
        private struct Key: Hashable {
            var scope: RouteIndex.Scope
            /// Nil: every number.
            var number: String?
        }
        /// Added in the order of ids: the first stays.
        private var known: [Key: RouteID] = [:]

        private static func keys(_ route: RoutingTable.Route, _ numbers: RouteNumbers) -> [Key] {
            let scope = RouteIndex.Scope(trunk: route.trunk, store: route.store)
            guard let allowed = numbers.allowed else { return [Key(scope: scope, number: nil)] }
            return allowed.map { Key(scope: scope, number: $0) }
        }

        mutating func add(_ route: RoutingTable.Route, _ numbers: RouteNumbers) {
            for key in Self.keys(route, numbers) where self.known[key] == nil { self.known[key] = route.id }
        }

        func first(of route: RoutingTable.Route, _ numbers: RouteNumbers) -> RouteID? {
            Self.keys(route, numbers).compactMap { self.known[$0] }.min { $0.text < $1.text }
        }
    }

    private mutating func route(
        _ row: TrunkSettings, _ plan: NumberingPlan, _ calendars: Calendars
    ) -> (RoutingTable.Route, RouteNumbers) {
        var route = RoutingTable.Route(
            id: row.id, trunk: row.trunk, store: row.store, isEnabled: row.isEnabled, listsNumbers: false,
            schedule: Schedule(), agent: row.agent.flatMap { AssistantID($0) }, language: row.language,
            voice: row.voice, bargeIn: row.bargeIn, maximumMinutes: row.maximumMinutes)
        var numbers = RouteNumbers()
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
            numbers.allowed = try Self.numbers(row.didAllow, "did_allowlist", plan)
        }) {
            failures.append(problem)
        }
        if let problem = attempt({ () throws(ColumnProblem) in
            numbers.blocked = try Self.numbers(row.didBlock, "did_blocklist", plan) ?? []
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
        route.listsNumbers = numbers.allowed != nil
        return (route, numbers)
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
