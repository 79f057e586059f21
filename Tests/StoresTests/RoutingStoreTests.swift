import Foundation
import Records
import Routing
import Synchronization
import Telephony
import Testing

@testable import Stores

@Suite("Routing in the store")
struct RoutingStoreTests {
    /// Rows of one tenant with no field at its default.
    private struct House {
        var tenant: Tenant
        var assistant: Assistant
        var agent: AgentRow
        var calendar: CalendarRow
        var trunk: TrunkSettings
        var defaults: RoutingTenantRow

        init(_ number: Int) throws {
            self.tenant = try Sample.tenant(number)
            let id = self.tenant.id
            self.assistant = try Sample.assistant(number, of: id)
            self.agent = AgentRow(
                id: try #require(AssistantID(Sample.uuid(700 + number))), tenant: id, name: "agent \(number)")
            self.agent.model = "gpt-4o-realtime-preview"
            self.agent.gatewayURL = "wss://voice-gw.w3suite.it/rt/:tenant"
            self.agent.toolsProfile = "transfer_call,end_call"
            self.agent.systemPrompt = Redacted("Sei la voce di “Roma”.\nSempre; '--")
            self.agent.assistant = self.assistant.id
            self.calendar = CalendarRow(
                id: try #require(CalendarID(Sample.uuid(800 + number))), tenant: id, name: "Festivi",
                zone: "Europe/Rome",
                dates: [
                    CalendarDateRow(number: 1, name: "Natale", mode: "closed", from: "12-25", to: "12-25"),
                    CalendarDateRow(
                        number: 2, name: nil, mode: "open", from: "2026-12-24", to: "2026-12-24", start: "09:00",
                        end: "13:00"),
                ])
            self.trunk = TrunkSettings(
                id: try #require(RouteID(Sample.uuid(900 + number))), tenant: id, isEnabled: false)
            self.trunk.trunk = "trunk-roma01"
            self.trunk.store = "negozio d'Àida"
            self.trunk.timeWindows = #"[{"dow":[1,2],"start":"09:00","end":"19:00","tz":"Europe/Rome"}]"#
            self.trunk.calendars = #"["\#(self.calendar.id)"]"#
            self.trunk.didAllow = #"["+39061234567"]"#
            self.trunk.didBlock = #"["+39069999999"]"#
            self.trunk.agent = self.agent.id.text
            self.trunk.fallbackType = "ring"
            self.trunk.fallbackRef = "ring_store_roma01"
            self.trunk.language = "it-IT"
            self.trunk.voice = "it-Marta"
            self.trunk.bargeIn = true
            self.trunk.maximumMinutes = 8
            self.trunk.recording = "policy"
            self.trunk.meta = #"{"note":"x"}"#
            self.defaults = RoutingTenantRow(tenant: id, domain: self.tenant.name)
            self.defaults.country = "39"
            self.defaults.zone = "Europe/Rome"
            self.defaults.fallbackType = "ext"
            self.defaults.fallbackRef = "1001"
        }

        func fill(_ store: any RecordsStore) async throws {
            try await store.save(self.tenant)
            try await store.save(self.assistant, of: self.tenant.id)
            try await store.save(self.defaults, of: self.tenant.id)
            try await store.save(self.agent, of: self.tenant.id)
            try await store.save(self.calendar, of: self.tenant.id)
            try await store.save(self.trunk, of: self.tenant.id)
        }
    }

    /// What a database may write otherwise than it was given: the spaces of a JSON text.
    private func plain(_ row: TrunkSettings) -> TrunkSettings {
        var row = row
        func tight(_ text: String?) -> String? {
            text.flatMap { JSONValue(json: $0) }.map { value in
                // jsonb sorts its keys as well.
                guard let elements = value.elements else { return value.json }
                return JSONValue.array(
                    elements.map { element in
                        element.members.map { .object($0.sorted { $0.name < $1.name }) } ?? element
                    }
                ).json
            }
        }
        row.timeWindows = tight(row.timeWindows)
        row.calendars = tight(row.calendars)
        row.didAllow = tight(row.didAllow)
        row.didBlock = tight(row.didBlock)
        row.meta = tight(row.meta)
        return row
    }

    @Test("What was saved comes back whole, alone and among all rows", arguments: StoreUnderTest.allCases)
    func whole(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (house, other) = (try House(1), try House(2))
            try await house.fill(store)
            try await other.fill(store)
            let id = house.tenant.id
            #expect(try await store.trunkSettings(of: id).map(self.plain) == [self.plain(house.trunk)])
            #expect(try await store.agents(of: id) == [house.agent])
            #expect(try await store.calendars(of: id) == [house.calendar])
            let all = try await store.routingRows()
            #expect(Set(all.tenants.map(\.tenant)) == [id, other.tenant.id] && all.lost.isEmpty)
            #expect(all.tenants.contains(house.defaults) && all.tenants.contains(other.defaults))
            #expect(all.trunks.map(self.plain) == [self.plain(house.trunk), self.plain(other.trunk)])
            #expect(all.agents == [house.agent, other.agent] && all.calendars == [house.calendar, other.calendar])
            #expect(RoutingTable(all, home: .utc).problems.isEmpty)

            var changed = house.trunk
            changed.isEnabled = true
            changed.timeWindows = nil
            changed.agent = nil
            changed.store = nil
            try await store.save(changed, of: id)
            #expect(try await store.trunkSettings(of: id).map(self.plain) == [self.plain(changed)])
            var shorter = house.calendar
            shorter.dates.removeLast()
            try await store.save(shorter, of: id)
            #expect(try await store.calendars(of: id) == [shorter])
            #expect(try await store.removeTrunkSettings(house.trunk.id, of: id))
            #expect(try await store.removeAgent(house.agent.id, of: id))
            #expect(try await store.removeCalendar(house.calendar.id, of: id))
            #expect(try await !store.removeCalendar(house.calendar.id, of: id))
            #expect(try await store.trunkSettings(of: id).isEmpty)
            #expect(try await store.calendars(of: id).isEmpty)
        }
    }

