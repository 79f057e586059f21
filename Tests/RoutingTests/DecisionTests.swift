import Foundation
import Telephony
import Testing

@testable import Routing

/// Two tenants with rows, as tests change them.
struct Rows {
    static let rome = TenantID("00000000-0000-4000-8000-000000000001")!
    static let paulo = TenantID("00000000-0000-4000-8000-000000000002")!
    static let agent = AssistantID("00000000-0000-4000-8000-0000000000a1")!

    static func route(_ number: Int) -> RouteID {
        RouteID("00000000-0000-4000-8000-0000000010\(zeroPadded(number, 2))")!
    }

    /// A row of Rome's trunk that is always on.
    static func trunk(_ number: Int, _ change: (inout TrunkSettings) -> Void = { _ in }) -> TrunkSettings {
        var row = TrunkSettings(id: self.route(number), tenant: self.rome)
        row.trunk = "trunk-roma01"
        row.agent = self.agent.text
        row.fallbackType = "ring"
        row.fallbackRef = "ring_store_roma\(zeroPadded(number, 2))"
        change(&row)
        return row
    }

    static func table(_ trunks: [TrunkSettings], _ change: (inout RoutingRows) -> Void = { _ in }) -> RoutingTable {
        var rome = RoutingTenantRow(tenant: self.rome, domain: "tenantA.edvoip.it")
        rome.country = "39"
        rome.zone = "Europe/Rome"
        rome.fallbackType = "ext"
        rome.fallbackRef = "1001"
        let paulo = RoutingTenantRow(tenant: self.paulo, domain: "tenantb.example")
        var rows = RoutingRows(
            tenants: [rome, paulo], trunks: trunks,
            agents: [AgentRow(id: self.agent, tenant: self.rome, name: "agent_voice_default")])
        change(&rows)
        return RoutingTable(rows, home: .utc)
    }

    static func question(
        trunk: String? = "trunk-roma01", store: String? = nil, did: String? = "+39061234567",
        at: String = "2026-11-23T10:00:00+01:00"
    ) throws -> RoutingQuestion {
        RoutingQuestion(domain: "tenanta.edvoip.it", trunk: trunk, store: store, did: did, at: try moment(at))
    }
}

/// What somebody wrote into a row, and the column that is named for it.
struct Breakage: Sendable, CustomTestStringConvertible {
    var column: String
    var change: @Sendable (inout TrunkSettings) -> Void
    init(_ column: String, _ change: @escaping @Sendable (inout TrunkSettings) -> Void) {
        self.column = column
        self.change = change
    }
    var testDescription: String { self.column }
}

@Suite("Decisions")
struct DecisionTests {
    @Test("In hours the AI answers, out of hours the fallback rings (requirements 2)")
    func hours() throws {
        let table = Rows.table([
            Rows.trunk(1) {
                $0.timeWindows = #"[{"dow":[1,2,3,4,5],"start":"09:00","end":"19:00","tz":"Europe/Rome"}]"#
                $0.language = "it-IT"
                $0.voice = "it-Marta"
                $0.bargeIn = true
                $0.maximumMinutes = 8
                $0.recording = "policy"
            }
        ])
        let open = try table.decide(Rows.question(at: "2025-10-30T09:41:00Z"))
        #expect(open.reason == .timeWindowMatch && open.isAI && open.tenant == Rows.rome)
        let agent = try #require(open.agent)
        #expect(agent.name == "agent_voice_default" && agent.language == "it-IT" && agent.voice == "it-Marta")
        #expect(agent.bargeIn == true && agent.maximumMinutes == 8 && agent.recording == .policy)
        #expect(open.fallback == RoutingFallback(kind: .ring, reference: "ring_store_roma01"))
        #expect(open.steps.isEmpty)
        let closed = try table.decide(Rows.question(at: "2025-10-30T19:41:00Z"))
        #expect(closed.reason == .outOfHours && !closed.isAI && closed.agent == nil)
        #expect(closed.fallback == open.fallback && closed.route == Rows.route(1))
    }

