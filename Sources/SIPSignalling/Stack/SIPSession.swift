import CLibre
import Networking
import Observability
import Telephony

/// One call on SIP's thread: libre's objects for it, and what of it may happen when.
///
/// `invited` → (`ringing`) → `answered` → `up` → over; from each of them straight to over. Over is: not in the stack's
/// table any more, and nothing of libre's held here.
final class SIPSession {
    private enum State {
        /// 100 was sent. libre's session is made with the first answer that has a tag.
        case invited
        case ringing
        /// 200 was sent; the ACK is awaited.
        case answered
        case up
        case over
    }

    let dialog: SIPDialog
    let key: DialogKey
    private unowned let stack: SIPStack
    private var state = State.invited
    private let answerBy: Duration

    /// The INVITE, referenced, until it is answered, and the transaction that repeats our 100.
    private var message: UnsafeMutableRawPointer?
    private var transaction: OpaquePointer?
    /// `struct sipsess`.
    private var session: OpaquePointer?
    /// The transfer that runs: `struct sipsub`.
    private var subscription: OpaquePointer?
    private var transferStatus = 0

    private let rules: MediaRules
    private let offer: SessionDescription?
    private var local: LocalMedia?
    private var writer: SessionWriter
    private var agreement: MediaAgreement?
    /// What we would do: less than both ways while we hold the call.
    private var wanted = MediaDirection.sendReceive
    /// What our re-INVITE asks for, until it is answered.
    private var asked: MediaDirection?

    private static let contactUser = "pronto"

