import Telephony

/// RTCP of a leg: what is reported, how often, and what the peer's reports say (RFC 3550 §6).
///
/// One peer, one source each way: the interval is always the least, 5 s, drawn between half and one and a half of it so that
/// calls do not report in step (§6.2, §6.3.1). `due` tells the shell when; it hands in the random number.
package struct RTCPSession: Sendable {
    package struct Configuration: Sendable {
        /// Ours, the sender's.
        package var ssrc: UInt32
        /// §6.5.1: random and without a name in it (RFC 7022), the same for the whole call. At most 255 bytes.
        package var canonicalName: String
        /// The NTP time (seconds since 1900 in the upper 32 bits) when the shell's clock was zero. Only differences of it
        /// are used here; a peer may show it.
        package var ntpAtZero: UInt64

        package init(ssrc: UInt32, canonicalName: String, ntpAtZero: UInt64) {
            self.ssrc = ssrc
            self.canonicalName = canonicalName
            self.ntpAtZero = ntpAtZero
        }
    }

    /// When the next report is due.
    package private(set) var due: Duration
    /// What the peer said last of our packets.
    package private(set) var remote: RTCPReportBlock?
    package private(set) var roundTrip: Duration?
    package private(set) var roundTripMost: Duration?
    package private(set) var peerHasLeft = false
    package private(set) var invalid = 0
    /// When a report from the peer's host last came that could be read; nil: none has.
    private(set) var lastAccepted: Duration?

    private let configuration: Configuration
    private var lastSenderReport: (middle: UInt32, at: Duration)?
    private var messages: [RTCPMessage] = []

    private static let interval: Duration = .seconds(5)

    /// `random`: 0..<1.
    package init(configuration: Configuration, at now: Duration, random: Double) {
        self.configuration = configuration
        // §6.2: half the interval before the first.
        self.due = now + RTCPSession.drawn(RTCPSession.interval / 2, random)
    }

    /// A datagram of the RTCP port. `peer`: the SSRC that is heard; what others say is ignored, unless none is known.
    package mutating func received(_ datagram: UnsafeRawBufferPointer, peer: UInt32?, at now: Duration) {
        self.messages.removeAll(keepingCapacity: true)
        do throws(RTCPPacketError) { try RTCPMessage.parse(datagram, into: &self.messages) } catch {
            self.invalid += 1
            return
        }
        self.lastAccepted = max(self.lastAccepted ?? now, now)
        for message in self.messages {
            switch message {
            case .senderReport(let ssrc, let ntp, _, _, _):
                guard peer == nil || ssrc == peer else { continue }
                self.lastSenderReport = (UInt32(truncatingIfNeeded: ntp >> 16), now)
            case .block(_, let block):
                guard block.ssrc == self.configuration.ssrc else { continue }
                self.remote = block
                self.measureRoundTrip(block, at: now)
            case .goodbye(let ssrc):
                if ssrc == peer { self.peerHasLeft = true }
            }
        }
    }

    /// Appends the compound that is due: SR (or RR before anything was sent), SDES, and BYE at the end of the leg.
    package mutating func report(
        at now: Duration, sender: RTPSender, block: RTCPReportBlock?, isLast: Bool = false, random: Double,
        into packet: inout [UInt8]
    ) {
        self.due = now + RTCPSession.drawn(RTCPSession.interval, random)
        var block = block
        if let last = self.lastSenderReport, block != nil {
            block?.lastSenderReport = last.middle
            block?.delaySinceLastSenderReport = RTCPSession.units(now - last.at)
        }
        let hasSent: Bool = sender.packetsSent > 0
        let words: Int = (hasSent ? 6 : 1) + (block == nil ? 0 : 6)
        packet.append(0x80 | (block == nil ? 0 : 1))
        packet.append(hasSent ? RTCPMessage.senderReportType : RTCPMessage.receiverReportType)
        packet.appendBigEndian(UInt16(words))
        packet.appendBigEndian(self.configuration.ssrc)
        if hasSent {
            let ntp: UInt64 = self.ntp(at: now)
            packet.appendBigEndian(UInt32(truncatingIfNeeded: ntp >> 32))
            packet.appendBigEndian(UInt32(truncatingIfNeeded: ntp))
            packet.appendBigEndian(sender.timestamp)
            packet.appendBigEndian(UInt32(truncatingIfNeeded: sender.packetsSent))
            packet.appendBigEndian(UInt32(truncatingIfNeeded: sender.bytesSent))
        }
        block?.write(into: &packet)
        self.describe(into: &packet)
        guard isLast else { return }
        packet.append(0x81)
        packet.append(RTCPMessage.goodbyeType)
        packet.appendBigEndian(UInt16(1))
        packet.appendBigEndian(self.configuration.ssrc)
    }

    /// The peer's SSRC is another's now.
    package mutating func sourceChanged() {
        self.lastSenderReport = nil
        self.peerHasLeft = false
    }

    /// SDES with CNAME, ended by one to four zero bytes (§6.5).
    private func describe(into packet: inout [UInt8]) {
        let name = self.configuration.canonicalName.utf8.prefix(255)
        let chunk: Int = (4 + 2 + name.count + 1 + 3) / 4
        packet.append(0x81)
        packet.append(RTCPMessage.descriptionType)
        packet.appendBigEndian(UInt16(chunk))
        packet.appendBigEndian(self.configuration.ssrc)
        packet.append(1)
        packet.append(UInt8(name.count))
        packet.append(contentsOf: name)
        packet.append(contentsOf: repeatElement(0, count: chunk * 4 - 6 - name.count))
    }

    /// §6.4.1: A − LSR − DLSR, in 65 536ths of a second; modulo 18 hours.
    private mutating func measureRoundTrip(_ block: RTCPReportBlock, at now: Duration) {
        guard block.lastSenderReport != 0 else { return }
        let middle = UInt32(truncatingIfNeeded: self.ntp(at: now) >> 16)
        let units = Int32(bitPattern: middle &- block.lastSenderReport &- block.delaySinceLastSenderReport)
        // Clocks that differ make small ones negative; beyond 30 s it is no report of ours.
        guard units > -3276, units < 30 * 65_536 else {
            self.invalid += 1
            return
        }
        let trip: Duration = .nanoseconds(Int64(max(0, units)) * 1_000_000_000 / 65_536)
        self.roundTrip = trip
        self.roundTripMost = max(self.roundTripMost ?? trip, trip)
    }

    private func ntp(at now: Duration) -> UInt64 {
        let (seconds, attoseconds) = now.components
        let fraction: UInt64 = UInt64(bitPattern: attoseconds / 1_000_000_000) << 32 / 1_000_000_000
        return self.configuration.ntpAtZero &+ UInt64(bitPattern: seconds) << 32 &+ fraction
    }

    private static func units(_ duration: Duration) -> UInt32 {
        UInt32(clamping: duration.nanoseconds / 1000 * 65_536 / 1_000_000)
    }

    /// §6.3.1: 0.5 to 1.5 times, divided by e − 3/2, which makes up for the timers' reconsideration.
    private static func drawn(_ interval: Duration, _ random: Double) -> Duration {
        let factor: Double = (0.5 + min(1, max(0, random))) / 1.21828
        return .nanoseconds(Int64(Double(interval.nanoseconds) * factor))
    }
}
