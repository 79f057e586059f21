import Foundation

import Records
import Routing
import Synchronization
import Telephony
import Testing

@testable import AdminAPI
@testable import Networking

@Suite("Who is let in, to what, and how often")
struct GateTests {
    private static let tenant = TenantID("00000000-0000-4000-8000-000000000001")

    /// Counts who was asked about.
    private final class Counting: Authenticating {
        private let count = Mutex(0)
        var asked: Int { self.count.withLock { $0 } }
        func asker(bearer: String) async throws(AuthenticationFailure) -> Asker {
            self.count.withLock { $0 += 1 }
            guard bearer == "good" || bearer == "remembered" else { throw .refused(slug: "test") }
            return Asker(scope: .installation, role: .viewer, credential: .signed(key: "k"), client: bearer)
        }
        func remembers(bearer: String) -> Bool { bearer == "remembered" }
    }

    private func request(_ bearer: String, from host: String = "192.0.2.1") throws -> HTTPRequest {
        HTTPRequest(
            method: "GET", target: "/api/me", headers: ["Authorization": "Bearer \(bearer)"], body: [],
            peer: try #require(SocketAddress(host, port: 1)), isSecure: false, isCurrentVersion: true)
    }

    private func status(
        _ gate: APIGate, _ request: HTTPRequest, at now: Duration = .seconds(100)
    ) async -> Int {
        do throws(APIProblem) {
            _ = try await gate.asker(of: request, at: now)
            return 200
        } catch { return error.status }
    }

    @Test("An address that has guessed its share is told so before anything is looked up for it, and nobody else is")
    func refusals() async throws {
        let desk = Counting()
        let gate = APIGate(
            authenticator: desk, limiter: LocalRateLimiter(), clientRate: Rate(perSecond: 20, burst: 200),
            tenantRate: { _ in Rate(perSecond: 1e6, burst: 1e6) })
        for _ in 0..<10 { #expect(await self.status(gate, try self.request("wrong")) == 401) }
        let asked = desk.asked
        for _ in 0..<50 { #expect(await self.status(gate, try self.request("wrong")) == 429) }
        #expect(desk.asked == asked)
        // From the same address: what was good a moment ago goes on, what has to be looked up waits.
        #expect(await self.status(gate, try self.request("remembered")) == 200)
        #expect(await self.status(gate, try self.request("good")) == 429)
        #expect(await self.status(gate, try self.request("good", from: "192.0.2.2")) == 200)
        #expect(await self.status(gate, try self.request("good"), at: .seconds(102)) == 200)
    }

    @Test("To look whether there is room takes none of it")
    func wait() {
        let limiter = LocalRateLimiter()
        let (key, rate) = (RateKey(.refusals, "a"), Rate(perSecond: 1, burst: 1))
        for _ in 0..<3 { #expect(limiter.wait(key, rate, at: .zero) == nil) }
        #expect(limiter.take(key, rate, at: .zero) == nil)
        #expect(limiter.wait(key, rate, at: .milliseconds(500)) == .milliseconds(500))
        #expect(limiter.wait(key, rate, at: .seconds(1)) == nil)
    }

    @Test("A credential for one trunk, or without a role, asks the routing question, and reads and changes nothing")
    func routingOnly() async throws {
        let tenant = try #require(Self.tenant)
        let signed = Asker.Credential.signed(key: "k")
        let askers = [
            "trunk": Asker(scope: .tenant(tenant), role: .admin, credential: signed, trunk: "t1", client: "a"),
            "no-role": Asker(
                scope: .tenant(tenant), role: .viewer, credential: signed, asksRoutingOnly: true, client: "b"),
        ]
        try await APIUnderTest.run(askers: askers) { api in
            for token in askers.keys {
                var refused = 0
                for route in api.routes where route.access != .open && route.access != .anyCredential {
                    let path = route.elements.map { $0.hasPrefix("{") ? "x" : String($0) }.joined(separator: "/")
                    let answer = try await api.ask(route.method.rawValue, "/" + path, token: token)
                    #expect(answer.status == 403, "\(token) \(route.name): \(answer.status)")
                    refused += 1
                }
                #expect(refused > 30)
                let me = try await api.ask("GET", "/api/me", token: token)
                #expect(me.status == 200 && me.json["routing_only"] == true && me.json["tenant"]?.text == tenant.text)
                let proxied = [(name: "X-Forwarded-For", value: "10.0.0.1")]
                #expect(try await api.ask("GET", "/metrics", token: token, headers: proxied).status == 403)
            }
            #expect(try await api.ask("GET", "/api/me", token: api.tokens.viewer).json["routing_only"] == false)
        }
    }

    @Test("A key that is kept does not go to another address than the one that it was given for")
    func keptKeys() async throws {
        try await APIUnderTest.run { api in
            func put(_ path: String, _ body: JSONValue) async throws -> HTTPResponse {
                try await api.ask("PUT", "/api/providers/" + path, token: api.tokens.admin, body: body)
            }
            func fields(_ answer: HTTPResponse) -> Set<String> {
                Set((answer.json["errors"]?.elements ?? []).compactMap { $0["field"]?.text })
            }
            let both: Set<String> = ["body.config.base_url", "body.secret"]
            for kind in ["llm", "stt", "tts", "realtime"] {
                let path = "\(kind)/openai"
                #expect(try await put(path, ["secret": "sk-1"]).status == 200)
                let stolen = try await put(path, ["config": ["base_url": "https://evil.example"]])
                #expect(stolen.status == 422 && fields(stolen) == both, "\(kind): \(stolen.text)")
                #expect(try await put(path, ["config": ["model": "m"]]).status == 200)
                let own: JSONValue = ["config": ["base_url": "https://mine.example/v1"], "secret": "sk-2"]
                #expect(try await put(path, own).status == 200)
                // The same address again, with another model; then another one, and none.
                let same = try await put(path, ["config": ["base_url": "https://mine.example/v1", "model": "n"]])
                #expect(same.status == 200 && same.json["has_secret"] == true)
                #expect(try await put(path, ["config": ["base_url": "https://mine.example/v2"]]).status == 422)
                #expect(try await put(path, ["config": [:]]).status == 422)
            }
            let name = try #require(ProviderName("openai"))
            let kept = try await api.store.account(name, kind: .llm, of: api.one.tenant)
            #expect(kept?.secret?.value == "sk-2" && kept?.configuration.contains("mine.example/v1") == true)
            // Without a key of its own there is nothing to extract.
            let keyless = try await put("llm/compatible", ["config": ["base_url": "https://llm.example"]])
            #expect(keyless.status == 200)
        }
    }

    @Test(
        "A tenant names no host of the gateway's own network",
        arguments: [
            "https://127.0.0.1:8080", "https://localhost", "https://10.1.2.3/v1", "https://169.254.169.254",
            "wss://192.168.1.1", "https://2130706433", "https://127.1", "https://db.internal", "https://redis",
            "https://printer.local", "https://100.64.0.1", "https://0.0.0.0",
        ])
    func privateHosts(url: String) async throws {
        try await APIUnderTest.run { api in
            let answer = try await api.ask(
                "PUT", "/api/providers/llm/groq", token: api.tokens.admin,
                body: ["config": ["base_url": .string(url)], "secret": "sk-1"])
            #expect(answer.status == 422)
            #expect(answer.json["errors"]?.elements?.first?["field"]?.text == "body.config.base_url", "\(answer.text)")
            #expect(answer.text.contains("PRONTO_TENANT_PRIVATE_HOSTS"))
        }
    }

    @Test("The document has the routing question, with what is asked and every answer")
    func document() async throws {
        try await APIUnderTest.run { api in
            let document = try await api.ask("GET", "/api/openapi.json").json
            for (path, statuses) in [
                ("/api/voip/ai-routing", ["200", "400", "401", "403", "404", "405", "429"]),
                ("/api/freeswitch/ai-routing", ["200", "401", "405"]),
            ] {
                let question = try #require(document[["paths", path, "get"]])
                #expect((question["responses"]?.members ?? []).map(\.name).sorted() == statuses)
                let names = Set((question["parameters"]?.elements ?? []).compactMap { $0["name"]?.text })
                #expect(names.isSuperset(of: ["sip_domain", "trunk_id", "did", "ts", "tenant_id", "call_id"]))
                // Peers need no credential.
                #expect(question["security"]?.elements?.count == 2)
            }
            let reasons = document[["components", "schemas", "RoutingReason", "enum"]]?.elements
            #expect(reasons?.count == RoutingReason.allCases.count)
            #expect(api.routes.allSatisfy { !$0.isDescribedOnly })
        }
    }
}
