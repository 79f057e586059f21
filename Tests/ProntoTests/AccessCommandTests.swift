import Configuration
import Foundation
import Observability
import Records
import Stores
import Telephony
import Testing

@testable import pronto

@Suite("pronto api-token, signing-key, token jwt, forget")
struct AccessCommandTests {
    private struct Desk {
        let folder: String
        var environment: [String: String]

        func run(_ line: String) async throws -> String {
            let words = line.split(separator: " ").map(String.init)
            return try await StoreCommands.run(
                words[0], Array(words.dropFirst()), folder: self.folder, environment: self.environment,
                readInput: { nil })
        }

        func complaint(_ line: String) async -> String {
            do { return "worked: " + (try await self.run(line)) } catch { return "\(error)" }
        }

        func store() async throws -> SQLStore {
            try await SQLStore(
                path: self.folder + "/pronto.db",
                secretKeys: try self.environment["PRONTO_SECRET_KEY"].map { try SecretKeys($0) })
        }
    }

    private func withDesk(_ body: (inout Desk) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-access-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var desk = Desk(
            folder: folder,
            environment: [
                "PRONTO_DATABASE": folder + "/pronto.db", "PRONTO_RECORDINGS": folder + "/recordings",
                "PRONTO_SECRET_KEY": "a:" + Data(repeating: 7, count: 32).base64EncodedString(),
            ])
        try await body(&desk)
    }

    @Test("A token is shown once, listed by its beginning, and revoked")
    func tokens() async throws {
        try await self.withDesk { desk in
            let tenant = try await desk.run("tenant add one.example")
            let text = try await desk.run("api-token create console --role operator --days 30")
            #expect(text.hasPrefix("pronto_") && text.utf8.count == 50)
            let list = try await desk.run("api-token list")
            #expect(list.contains("operator") && list.contains("console") && list.contains("good"))
            #expect(!list.contains(text) && list.contains(text.prefix(13)))
            #expect(try await !desk.run("api-token list --installation").contains("console"))
            let whole = try await desk.run("api-token create all --role admin --installation")
            #expect(try await desk.run("api-token list --installation").contains(whole.prefix(13)))
            let id = try #require(list.split(separator: "\n").last?.split(separator: " ").first)
            #expect(await desk.complaint("api-token revoke \(id) --installation").contains("no such token"))
            #expect(try await desk.run("api-token revoke \(id)") == "revoked")
            #expect(try await desk.run("api-token list").contains("revoked"))
            // The file holds the hash only.
            for name in try FileManager.default.contentsOfDirectory(atPath: desk.folder) {
                let data = try Data(contentsOf: URL(fileURLWithPath: desk.folder + "/" + name))
                #expect(data.range(of: Data(text.utf8)) == nil, "\(name)")
            }
            #expect(await desk.complaint("api-token create x --role root").contains("viewer, operator or admin"))
            #expect(await desk.complaint("api-token create x --tenant \(tenant) --installation").contains("exclude"))
        }
    }

    @Test("A signed token by the keys of the file, within what its key may")
    func signed() async throws {
        try await self.withDesk { desk in
            let tenant = try await desk.run("tenant add one.example")
            #expect(await desk.complaint("token jwt").contains("PRONTO_JWT_KEYS_FILE is not set"))
            let file = desk.folder + "/keys.json"
            let set = try await desk.run("token new-jwk --algorithm ES256 --id k1 --issuer edgvoip --role operator")
            try set.write(toFile: file, atomically: true, encoding: .utf8)
            desk.environment["PRONTO_JWT_KEYS_FILE"] = file
            let text = try await desk.run("token jwt --role operator --trunk t1 --lifetime 60")
            let ring = JWTKeyRing(installation: try JSONWebKey.set(file: file), audience: "pronto")
            let said = try ring.verified(text, at: Date()) { _ in TenantID(tenant) }
            #expect(said.tenant.text == tenant && said.claims.trunk == "t1" && said.claims.issuer == "edgvoip")
            #expect(await desk.complaint("token jwt --role admin").contains("signs for operator at most"))
            #expect(await desk.complaint("token jwt --key k2").contains("of kid k2"))
            let published = try await desk.run("token jwks")
            #expect(published.contains("\"k1\"") && !published.contains("\"d\""))
            try "{}".write(toFile: file, atomically: true, encoding: .utf8)
            #expect(await desk.complaint("token jwt").contains("PRONTO_JWT_KEYS_FILE"))
        }
    }

