import Assistants
import Audio
import Telephony

/// What the assistant tells, and how the ladder answers its failures.
extension CallSession {
    /// The shell opened the assistant that was asked for, and says what it can do. Comes before any of its events.
    package mutating func assistantOpened(
        _ capabilities: AssistantCapabilities, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase != .ended else { return }
        self.capabilities = capabilities
    }

    /// The assistant could not even be made (no key, no model file): the ladder decides.
    package mutating func assistantUnavailable(
        _ failure: AssistantFailure, at now: Duration, _ output: inout SessionOutput
    ) {
        self.assistantFailed(failure, at: now, &output)
    }

    package mutating func assistant(_ event: AssistantEvent, at now: Duration, _ output: inout SessionOutput) {
        guard self.phase != .ended else { return }
        switch event {
        case .ready(let input, let produced): self.ready(input: input, produced: produced, at: now, &output)
        case .callerSpeechStarted: self.callerStarted(at: now, &output)
        case .callerSpeechStopped: self.callerStopped(at: now, &output)
        case .callerTurnCommitted(let item): self.turnCommitted(item, at: now, &output)
        case .callerTranscript(let item, let text, let isFinal):
            self.callerSaid(item, text.value, isFinal: isFinal, at: now, &output)
        case .responseStarted:
            self.isResponding = true
            self.responseSpoke = false
            self.isFollowedUp = false
        case .agentAudioFinished(let item): self.audioFinished(item, at: now, &output)
        case .agentTranscript(let item, let text, let isFinal):
            guard item.number > self.cutBelow || isFinal else { break }
            let item = PlayoutItem(session: self.assistantSession, number: item.number)
            self.transcript.agentSaid(text.value, item: item, isFinal: isFinal, at: now)
            output.commands.append(.note(.agentSaid(text, isFinal: isFinal)))
        case .agentTranscriptCorrected(let item, let text):
            let item = PlayoutItem(session: self.assistantSession, number: item.number)
            self.transcript.agentCorrected(text.value, item: item)
        case .interrupted:
            // The back end has stopped by itself: no resume is possible.
            if self.playout.isSounding(at: now) { self.apply(.confirm, at: now, &output) }
        case .toolCalled(let call): self.toolCalled(call, at: now, &output)
        case .toolsCancelled(let ids): self.toolsCancelled(ids, at: now)
        case .responseFinished(let outcome): self.responseFinished(outcome, at: now, &output)
        case .usage(let usage): output.commands.append(.note(.usage(usage)))
        case .goingAway(let time): self.set(.recycle, now + max((time ?? .seconds(10)) - .seconds(10), .zero))
        case .failed(let failure): self.assistantFailed(failure, at: now, &output)
        }
        self.review(at: now, &output)
    }

    // MARK: Opening

    mutating func open(_ index: Int, at now: Duration, _ output: inout SessionOutput) {
        self.forgetAssistant()
        self.assistantSession += 1
        self.phase = .opening
        self.noInput.busy()
        self.set(.assistantReady, now + self.plan.deadlines.ready)
        output.commands.append(
            .openAssistant(index: index, session: self.assistantSession, history: self.history))
    }

    /// What the next assistant is told. What is stored of an answer sounds on before anything of the next assistant does:
    /// by then it was heard, and who does not know of it would say it again.
    private var history: [ConversationEntry] {
        self.transcript.history(with: self.transcript.unsettled.filter { self.playout.received(of: $0) > .zero })
    }

    /// State that belongs to one session with one assistant.
    private mutating func forgetAssistant() {
        // What had come of an item is all that will: its last part frame goes out.
        if let arriving = self.arriving { self.playout.finish(arriving) }
        self.isReady = false
        self.capabilities = nil
        self.isResponding = false
        self.responseSpoke = false
        self.isFollowedUp = false
        self.reopening = nil
        self.isRecycleOwed = false
        self.arriving = nil
        self.cutBelow = 0
        self.pendingTools.removeAll()
        self.detectorHearsCaller = false
        self.isDoubtful = false
        self.doubtfulItem = nil
        self.answeredThrough = 0
        for timer: Timer in [.assistantReady, .firstAudio, .stall, .tool, .recycle, .doubt, .digits, .endpointing] {
            self.clear(timer)
        }
    }