    @Test("Nothing of one tenant is seen, changed or lent to another", arguments: StoreUnderTest.allCases)
    func crossing(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (ours, theirs) = (try House(1), try House(2))
            try await ours.fill(store)
            let other = theirs.tenant.id
            try await store.save(theirs.tenant)
            try await store.save(theirs.assistant, of: other)
            #expect(try await store.trunkSettings(of: other).isEmpty)
            #expect(try await store.agents(of: other).isEmpty)
            #expect(try await store.calendars(of: other).isEmpty)
            #expect(try await store.activity(of: other, before: nil, limit: 10).isEmpty)
            #expect(try await !store.removeTrunkSettings(ours.trunk.id, of: other))
            #expect(try await !store.removeAgent(ours.agent.id, of: other))
            #expect(try await !store.removeCalendar(ours.calendar.id, of: other))
            // In the other's name, with our value; then their own with our id, agent, calendar or assistant.
            #expect(await code { try await store.save(ours.trunk, of: other) } == .otherTenant)
            #expect(await code { try await store.save(ours.agent, of: other) } == .otherTenant)
            #expect(await code { try await store.save(ours.calendar, of: other) } == .otherTenant)
            #expect(await code { try await store.save(ours.defaults, of: other) } == .otherTenant)
            var agent = theirs.agent
            agent.id = ours.agent.id
            agent.name = "stolen"
            #expect(await code { try await store.save(agent, of: other) } == .otherTenant)
            agent = theirs.agent
            agent.assistant = ours.assistant.id
            #expect(await code { try await store.save(agent, of: other) } == .invalid)
            var calendar = theirs.calendar
            calendar.id = ours.calendar.id
            #expect(await code { try await store.save(calendar, of: other) } == .otherTenant)
            try await store.save(theirs.agent, of: other)
            try await store.save(theirs.calendar, of: other)
            for change in [
                { (row: inout TrunkSettings) in row.agent = ours.agent.id.text },
                { (row: inout TrunkSettings) in row.calendars = #"["\#(ours.calendar.id)"]"# },
            ] {
                var row = theirs.trunk
                change(&row)
                #expect(await code { try await store.save(row, of: other) } == .invalid)
            }
            var row = theirs.trunk
            row.id = ours.trunk.id
            #expect(await code { try await store.save(row, of: other) } == .otherTenant)
            #expect(try await store.trunkSettings(of: ours.tenant.id).map(self.plain) == [self.plain(ours.trunk)])
            #expect(try await store.calendars(of: ours.tenant.id) == [ours.calendar])
        }
    }

