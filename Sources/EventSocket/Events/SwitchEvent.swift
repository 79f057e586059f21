import Telephony

/// Something that happened in the switch, mostly to a channel. (Not `ChannelEvent`: that name is an assistant's channel.)
///
/// A typed view for what we act on; everything else by header name. Prints its name only.
package struct SwitchEvent: Sendable, CustomStringConvertible, CustomReflectable {
    package let name: Name
    package let headers: EventSocketHeaders
    /// The event's own body: a job's result, the text of a media module.
    package let body: [UInt8]

    package init(headers: EventSocketHeaders, body: [UInt8]) {
        self.name = Name(wire: headers["Event-Name"] ?? "")
        self.headers = headers
        self.body = body
    }

    package var description: String { self.name.wire }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    /// The channel that it happened to.
    package var channel: CallID? { self.headers["Unique-ID"].flatMap { CallID($0) } }
    /// The other leg, on events of a bridge.
    package var otherLeg: CallID? { self.headers["Other-Leg-Unique-ID"].flatMap { CallID($0) } }
    /// What kind of `CUSTOM`, such as `mod_audio_stream::play`.
    package var subclass: String? { self.headers["Event-Subclass"] }
    /// Which start of the switch this is: it changes when FreeSWITCH was restarted.
    package var coreID: String? { self.headers["Core-UUID"] }
    /// The job that a `BACKGROUND_JOB` ends.
    package var job: String? { self.headers["Job-UUID"] }
    /// The body as text, without line ends at its end.
    package var text: String {
        var end = self.body.count
        while end > 0, self.body[end - 1] == Ascii.lineFeed || self.body[end - 1] == Ascii.carriageReturn { end -= 1 }
        return String(decoding: self.body[..<end], as: UTF8.self)
    }

    /// A channel variable, as sent along with the event.
    package func variable(_ name: String) -> Redacted<String>? {
        self.headers["variable_" + name].map { Redacted($0) }
    }

    /// The digit of a `DTMF`, when it is one.
    package var digit: Redacted<Character>? {
        guard let text = self.headers["DTMF-Digit"], text.count == 1, let digit = text.first,
            "0123456789*#ABCDabcd".contains(digit)
        else { return nil }
        return Redacted(Character(digit.uppercased()))
    }

    /// Why the channel ended.
    package var hangupCause: HangupCause? {
        guard let name = self.headers["Hangup-Cause"] else { return nil }
        return HangupCauseNames.cause(named: name, q850: self.headers["variable_hangup_cause_q850"])
    }

    /// The application that a `CHANNEL_EXECUTE_COMPLETE` ends, and the `Event-UUID` that we had given to `sendmsg`.
    package var application: (name: String, id: String?)? {
        self.headers["Application"].map { ($0, self.headers["Application-UUID"]) }
    }
}
