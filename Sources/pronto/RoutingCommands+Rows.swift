import Calendars
import Configuration
import Foundation
import Records
import Routing
import Telephony

extension RoutingCommands {
    // MARK: pronto trunk

    static func trunk(_ arguments: Arguments, _ store: any RecordsStore) async throws -> String {
        let tenant = try await StoreCommands.tenant(of: arguments, store)
        switch arguments.words.first {
        case "add": return try await Self.addTrunk(arguments, store, tenant)
        case "defaults": return try await Self.defaults(arguments, store, tenant)
        case "list", nil:
            let agents = Dictionary(
                try await store.agents(of: tenant.id).map { ($0.id.text, $0.name) }, uniquingKeysWith: { one, _ in one }
            )
            let rows = try await store.trunkSettings(of: tenant.id).map { row in
                [
                    row.id.text, row.trunk ?? "any", row.store ?? "-", row.agent.map { agents[$0] ?? $0 } ?? "-",
                    row.timeWindows == nil ? "always" : "windows", row.didAllow == nil ? "every" : "listed",
                    row.fallbackRef.map { "\(row.fallbackType ?? "-"):\($0)" } ?? "-", row.isEnabled ? "yes" : "no",
                ]
            }
            return StoreCommands.table(
                ["id", "trunk", "store", "agent", "hours", "numbers", "fallback", "enabled"], rows)
        case "remove":
            let word = try StoreCommands.word(arguments, 1, "the settings' id")
            guard let id = RouteID(word), try await store.removeTrunkSettings(id, of: tenant.id) else {
                throw CommandFailure("the tenant has no such settings: pronto trunk list")
            }
            return "removed"
        case let word?: throw StoreCommands.unknown("trunk \(word)")
        }
    }

    private static func addTrunk(
        _ arguments: Arguments, _ store: any RecordsStore, _ tenant: Tenant
    ) async throws -> String {
        let word = try StoreCommands.word(arguments, 1, "the trunk's id (or any)")
        let trunk = word == "any" ? nil : word
        let ofStore = try arguments.optional("--store")
        let given = try arguments.optional("--id", allowed: "a UUID") { RouteID($0) }
        let known = try await store.trunkSettings(of: tenant.id).first { row in
            given.map { row.id == $0 } ?? (row.trunk == trunk && row.store == ofStore)
        }
        guard known == nil || arguments.has("--replace") || (given == nil && !arguments.all("--allow").isEmpty) else {
            throw CommandFailure("there are settings of that trunk and store; --replace changes them")
        }
        let changed = arguments.has("--replace") ? known : nil
        guard let id = changed?.id ?? given ?? RouteID(UUID().uuidString) else { throw CommandFailure("no id") }
        var row = changed ?? TrunkSettings(id: id, tenant: tenant.id)
        (row.trunk, row.store) = (trunk, ofStore)
        if let text = try arguments.optional("--agent") {
            let agents = try await store.agents(of: tenant.id)
            guard let agent = agents.first(where: { $0.name == text || $0.id.text == text.lowercased() }) else {
                throw CommandFailure("--agent: the tenant has no such agent: pronto agent list")
            }
            row.agent = agent.id.text
        }
        if let windows = try Self.windows(arguments) { row.timeWindows = windows == "null" ? nil : windows }
        let names = arguments.all("--calendar")
        if !names.isEmpty {
            let calendars = try await store.calendars(of: tenant.id)
            let ids = try names.map { name in
                guard let found = calendars.first(where: { $0.name == name || $0.id.text == name.lowercased() }) else {
                    throw CommandFailure("--calendar: the tenant has no such calendar: pronto calendar list")
                }
                return JSONValue.string(found.id.text)
            }
            row.calendars = JSONValue.array(ids).json
        }
        if !arguments.all("--allow").isEmpty { row.didAllow = Self.list(arguments.all("--allow")) }
        if !arguments.all("--block").isEmpty { row.didBlock = Self.list(arguments.all("--block")) }
        if let (kind, reference) = try Self.fallback(arguments) {
            (row.fallbackType, row.fallbackRef) = (kind, reference)
        }
        if let text = try arguments.optional("--language") { row.language = text }
        if let text = try arguments.optional("--voice") { row.voice = text }
        if let text = try arguments.optional("--recording") { row.recording = text }
        if let minutes = try StoreCommands.number(arguments, "--max-minutes", 1...1440) { row.maximumMinutes = minutes }
        if arguments.has("--barge-in") { row.bargeIn = true }
        if arguments.has("--no-barge-in") { row.bargeIn = false }
        if arguments.has("--disabled") { row.isEnabled = false }
        if arguments.has("--enabled") { row.isEnabled = true }
        try await store.save(row, of: tenant.id)
        return row.id.text
    }

    private static func list(_ texts: [String]) -> String { JSONValue.array(texts.map { .string($0) }).json }

