import Foundation
import Records
import Simulators
import Stores
import Telephony
import Testing

@testable import pronto

/// The database fails while a call lives: the caller hears nothing of it, and no record is lost.
@Suite("A database that fails in the middle", .serialized, .timeLimit(.minutes(1)))
struct FailingDatabaseTests {
    /// What goes wrong, and how it is repaired.
    struct Failure: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let breaks: String
        let repairs: String
        let code: StoreError.Code
    }

    static let failures = [
        Failure(
            testDescription: "another program holds the lock", breaks: "BEGIN IMMEDIATE", repairs: "ROLLBACK",
            code: .locked),
        Failure(
            testDescription: "a table is gone", breaks: "ALTER TABLE voip_cdr RENAME TO gone",
            repairs: "ALTER TABLE gone RENAME TO voip_cdr", code: .failed),
    ]

    @Test(
        "The call ends as it would have, its record waits in the spool and is in the database after the next start",
        arguments: failures)
    func spooled(failure: Failure) async throws {
        let call = try #require(CallID("3c1a4a4e-0000-4000-8000-000000000001"))
        try await withFolder { folder in
            let house = try await House(folder)
            let phone = try await house.dial(call)
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
            #expect(await phone.perform([listen]) == .done)
            let other = try SQLiteDatabase(path: folder + "/pronto.db")
            try other.execute(failure.breaks)
            #expect(await phone.perform([.speak(House.voice), listen]) == .done, "the caller is still answered")
            phone.hangUp()
            let result = await phone.result()
            #expect(result.failure == nil && result.answers.count == 1)
            try await soon("spooled") { try await house.metric("voice_ai_realtime_records_spooled_total") == 1 }
            #expect(try await house.metric("voice_ai_realtime_records_lost_total") == 0)
            await house.stop()
            let told = house.lines.all.filter { $0.contains("Call spooled") }
            #expect(told.count == 1 && told.allSatisfy { $0.contains(failure.code.rawValue) })
            for canary in House.canaries { #expect(!house.lines.all.contains { $0.contains(canary) }, "\(canary)") }
            #expect(FileManager.default.fileExists(atPath: folder + "/pronto.db.spool"))
            try other.execute(failure.repairs)
            other.close()
            #expect(try await house.kept(call) == nil)

            let next = try await House(folder)
            next.process.start()
            try await soon("replayed") { try await next.process.store.call(call, of: next.tenant) != nil }
            try await soon("the spool is empty") {
                !FileManager.default.fileExists(atPath: folder + "/pronto.db.spool")
                    && !FileManager.default.fileExists(atPath: folder + "/pronto.db.spool.replaying")
            }
            await next.stop()
            let kept = try #require(try await next.kept(call))
            #expect(kept.call.termination == .callerHungUp)
            #expect(kept.turns.map(\.text.value) == [House.greeting, House.transcript, House.answer])
        }
    }
}
