import Telephony

/// Decides what caller speech does to agent speech: pause at once, then confirm or resume.
///
/// A pause is cheap and can be taken back; a cancelled answer cannot. So the caller's first sound silences the agent,
/// and what follows decides: voice that goes on, or words that mean something, confirm; a cough, or an "uh-huh",
/// resumes from what was heard.
package struct BargeIn: Sendable {
    package enum Mode: Sendable, Equatable {
        /// The agent speaks on.
        case off
        /// Every detected speech start is final: for back ends that cannot be paused.
        case final
        /// Pause, then confirm after `confirm` of voice, or resume.
        case twoStep(confirm: Duration)
    }

    package enum Decision: Sendable, Equatable { case pause, confirm, resume }

    private enum State: Sendable {
        /// Left by `speechStarted` while the agent sounds.
        case listening
        /// Left by `confirm` (voice, words, a digit) or `resume` (silence again).
        case paused(since: Duration, voicedBefore: Duration)
        /// Resumed, but the detector's speech segment goes on and it will report no second start: the level is watched
        /// for a new talkspurt. Left by `pause`, the detector's stop, or a new start.
        case watching
    }

    package let mode: Mode
    /// Silence after which a short sound counts as over.
    private let quiet: Duration
    /// Nothing was heard or decided for this long: the detector's word counts, in favour of the caller.
    private let patience: Duration
    /// Voice after a resume that counts as the caller being at it again.
    private let onset: Duration = .milliseconds(60)
    /// Pauses again within one segment of the detector; beyond them the level is not trusted (an echo of the agent).
    private let maximumRepeats = 3
    private var repeats = 0
    /// What was voiced in the newest pause, until it was decided.
    package private(set) var voiced: Duration = .zero
    private var state: State = .listening
    private var detectorHearsSpeech = false

    package init(mode: Mode, quiet: Duration = .milliseconds(240), patience: Duration = .milliseconds(1200)) {
        self.mode = mode
        self.quiet = quiet
        self.patience = patience
    }

    package var isPaused: Bool { if case .paused = self.state { true } else { false } }
    /// `review` may decide something at the next frame.
    package var isUndecided: Bool { if case .listening = self.state { false } else { true } }

    /// The detector (the assistant's, or ours) heard the caller begin.
    package mutating func speechStarted(agentSounds: Bool, voice: CallerVoice, at now: Duration) -> Decision? {
        self.detectorHearsSpeech = true
        self.repeats = 0
        guard agentSounds, !self.isPaused else { return nil }
        switch self.mode {
        case .off: return nil
        case .final: return .confirm
        case .twoStep:
            // What was voiced already belongs to this interruption when the talkspurt is still on.
            self.state = .paused(since: now, voicedBefore: voice.isSpeaking ? .zero : voice.voiced)
            self.voiced = .zero
            return .pause
        }
    }

    /// The detector heard the caller end. A stop before enough was voiced is a false interruption.
    package mutating func speechStopped(voice: CallerVoice, at now: Duration) -> Decision? {
        self.detectorHearsSpeech = false
        if case .watching = self.state { self.state = .listening }
        return self.review(agentSounds: false, voice: voice, at: now)
    }

    /// Time passed, or a frame came. Decides a pause that is open, or pauses again for a voice that went on.
    package mutating func review(agentSounds: Bool, voice: CallerVoice, at now: Duration) -> Decision? {
        if case .watching = self.state {
            // A resume comes when the voice is silent: what is voiced now is a new talkspurt.
            guard agentSounds, voice.isSpeaking, voice.voiced >= self.onset else { return nil }
            self.repeats += 1
            self.state = .paused(since: now, voicedBefore: .zero)
            return .pause
        }
        guard case .paused(let since, let voicedBefore) = self.state, case .twoStep(let window) = self.mode else {
            return nil
        }
        let voiced = voice.voiced > voicedBefore || voice.isSpeaking ? voice.voiced : .zero
        self.voiced = voiced
        if voiced >= window { return self.decide(.confirm) }
        if !self.detectorHearsSpeech, !voice.isSpeaking { return self.decide(.resume) }
        let lastVoiced = voice.lastVoiced ?? since
        if !voice.isSpeaking, now - max(lastVoiced, since) >= self.quiet, voiced > .zero {
            return self.decide(.resume)
        }
        if now - since >= self.patience {
            // A voice too soft for the level gate, but the detector is sure: the caller has the floor.
            return self.decide(self.detectorHearsSpeech ? .confirm : .resume)
        }
        return nil
    }

    /// Words came, or a digit: no doubt is left.
    package mutating func meant() -> Decision? {
        guard self.isPaused else { return nil }
        return self.decide(.confirm)
    }

    /// The agent's audio went away by itself (transfer, failure): nothing is paused any more.
    package mutating func reset() { self.state = .listening }

    /// When `review` must be called at the latest.
    package var deadline: Duration? {
        guard case .paused(let since, _) = self.state else { return nil }
        return since + self.patience
    }

    private mutating func decide(_ decision: Decision) -> Decision {
        let isWatching = decision == .resume && self.detectorHearsSpeech && self.repeats < self.maximumRepeats
        self.state = isWatching ? .watching : .listening
        return decision
    }
}
