import RTPMedia
import Telephony
import Testing

@Suite("telephone-event (RFC 4733)") struct TelephoneEventTests {
    /// One packet of a press: payload, timestamp.
    private typealias Packet = (event: TelephoneEvent, timestamp: UInt32)

    @Test("FreeSWITCH's payloads are read: digit 7, volume 13, first and end packet (lab, 2026-11-20)")
    func captured() throws {
        let first = try Self.parse([0x07, 0x0D, 0x00, 0xA0])
        #expect(first == TelephoneEvent(code: 7, isEnd: false, volume: 13, duration: 160))
        #expect(first.digit == "7")
        let end = try Self.parse([0x07, 0x8D, 0x05, 0x00])
        #expect(end == TelephoneEvent(code: 7, isEnd: true, volume: 13, duration: 1280))
        var bytes: [UInt8] = []
        end.write(into: &bytes)
        #expect(bytes == [0x07, 0x8D, 0x05, 0x00])
    }

    /// A press as FreeSWITCH sends it: ten packets, the last three say "end" (captures/bridge-ua-summary.txt).
    private static func press(_ digit: Character, at timestamp: UInt32) -> [Packet] {
        let code: UInt8 = TelephoneEvent.code(of: digit) ?? 0
        return (1...8).map { (TelephoneEvent(code: code, isEnd: $0 == 8, duration: UInt16($0) * 160), timestamp) }
            + (0..<2).map { _ in (TelephoneEvent(code: code, isEnd: true, duration: 1280), timestamp) }
    }

    @Test(
        "Each key is heard once, whatever is lost",
        arguments: [
            "##########", ".#########", "......####", "#.........", ".........#", "#######...", "...#......",
            "#.#.#.#.#.",
        ])
    func lossy(arriving: String) {
        var receiver = TelephoneEventReceiver()
        var heard = ""
        var ended = 0
        var number: Int64 = 100
        for (index, digit) in "1122*".enumerated() {
            for (packet, mark) in zip(Self.press(digit, at: UInt32(index * 3200)), arriving) {
                number += 1
                guard mark == "#" else { continue }
                receiver.received(packet.event, timestamp: packet.timestamp, sequence: number, at: .zero) { report in
                    switch report {
                    case .began(let digit): heard.append(digit.value)
                    case .ended: ended += 1
                    }
                }
            }
        }
        receiver.elapsed(at: .seconds(1)) { if case .ended = $0 { ended += 1 } }
        #expect(heard == "1122*")
        #expect(ended == 5)
    }

    @Test("Packets that come late or twice change nothing") func shuffled() {
        var receiver = TelephoneEventReceiver()
        var heard = ""
        var packets: [(Int64, Packet)] = []
        for (index, digit) in "90".enumerated() {
            packets += Self.press(digit, at: UInt32(index * 3200)).enumerated().map { (Int64(index * 10 + $0), $1) }
        }
        packets.swapAt(0, 3)
        packets.swapAt(7, 12)
        for (number, packet) in packets + packets {
            receiver.received(packet.event, timestamp: packet.timestamp, sequence: number, at: .zero) {
                if case .began(let digit) = $0 { heard.append(digit.value) }
            }
        }
        #expect(heard == "90")
    }

    @Test("A key that is held for 20 s is one key, in three segments") func long() {
        var receiver = TelephoneEventReceiver()
        var reports: [TelephoneEventReceiver.Report] = []
        var number: Int64 = 0
        let start: UInt32 = .max - 1000
        for segment in 0..<3 {
            let timestamp: UInt32 = start &+ UInt32(segment) * 0xFFFF
            for step in 1...400 {
                let duration: Int = segment == 2 ? min(step * 164, 28_930) : min(step * 164, 0xFFFF)
                let isEnd: Bool = segment == 2 && step * 164 >= 28_930
                number += 1
                receiver.received(
                    TelephoneEvent(code: 5, isEnd: isEnd, duration: UInt16(duration)), timestamp: timestamp,
                    sequence: number, at: .zero
                ) { reports.append($0) }
            }
        }
        #expect(
            reports == [
                .began(Redacted("5")), .ended(Redacted("5"), lasted: MediaClock.duration(2 * 0xFFFF + 28_930)),
            ])
    }

    @Test("A sender that moves the timestamp with every packet (Sonus) presses one key") func movingTimestamp() {
        var receiver = TelephoneEventReceiver()
        var reports: [TelephoneEventReceiver.Report] = []
        for step in 1...8 {
            receiver.received(
                TelephoneEvent(code: 3, isEnd: step == 8, duration: UInt16(step * 160)),
                timestamp: 1000 + UInt32(step * 160), sequence: Int64(step), at: .zero
            ) { reports.append($0) }
        }
        #expect(reports.count == 2)
        #expect(reports.first == .began(Redacted("3")))
    }

    @Test("Flash and modem tones are counted and are no keys") func others() throws {
        var receiver = TelephoneEventReceiver()
        for code: UInt8 in [16, 32, 255] {
            receiver.received(
                TelephoneEvent(code: code, isEnd: false, duration: 160), timestamp: 0, sequence: 1, at: .zero
            ) { _ in Issue.record("code \(code) was a key") }
        }
        #expect(receiver.otherEvents == 3)
        #expect(try Self.parse([12, 0, 0, 1]).digit == "A")
    }

    @Test("Three bytes are no event") func short() {
        #expect(([1, 2, 3] as [UInt8]).withUnsafeBytes { TelephoneEvent(parsing: $0) } == nil)
    }

    @Test("What we send is heard: marker, one timestamp, three ends, a pause between two keys") func sending() throws {
        var sender = RTPSender(
            configuration: .init(law: .mu, ssrc: 1, firstSequenceNumber: 65_530, firstTimestamp: .max - 100))
        let taken: [Bool] = "11x".map { sender.press(Redacted($0), length: .milliseconds(100)) }
        #expect(taken == [true, true, false])
        let frame = [UInt8](repeating: 0x55, count: 160)
        var sent = ""
        var heard = ""
        var receiver = TelephoneEventReceiver()
        for tick in 0..<24 {
            var bytes: [UInt8] = []
            frame.withUnsafeBytes { sender.send($0, at: .milliseconds(20 * tick), into: &bytes) }
            let packet: RTPPacket = try RTPPacketTests.parse(bytes)
            #expect(packet.sequenceNumber == 65_530 &+ UInt16(tick))
            guard packet.payloadType == 101 else {
                #expect(packet.timestamp == .max - 100 &+ UInt32(tick * 160))
                sent += packet.marker ? "A" : "a"
                continue
            }
            let event: TelephoneEvent = try Self.parse(Array(bytes[packet.payload]))
            sent += packet.marker ? "M" : event.isEnd ? "e" : "."
            receiver.received(event, timestamp: packet.timestamp, sequence: Int64(tick), at: .zero) {
                if case .began(let digit) = $0 { heard.append(digit.value) }
            }
        }
        #expect(sent == "M...eeeAaaM...eeeaaaaaaa")
        #expect(heard == "11")
        #expect(!sender.isPressing)
    }

    @Test("Without telephone-event in the peer's SDP no key is taken") func notNegotiated() {
        var sender = RTPSender(
            configuration: .init(law: .mu, telephoneEvent: nil, ssrc: 1, firstSequenceNumber: 0, firstTimestamp: 0))
        let isTaken: Bool = sender.press(Redacted("1"))
        #expect(!isTaken)
    }

    private static func parse(_ payload: [UInt8]) throws -> TelephoneEvent {
        try #require(payload.withUnsafeBytes { TelephoneEvent(parsing: $0) })
    }
}
