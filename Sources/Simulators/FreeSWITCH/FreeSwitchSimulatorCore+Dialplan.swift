import EventSocket
import Telephony

/// A call's way through the dialplan, raw audio by `sendmsg unicast`, and scheduled tasks; as measured
/// (`freeswitch-legs.md` §1, docs/freeswitch.md).
extension FreeSwitchSimulatorCore {
    // MARK: The dialplan

    /// Somebody has called `number`: the channel is there, and its extension is carried out.
    package mutating func called(
        _ id: CallID, number: String, context: String = "public", caller: String? = nil,
        variables: [String: String] = [:], isAnswered: Bool = true, into effects: inout [Effect]
    ) {
        self.addChannel(id, variables: variables, isAnswered: isAnswered)
        self.change(id) {
            $0.destination = number
            $0.context = context
            $0.caller = caller
        }
        if let socket = self.dialplan[number] { effects.append(.openSocket(id, socket)) }
        if self.parks.contains(number) { self.emit("CHANNEL_PARK", of: id, [], &effects) }
    }

    /// The program closed its socket: the next line of the dialplan, or the end of the call where there is none.
    mutating func programLeft(_ connection: Connection, _ effects: inout [Effect]) {
        guard let channel = connection.channel, !connection.isLingering, self.channels[channel] != nil else { return }
        // Left before the channel was parked: it is parked now, and nobody takes it out of there (measured). Without full
        // control there is no event that says so.
        guard !connection.isAsync || !connection.hasFullControl || connection.isParked else {
            return effects.append(.noticed(.stranded(channel)))
        }
        guard connection.goesOn else { return self.hangUp(channel, into: &effects) }
        self.wentOn(channel, into: &effects)
    }

    /// Nobody was at the socket's port, or the program left it: the line behind `socket`.
    package mutating func wentOn(_ channel: CallID, into effects: inout [Effect]) {
        self.endUnicast(of: channel, spoils: false, &effects)
        effects.append(.noticed(.continued(channel)))
    }

    /// `m:^:set:…^bridge:{…}loopback/NUMBER/CONTEXT/XML^transfer:NUMBER XML CONTEXT`, quoted: rings, then the way back.
    mutating func ring(_ id: CallID, _ quoted: String, _ effects: inout [Effect]) {
        let text = quoted.drop { $0 == "'" }.dropFirst("m:".count)
        guard let separator = text.first else { return }
        let steps = text.dropFirst(2).prefix { $0 != "'" }.split(separator: separator).map { String($0) }
        for step in steps {
            let parts = step.split(separator: ":", maxSplits: 1).map { String($0) }
            let argument = parts.count > 1 ? parts[1] : ""
            switch parts.first {
            case "set":
                let pair = argument.split(separator: "=", maxSplits: 1).map { String($0) }
                if pair.count == 2 { self.change(id) { $0.variables[pair[0]] = pair[1] } }
            case "bridge":
                if self.ringing(id, argument, &effects) { return }
            case "park": self.emit("CHANNEL_PARK", of: id, [], &effects)
            case "transfer": _ = self.run("uuid_transfer \(id) \(argument)", &effects)
            default: break
            }
        }
    }

    /// Whether somebody answered.
    private mutating func ringing(_ id: CallID, _ target: String, _ effects: inout [Effect]) -> Bool {
        let words = target.split(separator: "/").map { String($0) }
        let number = words.count > 1 ? words[1] : ""
        let context = words.count > 2 ? words[2] : ""
        effects.append(.noticed(.transferred(id, extension: number, dialplan: "XML", context: context)))
        let disposition: String
        switch self.outcomes[number] {
        case .answers:
            self.reach(for: id, &effects)
            return true
        case .busy: disposition = "USER_BUSY"
        case .doesNotAnswer: disposition = "NO_ANSWER"
        case nil: disposition = "SUBSCRIBER_ABSENT"
        }
        self.change(id) { $0.variables["originate_disposition"] = disposition }
        self.emit("CHANNEL_EXECUTE_COMPLETE", of: id, [("Application", "bridge")], &effects)
        return false
    }

    // MARK: Raw audio

