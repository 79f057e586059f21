import Networking
import SIPSignalling
import Telephony

/// What a peer sends to the SIP port, through libre's parsers and our reading of what they found.
enum SIPFuzzing {
    static func message(_ bytes: UnsafeRawBufferPointer) {
        precondition(!SIPMessageReading.outcome(bytes).isEmpty, "a message has no outcome")
    }

    /// What is agreed on must be answered with as many streams, in a text that is read again, and without a line that the
    /// peer wrote.
    static func sessionDescription(_ bytes: UnsafeRawBufferPointer) {
        guard let offer = try? SessionDescription(bytes), let agreement = try? MediaRules().agreement(with: offer),
            let address = SocketAddress("127.0.0.1", port: 4000)
        else { return }
        precondition(agreement.encoding != .l16, "a codec that was not in the rules")
        var writer = SessionWriter(identifier: 1)
        let local = LocalMedia(address: address)
        let answer = writer.answer(to: offer, with: agreement, at: local)
        let again = try? SessionDescription(answer)
        precondition(again?.media.count == offer.media.count, "an answer with other streams")
        let offered = writer.offer(MediaRules(), current: agreement, direction: .sendOnly, at: local)
        precondition(
            (try? SessionDescription(offered))?.media.count == offer.media.count, "an offer with other streams")
    }

    static let messages = [
        "INVITE sip:2000@127.0.0.1:5090 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;rport;branch=z9hG4bK1\r\n"
            + "Max-Forwards: 69\r\nFrom: \"Ann\" <sip:1000@127.0.0.1>;tag=1\r\nTo: <sip:2000@127.0.0.1:5090>\r\n"
            + "Call-ID: a-1\r\nCSeq: 1 INVITE\r\nContact: <sip:mod_sofia@127.0.0.1:5080>\r\n"
            + "Supported: path, replaces\r\nX-Pronto-Call: 1\r\nRemote-Party-ID: \"Ann\" <sip:1000@127.0.0.1>;"
            + "party=calling;screen=yes;privacy=off\r\nContent-Type: application/sdp\r\nContent-Length: 120\r\n\r\n"
            + descriptions[0],
        "INFO sip:pronto@127.0.0.1:5090 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK2\r\n"
            + "f: <sip:1000@127.0.0.1>;tag=1\r\nt: <sip:2000@127.0.0.1>;tag=2\r\ni: a-1\r\nCSeq: 2 INFO\r\n"
            + "c: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n",
        "BYE sip:pronto@127.0.0.1:5090 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5080;branch=z9hG4bK3\r\n"
            + "From: <sip:1000@127.0.0.1>;tag=1\r\nTo: <sip:2000@127.0.0.1>;tag=2\r\nCall-ID: a-1\r\nCSeq: 3 BYE\r\n"
            + "Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"\r\nContent-Length: 0\r\n\r\n",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK4\r\nFrom: <sip:a@b>;tag=2\r\n"
            + "To: <sip:c@d>;tag=1\r\nCall-ID: a-1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    ]

    static let descriptions = [
        "v=0\r\no=FreeSWITCH 1 2 IN IP4 127.0.0.1\r\ns=FreeSWITCH\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            + "m=audio 30000 RTP/AVP 0 101 13\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
            + "a=fmtp:101 0-15\r\na=ptime:20\r\n",
        "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=video 0 RTP/AVP 31\r\n"
            + "m=audio 4000 RTP/SAVP 8\r\na=rtcp:4001 IN IP6 ::1\r\na=rtcp-mux\r\na=sendonly\r\na=maxptime:40\r\n"
            + "m=audio 4002 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
    ]
}
