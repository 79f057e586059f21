import CLibre
import Networking
import Observability
import Telephony

/// What libre does not hand on of a message that ends something: which method, and why.
struct CurrentMessage {
    var method = ""
    var callID = ""
    var cause: HangupCause?
}

extension SIPStack {
    /// RFC 3261 §20.5. Said in answers, too, so that FreeSWITCH sends us UPDATE instead of guessing.
    static let allow = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY\r\n"
    private static let accept = "Accept: application/sdp, application/dtmf-relay, application/dtmf\r\n"

    /// Methods with a meaning (IANA's registry) that we do not serve; any other is unknown to us.
    private static let unserved: Set<String> = ["REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER", "PRACK"]

    // MARK: What libre keeps to itself

    /// Sees every message just before libre handles it. libre reports BYE and CANCEL alike and without the message, and
    /// the refusal of a re-INVITE not at all.
    func look(at bytes: UnsafeRawBufferPointer) {
        let isEnd = bytes.starts(with: "BYE ".utf8) || bytes.starts(with: "CANCEL ".utf8)
        guard isEnd || Self.isRefusal(bytes) else { return }
        guard let buffer = mbuf_alloc(bytes.count), let base = bytes.baseAddress else { return }
        defer { mem_deref(buffer) }
        guard mbuf_write_mem(buffer, base.assumingMemoryBound(to: UInt8.self), bytes.count) == 0 else { return }
        buffer.pointee.pos = 0
        var decoded: UnsafeMutablePointer<sip_msg>?
        guard sip_msg_decode(&decoded, buffer) == 0, let message = decoded else { return }
        defer { mem_deref(message) }
        if message.pointee.req {
            self.current = CurrentMessage(
                method: String(message.pointee.met), callID: String(message.pointee.callid),
                cause: ReasonHeader.cause(in: message.pointee.values(SIP_HDR_REASON)))
        } else if String(message.pointee.cseq.met) == "INVITE" {
            // Our tag is in From here: the request was ours.
            let key = DialogKey(callID: String(message.pointee.callid), tag: String(message.pointee.from.tag))
            let session = self.dialogs[key].flatMap { self.sessions[$0] }
            session?.modificationRefused(
                status: message.pointee.scode, retryAfter: message.pointee.has(SIP_HDR_RETRY_AFTER))
        }
    }

    /// `SIP/2.0 3xx` and above.
    private static func isRefusal(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > 8, bytes.starts(with: "SIP/2.0 ".utf8) else { return false }
        return (UInt8(ascii: "3")...UInt8(ascii: "6")).contains(bytes[8])
    }

    // MARK: New calls

    func isAllowed(_ message: sip_msg) -> Bool {
        // Before the gate of UDP stands (milliseconds, at the start) nobody is served.
        guard self.isGuarded, let peer = SocketAddress(libre: message.src) else { return false }
        return self.configuration.allowedPeers.contains { $0.contains(peer) }
    }

    func refuse(_ message: UnsafePointer<sip_msg>, _ rejection: SIPRejection, headers: String = "") {
        _ = pronto_sip_treply(
            nil, self.sip, message, rejection.status.code, rejection.status.phrase.description,
            rejection.headers + headers)
    }

    /// An INVITE that begins a call.
    func invitation(_ message: UnsafePointer<sip_msg>) {
        guard self.isAllowed(message.pointee) else { return self.refuse(message, SIPRejection(.forbidden)) }
        guard self.allowsInvitation() else {
            self.counters.refusedRate.increment()
            // Outside of a transaction: a flood is not to be remembered for 32 s each.
            let rejection = SIPRejection(.serviceUnavailable, retryAfter: .seconds(1))
            _ = pronto_sip_reply(
                self.sip, message, rejection.status.code, rejection.status.phrase.description, rejection.headers)
            return
        }
        // A drain is the owner's to decide on: the call may live, and this be its next leg.
        if self.isStopping {
            self.counters.refusedStopping.increment()
            return self.refuse(message, .draining())
        }
        guard self.sessions.count < self.configuration.mostDialogs else {
            self.counters.refusedFull.increment()
            return self.refuse(message, .full())
        }
        do throws(InvitationRefusal) {
            let parts = try InvitationParts(message.pointee, rules: self.configuration.media)
            let dialog = SIPDialog(id: self.nextID(), inbox: self.inbox)
            guard let session = SIPSession(dialog, message, parts, stack: self) else {
                return self.refuse(message, SIPRejection(.serverError))
            }
            self.add(session)
            self.counters.invitations.increment()
            self.invited(parts.invitation(dialog))
        } catch {
            self.counters.refusedRequest.increment()
            self.logger.info(
                "SIP call refused",
                ["sip.status": .integer(Int(error.status.code)), "reason": .string(error.reason.description)])
            self.refuse(message, SIPRejection(error.status), headers: error.headers)
        }
    }

    // MARK: Everything else

    /// Requests that neither libre's sessions nor its subscriptions take.
    func otherRequest(_ message: UnsafePointer<sip_msg>) {
        if self.isProbe(message.pointee) { return }
        let method = String(message.pointee.met)
        // An ACK is never answered; those of our refusals end here.
        if method == "ACK" { return }
        guard self.isAllowed(message.pointee) else { return self.reply(message, .forbidden) }
        let isInside = message.pointee.to.tag.l > 0
        switch method {
        case "CANCEL": self.reply(message, .noSuchDialog)
        case "OPTIONS":
            guard !isInside || self.session(of: message.pointee) != nil else {
                return self.reply(message, .noSuchDialog)
            }
            if !isInside, self.isDraining() || self.isStopping {
                let rejection = SIPRejection.draining()
                return self.reply(message, rejection.status, headers: rejection.headers)
            }
            self.reply(message, SIPStatus(200, "OK"), headers: Self.allow + Self.accept)
        case "UPDATE":
            guard let session = self.session(of: message.pointee) else { return self.reply(message, .noSuchDialog) }
            session.update(message)
        case _ where Self.unserved.contains(method):
            self.reply(message, .methodNotAllowed, headers: Self.allow)
        default: self.reply(message, .notImplemented)
        }
    }

    /// The answer to a request inside of a call. In a transaction, so that its repetition on a lossy network gets the same
    /// answer and is not a second key press.
    func answer(_ message: UnsafePointer<sip_msg>, _ status: SIPStatus, headers: String = "") {
        _ = pronto_sip_treply(nil, self.sip, message, status.code, status.phrase.description, headers)
    }

    /// The answer to a request that changes nothing here; asked again, it is answered again.
    func reply(_ message: UnsafePointer<sip_msg>, _ status: SIPStatus, headers: String = "") {
        _ = pronto_sip_reply(self.sip, message, status.code, status.phrase.description, headers)
    }
}
