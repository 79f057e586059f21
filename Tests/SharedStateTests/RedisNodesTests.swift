import Foundation
import Records
import SharedState
import Telephony
import TestDatabases
import Testing

/// Nodes that share a real Redis.
@Suite("Nodes on a real Redis", .serialized, .timeLimit(.minutes(2)))
struct RedisNodesTests {
    private let tenant = TenantID("00000000-0000-4000-8000-00000000000a")!
    private let other = TenantID("00000000-0000-4000-8000-00000000000b")!
    private let assistant = AssistantID("00000000-0000-4000-8000-0000000000aa")!

    private func call(_ number: Int) -> CallID { CallID("call-\(number)")! }

    private func withTwo(_ body: (RedisServer, TestNode, TestNode) async throws -> Void) async throws {
        try await RedisServer.with { server in
            let (a, b) = (TestNode("a", on: server.port), TestNode("b", on: server.port))
            try await a.isReady()
            try await b.isReady()
            let result: Result<Void, any Error>
            do { result = .success(try await body(server, a, b)) } catch { result = .failure(error) }
            await a.nodes.stop()
            await b.nodes.stop()
            try result.get()
        }
    }

    // MARK: Calls

    @Test("A call lives on one node; its end frees it for another")
    func directory() async throws {
        try await self.withTwo { _, a, b in
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken)
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken, "asked twice by the same node")
            #expect(await b.claim(self.call(1), of: self.tenant) == .elsewhere(node: "a"))
            a.nodes.release(self.call(1))
            try await soon("released") { await b.claim(self.call(1), of: self.tenant) == .taken }
        }
    }

    @Test("A tenant's limit counts the calls of all nodes, and nobody else's")
    func limit() async throws {
        try await self.withTwo { _, a, b in
            #expect(await a.claim(self.call(1), of: self.tenant, limit: 2) == .taken)
            #expect(await b.claim(self.call(2), of: self.tenant, limit: 2) == .taken)
            #expect(await a.claim(self.call(3), of: self.tenant, limit: 2) == .full(calls: 2))
            #expect(await b.claim(self.call(4), of: self.tenant, limit: 2) == .full(calls: 2))
            #expect(await a.claim(self.call(5), of: self.other, limit: 2) == .taken)
            b.nodes.release(self.call(2))
            try await soon("a place is free") { await a.claim(self.call(3), of: self.tenant, limit: 2) == .taken }
        }
    }

    @Test("Many claims of one place at once: it is given once")
    func race() async throws {
        try await self.withTwo { _, a, b in
            let claims = await withTaskGroup(of: CallClaim.self) { group in
                for number in 0..<40 {
                    let node = number.isMultiple(of: 2) ? a : b
                    group.addTask { await node.claim(CallID("race-\(number)")!, of: self.tenant, limit: 7) }
                }
                return await group.reduce(into: [CallClaim]()) { $0.append($1) }
            }
            #expect(claims.count { $0 == .taken } == 7)
            #expect(claims.count { $0 == .full(calls: 7) } == 33)
        }
    }

    @Test("A node that leaves gives its calls back at once; one that dies is not asked any more after seconds")
    func death() async throws {
        try await RedisServer.with { server in
            let (a, b) = (TestNode("a", on: server.port), TestNode("b", on: server.port))
            try await a.isReady()
            try await b.isReady()
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken)
            await a.nodes.stop()
            #expect(await b.claim(self.call(1), of: self.tenant) == .taken)

            // A node that died a moment ago: its calls are there, its sign of life is fresh and will not come again.
            let dead = NodeScripts(keys: NodeKeys(prefix: "test"), instance: "dead")
            for command in [dead.heartbeat(NodeState(name: "dead")), dead.restate([self.call(2): self.tenant])] {
                _ = try await RedisQuestion.ask(
                    .init(endpoint: .init(host: "127.0.0.1", port: UInt16(server.port)), name: "x"), instance: "x"
                ) { _ in command }
            }
            #expect(await b.claim(self.call(2), of: self.tenant) == .elsewhere(node: "dead"))
            try await soon("it counts as dead") { await b.claim(self.call(2), of: self.tenant) == .taken }
            let ttl = try await redis(server.port, "PTTL", "test:calls:dead").number ?? 0
            #expect(ttl < 15_000, "what it left goes by itself")
            await b.nodes.stop()
        }
    }

    @Test("A Redis that dies is missed at once, said once, and told everything when it is back")
    func restart() async throws {
        try await self.withTwo { server, a, b in
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken)
            server.kill()
            try await soon("missed") { !a.nodes.isReachable && !b.nodes.isReachable }
            #expect(await b.claim(self.call(1), of: self.tenant) == .unknown, "alone, and without a wait")
            b.nodes.release(self.call(1))
            #expect(await a.claim(self.call(2), of: self.tenant) == .unknown)
            // Some attempts fail meanwhile.
            try await Task.sleep(for: .milliseconds(700))
            try await server.start()
            try await a.isReady()
            try await b.isReady()
            #expect(await b.claim(self.call(1), of: self.tenant) == .elsewhere(node: "a"), "from before")
            #expect(await b.claim(self.call(2), of: self.tenant) == .elsewhere(node: "a"), "from meanwhile")
            #expect(a.lines.count { $0.contains("Redis is away") } == 1)
            #expect(a.lines.count { $0.contains("Redis is there") } == 2)
        }
    }

    @Test("A Redis that freezes holds a call up for its deadline at most, then for nothing")
    func freeze() async throws {
        try await self.withTwo { server, a, b in
            #expect(await b.claim(self.call(9), of: self.tenant) == .taken)
            server.freeze()
            #expect(await a.claim(self.call(1), of: self.tenant) == .unknown)
            try await soon("away") { !a.nodes.isReachable }
            #expect(await a.claim(self.call(2), of: self.tenant) == .unknown)
            #expect(a.lines.contains { $0.contains("\"stalled\"") })
            server.thaw()
            try await a.isReady()
            try await b.isReady()
            // The claim that was answered too late was held here, and is known now.
            try await soon("stated") { await b.claim(self.call(1), of: self.tenant) == .elsewhere(node: "a") }
            try await soon("that one too") { await b.claim(self.call(2), of: self.tenant) == .elsewhere(node: "a") }
            #expect(a.lines.count { $0.contains("Redis is away") } == 1)
        }
    }

    @Test("A Redis that forgot everything is told again by the next signs of life")
    func flushed() async throws {
        try await self.withTwo { server, a, b in
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken)
            _ = try await redis(server.port, "FLUSHALL")
            try await soon("stated anew") {
                let claim = await b.claim(self.call(1), of: self.tenant)
                if claim == .taken { b.nodes.release(self.call(1)) }
                return claim == .elsewhere(node: "a")
            }
        }
    }

    @Test("Nodes see each other, and which of them is leaving")
    func sightings() async throws {
        try await self.withTwo { _, a, b in
            #expect(await a.claim(self.call(1), of: self.tenant) == .taken)
            a.nodes.drain()
            try await soon("both are seen") {
                let nodes = try #require(await b.nodes.nodes()).sorted { $0.state.name < $1.state.name }
                return nodes.map(\.state.name) == ["a", "b"] && nodes.map(\.state.isDraining) == [true, false]
                    && nodes[0].state.calls == 1
            }
        }
    }

    // MARK: Circuits and configuration

    @Test("A circuit that opens on one node is known on the others, and to those that come later")
    func circuits() async throws {
        try await self.withTwo { server, a, b in
            let circuit = CircuitName(provider: "openai", tenant: self.tenant)
            a.nodes.circuitChanged(.opened(circuit, pause: .seconds(30)))
            try await soon("heard") { b.news.contains(.circuit(.opened(circuit, pause: .seconds(30)))) }
            #expect(a.news.isEmpty, "what it said itself it knows")

            let late = TestNode("late", on: server.port)
            try await soon("fetched") {
                late.news.contains { news in
                    guard case .circuit(.opened(circuit, let pause)) = news else { return false }
                    return pause > .zero && pause <= .seconds(30)
                }
            }
            #expect(await a.probe(circuit) == .granted)
            #expect(await b.probe(circuit) == .taken, "one node tries")
            a.nodes.circuitChanged(.closed(circuit))
            try await soon("closed") { b.news.last == .circuit(.closed(circuit)) }
            #expect(await b.probe(circuit) == .granted, "the next time anybody may")
            await late.nodes.stop()
        }
    }

    @Test("A change of the configuration is told; so is one that nobody could tell meanwhile")
    func configuration() async throws {
        try await self.withTwo { server, a, b in
            a.nodes.configurationChanged()
            try await soon("heard") { b.news == [.configurationChanged] }
            server.kill()
            try await soon("missed") { !b.nodes.isReachable }
            try await server.start()
            try await soon("whoever was away asks") { b.news.count { $0 == .configurationChanged } == 2 }
        }
    }

    @Test("Nonsense on the channel is counted, and changes nothing")
    func nonsense() async throws {
        try await self.withTwo { server, a, b in
            for text in ["", "open x y z", String(repeating: "a", count: 10_000), "\u{0}"] {
                _ = try await redis(server.port, "PUBLISH", "test:news", text)
            }
            a.nodes.configurationChanged()
            try await soon("the good one is heard") { b.news == [.configurationChanged] }
        }
    }

    // MARK: Rates and events

    @Test("An allowance is spent by all nodes together, and tells when there is more")
    func rates() async throws {
        try await self.withTwo { _, a, b in
            var allowed = 0
            var refused: RateVerdict?
            for number in 0..<20 {
                let node = number.isMultiple(of: 2) ? a : b
                let verdict = try #require(
                    await node.nodes.spend("tenant-a", limit: 10, window: .seconds(3600), within: .seconds(5)))
                if verdict.isAllowed { allowed += 1 } else { refused = verdict }
                if number == 0 { #expect(verdict.left == 9) }
            }
            #expect(allowed == 10)
            let wait = try #require(refused).retryAfter
            #expect(wait > .seconds(200) && wait <= .seconds(360), "one unit in six minutes")
            let another = await a.nodes.spend("tenant-b", limit: 10, window: .seconds(3600), within: .seconds(5))
            #expect(another?.isAllowed == true)
        }
    }

    @Test("Who cannot wait is let through, until Redis has said that all is spent; then it waits on every node")
    func allowance() async throws {
        try await self.withTwo { _, a, b in
            let (here, there) = (SharedAllowance(a.nodes), SharedAllowance(b.nodes))
            var wait: Duration?
            try await soon("spent") {
                wait = here.take("client x", limit: 5, window: .seconds(600), at: .zero)
                return wait != nil
            }
            #expect(try #require(wait) <= .seconds(120))
            try await soon("and there") {
                there.take("client x", limit: 5, window: .seconds(600), at: .zero) != nil
            }
            #expect(here.take("client y", limit: 5, window: .seconds(600), at: .zero) == nil)
            #expect(here.take("client x", limit: 5, window: .seconds(600), at: .seconds(121)) == nil, "time passes")
        }
    }

    @Test("What happens on calls is in the stream: ids and slugs; a caller's calls can be taken out of it")
    func events() async throws {
        try await self.withTwo { server, a, b in
            for number in 1...3 {
                for kind in CallEvent.Kind.allCases {
                    a.nodes.tell(
                        CallEvent(
                            kind, call: self.call(number), tenant: number == 3 ? self.other : self.tenant,
                            assistant: self.assistant, details: ["reason": "farewell"]))
                }
            }
            try await soon("written") { try await redis(server.port, "XLEN", "test:events").number == 15 }
            let first = try #require(
                try await redis(server.port, "XRANGE", "test:events", "-", "+", "COUNT", "1").elements?.first?.elements)
            let fields = try #require(first[1].elements).compactMap(\.text)
            #expect(
                fields == [
                    "kind", "began", "call", "call-1", "tenant", self.tenant.text, "assistant", self.assistant.text,
                    "node", "a", "reason", "farewell",
                ])
            let removed = await b.nodes.forget([self.call(1), self.call(3)], of: self.tenant)
            #expect(removed == 5, "the other tenant's call of that id is not theirs")
            #expect(try await redis(server.port, "XLEN", "test:events").number == 10)
        }
    }

    @Test("Two installations in one Redis do not see each other")
    func prefixes() async throws {
        try await RedisServer.with { server in
            let (a, b) = (TestNode("a", on: server.port, prefix: "one"), TestNode("b", on: server.port, prefix: "two"))
            try await a.isReady()
            try await b.isReady()
            #expect(await a.claim(self.call(1), of: self.tenant, limit: 1) == .taken)
            #expect(await b.claim(self.call(1), of: self.tenant, limit: 1) == .taken)
            await a.nodes.stop()
            await b.nodes.stop()
            #expect(try await redis(server.port, "DBSIZE").number ?? 99 <= 2, "they leave nothing but greetings")
        }
    }
}
