import Foundation
import Networking
import Records
import Routing
import Telephony

/// What the dialplan asks before it answers: whether the AI takes this call, which agent, and who does otherwise.
///
/// `GET /api/voip/ai-routing` (requirements 2) answers JSON, `GET /api/freeswitch/ai-routing` (requirements 1)
/// `KEY=value` lines that `freeswitch/scripts/ai_routing.lua` reads. Both decide from memory, by the same table; nothing
/// of an answer waits for a database. What may take time is who asks (a token, a shared rate limit): after `budget` the
/// call is a human's. "AI" is only said while this node takes calls and something behind it can speak.
package struct RoutingDesk: Sendable {
    /// PRONTO_AI_ROUTING: one answer for every call, while nobody has a row.
    package struct Single: Sendable {
        package var isAI: Bool
        package init(isAI: Bool) { self.isAI = isAI }
    }

    /// Whether somebody may ask.
    package enum Verdict: Sendable {
        case asker(Asker)
        case unauthenticated(String)
        case forbidden(String)
        case tooMany(retryAfter: Duration)
        /// Nobody can say now.
        case unavailable
    }

    /// An answer that was given, for the log and the metrics.
    package struct Report: Sendable {
        package var tenant: TenantID?
        package var call: CallID?
        package var trunk: String?
        package var did: String?
        package var reason: RoutingReason
        package var isAI: Bool
        package var route: RouteID?
        package var agent: AssistantID?
        package var latency: Duration
    }

    package var table: @Sendable () -> RoutingTable
    package var single: Single?
    /// An extension of the dialplan, where neither row nor tenant names one.
    package var failover: String
    /// Where streams go: `ws://127.0.0.1:8085`, without a path.
    package var streamBase: String
    /// The tenant of questions that name none, for the single answer.
    package var onlyTenant: @Sendable () -> TenantID?
    /// Nil: this node can serve the tenant (and the agent); else why not.
    package var refusal: @Sendable (TenantID, RoutedAgent?) -> RoutingReason?
    /// The assistant as it would answer this call.
    package var assistant: @Sendable (RoutedAgent, TenantID) -> Assistant?
    /// A token for the call; nil: no keys are set.
    package var token: @Sendable (TenantID, CallID, AssistantID?, RouteID?) -> String?
    /// Tells who asks, at once or later, on whatever thread; once.
    package var who: @Sendable (HTTPRequest, @escaping @Sendable (Verdict) -> Void) -> Void
    package var report: @Sendable (Report) -> Void
    package var now: @Sendable () -> Date
    package var budget: Duration
    /// Counts a question about a tenant, whoever asks; nil: go on, else how long to wait. From memory: calls wait for it.
    package var wait: @Sendable (TenantID) -> Duration? = { _ in nil }

    package init(
        table: @escaping @Sendable () -> RoutingTable, single: Single?, failover: String, streamBase: String,
        budget: Duration, onlyTenant: @escaping @Sendable () -> TenantID?,
        refusal: @escaping @Sendable (TenantID, RoutedAgent?) -> RoutingReason?,
        assistant: @escaping @Sendable (RoutedAgent, TenantID) -> Assistant?,
        token: @escaping @Sendable (TenantID, CallID, AssistantID?, RouteID?) -> String?,
        who: @escaping @Sendable (HTTPRequest, @escaping @Sendable (Verdict) -> Void) -> Void,
        report: @escaping @Sendable (Report) -> Void = { _ in }, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.table = table
        self.single = single
        self.failover = failover
        self.streamBase = streamBase
        self.budget = budget
        self.onlyTenant = onlyTenant
        self.refusal = refusal
        self.assistant = assistant
        self.token = token
        self.who = who
        self.report = report
        self.now = now
    }

    /// Who may ask while there is nothing but addresses: the installation's own switch. A proxy's word is nobody's.
    package static func peers(
        _ isTrusted: @escaping @Sendable (SocketAddress) -> Bool
    ) -> @Sendable (HTTPRequest, @escaping @Sendable (Verdict) -> Void) -> Void {
        { request, done in
            guard isTrusted(request.peer), !request.isForwarded else {
                return done(
                    .unauthenticated("This address may not ask: PRONTO_ALLOWED_PEERS, and no proxy in between."))
            }
            done(
                .asker(
                    Asker(scope: .installation, role: .viewer, credential: .peer, client: "\(request.peer.host)")))
        }
    }

    /// Peers as `peers` has them; everybody else by the API's own gate: a token of the tenant or of the installation, and
    /// not more questions than its client may ask. What is asked about one tenant is counted by `wait`.
    package static func gated(
        _ gate: APIGate, peers isTrusted: @escaping @Sendable (SocketAddress) -> Bool
    ) -> @Sendable (HTTPRequest, @escaping @Sendable (Verdict) -> Void) -> Void {
        let peers = Self.peers(isTrusted)
        return { request, done in
            // Without a credential nothing has to be looked up; a wrong one is refused, wherever it comes from.
            guard request.headers.contains("Authorization") else { return peers(request, done) }
            let now = EventLoop.freshNow()
            // Ends by itself: the gate's questions have deadlines of their own, and the desk does not wait for it.
            Task {
                do throws(APIProblem) {
                    done(.asker(try await gate.asker(of: request, takesRoutingOnly: true, at: now)))
                } catch {
                    switch error.status {
                    case 401: done(.unauthenticated(error.detail))
                    case 429: done(.tooMany(retryAfter: .seconds(error.retryAfter ?? 1)))
                    case 403: done(.forbidden(error.detail))
                    // Who asks cannot be found out: what follows is what follows silence.
                    default: done(.unavailable)
                    }
                }
            }
        }
    }

    package enum Form: Sendable {
        case json, text

        package static func of(_ path: Substring) -> Form? {
            switch path {
            case "/api/voip/ai-routing": .json
            case "/api/freeswitch/ai-routing": .text
            default: nil
            }
        }
    }

    /// One question on its way to its answer. Confined to the loop of its connection.
    private final class Pending {
        let request: HTTPRequest
        let form: Form
        let began: Duration
        var responder: HTTPResponder?
        var timer: TimerID?

        init(_ request: HTTPRequest, _ form: Form, _ responder: HTTPResponder) {
            self.request = request
            self.form = form
            self.responder = responder
            self.began = EventLoop.freshNow()
        }
    }

    /// Answers, within the budget, on the responder's loop.
    package func handle(_ request: HTTPRequest, as form: Form, _ responder: HTTPResponder) {
        let loop = responder.loop
        guard request.method == "GET" || request.method == "HEAD" else {
            var problem = APIProblem(
                405, "method", "The path does not take this method", detail: "It takes GET and HEAD.")
            problem.allow = "GET, HEAD"
            return responder.respond(problem.response)
        }
        let pending = Pending(request, form, responder)
        let bound = LoopBound(pending, on: loop)
        self.who(request) { verdict in
            if loop.isIsolatingCurrentContext() == true {
                self.finish(bound.value, verdict)
            } else {
                loop.execute { self.finish(bound.value, verdict) }
            }
        }
        guard pending.responder != nil else { return }
        pending.timer = loop.schedule(after: self.budget) {
            pending.timer = nil
            self.finish(pending, nil)
        }
    }

    private func finish(_ pending: Pending, _ verdict: Verdict?) {
        guard let responder = pending.responder else { return }
        pending.responder = nil
        if let timer = pending.timer { responder.loop.cancel(timer) }
        let parameters = RoutingParameters(pending.request.query)
        var answer = self.answer(parameters, verdict)
        // The loop itself was late: whoever asked has gone on by now.
        if answer.decision.isAI, EventLoop.freshNow() - pending.began > self.budget { answer.refuse(.overBudget) }
        responder.respond(pending.form == .json ? self.json(answer) : self.text(answer))
        self.report(
            Report(
                tenant: answer.decision.tenant, call: parameters.call, trunk: parameters.trunk, did: parameters.did,
                reason: answer.decision.reason, isAI: answer.decision.isAI, route: answer.decision.route,
                agent: answer.decision.agent?.id, latency: EventLoop.freshNow() - pending.began))
    }

    /// A decision and what is said of it.
    struct Answer {
        var decision: RoutingDecision
        var parameters: RoutingParameters
        /// Instead of an answer, on the JSON route.
        var refusal: (status: Int, detail: String)?
        var retryAfter: Duration?

        mutating func refuse(_ reason: RoutingReason) {
            self.decision.reason = reason
            self.decision.agent = nil
        }

        mutating func postpone(_ pause: Duration) {
            self.refuse(.rateLimited)
            self.refusal = (429, "Too many questions: ask again later.")
            self.retryAfter = pause
        }
    }

    /// - Parameter verdict: nil: nobody could say in time who asks.
    func answer(_ parameters: RoutingParameters, _ verdict: Verdict?) -> Answer {
        var answer = Answer(decision: RoutingDecision(reason: .notPermitted), parameters: parameters)
        switch verdict {
        case nil: answer.refuse(.overBudget)
        case .unavailable?: answer.refuse(.notReady)
        case .unauthenticated(let detail)?: answer.refusal = (401, detail)
        case .forbidden(let detail)?: answer.refusal = (403, detail)
        case .tooMany(let pause)?:
            answer.postpone(pause)
        case .asker(let asker)?: self.decide(&answer, asker)
        }
        return answer
    }

    private func decide(_ answer: inout Answer, _ asker: Asker) {
        let parameters = answer.parameters
        let table = self.table()
        var question = RoutingQuestion(
            tenant: parameters.tenant, domain: parameters.domain, trunk: parameters.trunk, store: parameters.store,
            did: parameters.did, at: parameters.at ?? self.now())
        // Whose the question is, before anything of an answer is looked up.
        if let own = asker.tenant, question.tenant == nil { question.tenant = own }
        if let trunk = asker.trunk, question.trunk == nil { question.trunk = trunk }
        let isOwn = question.tenant.map { asker.permits($0) } ?? (asker.scope == .installation)
        guard isOwn, asker.permits(trunk: question.trunk) else {
            answer.refusal = (403, "This token is for another tenant or trunk.")
            return
        }
        if table.isEmpty, let single = self.single {
            self.decideAlone(&answer, single, question)
        } else {
            answer.decision = table.decide(question)
        }
        guard parameters.problems.isEmpty else {
            answer.refuse(.badParameter)
            let names = parameters.problems.map { "\($0.name): \($0.repair)" }.joined(separator: "; ")
            answer.refusal = (400, names)
            return
        }
        if answer.decision.reason == .unknownTenant {
            if asker.tenant != nil {
                // Another tenant's domain and nobody's are one to it.
                answer.decision = RoutingDecision(reason: .notPermitted)
                answer.refusal = (403, "This token is for another tenant or trunk.")
            } else if question.tenant == nil, question.domain == nil {
                answer.refusal = (400, "sip_domain: is missing, and neither trunk_id nor did is one tenant's only")
            } else {
                answer.refusal = (404, "sip_domain: no such tenant; see: pronto tenant list")
            }
        }
        guard let tenant = answer.decision.tenant else { return }
        if let pause = self.wait(tenant) { return answer.postpone(pause) }
        guard answer.decision.isAI else { return }
        if let reason = self.refusal(tenant, answer.decision.agent) { answer.refuse(reason) }
    }

    private func decideAlone(_ answer: inout Answer, _ single: Single, _ question: RoutingQuestion) {
        let table = self.table()
        if let owner = table.owner(of: question) {
            let reason: RoutingReason = single.isAI ? .configured : .switchedOff
            answer.decision = RoutingDecision(reason: owner.isEnabled ? reason : .tenantDisabled, tenant: owner.tenant)
            answer.decision.fallback = owner.fallback
            return
        }
        // A tenant that is named, and that nobody knows, is not "the only one that there is".
        guard question.tenant == nil, question.domain == nil, let tenant = self.onlyTenant() else {
            return answer.refuse(.unknownTenant)
        }
        answer.decision = RoutingDecision(reason: single.isAI ? .configured : .switchedOff, tenant: tenant)
    }
}
