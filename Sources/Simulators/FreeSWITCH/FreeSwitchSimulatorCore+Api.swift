import EventSocket
import Foundation
import Telephony

/// The API commands; answers as measured, or as the sources word them where nothing was measured.
extension FreeSwitchSimulatorCore {
    private static let noChannel = "-ERR No such channel!\n"

    /// Runs one command and returns its whole answer. What it causes goes into `effects`.
    mutating func run(_ line: String, _ effects: inout [Effect]) -> String {
        let words = line.split(separator: " ").map { String($0) }
        guard let name = words.first else { return "-ERR no reply" }
        if let scripted = self.scriptedAnswers[name] { return scripted }
        let rest = String(line.dropFirst(name.count).drop { $0 == " " })
        switch name {
        case "status": return "UP 0 years, 0 days, 0 hours, 0 minutes, 1 second\nFreeSWITCH (simulated) is ready\n"
        case "echo": return rest.isEmpty ? "-ERR no reply" : rest
        case "show": return self.showChannels()
        case "global_getvar":
            return words.count > 1 && words[1] == "core_uuid" ? self.coreID : "-ERR no reply"
        case "msleep": return "+OK\n"
        case "hupall":
            for id in self.channels.keys.sorted(by: { $0.text < $1.text }) {
                self.hangUp(id, cause: HangupCauseNames.cause(named: "MANAGER_REQUEST"), into: &effects)
            }
            return "+OK hangup all channels with cause MANAGER_REQUEST\n"
        case "originate": return self.originate(rest, &effects)
        case "sched_api", "sched_transfer", "sched_del": return self.schedule(name, words, &effects)
        case "uuid_exists": return words.count > 1 && self.channel(words[1]) != nil ? "true" : "false"
        case "uuid_hold" where words.count > 1:
            guard let id = self.channel(words[words.count - 1]) else { return "+OK Success\n" }
            self.hold(id, words[1] != "off", into: &effects)
            return "+OK Success\n"
        case _ where name.hasPrefix("uuid_") && Self.channelCommands.contains(name):
            guard words.count > 1 else { return "-USAGE: <uuid>\n" }
            guard let id = self.channel(words[1]) else { return Self.missing[name] ?? Self.noChannel }
            return self.run(name, on: id, Array(words.dropFirst(2)), &effects)
        default: return "-ERR \(name) Command not found!\n"
        }
    }

    private static let channelCommands: Set<String> = [
        "uuid_getvar", "uuid_setvar", "uuid_transfer", "uuid_dual_transfer", "uuid_kill", "uuid_answer", "uuid_bridge",
        "uuid_broadcast", "uuid_break", "uuid_record", "uuid_send_dtmf", "uuid_audio_stream", "uuid_park",
    ]

    /// How each words a channel that there is not, where it is not `noChannel` (measured).
    private static let missing: [String: String] = [
        "uuid_audio_stream": "-ERR Operation Failed\n", "uuid_broadcast": "-ERR invalid uuid\n",
        "uuid_bridge": "-ERR Invalid uuid\n", "uuid_answer": "-ERROR\n",
        "uuid_record": "-ERR Cannot locate session!\n", "uuid_send_dtmf": "-ERR Cannot locate session!\n",
    ]

    private func channel(_ text: String) -> CallID? {
        CallID(text).flatMap { self.channels[$0] == nil ? nil : $0 }
    }

