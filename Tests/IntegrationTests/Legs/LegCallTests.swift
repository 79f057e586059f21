import EventSocket
import Foundation
import Networking
import PhoneServer
import Simulators
import Telephony
import Testing

/// Whole calls over FreeSWITCH's raw audio and over SIP and RTP, with the OpenAI simulator behind.
@Suite(.serialized, .timeLimit(.minutes(3))) struct LegCallTests {
    private static func transferScript() -> OpenAIRealtimeScript {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Hello.", sound: .tone(hertz: 700, .milliseconds(600)))
        script.answers = [
            .init(
                "One moment.", sound: .tone(hertz: 500, .milliseconds(400)),
                tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)]),
            .init("Nobody is there.", sound: .tone(hertz: 500, .milliseconds(600))),
        ]
        return script
    }

    @Test("A caller is greeted, heard, answered and written down", arguments: LegGateway.Leg.allCases)
    func wholeCall(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(leg)
        try await phone.quiet()
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("an answer") { phone.events.value.voiced > before + .milliseconds(200) }
        try await phone.quiet()
        phone.hangUp()
        let result = try await phone.ended()
        #expect(result.end == .hungUp)
        #expect(result.packetsLost == 0)
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        let finished = try #require(gateway.base.finished.value.first)
        #expect(finished.call.termination.reason == "caller-hung-up")
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent])
        #expect(finished.call.quality.uplinkBytes > 160 * 50)
        #expect(gateway.base.gateway.liveCalls == 0)
        let record = try #require(try await gateway.base.record())
        #expect(record.errors.isEmpty)
        #expect(record.appended > .milliseconds(400))
        try await eventually("all ports are given back") {
            gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 && gateway.sipPorts.taken == 0
        }
        #expect(try await gateway.badDatagrams() == 0)
        #expect(!gateway.isSwitchHarmed)
        #expect(gateway.unicastAsks == (leg == .unicast ? 1 : 0))
        // Nothing spoken or dialed is in the log.
        #expect(!gateway.log.value.contains { $0.contains("8000 ") || $0.contains("I understand") })
        try await gateway.stop()
    }

    @Test(
        "Whoever interrupts is heard: the agent is silent at once, and the provider knows what was heard",
        arguments: LegGateway.Leg.allCases)
    func bargeIn(leg: LegGateway.Leg) async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Long.", sound: .tone(hertz: 700, .seconds(20)))
        let gateway = try await LegGateway(script: script)
        let phone = try await gateway.greeted(leg)
        phone.perform([
            .interrupt(afterHearing: .milliseconds(500), LegPhone.tone(.milliseconds(400)), timeout: .seconds(5))
        ])
        try await eventually("a truncation") { try await gateway.base.record()?.truncations.isEmpty == false }
        let cut = try #require(try await gateway.base.record()?.truncations.first)
        #expect(cut.milliseconds > 0 && cut.milliseconds < cut.duration)
        try await eventually("silence") { phone.events.value.interrupted != nil }
        phone.hangUp()
        let result = try await phone.ended()
        #expect(result.ignoredInterruptions == 0)
        let stop = try #require(result.bargeInStops.first)
        // VAD needs some 100 ms of speech, a busy machine more; a queue of the agent's would be the greeting's 20 s.
        #expect(stop < .seconds(3))
        #expect(result.agentHeard < .seconds(10))
        #expect(try await gateway.badDatagrams() == 0)
        try await gateway.stop()
    }

    @Test("Digits reach the assistant, once each", arguments: LegGateway.Leg.allCases)
    func digits(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(leg)
        try await phone.quiet()
        phone.perform(
            "42#".flatMap { [PhoneStep.digit(Redacted($0)), .silence(.milliseconds(400))] })
        try await eventually("the digits are told") {
            try await gateway.base.record()?.items.filter { $0.text.contains("pressed the key") }.count ?? 0 >= 3
        }
        let items = try #require(try await gateway.base.record()).items.filter { $0.text.contains("pressed the key") }
        #expect(items.count == 3, "each key once")
        for (item, key) in zip(items, "42#") { #expect(item.text.contains("key \(key) ")) }
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("Hold is no silence of the caller's, and afterwards the call goes on", arguments: LegGateway.Leg.allCases)
    func hold(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(leg)
        try await phone.quiet()
        phone.perform([.hold(.milliseconds(1200)), .silence(.milliseconds(600))])
        try await Task.sleep(for: .milliseconds(1500))
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("an answer after the hold") { phone.events.value.voiced > before + .milliseconds(200) }
        #expect(gateway.base.gateway.liveCalls == 1)
        phone.hangUp()
        #expect(try await phone.ended().end == .hungUp)
        #expect(gateway.unicastAsks == (leg == .unicast ? 1 : 0), "hold ends no raw audio")
        try await gateway.stop()
    }

    @Test("The assistant says goodbye and hangs up with a normal cause", arguments: LegGateway.Leg.allCases)
    func endCall(leg: LegGateway.Leg) async throws {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init("Goodbye.", sound: .tone(hertz: 500, .milliseconds(400)), tools: [.init("end_call")])
        ]
        let gateway = try await LegGateway(script: script)
        let phone = try await gateway.greeted(leg)
        try await phone.quiet()
        let before = phone.events.value.voiced
        phone.say()
        let result = try await phone.ended()
        #expect(result.end == .hungUpByGateway(cause: 16))
        #expect(phone.events.value.voiced >= before + .milliseconds(300), "the last words were heard")
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.gateway.liveCalls == 0)
        try await gateway.stop()
    }

    // MARK: Transfers of a channel

    @Test("A transfer rings; somebody answers and has the call")
    func transferAnswered() async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        try await gateway.base.freeSwitch.change { core, _ in core.outcomes["200"] = .answers }
        let phone = try await gateway.greeted(.unicast)
        try await phone.quiet()
        phone.say()
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        let finished = try #require(gateway.base.finished.value.first)
        #expect(finished.call.termination.reason == "transferred")
        #expect(finished.call.transferredTo?.name == "Sales")
        #expect(
            gateway.notices.value.contains(
                .transferred(phone.channel, extension: "200", dialplan: "XML", context: "internal")))
        #expect(phone.events.value.result == nil, "the caller is not hung up")
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        #expect(!gateway.isSwitchHarmed)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("A transfer that nobody answers brings the caller back into the same conversation")
    func transferUnanswered() async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        try await gateway.base.freeSwitch.change { core, _ in core.outcomes["200"] = .doesNotAnswer }
        let phone = try await gateway.greeted(.unicast)
        try await phone.quiet()
        phone.say()
        try await eventually("a second raw audio") { gateway.unicastAsks == 2 }
        try await eventually("the assistant is told") {
            let outputs = try await gateway.base.record()?.toolOutputs ?? []
            return !outputs.isEmpty || gateway.base.voice.spoken.value.contains("transfer-failed")
        }
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        #expect(try await gateway.base.simulators[0].records().count == 1, "the same conversation")
        #expect(gateway.base.gateway.liveCalls == 1)
        #expect(!gateway.isSwitchHarmed)
        // Both sockets of the channel live, and the tenant's has followed it through the ringing: one of them tells.
        phone.perform([.digit(Redacted("5"))])
        try await eventually("a key beside the old socket") { try await Self.pressed("5", gateway) > 0 }
        // The socket that the channel left ends only now (its linger); the new one must go on controlling the call.
        try await gateway.base.freeSwitch.change { core, effects in
            core.lingerEnded(of: phone.channel, into: &effects)
        }
        try await Task.sleep(for: .milliseconds(200))
        phone.perform([.digit(Redacted("7"))])
        try await eventually("a key by the new socket") { try await Self.pressed("7", gateway) > 0 }
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await Self.pressed("5", gateway) == 1)
        #expect(try await Self.pressed("7", gateway) == 1)
        phone.hangUp()
        #expect(try await phone.ended().end == .hungUp)
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    /// How often the assistant was told of this key.
    private static func pressed(_ key: Character, _ gateway: LegGateway) async throws -> Int {
        try await gateway.base.record()?.items.count { $0.text.contains("pressed the key \(key)") } ?? 0
    }

    @Test("A transfer that the switch refuses leaves caller and assistant together", arguments: [false, true])
    func transferRefused(isParked: Bool) async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        if isParked { try await gateway.serveParkedCalls() }
        let phone = try await gateway.greeted(.unicast, variables: isParked ? ["pronto_mode": "esl"] : [:])
        try await phone.quiet()
        try await gateway.base.freeSwitch.change { core, _ in core.scriptedAnswers["uuid_transfer"] = "-ERR refused\n" }
        phone.say()
        try await eventually("the failure is told") {
            let outputs = try await gateway.base.record()?.toolOutputs ?? []
            return !outputs.isEmpty || gateway.base.voice.spoken.value.contains("transfer-failed")
        }
        #expect(gateway.base.gateway.liveCalls == 1)
        // The leg was silenced for the transfer: it must sound again.
        try await phone.quiet()
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        // Whoever was to follow the channel through the ringing has no business with it any more.
        phone.perform([.digit(Redacted("7"))])
        try await eventually("a key") { try await Self.pressed("7", gateway) > 0 }
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await Self.pressed("7", gateway) == 1)
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    // MARK: Transfers by REFER

    @Test("A SIP caller without a channel of ours is transferred by REFER")
    func refer() async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        let phone = try await gateway.greeted(.rtp)
        try await phone.quiet()
        phone.say()
        let result = try await phone.ended()
        #expect(result.referredTo?.value.contains("sip:200@127.0.0.1") == true)
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination.reason == "transferred")
        try await gateway.stop()
    }

    @Test("A REFER that is declined leaves caller and assistant together")
    func referDeclined() async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        let phone = try await gateway.call(
            .rtp, sip: "sip:8000@\(gateway.sipAddress);tenant=\(TestGateway.tenant);x-decline")
        try await eventually("a greeting") { phone.events.value.voiced > .milliseconds(100) }
        try await phone.quiet()
        phone.say()
        try await eventually("the failure is told") {
            let outputs = try await gateway.base.record()?.toolOutputs ?? []
            return !outputs.isEmpty || gateway.base.voice.spoken.value.contains("transfer-failed")
        }
        #expect(gateway.base.gateway.liveCalls == 1)
        #expect(phone.events.value.result == nil)
        phone.hangUp()
        #expect(try await phone.ended().end == .hungUp)
        try await gateway.stop()
    }
}
