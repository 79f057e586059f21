import RTPMedia
import Testing

@Suite("RTP packets (RFC 3550 §5.1)") struct RTPPacketTests {
    /// The head that FreeSWITCH 1.11 sent to the lab's phone: version 2, PT 0, SSRC 0xcb28dba0 (2026-11-20).
    private static let plain: [UInt8] = [
        0x80, 0x80, 0x12, 0x34, 0x00, 0x00, 0x00, 0xA0, 0xCB, 0x28, 0xDB, 0xA0, 0xFF, 0xFE,
    ]

    @Test("A plain packet is read") func plain() throws {
        let packet = try Self.parse(Self.plain)
        #expect(packet.marker)
        #expect(packet.payloadType == 0)
        #expect(packet.sequenceNumber == 0x1234)
        #expect(packet.timestamp == 160)
        #expect(packet.ssrc == 0xCB28_DBA0)
        #expect(packet.payload == 12..<14)
    }

    @Test("Contributing sources, an extension and padding are stepped over") func steppedOver() throws {
        var bytes: [UInt8] = Self.plain
        bytes[0] = 0x80 | 0x20 | 0x10 | 2
        bytes.insert(contentsOf: [UInt8](repeating: 0xCC, count: 8) + [0xBE, 0xDE, 0, 1, 1, 2, 3, 4], at: 12)
        bytes += [0, 0, 3]
        #expect(try Self.parse(bytes).payload == 28..<30)
    }

    @Test("What we write is what is read") func roundTrip() throws {
        let packet = RTPPacket(
            marker: true, payloadType: 101, sequenceNumber: 65_535, timestamp: .max, ssrc: 0x0102_0304)
        var bytes: [UInt8] = []
        packet.writeHeader(into: &bytes)
        #expect(bytes == [0x80, 0xE5, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4])
        #expect(try Self.parse(bytes) == packet)
    }

    @Test(
        "Broken packets are refused for what is broken",
        arguments: [
            ([], RTPPacketError.tooShort),
            ([UInt8](repeating: 0x80, count: 11), .tooShort),
            ([0x40] + [UInt8](repeating: 0, count: 11), .wrongVersion),
            ([0x81] + [UInt8](repeating: 0, count: 11), .headerBeyondDatagram),
            ([0x90] + [UInt8](repeating: 0, count: 11), .headerBeyondDatagram),
            ([0x90] + [UInt8](repeating: 0, count: 13) + [0xFF, 0xFF], .headerBeyondDatagram),
            ([0xA0] + [UInt8](repeating: 0, count: 12), .wrongPadding),
            ([0xA0] + [UInt8](repeating: 0, count: 11) + [2], .wrongPadding),
        ] as [([UInt8], RTPPacketError)])
    func refused(bytes: [UInt8], error: RTPPacketError) {
        #expect(throws: error) { try Self.parse(bytes) }
    }

    @Test("RTCP on the RTP port is known for what it is") func control() {
        #expect(([0x80, 200, 0, 6, 0, 0, 0, 1] as [UInt8]).withUnsafeBytes { RTPPacket.isControl($0) })
        #expect(!Self.plain.withUnsafeBytes { RTPPacket.isControl($0) })
    }

    static func parse(_ bytes: [UInt8]) throws -> RTPPacket {
        try bytes.withUnsafeBytes { try RTPPacket(parsing: $0) }
    }
}
