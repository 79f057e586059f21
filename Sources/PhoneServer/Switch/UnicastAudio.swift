import EventSocket
import Networking
import Observability
import Telephony

/// Brings a parked channel's audio by unicast: performs `UnicastLink`'s decisions with sockets and a timer, and makes the
/// leg when the first datagram has come. Confined to its loop.
final class UnicastAudio {
    private let channel: CallID
    private let rate: SampleRate
    private let ports: DatagramPorts
    private let switchPorts: DatagramPorts
    private let clock: FrameClock
    private let loop: EventLoop
    private let logger: Logger
    private var link = UnicastLink()
    private var effects: [UnicastLink.Effect] = []
    private var isPerforming = false
    private var timer: TimerID?
    private var isClosed = false
    /// The channel is on its way elsewhere.
    private var isQuiet = false
    /// What a timer may be late without anything having piled up.
    private static let lateness: Duration = .milliseconds(5)

    /// What has been bound and taken for the present attempt.
    private struct Ends {
        var socket: UDPSocket
        var port: UInt16
        var remote: SocketAddress
    }
    private var ends: Ends?
    private var leg: UnicastLeg?

    var run: ((EventSocketCommand, @escaping (Result<EventSocketReply, EventSocketFailure>) -> Void) -> Void)?
    var onLeg: ((UnicastLeg) -> Void)?
    var onFailed: ((UnicastLink.Loss) -> Void)?
    var onReenter: ((UnicastLink.Loss) -> Void)?

    init(
        channel: CallID, rate: SampleRate, ports: DatagramPorts, switchPorts: DatagramPorts, clock: FrameClock,
        loop: EventLoop, logger: Logger
    ) {
        self.channel = channel
        self.rate = rate
        self.ports = ports
        self.switchPorts = switchPorts
        self.clock = clock
        self.loop = loop
        self.logger = logger
    }

    /// The channel is parked.
    func begin() { self.step { $0.parked(into: &$1) } }

    /// An event of the channel.
    func happened(_ event: SwitchEvent) {
        // A channel that is being hung up is unparked too: that is its end, no loss.
        guard event.headers["Answer-State"] != "hangup" else { return }
        switch event.name {
        case .playbackStart: self.step { $0.playbackStarted(into: &$1) }
        case .channelBridge: self.step { $0.bridged(into: &$1) }
        case .channelUnpark: self.step { $0.unparked(into: &$1) }
        default: break
        }
    }

    /// The channel is about to be transferred: nothing is sent any more. Returns when that is safe (see `UnicastLeg`): what
    /// was sent has been played, some frames after the last one.
    func quiet() -> Duration? {
        // That the switch falls silent too is what a transfer does: no loss, and nothing to fetch the channel back for.
        self.isQuiet = true
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        guard let leg = self.leg else { return nil }
        leg.quiet()
        let safe = leg.lastSent + .milliseconds(120)
        return safe > self.loop.now ? safe : nil
    }

    /// The channel was not transferred after all.
    func resume() {
        self.isQuiet = false
        self.link.heard(at: self.loop.now)
        self.leg?.resume()
        self.armTimer()
    }

