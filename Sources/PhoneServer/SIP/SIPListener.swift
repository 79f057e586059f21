import Networking
import Observability
import RTPMedia
import Records
import SIPSignalling
import Synchronization
import Telephony

/// What the SIP side is told at its start.
package struct SIPListenerConfiguration: Sendable {
    /// Pairs of ports for RTP and RTCP.
    package var ports: DatagramPorts
    package var jitter = JitterBuffer.Limits.standard
    /// What the switch is told when the ports are bound to every address of the machine: where it finds the SIP listener.
    package var reachable: SocketAddress?
    package init(ports: DatagramPorts) { self.ports = ports }

    /// The address for `c=`. Every address (0.0.0.0, `::`) is none that anybody could send to, and there it means hold
    /// (RFC 2543 §B.5; RFC 3264 §8.4 keeps the reading).
    func announced(_ bound: SocketAddress) -> SocketAddress {
        guard bound.isWildcard, let reachable = self.reachable else { return bound }
        return reachable.with(port: bound.port)
    }
}

/// Takes SIP's invitations and turns them into calls, each on one of the loops.
///
/// Who calls whom is read from the request URI, which the peer's dialplan writes: its user is the dialed number, its
/// parameters `tenant`, `assistant` and `call` (the caller's channel) are ids, as in
/// `sofia/internal/8000@127.0.0.1:5090;tenant=${domain_uuid};call=${uuid}`. Headers are never believed: a caller can send
/// any, and a switch may copy them; `X-Pronto-Token` counts when its signature does, and then its ids do.
package final class SIPListener: Sendable {
    private let gateway: Gateway
    private let group: EventLoopGroup
    private let configuration: SIPListenerConfiguration
    private let desks = SIPDesks()

    package init(gateway: Gateway, group: EventLoopGroup, configuration: SIPListenerConfiguration) {
        self.gateway = gateway
        self.group = group
        self.configuration = configuration
        for loop in group.loops {
            self.desks.add(
                LoopBound(
                    sending: SIPDesk(gateway: gateway, loop: loop, configuration: configuration, desks: self.desks),
                    on: loop))
        }
    }

    /// How many calls the range of ports holds; said at start.
    package var capacity: Int { self.configuration.ports.capacity }

    /// On SIP's thread: only passes on. A call that lives is served on its loop; one that only a token names is passed on
    /// by the desk that has read it.
    @Sendable package func invited(_ invitation: SIPInvitation) {
        let named = invitation.request.parameters["call"].flatMap { CallID($0) }.flatMap { self.gateway.live($0) }
        self.desks.pass(invitation, to: named?.loop ?? self.group.next())
    }
}

/// The desks of all loops.
final class SIPDesks: Sendable {
    private let desks = Mutex<[LoopBound<SIPDesk>]>([])

    func add(_ desk: LoopBound<SIPDesk>) { self.desks.withLock { $0.append(desk) } }

    func pass(_ invitation: SIPInvitation, to loop: EventLoop) {
        let desk = self.desks.withLock { desks in desks.first { $0.loop === loop } }
        guard let desk else { preconditionFailure("A loop of another group has no desk") }
        loop.execute { desk.value.take(invitation) }
    }
}

/// One loop's invitations. Confined to it.
final class SIPDesk {
    private let gateway: Gateway
    private let loop: EventLoop
    private let configuration: SIPListenerConfiguration
    private let reception: CallReception
    private let clock: FrameClock
    /// Weak: they keep this desk.
    private weak var desks: SIPDesks?

    init(gateway: Gateway, loop: EventLoop, configuration: SIPListenerConfiguration, desks: SIPDesks) {
        self.gateway = gateway
        self.desks = desks
        self.loop = loop
        self.configuration = configuration
        self.reception = CallReception(gateway: gateway, loop: loop)
        self.clock = FrameClock(on: loop)
    }

    /// Whose call it is, as far as the invitation says.
    private struct Ids {
        var hints = AssistantHints()
        var call: CallID?
        var route: RouteID?
    }

