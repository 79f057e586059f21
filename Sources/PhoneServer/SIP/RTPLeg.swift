import Audio
import Networking
import Observability
import RTPMedia
import Records
import SIPSignalling
import Telephony

/// A SIP call's audio: two UDP sockets, the stream's value between them and the conversation, and the dialog beside.
///
/// Each 20 ms, on the loop's beat: the jitter buffer gives the caller's frame, and one packet leaves, silence included,
/// since a switch with `media_timeout` takes a leg that falls silent for a dead one. PCMU and PCMA pass as they are.
final class RTPLeg: PhoneLeg, FrameClockMember {
    let dialect = "rtp"
    let uplink: AudioFormat
    let downlink: AudioFormat
    /// Two frames of lead; the ear is a packet and the phone's own buffer away.
    let traits = PlayoutTraits(
        lead: .milliseconds(40), latency: .milliseconds(40), canFlush: true, holdStopsFrames: false)
    private(set) var lastHeard: Duration
    private(set) var framesIn = 0

    private let dialog: SIPDialog
    private let relay: SIPDialogRelay
    /// Where REFER's target is: the host that called us.
    private let peerHost: String
    private let loop: EventLoop
    private let clock: FrameClock
    private let rtp: UDPSocket
    private let rtcp: UDPSocket?
    private var stream: RTPStream
    private var pacer: FramePacer
    private var events: [RTPEvent] = []
    private var frame: [UInt8] = []
    private var packet: [UInt8] = []
    private var remote: (key: RTPAddress?, address: SocketAddress?) = (nil, nil)
    private var isHeld = false
    private var isClosed = false
    private var hasSaidBye = false
    /// A peer that vanished says no BYE. Longer than any pause of a phone that suppresses silence is likely to be: such
    /// phones send comfort noise now and then.
    private static let silenceLimit: Duration = .seconds(30)
    /// Set by `attach`, cleared by `detach`: the call outlives that.
    private unowned(unsafe) var call: CallShell?
    var onClose: (() -> Void)?

    init(
        dialog: SIPDialog, relay: SIPDialogRelay, agreement: MediaAgreement, peerHost: String,
        sockets: (rtp: UDPSocket, rtcp: UDPSocket?),
        limits: JitterBuffer.Limits, clock: FrameClock, on loop: EventLoop
    ) {
        let law: G711.Law = agreement.encoding == .pcma ? .a : .mu
        let format: AudioFormat = law == .a ? .pcma : .pcmu
        self.uplink = format
        self.downlink = format
        self.dialog = dialog
        self.relay = relay
        self.peerHost = peerHost
        self.loop = loop
        self.clock = clock
        self.rtp = sockets.rtp
        self.rtcp = sockets.rtcp
        self.pacer = FramePacer(format: format)
        self.lastHeard = loop.now
        self.stream = RTPStream(
            receiver: RTPReceiver.Configuration(
                law: law, acceptsOtherLaw: true, telephoneEvent: agreement.telephoneEvent, limits: limits,
                noiseSeed: UInt64.random(in: 1...UInt64.max)),
            sender: RTPSender.Configuration(
                law: law, telephoneEvent: agreement.telephoneEvent, ssrc: UInt32.random(in: 1...UInt32.max),
                firstSequenceNumber: UInt16.random(in: 0...UInt16.max),
                firstTimestamp: UInt32.random(in: 0...UInt32.max)),
            // Random, so that it says nothing about the machine (RFC 7022 §4.2).
            canonicalName: String(UInt64.random(in: 0...UInt64.max), radix: 36), ntpAtZero: WallClock.ntpAtLoopZero(),
            announced: agreement.remote.map(RTPAddress.init),
            announcedControl: agreement.remoteRTCP.map(RTPAddress.init),
            at: loop.now, random: Double.random(in: 0..<1))
        self.isHeld = agreement.isHeld
    }

    // MARK: The call

    func attach(to call: CallShell) {
        self.call = call
        self.rtp.onDatagram = { [unowned self] bytes, sender, arrival in
            self.stream.received(bytes, from: RTPAddress(sender), at: arrival, into: &self.events)
            if !self.events.isEmpty { self.tell() }
        }
        self.rtcp?.onDatagram = { [unowned self] bytes, sender, _ in
            self.stream.receivedControl(bytes, from: RTPAddress(sender), at: self.loop.now, into: &self.events)
            if !self.events.isEmpty { self.tell() }
        }
        self.relay.onEvent = { [unowned self, unowned call] event in
            guard call.isOn(self) else { return }
            self.happened(event, in: call)
        }
        self.clock.add(self, period: .milliseconds(20))
    }

    func detach() {
        self.call?.logger.debug(
            "RTP ended", ["rtp.depth_ms": .integer(self.stream.statistics.depthMean.milliseconds)])
        self.call = nil
        self.relay.onEvent = nil
    }

    private func happened(_ event: SIPDialogEvent, in call: CallShell) {
        switch event {
        case .confirmed(let agreement), .reoffered(let agreement): self.agreed(agreement, in: call)
        case .modified, .modificationFailed, .transferProgress: break
        case .digit(let digit): call.leg(self, told: .digit(digit.digit))
        case .transferred: call.leg(self, told: .transferred)
        case .transferFailed(let status): call.leg(self, told: .transferFailed(reason: "sip-\(status)"))
        case .cancelled(let cause):
            self.hasSaidBye = true
            call.leg(self, ended: .hungUp(cause))
            self.close(.callEnded)
        case .ended(let ending):
            self.hasSaidBye = true
            switch ending.initiator {
            case .peer: call.leg(self, ended: .hungUp(ending.cause))
            // A BYE of ours that this leg has not said is the server's, at its stop.
            case .us: call.abandon(.draining)
            case .deadline, .lost, .protocolFailure: call.leg(self, ended: .lost("sip-lost"))
            }
            // The call has let go of it: nobody else gives its ports back.
            self.close(.callEnded)
        }
    }

