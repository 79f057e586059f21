import Records
import Telephony

/// Remembers which back ends have just failed for whom, so that a call does not wait for what is known to be broken.
///
/// One circuit a provider and tenant: a tenant's wrong key says nothing about the others' calls. A value; the gateway
/// keeps one behind a lock, asked when an assistant is opened and told what became of it, never by a frame.
///
/// ```
/// closed ─so many failures in a row▶ open ─pause▶ half-open ─first audio▶ closed
///                                     ▲               │ one call only
///                                     └── failure ────┘ (twice the pause)
/// ```
package struct ProviderBreaker: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Failures in a row that open the circuit.
        package var failures: Int
        /// From the opening to the first probe; doubled by each probe that fails.
        package var pause: Duration
        /// The longest pause.
        package var longestPause: Duration
        /// A probe that neither spoke nor failed (the caller hung up) is forgotten after so long.
        package var probeLife: Duration
        package init(
            failures: Int = 5, pause: Duration = .seconds(30), longestPause: Duration = .seconds(300),
            probeLife: Duration = .seconds(20)
        ) {
            self.failures = failures
            self.pause = pause
            self.longestPause = longestPause
            self.probeLife = probeLife
        }
    }

    package typealias Key = CircuitName

    /// What a call may do.
    package enum Permission: Sendable, Equatable {
        case permitted
        case passedOver
        /// The pause is over: one call tries, on this node or on another.
        case probe
    }

    private enum State: Sendable {
        /// Failures since the last audio.
        case closed(failures: Int)
        case open(until: Duration, pause: Duration)
        /// One call tries. Another may, should that one never tell.
        case probing(until: Duration, pause: Duration)
    }

    private static let mostLearnt = 50_000

    private let configuration: Configuration
    /// Only those that have failed: bounded by the providers and tenants that exist.
    private var circuits: [Key: State] = [:]

    package init(_ configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// What a call may do now. Changes nothing: who is told `probe` goes on with `probe(_:at:)`.
    package func permission(_ key: Key, at now: Duration) -> Permission {
        switch self.circuits[key] {
        case nil, .closed: .permitted
        case .open(let until, _), .probing(let until, _): now >= until ? .probe : .passedOver
        }
    }

    /// A call of this node tries.
    package mutating func probe(_ key: Key, at now: Duration) {
        switch self.circuits[key] {
        case nil, .closed: break
        case .open(_, let pause), .probing(_, let pause):
            self.circuits[key] = .probing(until: now + self.configuration.probeLife, pause: pause)
        }
    }

    /// Whether a call may try. After the pause, the first that asks is the probe.
    package mutating func permits(_ key: Key, at now: Duration) -> Bool {
        switch self.permission(key, at: now) {
        case .permitted: return true
        case .passedOver: return false
        case .probe:
            self.probe(key, at: now)
            return true
        }
    }

    /// How long one probe may take.
    package var probeLife: Duration { self.configuration.probeLife }

    /// The back end was heard: it works. What the other nodes should know of it; nil: nothing.
    @discardableResult
    package mutating func succeeded(_ key: Key) -> CircuitChange? {
        switch self.circuits.removeValue(forKey: key) {
        case nil, .closed: nil
        case .open, .probing: .closed(key)
        }
    }

    /// The back end failed a call. What the other nodes should know of it; nil: nothing.
    @discardableResult
    package mutating func failed(_ key: Key, at now: Duration) -> CircuitChange? {
        switch self.circuits[key] {
        case nil: return self.count(1, key, at: now)
        case .closed(let failures): return self.count(failures + 1, key, at: now)
        // Of a call that began before the circuit opened: it tells nothing new.
        case .open: return nil
        case .probing(_, let pause):
            let longer = min(pause * 2, self.configuration.longestPause)
            self.circuits[key] = .open(until: now + longer, pause: longer)
            return .opened(key, pause: longer)
        }
    }

    private mutating func count(_ failures: Int, _ key: Key, at now: Duration) -> CircuitChange? {
        guard failures >= self.configuration.failures else {
            self.circuits[key] = .closed(failures: failures)
            return nil
        }
        self.circuits[key] = .open(until: now + self.configuration.pause, pause: self.configuration.pause)
        return .opened(key, pause: self.configuration.pause)
    }

    /// What another node has learnt: it counts as if it had been this one.
    package mutating func learned(_ change: CircuitChange, at now: Duration) {
        switch change {
        case .closed(let key): self.circuits[key] = nil
        case .opened(let key, let pause):
            // Redis is another's word: it may neither fill our memory nor close a back end for long.
            guard self.circuits[key] != nil || self.circuits.count < Self.mostLearnt else { return }
            let left = min(max(pause, .zero), self.configuration.longestPause)
            self.circuits[key] = .open(until: now + left, pause: max(left, self.configuration.pause))
        }
    }

    /// For how many tenants calls pass `provider` over.
    package func openCount(of provider: String) -> Int {
        self.circuits.reduce(0) { count, entry in
            guard entry.key.provider == provider else { return count }
            if case .closed = entry.value { return count }
            return count + 1
        }
    }
}