    /// The connection to the switch is gone. A leg that is in use stays: it belongs to the call.
    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.leg?.onDatagram = nil
        self.leg = nil
        self.releaseEnds()
        self.run = nil
        self.onLeg = nil
        self.onFailed = nil
        self.onReenter = nil
    }

    private func step(_ event: (inout UnicastLink, inout [UnicastLink.Effect]) -> Void) {
        guard !self.isClosed else { return }
        event(&self.link, &self.effects)
        guard !self.isPerforming else { return }
        self.isPerforming = true
        var index = 0
        while index < self.effects.count, !self.isClosed {
            let effect = self.effects[index]
            index += 1
            self.perform(effect)
        }
        self.effects.removeAll(keepingCapacity: true)
        self.isPerforming = false
        self.armTimer()
    }

    private func perform(_ effect: UnicastLink.Effect) {
        switch effect {
        case .needsPorts:
            self.releaseEnds()
            let offered = self.takeEnds()
            let now = self.loop.now
            self.step { $0.offer(offered, at: now, into: &$1) }
        case .ask(let ports):
            guard let command = try? EventSocketCommand.unicast(ports, on: self.channel) else { return }
            // `+OK` only means "queued"; a refusal is found by the missing datagram.
            self.run?(command) { [logger] result in
                if case .success(let reply) = result, let refusal = reply.refusal {
                    logger.warning("Unicast refused", ["esl.reply": .string("\(refusal)")])
                }
            }
        case .flowing, .left: break
        case .reenter(let loss):
            self.logger.warning(
                "Unicast ended: the channel goes to a fresh park", ["unicast.loss": .string(loss.rawValue)])
            self.onReenter?(loss)
        case .failed(let loss): self.onFailed?(loss)
        }
    }

    // MARK: Ports

    private func takeEnds() -> UnicastPorts? {
        guard let (port, socket) = self.ports.bind(on: self.loop) else { return nil }
        guard let remote = self.takeSwitchPort() else {
            socket.close()
            self.ports.giveBack(port)
            return nil
        }
        self.ends = Ends(socket: socket, port: port, remote: remote)
        // Weak: a leg that waits for its place among the nodes keeps the socket, and the channel may end meanwhile.
        socket.onDatagram = { [weak self] bytes, sender, _ in self?.first(bytes, from: sender) }
        return UnicastPorts(
            switchAddress: self.switchPorts.host, switchPort: remote.port, ourAddress: self.ports.host, ourPort: port)
    }

    /// A port of the switch's range that nobody has: FreeSWITCH would answer `+OK` and send nothing.
    private func takeSwitchPort() -> SocketAddress? {
        for _ in 0..<16 {
            guard let port = self.switchPorts.take(),
                let address = SocketAddress(self.switchPorts.host, port: Int(port))
            else { return nil }
            // Elsewhere than on this machine it cannot be known before.
            if !address.isLoopback || DatagramPorts.isFree(address, on: self.loop) { return address }
            self.switchPorts.giveBack(port)
        }
        return nil
    }

    private func releaseEnds() {
        guard let ends = self.ends else { return }
        self.ends = nil
        ends.socket.close()
        self.ports.giveBack(ends.port)
        self.switchPorts.giveBack(ends.remote.port)
    }

    // MARK: Datagrams

    private func first(_ bytes: UnsafeRawBufferPointer, from sender: SocketAddress) {
        guard let ends = self.ends, sender == ends.remote, !bytes.isEmpty else { return }
        let now = self.loop.now
        guard
            let leg = UnicastLeg(
                socket: ends.socket, remote: ends.remote, rate: self.rate, datagramBytes: bytes.count,
                clock: self.clock, at: now)
        else {
            self.logger.error(
                "Unicast datagrams are no frame at the channel's rate",
                ["datagram.bytes": .integer(bytes.count), "channel.rate": .integer(self.rate.hertz)])
            self.onFailed?(.noDatagrams)
            return
        }
        self.ends = nil
        self.leg = leg
        leg.onDatagram = { [weak self] now in self?.link.heard(at: now) }
        let (ports, switchPorts) = (self.ports, self.switchPorts)
        leg.onClose = { [weak self] in
            ports.giveBack(ends.port)
            switchPorts.giveBack(ends.remote.port)
            self?.leg = nil
        }
        self.step { $0.datagram(at: now, into: &$1) }
        // Not in the socket's own callback: the leg sets another.
        let box = LoopBound((self, leg), on: self.loop)
        self.loop.execute {
            let (audio, leg) = box.value
            guard let onLeg = audio.onLeg, !audio.isClosed else { return leg.close(.callEnded) }
            onLeg(leg)
        }
    }

    // MARK: Time

    /// Lazily: the timer is not moved at each datagram, it looks again when it fires.
    private func armTimer() {
        guard self.timer == nil, !self.isClosed, !self.isQuiet, let next = self.link.nextWake else { return }
        self.timer = self.loop.schedule(at: next) { [unowned self] in
            self.timer = nil
            guard self.loop.now - next > Self.lateness else { return self.look() }
            // A loop that was late has datagrams in its sockets, which it reads after its timers: judged before, a raw
            // audio that flows would be asked for a second time in the same park.
            let box = LoopBound(self, on: self.loop)
            self.loop.execute { box.value.look() }
        }
    }

    private func look() {
        guard !self.isQuiet else { return }
        let now = self.loop.now
        self.step { $0.timerFired(at: now, into: &$1) }
    }
}
