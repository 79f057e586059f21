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

    package struct Key: Hashable, Sendable {
        package var provider: String
        package var tenant: TenantID
        package init(provider: String, tenant: TenantID) {
            self.provider = provider
            self.tenant = tenant
        }
    }

    private enum State: Sendable {
        /// Failures since the last audio.
        case closed(failures: Int)
        case open(until: Duration, pause: Duration)
        /// One call tries. Another may, should that one never tell.
        case probing(until: Duration, pause: Duration)
    }

    private let configuration: Configuration
    /// Only those that have failed: bounded by the providers and tenants that exist.
    private var circuits: [Key: State] = [:]

    package init(_ configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// Whether a call may try. After the pause, the first that asks is the probe.
    package mutating func permits(_ key: Key, at now: Duration) -> Bool {
        switch self.circuits[key] {
        case nil, .closed: return true
        case .open(let until, let pause), .probing(let until, let pause):
            guard now >= until else { return false }
            self.circuits[key] = .probing(until: now + self.configuration.probeLife, pause: pause)
            return true
        }
    }

    /// Whether a call that came now would be let try, as its first or as the probe. Changes nothing.
    package func wouldPermit(_ key: Key, at now: Duration) -> Bool {
        switch self.circuits[key] {
        case nil, .closed: true
        case .open(let until, _), .probing(let until, _): now >= until
        }
    }

    /// The back end was heard: it works.
    package mutating func succeeded(_ key: Key) { self.circuits[key] = nil }

    /// The back end failed a call.
    package mutating func failed(_ key: Key, at now: Duration) {
        switch self.circuits[key] {
        case nil: self.count(1, key, at: now)
        case .closed(let failures): self.count(failures + 1, key, at: now)
        // Of a call that began before the circuit opened: it tells nothing new.
        case .open: break
        case .probing(_, let pause):
            let longer = min(pause * 2, self.configuration.longestPause)
            self.circuits[key] = .open(until: now + longer, pause: longer)
        }
    }

    private mutating func count(_ failures: Int, _ key: Key, at now: Duration) {
        self.circuits[key] =
            failures >= self.configuration.failures
            ? .open(until: now + self.configuration.pause, pause: self.configuration.pause)
            : .closed(failures: failures)
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