    @Test("A row that would decide nothing is refused with its column", arguments: StoreUnderTest.allCases)
    func refused(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let house = try House(1)
            try await house.fill(store)
            let changes: [(String, (inout TrunkSettings) -> Void)] = [
                ("time_windows[0].end", { $0.timeWindows = #"[{"start":"09:00","end":"09:00"}]"# }),
                ("time_windows", { $0.timeWindows = "'; DROP TABLE ai_agents; --" }),
                ("did_allowlist[0]", { $0.didAllow = #"["x"]"# }), ("agent_id", { $0.agent = "' OR 1=1 --" }),
                ("fallback_target_ref", { $0.fallbackRef = "a b" }), ("max_ai_minutes", { $0.maximumMinutes = 0 }),
                ("recording", { $0.recording = "maybe" }), ("trunk_id", { $0.trunk = "a\nb" }),
                ("language", { $0.language = "\u{0}" }),
            ]
            for (column, change) in changes {
                var row = house.trunk
                change(&row)
                do {
                    try await store.save(row, of: house.tenant.id)
                    Issue.record("\(column) was taken")
                } catch let error as StoreError {
                    #expect(error.code == .invalid && error.message.hasPrefix(column), "\(error)")
                }
            }
            var agent = house.agent
            agent.gatewayURL = "https://x"
            #expect(await code { try await store.save(agent, of: house.tenant.id) } == .invalid)
            #expect(await code { try await store.removeAgent(house.agent.id, of: house.tenant.id) } == .conflict)
            var twin = house.agent
            twin.id = try #require(AssistantID(Sample.uuid(777)))
            #expect(await code { try await store.save(twin, of: house.tenant.id) } == .conflict)
            #expect(try await store.trunkSettings(of: house.tenant.id).map(self.plain) == [self.plain(house.trunk)])
        }
    }

    @Test("The copy for a start without the database has routing's rows", arguments: StoreUnderTest.allCases)
    func copy(kind: StoreUnderTest) async throws {
        try await withFolder { folder in
            try await kind.withStore { store in
                let house = try House(1)
                try await house.fill(store)
                let copy = ConfigurationCopy(path: folder + "/copy")
                try await copy.write(from: try #require(store as? SQLStore))
                let (kept, stored) = (try copy.readRouting(), try await store.routingRows())
                #expect(kept == stored && kept.trunks.count == 1 && kept.calendars.first?.dates.count == 2)
                #expect(try copy.read(secretKeys: nil).tenants.count == 1)
            }
        }
    }

    @Test("Gateways are told of changed rows, by tenant")
    func notices() async throws {
        let store = try await SQLStore(path: ":memory:", secretKeys: nil)
        let (house, other) = (try House(1), try House(2))
        try await house.fill(store)
        try await other.fill(store)
        func number(_ tenant: TenantID) async throws -> Int {
            try await store.perform { database throws(StoreError) in
                try database.rows("SELECT number FROM pronto_changes WHERE domain_uuid = ?", [.text(tenant.text)])
                    .first?.integer("number") ?? 0
            }
        }
        var last = try await number(house.tenant.id)
        let theirs = try await number(other.tenant.id)
        for change in 0..<4 {
            switch change {
            case 0: try await store.save(house.trunk, of: house.tenant.id)
            case 1: try await store.save(house.agent, of: house.tenant.id)
            case 2: try await store.save(house.calendar, of: house.tenant.id)
            default: try await store.removeTrunkSettings(house.trunk.id, of: house.tenant.id)
            }
            let now = try await number(house.tenant.id)
            #expect(now > last, "change \(change)")
            last = now
        }
        #expect(try await number(other.tenant.id) == theirs)
        await store.close()
    }

    @Test("What a trunk says about a call takes the place of what its assistant says, and lifts no limit")
    func overrides() throws {
        let house = try House(1)
        var agent = RoutedAgent(
            id: house.agent.id, name: "agent", assistant: house.assistant.id, isAssistantItself: false)
        let untouched = AssistantOverrides(agent).applied(to: house.assistant)
        #expect(untouched == house.assistant)
        agent.language = "pt-BR"
        agent.voice = "br-Clara"
        agent.model = "m"
        agent.bargeIn = false
        agent.maximumMinutes = 2
        agent.recording = .on
        agent.tools = ["end_call"]
        agent.context = Redacted("Loja de Roma.")
        var assistant = house.assistant
        assistant.maximumDuration = nil
        let changed = AssistantOverrides(agent).applied(to: assistant)
        #expect(changed.language == "pt-BR" && changed.voice == "br-Clara" && changed.model == "m")
        #expect(changed.bargeIn.isEnabled == false && changed.maximumDuration == .seconds(120))
        #expect(changed.isRecorded == true && changed.tools == ["end_call"])
        #expect(changed.instructions.value.hasSuffix("Sempre.\n\nLoja de Roma."))
        #expect(changed.id == assistant.id && changed.tenant == assistant.tenant)
        assistant.maximumDuration = .seconds(60)
        #expect(AssistantOverrides(agent).applied(to: assistant).maximumDuration == .seconds(60))
        agent.fallback = RoutingFallback(kind: .queue, reference: "support")
        #expect(AssistantOverrides(agent).fallback?.reference == "support")
        agent.recording = .policy
        #expect(AssistantOverrides(agent).applied(to: house.assistant).isRecorded == house.assistant.isRecorded)
        agent.isAssistantItself = true
        #expect(AssistantOverrides(agent).context == nil && AssistantOverrides(agent).voice == "br-Clara")
    }

    @Test("The log keeps each decision once, newest first", arguments: StoreUnderTest.allCases)
    func log(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            var records: [ActivityRecord] = []
            for number in 0..<5 {
                var record = ActivityRecord(
                    id: Sample.uuid(number), tenant: tenant.id, decidedAt: Sample.moment(Double(number)),
                    isAI: number % 2 == 0, reason: "time_window_match", latency: .microseconds(40 + number))
                record.call = CallID("call-\(number)")
                record.trunk = "trunk"
                record.did = "+39****67"
                record.route = RouteID(Sample.uuid(9))
                record.agent = AssistantID(Sample.uuid(8))
                record.node = "node-a"
                records.append(record)
            }
            try await store.log(Array(records.prefix(3)))
            // The answer to the first try was lost: it comes again with what came since.
            try await store.log(records)
            let kept = try await store.activity(of: tenant.id, before: nil, limit: 100)
            #expect(kept == records.reversed())
            #expect(
                try await store.activity(of: tenant.id, before: Sample.moment(3), limit: 2).map(\.id)
                    == [Sample.uuid(2), Sample.uuid(1)])
            // Retention and erasure, of one tenant and in bounded steps.
            let other = try Sample.tenantID(2)
            #expect(try await store.removeActivities(of: other, before: Sample.moment(9), limit: 100) == 0)
            #expect(try await store.removeActivities(of: tenant.id, before: Sample.moment(3), limit: 2) == 2)
            #expect(try await store.forgetActivities(ofCaller: ["+39****67", "x"], calls: [], tenant: other) == 0)
            #expect(try await store.forgetActivities(ofCaller: ["' OR 1=1 --"], calls: [], tenant: tenant.id) == 0)
            #expect(
                try await store.activity(of: tenant.id, before: nil, limit: 9).map(\.id)
                    == [Sample.uuid(4), Sample.uuid(3), Sample.uuid(2)])
            #expect(try await store.forgetActivities(ofCaller: ["+39****67"], calls: [], tenant: tenant.id) == 3)
        }
    }
}

@Suite("The activity log")
struct ActivityLogTests {
    /// A store that takes nothing until it is told to.
    private final class Moody: ActivityOnlyStore {
        let answer = Mutex<StoreError?>(StoreError(.unavailable, "away"))
        let kept = Mutex<[ActivityRecord]>([])

