import Audio
import Foundation
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

@testable import pronto

/// Calls through the whole process, from the handshake to the row in the database.
@Suite("A whole gateway", .serialized, .timeLimit(.minutes(1)))
struct WholeCallTests {
    private let call = CallID("3c1a4a4e-0000-4000-8000-000000000001")!

    @Test("A call is answered with the tenant's own key, written down, counted, and betrayed to nobody")
    func wholeCall() async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            house.process.start()
            let result = try await house.converse(self.call)
            #expect(result.failure == nil)
            #expect(result.answers.count == 1)
            let counted = "voice_ai_realtime_calls_total{provider=\"openai\",fault=\"nobody\"}"
            try await soon("the call is counted") { try await house.metric(counted) == 1 }
            #expect(try await house.metric("voice_ai_realtime_active_sessions") == 0)
            #expect(try await house.metric("voice_ai_realtime_audio_chunks_total{direction=\"up\"}") ?? 0 > 50)
            #expect(try await house.metric("voice_ai_realtime_audio_chunks_total{direction=\"down\"}") ?? 0 > 50)
            #expect(
                try await house.metric("voice_ai_realtime_response_latency_seconds_count{provider=\"openai\"}") == 1)
            let metrics = try await house.get("/metrics").text
            let provider = try #require(try await house.simulator.records().first)
            #expect(provider.instructions.contains(House.prompt), "the prompt reached the provider")
            await house.stop()

            let kept = try #require(try await house.kept(self.call))
            #expect(kept.call.termination == .callerHungUp)
            #expect(kept.call.providers == [.openAI], "the tenant's key opened the provider at once")
            #expect(kept.call.caller?.value == House.caller && kept.call.dialed?.value == House.dialed)
            #expect(kept.turns.map(\.role) == [.agent, .caller, .agent])
            #expect(kept.turns.map(\.text.value) == [House.greeting, House.transcript, House.answer])
            #expect(kept.turns.map { $0.heardText?.value } == [House.greeting, nil, House.answer])
            // The simulator says a given greeting word by word: 60 ms a character.
            let greeting: Duration = .milliseconds(60) * House.greeting.count
            #expect(kept.turns.map(\.heard) == [greeting, nil, .milliseconds(600)])
            #expect(kept.turns[2].latency != nil)

            let lines = house.lines.all
            #expect(lines.contains { $0.contains("Call answered") } && lines.contains { $0.contains("Call ended") })
            for canary in House.canaries + [key(7)] {
                #expect(!metrics.contains(canary), "\(canary) in the metrics")
                #expect(!lines.contains { $0.contains(canary) }, "\(canary) in the log")
            }
            #expect(!metrics.contains(house.tenant.text) && !metrics.contains(self.call.text))
        }
    }

    @Test("Without the key of secrets, a tenant that has a key of its own is not billed to ours")
    func unreadableKey() async throws {
        var script = House.script()
        script.key = House.houseKey
        try await withFolder { folder in
            let before = try await House(folder, script: script)
            await before.stop()
            let house = try await House(
                folder, script: script, given: ["PRONTO_SECRET_KEY": key(8)], setsKey: false)
            let phone = try await house.dial(self.call)
            try await soon("another rung") {
                house.lines.all.contains { $0.contains("key-not-readable") }
            }
            phone.hangUp()
            _ = await phone.result()
            #expect(try await house.simulator.records().isEmpty)
            await house.stop()
        }
    }

    @Test("A new assistant answers after a reload, without a restart and without a call lost")
    func reload() async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            let night = "aaaaaaaa-0000-4000-8000-000000000002"
            let live = try await house.dial(self.call)
            #expect(await live.perform([.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))]) == .done)
            _ = try await house.command("assistant", "add", "night", "--id", night, "--provider", "openai")

            let second = try #require(CallID("3c1a4a4e-0000-4000-8000-000000000002"))
            let early = try await house.dial(second, to: night)
            #expect(await early.result().end == .refused(status: 404), "not known before")
            await house.process.reload()
            let late = try await house.dial(second, to: night)
            #expect(await late.perform([.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))]) == .done)
            #expect(house.process.gateway.liveCalls == 2)
            for phone in [live, late] {
                phone.hangUp()
                #expect(await phone.result().end == .hungUp)
            }
            await house.stop()
            #expect(try await house.kept(second)?.call.assistant?.text == night)
        }
    }

    @Test("A stop waits for calls that end by themselves, and lets no new one in")
    func patience() async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            let live = try await house.dial(self.call)
            #expect(await live.perform([.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))]) == .done)
            async let stopped: Void = house.stop(patience: .seconds(30))
            try await soon("draining") { try await house.get("/health").status == 503 }
            let refused = try await house.dial(try #require(CallID("3c1a4a4e-0000-4000-8000-000000000003")))
            #expect(await refused.result().end == .refused(status: 503))
            live.hangUp()
            #expect(await live.result().end == .hungUp)
            await stopped
            #expect(try await house.kept(self.call)?.call.termination == .callerHungUp)
        }
    }

    @Test(
        "A call that outlives the stop's last wait has its record all the same, and the caller the dialplan's fallback")
    func outlived() async throws {
        try await withFolder { folder in
            let house = try await House(folder)
            let live = try await house.dial(self.call)
            #expect(await live.perform([.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))]) == .done)
            await house.process.stop(patience: .zero, farewell: .zero)
            #expect(await live.result().end == .closedByGateway(code: 1013))
            await house.stop()
            let kept = try #require(try await house.kept(self.call))
            #expect(kept.call.termination == .draining)
            #expect(kept.turns.first?.heardText?.value == House.greeting)
            #expect(house.lines.all.contains { $0.contains("Calls are left at the end of the drain") })
        }
    }

    @Test("A stop whose patience ends says a sentence and closes the call properly")
    func impatience() async throws {
        var script = House.script()
        let sound = Tone(700, rate: .realtime).samples(for: .seconds(20))
        script.utterances[House.greeting] = sound.withUnsafeBytes { Array($0) }
        try await withFolder { folder in
            let house = try await House(folder, script: script)
            let live = try await house.dial(self.call)
            #expect(
                await live.perform([.interrupt(afterHearing: .milliseconds(300), [], timeout: .seconds(10))]) == .done)
            await house.process.stop(patience: .milliseconds(50))
            #expect(await live.result().end == .closedByGateway(code: 1000))
            await house.stop()
            let kept = try #require(try await house.kept(self.call))
            #expect(kept.call.termination == .draining)
            #expect(kept.turns.first?.heard.map { $0 > .zero && $0 < .seconds(20) } == true)
        }
    }
}
