import EventSocket
import Telephony

/// The Event Socket's own commands; replies as measured.
extension FreeSwitchSimulatorCore {
    mutating func handle(_ request: SimulatedRequest, from id: ConnectionID, _ effects: inout [Effect]) {
        guard let connection = self.connections[id] else { return }
        self.note(command: request.line)
        let words = request.words
        guard let verb = words.first else { return }
        guard connection.isAuthenticated else {
            guard verb == "auth" else { return self.reply("-ERR command not found", to: id, &effects) }
            guard request.line == "auth " + self.password else {
                self.reply("-ERR invalid", to: id, &effects)
                return self.dismiss(id, &effects)
            }
            self.connections[id]?.isAuthenticated = true
            return self.reply("+OK accepted", to: id, &effects)
        }
        // Anything that begins with "exit" is one (measured).
        if verb.hasPrefix("exit") {
            self.reply("+OK bye", to: id, &effects)
            self.dismiss(id, &effects)
            self.programLeft(connection, &effects)
            return
        }
        let isRestricted = connection.channel != nil && !connection.hasFullControl
        switch verb {
        case "connect", "myevents", "linger", "divert_events", "getvar":
            self.handleSocket(words, connection, id, &effects)
        case "sendmsg": self.handleMessage(request, connection, id, &effects)
        case _ where isRestricted: self.reply("-ERR command not found", to: id, &effects)
        case "api":
            let line = request.line.dropFirst(4)
            var after: [Effect] = []
            let answer = self.run(String(line), &after)
            self.send("Content-Type: api/response\nContent-Length: \(answer.utf8.count)\n\n\(answer)", to: id, &effects)
            effects += after
        case "bgapi": self.background(request, id, &effects)
        case "event": self.subscribe(words, id, &effects)
        case "nixevent":
            for name in words.dropFirst() { self.connections[id]?.names.remove(name) }
            self.reply("+OK events nixed", to: id, &effects)
        case "noevents":
            self.connections[id]?.names = []
            self.connections[id]?.subclasses = []
            self.connections[id]?.wantsAll = false
            self.reply("+OK no longer listening for events", to: id, &effects)
        case "filter": self.filter(words, id, &effects)
        case "log":
            let level = words.count > 1 ? words[1] : "debug"
            let number = Int(level) ?? Self.logLevels.firstIndex(of: level) ?? 7
            self.reply("+OK log level \(level) [\(number)]", to: id, &effects)
        case "nolog": self.reply("+OK no longer logging", to: id, &effects)
        case "sendevent":
            self.reply("+OK \(self.nextID())", to: id, &effects)
            let headers = request.headers.sorted { $0.key < $1.key }.map {
                ($0.key == "event-subclass" ? "Event-Subclass" : $0.key, $0.value)
            }
            self.emit(words.count > 1 ? words[1] : "CUSTOM", of: nil, headers, &effects)
        default: self.reply("-ERR command not found", to: id, &effects)
        }
    }

    private static let logLevels = ["console", "alert", "crit", "err", "warning", "notice", "info", "debug"]

    func reply(_ text: String, to id: ConnectionID, _ effects: inout [Effect]) {
        self.send("Content-Type: command/reply\nReply-Text: \(text)\n\n", to: id, &effects)
    }

    private mutating func background(_ request: SimulatedRequest, _ id: ConnectionID, _ effects: inout [Effect]) {
        let job = request.headers["job-uuid"] ?? self.nextID()
        self.send(
            "Content-Type: command/reply\nReply-Text: +OK Job-UUID: \(job)\nJob-UUID: \(job)\n\n", to: id, &effects)
        let line = String(request.line.dropFirst(6))
        let name = line.split(separator: " ").first.map { String($0) } ?? ""
        var after: [Effect] = []
        let answer = self.run(line, &after)
        // What the command causes is told before its end, as for a busy party (measured; for no answer it was after).
        effects += after
        let argument = String(line.dropFirst(name.count).drop { $0 == " " })
        let headers = [("Job-UUID", job), ("Job-Command", name), ("Job-Command-Arg", argument)]
        self.emit("BACKGROUND_JOB", of: nil, headers, body: answer, &effects)
    }

    private mutating func subscribe(_ words: [String], _ id: ConnectionID, _ effects: inout [Effect]) {
        guard var connection = self.connections[id] else { return }
        var wanted = words.dropFirst()
        if let format = wanted.first, ["plain", "json", "xml"].contains(format) {
            connection.format = format
            wanted = wanted.dropFirst()
        }
        var known = 0
        var isCustom = false
        for word in wanted {
            if isCustom {
                connection.subclasses.insert(word)
            } else if word == "CUSTOM" {
                isCustom = true
                known += 1
            } else if SimulatedEvent.otherNames.contains(word) || SwitchEvent.Name(wire: word) != .other(word) {
                known += 1
                connection.names.insert(word)
                if word == "ALL" { connection.wantsAll = true }
            }
        }
        self.connections[id]?.format = connection.format  // also when the rest is refused (measured)
        guard known > 0 else { return self.reply("-ERR no keywords supplied", to: id, &effects) }
        self.connections[id] = connection
        self.reply("+OK event listener enabled \(connection.format)", to: id, &effects)
    }

