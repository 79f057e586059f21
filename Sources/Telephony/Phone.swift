/// What a phone leg tells the conversation. Audio is not among them: frames are handed over borrowed, one call a
/// frame, so that a steady call allocates nothing.
package enum PhoneEvent: Sendable, Equatable {
    /// A digit 0–9, `*`, `#`, A–D, however it came (RFC 4733, SIP INFO, a module's text).
    case digit(Redacted<Character>)
    /// A mark that we put into the playout was reached (`cleared` when a flush threw it out instead).
    case markReached(name: String, cleared: Bool)
    /// The leg is on hold: no frames will come, and that is not silence.
    case held
    /// The leg is back.
    case resumed
    /// The caller hung up.
    case hungUp(HangupCause)
    /// The media connection was lost, and the call may still be there.
    case mediaLost(reason: String)
    /// A transfer that we asked for went through: the leg is no longer ours.
    case transferred
    /// A transfer that we asked for failed; the caller is still with us.
    case transferFailed(reason: String)
}

/// What the conversation asks of a phone leg, frames apart.
package enum PhoneCommand: Sendable, Equatable {
    /// Throw away all that the leg holds unplayed.
    case flush
    /// Report when all audio sent so far has been played, where the dialect can.
    case mark(name: String)
    /// Hand the caller over and leave.
    case blindTransfer(TransferDestination)
    /// End the leg.
    case hangUp(HangupCause)
}

/// Where a caller can be handed to.
package struct TransferDestination: Hashable, Sendable {
    /// What the assistant calls it: "sales", "the workshop".
    package var name: String
    /// The extension or number to dial.
    package var number: Redacted<String>
    /// The dialplan context that number is dialed in.
    package var context: String
    /// How long it rings before the caller comes back; nil: as the installation has it; zero: the caller does not come back.
    package var ringTime: Duration?

    package init(name: String, number: String, context: String, ringTime: Duration? = nil) {
        self.name = name
        self.number = Redacted(number)
        self.context = context
        self.ringTime = ringTime
    }
}

/// What a leg can do with the audio that we send: the playout schedules by it.
package struct PlayoutTraits: Hashable, Sendable {
    /// How far ahead of real time frames may be sent. 40–60 ms; more only where a module needs it.
    package var lead: Duration
    /// The leg plays nothing before it holds this much (the PCMU fork: 400 ms); zero where it plays at once.
    package var warmUp: Duration
    /// The most that the leg can hold; what is sent beyond is lost (the PCMU fork's ring: 2 s).
    package var capacity: Duration
    /// From our send to the caller's ear, as far as known: subtracted from "sent" to get "heard".
    package var latency: Duration
    /// Whether `flush` empties what the leg holds. Without it, a low lead is the only way to be quiet quickly.
    package var canFlush: Bool
    /// Whether `mark` comes back.
    package var reportsMarks: Bool
    /// A leg on hold brings no frames, so that a frame means that the hold is over. Elsewhere only the switch says so.
    package var holdStopsFrames: Bool

    package init(
        lead: Duration, warmUp: Duration = .zero, capacity: Duration = .seconds(2), latency: Duration = .zero,
        canFlush: Bool, reportsMarks: Bool = false, holdStopsFrames: Bool = true
    ) {
        self.lead = lead
        self.warmUp = warmUp
        self.capacity = capacity
        self.latency = latency
        self.canFlush = canFlush
        self.reportsMarks = reportsMarks
        self.holdStopsFrames = holdStopsFrames
    }
}

/// The numbers of a call. Never logged, never a metric's label.
package struct DialedNumber: Hashable, Sendable {
    package let digits: Redacted<String>
    package init(_ digits: String) { self.digits = Redacted(digits) }
}
