import Networking
import SIPSignalling
import Synchronization
import Telephony
import Testing

/// Damaged messages at a server that has live calls.
@Suite(.serialized) struct JunkTests {
    /// Messages as FreeSWITCH 1.11 and baresip send them (tags and addresses made up), and the hand-written ones.
    private static func messages(_ peer: RawPeer, toTag: String, _ id: String = "0") -> [[UInt8]] {
        let freeSWITCH = [
            "Remote-Party-ID: \"Ann\" <sip:1000@127.0.0.1>;party=calling;screen=yes;privacy=off",
            "X-FS-Support: update_display,send_info", "X-Pronto-Call: 6b1f5c1e-0000-4000-8000-000000000000",
            "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE",
            "Supported: path, replaces", "Allow-Events: talk, hold, conference, presence, as-feature-event, dialog",
            "Content-Disposition: session", "Record-Route: <sip:127.0.0.1:5060;lr>", "Require: 100rel",
            "P-Asserted-Identity: \"Ann\" <sip:1000@127.0.0.1>", "Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"",
        ]
        let relay = "Signal=5\r\nDuration=160\r\n"
        return [
            peer.request("INVITE", callID: "j1-\(id)", headers: freeSWITCH, body: RawPeer.offer),
            peer.request("INVITE", callID: "j2-\(id)", headers: Array(freeSWITCH.prefix(4)), body: RawPeer.offer),
            peer.request("INVITE", callID: "live", sequence: 50, toTag: toTag, body: RawPeer.offer),
            peer.request("UPDATE", callID: "live", sequence: 51, toTag: toTag, body: RawPeer.offer),
            peer.request(
                "INFO", callID: "live", sequence: 52, toTag: toTag, body: relay, contentType: "application/dtmf-relay"),
            peer.request(
                "NOTIFY", callID: "live", sequence: 53, toTag: toTag,
                headers: ["Event: refer;id=12", "Subscription-State: active;expires=60"], body: "SIP/2.0 180 Ringing",
                contentType: "message/sipfrag"),
            peer.request("CANCEL", callID: "j2-\(id)", headers: ["Reason: SIP;cause=200"]),
            peer.request("OPTIONS", callID: "j3-\(id)"),
            peer.request("ACK", callID: "live", sequence: 50, toTag: toTag),
            peer.request(
                "REGISTER", callID: "j4-\(id)", headers: ["Expires: 60", "Authorization: Digest username=\"a\""]),
            peer.request("BYE", callID: "j5-\(id)", toTag: "x"),
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: live\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1>\r\nContent-Length: 0\r\n\r\n",
            "SIP/2.0 503 Busy\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=\(toTag)\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: live\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            // STUN, which libre would answer on the same port, and a keep-alive.
            "\u{0}\u{1}\u{0}\u{0}!\u{12}¤B123456789012", "\r\n\r\n\r\n",
        ].map { Array($0.utf8) }
    }

    @Test("Ten thousand damaged datagrams: the server answers on, and a live call lives", arguments: [UInt64(1), 2])
    func datagrams(seed: UInt64) async throws {
        try await SIPListener(
            {
                $0.invitationsPerSecond = 100_000
                $0.invitationBurst = 100_000
                $0.answerDeadline = .seconds(1)
                $0.mostDialogs = 20_000
            }, answer: { $0.dialog.accept(SIPListener.media) }
        ).run { listener in
            let good = try RawPeer(to: listener.address)
            let bad = try RawPeer(to: listener.address)
            good.send(good.request("INVITE", callID: "live", sequence: 1, body: RawPeer.offer))
            let tag = RawPeer.toTag(of: try #require(good.receive("SIP/2.0 200")))
            good.send(good.request("ACK", callID: "live", sequence: 1, toTag: tag))
            try await listener.call().confirmed()

            var random = Seeded(seed: seed)
            for round in 0..<100 {
                for index in 0..<100 {
                    // Calls of their own: a repeated one would only be answered as such.
                    let messages = Self.messages(bad, toTag: tag, "\(round)-\(index)")
                    let bytes = random.mutation(of: messages.randomElement(using: &random)!)
                    if !bytes.isEmpty { bad.send(Array(bytes.prefix(60_000))) }
                }
                // What has been handled is known by the answer to a good one: nothing is lost in a full buffer.
                good.send(good.request("OPTIONS", callID: "alive\(round)"))
                #expect(good.receive("SIP/2.0 200") != nil, "after round \(round)")
            }
            #expect(listener.server.counters.junk.value > 500)
            #expect(listener.server.counters.invitations.value > 100)
            // The damage may have hit the live call itself (its tag was in it); another one works in any case.
            try await Sipp.run([Sipp.answered, Sipp.bye].joined(separator: "\n"), to: listener.address)
        }
    }

    @Test("A thousand damaged TCP connections: the server answers on")
    func streams() async throws {
        try await SIPListener(
            {
                $0.invitationsPerSecond = 100_000
                $0.invitationBurst = 100_000
                $0.mostDialogs = 20_000
            }
        ).run { listener in
            var random = Seeded(seed: 3)
            for index in 0..<1000 {
                let peer = try RawPeer(to: listener.address, stream: true)
                let messages = Self.messages(peer, toTag: "0123456789abcdef", "\(index)")
                let bytes = random.mutation(of: messages.randomElement(using: &random)!)
                if !bytes.isEmpty { peer.send(bytes) }
            }
            let peer = try RawPeer(to: listener.address, stream: true)
            peer.send(peer.request("OPTIONS", callID: "alive"))
            #expect(peer.receive("SIP/2.0 200") != nil)
        }
    }
}
