import EventSocket
import Synchronization
import Telephony

/// What calls ask of their switch, in words of the API.
extension CallControl {
    /// Asks; the answer says whether the switch did it. An argument that cannot be written safely is a refusal.
    func ask(_ command: ApiCommand?, done: @escaping @Sendable (Bool) -> Void = { _ in }) {
        guard let command else { return done(false) }
        self.ask(command, timeout: nil) { result in
            guard case .success(let reply) = result else { return done(false) }
            done(reply.refusal == nil)
        }
    }

    /// Asks for what takes the channel away from us. Refused, the channel is still ours, and so is its audio.
    private func send(
        _ channel: CallID, away command: ApiCommand?, done: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        // First: a destination that cannot be dialed must not cost the caller the audio.
        guard let command else { return done(false) }
        self.willDismiss(channel)
        self.ask(command) { didWork in
            if !didWork { self.keeps(channel) }
            done(didWork)
        }
    }

    /// Hands the channel over for good.
    func transfer(_ channel: CallID, to destination: TransferDestination, done: @escaping @Sendable (Bool) -> Void) {
        self.send(channel, away: try? .transfer(channel, to: DialplanTarget(destination)), done: done)
    }

    /// Rings the destination; unanswered, the channel comes back (`ApiCommand.ring`).
    func ring(
        _ channel: CallID, _ destination: TransferDestination, for time: Duration, otherwise back: ApiCommand.WayBack,
        done: @escaping @Sendable (Bool) -> Void
    ) {
        self.send(
            channel, away: try? .ring(channel, DialplanTarget(destination), for: time, otherwise: back), done: done)
    }

    func hangUp(_ channel: CallID, cause: HangupCause) { self.send(channel, away: try? .kill(channel, cause: cause)) }

    /// Takes mod_audio_stream off the channel.
    func stopStream(_ channel: CallID) { self.ask(try? .stopAudioStream(channel)) }

    /// Stops what a module plays from files (`uuid_break`).
    func stopPlayback(_ channel: CallID) { self.ask(try? .stopPlayback(of: channel)) }

    /// Asks for channel variables, half a second at most; what is missing is not in the answer.
    func variables(
        _ names: [String], of channel: CallID, done: @escaping @Sendable ([String: Redacted<String>]) -> Void
    ) {
        guard !names.isEmpty else { return done([:]) }
        let gathered = GatheredVariables(expecting: names.count, done: done)
        for name in names {
            guard let command = try? ApiCommand.getVariable(name, of: channel) else {
                gathered.add(name, nil)
                continue
            }
            self.ask(command, timeout: .milliseconds(500)) { result in
                // FreeSWITCH writes `_undef_` for a variable that is not set.
                guard case .success(let reply) = result, reply.refusal == nil, reply.text != "_undef_" else {
                    return gathered.add(name, nil)
                }
                gathered.add(name, Redacted(reply.text))
            }
        }
    }
}

/// Waits for several answers.
private final class GatheredVariables: Sendable {
    private let state: Mutex<(left: Int, values: [String: Redacted<String>])>
    private let done: @Sendable ([String: Redacted<String>]) -> Void
    init(expecting count: Int, done: @escaping @Sendable ([String: Redacted<String>]) -> Void) {
        self.state = Mutex((count, [:]))
        self.done = done
    }
    func add(_ name: String, _ value: Redacted<String>?) {
        let all: [String: Redacted<String>]? = self.state.withLock { state in
            state.values[name] = value
            state.left -= 1
            return state.left == 0 ? state.values : nil
        }
        if let all { self.done(all) }
    }
}
