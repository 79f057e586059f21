/// Why bytes are not an RTP packet.
package enum RTPPacketError: Error, Equatable, CaseIterable {
    /// Fewer bytes than the fixed header has.
    case tooShort
    /// The version is not 2.
    case wrongVersion
    /// CSRC list or header extension reach beyond the datagram.
    case headerBeyondDatagram
    /// The padding's length is zero or larger than what the header left.
    case wrongPadding
}

/// The header of one RTP packet, and where in its datagram the payload lies (RFC 3550 §5.1).
///
/// A view: nothing is copied. CSRCs and header extensions are stepped over, none of those we negotiate says anything.
package struct RTPPacket: Equatable, Sendable {
    package var marker: Bool
    /// 0…127.
    package var payloadType: UInt8
    package var sequenceNumber: UInt16
    package var timestamp: UInt32
    package var ssrc: UInt32
    /// Offsets into the datagram, padding excluded. May be empty.
    package var payload: Range<Int>

    /// Bytes of the header that we write: no CSRC, no extension.
    package static let headerBytes = 12

    package init(marker: Bool, payloadType: UInt8, sequenceNumber: UInt16, timestamp: UInt32, ssrc: UInt32) {
        self.marker = marker
        self.payloadType = payloadType & 0x7F
        self.sequenceNumber = sequenceNumber
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = RTPPacket.headerBytes..<RTPPacket.headerBytes
    }

    /// Reads a datagram.
    package init(parsing datagram: UnsafeRawBufferPointer) throws(RTPPacketError) {
        guard datagram.count >= RTPPacket.headerBytes else { throw .tooShort }
        let first: UInt8 = datagram[0]
        guard first >> 6 == 2 else { throw .wrongVersion }
        var start: Int = RTPPacket.headerBytes + 4 * Int(first & 0x0F)
        if first & 0x10 != 0 {
            // §5.3.1: 16 bits for the profile, then the length in 32-bit words without these four bytes.
            guard start + 4 <= datagram.count else { throw .headerBeyondDatagram }
            start += 4 + 4 * Int(datagram.bigEndian16(at: start + 2))
        }
        guard start <= datagram.count else { throw .headerBeyondDatagram }
        var end: Int = datagram.count
        if first & 0x20 != 0 {
            // The last byte counts itself.
            let padding = Int(datagram[end - 1])
            guard padding > 0, padding <= end - start else { throw .wrongPadding }
            end -= padding
        }
        self.marker = datagram[1] & 0x80 != 0
        self.payloadType = datagram[1] & 0x7F
        self.sequenceNumber = datagram.bigEndian16(at: 2)
        self.timestamp = datagram.bigEndian32(at: 4)
        self.ssrc = datagram.bigEndian32(at: 8)
        self.payload = start..<end
    }

    /// Appends the header; the payload follows it.
    package func writeHeader(into datagram: inout [UInt8]) {
        datagram.append(0x80)
        datagram.append(self.payloadType | (self.marker ? 0x80 : 0))
        datagram.appendBigEndian(self.sequenceNumber)
        datagram.appendBigEndian(self.timestamp)
        datagram.appendBigEndian(self.ssrc)
    }

    /// Whether a datagram on the RTP port is RTCP all the same (RFC 5761 §4: payload types 64–95 are never used for RTP
    /// where the two share a port).
    package static func isControl(_ datagram: UnsafeRawBufferPointer) -> Bool {
        datagram.count >= 8 && datagram[0] >> 6 == 2 && (192...223).contains(datagram[1])
    }
}

extension UnsafeRawBufferPointer {
    func bigEndian16(at offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
    func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: self.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}

extension [UInt8] {
    mutating func appendBigEndian(_ value: UInt16) {
        self.append(UInt8(truncatingIfNeeded: value >> 8))
        self.append(UInt8(truncatingIfNeeded: value))
    }
    mutating func appendBigEndian(_ value: UInt32) {
        self.appendBigEndian(UInt16(truncatingIfNeeded: value >> 16))
        self.appendBigEndian(UInt16(truncatingIfNeeded: value))
    }
}