    private func agreed(_ agreement: MediaAgreement, in call: CallShell) {
        if let remote = agreement.remote {
            self.stream.announce(RTPAddress(remote), control: agreement.remoteRTCP.map(RTPAddress.init))
        }
        guard agreement.isHeld != self.isHeld else { return }
        self.isHeld = agreement.isHeld
        self.stream.clear()
        call.leg(self, told: self.isHeld ? .held : .resumed)
    }

    private func tell() {
        let events = self.events
        self.events.removeAll(keepingCapacity: true)
        for event in events {
            guard let call = self.call else { return }
            switch event {
            case .digitBegan(let digit): call.leg(self, told: .digit(digit))
            case .digitEnded, .sourceChanged, .peerLeft: break
            case .remoteLatched:
                call.logger.debug("RTP source latched")
            }
        }
    }

    // MARK: The beat

    func frameTick(at now: Duration, missed: Int) {
        // Nobody needs a packet before the jitter buffer is asked for the next frame: the socket is read here, and the
        // buffer learns from the kernel when each came.
        self.rtp.drain()
        guard !self.isClosed else { return }
        for _ in 0...missed {
            self.hear(at: now)
            guard !self.isClosed else { return }
            self.speak(at: now)
        }
        if self.stream.isReportDue(at: now) { self.report(at: now) }
        if self.isHeld { self.stream.silenceExpected(at: now) }
        if self.stream.silence(at: now) > Self.silenceLimit, let call = self.call {
            // The phone, or its switch, is gone without a word: nobody could hear that caller, a human neither.
            call.end(.phoneLost)
        }
    }

    private func hear(at now: Duration) {
        self.frame.removeAll(keepingCapacity: true)
        let kind = self.stream.pull(at: now, into: &self.frame, events: &self.events)
        if !self.events.isEmpty { self.tell() }
        // A leg on hold brings nothing, and that is no silence of the caller's.
        guard !self.isHeld, let call = self.call else { return }
        if kind != .silence { self.lastHeard = now }
        let heard = self.frame.withUnsafeBytes { call.heard($0, frameBytes: 160, endedAt: now) }
        self.framesIn += heard
    }

    private func speak(at now: Duration) {
        guard let address = self.destination() else { return }
        self.packet.removeAll(keepingCapacity: true)
        if self.pacer.waitingBytes > 0, !self.isHeld {
            self.pacer.next(160, into: &self.frame) { self.stream.send($0, at: now, into: &self.packet) }
        } else {
            self.stream.send(UnsafeRawBufferPointer(start: nil, count: 0), at: now, into: &self.packet)
        }
        _ = self.packet.withUnsafeBytes { self.rtp.send($0, to: address) }
    }

    /// Where RTP goes, as the kernel wants it: made anew when it changes.
    private func destination() -> SocketAddress? {
        let remote = self.stream.destination()
        if remote != self.remote.key {
            self.remote = (remote, remote.flatMap { $0.isNowhere ? nil : SocketAddress($0) })
        }
        return self.remote.address
    }

    private func report(at now: Duration, isLast: Bool = false) {
        guard let remote = self.stream.controlRemote, let rtcp = self.rtcp else { return }
        self.packet.removeAll(keepingCapacity: true)
        self.stream.report(at: now, isLast: isLast, random: Double.random(in: 0..<1), into: &self.packet)
        let address = SocketAddress(remote)
        if !remote.isNowhere { _ = self.packet.withUnsafeBytes { rtcp.send($0, to: address) } }
    }

    // MARK: Commands

    func send(frame: UnsafeRawBufferPointer) -> Bool { self.pacer.append(frame) }

    func send(_ command: PhoneCommand) -> Bool {
        switch command {
        case .flush:
            self.pacer.flush()
            return true
        case .mark: return false
        case .hangUp(let cause):
            self.bye(cause)
            return true
        case .blindTransfer(let destination):
            guard let target = SIPTransferTarget(number: destination.number.value, host: self.peerHost) else {
                return false
            }
            self.dialog.refer(to: target)
            return true
        }
    }

    private func bye(_ cause: HangupCause) {
        guard !self.hasSaidBye else { return }
        self.hasSaidBye = true
        self.dialog.bye(cause)
    }

    func close(_ reason: LegClosing) {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.detach()
        self.report(at: self.loop.now, isLast: true)
        switch reason {
        // Another cause than a normal one, so that the dialplan goes on to its fallback.
        case .tryLater, .noAssistant, .otherFormat: self.bye(.temporaryFailure)
        case .callEnded, .hangUp, .takenOver, .noSuchCall: self.bye(.normalClearing)
        }
        self.clock.remove(self)
        self.rtp.close()
        self.rtcp?.close()
        self.onClose?()
        self.onClose = nil
    }

    var quality: MediaQuality? {
        let statistics = self.stream.statistics
        var quality = MediaQuality()
        quality.received = statistics.packetsReceived
        quality.lost = statistics.packetsLost
        quality.late = statistics.packetsLate
        quality.jitter = statistics.jitter
        quality.roundTrip = statistics.roundTrip
        quality.score = statistics.meanOpinionScore
        return quality
    }
}

extension RTPAddress {
    init(_ address: SocketAddress) {
        let (high, low) = address.mapped
        self.init(high: high, low: low, port: address.port)
    }
}

extension SocketAddress {
    init(_ address: RTPAddress) { self.init(mappedHigh: address.high, low: address.low, port: address.port) }
}
