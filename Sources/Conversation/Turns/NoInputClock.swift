import Telephony

/// Notices a caller who says nothing: asks again a few times, then says goodbye.
package struct NoInputClock: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Silence of both sides before a prompt; zero: never.
        package var patience: Duration
        /// Prompts before the goodbye.
        package var prompts: Int
        package init(patience: Duration = .seconds(10), prompts: Int = 2) {
            self.patience = patience
            self.prompts = prompts
        }
    }
    package enum Action: Sendable, Equatable { case prompt, giveUp }

    private let configuration: Configuration
    private var quietSince: Duration?
    /// Prompts since the caller was last heard.
    package private(set) var prompted = 0

    package init(_ configuration: Configuration) { self.configuration = configuration }

    /// Somebody speaks, works on an answer, or the leg is held: the clock stops. `callerSpoke` forgives earlier prompts.
    package mutating func busy(callerSpoke: Bool = false) {
        self.quietSince = nil
        if callerSpoke { self.prompted = 0 }
    }

    /// Nobody speaks and it is the caller's turn; the silence counts from the first such call, or from `since`.
    package mutating func quiet(since: Duration) {
        guard self.quietSince == nil, self.configuration.patience > .zero else { return }
        self.quietSince = since
    }

    package var deadline: Duration? { self.quietSince.map { $0 + self.configuration.patience } }

    package mutating func wake(at now: Duration) -> Action? {
        guard let deadline = self.deadline, now >= deadline else { return nil }
        self.quietSince = nil
        self.prompted += 1
        return self.prompted > self.configuration.prompts ? .giveUp : .prompt
    }
}