    func take(_ invitation: SIPInvitation) {
        guard var ids = self.ids(of: invitation) else {
            return self.reject(invitation, SIPRejection(.forbidden), "token")
        }
        if let call = ids.call, let live = self.gateway.live(call),
            ids.hints.tenant == nil || ids.hints.tenant == live.tenant
        {
            // A call that lives: who answers was decided long ago.
            return self.takeOver(invitation, live)
        }
        guard !self.gateway.isDraining else { return self.reject(invitation, .draining(), "draining") }
        // The outbound socket of this very channel waits: it has said who answers.
        if let call = ids.call, let offer = self.gateway.peekOffer(of: call) {
            ids.hints.tenant = offer.identity.tenant
            ids.hints.assistant = offer.identity.assistant
        }
        if ids.hints.assistant == nil, let route = ids.route {
            ids.hints.assistant = self.gateway.directory.assistant(by: route, of: ids.hints.tenant)
        }
        if ids.hints.tenant == nil, ids.hints.assistant == nil { ids.hints.tenant = self.gateway.directory.onlyTenant }
        switch self.gateway.directory.choose(ids.hints) {
        case .failure(let error): self.reject(invitation, SIPRejection(.notFound), error.slug)
        case .success(let chosen): self.admit(invitation, ids, chosen.entry, chosen.assistant, chosen.basis)
        }
    }

    /// Nil: a token that does not hold, or two of them.
    private func ids(of invitation: SIPInvitation) -> Ids? {
        var ids = Ids()
        let parameters = invitation.request.parameters
        ids.hints.tenant = parameters["tenant"].flatMap { TenantID($0) }
        ids.hints.assistant = parameters["assistant"].flatMap { AssistantID($0) }
        ids.call = parameters["call"].flatMap { CallID($0) }
        ids.route = parameters["route"].flatMap { RouteID($0) }
        let user = invitation.request.user.value
        if isUUID(user) { ids.hints.firstID = user.lowercased() } else if !user.isEmpty { ids.hints.dialed = user }
        switch invitation.headers.value("X-Pronto-Token") {
        case .absent: return ids
        case .ambiguous: return nil
        case .one(let text):
            guard let verify = self.gateway.configuration.verifyToken,
                case .success(let token) = verify(text.value, ids.hints.tenant, ids.call)
            else { return nil }
            ids.hints.tenant = token.tenant
            ids.hints.assistant = token.assistant ?? ids.hints.assistant
            ids.call = token.call
            ids.route = token.route
            return ids
        }
    }

    private func admit(
        _ invitation: SIPInvitation, _ ids: Ids, _ entry: AssistantDirectory.Entry, _ assistant: Assistant,
        _ basis: AssistantDirectory.Basis
    ) {
        let call = ids.call ?? CallID.random()
        var identity = CallIdentity(
            call: call, tenant: entry.tenant.id, assistant: assistant.id, assistantName: assistant.name)
        let caller = invitation.caller
        if !caller.isWithheld, !caller.number.value.isEmpty { identity.caller = caller.number }
        identity.dialed = ids.hints.dialed.map { Redacted($0) }
        identity.overrides = ids.route.flatMap { self.gateway.directory.overrides(by: $0, of: entry.tenant.id) }
        if ids.call != nil, isUUID(call.text) { identity.channel = call }
        guard let media = self.takePorts() else { return self.rejectForPorts(invitation) }
        let slot = LoopBound(CallSlot(), on: self.loop)
        switch self.gateway.admit(identity.call, of: identity.tenant, on: self.loop, slot) {
        case .draining:
            media.release()
            self.reject(invitation, .draining(), "draining")
        case .full:
            media.release()
            self.reject(invitation, .full(), "full")
        case .alive(let tenant, let owner, let live):
            media.release()
            guard tenant == identity.tenant else {
                return self.reject(invitation, SIPRejection(.busy), "call-exists")
            }
            self.takeOver(invitation, .init(tenant: tenant, loop: owner, call: live))
        case .admitted:
            self.gateway.claim(identity, on: self.loop) { [self] claim in
                if let refusal = self.gateway.refusal(of: claim, identity) {
                    self.gateway.dismiss(identity.call)
                    media.release()
                    let rejection: SIPRejection = refusal == .full ? .full() : SIPRejection(.busy)
                    return self.reject(invitation, rejection, refusal.slug)
                }
                self.answer(invitation, media) { [self] leg in
                    self.reception.begin(identity, entry, assistant, basis, leg, slot)
                } failed: { [gateway] in
                    gateway.dismiss(identity.call)
                }
            }
        }
    }

