import Conversation
import EventSocket
import Networking
import Observability
import Telephony

/// How a call leaves its caller to somebody else, and what keeps the caller safe until then.
///
/// A transfer rings: FreeSWITCH rings the destination, the caller hears it ring, and who answers has the call. When nobody
/// does, the caller comes back to the same conversation: over the media that is still there (a WebSocket survives a
/// transfer), or by the dialplan's entry, whose new leg takes over (`CallShell.takeOver`). What became of it is known from
/// the channel's events on the tenant's Event Socket; without one the transfer is plain and final, and the dialplan of the
/// destination decides (voicemail).
extension CallShell {
    /// A transfer under way.
    struct Ringing {
        var destination: TransferDestination
        /// Whether the caller's media is expected to be replaced by a new leg.
        var returnsByDialplan: Bool
        /// Nobody answered: the caller is on the way back.
        var isReturning = false
    }

    func transfer(to destination: TransferDestination) {
        let destination = self.identity.located(destination)
        guard let control = self.control, control.isAvailable, let channel = self.identity.channel else {
            // A SIP leg can ask the far side itself (REFER) and reports what came of it.
            if self.leg?.send(.blindTransfer(destination)) == true { return }
            self.logger.warning("No Event Socket: the caller cannot be handed over")
            self.phone(.transferFailed(reason: "no-control"))
            return
        }
        let slot = self.slot
        guard self.isChannelChecked else {
            self.checkChannel(control, channel) { slot.value.call?.transfer(to: destination) }
            return
        }
        self.dropFuse()
        let loop = self.loop
        if let back = self.wayBack(from: destination), self.followsBeyondSocket(channel) {
            self.ringing = Ringing(destination: destination, returnsByDialplan: back != .park)
            control.ring(channel, destination, for: self.ringTime(of: destination), otherwise: back) { isRinging in
                loop.execute {
                    guard let call = slot.value.call, !isRinging else { return }
                    call.ringing = nil
                    call.stopWatchingToo(channel)
                    call.phone(.transferFailed(reason: "refused"))
                    call.armFuse()
                }
            }
            return
        }
        control.transfer(channel, to: destination) { didWork in
            loop.execute {
                guard let call = slot.value.call else { return }
                call.phone(didWork ? .transferred : .transferFailed(reason: "refused"))
                if !didWork { call.armFuse() }
            }
        }
    }

    private func ringTime(of destination: TransferDestination) -> Duration {
        let usual = self.gateway.configuration.ringTime
        return usual > .zero ? destination.ringTime ?? usual : .zero
    }

    /// Nil: the caller does not come back; a plain transfer. The fallback is one: after it there is nobody to come back to.
    private func wayBack(from destination: TransferDestination) -> ApiCommand.WayBack? {
        guard self.ringTime(of: destination) > .zero, destination != self.report.plan.fallback else { return nil }
        if self.leg is WebSocketLeg, !self.hasOwnControl { return .park }
        return self.identity.entry.map { .dialplan($0) }
    }

    /// Makes sure that the channel's events come to us when its own socket is left behind. False: they cannot.
    private func followsBeyondSocket(_ channel: CallID) -> Bool {
        guard self.losesChannel else { return self.control?.isAvailable ?? false }
        guard let link = self.gateway.control(for: self.identity.tenant), link.isAvailable else { return false }
        self.watchToo(channel, by: link)
        return true
    }

    /// Somebody has answered: whom we rang, or whom somebody else connected the caller with.
    func channelBridged() {
        guard let ringing = self.ringing else {
            // A media module goes on streaming through a bridge (measured): an operator has the caller now, and neither
            // our ears nor our hang-up belong there. (A SIP leg of ours is reached by a bridge itself.)
            if self.leg is WebSocketLeg || self.leg is UnicastLeg { self.phone(.transferred) }
            return
        }
        guard !ringing.isReturning else { return }
        self.ringing = nil
        self.phone(.transferred)
    }

    /// Nobody has. The conversation goes on as soon as there is a way to hear and be heard.
    func ringingUnanswered() {
        guard var ringing = self.ringing, !ringing.isReturning else { return }
        guard ringing.returnsByDialplan || self.leg == nil else {
            self.ringing = nil
            self.phone(.transferFailed(reason: "unanswered"))
            self.armFuse()
            return
        }
        ringing.isReturning = true
        self.ringing = ringing
        let slot = self.slot
        self.loop.schedule(after: .seconds(8)) {
            guard let call = slot.value.call, call.ringing?.isReturning == true else { return }
            call.ringing = nil
            call.phone(.transferFailed(reason: "not-returned"))
        }
    }

    /// The channel's own socket is there again: no ringing goes on, whether or not its end was told.
    func socketReturned() {
        guard self.ringing != nil else { return }
        guard self.leg != nil else { return self.ringingUnanswered() }
        // The media was never gone (a WebSocket): with its socket the caller is back.
        self.ringing?.isReturning = true
        self.callerReturned()
    }

    /// The caller's new leg is there.
    func callerReturned() {
        guard self.ringing?.isReturning == true else { return }
        self.ringing = nil
        self.phone(.transferFailed(reason: "unanswered"))
    }

    // MARK: The dead man's switch

    /// Takes over what the dialplan armed, or what its variable `pronto_fuse` asks for.
    func armFuse() {
        guard !self.isFinished, !self.isElsewhere, self.fuse == nil, let channel = self.identity.channel,
            let fuse = self.identity.fuse, let control = self.control
        else { return }
        let seconds = fuse.seconds ?? self.gateway.configuration.fuseSeconds
        guard seconds > 0 else { return }
        self.fuse = DeadMansSwitch(
            channel: channel, target: fuse.target, seconds: seconds, lastTask: fuse.task, control: control,
            on: self.loop)
        self.identity.fuse?.task = nil
        self.fuse?.arm()
    }

    /// The caller rings elsewhere, or is being handed over: nobody may be fetched away from there.
    private var isElsewhere: Bool { self.session.isTransferring && self.ringing?.isReturning != true }

    func dropFuse() {
        self.fuse?.disarm()
        self.fuse = nil
    }

    /// The call is over. What is armed stays for a caller who may be on a silent line, and goes for one who is with
    /// somebody else: by the tenant's Event Socket, since the channel's own socket ends with such a bridge.
    func letGoOfFuse(_ termination: CallTermination) {
        if termination.reason == CallTermination.transferred.reason {
            let link = self.gateway.control(for: self.identity.tenant)
            self.fuse?.disarm(by: (link?.isAvailable ?? false) ? link : nil)
        } else {
            self.fuse?.stop()
        }
        self.fuse = nil
    }
}
