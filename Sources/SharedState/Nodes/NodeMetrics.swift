import Observability
import Records
import Telephony

/// What a node counts about the others.
package final class NodeMetrics: Sendable {
    private enum Outcome: String, CaseIterable { case taken, elsewhere, full, unknown }

    /// 1 while Redis is there.
    package let isUp: Gauge
    /// Nodes that live, this one among them; 0 while Redis is away.
    package let nodes: Gauge
    package let garbled: Counter
    package let refused: Counter
    private let claims: [Outcome: Counter]
    private let claimTime: Histogram

    package init(registry: MetricsRegistry) {
        self.isUp = registry.gauge("voice_ai_realtime_shared_state_up", "Whether Redis is there")
        self.nodes = registry.gauge("voice_ai_realtime_nodes", "Nodes that live; 0 while Redis is away")
        self.claims = registry.counters(
            "voice_ai_realtime_call_claims_total", "New calls, by what the other nodes said", label: "outcome")
        self.claimTime = registry.histogram(
            "voice_ai_realtime_call_claim_seconds", "How long a new call waited for the other nodes",
            bounds: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1])
        self.garbled = registry.counter(
            "voice_ai_realtime_node_news_garbled_total", "Messages on the nodes' channel that were not understood")
        self.refused = registry.counter(
            "voice_ai_realtime_shared_state_refused_total", "Commands that Redis answered with an error")
    }

    func claimed(_ claim: CallClaim, after time: Duration) {
        self.claimTime.observe(time)
        switch claim {
        case .taken: self.claims[.taken]?.increment()
        case .elsewhere: self.claims[.elsewhere]?.increment()
        case .full: self.claims[.full]?.increment()
        case .unknown: self.claims[.unknown]?.increment()
        }
    }

    func claimedAlone() { self.claims[.unknown]?.increment() }
}
