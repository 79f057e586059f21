import Assistants
import Telephony

/// The rungs that a call climbs down when an assistant fails: the same again, the next in its list, then a human.
///
/// Retries are counted a call, not an hour: a caller should meet each broken thing once.
package struct Ladder: Sendable {
    package enum Step: Sendable, Equatable {
        /// Open this rung again (a lost connection).
        case again(Int)
        /// Open the next rung.
        case next(Int)
        /// No assistant is left.
        case human
    }

    /// How many assistants there are, best first.
    package let count: Int
    package private(set) var current = 0
    private let retriesPerRung: Int
    private var retries = 0

    package init(count: Int, retriesPerRung: Int = 1) {
        self.count = count
        self.retriesPerRung = retriesPerRung
    }

    package mutating func failed(_ verdict: AssistantFailure.Verdict) -> Step {
        if verdict == .retry, self.retries < self.retriesPerRung {
            self.retries += 1
            return .again(self.current)
        }
        self.retries = 0
        guard self.current + 1 < self.count else { return .human }
        self.current += 1
        return .next(self.current)
    }

    /// A reply was heard: what failed before is forgiven.
    package mutating func succeeded() { self.retries = 0 }
}