    private mutating func filter(_ words: [String], _ id: ConnectionID, _ effects: inout [Effect]) {
        if words.count > 2, words[1] == "delete" {
            let (name, value) = (words[2], words.count > 3 ? words[3] : "")
            self.connections[id]?.filters.removeAll {
                name == "all" || ($0.name == name && (value.isEmpty || $0.value == value))
            }
            return self.reply("+OK filter deleted. [\(name)][\(value)]", to: id, &effects)
        }
        guard words.count > 2 else { return self.reply("-ERR invalid syntax", to: id, &effects) }
        self.connections[id]?.filters.append((words[1], words[2]))
        self.reply("+OK filter added. [\(words[1])]=[\(words[2])]", to: id, &effects)
    }

    /// What only the socket application's side has.
    private mutating func handleSocket(
        _ words: [String], _ connection: Connection, _ id: ConnectionID, _ effects: inout [Effect]
    ) {
        guard let channel = connection.channel else {
            let isLinger = words[0] == "linger"
            return self.reply(isLinger ? "-ERR not controlling a session" : "-ERR command not found", to: id, &effects)
        }
        switch words[0] {
        case "connect":
            let variables = self.channels[channel]?.variables ?? [:]
            var text = "Event-Name: CHANNEL_DATA\nCore-UUID: \(self.coreID)\nUnique-ID: \(channel)\n"
            text += "Answer-State: \(self.channels[channel]?.isAnswered == true ? "answered" : "ringing")\n"
            let state = self.channels[channel]
            for (name, value) in [
                ("Caller-Destination-Number", state?.destination), ("Caller-Context", state?.context),
                ("Caller-Caller-ID-Number", state?.caller),
            ] {
                if let value { text += "\(name): \(SimulatedEvent.encoded(value))\n" }
            }
            for key in variables.keys.sorted() {
                text += "variable_\(key): \(SimulatedEvent.encoded(variables[key] ?? ""))\n"
            }
            text += "Content-Type: command/reply\nReply-Text: %2BOK%0A\n"
            text += "Socket-Mode: \(connection.isAsync ? "async" : "static")\n"
            text += "Control: \(connection.hasFullControl ? "full" : "single-channel")\n\n"
            self.send(text, to: id, &effects)
        case "myevents":
            self.connections[id]?.sendsMyEvents = true
            if words.count > 1 { self.connections[id]?.format = words[1] }
            self.reply("+OK Events Enabled", to: id, &effects)
            if connection.isAsync, !connection.isParked {
                self.connections[id]?.isParked = true
                self.emit("CHANNEL_PARK", of: channel, [], &effects)
            }
        case "linger":
            let seconds = words.count > 1 ? Int(words[1]) : nil
            self.connections[id]?.linger = seconds ?? 0
            self.reply(seconds.map { "+OK will linger \($0) seconds" } ?? "+OK will linger", to: id, &effects)
        case "divert_events": self.reply("+OK events diverted", to: id, &effects)
        default:
            let value = words.count > 1 ? self.channels[channel]?.variables[words[1]] : nil
            self.reply(value ?? "-ERR command not found", to: id, &effects)
        }
    }

    private mutating func handleMessage(
        _ request: SimulatedRequest, _ connection: Connection, _ id: ConnectionID, _ effects: inout [Effect]
    ) {
        let named = request.words.count > 1 ? request.words[1] : nil
        let target: CallID? = if let named { CallID(named) } else { connection.channel }
        guard let channel = target, self.channels[channel] != nil else {
            return self.reply("-ERR invalid session id [\(named ?? "")]", to: id, &effects)
        }
        self.reply("+OK", to: id, &effects)
        switch request.headers["call-command"] {
        case "hangup":
            let cause = request.headers["hangup-cause"].map { HangupCauseNames.cause(named: $0) }
            self.hangUp(channel, cause: cause ?? .normalClearing, into: &effects)
        case "execute":
            let name = request.headers["execute-app-name"] ?? ""
            let argument = request.headers["execute-app-arg"] ?? ""
            effects.append(.noticed(.executed(channel, application: name, argument: argument)))
            let headers = [
                ("Application", name), ("Application-Data", argument),
                ("Application-UUID", request.headers["event-uuid"] ?? self.nextID()),
            ]
            self.emit("CHANNEL_EXECUTE", of: channel, headers, &effects)
            if name == "answer" { self.answer(channel, into: &effects) }
            if name == "set", let equals = argument.firstIndex(of: "=") {
                let value = String(argument[argument.index(after: equals)...])
                self.change(channel) { $0.variables[String(argument[..<equals])] = value }
            }
            // A bridge goes on until `bridgeEnded`.
            if name != "bridge" { self.emit("CHANNEL_EXECUTE_COMPLETE", of: channel, headers, &effects) }
        case "unicast": self.startUnicast(channel, request.headers, &effects)
        default: break
        }
    }
}
