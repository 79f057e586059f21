import Telephony

/// One SIP telephone that places one call over UDP, as a value (RFC 3261): INVITE, ACK, CANCEL, re-INVITE for hold, BYE,
/// and answers to what comes within the dialog, REFER included. Messages and time in, messages out.
///
/// Omitted: authentication, TCP, forking (the first answer is the dialog), routes (the peer is the next hop).
package struct SIPCallerCore: Sendable {
    package enum Effect: Sendable, Equatable {
        case send([UInt8])
        case wake(at: Duration)
        /// 200: where audio goes.
        case answered(Media)
        case ended(PhoneEnd)
        /// The gateway sent the caller elsewhere.
        case referred(Redacted<String>)
    }

    package struct Media: Sendable, Equatable {
        package var host: String
        package var port: Int
        package var payloadType: UInt8
        package var telephoneEvent: UInt8?
    }

    /// What becomes of a REFER.
    package enum ReferOutcome: Sendable { case accepts, declines }

    /// `sip:NUMBER@HOST:PORT;parameter=value`: the peer, and the whole as request URI.
    package struct Target: Sendable {
        package var uri: String
        package var host: String
        package var port: Int

        package init?(_ uri: String) {
            guard uri.hasPrefix("sip:"), let at = uri.firstIndex(of: "@"),
                uri.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") })
            else { return nil }
            let place = uri[uri.index(after: at)...].prefix { $0 != ";" }.split(separator: ":")
            guard let host = place.first, place.count <= 2 else { return nil }
            self.uri = uri
            self.host = String(host)
            self.port = place.count == 2 ? Int(place[1]) ?? 0 : 5060
            guard (1...65_535).contains(self.port) else { return nil }
        }
    }

    private enum State: Equatable {
        case idle
        /// INVITE sent. Leaves by an answer, a refusal, the deadline.
        case inviting(deadline: Duration)
        /// CANCEL sent. Leaves by the INVITE's last answer, the deadline.
        case cancelling(deadline: Duration)
        /// Leaves by BYE, from either side.
        case talking
        /// BYE sent. Leaves by its answer, the deadline.
        case leaving(deadline: Duration)
        case over
    }

    package var referOutcome = ReferOutcome.accepts
    /// Of the INVITE, beside its own.
    package var headers: [(name: String, value: String)] = []
    private let target: Target
    private let local: String
    private let mediaPort: Int
    private let tag: String
    private let callID: String
    private let timeout: Duration
    private var state = State.idle
    private var sequence = 1
    private var branches = 0
    private var remoteTo: String?
    private var remoteContact: String?
    /// The request that waits for an answer, and when it is sent again (RFC 3261 §17.1.1.2).
    private var pending: (bytes: [UInt8], next: Duration, interval: Duration)?
    private var lastACK: [UInt8]?
    private var isHeld = false

    private static let firstInterval: Duration = .milliseconds(500)
    private static let byeTimeout: Duration = .seconds(2)

    /// - Parameters:
    ///   - local: `HOST:PORT` of the SIP socket.
    ///   - identity: letters and digits, unique to the call.
    package init(target: Target, local: String, mediaPort: Int, identity: String, timeout: Duration) {
        self.target = target
        self.local = local
        self.mediaPort = mediaPort
        self.tag = "t" + identity
        self.callID = "c" + identity
        self.timeout = timeout
    }

    // MARK: What the caller does

    package mutating func start(at now: Duration, into effects: inout [Effect]) {
        guard self.state == .idle else { return }
        self.state = .inviting(deadline: now + self.timeout)
        self.request("INVITE", body: self.description("sendrecv"), at: now, &effects)
    }

    package mutating func hangUp(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .inviting:
            self.state = .cancelling(deadline: now + Self.byeTimeout)
            // The INVITE's own branch (§9.1).
            effects.append(.send(self.message("CANCEL", branch: self.branches, body: nil)))
        case .talking:
            self.state = .leaving(deadline: now + Self.byeTimeout)
            self.request("BYE", body: nil, at: now, &effects)
        case .idle, .cancelling, .leaving, .over: break
        }
    }

    package mutating func hold(_ isHeld: Bool, at now: Duration, into effects: inout [Effect]) {
        guard self.state == .talking, self.isHeld != isHeld else { return }
        self.isHeld = isHeld
        self.request("INVITE", body: self.description(isHeld ? "sendonly" : "sendrecv"), at: now, &effects)
    }

    package mutating func timerFired(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .inviting(let deadline) where deadline <= now: return self.end(.unreachable("timeout"), &effects)
        case .cancelling(let deadline) where deadline <= now: return self.end(.closeUnanswered, &effects)
        case .leaving(let deadline) where deadline <= now: return self.end(.closeUnanswered, &effects)
        default: break
        }
        if var pending = self.pending, pending.next <= now {
            effects.append(.send(pending.bytes))
            pending.interval = pending.interval * 2
            pending.next = now + pending.interval
            self.pending = pending
        }
        self.arm(&effects)
    }

    private func arm(_ effects: inout [Effect]) {
        var next = self.pending?.next
        switch self.state {
        case .inviting(let deadline), .cancelling(let deadline), .leaving(let deadline):
            next = min(next ?? deadline, deadline)
        case .idle, .talking, .over: break
        }
        if let next { effects.append(.wake(at: next)) }
    }

    private mutating func end(_ end: PhoneEnd, _ effects: inout [Effect]) {
        guard self.state != .over else { return }
        self.state = .over
        self.pending = nil
        effects.append(.ended(end))
    }

    // MARK: What comes

    /// A datagram of the peer's. What is no SIP message of this call is ignored.
    package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Duration, into effects: inout [Effect]) {
        guard self.state != .over, let message = SIPText(bytes), message.value("call-id") == self.callID else { return }
        if let status = message.status {
            self.response(message, status, at: now, &effects)
        } else if let method = message.method {
            self.requested(message, method, at: now, &effects)
        }
    }

    private mutating func response(
        _ message: SIPText, _ status: Int, at now: Duration, _ effects: inout [Effect]
    ) {
        guard let (number, method) = message.sequence else { return }
        if method == "INVITE" {
            guard number == self.sequence || status >= 200 else { return }
            return self.answered(message, status, number: number, at: now, &effects)
        }
        guard number == self.sequence, status >= 200 else { return }
        if method == "BYE" { self.end(.hungUp, &effects) }
    }

    private mutating func answered(
        _ message: SIPText, _ status: Int, number: Int, at now: Duration, _ effects: inout [Effect]
    ) {
        guard status >= 200 else {
            // Provisional: no more INVITEs.
            self.pending = nil
            return self.arm(&effects)
        }
        let isSuccess = status < 300
        if number == self.sequence { self.pending = nil }
        if isSuccess {
            self.remoteTo = message.value("to")
            self.remoteContact = message.contact ?? self.remoteContact
            self.branches += 1
        }
        // A 2xx's ACK is a request of its own (§13.2.2.4); another's belongs to its INVITE (§17.1.1.3).
        effects.append(
            .send(self.message("ACK", branch: self.branches, number: number, to: message.value("to"), body: nil)))
        switch self.state {
        case .inviting:
            guard isSuccess else { return self.end(.refused(status: status), &effects) }
            self.state = .talking
            guard let media = message.media else { return self.end(.violation, &effects) }
            effects.append(
                .answered(
                    Media(
                        host: media.host, port: media.port, payloadType: media.payloadType,
                        telephoneEvent: media.telephoneEvent)))
        case .cancelling:
            guard isSuccess else { return self.end(.hungUp, &effects) }
            // The answer crossed the CANCEL.
            self.state = .talking
            self.hangUp(at: now, into: &effects)
        case .idle, .talking, .leaving, .over: break
        }
    }

    private mutating func requested(
        _ message: SIPText, _ method: String, at now: Duration, _ effects: inout [Effect]
    ) {
        switch method {
        case "ACK": break
        case "BYE":
            self.reply("200 OK", to: message, &effects)
            self.end(.hungUpByGateway(cause: message.reason ?? 16), &effects)
        case "INVITE": self.reply("200 OK", to: message, body: self.description("sendrecv"), &effects)
        case "REFER":
            guard self.referOutcome == .accepts else { return self.reply("603 Decline", to: message, &effects) }
            self.reply("202 Accepted", to: message, &effects)
            effects.append(.referred(Redacted(message.value("refer-to") ?? "")))
            self.sequence += 1
            self.branches += 1
            effects.append(.send(self.message("NOTIFY", branch: self.branches, body: "SIP/2.0 200 OK\r\n")))
            // As FreeSWITCH does: the caller has been transferred, this leg ends.
            self.hangUp(at: now, into: &effects)
        default: self.reply("200 OK", to: message, &effects)
        }
    }

    // MARK: Writing

    private mutating func request(
        _ method: String, body: String?, at now: Duration, _ effects: inout [Effect]
    ) {
        if self.branches > 0 { self.sequence += 1 }
        self.branches += 1
        let bytes = self.message(method, branch: self.branches, body: body)
        self.pending = (bytes, now + Self.firstInterval, Self.firstInterval)
        effects.append(.send(bytes))
        self.arm(&effects)
    }

    private func message(
        _ method: String, branch: Int, number: Int? = nil, to: String? = nil, body: String?
    ) -> [UInt8] {
        let uri = self.remoteContact ?? self.target.uri
        var lines = [
            "\(method) \(uri) SIP/2.0", "Via: SIP/2.0/UDP \(self.local);rport;branch=z9hG4bK\(self.callID)-\(branch)",
            "Max-Forwards: 70", "From: \"Test\" <sip:1000@\(self.local)>;tag=\(self.tag)",
            "To: \(to ?? self.remoteTo ?? "<\(self.target.uri)>")", "Call-ID: \(self.callID)",
            "CSeq: \(number ?? self.sequence) \(method)", "Contact: <sip:1000@\(self.local)>",
            "User-Agent: pronto-call",
        ]
        switch method {
        case "INVITE":
            lines += ["Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, REFER, NOTIFY", "Content-Type: application/sdp"]
            lines += self.headers.map { "\($0.name): \($0.value)" }
        case "NOTIFY":
            lines += ["Event: refer", "Subscription-State: terminated", "Content-Type: message/sipfrag;version=2.0"]
        case "BYE": lines.append("Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"")
        default: break
        }
        lines.append("Content-Length: \(body?.utf8.count ?? 0)")
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")).utf8)
    }

    private func reply(
        _ status: String, to request: SIPText, body: String? = nil, _ effects: inout [Effect]
    ) {
        var lines = ["SIP/2.0 \(status)"]
        for name in ["via", "record-route"] { lines += request.values(name).map { "\(name): \($0)" } }
        for name in ["from", "to", "call-id", "cseq"] { lines.append("\(name): \(request.value(name) ?? "")") }
        lines.append("Contact: <sip:1000@\(self.local)>")
        if body != nil { lines.append("Content-Type: application/sdp") }
        lines.append("Content-Length: \(body?.utf8.count ?? 0)")
        effects.append(.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")).utf8)))
    }

    /// As FreeSWITCH offers: PCMU, PCMA, telephone-event, comfort noise.
    private func description(_ direction: String) -> String {
        let host = self.local.prefix { $0 != ":" }
        return [
            "v=0", "o=- 1 \(self.branches + 1) IN IP4 \(host)", "s=-", "c=IN IP4 \(host)", "t=0 0",
            "m=audio \(self.mediaPort) RTP/AVP 0 8 101 13", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=rtcp:\(self.mediaPort)", "a=ptime:20",
            "a=\(direction)", "",
        ].joined(separator: "\r\n")
    }
}
