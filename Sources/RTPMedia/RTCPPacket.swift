/// Why bytes are not an RTCP compound packet.
package enum RTCPPacketError: Error, Equatable, CaseIterable {
    case tooShort
    case wrongVersion
    /// The first packet of a compound is neither a sender's nor a receiver's report (RFC 3550 §6.1).
    case noReport
    /// A packet's length, or what it says of its content, reaches beyond the datagram.
    case lengthBeyondDatagram
}

/// One report about one source (RFC 3550 §6.4.1).
package struct RTCPReportBlock: Equatable, Sendable {
    /// Whose packets this is about.
    package var ssrc: UInt32
    /// Since the last report, in 256ths.
    package var fractionLost: UInt8
    /// Of all time: 24 bits, signed (duplicates may make it negative at others).
    package var cumulativeLost: Int32
    package var highestSequence: UInt32
    /// Samples.
    package var jitter: UInt32
    /// The middle 32 bits of the last sender report's NTP time; 0: none came.
    package var lastSenderReport: UInt32
    /// Since then, in 65 536ths of a second.
    package var delaySinceLastSenderReport: UInt32

    static let bytes = 24

    package init(
        ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequence: UInt32, jitter: UInt32,
        lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.highestSequence = highestSequence
        self.jitter = jitter
        self.lastSenderReport = lastSenderReport
        self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }

    init(reading bytes: UnsafeRawBufferPointer, at offset: Int) {
        let loss: UInt32 = bytes.bigEndian32(at: offset + 4)
        self.init(
            ssrc: bytes.bigEndian32(at: offset), fractionLost: UInt8(loss >> 24),
            cumulativeLost: Int32(bitPattern: loss << 8) >> 8, highestSequence: bytes.bigEndian32(at: offset + 8),
            jitter: bytes.bigEndian32(at: offset + 12), lastSenderReport: bytes.bigEndian32(at: offset + 16),
            delaySinceLastSenderReport: bytes.bigEndian32(at: offset + 20))
    }

    func write(into packet: inout [UInt8]) {
        packet.appendBigEndian(self.ssrc)
        let lost: Int32 = max(-0x80_0000, min(0x7F_FFFF, self.cumulativeLost))
        packet.appendBigEndian(UInt32(self.fractionLost) << 24 | UInt32(bitPattern: lost) & 0xFF_FFFF)
        packet.appendBigEndian(self.highestSequence)
        packet.appendBigEndian(self.jitter)
        packet.appendBigEndian(self.lastSenderReport)
        packet.appendBigEndian(self.delaySinceLastSenderReport)
    }
}

/// What one packet of a compound says, as far as a call of two needs it (RFC 3550 §6).
package enum RTCPMessage: Equatable, Sendable {
    /// `ntp`: whole seconds since 1900 above, the fraction below.
    case senderReport(ssrc: UInt32, ntp: UInt64, timestamp: UInt32, packets: UInt32, bytes: UInt32)
    /// From `ssrc`; the blocks of a sender's and of a receiver's report alike.
    case block(from: UInt32, RTCPReportBlock)
    case goodbye(ssrc: UInt32)

    static let senderReportType: UInt8 = 200
    static let receiverReportType: UInt8 = 201
    static let descriptionType: UInt8 = 202
    static let goodbyeType: UInt8 = 203

    /// Appends what a datagram says. SDES, APP and unknown packets are stepped over (§6.1: unknown types are ignored).
    package static func parse(
        _ datagram: UnsafeRawBufferPointer, into messages: inout [RTCPMessage]
    ) throws(RTCPPacketError) {
        guard datagram.count >= 8 else { throw .tooShort }
        let first: UInt8 = datagram[1]
        guard datagram[0] >> 6 == 2 else { throw .wrongVersion }
        guard first == self.senderReportType || first == self.receiverReportType else { throw .noReport }
        var start = 0
        while start < datagram.count {
            guard start + 4 <= datagram.count else { throw .lengthBeyondDatagram }
            guard datagram[start] >> 6 == 2 else { throw .wrongVersion }
            let end: Int = start + 4 + 4 * Int(datagram.bigEndian16(at: start + 2))
            guard end <= datagram.count else { throw .lengthBeyondDatagram }
            try self.parse(
                UnsafeRawBufferPointer(rebasing: datagram[start..<end]), count: Int(datagram[start] & 0x1F),
                type: datagram[start + 1], into: &messages)
            start = end
        }
    }

    private static func parse(
        _ packet: UnsafeRawBufferPointer, count: Int, type: UInt8, into messages: inout [RTCPMessage]
    ) throws(RTCPPacketError) {
        switch type {
        case self.senderReportType, self.receiverReportType:
            let head: Int = type == self.senderReportType ? 28 : 8
            guard packet.count >= head + count * RTCPReportBlock.bytes else { throw .lengthBeyondDatagram }
            let ssrc: UInt32 = packet.bigEndian32(at: 4)
            if type == self.senderReportType {
                messages.append(
                    .senderReport(
                        ssrc: ssrc, ntp: UInt64(packet.bigEndian32(at: 8)) << 32 | UInt64(packet.bigEndian32(at: 12)),
                        timestamp: packet.bigEndian32(at: 16), packets: packet.bigEndian32(at: 20),
                        bytes: packet.bigEndian32(at: 24)))
            }
            for index in 0..<count {
                messages.append(
                    .block(
                        from: ssrc, RTCPReportBlock(reading: packet, at: head + index * RTCPReportBlock.bytes)))
            }
        case self.goodbyeType:
            guard packet.count >= 4 + 4 * count else { throw .lengthBeyondDatagram }
            for index in 0..<count { messages.append(.goodbye(ssrc: packet.bigEndian32(at: 4 + 4 * index))) }
        default: break
        }
    }
}
