import Networking
import Observability
import Records
import Telephony

/// What a gateway shares with the other nodes of its installation: places, circuits, and what happens on calls. All of
/// it goes on alone where there are no others, or none that answer in time.
extension Gateway {
    // MARK: A place among the nodes

    /// Asks the others about a call that has its place here already. `done` runs on `loop`: at once where there is
    /// nobody to ask, otherwise when they have answered or their time is over (PRONTO_REDIS_DEADLINE_MS).
    ///
    /// A call that may not be is given up by the caller of this (`dismiss`).
    func claim(_ identity: CallIdentity, on loop: EventLoop, done: @escaping (CallClaim) -> Void) {
        guard let others = self.others else { return done(.unknown) }
        let answer = LoopBound(Once(done), on: loop)
        let limit = self.allowance(of: identity.tenant).calls
        others.claim(identity.call, of: identity.tenant, limit: limit) { claim in
            loop.execute { answer.value.take()?(claim) }
        }
    }

    /// Why a claim ends a call before it began; nil: it may begin.
    func refusal(of claim: CallClaim, _ identity: CallIdentity) -> NodeRefusal? {
        switch claim {
        case .taken, .unknown: return nil
        case .full: return .full
        case .elsewhere(let node):
            self.logger.warning(
                "A connection of a call that lives on another node",
                ["call.id": .string(identity.call.text), "node.name": .string(node)])
            return .elsewhere
        }
    }

    /// Tells the consoles.
    func tellOthers(_ kind: CallEvent.Kind, _ identity: CallIdentity, _ details: [String: String] = [:]) {
        guard let others = self.others else { return }
        others.tell(
            CallEvent(
                kind, call: identity.call, tenant: identity.tenant, assistant: identity.assistant, details: details))
    }

    // MARK: The breaker

    /// Whether a call may try a back end. `done` runs on `loop`: at once, unless the others have to be asked which of
    /// the nodes tries one that was passed over.
    func breakerPermits(
        _ provider: String, _ tenant: TenantID, on loop: EventLoop, done: @escaping (Bool) -> Void
    ) {
        let circuit = CircuitName(provider: provider, tenant: tenant)
        let now = loop.now
        guard let others = self.others else {
            return done(self.breaker.withLock { $0.permits(circuit, at: now) })
        }
        let (permission, life) = self.breaker.withLock { ($0.permission(circuit, at: now), $0.probeLife) }
        switch permission {
        case .permitted: done(true)
        case .passedOver: done(false)
        case .probe:
            let answer = LoopBound(Once(done), on: loop)
            others.claimProbe(circuit, life: life) { [self] claim in
                loop.execute {
                    // Alone, or with the others' leave. Another call of this node may have been quicker.
                    let may = claim != .taken && self.breaker.withLock { $0.permits(circuit, at: loop.now) }
                    answer.value.take()?(may)
                }
            }
        }
    }

    /// Whether one of these back ends is not passed over for the tenant now. Makes nobody the probe.
    func breakerWouldPermit(anyOf providers: [String], _ tenant: TenantID, at now: Duration) -> Bool {
        self.breaker.withLock { breaker in
            providers.contains {
                breaker.permission(CircuitName(provider: $0, tenant: tenant), at: now) != .passedOver
            }
        }
    }

    func breakerSucceeded(_ provider: String, _ tenant: TenantID) {
        self.changeBreaker(provider) { $0.succeeded(.init(provider: provider, tenant: tenant)) }
    }

    func breakerFailed(_ provider: String, _ tenant: TenantID, at now: Duration) {
        self.changeBreaker(provider) { $0.failed(.init(provider: provider, tenant: tenant), at: now) }
    }

    /// What another node has learnt about a back end.
    package func learned(_ change: CircuitChange) {
        let provider =
            switch change {
            case .opened(let circuit, _), .closed(let circuit): circuit.provider
            }
        let open = self.breaker.withLock { breaker in
            breaker.learned(change, at: EventLoop.freshNow())
            return breaker.openCount(of: provider)
        }
        self.metrics.circuits(of: provider, open: open)
    }

    private func changeBreaker(_ provider: String, _ change: (inout ProviderBreaker) -> CircuitChange?) {
        let (learnt, open) = self.breaker.withLock { breaker in
            let learnt = change(&breaker)
            return (learnt, breaker.openCount(of: provider))
        }
        if let learnt { self.others?.circuitChanged(learnt) }
        self.metrics.circuits(of: provider, open: open)
    }
}

/// What is to be done once, on a loop. Emptied there, so that what it holds is not dropped by the thread that answers.
private final class Once<Answer> {
    private var body: ((Answer) -> Void)?
    init(_ body: @escaping (Answer) -> Void) { self.body = body }
    func take() -> ((Answer) -> Void)? {
        defer { self.body = nil }
        return self.body
    }
}

/// Why the other nodes will not have a call begin here.
enum NodeRefusal {
    case full
    case elsewhere

    var slug: String {
        switch self {
        case .full: "full"
        case .elsewhere: "call-elsewhere"
        }
    }

    var repair: String {
        switch self {
        case .full:
            "The tenant has as many calls on all nodes together as it may: its own limit, or MAX_SESSIONS_PER_DOMAIN"
        case .elsewhere: "The call lives on another node: what brings it a second time has to reach that one"
        }
    }
}
