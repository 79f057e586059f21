import EventSocket
import Networking
import Observability
import Records
import Synchronization
import Telephony

/// Calls that a dialplan parks for us (`set pronto_mode=esl`, `answer`, `park`), steered by the inbound Event Socket alone:
/// no `socket` application, nothing that FreeSWITCH has to reach us by.
///
/// What is lost against `socket`: a Pronto that dies leaves the caller parked, so the dialplan must arm the dead man's
/// switch (`sched_transfer`, `pronto_fuse`) before `park`; it is put off like the socket's.
package final class ParkedCalls: Sendable {
    private let gateway: Gateway
    private let group: EventLoopGroup
    private let ports: DatagramPorts
    private let switchPorts: DatagramPorts
    private let clocks: [LoopBound<FrameClock>]
    private let listeners = Mutex<[ObjectIdentifier: ControlLink.Listener]>([:])

    package init(gateway: Gateway, group: EventLoopGroup, ports: DatagramPorts, switchPorts: DatagramPorts) {
        self.gateway = gateway
        self.group = group
        self.ports = ports
        self.switchPorts = switchPorts
        self.clocks = group.loops.map { LoopBound(sending: FrameClock(on: $0), on: $0) }
    }

    /// Answers the calls that are parked on this link's switch, from now on. Twice for one link does nothing.
    package func serve(_ link: ControlLink) {
        let id = ObjectIdentifier(link)
        self.listeners.withLock { listeners in
            guard listeners[id] == nil else { return }
            listeners[id] = link.onEvent([.channelPark]) { [self] event in self.parked(event, on: link) }
        }
    }

    /// No channel comes any more, also none of a call that lives: for the end of the process, after the drain.
    package func stop() {
        for listener in self.listeners.withLock({ Array($0.values) }) { listener.cancel() }
    }

    /// On the link's loop: only looks whether it is for us.
    private func parked(_ event: SwitchEvent, on link: ControlLink) {
        guard let dial = SwitchDial(event), dial.audio == .esl, event.variable("pronto_park")?.value != "no" else {
            return
        }
        // One that came by `socket` is parked too, and its socket serves it.
        guard event.headers["variable_current_application"] != "socket" else { return }
        let live = self.gateway.live(dial.channel)
        guard live != nil || !self.gateway.isDraining else {
            // A call that lives gets its channel back; a new one has its dead man's switch.
            self.gateway.metrics.refused()
            self.gateway.logger.warning(
                "Parked call not answered: its dead man's switch is the fallback",
                ["refusal.reason": .string("draining")])
            return
        }
        guard let clock = self.clocks.first(where: { $0.loop === live?.loop }) ?? self.clocks.randomElement() else {
            return
        }
        clock.loop.execute { [self] in
            let call = ParkedCall(
                dial, link: link, gateway: self.gateway, ports: self.ports, switchPorts: self.switchPorts,
                clock: clock.value, on: clock.loop)
            call.begin()
        }
    }
}

/// One parked channel: finds who answers, brings the audio, and is the call's way to its channel. Confined to its loop;
/// kept by the listener of its channel until that is cancelled.
final class ParkedCall {
    private var dial: SwitchDial
    private let link: ControlLink
    private let gateway: Gateway
    private let loop: EventLoop
    private let audio: UnicastAudio
    private var listener: ControlLink.Listener?
    private(set) var quietUntil: Duration?
    /// On its way elsewhere by our doing.
    private var isDismissed = false
    /// The conversation has this channel's audio from us.
    private var isInCall = false
    private var chosen: CallReception.Chosen?

    init(
        _ dial: SwitchDial, link: ControlLink, gateway: Gateway, ports: DatagramPorts, switchPorts: DatagramPorts,
        clock: FrameClock, on loop: EventLoop
    ) {
        self.dial = dial
        self.link = link
        self.gateway = gateway
        self.loop = loop
        self.audio = UnicastAudio(
            channel: dial.channel, rate: dial.rate ?? .narrowband, ports: ports, switchPorts: switchPorts, clock: clock,
            loop: loop, logger: gateway.logger)
    }

    func begin() {
        self.dial.resolve(in: self.gateway.directory)
        switch self.gateway.directory.choose(self.dial.hints) {
        case .failure(let error): return self.giveUp(error.slug)
        case .success(let chosen):
            // One switch must not bring calls in another tenant's name.
            guard self.gateway.control(for: chosen.entry.tenant.id) as? ControlLink === self.link else {
                return self.giveUp("other-switch")
            }
            self.chosen = chosen
        }
        let box = LoopBound(self, on: self.loop)
        let names: [SwitchEvent.Name] = [.playbackStart, .channelBridge, .channelUnpark, .channelHangup]
        let gone: @Sendable () -> Void = { box.loop.execute { box.value.end() } }
        self.listener = self.link.onEvent(names, of: self.dial.channel, gone: gone) { event in
            box.loop.execute { box.value.happened(event) }
        }
        let link = self.link
        self.audio.run = { command, done in
            // Its answer proves nothing, and nobody waits for it.
            link.loop.execute { link.shell.value.execute(command, timeout: nil) { _ in } }
            _ = done
        }
        self.audio.onLeg = { [unowned self] in self.answer(with: $0) }
        self.audio.onFailed = { [unowned self] in self.giveUp($0.rawValue) }
        self.audio.onReenter = { [unowned self] _ in self.park() }
        self.audio.begin()
    }

