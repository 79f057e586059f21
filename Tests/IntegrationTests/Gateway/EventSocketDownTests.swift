import EventSocket
import Networking
import PhoneServer
import Simulators
import Telephony
import Testing

/// What calls notice of an Event Socket that is away.
@Suite(.timeLimit(.minutes(1))) struct EventSocketDownTests {
    private static let quick = InboundClient.Configuration(
        password: "secret", reconnectDelay: .milliseconds(50), maximumReconnectDelay: .milliseconds(100))

    private func status(_ gateway: TestGateway, _ call: String) async -> Int {
        do {
            let phone = try await TestPhone.dial(
                port: gateway.port, path: "/stream/\(TestGateway.tenant)/\(call)", on: gateway.group.loops[0])
            phone.hangUp()
            return 101
        } catch WebSocketConnectError.refused(let status) {
            return status
        } catch {
            return -1
        }
    }

    @Test("While it is down a channel's new call is refused, one that is no channel is served, and it comes back")
    func refused() async throws {
        let gateway = try await TestGateway(eventSocket: Self.quick)
        let port = Int(gateway.freeSwitch.port)
        let channel = CallID.some(1).text
        #expect(await self.status(gateway, channel) == 101)
        try await gateway.freeSwitch.stop()
        try await eventually("reported down") { gateway.control.isDown }
        #expect(!gateway.control.isAvailable)
        #expect(await self.status(gateway, CallID.some(2).text) == 503)
        #expect(await self.status(gateway, "carrier-stream-7") == 101)
        try await eventually("no place is kept for what was refused") { gateway.gateway.liveCalls == 0 }
        let again = try await FreeSwitchSimulator.start(
            port: port, core: FreeSwitchSimulatorCore(password: "secret"), on: gateway.group.loops[0])
        try await eventually("it is back") { gateway.control.isAvailable }
        #expect(await self.status(gateway, CallID.some(3).text) == 101)
        try await again.stop()
        try await gateway.stop()
    }

    @Test("Where control is not needed, calls are served while it is down")
    func served() async throws {
        let gateway = try await TestGateway(eventSocket: Self.quick, configure: { $0.needsControl = false })
        try await gateway.freeSwitch.stop()
        try await eventually("reported down") { gateway.control.isDown }
        #expect(await self.status(gateway, CallID.some(2).text) == 101)
        try await gateway.stop()
    }

    @Test(
        "A switch that died in the middle of a call ends the call, with its record, once it is back without the channel"
    )
    func restart() async throws {
        let gateway = try await TestGateway(eventSocket: Self.quick)
        let port = Int(gateway.freeSwitch.port)
        let call = try await gateway.makeChannel(variables: ["domain_uuid": TestGateway.tenant.text])
        let phone = try await TestPhone.dial(
            port: gateway.port, path: "/stream/\(TestGateway.tenant)/\(call)", on: gateway.group.loops[0])
        try await eventually("the channel was asked for") {
            try await gateway.commands(about: call).contains { $0.hasPrefix("api uuid_getvar") }
        }
        try await gateway.freeSwitch.change { core, effects in core.digit("5", on: call, into: &effects) }
        try await gateway.freeSwitch.stop()
        let again = try await FreeSwitchSimulator.start(
            port: port, core: FreeSwitchSimulatorCore(password: "secret", coreID: "another"),
            on: gateway.group.loops[0])
        try await eventually("the call has ended") { gateway.finished.value.count == 1 }
        #expect(gateway.finished.value.first?.call.id == call)
        #expect(gateway.finished.value.first?.call.termination.cause.name == "CRASH")
        try await eventually("the phone is told") { phone.heard.value.end != nil }
        try await again.stop()
        try await gateway.stop()
    }
}

extension CallID {
    fileprivate static func some(_ number: Int) -> CallID {
        let digits = String(number)
        return CallID("3c1a4a4e-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)!
    }
}
