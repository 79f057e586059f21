import Foundation
import Networking
import Records
import SharedState
import Telephony
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
