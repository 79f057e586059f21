import Assistants
import Audio
import Telephony

/// The conductor of one call: one phone leg, one assistant at a time, and what becomes of both.
///
/// Events and the time go in, commands come out (`SessionOutput`); frames are borrowed in and copied out. The shell
/// performs the commands in order and calls `wake` at `nextWake`. `now` is monotonic from any fixed origin.
///
/// Nothing here waits: between hearing the caller speak and stopping the agent there is no socket, no task and no lock.
package struct CallSession: ~Copyable, Sendable {
    /// Where the call is.
    enum Phase: Equatable, Sendable {
        /// An assistant is being opened. Left by its `ready`, or by the ladder.
        case opening
        /// Caller and assistant talk. Left by a tool, a failure, a limit, or the caller's hang-up.
        case talking
        /// An end was decided and waits for the last words to be heard. Left when they were, or at `lastWords`.
        case leaving(Leaving)
        /// The phone was asked to hand the caller over. Left by `transferred`, `transferFailed` or the deadline.
        case transferring(TransferDestination, CallTermination)
        /// `finish` was said. Never left.
        case ended
    }

    /// How a call leaves once its last words were heard.
    enum Leaving: Equatable, Sendable {
        case hangUp(CallTermination)
        case transfer(TransferDestination, CallTermination)
    }

    /// What can be due. One time each, at most.
    enum Timer: Int, CaseIterable, Sendable {
        case assistantReady, firstAudio, stall, tool, maximumDuration, lastWords, transfer, mediaReturn, recycle, doubt
        case digits, endpointing
    }

    private(set) var plan: CallPlan
    let uplink: AudioFormat
    let downlink: AudioFormat
    let frameLength: Duration = .milliseconds(20)

    var phase: Phase = .opening
    var timers = DeadlineTable(count: Timer.allCases.count)
    var ladder: Ladder
    var playout: Playout
    var voice = CallerVoice()
    var bargeIn: BargeIn
    var noInput: NoInputClock
    var transcript = Transcript()

    // The assistant.
    /// Counts sessions opened; 0 before the first, and the house voice in `PlayoutItem`.
    var assistantSession = 0
    var capabilities: AssistantCapabilities?
    var isReady = false
    var toAssistant: Transcoder?
    var fromAssistant: Transcoder?
    /// Caller audio from before `ready`, in the uplink format, bounded.
    var early: [UInt8] = []
    var decoded: [UInt8] = []
    /// The item that audio comes for, and which are complete.
    var arriving: PlayoutItem?
    var hasGreeted = false
    var isResponding = false
    /// Audio came in the response that is under way.
    var responseSpoke = false
    /// The caller waits for the first audio of an answer.
    var awaitsAudio = false
    var hasSaidFiller = false
    var pendingTools: Set<String> = []
    /// Items at or below this number were cut: late deltas of theirs are dropped.
    var cutBelow = 0
    /// A tool of the response that is under way has its result already: the answer comes in the response after this one.
    var isFollowedUp = false
    /// Decided by a tool, performed when the response that called it has been spoken.
    var afterResponse: Leaving?
    /// Last words that the assistant was asked to say and has not begun: the house says them if it does not.
    var lastWords: String?
    /// The assistant broke while the call was on its way out: what opens if the caller comes back.
    var reopening: Ladder.Step?
    /// The session's time was over while the call was on its way out: another opens if the caller comes back.
    var isRecycleOwed = false
    /// What the next assistant must know beside what was said.
    var news: Redacted<String>?

    // The caller.
    var detectorHearsCaller = false
    var callerStoppedAt: Duration?
    /// An interruption was taken back: the turn that it leaves behind is answered only if its words mean something.
    var isDoubtful: Bool = false
    var doubtfulItem: CallerItem?
    /// Enough was voiced, or said, for the doubtful turn to be owed an answer when its words never come.
    var isDoubtOwed = false
    /// The turn that opened the pause was closed before the pause was decided.
    var isPausedTurnClosed = false
    /// Caller items up to this number have been answered: their late words interrupt nothing.
    var answeredThrough = 0
    var isHeld = false
    /// The phone's media connection is gone: the playout and the assistant's deadlines stand still until `mediaReturned`.
    var isMediaLost = false
    var isAgentSounding = false
    /// When what was sent will have been heard; nil while nothing sounds, more waits, or the playout is paused.
    var soundEnds: Duration?

    var houseSentences = 0
    var housePending: Set<Int> = []
    var startedAt: Duration = .zero
    var reportedUnderruns = 0

    /// Counters for the CDR.
    package internal(set) var bargeIns = 0
    package internal(set) var falseInterruptions = 0
    package internal(set) var latencies: [Duration] = []

    /// - Parameters:
    ///   - uplink: what the leg sends, mono, stated.
    ///   - downlink: what the leg plays.
    ///   - tail: silence that the leg needs after an utterance.
    package init(
        plan: CallPlan, uplink: AudioFormat, downlink: AudioFormat, traits: PlayoutTraits, tail: Duration = .zero
    ) {
        self.plan = plan
        self.uplink = uplink
        self.downlink = downlink
        self.ladder = Ladder(count: plan.assistants.count)
        self.playout = Playout(format: downlink, traits: traits, tail: tail, maximum: plan.maximumPlayout)
        self.bargeIn = BargeIn(mode: plan.bargeIn)
        self.noInput = NoInputClock(plan.noInput)
    }

    package var isEnded: Bool { self.phase == .ended }
    package var turns: [Turn] { self.transcript.turns }
    package var underruns: Int { self.playout.underruns }
    package var underrunTime: Duration { self.playout.underrunTime }
    package var sentAudio: Duration { self.downlink.duration(ofBytes: self.playout.sentBytes) }
    package var currentAssistant: Int { self.ladder.current }

    // MARK: The call begins

    /// Where the caller goes when nothing else works: the phone's side may learn it after the call began.
    package mutating func setFallback(_ fallback: TransferDestination?) { self.plan.fallback = fallback }

    package mutating func start(at now: Duration, _ output: inout SessionOutput) {
        self.startedAt = now
        if self.plan.maximumDuration > .zero { self.set(.maximumDuration, now + self.plan.maximumDuration) }
        guard self.ladder.count > 0 else {
            self.handToHuman(.assistantsExhausted, at: now, &output)
            return
        }
        self.open(self.ladder.current, at: now, &output)
    }

    // MARK: The caller's audio

    /// One 20 ms frame of the caller, in the uplink format.
    package mutating func callerFrame(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase != .ended else { return }
        if self.isHeld {
            guard self.playout.traits.holdStopsFrames else { return }
            self.resumeFromHold(at: now, &output)
        }
        let wasSpeaking = self.voice.isSpeaking
        self.voice.frame(
            levelDBFS: Level.rms(of: frame, encoding: self.uplink.encoding), length: self.frameLength, at: now)
        if self.voice.isSpeaking != wasSpeaking {
            output.commands.append(.note(.callerSpeaking(self.voice.isSpeaking)))
        }
        if self.bargeIn.isUndecided { self.reviewBargeIn(at: now, &output) }
        guard self.phase == .talking || self.phase == .opening else { return }
        defer { self.detectTurn(at: now, &output) }
        guard self.isReady else {
            self.keepEarly(frame)
            return
        }
        self.forward(frame, &output)
    }

    /// Caller audio from before the assistant was ready: the newest three seconds are kept and sent when it is.
    private mutating func keepEarly(_ frame: UnsafeRawBufferPointer) {
        let limit = self.uplink.bytesPerSecond * 3
        if self.early.count + frame.count > limit { self.early.removeFirst(min(self.early.count, frame.count)) }
        self.early.append(contentsOf: frame)
    }

    mutating func forward(_ frame: UnsafeRawBufferPointer, _ output: inout SessionOutput) {
        let start = output.bytes.count
        self.toAssistant?.convert(frame, into: &output.bytes)
        if output.bytes.count > start { output.commands.append(.assistantAudio(start..<output.bytes.count)) }
    }

    // MARK: The agent's audio

    /// Audio of the assistant's `item`, in the output format that `ready` stated.
    package mutating func agentAudio(
        _ bytes: UnsafeRawBufferPointer, of item: AgentItem, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.isReady, self.phase == .talking || self.isLeavingAfterSpeech, item.number > self.cutBelow else {
            return
        }
        let item = PlayoutItem(session: self.assistantSession, number: item.number)
        if self.arriving != item {
            self.fromAssistant?.reset()
            self.arriving = item
        }
        self.decoded.removeAll(keepingCapacity: true)
        self.fromAssistant?.convert(bytes, into: &self.decoded)
        self.take(self.decoded, of: item, at: now, &output)
        self.set(.stall, now + self.plan.deadlines.stall)
        self.responseSpoke = true
    }

    /// Audio of the house voice, already in the downlink format.
    package mutating func houseAudio(
        _ bytes: UnsafeRawBufferPointer, number: Int, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase != .ended, self.housePending.contains(number) else { return }
        bytes.withMemoryRebound(to: UInt8.self) { bytes in
            _ = self.playout.enqueue(
                UnsafeRawBufferPointer(bytes), of: PlayoutItem(session: 0, number: number), at: now)
        }
        self.pump(at: now, &output)
    }

    /// The house voice is done with a sentence, or could not say it.
    package mutating func houseFinished(number: Int, at now: Duration, _ output: inout SessionOutput) {
        guard self.housePending.remove(number) != nil, self.phase != .ended else { return }
        self.playout.finish(PlayoutItem(session: 0, number: number))
        self.pump(at: now, &output)
        self.review(at: now, &output)
    }

    private mutating func take(
        _ bytes: [UInt8], of item: PlayoutItem, at now: Duration, _ output: inout SessionOutput
    ) {
        let isFirst = self.playout.received(of: item) == .zero && !bytes.isEmpty
        let wasTaken = bytes.withUnsafeBytes { self.playout.enqueue($0, of: item, at: now) }
        guard wasTaken else {
            // Two minutes of unheard audio: nobody listens to that. Stop the response, keep what was heard true.
            output.commands.append(.assistant(.cancelResponse))
            self.cut(at: now, &output)
            return
        }
        if isFirst { self.answerBegan(item, at: now, &output) }
        self.pump(at: now, &output)
    }

    private mutating func answerBegan(_ item: PlayoutItem, at now: Duration, _ output: inout SessionOutput) {
        self.clear(.firstAudio)
        self.hasSaidFiller = false
        self.lastWords = nil
        var latency: Duration?
        if self.awaitsAudio, let stopped = self.callerStoppedAt {
            let measured = max(now - stopped, .zero)
            latency = measured
            if self.latencies.count < 1000 { self.latencies.append(measured) }
            output.commands.append(.note(.turnLatency(measured)))
        }
        self.awaitsAudio = false
        self.callerStoppedAt = nil
        self.transcript.agentBegan(item: item, latency: latency, at: now)
    }

    /// Sends what is due to the phone, and notices when the agent begins and ends to sound.
    mutating func pump(at now: Duration, _ output: inout SessionOutput) {
        while true {
            let start = output.bytes.count
            let (isDue, playsAt) = self.playout.nextFrame(at: now, into: &output.bytes)
            guard isDue else { break }
            output.commands.append(.phoneFrame(start..<output.bytes.count, playsAt: playsAt))
        }
        if self.playout.underruns > self.reportedUnderruns {
            self.reportedUnderruns = self.playout.underruns
            output.commands.append(.note(.underrun(self.playout.underrunTime)))
        }
        self.noticeSounding(at: now, &output)
    }

    private mutating func noticeSounding(at now: Duration, _ output: inout SessionOutput) {
        let isSounding = self.playout.isSounding(at: now)
        // While frames wait, `nextDue` wakes us; after the last one only the clock says when the ear is free.
        self.soundEnds = isSounding && self.playout.nextDue == nil ? self.playout.soundEnds(at: now) : nil
        guard isSounding != self.isAgentSounding else { return }
        self.isAgentSounding = isSounding
        output.commands.append(.note(.agentSpeaking(isSounding)))
        if !isSounding {
            self.settleHeard(at: now)
            self.playout.releaseMemory(at: now)
        }
    }

    /// Everything that was stored has been heard: close the accounts of those items.
    private mutating func settleHeard(at now: Duration) {
        for item in self.transcript.unsettled {
            let received = self.playout.received(of: item)
            guard received > .zero else { continue }
            self.transcript.settle(
                Playout.Heard(item: item, heard: self.playout.heard(of: item, at: now), received: received),
                interrupted: false, at: now)
        }
    }

    /// Everything stored was sent and nothing can come to it now: what is being gathered for the phone should go. Between
    /// two deltas of an item more is to come, and a module that plays files would get a short one for each.
    package var hasSentEverything: Bool { self.playout.isComplete }

    // MARK: Time

    /// When `wake` has to be called next; nil: only events matter.
    package var nextWake: Duration? {
        // Mutating in form only: a borrow of so large a struct is a copy of it (1.7 KB at each frame, Swift 6.3.1).
        mutating get {
            guard self.phase != .ended else { return nil }
            var next: Duration? = self.playout.nextDue
            next = Self.earlier(next, self.timers.earliest)
            next = Self.earlier(next, self.soundEnds)
            next = Self.earlier(next, self.bargeIn.deadline)
            // Elsewhere nobody looks at it: a deadline that nobody takes would wake us for ever.
            if self.phase == .talking { next = Self.earlier(next, self.noInput.deadline) }
            return next
        }
    }

    package mutating func wake(at now: Duration, _ output: inout SessionOutput) {
        guard self.phase != .ended else { return }
        self.pump(at: now, &output)
        self.reviewBargeIn(at: now, &output)
        if let earliest = self.timers.earliest, now >= earliest {
            for timer in Timer.allCases {
                guard let time = self.timers[timer.rawValue], now >= time else { continue }
                self.timers[timer.rawValue] = nil
                self.expired(timer, at: now, &output)
                if self.phase == .ended { return }
            }
        }
        self.review(at: now, &output)
    }

    mutating func set(_ timer: Timer, _ time: Duration) {
        // Nobody can hear that an answer is late: these start when the media is back.
        if self.isMediaLost, timer == .firstAudio || timer == .stall { return }
        self.timers[timer.rawValue] = time
    }
    mutating func clear(_ timer: Timer) { self.timers[timer.rawValue] = nil }

    private static func earlier(_ a: Duration?, _ b: Duration?) -> Duration? {
        guard let a else { return b }
        guard let b else { return a }
        return min(a, b)
    }

    /// When `start` was called, on the clock of `now`.
    package var beganAt: Duration { self.startedAt }
    package var uplinkFormat: AudioFormat { self.uplink }
    package var downlinkFormat: AudioFormat { self.downlink }

    /// The caller waits for the assistant to speak.
    package var owesAnswer: Bool { self.awaitsAudio }

    /// The phone was asked to hand the caller over, and what became of it is not known yet.
    package var isTransferring: Bool { if case .transferring = self.phase { true } else { false } }

    var isLeavingAfterSpeech: Bool {
        if case .leaving = self.phase { self.isResponding } else { false }
    }
}
