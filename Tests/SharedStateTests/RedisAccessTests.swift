import Foundation
import Networking
import Records
import SharedState
import Telephony
import TestDatabases
import Testing

/// Who is let in, and what is no Redis.
@Suite("Reaching Redis", .serialized, .timeLimit(.minutes(2)))
struct RedisAccessTests {
    private func absence(_ port: Int, tls: TLSContext? = nil, _ change: (inout RedisNodes.Configuration) -> Void)
        async throws -> RedisAbsence?
    {
        var configuration = RedisNodes.Configuration(
            endpoint: RedisEndpoint(host: "127.0.0.1", port: UInt16(port), tls: tls), name: "x")
        change(&configuration)
        do throws(RedisQuestion.Failure) {
            _ = try await RedisQuestion.ask(configuration, instance: "x") { _ in RedisCommand("PING") }
            return nil
        } catch {
            guard case .absent(let absence) = error else { throw error }
            return absence
        }
    }

    @Test("A password and an ACL's user; what is wrong is said with its repair, and never with the password")
    func authentication() async throws {
        let acl = ["--requirepass", "nutmeg", "--user", "node", "on", ">cinnamon", "~test:*", "&test:*", "+@all"]
        try await RedisServer.with(acl) { server in
            #expect(try await self.absence(server.port) { _ in } == .authentication)
            #expect(try await self.absence(server.port) { $0.password = Redacted("wrong") } == .authentication)
            #expect(try await self.absence(server.port) { $0.password = Redacted("nutmeg") } == nil)
            let wrong = TestNode("a", on: server.port) { $0.password = Redacted("saffron") }
            try await soon("said") { wrong.lines.contains { $0.contains("REDIS_PASSWORD") } }
            #expect(!wrong.lines.contains { $0.contains("saffron") })
            await wrong.nodes.stop()

            let node = TestNode("a", on: server.port) {
                $0.user = "node"
                $0.password = Redacted("cinnamon")
            }
            try await node.isReady()
            #expect(
                await node.claim(CallID("c")!, of: TenantID("00000000-0000-4000-8000-00000000000a")!) == .taken,
                "an ACL with the prefix's keys and channels is enough")
            await node.nodes.stop()
        }
    }

    @Test("The rights that docs/several-nodes.md lists are enough for all that nodes do")
    func rights() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/several-nodes.md"), encoding: .utf8)
        let line = try #require(page.split(separator: "\n").first { $0.contains("An ACL needs") })
        let rights = line.replacing("`", with: " ").replacing("PREFIX", with: "test").split(separator: " ")
            .map {
                String($0.trimmingPrefix { "(".contains($0) }).trimmingCharacters(in: CharacterSet(charactersIn: ".,"))
            }
            .filter { $0.hasPrefix("+") || $0.hasPrefix("~") || $0.hasPrefix("&") }
        #expect(rights.count > 20)
        let words = ["--requirepass", "nutmeg", "--user", "node", "on", ">cinnamon"] + rights
        try await RedisServer.with(words) { server in
            let (a, b) = (TestNode("a", on: server.port, Self.asNode), TestNode("b", on: server.port, Self.asNode))
            try await a.isReady()
            try await b.isReady()
            let tenant = try #require(TenantID("00000000-0000-4000-8000-00000000000a"))
            let (call, circuit) = (try #require(CallID("c")), CircuitName(provider: "openai", tenant: tenant))
            #expect(await a.claim(call, of: tenant) == .taken)
            #expect(await b.claim(call, of: tenant) == .elsewhere(node: "a"))
            a.nodes.circuitChanged(.opened(circuit, pause: .seconds(5)))
            try await soon("heard") { !b.news.isEmpty }
            #expect(await b.probe(circuit) == .granted)
            a.nodes.circuitChanged(.closed(circuit))
            a.nodes.configurationChanged()
            try await soon("heard") { b.news.last == .configurationChanged }
            #expect(await b.nodes.spend("x", limit: 2, window: .seconds(9), within: .seconds(5))?.isAllowed == true)
            a.nodes.tell(
                CallEvent(
                    .began, call: call, tenant: tenant,
                    assistant: try #require(AssistantID("00000000-0000-4000-8000-0000000000aa"))))
            try await soon("written and forgotten") { await b.nodes.forget([call], of: tenant) == 1 }
            #expect(await b.nodes.nodes()?.count == 2)
            a.nodes.release(call)
            try await soon("released") { await b.claim(call, of: tenant) == .taken }
            await a.nodes.stop()
            await b.nodes.stop()
            for node in [a, b] { #expect(!node.lines.contains { $0.contains("refuses") }, "\(node.lines)") }
        }
    }

    private static func asNode(_ configuration: inout RedisNodes.Configuration) {
        configuration.user = "node"
        configuration.password = Redacted("cinnamon")
    }

    @Test("A database by its number, and one that there is not")
    func database() async throws {
        try await RedisServer.with { server in
            let node = TestNode("a", on: server.port) { $0.database = 3 }
            try await node.isReady()
            #expect(await node.claim(CallID("c")!, of: TenantID("00000000-0000-4000-8000-00000000000a")!) == .taken)
            #expect(try await redis(server.port, "DBSIZE").number == 0, "nothing in database 0")
            await node.nodes.stop()
            #expect(try await self.absence(server.port) { $0.database = 99 } == .database)
        }
    }

    @Test("A replica takes no writes, and is no Redis for nodes")
    func replica() async throws {
        try await RedisServer.with { server in
            _ = try await redis(server.port, "REPLICAOF", "127.0.0.1", "1")
            let node = TestNode("a", on: server.port)
            try await soon("said") { node.lines.contains { $0.contains("read-only") || $0.contains("loading") } }
            #expect(!node.nodes.isReachable)
            _ = try await redis(server.port, "REPLICAOF", "NO", "ONE")
            try await node.isReady()
            await node.nodes.stop()
        }
    }

    @Test("Over TLS, with the authority that is trusted, and not with another")
    func tls() async throws {
        let folder = "/tmp/pronto-redis-tls-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["one", "two"] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "\(folder)/\(name).key",
                "-out", "\(folder)/\(name).pem",
            ]
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }
        let port = try RedisServer.freePort()
        let words = [
            "--tls-port", "\(port)", "--tls-cert-file", "\(folder)/one.pem", "--tls-key-file", "\(folder)/one.key",
            "--tls-ca-cert-file", "\(folder)/one.pem", "--tls-auth-clients", "no",
        ]
        try await RedisServer.with(words) { server in
            let trusted = try TLSContext.client(authorities: "\(folder)/one.pem")
            let node = TestNode("a", on: port, tls: trusted)
            try await node.isReady()
            #expect(await node.claim(CallID("c")!, of: TenantID("00000000-0000-4000-8000-00000000000a")!) == .taken)
            await node.nodes.stop()
            let stranger = try TLSContext.client(authorities: "\(folder)/two.pem")
            #expect(try await self.absence(port, tls: stranger) { _ in } == .tls)
            let plain = try await self.absence(port) { _ in }
            #expect(plain != nil, "without TLS on the port of TLS: \(String(describing: plain))")
        }
    }

    @Test("Nobody there, and what is no Redis: each by its name, none of them with a wait for calls")
    func noRedis() async throws {
        let closed = try RedisServer.freePort()
        #expect(try await self.absence(closed) { _ in } == .unreachable)
        let group = EventLoopGroup(count: 1)
        defer { group.stop() }
        // A web server answers a Redis command with its own words; a mute one with none.
        for (words, expected) in [("HTTP/1.1 400 Bad Request\r\n\r\n", RedisAbsence.garbled), ("", .timeout)] {
            let server = try TCPServer(on: group.loops, address: SocketAddress("127.0.0.1", port: 0)!) { _ in
                { connection in
                    connection.onBytes = { _ in if !words.isEmpty { connection.write(words) } }
                    connection.begin()
                }
            }
            #expect(try await self.absence(Int(server.address.port)) { _ in } == expected)
            server.close()
        }
        let node = TestNode("a", on: closed)
        #expect(await node.claim(CallID("c")!, of: TenantID("00000000-0000-4000-8000-00000000000a")!) == .unknown)
        try await soon("said once") { node.lines.count { $0.contains("Redis is away") } == 1 }
        await node.nodes.stop()
    }
}
