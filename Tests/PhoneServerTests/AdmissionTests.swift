import Assistants
import Conversation
import Networking
import Observability
import Records
import Routing
import Synchronization
import Telephony
import Testing

@testable import PhoneServer

private let tenant = TenantID("11111111-2222-3333-4444-555555555555")
private let other = TenantID("99999999-2222-3333-4444-555555555555")

/// What routing says of a tenant's room, what admission does, and what the other nodes are asked, by one rule.
@Suite("How many calls a tenant may have")
struct AdmissionTests {
    /// Notes the limits that it is asked with.
    private final class Nodes: OtherNodes {
        private let limits = Mutex<[Int]>([])
        var asked: [Int] { self.limits.withLock { $0 } }
        func claim(
            _ call: CallID, of tenant: TenantID, limit: Int, done: @escaping @Sendable (CallClaim) -> Void
        ) {
            self.limits.withLock { $0.append(limit) }
            done(.taken)
        }
        func release(_ call: CallID) {}
        func tell(_ event: CallEvent) {}
        func circuitChanged(_ change: CircuitChange) {}
        func claimProbe(_ circuit: CircuitName, life: Duration, done: @escaping @Sendable (ProbeClaim) -> Void) {}
    }

    private struct Silence: SpeechServices, AssistantMaking {
        func synthesise(
            _ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void
        ) -> any SpeechJob { NoJob() }
        func listen(
            _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
        ) throws -> any ListeningJob { throw AssistantFailure("not-made", .failOver) }
        func transcribe(
            _ request: TranscriptionRequest, report: @escaping @Sendable (TranscriptionReport) -> Void
        ) -> any SpeechJob { NoJob() }
        func make(
            provider: String, identity: CallIdentity, legFormat: AudioFormat, history: [ConversationEntry]
        ) throws -> any AssistantMachine { throw AssistantFailure("not-made", .failOver) }
        private struct NoJob: SpeechJob {
            func cancel() {}
        }
    }

    private func gateway(_ nodes: Nodes? = nil, _ change: (inout GatewayConfiguration) -> Void) throws -> Gateway {
        var configuration = GatewayConfiguration()
        change(&configuration)
        let directory = AssistantDirectory()
        directory.replace(
            with: try [tenant, other].map { id in
                let id = try #require(id)
                let assistant = Assistant(
                    id: try #require(AssistantID(id.text)), tenant: id, name: "desk")
                return .init(tenant: Tenant(id: id, name: id.text), assistants: [assistant])
            })
        return Gateway(
            configuration: configuration, directory: directory, logger: .silent, metrics: GatewayMetrics(),
            speech: Silence(), assistants: Silence(), plans: StandardPlans(defaults: AssistantDefaults()),
            others: nodes, sentences: { _, _ in "" }, finished: { _ in })
    }

    private func admits(_ gateway: Gateway, _ name: String, _ tenant: TenantID, on loop: EventLoop) async throws -> Bool
    {
        let call = try #require(CallID(name))
        return try await loop.run {
            let slot = LoopBound(CallSlot(), on: loop)
            if case .admitted = gateway.admit(call, of: tenant, on: loop, slot) { return true }
            return false
        }
    }

    @Test("Routing says full exactly when the next call would be refused, by the tenant's own limit")
    func ownLimit() async throws {
        let (tenant, other) = (try #require(tenant), try #require(other))
        let loop = EventLoop(name: "test")
        loop.start()
        defer { loop.stop() }
        let gateway = try self.gateway {
            $0.maximumCallsPerTenant = 1
            $0.callLimit = { $0 == tenant ? 3 : nil }
        }
        for number in 1...3 {
            #expect(gateway.refusal(of: tenant, for: nil, at: .zero) == nil, "\(number)")
            #expect(try await self.admits(gateway, "own-\(number)", tenant, on: loop))
        }
        #expect(gateway.refusal(of: tenant, for: nil, at: .zero) == .full)
        #expect(try await !self.admits(gateway, "own-4", tenant, on: loop))
        // A narrower limit than the gateway's counts as well, and the gateway's for who has none.
        #expect(try await self.admits(gateway, "other-1", other, on: loop))
        #expect(gateway.refusal(of: other, for: nil, at: .zero) == .full)
        #expect(try await !self.admits(gateway, "other-2", other, on: loop))
        gateway.dismiss(try #require(CallID("own-1")))
        #expect(gateway.refusal(of: tenant, for: nil, at: .zero) == nil)
    }

    @Test("A limit of none at all, and a tenant that has spent what it may, are refused before the first call")
    func nothing() async throws {
        let (tenant, other) = (try #require(tenant), try #require(other))
        let loop = EventLoop(name: "test")
        loop.start()
        defer { loop.stop() }
        let gateway = try self.gateway {
            $0.callLimit = { $0 == tenant ? 0 : nil }
            $0.hasSpentItsLimit = { $0 == other }
        }
        for (index, id) in [tenant, other].enumerated() {
            #expect(gateway.refusal(of: id, for: nil, at: .zero) == .full)
            #expect(try await !self.admits(gateway, "none-\(index)", id, on: loop))
        }
    }

    @Test("The other nodes are asked with the limit that this one goes by")
    func claim() async throws {
        let (tenant, other) = (try #require(tenant), try #require(other))
        let loop = EventLoop(name: "test")
        loop.start()
        defer { loop.stop() }
        let nodes = Nodes()
        let gateway = try self.gateway(nodes) {
            $0.maximumCallsPerTenant = 10
            $0.callLimit = { $0 == tenant ? 50 : nil }
        }
        for id in [tenant, other] {
            let assistant = try #require(AssistantID(id.text))
            let identity = CallIdentity(
                call: try #require(CallID("c")), tenant: id, assistant: assistant, assistantName: "desk")
            await withCheckedContinuation { continuation in
                loop.execute { gateway.claim(identity, on: loop) { _ in continuation.resume() } }
            }
        }
        #expect(nodes.asked == [50, 10])
    }
}
