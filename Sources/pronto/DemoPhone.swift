import Networking
import Simulators
import Synchronization
import Telephony

/// The demo's software phone as a script awaits it: steps go in, and it returns when they are done.
final class DemoPhone: Sendable {
    /// How steps ended.
    enum Outcome: Sendable, Equatable {
        case done
        /// The agent was waited for in vain.
        case unanswered
        /// The call is over.
        case over
    }

    private let loop: EventLoop
    private let line: LoopBound<Line>

    /// `report` is called on `loop`.
    private init(_ loop: EventLoop, _ line: LoopBound<Line>) {
        self.loop = loop
        self.line = line
    }

    /// Calls. `configuration` must stay on the line at the end of its script.
    static func call(
        _ configuration: PhoneConfiguration, _ target: PhoneTarget, on loop: EventLoop,
        report: @escaping @Sendable (PhoneReport) -> Void
    ) async throws -> DemoPhone {
        let line = try await loop.run {
            let line = Line(PhoneSimulator(configuration: configuration, target: target, on: loop))
            line.start(report)
            return LoopBound(line, on: loop)
        }
        return DemoPhone(loop, line)
    }

    /// Performs the steps after those that are under way.
    func perform(_ steps: [PhoneStep]) async -> Outcome {
        let line = self.line
        let loop = self.loop
        return await withCheckedContinuation { continuation in
            loop.execute { line.value.perform(steps, continuation) }
        }
    }

    func hangUp() {
        let line = self.line
        self.loop.execute { line.value.phone.hangUp() }
    }

    /// Returns when the call is over.
    func result() async -> PhoneResult {
        let line = self.line
        let loop = self.loop
        return await withCheckedContinuation { continuation in
            loop.execute { line.value.result(continuation) }
        }
    }

    /// What is confined to the loop.
    private final class Line {
        let phone: PhoneSimulator
        private var stepsGiven = 0
        private var waiting: (step: Int, continuation: CheckedContinuation<Outcome, Never>)?
        private var wasUnanswered = false
        private var ended: PhoneResult?
        private var awaitingEnd: CheckedContinuation<PhoneResult, Never>?

        init(_ phone: PhoneSimulator) { self.phone = phone }

        func start(_ report: @escaping @Sendable (PhoneReport) -> Void) {
            self.phone.start(
                onEvent: { [self] event, _ in
                    switch event {
                    case .stepBegan(let index, _): self.began(index)
                    case .unanswered: self.wasUnanswered = true
                    default: break
                    }
                    report(event)
                },
                onEnd: { [self] result in
                    self.ended = result
                    self.resume(.over)
                    self.awaitingEnd?.resume(returning: result)
                    self.awaitingEnd = nil
                })
        }

        /// One caller at a time. An empty silence behind the steps shows that they are done.
        func perform(_ steps: [PhoneStep], _ continuation: CheckedContinuation<Outcome, Never>) {
            guard self.ended == nil, self.waiting == nil else {
                continuation.resume(returning: .over)
                return
            }
            self.stepsGiven += steps.count
            self.waiting = (self.stepsGiven, continuation)
            self.stepsGiven += 1
            self.wasUnanswered = false
            self.phone.append(steps + [.silence(.zero)])
        }

        func result(_ continuation: CheckedContinuation<PhoneResult, Never>) {
            if let ended = self.ended {
                continuation.resume(returning: ended)
            } else {
                self.awaitingEnd = continuation
            }
        }

        private func began(_ index: Int) {
            guard let waiting = self.waiting, index >= waiting.step else { return }
            self.resume(self.wasUnanswered ? .unanswered : .done)
        }

        private func resume(_ outcome: Outcome) {
            guard let waiting = self.waiting else { return }
            self.waiting = nil
            waiting.continuation.resume(returning: outcome)
        }
    }
}