    mutating func closeAssistant(_ output: inout SessionOutput) {
        self.forgetAssistant()
        output.commands.append(.closeAssistant)
    }

    private mutating func ready(
        input: AudioFormat, produced: AudioFormat, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase == .opening, !self.isReady else { return }
        do {
            self.toAssistant = try Transcoder(from: self.uplink, to: input)
            self.fromAssistant = try Transcoder(from: produced, to: self.downlink)
        } catch {
            self.assistantFailed(AssistantFailure("format-not-carried", .failOver), at: now, &output)
            return
        }
        self.isReady = true
        self.phase = .talking
        self.clear(.assistantReady)
        output.commands.append(.note(.assistantReady(index: self.ladder.current)))
        let early = self.early
        self.early = []
        early.withUnsafeBytes { bytes in
            let length = self.uplink.bytes(in: self.frameLength)
            var start = 0
            while start + length <= bytes.count {
                self.forward(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]), &output)
                start += length
            }
        }
        if let news = self.news {
            self.news = nil
            output.commands.append(.assistant(.inform(news)))
        }
        if self.awaitsAudio {
            // The caller was waiting for an answer when the former session broke.
            self.askForReply(.reply, at: now, &output)
        } else if self.plan.opening == .agent, !self.hasGreeted {
            self.askForReply(.greeting, at: now, &output)
        }
    }

    mutating func askForReply(_ request: ResponseRequest, at now: Duration, _ output: inout SessionOutput) {
        self.awaitsAudio = true
        self.noInput.busy()
        self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
        output.commands.append(.assistant(.respond(request)))
    }

    // MARK: Turns

    private mutating func callerStarted(at now: Duration, _ output: inout SessionOutput) {
        self.detectorHearsCaller = true
        self.noInput.busy(callerSpoke: true)
        guard self.phase == .talking else { return }
        if self.afterResponse == .hangUp(.callerSilent) {
            // Not silent after all.
            self.afterResponse = nil
            self.lastWords = nil
            self.clear(.lastWords)
        }
        let sounds = self.playout.isSounding(at: now)
        // Nothing is interrupted now: what the former start left behind, and never closed, was no turn.
        if !sounds { self.isDoubtful = false }
        self.cancelUnheardReply(at: now, &output)
        // Whoever speaks does not wait: the answer is owed from the end of these words.
        if self.timers[Timer.firstAudio.rawValue] != nil {
            self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
        }
        if let decision = self.bargeIn.speechStarted(agentSounds: sounds, voice: self.voice, at: now) {
            self.apply(decision, at: now, &output)
        }
    }

    private mutating func callerStopped(at now: Duration, _ output: inout SessionOutput) {
        self.detectorHearsCaller = false
        // The detector waits for silence before it says so; the level gate knows when the voice really ended.
        let heard = self.voice.lastVoiced.flatMap { now - $0 < .seconds(3) ? $0 : nil }
        self.callerStoppedAt = min(heard ?? now, now)
        if let decision = self.bargeIn.speechStopped(voice: self.voice, at: now) {
            self.apply(decision, at: now, &output)
        }
    }

    private mutating func turnCommitted(_ item: CallerItem, at now: Duration, _ output: inout SessionOutput) {
        guard self.phase == .talking else { return }
        self.transcript.callerBegan(item: item.number, session: self.assistantSession, at: now)
        if self.isDoubtful || self.bargeIn.isPaused {
            // What was only a cough (or is not decided yet) waits for its words; meanwhile the agent goes on.
            self.isPausedTurnClosed = self.bargeIn.isPaused
            self.isDoubtful = false
            self.doubtfulItem = item
            self.set(.doubt, now + self.plan.deadlines.doubt)
            return
        }
        if self.detectsTurnsHere {
            // The echo of our own commit; the reply was asked for with it.
            self.answeredThrough = max(self.answeredThrough, item.number)
            return
        }
        self.forgetDoubt()
        self.answeredThrough = max(self.answeredThrough, item.number)
        self.awaitsAudio = true
        self.noInput.busy()
        self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
        if self.drivesTurns { output.commands.append(.assistant(.respond(.reply))) }
    }

    // MARK: Turns that only we can hear

    /// Voice that counts as the beginning of a turn: less is a click.
    private static let onset: Duration = .milliseconds(60)

    /// A frame came. Where the assistant detects no turns, the level does.
    mutating func detectTurn(at now: Duration, _ output: inout SessionOutput) {
        guard self.phase == .talking, self.detectsTurnsHere, self.voice.isSpeaking, let voiced = self.voice.lastVoiced
        else { return }
        if !self.detectorHearsCaller, self.voice.voiced >= Self.onset { self.callerStarted(at: now, &output) }
        // A timer, and not the silent frames: a leg may send none when the caller is silent.
        if self.detectorHearsCaller { self.set(.endpointing, voiced + self.plan.endpointing) }
    }

    /// The caller was silent for long enough: the turn is over, and answered unless it was only a cough.
    mutating func turnEnded(at now: Duration, _ output: inout SessionOutput) {
        guard self.phase == .talking, self.detectorHearsCaller else { return }
        self.callerStopped(at: now, &output)
        output.commands.append(.assistant(.commitCallerTurn))
        guard !self.isDoubtful, !self.bargeIn.isPaused else { return }
        self.forgetDoubt()
        self.askForReply(.reply, at: now, &output)
    }

    private var detectsTurnsHere: Bool { !(self.capabilities?.detectsTurns ?? true) }

    /// Whether we, and not the assistant's server, ask for each reply.
    var drivesTurns: Bool {
        if self.detectsTurnsHere { return true }
        // A server that interrupts by itself cannot be told to go on, and one that must not interrupt must not be let.
        guard self.plan.bargeIn != .final else { return false }
        return self.capabilities?.canBePaused ?? false
    }

    private mutating func callerSaid(
        _ item: CallerItem, _ text: String, isFinal: Bool, at now: Duration, _ output: inout SessionOutput
    ) {
        self.transcript.callerSaid(
            text, item: item.number, session: self.assistantSession, isFinal: isFinal, at: now)
        output.commands.append(.note(.callerSaid(Redacted(text), isFinal: isFinal)))
        // Words come in pieces of any size: all that there is of them is judged, and "Mm-" waits for its "hmm".
        let said = self.transcript.callerText(item: item.number, session: self.assistantSession)
        let means =
            isFinal
            ? !Backchannel.matches(text, language: self.plan.language)
            : !Backchannel.mayBecome(said, language: self.plan.language)
        guard self.phase == .talking else { return }
        if means, item.number > self.answeredThrough { self.wordsMeant(item, at: now, &output) }
        // Empty: the transcriber heard nothing, which proves nothing. The timer decides by what was voiced.
        guard isFinal, self.doubtfulItem == item, !text.isEmpty else { return }
        self.forgetDoubt()
        guard means || !self.playout.isSounding(at: now) else { return }
        self.answeredThrough = max(self.answeredThrough, item.number)
        self.askForReply(.reply, at: now, &output)
    }

    /// Words that ask for the floor: they confirm an open pause, and one that was taken back too early.
    private mutating func wordsMeant(_ item: CallerItem, at now: Duration, _ output: inout SessionOutput) {
        if self.doubtfulItem == item { self.isDoubtOwed = true }
        if let decision = self.bargeIn.meant() {
            self.apply(decision, at: now, &output)
        } else if self.isDoubtful || self.doubtfulItem == item, self.playout.isSounding(at: now) {
            self.apply(.confirm, at: now, &output)
        }
    }

    private mutating func forgetDoubt() {
        self.doubtfulItem = nil
        self.isDoubtOwed = false
        self.clear(.doubt)
    }

    /// The words of a doubtful turn did not come. When the agent is silent, a caller who was voiced long enough for a
    /// "yes" waits for an answer.
    mutating func doubtExpired(at now: Duration, _ output: inout SessionOutput) {
        guard self.phase == .talking, let item = self.doubtfulItem else { return }
        if self.bargeIn.isPaused || self.playout.isSounding(at: now) {
            self.set(.doubt, (self.playout.heardOutAt(now) ?? now) + self.plan.deadlines.doubt)
            return
        }
        let isOwed = self.isDoubtOwed && !self.detectorHearsCaller && !self.awaitsAudio && !self.isResponding
        self.forgetDoubt()
        guard isOwed else { return }
        self.answeredThrough = max(self.answeredThrough, item.number)
        self.askForReply(.reply, at: now, &output)
    }

    // MARK: Barge-in

    mutating func reviewBargeIn(at now: Duration, _ output: inout SessionOutput) {
        guard self.bargeIn.isUndecided else { return }
        let sounds = self.phase == .talking && self.playout.isSounding(at: now)
        if let decision = self.bargeIn.review(agentSounds: sounds, voice: self.voice, at: now) {
            self.apply(decision, at: now, &output)
        }
    }

    mutating func apply(_ decision: BargeIn.Decision, at now: Duration, _ output: inout SessionOutput) {
        switch decision {
        case .pause:
            guard self.canPause else {
                _ = self.bargeIn.meant()
                self.apply(.confirm, at: now, &output)
                return
            }
            self.isPausedTurnClosed = false
            self.playout.pause(at: now)
            self.flushPhone(&output)
            output.commands.append(.note(.paused))
        case .resume:
            self.falseInterruptions += 1
            self.isDoubtful = !self.isPausedTurnClosed
            self.isDoubtOwed = self.bargeIn.voiced >= Self.leastWord
            if !self.isMediaLost, !self.isHeld { self.playout.resume() }
            self.pump(at: now, &output)
            output.commands.append(.note(.bargeIn(confirmed: false)))
        case .confirm:
            self.bargeIns += 1
            // A turn that was closed before this was decided is answered when its words come, or without them.
            if self.doubtfulItem != nil { self.isDoubtOwed = true }
            self.cut(at: now, &output)
            output.commands.append(.note(.bargeIn(confirmed: true)))
        }
    }

    /// A "no" takes about this long.
    private static let leastWord: Duration = .milliseconds(200)

    private var canPause: Bool { self.capabilities?.canBePaused ?? false }

    private mutating func flushPhone(_ output: inout SessionOutput) {
        if self.downlinkTraits.canFlush { output.commands.append(.phone(.flush)) }
    }

    private var downlinkTraits: PlayoutTraits { self.playout.traits }

    /// Ends the agent's turn here: silence, cancel, and the truth about what was heard.
    mutating func cut(at now: Duration, _ output: inout SessionOutput) {
        let wasPaused = self.playout.isPaused
        self.bargeIn.reset()
        self.isDoubtful = false
        let accounts = self.playout.discard(at: now)
        if self.isMediaLost { self.playout.pause(at: now) }
        if !wasPaused { self.flushPhone(&output) }
        if self.isResponding || self.owesReply { output.commands.append(.assistant(.cancelResponse)) }
        for account in accounts {
            self.transcript.settle(account, interrupted: true, at: now)
            guard account.item.session != 0 else {
                self.housePending.remove(account.item.number)
                continue
            }
            output.commands.append(.note(.cut(heard: account.heard, received: account.received)))
            guard account.item.session == self.assistantSession else { continue }
            self.cutBelow = max(self.cutBelow, account.item.number)
            if self.capabilities?.needsHeardReport ?? false, account.received > .zero {
                let item = AgentItem(account.item.number)
                output.commands.append(.assistant(.truncate(item, heard: min(account.heard, account.received))))
            }
        }
        self.arriving = nil
        self.awaitsAudio = false
        self.clear(.firstAudio)
        self.clear(.stall)
        self.pump(at: now, &output)
    }

    // MARK: Responses

    private mutating func audioFinished(_ item: AgentItem, at now: Duration, _ output: inout SessionOutput) {
        let item = PlayoutItem(session: self.assistantSession, number: item.number)
        if self.arriving == item {
            self.decoded.removeAll(keepingCapacity: true)
            self.fromAssistant?.finish(into: &self.decoded)
            if !self.decoded.isEmpty, item.number > self.cutBelow {
                _ = self.decoded.withUnsafeBytes { self.playout.enqueue($0, of: item, at: now) }
            }
            self.arriving = nil
        }
        self.playout.finish(item)
        self.clear(.stall)
        self.pump(at: now, &output)
    }

    private mutating func responseFinished(
        _ outcome: ResponseOutcome, at now: Duration, _ output: inout SessionOutput
    ) {
        self.isResponding = false
        self.clear(.stall)
        let isBroken = self.arriving != nil || !self.responseSpoke
        if let arriving = self.arriving { self.playout.finish(arriving) }
        switch outcome {
        case .completed, .incomplete, .cancelled:
            if self.responseSpoke {
                self.hasGreeted = true
                // Only a whole reply forgives: a back end that always breaks in the middle must not be tried for ever.
                if outcome == .completed { self.ladder.succeeded() }
            }
            if outcome == .cancelled, self.detectorHearsCaller {
                self.awaitsAudio = false
                self.clear(.firstAudio)
            }
            if outcome != .cancelled, !self.responseSpoke, !self.isFollowedUp, self.pendingTools.isEmpty,
                self.afterResponse == nil
            {
                // A reply without a sound (text only, or nothing): the caller must not wait for it in vain.
                if self.awaitsAudio { self.set(.firstAudio, now) }
            }
        case .failed(let failure):
            guard failure.verdict != .ignore else { break }
            // The answer that was broken off is owed by whoever comes next.
            if isBroken, self.phase == .talking, self.afterResponse == nil { self.awaitsAudio = true }
            self.assistantFailed(failure, at: now, &output)
        }
        if let leaving = self.afterResponse {
            self.afterResponse = nil
            self.leave(leaving, at: now, &output)
        }
        self.pump(at: now, &output)
    }

    // MARK: Tools

    private mutating func toolCalled(_ call: ToolCall, at now: Duration, _ output: inout SessionOutput) {
        guard self.phase == .talking else { return }
        output.commands.append(.note(.tool(call)))
        self.noInput.busy()
        switch call.name {
        case "end_call":
            self.answer(call, "{\"status\":\"ending\"}", isTaken: true, &output)
            self.decide(.hangUp(.farewell), at: now, &output)
        case "transfer_call", "request_handoff":
            self.transferCalled(call, at: now, &output)
        default:
            self.pendingTools.insert(call.id)
            self.set(.tool, now + self.plan.deadlines.tool)
            self.clear(.firstAudio)
            output.commands.append(.runTool(call))
        }
    }

    private mutating func transferCalled(_ call: ToolCall, at now: Duration, _ output: inout SessionOutput) {
        let asked = JSONText.string("destination", in: call.arguments.value) ?? ""
        let destination = self.plan.destinations.first {
            $0.name.lowercased() == asked.lowercased() || $0.number.value == asked
        }
        guard let destination else {
            let names = self.plan.destinations.map(\.name).joined(separator: ", ")
            self.answer(
                call, "{\"error\":\"unknown destination\",\"destinations\":\(JSONText.quoted(names))}", isTaken: false,
                &output)
            self.awaitFollowUp(at: now)
            return
        }
        self.answer(call, "{\"status\":\"transferring\"}", isTaken: true, &output)
        self.decide(.transfer(destination, .transferred), at: now, &output)
    }

    /// Of what is taken the assistant has nothing more to say.
    private mutating func answer(_ call: ToolCall, _ text: String, isTaken: Bool, _ output: inout SessionOutput) {
        let result = Redacted(text)
        output.commands.append(.note(.toolAnswered(id: call.id, result: result, isTaken: isTaken)))
        output.commands.append(.assistant(.toolResult(id: call.id, output: result, respond: !isTaken)))
    }

    /// A tool has its result: what the assistant makes of it is owed to the caller, by a response of its own.
    mutating func awaitFollowUp(at now: Duration) {
        self.isFollowedUp = self.isResponding
        self.awaitsAudio = true
        self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
    }

    /// The assistant does not want these results any more.
    private mutating func toolsCancelled(_ ids: [String], at now: Duration) {
        guard !self.pendingTools.isDisjoint(with: ids) else { return }
        self.pendingTools.subtract(ids)
        guard self.pendingTools.isEmpty else { return }
        self.clear(.tool)
        // The call of the tool has stopped this deadline, and no result will start it again.
        if self.awaitsAudio { self.set(.firstAudio, now + self.plan.deadlines.firstAudio) }
    }

    /// A tool decided the end: it comes when the response that called the tool has been spoken.
    private mutating func decide(_ leaving: Leaving, at now: Duration, _ output: inout SessionOutput) {
        self.clear(.firstAudio)
        self.awaitsAudio = false
        if self.isResponding {
            self.afterResponse = leaving
            self.set(.lastWords, now + self.plan.deadlines.lastWords)
        } else {
            self.leave(leaving, at: now, &output)
        }
    }

    /// A tool that the shell ran has its result (JSON or text).
    package mutating func toolFinished(
        id: String, result: Redacted<String>, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase != .ended, self.pendingTools.remove(id) != nil else { return }
        if self.pendingTools.isEmpty { self.clear(.tool) }
        // On its way out the call has nothing more to say, but it may come back.
        let respond = self.phase == .talking
        output.commands.append(.assistant(.toolResult(id: id, output: result, respond: respond)))
        if respond { self.awaitFollowUp(at: now) }
    }

    // MARK: Digits

    /// A key was pressed. Keys come in numbers: the reply is asked for when the last one is over, or at `#`.
    mutating func digitPressed(_ digit: Redacted<Character>, at now: Duration, _ output: inout SessionOutput) {
        if self.playout.isSounding(at: now) || self.bargeIn.isPaused, self.plan.bargeIn != .off {
            self.apply(.confirm, at: now, &output)
        } else if !(self.capabilities?.answersDigits ?? false) {
            self.cancelUnheardReply(at: now, &output)
        }
        output.commands.append(.assistant(.digit(digit)))
        guard !(self.capabilities?.answersDigits ?? false), self.isReady else { return }
        self.set(.digits, digit.value == "#" ? now : now + self.plan.deadlines.digits)
    }

    mutating func digitsComplete(at now: Duration, _ output: inout SessionOutput) {
        // A caller who also speaks, or whose turn is being answered, gets the digits answered with it.
        guard self.phase == .talking, !self.detectorHearsCaller, !self.awaitsAudio else { return }
        self.askForReply(.reply, at: now, &output)
    }

    /// A reply of ours is under way, or asked for and not begun: a server takes its time to begin one.
    private var owesReply: Bool {
        self.drivesTurns && (self.isResponding || self.awaitsAudio && self.pendingTools.isEmpty)
    }

    /// The caller was not done after all: an answer to half of it would speak into the other half.
    private mutating func cancelUnheardReply(at now: Duration, _ output: inout SessionOutput) {
        guard self.owesReply, !self.playout.isSounding(at: now) else { return }
        output.commands.append(.assistant(.cancelResponse))
        self.awaitsAudio = false
        self.clear(.firstAudio)
    }

    // MARK: Failure

    mutating func assistantFailed(
        _ failure: AssistantFailure, at now: Duration, _ output: inout SessionOutput
    ) {
        guard failure.verdict != .ignore else { return }
        switch self.phase {
        case .opening, .talking: break
        case .leaving, .transferring:
            self.failedOnTheWayOut(failure, &output)
            return
        case .ended: return
        }
        output.commands.append(.note(.assistantFailed(index: self.ladder.current, slug: failure.slug)))
        if let arriving = self.arriving { self.playout.finish(arriving) }
        if let leaving = self.afterResponse {
            // The end was decided: no other session is needed for it.
            let hasSpoken = self.responseSpoke
            self.closeAssistant(&output)
            self.responseSpoke = hasSpoken
            self.afterResponse = nil
            self.leave(leaving, at: now, &output)
            return
        }
        // Something is owed to the caller if they wait for an answer, or one was broken off.
        if self.isResponding, self.arriving != nil || !self.responseSpoke { self.awaitsAudio = true }
        if !self.hasGreeted, self.plan.opening == .agent { self.awaitsAudio = false }
        if self.timers[Timer.digits.rawValue] != nil { self.awaitsAudio = true }
        switch self.ladder.failed(failure.verdict) {
        case .again(let index):
            self.open(index, at: now, &output)
        case .next(let index):
            if self.hasGreeted { self.speak(.changeOver, at: now, &output) }
            self.open(index, at: now, &output)
        case .human:
            self.closeAssistant(&output)
            self.handToHuman(.assistantsExhausted, at: now, &output)
        }
    }

    /// The end was decided, and needs no assistant; but a caller whom nobody answers comes back, and not to a dead one.
    private mutating func failedOnTheWayOut(_ failure: AssistantFailure, _ output: inout SessionOutput) {
        guard self.reopening == nil else { return }
        output.commands.append(.note(.assistantFailed(index: self.ladder.current, slug: failure.slug)))
        // Nothing more comes of the last words: what there is of them is heard out.
        self.closeAssistant(&output)
        self.reopening = self.ladder.failed(failure.verdict)
    }
}
