import Conversation
import Foundation
import Networking
import Observability
import Records
import Telephony

/// What every way in (WebSocket, SIP, Event Socket) has in common once it is known who answers: the call's plan, its
/// recording and its shell. One a loop.
struct CallReception {
    let gateway: Gateway
    let loop: EventLoop

    /// Makes the call and begins it. Its place in the register (`slot`) has been taken.
    ///
    /// - Parameter control: where the way in brought one of its own (the outbound Event Socket); otherwise the tenant's.
    func begin(
        _ identity: CallIdentity, _ entry: AssistantDirectory.Entry, _ assistant: Assistant,
        _ basis: AssistantDirectory.Basis, _ leg: any PhoneLeg, _ slot: LoopBound<CallSlot>,
        control: (any CallControl)? = nil
    ) {
        let gateway = self.gateway
        // Control that came first, and waits for this leg.
        let offer = control == nil ? gateway.takeOffer(of: identity.call, tenant: identity.tenant) : nil
        var identity = identity
        if let offer {
            identity.channel = offer.identity.channel
            identity.entry = identity.entry ?? offer.identity.entry
            identity.fuse = offer.identity.fuse
            identity.failover = offer.identity.failover
            identity.caller = identity.caller ?? offer.identity.caller
            identity.dialed = identity.dialed ?? offer.identity.dialed
            identity.overrides = identity.overrides ?? offer.identity.overrides
        }
        let control = control ?? offer?.control
        let assistant = identity.overrides?.applied(to: assistant) ?? assistant
        identity.home = entry.tenant.context
        var plan = gateway.plans.plan(for: assistant, in: entry)
        let own = plan.fallback
        plan.fallback = identity.fallback(besides: own)
        let shell = CallShell(
            identity: identity, plan: plan, fallback: own, leg: leg, control: control,
            loop: self.loop, gateway: gateway, recorder: self.recorder(of: identity, assistant, leg), slot: slot)
        gateway.logger.info(
            "Call answered",
            [
                "call.id": .string(identity.call.text), "tenant.id": .string(identity.tenant.text),
                "assistant.id": .string(identity.assistant.text), "assistant.basis": .string(basis.rawValue),
                "leg.dialect": .string(leg.dialect), "leg.uplink": .string(leg.uplink.description),
            ])
        gateway.tellOthers(.began, identity, ["dialect": leg.dialect])
        shell.start()
        // Its place was taken before the drain, and its media comes only now.
        switch gateway.departure {
        case .staying: break
        case .handingOver: shell.handOver()
        case .gone: shell.abandon(.draining)
        }
    }

    /// Why a leg of a controlled channel was not taken.
    struct Refusal {
        var slug: String
        var repair: String
    }

    /// A channel that brings its own control and a leg: its call begins, or goes on where its last leg was lost. `done` is
    /// told why not, or nil: at once, unless the other nodes have to be asked; `isThere` then says whether the channel is
    /// still with us.
    func take(
        _ dial: SwitchDial, chosen: Chosen, _ leg: any PhoneLeg, control: any CallControl,
        isThere: @escaping () -> Bool, done: @escaping (Refusal?) -> Void
    ) {
        let identity = dial.identity(for: chosen, in: self.gateway.directory)
        let slot = LoopBound(CallSlot(), on: self.loop)
        switch self.gateway.admit(identity.call, of: identity.tenant, on: self.loop, slot) {
        case .admitted:
            self.gateway.claim(identity, on: self.loop) { claim in
                if let refusal = self.gateway.refusal(of: claim, identity) {
                    self.gateway.dismiss(identity.call)
                    leg.close(.tryLater)
                    return done(Refusal(slug: refusal.slug, repair: refusal.repair))
                }
                guard isThere() else {
                    self.gateway.dismiss(identity.call)
                    leg.close(.callEnded)
                    return done(Refusal(slug: "channel-gone", repair: "The caller hung up"))
                }
                self.begin(identity, chosen.entry, chosen.assistant, chosen.basis, leg, slot, control: control)
                done(nil)
            }
        case .draining:
            leg.close(.tryLater)
            done(Refusal(slug: "draining", repair: "Another node takes new calls"))
        case .full:
            leg.close(.tryLater)
            done(Refusal(slug: "full", repair: "Raise MAX_SESSIONS_PER_DOMAIN, or add a node"))
        case .alive(let tenant, let owner, let call):
            guard tenant == identity.tenant, owner === self.loop, let shell = call.value.call else {
                leg.close(.tryLater)
                return done(Refusal(slug: "call-exists", repair: "The channel has a call on this gateway already"))
            }
            shell.adopt(control, fuse: identity.fuse)
            shell.takeOver(leg)
            done(nil)
        }
    }

    typealias Chosen = AssistantDirectory.Choice

    private func recorder(of identity: CallIdentity, _ assistant: Assistant, _ leg: any PhoneLeg) -> CallRecorder? {
        let configuration = self.gateway.configuration
        guard assistant.isRecorded ?? configuration.recordsByDefault, let folder = configuration.recordings else {
            return nil
        }
        // A channel keeps its id when it comes back from a transfer: the time keeps its recordings apart.
        let time = Int(Date().timeIntervalSince1970 * 1000)
        let path = "\(folder)/\(identity.tenant.text)/\(identity.call.text)-\(time).wav"
        let file = RecordingFile(path: path, rate: leg.uplink.rate, logger: self.gateway.logger)
        return CallRecorder(file: file, uplink: leg.uplink, downlink: leg.downlink, at: self.loop.now)
    }
}
