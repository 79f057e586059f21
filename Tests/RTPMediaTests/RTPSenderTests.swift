import Audio
import RTPMedia
import Telephony
import Testing

@Suite("Sending") struct RTPSenderTests {
    private static let frame = [UInt8](repeating: 0x42, count: 160)

    private static func sender() -> RTPSender {
        RTPSender(
            configuration: .init(law: .a, ssrc: 0xFEED, firstSequenceNumber: 65_535, firstTimestamp: .max - 159))
    }

    @Test("Something leaves every 20 ms; silence where nothing is said; the marker where a talkspurt begins")
    func continuous() throws {
        var sender: RTPSender = Self.sender()
        var marks = ""
        for (tick, says) in "..##..##".enumerated() {
            var bytes: [UInt8] = []
            let frame: [UInt8] = says == "#" ? Self.frame : []
            frame.withUnsafeBytes { sender.send($0, at: .milliseconds(20 * tick), into: &bytes) }
            let packet: RTPPacket = try RTPPacketTests.parse(bytes)
            marks += packet.marker ? "M" : "."
            #expect(packet.payloadType == 8)
            #expect(packet.ssrc == 0xFEED)
            #expect(packet.sequenceNumber == UInt16.max &+ UInt16(tick))
            #expect(packet.timestamp == UInt32.max - 159 &+ UInt32(tick * 160))
            #expect(Array(bytes[packet.payload]) == (says == "#" ? Self.frame : [UInt8](repeating: 0xD5, count: 160)))
        }
        #expect(marks == "M.M...M.")
        #expect(sender.packetsSent == 8)
        #expect(sender.bytesSent == 1280)
    }

    @Test("Ticks that come a little late move nothing; a long stop is in the timestamps") func lateTicks() throws {
        var sender: RTPSender = Self.sender()
        var timestamps: [UInt32] = []
        for now in [0, 20, 75, 76, 80, 1080] {
            var bytes: [UInt8] = []
            Self.frame.withUnsafeBytes { sender.send($0, at: .milliseconds(now), into: &bytes) }
            timestamps.append(try RTPPacketTests.parse(bytes).timestamp)
        }
        let steps: [UInt32] = zip(timestamps, timestamps.dropFirst()).map { $1 &- $0 }
        #expect(steps == [160, 160, 160, 160, 8000])
    }
}
