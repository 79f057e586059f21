import Audio
import Telephony

/// The media of one SIP leg, whole: what the shell's two sockets bring and take, and a frame each way every 20 ms.
///
/// The shell: hands in every datagram with its source (`received`, `receivedControl`), and every 20 ms calls `pull` for the
/// caller's frame and `send` for the agent's; sends what `send` and `report` append to `remote` and `controlRemote`. Numbers
/// that must be random, and the time, come from the shell.
package struct RTPStream: Sendable {
    package private(set) var receiver: RTPReceiver
    package private(set) var sender: RTPSender
    private var control: RTCPSession
    /// Where the peer takes RTCP, when signalling said so (`a=rtcp`, RFC 3605); else the port above its RTP port.
    private var announcedControl: RTPAddress?
    private var hasReportedLeaving = false
    /// Since when the peer is expected to send.
    private var expectedSince: Duration

    package init(
        receiver: RTPReceiver.Configuration, sender: RTPSender.Configuration, canonicalName: String, ntpAtZero: UInt64,
        announced: RTPAddress?, announcedControl: RTPAddress? = nil, at now: Duration, random: Double
    ) {
        self.receiver = RTPReceiver(configuration: receiver, announced: announced)
        self.sender = RTPSender(configuration: sender)
        self.control = RTCPSession(
            configuration: RTCPSession.Configuration(
                ssrc: sender.ssrc, canonicalName: canonicalName, ntpAtZero: ntpAtZero),
            at: now, random: random)
        self.announcedControl = announcedControl
        self.expectedSince = now
    }

    // MARK: What comes

    /// A re-INVITE or UPDATE named other addresses.
    package mutating func announce(_ address: RTPAddress, control: RTPAddress? = nil) {
        self.receiver.announce(address)
        self.announcedControl = control
    }

    /// Hold, or its end: audio that waits is of the past.
    package mutating func clear() { self.receiver.clear() }

    /// A datagram of the RTP port.
    package mutating func received(
        _ datagram: UnsafeRawBufferPointer, from source: RTPAddress, at now: Duration, into events: inout [RTPEvent]
    ) {
        // RFC 5761: some peers send RTCP here although nobody agreed to it.
        if RTPPacket.isControl(datagram) {
            self.receivedControl(datagram, from: source, at: now, into: &events)
            return
        }
        let before: Int = events.count
        self.receiver.received(datagram, from: source, at: now, into: &events)
        for index in before..<events.count where events[index] == .sourceChanged { self.control.sourceChanged() }
    }

    /// A datagram of the RTCP port. Hosts other than the one that is heard say nothing to us.
    package mutating func receivedControl(
        _ datagram: UnsafeRawBufferPointer, from source: RTPAddress, at now: Duration, into events: inout [RTPEvent]
    ) {
        guard let remote = self.remote, remote.hasSameHost(as: source) else { return }
        self.control.received(datagram, peer: self.receiver.source, at: now)
        if self.control.peerHasLeft, !self.hasReportedLeaving {
            self.hasReportedLeaving = true
            events.append(.peerLeft)
        }
    }

    /// The leg is on hold: a peer that sends nothing does as it should.
    package mutating func silenceExpected(at now: Duration) { self.expectedSince = now }

    /// How long nothing has come from the peer, neither RTP nor RTCP; what anybody else sends is no sign of its life.
    /// Mutating in name only: see `destination`.
    package mutating func silence(at now: Duration) -> Duration {
        var last: Duration = self.expectedSince
        if let time = self.receiver.lastAccepted { last = max(last, time) }
        if let time = self.control.lastAccepted { last = max(last, time) }
        return now - last
    }

    // MARK: What goes

    /// Where RTP goes. Nil until an address is known; one that `isNowhere` is not to be sent to.
    package var remote: RTPAddress? { self.receiver.remote }

    /// `remote`, for every packet. Mutating in name only: a getter of a value with these many parts is called with a
    /// copy of all of them when it is kept in a class of another module.
    package mutating func destination() -> RTPAddress? { self.receiver.remote }

    package var controlRemote: RTPAddress? {
        guard let remote = self.remote else { return nil }
        // Latched elsewhere than announced: what was announced is behind the same NAT, and useless.
        if let announced = self.announcedControl, announced.hasSameHost(as: remote) { return announced }
        return RTPAddress(high: remote.high, low: remote.low, port: remote.port &+ 1)
    }

    /// The caller's frame of these 20 ms: 160 codes, always.
    package mutating func pull(
        at now: Duration, into frame: inout [UInt8], events: inout [RTPEvent]
    ) -> RTPFrameKind {
        self.receiver.pull(at: now, into: &frame, events: &events)
    }

    /// The packet of these 20 ms: the agent's frame, a digit's packet, or silence when `frame` is empty.
    package mutating func send(_ frame: UnsafeRawBufferPointer, at now: Duration, into packet: inout [UInt8]) {
        self.sender.send(frame, at: now, into: &packet)
    }

    /// See `RTPSender.press`.
    package mutating func press(_ digit: Redacted<Character>, length: Duration = .milliseconds(160)) -> Bool {
        self.sender.press(digit, length: length)
    }

    /// When `report` is to be called next.
    package var reportDue: Duration { self.control.due }

    /// Asked each 20 ms: see `destination`.
    package mutating func isReportDue(at now: Duration) -> Bool { now >= self.control.due }

    /// Appends the RTCP compound. `isLast`: the leg is over, and a BYE goes with it.
    package mutating func report(
        at now: Duration, isLast: Bool = false, random: Double, into packet: inout [UInt8]
    ) {
        let block: RTCPReportBlock? = self.receiver.takeReport()
        self.control.report(
            at: now, sender: self.sender, block: block, isLast: isLast, random: random, into: &packet)
    }

    // MARK: Figures

    package var statistics: RTPStatistics {
        var statistics = self.receiver.statistics
        statistics.packetsSent = self.sender.packetsSent
        statistics.packetsInvalid += self.control.invalid
        statistics.remoteLost = self.control.remote.map { Int($0.cumulativeLost) }
        statistics.remoteJitter = self.control.remote.map { MediaClock.duration(Int($0.jitter)) }
        statistics.roundTrip = self.control.roundTrip
        statistics.roundTripMost = self.control.roundTripMost
        return statistics
    }
}
