import Conversation
import Foundation
import MediaDialects
import Networking
import Observability
import Records
import Telephony

/// Takes the HTTP requests of the media port and turns them into calls. One a loop; confined to it.
///
/// `GET /health` answers 200 (or 503 while draining). Everything else has to be a WebSocket handshake on one of the
/// stream paths; what is refused is refused before the upgrade, in words that say the repair.
package final class PhoneListener {
    private let gateway: Gateway
    private let loop: EventLoop
    /// On the proxy's listener `peer` is the proxy: a token is always needed.
    private let isBehindProxy: Bool
    private let reception: CallReception

    package init(gateway: Gateway, loop: EventLoop, isBehindProxy: Bool = false) {
        self.gateway = gateway
        self.loop = loop
        self.isBehindProxy = isBehindProxy
        self.reception = CallReception(gateway: gateway, loop: loop)
    }

    package func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        if request.path == "/health", !request.isWebSocketUpgrade {
            self.health(responder)
            return
        }
        if request.path == "/health" {
            // Older consoles open a WebSocket here and expect a normal close (field.md §3.1).
            responder.upgradeToWebSocket()?.close(code: 1000, reason: "healthy")
            return
        }
        let stream: StreamRequest
        do {
            stream = try StreamRequest(target: request.target)
        } catch {
            self.refuse(responder, error.status, error.sentence, slug: "request")
            return
        }
        guard request.isWebSocketUpgrade else {
            let response = HTTPResponse(
                status: 426, headers: ["Upgrade": "websocket", "Content-Type": "text/plain; charset=utf-8"],
                body: Array("This path takes a WebSocket handshake.\n".utf8))
            responder.respond(response)
            return
        }
        self.open(stream, request, responder)
    }

    private func health(_ responder: HTTPResponder) {
        let isDraining = self.gateway.isLeaving
        let status = isDraining ? "draining" : "healthy"
        responder.respond(
            HTTPResponse(
                status: isDraining ? 503 : 200,
                text:
                    "{\"status\":\"\(status)\",\"service\":\"pronto\",\"active_sessions\":\(self.gateway.liveCalls)}\n",
                type: "application/json"))
    }

    private func refuse(_ responder: HTTPResponder, _ status: Int, _ sentence: String, slug: String) {
        self.gateway.metrics.refused()
        self.gateway.logger.warning(
            "Connection refused", ["http.status": .integer(status), "refusal.reason": .string(slug)])
        var headers: HTTPHeaders = ["Content-Type": "text/plain; charset=utf-8"]
        if status == 503 { headers.add("Retry-After", "5") }
        if status == 401 { headers.add("WWW-Authenticate", "Bearer") }
        responder.respond(HTTPResponse(status: status, headers: headers, body: Array((sentence + "\n").utf8)))
    }

    // MARK: Who may speak to us (design §8a)

    private enum Entry {
        case trusted
        case token(VerifiedToken)
        case refused(slug: String)
    }

    private func authenticate(_ stream: StreamRequest, _ request: HTTPRequest) -> Entry {
        let text =
            request.headers["X-Pronto-Token"] ?? Self.bearer(request.headers["Authorization"])
            ?? stream.metadata.token?.value
        if let text {
            guard let verify = self.gateway.configuration.verifyToken else {
                return .refused(slug: "no-token-keys-configured")
            }
            // `/stream/{id}`: the id may be the assistant's, so the tenant is compared after the choice.
            switch verify(text, stream.metadata.tenant, stream.metadata.call) {
            case .success(let token): return .token(token)
            case .failure(let refusal): return .refused(slug: "token-\(refusal.slug)")
            }
        }
        if self.gateway.configuration.acceptsAnybody { return .trusted }
        if self.isBehindProxy { return .refused(slug: "proxy-listener-needs-token") }
        if request.isForwarded { return .refused(slug: "forwarded-needs-token") }
        guard self.gateway.configuration.isTrustedPeer(request.peer) else { return .refused(slug: "peer-not-allowed") }
        return .trusted
    }

    private static func bearer(_ header: String?) -> String? {
        guard let header, header.lowercased().hasPrefix("bearer ") else { return nil }
        return String(header.dropFirst(7))
    }

    // MARK: From a request to a call

    private func open(_ asked: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder) {
        var stream = asked
        var hints = AssistantHints()
        switch self.authenticate(stream, request) {
        case .refused(let slug):
            self.refuse(
                responder, 401,
                "Not authenticated: come from an allowed peer (PRONTO_ALLOWED_PEERS) without a proxy, or send a valid "
                    + "X-Pronto-Token (pronto token issue).", slug: slug)
            return
        case .token(let token):
            hints.tenant = token.tenant
            hints.assistant = token.assistant
            // The address is the bearer's word, the token the issuer's.
            stream.routing = token.route
            // A path without a call id must not turn a token for one call into one for any.
            stream.metadata.call = stream.metadata.call ?? token.call
        case .trusted: break
        }
        switch stream.route {
        case .stream(let first):
            // A token's tenant must be the path's, where the path names a tenant.
            if let tenant = hints.tenant, let path = TenantID(first), self.gateway.directory.entry(of: path) != nil,
                path != tenant
            {
                self.refuse(responder, 403, "The token is for another tenant.", slug: "token-other-tenant")
                return
            }
            hints.firstID = first
        case .realtime(let name):
            // Document 2's path may carry the tenant's name.
            if stream.metadata.tenant == nil { stream.metadata.tenant = self.gateway.directory.tenant(named: name) }
            if let tenant = hints.tenant, let path = stream.metadata.tenant, path != tenant {
                self.refuse(responder, 403, "The token is for another tenant.", slug: "token-other-tenant")
                return
            }
        case .gateway: break
        }
        if hints.tenant == nil { hints.tenant = stream.metadata.tenant }
        if hints.assistant == nil { hints.assistant = stream.metadata.assistant }
        if hints.assistant == nil, let route = stream.routing {
            hints.assistant = self.gateway.directory.assistant(by: route, of: hints.tenant)
        }
        hints.assistantName = stream.metadata.assistantName
        hints.dialed = stream.metadata.dialed?.value
        if hints.assistant == nil { hints.assistant = Self.assistantHeader(request) }
        if let call = stream.metadata.call, let live = self.gateway.live(call), self.tenant(of: hints) == live.tenant {
            // A connection of a call that lives: who answers was decided long ago.
            self.takeOver(live.loop, live.call, stream, request, responder)
            return
        }
        self.choose(hints, stream, request, responder, mayAsk: true)
    }

    private func tenant(of hints: AssistantHints) -> TenantID? {
        if let tenant = hints.tenant { return tenant }
        if let id = hints.assistant ?? hints.firstID.flatMap({ AssistantID($0) }),
            let owner = self.gateway.directory.owner(of: id)
        {
            return owner
        }
        return hints.firstID.flatMap { TenantID($0) }
    }

    private static func assistantHeader(_ request: HTTPRequest) -> AssistantID? {
        request.headers["X-Pronto-Assistant"].flatMap { AssistantID($0) }
    }

    private func choose(
        _ hints: AssistantHints, _ stream: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder,
        mayAsk: Bool
    ) {
        switch self.gateway.directory.choose(hints) {
        case .success(let chosen):
            var stream = stream
            stream.metadata.dialed = stream.metadata.dialed ?? hints.dialed.map { Redacted($0) }
            self.admit(chosen, stream, request, responder)
        case .failure(.ambiguous) where mayAsk && self.canAsk(stream, hints):
            self.askChannel(hints, stream, request, responder)
        case .failure(.ambiguous):
            self.awaitMetadata(hints, stream, request, responder)
        case .failure(let error):
            self.refuse(responder, 404, error.message, slug: error.slug)
        }
    }

    private func canAsk(_ stream: StreamRequest, _ hints: AssistantHints) -> Bool {
        (self.control(of: hints)?.isAvailable ?? false) && stream.metadata.call.map { isUUID($0.text) } ?? false
    }

    private func control(of hints: AssistantHints) -> (any CallControl)? {
        self.tenant(of: hints).flatMap { self.gateway.control(for: $0) }
    }

    /// The tenant has several assistants: the channel's own variables say which (half a second at most; FreeSWITCH's
    /// module gives up on a handshake after two).
    private func askChannel(
        _ hints: AssistantHints, _ stream: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder
    ) {
        guard let control = self.control(of: hints), let call = stream.metadata.call else { return }
        let state = LoopBound((self, responder), on: self.loop)
        control.variables(["secretary_uuid", "destination_number"], of: call) { values in
            state.loop.execute {
                let (listener, responder) = state.value
                var hints = hints
                hints.channelAssistant = values["secretary_uuid"].flatMap { AssistantID($0.value) }
                hints.dialed = hints.dialed ?? values["destination_number"]?.value
                listener.choose(hints, stream, request, responder, mayAsk: false)
            }
        }
    }

    /// The last source but one: the metadata text, which a module may lose (freeswitch.md §3.2).
    private func awaitMetadata(
        _ hints: AssistantHints, _ stream: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder
    ) {
        if self.gateway.isDraining {
            self.refuse(responder, 503, "This node is draining; use the fallback.", slug: "draining")
            return
        }
        guard let (socket, dialect) = self.upgrade(stream, request, responder) else { return }
        let waiting = WaitingLeg(WebSocketLeg(socket: socket, dialect: dialect, now: self.loop.now), loop: self.loop)
        waiting.begin { [self] metadata, leg in
            var hints = hints
            hints.assistant = hints.assistant ?? metadata?.assistant
            hints.assistantName = hints.assistantName ?? metadata?.assistantName
            hints.dialed = hints.dialed ?? metadata?.dialed?.value
            guard case .success(let chosen) = self.gateway.directory.choose(hints) else {
                self.gateway.metrics.refused()
                self.gateway.logger.warning("Connection refused", ["refusal.reason": .string("ambiguous")])
                leg.close(.noAssistant)
                return
            }
            var identity = self.identity(chosen, stream)
            identity.caller = identity.caller ?? metadata?.caller
            let bound = LoopBound(CallSlot(), on: self.loop)
            guard case .admitted = self.gateway.admit(identity.call, of: identity.tenant, on: self.loop, bound) else {
                leg.close(.tryLater)
                return
            }
            self.gateway.claim(identity, on: self.loop) { claim in
                let refusal =
                    self.gateway.refusal(of: claim, identity)?.slug
                    ?? (self.gateway.lacksControl(identity) ? "event-socket-down" : nil)
                if let refusal {
                    self.gateway.dismiss(identity.call)
                    self.gateway.metrics.refused()
                    self.gateway.logger.warning("Connection refused", ["refusal.reason": .string(refusal)])
                    leg.close(.tryLater)
                    return
                }
                // The other nodes were asked, and nobody has listened to the socket meanwhile.
                guard leg.socket.isOpen else {
                    self.gateway.dismiss(identity.call)
                    self.gateway.logger.info(
                        "The caller hung up before the call began", ["call.id": .string(identity.call.text)])
                    leg.close(.callEnded)
                    return
                }
                self.reception.begin(identity, chosen.entry, chosen.assistant, chosen.basis, leg, bound)
                if let metadata { bound.value.call?.learned(metadata) }
            }
        }
    }

    private func identity(_ chosen: AssistantDirectory.Choice, _ stream: StreamRequest) -> CallIdentity {
        let tenant = chosen.entry.tenant.id
        let call = stream.metadata.call ?? CallID.random()
        var identity = CallIdentity(
            call: call, tenant: tenant, assistant: chosen.assistant.id, assistantName: chosen.assistant.name)
        identity.caller = stream.metadata.caller
        identity.dialed = stream.metadata.dialed
        identity.overrides =
            stream.routing.flatMap { self.gateway.directory.overrides(by: $0, of: tenant) } ?? chosen.overrides
        if isUUID(call.text), stream.metadata.call != nil { identity.channel = call }
        identity.isNamedByUs = stream.metadata.call == nil
        return identity
    }

    private func admit(
        _ chosen: AssistantDirectory.Choice, _ stream: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder
    ) {
        let identity = self.identity(chosen, stream)
        let bound = LoopBound(CallSlot(), on: self.loop)
        switch self.gateway.admit(identity.call, of: identity.tenant, on: self.loop, bound) {
        case .draining:
            self.refuse(responder, 503, "This node is draining; use the fallback.", slug: "draining")
        case .full:
            self.refuse(responder, 503, "No room for another call; use the fallback.", slug: "full")
        case .alive(let tenant, let owner, let call):
            guard tenant == identity.tenant else {
                self.refuse(responder, 409, "That call is in progress.", slug: "call-exists")
                return
            }
            self.takeOver(owner, call, stream, request, responder)
        case .admitted:
            self.gateway.claim(identity, on: self.loop) { [self] claim in
                if let refusal = self.gateway.refusal(of: claim, identity) {
                    self.gateway.dismiss(identity.call)
                    return self.refuse(responder, refusal)
                }
                guard !self.gateway.lacksControl(identity) else {
                    self.gateway.dismiss(identity.call)
                    return self.refuse(
                        responder, 503, "The switch's Event Socket is down; use the fallback.",
                        slug: "event-socket-down")
                }
                guard let (socket, dialect) = self.upgrade(stream, request, responder) else {
                    self.gateway.dismiss(identity.call)
                    return
                }
                let leg = WebSocketLeg(socket: socket, dialect: dialect, now: self.loop.now)
                self.reception.begin(identity, chosen.entry, chosen.assistant, chosen.basis, leg, bound)
            }
        }
    }

    private func refuse(_ responder: HTTPResponder, _ refusal: NodeRefusal) {
        switch refusal {
        case .full: self.refuse(responder, 503, "No room for another call; use the fallback.", slug: refusal.slug)
        case .elsewhere:
            self.refuse(
                responder, 409, "That call is in progress on another node of this installation.", slug: refusal.slug)
        }
    }

    private func upgrade(
        _ stream: StreamRequest, _ request: HTTPRequest, _ responder: HTTPResponder
    ) -> (WebSocket, any MediaDialect)? {
        let choice: DialectSelection.Choice
        do {
            choice = try self.gateway.configuration.dialects.choose(
                subprotocols: request.subprotocols, request: stream)
        } catch {
            self.refuse(responder, 400, error.sentence, slug: "dialect")
            return nil
        }
        var options = WebSocketOptions()
        options.maximumMessageSize = self.gateway.configuration.maximumPhoneMessage
        // Some seconds of JSON audio at 16 kHz: a phone that reads slower than that will not catch up.
        options.highWaterMark = 256 * 1024
        // A phone whose host vanished sends nothing and closes nothing: only an unanswered ping tells.
        options.pingInterval = .seconds(15)
        guard let socket = responder.upgradeToWebSocket(subprotocol: choice.subprotocol, options: options) else {
            return nil
        }
        return (socket, choice.dialect)
    }

    /// A second connection of a call that lives: it goes on there if the first is gone or silent, else 409.
    private func takeOver(
        _ owner: EventLoop, _ call: LoopBound<CallSlot>, _ stream: StreamRequest, _ request: HTTPRequest,
        _ responder: HTTPResponder
    ) {
        let state = LoopBound((self, responder), on: self.loop)
        owner.execute {
            let mayTakeOver = call.value.call?.mayBeTakenOver ?? false
            state.loop.execute {
                let (listener, responder) = state.value
                guard mayTakeOver else {
                    listener.refuse(
                        responder, 409, "That call has a connection that is alive.", slug: "connection-alive")
                    return
                }
                guard let (socket, dialect) = listener.upgrade(stream, request, responder) else { return }
                if owner === listener.loop {
                    listener.adopt(socket, dialect, call.value)
                } else {
                    socket.move(to: owner) { moved in
                        guard let moved else { return }
                        guard let shell = call.value.call else {
                            moved.close(code: 1001, reason: "call ended")
                            return
                        }
                        shell.takeOver(WebSocketLeg(socket: moved, dialect: dialect, now: owner.now))
                    }
                }
            }
        }
    }

    private func adopt(_ socket: WebSocket, _ dialect: any MediaDialect, _ slot: CallSlot) {
        guard let shell = slot.call else {
            socket.close(code: 1001, reason: "call ended")
            return
        }
        shell.takeOver(WebSocketLeg(socket: socket, dialect: dialect, now: self.loop.now))
    }
}

