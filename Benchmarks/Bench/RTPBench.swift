import RTPMedia
import Telephony

/// What a SIP leg costs a frame: a packet taken and a frame given out; a frame taken and a packet written.
enum RTPBench {
    static func findings() -> [Finding] {
        [self.receive("RTP receive and pull, PCMU", lossEvery: 0), self.receive("the same, 5 % lost", lossEvery: 20)]
            + [self.send(), self.parse()]
    }

    private static let address = RTPAddress(ipv4: 0x7F00_0001, port: 4000)
    private static let frame: [UInt8] = (0..<160).map { UInt8(truncatingIfNeeded: $0 &* 3) }

    private static func receive(_ name: String, lossEvery: Int) -> Finding {
        var receiver = RTPReceiver(configuration: .init(law: .mu), announced: self.address)
        var packets = PacketSource()
        var events: [RTPEvent] = []
        var output: [UInt8] = []
        var now: Duration = .zero
        return measure(name, operations: 2000, mustNotAllocate: true) {
            for index in 0..<2000 {
                now += .milliseconds(20)
                packets.advance()
                if lossEvery == 0 || index % lossEvery != 7 {
                    packets.bytes.withUnsafeBytes {
                        receiver.received($0, from: self.address, at: now, into: &events)
                    }
                }
                output.removeAll(keepingCapacity: true)
                events.removeAll(keepingCapacity: true)
                keep(receiver.pull(at: now, into: &output, events: &events))
            }
        }
    }

    private static func send() -> Finding {
        var sender = RTPSender(
            configuration: .init(law: .mu, ssrc: 1, firstSequenceNumber: 0, firstTimestamp: 0))
        var packet: [UInt8] = []
        var now: Duration = .zero
        return measure("RTP send, PCMU", operations: 2000, mustNotAllocate: true) {
            self.frame.withUnsafeBytes { frame in
                for _ in 0..<2000 {
                    now += .milliseconds(20)
                    packet.removeAll(keepingCapacity: true)
                    sender.send(frame, at: now, into: &packet)
                }
            }
        }
    }

    private static func parse() -> Finding {
        let packets = PacketSource()
        return measure("RTP packet, parse", operations: 2000, mustNotAllocate: true) {
            packets.bytes.withUnsafeBytes { bytes in
                for _ in 0..<2000 {
                    guard let packet = try? RTPPacket(parsing: bytes) else { continue }
                    keep(packet.payload.count)
                }
            }
        }
    }

    /// One packet of 20 ms whose number and timestamp go on in place.
    private struct PacketSource {
        private(set) var bytes: [UInt8] = []
        private var number: UInt16 = 0
        private var timestamp: UInt32 = 0

        init() {
            RTPPacket(marker: false, payloadType: 0, sequenceNumber: 0, timestamp: 0, ssrc: 7).writeHeader(
                into: &self.bytes)
            self.bytes += RTPBench.frame
        }

        mutating func advance() {
            self.number &+= 1
            self.timestamp &+= 160
            self.bytes[2] = UInt8(truncatingIfNeeded: self.number >> 8)
            self.bytes[3] = UInt8(truncatingIfNeeded: self.number)
            for index in 0..<4 {
                self.bytes[4 + index] = UInt8(truncatingIfNeeded: self.timestamp >> UInt32(24 - 8 * index))
            }
        }
    }
}
