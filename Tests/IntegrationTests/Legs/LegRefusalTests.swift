import EventSocket
import Foundation
import Networking
import PhoneServer
import Simulators
import Telephony
import Testing

/// Calls that are not taken: by socket the dialplan goes on, by SIP there is a status that lets it go on.
@Suite(.serialized, .timeLimit(.minutes(3))) struct LegRefusalTests {
    private func isLogged(_ gateway: LegGateway, _ slug: String, _ repair: String) -> Bool {
        gateway.log.value.contains { $0.contains("refusal.reason=\(slug)") && $0.contains(repair) }
    }

    @Test(
        "Without `async` or `full` the socket is left, and the log says what to write",
        arguments: [("socket-not-async", false, true), ("socket-not-full", true, false)])
    func modes(slug: String, isAsync: Bool, isFull: Bool) async throws {
        let gateway = try await LegGateway(plan: {
            $0.isAsync = isAsync
            $0.hasFullControl = isFull
        })
        let phone = try await gateway.call(.unicast)
        #expect(try await phone.ended().end == .leftByGateway)
        #expect(self.isLogged(gateway, slug, "async full"))
        try await gateway.stop()
    }

    @Test("Without a tenant nobody answers; the log names the variable")
    func noTenant() async throws {
        let gateway = try await LegGateway()
        let phone = try await gateway.call(.unicast, variables: ["domain_uuid": ""])
        #expect(try await phone.ended().end == .leftByGateway)
        #expect(self.isLogged(gateway, "no-tenant", "domain_uuid"))
        try await gateway.stop()
    }

    @Test("A draining node takes no call", arguments: LegGateway.Leg.allCases)
    func draining(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway()
        gateway.base.gateway.drain()
        let phone = try await gateway.call(leg)
        let end = try await phone.ended().end
        #expect(end == (leg == .rtp ? .refused(status: 503) : .leftByGateway))
        try await gateway.stop()
    }

    @Test("A full node takes no call more, and the one that is up goes on", arguments: LegGateway.Leg.allCases)
    func full(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway(configure: { $0.maximumCalls = 1 })
        let first = try await gateway.greeted(leg)
        let second = try await gateway.call(leg)
        let end = try await second.ended().end
        #expect(end == (leg == .rtp ? .refused(status: 486) : .leftByGateway))
        #expect(first.events.value.result == nil)
        #expect(gateway.base.gateway.liveCalls == 1)
        first.hangUp()
        _ = try await first.ended()
        try await eventually("ports") {
            gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 && gateway.sipPorts.taken == 0
        }
        try await gateway.stop()
    }

    @Test("ESL_MAX_CONNECTIONS bounds the sockets")
    func connections() async throws {
        let gateway = try await LegGateway(listener: { $0.maximumConnections = 1 })
        let first = try await gateway.greeted(.unicast)
        let second = try await gateway.call(.unicast)
        #expect(try await second.ended().end == .leftByGateway)
        #expect(self.isLogged(gateway, "full", "ESL_MAX_CONNECTIONS"))
        first.hangUp()
        _ = try await first.ended()
        try await gateway.stop()
    }

    @Test(
        "Without a free port there is no call, and the next one finds those that were given back",
        arguments: LegGateway.Leg.allCases)
    func portsExhausted(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway(calls: 1)
        let first = try await gateway.greeted(leg)
        let second = try await gateway.call(leg)
        let end = try await second.ended().end
        #expect(end == (leg == .rtp ? .refused(status: 503) : .leftByGateway))
        first.hangUp()
        _ = try await first.ended()
        try await eventually("ports") {
            gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 && gateway.sipPorts.taken == 0
        }
        // A port rests 50 ms here.
        try await Task.sleep(for: .milliseconds(100))
        let third = try await gateway.greeted(leg)
        third.hangUp()
        _ = try await third.ended()
        try await gateway.stop()
    }

    @Test("A switch that is not allowed gets no call, and its caller the dialplan's next line")
    func stranger() async throws {
        let gateway = try await LegGateway(listener: { $0.isTrustedPeer = { _ in false } })
        let phone = try await gateway.call(.unicast)
        #expect(try await phone.ended().end == .leftByGateway)
        #expect(self.isLogged(gateway, "peer-not-allowed", "ESL_ALLOWED_PEERS"))
        // No more is said than what lets the dialplan go on.
        let commands = try await gateway.base.freeSwitch.commands()
        #expect(commands.allSatisfy { !$0.hasPrefix("api") && !$0.hasPrefix("sendmsg") })
        #expect(gateway.base.gateway.liveCalls == 0)
        try await gateway.stop()
    }

    @Test("Fifty calls come and go and leave nothing behind", arguments: LegGateway.Leg.allCases)
    func nothingOutlivesACall(leg: LegGateway.Leg) async throws {
        let gateway = try await LegGateway(loops: 2, calls: 60)
        let before = try await self.descriptors(gateway)
        for round in 0..<5 {
            var phones: [LegPhone] = []
            for _ in 0..<10 { phones.append(try await gateway.call(leg)) }
            try await eventually("all are greeted") {
                phones.allSatisfy { $0.events.value.voiced > .milliseconds(20) }
            }
            let deaf = phones.filter { $0.events.value.voiced == .zero }
            let ends = deaf.map { $0.events.value.result?.end.name ?? "on the line" }
            #expect(ends.isEmpty, "\(gateway.log.value.filter { $0.contains("refusal") }.suffix(3))")
            for phone in phones { phone.hangUp() }
            for phone in phones { #expect(try await phone.ended().end == .hungUp) }
            try await eventually("all are written down") {
                gateway.base.finished.value.count == (round + 1) * 10
            }
        }
        #expect(gateway.base.gateway.liveCalls == 0)
        try await eventually("ports") {
            gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 && gateway.sipPorts.taken == 0
        }
        try await eventually("descriptors") { try await self.descriptors(gateway) <= before }
        try await eventually("no timers are left but the Event Socket's") {
            var timers = 0
            for loop in gateway.base.group.loops { timers += try await loop.run { loop.timerCount } }
            return timers <= 2
        }
        #expect(try await gateway.badDatagrams() == 0)
        #expect(!gateway.isSwitchHarmed)
        try await gateway.stop()
    }

    /// What the gateway's and the switch's loops watch: every socket of both.
    private func descriptors(_ gateway: LegGateway) async throws -> Int {
        var sum = 0
        for loop in gateway.base.group.loops { sum += try await loop.run { loop.watchCount } }
        return sum
    }
}
