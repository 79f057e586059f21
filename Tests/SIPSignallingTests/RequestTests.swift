import Foundation
import Glibc
import Networking
import Observability
import SIPSignalling
import Synchronization
import Telephony
import Testing

/// Requests written by hand: what no phone says, and what a liar would.
@Suite(.serialized) struct RequestTests {
    @Test("OPTIONS says what we take, and that we drain")
    func options() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("OPTIONS", callID: "o1"))
            let answer = try #require(peer.receive("SIP/2.0 200"))
            #expect(RawPeer.header("Allow", of: answer)?.contains("INVITE") == true)
            #expect(RawPeer.header("Accept", of: answer)?.contains("application/sdp") == true)
            listener.server.isDraining = true
            peer.send(peer.request("OPTIONS", callID: "o2"))
            let busy = try #require(peer.receive("SIP/2.0 503"))
            #expect(RawPeer.header("Retry-After", of: busy) == "30")
        }
    }

    @Test(
        "Methods that are not served, and calls that do not exist",
        arguments: [
            ("REGISTER", "", 405), ("SUBSCRIBE", "", 405), ("MESSAGE", "", 405), ("PUBLISH", "", 405),
            ("REFER", "", 405),
            ("PRACK", "", 405), ("FROBNICATE", "", 501), ("options", "", 501), ("BYE", "none", 481),
            ("INFO", "none", 481),
            ("UPDATE", "none", 481), ("INVITE", "none", 481), ("OPTIONS", "none", 481), ("CANCEL", "", 481),
            ("REFER", "none", 481), ("UPDATE", "", 481),
        ])
    func otherMethods(method: String, tag: String, status: Int) async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            let headers = method == "SUBSCRIBE" ? ["Event: dialog"] : []
            peer.send(peer.request(method, callID: "m1", toTag: tag, headers: headers))
            let answer = try #require(peer.receive("SIP/2.0 "))
            #expect(answer.hasPrefix("SIP/2.0 \(status) "), "\(answer)")
            #expect(listener.calls.isEmpty)
        }
    }

    @Test(
        "An INVITE that cannot be served is refused by name",
        arguments: [
            (["Require: 100rel"], "", "application/sdp", 420, "Unsupported: 100rel"),
            (["Require: timer, replaces"], "", "application/sdp", 420, "Unsupported: timer, replaces"),
            (["Content-Encoding: gzip"], RawPeer.offer, "application/sdp", 415, "Accept: application/sdp"),
            ([], RawPeer.offer, "text/plain", 415, "Accept: application/sdp"),
            ([], "hello", "application/sdp", 400, "Warning: 399"),
            ([], RawPeer.offer.replacing(" 0 8 101", with: " 9"), "application/sdp", 488, "Warning: 305"),
            ([], RawPeer.offer.replacing("RTP/AVP", with: "RTP/SAVP"), "application/sdp", 488, "Warning: 302"),
            ([], RawPeer.offer.replacing("127.0.0.1", with: "pbx.example.net"), "application/sdp", 488, "Warning: 300"),
        ])
    func refusedInvites(headers: [String], body: String, type: String, status: Int, says: String) async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("INVITE", callID: "r1", headers: headers, body: body, contentType: type))
            let answer = try #require(peer.receive("SIP/2.0 "))
            #expect(answer.hasPrefix("SIP/2.0 \(status) ") && answer.contains(says), "\(answer)")
            #expect(listener.calls.isEmpty && listener.server.counters.refusedRequest.value == 1)
        }
    }

    @Test("An INVITE without Contact, and one to tel:, are refused")
    func incompleteInvites() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("INVITE", callID: "c1", contact: false, body: RawPeer.offer))
            #expect(peer.receive("SIP/2.0 400")?.contains("Contact") == true)
            let text = peer.request("INVITE", callID: "c2", body: RawPeer.offer)
            peer.send(text.replacing("INVITE sip:2000@\(listener.address) ", with: "INVITE tel:2000 "))
            #expect(peer.receive("SIP/2.0 416") != nil)
            #expect(listener.calls.isEmpty)
        }
    }

    @Test("What a caller can write is known as such: doubled, folded and foreign headers")
    func forgedHeaders() async throws {
        try await SIPListener(answer: { _ in }).run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(
                peer.request(
                    "INVITE", callID: "f1", user: "ai%2Btest;x=y",
                    headers: [
                        "X-Pronto-Call: real", "x-pronto-call: forged", "X-Pronto-Token: one", "X-Other: a\r\n b",
                        "Subject: not ours",
                        "Remote-Party-ID: \"Bob\" <sip:+39123@127.0.0.1>;party=calling;screen=yes;privacy=full",
                        "P-Asserted-Identity: <sip:999@127.0.0.1>",
                    ], body: RawPeer.offer))
            let invitation = try await listener.call().invitation
            #expect(invitation.headers.value("X-Pronto-Call") == .ambiguous)
            #expect(invitation.headers.value("X-Pronto-Token") == .one(Redacted("one")))
            // A folded header holds a line end: nothing of it is taken.
            #expect(invitation.headers.value("X-Other") == .absent && invitation.headers.value("Subject") == .absent)
            #expect(invitation.caller.number.value == "+39123" && invitation.caller.name.value == "Bob")
            #expect(invitation.caller.isWithheld)
            #expect(invitation.from.number.value == "1000")
            #expect(invitation.request.user.value == "ai+test;x=y")
            var dumped = ""
            dump(invitation, to: &dumped)
            for secret in ["+39123", "Bob", "1000", "forged"] {
                #expect(!dumped.contains(secret), "\(secret) is printed")
            }
        }
    }

    @Test("A repeated INVITE is one call and gets the same answer again")
    func retransmission() async throws {
        try await SIPListener(answer: { _ in }).run { listener in
            let peer = try RawPeer(to: listener.address)
            let invite = peer.request("INVITE", callID: "t1", branch: "z9hG4bKsame", body: RawPeer.offer)
            peer.send(invite)
            #expect(peer.receive("SIP/2.0 100") != nil)
            peer.send(invite)
            #expect(peer.receive("SIP/2.0 100") != nil)
            let call = try await listener.call()
            call.dialog.ring()
            let ringing = try #require(peer.receive("SIP/2.0 180"))
            peer.send(invite)
            #expect(peer.receive("SIP/2.0 180").map(RawPeer.toTag) == RawPeer.toTag(of: ringing))
            call.dialog.accept(SIPListener.media)
            let answer = try #require(peer.receive("SIP/2.0 200"))
            #expect(RawPeer.toTag(of: answer) == RawPeer.toTag(of: ringing))
            // The other end goes without an ACK: libre repeats its 200, and our BYE waits for nothing but the stop.
            call.dialog.bye()
            #expect(try await call.ending() == .ended(SIPEnding(.us, .normalClearing)))
            #expect(listener.calls.count == 1)
        }
    }

    @Test("Commands that come too late, twice or in the wrong state do nothing")
    func lateCommands() async throws {
        try await SIPListener(answer: { _ in }).run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("INVITE", callID: "l1", body: RawPeer.offer))
            let call = try await listener.call()
            let target = try #require(SIPTransferTarget(number: "1", host: "127.0.0.1"))
            call.dialog.hold()
            call.dialog.refer(to: target)
            call.dialog.reject(.full())
            call.dialog.accept(SIPListener.media)
            call.dialog.ring()
            call.dialog.reject(.draining())
            call.dialog.bye()
            call.dialog.hold()
            #expect(try await call.ending() == .ended(SIPEnding(.us, .callRejected)))
            #expect(peer.receive("SIP/2.0 486") != nil)
            #expect(call.events.count == 1)
        }
    }

    @Test("A BYE with another tag, and an old CSeq, do not end a call")
    func foreignBye() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("INVITE", callID: "b1", sequence: 5, body: RawPeer.offer))
            let tag = RawPeer.toTag(of: try #require(peer.receive("SIP/2.0 200")))
            peer.send(peer.request("ACK", callID: "b1", sequence: 5, toTag: tag))
            let call = try await listener.call()
            try await call.confirmed()
            peer.send(peer.request("BYE", callID: "b1", sequence: 6, toTag: "0123456789abcdef"))
            #expect(peer.receive("SIP/2.0 481") != nil)
            peer.send(
                peer.request("BYE", callID: "b1", sequence: 6, toTag: tag).replacing(";tag=ab1", with: ";tag=other"))
            #expect(peer.receive("SIP/2.0 481") != nil)
            peer.send(peer.request("BYE", callID: "b1", sequence: 2, toTag: tag))
            #expect(peer.receive("SIP/2.0 500") != nil)
            #expect(call.events.count == 1)
            peer.send(peer.request("BYE", callID: "b1", sequence: 6, toTag: tag))
            #expect(peer.receive("SIP/2.0 200") != nil)
            #expect(try await call.ending() == .ended(SIPEnding(.peer, .normalClearing)))
        }
    }

    @Test("A repeated INFO is one key")
    func repeatedInfo() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            peer.send(peer.request("INVITE", callID: "i1", body: RawPeer.offer))
            let tag = RawPeer.toTag(of: try #require(peer.receive("SIP/2.0 200")))
            peer.send(peer.request("ACK", callID: "i1", toTag: tag))
            let call = try await listener.call()
            try await call.confirmed()
            let info = peer.request(
                "INFO", callID: "i1", sequence: 2, toTag: tag, body: "Signal=7\r\n",
                contentType: "application/dtmf-relay")
            for _ in 0..<3 {
                peer.send(info)
                #expect(peer.receive("SIP/2.0 200") != nil)
            }
            #expect(call.events.filter { $0 == .digit(InfoDigit(digit: "7")) }.count == 1)
            peer.send(peer.request("BYE", callID: "i1", sequence: 3, toTag: tag))
            #expect(peer.receive("SIP/2.0 200") != nil)
        }
    }

    @Test("A call over TLS; a plain connection to that port is none", .timeLimit(.minutes(1)))
    func encrypted() async throws {
        let folder = try Program.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let made = try Program(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "a.key", "-out", "a.pem",
            ], in: folder)
        #expect(try await made.finish() == 0, "\(made.text)")
        let path = { (name: String) in folder.appendingPathComponent(name).path }
        try await SIPListener({
            $0.tls = SIPConfiguration.TLS(port: 0, certificate: path("a.pem"), privateKey: path("a.key"))
        }).run { listener in
            let address = try #require(listener.tlsAddress)
            let plain = try RawPeer(to: address, stream: true)
            plain.send(plain.request("OPTIONS", callID: "e1"))
            #expect(plain.receive("SIP/2.0", within: 1000) == nil)
            let options = plain.request("OPTIONS", callID: "e2").replacing("SIP/2.0/TCP", with: "SIP/2.0/TLS")
            try options.write(toFile: path("options"), atomically: true, encoding: .utf8)
            // openssl's own client, whose TLS is not ours; it stays until its input ends.
            let client = try Program(
                "/bin/sh",
                [
                    "-c",
                    "(cat options; sleep 1) | timeout 10 openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile a.pem -connect \(address)",
                ], in: folder)
            _ = try await client.finish()
            #expect(client.text.contains("SIP/2.0 200 OK"), "\(client.text)")
            let old = try Program(
                "/usr/bin/timeout",
                ["10", "openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", "\(address)"],
                in: folder)
            #expect(try await old.finish() != 0, "TLS 1.1 was taken")
        }
    }

    @Test("A stranger is refused on UDP, and has no connection on TCP")
    func strangers() async throws {
        let lines = Mutex<[String]>([])
        let logger = Logger(level: .warning, sink: { line in lines.withLock { $0.append(line) } })
        try await SIPListener(
            { $0.allowedPeers = ["127.0.0.1", "127.0.0.3"].compactMap { PeerNetwork($0) } }, logger: logger
        ).run { listener in
            let stranger = try RawPeer(to: listener.address, from: "127.0.0.2")
            stranger.send(stranger.request("INVITE", callID: "s1", body: RawPeer.offer))
            #expect(stranger.receive("SIP/2.0 403") != nil)
            stranger.send(stranger.request("OPTIONS", callID: "s2"))
            #expect(stranger.receive("SIP/2.0 403") != nil)
            // Not a word to a flood.
            for index in 0..<200 { stranger.send(stranger.request("OPTIONS", callID: "s3\(index)")) }
            var answers = 0
            while stranger.receive(within: 200) != nil { answers += 1 }
            #expect(answers < 30)
            #expect(listener.server.counters.strangers.value == 202)
            #expect(lines.withLock { $0.contains { $0.contains("127.0.0.2") && $0.contains("allowed networks") } })
            #expect(!Self.canConnect(to: listener.address, from: "127.0.0.2"))
            for friend in ["127.0.0.1", "127.0.0.3"] {
                #expect(Self.canConnect(to: listener.address, from: friend))
                let peer = try RawPeer(to: listener.address, from: friend, stream: true)
                peer.send(peer.request("OPTIONS", callID: "s4"))
                #expect(peer.receive("SIP/2.0 200") != nil)
            }
            #expect(listener.calls.isEmpty)
        }
    }

    /// Whether a TCP connection is there within half a second; a dropped SYN is repeated after one.
    private static func canConnect(to address: SocketAddress, from host: String) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        defer { close(descriptor) }
        guard SocketAddress(host, port: 0)!.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else { return false }
        _ = address.withSockaddr { connect(descriptor, $0, $1) }
        var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&watched, 1, 500) > 0 && watched.revents & Int16(POLLERR) == 0
    }

    @Test("More INVITEs than the rate get 503 with Retry-After")
    func rate() async throws {
        try await SIPListener(
            {
                $0.invitationsPerSecond = 1
                $0.invitationBurst = 2
            }, answer: { _ in }
        ).run { listener in
            let peer = try RawPeer(to: listener.address)
            for index in 0..<10 { peer.send(peer.request("INVITE", callID: "v\(index)", body: RawPeer.offer)) }
            let answer = try #require(peer.receive("SIP/2.0 503"))
            #expect(RawPeer.header("Retry-After", of: answer) == "1")
            _ = try await eventually("the rest") { listener.server.counters.refusedRate.value >= 7 ? true : nil }
            #expect(listener.calls.count <= 3)
        }
    }

    @Test("A message that is too long is dropped, one that is long is served")
    func lengths() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address)
            func padded(_ count: Int, _ id: String) -> String {
                peer.request(
                    "OPTIONS", callID: id,
                    headers: (0..<count).map { "X-Filler-\($0): \(String(repeating: "a", count: 900))" })
            }
            peer.send(padded(14, "p1"))
            #expect(peer.receive("SIP/2.0 200") != nil)
            peer.send(padded(30, "p2"))
            #expect(peer.receive(within: 300) == nil)
            #expect(listener.server.counters.junk.value == 1)
        }
    }

    @Test("Over TCP messages may come in pieces and together")
    func streams() async throws {
        try await SIPListener().run { listener in
            let peer = try RawPeer(to: listener.address, stream: true)
            let text = Array(peer.request("OPTIONS", callID: "w1").utf8)
            for byte in text {
                peer.send([byte])
                usleep(50)
            }
            #expect(peer.receive("SIP/2.0 200") != nil)
            let two = peer.request("OPTIONS", callID: "w2") + peer.request("OPTIONS", callID: "w3")
            peer.send(two)
            var answers = 0
            while answers < 2, let text = peer.receive() {
                answers += text.components(separatedBy: "SIP/2.0 200").count - 1
            }
            #expect(answers == 2)
            // What is no SIP ends the connection and nothing else.
            peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            let next = try RawPeer(to: listener.address, stream: true)
            next.send(next.request("OPTIONS", callID: "w4"))
            #expect(next.receive("SIP/2.0 200") != nil)
        }
    }

    @Test("Start-up fails in words: a wildcard, a taken port, a certificate that is not there")
    func startUp() async throws {
        func failure(_ configuration: SIPConfiguration) -> String {
            let server = SIPServer(configuration, logger: .silent) { _ in }
            do {
                _ = try server.start()
                server.stop()
                return "started"
            } catch { return "\(error)" }
        }
        let any = try #require(SocketAddress("0.0.0.0", port: 0))
        #expect(failure(SIPConfiguration(address: any)).contains("not 0.0.0.0"))
        try await SIPListener().run { listener in
            #expect(failure(SIPConfiguration(address: listener.address)).contains("\(listener.address) by UDP"))
            var other = SIPConfiguration(address: listener.address.with(port: 0))
            other.tls = SIPConfiguration.TLS(port: 0, certificate: "/nonexistent.pem", privateKey: "/nonexistent.key")
            #expect(failure(other).contains("/nonexistent.pem"))
            other.tls = nil
            let elsewhere = try #require(SocketAddress("203.0.113.77", port: 0))
            #expect(failure(SIPConfiguration(address: elsewhere)).contains("203.0.113.77"))
            #expect(throws: SIPServerError.wasStarted) { try listener.server.start() }
        }
    }

    @Test("Two servers in one process do not know of each other")
    func twoServers() async throws {
        try await SIPListener().run { first in
            try await SIPListener().run { second in
                #expect(first.address != second.address)
                for (listener, id) in [(first, "d1"), (second, "d2")] {
                    let peer = try RawPeer(to: listener.address)
                    peer.send(peer.request("INVITE", callID: id, body: RawPeer.offer))
                    #expect(peer.receive("SIP/2.0 200") != nil)
                    #expect(try await listener.call().invitation.sipCallID == id)
                }
            }
        }
    }
}