    @Test("A tenant's own keys are kept encrypted")
    func keys() async throws {
        try await self.withDesk { desk in
            _ = try await desk.run("tenant add one.example")
            let file = desk.folder + "/key.json"
            let set = try await desk.run("token new-jwk --algorithm HS256 --id theirs")
            try set.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try await desk.run("signing-key add --file \(file)") == "kept, encrypted: theirs")
            #expect(try await desk.run("signing-key list").contains("theirs"))
            try "{\"keys\":[]}".write(toFile: file, atomically: true, encoding: .utf8)
            #expect(await desk.complaint("signing-key add --file \(file)").contains("holds no key"))
            #expect(try await desk.run("signing-key remove theirs") == "removed")
            #expect(await desk.complaint("signing-key remove theirs").contains("no such key"))
        }
    }

    @Test("A caller is forgotten, when one is sure")
    func forget() async throws {
        try await self.withDesk { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add one.example")))
            let store = try await desk.store()
            let start = Date(timeIntervalSince1970: 1_760_000_000)
            var call = CallRecord(
                id: try #require(CallID("c1")), tenant: tenant, startedAt: start, endedAt: start,
                termination: .callerHungUp)
            call.caller = Redacted("+390612345")
            try await store.finish(FinishedCall(call: call), of: tenant)
            await store.close()
            let spool = try CallSpool(path: desk.folder + "/pronto.db.spool")
            call.id = try #require(CallID("c2"))
            try await spool.append(FinishedCall(call: call))
            #expect(await desk.complaint("forget --caller 390612345").contains("--yes"))
            let report = try await desk.run("forget --caller 390612345 --yes")
            #expect(report.contains("numbers of calls") && report.contains("lines of the spool"))
            let after = try await desk.store()
            #expect(try await after.call(try #require(CallID("c1")), of: tenant)?.caller == nil)
            #expect(try await spool.replay(into: after).written == 1)
            #expect(try await after.call(try #require(CallID("c2")), of: tenant)?.caller == nil)
            await after.close()
        }
    }
}

@Suite("What a tenant may spend")
struct TenantSpendingTests {
    @Test("A month begins at its first moment, UTC")
    func month() {
        let date = Date(timeIntervalSince1970: 1_772_323_199)  // 2026-02-28T23:59:59Z
        #expect(TenantSpending.month(of: date) == Date(timeIntervalSince1970: 1_769_904_000))
        #expect(TenantSpending.month(of: date.addingTimeInterval(1)) == Date(timeIntervalSince1970: 1_772_323_200))
    }

    @Test("At the limit no new call is let in; without a limit, and while the database is away, nothing changes")
    func refresh() async throws {
        let (one, two) = (
            try #require(TenantID("00000000-0000-4000-8000-000000000001")),
            try #require(TenantID("00000000-0000-4000-8000-000000000002"))
        )
        let spending = TenantSpending(logger: .silent)
        let policies = [one: TenantPolicy(limits: TenantLimits(spendMicros: 100)), two: TenantPolicy()]
        await spending.refresh(policies, at: Date()) { _, _ in 99 }
        #expect(!spending.isOver(one) && !spending.isOver(two))
        await spending.refresh(policies, at: Date()) { _, _ in 100 }
        #expect(spending.isOver(one) && !spending.isOver(two))
        await spending.refresh(policies, at: Date()) { _, _ throws(StoreError) in throw StoreError(.unavailable, "") }
        #expect(spending.isOver(one))
        await spending.refresh(policies, at: Date()) { _, _ in 0 }
        #expect(!spending.isOver(one))
    }
}
