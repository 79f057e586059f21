import RTPMedia
import Simulators
import Telephony
import Testing

@Suite("Hostile datagrams") struct RTPMutationTests {
    private static let peer = RTPAddress(ipv4: 0x7F00_0001, port: 4000)

    @Test("10 000 mutated datagrams: a frame each 20 ms, figures that add up, and the call goes on") func mutations() {
        var random = SeededRandom(seed: 20_261_121)
        var leg = RTPStream(
            receiver: .init(law: .mu, acceptsOtherLaw: true),
            sender: .init(law: .mu, ssrc: 2, firstSequenceNumber: 0, firstTimestamp: 0), canonicalName: "a",
            ntpAtZero: 0, announced: Self.peer, at: .zero, random: 0)
        var peer = RTPStream(
            receiver: .init(law: .mu), sender: .init(law: .mu, ssrc: 1, firstSequenceNumber: 0, firstTimestamp: 0),
            canonicalName: "b", ntpAtZero: 0, announced: nil, at: .zero, random: 0)
        var events: [RTPEvent] = []
        var frame: [UInt8] = []
        for tick in 0..<10_000 {
            let now: Duration = .milliseconds(20 * tick)
            if tick % 50 == 0 { _ = peer.press(Redacted("5")) }
            let original: [UInt8] = Self.datagram(of: &peer, tick, at: now)
            var bytes: [UInt8] = original
            Self.mutate(&bytes, &random)
            for datagram in [original, bytes] {
                datagram.withUnsafeBytes {
                    if tick % 3 == 0 {
                        leg.receivedControl($0, from: Self.peer, at: now, into: &events)
                    }
                    leg.received($0, from: Self.peer, at: now, into: &events)
                }
            }
            frame.removeAll(keepingCapacity: true)
            _ = leg.pull(at: now, into: &frame, events: &events)
            #expect(frame.count == 160)
            let statistics: RTPStatistics = leg.statistics
            #expect(statistics.packetsLost >= 0 && statistics.packetsLost <= statistics.packetsExpected)
            #expect((1...4.5).contains(statistics.meanOpinionScore))
        }
        // Whatever was done to it: two seconds of good packets, and it plays.
        var kinds: [RTPFrameKind] = []
        for tick in 10_000..<10_100 {
            let now: Duration = .milliseconds(20 * tick)
            let original: [UInt8] = Self.datagram(of: &peer, tick, at: now)
            original.withUnsafeBytes { leg.received($0, from: Self.peer, at: now, into: &events) }
            frame.removeAll(keepingCapacity: true)
            kinds.append(leg.pull(at: now, into: &frame, events: &events))
        }
        #expect(kinds.suffix(20).contains(.audio))
        #expect(leg.statistics.digits > 0)
    }

    @Test("Datagrams of nothing but chance") func chance() {
        var random = SeededRandom(seed: 7)
        var receiver = RTPReceiver(configuration: .init(law: .a), announced: Self.peer)
        var events: [RTPEvent] = []
        var frame: [UInt8] = []
        for tick in 0..<10_000 {
            var bytes: [UInt8] = (0..<Int(random.next() % 400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            // Half of them get as far as the payload type.
            if tick % 2 == 0, bytes.count > 2 {
                bytes[0] = 0x80
                bytes[1] = [8, 13, 101, 0x88][tick / 2 % 4]
            }
            bytes.withUnsafeBytes {
                receiver.received($0, from: Self.peer, at: .milliseconds(20 * tick), into: &events)
            }
            frame.removeAll(keepingCapacity: true)
            _ = receiver.pull(at: .milliseconds(20 * tick), into: &frame, events: &events)
            #expect(frame.count == 160)
        }
    }

    private static func datagram(of peer: inout RTPStream, _ tick: Int, at now: Duration) -> [UInt8] {
        var bytes: [UInt8] = []
        if tick % 25 == 24 {
            peer.report(at: now, random: 0.5, into: &bytes)
        } else {
            DrawnLeg.frame(tick).withUnsafeBytes { peer.send($0, at: now, into: &bytes) }
        }
        return bytes
    }

    private static func mutate(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        for _ in 0...Int(random.next() % 4) {
            guard !bytes.isEmpty else { return }
            // The head more often than the rest.
            let index: Int = Int(random.next() % UInt64(random.next() % 2 == 0 ? min(16, bytes.count) : bytes.count))
            switch random.next() % 5 {
            case 0: bytes[index] ^= 1 << UInt8(random.next() % 8)
            case 1: bytes[index] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.removeLast(min(bytes.count, Int(random.next() % 40)))
            case 3: bytes.insert(contentsOf: bytes.prefix(Int(random.next() % 20)), at: index)
            default: bytes[index] = [0, 0xFF, 0x80, 0x7F][Int(random.next() % 4)]
            }
        }
    }
}
