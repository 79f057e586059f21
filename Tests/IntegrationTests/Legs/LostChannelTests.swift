import EventSocket
import Foundation
import Networking
import Simulators
import Stores
import Telephony
import Testing

@testable import PhoneServer

/// Channels that end, or fall silent, where nobody tells: nothing of theirs may stay, and nothing may break.
@Suite(.serialized, .timeLimit(.minutes(3))) struct LostChannelTests {
    /// How many listen on the gateway's Event Socket.
    private func listeners(_ gateway: LegGateway) async throws -> Int {
        let link = gateway.base.control
        return try await link.loop.run { link.shell.value.listenerCount }
    }

    @Test("A channel that ends while its call waits for a place among the nodes; its last datagrams do no harm")
    func endsWhileClaiming() async throws {
        let nodes = PatientNodes()
        let gateway = try await LegGateway(others: nodes)
        let phone = try await gateway.call(.unicast)
        try await eventually("the claim") { nodes.asked.value.count == 1 }
        let ours = try #require(
            gateway.notices.value.compactMap { notice -> Int? in
                guard case .unicastStarted(_, let headers) = notice else { return nil }
                return headers["remote-port"].flatMap { Int($0) }
            }.first)
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.base.freeSwitch.change { core, effects in
            core.lingerEnded(of: phone.channel, into: &effects)
        }
        try await Task.sleep(for: .milliseconds(300))
        #expect(gateway.ports.taken == 1, "its leg waits for the answer")
        let loop = gateway.base.group.loops[0]
        let address = try #require(SocketAddress("127.0.0.1", port: ours))
        try await loop.run {
            let socket = try UDPSocket(SocketAddress("127.0.0.1", port: 0)!, on: loop)
            let frame = [UInt8](repeating: 0xFF, count: 320)
            _ = frame.withUnsafeBytes { socket.send($0, to: address) }
            socket.close()
        }
        try await Task.sleep(for: .milliseconds(100))
        nodes.answer(.taken)
        try await eventually("the place is given back") { !nodes.released.value.isEmpty }
        #expect(gateway.base.finished.value.isEmpty && gateway.base.gateway.liveCalls == 0)
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await gateway.stop()
    }

    @Test("The switch restarts with a parked call: its record is written, and nobody listens for its channel any more")
    func restartedSwitch() async throws {
        let gateway = try await LegGateway()
        try await gateway.serveParkedCalls()
        let before = try await self.listeners(gateway)
        _ = try await gateway.greeted(.unicast, variables: ["pronto_mode": "esl"])
        #expect(try await self.listeners(gateway) == before + 1)
        let port = Int(gateway.base.freeSwitch.port)
        try await gateway.base.freeSwitch.stop()
        let next = try await FreeSwitchSimulator.start(
            port: port, core: FreeSwitchSimulatorCore(password: "secret"), on: gateway.base.group.loops[0])
        try await eventually(within: .seconds(40), "a record") { gateway.base.finished.value.count == 1 }
        try await eventually("the listener is gone") { try await self.listeners(gateway) == before }
        try await eventually("ports") { gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 }
        try await next.stop()
        try await gateway.stop()
    }

    @Test("A parked channel that cannot be parked anew is not listened to any more")
    func parkRefused() async throws {
        let gateway = try await LegGateway()
        try await gateway.serveParkedCalls()
        let before = try await self.listeners(gateway)
        let phone = try await gateway.greeted(.unicast, variables: ["pronto_mode": "esl"])
        try await phone.quiet()
        let channel = phone.channel
        try await gateway.base.freeSwitch.change { core, effects in
            core.scriptedAnswers["uuid_transfer"] = "-ERR refused\n"
            core.play("/tmp/x.wav", on: channel, into: &effects)
        }
        try await eventually("the refusal") { gateway.log.value.contains { $0.contains("would not park") } }
        try await eventually("the listener is gone") { try await self.listeners(gateway) == before }
        #expect(gateway.base.gateway.liveCalls == 1, "the conversation still decides where the caller goes")
        phone.hangUp()
        _ = try await phone.ended()
        try await gateway.stop()
    }

    @Test("Who comes back by SIP with a token finds the call, whichever loop it lives on")
    func tokenOnAnotherLoop() async throws {
        let gateway = try await LegGateway(loops: 2)
        let channel = try #require(CallID(UUID().uuidString))
        let token = StreamToken(
            tenant: TestGateway.tenant, call: channel, issuedAt: Date(), lifetime: .seconds(60)
        ).signed(with: try TokenKeys(TestGateway.tokenKeys)).value
        let headers = [(name: "X-Pronto-Token", value: token)]
        let address = "sip:8000@\(gateway.sipAddress)"
        let first = try await gateway.call(.rtp, sip: address, headers: headers)
        try await eventually("a greeting") { first.events.value.voiced > .milliseconds(100) }
        #expect(gateway.base.gateway.live(channel) != nil)
        first.perform([.pause(.seconds(30))])
        try await Task.sleep(for: .milliseconds(2500))
        // Invitations go to the loops in turn: this one comes to the other.
        let second = try await gateway.call(.rtp, sip: address, headers: headers)
        #expect(try await first.ended().end == .hungUpByGateway(cause: 16))
        let before = second.events.value.voiced
        second.say()
        try await eventually("the conversation goes on") { second.events.value.voiced > before + .milliseconds(200) }
        #expect(gateway.base.gateway.liveCalls == 1)
        second.hangUp()
        _ = try await second.ended()
        try await eventually("one record") { gateway.base.finished.value.count == 1 }
        try await gateway.stop()
    }
}
