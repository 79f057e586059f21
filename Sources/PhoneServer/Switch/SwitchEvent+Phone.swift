import EventSocket
import Telephony

/// What a call is told about its channel.
package enum ChannelNews: Sendable, Equatable {
    /// What the conversation has to know.
    case phone(PhoneEvent)
    /// The channel was connected to another one: a transfer that rang was answered (or our own SIP leg was reached).
    case bridged
    /// An application that rings somebody ended without an answer; the switch's word for why.
    case unanswered(disposition: String)
}

extension SwitchEvent {
    /// What a channel's event means for its call; nil: nothing.
    var news: ChannelNews? {
        switch self.name {
        case .channelHangup, .channelHangupComplete: .phone(.hungUp(self.hangupCause ?? .normalClearing))
        case .channelHold: .phone(.held)
        case .channelUnhold: .phone(.resumed)
        case .dtmf: self.digit.map { .phone(.digit($0)) }
        case .channelBridge: .bridged
        case .channelExecuteComplete: self.unanswered
        default: nil
        }
    }

    private var unanswered: ChannelNews? {
        guard self.application?.name == "bridge", let disposition = self.variable("originate_disposition")?.value,
            disposition != "SUCCESS"
        else { return nil }
        return .unanswered(disposition: disposition)
    }
}
