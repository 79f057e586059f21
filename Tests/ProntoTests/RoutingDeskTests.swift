import Foundation
import Networking
import Records
import Routing
import Synchronization
import Telephony
import Testing

@testable import AdminAPI
@testable import pronto

/// The desk alone: who asks, and how long that may take.
@Suite("The desk of the routing question")
struct RoutingDeskTests {
    private static let ours = TenantID("00000000-0000-4000-8000-000000000001")
    private static let theirs = TenantID("00000000-0000-4000-8000-000000000002")

    private func table() throws -> RoutingTable {
        let (ours, theirs) = (try #require(Self.ours), try #require(Self.theirs))
        var rows = RoutingRows(tenants: [
            RoutingTenantRow(tenant: ours, domain: "ours.example"),
            RoutingTenantRow(tenant: theirs, domain: "theirs.example"),
        ])
        for (number, tenant) in [(1, ours), (2, theirs)] {
            let agent = try #require(AssistantID("00000000-0000-4000-8000-00000000000\(number)"))
            var row = TrunkSettings(
                id: try #require(RouteID("00000000-0000-4000-8000-00000000001\(number)")), tenant: tenant)
            row.trunk = "trunk-\(number)"
            row.agent = agent.text
            row.fallbackType = "ext"
            row.fallbackRef = "200\(number)"
            rows.trunks.append(row)
            var entry = AgentRow(id: agent, tenant: tenant, name: "agent \(number)")
            entry.gatewayURL = "wss://gw.example/rt/:tenant?x=1"
            rows.agents.append(entry)
        }
        return RoutingTable(rows, home: .utc)
    }

    private func desk(
        _ verdict: RoutingDesk.Verdict?, budget: Duration = .milliseconds(400),
        report: @escaping @Sendable (RoutingDesk.Report) -> Void = { _ in }
    ) throws -> RoutingDesk {
        let table = try self.table()
        return RoutingDesk(
            table: { table }, single: nil, failover: "2000", streamBase: "ws://127.0.0.1:8085", budget: budget,
            onlyTenant: { nil }, refusal: { _, _ in nil }, assistant: { _, _ in nil }, token: { _, _, _, _ in nil },
            who: { _, done in if let verdict { done(verdict) } }, report: report)
    }

    private func asker(_ tenant: TenantID?, trunk: String? = nil) -> RoutingDesk.Verdict {
        .asker(
            Asker(
                scope: tenant.map { .tenant($0) } ?? .installation, role: .viewer, credential: .peer, trunk: trunk,
                client: "test"))
    }

    private func answer(_ desk: RoutingDesk, _ verdict: RoutingDesk.Verdict?, _ query: String) -> (Int, String) {
        let response = desk.json(desk.answer(RoutingParameters(query[...]), verdict))
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    @Test("A tenant's token answers for its own domain and trunk, and of others it does not even say that they exist")
    func scopes() throws {
        let own = self.asker(Self.ours)
        let desk = try self.desk(nil)
        #expect(self.answer(desk, own, "trunk_id=trunk-1").1.contains("\"mode\":\"ai\""))
        #expect(self.answer(desk, own, "sip_domain=OURS.example&trunk_id=trunk-1").1.contains("always_on"))
        let strangers = [
            "sip_domain=theirs.example&trunk_id=trunk-2", "sip_domain=nobody.example",
            "tenant_id=\(Self.theirs?.text ?? "")&trunk_id=trunk-2", "tenant_id=99999999-9999-4999-8999-999999999999",
        ]
        let answers = strangers.map { self.answer(desk, own, $0) }
        #expect(answers.allSatisfy { $0.0 == 403 } && Set(answers.map(\.1)).count == 1, "\(answers)")
        // Their trunk in our tenant's name is no trunk of ours.
        let crossed = self.answer(desk, own, "trunk_id=trunk-2")
        #expect(crossed.0 == 200 && crossed.1.contains("unknown_trunk") && !crossed.1.contains("2002"))
        let narrow = self.asker(Self.ours, trunk: "trunk-1")
        #expect(self.answer(desk, narrow, "sip_domain=ours.example").1.contains("\"mode\":\"ai\""))
        #expect(self.answer(desk, narrow, "sip_domain=ours.example&trunk_id=other").0 == 403)
        // The text route says as little, with the house's failover.
        let text = desk.text(desk.answer(RoutingParameters("call_id=c&" + strangers[0]), own))
        #expect(String(decoding: text.body, as: UTF8.self).contains("FAILOVER_EXT=2000\n"))
        #expect(String(decoding: text.body, as: UTF8.self).contains("REASON=not_permitted\n"))
    }

    @Test("While nobody has rows: the named tenant's answer, and the only tenant's for who names none")
    func alone() throws {
        let (ours, theirs) = (try #require(Self.ours), try #require(Self.theirs))
        var off = RoutingTenantRow(tenant: theirs, domain: "theirs.example", isEnabled: false)
        off.fallbackType = "ext"
        off.fallbackRef = "3000"
        let two = RoutingTable(
            RoutingRows(tenants: [RoutingTenantRow(tenant: ours, domain: "ours.example"), off]), home: .utc)
        func ask(_ table: RoutingTable, only: TenantID?, _ verdict: RoutingDesk.Verdict, _ query: String) -> (
            Int, String
        ) {
            let desk = RoutingDesk(
                table: { table }, single: .init(isAI: true), failover: "2000", streamBase: "ws://127.0.0.1:8085",
                budget: .seconds(1), onlyTenant: { only }, refusal: { _, _ in nil }, assistant: { _, _ in nil },
                token: { _, _, _, _ in nil }, who: { _, _ in })
            return self.answer(desk, verdict, query)
        }
        let peer = self.asker(nil)
        let named = ask(two, only: nil, peer, "sip_domain=OURS.example")
        #expect(named.0 == 200 && named.1.contains(ours.text) && named.1.contains("configured"))
        let closed = ask(two, only: nil, peer, "sip_domain=theirs.example")
        #expect(closed.1.contains("tenant_disabled") && closed.1.contains("\"3000\""))
        // A name that nobody knows is not the only tenant's.
        let one = RoutingTable(
            RoutingRows(tenants: [RoutingTenantRow(tenant: ours, domain: "ours.example")]), home: .utc)
        #expect(ask(one, only: ours, peer, "sip_domain=nobody.example").0 == 404)
        #expect(ask(one, only: ours, peer, "tenant_id=\(theirs.text)").0 == 404)
        #expect(ask(one, only: ours, peer, "trunk_id=t1&did=%2B390612345").1.contains("configured"))
        #expect(ask(.empty, only: ours, peer, "").1.contains("configured"))
        // Another tenant's domain is nobody's to a token of ours.
        #expect(ask(two, only: nil, self.asker(ours), "sip_domain=theirs.example").0 == 403)
    }

    @Test("Questions about one tenant are counted, whoever asks: beyond the rate it is a human, at the row's fallback")
    func rate() throws {
        var desk = try self.desk(nil)
        let (limiter, rate) = (LocalRateLimiter(), Rate(perSecond: 1, burst: 2))
        desk.wait = { limiter.take(RateKey(.routing, $0.text), rate, at: .seconds(1)) }
        let peer = self.asker(nil)
        let query = "sip_domain=ours.example&trunk_id=trunk-1&call_id=c"
        for _ in 0..<2 { #expect(self.answer(desk, peer, query).0 == 200) }
        let limited = desk.json(desk.answer(RoutingParameters(query[...]), peer))
        #expect(limited.status == 429 && limited.headers["Retry-After"] != nil)
        let lines = String(
            decoding: desk.text(desk.answer(RoutingParameters(query[...]), peer)).body, as: UTF8.self)
        #expect(lines.contains("REASON=rate_limited") && lines.contains("FAILOVER_EXT=2001"))
        // The other tenant has a count of its own.
        #expect(self.answer(desk, peer, "sip_domain=theirs.example&trunk_id=trunk-2").0 == 200)
    }

    @Test("An agent's own gateway: the tenant's name in it, what the call is behind it")
    func gateways() throws {
        let desk = try self.desk(nil)
        let answer = self.answer(desk, self.asker(nil), "sip_domain=ours.example&trunk_id=trunk-1&did=%2B39061234567")
        #expect(
            answer.1.contains(
                #""gateway_url":"wss://gw.example/rt/ours.example?x=1&tenantId=00000000-0000-4000-8000-000000000001&did=%2B39061234567&aiAgentRef="#
            ), "\(answer.1)")
    }

    @Test("Refusals: too many with Retry-After, strangers, the forbidden")
    func refusals() throws {
        let desk = try self.desk(nil)
        let many = desk.json(
            desk.answer(RoutingParameters("sip_domain=ours.example"), .tooMany(retryAfter: .seconds(7))))
        #expect(many.status == 429 && many.headers["Retry-After"] == "7")
        #expect(many.headers["Content-Type"] == "application/problem+json")
        let lines = desk.text(desk.answer(RoutingParameters("call_id=c"), .tooMany(retryAfter: .seconds(7))))
        #expect(lines.status == 200 && String(decoding: lines.body, as: UTF8.self).contains("REASON=rate_limited"))
        #expect(self.answer(desk, .forbidden("no"), "sip_domain=ours.example").0 == 403)
        #expect(self.answer(desk, .unauthenticated("no"), "sip_domain=ours.example").0 == 401)
    }

    @Test("Whoever cannot say in time who asks does not keep a caller waiting: a human, within the budget")
    func budget() async throws {
        let loop = EventLoop(name: "desk")
        loop.start()
        let reports = Mutex<[RoutingDesk.Report]>([])
        let desk = try self.desk(nil, budget: .milliseconds(50)) { report in reports.withLock { $0.append(report) } }
        let server = try HTTPServer(
            on: [loop], address: try #require(SocketAddress("127.0.0.1", port: 0))
        ) { _ in
            { request, responder in
                guard let form = RoutingDesk.Form.of(request.path) else {
                    return responder.respond(HTTPResponse(status: 404))
                }
                desk.handle(request, as: form, responder)
            }
        }
        let base = "http://\(server.address)"
        for path in ["/api/voip/ai-routing?sip_domain=ours.example", "/api/freeswitch/ai-routing?call_id=c"] {
            let result = try await ChildProgram.run("/usr/bin/curl", ["-s", "-m", "20", base + path], environment: [:])
            #expect(result.output.contains("over_budget") && result.output.contains("2000"), "\(result.output)")
        }
        let method = try await ChildProgram.run(
            "/usr/bin/curl",
            ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", base + "/api/voip/ai-routing"],
            environment: [:])
        #expect(method.output == "405")
        #expect(reports.withLock { $0.map(\.reason) } == [.overBudget, .overBudget])
        server.close()
        loop.stop()
    }
}
