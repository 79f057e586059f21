import Audio
import Networking
import Telephony

/// The audio of a channel that FreeSWITCH parks: raw L16 datagrams both ways, one ptime each, no header, no timing of
/// their own (`protocols/freeswitch-legs.md` §1). Works with a stock FreeSWITCH.
///
/// We pace: what has been sent is played, there is no flush behind us, so at most one frame goes out each ptime. A datagram
/// is never empty (that would end the talk-back for good) and never of another size (it would be padded, or made into one
/// packet too long).
///
/// Between sentences nothing is sent, and nothing at all from `quiet` on: FreeSWITCH 1.11 deadlocks a channel that is
/// transferred while a datagram of ours comes in (seen in 2 of 4 transfers, docs/freeswitch.md: the transfer holds the
/// codec's lock and waits for the thread that waits for that lock to play our datagram).
///
/// There is no authentication either way: what comes from another address than the switch's is dropped and counted.
final class UnicastLeg: PhoneLeg, FrameClockMember {
    let dialect = "unicast"
    let uplink: AudioFormat
    let downlink: AudioFormat
    let traits: PlayoutTraits
    private(set) var lastHeard: Duration
    private(set) var framesIn = 0
    /// Datagrams of other senders, and of a size that is no frame.
    private(set) var foreign = 0
    private(set) var misshapen = 0
    /// Datagrams of the burst at the start: a backlog of the switch, up to 300 ms old (measured: about 15).
    private(set) var stale = 0

    private let ptime: Duration
    private let frameBytes: Int
    private let clock: FrameClock
    private let socket: UDPSocket
    private let remote: SocketAddress
    private var pacer: FramePacer
    private var frame: [UInt8] = []
    private var assembler: FrameAssembler?
    private var assembled: [UInt8] = []
    /// Until then what comes is backlog.
    private let settledAt: Duration
    /// Set by `attach`, cleared by `detach`: the call outlives that.
    private unowned(unsafe) var call: CallShell?
    /// Every datagram of the switch's, also while no call is attached: the link's proof of life.
    var onDatagram: ((Duration) -> Void)?
    var onClose: (() -> Void)?
    private var isClosed = false
    private var isQuiet = false
    /// When a frame was last sent.
    private(set) var lastSent: Duration = .zero

    /// - Parameters:
    ///   - datagramBytes: of the first datagram: with `rate` it says the channel's ptime.
    /// Nil: that is no frame of 10, 20, 30, 40 or 60 ms at that rate.
    init?(
        socket: UDPSocket, remote: SocketAddress, rate: SampleRate, datagramBytes: Int, clock: FrameClock,
        at now: Duration
    ) {
        let format = AudioFormat.l16(rate)
        let lengths: [Duration] = [10, 20, 30, 40, 60].map { .milliseconds($0) }
        guard let ptime = lengths.first(where: { format.bytes(in: $0) == datagramBytes }) else { return nil }
        self.uplink = format
        self.downlink = format
        self.ptime = ptime
        self.frameBytes = datagramBytes
        // Two frames: one may be on its way when the next is decided. The ear is a frame and the phone's buffer away.
        self.traits = PlayoutTraits(
            lead: max(.milliseconds(40), ptime * 2), latency: .milliseconds(20), canFlush: true, holdStopsFrames: false)
        self.clock = clock
        self.socket = socket
        self.remote = remote
        self.pacer = FramePacer(format: format, capacity: .milliseconds(160))
        if ptime != .milliseconds(20) { self.assembler = FrameAssembler(format: format) }
        self.lastHeard = now
        self.settledAt = now + .milliseconds(40)
    }

    func attach(to call: CallShell) {
        self.call = call
        self.socket.onDatagram = { [unowned self] bytes, sender, _ in self.received(bytes, from: sender) }
        self.clock.add(self, period: self.ptime)
    }

    func detach() { self.call = nil }

    private func received(_ bytes: UnsafeRawBufferPointer, from sender: SocketAddress) {
        guard sender == self.remote else {
            self.foreign += 1
            return
        }
        guard let call = self.call else { return }
        let now = call.loop.now
        self.lastHeard = now
        self.onDatagram?(now)
        guard bytes.count == self.frameBytes else {
            self.misshapen += 1
            if self.misshapen == 1 {
                call.logger.warning("Unicast datagram of another size", ["datagram.bytes": .integer(bytes.count)])
            }
            return
        }
        guard now > self.settledAt else {
            self.stale += 1
            return
        }
        guard self.assembler != nil else {
            self.framesIn += call.heard(bytes, frameBytes: self.frameBytes, endedAt: now)
            return
        }
        self.assembled.removeAll(keepingCapacity: true)
        self.assembler?.append(bytes, into: &self.assembled)
        let length = self.assembler?.frameBytes ?? 0
        self.framesIn += self.assembled.withUnsafeBytes { call.heard($0, frameBytes: length, endedAt: now) }
    }

    func send(frame: UnsafeRawBufferPointer) -> Bool { self.pacer.append(frame) }

    func send(_ command: PhoneCommand) -> Bool {
        guard command == .flush else { return false }
        self.pacer.flush()
        return true
    }

    func frameTick(at now: Duration, missed: Int) {
        guard !self.isQuiet else { return }
        // After a stall more than one, while there are whole ones.
        var left = 1 + missed
        while left > 0, self.pacer.waitingBytes > 0, left == 1 + missed || self.pacer.waitingBytes >= self.frameBytes {
            left -= 1
            self.lastSent = now
            let socket = self.socket
            let remote = self.remote
            _ = self.pacer.next(self.frameBytes, into: &self.frame) { socket.send($0, to: remote) }
        }
    }

    /// Sends nothing any more: the channel is about to be transferred.
    func quiet() {
        self.isQuiet = true
        self.pacer.flush()
    }

    /// The transfer was refused: the audio goes on.
    func resume() { self.isQuiet = false }

    func close(_ reason: LegClosing) {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.detach()
        self.clock.remove(self)
        self.socket.close()
        self.onClose?()
        self.onDatagram = nil
        self.onClose = nil
    }
}
