import Foundation
import SharedState
import Simulators
import Telephony
import TestDatabases
import Testing

@testable import pronto

/// Two gateways of one installation in this process, and a real Redis between them.
@Suite("Two nodes", .serialized, .timeLimit(.minutes(2)))
struct NodesTests {
    private let one = CallID("3c1a4a4e-0000-4000-8000-00000000000a")!
    private let two = CallID("3c1a4a4e-0000-4000-8000-00000000000b")!
    private let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))

    /// Both on one database, as nodes are; each with a provider of its own.
    private func withTwo(
        script: OpenAIRealtimeScript = House.script(), given: [String: String] = [:],
        _ body: (RedisServer, House, House) async throws -> Void
    ) async throws {
        try await RedisServer.with { redis in
            try await withFolder { folder in
                // The machine of the tests is busy: a late answer of Redis is another test's.
                var given = [
                    "REDIS_HOST": "127.0.0.1", "REDIS_PORT": String(redis.port), "PRONTO_REDIS_DEADLINE_MS": "1000",
                ].merging(given) { _, new in new }
                given["PRONTO_NODE_NAME"] = "a"
                let a = try await House(folder, script: script, given: given)
                given["PRONTO_NODE_NAME"] = "b"
                let b = try await House(folder, script: script, given: given, setsKey: false)
                for house in [a, b] {
                    house.process.start()
                    try await soon("Redis is there") { house.process.nodes?.isReachable ?? false }
                }
                let result: Result<Void, any Error>
                do { result = .success(try await body(redis, a, b)) } catch { result = .failure(error) }
                await a.stop(patience: .zero)
                await b.stop(patience: .zero)
                try result.get()
            }
        }
    }

    private func nodes(of house: House) async throws -> String {
        try await NodesCommand.list(try settings(in: house.folder, house.environment))
    }

    @Test(
        "A call that lives on one node is refused by the other, in words that tell nothing; and free when it has ended")
    func oneNode() async throws {
        try await self.withTwo { redis, a, b in
            let live = try await a.dial(self.one)
            #expect(await live.perform([self.listen]) == .done)
            let second = try await b.dial(self.one)
            #expect(await second.result().end == .refused(status: 409))
            #expect(b.lines.all.contains { $0.contains("lives on another node") && $0.contains("\"a\"") })
            #expect(b.process.gateway.liveCalls == 0, "its place was given back")
            live.hangUp()
            #expect(await live.result().end == .hungUp)
            try await soon("ended on both") { a.process.gateway.liveCalls == 0 }
            let third = try await b.dial(self.one)
            #expect(await third.perform([self.listen]) == .done)
            third.hangUp()
            #expect(await third.result().failure == nil)

            // What the consoles saw of it: ids and slugs, nothing that was said or dialed.
            let list = try await self.nodes(of: b)
            #expect(list.contains("a") && list.contains("serving"))
            for house in [a, b] {
                for canary in House.canaries {
                    #expect(!house.lines.all.contains { $0.contains(canary) }, "\(canary) in the log")
                }
            }
        }
    }

    @Test(
        "What `pronto forget` erases leaves the stream that the nodes share too; a record says which node had its call")
    func forget() async throws {
        try await self.withTwo { _, a, _ in
            let settings = try settings(in: a.folder, a.environment)
            let configuration = try #require(try NodesOpening.configuration(settings, nil))
            func events() async throws -> Int? {
                try await RedisQuestion.ask(configuration, instance: "test") { RedisCommand("XLEN", $0.keys.events) }
                    .number
            }
            #expect(try await a.converse(self.one).failure == nil)
            let tenant = try #require(try await a.process.store.tenants().first?.id)
            try await soon("its record") { try await a.process.store.call(self.one, of: tenant) != nil }
            let call = try #require(try await a.process.store.call(self.one, of: tenant))
            #expect(call.node == "a" && call.caller?.value == House.caller)
            // Began, answered, ended.
            try await soon("its events") { try await events() == 3 }
            let said = try await StoreCommands.run(
                "forget", ["--caller", House.caller, "--tenant", tenant.text, "--yes"], folder: a.folder,
                environment: a.environment, readInput: { nil })
            #expect(said.contains("numbers of calls"))
            #expect(try await a.process.store.call(self.one, of: tenant)?.caller == nil)
            #expect(try await events() == 0)
        }
    }

    @Test("A tenant's limit counts the calls of both nodes")
    func limit() async throws {
        try await self.withTwo(given: ["MAX_SESSIONS_PER_DOMAIN": "1"]) { _, a, b in
            let live = try await a.dial(self.one)
            #expect(await live.perform([self.listen]) == .done)
            let second = try await b.dial(self.two)
            #expect(await second.result().end == .refused(status: 503))
            live.hangUp()
            _ = await live.result()
            try await soon("a place is free") {
                let phone = try await b.dial(self.two)
                let isTaken = await phone.perform([self.listen]) == .done
                phone.hangUp()
                _ = await phone.result()
                return isTaken
            }
        }
    }

    @Test("A provider that fails on one node is passed over on the other")
    func breaker() async throws {
        var script = House.script()
        script.key = "another key"
        try await self.withTwo(
            script: script, given: ["PRONTO_BREAKER_FAILURES": "1", "REALTIME_FALLBACK_PROVIDERS": "local"]
        ) { _, a, b in
            let circuits = "voice_ai_realtime_provider_circuits_open{provider=\"openai\"}"
            #expect(try await b.metric(circuits) == 0)
            let live = try await a.dial(self.one)
            try await soon("known on the other") { try await b.metric(circuits) == 1 }
            live.hangUp()
            _ = await live.result()
            let second = try await b.dial(self.two)
            let passed = "voice_ai_realtime_provider_passed_over_total{provider=\"openai\"}"
            try await soon("passed over") { try await b.metric(passed) == 1 }
            second.hangUp()
            _ = await second.result()
            #expect(try await b.simulator.records().isEmpty, "the other node's calls were spared the failure")
        }
    }

    @Test("A change by command is read by every node at once")
    func change() async throws {
        try await self.withTwo { _, a, b in
            _ = try await a.command(
                "assistant", "add", "night", "--id", "aaaaaaaa-0000-4000-8000-000000000002", "--provider", "openai")
            for house in [a, b] {
                try await soon("told") { house.lines.all.contains { $0.contains("another node changed it") } }
            }
        }
    }

    @Test("Without Redis each node answers its calls as if it were alone, and says so once")
    func alone() async throws {
        try await self.withTwo { redis, a, b in
            let live = try await a.dial(self.one)
            #expect(await live.perform([self.listen]) == .done)
            redis.kill()
            try await soon("missed") { !(b.process.nodes?.isReachable ?? true) }
            let second = try await b.dial(self.two)
            #expect(await second.perform([self.listen]) == .done)
            try await redis.start()
            try await soon("back") { a.process.nodes?.isReachable ?? false }
            try await soon("back") { b.process.nodes?.isReachable ?? false }
            // Each knows of the other's call, from before and from meanwhile.
            #expect(await (try await b.dial(self.one)).result().end == .refused(status: 409))
            #expect(await (try await a.dial(self.two)).result().end == .refused(status: 409))
            #expect(b.lines.all.count { $0.contains("Redis is away") } == 1)
            for phone in [live, second] {
                phone.hangUp()
                #expect(await phone.result().end == .hungUp)
            }
        }
    }

    @Test("A node that leaves says so first, and takes new calls until the notice is over")
    func notice() async throws {
        try await self.withTwo(given: ["PRONTO_DRAIN_NOTICE_SECONDS": "3"]) { _, a, b in
            async let stopped: Void = a.process.stop(patience: .seconds(20))
            try await soon("said") { try await a.get("/health").status == 503 }
            #expect(!a.process.gateway.isDraining)
            let late = try await a.dial(self.one)
            #expect(await late.perform([self.listen]) == .done, "a call that the balancer had sent already")
            try await soon("the others see it") { try await self.nodes(of: b).contains("draining") }
            try await soon("now it drains") { a.process.gateway.isDraining }
            #expect(await (try await a.dial(self.two)).result().end == .refused(status: 503))
            late.hangUp()
            #expect(await late.result().end == .hungUp)
            await stopped
        }
    }
}