    /// The caller is back, or the peer has replaced a leg that was lost.
    private func takeOver(_ invitation: SIPInvitation, _ live: Gateway.Live) {
        if live.loop !== self.loop, let desks = self.desks { return desks.pass(invitation, to: live.loop) }
        guard live.loop === self.loop, let shell = live.call.value.call, shell.mayBeTakenOver else {
            return self.reject(invitation, SIPRejection(.busy), "call-exists")
        }
        guard let media = self.takePorts() else { return self.rejectForPorts(invitation) }
        let slot = live.call
        self.answer(invitation, media) { leg in
            guard let shell = slot.value.call else { return leg.close(.noSuchCall) }
            shell.takeOver(leg)
        } failed: {
        }
    }

    private func rejectForPorts(_ invitation: SIPInvitation) {
        self.gateway.metrics.portsExhausted.increment()
        self.reject(invitation, SIPRejection(.serviceUnavailable, retryAfter: .seconds(5)), "no-ports")
    }

    /// Answers; `begin` gets the leg as soon as both ends know the media: at once, unless the invitation offered nothing.
    private func answer(
        _ invitation: SIPInvitation, _ media: Media, begin: @escaping (RTPLeg) -> Void, failed: @escaping () -> Void
    ) {
        let relay = SIPDialogRelay(invitation.dialog, on: self.loop)
        let limits = self.configuration.jitter
        let clock = self.clock
        let loop = self.loop
        func makeLeg(_ agreement: MediaAgreement) -> RTPLeg {
            let leg = RTPLeg(
                dialog: invitation.dialog, relay: relay, agreement: agreement, peerHost: invitation.source.host,
                sockets: (media.rtp, media.rtcp), limits: limits, clock: clock, on: loop)
            leg.onClose = media.giveBack
            return leg
        }
        invitation.dialog.accept(
            LocalMedia(
                address: self.configuration.announced(media.rtp.address), rtcpPort: media.rtcp.address.port))
        if let agreement = invitation.agreement { return begin(makeLeg(agreement)) }
        relay.onEvent = { event in
            switch event {
            case .confirmed(let agreement):
                relay.onEvent = nil
                begin(makeLeg(agreement))
            case .cancelled, .ended:
                relay.onEvent = nil
                media.release()
                failed()
            default: break
            }
        }
    }

    private func reject(_ invitation: SIPInvitation, _ rejection: SIPRejection, _ slug: String) {
        self.gateway.metrics.refused()
        self.gateway.logger.warning(
            "SIP call refused", ["sip.status": .integer(Int(rejection.status.code)), "refusal.reason": .string(slug)])
        invitation.dialog.reject(rejection)
    }

    // MARK: Ports

    /// A bound pair: RTP on the even port, RTCP above it.
    private struct Media {
        var rtp: UDPSocket
        var rtcp: UDPSocket
        var giveBack: () -> Void
        func release() {
            self.rtp.close()
            self.rtcp.close()
            self.giveBack()
        }
    }

    private func takePorts() -> Media? {
        let ports = self.configuration.ports
        // Bounded: what another program has rests, and the next pair is another.
        for _ in 0..<8 {
            guard let (port, rtp) = ports.bind(on: self.loop, reading: .byOwner) else { return nil }
            do throws(ListenError) {
                let rtcp = try UDPSocket(rtp.address.with(port: port + 1), on: self.loop)
                return Media(rtp: rtp, rtcp: rtcp) { ports.giveBack(port) }
            } catch {
                rtp.close()
                ports.giveBack(port)
            }
        }
        return nil
    }
}
