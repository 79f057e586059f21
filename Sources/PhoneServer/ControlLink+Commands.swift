import EventSocket
import Telephony

/// What may be asked of the switch, typed: an answer of the right form, or an `EventSocketFailure` with FreeSWITCH's own
/// words. Arguments are checked before they are written (`CommandArgument`); one that could be read as something else
/// throws `EventSocketCommandError`.
///
/// These name any channel: whoever asks on a tenant's behalf has checked whose it is (`CallShell.checkChannel`).
extension ControlLink {
    /// An API command, sent the way that suits it: at once, or as a job where it may block the connection.
    package func perform(
        _ command: ApiCommand, timeout: Duration? = nil
    ) async throws(EventSocketFailure) -> EventSocketReply {
        let promise = Promise<Result<EventSocketReply, EventSocketFailure>>()
        self.execute(command, timeout: timeout) { promise.settle($0) }
        return try await promise.value.get()
    }

    /// A command of the Event Socket itself: `event`, `filter`, `sendmsg`, a `bgapi` with a job of its own.
    package func perform(
        _ command: EventSocketCommand, timeout: Duration? = nil
    ) async throws(EventSocketFailure) -> EventSocketReply {
        let promise = Promise<Result<EventSocketReply, EventSocketFailure>>()
        self.loop.execute { [self] in
            self.shell.value.execute(command, timeout: timeout) { promise.settle($0) }
        }
        return try await promise.value.get()
    }

    // MARK: Questions

    package func exists(_ channel: CallID) async throws -> Bool {
        guard let answer = try await self.perform(.exists(channel)).flag else { throw EventSocketFailure.unreadable }
        return answer
    }

    /// Nil where the variable is not set.
    package func variable(_ name: String, of channel: CallID) async throws -> Redacted<String>? {
        try await self.perform(.getVariable(name, of: channel)).variable
    }

    /// Nil removes the variable.
    package func setVariable(_ name: String, to value: String?, of channel: CallID) async throws {
        _ = try await self.perform(.setVariable(name, to: value, of: channel))
    }

    package func channels() async throws -> [SwitchChannel] {
        guard let channels = try await self.perform(.showChannels).channels else {
            throw EventSocketFailure.unreadable
        }
        return channels
    }

    // MARK: Calls

    /// Places a call and waits for its answer, or for the cause why there is none. The channel of who answered.
    package func originate(_ call: OriginatedCall) async throws -> CallID {
        // The switch ends the ringing itself; its job's end needs a moment more.
        let reply = try await self.perform(.originate(call), timeout: call.timeout + .seconds(5))
        guard let channel = reply.channel else { throw EventSocketFailure.unreadable }
        return channel
    }

    package func bridge(_ one: CallID, with other: CallID) async throws {
        _ = try await self.perform(.bridge(one, with: other))
    }

    package func kill(_ channel: CallID, cause: HangupCause = .normalClearing) async throws {
        _ = try await self.perform(.kill(channel, cause: cause))
    }

    package func transfer(
        _ channel: CallID, _ leg: ApiCommand.TransferredLeg = .channel, to target: DialplanTarget
    ) async throws {
        _ = try await self.perform(.transfer(channel, leg, to: target))
    }

    package func dualTransfer(_ channel: CallID, caller: DialplanTarget, other: DialplanTarget) async throws {
        _ = try await self.perform(.dualTransfer(channel, caller: caller, other: other))
    }

    package func hold(_ channel: CallID, _ on: Bool) async throws {
        // `uuid_hold` answers `+OK Success` for a channel that there is not (measured).
        guard try await self.exists(channel) else {
            throw SwitchRefusal("-ERR No such channel!").map { EventSocketFailure.refused($0) } ?? .unreadable
        }
        _ = try await self.perform(.hold(channel, on))
    }

    // MARK: Sound

    package func broadcast(_ path: String, to channel: CallID, leg: ApiCommand.Leg = .aleg) async throws {
        _ = try await self.perform(.broadcast(path, to: channel, leg: leg))
    }

    package func breakPlayback(of channel: CallID, all: Bool = true) async throws {
        _ = try await self.perform(.stopPlayback(of: channel, all: all))
    }

    package func startRecording(_ channel: CallID, into path: String, limit: Duration? = nil) async throws {
        _ = try await self.perform(.startRecording(channel, into: path, limit: limit))
    }

    package func stopRecording(_ channel: CallID, into path: String) async throws {
        _ = try await self.perform(.stopRecording(channel, into: path))
    }

    package func sendDigits(_ digits: Redacted<String>, to channel: CallID) async throws {
        _ = try await self.perform(.sendDigits(digits.value, to: channel))
    }

    // MARK: mod_audio_stream

    /// Opens the module's WebSocket and waits until it is open: `+OK` alone proves nothing.
    package func startAudioStream(
        _ channel: CallID, url: String, mix: ApiCommand.AudioMix = .mono, rate: SampleRate, metadata: String? = nil,
        timeout: Duration = .seconds(5)
    ) async throws {
        let command = try ApiCommand.startAudioStream(channel, url: url, mix: mix, rate: rate, metadata: metadata)
        let event = try await self.wait(
            for: [], subclasses: ["connect", "error"].map { "mod_audio_stream::" + $0 }, of: channel, timeout: timeout,
            after: command)
        guard event.audioStream == .connected else {
            throw WaitFailure.streamFailed
        }
    }

    package func stopAudioStream(_ channel: CallID) async throws {
        _ = try await self.perform(.stopAudioStream(channel))
    }
}
