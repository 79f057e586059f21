import Networking
import SIPSignalling
import Synchronization
import Telephony
import Testing

/// Calls made by sipp: somebody else's idea of SIP.
@Suite(.serialized) struct CallTests {
    @Test("A call is answered, confirmed and ended by the caller, and its cause is known", arguments: ["u1", "t1"])
    func basicCall(transport: String) async throws {
        try await SIPListener(answer: {
            $0.dialog.ring()
            $0.dialog.accept(SIPListener.media)
        }).run { listener in
            try await Sipp.run(
                [
                    Sipp.invite(), Sipp.expect(100, optional: true), Sipp.expect(180),
                    Sipp.expect(
                        200,
                        checks: ["m=audio 40000 RTP/AVP 0 101", "a=ptime:20", "a=sendrecv", "Contact: *.sip:pronto@"]),
                    Sipp.ack(), Sipp.pause(50),
                    Sipp.inside("BYE", 2, "Reason: Q.850;cause=31;text=\"NORMAL_UNSPECIFIED\"\nContent-Length: 0"),
                    Sipp.expect(200),
                ].joined(separator: "\n"), to: listener.address, transport: transport)
            let call = try await listener.call()
            #expect(try await call.ending() == .ended(SIPEnding(.peer, HangupCause(q850: 31))))
            guard case .confirmed(let agreement) = call.events.first else {
                Issue.record("\(call.events)")
                return
            }
            #expect(agreement.encoding == .pcmu && agreement.telephoneEvent == 101)
            #expect(agreement.remote == SocketAddress("127.0.0.1", port: 30000))
            #expect(call.events.count == 2)
            #expect(call.invitation.request.user.value == "2000")
            #expect(call.invitation.caller.number.value == "1000" && call.invitation.caller.name.value == "Ann")
            #expect(call.invitation.transport == (transport == "u1" ? .udp : .tcp))
            #expect(call.invitation.source.host == "127.0.0.1")
        }
    }

    @Test("A CANCEL is told from a BYE, before and after the ringing", arguments: [true, false])
    func cancel(rings: Bool) async throws {
        try await SIPListener(answer: { if rings { $0.dialog.ring() } }).run { listener in
            try await Sipp.run(
                [
                    Sipp.invite(), Sipp.expect(100), rings ? Sipp.expect(180) : "", Sipp.pause(50),
                    Sipp.send(
                        """
                        CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
                        [last_Via:]
                        From: "Ann" <sip:1000@[local_ip]:[local_port]>;tag=[pid]a[call_number]
                        To: <sip:[service]@[remote_ip]:[remote_port]>
                        Call-ID: [call_id]
                        CSeq: 1 CANCEL
                        Reason: SIP;cause=200;text="Call completed elsewhere"
                        Content-Length: 0
                        """),
                    Sipp.expect(200), Sipp.expect(487),
                    Sipp.send(
                        """
                        ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
                        [last_Via:]
                        From: "Ann" <sip:1000@[local_ip]:[local_port]>;tag=[pid]a[call_number]
                        To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
                        Call-ID: [call_id]
                        CSeq: 1 ACK
                        Content-Length: 0
                        """, retransmits: false),
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            #expect(try await call.ending() == .cancelled(.loseRace))
            #expect(call.events.count == 1)
        }
    }

    @Test("Hold and resume by re-INVITE are answered by the rules and told")
    func hold() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.answered, Sipp.inside("INVITE", 2, Sipp.offer("sendonly", version: 2)),
                    Sipp.expect(100, optional: true), Sipp.expect(200, checks: ["a=recvonly", "RTP/AVP 0 101"]),
                    Sipp.ack(2), Sipp.inside("INVITE", 3, Sipp.offer("inactive", version: 3)),
                    Sipp.expect(200, checks: ["a=inactive"]), Sipp.ack(3),
                    Sipp.inside("INVITE", 4, Sipp.offer("sendrecv", version: 4)),
                    Sipp.expect(200, checks: ["a=sendrecv"]), Sipp.ack(4), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            _ = try await call.ending()
            let directions = call.events.compactMap { event -> MediaDirection? in
                if case .reoffered(let agreement) = event { agreement.direction } else { nil }
            }
            #expect(directions == [.receiveOnly, .inactive, .sendReceive])
        }
    }

