import Foundation
import Records
import Telephony
import TestDatabases
import Testing

@testable import Stores

/// Many short calls end while the database is killed again and again: none may be lost, none written twice.
///
/// PRONTO_SOAK says how many calls (scripts/soak: 10 000); without it as many as the suite has time for.
@Suite("Soak", .timeLimit(.minutes(60)))
struct PostgresSoakTests {
    @Test("Calls that end while PostgreSQL is killed and comes back: 0 lost, 0 doubled")
    func postgres() async throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["PRONTO_SOAK"].flatMap { Int($0) } ?? 400
        let server = try await TestPostgres.start()
        var options = server.options("postgres")
        options.pauses = .milliseconds(20) ... .milliseconds(200)
        try await withFolder { folder in
            let store = try await SQLStore(postgres: options, migrates: true)
            let spool = try CallSpool(path: folder + "/spool")
            let calls = DurableCalls(store: store, spool: spool)
            let tenant = try Sample.tenantID(1)
            let replaying = Task { await calls.run(every: .milliseconds(300)) { _ in } }
            let killing = Task {
                var kills = 0
                var random = SeededGenerator(seed: 5)
                while !Task.isCancelled {
                    // Cancelled only when all calls have ended.
                    try? await Task.sleep(for: .milliseconds(Int.random(in: 100...700, using: &random)))
                    try await server.crash()
                    kills += 1
                    try? await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &random)))
                    try await server.restart()
                }
                return kills
            }
            // Ten lines, each with one call after another.
            let spooled = try await withThrowingTaskGroup(of: Int.self) { group in
                for line in 0..<10 {
                    group.addTask {
                        var spooled = 0
                        for number in stride(from: line, to: count, by: 10) {
                            let call = try Sample.finished(number, of: tenant, at: Double(number % 500))
                            if case .spooled = try await calls.finish(call, of: tenant) { spooled += 1 }
                            // So that the kills fall among the calls.
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        return spooled
                    }
                }
                return try await group.reduce(0, +)
            }
            killing.cancel()
            let kills = try await killing.value
            replaying.cancel()
            await replaying.value
            try await soonTrue {
                _ = try? await calls.replay()
                return await spool.isEmpty
            }
            let database = try PostgresDatabase(options: options.database)
            let found = try #require(
                try database.rows(
                    """
                    SELECT count(*) AS calls, count(DISTINCT call_uuid) AS different,
                        (SELECT count(*) FROM v_voice_messages) AS turns, (SELECT count(*) FROM v_voice_tool_uses) AS tools
                    FROM voip_cdr
                    """
                ).first)
            let numbers = try ["calls", "different", "turns", "tools"].map { try found.integer($0) }
            #expect(numbers == [count, count, count * 2, count])
            #expect(kills > 0 && !FileManager.default.fileExists(atPath: folder + "/spool.damaged"))
            print(
                "soak: \(count) calls, \(kills) kills, \(spooled) through the spool, \(count - numbers[1]) lost, "
                    + "\(numbers[0] - numbers[1]) doubled")
            await store.close()
        }
    }
}
