/// Decides whose packets are the caller's: symmetric RTP (RFC 4961), with rules against strangers.
///
/// The peer says in SDP where its audio will come from; behind a NAT it comes from elsewhere. So the latch closes on the
/// first source that shows itself valid, and answers go there. Once closed, it opens for another source only when the
/// present one has been silent for `patience`, or when signalling announces a new address. A datagram of anybody else
/// is dropped and counted.
package struct RTPSourceLatch: Sendable {
    package enum Policy: Sendable, Equatable {
        /// Only the announced host; any port of it. For a switch that is beside us or on our network.
        case announcedHost
        /// Any host that shows itself valid: for peers behind a NAT.
        case anyHost
    }

    package enum Verdict: Sendable, Equatable {
        /// From the source that the latch is closed on (or has just been closed on).
        case accepted
        /// The latch has just closed, or moved: replies go to this source from now on.
        case latched
        /// Not yet believed, or nobody we know: drop it.
        case refused
    }

    /// Where replies go: what the latch is closed on, before that what was announced.
    package private(set) var remote: RTPAddress?
    /// How often the latch moved from one source to another without word from signalling.
    package private(set) var moves = 0
    /// Datagrams of others.
    package private(set) var refused = 0

    private let policy: Policy
    private let patience: Duration
    private var announced: RTPAddress?
    private var isClosed = false
    private var lastHeard: Duration = .zero
    /// The source that is on probation: its SSRC, the number it must send next, and how many came in a row.
    private var candidate: (address: RTPAddress, ssrc: UInt32, next: UInt16, count: Int)?

    /// RFC 3550 A.1: two packets in order make a source valid.
    private static let firstProbation = 2
    /// To take a call over from a source that has fallen silent, a little more is asked.
    private static let laterProbation = 5

    package init(announced: RTPAddress?, policy: Policy = .announcedHost, patience: Duration = .seconds(1)) {
        self.announced = announced
        self.remote = announced
        self.policy = policy
        self.patience = patience
    }

    /// Signalling named the address (answer, re-INVITE, UPDATE). The same one again changes nothing.
    package mutating func announce(_ address: RTPAddress) {
        guard address != self.announced, !address.isNowhere else { return }
        self.announced = address
        self.remote = address
        self.isClosed = false
        self.candidate = nil
    }

    /// Judges a valid RTP packet.
    package mutating func judge(_ packet: RTPPacket, from source: RTPAddress, at now: Duration) -> Verdict {
        if self.isClosed, source == self.remote {
            self.lastHeard = now
            self.candidate = nil
            return .accepted
        }
        guard self.isAllowed(source), !self.isClosed || now - self.lastHeard >= self.patience else {
            self.refused += 1
            return .refused
        }
        // Exactly who was announced: nothing more to prove, and no first word lost.
        if source == self.announced { return self.close(on: source, at: now) }
        let needed: Int = self.isClosed ? RTPSourceLatch.laterProbation : RTPSourceLatch.firstProbation
        if let known = self.candidate, known.address == source, known.ssrc == packet.ssrc,
            known.next == packet.sequenceNumber
        {
            if known.count + 1 >= needed { return self.close(on: source, at: now) }
            self.candidate = (source, packet.ssrc, packet.sequenceNumber &+ 1, known.count + 1)
        } else {
            self.candidate = (source, packet.ssrc, packet.sequenceNumber &+ 1, 1)
        }
        self.refused += 1
        return .refused
    }

    private func isAllowed(_ source: RTPAddress) -> Bool {
        switch self.policy {
        case .anyHost: true
        case .announcedHost: self.announced.map { source.hasSameHost(as: $0) } ?? false
        }
    }

    private mutating func close(on source: RTPAddress, at now: Duration) -> Verdict {
        if self.isClosed { self.moves += 1 }
        self.isClosed = true
        self.remote = source
        self.lastHeard = now
        self.candidate = nil
        return .latched
    }
}
