import Telephony

/// What the answers to particular questions say, read.
extension EventSocketReply {
    /// Of `uuid_exists` and its like.
    package var flag: Bool? {
        switch self.text {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// Of `uuid_getvar`: nil where the variable is not set, which FreeSWITCH writes as `_undef_`.
    package var variable: Redacted<String>? { self.text == "_undef_" ? nil : Redacted(self.text) }

    /// Of `originate` and `uuid_bridge`: the channel behind `+OK`.
    package var channel: CallID? {
        guard self.text.hasPrefix("+OK ") else { return nil }
        return CallID(String(self.text.dropFirst(4).prefix { $0 != " " && $0 != "\n" }))
    }

    /// Of `show channels as json`.
    package var channels: [SwitchChannel]? { SwitchChannel.parse(self.text) }
}
