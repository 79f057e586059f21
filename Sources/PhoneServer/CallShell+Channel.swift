import EventSocket
import Networking
import Observability
import Telephony

/// The caller's channel on its switch, as the call's shell knows it: by which way it is followed and controlled, and what
/// its events mean.
extension CallShell {
    /// Follows the caller's channel by Event Socket, and makes sure that it is this tenant's: a call id in a path is
    /// only a claim, and no command of ours may reach somebody else's channel (design §7).
    func follow(_ channel: CallID) {
        guard let control = self.control else { return }
        self.watch(channel, by: control)
        self.watching = control
        if control.isAvailable, !self.isChannelChecked { self.checkChannel(control, channel) {} }
        if self.isChannelChecked { self.armFuse() }
    }

    /// The leg says only now which channel it belongs to (`/rt/{tenant}` has no call in its path). The call keeps the name
    /// that it is registered by; what the channel is needed for is to be followed, handed over and hung up.
    func learned(channel: CallID) {
        guard self.identity.channel == nil, self.identity.isNamedByUs, isUUID(channel.text) else { return }
        guard self.gateway.takeChannel(channel, for: self.identity.call) else {
            self.logger.warning("The channel that the metadata names is another call's: it will not be controlled")
            return
        }
        self.identity.channel = channel
        self.report.learned(self.identity)
        self.follow(channel)
    }

    private func watch(_ channel: CallID, by control: any CallControl) {
        let loop = self.loop
        let slot = self.slot
        control.watch(channel) { news in
            loop.execute { slot.value.call?.switched(news) }
        }
    }

    /// Follows the channel by the tenant's Event Socket too, while it rings elsewhere.
    func watchToo(_ channel: CallID, by link: any CallControl) {
        self.stopWatchingToo(channel)
        self.watch(channel, by: link)
        self.watchingToo = link
    }

    /// The channel's own socket tells again, or never ceased to: twice told, a key would be pressed twice.
    func stopWatchingToo(_ channel: CallID) {
        self.watchingToo?.unwatch(channel)
        self.watchingToo = nil
    }

    func stopWatching(_ channel: CallID) {
        self.stopWatchingToo(channel)
        self.watching?.unwatch(channel)
        self.watching = nil
    }

    /// Asks whose the channel is, then calls `done` on the loop, unless the call is over by then.
    func checkChannel(_ control: any CallControl, _ channel: CallID, done: @escaping @Sendable () -> Void) {
        let loop = self.loop
        let slot = self.slot
        let tenant = self.identity.tenant.text
        let names = [
            "domain_uuid", "destination_number", "context", "pronto_fuse", "last_sched_id", "pronto_failover_ext",
        ]
        control.variables(names, of: channel) { values in
            let domain = values["domain_uuid"]?.value.lowercased() ?? ""
            loop.execute {
                guard let call = slot.value.call else { return }
                call.isChannelChecked = true
                if !domain.isEmpty, domain != tenant {
                    call.disownChannel()
                } else {
                    call.identity.learn(values)
                    call.learnFallback()
                    call.armFuse()
                }
                done()
            }
        }
    }

    /// What the channel says may name another fallback.
    private func learnFallback() {
        let fallback = self.identity.fallback(besides: self.ownFallback)
        self.session.setFallback(fallback)
        self.report.learned(fallback: fallback)
    }

    /// The outbound socket of the caller's own channel has come (or come back): the best way to it.
    ///
    /// - Parameter fuse: what the dialplan has armed on the way here.
    func adopt(_ control: any CallControl, fuse: Fuse?) {
        guard let channel = self.identity.channel else { return }
        let armed = self.fuse
        armed?.stop()
        self.fuse = nil
        self.identity.fuse = fuse ?? self.identity.fuse
        self.learnFallback()
        self.stopWatching(channel)
        self.ownControl = control
        self.isChannelChecked = true
        self.follow(channel)
        self.socketReturned()
        self.armFuse()
        // What was armed by the way before would fire in the middle of the conversation.
        guard let armed else { return }
        if let successor = self.fuse { armed.handOver(to: successor) } else { armed.disarm(by: control) }
    }

    /// The channel's own socket has ended while the call goes on: the tenant's Event Socket is what is left.
    func controlEnded(of visit: ObjectIdentifier) {
        guard !self.isFinished, (self.ownControl as? SwitchControl)?.visitID == visit else { return }
        self.ownControl = nil
        self.watching = self.watchingToo
        self.watchingToo = nil
        // Who watched beside the socket goes on without a gap, in which an answer could fall.
        if self.watching == nil, let channel = self.identity.channel { self.follow(channel) }
    }

    private func disownChannel() {
        guard let channel = self.identity.channel else { return }
        self.logger.error("The channel of that id belongs to another tenant: it will not be controlled")
        self.stopWatching(channel)
        self.gateway.giveBackChannel(of: self.identity.call)
        self.identity.channel = nil
        // Once is enough: who names one that is another's is not asked again.
        self.identity.isNamedByUs = false
    }

    /// An event of the channel. A digit that the module has just told by text is the same key press.
    func switched(_ news: ChannelNews) {
        switch news {
        case .phone(.digit(let digit)) where self.isRepeated(digit, from: .channel): break
        case .phone(let event): self.phone(event)
        case .bridged: self.channelBridged()
        case .unanswered: self.ringingUnanswered()
        }
    }

    enum DigitSource { case channel, module }

    /// Whether the other source told of this very key a moment ago.
    func isRepeated(_ digit: Redacted<Character>, from source: DigitSource) -> Bool {
        let now = self.loop.now
        if let last = self.lastDigit, last.source != source, last.digit == digit, now - last.at < .milliseconds(700) {
            self.lastDigit = nil
            return true
        }
        self.lastDigit = (digit, source, now)
        return false
    }
}