    /// Says 100. Nil when libre has no memory left for that.
    init?(_ dialog: SIPDialog, _ message: UnsafePointer<sip_msg>, _ parts: InvitationParts, stack: SIPStack) {
        self.dialog = dialog
        self.key = DialogKey(answering: message.pointee)
        self.stack = stack
        self.rules = stack.configuration.media
        self.offer = parts.offer
        self.agreement = parts.agreement
        self.writer = SessionWriter(identifier: .random(in: 1 ... .max))
        self.answerBy = SIPStack.now + stack.configuration.answerDeadline
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard
            sip_strans_alloc(
                &self.transaction, stack.sip, message, { SIPSession.of($0)?.cancelled() }, context) == 0,
            pronto_sip_treply(&self.transaction, stack.sip, message, 100, "Trying", "") == 0
        else {
            drop(&self.transaction)
            return nil
        }
        self.message = mem_ref(UnsafeMutableRawPointer(mutating: message))
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> SIPSession? {
        Unmanaged<SIPSession>.fromOpaque(context!).takeUnretainedValue()
    }

    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    private var invitation: UnsafePointer<sip_msg>? {
        self.message.map { UnsafePointer($0.assumingMemoryBound(to: sip_msg.self)) }
    }

    // MARK: Commands before the answer

    func ring() {
        guard self.state == .invited else { return }
        guard self.begin(180, "Ringing", nil) else { return self.fail(.serverError) }
        self.state = .ringing
    }

    func accept(_ local: LocalMedia) {
        guard self.state == .invited || self.state == .ringing else { return }
        self.local = local
        let text: String
        if let offer = self.offer, let agreement = self.agreement {
            text = self.writer.answer(to: offer, with: agreement, at: local)
        } else {
            text = self.writer.offer(self.rules, current: nil, direction: self.wanted, at: local)
        }
        guard let description = makeBuffer(text) else { return self.fail(.serverError) }
        defer { mem_deref(description) }
        let isSent =
            self.state == .invited
            ? self.begin(200, "OK", description)
            : pronto_sipsess_answer(self.session, description, SIPStack.allow) == 0
        guard isSent else { return self.fail(.serverError) }
        self.state = .answered
    }

    /// Makes libre's session with its first answer. Our own transaction must be gone by then: libre finds a repeated
    /// INVITE's transaction by its branch, and would repeat the 100.
    private func begin(_ status: UInt16, _ phrase: String, _ description: UnsafeMutablePointer<mbuf>?) -> Bool {
        guard let invitation = self.invitation else { return false }
        drop(&self.transaction)
        let failure = pronto_sipsess_accept(
            &self.session, self.stack.sessionSocket, invitation, status, phrase, Self.contactUser, description,
            { description, message, context in SIPSession.of(context)?.offered(message!, description!) ?? ECONNRESET },
            { message, context in SIPSession.of(context)?.answered(message!) ?? ECONNRESET },
            { _, context in SIPSession.of(context)?.established() },
            { _, message, context in SIPSession.of(context)?.info(message!) },
            { failure, message, context in SIPSession.of(context)?.closed(failure, message) },
            self.context, SIPStack.allow)
        guard failure == 0 else {
            self.session = nil
            return false
        }
        return true
    }

    func reject(_ rejection: SIPRejection, initiator: SIPEnding.Initiator, cause: HangupCause) {
        switch self.state {
        case .invited:
            if let invitation = self.invitation {
                _ = pronto_sip_treply(
                    &self.transaction, self.stack.sip, invitation, rejection.status.code,
                    rejection.status.phrase.description, rejection.headers)
                // libre keeps the transaction until the ACK.
                self.transaction = nil
            }
        case .ringing:
            _ = pronto_sipsess_reject(
                self.session, rejection.status.code, rejection.status.phrase.description, rejection.headers)
        case .answered, .up, .over: return
        }
        self.finish(.ended(SIPEnding(initiator, cause)))
    }

    private func fail(_ status: SIPStatus) {
        self.stack.logger.error("A SIP call could not be answered", ["sip.status": .integer(Int(status.code))])
        // libre answers the INVITE of a session that is dropped; without one it is still ours to answer.
        if self.session == nil, self.transaction == nil, let invitation = self.invitation {
            self.stack.refuse(invitation, SIPRejection(status))
        }
        self.reject(SIPRejection(status), initiator: .protocolFailure, cause: .temporaryFailure)
    }

    // MARK: Commands after it

    func bye(_ cause: HangupCause) {
        switch self.state {
        case .invited, .ringing:
            self.reject(SIPRejection(.temporarilyUnavailable), initiator: .us, cause: cause)
        case .answered, .up:
            _ = pronto_sipsess_close_headers(self.session, ReasonHeader.line(cause))
            self.finish(.ended(SIPEnding(.us, cause)))
        case .over: return
        }
    }

    /// The gateway ends.
    func stop() {
        switch self.state {
        case .invited, .ringing: self.reject(.draining(), initiator: .us, cause: .temporaryFailure)
        case .answered, .up: self.bye(.temporaryFailure)
        case .over: return
        }
    }

    func modify(_ direction: MediaDirection) {
        guard self.state == .up, let local = self.local else { return }
        guard direction != self.wanted || self.asked != nil else {
            if let agreement = self.agreement { self.dialog.deliver(.modified(agreement)) }
            return
        }
        let text = self.writer.offer(self.rules, current: self.agreement, direction: direction, at: local)
        guard let description = makeBuffer(text) else { return self.dialog.deliver(.modificationFailed(status: 500)) }
        defer { mem_deref(description) }
        guard sipsess_modify(self.session, description) == 0 else {
            return self.dialog.deliver(.modificationFailed(status: 491))
        }
        self.asked = direction
    }

    func refer(to target: SIPTransferTarget) {
        guard self.state == .up else { return }
        guard self.subscription == nil else { return self.dialog.deliver(.transferFailed(status: 491)) }
        self.transferStatus = 0
        let failure = pronto_sipevent_refer(
            &self.subscription, self.stack.eventSocket, sipsess_dialog(self.session), Self.contactUser,
            { _, message, context in SIPSession.of(context)?.transferNotified(message!) },
            { failure, message, _, context in SIPSession.of(context)?.transferOver(failure, message) },
            self.context, target.uri)
        guard failure == 0 else {
            self.subscription = nil
            return self.dialog.deliver(.transferFailed(status: 500))
        }
    }

    // MARK: The clock

    func timePassed(_ now: Duration) {
        guard self.state == .invited || self.state == .ringing, now >= self.answerBy else { return }
        self.stack.logger.warning(
            "Nobody decided on a SIP call in time", ["sip.dialog": .string(self.dialog.id.description)])
        self.reject(
            SIPRejection(.serviceUnavailable, retryAfter: .seconds(5)), initiator: .deadline, cause: .temporaryFailure)
    }

    // MARK: What libre tells

    /// CANCEL while the INVITE is still in our own transaction. libre has answered the CANCEL itself.
    private func cancelled() {
        guard self.state == .invited, let invitation = self.invitation else { return }
        _ = pronto_sip_treply(
            &self.transaction, self.stack.sip, invitation, SIPStatus.terminated.code,
            SIPStatus.terminated.phrase.description, "")
        self.transaction = nil
        self.finish(.cancelled(self.stack.current.cause ?? .originatorCancel))
    }

    private func established() {
        guard self.state == .answered, let agreement = self.agreement else { return }
        self.state = .up
        self.dropInvitation()
        self.dialog.deliver(.confirmed(agreement))
    }

    /// A re-INVITE. 0 and a description, or an errno, which libre answers with 488.
    private func offered(
        _ message: UnsafePointer<sip_msg>, _ description: UnsafeMutablePointer<UnsafeMutablePointer<mbuf>?>
    ) -> Int32 {
        guard let text = self.answer(to: message.pointee), let buffer = makeBuffer(text) else { return EPROTO }
        description.pointee = buffer
        return 0
    }

    /// The answer to a new offer inside of the call, or an offer of ours where there was none. Nil: not acceptable, and
    /// what was in force stays.
    private func answer(to message: sip_msg) -> String? {
        guard let local = self.local else { return nil }
        guard let offer = try? InvitationParts.offer(message) else {
            guard message.body.count == 0 else { return nil }
            return self.writer.offer(self.rules, current: self.agreement, direction: self.wanted, at: local)
        }
        guard
            let agreement = try? self.rules.agreement(with: offer, wanted: self.wanted, current: self.agreement)
        else { return nil }
        self.agreement = agreement
        self.dialog.deliver(.reoffered(agreement))
        return self.writer.answer(to: offer, with: agreement, at: local)
    }

    /// The answer to an offer of ours: in an ACK, or in the 200 to our re-INVITE. An errno ends the call in the first
    /// case and is not looked at in the second.
    private func answered(_ message: UnsafePointer<sip_msg>) -> Int32 {
        let asked = self.asked
        self.asked = nil
        let direction = asked ?? self.wanted
        guard let answer = try? InvitationParts.offer(message.pointee),
            let agreement = try? self.rules.agreement(with: answer, wanted: direction, current: self.agreement)
        else {
            if self.state == .up {
                self.dialog.deliver(.modificationFailed(status: Int(SIPStatus.notAcceptableHere.code)))
            }
            return EPROTO
        }
        self.wanted = direction
        self.agreement = agreement
        if asked != nil {
            self.dialog.deliver(.modified(agreement))
        } else if self.state == .up {
            self.dialog.deliver(.reoffered(agreement))
        }
        return 0
    }

    /// The other end refused our re-INVITE. libre tries again by itself after 491, and after 500 with Retry-After.
    func modificationRefused(status: UInt16, retryAfter: Bool) {
        guard self.asked != nil, status != 491, !(status == 500 && retryAfter) else { return }
        self.asked = nil
        self.dialog.deliver(.modificationFailed(status: Int(status)))
    }

    /// UPDATE (RFC 3311), which libre does not know: FreeSWITCH sends it to tell a new caller's name, and others to
    /// refresh or change the session.
    func update(_ message: UnsafePointer<sip_msg>) {
        guard self.state == .up || self.state == .answered, let dialog = sipsess_dialog(self.session),
            sip_dialog_cmp(dialog, message)
        else { return self.stack.answer(message, .noSuchDialog) }
        guard sip_dialog_rseq_valid(dialog, message) else { return self.stack.answer(message, .serverError) }
        var description: UnsafeMutablePointer<mbuf>?
        if message.pointee.body.count > 0 {
            // RFC 3311 §5.2: one offer at a time.
            guard self.asked == nil, self.state == .up else {
                return self.stack.answer(message, SIPStatus(491, "Request Pending"))
            }
            guard let text = self.answer(to: message.pointee), let buffer = makeBuffer(text) else {
                return self.stack.answer(message, .notAcceptableHere)
            }
            description = buffer
        }
        defer { if let description { mem_deref(description) } }
        _ = sip_dialog_update(dialog, message)
        var contact = sip_contact()
        var own = message.pointee.dst
        _ = Self.contactUser.withCString { user in
            withUnsafePointer(to: &own) { own in
                sip_contact_set(&contact, user, own, message.pointee.tp)
                return pronto_sip_treply_description(self.stack.sip, message, &contact, SIPStack.allow, description)
            }
        }
    }

    private func info(_ message: UnsafePointer<sip_msg>) {
        let body = String(decoding: message.pointee.body, as: UTF8.self)
        let isOfApplication = String(message.pointee.ctyp.type).lowercased() == "application"
        // RFC 6086 §4.2.2: an INFO without a body is answered with 200.
        guard !body.isEmpty else { return self.stack.answer(message, SIPStatus(200, "OK")) }
        do throws(InfoDigit.Refusal) {
            let subtype = isOfApplication ? String(message.pointee.ctyp.subtype) : ""
            let digit = try InfoDigit(subtype: subtype, body: body)
            self.stack.answer(message, SIPStatus(200, "OK"))
            self.dialog.deliver(.digit(digit))
        } catch { self.stack.answer(message, error.status) }
    }

    /// The end that was not ours.
    private func closed(_ failure: Int32, _ message: UnsafePointer<sip_msg>?) {
        let ending: SIPDialogEvent
        let current = self.stack.current
        let isCurrent = current.callID == self.key.callID
        switch failure {
        case ECONNRESET where message == nil:
            let cause = isCurrent ? current.cause : nil
            if isCurrent, current.method == "CANCEL" {
                ending = .cancelled(cause ?? .originatorCancel)
            } else {
                ending = .ended(SIPEnding(.peer, cause ?? .normalClearing))
            }
        case 0, ETIMEDOUT: ending = .ended(SIPEnding(.lost, .recoveryOnTimer))
        default: ending = .ended(SIPEnding(.protocolFailure, .protocolError))
        }
        self.finish(ending)
    }

    // MARK: Transfer

    /// RFC 3515 §2.4.5: the body is the first line of the answer that the new call got.
    private func transferNotified(_ message: UnsafePointer<sip_msg>) {
        _ = sip_treply(nil, self.stack.sip, message, 200, "OK")
        guard message.pointee.isContent("message", "sipfrag") else { return }
        let words = String(decoding: message.pointee.body.prefix(64), as: UTF8.self).split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0] == "SIP/2.0", let status = Int(words[1].prefix(3)),
            (100...699).contains(status),
            self.transferStatus < 200
        else { return }
        self.transferStatus = status
        switch status {
        case ..<200: self.dialog.deliver(.transferProgress(status: status))
        case ..<300: self.dialog.deliver(.transferred)
        default: self.dialog.deliver(.transferFailed(status: status))
        }
    }

    /// The subscription has ended: after its last NOTIFY, or because REFER itself was refused.
    private func transferOver(_ failure: Int32, _ message: UnsafePointer<sip_msg>?) {
        drop(&self.subscription)
        guard self.transferStatus < 200 else { return }
        let refusal = message.map { $0.pointee.req ? 0 : Int($0.pointee.scode) } ?? 0
        self.transferStatus = 600
        self.dialog.deliver(.transferFailed(status: refusal))
    }

    // MARK: The end

    /// Everything ends here, once. Dropping libre's session says BYE where one is due, and libre lives on for its answer
    /// by itself; none of our functions is called any more.
    private func finish(_ event: SIPDialogEvent) {
        guard self.state != .over else { return }
        self.state = .over
        self.stack.remove(self)
        drop(&self.transaction)
        drop(&self.subscription)
        drop(&self.session)
        self.dropInvitation()
        self.dialog.deliver(event)
    }

    private func dropInvitation() {
        if let message = self.message { mem_deref(message) }
        self.message = nil
    }
}
