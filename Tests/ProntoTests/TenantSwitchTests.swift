import Foundation
import Networking
import Records
import Simulators
import Stores
import Telephony
import Testing

@testable import pronto

/// The Event Sockets of a whole gateway: as `/health` shows them, from the settings and from tenants' rows.
@Suite("A gateway's Event Sockets", .serialized, .timeLimit(.minutes(1)))
struct TenantSwitchTests {
    @Test("A tenant's own switch is opened when its row is read, shown in /health, and closed when it is taken away")
    func reload() async throws {
        try await withFolder { folder in
            let loop = EventLoop(name: "switches")
            loop.start()
            defer { loop.stop() }
            let ours = try await FreeSwitchSimulator.start(core: FreeSwitchSimulatorCore(password: "ours"), on: loop)
            let theirs = try await FreeSwitchSimulator.start(
                core: FreeSwitchSimulatorCore(password: "theirs"), on: loop)
            let house = try await House(
                folder,
                given: [
                    "ESL_PORT": String(ours.port), "ESL_PASSWORD": "ours", "ESL_RECONNECT_DELAY": "0.1",
                    "ESL_MAX_RECONNECT_ATTEMPTS": "2",
                ])
            house.process.start()
            let settings = "{\"address\":\"127.0.0.1:\(ours.port)\",\"status\":\"ready\"}"
            let own = "{\"address\":\"127.0.0.1:\(theirs.port)\",\"status\":\"ready\"}"
            try await soon("the settings' own is ready") {
                try await house.get("/health").text.contains("\"event_sockets\":[\(settings)]")
            }
            let account = SwitchAccount(
                tenant: house.tenant, host: "127.0.0.1", port: Int(theirs.port), password: Redacted("theirs"))
            try await house.process.store.save(account, of: house.tenant)
            await house.process.reload()
            try await soon("the tenant's is ready too") {
                let text = try await house.get("/health").text
                return text.contains(settings) && text.contains(own) && text.contains("\"status\":\"healthy\"")
            }
            try await theirs.stop()
            try await soon("it is down, and said so") {
                let (status, text) = try await house.get("/health")
                return status == 200 && text.contains("\"status\":\"degraded\"")
                    && text.contains("\"reason\":\"connect-failed\"")
            }
            #expect(try await house.metric("voice_ai_realtime_esl_links{state=\"down\"}") == 1)
            try await house.process.store.removeSwitchAccount(of: house.tenant)
            await house.process.reload()
            try await soon("it is gone") {
                try await house.get("/health").text.contains("\"event_sockets\":[\(settings)]")
            }
            #expect(!house.lines.all.contains { $0.contains("theirs") || $0.contains("\"ours\"") })
            await house.stop()
            try await ours.stop()
        }
    }
}
