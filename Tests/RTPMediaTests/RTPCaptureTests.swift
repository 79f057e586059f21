import Foundation
import RTPMedia
import Telephony
import Testing

@Suite("What others really send") struct RTPCaptureTests {
    private static let peer = RTPAddress(ipv4: 0x7F00_0001, port: 4000)

    @Test("FreeSWITCH's bridge: six digits, a pause, no loss, nothing made up but what faded out") func freeSWITCH()
        throws
    {
        var receiver = RTPReceiver(configuration: .init(law: .mu), announced: Self.peer)
        var events: [RTPEvent] = []
        var packets: [(Duration, [UInt8])] = []
        for line in FreeSWITCHCapture.packets.split(separator: "\n") {
            let words: [Substring] = line.split(separator: " ")
            let type = try #require(UInt8(words[1]))
            var bytes: [UInt8] = []
            RTPPacket(
                marker: words[2] == "1", payloadType: type, sequenceNumber: try #require(UInt16(words[3])),
                timestamp: try #require(UInt32(words[4])), ssrc: FreeSWITCHCapture.ssrc
            ).writeHeader(into: &bytes)
            if words.count > 5 {
                let event = try #require(UInt32(words[5], radix: 16))
                bytes += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: event >> UInt32($0)) }
            } else {
                bytes += [UInt8](repeating: 0x20, count: 160)
            }
            packets.append((.microseconds(Int((try #require(Double(words[0])) * 1000).rounded())), bytes))
        }
        Self.run(&receiver, packets, &events)
        #expect(Self.digits(events) == "159#11")
        #expect(
            events.compactMap { if case .digitEnded(_, let length) = $0 { length } else { nil } }
                == [Duration](repeating: .milliseconds(160), count: 6))
        let statistics: RTPStatistics = receiver.statistics
        #expect(statistics.packetsReceived == packets.count)
        #expect(statistics.packetsLost == 0)
        #expect(statistics.packetsLate == 0)
        #expect(statistics.timelineJumps == 0)
        #expect(statistics.audioConcealed == .zero)
        #expect(statistics.audioPlayed == .milliseconds(20 * packets.count { $0.1.count == 172 }))
        #expect(events.first == .remoteLatched(Self.peer))
    }

    /// Captures that come with Debian's sip-tester (SIPp): payload type 101, durations from 0, steps of 40 ms.
    @Test(
        "SIPp's recorded digits are heard once each",
        arguments: zip("0123456789*#", Array("0123456789").map { String($0) } + ["star", "pound"]))
    func sipp(digit: Character, name: String) throws {
        let path = "/usr/share/sip-tester/dtmf_2833_\(name).pcap"
        guard let file = FileManager.default.contents(atPath: path) else {
            print("skipped: \(path) is not there (Debian's sip-tester has it)")
            return
        }
        var receiver = RTPReceiver(configuration: .init(law: .mu), announced: Self.peer)
        var events: [RTPEvent] = []
        Self.run(&receiver, Self.datagrams([UInt8](file)), &events)
        #expect(Self.digits(events) == String(digit))
    }

    @Test("SIPp's recorded A-law voice passes untouched") func sippVoice() throws {
        let path = "/usr/share/sip-tester/g711a.pcap"
        guard let file = FileManager.default.contents(atPath: path) else {
            print("skipped: \(path) is not there (Debian's sip-tester has it)")
            return
        }
        let packets: [(Duration, [UInt8])] = Self.datagrams([UInt8](file))
        var receiver = RTPReceiver(configuration: .init(law: .a), announced: Self.peer)
        var events: [RTPEvent] = []
        Self.run(&receiver, packets, &events)
        let statistics: RTPStatistics = receiver.statistics
        #expect(packets.count > 100)
        #expect(statistics.packetsReceived == packets.count)
        #expect(statistics.packetsLost == 0)
        #expect(statistics.concealedShare < 0.01)
    }

    private static func run(
        _ receiver: inout RTPReceiver, _ packets: [(arrival: Duration, bytes: [UInt8])], _ events: inout [RTPEvent]
    ) {
        var next = 0
        var frame: [UInt8] = []
        let end: Duration = (packets.last?.arrival ?? .zero) + .milliseconds(500)
        var now: Duration = .milliseconds(13)
        while now < end {
            while next < packets.count, packets[next].arrival <= now {
                packets[next].bytes.withUnsafeBytes {
                    receiver.received($0, from: self.peer, at: packets[next].arrival, into: &events)
                }
                next += 1
            }
            frame.removeAll(keepingCapacity: true)
            _ = receiver.pull(at: now, into: &frame, events: &events)
            now += .milliseconds(20)
        }
    }

    private static func digits(_ events: [RTPEvent]) -> String {
        String(events.compactMap { if case .digitBegan(let digit) = $0 { digit.value } else { nil } })
    }

    /// The UDP payloads of a little-endian pcap file with Ethernet and IPv4.
    private static func datagrams(_ file: [UInt8]) -> [(Duration, [UInt8])] {
        func number(_ offset: Int) -> Int {
            Int(file[offset]) | Int(file[offset + 1]) << 8 | Int(file[offset + 2]) << 16 | Int(file[offset + 3]) << 24
        }
        var datagrams: [(Duration, [UInt8])] = []
        var offset = 24
        var first: Duration?
        while offset + 16 <= file.count, offset + 16 + number(offset + 8) <= file.count {
            let time: Duration = .seconds(number(offset)) + .microseconds(number(offset + 4))
            let packet = Array(file[(offset + 16)..<(offset + 16 + number(offset + 8))])
            offset += 16 + packet.count
            let udp: Int = 14 + 4 * Int(packet[14] & 0x0F)
            // The length that UDP says: Ethernet pads short frames.
            let length = Int(packet[udp + 4]) << 8 | Int(packet[udp + 5])
            first = first ?? time
            datagrams.append((time - (first ?? time), Array(packet[(udp + 8)..<(udp + length)])))
        }
        return datagrams
    }
}
