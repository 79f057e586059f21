import Foundation
import Telephony
import Testing

@testable import Routing

/// Many rows of several tenants, made by chance from a seed, and what decides them told in the plainest way.
private struct Chance {
    private var state: UInt64
    init(_ seed: UInt64) { self.state = seed }

    /// SplitMix64.
    mutating func below(_ limit: Int) -> Int {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(limit))
    }

    static let numbers = (0..<6).map { "+3906100000\($0)" }
    static let trunks = ["t0", "t1"]
    static let stores = ["s0", "s1"]

    static func tenant(_ number: Int) -> TenantID { TenantID("00000000-0000-4000-8000-00000000000\(number)")! }
    static func agent(_ number: Int) -> AssistantID { AssistantID("00000000-0000-4000-8000-0000000000a\(number)")! }

    /// Lists of up to three numbers; nil: none.
    private mutating func list() -> String? {
        switch self.below(4) {
        case 0: return nil
        // A list that cannot be read.
        case 1 where self.below(6) == 0: return #"["x"]"#
        default:
            let some = (0...self.below(3)).map { _ in "\"\(Self.numbers[self.below(Self.numbers.count)])\"" }
            return "[" + some.joined(separator: ",") + "]"
        }
    }

    mutating func rows(of tenant: Int, _ count: Int) -> RoutingRows {
        let id = Self.tenant(tenant)
        var row = RoutingTenantRow(tenant: id, domain: "t\(tenant).example", isEnabled: self.below(10) > 0)
        row.country = "39"
        var rows = RoutingRows(
            asked: [id], tenants: [row],
            agents: [AgentRow(id: Self.agent(tenant), tenant: id, name: "a", isEnabled: self.below(8) > 0)])
        for number in 0..<count {
            var trunk = TrunkSettings(
                id: RouteID(
                    "00000000-0000-4000-8000-\(tenant)\(zeroPadded(self.below(1000), 4))\(zeroPadded(number, 7))")!,
                tenant: id, isEnabled: self.below(5) > 0)
            trunk.trunk = self.below(3) == 0 ? nil : Self.trunks[self.below(Self.trunks.count)]
            trunk.store = self.below(2) == 0 ? nil : Self.stores[self.below(Self.stores.count)]
            trunk.didAllow = self.list()
            if self.below(5) == 0 { trunk.didBlock = self.list() }
            trunk.agent = Self.agent(tenant).text
            trunk.fallbackType = "ext"
            trunk.fallbackRef = "\(number)"
            rows.trunks.append(trunk)
        }
        return rows
    }

    mutating func question(tenants: Int) throws -> RoutingQuestion {
        var question = RoutingQuestion(at: try moment("2026-11-23T10:00:00Z"))
        let tenant = self.below(tenants)
        switch self.below(3) {
        case 0: question.domain = "t\(tenant).example"
        case 1: question.tenant = Self.tenant(tenant)
        default: break
        }
        if self.below(4) > 0 { question.trunk = ["t0", "t1", "t2"][self.below(3)] }
        if self.below(2) > 0 { question.store = ["s0", "s1", "s2"][self.below(3)] }
        if self.below(5) > 0 { question.did = Self.numbers[self.below(Self.numbers.count)] }
        return question
    }
}

/// What decides, by going through all rows as docs/routing.md says it.
private func expected(_ rows: [TrunkSettings], _ question: RoutingQuestion) -> RouteID? {
    func list(_ json: String?) -> [String]? {
        guard let json, let data = try? JSONDecoder().decode([String].self, from: Data(json.utf8)) else { return nil }
        return data == ["x"] ? nil : data
    }
    let matching = rows.filter { row in
        (row.trunk == nil || row.trunk == question.trunk) && (row.store == nil || row.store == question.store)
    }.sorted { $0.id.text < $1.id.text }
    if let did = question.did {
        let blocking = matching.filter { list($0.didBlock)?.contains(did) ?? false }
        if let first = blocking.first(where: { $0.trunk == nil }) ?? blocking.first { return first.id }
    }
    func rank(_ row: TrunkSettings) -> Int {
        let lists = question.did.map { list(row.didAllow)?.contains($0) ?? false } ?? false
        return (lists ? 0 : 4) + (row.store == nil ? 2 : 0) + (row.trunk == nil ? 1 : 0)
    }
    let taking = matching.filter { row in
        guard let allowed = list(row.didAllow) else { return true }
        return question.did.map { allowed.contains($0) } ?? false
    }
    return taking.min { (rank($0), $0.id.text) < (rank($1), $1.id.text) }?.id
}

