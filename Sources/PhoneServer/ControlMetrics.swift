import EventSocket
import Observability

/// What is counted of the Event Socket's inbound side. Labels are closed sets: a switch's address is none.
package final class ControlMetrics: Sendable {
    /// How many links there are in each state.
    package enum State: String, CaseIterable, Sendable { case ready, connecting, interrupted, down }

    package let events: Counter
    private let links: [State: Gauge]
    private let losses: [EventSocketLoss: Counter]
    private let failed: Counter
    private let unanswered: Counter

    package init(registry: MetricsRegistry) {
        self.events = registry.counter("voice_ai_realtime_esl_events_total", "Events taken from Event Sockets")
        var links: [State: Gauge] = [:]
        for state in State.allCases {
            links[state] = registry.gauge(
                "voice_ai_realtime_esl_links", "Event Socket links, by state", labels: [("state", state.rawValue)])
        }
        self.links = links
        var losses: [EventSocketLoss: Counter] = [:]
        for loss in EventSocketLoss.allCases {
            losses[loss] = registry.counter(
                "voice_ai_realtime_esl_losses_total", "Event Socket connections lost or not made",
                labels: [("loss", loss.rawValue)])
        }
        self.losses = losses
        self.failed = registry.counter(
            "voice_ai_realtime_esl_commands_failed_total", "Commands without a good answer",
            labels: [("kind", "refused")])
        self.unanswered = registry.counter(
            "voice_ai_realtime_esl_commands_failed_total", "Commands without a good answer",
            labels: [("kind", "unanswered")])
    }

    func lost(_ loss: EventSocketLoss) { self.losses[loss]?.increment() }

    func commandFailed(_ failure: EventSocketFailure) {
        if case .refused = failure { self.failed.increment() } else { self.unanswered.increment() }
    }

    func show(_ counts: [State: Int]) {
        for (state, gauge) in self.links { gauge.set(counts[state, default: 0]) }
    }
}
