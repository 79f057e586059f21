import EventSocket
import Networking
import Observability
import Records
import Telephony

/// One call that the dialplan brought by `socket … async full`: finds who answers, brings the audio in the call's mode,
/// and is the call's way to the switch while it lives. Confined to its loop.
///
/// Whatever goes wrong before a conversation begins ends in `giveUp`: the socket is closed, and the dialplan's next line
/// is the fallback.
final class SwitchVisit {
    let listener: SwitchListener
    let line: SwitchCall
    let loop: EventLoop
    private(set) var dial: SwitchDial?
    private(set) var chosen: CallReception.Chosen?
    /// Tells the conversation about the channel, from `watch` to `unwatch`.
    var observer: (@Sendable (ChannelNews) -> Void)?
    /// Unicast only.
    var audio: UnicastAudio?
    private var matchTimer: TimerID?
    /// The last word about the channel: it was sent elsewhere or hung up by us, so the socket's end is no loss.
    private var isDismissed = false
    private var quietUntil: Duration?
    /// Whether ESL_MAX_CONNECTIONS still counts it: a channel that is gone takes nobody's place while its socket lingers.
    var isCounted = true
    /// A conversation has begun: from now on it decides when the channel goes.
    var isInCall = false

    init(_ connection: Connection, listener: SwitchListener) {
        self.listener = listener
        self.loop = listener.loop
        self.line = SwitchCall(
            connection, configuration: listener.configuration.session, on: listener.loop,
            logger: listener.gateway.logger)
    }

    /// A connection that has come from another loop, its channel's data read there.
    init(arrived line: SwitchCall, listener: SwitchListener) {
        self.listener = listener
        self.loop = listener.loop
        self.line = line
    }

    func resume(with data: SwitchEvent) {
        self.attach()
        self.began(data)
    }

    func start() {
        self.attach()
        self.line.start()
    }

    private func attach() {
        self.line.onBegan = { [unowned self] in self.began($0) }
        self.line.onEvent = { [unowned self] in self.happened($0) }
        self.line.onLingering = { [unowned self] in self.listener.makeRoom(for: self) }
        self.line.onEnded = { [self] in self.ended($0) }
    }

    var gateway: Gateway { self.listener.gateway }

    // MARK: Who answers

    private func began(_ data: SwitchEvent) {
        guard var dial = SwitchDial(data) else { return self.giveUp("no-channel", "The switch sent no channel id") }
        let live = self.gateway.live(dial.channel)
        if let live, live.loop !== self.loop { return self.listener.move(self, data: data, to: live.loop) }
        // A caller whom nobody answered comes back to the conversation, however soon we leave.
        guard live != nil || !self.gateway.isDraining else {
            return self.giveUp("draining", "Another node takes new calls")
        }
        dial.resolve(in: self.gateway.directory)
        self.dial = dial
        guard dial.hints.tenant != nil else {
            return self.giveUp("no-tenant", "Set domain_uuid (or domain_name) on the channel before `socket`")
        }
        switch self.gateway.directory.choose(dial.hints) {
        case .failure(let error): return self.giveUp(error.slug, error.message)
        case .success(let chosen): self.chosen = chosen
        }
        self.prepare(dial)
    }

    /// Answers the channel when the dialplan has not, then begins as the mode asks.
    private func prepare(_ dial: SwitchDial) {
        guard dial.isAnswered else {
            self.api(try? .answer(dial.channel)) { [unowned self] result in
                guard case .success(let reply) = result, reply.refusal == nil else {
                    return self.giveUp("not-answered", "The switch would not answer the channel")
                }
                self.bringAudio(dial)
            }
            return
        }
        self.bringAudio(dial)
    }

    private func bringAudio(_ dial: SwitchDial) {
        let usual = self.chosen.flatMap { self.gateway.configuration.audio($0.entry.tenant.id) }
        switch dial.audio ?? usual ?? self.listener.configuration.audio {
        case .esl: self.beginUnicast(dial)
        case .rtp: self.bridgeToSIP(dial)
        case .dual, .websocket: self.startStream(dial)
        }
    }

    // MARK: AUDIO_MODE=esl

