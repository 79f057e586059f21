import Telephony

/// One command on an Event Socket, encoded. Exactly one reply belongs to it.
///
/// Prints its first word only.
package struct EventSocketCommand: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The first word, such as `filter`; of an API command its name. Safe in logs and labels.
    package let name: String
    /// The bytes for the wire, final blank line included.
    package let bytes: [UInt8]
    /// The job whose `BACKGROUND_JOB` brings the real answer.
    package let job: String?
    /// Of an `api` command: the channel that it is about.
    let channel: CallID?

    private init(_ name: String, lines: [String], job: String? = nil, channel: CallID? = nil) {
        self.name = name
        self.job = job
        self.channel = channel
        self.bytes = Array((lines.joined(separator: "\n") + "\n\n").utf8)
    }

    package var description: String { self.name }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    package static func authenticate(_ password: Redacted<String>) throws(EventSocketCommandError) -> Self {
        Self("auth", lines: ["auth " + (try CommandArgument.password.checked(password.value))])
    }

    /// Runs in the connection, blocking the commands behind it.
    package static func api(_ command: ApiCommand) -> Self {
        Self(command.name, lines: ["api " + command.line], channel: command.channel)
    }

    /// Runs beside the connection. The reply comes as an event `BACKGROUND_JOB` that carries `job` (measured: any text
    /// that we give as `Job-UUID` is taken).
    package static func background(_ command: ApiCommand, job: String) throws(EventSocketCommandError) -> Self {
        let job = try CommandArgument.job.checked(job)
        return Self(command.name, lines: ["bgapi " + command.line, "Job-UUID: " + job], job: job)
    }

    /// How the switch writes its events. One for the whole connection: the last `event` command decides (measured).
    package enum EventFormat: String, Sendable, CaseIterable { case plain, json }

    /// Subscribes to events by name, `CUSTOM` ones by subclass. Adds to what is subscribed.
    package static func subscribe(
        to names: [SwitchEvent.Name], subclasses: [String] = [], format: EventFormat = .plain
    ) throws(EventSocketCommandError) -> Self {
        var words = ["event", format.rawValue]
        for name in names where name != .custom { words.append(try CommandArgument.eventName.checked(name.wire)) }
        if !subclasses.isEmpty {
            words.append("CUSTOM")  // all words after it are subclasses (source)
            for subclass in subclasses { words.append(try CommandArgument.subclass.checked(subclass)) }
        }
        guard words.count > 2 else { throw .empty(argument: .eventName) }
        return Self("event", lines: [words.joined(separator: " ")])
    }

    /// From the first filter on only events that match any of them come (source); events without a channel need a filter
    /// of their own.
    package static func filter(eventName: SwitchEvent.Name) throws(EventSocketCommandError) -> Self {
        Self("filter", lines: ["filter Event-Name " + (try CommandArgument.eventName.checked(eventName.wire))])
    }

    package static func filter(subclass: String) throws(EventSocketCommandError) -> Self {
        Self("filter", lines: ["filter Event-Subclass " + (try CommandArgument.subclass.checked(subclass))])
    }

    package static func filter(channel: CallID) throws(EventSocketCommandError) -> Self {
        Self("filter", lines: ["filter Unique-ID " + (try CommandArgument.channel.checked(channel.text))])
    }

    package static func removeFilter(channel: CallID) throws(EventSocketCommandError) -> Self {
        Self("filter", lines: ["filter delete Unique-ID " + (try CommandArgument.channel.checked(channel.text))])
    }

    package static let exit = Self("exit", lines: ["exit"])
    /// Ends every subscription.
    package static let noEvents = Self("noevents", lines: ["noevents"])

    /// What an operator typed: any command of the Event Socket, one line of it. For the console only.
    package static func typed(_ line: String) throws(EventSocketCommandError) -> Self {
        let line = try CommandArgument.line.checked(line)
        return Self(line.prefix { $0 != " " }.description, lines: [line])
    }

    // MARK: The outbound side

    /// Asks for the channel: the switch sends nothing before (measured).
    package static let connect = Self("connect", lines: ["connect"])
    /// All events of the socket's own channel.
    package static let myEvents = Self("myevents", lines: ["myevents"])
    /// Keep the socket for a while after the hang-up, so that the last events arrive.
    package static func linger(_ duration: Duration) throws(EventSocketCommandError) -> Self {
        Self("linger", lines: ["linger " + (try ApiCommand.seconds(duration))])
    }
    /// Events that the running application would eat (DTMF) come to us as well.
    package static let divertEvents = Self("divert_events", lines: ["divert_events on"])

    /// Of the socket's own channel. An unset variable is answered like an unknown command (measured).
    package static func getVariable(_ name: String) throws(EventSocketCommandError) -> Self {
        Self("getvar", lines: ["getvar " + (try CommandArgument.variableName.checked(name))])
    }

    // MARK: sendmsg

    /// Runs a dialplan application on a channel (nil: the socket's own). `id` comes back as the event's
    /// `Application-UUID`. Not queued behind what is playing (measured).
    package static func execute(
        _ application: String, _ argument: String? = nil, on channel: CallID? = nil, id: String? = nil
    ) throws(EventSocketCommandError) -> Self {
        var headers = [("execute-app-name", try CommandArgument.application.checked(application))]
        if let argument {
            headers.append(("execute-app-arg", try CommandArgument.applicationArgument.checked(argument)))
        }
        if let id { headers.append(("Event-UUID", try CommandArgument.job.checked(id))) }
        return try self.message("execute", headers, to: channel)
    }

    package static func hangUp(
        _ channel: CallID? = nil, cause: HangupCause = .normalClearing
    ) throws(EventSocketCommandError) -> Self {
        try self.message("hangup", [("hangup-cause", try CommandArgument.cause.checked(cause.name))], to: channel)
    }

    /// Makes the parked channel's audio raw datagrams. `+OK` only means "queued": success is the first datagram. One a
    /// park, never after a playback (`freeswitch-legs.md` §1: FreeSWITCH can crash).
    package static func unicast(
        _ ports: UnicastPorts, on channel: CallID? = nil
    ) throws(EventSocketCommandError) -> Self {
        let headers = [
            ("local-ip", try CommandArgument.address.checked(ports.switchAddress)),
            ("local-port", String(ports.switchPort)),
            ("remote-ip", try CommandArgument.address.checked(ports.ourAddress)),
            ("remote-port", String(ports.ourPort)), ("transport", "udp"),
        ]
        return try self.message("unicast", headers, to: channel)
    }

    private static func message(
        _ command: String, _ headers: [(String, String)], to channel: CallID?
    ) throws(EventSocketCommandError) -> Self {
        var first = "sendmsg"
        if let channel { first += " " + (try CommandArgument.channel.checked(channel.text)) }
        return Self(
            "sendmsg", lines: [first, "call-command: " + command] + headers.map { $0.0 + ": " + $0.1 })
    }
}

/// The two ends of a unicast: datagrams of raw L16 at the channel's rate.
package struct UnicastPorts: Sendable, Equatable {
    package var switchAddress: String
    package var switchPort: UInt16
    package var ourAddress: String
    package var ourPort: UInt16
    package init(switchAddress: String, switchPort: UInt16, ourAddress: String, ourPort: UInt16) {
        self.switchAddress = switchAddress
        self.switchPort = switchPort
        self.ourAddress = ourAddress
        self.ourPort = ourPort
    }
}
