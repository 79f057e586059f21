import RTPMedia
import Telephony
import Testing

@Suite("RTCP (RFC 3550 §6)") struct RTCPTests {
    private static let block = RTCPReportBlock(
        ssrc: 0xAABB_CCDD, fractionLost: 64, cumulativeLost: -2, highestSequence: 0x0001_0005, jitter: 80,
        lastSenderReport: 0x1234_5678, delaySinceLastSenderReport: 65_536)

    /// A sender report with one block, SDES and BYE, written by hand after §6.4.1, §6.5, §6.6.
    private static let compound: [UInt8] =
        [0x81, 200, 0, 12] + [0, 0, 0, 9] + [0xE0, 0, 0, 1, 0x80, 0, 0, 0] + [0, 0, 0, 160, 0, 0, 0, 3, 0, 0, 1, 0xE0]
        + [0xAA, 0xBB, 0xCC, 0xDD, 64, 0xFF, 0xFF, 0xFE, 0, 1, 0, 5, 0, 0, 0, 80]
        + [0x12, 0x34, 0x56, 0x78, 0, 1, 0, 0]
        + [0x81, 202, 0, 3, 0, 0, 0, 9, 1, 3, 0x61, 0x40, 0x62, 0, 0, 0]
        + [0x81, 203, 0, 1, 0, 0, 0, 9]

    @Test("A compound is read") func read() throws {
        #expect(
            try Self.parse(Self.compound) == [
                .senderReport(ssrc: 9, ntp: 0xE000_0001_8000_0000, timestamp: 160, packets: 3, bytes: 480),
                .block(from: 9, Self.block), .goodbye(ssrc: 9),
            ])
    }

    @Test("Cut anywhere, it is refused or says less, and never more") func cut() throws {
        for length in 0..<Self.compound.count {
            let whole: [RTCPMessage] = try Self.parse(Self.compound)
            do {
                let messages: [RTCPMessage] = try Self.parse(Array(Self.compound[..<length]))
                #expect(whole.starts(with: messages))
            } catch let error as RTCPPacketError {
                #expect([.tooShort, .lengthBeyondDatagram].contains(error))
            }
        }
    }

    @Test(
        "What is no compound is refused",
        arguments: [
            ([0x80, 203, 0, 1, 0, 0, 0, 9], RTCPPacketError.noReport), ([0x40, 200, 0, 1, 0, 0, 0, 9], .wrongVersion),
            ([0x9F, 201, 0, 1, 0, 0, 0, 9], .lengthBeyondDatagram),
            ([0x80, 201, 0xFF, 0xFF, 0, 0, 0, 9], .lengthBeyondDatagram),
            ([0x80, 201, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0], .wrongVersion),
        ] as [([UInt8], RTCPPacketError)])
    func refused(bytes: [UInt8], error: RTCPPacketError) {
        #expect(throws: error) { try Self.parse(bytes) }
    }

    @Test("Two legs measure loss, jitter and round trip of one another") func conversation() throws {
        // Each way 35 ms; the caller's every tenth packet is lost; the two clocks have nothing in common.
        let way: Duration = .milliseconds(35)
        var caller = Self.leg(ssrc: 1, ntp: 0xE000_0000_0000_0000, at: .zero)
        var ours = Self.leg(ssrc: 2, ntp: 0x1234_5678_9ABC_DEF0, at: .zero)
        var events: [RTPEvent] = []
        var frame: [UInt8] = []
        var reports = 0
        var underWay: [(due: Duration, isOurs: Bool, bytes: [UInt8])] = []
        for tick in 0..<2000 {
            let now: Duration = .milliseconds(20 * tick)
            // On the RTP port, as some peers do (RFC 5761).
            for report in underWay where report.due <= now {
                report.bytes.withUnsafeBytes {
                    if report.isOurs {
                        caller.received($0, from: Self.ourAddress, at: report.due, into: &events)
                    } else {
                        ours.received($0, from: Self.callerAddress, at: report.due, into: &events)
                    }
                }
            }
            underWay.removeAll { $0.due <= now }
            Self.carry(&caller, to: &ours, Self.callerAddress, at: now, way, isLost: tick % 10 == 3)
            Self.carry(&ours, to: &caller, Self.ourAddress, at: now, way, isLost: false)
            frame.removeAll()
            _ = ours.pull(at: now, into: &frame, events: &events)
            _ = caller.pull(at: now, into: &frame, events: &events)
            if now >= ours.reportDue {
                underWay.append((now + way, true, Self.report(&ours, at: now)))
                reports += 1
            }
            if now >= caller.reportDue { underWay.append((now + way, false, Self.report(&caller, at: now))) }
        }
        // 40 s: 5 s on average, divided by 1.218.
        #expect((6...16).contains(reports))
        let trip = try #require(ours.statistics.roundTrip)
        #expect(abs((trip - way * 2).inSeconds) < 0.001)
        #expect(ours.statistics.packetsLost == 200)
        let remoteLost = try #require(caller.statistics.remoteLost)
        #expect((150...200).contains(remoteLost))
        #expect(ours.statistics.remoteLost == 0)
        #expect(ours.statistics.jitter == .zero)
        let score: Double = ours.statistics.meanOpinionScore
        #expect(score > 2 && score < caller.statistics.meanOpinionScore)
        #expect(!events.contains(.peerLeft))
    }

    @Test("BYE is told once") func goodbye() {
        var caller = Self.leg(ssrc: 1, ntp: 0, at: .zero)
        var ours = Self.leg(ssrc: 2, ntp: 0, at: .zero)
        Self.carry(&caller, to: &ours, Self.callerAddress, at: .zero, .zero, isLost: false)
        var events: [RTPEvent] = []
        for _ in 0..<2 {
            var bytes: [UInt8] = []
            caller.report(at: .seconds(1), isLast: true, random: 0, into: &bytes)
            bytes.withUnsafeBytes {
                ours.receivedControl($0, from: Self.callerAddress, at: .seconds(1), into: &events)
                // Nobody else can end it.
                ours.receivedControl($0, from: RTPAddress(ipv4: 9, port: 9), at: .seconds(1), into: &events)
            }
        }
        #expect(events == [.peerLeft])
    }

    @Test("RTCP goes to the port above, or where signalling said") func addresses() {
        var leg = Self.leg(ssrc: 1, ntp: 0, at: .zero)
        #expect(leg.controlRemote == RTPAddress(ipv4: 0x7F00_0002, port: 4001))
        let announced = RTPAddress(ipv4: 0x7F00_0002, port: 7777)
        leg.announce(RTPAddress(ipv4: 0x7F00_0002, port: 6000), control: announced)
        #expect(leg.controlRemote == announced)
    }

    @Test("The first report is due within 3.1 s, the next ones 2 to 6.2 s after", arguments: [0.0, 0.5, 0.999])
    func interval(random: Double) {
        var session = RTCPSession(
            configuration: .init(ssrc: 1, canonicalName: "a", ntpAtZero: 0), at: .seconds(100), random: random)
        #expect(session.due > .seconds(101) && session.due < .milliseconds(103_100))
        var bytes: [UInt8] = []
        let sender = RTPSender(
            configuration: .init(law: .mu, ssrc: 1, firstSequenceNumber: 0, firstTimestamp: 0))
        session.report(at: .seconds(200), sender: sender, block: nil, random: random, into: &bytes)
        #expect(session.due > .seconds(202) && session.due < .milliseconds(206_200))
        // Nothing sent yet: a receiver's report, empty, and the name; whole words.
        #expect(bytes[1] == 201)
        #expect(bytes.count % 4 == 0)
        #expect(throws: Never.self) { try Self.parse(bytes) }
    }

    // MARK: Rig

    private static let callerAddress = RTPAddress(ipv4: 0x7F00_0001, port: 4000)
    private static let ourAddress = RTPAddress(ipv4: 0x7F00_0002, port: 4000)

    private static func leg(ssrc: UInt32, ntp: UInt64, at now: Duration) -> RTPStream {
        RTPStream(
            receiver: .init(law: .a), sender: .init(law: .a, ssrc: ssrc, firstSequenceNumber: 9, firstTimestamp: 5),
            canonicalName: "x@y", ntpAtZero: ntp, announced: ssrc == 1 ? self.ourAddress : self.callerAddress, at: now,
            random: 0.3)
    }

    private static func carry(
        _ source: inout RTPStream, to target: inout RTPStream, _ address: RTPAddress, at now: Duration,
        _ way: Duration, isLost: Bool
    ) {
        var bytes: [UInt8] = []
        let frame = [UInt8](repeating: 0x55, count: 160)
        frame.withUnsafeBytes { source.send($0, at: now, into: &bytes) }
        guard !isLost else { return }
        var events: [RTPEvent] = []
        bytes.withUnsafeBytes { target.received($0, from: address, at: now + way, into: &events) }
    }

    private static func report(_ leg: inout RTPStream, at now: Duration) -> [UInt8] {
        var bytes: [UInt8] = []
        leg.report(at: now, random: 0.5, into: &bytes)
        return bytes
    }

    private static func parse(_ bytes: [UInt8]) throws -> [RTCPMessage] {
        var messages: [RTCPMessage] = []
        try bytes.withUnsafeBytes { try RTCPMessage.parse($0, into: &messages) }
        return messages
    }
}
