import Networking
import Observability
import Records
import Synchronization
import Telephony

/// The other nodes, through Redis. Any thread; one thread of its own has the connections.
package final class RedisNodes: OtherNodes, Sendable {
    package struct Configuration: Sendable {
        package var endpoint: RedisEndpoint
        package var user: String?
        package var password: Redacted<String>?
        package var database = 0
        /// The first part of every key and channel.
        package var prefix = "pronto"
        /// What this node is called in logs and consoles.
        package var name: String
        /// How long a call waits for the others' answer.
        package var deadline: Duration = .milliseconds(50)
        /// How long Redis may be silent before it counts as away.
        package var stall: Duration = .seconds(1)

        package init(endpoint: RedisEndpoint, name: String) {
            self.endpoint = endpoint
            self.name = name
        }

        func session(probe: RedisCommand) -> RedisSession.Configuration {
            var session = RedisSession.Configuration(
                user: self.user, password: self.password, database: self.database, probe: probe)
            session.stall = self.stall
            return session
        }
    }

    private let loop: EventLoop
    private let desk: LoopBound<NodeDesk>
    private let metrics: NodeMetrics
    /// Shared with the desk's closure, which may outlive this.
    private final class Reach: Sendable { let isReachable = Atomic<Bool>(false) }
    private let reach = Reach()
    private let isStarted = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)

    /// - Parameters:
    ///   - instance: fresh for each start of the process: what an earlier one left behind is not ours.
    ///   - seed: any number; spreads the attempts of several nodes.
    package init(
        _ configuration: Configuration, instance: String, seed: UInt64, logger: Logger, metrics: NodeMetrics
    ) {
        self.loop = EventLoop(name: "nodes")
        self.metrics = metrics
        self.desk = LoopBound(
            sending: NodeDesk(
                configuration, instance: instance, seed: seed, logger: logger, metrics: metrics, on: self.loop),
            on: self.loop)
    }

    /// Whether Redis is there now.
    package var isReachable: Bool { self.reach.isReachable.load(ordering: .relaxed) }

    /// Connects, once. `onNews` is called on the thread of the connections, and must not block.
    ///
    /// - Parameter address: where its media port is: for people who look.
    package func start(address: String = "", onNews: @escaping @Sendable (NodeNews) -> Void) {
        guard !self.isStarted.exchange(true, ordering: .relaxed) else { return }
        self.loop.start()
        self.loop.execute { [desk, reach] in
            desk.value.onReachable = { reach.isReachable.store($0, ordering: .relaxed) }
            desk.value.onNews = onNews
            desk.value.address = address
            desk.value.start()
        }
    }

    /// Gives this node's calls back and lets go: half a second at most. A second time it does nothing.
    package func stop() async {
        guard self.isStarted.load(ordering: .relaxed), !self.isStopped.exchange(true, ordering: .relaxed) else {
            return
        }
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            self.loop.execute { [desk] in desk.value.stop { done.resume() } }
        }
        await Task.detached { [loop] in loop.stop() }.value
    }

    /// Tells the others that no new call should come here.
    package func drain() { self.loop.execute { [desk] in desk.value.drain() } }

    /// Tells the others to read the configuration anew.
    package func configurationChanged() { self.loop.execute { [desk] in desk.value.publish(.configurationChanged) } }

    // MARK: OtherNodes

    package func claim(
        _ call: CallID, of tenant: TenantID, limit: Int, done: @escaping @Sendable (CallClaim) -> Void
    ) {
        guard self.isReachable else {
            self.loop.execute { [desk] in desk.value.hold(call, of: tenant) }
            self.metrics.claimedAlone()
            return done(.unknown)
        }
        self.loop.execute { [desk] in desk.value.claim(call, of: tenant, limit: limit, done: done) }
    }

    package func release(_ call: CallID) { self.loop.execute { [desk] in desk.value.release(call) } }

    package func tell(_ event: CallEvent) {
        guard self.isReachable else { return }
        self.loop.execute { [desk] in desk.value.tell(event) }
    }

    package func circuitChanged(_ change: CircuitChange) {
        guard self.isReachable else { return }
        self.loop.execute { [desk] in desk.value.publish(.circuit(change)) }
    }

    package func claimProbe(
        _ circuit: CircuitName, life: Duration, done: @escaping @Sendable (ProbeClaim) -> Void
    ) {
        guard self.isReachable else { return done(.unknown) }
        self.loop.execute { [desk] in desk.value.claimProbe(circuit, life: life, done: done) }
    }

    // MARK: Questions of the rest of the program

    private func ask(_ what: String, within: Duration, _ command: @escaping @Sendable (NodeScripts) -> RedisCommand)
        async -> RedisOutcome
    {
        guard self.isReachable else { return .away }
        return await withCheckedContinuation { continuation in
            self.loop.execute { [desk] in
                desk.value.ask(command(desk.value.scripts), what, within: within) {
                    continuation.resume(returning: $0)
                }
            }
        }
    }

    /// One unit of a shared allowance, for those who do not wait: `done` on any thread; nil: nobody could be asked.
    package func spend(
        _ bucket: String, limit: Int, window: Duration, done: @escaping @Sendable (RateVerdict?) -> Void
    ) {
        guard self.isReachable else { return done(nil) }
        self.loop.execute { [desk] in
            desk.value.ask(
                desk.value.scripts.spend(bucket, limit: limit, window: window), "rate", within: NodeDesk.patience
            ) { done(RateVerdict($0)) }
        }
    }

    /// One unit of a shared allowance; nil: nobody could be asked in time.
    package func spend(_ bucket: String, limit: Int, window: Duration, within: Duration) async -> RateVerdict? {
        let outcome = await self.ask("rate", within: within) { $0.spend(bucket, limit: limit, window: window) }
        return RateVerdict(outcome)
    }

    /// The nodes that live; nil: nobody could be asked.
    package func nodes() async -> [NodeSighting]? {
        guard case .value(let value) = await self.ask("nodes", within: .seconds(1), { $0.nodes }),
            let nodes = value.elements
        else { return nil }
        return nodes.compactMap(NodeSighting.init)
    }

    /// Removes one tenant's calls from the stream of events; nil: Redis could not be asked, and has them still.
    ///
    /// In portions: a script holds up Redis while it runs.
    package func forget(_ calls: [CallID], of tenant: TenantID) async -> Int? {
        var removed = 0
        var start = 0
        while start < calls.count {
            let portion = Array(calls[start..<min(start + 500, calls.count)])
            start += portion.count
            guard
                case .value(let value) = await self.ask(
                    "forget", within: .seconds(1), { $0.forget(portion, of: tenant) }), let count = value.number
            else { return nil }
            removed += count
        }
        return removed
    }
}

