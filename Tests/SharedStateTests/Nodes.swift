import Foundation
import Networking
import Observability
import Records
import SharedState
import Synchronization
import Telephony
import Testing

/// One node on a Redis, with what it heard and logged.
final class TestNode: Sendable {
    let nodes: RedisNodes
    let instance: String
    private final class Sink: Sendable {
        let lines = Mutex<[String]>([])
        let news = Mutex<[NodeNews]>([])
    }
    private let sink: Sink
    var lines: [String] { self.sink.lines.withLock { $0 } }
    var news: [NodeNews] { self.sink.news.withLock { $0 } }

    init(
        _ name: String, on port: Int, prefix: String = "test", tls: TLSContext? = nil,
        _ change: (inout RedisNodes.Configuration) -> Void = { _ in }
    ) {
        var configuration = RedisNodes.Configuration(
            endpoint: RedisEndpoint(host: "127.0.0.1", port: UInt16(port), tls: tls), name: name)
        configuration.prefix = prefix
        // The machine of the tests is busy: what is tested is that there is a limit, not how short it is.
        configuration.deadline = .milliseconds(500)
        change(&configuration)
        self.instance = UUID().uuidString.lowercased()
        let sink = Sink()
        self.sink = sink
        self.nodes = RedisNodes(
            configuration, instance: self.instance, seed: 1,
            logger: Logger(level: .info, form: .json) { line in sink.lines.withLock { $0.append(line) } },
            metrics: NodeMetrics(registry: MetricsRegistry()))
        self.nodes.start { news in sink.news.withLock { $0.append(news) } }
    }

    func claim(_ call: CallID, of tenant: TenantID, limit: Int = 100) async -> CallClaim {
        await withCheckedContinuation { continuation in
            self.nodes.claim(call, of: tenant, limit: limit) { continuation.resume(returning: $0) }
        }
    }

    func probe(_ circuit: CircuitName, life: Duration = .seconds(20)) async -> ProbeClaim {
        await withCheckedContinuation { continuation in
            self.nodes.claimProbe(circuit, life: life) { continuation.resume(returning: $0) }
        }
    }

    func isReady() async throws { try await soon("\(self.instance) reaches Redis") { self.nodes.isReachable } }
}

/// Looks again and again, for fifteen seconds at most.
func soon(_ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ look: () async throws -> Bool)
    async throws
{
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if try await look() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("not within thirty seconds: \(what)", sourceLocation: sourceLocation)
}

/// One command of an observer who is no node.
func redis(_ port: Int, _ words: String..., password: String? = nil) async throws -> RedisValue {
    var configuration = RedisNodes.Configuration(
        endpoint: RedisEndpoint(host: "127.0.0.1", port: UInt16(port)), name: "observer")
    configuration.password = password.map { Redacted($0) }
    return try await RedisQuestion.ask(configuration, instance: "observer") { _ in RedisCommand(words) }
}