    private static func fallback(_ arguments: Arguments) throws -> (String, String)? {
        guard let text = try arguments.optional("--fallback") else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw ArgumentError.notAllowed(
                option: "--fallback", allowed: "ext, ring, queue or vm, a colon, and what rings")
        }
        return (parts[0], parts[1])
    }

    /// The JSON of `time_windows`; nil: not given. "null": always.
    static func windows(_ arguments: Arguments) throws -> String? {
        let hours = arguments.all("--hours")
        if let json = try arguments.optional("--windows") {
            guard hours.isEmpty else { throw ArgumentError.tooMany("--hours") }
            return json
        }
        guard !hours.isEmpty else { return nil }
        return JSONValue.array(try hours.map(Self.window)).json
    }

    /// `1-5=09:00-13:00,15:00-19:00@Europe/Rome`: days (1 is Monday), ranges, and a zone where it is not the tenant's.
    private static func window(_ text: String) throws -> JSONValue {
        func wrong() -> ArgumentError {
            ArgumentError.notAllowed(
                option: "--hours",
                allowed: "DAYS=FROM-TO[,FROM-TO][@ZONE], such as 1-5=09:00-13:00,15:00-19:00@Europe/Rome")
        }
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { throw wrong() }
        let ends = parts[1].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var days: [JSONValue] = []
        for part in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            let range = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
            guard let first = range.first, let last = range.last, range.count <= 2, (0...7).contains(first),
                (0...7).contains(last), first <= last
            else { throw wrong() }
            days += (first...last).map { .integer($0) }
        }
        var ranges: [JSONValue] = []
        for part in ends[0].split(separator: ",", omittingEmptySubsequences: false) {
            let times = part.split(separator: "-", omittingEmptySubsequences: false)
            guard times.count == 2 else { throw wrong() }
            ranges.append(["start": .string(String(times[0])), "end": .string(String(times[1]))])
        }
        var members: [JSONValue.Member] = [.init("dow", .array(days)), .init("ranges", .array(ranges))]
        if ends.count == 2 { members.append(.init("tz", .string(String(ends[1])))) }
        return .object(members)
    }

    private static func defaults(
        _ arguments: Arguments, _ store: any RecordsStore, _ tenant: Tenant
    ) async throws -> String {
        let rows = try await store.routingRows(of: [tenant.id]).tenants
        var row = rows.first { $0.tenant == tenant.id } ?? RoutingTenantRow(tenant: tenant.id, domain: tenant.name)
        if let text = try arguments.optional("--country") {
            guard let plan = NumberingPlan(country: text) else {
                throw ArgumentError.notAllowed(
                    option: "--country", allowed: "a country code of 1 to 3 digits, such as 39 or 55")
            }
            row.country = plan.country
        }
        if let text = try arguments.optional("--zone") { row.zone = text }
        if let (kind, reference) = try Self.fallback(arguments) {
            (row.fallbackType, row.fallbackRef) = (kind, reference)
        }
        try await store.save(row, of: tenant.id)
        return StoreCommands.table(
            ["country", "zone", "fallback"],
            [[row.country ?? "-", row.zone ?? "-", row.fallbackRef.map { "\(row.fallbackType ?? "-"):\($0)" } ?? "-"]])
    }

    // MARK: pronto agent

    static func agent(_ arguments: Arguments, _ store: any RecordsStore) async throws -> String {
        let tenant = try await StoreCommands.tenant(of: arguments, store)
        switch arguments.words.first {
        case "add":
            let name = try StoreCommands.word(arguments, 1, "the agent's name")
            let known = try await store.agents(of: tenant.id).first { $0.name == name }
            guard known == nil || arguments.has("--replace") else {
                throw CommandFailure("there is an agent of that name; --replace changes it")
            }
            let given = try arguments.optional("--id", allowed: "a UUID") { AssistantID($0) }
            guard let id = known?.id ?? given ?? AssistantID(UUID().uuidString) else { throw CommandFailure("no id") }
            var row = known ?? AgentRow(id: id, tenant: tenant.id, name: name)
            if let text = try arguments.optional("--assistant") {
                let named = try await store.assistant(named: text, of: tenant.id)?.id
                guard let assistant = named ?? AssistantID(text) else {
                    throw CommandFailure("--assistant: the tenant has no such assistant: pronto assistant list")
                }
                row.assistant = assistant
            }
            if let text = try arguments.optional("--model") { row.model = text }
            if let text = try arguments.optional("--gateway-url") { row.gatewayURL = text }
            if let text = try arguments.optional("--tools") { row.toolsProfile = text }
            if let path = try arguments.optional("--prompt-file") {
                guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                    throw CommandFailure("--prompt-file: the file cannot be read as UTF-8")
                }
                row.systemPrompt = Redacted(text)
            }
            if arguments.has("--disabled") { row.isEnabled = false }
            if arguments.has("--enabled") { row.isEnabled = true }
            try await store.save(row, of: tenant.id)
            return row.id.text
        case "list", nil:
            let assistants = Dictionary(
                try await store.assistants(of: tenant.id).map { ($0.id, $0.name) }, uniquingKeysWith: { one, _ in one })
            let rows = try await store.agents(of: tenant.id).map { row in
                [
                    row.id.text, row.name, row.assistant.map { assistants[$0] ?? $0.text } ?? "itself",
                    row.model ?? "-", row.gatewayURL ?? "-", row.isEnabled ? "yes" : "no",
                ]
            }
            return StoreCommands.table(["id", "name", "assistant", "model", "gateway", "enabled"], rows)
        case "remove":
            let word = try StoreCommands.word(arguments, 1, "the agent's name or id")
            let named = try await store.agents(of: tenant.id).first { $0.name == word }?.id
            guard let id = named ?? AssistantID(word), try await store.removeAgent(id, of: tenant.id) else {
                throw CommandFailure("the tenant has no such agent")
            }
            return "removed"
        case let word?: throw StoreCommands.unknown("agent \(word)")
        }
    }

    // MARK: pronto calendar

    static func calendar(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings, today: Date
    ) async throws -> String {
        let tenant = try await StoreCommands.tenant(of: arguments, store)
        switch arguments.words.first {
        case "import": return try await Self.importCalendar(arguments, store, settings, tenant, today)
        case "list", nil:
            let rows = try await store.calendars(of: tenant.id).map {
                [$0.id.text, $0.name, $0.zone ?? "-", String($0.dates.count)]
            }
            return StoreCommands.table(["id", "name", "zone", "dates"], rows)
        case "show":
            let found = try await Self.calendar(
                try StoreCommands.word(arguments, 1, "the calendar's name"), store, tenant)
            return StoreCommands.table(
                ["from", "to", "hours", "mode", "name"],
                found.dates.map { date in
                    [
                        date.from, date.to, date.start.map { "\($0)-\(date.end ?? "")" } ?? "all", date.mode,
                        date.name ?? "-",
                    ]
                })
        case "remove":
            let found = try await Self.calendar(
                try StoreCommands.word(arguments, 1, "the calendar's name"), store, tenant)
            let users = try await store.trunkSettings(of: tenant.id).filter {
                $0.calendars?.contains(found.id.text) ?? false
            }
            guard users.isEmpty else {
                throw CommandFailure("settings \(users.map(\.id.text).joined(separator: ", ")) name the calendar")
            }
            try await store.removeCalendar(found.id, of: tenant.id)
            return "removed"
        case let word?: throw StoreCommands.unknown("calendar \(word)")
        }
    }

    private static func calendar(
        _ word: String, _ store: any RecordsStore, _ tenant: Tenant
    ) async throws -> CalendarRow {
        let all = try await store.calendars(of: tenant.id)
        guard let found = all.first(where: { $0.name == word || $0.id.text == word.lowercased() }) else {
            throw CommandFailure("the tenant has no such calendar: pronto calendar list")
        }
        return found
    }

    private static func importCalendar(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings, _ tenant: Tenant, _ today: Date
    ) async throws -> String {
        let path = try StoreCommands.word(arguments, 1, "the file")
        let name = try arguments.required("--name")
        let known = try await store.calendars(of: tenant.id).first { $0.name == name }
        guard known == nil || arguments.has("--replace") else {
            throw CommandFailure("there is a calendar of that name; --replace changes it")
        }
        let stated = try arguments.optional("--zone", allowed: "a zone of the IANA database") { Zone($0) }
        let tenantZone = try await store.routingRows(of: [tenant.id]).tenants.first { $0.tenant == tenant.id }?.zone
        let zone =
            try stated ?? known?.zone.flatMap { Zone($0) } ?? tenantZone.flatMap { Zone($0) } ?? Self.home(settings)
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw CommandFailure("\(path): the file cannot be read")
        }
        defer { try? handle.close() }
        var file = CalendarFile(
            zone: zone, isOpen: arguments.has("--open"), today: zone.clock(at: today).day)
        if let years = try StoreCommands.number(arguments, "--years", 1...20) { file.horizon = years }
        // One byte more than is taken, so that a larger file is known without reading it.
        let bytes = try handle.read(upToCount: file.limits.bytes + 1) ?? Data()
        let dates: [CalendarDateRow]
        do throws(CalendarFileError) { dates = try file.dates(of: Array(bytes)) } catch {
            throw CommandFailure("\(path): \(error)")
        }
        guard let id = known?.id ?? CalendarID(UUID().uuidString) else { throw CommandFailure("no id") }
        try await store.save(
            CalendarRow(id: id, tenant: tenant.id, name: name, zone: zone.name, dates: dates), of: tenant.id)
        return "\(id) \(dates.count) dates"
    }
}
