import Telephony

/// The low-cost assistant: a recogniser, a writer and a speaker, each streaming into the next, as one value.
///
/// ```
/// idle ─start▶ opening ─sockets open▶ ready ─▶ ended
/// caller ─▶ recogniser + detector ─turn─▶ writer (SSE) ─clauses─▶ speaker ─▶ caller
/// ```
/// Turns are ours: a local detector hears silence, the recogniser settles the words, `Endpointing` decides (Flux decides
/// by itself). The first clause is spoken while the writer still writes. A cancellation closes the writer's request and
/// clears the speaker in the same step. The writer's memory holds what was heard, not what was sent.
///
/// With a batch recogniser this is the turn-based mode: record until silence, transcribe, answer, speak.
package struct SpeechPipelineMachine: AssistantMachine {
    enum Phase: Sendable, Equatable { case idle, opening, ready, ended }

    /// What can be due, each with a place in the table of deadlines.
    enum Timer: Int, CaseIterable, Sendable {
        /// The caller's turn may be over.
        case turn
        case transcription
        case writer
        case speaker
        /// The recogniser's socket must not be idle.
        case idle
        /// A spoken sentence of which the recogniser has shown no sign.
        case deaf
    }

    package let capabilities: AssistantCapabilities
    let configuration: SpeechPipelineConfiguration
    let setup: AssistantSetup
    let inputFormat: AudioFormat
    let outputFormat: AudioFormat

    var phase: Phase = .idle
    var numbers = ChannelNumbers()
    /// The ears: one of the two. Optionals rather than an enum, so that a frame changes them in place.
    var streaming: DeepgramRecogniser?
    var batch: BatchRecogniser?
    /// The voice: one of the two.
    var socket: DeepgramSpeaker?
    var pieces: PieceSpeaker?
    var detector: ChannelID?
    var memory: ChatMemory

    // The caller.
    var endpointing: Endpointing
    var turn: PipelineTurn?
    var isCallerSpeaking = false
    var spokenTo = SpokenTo()
    /// When the recogniser last said anything: also nothing understood is a sign of life.
    var recogniserHeardAt: Duration = .zero
    var nextCaller = 1

    // The agent.
    var reply: PipelineReply?
    var wanted: [PipelineReply.Source] = []
    var nextItem = 1
    /// Replies that were delivered or stopped, for `truncate`; the newest few.
    var delivered: [(item: AgentItem, heard: HeardText)] = []
    var pendingTools: Set<String> = []
    var owesFollowUp = false
    /// Tool calls since the caller last spoke.
    var rounds = 0
    var toolCount = 0

    // What was used and not told yet.
    var written: [AssistantUsage] = []
    var spokenCharacters = 0
    /// Bytes that a recogniser was sent, in all, and as many of them as were told.
    var heardBytes = 0
    private var toldBytes = 0

    private var deadlines: [Duration?] = Array(repeating: nil, count: Timer.allCases.count)
    private var announcedWake: Duration?

    /// A model that keeps calling tools without a word is made to speak.
    static let roundLimit = 6
    /// How long words that are not certain are waited for after the turn is over.
    static let settleTime: Duration = .milliseconds(500)

    package init(configuration: SpeechPipelineConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.setup = setup
        self.memory = ChatMemory(history: setup.history)
        self.endpointing = Endpointing(silence: setup.turns.silence, language: setup.language)
        if configuration.recogniser.isStreaming {
            let recogniser = DeepgramRecogniser(configuration.recogniser, setup: setup)
            self.inputFormat = recogniser.format
            self.streaming = recogniser
        } else {
            let recogniser = BatchRecogniser(
                configuration.recogniser, setup: setup, timeout: configuration.transcriptionDeadline)
            self.inputFormat = recogniser.format
            self.batch = recogniser
        }
        if configuration.speaker.service == .deepgram {
            let speaker = DeepgramSpeaker(configuration.speaker, setup: setup)
            self.outputFormat = speaker.format
            self.socket = speaker
        } else {
            let speaker = PieceSpeaker(configuration.speaker, setup: setup, timeout: .seconds(30))
            self.outputFormat = speaker.format
            self.pieces = speaker
        }
        self.capabilities = AssistantCapabilities(
            input: [self.inputFormat], output: [self.outputFormat], detectsTurns: true, needsHeardReport: true,
            canBePaused: true, usesTools: true, speaksVerbatim: true, maximumSession: nil)
    }

    // MARK: The call begins

    package mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .idle else { return }
        self.phase = .opening
        do throws(SpeechPipelineError) {
            try self.configuration.check()
            try self.streaming?.open(as: .main, at: now, &output)
            if self.socket != nil { try self.socket?.open(as: self.numbers.make(), &output) }
        } catch {
            self.fail(AssistantFailure(error.slug, .failOver, detail: error.message), &output)
            return
        }
        if self.configuration.recogniser.service != .flux {
            let detector = self.numbers.make()
            self.detector = detector
            output.effects.append(
                .detect(
                    detector,
                    DetectionRequest(
                        format: self.inputFormat, threshold: self.setup.turns.threshold,
                        silence: min(self.setup.turns.silence, self.configuration.detectorSilence))))
        }
        self.becomeReady(&output)
    }

    func isReadyToListen() -> Bool {
        (self.streaming?.isConnected ?? true) && (self.socket?.isOpen ?? true)
    }

    mutating func becomeReady(_ output: inout AssistantOutput) {
        guard self.phase == .opening, self.isReadyToListen() else { return }
        self.phase = .ready
        output.event(.ready(input: self.inputFormat, output: self.outputFormat))
    }

    // MARK: The conversation asks

    package mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        if case .finish = command {
            self.closeAll(&output)
            return
        }
        guard self.phase == .ready else { return }
        switch command {
        case .respond(.reply): self.want(.model(task: nil), at: now, &output)
        case .respond(.say(let words)): self.want(.words(words.value), at: now, &output)
        case .respond(.greeting):
            let task = "The caller has just been connected. Greet the caller in one short sentence and offer help."
            self.want(self.setup.greeting.map { .words($0) } ?? .model(task: task), at: now, &output)
        case .commitCallerTurn: self.commitTurn(at: now, &output)
        case .clearCallerAudio: self.dropTurn(&output)
        case .cancelResponse:
            self.wanted = []
            self.cancelReply(at: now, &output)
        case .truncate(let item, let heard): self.truncate(item, heard: heard)
        case .toolResult(let id, let result, let respond):
            self.toolAnswered(id, result.value, respond: respond, at: now, &output)
        case .inform(let text): self.memory.note(text.value)
        case .digit(let digit): self.memory.note("The caller pressed the key \(digit.value) on the telephone.")
        case .finish: break
        }
        self.announceWake(&output)
    }

    package mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard self.phase == .ready || self.phase == .opening, !frame.isEmpty else { return }
        self.batch?.audio(frame)
        if self.streaming != nil {
            if self.streaming?.isConnected ?? false { self.heardBytes &+= frame.count }
            self.spokenTo.heard(frame, self.inputFormat, at: now)
            self.streaming?.audio(frame, isOwed: self.spokenTo.isOwed(at: now), at: now, &output)
            if self.deadlines[Timer.deaf.rawValue] == nil, let since = self.spokenTo.unansweredSince() {
                self.setTimer(.deaf, at: since + self.configuration.deafAfter)
            }
            // Frames come fifty times a second: the timer is moved only when it is spent.
            if self.deadlines[Timer.idle.rawValue] == nil { self.setTimer(.idle, at: self.streaming?.idleDue) }
        }
        self.announceWake(&output)
    }

    // MARK: What the stages tell

    package mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .opening || self.phase == .ready else { return }
        let id = event.channel
        if case .speech(_, let isSpeaking) = event {
            if id == self.detector { self.detected(isSpeaking, at: now, &output) }
        } else if id == self.detector {
            if case .closed(_, let end) = event { self.detectorLost(end, &output) }
        } else if id == self.reply?.channel {
            self.writerTold(event, at: now, &output)
        } else {
            self.stageTold(event, id, at: now, &output)
        }
        self.announceWake(&output)
    }

    private mutating func stageTold(
        _ event: ChannelEvent, _ id: ChannelID, at now: Duration, _ output: inout AssistantOutput
    ) {
        if self.streaming?.owns(id) ?? false {
            let events = self.streaming?.received(event, &output) ?? []
            if case .text = event { self.recogniserHeardAt = now }
            if events.contains(where: \.showsHearing) { self.spokenTo.answered() }
            for event in events { self.recogniserTold(event, at: now, &output) }
            return
        }
        if self.batch?.owns(id) ?? false {
            let outcome = self.batch?.received(event) ?? .pending
            self.transcribed(outcome, at: now, &output)
            return
        }
        var events: [SpeakerEvent] = []
        if self.socket?.owns(id) ?? false {
            events = self.socket?.received(event, at: now, &self.numbers, &output) ?? []
        } else if self.pieces?.owns(id) ?? false {
            events = self.pieces?.received(event, &self.numbers, &output) ?? []
        }
        for event in events { self.speakerTold(event, at: now, &output) }
    }

    // MARK: Time

    package mutating func wake(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .opening || self.phase == .ready else { return }
        for timer in Timer.allCases {
            guard let due = self.deadlines[timer.rawValue], due <= now else { continue }
            self.setTimer(timer, at: nil)
            self.timerFired(timer, at: now, &output)
            if self.phase == .ended { return }
        }
        // The shell's timer is spent, so what is still to come is announced again.
        self.announcedWake = nil
        self.announceWake(&output)
    }

    private mutating func timerFired(_ timer: Timer, at now: Duration, _ output: inout AssistantOutput) {
        switch timer {
        case .turn: self.reviewTurn(at: now, &output)
        case .transcription: self.fail(AssistantFailure("recogniser-timeout", .retry), &output)
        case .writer: self.writerFailed(AssistantFailure("writer-timeout", .retry), at: now, &output)
        case .speaker: self.replyFailed(AssistantFailure("speaker-timeout", .retry), at: now, &output)
        case .deaf: self.recogniserDeaf(at: now, &output)
        case .idle:
            self.streaming?.idle(at: now, &output)
            self.setTimer(.idle, at: self.streaming?.idleDue)
        }
    }

    mutating func setTimer(_ timer: Timer, at due: Duration?) { self.deadlines[timer.rawValue] = due }

    /// Asks the shell for the earliest deadline when that has changed.
    mutating func announceWake(_ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        var earliest: Duration?
        for case let due? in self.deadlines { earliest = earliest.map { min($0, due) } ?? due }
        guard earliest != self.announcedWake else { return }
        self.announcedWake = earliest
        output.effects.append(.wake(at: earliest))
    }

    // MARK: What was used

    /// What the stages have used since it was told last, for the reply that it belongs to: before the end of a reply, or of
    /// the session.
    mutating func tellUsage(_ output: inout AssistantOutput) {
        for usage in self.unreportedUsage(at: .zero) { output.event(.usage(usage)) }
        self.written = []
        self.spokenCharacters = 0
        self.toldBytes = self.heardBytes
    }

    /// Recognition and speech are counted here, as they are billed: audio sent, characters sent. The local voice and
    /// detector cost nothing.
    package func unreportedUsage(at now: Duration) -> [AssistantUsage] {
        var usages = self.written
        if let reply = self.reply, case .model = reply.source, reply.channel != nil, !reply.isCounted {
            var usage = AssistantUsage(
                service: self.configuration.writer.service.rawValue, model: self.configuration.writer.model)
            usage.isUncounted = true
            usages.append(usage)
        }
        if self.spokenCharacters > 0, let service = self.configuration.speaker.billedService {
            var usage = AssistantUsage(service: service, model: self.configuration.speaker.billedModel)
            usage.characters = self.spokenCharacters
            usages.append(usage)
        }
        if self.heardBytes > self.toldBytes, let service = self.configuration.recogniser.billedService {
            var usage = AssistantUsage(service: service, model: self.configuration.recogniser.model)
            usage.heard = self.inputFormat.duration(ofBytes: self.heardBytes - self.toldBytes)
            usages.append(usage)
        }
        return usages
    }

    // MARK: The end

    mutating func closeAll(_ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        let wasIdle = self.phase == .idle
        self.phase = .ended
        guard !wasIdle else { return }
        if let channel = self.reply?.channel { output.effects.append(.close(channel, code: 1000)) }
        self.streaming?.close(&output)
        self.batch?.close(&output)
        self.socket?.close(&output)
        self.pieces?.clear(&output)
        if let detector = self.detector { output.effects.append(.close(detector, code: 1000)) }
        self.reply = nil
        self.turn = nil
        self.wanted = []
        output.effects.append(.wake(at: nil))
    }

    /// The session is over by a fault.
    mutating func fail(_ failure: AssistantFailure, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        self.closeAll(&output)
        output.event(.failed(failure))
    }
}
