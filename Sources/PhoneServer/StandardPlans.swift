import Assistants
import Conversation
import Records
import Telephony

/// What holds for every assistant that does not say otherwise.
package struct AssistantDefaults: Sendable {
    /// Back ends in the order in which they are tried, for assistants that name none.
    package var providers: [String] = ["local"]
    /// The embedded assistant is the last rung of every ladder: it needs no network.
    package var endsWithLocal = true
    package var bargeIn = true
    /// How long a paused agent waits for the interruption to prove itself; zero: every barge-in is final.
    package var resumeWindow: Duration = .milliseconds(300)
    package var vadThreshold = 0.5
    package var silence: Duration = .milliseconds(500)
    package var prefixPadding: Duration = .milliseconds(300)
    package var deadlines = CallPlan.Deadlines()
    /// Longer calls than this are ended, whatever the assistant's row says; zero: no limit.
    package var maximumDuration: Duration = .seconds(3600)
    package var fallback: TransferDestination?
    /// Silence of both sides after which a call ends, for assistants that do not prompt and do not say.
    package var idleTimeout: Duration = .seconds(30)
    package init() {}
}

/// Makes call plans from the assistants' rows.
package struct StandardPlans: CallPlanning {
    package var defaults: AssistantDefaults
    package init(defaults: AssistantDefaults) { self.defaults = defaults }

    package func plan(for assistant: Assistant, in entry: AssistantDirectory.Entry) -> CallPlan {
        var providers = self.backEnds(of: assistant)
        if self.defaults.endsWithLocal, !providers.contains("local") { providers.append("local") }
        var plan = CallPlan(assistants: providers)
        plan.opening = assistant.callerSpeaksFirst ? .caller : .agent
        plan.language = assistant.language
        plan.bargeIn = self.bargeIn(of: assistant)
        // Without prompts the line must not stay open for ever: one long silence, a goodbye, the end.
        plan.noInput =
            assistant.noInput.isEnabled
            ? NoInputClock.Configuration(
                patience: assistant.noInput.after,
                prompts: assistant.noInput.action == .hangup ? 0 : assistant.noInput.retries)
            : NoInputClock.Configuration(
                patience: assistant.idleTimeout ?? self.defaults.idleTimeout, prompts: 0)
        plan.maximumDuration = Self.shorter(
            assistant.maximumDuration ?? self.defaults.maximumDuration, self.defaults.maximumDuration)
        plan.noInputPrompts = assistant.noInput.prompts
        plan.farewell = assistant.farewell
        plan.endpointing = assistant.turns.silence ?? self.defaults.silence
        plan.deadlines = self.defaults.deadlines
        plan.destinations = Self.destinations(for: assistant, in: entry).map(\.transferDestination)
        plan.fallback =
            assistant.fallback.map {
                TransferDestination(name: "fallback", number: $0.number.value, context: $0.context)
            } ?? self.defaults.fallback
        return plan
    }

    package func backEnds(of assistant: Assistant) -> [String] {
        var providers = assistant.providers.map(\.text)
        if providers.isEmpty { providers = self.defaults.providers }
        switch assistant.mode {
        case .realtime: break
        case .turnBased: providers = ["turn-based"] + providers.filter { $0 == "local" }
        case .auto:
            // When no realtime back end can serve, at the start or in mid-call, turns do.
            providers.removeAll { $0 == "turn-based" }
            providers.insert("turn-based", at: providers.firstIndex(of: "local") ?? providers.endIndex)
        }
        return providers
    }

    /// The destinations that this assistant may use: its own, and those of the whole tenant.
    package static func destinations(
        for assistant: Assistant, in entry: AssistantDirectory.Entry
    ) -> [DestinationRecord] {
        entry.destinations
            .filter { $0.isEnabled && ($0.assistant == nil || $0.assistant == assistant.id) }
            .sorted { ($0.priority, $0.name) < ($1.priority, $1.name) }
    }

    private func bargeIn(of assistant: Assistant) -> BargeIn.Mode {
        guard assistant.bargeIn.isEnabled ?? self.defaults.bargeIn else { return .off }
        let window = assistant.bargeIn.resumeWindow ?? self.defaults.resumeWindow
        return window > .zero ? .twoStep(confirm: window) : .final
    }

    private static func shorter(_ a: Duration, _ b: Duration) -> Duration {
        if a == .zero { return b }
        if b == .zero { return a }
        return min(a, b)
    }
}
