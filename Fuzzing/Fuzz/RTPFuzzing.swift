import RTPMedia
import Telephony

/// A leg's two sockets: datagrams of anybody, at any time.
enum RTPFuzzing {
    private static let peer = RTPAddress(ipv4: 0x7F00_0001, port: 4000)

    /// The first byte chooses the leg; then datagrams, each behind its length and a byte of how it comes: bits 0–2 ticks of
    /// 20 ms before it, bit 6 from a stranger, bit 7 on the RTCP port.
    static func stream(_ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        var leg = RTPStream(
            receiver: .init(
                law: choice & 1 == 0 ? .mu : .a, acceptsOtherLaw: choice & 2 != 0,
                telephoneEvent: choice & 4 != 0 ? nil : 101, latching: choice & 8 == 0 ? .announcedHost : .anyHost),
            sender: .init(law: .mu, ssrc: 2, firstSequenceNumber: 65_530, firstTimestamp: .max - 1000),
            canonicalName: "fuzz", ntpAtZero: 0xE000_0000_0000_0000, announced: choice & 16 == 0 ? self.peer : nil,
            at: .zero, random: 0.5)
        var rest = UnsafeRawBufferPointer(rebasing: bytes[1...])
        var now: Duration = .zero
        var events: [RTPEvent] = []
        // Ten seconds of a call an input: longer ones find nothing more, and slowly.
        while rest.count >= 2, now < .seconds(10) {
            let length: Int = min(Int(rest[0]), rest.count - 2)
            let manner: UInt8 = rest[1]
            let datagram = UnsafeRawBufferPointer(rebasing: rest[2..<(2 + length)])
            rest = UnsafeRawBufferPointer(rebasing: rest[(2 + length)...])
            for _ in 0..<(manner & 7) { self.tick(&leg, &now, &events) }
            let source: RTPAddress = manner & 0x40 == 0 ? self.peer : RTPAddress(ipv4: 9, port: 9)
            if manner & 0x80 == 0 {
                leg.received(datagram, from: source, at: now, into: &events)
            } else {
                leg.receivedControl(datagram, from: source, at: now, into: &events)
            }
        }
        for _ in 0..<20 { self.tick(&leg, &now, &events) }
        let statistics: RTPStatistics = leg.statistics
        precondition((0...statistics.packetsExpected).contains(statistics.packetsLost), "losses that cannot be")
        precondition((1...4.5).contains(statistics.meanOpinionScore), "a score that cannot be")
        precondition(
            leg.receiver.depth >= .zero && leg.receiver.depth <= .milliseconds(60), "a depth beyond its limits")
    }

    private static func tick(_ leg: inout RTPStream, _ now: inout Duration, _ events: inout [RTPEvent]) {
        now += .milliseconds(20)
        var frame: [UInt8] = []
        _ = leg.pull(at: now, into: &frame, events: &events)
        precondition(frame.count == 160, "a frame that is none")
        var packet: [UInt8] = []
        leg.send(UnsafeRawBufferPointer(start: nil, count: 0), at: now, into: &packet)
        precondition(packet.count == 172, "a packet that is none")
        guard now >= leg.reportDue else { return }
        packet.removeAll()
        leg.report(at: now, random: 0.5, into: &packet)
        var messages: [RTCPMessage] = []
        let isGood: Bool = packet.withUnsafeBytes { (try? RTCPMessage.parse($0, into: &messages)) != nil }
        precondition(isGood && packet.count % 4 == 0, "a report that we would refuse")
    }

    static func control(_ bytes: UnsafeRawBufferPointer) {
        var messages: [RTCPMessage] = []
        try? RTCPMessage.parse(bytes, into: &messages)
        precondition(messages.count <= bytes.count / 4 + 1, "more said than there are words")
    }

    // MARK: Seeds

    static var streams: [[UInt8]] {
        var stream: [UInt8] = [0]
        for number: UInt16 in 0..<12 {
            var packet: [UInt8] = []
            let type: UInt8 = number < 8 ? 0 : number < 10 ? 101 : 13
            RTPPacket(
                marker: number == 0, payloadType: type, sequenceNumber: number, timestamp: UInt32(number) * 160, ssrc: 7
            ).writeHeader(into: &packet)
            switch type {
            case 0: packet += [UInt8](repeating: 0x55, count: 160)
            case 101: TelephoneEvent(code: 5, isEnd: number == 9, duration: 160).write(into: &packet)
            default: packet.append(40)
            }
            stream += [UInt8(packet.count), 1] + packet
        }
        let control: [UInt8] = self.controls[0]
        return [stream, [8] + stream.dropFirst(), stream + [UInt8(control.count), 0x81] + control]
    }

    static let controls: [[UInt8]] = [
        [0x81, 200, 0, 12] + [0, 0, 0, 7] + [UInt8](repeating: 1, count: 20) + [0, 0, 0, 2]
            + [UInt8](repeating: 1, count: 20) + [0x81, 202, 0, 2, 0, 0, 0, 7, 1, 1, 0x61, 0]
            + [0x81, 203, 0, 1, 0, 0, 0, 7],
        [0x80, 201, 0, 1, 0, 0, 0, 7],
    ]
}
