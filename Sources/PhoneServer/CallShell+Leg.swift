import Conversation
import MediaDialects
import Networking
import Observability
import Telephony

/// The phone leg's side of a call's shell: what legs tell, and how one takes over from another.
extension CallShell {
    func isOn(_ leg: any PhoneLeg) -> Bool { self.leg === leg }

    /// Whole 20 ms frames of the caller, one after another, the last of which ended at `now`. Returns how many.
    func heard(_ audio: UnsafeRawBufferPointer, frameBytes length: Int, endedAt now: Duration) -> Int {
        guard length > 0 else { return 0 }
        var start = 0
        while start + length <= audio.count {
            let frame = UnsafeRawBufferPointer(rebasing: audio[start..<(start + length)])
            self.recorder?.callerFrame(frame, endedAt: now)
            self.session.callerFrame(frame, at: now, &self.output)
            start += length
        }
        self.gateway.metrics.framesUp.increment(by: start / length)
        self.settle()
        return start / length
    }

    /// An event that came over the leg itself. A digit that the channel has just told is the same key press.
    func leg(_ leg: any PhoneLeg, told event: PhoneEvent) {
        guard self.leg === leg else { return }
        if case .digit(let digit) = event, self.isRepeated(digit, from: .module) { return }
        self.phone(event)
    }

    /// The leg ended by itself.
    func leg(_ leg: any PhoneLeg, ended end: LegEnd) {
        guard self.leg === leg else { return }
        self.dropLeg()
        // A transfer takes the media away: its own outcome decides.
        if self.ringing != nil || self.session.isTransferring { return self.phone(.mediaLost(reason: "transferring")) }
        switch end {
        case .hungUp(let cause): self.phone(.hungUp(cause))
        case .closed:
            // FreeSWITCH's modules say 1000 when the channel hangs up or the stream is stopped (freeswitch.md §3.3). The
            // channel's own event, with the real cause, follows within moments where there is an Event Socket.
            guard self.identity.channel != nil, self.control?.isAvailable ?? false else {
                self.phone(.hungUp(.normalClearing))
                return
            }
            self.phone(.mediaLost(reason: "closed"))
            let slot = self.slot
            let takenOver = self.takeOvers
            self.loop.schedule(after: .milliseconds(200)) {
                // A module that was stopped and started again is back by now.
                guard let call = slot.value.call, call.takeOvers == takenOver else { return }
                call.phone(.hungUp(.normalClearing))
            }
        case .lost(let slug):
            self.logger.info("Media connection lost", ["leg.end": .string(slug)])
            self.phone(.mediaLost(reason: slug))
        }
    }

    /// Detaches the leg and keeps what it counted.
    func dropLeg() {
        guard let leg = self.leg else { return }
        leg.detach()
        self.report.framesIn += leg.framesIn
        if let quality = leg.quality { self.report.media = quality }
        self.leg = nil
    }

    /// Whether a second connection of this call may take over: the first is gone, or has been silent for two seconds.
    var mayBeTakenOver: Bool {
        // A caller whom nobody answered comes back by a new leg, before the old one has gone.
        guard let leg = self.leg, self.ringing == nil else { return true }
        return self.loop.now - leg.lastHeard > .seconds(2)
    }

    /// A second connection of the same call, already on this loop: goes on where the first stopped.
    func takeOver(_ leg: any PhoneLeg) {
        guard leg.uplink == self.session.uplinkFormat, leg.downlink == self.session.downlinkFormat else {
            self.logger.warning("A second connection speaks another format than the first: refused")
            leg.close(.otherFormat)
            return
        }
        let old = self.leg
        self.dropLeg()
        old?.close(.takenOver)
        self.leg = leg
        self.takeOvers += 1
        leg.attach(to: self)
        self.logger.info("Media connection taken over")
        self.step { $0.mediaReturned(at: $1, &$2) }
        self.callerReturned()
        self.armFuse()
    }
}
