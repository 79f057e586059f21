import EventSocket
import Networking
import Observability
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// The pool: which tenants share a link, and when links open and close.
@Suite(.timeLimit(.minutes(1))) struct ControlLinksTests {
    private static func tenant(_ number: Int) -> TenantID { TenantID("00000000-0000-4000-8000-00000000000\(number)")! }

    private static func account(_ number: Int, port: UInt16, password: String? = "other") -> SwitchAccount {
        SwitchAccount(
            tenant: Self.tenant(number), host: "127.0.0.1", port: Int(port), password: password.map { Redacted($0) })
    }

    /// Two switches, the first of which is the settings' own, and a pool.
    private func withPool(
        _ body: (ControlLinks, FreeSwitchSimulator, FreeSwitchSimulator, MetricsRegistry) async throws -> Void
    ) async throws {
        let group = EventLoopGroup(count: 2, name: "links")
        let home = try await FreeSwitchSimulator.start(
            core: FreeSwitchSimulatorCore(password: "home"), on: group.loops[0])
        let other = try await FreeSwitchSimulator.start(
            core: FreeSwitchSimulatorCore(password: "other"), on: group.loops[1])
        let registry = MetricsRegistry()
        let links = ControlLinks(
            configuration: .init(
                password: "home", reconnectDelay: .milliseconds(50), maximumReconnectDelay: .milliseconds(100)),
            home: ("127.0.0.1", home.port), group: group, logger: .silent, metrics: ControlMetrics(registry: registry),
            seed: 1, jobPrefix: "pool")
        links.start()
        try await body(links, home, other, registry)
        links.stop()
        try await home.stop()
        try await other.stop()
        group.stop()
    }

    @Test("Tenants with the same switch share its link; the others have the settings' own, or a link each")
    func sharing() async throws {
        try await self.withPool { links, home, other, registry in
            links.replace(with: [
                Self.account(1, port: other.port), Self.account(2, port: other.port),
                Self.account(3, port: other.port, password: "another"),
                Self.account(4, port: home.port, password: "home"),
            ])
            let found = (1...5).map { links.link(for: Self.tenant($0)) }
            #expect(found[0] != nil && found[0] === found[1])
            #expect(found[2] != nil && found[2] !== found[0])
            #expect(found[3] != nil && found[3] === found[4])
            #expect(found[4]?.port == home.port)
            try await eventually("those with the right password are ready") {
                found[0]?.isAvailable == true && found[4]?.isAvailable == true
            }
            try await eventually("the one with a wrong password is down") { found[2]?.isDown == true }
            let summaries = links.summaries
            #expect(summaries.count == 3)
            #expect(summaries.map(\.tenants).sorted() == [1, 1, 2])
            #expect(summaries.contains { $0.status == "down" && $0.reason == "authentication-refused" })
            try await eventually("the metrics agree") {
                registry.text.contains("voice_ai_realtime_esl_links{state=\"ready\"} 2")
                    && registry.text.contains("voice_ai_realtime_esl_links{state=\"down\"} 1")
            }
            // Reading the same again opens nothing.
            let before = try await other.commands().count { $0 == "auth" }
            links.replace(with: [Self.account(1, port: other.port), Self.account(2, port: other.port)])
            #expect(links.link(for: Self.tenant(1)) === found[0])
            #expect(links.summaries.count == 2)
            #expect(try await other.commands().count { $0 == "auth" } >= before)
        }
    }

    @Test("A link that no tenant has any more goes on until the last call that uses it has ended")
    func retiring() async throws {
        try await self.withPool { links, _, other, _ in
            links.replace(with: [Self.account(1, port: other.port)])
            let link = try #require(links.link(for: Self.tenant(1)))
            try await eventually("ready") { link.isAvailable }
            let channel = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")!
            try await other.change { core, _ in core.addChannel(channel) }
            link.watch(channel) { _ in }
            links.replace(with: [])
            #expect(links.link(for: Self.tenant(1)) !== link)
            #expect(try await link.exists(channel))
            link.unwatch(channel)
            try await eventually("it has left") { link.status == .stopped }
            await #expect(throws: EventSocketFailure.stopped) { try await link.perform(.status) }
        }
    }

    @Test("A tenant whose password cannot be read has no switch, and never another's")
    func unreadable() async throws {
        try await self.withPool { links, _, other, _ in
            links.replace(with: [Self.account(1, port: other.port, password: nil)])
            let control = try #require(links.control(for: Self.tenant(1)))
            #expect(links.link(for: Self.tenant(1)) == nil)
            #expect(control.isDown)
            #expect(!control.isAvailable)
        }
    }
}