@Suite("Rows by what a question says", .timeLimit(.minutes(1)))
struct RouteIndexTests {
    @Test("The index decides as going through all rows would", arguments: 1...20 as ClosedRange<UInt64>)
    func decisions(seed: UInt64) throws {
        var chance = Chance(seed)
        let rows = chance.rows(of: 0, 1 + chance.below(40))
        let table = RoutingTable(rows, home: .utc)
        var decided = 0
        for _ in 0..<200 {
            var question = try chance.question(tenants: 1)
            question.tenant = Chance.tenant(0)
            question.domain = nil
            let decision = table.decide(question)
            guard decision.reason != .tenantDisabled else { continue }
            #expect(decision.route == expected(rows.trunks, question), "\(question)")
            if decision.route != nil { decided += 1 }
        }
        #expect(decided > 0 || !rows.tenants[0].isEnabled, "the questions met rows")
    }

    @Test("A tenant's new rows give what reading everything anew would", arguments: 1...10 as ClosedRange<UInt64>)
    func taking(seed: UInt64) throws {
        var chance = Chance(seed)
        let count = 4
        var all = (0..<count).map { chance.rows(of: $0, chance.below(12)) }
        func whole() -> RoutingRows {
            RoutingRows(
                tenants: all.flatMap(\.tenants), trunks: all.flatMap(\.trunks), agents: all.flatMap(\.agents))
        }
        var table = RoutingTable(whole(), home: .utc)
        for _ in 0..<12 {
            let tenant = chance.below(count)
            // Now and then it goes, and comes again.
            all[tenant] =
                chance.below(4) == 0
                ? RoutingRows(asked: [Chance.tenant(tenant)]) : chance.rows(of: tenant, chance.below(12))
            table = table.taking(all[tenant])
            let anew = RoutingTable(whole(), home: .utc)
            #expect(Set(table.problems) == Set(anew.problems) && table.problems.count == anew.problems.count)
            #expect(table.isEmpty == anew.isEmpty)
            for _ in 0..<50 {
                let question = try chance.question(tenants: count)
                let (one, other) = (table.decide(question), anew.decide(question))
                #expect(
                    one.reason == other.reason && one.tenant == other.tenant && one.route == other.route
                        && one.agent == other.agent && one.fallback == other.fallback, "\(question)")
            }
            for number in 0..<count {
                let agent = Chance.agent(number)
                #expect(table.assistant(agent)?.agent == anew.assistant(agent)?.agent)
                #expect(table.domain(of: Chance.tenant(number)) == anew.domain(of: Chance.tenant(number)))
            }
            for row in all.flatMap(\.trunks) {
                #expect(table.owner(of: row.id) == row.tenant)
                #expect(table.agent(of: row.id, tenant: row.tenant) == anew.agent(of: row.id, tenant: row.tenant))
            }
        }
    }

    /// As many rows as a carrier's trunk has numbers: in steps that grow with their square this takes minutes.
    @Test("A trunk with thirty thousand rows is read, and a doubled one of them found")
    func manyRows() throws {
        var rows = RoutingRows(
            tenants: [RoutingTenantRow(tenant: Rows.rome, domain: "rome.example")],
            agents: [AgentRow(id: Rows.agent, tenant: Rows.rome, name: "a")])
        for number in 0..<30_000 {
            var row = TrunkSettings(
                id: RouteID("00000000-0000-4000-8000-\(zeroPadded(number, 12))")!, tenant: Rows.rome)
            row.trunk = "carrier"
            row.didAllow = "[\"+3906\(1_000_000 + number)\"]"
            row.agent = Rows.agent.text
            rows.trunks.append(row)
        }
        var twin = rows.trunks[17]
        twin.id = RouteID("00000000-0000-4000-8000-999999999999")!
        rows.trunks.append(twin)
        let table = RoutingTable(rows, home: .utc)
        #expect(table.problems.map(\.row) == [twin.id.text])
        #expect(table.problems.first?.repair.contains(rows.trunks[17].id.text) == true)
        for number in stride(from: 0, to: 30_000, by: 3001) {
            let question = RoutingQuestion(
                trunk: "carrier", did: "+3906\(1_000_000 + number)", at: try moment("2026-11-23T10:00:00Z"))
            #expect(table.decide(question).route == rows.trunks[number].id)
        }
    }

    @Test("What several tenants have is nobody's, until one of them is left")
    func owners() {
        var owners = RouteOwners()
        let (one, two) = (Rows.rome, Rows.paulo)
        #expect(owners["x"] == nil)
        owners.add("x", one)
        owners.add("x", one)
        #expect(owners["x"] == .one(one))
        owners.remove("x", two)
        #expect(owners["x"] == .one(one))
        owners.add("x", two)
        owners.add("x", two)
        #expect(owners["x"] == .several)
        owners.remove("x", one)
        #expect(owners["x"] == .one(two))
        owners.remove("x", two)
        #expect(owners["x"] == nil)
    }
}
