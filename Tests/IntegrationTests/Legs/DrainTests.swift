import Foundation
import Networking
import PhoneServer
import Simulators
import Telephony
import Testing

/// What a gateway that leaves does with the calls that live: they go on, they come back, and in the end each is written
/// down.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DrainTests {
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

    // MARK: Calls that come back

    @Test("Nobody answers a transfer while the gateway drains: the caller comes back by `socket` and is heard")
    func returnsBySocket() async throws {
        let gateway = try await LegGateway(script: Self.transferScript())
        try await gateway.base.freeSwitch.change { core, _ in core.outcomes["200"] = .doesNotAnswer }
        let phone = try await gateway.greeted(.unicast)
        try await phone.quiet()
        gateway.base.gateway.drain()
        phone.say()
        try await eventually("a second raw audio") { gateway.unicastAsks == 2 }
        try await eventually("the assistant is told") {
            let outputs = try await gateway.base.record()?.toolOutputs ?? []
            return !outputs.isEmpty || gateway.base.voice.spoken.value.contains("transfer-failed")
        }
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        #expect(gateway.base.gateway.liveCalls == 1)
        #expect(!gateway.log.value.contains { $0.contains("refusal.reason=draining") })
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await gateway.stop()
    }

    @Test("A parked channel comes back through its fresh park while the gateway drains; a new one is not taken")
    func returnsByPark() async throws {
        let gateway = try await LegGateway()
        try await gateway.serveParkedCalls()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_mode": "esl"])
        try await phone.quiet()
        gateway.base.gateway.drain()
        let channel = phone.channel
        try await gateway.base.freeSwitch.change { core, effects in
            core.play("/tmp/x.wav", on: channel, into: &effects)
        }
        try await eventually("raw audio again") { gateway.unicastAsks == 2 }
        try await Task.sleep(for: .milliseconds(300))
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        let late = try await gateway.call(.unicast, variables: ["pronto_mode": "esl"])
        try await eventually("the refusal") {
            gateway.log.value.contains { $0.contains("refusal.reason=draining") }
        }
        #expect(gateway.unicastAsks == 2 && gateway.base.gateway.liveCalls == 1)
        for phone in [phone, late] {
            phone.hangUp()
            _ = try await phone.ended()
        }
        try await gateway.stop()
    }

    @Test("A SIP leg that has fallen silent is replaced by another while the gateway drains")
    func returnsBySIP() async throws {
        let gateway = try await LegGateway()
        let channel = try #require(CallID(UUID().uuidString))
        let address = "sip:8000@\(gateway.sipAddress);tenant=\(TestGateway.tenant);call=\(channel)"
        let first = try await gateway.call(.rtp, sip: address)
        try await eventually("a greeting") { first.events.value.voiced > .milliseconds(100) }
        gateway.base.gateway.drain()
        first.perform([.pause(.seconds(30))])
        try await Task.sleep(for: .milliseconds(2500))
        let second = try await gateway.call(.rtp, sip: address)
        #expect(try await first.ended().end == .hungUpByGateway(cause: 16))
        let before = second.events.value.voiced
        second.say()
        try await eventually("the conversation goes on") { second.events.value.voiced > before + .milliseconds(200) }
        #expect(try await gateway.base.simulators[0].records().count == 1, "the same conversation")
        second.hangUp()
        _ = try await second.ended()
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await gateway.stop()
    }

    // MARK: Calls that are left

    @Test(
        "What lives at the very end is written down, and the caller left to the dialplan",
        arguments: [nil, .unicast, .rtp] as [LegGateway.Leg?])
    func left(leg: LegGateway.Leg?) async throws {
        let gateway = try await LegGateway()
        let phone = leg == nil ? nil : try await gateway.greeted(leg ?? .rtp)
        var web: TestPhone?
        if leg == nil {
            let channel = try await gateway.base.makeChannel()
            web = try await TestPhone.dial(
                port: gateway.base.port, path: "/stream/\(TestGateway.assistant)/\(channel)?rate=8000",
                on: gateway.base.group.loops[0])
            try await eventually("a greeting") { (web?.heard.value.audio ?? 0) > 3200 }
        }
        gateway.base.gateway.drain()
        gateway.base.gateway.endRemaining()
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination == .draining)
        #expect(gateway.base.gateway.liveCalls == 0)
        if let phone {
            #expect(try await phone.ended().end == (leg == .rtp ? .hungUpByGateway(cause: 41) : .leftByGateway))
        }
        if let web {
            try await eventually("the end of the stream") {
                if case .closed(1013, _)? = web.heard.value.end { true } else { false }
            }
        }
        try await gateway.stop()
    }

    @Test("The SIP server's own BYE is our end of the call, and not the caller's")
    func endedBySIP() async throws {
        let gateway = try await LegGateway()
        _ = try await gateway.greeted(.rtp)
        gateway.base.gateway.drain()
        gateway.stopSIP()
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination == .draining)
        try await eventually("ports") { gateway.sipPorts.taken == 0 }
        try await gateway.stop()
    }

    @Test(
        "Media that comes after the hand-over, of a call that had its place before, ends as the others do",
        arguments: [false, true])
    func lateMedia(isGone: Bool) async throws {
        let nodes = PatientNodes()
        let gateway = try await TestGateway(others: nodes)
        let channel = try await gateway.makeChannel()
        async let dialing = TestPhone.dial(
            port: gateway.port, path: "/stream/\(TestGateway.assistant)/\(channel)", on: gateway.group.loops[0])
        try await eventually("the claim") { nodes.asked.value.count == 1 }
        gateway.gateway.drain()
        gateway.gateway.handOverRemaining()
        if isGone { gateway.gateway.endRemaining() }
        nodes.answer(.taken)
        let phone = try await dialing
        try await eventually("a record") { gateway.finished.value.count == 1 }
        #expect(gateway.finished.value.first?.call.termination.reason == "draining")
        #expect(gateway.voice.spoken.value == (isGone ? [] : ["apology"]), "said once")
        try await eventually("the end of the stream") { phone.heard.value.end != nil }
        #expect(gateway.gateway.liveCalls == 0)
        try await gateway.stop()
    }
}
