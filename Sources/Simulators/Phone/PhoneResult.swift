import Audio
import Telephony

/// How a simulated call ended.
package enum PhoneEnd: Sendable, Equatable {
    /// The caller hung up, and the gateway answered or closed.
    case hungUp
    /// The gateway closed first. 1005: without a code.
    case closedByGateway(code: UInt16)
    /// The handshake was answered with another status than 101.
    case refused(status: Int)
    /// No connection: `dns`, `connect`, `tls`, `timeout`, `protocol`.
    case unreachable(String)
    /// TCP ended without a Close frame.
    case lost
    /// The gateway broke RFC 6455: some modules take FreeSWITCH with them then (freeswitch.md §3.4).
    case violation
    /// Our Close, or BYE, was not answered in time.
    case closeUnanswered
    /// The gateway ended the call by SIP or by the switch; Q.850.
    case hungUpByGateway(cause: Int)
    /// The gateway left the switch's socket: the dialplan goes on to its fallback.
    case leftByGateway

    /// Stable, for tables.
    package var name: String {
        switch self {
        case .hungUp: "hung-up"
        case .closedByGateway(let code): "closed-\(code)"
        case .refused(let status): "refused-\(status)"
        case .unreachable(let slug): "unreachable-\(slug)"
        case .lost: "lost"
        case .violation: "violation"
        case .closeUnanswered: "close-unanswered"
        case .hungUpByGateway(let cause): "bye-\(cause)"
        case .leftByGateway: "dialplan-went-on"
        }
    }
}

/// What one simulated call was like. Times have the grain of a frame, 20 ms.
package struct PhoneResult: Sendable {
    package var end: PhoneEnd = .unreachable("cancelled")
    /// From the attempt to the answered handshake.
    package var connectTime: Duration?
    /// From the answered handshake to the first sound of the agent in the ear.
    package var firstAudio: Duration?
    /// For each turn that was answered: last voiced frame sent → first sound of the answer in the ear.
    package var answers: [Duration] = []
    /// For each interruption that worked: its first voiced frame sent → the agent's last sound in the ear. Zero where
    /// the agent had just stopped by itself.
    package var bargeInStops: [Duration] = []
    /// Interruptions over which the agent spoke on for five seconds.
    package var ignoredInterruptions = 0
    /// Turns whose answer was waited for in vain.
    package var unansweredTurns = 0
    /// Times that the ear ran dry and the agent's audio went on shortly after. A pause between two answers of less than
    /// the ear's start-up plus 400 ms counts as well: nothing on the wire tells them apart.
    package var gaps = 0
    package var gapTime: Duration = .zero
    /// How long the agent was heard (voiced frames).
    package var agentHeard: Duration = .zero
    /// Agent audio that was lost in a full buffer.
    package var discarded: Duration = .zero
    /// `stopAudio`, `killAudio` and their like.
    package var flushes = 0
    /// Messages that this module makes nothing of (a wrong type, garbage, binary where none is taken).
    package var ignoredMessages = 0
    package var messagesSent = 0
    package var messagesReceived = 0
    package var bytesSent = 0
    package var bytesReceived = 0
    /// RTP packets of the gateway's that are missing in the sequence.
    package var packetsLost = 0
    /// How far the time between two frames of the gateway's was from a frame's length, in buckets of 0.1 ms; only of
    /// `unicast` and `rtp`, whose gateway keeps the beat. Pauses of more than 100 ms are none.
    package var spacing = PhoneSpacing()
    /// Where the gateway sent the caller by REFER.
    package var referredTo: Redacted<String>?
    /// Frames whose time had passed by more than five seconds (the host was asleep) and were not sent.
    package var skippedFrames = 0
    /// From the answered handshake to the end.
    package var duration: Duration = .zero
    /// Left what the caller said, right what the caller heard.
    package var recording: WAV?

    package init() {}

    /// Why this call is not as it should be: a slug; nil for a good one.
    package var failure: String? {
        switch self.end {
        case .hungUp, .closedByGateway(code: 1000), .hungUpByGateway(cause: 16): break
        case .closedByGateway, .refused, .unreachable, .lost, .violation, .closeUnanswered, .hungUpByGateway,
            .leftByGateway:
            return self.end.name
        }
        if self.firstAudio == nil { return "agent-silent" }
        if self.unansweredTurns > 0 { return "turn-unanswered" }
        return self.ignoredInterruptions > 0 ? "interruption-ignored" : nil
    }

    /// The value below which `share` (0–1) of `values` lie, by nearest rank; nil without values.
    package static func percentile(_ share: Double, of values: [Duration]) -> Duration? {
        guard !values.isEmpty else { return nil }
        let sorted: [Duration] = values.sorted()
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }
}
