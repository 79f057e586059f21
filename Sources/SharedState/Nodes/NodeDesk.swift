import Networking
import Observability
import Records
import Telephony

/// One node's part of the shared state, confined to the loop of its connections: claims and releases calls, gives the
/// sign of life, and hears the news.
final class NodeDesk {
    /// How often a node says that it lives.
    static let beat: Duration = .seconds(1)
    /// For what nobody waits.
    static let patience: Duration = .seconds(1)

    let scripts: NodeScripts
    private let configuration: RedisNodes.Configuration
    private let loop: EventLoop
    private let logger: Logger
    private let metrics: NodeMetrics
    private let commands: RedisLink
    private let listener: RedisLink
    private var register = NodeRegister()
    private var isDraining = false
    private var hasListened = false
    private var beatTimer: TimerID?
    private var refusals: Set<String> = []
    var address = ""
    var onReachable: ((Bool) -> Void)?
    var onNews: ((NodeNews) -> Void)?

    init(
        _ configuration: RedisNodes.Configuration, instance: String, seed: UInt64, logger: Logger,
        metrics: NodeMetrics, on loop: EventLoop
    ) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        self.metrics = metrics
        let keys = NodeKeys(prefix: configuration.prefix)
        self.scripts = NodeScripts(keys: keys, instance: instance)
        // The probe writes: a replica, or a Redis whose disk is full, is none.
        let probe = RedisCommand("SET", "\(keys.prefix):greeting:\(instance)", "1", "PX", "1000")
        var session = configuration.session(probe: probe)
        self.commands = RedisLink(configuration.endpoint, session, seed: seed, on: loop)
        session.channels = [keys.news]
        self.listener = RedisLink(configuration.endpoint, session, seed: seed &+ 1, on: loop)
    }

    var isReady: Bool { self.commands.isReady }

    func start() {
        self.commands.onReady = { [unowned self] in self.cameUp() }
        self.commands.onAway = { [unowned self] in self.wentAway($0) }
        self.listener.onReady = { [unowned self] in self.listens() }
        self.listener.onMessage = { [unowned self] _, text in self.heard(text) }
        self.commands.start()
        self.listener.start()
    }

    /// Says farewell, then lets go. `done` when it has been heard, or half a second later.
    func stop(done: @escaping () -> Void) {
        if let timer = self.beatTimer { self.loop.cancel(timer) }
        self.beatTimer = nil
        self.onNews = nil
        self.onReachable?(false)
        self.onReachable = nil
        self.commands.onAway = nil
        self.commands.ask(self.scripts.farewell, within: .milliseconds(500)) { [self] _ in
            self.commands.stop()
            self.listener.stop()
            done()
        }
    }

    // MARK: The connection

    private func cameUp() {
        self.metrics.isUp.set(1)
        self.logger.info("Redis is there: nodes act as one", ["redis.host": .string(self.configuration.endpoint.host)])
        self.restate()
        self.beat()
        self.fetchCircuits()
        self.onReachable?(true)
    }

    private func wentAway(_ absence: RedisAbsence) {
        self.metrics.isUp.set(0)
        self.metrics.nodes.set(0)
        if let timer = self.beatTimer { self.loop.cancel(timer) }
        self.beatTimer = nil
        self.onReachable?(false)
        self.logger.warning(
            "Redis is away: this node acts alone until it is back",
            [
                "redis.host": .string(self.configuration.endpoint.host), "redis.absence": .string(absence.rawValue),
                "repair": .string(absence.repair),
            ])
    }

    /// What was said while nobody listened is asked for.
    private func listens() {
        defer { self.hasListened = true }
        guard self.hasListened else { return }
        self.fetchCircuits()
        self.onNews?(.configurationChanged)
    }

    private func heard(_ text: String) {
        guard let (news, from) = NodeNews.parse(text) else {
            self.metrics.garbled.increment()
            return
        }
        // What this node said itself it knows.
        guard from != self.scripts.instance else { return }
        self.onNews?(news)
    }

    /// A refusal that concerns one kind of command (an ACL, an old Redis) is said once for each.
    private func note(_ outcome: RedisOutcome, of what: String) {
        guard case .refused(let code) = outcome else { return }
        self.metrics.refused.increment()
        guard self.refusals.insert("\(what) \(code)").inserted, self.refusals.count < 64 else { return }
        self.logger.warning(
            "Redis refuses a command: see docs/several-nodes.md for what a node asks of it",
            ["redis.command": .string(what), "redis.error": .string(code)])
    }

    /// Sends what nobody waits for.
    private func send(_ command: RedisCommand, _ what: String) {
        self.commands.ask(command, within: Self.patience) { [unowned self] in self.note($0, of: what) }
    }

    // MARK: The sign of life

    private func beat() {
        let expectation = self.register.expectation
        let state = NodeState(
            name: self.configuration.name, isDraining: self.isDraining, calls: self.register.count,
            address: self.address)
        self.commands.ask(self.scripts.heartbeat(state), within: Self.patience) { [unowned self] outcome in
            self.note(outcome, of: "heartbeat")
            guard case .value(let value) = outcome, let counts = value.elements, counts.count == 2 else { return }
            self.metrics.nodes.set(counts[1].number ?? 0)
            if self.register.disagrees(counts[0].number ?? 0, expectation) { self.restate() }
        }
        if let timer = self.beatTimer { self.loop.cancel(timer) }
        self.beatTimer = self.loop.schedule(after: Self.beat) { [unowned self] in
            self.beatTimer = nil
            if self.commands.isReady { self.beat() }
        }
    }

    private func restate() { self.send(self.scripts.restate(self.register.statement()), "restate") }

    func drain() {
        guard !self.isDraining else { return }
        self.isDraining = true
        if self.commands.isReady { self.beat() }
    }

    // MARK: Calls

    func hold(_ call: CallID, of tenant: TenantID) { self.register.hold(call, of: tenant) }

    func claim(_ call: CallID, of tenant: TenantID, limit: Int, done: @escaping (CallClaim) -> Void) {
        guard self.commands.isReady else {
            self.register.hold(call, of: tenant)
            return done(.unknown)
        }
        let ticket = self.register.claimSent(call, of: tenant)
        let began = EventLoop.freshNow()
        let command = self.scripts.claim(call, of: tenant, limit: limit)
        self.commands.ask(command, within: self.configuration.deadline) { [unowned self] outcome in
            self.note(outcome, of: "claim")
            let claim = Self.claim(of: outcome)
            self.register.claimAnswered(call, ticket, claim)
            self.metrics.claimed(claim, after: EventLoop.freshNow() - began)
            done(claim)
        }
    }

    private static func claim(of outcome: RedisOutcome) -> CallClaim {
        guard case .value(let value) = outcome, let words = value.elements, let word = words.first?.text else {
            return .unknown
        }
        switch word {
        case "taken": return .taken
        case "elsewhere": return .elsewhere(node: words.count > 1 ? words[1].text ?? "" : "")
        case "full": return .full(calls: words.count > 1 ? words[1].number ?? 0 : 0)
        default: return .unknown
        }
    }

    func release(_ call: CallID) {
        guard self.register.release(call), self.commands.isReady else { return }
        self.send(self.scripts.release(call), "release")
    }

    // MARK: Circuits, events, and whatever else is asked

    func tell(_ event: CallEvent) {
        guard self.commands.isReady else { return }
        self.send(self.scripts.event(event, node: self.configuration.name), "event")
    }

    func publish(_ news: NodeNews) {
        guard self.commands.isReady else { return }
        let text = news.text(from: self.scripts.instance)
        switch news {
        case .circuit(.opened(let circuit, let pause)):
            self.send(self.scripts.open(circuit, pause: pause, news: text), "circuit")
        case .circuit(.closed(let circuit)): self.send(self.scripts.close(circuit, news: text), "circuit")
        case .configurationChanged:
            self.send(RedisCommand("PUBLISH", self.scripts.keys.news, text), "configuration")
        }
    }

    private func fetchCircuits() {
        guard self.commands.isReady else { return }
        self.commands.ask(self.scripts.circuits, within: Self.patience) { [unowned self] outcome in
            self.note(outcome, of: "circuits")
            guard case .value(let value) = outcome, let words = value.elements else { return }
            for index in stride(from: 0, to: words.count - 1, by: 2) {
                guard let circuit = words[index].text.flatMap(NodeScripts.circuit), let left = words[index + 1].number
                else { continue }
                self.onNews?(.circuit(.opened(circuit, pause: .milliseconds(max(0, left)))))
            }
        }
    }

    func claimProbe(_ circuit: CircuitName, life: Duration, done: @escaping (ProbeClaim) -> Void) {
        self.commands.ask(self.scripts.probe(circuit, life: life), within: self.configuration.deadline) {
            [unowned self] outcome in
            self.note(outcome, of: "probe")
            switch outcome {
            case .value(.null): done(.taken)
            case .value: done(.granted)
            case .refused, .late, .away: done(.unknown)
            }
        }
    }

    func ask(_ command: RedisCommand, _ what: String, within: Duration, done: @escaping (RedisOutcome) -> Void) {
        self.commands.ask(command, within: within) { [unowned self] outcome in
            self.note(outcome, of: what)
            done(outcome)
        }
    }
}