    mutating func startUnicast(_ id: CallID, _ headers: [String: String], _ effects: inout [Effect]) {
        effects.append(.noticed(.unicastStarted(id, headers: headers)))
        guard let channel = self.channels[id], let switchAddress = headers["local-ip"],
            let switchPort = headers["local-port"].flatMap({ UInt16($0) }), let ourAddress = headers["remote-ip"],
            let ourPort = headers["remote-port"].flatMap({ UInt16($0) })
        else { return }
        // A use after free in the switch, inferred from two crashes in eleven runs.
        if channel.isSpoilt { return effects.append(.noticed(.crashed(id))) }
        if channel.unicast != nil { return effects.append(.noticed(.unicastWasted(id))) }
        let ports = UnicastPorts(
            switchAddress: switchAddress, switchPort: switchPort, ourAddress: ourAddress, ourPort: ourPort)
        effects.append(.openUnicast(id, ports))
    }

    /// The switch's end is bound: audio flows.
    package mutating func unicastOpened(_ id: CallID, _ ports: UnicastPorts) {
        self.change(id) { $0.unicast = ports }
    }

    /// - Parameter spoils: the channel stays parked, and must not be asked again in this park.
    mutating func endUnicast(of id: CallID, spoils: Bool, _ effects: inout [Effect]) {
        guard let channel = self.channels[id] else { return }
        if channel.unicast != nil { effects.append(.closeUnicast(id)) }
        self.change(id) {
            $0.unicast = nil
            $0.isSpoilt = spoils
        }
    }

    /// Somebody plays a file on the channel (an operator, a script): raw audio ends for good in this park.
    package mutating func play(_ path: String, on id: CallID, into effects: inout [Effect]) {
        _ = self.run("uuid_broadcast \(id) \(path) aleg", &effects)
    }

    /// Somebody connects the channel with another: the socket application ends.
    package mutating func bridgeAway(_ id: CallID, to other: CallID, into effects: inout [Effect]) {
        self.emit("CHANNEL_UNPARK", of: id, [], &effects)
        _ = self.run("uuid_bridge \(id) \(other)", &effects)
        self.leaveSockets(of: id, &effects)
    }

    /// The other leg of a `bridge` that the program executed has ended, or never came up.
    package mutating func bridgeEnded(on id: CallID, disposition: String = "SUCCESS", into effects: inout [Effect]) {
        self.change(id) { $0.variables["originate_disposition"] = disposition }
        self.emit("CHANNEL_EXECUTE_COMPLETE", of: id, [("Application", "bridge")], &effects)
    }

    // MARK: Tasks

    /// `sched_api +4 GROUP COMMAND`, `sched_transfer +2 UUID TARGET`, `sched_del NUMBER-OR-GROUP`.
    mutating func schedule(_ name: String, _ words: [String], _ effects: inout [Effect]) -> String {
        if name == "sched_del" {
            let before = self.tasks.count
            let named = words.count > 1 ? words[1] : ""
            self.tasks = self.tasks.filter { $0.value.group != named && String($0.key) != named }
            return "+OK Deleted: \(before - self.tasks.count)\n"
        }
        guard words.count > 3, words[1].hasPrefix("+"), let seconds = Int(words[1].dropFirst()), seconds > 0 else {
            return "-ERR Invalid time\n"
        }
        let rest = words[3...].joined(separator: " ")
        self.tasksGiven += 1
        self.tasks[self.tasksGiven] =
            (group: words[2], command: name == "sched_api" ? rest : "uuid_transfer \(words[2]) \(rest)")
        effects.append(.schedule(task: self.tasksGiven, after: .seconds(seconds)))
        return "+OK Added: \(self.tasksGiven)\n"
    }

    /// How many tasks wait for `channel`.
    package func tasks(of channel: CallID) -> Int { self.tasks.values.filter { $0.group == channel.text }.count }

    /// A task's time has come; nothing where it was taken back, or its channel has ended.
    package mutating func taskFired(_ task: Int, into effects: inout [Effect]) {
        guard let (_, command) = self.tasks.removeValue(forKey: task) else { return }
        _ = self.run(command, &effects)
    }
}
