import Conversation
import MediaDialects
import Networking
import Observability
import Telephony

/// The phone leg's side of a call's shell.
extension CallShell {
    /// Takes the messages of the current leg.
    func attach() {
        guard let leg = self.leg else { return }
        leg.socket.onMessage = { [unowned self, unowned leg] kind, message in
            guard self.leg === leg else { return }
            self.received(kind == .text ? .text : .binary, message, on: leg)
        }
        leg.socket.onClose = { [unowned self, unowned leg] end in
            guard self.leg === leg else { return }
            self.legClosed(end)
        }
    }

    private func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer, on leg: PhoneLeg) {
        let now = self.loop.now
        leg.received(kind, message, at: now)
        if !leg.input.audio.isEmpty { self.callerAudio(of: leg, at: now) }
        if let problem = leg.input.problem, leg.reportedProblems.insert(problem).inserted {
            self.logger.warning("Message not understood", ["leg.problem": .string(problem)])
        }
        var index = 0
        while index < leg.input.events.count {
            switch leg.input.events[index] {
            case .phone(.digit(let digit)) where self.isRepeated(digit, from: .module): break
            case .phone(let event): self.phone(event)
            case .metadata(let metadata): self.learned(metadata)
            }
            // A hang-up ends the call, and with it the leg.
            guard self.leg === leg else { return }
            index += 1
        }
    }

    private func callerAudio(of leg: PhoneLeg, at now: Duration) {
        let length = leg.frameBytes
        guard length > 0 else { return }
        leg.input.audio.withUnsafeBytes { audio in
            var start = 0
            while start + length <= audio.count {
                let frame = UnsafeRawBufferPointer(rebasing: audio[start..<(start + length)])
                self.recorder?.callerFrame(frame, endedAt: now)
                self.session.callerFrame(frame, at: now, &self.output)
                leg.noteFrame()
                start += length
            }
            self.gateway.metrics.framesUp.increment(by: start / length)
        }
        self.settle()
    }

    private func legClosed(_ end: WebSocketEnd) {
        self.leg?.socket.onMessage = nil
        self.report.framesIn += self.leg?.framesIn ?? 0
        self.leg = nil
        if end.isNormal {
            // FreeSWITCH's modules say 1000 when the channel hangs up or the stream is stopped (freeswitch.md §3.3). The
            // channel's own event, with the real cause, follows within moments where there is an Event Socket.
            guard self.identity.channel != nil, self.gateway.control?.isAvailable ?? false else {
                self.phone(.hungUp(.normalClearing))
                return
            }
            self.phone(.held)
            let slot = self.slot
            self.loop.schedule(after: .milliseconds(200)) { slot.value.call?.phone(.hungUp(.normalClearing)) }
        } else {
            self.logger.info("Media connection lost", ["leg.end": .string(end.slug)])
            self.phone(.mediaLost(reason: end.slug))
        }
    }

    /// Whether a second connection of this call may take over: the first is gone, or has been silent for two seconds.
    var mayBeTakenOver: Bool {
        guard let leg = self.leg else { return true }
        return self.loop.now - leg.lastMessage > .seconds(2)
    }

    /// A second connection of the same call, already on this loop: goes on where the first stopped.
    func takeOver(_ leg: PhoneLeg) {
        guard leg.dialect.uplink == self.session.uplinkFormat, leg.dialect.downlink == self.session.downlinkFormat
        else {
            self.logger.warning("A second connection speaks another format than the first: refused")
            leg.socket.close(code: 1003, reason: "another format than the call began with")
            return
        }
        if let old = self.leg {
            self.report.framesIn += old.framesIn
            old.socket.onMessage = nil
            old.socket.onClose = nil
            old.socket.close(code: 4001, reason: "taken over")
        }
        self.leg = leg
        self.attach()
        self.logger.info("Media connection taken over")
        self.step { $0.mediaReturned(at: $1, &$2) }
    }
}