/// What a shared allowance says.
package struct RateVerdict: Sendable, Equatable {
    package var isAllowed: Bool
    package var left: Int
    /// Until the next unit; zero when this one was allowed.
    package var retryAfter: Duration

    package init(isAllowed: Bool, left: Int, retryAfter: Duration) {
        self.isAllowed = isAllowed
        self.left = left
        self.retryAfter = retryAfter
    }

    init?(_ outcome: RedisOutcome) {
        guard case .value(let value) = outcome, let words = value.elements, words.count == 3,
            let allowed = words[0].number, let left = words[1].number, let wait = words[2].number
        else { return nil }
        self.init(isAllowed: allowed == 1, left: max(0, left), retryAfter: .microseconds(max(0, wait)))
    }
}

/// A node as the others see it.
package struct NodeSighting: Sendable, Equatable {
    package var state: NodeState
    /// Since its last sign of life, by Redis' clock.
    package var age: Duration

    package init?(_ value: RedisValue) {
        guard let words = value.elements, words.count == 5, let name = words[0].text, let state = words[1].text,
            let calls = words[2].number, let age = words[4].number
        else { return nil }
        self.state = NodeState(
            name: name, isDraining: state == "draining", calls: calls, address: words[3].text ?? "")
        self.age = .milliseconds(age)
    }
}
