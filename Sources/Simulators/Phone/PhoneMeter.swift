import Telephony

/// Measures one call from what is said and heard, frame by frame: answers, interruptions, gaps.
///
/// It tells the agent's sound by its level alone, so an agent that sends hiss all the time would never seem quiet.
struct PhoneMeter: Sendable {
    /// Something that has just become known.
    enum Finding: Equatable {
        case agentSpeaking(Bool)
        case firstAudio(Duration)
        case answered(after: Duration)
        case interrupted(after: Duration)
        case interruptionIgnored
    }

    /// An interruption under way.
    private struct BargeIn {
        var started: Duration
        /// End of the agent's last sound since.
        var lastSound: Duration?
        var wasFlushed = false
    }

    private(set) var findings: [Finding] = []
    private(set) var answers: [Duration] = []
    private(set) var bargeInStops: [Duration] = []
    private(set) var ignoredInterruptions = 0
    private(set) var firstAudio: Duration?
    private(set) var gaps = 0
    private(set) var gapTime: Duration = .zero
    private(set) var agentHeard: Duration = .zero
    /// End of the agent's last sound.
    private(set) var lastSound: Duration?
    private(set) var isAgentSpeaking = false

    private let opened: Duration
    private let gapLimit: Duration
    private let silenceMeant: Duration
    private var bargeIn: BargeIn?
    /// The end of a turn that has no answer yet.
    private var waitingSince: Duration?
    /// The agent was sounding when the turn ended; its answer begins after a pause.
    private var awaitsPause = false
    private var dryAt: Duration?
    private var wasPlaying = false

    /// How long the agent is quiet before a display says so: longer than a pause between words.
    static let hangover: Duration = .milliseconds(400)
    /// What counts as a pause after which a new answer may begin.
    static let pause: Duration = .milliseconds(200)
    /// An agent that speaks over an interruption for this long has ignored it.
    static let patience: Duration = .seconds(5)
    private static let tick: Duration = .milliseconds(20)
    /// Answers and stops that are kept.
    private static let limit = 10_000

    /// `startUp`: how long the ear may need to begin again once it is dry.
    /// `isTold`: the gateway says when it throws audio away; else a pause of 200 ms is an interruption heeded, before
    /// an answer that follows at once is taken for more of the same.
    init(openedAt opened: Duration, startUp: Duration, isTold: Bool = true) {
        self.opened = opened
        self.silenceMeant = isTold ? PhoneMeter.hangover : PhoneMeter.pause
        self.gapLimit = startUp + .milliseconds(400)
    }

    mutating func removeFindings() { self.findings.removeAll(keepingCapacity: true) }

    /// Whether a turn still waits for its answer.
    var awaitsAnswer: Bool { self.waitingSince != nil }

    /// The first voiced frame of an interruption has been sent.
    mutating func interruptionStarted(at now: Duration) { self.bargeIn = BargeIn(started: now) }

    /// The last voiced frame of a turn was the one sent at `now`.
    mutating func turnEnded(at now: Duration) {
        self.waitingSince = now
        self.awaitsPause = self.lastSound.map { now - $0 < PhoneMeter.pause } ?? false
    }

    /// The wait for an answer is over without one. Answers whether one was owed.
    mutating func giveUpAnswer() -> Bool {
        defer { self.waitingSince = nil }
        return self.waitingSince != nil
    }

    /// The gateway emptied the ear: what follows is no gap.
    mutating func flushed() {
        self.dryAt = nil
        self.wasPlaying = false
        self.bargeIn?.wasFlushed = true
    }

    /// The line was put on hold: what follows is no gap.
    mutating func held() {
        self.dryAt = nil
        self.wasPlaying = false
    }

    /// The 20 ms from `now` on: whether the ear had anything to play, and whether that could be heard.
    mutating func heard(plays: Bool, isVoiced: Bool, at now: Duration) {
        self.countGap(plays: plays, at: now)
        if isVoiced { self.sounded(at: now) } else { self.quiet(at: now) }
    }

    private mutating func countGap(plays: Bool, at now: Duration) {
        if plays {
            if let dryAt = self.dryAt, now - dryAt <= self.gapLimit {
                self.gaps += 1
                self.gapTime += now - dryAt
            }
            self.dryAt = nil
        } else if self.wasPlaying {
            self.dryAt = now
        }
        self.wasPlaying = plays
    }

    private mutating func sounded(at now: Duration) {
        self.agentHeard += PhoneMeter.tick
        if self.firstAudio == nil {
            self.firstAudio = now - self.opened
            self.findings.append(.firstAudio(now - self.opened))
        }
        if !self.isAgentSpeaking {
            self.isAgentSpeaking = true
            self.findings.append(.agentSpeaking(true))
        }
        if self.bargeIn != nil {
            self.soundedOver(at: now)
        } else if let since = self.waitingSince {
            if self.awaitsPause, let last = self.lastSound, now - last >= PhoneMeter.pause { self.awaitsPause = false }
            if !self.awaitsPause { self.answered(since: since, at: now) }
        }
        self.lastSound = now + PhoneMeter.tick
    }

    private mutating func soundedOver(at now: Duration) {
        guard let bargeIn = self.bargeIn else { return }
        guard now - bargeIn.started >= PhoneMeter.patience else {
            self.bargeIn?.lastSound = now + PhoneMeter.tick
            return
        }
        self.bargeIn = nil
        self.ignoredInterruptions += 1
        self.awaitsPause = true
        self.findings.append(.interruptionIgnored)
    }

    private mutating func answered(since: Duration, at now: Duration) {
        self.waitingSince = nil
        if self.answers.count < PhoneMeter.limit { self.answers.append(now - since) }
        self.findings.append(.answered(after: now - since))
    }

    private mutating func quiet(at now: Duration) {
        guard let lastSound = self.lastSound else { return }
        let quiet: Duration = now + PhoneMeter.tick - lastSound
        if let bargeIn = self.bargeIn, quiet >= (bargeIn.wasFlushed ? PhoneMeter.pause / 2 : self.silenceMeant) {
            self.bargeIn = nil
            self.awaitsPause = false
            let stop: Duration = bargeIn.lastSound.map { $0 - bargeIn.started } ?? .zero
            if self.bargeInStops.count < PhoneMeter.limit { self.bargeInStops.append(stop) }
            self.findings.append(.interrupted(after: stop))
        }
        if self.isAgentSpeaking, quiet >= PhoneMeter.hangover {
            self.isAgentSpeaking = false
            self.findings.append(.agentSpeaking(false))
        }
    }
}
