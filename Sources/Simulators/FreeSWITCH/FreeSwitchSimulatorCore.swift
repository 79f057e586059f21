import EventSocket
import Telephony

/// A FreeSWITCH as seen through its Event Socket, as a value: bytes of any number of connections in, bytes out.
///
/// It answers as FreeSWITCH 1.11.3-dev was measured to (`freeswitch.md` §3.3, §4, §6), error texts included; the
/// recordings replay against it. It has a table of channels that a test fills and moves (`addChannel`, `digit`, `hangUp`),
/// and tells by `Effect.noticed` what it was made to do. Time does not pass in it: what takes FreeSWITCH a while happens
/// at once, but for tasks and lingering, which its shell times. Omitted: `xml` events, `log`, regular expressions in
/// filters, and of the dialplan all but `socket` (`dialplan`) and who answers (`outcomes`).
package struct FreeSwitchSimulatorCore: Sendable {
    /// Names one connection; chosen by the shell.
    package struct ConnectionID: Hashable, Sendable {
        package let number: Int
        package init(_ number: Int) { self.number = number }
    }

    /// What to do.
    package enum Effect: Sendable, Equatable {
        case send(ConnectionID, [UInt8])
        case close(ConnectionID)
        case noticed(Notice)
        /// The dialplan reached `socket`: connect to that port of this machine.
        case openSocket(CallID, Socket)
        /// Bind `local`, send the channel's audio to `remote` and play what comes; then say `unicastOpened`. A port in use:
        /// nothing, as the switch says nothing.
        case openUnicast(CallID, UnicastPorts)
        case closeUnicast(CallID)
        /// Call `taskFired` after that time.
        case schedule(task: Int, after: Duration)
        /// Call `lingerEnded` after that time.
        case linger(ConnectionID, Duration)
    }

    /// What the switch was made to do to a channel.
    package enum Notice: Sendable, Equatable {
        case transferred(CallID, extension: String, dialplan: String, context: String)
        case hungUp(CallID, cause: HangupCause)
        case streamStarted(CallID, url: String, metadata: String?)
        case streamStopped(CallID)
        case streamText(CallID, String)
        case played(CallID, path: String)
        case playbackStopped(CallID)
        case unicastStarted(CallID, headers: [String: String])
        case executed(CallID, application: String, argument: String)
        /// The program left its socket: the dialplan goes on behind it.
        case continued(CallID)
        /// The program left its socket before the channel was parked: it stays parked, in silence (measured).
        case stranded(CallID)
        /// A second `sendmsg unicast` while the first works: `+OK`, dead, and a leaked port (measured).
        case unicastWasted(CallID)
        /// `sendmsg unicast` after a playback in the same park: FreeSWITCH crashed at that (measured).
        case crashed(CallID)
    }

    /// What becomes of a call to somebody, by extension; whoever is not in the table is absent.
    package enum Outcome: Sendable { case answers, busy, doesNotAnswer }

    /// One leg.
    package struct Channel: Sendable {
        package var variables: [String: String] = [:]
        package var isAnswered = true
        package var isHeld = false
        package var isStreaming = false
        /// The extension that it was transferred to last.
        package var destination: String?
        package var context = "public"
        package var caller: String?
        package var bridgedTo: CallID?
        /// The ends of its raw audio, while it works.
        package var unicast: UnicastPorts?
        /// A playback ended a unicast in this park, or before one.
        var isSpoilt = false
    }

    /// What a dialplan's line `socket` says.
    package struct Socket: Sendable, Equatable {
        package var port: UInt16
        package var isAsync: Bool
        package var hasFullControl: Bool
        /// Whether lines follow it (`pronto_failover`); else the channel is hung up when the program leaves.
        package var goesOn: Bool
        package init(port: UInt16, isAsync: Bool = true, hasFullControl: Bool = true, goesOn: Bool = true) {
            self.port = port
            self.isAsync = isAsync
            self.hasFullControl = hasFullControl
            self.goesOn = goesOn
        }
    }

    /// One connection: a controlling program on 8021, or the socket application on the program's own port.
    struct Connection: Sendable {
        var framer = EventSocketFramer()
        var isAuthenticated = false
        /// The socket application's channel.
        var channel: CallID?
        var hasFullControl = true
        var isAsync = true
        /// The channel has been parked for the program.
        var isParked = false
        var sendsMyEvents = false
        var linger: Int?
        /// Where its dialplan goes on when the program leaves.
        var goesOn = false
        /// The channel has left; this connection stays a while.
        var isLingering = false
        var format = "plain"
        var names: Set<String> = []
        var subclasses: Set<String> = []
        var wantsAll = false
        var filters: [(name: String, value: String)] = []
    }

    package private(set) var channels: [CallID: Channel] = [:]
    /// Every command in the order it came, first line only, `auth` without its password.
    package private(set) var commands: [String] = []
    /// Extension → what happens when it is called.
    package var outcomes: [String: Outcome] = [:]
    /// Extension → what its `socket` line says.
    package var dialplan: [String: Socket] = [:]
    /// Extensions whose line is `park`.
    package var parks: Set<String> = []
    /// What `sched_api` and `sched_transfer` have made, by number: the channel and the command.
    var tasks: [Int: (group: String, command: String)] = [:]
    var tasksGiven = 0
    /// API command → the whole answer it gives from now on, in place of its own.
    package var scriptedAnswers: [String: String] = [:]

    let password: String
    let coreID: String
    var connections: [ConnectionID: Connection] = [:]
    private var idsGiven = 0
    private var eventsSent = 0

    package init(password: String = "ClueCon", coreID: String = "7d3f65c4-c894-4724-afb8-2f745738d01b") {
        self.password = password
        self.coreID = coreID
    }

    /// Who is connected now, in the order they came.
    package var connectionIDs: [ConnectionID] { self.connections.keys.sorted { $0.number < $1.number } }

    // MARK: Connections

    package mutating func accepted(_ id: ConnectionID, into effects: inout [Effect]) {
        self.connections[id] = Connection()
        self.send("Content-Type: auth/request\n\n", to: id, &effects)
    }

    /// The dialplan reached `socket`: the switch has connected to the program's port, and waits for it to speak first.
    package mutating func socketOpened(
        _ id: ConnectionID, for channel: CallID, isAsync: Bool = true, hasFullControl: Bool = true, goesOn: Bool = false
    ) {
        var connection = Connection()
        connection.goesOn = goesOn
        connection.isAuthenticated = true
        connection.channel = channel
        connection.isAsync = isAsync
        connection.hasFullControl = hasFullControl
        self.connections[id] = connection
    }

    /// The other side is gone. The call of a socket application ends with it where its dialplan has no more lines.
    package mutating func closed(_ id: ConnectionID, into effects: inout [Effect]) {
        guard let connection = self.connections.removeValue(forKey: id) else { return }
        self.programLeft(connection, &effects)
    }

    package mutating func received(
        _ bytes: UnsafeRawBufferPointer, from id: ConnectionID, into effects: inout [Effect]
    ) {
        self.connections[id]?.framer.append(bytes)
        do {
            while let frame = try self.connections[id]?.framer.next() {
                self.handle(SimulatedRequest(frame), from: id, &effects)
            }
        } catch {
            self.connections[id] = nil
            effects.append(.close(id))
        }
    }

    // MARK: What a test makes happen

    package mutating func addChannel(_ id: CallID, variables: [String: String] = [:], isAnswered: Bool = true) {
        self.channels[id] = Channel(variables: variables, isAnswered: isAnswered)
    }

    package mutating func answer(_ id: CallID, into effects: inout [Effect]) {
        guard self.channels[id] != nil else { return }
        self.channels[id]?.isAnswered = true
        self.emit("CHANNEL_ANSWER", of: id, [], &effects)
    }

    package mutating func digit(_ digit: Character, on id: CallID, into effects: inout [Effect]) {
        let headers = [
            ("DTMF-Digit", String(digit)), ("DTMF-Duration", "1280"), ("DTMF-Source", "RTP"),
        ]
        self.emit("DTMF", of: id, headers, &effects)
    }

    package mutating func hold(_ id: CallID, _ on: Bool, into effects: inout [Effect]) {
        self.channels[id]?.isHeld = on
        self.emit(on ? "CHANNEL_HOLD" : "CHANNEL_UNHOLD", of: id, [], &effects)
    }

    /// The leg ends: its events, the disconnect notices of its sockets, and it is out of the table.
    package mutating func hangUp(
        _ id: CallID, cause: HangupCause = .normalClearing, into effects: inout [Effect]
    ) {
        guard let channel = self.channels[id] else { return }
        let headers = [
            ("Hangup-Cause", cause.name), ("variable_hangup_cause_q850", String(cause.q850)),
            ("Answer-State", "hangup"),
        ]
        self.emit("CHANNEL_HANGUP", of: id, headers, &effects)
        if channel.unicast != nil {
            // A parked channel is unparked by its end too.
            self.emit("CHANNEL_UNPARK", of: id, headers, &effects)
            effects.append(.closeUnicast(id))
        }
        if channel.isStreaming { effects.append(.noticed(.streamStopped(id))) }
        self.emit("CHANNEL_HANGUP_COMPLETE", of: id, headers, &effects)
        self.channels[id] = nil
        self.tasks = self.tasks.filter { $0.value.group != id.text }
        effects.append(.noticed(.hungUp(id, cause: cause)))
        self.leaveSockets(of: id, &effects)
    }

    /// The channel is gone or elsewhere: its sockets are told, and close at once or after their linger.
    mutating func leaveSockets(of id: CallID, _ effects: inout [Effect]) {
        for (connection, state) in self.connections where state.channel == id && !state.isLingering {
            if let linger = state.linger {
                let notice =
                    "Content-Type: text/disconnect-notice\nControlled-Session-UUID: \(id)\n"
                    + "Content-Disposition: linger\nLinger-Time: \(linger)\nContent-Length: 0\n\n"
                self.send(notice, to: connection, &effects)
                self.connections[connection]?.isLingering = true
                // Half a second late (measured: 3.5 s for 3).
                effects.append(.linger(connection, .seconds(linger) + .milliseconds(500)))
            } else {
                self.dismiss(connection, &effects)
            }
        }
    }

    /// The time that `linger` asked for is over.
    package mutating func lingerEnded(of id: CallID, into effects: inout [Effect]) {
        for (connection, state) in self.connections where state.channel == id && state.isLingering {
            self.dismiss(connection, &effects)
        }
    }

    package mutating func lingerEnded(_ id: ConnectionID, into effects: inout [Effect]) {
        if self.connections[id]?.isLingering == true { self.dismiss(id, &effects) }
    }

    /// mod_audio_stream tells something: `connect`, `disconnect`, `error`, `json`, `play`.
    package mutating func audioStream(
        _ signal: String, body: String, on id: CallID, into effects: inout [Effect]
    ) {
        let headers = [("Event-Subclass", "mod_audio_stream::" + signal)]
        self.emit("CUSTOM", of: id, headers, body: body, &effects)
    }

    package mutating func playbackEnded(on id: CallID, into effects: inout [Effect]) {
        self.emit("PLAYBACK_STOP", of: id, [("Playback-Status", "done")], &effects)
    }

    package mutating func heartbeat(into effects: inout [Effect]) {
        self.emit("HEARTBEAT", of: nil, [("Event-Info", "System Ready")], &effects)
    }

    /// The switch stops: notices, and all connections and channels are gone.
    package mutating func shutDown(into effects: inout [Effect]) {
        for id in self.connections.keys { self.dismiss(id, &effects) }
        self.channels = [:]
    }

    // MARK: For the commands in the other files

    mutating func note(command line: String) {
        self.commands.append(line.hasPrefix("auth ") ? "auth" : line)
    }

    mutating func nextID() -> String {
        self.idsGiven += 1
        let digits = String(self.idsGiven, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    }

    mutating func change(_ id: CallID, _ body: (inout Channel) -> Void) {
        guard var channel = self.channels[id] else { return }
        body(&channel)
        self.channels[id] = channel
    }

    func send(_ text: String, to id: ConnectionID, _ effects: inout [Effect]) {
        effects.append(.send(id, Array(text.utf8)))
    }

    /// Says goodbye and closes.
    mutating func dismiss(_ id: ConnectionID, _ effects: inout [Effect]) {
        guard let connection = self.connections.removeValue(forKey: id) else { return }
        let session = connection.channel.map {
            "Controlled-Session-UUID: \($0)\nContent-Disposition: disconnect\n"
        }
        let text = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
        self.send(
            "Content-Type: text/disconnect-notice\n\(session ?? "")Content-Length: \(text.utf8.count)\n\n\(text)",
            to: id,
            &effects)
        effects.append(.close(id))
    }

    /// Sends an event to every connection that subscribed to it.
    mutating func emit(
        _ name: String, of channel: CallID?, _ headers: [(String, String)] = [], body: String? = nil,
        _ effects: inout [Effect]
    ) {
        self.eventsSent += 1
        var all: [(String, String)] = [
            ("Event-Name", name), ("Core-UUID", self.coreID), ("Event-Sequence", String(self.eventsSent)),
        ]
        if let channel {
            all.append(("Unique-ID", channel.text))
            let variables = self.channels[channel]?.variables ?? [:]
            for key in variables.keys.sorted() { all.append(("variable_" + key, variables[key] ?? "")) }
            if !headers.contains(where: { $0.0 == "Answer-State" }) {
                let isAnswered = self.channels[channel]?.isAnswered == true
                all.append(("Answer-State", isAnswered ? "answered" : "ringing"))
            }
        }
        all += headers
        let subclass = headers.first { $0.0 == "Event-Subclass" }?.1
        for (id, connection) in self.connections.sorted(by: { $0.key.number < $1.key.number }) {
            guard connection.wants(name, subclass: subclass, channel: channel, all) else { continue }
            if let bytes = SimulatedEvent.encode(all, body: body, format: connection.format) {
                effects.append(.send(id, bytes))
            }
        }
    }
}

extension FreeSwitchSimulatorCore.Connection {
    /// Subscription first, then filters: with any, one must match (source).
    func wants(_ name: String, subclass: String?, channel: CallID?, _ headers: [(String, String)]) -> Bool {
        if self.isLingering { return false }
        if self.sendsMyEvents, let channel, self.channel == channel { return true }
        let isSubscribed: Bool =
            self.wantsAll || self.names.contains(name) || subclass.map { self.subclasses.contains($0) } == true
        guard isSubscribed else { return false }
        return self.filters.isEmpty
            || self.filters.contains { filter in
                headers.contains {
                    $0.0.lowercased() == filter.name.lowercased() && $0.1.lowercased() == filter.value.lowercased()
                }
            }
    }
}
