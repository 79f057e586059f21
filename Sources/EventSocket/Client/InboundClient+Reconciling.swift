import Telephony

/// After a reconnection: which of the watched channels are still there.
///
/// While there was no connection a channel may have been hung up, and with a restart of the switch every one is gone;
/// no event tells afterwards. So the switch is asked for its channels, which shows which of the watched ids are channels
/// of this switch at all, and then for each of these by its id: the table behind `show channels` is written with a delay
/// (measured: up to some seconds) and may still have one that is gone, or lack one that has just begun.
extension InboundClient {
    mutating func beginReconciling(at now: Duration, _ effects: inout [Effect]) {
        guard !self.watched.isEmpty else { return }
        // First who it is: by then the answer about channels can say whether they fell to a restart.
        self.send(.api(.coreID), by: .question(.coreID), at: now, &effects)
        self.send(.api(.showChannels), by: .question(.channels), at: now, &effects)
    }

    /// What any event proves: its channel exists, and which start of the switch this is.
    mutating func learn(from event: SwitchEvent) {
        if self.coreID == nil { self.coreID = event.coreID }
        guard !self.watched.isEmpty, let channel = event.channel, self.watched[channel] != nil else { return }
        // Its end has been told, by this very event.
        let hasEnded = event.name == .channelHangup || event.name == .channelHangupComplete
        self.watched[channel]?.presence = hasEnded ? .gone : .known
    }

    mutating func reconcile(
        _ question: MachineQuestion, _ reply: EventSocketReply, at now: Duration, _ effects: inout [Effect]
    ) {
        switch question {
        case .coreID:
            guard reply.refusal == nil, !reply.text.isEmpty else { return }
            self.wasRestarted = self.coreID != nil && self.coreID != reply.text
            self.coreID = reply.text
        case .channels:
            // A table that cannot be read (a switch without its database, or one of very many channels) costs a question
            // for each channel, and no call.
            let there = Set((reply.channels ?? []).map(\.id))
            if reply.channels == nil { effects.append(.oddity("unreadable-channels")) }
            for (channel, watch) in self.watched where watch.presence == .known || there.contains(channel) {
                self.watched[channel]?.presence = .known
                guard let command = try? ApiCommand.exists(channel) else { continue }  // `watch` has checked it
                self.send(.api(command), by: .question(.presence(channel)), at: now, &effects)
            }
        case .presence(let channel):
            guard reply.flag == false, self.watched[channel]?.presence == .known else { return }
            self.watched[channel]?.presence = .gone
            effects.append(.channelGone(channel, switchWasRestarted: self.wasRestarted))
        }
    }
}