    @Test("A re-INVITE that offers nothing we can play is refused, and the call goes on")
    func unacceptableReinvite() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.answered, Sipp.inside("INVITE", 2, Sipp.offer(version: 2, codecs: "9 101")), Sipp.expect(488),
                    Sipp.ack(2), Sipp.inside("OPTIONS", 3), Sipp.expect(200), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            #expect(try await call.ending() == .ended(SIPEnding(.peer, .normalClearing)))
        }
    }

    @Test("An INVITE without an offer gets ours, and the ACK brings the answer")
    func delayedOffer() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.invite(sdp: "Content-Length: 0"), Sipp.expect(100, optional: true),
                    Sipp.expect(200, checks: ["m=audio 40000 RTP/AVP 0 8 101", "a=rtpmap:8 PCMA/8000"]),
                    Sipp.inside("ACK", 1, Sipp.offer(codecs: "8 101"), retransmits: false), Sipp.pause(50), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            _ = try await call.ending()
            #expect(call.invitation.offer == nil && call.invitation.agreement == nil)
            guard case .confirmed(let agreement) = call.events.first else {
                Issue.record("\(call.events)")
                return
            }
            #expect(agreement.encoding == .pcma && agreement.remote?.port == 30000)
        }
    }

    @Test("An answer in the ACK that is no use ends the call")
    func unacceptableAnswer() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.invite(sdp: "Content-Length: 0"), Sipp.expect(100, optional: true), Sipp.expect(200),
                    Sipp.inside("ACK", 1, Sipp.offer(codecs: "9 101"), retransmits: false), Sipp.expect(request: "BYE"),
                    Sipp.reply("200 OK"),
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            #expect(try await call.ending() == .ended(SIPEnding(.protocolFailure, .protocolError)))
        }
    }

    @Test("A re-INVITE without an offer gets ours, and keeps what is in force")
    func offerlessReinvite() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.answered, Sipp.inside("INVITE", 2), Sipp.expect(200, checks: ["m=audio 40000 RTP/AVP 0 101"]),
                    Sipp.inside("ACK", 2, Sipp.offer("sendonly", version: 2, codecs: "0 101"), retransmits: false),
                    Sipp.pause(50), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            _ = try await call.ending()
            guard case .reoffered(let agreement) = call.events.dropFirst().first else {
                Issue.record("\(call.events)")
                return
            }
            #expect(agreement.direction == .receiveOnly)
        }
    }

    @Test("sipp's checks can fail")
    func checks() async throws {
        try await SIPListener().run { listener in
            await withKnownIssue {
                try await Sipp.run(
                    [Sipp.invite(), Sipp.expect(100, optional: true), Sipp.expect(200, checks: ["a=no-such-line"])]
                        .joined(
                            separator: "\n"), to: listener.address)
            }
            (try await listener.call()).dialog.bye()
        }
    }

    @Test("Digits come by INFO in both forms; what is no digit is refused and tells nobody")
    func info() async throws {
        try await SIPListener().run { listener in
            func info(_ sequence: Int, _ type: String, _ body: String) -> String {
                Sipp.inside("INFO", sequence, "Content-Type: \(type)\nContent-Length: [len]\n\n\(body)")
            }
            try await Sipp.run(
                [
                    Sipp.answered, info(2, "application/dtmf-relay", "Signal=5\nDuration=160"), Sipp.expect(200),
                    info(3, "application/dtmf", "#"), Sipp.expect(200),
                    info(4, "application/dtmf-relay", "Signal=hello"),
                    Sipp.expect(400), info(5, "text/plain", "5"), Sipp.expect(415), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            _ = try await call.ending()
            let digits = call.events.compactMap { event -> InfoDigit? in
                if case .digit(let digit) = event { digit } else { nil }
            }
            #expect(digits == [InfoDigit(digit: "5", duration: .milliseconds(160)), InfoDigit(digit: "#")])
        }
    }

    @Test("A full gateway says 486, one that drains 503, both with Retry-After")
    func refusals() async throws {
        func refused(_ status: Int, _ seconds: Int) -> String {
            [
                Sipp.invite(), Sipp.expect(100, optional: true),
                Sipp.expect(status, checks: ["Retry-After: \(seconds)"]),
                Sipp.ack(),
            ].joined(separator: "\n")
        }
        try await SIPListener({ $0.mostDialogs = 0 }).run { listener in
            try await Sipp.run(refused(486, 5), to: listener.address)
            #expect(listener.server.counters.refusedFull.value == 1)
        }
        // Whether it is the next leg of a call that lives, its owner knows alone.
        try await SIPListener(answer: { $0.dialog.reject(.draining()) }).run { listener in
            listener.server.isDraining = true
            try await Sipp.run(refused(503, 30), to: listener.address)
            #expect(try await listener.call().ending() == .ended(SIPEnding(.us, .callRejected)))
        }
        try await SIPListener(answer: { $0.dialog.reject(.full(retryAfter: .seconds(7)), cause: .congestion) }).run {
            listener in
            try await Sipp.run(refused(486, 7), to: listener.address)
            let call = try await listener.call()
            #expect(try await call.ending() == .ended(SIPEnding(.us, .congestion)))
        }
        try await SIPListener({ $0.answerDeadline = .milliseconds(300) }, answer: { $0.dialog.ring() }).run {
            listener in
            try await Sipp.run(
                [
                    Sipp.invite(), Sipp.expect(100, optional: true), Sipp.expect(180),
                    Sipp.expect(503, checks: ["Retry-After: 5"]), Sipp.ack(),
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            #expect(try await call.ending() == .ended(SIPEnding(.deadline, .temporaryFailure)))
        }
    }

    @Test("Our BYE says why")
    func ourBye() async throws {
        try await SIPListener().run { listener in
            async let sipp: Void = Sipp.run(
                [
                    Sipp.answered,
                    Sipp.expect(request: "BYE", checks: ["Reason: Q.850;cause=42;text=.SWITCH_CONGESTION."]),
                    Sipp.reply("200 OK"),
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            try await call.confirmed()
            call.dialog.bye(.congestion)
            #expect(try await call.ending() == .ended(SIPEnding(.us, .congestion)))
            try await sipp
        }
    }

    @Test("Our hold and resume are re-INVITEs; a refusal is told")
    func ourHold() async throws {
        try await SIPListener().run { listener in
            async let sipp: Void = Sipp.run(
                [
                    Sipp.answered, Sipp.expect(request: "INVITE", checks: ["a=sendonly", "RTP/AVP 0 101"]),
                    Sipp.reply("200 OK", Sipp.offer("recvonly", version: 2, codecs: "0 101")),
                    Sipp.expect(request: "ACK"), Sipp.expect(request: "INVITE", checks: ["a=sendrecv"]),
                    Sipp.reply("488 Not Acceptable Here"), Sipp.expect(request: "ACK"),
                    Sipp.expect(request: "INVITE", checks: ["a=sendrecv"]),
                    Sipp.reply("200 OK", Sipp.offer("sendrecv", version: 3, codecs: "0 101")),
                    Sipp.expect(request: "ACK"), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            try await call.confirmed()
            func modified(_ direction: MediaDirection) async throws {
                _ = try await call.event("\(direction)") { event in
                    if case .modified(let agreement) = event { agreement.direction == direction } else { false }
                }
            }
            call.dialog.hold()
            try await modified(.sendOnly)
            call.dialog.resume()
            _ = try await call.event("the refusal") { $0 == .modificationFailed(status: 488) }
            call.dialog.resume()
            try await modified(.sendReceive)
            _ = try await call.ending()
            try await sipp
        }
    }

    @Test("REFER hands the caller over, and its progress is told")
    func refer() async throws {
        func notify(_ sequence: Int, _ line: String, _ state: String) -> String {
            Sipp.inside(
                "NOTIFY", sequence,
                "Event: refer\nSubscription-State: \(state)\nContent-Type: message/sipfrag\nContent-Length: [len]\n\n\(line)"
            )
        }
        try await SIPListener().run { listener in
            async let sipp: Void = Sipp.run(
                [
                    Sipp.answered, Sipp.expect(request: "REFER", checks: ["Refer-To: .sip:2001@pbx.example.net."]),
                    Sipp.reply("202 Accepted"), notify(2, "SIP/2.0 100 Trying", "active;expires=60"), Sipp.expect(200),
                    notify(3, "SIP/2.0 180 Ringing", "active;expires=60"), Sipp.expect(200),
                    notify(4, "SIP/2.0 200 OK", "terminated;reason=noresource"), Sipp.expect(200), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            try await call.confirmed()
            call.dialog.refer(to: try #require(SIPTransferTarget(number: "2001", host: "pbx.example.net")))
            _ = try await call.ending()
            try await sipp
            #expect(
                Array(call.events.dropFirst().dropLast()) == [
                    .transferProgress(status: 100), .transferProgress(status: 180), .transferred,
                ])
        }
    }

    @Test("A refused REFER, and one whose destination does not answer, leave the caller with us")
    func referFails() async throws {
        try await SIPListener().run { listener in
            async let sipp: Void = Sipp.run(
                [
                    Sipp.answered, Sipp.expect(request: "REFER"), Sipp.reply("603 Decline"),
                    Sipp.expect(request: "REFER"), Sipp.reply("202 Accepted"),
                    Sipp.inside(
                        "NOTIFY", 2,
                        "Event: refer\nSubscription-State: terminated;reason=noresource\nContent-Type: message/sipfrag\nContent-Length: [len]\n\nSIP/2.0 486 Busy Here"
                    ), Sipp.expect(200), Sipp.expect(request: "BYE"), Sipp.reply("200 OK"),
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            try await call.confirmed()
            let target = try #require(SIPTransferTarget(number: "2001", host: "127.0.0.1"))
            call.dialog.refer(to: target)
            _ = try await call.event("the refusal") { $0 == .transferFailed(status: 603) }
            call.dialog.refer(to: target)
            _ = try await call.event("the busy line") { $0 == .transferFailed(status: 486) }
            call.dialog.bye()
            _ = try await call.ending()
            try await sipp
        }
    }

    @Test("UPDATE is answered: without a body, with an offer, and with one that is no use")
    func update() async throws {
        try await SIPListener().run { listener in
            try await Sipp.run(
                [
                    Sipp.answered, Sipp.inside("UPDATE", 2), Sipp.expect(200, checks: ["Contact: *.sip:pronto@"]),
                    Sipp.inside("UPDATE", 3, Sipp.offer("sendonly", version: 2)),
                    Sipp.expect(200, checks: ["a=recvonly"]),
                    Sipp.inside("UPDATE", 4, Sipp.offer(version: 3, codecs: "9")), Sipp.expect(488), Sipp.bye,
                ].joined(separator: "\n"), to: listener.address)
            let call = try await listener.call()
            _ = try await call.ending()
            let changes = call.events.filter { if case .reoffered = $0 { true } else { false } }
            #expect(changes.count == 1)
        }
    }

    @Test("Stopping says BYE to calls and 503 to invitations")
    func stopping() async throws {
        let answers = Mutex(0)
        let listener = try SIPListener(answer: { record in
            // The first is answered, the second waits.
            if answers.withLock({
                $0 += 1; return $0
            }) == 1 {
                record.dialog.accept(SIPListener.media)
            }
        })
        async let up: Void = Sipp.run(
            [Sipp.answered, Sipp.expect(request: "BYE", checks: ["cause=41"]), Sipp.reply("200 OK")].joined(
                separator: "\n"),
            to: listener.address)
        try await listener.call(0).confirmed()
        async let waiting: Void = Sipp.run(
            [Sipp.invite(), Sipp.expect(100), Sipp.expect(503, checks: ["Retry-After: 30"]), Sipp.ack()].joined(
                separator: "\n"), to: listener.address)
        _ = try await listener.call(1)
        listener.stop()
        #expect(try await listener.call(0).ending() == .ended(SIPEnding(.us, .temporaryFailure)))
        #expect(try await listener.call(1).ending() == .ended(SIPEnding(.us, .temporaryFailure)))
        try await up
        try await waiting
    }

    @Test("Two hundred calls at fifty a second come, go, and leave nothing")
    func load() async throws {
        try await SIPListener().run { listener in
            let port = listener.address.port
            let before = Self.sockets(at: port)
            try await Sipp.run(
                [Sipp.answered, Sipp.pause(500), Sipp.bye].joined(separator: "\n"), to: listener.address, calls: 200,
                rate: 50)
            for index in 0..<200 {
                #expect(try await listener.call(index).ending() == .ended(SIPEnding(.peer, .normalClearing)))
            }
            #expect(listener.calls.count == 200)
            #expect(listener.server.counters.dialogs.value == 0)
            #expect(Self.sockets(at: port) <= before)
        }
    }

    /// Sockets of this process at the listener's port: other suites open sockets beside us.
    private static func sockets(at port: UInt16) -> Int {
        (3..<4096).count { SocketAddress.local(of: $0)?.port == port }
    }
}
