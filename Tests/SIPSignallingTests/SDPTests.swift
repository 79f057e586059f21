import Networking
import SIPSignalling
import Telephony
import Testing

@Suite struct SDPTests {
    private static let local = LocalMedia(address: SocketAddress("192.0.2.9", port: 41000)!)

    private func description(_ lines: String, session: String = "c=IN IP4 192.0.2.1") throws -> SessionDescription {
        try SessionDescription(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n\(session)\r\nt=0 0\r\n"
                + lines.split(separator: "\n").map { $0 + "\r\n" }.joined())
    }

    private func agreement(
        _ lines: String, _ rules: MediaRules = MediaRules(), session: String = "c=IN IP4 192.0.2.1",
        current: MediaAgreement? = nil, wanted: MediaDirection = .sendReceive
    ) throws -> MediaAgreement {
        try rules.agreement(with: self.description(lines, session: session), wanted: wanted, current: current)
    }

    // FreeSWITCH's offer as measured (protocols/freeswitch-legs.md §2.1).
    private static let freeSWITCH = """
        m=audio 30000 RTP/AVP 0 101 13
        a=rtpmap:0 PCMU/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a=rtpmap:13 CN/8000
        a=ptime:20
        """

    @Test("FreeSWITCH's offer") func freeSWITCH() throws {
        #expect(
            try self.agreement(Self.freeSWITCH)
                == MediaAgreement(
                    encoding: .pcmu, payloadType: 0, telephoneEvent: 101,
                    remote: SocketAddress("192.0.2.1", port: 30000),
                    remoteRTCP: SocketAddress("192.0.2.1", port: 30001)))
    }

    @Test(
        "The codec follows the offer's order, or ours, and what is in force is kept",
        arguments: [
            (offer: "0 8", followsOffer: true, current: nil as AudioEncoding?, chosen: AudioEncoding.pcmu),
            ("8 0", true, nil, .pcma), ("8 0", false, nil, .pcmu), ("9 18 8", true, nil, .pcma),
            ("0 8", true, .pcma, .pcma), ("0", true, .pcma, .pcmu),
        ])
    func codec(offer: String, followsOffer: Bool, current: AudioEncoding?, chosen: AudioEncoding) throws {
        let before = current.map { MediaAgreement(encoding: $0, payloadType: 8, remote: nil) }
        let agreement = try self.agreement(
            "m=audio 30000 RTP/AVP \(offer)", MediaRules(followsOffer: followsOffer), current: before)
        #expect(agreement.encoding == chosen && agreement.payloadType == (chosen == .pcmu ? 0 : 8))
    }

    @Test("A dynamic payload type is believed by its rtpmap, and only at 8000 Hz, one channel")
    func dynamicTypes() throws {
        #expect(try self.agreement("m=audio 4 RTP/AVP 97\na=rtpmap:97 pcma/8000").payloadType == 97)
        for rtpmap in ["PCMU/16000", "PCMU/8000/2", "L16/8000"] {
            #expect(throws: MediaRefusal.noAcceptableCodec) {
                try self.agreement("m=audio 4 RTP/AVP 97\na=rtpmap:97 \(rtpmap)")
            }
        }
        // 0 renamed is not PCMU.
        #expect(throws: MediaRefusal.noAcceptableCodec) {
            try self.agreement("m=audio 4 RTP/AVP 0\na=rtpmap:0 G722/8000")
        }
    }

    @Test(
        "telephone-event",
        arguments: [
            ("a=rtpmap:96 telephone-event/8000", 96 as UInt8?), ("a=rtpmap:96 telephone-event/48000", nil),
            ("a=rtpmap:96 TELEPHONE-EVENT/8000", 96), ("a=rtpmap:96 speex/8000", nil),
        ])
    func telephoneEvent(rtpmap: String, expected: UInt8?) throws {
        #expect(try self.agreement("m=audio 4000 RTP/AVP 0 96\n\(rtpmap)").telephoneEvent == expected)
    }

    @Test(
        "Packet time",
        arguments: [
            ("", 20), ("a=ptime:30", 30), ("a=ptime:20\na=maxptime:10", 10), ("a=ptime:25", 20), ("a=ptime:0", 20),
            ("a=ptime:-5", 20), ("a=ptime:999999999999999999999", 20), ("a=ptime:60", 60), ("a=maxptime:15", 10),
            ("a=maxptime:3", 20),
        ])
    func packetTime(lines: String, expected: Int) throws {
        #expect(try self.agreement("m=audio 4000 RTP/AVP 0\n\(lines)").packetTime == .milliseconds(expected))
    }

    @Test(
        "Direction: ours is theirs turned round, and less while we hold",
        arguments: [
            ("sendrecv", MediaDirection.sendReceive, MediaDirection.sendReceive),
            ("sendonly", .sendReceive, .receiveOnly), ("recvonly", .sendReceive, .sendOnly),
            ("inactive", .sendReceive, .inactive), ("sendrecv", .sendOnly, .sendOnly),
            ("sendonly", .sendOnly, .inactive),
        ])
    func direction(offered: String, wanted: MediaDirection, ours: MediaDirection) throws {
        let agreement = try self.agreement("m=audio 4000 RTP/AVP 0\na=\(offered)", wanted: wanted)
        #expect(agreement.direction == ours && agreement.isHeld == !ours.sends)
    }

    @Test("0.0.0.0 is a hold, a host name is refused, and a missing address sends nowhere")
    func addresses() throws {
        let held = try self.agreement("m=audio 4000 RTP/AVP 0", session: "c=IN IP4 0.0.0.0")
        #expect(held.direction == .receiveOnly && held.remote == nil && held.remoteRTCP == nil)
        #expect(throws: MediaRefusal.addressNotNumeric) {
            try self.agreement("m=audio 4000 RTP/AVP 0", session: "c=IN IP4 pbx.example.net")
        }
        #expect(try self.agreement("m=audio 4000 RTP/AVP 0", session: "a=x").remote == nil)
        let six = try self.agreement("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1")
        #expect(six.remote == SocketAddress("2001:db8::1", port: 4000))
    }

    @Test("RTCP: the next port, the stated one, or RTP's own where both say so")
    func rtcp() throws {
        #expect(try self.agreement("m=audio 4000 RTP/AVP 0\na=rtcp:5000").remoteRTCP?.port == 5000)
        #expect(
            try self.agreement("m=audio 4000 RTP/AVP 0\na=rtcp:5000 IN IP4 192.0.2.7").remoteRTCP
                == SocketAddress("192.0.2.7", port: 5000))
        #expect(try self.agreement("m=audio 65535 RTP/AVP 0").remoteRTCP == nil)
        #expect(try !self.agreement("m=audio 4000 RTP/AVP 0\na=rtcp-mux").multiplexesRTCP)
        let both = try self.agreement("m=audio 4000 RTP/AVP 0\na=rtcp-mux", MediaRules(multiplexesRTCP: true))
        #expect(both.multiplexesRTCP)
    }

    @Test(
        "What cannot be served is refused by its reason",
        arguments: [
            ("m=video 4000 RTP/AVP 31", MediaRefusal.noAudio), ("m=audio 0 RTP/AVP 0", .noAudio), ("", .noAudio),
            ("m=audio 4000 RTP/SAVP 0", .encryptedOnly), ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", .encryptedOnly),
            ("m=audio 4000 RTP/AVP 9 18", .noAcceptableCodec), ("m=audio 4000 RTP/AVP hello", .noAcceptableCodec),
            ("m=audio 4000 RTP/AVP 256", .noAcceptableCodec),
        ])
    func refusals(lines: String, expected: MediaRefusal) {
        #expect(throws: expected) { try self.agreement(lines) }
    }

    @Test(
        "What is no session description is malformed",
        arguments: ["", "hello", "v=0", "v=1\r\n", "v=0\r\nm=audio\r\n", "\u{0}\u{0}\u{0}", "v=0\r\nc=IN IP4\r\n"])
    func malformed(text: String) {
        #expect(throws: MediaRefusal.self) { try MediaRules().agreement(with: SessionDescription(text)) }
    }

    @Test("The answer names every stream in its order and refuses all but one")
    func answer() throws {
        let offer = try self.description(
            "m=video 5000 RTP/AVP 31\nm=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=sendonly\n"
                + "m=image 6000 udptl t38")
        let agreement = try MediaRules().agreement(with: offer)
        #expect(agreement.stream == 1)
        var writer = SessionWriter(identifier: 7)
        let answer = writer.answer(to: offer, with: agreement, at: Self.local)
        #expect(
            answer
                == """
                v=0
                o=- 7 1 IN IP4 192.0.2.9
                s=-
                c=IN IP4 192.0.2.9
                t=0 0
                m=video 0 RTP/AVP 31
                m=audio 41000 RTP/AVP 8 101
                a=rtpmap:8 PCMA/8000
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-15
                a=ptime:20
                a=recvonly
                m=image 0 udptl 0

                """.replacingLineEnds())
        // The same again is the same version; an offer of ours names the same streams (RFC 3264 §8).
        #expect(writer.answer(to: offer, with: agreement, at: Self.local) == answer)
        let hold = writer.offer(MediaRules(), current: agreement, direction: .sendOnly, at: Self.local)
        #expect(hold.contains("o=- 7 2 ") && hold.contains("m=video 0 RTP/AVP 31\r\nm=audio 41000 RTP/AVP 8 101"))
        #expect(hold.hasSuffix("a=sendonly\r\nm=image 0 udptl 0\r\n"))
        // What we write, we read.
        #expect(try SessionDescription(hold).media.count == 3)
    }

    @Test("An offer of ours says all that we take")
    func offer() throws {
        var writer = SessionWriter(identifier: 1)
        let local = LocalMedia(address: try #require(SocketAddress("2001:db8::9", port: 41000)), rtcpPort: 41005)
        let text = writer.offer(
            MediaRules(multiplexesRTCP: true), current: nil, direction: .sendReceive, at: local)
        #expect(text.contains("c=IN IP6 2001:db8::9\r\n"))
        #expect(text.contains("m=audio 41000 RTP/AVP 0 8 101\r\n") && text.contains("a=rtcp:41005\r\n"))
        let agreement = try MediaRules(multiplexesRTCP: true).agreement(with: SessionDescription(text))
        #expect(agreement.remoteRTCP?.port == 41005 && agreement.multiplexesRTCP)
    }

    @Test("Any bytes are read or refused, never worse")
    func anyBytes() {
        var random = Seeded(seed: 4)
        let base = Array(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\(Self.freeSWITCH.replacingLineEnds())\r\na=rtcp:5 IN IP4 1.2.3.4\r\n"
                .utf8)
        var read = 0
        for _ in 0..<20_000 {
            let bytes = random.mutation(of: base)
            bytes.withUnsafeBytes { raw in
                guard let description = try? SessionDescription(raw) else { return }
                read += 1
                var writer = SessionWriter(identifier: 1)
                if let agreement = try? MediaRules().agreement(with: description) {
                    let text = writer.answer(to: description, with: agreement, at: Self.local)
                    #expect((try? SessionDescription(text))?.media.count == description.media.count)
                }
            }
        }
        // The seed is fixed: that some are still readable shows that the mutations are not all nonsense.
        #expect(read > 1000)
    }
}