/// A leg that is upgraded and does not know its assistant yet: waits for the metadata text. The audio until then, a
/// second and a half at most, is nobody's yet and is dropped.
final class WaitingLeg {
    private let leg: WebSocketLeg
    private let loop: EventLoop
    private var done: ((LegMetadata?, WebSocketLeg) -> Void)?
    private var timer: TimerID?

    init(_ leg: WebSocketLeg, loop: EventLoop) {
        self.leg = leg
        self.loop = loop
    }

    /// Calls `done` once: with the metadata, or with nil after a second and a half. Keeps itself alive until then.
    func begin(_ done: @escaping (LegMetadata?, WebSocketLeg) -> Void) {
        self.done = done
        self.leg.socket.onMessage = { kind, message in
            self.leg.received(kind == .text ? .text : .binary, message, at: self.loop.now)
            for event in self.leg.input.events {
                if case .metadata(let metadata) = event { return self.finish(metadata) }
                if case .phone(.hungUp) = event {
                    self.abandon()
                    return self.leg.socket.close(code: 1000, reason: "hung up")
                }
            }
        }
        self.leg.socket.onClose = { _ in self.abandon() }
        self.timer = self.loop.schedule(after: .milliseconds(1500)) { self.finish(nil) }
    }

    private func finish(_ metadata: LegMetadata?) {
        guard let done = self.done else { return }
        self.abandon()
        done(metadata, self.leg)
    }

    private func abandon() {
        self.done = nil
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.leg.socket.onMessage = nil
        self.leg.socket.onClose = nil
    }
}
