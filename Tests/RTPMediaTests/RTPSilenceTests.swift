import RTPMedia
import Telephony
import Testing

/// Whether the peer lives is told by what is the peer's, and by nothing else.
@Suite("How long a peer has been silent") struct RTPSilenceTests {
    private static let peer = RTPAddress(ipv4: 0x7F00_0001, port: 30_082)
    private static let stranger = RTPAddress(ipv4: 0x7F00_0002, port: 30_082)

    private func stream() -> RTPStream {
        RTPStream(
            receiver: .init(law: .mu), sender: .init(law: .mu, ssrc: 1, firstSequenceNumber: 1, firstTimestamp: 1),
            canonicalName: "a", ntpAtZero: 0, announced: Self.peer, at: .zero, random: 0.5)
    }

    private func audio(_ number: UInt16, ssrc: UInt32 = 7) -> [UInt8] {
        var bytes: [UInt8] = []
        RTPPacket(
            marker: false, payloadType: 0, sequenceNumber: number, timestamp: UInt32(number) * 160, ssrc: ssrc
        ).writeHeader(into: &bytes)
        return bytes + [UInt8](repeating: 0xD5, count: 160)
    }

    private func send(
        _ bytes: [UInt8], from source: RTPAddress, to stream: inout RTPStream, at now: Duration, control: Bool = false
    ) {
        var events: [RTPEvent] = []
        bytes.withUnsafeBytes { bytes in
            if control {
                stream.receivedControl(bytes, from: source, at: now, into: &events)
            } else {
                stream.received(bytes, from: source, at: now, into: &events)
            }
        }
    }

    @Test("Junk, strangers and streams of nobody's are no sign of life")
    func junk() {
        var stream = self.stream()
        self.send(self.audio(1), from: Self.peer, to: &stream, at: .seconds(1))
        #expect(stream.silence(at: .seconds(1)) == .zero)
        for second in 2...31 {
            let now: Duration = .seconds(second)
            self.send(self.audio(UInt16(second)), from: Self.stranger, to: &stream, at: now)
            self.send([1, 2, 3], from: Self.peer, to: &stream, at: now)
            self.send([], from: Self.peer, to: &stream, at: now)
            // One packet of another SSRC is no stream (RFC 3550 A.1).
            self.send(self.audio(2, ssrc: UInt32(100 + second)), from: Self.peer, to: &stream, at: now)
            self.send([0x80, 201, 0, 9], from: Self.peer, to: &stream, at: now, control: true)
            self.send([0x80, 201, 0, 1, 0, 0, 0, 7], from: Self.stranger, to: &stream, at: now, control: true)
        }
        #expect(stream.silence(at: .seconds(31)) == .seconds(30))
    }

    @Test("The peer's own RTP and RTCP are, and a hold excuses it")
    func life() {
        var stream = self.stream()
        self.send(self.audio(1), from: Self.peer, to: &stream, at: .seconds(1))
        self.send(self.audio(2), from: Self.peer, to: &stream, at: .seconds(20))
        #expect(stream.silence(at: .seconds(21)) == .seconds(1))
        // An empty receiver report (RFC 3550 §6.4.2).
        self.send([0x80, 201, 0, 1, 0, 0, 0, 7], from: Self.peer, to: &stream, at: .seconds(40), control: true)
        #expect(stream.silence(at: .seconds(41)) == .seconds(1))
        stream.silenceExpected(at: .seconds(60))
        #expect(stream.silence(at: .seconds(61)) == .seconds(1))
    }
}
