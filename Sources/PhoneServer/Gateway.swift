import Assistants
import Conversation
import MediaDialects
import Networking
import Observability
import Records
import Synchronization
import Telephony

/// What a gateway is told at its start. Each field with its unit and reason; the names of the settings are in
/// `docs/configuration.md`.
package struct GatewayConfiguration: Sendable {
    package var dialects = DialectSelection(defaults: .init())
    /// Whether a peer (an IP address) may bring calls without a token. Loopback only, unless configured.
    package var isTrustedPeer: @Sendable (SocketAddress) -> Bool = { $0.isLoopback }
    /// Accept anybody: for development, and said in the log at each start.
    package var acceptsAnybody = false
    /// Checks a stream token; nil: no keys are configured, every token is refused.
    package var verifyToken: (@Sendable (String, TenantID?, CallID?) -> Result<VerifiedToken, TokenRefusal>)?
    /// Calls at once on this node, and of one tenant.
    package var maximumCalls = 2000
    package var maximumCallsPerTenant = 500
    /// A tenant's own limit of calls at once, where it has one. Asked at each admission: from memory.
    package var callLimit: @Sendable (TenantID) -> Int? = { _ in nil }
    /// How a tenant's calls by the outbound Event Socket bring their audio, where it says so. Asked at each: from memory.
    package var audio: @Sendable (TenantID) -> CallAudio? = { _ in nil }
    /// Whether a tenant has spent what it may. Asked at each admission: from memory.
    package var hasSpentItsLimit: @Sendable (TenantID) -> Bool = { _ in false }
    /// Folder of recordings; nil: no call is recorded.
    package var recordings: String?
    package var recordsByDefault = false
    /// A new call whose channel cannot be controlled, because its switch's Event Socket is down, is left to the dialplan.
    package var needsControl = true
    /// Bytes of one WebSocket message from a phone: 200 ms of 48 kHz stereo are 38 400.
    package var maximumPhoneMessage = 256 * 1024
    /// How long a transfer rings before the caller comes back; zero: transfers are left to the destination's dialplan.
    package var ringTime: Duration = .seconds(30)
    /// The dead man's switch of channels whose dialplan asks for one without saying when.
    package var fuseSeconds = 4

    /// When a back end that keeps failing is passed over.
    package var breaker = ProviderBreaker.Configuration()

    package init() {}
}

/// What a good token says.
package struct VerifiedToken: Sendable {
    package var tenant: TenantID
    package var call: CallID
    package var assistant: AssistantID?
    /// The row of routing that sent the call.
    package var route: RouteID?
    package init(tenant: TenantID, call: CallID, assistant: AssistantID?, route: RouteID? = nil) {
        self.tenant = tenant
        self.call = call
        self.assistant = assistant
        self.route = route
    }
}

/// Why a token is refused: a slug for the log; the peer only learns that it was.
package struct TokenRefusal: Error, Sendable {
    package var slug: String
    package init(slug: String) { self.slug = slug }
}

/// Performs the tools that need more than the call itself.
package protocol ToolRunning: Sendable {
    func run(_ call: ToolCall, identity: CallIdentity) -> ToolAnswer
}

/// What came of a tool: what the assistant is told (JSON or text), and how that is written down.
package struct ToolAnswer: Sendable, Equatable {
    package var result: Redacted<String>
    package var outcome: ToolUse.Outcome
    package init(_ result: Redacted<String>, _ outcome: ToolUse.Outcome) {
        self.result = result
        self.outcome = outcome
    }
}

