import Telephony

/// One of FreeSWITCH's API commands, encoded and checked. Sent by `EventSocketCommand.api` or `.background`.
///
/// Prints its name only: the arguments hold numbers and variables.
package struct ApiCommand: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The first word, such as `uuid_transfer`. Safe in logs and labels.
    package let name: String
    /// The whole line, without `api` before it.
    let line: String
    /// It may take long (a network connection, a ringing phone, a module's thread), and an `api` blocks every command
    /// behind it on the same connection (measured): send it by `background`.
    package let mayBlock: Bool
    /// The channel that it is about, where its first argument is one: an answer other than "no such channel" proves it.
    let channel: CallID?

    private init(_ name: String, _ arguments: [String] = [], mayBlock: Bool = false, channel: CallID? = nil) {
        self.name = name
        self.line = ([name] + arguments).joined(separator: " ")
        self.mayBlock = mayBlock
        self.channel = channel
    }

    package var description: String { self.name }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    private static func id(_ channel: CallID) throws(EventSocketCommandError) -> String {
        try CommandArgument.channel.checked(channel.text)
    }

    /// A word about the switch as a whole; our heartbeat.
    package static let status = ApiCommand("status")
    /// All channels as one JSON object; see `SwitchChannel.parse`.
    package static let showChannels = ApiCommand("show", ["channels", "as", "json"])
    /// The id of this start of the switch, as events have it under `Core-UUID`.
    package static let coreID = ApiCommand("global_getvar", ["core_uuid"])

    /// What an operator typed: any command of the switch, one line of it. For the console only, never for what a model,
    /// a caller or a database row says.
    package static func typed(_ line: String) throws(EventSocketCommandError) -> ApiCommand {
        let words = try CommandArgument.line.checked(line).split(separator: " ", maxSplits: 1).map { String($0) }
        guard let name = words.first else { throw .empty(argument: .line) }
        return ApiCommand(name, Array(words.dropFirst()))
    }

    /// Answers `true` or `false`.
    package static func exists(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_exists", [try self.id(channel)])
    }

    /// Answers the value, or `_undef_` (source) where it is not set.
    package static func getVariable(
        _ name: String, of channel: CallID
    ) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand(
            "uuid_getvar", [try self.id(channel), try CommandArgument.variableName.checked(name)], channel: channel)
    }

    /// Nil removes the variable.
    package static func setVariable(
        _ name: String, to value: String?, of channel: CallID
    ) throws(EventSocketCommandError) -> ApiCommand {
        var arguments = [try self.id(channel), try CommandArgument.variableName.checked(name)]
        if let value { arguments.append(try CommandArgument.variableValue.checked(value)) }
        return ApiCommand("uuid_setvar", arguments)
    }

    /// Which leg of a bridge goes to the extension: the channel itself, the one that it talks to, or both.
    package enum TransferredLeg: Sendable { case channel, other, both }

    /// Sends the channel to an extension; what it does now ends.
    package static func transfer(
        _ channel: CallID, _ leg: TransferredLeg = .channel, to target: DialplanTarget
    ) throws(EventSocketCommandError) -> ApiCommand {
        let option =
            switch leg {
            case .channel: [String]()
            case .other: ["-bleg"]
            case .both: ["-both"]
            }
        return ApiCommand("uuid_transfer", [try self.id(channel)] + option + (try target.words()), channel: channel)
    }

    /// Back to park by the inline dialplan: the one good end of a unicast (measured).
    package static func park(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_transfer", [try self.id(channel), "park", "inline"])
    }

    /// Sends either leg of a bridge to an extension of its own.
    package static func dualTransfer(
        _ channel: CallID, caller: DialplanTarget, other: DialplanTarget
    ) throws(EventSocketCommandError) -> ApiCommand {
        let targets = [try caller.words().joined(separator: "/"), try other.words().joined(separator: "/")]
        return ApiCommand("uuid_dual_transfer", [try self.id(channel)] + targets)
    }

    /// In `delay`, unless taken back by `cancelScheduled`: the dead man's switch of a leg.
    package static func scheduleTransfer(
        _ channel: CallID, to target: DialplanTarget, in delay: Duration
    ) throws(EventSocketCommandError) -> ApiCommand {
        let seconds = try self.seconds(delay)
        return ApiCommand("sched_transfer", ["+" + seconds, try self.id(channel)] + (try target.words()))
    }

    /// The same as a task of its own, whose id comes in the answer (`+OK Added: 17`, see `SwitchTask`): it can be replaced
    /// without a gap, the new one made before the old one is deleted (measured). It ends with the channel, whose id is its
    /// group.
    package static func scheduleFuse(
        _ channel: CallID, to target: DialplanTarget, seconds: Int
    ) throws(EventSocketCommandError) -> ApiCommand {
        guard (1...3600).contains(seconds) else { throw .unsafe(argument: .seconds) }
        let id = try self.id(channel)
        return ApiCommand("sched_api", ["+\(seconds)", id, "uuid_transfer", id] + (try target.words()))
    }

    /// Takes back one task by its number.
    package static func cancelTask(_ task: Int) -> ApiCommand { ApiCommand("sched_del", [String(task)]) }

    /// Takes back all tasks of a channel, whoever made them: their group is the channel's id.
    package static func cancelTasks(of channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("sched_del", [try self.id(channel)])
    }

    /// What follows a ringing that nobody answered.
    package enum WayBack: Sendable, Equatable {
        /// The dialplan, as if the caller had called anew.
        case dialplan(DialplanTarget)
        /// Nothing but waiting: the media is still there.
        case park
    }

    /// Rings `target` for the channel; whoever answers has the call, and when nobody does the caller comes back.
    ///
    /// The loopback channel names its dialplan: it would take that of its caller, inline (measured).
    ///
    /// By the inline dialplan, its applications separated by `^` (the arguments, checked, hold none). The far side runs
    /// through the dialplan by a loopback channel, so that voicemail, ring groups and forwarding are what they always are.
    package static func ring(
        _ channel: CallID, _ target: DialplanTarget, for time: Duration, otherwise back: WayBack
    ) throws(EventSocketCommandError) -> ApiCommand {
        let words = try target.words()
        guard words[1] == "XML" else { throw .unsafe(argument: .dialplan) }
        var steps = [
            "set:continue_on_fail=true", "set:hangup_after_bridge=true", "set:ringback=%(2000,4000,440,480)",
            "bridge:{originate_timeout=\(try self.seconds(time))}loopback/\(words[0])/\(words[2])/XML",
        ]
        switch back {
        case .park: steps.append("park:")
        case .dialplan(let entry): steps.append("transfer:" + (try entry.words()).joined(separator: " "))
        }
        return ApiCommand(
            "uuid_transfer", [try self.id(channel), "'m:^:" + steps.joined(separator: "^") + "'", "inline"])
    }

    /// Takes back what is scheduled for the channel.
    package static func cancelScheduled(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("sched_del", [try self.id(channel)])
    }

    package static func kill(
        _ channel: CallID, cause: HangupCause = .normalClearing
    ) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_kill", [try self.id(channel), try CommandArgument.cause.checked(cause.name)])
    }

    package static func answer(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_answer", [try self.id(channel)])
    }

    /// Connects two channels with each other; what they do now ends.
    package static func bridge(_ one: CallID, with other: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_bridge", [try self.id(one), try self.id(other)], mayBlock: true)
    }

    /// Puts the channel's party on hold with the switch's hold music, or takes it off.
    package static func hold(_ channel: CallID, _ on: Bool) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_hold", (on ? [] : ["off"]) + [try self.id(channel)])
    }

    /// Which leg hears a broadcast.
    package enum Leg: String, Sendable { case aleg, bleg, both }

    /// Plays a file, or one of the switch's `tone_stream://`, `silence_stream://`, `local_stream://`. Never on a channel
    /// with unicast: it ends that for good (measured).
    package static func broadcast(
        _ path: String, to channel: CallID, leg: Leg = .aleg
    ) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_broadcast", [try self.id(channel), try CommandArgument.path.checked(path), leg.rawValue])
    }

    /// Ends what is being played, and (`all`) what is queued behind it.
    package static func stopPlayback(
        of channel: CallID, all: Bool = true
    ) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_break", [try self.id(channel)] + (all ? ["all"] : []))
    }

    /// - Parameter limit: ends the recording by itself; nil: it goes on until `stopRecording` or the hang-up.
    package static func startRecording(
        _ channel: CallID, into path: String, limit: Duration? = nil
    ) throws(EventSocketCommandError) -> ApiCommand {
        var arguments = [try self.id(channel), "start", try CommandArgument.path.checked(path)]
        if let limit { arguments.append(try self.seconds(limit)) }
        return ApiCommand("uuid_record", arguments)
    }

    package static func stopRecording(
        _ channel: CallID, into path: String
    ) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_record", [try self.id(channel), "stop", try CommandArgument.path.checked(path)])
    }

    /// Sends digits towards the channel's party.
    package static func sendDigits(
        _ digits: String, to channel: CallID
    ) throws(EventSocketCommandError) -> ApiCommand {
        guard digits.utf8.allSatisfy({ "0123456789*#ABCDabcdwW".utf8.contains($0) }) else {
            throw .unsafe(argument: .digits)
        }
        return ApiCommand("uuid_send_dtmf", [try self.id(channel), try CommandArgument.digits.checked(digits)])
    }

    /// Calls somebody and runs `application` for who answers. Answers `+OK <uuid>`, or `-ERR <hang-up cause>`.
    package static func originate(_ call: OriginatedCall) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("originate", [try call.dialString(), try call.then.words()], mayBlock: true)
    }

    // MARK: mod_audio_stream

    /// Which audio of the channel goes up. `mixed` and `stereo` send nothing on a parked channel (measured).
    package enum AudioMix: String, Sendable { case mono, mixed, stereo }

    /// Opens the module's WebSocket. `+OK` proves nothing: wait for `AudioStreamSignal.connected`.
    ///
    /// - Parameter rate: a multiple of 8000 (44 100 and 0 are refused, measured).
    /// - Parameter metadata: sent as the first text, and lost now and then (measured): ids belong into the URL.
    package static func startAudioStream(
        _ channel: CallID, url: String, mix: AudioMix, rate: SampleRate, metadata: String? = nil
    ) throws(EventSocketCommandError) -> ApiCommand {
        guard rate.hertz > 0, rate.hertz <= 48_000, rate.hertz % 8000 == 0 else { throw .unsafe(argument: .url) }
        let address = try CommandArgument.url.checked(url)
        // The module refuses a user in the address and an IPv6 literal (measured).
        guard !address.contains("@"), !address.contains("[") else { throw .unsafe(argument: .url) }
        let word = rate == .narrowband ? "8k" : rate == .wideband ? "16k" : String(rate.hertz)
        var arguments = [try self.id(channel), "start", address, mix.rawValue, word]
        if let metadata { arguments.append(try CommandArgument.metadata.checked(metadata)) }
        return ApiCommand("uuid_audio_stream", arguments, mayBlock: true)
    }

    /// Closes the module's WebSocket. It may wait for the far end's TCP close (1 s and more, measured).
    package static func stopAudioStream(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_audio_stream", [try self.id(channel), "stop"], mayBlock: true)
    }

    /// Sends a text frame through the module's WebSocket; written as one word, see `OneWordJSON`.
    package static func sendAudioStreamText(
        json: String, to channel: CallID
    ) throws(EventSocketCommandError) -> ApiCommand {
        guard let word = OneWordJSON.encode(json) else { throw .unsafe(argument: .text) }
        return ApiCommand(
            "uuid_audio_stream", [try self.id(channel), "send_text", try CommandArgument.text.checked(word)])
    }

    package static func pauseAudioStream(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_audio_stream", [try self.id(channel), "pause"])
    }

    package static func resumeAudioStream(_ channel: CallID) throws(EventSocketCommandError) -> ApiCommand {
        ApiCommand("uuid_audio_stream", [try self.id(channel), "resume"])
    }

    static func seconds(_ duration: Duration) throws(EventSocketCommandError) -> String {
        guard duration >= .seconds(1), duration <= .seconds(86_400) else { throw .unsafe(argument: .seconds) }
        return String(duration.components.seconds)
    }
}
