import Configuration
import Foundation
import Records
import Stores
import Telephony
import Testing

@testable import pronto

@Suite("pronto doctor: what Pronto itself stands on")
struct DoctorInstallationTests {
    private func run(_ folder: String, _ words: String, _ given: [String: String], input: String? = nil) async throws {
        let words = words.split(separator: " ").map(String.init)
        _ = try await StoreCommands.run(
            words[0], Array(words.dropFirst()), folder: folder, environment: given, readInput: { input })
    }

    private func findings(_ folder: String, _ given: [String: String]) async throws -> [String: DoctorFinding] {
        let settings = try Settings.load(folder: folder, environment: given)
        let facts = await InstallationGathering.gather(settings, trials: false)
        let all = DoctorChecks.installation(facts, settings)
        for finding in all {
            #expect(
                (finding.repair != nil) == (finding.verdict == .warning || finding.verdict == .failed), "\(finding)")
        }
        return Dictionary(all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    @Test("A sound installation: the database, its schema and rights, secrets, assistants; nothing is made or changed")
    func sound() async throws {
        try await withFolder { folder in
            let given = ["PRONTO_DATABASE": folder + "/pronto.db", "PRONTO_SECRET_KEY": key(7)]
            let before = try await self.findings(folder, given)
            #expect(before["database"]?.verdict == .warning)
            #expect(!FileManager.default.fileExists(atPath: folder + "/pronto.db"))
            try await self.run(folder, "tenant add clinic.example", given)
            try await self.run(folder, "provider set-key openai", given, input: "sk-canary")
            try await self.run(folder, "assistant add desk --provider openai", given)
            let found = try await self.findings(folder, given)
            for id in ["database", "database-schema", "database-rights", "secrets", "assistants"] {
                #expect(found[id]?.verdict == .fine, "\(id): \(String(describing: found[id]))")
            }
            #expect(found["redis"]?.verdict == .skipped && found["providers"]?.found.contains("openai") == true)
            #expect(!"\(found)".contains("sk-canary"))
        }
    }

    @Test("Each thing that breaks it is found, with its repair")
    func broken() async throws {
        try await withFolder { folder in
            let given = ["PRONTO_DATABASE": folder + "/pronto.db", "PRONTO_SECRET_KEY": key(7)]
            try await self.run(folder, "tenant add clinic.example", given)
            try await self.run(folder, "provider set-key openai", given, input: "sk-1")
            try await self.run(folder, "assistant add desk --provider openai", given)
            try await self.run(folder, "assistant add other --provider gemini --unchecked", given)
            // The key of secrets is another one, and one assistant has no key at all.
            let rekeyed = try await self.findings(folder, given.merging(["PRONTO_SECRET_KEY": key(8)]) { $1 })
            #expect(rekeyed["secrets"]?.verdict == .failed)
            #expect(rekeyed["secrets"]?.found.contains("clinic.example: realtime/openai") == true)
            #expect(rekeyed["assistant"]?.found.contains("GOOGLE_API_KEY") == true)
            // Nothing listens at Redis' port.
            let alone = try await self.findings(
                folder, given.merging(["REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"]) { $1 })
            #expect(alone["redis"]?.verdict == .failed && alone["redis"]?.repair?.contains("REDIS_HOST") == true)
            // The schema of an older version.
            do {
                let database = try SQLiteDatabase(path: folder + "/pronto.db")
                let last = try #require(try Migrator(database: database).status().map(\.number).max())
                _ = try Migrator(database: database).down(to: last - 1)
                let old = try await self.findings(folder, given)
                #expect(old["database-schema"]?.found.contains("\(last)") == true)
                #expect(old["database-schema"]?.repair == "pronto migrate up" && old["assistants"] == nil)
                #expect(try Migrator(database: database).status().count(where: { $0.appliedAt == nil }) == 1)
            }
            try Data("no database".utf8).write(to: URL(filePath: folder + "/garbage"))
            let garbage = try await self.findings(folder, ["PRONTO_DATABASE": folder + "/garbage"])
            #expect(garbage["database"]?.verdict == .failed)
            let nowhere = try await self.findings(folder, ["DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "x"])
            #expect(nowhere["database"]?.verdict == .failed && nowhere["database"]?.repair?.contains("DB_PORT") == true)
        }
    }

    @Test("Rights that are missing are named, not counted only")
    func rights() throws {
        var facts = InstallationFacts(
            database: .there(
                name: "db",
                DatabaseCondition(
                    version: "PostgreSQL 15", missing: [], applied: 12,
                    denied: ["voip_cdr: INSERT", "voip_cdr: UPDATE", "a: SELECT", "b: SELECT", "c: SELECT"])))
        facts.tenants = 0
        facts.ready = 0
        let found = DoctorChecks.installation(facts, try Settings.load(folder: "/nonexistent", environment: [:]))
        let rights = found.first { $0.id == "database-rights" }
        #expect(rights?.verdict == .failed && rights?.found.contains("voip_cdr: INSERT") == true)
        #expect(rights?.found.contains("1 more") == true && rights?.repair?.contains("GRANT") == true)
        #expect(found.contains { $0.id == "assistants" && $0.verdict == .warning })
    }
}