/// The parts that calls share, and the register of the calls that live.
package final class Gateway: Sendable {
    package let configuration: GatewayConfiguration
    package let directory: AssistantDirectory
    package let logger: Logger
    package let metrics: GatewayMetrics
    let speech: any SpeechServices
    let assistants: any AssistantMaking
    let plans: any CallPlanning
    let tools: any ToolRunning
    private let controls: @Sendable (TenantID) -> (any CallControl)?
    let observer: (any CallObserver)?
    /// The other nodes of the installation; nil: there are none.
    let others: (any OtherNodes)?
    let clientTLS: TLSContext?
    let http: ProviderHTTP
    /// What providers ask for what they do.
    package let prices: PriceTable
    let breaker: Mutex<ProviderBreaker>
    private let sentences: @Sendable (HouseSentence, String) -> String
    private let finished: @Sendable (FinishedCall) -> Void

    struct Live {
        var tenant: TenantID
        var loop: EventLoop
        var call: LoopBound<CallSlot>
        /// The channel that it has taken, where it is not registered by the channel's id.
        var channel: CallID?
    }
    private struct State {
        var live: [CallID: Live] = [:]
        var perTenant: [TenantID: Int] = [:]
        var isDraining = false
        var isLeaving = false
        var departure = Departure.staying
        var offers: [CallID: Offer] = [:]
        /// Channels of calls that have other ids.
        var channels: Set<CallID> = []
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - control: the way to the switch that has a tenant's channels. Any thread.
    ///   - finished: takes the records of each call; must not block (it queues, and writes elsewhere).
    package init(
        configuration: GatewayConfiguration, directory: AssistantDirectory, logger: Logger, metrics: GatewayMetrics,
        speech: any SpeechServices, assistants: any AssistantMaking, plans: any CallPlanning,
        tools: any ToolRunning = NoTools(),
        control: @escaping @Sendable (TenantID) -> (any CallControl)? = { _ in nil },
        observer: (any CallObserver)? = nil, others: (any OtherNodes)? = nil,
        clientTLS: TLSContext? = nil, http: ProviderHTTP = ProviderHTTP(), prices: PriceTable = .builtIn,
        sentences: @escaping @Sendable (HouseSentence, String) -> String,
        finished: @escaping @Sendable (FinishedCall) -> Void
    ) {
        self.configuration = configuration
        self.directory = directory
        self.logger = logger
        self.metrics = metrics
        self.speech = speech
        self.assistants = assistants
        self.plans = plans
        self.tools = tools
        self.controls = control
        self.observer = observer
        self.others = others
        self.clientTLS = clientTLS
        self.http = http
        self.prices = prices
        self.breaker = Mutex(ProviderBreaker(configuration.breaker))
        self.sentences = sentences
        self.finished = finished
    }

    /// The way to the switch that has this tenant's channels; nil: none is configured.
    func control(for tenant: TenantID) -> (any CallControl)? { self.controls(tenant) }

    /// Whether a new call is better served by what follows in its dialplan: its switch is configured and has been away
    /// for ESL_MAX_RECONNECT_ATTEMPTS, so the assistant could neither hand the caller over nor see a hang-up.
    ///
    /// A call that is no channel of the switch (a phone of ours, a carrier's stream) never had control, and is served.
    package func lacksControl(_ identity: CallIdentity) -> Bool {
        self.configuration.needsControl && identity.channel != nil
            && self.control(for: identity.tenant)?.isDown ?? false
    }

    func sentence(_ sentence: HouseSentence, language: String) -> String { self.sentences(sentence, language) }

    package var liveCalls: Int { self.state.withLock { $0.live.count } }
    /// New calls are refused.
    package var isDraining: Bool { self.state.withLock { $0.isDraining } }
    /// `/health` says 503, so that a balancer sends new calls elsewhere. Those that still come are taken until the drain.
    package var isLeaving: Bool { self.state.withLock { $0.isLeaving || $0.isDraining } }

    /// What becomes of a call that begins although the process leaves: it had its place before the drain.
    enum Departure: Sendable {
        case staying
        case handingOver
        case gone
    }
    var departure: Departure { self.state.withLock { $0.departure } }

    // MARK: The register

    enum Admission {
        case admitted
        case draining
        case full
        /// The call lives already; another connection of it may take over.
        case alive(TenantID, EventLoop, LoopBound<CallSlot>)
    }

    /// Takes a place for `call`, or says why there is none.
    func admit(_ call: CallID, of tenant: TenantID, on loop: EventLoop, _ shell: LoopBound<CallSlot>) -> Admission {
        // Outside the lock: it looks into tables of its own.
        let allowance = self.allowance(of: tenant)
        return self.state.withLock { state in
            if let live = state.live[call] { return .alive(live.tenant, live.loop, live.call) }
            if state.isDraining { return .draining }
            guard self.hasPlace(state, tenant, allowance) else { return .full }
            state.live[call] = Live(tenant: tenant, loop: loop, call: shell)
            state.perTenant[tenant, default: 0] += 1
            self.metrics.activeSessions.set(state.live.count)
            return .admitted
        }
    }

    /// Whether the register has no place for another call of the tenant: by the very rule by which it would be admitted,
    /// so that routing never sends a call here that is then refused.
    func isFull(for tenant: TenantID) -> Bool {
        let allowance = self.allowance(of: tenant)
        return self.state.withLock { !self.hasPlace($0, tenant, allowance) }
    }

    /// What a tenant may have: its own limits, and the gateway's where it has none.
    struct Allowance: Equatable {
        /// Calls at once: on this node by itself, and on all nodes together.
        var calls: Int
        /// It has spent what it may: no new call, however few there are.
        var isSpent: Bool
    }

    func allowance(of tenant: TenantID) -> Allowance {
        Allowance(
            calls: self.configuration.callLimit(tenant) ?? self.configuration.maximumCallsPerTenant,
            isSpent: self.configuration.hasSpentItsLimit(tenant))
    }

    private func hasPlace(_ state: State, _ tenant: TenantID, _ allowance: Allowance) -> Bool {
        state.live.count < self.configuration.maximumCalls && !allowance.isSpent
            && state.perTenant[tenant, default: 0] < allowance.calls
    }

    /// The call with this id, if it lives on this node.
    func live(_ call: CallID) -> Live? { self.state.withLock { $0.live[call] } }

    /// Takes a channel for `call`, which is registered by another id. False: a call has that id, or has taken it, or its
    /// own control waits for its media.
    func takeChannel(_ channel: CallID, for call: CallID) -> Bool {
        self.state.withLock { state in
            guard state.live[call] != nil, state.live[call]?.channel == nil, state.live[channel] == nil,
                state.offers[channel] == nil, state.channels.insert(channel).inserted
            else { return false }
            state.live[call]?.channel = channel
            return true
        }
    }

    /// It is not that call's.
    func giveBackChannel(of call: CallID) {
        self.state.withLock { state in
            guard let channel = state.live[call]?.channel else { return }
            state.channels.remove(channel)
            state.live[call]?.channel = nil
        }
    }

    // MARK: The two halves of a call

    /// Control that came before its media: an outbound Event Socket whose call's WebSocket or SIP leg is still on its way.
    struct Offer: Sendable {
        var identity: CallIdentity
        var control: any CallControl
    }

    /// Waits for the call's media on this node. Replaces an older one.
    func offer(_ offer: Offer) { self.state.withLock { $0.offers[offer.identity.call] = offer } }

    /// Takes back what that socket has offered. False: its call's media has come, or another socket offers it now.
    @discardableResult
    func withdrawOffer(of call: CallID, by visit: ObjectIdentifier) -> Bool {
        self.state.withLock { state in
            guard (state.offers[call]?.control as? SwitchControl)?.visitID == visit else { return false }
            state.offers[call] = nil
            return true
        }
    }

    /// The control that waits for `call`; it goes on waiting.
    func peekOffer(of call: CallID) -> Offer? { self.state.withLock { $0.offers[call] } }

    /// The control that waits for `call`, if it is that tenant's (nil: of whichever).
    func takeOffer(of call: CallID, tenant: TenantID?) -> Offer? {
        self.state.withLock { state in
            guard let offer = state.offers[call], tenant == nil || offer.identity.tenant == tenant else { return nil }
            state.offers[call] = nil
            return offer
        }
    }

    /// Gives the place back: the call ended, or never began.
    func dismiss(_ call: CallID) {
        self.state.withLock { state in
            guard let live = state.live.removeValue(forKey: call) else { return }
            if let channel = live.channel { state.channels.remove(channel) }
            let left = state.perTenant[live.tenant, default: 1] - 1
            state.perTenant[live.tenant] = left > 0 ? left : nil
            self.metrics.activeSessions.set(state.live.count)
        }
        self.others?.release(call)
    }

    func callFinished(_ shell: CallShell, termination: CallTermination, record: FinishedCall) {
        // Before the place is given back: who waits for the last call to end finds its record under way.
        self.finished(record)
        self.dismiss(shell.identity.call)
        self.tellOthers(
            .ended, shell.identity,
            [
                "reason": termination.reason, "fault": termination.fault.rawValue, "provider": shell.currentProvider,
                "duration_ms": String((shell.loop.now - shell.startedAt).milliseconds),
            ])
        self.metrics.callEnded(provider: shell.currentProvider, fault: termination.fault)
        self.observer?.callEnded(shell.identity, record: record.call)
    }

    // MARK: The end of the process

    /// Before the drain: whoever asks is told to send no more calls.
    package func announceLeaving() { self.state.withLock { $0.isLeaving = true } }

    /// Phase one of leaving: no new calls. Those that live go on.
    package func drain() { self.state.withLock { $0.isDraining = true } }

    /// Phase three: hands the calls that are left to their fallback, with a sentence.
    package func handOverRemaining() {
        for live in self.depart(.handingOver) {
            live.loop.execute { live.call.value.call?.handOver() }
        }
    }

    /// The last phase: ends every call that is left, at once and in silence, so that each has its record. Its dialplan
    /// goes on to the fallback.
    package func endRemaining() {
        for live in self.depart(.gone) {
            live.loop.execute { live.call.value.call?.abandon(.draining) }
        }
    }

    /// In one step: a call that begins meanwhile either is among those returned, begun, or sees the departure itself.
    private func depart(_ departure: Departure) -> [Live] {
        self.state.withLock { state in
            state.departure = departure
            return Array(state.live.values)
        }
    }

    /// The tenant's calls that live on this node, and where.
    func live(of tenant: TenantID) -> [Live] {
        self.state.withLock { state in state.live.values.filter { $0.tenant == tenant } }
    }

    /// Ends one call of one tenant, as an operator asks. False: that tenant has no such call.
    package func end(_ call: CallID, of tenant: TenantID, _ termination: CallTermination) -> Bool {
        guard let live = self.state.withLock({ $0.live[call] }), live.tenant == tenant else { return false }
        live.loop.execute { live.call.value.call?.end(termination) }
        return true
    }
}

/// No tool beside the conversation's own: each is answered at once, so that the assistant can say so.
package struct NoTools: ToolRunning {
    package init() {}
    package func run(_ call: ToolCall, identity: CallIdentity) -> ToolAnswer {
        ToolAnswer(Redacted("{\"error\":\"this tool is not available\"}"), .refused)
    }
}

/// Works out how a call is to go from the assistant's configuration.
package protocol CallPlanning: Sendable {
    func plan(for assistant: Assistant, in entry: AssistantDirectory.Entry) -> CallPlan
    /// The back ends that the assistant is meant to speak by: without the last resort that every call has.
    func backEnds(of assistant: Assistant) -> [String]
}