    private func beginUnicast(_ dial: SwitchDial) {
        guard let ports = self.listener.configuration.ports, let switchPorts = self.listener.configuration.switchPorts
        else { return self.giveUp("no-unicast-ports", "Set RTP_PORT_MIN/MAX and UNICAST_PORT_MIN/MAX") }
        // The rate that unicast will have (measured: L16 at the channel's read rate).
        self.api(try? .getVariable("read_rate", of: dial.channel)) { [unowned self] result in
            var rate = SampleRate.narrowband
            if case .success(let reply) = result, let stated = Int(reply.text).flatMap(SwitchDial.rate) {
                rate = stated
            }
            let audio = UnicastAudio(
                channel: dial.channel, rate: rate, ports: ports, switchPorts: switchPorts, clock: self.listener.clock,
                loop: self.loop, logger: self.gateway.logger)
            audio.run = { [unowned self] command, done in self.line.run(command, done: done) }
            audio.onLeg = { [unowned self] in self.answer(with: $0) }
            audio.onFailed = { [unowned self] loss in
                self.giveUp(
                    loss.rawValue, "See docs/freeswitch.md: unicast needs UNICAST_PORT_MIN/MAX free on loopback")
            }
            audio.onReenter = { [unowned self] _ in self.reenter() }
            self.audio = audio
            audio.begin()
        }
    }

    /// A fresh park is a fresh entry into the dialplan: the same extension brings the same call back to us.
    private func reenter() {
        guard !self.isDismissed, let dial = self.dial, let entry = dial.entry else { return self.line.leave() }
        self.dismiss()
        self.observer?(.phone(.mediaLost(reason: "unicast")))
        self.whenQuiet { visit in
            visit.api(try? .transfer(dial.channel, to: entry)) { [unowned visit] result in
                guard case .success(let reply) = result, reply.refusal == nil else { return visit.line.leave() }
            }
        }
    }

    // MARK: AUDIO_MODE=dual

    /// The module's WebSocket brings the audio, this socket the control: matched by the channel's id, whichever is first.
    private func startStream(_ dial: SwitchDial) {
        guard let identity = self.makeIdentity(dial), let control = SwitchControl(self) else { return }
        // The dialplan started the stream before it came here, or the caller is back from a transfer.
        if self.controlsLiveCall(identity, control) { return }
        if let variable = dial.stream.wrong {
            return self.giveUp(
                "stream-variable", "The dialplan's \(variable) cannot be used; docs/freeswitch.md says what it may be")
        }
        guard let base = dial.stream.base ?? self.listener.configuration.streamURL else {
            return self.giveUp("no-stream-url", "Set PRONTO_STREAM_URL, where the switch finds the media port")
        }
        self.offer(identity, control)
        let url = dial.stream.url(base: base, assistant: identity.assistant, call: dial.channel)
        self.api(try? .startAudioStream(dial.channel, url: url, mix: .mono, rate: dial.stream.rate)) {
            [unowned self] result in
            // `+OK` proves nothing (the connection comes later or never); a refusal does.
            guard case .success(let reply) = result, reply.refusal == nil else {
                return self.giveUp("stream-refused", "Is mod_audio_stream loaded? See: pronto doctor")
            }
        }
    }

    // MARK: AUDIO_MODE=rtp

    /// The channel is bridged to our own SIP port; that leg finds this socket's control by the channel's id.
    private func bridgeToSIP(_ dial: SwitchDial) {
        guard let identity = self.makeIdentity(dial), let control = SwitchControl(self) else { return }
        guard let address = self.listener.configuration.sipAddress else {
            return self.giveUp("no-sip-port", "Set PRONTO_SIP_PORT: AUDIO_MODE=rtp needs the SIP listener")
        }
        // Back from a transfer: the conversation lives, and gets a new leg.
        if !self.controlsLiveCall(identity, control) { self.offer(identity, control) }
        // media_timeout is the dead man's switch here: our RTP never stops while we live.
        let options = [
            "originate_timeout=2", "media_timeout=1500", "sip_copy_custom_headers=false",
            "absolute_codec_string=^^:PCMU:PCMA",
        ].joined(separator: ",")
        let target =
            "{\(options)}sofia/\(self.listener.configuration.sipProfile)/pronto@\(address);call=\(dial.channel.text)"
        self.set("continue_on_fail", "true")
        self.set("hangup_after_bridge", "false")
        guard let bridge = try? EventSocketCommand.execute("bridge", target) else {
            return self.giveUp(
                "sip-address", "PRONTO_SIP_PROFILE or the SIP address cannot be written in a dial string")
        }
        self.line.run(bridge)
    }

    /// Whether the channel has a conversation already, which this socket is to control.
    ///
    /// Its media may still be asking the other nodes for a place: then there is nobody yet to give the control to, and the
    /// conversation takes the offer as it begins.
    private func controlsLiveCall(_ identity: CallIdentity, _ control: SwitchControl) -> Bool {
        guard let live = self.gateway.live(identity.call), live.tenant == identity.tenant else { return false }
        self.offer(identity, control)
        let gateway = self.gateway
        let visit = ObjectIdentifier(self)
        live.loop.execute {
            guard let call = live.call.value.call, gateway.withdrawOffer(of: identity.call, by: visit) else { return }
            call.adopt(control, fuse: identity.fuse)
        }
        return true
    }

