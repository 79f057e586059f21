import EventSocket
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// What only calls by the dialplan's `socket` have: raw audio's rules, other modes, and everything that ends in the
/// dialplan's next line.
@Suite(.serialized, .timeLimit(.minutes(3))) struct SwitchLegTests {
    @Test("A port of the switch's that is taken gives no datagram: another is tried, and the caller hears the greeting")
    func portInUse() async throws {
        let gateway = try await LegGateway()
        let exchange = gateway.base.freeSwitch.exchange
        try await gateway.base.group.loops[0].run { exchange.value.faults.portsInUse = 2 }
        let phone = try await gateway.greeted(.unicast)
        #expect(gateway.unicastAsks == 3)
        #expect(!gateway.isSwitchHarmed)
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    @Test("Raw audio that never comes: three tries, then the dialplan's next line, with the repair in the log")
    func neverFlows() async throws {
        let gateway = try await LegGateway()
        let exchange = gateway.base.freeSwitch.exchange
        try await gateway.base.group.loops[0].run { exchange.value.faults.portsInUse = 100 }
        let phone = try await gateway.call(.unicast)
        #expect(try await phone.ended().end == .leftByGateway)
        #expect(gateway.unicastAsks == 3)
        #expect(gateway.log.value.contains { $0.contains("unicast-no-datagrams") && $0.contains("refusal.repair") })
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await eventually("its place is given back") { gateway.base.gateway.liveCalls == 0 }
        try await gateway.stop()
    }

    @Test("Somebody plays a file on the channel: raw audio is dead, the channel goes through a fresh park and back")
    func playback() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(.unicast)
        try await phone.quiet()
        let channel = phone.channel
        try await gateway.base.freeSwitch.change { core, effects in core.play("/tmp/x.wav", on: channel, into: &effects)
        }
        try await eventually("raw audio again") { gateway.unicastAsks == 2 }
        try await Task.sleep(for: .milliseconds(300))
        let before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        #expect(
            gateway.notices.value.contains(
                .transferred(channel, extension: "8000", dialplan: "XML", context: "public")))
        #expect(try await gateway.base.simulators[0].records().count == 1, "the same conversation")
        #expect(!gateway.isSwitchHarmed, "no second question in one park")
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    @Test("An operator bridges the channel: nobody fetches it back or hangs it up", arguments: [false, true])
    func bridgedAway(isParked: Bool) async throws {
        let gateway = try await LegGateway()
        if isParked { try await gateway.serveParkedCalls() }
        let phone = try await gateway.greeted(.unicast, variables: isParked ? ["pronto_mode": "esl"] : [:])
        let channel = phone.channel
        let other = try #require(CallID(UUID().uuidString))
        try await gateway.base.freeSwitch.change { core, effects in
            core.addChannel(other)
            core.bridgeAway(channel, to: other, into: &effects)
        }
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination.reason == "transferred")
        #expect(gateway.unicastAsks == 1)
        #expect(!gateway.isSwitchHarmed)
        #expect(
            !gateway.notices.value.contains { if case .transferred(_, "8000", _, _) = $0 { true } else { false } })
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        #expect(phone.events.value.result == nil, "the caller is not hung up")
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("What strangers send to our port is not the caller's voice")
    func foreignDatagrams() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(.unicast)
        try await phone.quiet()
        let ours = try #require(
            gateway.notices.value.compactMap { notice -> Int? in
                guard case .unicastStarted(_, let headers) = notice else { return nil }
                return headers["remote-port"].flatMap { Int($0) }
            }.first)
        let loop = gateway.base.group.loops[0]
        let turns = try #require(try await gateway.base.record()).commits
        let address = try #require(SocketAddress("127.0.0.1", port: ours))
        try await loop.run {
            let stranger = try UDPSocket(SocketAddress("127.0.0.1", port: 0)!, on: loop)
            let loud = LegPhone.tone(.milliseconds(20)).flatMap { sample -> [UInt8] in
                [UInt8(truncatingIfNeeded: sample), UInt8(truncatingIfNeeded: sample >> 8)]
            }
            for _ in 0..<50 { _ = loud.withUnsafeBytes { stranger.send($0, to: address) } }
            stranger.close()
        }
        try await Task.sleep(for: .milliseconds(700))
        #expect(try #require(try await gateway.base.record()).commits == turns)
        #expect(gateway.base.gateway.liveCalls == 1)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    // MARK: The dead man's switch

    @Test("The fuse is armed while we live, put off, and taken back at the end")
    func fuse() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_fuse": "4 2000 XML default"])
        let channel = phone.channel
        let freeSwitch = gateway.base.freeSwitch
        try await eventually("armed") { try await freeSwitch.change { core, _ in core.tasks(of: channel) } == 1 }
        try await eventually("put off") {
            try await gateway.base.commands(about: channel).filter { $0.contains("sched_api +4") }.count >= 3
        }
        #expect(try await freeSwitch.change { core, _ in core.tasks(of: channel) } <= 2)
        #expect(
            !gateway.notices.value.contains { if case .transferred(_, "2000", _, _) = $0 { true } else { false } })
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("After a fresh park the fuse of the socket before is taken back: nobody is fetched out of the conversation")
    func fuseAfterReentry() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_fuse": "3 2000 XML default"])
        try await phone.quiet()
        let channel = phone.channel
        let freeSwitch = gateway.base.freeSwitch
        try await eventually("armed") { try await freeSwitch.change { core, _ in core.tasks(of: channel) } == 1 }
        try await freeSwitch.change { core, effects in core.play("/tmp/x.wav", on: channel, into: &effects) }
        try await eventually("raw audio again") { gateway.unicastAsks == 2 }
        // Longer than any fuse that was armed before.
        try await Task.sleep(for: .milliseconds(4500))
        #expect(
            !gateway.notices.value.contains { if case .transferred(_, "2000", _, _) = $0 { true } else { false } })
        #expect(try await freeSwitch.change { core, _ in core.tasks(of: channel) } <= 2, "the new one is armed")
        #expect(gateway.base.gateway.liveCalls == 1)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("An operator who takes the caller keeps the caller: no fuse fires into that conversation")
    func fuseAfterBridge() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_fuse": "2 2000 XML default"])
        let channel = phone.channel
        let freeSwitch = gateway.base.freeSwitch
        try await eventually("armed") { try await freeSwitch.change { core, _ in core.tasks(of: channel) } == 1 }
        let other = try #require(CallID(UUID().uuidString))
        try await freeSwitch.change { core, effects in
            core.addChannel(other)
            core.bridgeAway(channel, to: other, into: &effects)
        }
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        try await eventually("nothing is armed") {
            try await freeSwitch.change { core, _ in core.tasks(of: channel) } == 0
        }
        #expect(
            !gateway.notices.value.contains { if case .transferred(_, "2000", _, _) = $0 { true } else { false } })
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    // MARK: Parked calls

    @Test("A parked channel that the switch will not park anew is lost to us, and goes to the fallback")
    func parkRefused() async throws {
        let gateway = try await LegGateway()
        try await gateway.serveParkedCalls()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_mode": "esl"])
        try await phone.quiet()
        let channel = phone.channel
        try await gateway.base.freeSwitch.change { core, effects in
            core.scriptedAnswers["uuid_transfer"] = "-ERR refused\n"
            core.play("/tmp/x.wav", on: channel, into: &effects)
        }
        try await eventually("the refusal") {
            gateway.log.value.contains { $0.contains("would not park") }
        }
        try await gateway.base.freeSwitch.change { core, _ in core.scriptedAnswers["uuid_transfer"] = nil }
        try await eventually(within: .seconds(20), "the fallback") {
            gateway.notices.value.contains(
                .transferred(channel, extension: "100", dialplan: "XML", context: "default"))
        }
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination == .phoneLost)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("A call that is parked for us needs no `socket`: greeted, answered, and a playback survived")
    func parked() async throws {
        let gateway = try await LegGateway()
        try await gateway.serveParkedCalls()
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_mode": "esl"])
        try await phone.quiet()
        var before = phone.events.value.voiced
        phone.say()
        try await eventually("an answer") { phone.events.value.voiced > before + .milliseconds(200) }
        try await phone.quiet()
        let channel = phone.channel
        try await gateway.base.freeSwitch.change { core, effects in
            core.play("/tmp/x.wav", on: channel, into: &effects)
        }
        try await eventually("raw audio again") { gateway.unicastAsks == 2 }
        try await Task.sleep(for: .milliseconds(300))
        before = phone.events.value.voiced
        phone.say()
        try await eventually("the conversation goes on") { phone.events.value.voiced > before + .milliseconds(200) }
        #expect(gateway.base.gateway.liveCalls == 1)
        #expect(try await gateway.base.simulators[0].records().count == 1, "the same conversation")
        #expect(!gateway.isSwitchHarmed)
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    // MARK: Other modes

    @Test("dual: the switch's stream brings the audio, the socket the control; either may be first")
    func dual() async throws {
        let gateway = try await LegGateway(listener: { $0.audio = .dual })
        let channel = try #require(CallID(UUID().uuidString))
        try await gateway.base.freeSwitch.change { core, effects in
            core.called(
                channel, number: "8000", variables: ["domain_uuid": TestGateway.tenant.text], into: &effects)
        }
        var stream: String?
        try await eventually("the stream is started") {
            stream =
                gateway.notices.value.compactMap { notice -> String? in
                    guard case .streamStarted(channel, let url, _) = notice else { return nil }
                    return url
                }.first
            return stream != nil
        }
        let url = try #require(stream)
        let path = try #require(url.range(of: "/stream/").map { String(url[$0.lowerBound...]) })
        // The test's phone speaks at 8 kHz.
        let phone = try await TestPhone.dial(
            port: gateway.base.port, path: path.replacing("rate=16000", with: "rate=8000"),
            on: gateway.base.group.loops[0])
        try await eventually("a greeting") { phone.heard.value.audio > 3200 }
        #expect(gateway.base.gateway.liveCalls == 1)
        // The channel's end comes by its own socket.
        try await gateway.base.freeSwitch.change { core, effects in core.hangUp(channel, into: &effects) }
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination.reason == "caller-hung-up")
        try await eventually("the stream is closed") { phone.heard.value.end != nil }
        try await gateway.stop()
    }

    @Test(
        "dual: a socket that comes while the stream asks the other nodes for its place controls the call all the same")
    func dualWhileClaiming() async throws {
        let nodes = PatientNodes()
        let gateway = try await LegGateway(others: nodes, listener: { $0.audio = .dual })
        // What is heard of the channel is heard by its own socket.
        gateway.base.control.stop()
        let channel = try #require(CallID(UUID().uuidString))
        let path = "/stream/\(TestGateway.assistant.text)/\(channel)"
        async let dialing = TestPhone.dial(port: gateway.base.port, path: path, on: gateway.base.group.loops[0])
        try await eventually("the claim") { nodes.asked.value.count == 1 }
        try await gateway.base.freeSwitch.change { core, effects in
            core.called(
                channel, number: "8000", variables: ["domain_uuid": TestGateway.tenant.text], into: &effects)
        }
        try await eventually("the socket speaks") {
            try await gateway.base.freeSwitch.commands().contains { $0.hasPrefix("linger") }
        }
        try await Task.sleep(for: .milliseconds(300))
        nodes.answer(.taken)
        let phone = try await dialing
        try await eventually("a greeting") { phone.heard.value.audio > 3200 }
        try await gateway.base.freeSwitch.change { core, effects in core.hangUp(channel, into: &effects) }
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.termination.reason == "caller-hung-up")
        try await gateway.stop()
    }

    @Test(
        "The dialplan's word about the audio counts before the tenant's row, and that before the settings",
        arguments: [(dialplan: nil as String?, row: CallAudio.esl as CallAudio?), ("esl", .rtp), ("esl", nil)])
    func audioMode(dialplan: String?, row: CallAudio?) async throws {
        // By itself it would wait for a stream.
        let gateway = try await LegGateway(
            configure: { $0.audio = { tenant in tenant == TestGateway.tenant ? row : nil } },
            listener: { $0.audio = .dual })
        let phone = try await gateway.call(
            .unicast, variables: dialplan.map { ["VOICE_AI_AUDIO_MODE": $0] } ?? [:])
        try await eventually("a greeting") { phone.events.value.voiced > .milliseconds(100) }
        #expect(gateway.unicastAsks == 1)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("dual: a stream that never comes leaves the call to the dialplan")
    func dualWithoutStream() async throws {
        let gateway = try await LegGateway(listener: {
            $0.audio = .dual
            $0.matchTimeout = .milliseconds(300)
        })
        let phone = try await gateway.call(.unicast)
        #expect(try await phone.ended().end == .leftByGateway)
        #expect(gateway.log.value.contains { $0.contains("no-media") })
        try await gateway.stop()
    }

    @Test("rtp by socket: the channel is bridged to our SIP port, and its socket controls the call")
    func rtpBySocket() async throws {
        let gateway = try await LegGateway(listener: { $0.audio = .rtp })
        let channel = try #require(CallID(UUID().uuidString))
        try await gateway.base.freeSwitch.change { core, effects in
            core.called(
                channel, number: "8000", variables: ["domain_uuid": TestGateway.tenant.text], into: &effects)
        }
        var target: String?
        try await eventually("the bridge") {
            target =
                gateway.notices.value.compactMap { notice -> String? in
                    guard case .executed(channel, "bridge", let argument) = notice else { return nil }
                    return argument
                }.first
            return target != nil
        }
        let argument = try #require(target)
        #expect(argument.hasSuffix("sofia/internal/pronto@\(gateway.sipAddress);call=\(channel)"))
        let phone = try await gateway.call(.rtp, sip: "sip:pronto@\(gateway.sipAddress);call=\(channel)")
        try await eventually("a greeting") { phone.events.value.voiced > .milliseconds(100) }
        #expect(gateway.base.gateway.liveCalls == 1)
        phone.hangUp()
        _ = try await phone.ended()
        try await eventually("a record") { gateway.base.finished.value.count == 1 }
        #expect(gateway.base.finished.value.first?.call.id == channel)
        try await gateway.stop()
    }
}
