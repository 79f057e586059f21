import Assistants
import Conversation
import Observability
import Telephony

/// The back ends that a metric may be labelled with: a closed set, whatever a row of the database says.
package enum ProviderLabel: String, CaseIterable, Sendable {
    case openai, elevenlabs, gemini, local, pipeline
    case turnBased = "turn-based"
    case none
    package init(_ name: String) { self = Self(rawValue: name) ?? .none }
}

/// What a gateway counts. Names are the requirements' (document 5 §6.1) and ours with the same prefix.
package final class GatewayMetrics: Sendable {
    package enum Direction: String, CaseIterable, Sendable { case up, down }

    package let registry: MetricsRegistry
    package let framesUp: Counter
    package let framesDown: Counter
    package let activeSessions: Gauge
    private let calls: [ProviderLabel: [Fault: Counter]]
    private let latency: [ProviderLabel: Histogram]
    private let underruns: Counter
    private let bargeIns: [Bool: Counter]
    private let heard: Counter
    private let received: Counter
    private let failures: [ProviderLabel: Counter]
    private let refusals: Counter
    /// Of each back end: for how many tenants it is passed over now, and how often it was.
    private let openCircuits: [ProviderLabel: Gauge]
    private let passedOver: [ProviderLabel: Counter]
    /// By back end and what is counted: what was used, what it cost, and how often that is unknown.
    private let usage: [ProviderLabel: [UsageMeter: Counter]]
    private let cost: [ProviderLabel: Counter]
    private let unpriced: [ProviderLabel: Counter]
    package let loopLag: Histogram
    /// Calls refused because every RTP port was in use or resting.
    package let portsExhausted: Counter
    package let bargeInStop: Histogram
    package let lostRecords: Counter
    package let spooledRecords: Counter
    package let setAsideRecords: Counter

    package init(registry: MetricsRegistry = MetricsRegistry()) {
        self.registry = registry
        self.framesUp = registry.counter(
            "voice_ai_realtime_audio_chunks_total", "20 ms frames carried", labels: [("direction", "up")])
        self.framesDown = registry.counter(
            "voice_ai_realtime_audio_chunks_total", "20 ms frames carried", labels: [("direction", "down")])
        self.portsExhausted = registry.counter(
            "voice_ai_realtime_rtp_ports_exhausted_total", "SIP calls refused because no RTP port was free")
        self.activeSessions = registry.gauge("voice_ai_realtime_active_sessions", "Calls in progress")
        var calls: [ProviderLabel: [Fault: Counter]] = [:]
        var latency: [ProviderLabel: Histogram] = [:]
        var failures: [ProviderLabel: Counter] = [:]
        for provider in ProviderLabel.allCases {
            var byFault: [Fault: Counter] = [:]
            for fault in Fault.allCases {
                byFault[fault] = registry.counter(
                    "voice_ai_realtime_calls_total", "Calls ended, by last provider and whose fault the end was",
                    labels: [("provider", provider.rawValue), ("fault", fault.rawValue)])
            }
            calls[provider] = byFault
        }
        for provider in ProviderLabel.allCases {
            latency[provider] = registry.histogram(
                "voice_ai_realtime_response_latency_seconds",
                "Caller stops speaking to first agent audio on the wire", labels: [("provider", provider.rawValue)])
        }
        for provider in ProviderLabel.allCases {
            failures[provider] = registry.counter(
                "voice_ai_realtime_provider_failures_total", "Assistant sessions that failed",
                labels: [("provider", provider.rawValue)])
        }
        var openCircuits: [ProviderLabel: Gauge] = [:]
        var passedOver: [ProviderLabel: Counter] = [:]
        for provider in ProviderLabel.allCases {
            openCircuits[provider] = registry.gauge(
                "voice_ai_realtime_provider_circuits_open", "Tenants whose calls pass this provider over now",
                labels: [("provider", provider.rawValue)])
        }
        for provider in ProviderLabel.allCases {
            passedOver[provider] = registry.counter(
                "voice_ai_realtime_provider_passed_over_total",
                "Times that a call passed this provider over, because its circuit was open",
                labels: [("provider", provider.rawValue)])
        }
        var usage: [ProviderLabel: [UsageMeter: Counter]] = [:]
        var cost: [ProviderLabel: Counter] = [:]
        var unpriced: [ProviderLabel: Counter] = [:]
        for provider in ProviderLabel.allCases {
            for meter in UsageMeter.allCases {
                usage[provider, default: [:]][meter] = registry.counter(
                    "voice_ai_realtime_usage_total",
                    "What providers counted: tokens, characters, and milliseconds of heard and connected",
                    labels: [("provider", provider.rawValue), ("meter", meter.rawValue)])
            }
        }
        for provider in ProviderLabel.allCases {
            cost[provider] = registry.counter(
                "voice_ai_realtime_cost_nano_total",
                "Known cost, in billionths of the price table's currency", labels: [("provider", provider.rawValue)])
        }
        for provider in ProviderLabel.allCases {
            unpriced[provider] = registry.counter(
                "voice_ai_realtime_cost_unknown_total", "Usage reports whose price is unknown",
                labels: [("provider", provider.rawValue)])
        }
        self.usage = usage
        self.cost = cost
        self.unpriced = unpriced
        self.openCircuits = openCircuits
        self.passedOver = passedOver
        self.calls = calls
        self.latency = latency
        self.failures = failures
        self.underruns = registry.counter(
            "voice_ai_realtime_playout_underruns_total", "Times that the caller's ear ran dry inside an utterance")
        self.bargeIns = [
            true: registry.counter(
                "voice_ai_realtime_barge_ins_total", "Interruptions", labels: [("outcome", "confirmed")]),
            false: registry.counter(
                "voice_ai_realtime_barge_ins_total", "Interruptions", labels: [("outcome", "resumed")]),
        ]
        self.heard = registry.counter(
            "voice_ai_realtime_cut_heard_milliseconds_total", "Of interrupted agent audio: what was heard")
        self.received = registry.counter(
            "voice_ai_realtime_cut_received_milliseconds_total", "Of interrupted agent audio: what had been received")
        self.refusals = registry.counter("voice_ai_realtime_refused_total", "Connections refused before a call began")
        self.loopLag = registry.histogram(
            "voice_ai_realtime_loop_lag_seconds", "How long one turn of an event loop kept the others waiting",
            bounds: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5])
        self.bargeInStop = registry.histogram(
            "voice_ai_realtime_barge_in_stop_seconds", "Decision that the caller interrupts to the flush on the wire",
            bounds: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.5])
        self.lostRecords = registry.counter(
            "voice_ai_realtime_records_lost_total", "Calls whose records could be kept nowhere")
        self.spooledRecords = registry.counter(
            "voice_ai_realtime_records_spooled_total", "Calls whose records wait in the local spool")
        self.setAsideRecords = registry.counter(
            "voice_ai_realtime_records_set_aside_total",
            "Calls whose records the database refuses: in the spool's .damaged file, for people")
    }

    func note(_ note: SessionNote, provider: String) {
        switch note {
        case .turnLatency(let duration): self.latency[ProviderLabel(provider)]?.observe(duration)
        case .underrun: self.underruns.increment()
        case .bargeIn(let confirmed): self.bargeIns[confirmed]?.increment()
        case .cut(let heard, let received):
            self.heard.increment(by: heard.milliseconds)
            self.received.increment(by: received.milliseconds)
        case .assistantFailed: self.failures[ProviderLabel(provider)]?.increment()
        default: break
        }
    }

    func used(_ usage: AssistantUsage, of provider: String, cost: Int64?) {
        let label = ProviderLabel(provider)
        for meter in UsageMeter.allCases {
            // A counter must not be filled by one report that a server made up.
            let quantity = min(usage.quantity(meter), 1_000_000_000)
            if quantity > 0 { self.usage[label]?[meter]?.increment(by: quantity) }
        }
        if let cost {
            self.cost[label]?.increment(by: Int(min(cost, 1_000_000_000_000)))
        } else {
            self.unpriced[label]?.increment()
        }
    }

    func callEnded(provider: String, fault: Fault) { self.calls[ProviderLabel(provider)]?[fault]?.increment() }
    func circuits(of provider: String, open: Int) { self.openCircuits[ProviderLabel(provider)]?.set(open) }
    func passedOver(_ provider: String) { self.passedOver[ProviderLabel(provider)]?.increment() }
    func refused() { self.refusals.increment() }
}
