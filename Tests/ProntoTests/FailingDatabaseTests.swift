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

    @Test("Where neither the database nor the spool takes it, the loss is counted, said once, and the gateway goes on")
    func lost() async throws {
        let (first, second) = (
            try #require(CallID("3c1a4a4e-0000-4000-8000-000000000001")),
            try #require(CallID("3c1a4a4e-0000-4000-8000-000000000002"))
        )
        try await withFolder { folder in
            let house = try await House(folder)
            let other = try SQLiteDatabase(path: folder + "/pronto.db")
            try other.execute("ALTER TABLE voip_cdr RENAME TO gone")
            // A folder cannot be appended to, not even by root.
            try FileManager.default.createDirectory(
                atPath: folder + "/pronto.db.spool", withIntermediateDirectories: false)
            try await self.greetAndLeave(house, first)
            try await soon("lost") { try await house.metric("voice_ai_realtime_records_lost_total") == 1 }
            try other.execute("ALTER TABLE gone RENAME TO voip_cdr")
            other.close()
            try await self.greetAndLeave(house, second)
            await house.stop()
            let told = house.lines.all.filter { $0.contains("Call record lost") }
            #expect(told.count == 1 && told.allSatisfy { $0.contains(first.text) })
            for canary in House.canaries { #expect(!house.lines.all.contains { $0.contains(canary) }, "\(canary)") }
            #expect(try await house.kept(second)?.call.termination == .callerHungUp)
        }
    }

    private func greetAndLeave(_ house: House, _ call: CallID) async throws {
        let phone = try await house.dial(call)
        #expect(await phone.perform([.interrupt(afterHearing: .milliseconds(100), [], timeout: .seconds(10))]) == .done)
        phone.hangUp()
        #expect(await phone.result().end == .hungUp)
    }

    @Test(
        "A change whose first readings fail is read when the database can answer, and nothing is confirmed before",
        arguments: ["v_voice_secretaries", "voip_trunk_ai_settings", "voip_tenant_settings"])
    func readLater(table: String) async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            house.process.start()
            let other = try SQLiteDatabase(path: folder + "/pronto.db")
            try other.execute("ALTER TABLE \(table) RENAME TO gone")
            let directory = house.process.directory
            try other.run(
                "UPDATE v_domains SET domain_name = 'new.example' WHERE domain_uuid = ?", [.text(house.tenant.text)])
            try await soon("it is said") { house.lines.all.contains { $0.contains("Configuration not reloaded") } }
            // Four looks a second find nothing new, and confirm nothing.
            try await soon("it is not confirmed") { directory.unconfirmed > .seconds(2) }
            #expect(directory.entry(of: house.tenant)?.tenant.name == "clinic.example", "all of it or nothing")
            // Nobody tells of this: the reading of before is tried again.
            try other.execute("ALTER TABLE gone RENAME TO \(table)")
            other.close()
            try await soon("the change is known") { directory.tenant(named: "new.example") == house.tenant }
            try await soon("to routing too") { directory.routingTable.domain(of: house.tenant) == "new.example" }
            try await soon("it is confirmed") { directory.unconfirmed < .seconds(2) }
            #expect(house.lines.all.count { $0.contains("Configuration not reloaded") } == 1, "said once")
            try await soon("it is told") { house.lines.all.contains { $0.contains("The database answers again") } }
            await house.stop()
        }
    }

    @Test("A reload that cannot read the assistants leaves those that were")
    func reload() async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            let other = try SQLiteDatabase(path: folder + "/pronto.db")
            try other.execute("ALTER TABLE v_voice_secretaries RENAME TO gone")
            await house.process.reload()
            #expect(house.lines.all.contains { $0.contains("Not reloaded") })
            #expect(house.process.directory.assistant(house.assistant)?.1.name == "reception")
            try other.execute("ALTER TABLE gone RENAME TO v_voice_secretaries")
            other.close()
            await house.process.reload()
            #expect(house.lines.all.last?.contains("Reloaded") == true)
            await house.stop()
        }
    }
}