    @Test("The most specific row decides: the number, then the store, then the trunk; whatever the order of rows")
    func specific() throws {
        let rows = [
            Rows.trunk(4) {
                $0.trunk = nil
                $0.isEnabled = false
            },
            Rows.trunk(3) { $0.timeWindows = #"[{"start":"00:00","end":"24:00"}]"# },
            Rows.trunk(2) {
                $0.trunk = nil
                $0.store = "roma"
                $0.isEnabled = false
            },
            Rows.trunk(1) {
                $0.trunk = nil
                $0.didAllow = #"["+39061234567"]"#
                $0.isEnabled = false
            },
        ]
        for rows in [rows, rows.reversed()] {
            let table = Rows.table(rows)
            #expect(try table.decide(Rows.question(store: "roma")).route == Rows.route(1))
            #expect(try table.decide(Rows.question(store: "roma", did: "069999999")).route == Rows.route(2))
            #expect(try table.decide(Rows.question(did: "069999999")).route == Rows.route(3))
            #expect(try table.decide(Rows.question(did: "069999999")).reason == .timeWindowMatch)
            #expect(try table.decide(Rows.question(trunk: "other", did: "069999999")).route == Rows.route(4))
            #expect(try table.decide(Rows.question(did: nil)).route == Rows.route(3))
        }
    }

    @Test("A block beats every allowance of the trunk, in whichever way the number is written")
    func blocked() throws {
        let table = Rows.table([
            Rows.trunk(1) { $0.didAllow = #"["06 1234567"]"# },
            Rows.trunk(2) { $0.didBlock = #"["+39061234567"]"# },
        ])
        for did in ["+39061234567", "0039061234567", "061234567", "06 123 4567"] {
            let decision = try table.decide(Rows.question(did: did))
            #expect(decision.reason == .didBlocked && decision.route == Rows.route(2))
        }
        // Another trunk's block is nothing to this one.
        let other = Rows.table([
            Rows.trunk(1), Rows.trunk(2) { ($0.trunk, $0.didBlock) = ("other", #"["+39061234567"]"#) },
        ])
        #expect(try other.decide(Rows.question()).reason == .alwaysOn)
    }

    @Test("The agent that a row sends a call to knows whom the row, or else the tenant, lets ring")
    func agentsFallback() throws {
        let table = Rows.table([Rows.trunk(1), Rows.trunk(2) { ($0.fallbackType, $0.fallbackRef) = (nil, nil) }])
        #expect(
            table.agent(of: Rows.route(1), tenant: Rows.rome)?.fallback
                == RoutingFallback(kind: .ring, reference: "ring_store_roma01"))
        #expect(
            table.agent(of: Rows.route(2), tenant: Rows.rome)?.fallback
                == RoutingFallback(kind: .extension, reference: "1001"))
        let decision = Rows.table([Rows.trunk(1)]).decide(try Rows.question())
        #expect(decision.agent?.fallback == decision.fallback && decision.fallback != nil)
    }

    @Test("What no row takes goes to the fallback of the trunk's most specific row")
    func notAllowed() throws {
        let table = Rows.table([Rows.trunk(1) { $0.didAllow = #"["+39061234567"]"# }])
        let decision = try table.decide(Rows.question(did: "+39067654321"))
        #expect(decision.reason == .didNotAllowed && decision.fallback?.reference == "ring_store_roma01")
        #expect(try table.decide(Rows.question(did: nil)).reason == .didNotAllowed)
        #expect(try table.decide(Rows.question(did: "anonymous")).reason == .didNotAllowed)
        let unknown = try table.decide(Rows.question(trunk: "nobody's"))
        #expect(unknown.reason == .unknownTrunk && unknown.fallback?.reference == "1001")
    }

    @Test("Tenants: by domain, by id, by a trunk or number of one tenant only; never by a contradiction")
    func tenants() throws {
        let table = Rows.table([Rows.trunk(1) { $0.didAllow = #"["+39061234567"]"# }])
        func reason(_ change: (inout RoutingQuestion) -> Void) throws -> RoutingReason {
            var question = RoutingQuestion(at: try moment("2026-11-23T10:00:00Z"))
            change(&question)
            return table.decide(question).reason
        }
        #expect(try reason { $0.domain = "nobody.example" } == .unknownTenant)
        #expect(try reason { $0.domain = "tenantb.example" } == .noSettings)
        #expect(try reason { ($0.tenant, $0.domain) = (Rows.rome, "tenantb.example") } == .unknownTenant)
        #expect(try reason { ($0.trunk, $0.did) = ("trunk-roma01", "+39061234567") } == .alwaysOn)
        #expect(try reason { $0.did = "+39061234567" } == .unknownTrunk)
        #expect(try reason { _ in } == .unknownTenant)
        #expect(
            try reason { ($0.tenant, $0.trunk, $0.did) = (Rows.rome, "trunk-roma01", "+39061234567") } == .alwaysOn)
        let shared = Rows.table([
            Rows.trunk(1),
            Rows.trunk(2) {
                $0 = TrunkSettings(id: $0.id, tenant: Rows.paulo); $0.trunk = "trunk-roma01"
            },
        ])
        #expect(
            shared.decide(RoutingQuestion(trunk: "trunk-roma01", at: try moment("2026-11-23T10:00:00Z"))).reason
                == .unknownTenant)
    }

    @Test("Another tenant's agent, calendar or disabled tenant is nobody's help")
    func crossing() throws {
        var foreign = AgentRow(
            id: AssistantID("00000000-0000-4000-8000-0000000000b1")!, tenant: Rows.paulo, name: "theirs")
        foreign.systemPrompt = Redacted("secret of tenant B")
        let table = Rows.table([Rows.trunk(1) { $0.agent = foreign.id.text }]) { $0.agents.append(foreign) }
        #expect(try table.decide(Rows.question()).reason == .agentMissing)
        #expect(table.agent(of: Rows.route(1), tenant: Rows.rome) == nil)
        let calendar = CalendarRow(
            id: CalendarID("00000000-0000-4000-8000-0000000000c1")!, tenant: Rows.paulo, name: "theirs")
        let lent = Rows.table([Rows.trunk(1) { $0.calendars = #"["\#(calendar.id)"]"# }]) { $0.calendars = [calendar] }
        let decision = try lent.decide(Rows.question())
        #expect(decision.reason == .settingsInvalid && decision.problem?.column == "calendar_ids")
        let off = Rows.table([Rows.trunk(1)]) { $0.tenants[0].isEnabled = false }
        #expect(try off.decide(Rows.question()).reason == .tenantDisabled)
        let own = Rows.table([Rows.trunk(1)])
        #expect(own.agent(of: Rows.route(1), tenant: Rows.rome)?.id == Rows.agent)
        #expect(own.agent(of: Rows.route(1), tenant: Rows.paulo) == nil)
    }

    @Test("Calendars that rows share: the row's own exceptions come first")
    func calendars() throws {
        let id = CalendarID("00000000-0000-4000-8000-0000000000c1")!
        let calendar = CalendarRow(
            id: id, tenant: Rows.rome, name: "Festivi",
            dates: [
                CalendarDateRow(number: 1, name: "Natale", mode: "closed", from: "12-25", to: "12-25"),
                CalendarDateRow(
                    number: 2, name: "Vigilia", mode: "open", from: "12-24", to: "12-24", start: "09:00", end: "13:00"),
            ])
        let table = Rows.table([
            Rows.trunk(1) { $0.calendars = #"["\#(id)"]"# },
            Rows.trunk(2) {
                $0.calendars = #"["\#(id)"]"#
                $0.store = "stazione"
                $0.timeWindows = #"[{"date":"12-25","mode":"open"}]"#
            },
        ]) { $0.calendars = [calendar] }
        #expect(try table.decide(Rows.question(at: "2026-12-25T10:00:00+01:00")).reason == .exceptionClosed)
        #expect(try table.decide(Rows.question(at: "2026-12-24T10:00:00+01:00")).reason == .exceptionOpen)
        #expect(try table.decide(Rows.question(at: "2026-12-24T14:00:00+01:00")).reason == .exceptionClosed)
        #expect(try table.decide(Rows.question(at: "2026-12-23T14:00:00+01:00")).reason == .alwaysOn)
        #expect(
            try table.decide(Rows.question(store: "stazione", at: "2026-12-25T10:00:00+01:00")).reason == .exceptionOpen
        )
    }

    @Test(
        "A broken row says its table, id and column, sends its own calls to its fallback, and harms no other",
        arguments: [
            Breakage("time_windows") { $0.timeWindows = "nonsense" },
            Breakage("time_windows[0].tz") { $0.timeWindows = #"[{"start":"09:00","end":"10:00","tz":"Mars/Base"}]"# },
            Breakage("did_allowlist") { $0.didAllow = "+39" }, Breakage("did_allowlist[0]") { $0.didAllow = #"["x"]"# },
            Breakage("did_blocklist[1]") { $0.didBlock = #"["+39061",7]"# },
            Breakage("calendar_ids[0]") { $0.calendars = #"["x"]"# },
            Breakage("calendar_ids") { $0.calendars = #"{"a":1}"# },
            Breakage("agent_id") { $0.agent = "agent_voice_default" },
            Breakage("language") { $0.language = "it_IT\r\nX: y" }, Breakage("tts_voice") { $0.voice = "" },
            Breakage("max_ai_minutes") { $0.maximumMinutes = -5 }, Breakage("recording") { $0.recording = "sometimes" },
            Breakage("store_id") { $0.store = "a\nb" }, Breakage("enabled") { $0.unreadable = ["enabled"] },
        ])
    func broken(by breakage: Breakage) throws {
        let (column, change) = (breakage.column, breakage.change)
        let table = Rows.table([
            Rows.trunk(1, change), Rows.trunk(2) { $0.didAllow = #"["+39068888888"]"# },
            Rows.trunk(3) { $0.trunk = "other" },
        ])
        let store: String? = column == "store_id" ? "a\nb" : nil
        let decision = try table.decide(Rows.question(store: store))
        #expect(decision.reason == .settingsInvalid && decision.agent == nil)
        #expect(decision.fallback?.reference == "ring_store_roma01")
        #expect(decision.problem?.column == column && decision.problem?.row == Rows.route(1).text)
        #expect(table.problems.map(\.column) == [column])
        #expect(table.problems[0].description.hasPrefix("voip_trunk_ai_settings \(Rows.route(1)): \(column): "))
        #expect(try table.decide(Rows.question(store: store, did: "+39068888888")).reason == .alwaysOn)
        #expect(try table.decide(Rows.question(trunk: "other")).reason == .alwaysOn)
    }

    @Test("A bad fallback is the row's problem, and the tenant's stands in")
    func badFallback() throws {
        for (kind, reference) in [("ext", "20 00"), ("phone", "2000"), ("ext", nil), (nil, "2000"), ("ext", "-1")] {
            let table = Rows.table([
                Rows.trunk(1) { ($0.fallbackType, $0.fallbackRef) = (kind, reference) }
            ])
            let decision = try table.decide(Rows.question())
            #expect(decision.reason == .settingsInvalid && decision.fallback?.reference == "1001")
        }
    }

    @Test("Agents that are off, broken or gone")
    func agents() throws {
        #expect(try Rows.table([Rows.trunk(1) { $0.agent = nil }]).decide(Rows.question()).reason == .agentMissing)
        let off = Rows.table([Rows.trunk(1)]) { $0.agents[0].isEnabled = false }
        #expect(try off.decide(Rows.question()).reason == .agentDisabled)
        for url in [
            "http://x/rt", "wss://", "wss://h/a b", "wss://h\r\nX: y", "wss://h:0/", "wss://user@h/", "wss://h/${x}",
        ] {
            let table = Rows.table([Rows.trunk(1)]) { $0.agents[0].gatewayURL = url }
            let decision = try table.decide(Rows.question())
            #expect(decision.reason == .agentInvalid && decision.problem?.column == "gateway_url", "\(url)")
        }
        let fine = Rows.table([Rows.trunk(1)]) {
            $0.agents[0].gatewayURL = "wss://voice-gw.w3suite.it/rt/:tenant"
            $0.agents[0].toolsProfile = "transfer_call, end_call"
        }
        #expect(try fine.decide(Rows.question()).agent?.tools == ["transfer_call", "end_call"])
    }

    @Test("Two rows for the same calls: the first by id decides, and it is said")
    func twins() throws {
        let table = Rows.table([Rows.trunk(2), Rows.trunk(1)])
        #expect(try table.decide(Rows.question()).route == Rows.route(1))
        #expect(table.problems.count == 1 && table.problems[0].column == "trunk_id")
    }

    @Test("The explanation goes step by step to its result, and changes nothing")
    func explanation() throws {
        let table = Rows.table([
            Rows.trunk(1) {
                $0.didAllow = #"["+39061234567"]"#
                $0.timeWindows = #"[{"start":"09:00","end":"10:00"},{"date":"12-25","mode":"closed","name":"Natale"}]"#
            }
        ])
        let question = try Rows.question(did: "061234567", at: "2026-12-25T10:00:00+01:00")
        let decision = table.decide(question, explaining: true)
        #expect(decision.reason == table.decide(question).reason)
        #expect(
            decision.steps.map(\.subject)
                == ["tenant", "number", "row", "row", "agent", "clock", "exceptions", "result"])
        #expect(decision.steps.contains { $0.finding == "Europe/Rome: Friday 2026-12-25 10:00:00 +01:00" })
        #expect(decision.steps.contains { $0.finding == "closed: Natale" })
        #expect(decision.steps.last?.finding == "human: exception_closed")
    }
}

@Suite("Rows of nonsense")
struct NonsenseTests {
    /// xorshift64: the same rows each time.
    private struct Dice {
        var state: UInt64
        mutating func roll(_ sides: Int) -> Int {
            self.state ^= self.state << 13
            self.state ^= self.state >> 7
            self.state ^= self.state << 17
            return Int(self.state % UInt64(sides))
        }
        mutating func text() -> String? {
            let pieces = [
                "[", "]", "{", "}", "\"dow\":", "[1,2]", "\"start\":\"09:00\"", "\"end\":\"08:00\"", ",",
                "\"tz\":\"Europe/Rome\"",
                "\"date\":\"02-29\"", "\"mode\":\"closed\"", "null", "\u{0}", "-1", "9999999999999999999",
                "\"\\ud800\"", "'",
                "+39061234567", "\"+39061234567\"", "\"from\":\"12-24\"", "\"to\":\"01-06\"", "\"mode\":\"open\"", "é",
                "1e999",
            ]
            switch self.roll(6) {
            case 0: return nil
            case 1: return #"[{"dow":[1,2,3],"start":"22:00","end":"06:00"}]"#
            case 2: return #"["+39061234567"]"#
            default:
                let whole = (0..<self.roll(12)).map { _ in pieces[self.roll(pieces.count)] }.joined()
                return self.roll(2) == 0 ? "[{\(whole)}]" : whole
            }
        }
    }

    @Test("No row, question or time traps, and whatever is wrong ends at a human")
    func random() {
        var dice = Dice(state: 0x5EED_0F_50A2)
        var reasons: Set<RoutingReason> = []
        for round in 0..<4000 {
            let trunks = (1...3).map { index in
                Rows.trunk(index) {
                    $0.trunk = dice.roll(3) == 0 ? nil : dice.roll(4) == 0 ? dice.text() : "trunk-roma01"
                    $0.store = dice.roll(3) == 0 ? dice.text() : nil
                    $0.timeWindows = dice.text()
                    $0.calendars = dice.roll(4) == 0 ? dice.text() : nil
                    $0.didAllow = dice.roll(2) == 0 ? dice.text() : nil
                    $0.didBlock = dice.roll(4) == 0 ? dice.text() : nil
                    $0.agent = dice.roll(6) == 0 ? dice.text() : $0.agent
                    $0.maximumMinutes = dice.roll(3) == 0 ? dice.roll(4000) - 2000 : nil
                    $0.fallbackRef = dice.roll(5) == 0 ? dice.text() : $0.fallbackRef
                    $0.language = dice.roll(5) == 0 ? dice.text() : nil
                }
            }
            let table = Rows.table(trunks) {
                $0.tenants[0].zone = dice.roll(5) == 0 ? dice.text() : "Europe/Rome"
                $0.tenants[0].country = dice.roll(5) == 0 ? dice.text() : "39"
            }
            let times: [Double] = [.nan, .infinity, -.infinity, -1e300, 1e300, 0, 1.8e9 + Double(round) * 7919]
            for time in times {
                let question = RoutingQuestion(
                    domain: "tenanta.edvoip.it", trunk: dice.roll(3) == 0 ? dice.text() : "trunk-roma01",
                    store: dice.roll(3) == 0 ? dice.text() : nil, did: dice.roll(3) == 0 ? dice.text() : "061234567",
                    at: Date(timeIntervalSince1970: time))
                let decision = table.decide(question, explaining: dice.roll(2) == 0)
                reasons.insert(decision.reason)
                #expect(decision.isAI == (decision.agent != nil))
                #expect(!decision.isAI || decision.problem == nil)
            }
        }
        // The dice reach what they are thrown for.
        #expect(reasons.isSuperset(of: [.settingsInvalid, .timeWindowMatch, .outOfHours, .didNotAllowed, .alwaysOn]))
    }
}