    private func happened(_ event: SwitchEvent) {
        if !self.isDismissed { self.audio.happened(event) }
        switch event.name {
        case .channelHangup: self.end()
        case .channelUnpark, .channelBridge:
            if !self.isDismissed, event.headers["Answer-State"] != "hangup" {
                // Somebody else has the caller now, who must not be hung up by us for being silent here.
                let live = self.gateway.live(self.dial.channel)
                live?.loop.execute { live?.call.value.call?.phone(.transferred) }
            }
            self.end()
        default: break
        }
    }

    private func answer(with leg: any PhoneLeg) {
        guard let chosen = self.chosen else { return leg.close(.noSuchCall) }
        let control = ParkedControl(self, link: self.link, channel: self.dial.channel, on: self.loop)
        let isThere: () -> Bool = { [self] in self.listener != nil }
        CallReception(gateway: self.gateway, loop: self.loop).take(
            self.dial, chosen: chosen, leg, control: control, isThere: isThere
        ) { [self] refusal in
            if let refusal { self.giveUp(refusal.slug) } else { self.isInCall = true }
        }
    }

    /// A park of its own, after which unicast may be asked for anew: its event brings the call back to `ParkedCalls`.
    private func park() {
        self.dismiss()
        self.tellLost()
        let (link, channel, logger) = (self.link, self.dial.channel, self.gateway.logger)
        let box = LoopBound(self, on: self.loop)
        self.whenQuiet {
            link.ask(try? .park(channel)) { isParked in
                guard !isParked else { return }
                // The conversation waits for its media no longer than for any other, then the caller goes to the fallback.
                logger.warning(
                    "The switch would not park a channel whose raw audio has ended",
                    ["call.id": .string(channel.text)])
                // No event of this park is of use any more, and none may ever come: the channel may be gone.
                box.loop.execute { box.value.end() }
            }
        }
    }

    /// What is said from now on nobody hears.
    private func tellLost() {
        guard self.isInCall, let live = self.gateway.live(self.dial.channel) else { return }
        live.loop.execute { live.call.value.call?.phone(.mediaLost(reason: "unicast")) }
    }

    func dismiss() {
        self.isDismissed = true
        self.quietUntil = self.audio.quiet()
    }

    /// The switch would not send it away.
    func keep() {
        self.isDismissed = false
        self.quietUntil = nil
        self.audio.resume()
    }

    /// Runs `body` as soon as the channel may be transferred (see `UnicastLeg`).
    func whenQuiet(_ body: @escaping () -> Void) {
        guard let time = self.quietUntil, time > self.loop.now else { return body() }
        self.loop.schedule(at: time, body)
    }

    /// Nobody answers: what the dialplan armed before `park` is the fallback.
    private func giveUp(_ slug: String) {
        self.gateway.metrics.refused()
        self.gateway.logger.warning(
            "Parked call not answered: its dead man's switch is the fallback", ["refusal.reason": .string(slug)])
        self.tellLost()
        self.end()
    }

    private func end() {
        self.audio.close()
        self.listener?.cancel()
        self.listener = nil
    }
}

/// The way to a parked channel: the tenant's link, with a breath of silence before anything that would move it.
final class ParkedControl: CallControl, Sendable {
    private let call: LoopBound<ParkedCall>
    private let link: ControlLink
    private let channel: CallID

    init(_ call: ParkedCall, link: ControlLink, channel: CallID, on loop: EventLoop) {
        self.call = LoopBound(call, on: loop)
        self.link = link
        self.channel = channel
    }

    var isAvailable: Bool { self.link.isAvailable }
    var isDown: Bool { self.link.isDown }

    func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        let (call, link) = (self.call, self.link)
        guard call.loop.isInLoop else {
            return call.loop.execute { call.value.whenQuiet { link.ask(command, timeout: timeout, done: done) } }
        }
        call.value.whenQuiet { link.ask(command, timeout: timeout, done: done) }
    }

    func willDismiss(_ channel: CallID) {
        guard channel == self.channel else { return }
        let call = self.call
        if call.loop.isInLoop { call.value.dismiss() } else { call.loop.execute { call.value.dismiss() } }
    }

    func keeps(_ channel: CallID) {
        guard channel == self.channel else { return }
        let call = self.call
        call.loop.execute { call.value.keep() }
    }

    func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {
        self.link.watch(channel, observer: observer)
    }

    func unwatch(_ channel: CallID) { self.link.unwatch(channel) }
}
