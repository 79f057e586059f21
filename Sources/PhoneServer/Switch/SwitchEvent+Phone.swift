import EventSocket
import Telephony

extension SwitchEvent {
    /// What a channel's event means for the conversation; nil: nothing.
    var phoneEvent: PhoneEvent? {
        switch self.name {
        case .channelHangup, .channelHangupComplete: .hungUp(self.hangupCause ?? .normalClearing)
        case .channelHold: .held
        case .channelUnhold: .resumed
        case .dtmf: self.digit.map { .digit($0) }
        default: nil
        }
    }
}