    private mutating func run(
        _ name: String, on id: CallID, _ arguments: [String], _ effects: inout [Effect]
    ) -> String {
        switch name {
        case "uuid_getvar":
            guard let variable = arguments.first else { return "-USAGE: <uuid> <var>\n" }
            return self.channels[id]?.variables[variable] ?? "_undef_"
        case "uuid_setvar":
            guard let variable = arguments.first else { return "-USAGE: <uuid> <var> [value]\n" }
            let value = arguments.dropFirst().joined(separator: " ")
            self.change(id) { $0.variables[variable] = value.isEmpty ? nil : value }
            return "+OK\n"
        case "uuid_transfer": return self.transfer(id, arguments, &effects)
        case "uuid_kill":
            let cause = arguments.first.map { HangupCauseNames.cause(named: $0) }
            self.hangUp(id, cause: cause ?? .normalClearing, into: &effects)
            return "+OK\n"
        case "uuid_answer": self.answer(id, into: &effects)
        case "uuid_bridge":
            guard let other = arguments.first.flatMap({ self.channel($0) }) else { return "-ERR Invalid uuid\n" }
            self.bridge(id, other, &effects)
            return "+OK \(other)\n"
        case "uuid_broadcast":
            guard let path = arguments.first else { return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n" }
            effects.append(.noticed(.played(id, path: path)))
            self.endUnicast(of: id, spoils: true, &effects)
            self.emit("PLAYBACK_START", of: id, [("Playback-File-Path", path)], &effects)
            return "+OK Message sent\n"
        case "uuid_break":
            effects.append(.noticed(.playbackStopped(id)))
            self.emit("PLAYBACK_STOP", of: id, [("Playback-Status", "break")], &effects)
        case "uuid_record": return "+OK Success\n"
        case "uuid_audio_stream": return self.audioStream(id, arguments, &effects)
        default: break
        }
        return "+OK\n"
    }

    private mutating func transfer(_ id: CallID, _ arguments: [String], _ effects: inout [Effect]) -> String {
        guard let number = arguments.first else { return "-USAGE: <uuid> [-bleg|-both] <dest-exten>\n" }
        // What it does now ends, the socket application with it.
        let wasParked = self.channels[id]?.bridgedTo == nil
        self.endUnicast(of: id, spoils: false, &effects)
        if arguments.count > 1, arguments[arguments.count - 1] == "inline", number.hasPrefix("'m:") {
            if wasParked { self.emit("CHANNEL_UNPARK", of: id, [], &effects) }
            self.leaveSockets(of: id, &effects)
            self.ring(id, arguments.dropLast().joined(separator: " "), &effects)
            return "+OK\n"
        }
        let dialplan = arguments.count > 1 ? arguments[1] : "XML"
        let context = arguments.count > 2 ? arguments[2] : "default"
        self.change(id) { $0.destination = number }
        effects.append(.noticed(.transferred(id, extension: number, dialplan: dialplan, context: context)))
        guard number != "park" else {
            self.emit("CHANNEL_PARK", of: id, [], &effects)
            return "+OK\n"
        }
        self.emit("CHANNEL_UNPARK", of: id, [], &effects)
        self.leaveSockets(of: id, &effects)
        self.change(id) { $0.context = context }
        if let socket = self.dialplan[number] {
            effects.append(.openSocket(id, socket))
            return "+OK\n"
        }
        switch self.outcomes[number] {
        case .answers: self.reach(for: id, &effects)
        case .busy: self.hangUp(id, cause: .userBusy, into: &effects)
        case .doesNotAnswer, nil: break
        }
        return "+OK\n"
    }

    /// Somebody answers the channel.
    mutating func reach(for id: CallID, _ effects: inout [Effect]) {
        guard let other = CallID(self.nextID()) else { return }
        self.addChannel(other)
        self.emit("CHANNEL_ANSWER", of: other, [], &effects)
        self.bridge(id, other, &effects)
    }

    private mutating func bridge(_ one: CallID, _ other: CallID, _ effects: inout [Effect]) {
        for id in [one, other] { self.endUnicast(of: id, spoils: false, &effects) }
        self.change(one) { $0.bridgedTo = other }
        self.change(other) { $0.bridgedTo = one }
        self.emit("CHANNEL_BRIDGE", of: one, [("Other-Leg-Unique-ID", other.text)], &effects)
    }

    private mutating func audioStream(_ id: CallID, _ arguments: [String], _ effects: inout [Effect]) -> String {
        let failed = "-ERR Operation Failed\n"
        switch arguments.first {
        case "start":
            guard arguments.count >= 3 else { return "-USAGE:<uuid> [start | stop | send_text | pause | resume]\n" }
            let url = arguments[1]
            guard url.hasPrefix("ws://") || url.hasPrefix("wss://"), url.count > 6 else { return failed }
            guard ["mono", "mixed", "stereo"].contains(arguments[2]) else { return "-ERR no reply" }
            guard self.channels[id]?.isStreaming == false else { return failed }
            self.change(id) { $0.isStreaming = true }
            let metadata = arguments.count > 4 ? arguments[4...].joined(separator: " ") : nil
            effects.append(.noticed(.streamStarted(id, url: url, metadata: metadata)))
            return "+OK Success\n"
        case "stop":
            guard self.channels[id]?.isStreaming == true else { return failed }
            self.change(id) { $0.isStreaming = false }
            effects.append(.noticed(.streamStopped(id)))
            return "+OK Success\n"
        case "send_text":
            guard self.channels[id]?.isStreaming == true, arguments.count > 1 else { return failed }
            effects.append(.noticed(.streamText(id, arguments[1])))  // one word only (measured)
            return "+OK Success\n"
        case "pause", "resume": return self.channels[id]?.isStreaming == true ? "+OK Success\n" : failed
        default: return failed
        }
    }

    /// `{…}user/2000@host &park()` and the like: by the table of outcomes. Two legs, as mod_loopback makes them.
    private mutating func originate(_ rest: String, _ effects: inout [Effect]) -> String {
        var dialed = rest[...]
        var variables: [String: String] = [:]
        if dialed.hasPrefix("{"), let end = dialed.firstIndex(of: "}") {
            for setting in dialed[dialed.index(after: dialed.startIndex)..<end].split(separator: ",") {
                let parts = setting.split(separator: "=", maxSplits: 1).map { String($0) }
                if parts.count == 2 { variables[parts[0]] = parts[1] }
            }
            dialed = dialed[dialed.index(after: end)...]
        }
        let party = dialed.split(separator: " ").first.map { String($0) } ?? ""
        // `loopback/NUMBER/CONTEXT`, `user/NUMBER@HOST`, `sofia/…/NUMBER@HOST`.
        let parts = party.split(separator: "/")
        let dialedPart = parts.first == "loopback" && parts.count > 1 ? parts[1] : parts.last
        let number = dialedPart?.split(separator: "@").first.map { String($0) } ?? ""
        guard let outcome = self.outcomes[number] else { return "-ERR SUBSCRIBER_ABSENT\n" }
        let given = variables["origination_uuid"].flatMap { CallID($0) }
        guard let one = given ?? CallID(self.nextID()), let other = CallID(self.nextID()) else {
            return "-ERR no reply"
        }
        for id in [one, other] { self.addChannel(id, variables: variables, isAnswered: false) }
        switch outcome {
        case .answers:
            for id in [one, other] { self.answer(id, into: &effects) }
            return "+OK \(one)\n"
        case .busy, .doesNotAnswer:
            let cause: HangupCause = outcome == .busy ? .userBusy : .noAnswer
            for id in [one, other] { self.hangUp(id, cause: cause, into: &effects) }
            return "-ERR \(cause.name)\n"
        }
    }

    private func showChannels() -> String {
        let rows: [[String: String]] = self.channels.sorted { $0.key.text < $1.key.text }.map { id, channel in
            [
                "uuid": id.text, "direction": "inbound", "state": "CS_EXECUTE",
                "callstate": channel.isHeld ? "HELD" : channel.isAnswered ? "ACTIVE" : "RINGING",
                "application": channel.bridgedTo == nil ? "park" : "bridge", "dest": channel.destination ?? "",
            ]
        }
        let object: [String: Any] = rows.isEmpty ? ["row_count": 0] : ["row_count": rows.count, "rows": rows]
        guard let data = try? JSONSerialization.data(withJSONObject: object) else { return "-ERR no reply" }
        return String(decoding: data, as: UTF8.self)
    }
}