    private func set(_ name: String, _ value: String) {
        guard let command = try? EventSocketCommand.execute("set", "\(name)=\(value)") else { return }
        self.line.run(command)
    }

    private func offer(_ identity: CallIdentity, _ control: SwitchControl) {
        self.gateway.offer(.init(identity: identity, control: control))
        self.matchTimer = self.loop.schedule(after: self.listener.configuration.matchTimeout) { [unowned self] in
            self.matchTimer = nil
            guard self.gateway.withdrawOffer(of: identity.call, by: ObjectIdentifier(self)) else { return }
            self.giveUp("no-media", "The call's audio did not come in time (PRONTO_MATCH_SECONDS)")
        }
    }

    private func makeIdentity(_ dial: SwitchDial) -> CallIdentity? {
        self.chosen.map { dial.identity(for: $0, in: self.gateway.directory) }
    }

    // MARK: A leg is there

    /// The call begins, or goes on where its last leg was lost.
    func answer(with leg: any PhoneLeg) {
        guard let dial = self.dial, let chosen = self.chosen, let control = SwitchControl(self) else {
            return leg.close(.noSuchCall)
        }
        let isThere: () -> Bool = { [self] in !self.line.isOver }
        self.listener.reception.take(dial, chosen: chosen, leg, control: control, isThere: isThere) { [self] refusal in
            if let refusal { self.giveUp(refusal.slug, refusal.repair) } else { self.isInCall = true }
        }
    }

    // MARK: Commands

    func api(
        _ command: ApiCommand?, done: @escaping (Result<EventSocketReply, EventSocketFailure>) -> Void = { _ in }
    ) {
        guard let command else { return done(.failure(.stopped)) }
        self.line.run(.api(command), done: done)
    }

    /// The conversation is over. Where it did not send the channel anywhere, the dialplan goes on.
    func callOver() {
        self.observer = nil
        if self.isInCall, !self.isDismissed { self.line.leave() }
    }

    /// The channel is on its way elsewhere, or gone, by our doing: what follows on this socket is its natural end.
    func dismiss() {
        self.isDismissed = true
        self.quietUntil = self.audio?.quiet()
    }

    /// The switch would not send it away.
    func keep() {
        self.isDismissed = false
        self.quietUntil = nil
        self.audio?.resume()
    }

    /// Runs `body` as soon as the channel may be transferred: at once, unless a frame of ours may still be on its way in.
    func whenQuiet(_ body: @escaping (SwitchVisit) -> Void) {
        guard let time = self.quietUntil, time > self.loop.now else { return body(self) }
        self.loop.schedule(at: time) { [self] in body(self) }
    }

    /// Closes the socket, so that the dialplan goes on to its fallback, and says why.
    func giveUp(_ slug: String, _ repair: String) {
        guard !self.line.isOver else { return }
        self.listener.refuse(slug, repair)
        self.line.leave()
    }

    // MARK: Events and the end

    private func happened(_ event: SwitchEvent) {
        if event.name == .channelExecuteComplete, event.application?.name == "bridge", !self.isDismissed {
            // The SIP leg ended and the caller is still here: the dialplan's next line is the fallback.
            return self.line.leave()
        }
        // What takes a dismissed channel's unicast away is our own doing.
        if !self.isDismissed { self.audio?.happened(event) }
        if case .playback(let file)? = event.audioStream, let channel = self.dial?.channel {
            // The community module has put our audio into a file; playing it is our job (freeswitch.md §3.4).
            return self.api(try? .broadcast(file, to: channel))
        }
        guard let news = event.news else { return }
        self.observer?(news)
    }

    private func ended(_ end: OutboundSession.End) {
        if let timer = self.matchTimer { self.loop.cancel(timer) }
        self.matchTimer = nil
        if case .refused(let refusal) = end { self.listener.refuse(refusal.rawValue, refusal.repair) }
        self.audio?.close()
        self.audio = nil
        // A conversation that still goes on has lost its way to the channel; its media tells, or the channel's end.
        // Without a hang-up event before it, the channel went elsewhere (an operator's transfer): for us the same.
        if !self.isDismissed {
            let isGone = end == .channelGone
            self.observer?(.phone(isGone ? .hungUp(.normalClearing) : .mediaLost(reason: "socket")))
        }
        if let channel = self.dial?.channel {
            // Only what is of this socket: the channel may have come back by another one meanwhile.
            let visit = ObjectIdentifier(self)
            self.gateway.withdrawOffer(of: channel, by: visit)
            if let live = self.gateway.live(channel) {
                live.loop.execute { live.call.value.call?.controlEnded(of: visit) }
            }
        }
        self.observer = nil
        self.listener.ended(self)
    }
}