        func log(_ decisions: [ActivityRecord]) async throws(StoreError) {
            if let error = self.answer.withLock({ $0 }) { throw error }
            self.kept.withLock { $0 += decisions }
        }
    }

    private func record(_ number: Int) throws -> ActivityRecord {
        ActivityRecord(
            id: Sample.uuid(number), tenant: try Sample.tenantID(1), decidedAt: Sample.moment(Double(number)),
            isAI: true,
            reason: "always_on", latency: .zero)
    }

    private func wait(_ condition: () -> Bool) async throws {
        for _ in 0..<1000 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(condition())
    }

    @Test(
        "While the database is away decisions wait; the oldest are given up and counted; then all is written, in order")
    func away() async throws {
        let store = Moody()
        var limits = ActivityLog.Limits()
        (limits.waiting, limits.batch, limits.pause) = (20, 8, .milliseconds(5))
        limits.longestPause = .milliseconds(10)
        let failures = Mutex(0)
        let log = ActivityLog(store: store, limits: limits) { outcome in
            if case .failed = outcome { failures.withLock { $0 += 1 } }
        }
        log.start()
        for number in 0..<30 { log.add(try self.record(number)) }
        #expect(log.dropped == 10 && log.waiting == 20)
        try await self.wait { failures.withLock { $0 } > 2 }
        #expect(log.waiting == 20)
        store.answer.withLock { $0 = nil }
        try await self.wait { store.kept.withLock { $0.count } == 20 }
        #expect(store.kept.withLock { $0.map(\.id) } == (10..<30).map { Sample.uuid($0) })
        log.add(try self.record(99))
        await log.finish()
        #expect(store.kept.withLock { $0.last?.id } == Sample.uuid(99) && log.waiting == 0)
    }

    @Test("What the database would never take is counted, and what the end of the process finds waiting too")
    func lost() async throws {
        let store = Moody()
        store.answer.withLock { $0 = StoreError(.invalid, "never") }
        var limits = ActivityLog.Limits()
        limits.pause = .milliseconds(5)
        let log = ActivityLog(store: store, limits: limits)
        log.start()
        log.add(try self.record(1))
        try await self.wait { log.dropped == 1 }
        store.answer.withLock { $0 = StoreError(.unavailable, "away") }
        log.add(try self.record(2))
        await log.finish()
        #expect(log.dropped == 2 && log.waiting == 0)
    }

    @Test(
        "What is kept of a number is what the policy says",
        arguments: [
            (NumberPolicy.full, "+39061234567", "+39061234567"), (.masked, "+39061234567", "+39*******67"),
            (.masked, "8000", "****"), (.masked, "", ""),
        ])
    func numbers(policy: NumberPolicy, number: String, kept: String) {
        #expect(policy.applied(to: number) == kept)
        #expect(NumberPolicy.none.applied(to: number) == nil && policy.applied(to: nil) == nil)
    }
}
