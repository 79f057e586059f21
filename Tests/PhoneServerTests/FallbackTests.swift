import Records
import Routing
import Telephony
import Testing

@testable import PhoneServer

/// Where a caller goes when no back end works: the row that sent the call, the assistant, the dialplan.
@Suite struct FallbackTests {
    private let own = TransferDestination(name: "fallback", number: "100", context: "default")

    private func identity(
        row: RoutingFallback? = nil, fuse: String? = nil, rings: String? = nil, home: String = "default"
    ) throws -> CallIdentity {
        var identity = CallIdentity(
            call: try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")),
            tenant: try #require(TenantID("11111111-2222-3333-4444-555555555555")),
            assistant: try #require(AssistantID("aaaaaaaa-0000-4000-8000-000000000001")), assistantName: "desk")
        identity.home = home
        if row != nil {
            identity.overrides = AssistantOverrides()
            identity.overrides?.fallback = row
        }
        var variables: [String: Redacted<String>] = [:]
        if let fuse { variables["pronto_fuse"] = Redacted(fuse) }
        if let rings { variables["pronto_failover_ext"] = Redacted(rings) }
        identity.learn(variables)
        return identity
    }

    private func text(_ destination: TransferDestination?) -> String? {
        destination.map { "\($0.number.value) \($0.context)" }
    }

    @Test("A row's fallback goes before the assistant's own, and rings in the tenant's context")
    func row() throws {
        let ring = RoutingFallback(kind: .ring, reference: "ring_store01")
        let routed = try self.identity(row: ring, home: "demo.example")
        #expect(self.text(routed.fallback(besides: self.own)) == "ring_store01 demo.example")
        #expect(self.text(routed.fallback(besides: nil)) == "ring_store01 demo.example")
        // A call that no row sent, and one whose row and tenant name nobody.
        #expect(self.text(try self.identity().fallback(besides: self.own)) == "100 default")
        var silent = try self.identity(home: "demo.example")
        silent.overrides = AssistantOverrides()
        #expect(self.text(silent.fallback(besides: self.own)) == "100 demo.example")
        #expect(self.text(silent.fallback(besides: nil)) == nil)
    }

    @Test("The dialplan's failover stands in where nobody names anybody, and where it has the row's answer")
    func dialplan() throws {
        let fuse = "4 pronto_failover XML public"
        #expect(self.text(try self.identity(fuse: fuse).fallback(besides: nil)) == "pronto_failover public")
        #expect(self.text(try self.identity(fuse: fuse).fallback(besides: self.own)) == "100 default")
        let mailbox = RoutingFallback(kind: .voicemail, reference: "1001")
        let answered = try self.identity(row: mailbox, fuse: fuse, rings: "1001")
        #expect(self.text(answered.fallback(besides: self.own)) == "pronto_failover public")
        // It rings somebody else: a dialplan that did not ask, or an answer of another time.
        let other = try self.identity(row: mailbox, fuse: fuse, rings: "2000")
        #expect(self.text(other.fallback(besides: self.own)) == "1001 default")
        let inline = try self.identity(fuse: "4 park inline default")
        #expect(self.text(inline.fallback(besides: nil)) == nil)
    }

    @Test("A context that nobody stated is the tenant's; one that was stated stays")
    func context() throws {
        let identity = try self.identity(home: "demo.example")
        #expect(identity.located(self.own).context == "demo.example")
        var stated = self.own
        stated.context = "sales"
        #expect(identity.located(stated).context == "sales")
        #expect(try self.identity().located(self.own).context == "default")
    }
}
