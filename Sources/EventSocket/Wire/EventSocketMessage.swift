/// One message from the switch, understood.
package enum EventSocketMessage: Sendable {
    /// The greeting of the inbound side: it waits for `auth`.
    case authRequest
    /// `command/reply` and `api/response`: the answer to the oldest command that has none yet.
    case reply(EventSocketReply)
    /// The answer to `connect` on the outbound side: the channel, its variables and how the socket was opened.
    case channelData(SwitchEvent)
    /// Something that happened.
    case event(SwitchEvent)
    /// The switch is leaving, or a channel has and the socket lingers.
    case disconnectNotice(DisconnectNotice)
    /// The switch's access list does not know us (`text/rude-rejection`).
    case rejected
    /// Well framed, and not for us: `log/data`, `text/event-xml`, an event that is no valid JSON or longer than the limit.
    case unreadable(contentType: String)
}

/// An answer to a command. Prints without its text, which may be a channel variable.
package struct EventSocketReply: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// `Reply-Text`, or the body of an `api/response`, without line ends at its end.
    package var text: String
    /// The `Job-UUID` header of a reply to `bgapi`.
    package var job: String?
    /// How many bytes the switch answered, where they were more than the limit and thrown away; the text is then empty.
    package var omitted: Int

    package init(text: String, job: String? = nil, omitted: Int = 0) {
        self.text = text
        self.job = job
        self.omitted = omitted
    }

    /// Nil unless the text says that the command was not carried out.
    package var refusal: SwitchRefusal? { SwitchRefusal(self.text) }

    package var description: String { self.refusal.map { "EventSocketReply(\($0))" } ?? "EventSocketReply" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why the switch did not do what it was asked, as it words it.
package struct SwitchRefusal: Error, Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The wordings that a caller can act on. A closed set: it may label a metric.
    package enum Kind: String, Sendable, CaseIterable {
        case noSuchChannel = "no-such-channel"
        case commandNotFound = "command-not-found"
        case invalidPassword = "invalid-password"
        case operationFailed = "operation-failed"
        case noReply = "no-reply"
        case usage
        case noEvents = "no-events"
        /// `-ERR USER_BUSY` and the like: an `originate` or a bridge that ended with a hang-up cause.
        case hangupCause = "hangup-cause"
        case other
    }

    package let kind: Kind
    /// The text after `-ERR`; may hold ids, so it is not printed.
    package let text: String

    /// The switch's whole answer.
    package let whole: String

    private static let missingChannel = [
        "no such channel", "invalid session id", "no such session", "cannot locate session", "invalid uuid",
    ]

    /// Nil unless `text` begins as a refusal does. A switch answers an unset `uuid_getvar` with `_undef_`, which is an
    /// answer and not a refusal.
    package init?(_ text: String) {
        self.whole = text
        if text.hasPrefix("-USAGE") {
            self.kind = .usage
            self.text = text
            return
        }
        guard text.hasPrefix("-ERR") else { return nil }
        // `uuid_answer` alone says `-ERROR`, and nothing more (measured).
        let words = text.dropFirst(text.hasPrefix("-ERROR") ? 6 : 4).drop { $0 == " " }
        self.text = String(words)
        let folded = words.lowercased()
        self.kind =
            if Self.missingChannel.contains(where: { folded.hasPrefix($0) }) {
                .noSuchChannel
            } else if folded.hasSuffix("command not found!") || folded == "command not found" {
                .commandNotFound
            } else if folded == "invalid" {
                .invalidPassword
            } else if folded.isEmpty || folded.hasPrefix("operation failed") || folded.hasPrefix("cannot stop record") {
                .operationFailed
            } else if folded.hasPrefix("no reply") {
                .noReply
            } else if folded.hasPrefix("no keywords supplied") {
                .noEvents
            } else if HangupCauseNames.q850[String(words)] != nil {
                .hangupCause
            } else {
                .other
            }
    }

    package var description: String { self.kind.rawValue }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The switch says that it will close. A notice with `linger` is not the end (measured: the real one came 3.5 s later).
package struct DisconnectNotice: Sendable, Equatable {
    /// The channel is gone, and events of it still come until the real notice.
    package var lingers: Bool
    /// How long the socket will linger.
    package var lingerTime: Duration?
}
