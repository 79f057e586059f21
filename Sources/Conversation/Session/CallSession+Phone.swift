import Assistants
import Telephony

/// What the phone leg tells, what time brings, and how a call ends.
extension CallSession {
    package mutating func phone(_ event: PhoneEvent, at now: Duration, _ output: inout SessionOutput) {
        guard self.phase != .ended else { return }
        switch event {
        case .digit(let digit):
            self.noInput.busy(callerSpoke: true)
            if self.phase == .talking { self.digitPressed(digit, at: now, &output) }
        case .markReached:
            break
        case .held:
            self.hold(at: now)
        case .resumed:
            self.resumeFromHold(at: now, &output)
        case .hungUp(let cause):
            self.end(
                CallTermination(
                    cause: cause, fault: .nobody, reason: CallTermination.callerHungUp.reason), at: now, &output)
            return
        case .mediaLost:
            // The caller may still be there: the module reconnects, or the channel's hang-up follows.
            self.isMediaLost = true
            self.playout.pause(at: now)
            self.noInput.busy()
            self.clear(.firstAudio)
            self.clear(.stall)
            self.set(.mediaReturn, now + self.plan.deadlines.mediaReturn)
        case .transferred:
            if case .transferring(_, let termination) = self.phase {
                self.end(termination, at: now, &output)
            } else {
                self.end(.transferred, at: now, &output)
            }
            return
        case .transferFailed:
            self.transferFailed(at: now, &output)
        }
        self.review(at: now, &output)
    }

    /// The caller hears somebody else, or music: the agent waits in the middle of its sentence.
    private mutating func hold(at now: Duration) {
        guard !self.isHeld else { return }
        self.isHeld = true
        self.playout.pause(at: now)
        self.noInput.busy()
    }

    mutating func resumeFromHold(at now: Duration, _ output: inout SessionOutput) {
        guard self.isHeld else { return }
        self.isHeld = false
        if !self.bargeIn.isPaused, !self.isMediaLost { self.playout.resume() }
        self.pump(at: now, &output)
    }

    /// The media connection is back (the same leg, or another connection of the same call).
    package mutating func mediaReturned(at now: Duration, _ output: inout SessionOutput) {
        guard self.phase != .ended, self.isMediaLost else { return }
        self.isMediaLost = false
        self.clear(.mediaReturn)
        if self.phase == .talking, self.isReady {
            if self.awaitsAudio, self.pendingTools.isEmpty {
                self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
            }
            if self.isResponding, self.arriving != nil { self.set(.stall, now + self.plan.deadlines.stall) }
        }
        if !self.bargeIn.isPaused, !self.isHeld { self.playout.resume() }
        self.pump(at: now, &output)
        self.review(at: now, &output)
    }

    /// Somebody in charge ends the call: a drain, an operator. `spoken` in the termination says what the caller hears.
    package mutating func endRequested(
        _ termination: CallTermination, at now: Duration, _ output: inout SessionOutput
    ) {
        guard self.phase != .ended else { return }
        self.cut(at: now, &output)
        self.closeAssistant(&output)
        switch termination.spoken {
        case .apologyAndTransfer, .transfer: self.handToHuman(termination, at: now, &output)
        case .apology:
            self.speak(.apology, at: now, &output)
            self.leave(.hangUp(termination), at: now, &output)
        case .nothing:
            output.commands.append(.phone(.hangUp(termination.cause)))
            self.end(termination, at: now, &output)
        }
    }

    /// The process ends now: nobody waits for last words, or for what becomes of a transfer. The caller's dialplan goes on,
    /// to its fallback.
    package mutating func abandoned(
        _ termination: CallTermination, at now: Duration, _ output: inout SessionOutput
    ) {
        self.end(termination, at: now, &output)
    }

    /// An operator hands the caller over: at once, whatever the agent was saying. False: the call is leaving already.
    package mutating func transferRequested(
        to destination: TransferDestination, at now: Duration, _ output: inout SessionOutput
    ) -> Bool {
        switch self.phase {
        case .leaving, .transferring, .ended: return false
        case .opening, .talking: break
        }
        self.cut(at: now, &output)
        self.isResponding = false
        self.awaitsAudio = false
        self.afterResponse = nil
        self.lastWords = nil
        // Nobody has told the caller yet.
        self.responseSpoke = false
        self.leave(.transfer(destination, .transferred), at: now, &output)
        return true
    }

    // MARK: What time brings

    mutating func expired(_ timer: Timer, at now: Duration, _ output: inout SessionOutput) {
        switch timer {
        case .assistantReady:
            self.assistantFailed(AssistantFailure("not-ready-in-time", .retry), at: now, &output)
        case .firstAudio:
            guard self.phase == .talking, self.awaitsAudio else { return }
            if self.isCallerHeard(at: now) {
                // Neither a filler nor a new session belongs into the caller's words.
                self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
            } else if let leaving = self.afterResponse {
                self.afterResponse = nil
                self.leave(leaving, at: now, &output)
            } else if self.hasSaidFiller {
                self.hasSaidFiller = false
                self.assistantFailed(AssistantFailure("nothing-audible", .retry), at: now, &output)
            } else {
                self.hasSaidFiller = true
                self.speak(.filler, at: now, &output)
                self.set(.firstAudio, now + self.plan.deadlines.firstAudio)
            }
        case .stall:
            guard self.phase == .talking, self.arriving != nil, self.isResponding else { return }
            if self.bargeIn.isPaused || self.isHeld {
                self.set(.stall, now + self.plan.deadlines.stall)
            } else if let end = self.playout.heardOutAt(now),
                self.playout.nextDue != nil || self.playout.soundEnds(at: now) != nil
            {
                // Less than a frame, or than the leg's warm-up, does not count: it waits for what does not come.
                self.set(.stall, end + self.plan.deadlines.stall)
            } else {
                self.assistantFailed(AssistantFailure("audio-stalled", .retry), at: now, &output)
            }
        case .tool:
            guard !self.pendingTools.isEmpty else { return }
            for id in self.pendingTools.sorted() {
                output.commands.append(
                    .assistant(
                        .toolResult(id: id, output: Redacted("{\"error\":\"the tool did not answer\"}"), respond: true))
                )
            }
            self.pendingTools.removeAll()
            self.awaitFollowUp(at: now)
        case .maximumDuration:
            switch self.phase {
            case .leaving, .transferring, .ended: break
            case .opening, .talking:
                // A response that we stop here would answer for the last words: then the house says them.
                let isFree = !self.isResponding && !self.awaitsAudio
                self.cut(at: now, &output)
                self.sayFarewell(
                    or: .maximumDuration, then: .hangUp(.maximumDuration), byAssistant: isFree, at: now, &output)
            }
        case .lastWords:
            if let leaving = self.afterResponse {
                self.afterResponse = nil
                self.leave(leaving, at: now, &output)
            } else if case .leaving(let leaving) = self.phase {
                self.go(leaving, at: now, &output)
            }
        case .transfer:
            self.transferFailed(at: now, &output)
        case .mediaReturn:
            self.mediaIsGone(at: now, &output)
        case .doubt:
            self.doubtExpired(at: now, &output)
        case .digits:
            self.digitsComplete(at: now, &output)
        case .endpointing:
            self.turnEnded(at: now, &output)
        case .recycle:
            self.recycle(at: now, &output)
        }
    }

    /// The caller speaks now: a detector that hears noise for ever does not count beyond the voice.
    private func isCallerHeard(at now: Duration) -> Bool {
        guard self.detectorHearsCaller, let voiced = self.voice.lastVoiced else { return self.voice.isSpeaking }
        return self.voice.isSpeaking || now - voiced < .seconds(2)
    }

    /// Moves to a fresh session of the same assistant before the provider cuts the old one: at a quiet moment.
    private mutating func recycle(at now: Duration, _ output: inout SessionOutput) {
        switch self.phase {
        case .talking: self.open(self.ladder.current, at: now, &output)
        // Needed only if the caller comes back.
        case .leaving, .transferring: self.isRecycleOwed = true
        case .opening, .ended: break
        }
    }

    /// The session has less than some minutes left: a better moment may not come.
    ///
    /// Mutating in form only, as `nextWake` is: it is asked at every wake.
    private mutating func isRecycleNear(at now: Duration) -> Bool {
        self.isRecycleOwed || self.timers[Timer.recycle.rawValue].map { $0 - now < .seconds(240) } ?? false
    }

    /// After each event: is it quiet, is an end due, has the last word been heard?
    mutating func review(at now: Duration, _ output: inout SessionOutput) {
        switch self.phase {
        case .leaving(let leaving):
            if !self.isResponding, self.housePending.isEmpty, !self.playout.isSounding(at: now) {
                self.go(leaving, at: now, &output)
            }
        case .talking:
            let isQuiet =
                !self.playout.isSounding(at: now) && !self.detectorHearsCaller && !self.awaitsAudio
                && !self.isResponding && self.pendingTools.isEmpty && !self.isHeld && !self.bargeIn.isPaused
                && !self.isMediaLost && self.timers[Timer.digits.rawValue] == nil
            guard isQuiet else {
                self.noInput.busy()
                break
            }
            if self.isRecycleNear(at: now) {
                self.clear(.recycle)
                self.recycle(at: now, &output)
                return
            }
            self.noInput.quiet(since: now)
            switch self.noInput.wake(at: now) {
            case .prompt: self.prompt(at: now, &output)
            case .giveUp:
                self.sayFarewell(
                    or: .goodbyeSilent, then: .hangUp(.callerSilent), byAssistant: true, at: now, &output)
            case nil: break
            }
        case .opening, .transferring, .ended: break
        }
    }

    /// The media will not return. Closing our side alone would leave the caller on a silent line, so the switch is told
    /// what to do with the channel.
    private mutating func mediaIsGone(at now: Duration, _ output: inout SessionOutput) {
        switch self.phase {
        case .opening, .talking:
            self.closeAssistant(&output)
            if let fallback = self.plan.fallback {
                self.go(.transfer(fallback, .phoneLost), at: now, &output)
            } else {
                self.go(.hangUp(.phoneLost), at: now, &output)
            }
        case .leaving(let leaving):
            // What was decided is done; its last words have no way to the ear.
            self.go(leaving, at: now, &output)
        case .transferring, .ended:
            // A transfer takes the media away from us: its own outcome or deadline decides.
            break
        }
    }

    private mutating func prompt(at now: Duration, _ output: inout SessionOutput) {
        let prompts = self.plan.noInputPrompts
        guard !prompts.isEmpty else {
            self.speak(.stillThere, at: now, &output)
            return
        }
        let text = prompts[min(max(self.noInput.prompted - 1, 0), prompts.count - 1)]
        if self.speaksVerbatim {
            self.askForReply(.say(Redacted(text)), at: now, &output)
        } else {
            self.speak(.custom(text), at: now, &output)
        }
    }

    /// The configured farewell, or the house's `sentence`; then the end.
    private mutating func sayFarewell(
        or sentence: HouseSentence, then leaving: Leaving, byAssistant: Bool, at now: Duration,
        _ output: inout SessionOutput
    ) {
        if let farewell = self.plan.farewell, byAssistant, self.speaksVerbatim {
            self.afterResponse = leaving
            self.lastWords = farewell
            self.askForReply(.say(Redacted(farewell)), at: now, &output)
            self.set(.lastWords, now + self.plan.deadlines.lastWords)
            return
        }
        self.closeAssistant(&output)
        self.speak(self.plan.farewell.map(HouseSentence.custom) ?? sentence, at: now, &output)
        self.leave(leaving, at: now, &output)
    }

    /// The assistant says what it is told to, word by word; others would paraphrase it.
    private var speaksVerbatim: Bool { self.isReady && self.capabilities?.speaksVerbatim ?? false }

    // MARK: The house voice

    mutating func speak(_ sentence: HouseSentence, at now: Duration, _ output: inout SessionOutput) {
        self.houseSentences += 1
        self.housePending.insert(self.houseSentences)
        output.commands.append(.note(.houseSentence(slug: sentence.slug)))
        output.commands.append(.speak(sentence, number: self.houseSentences))
    }

    // MARK: Ends

    /// No assistant can go on: an apology, then the fallback; without a fallback, the apology and the hang-up.
    mutating func handToHuman(_ termination: CallTermination, at now: Duration, _ output: inout SessionOutput) {
        self.isResponding = false
        self.afterResponse = nil
        if termination.spoken != .transfer { self.speak(.apology, at: now, &output) }
        if let fallback = self.plan.fallback {
            self.leave(.transfer(fallback, termination), at: now, &output)
        } else {
            self.leave(.hangUp(termination), at: now, &output)
        }
    }

    /// Nothing more is to be said: waits until what sounds has been heard.
    mutating func leave(_ leaving: Leaving, at now: Duration, _ output: inout SessionOutput) {
        if let words = self.lastWords {
            self.lastWords = nil
            self.closeAssistant(&output)
            self.speak(.custom(words), at: now, &output)
        }
        if case .transfer(let destination, let termination) = leaving, termination == .transferred,
            !self.responseSpoke
        {
            self.speak(.transferring(to: destination.name), at: now, &output)
        }
        self.bargeIn.reset()
        if !self.isMediaLost, !self.isHeld { self.playout.resume() }
        self.phase = .leaving(leaving)
        self.noInput.busy()
        // The assistant's session ages on: a caller whom nobody answers comes back to it.
        for timer: Timer in [.assistantReady, .firstAudio, .stall, .tool, .doubt, .digits, .endpointing] {
            self.clear(timer)
        }
        self.set(.lastWords, now + self.plan.deadlines.lastWords)
        self.pump(at: now, &output)
        self.review(at: now, &output)
    }

    private mutating func go(_ leaving: Leaving, at now: Duration, _ output: inout SessionOutput) {
        self.clear(.lastWords)
        switch leaving {
        case .hangUp(let termination):
            output.commands.append(.phone(.hangUp(termination.cause)))
            self.end(termination, at: now, &output)
        case .transfer(let destination, let termination):
            self.phase = .transferring(destination, termination)
            // Beyond the ringing and the way back, which the shell bounds.
            let patience = max(self.plan.deadlines.transfer, (destination.ringTime ?? .zero) + .seconds(15))
            self.set(.transfer, now + patience)
            output.commands.append(.note(.transferStarted(name: destination.name)))
            output.commands.append(.phone(.blindTransfer(destination)))
        }
    }

    /// The caller is still with us. A human was to help: try the fallback once, otherwise say so and go on, or end.
    private mutating func transferFailed(at now: Duration, _ output: inout SessionOutput) {
        guard case .transferring(let destination, let termination) = self.phase else { return }
        self.clear(.transfer)
        output.commands.append(.note(.transferFailed(name: destination.name)))
        if self.isMediaLost, termination == .phoneLost || self.timers[Timer.mediaReturn.rawValue] == nil {
            // Nothing can be said any more: one try with the fallback, then the end.
            if termination != .phoneLost, let fallback = self.plan.fallback, fallback != destination {
                self.go(.transfer(fallback, .phoneLost), at: now, &output)
            } else {
                self.go(.hangUp(.phoneLost), at: now, &output)
            }
            return
        }
        self.speak(.transferFailed, at: now, &output)
        if termination == .transferred, self.goOn(afterFailing: destination, at: now, &output) {
            return
        } else if let fallback = self.plan.fallback, fallback != destination {
            self.leave(.transfer(fallback, .assistantsExhausted), at: now, &output)
        } else {
            self.leave(.hangUp(.transferFailed), at: now, &output)
        }
    }

    /// What a caller who comes back has at least: to hear why, and to say a sentence.
    private static let afterReturn: Duration = .seconds(10)

    /// Back to the assistant, or to the one that takes its place; false: there is none.
    private mutating func goOn(
        afterFailing destination: TransferDestination, at now: Duration, _ output: inout SessionOutput
    ) -> Bool {
        let news = Redacted("The transfer to \(destination.name) failed; the caller is still here.")
        if self.plan.maximumDuration > .zero {
            // It may have been over while it rang, when nobody was to be cut off: not at once then.
            self.set(.maximumDuration, max(self.startedAt + self.plan.maximumDuration, now + Self.afterReturn))
        }
        // An old session would be left in a moment, and the next not know of the transfer.
        guard !self.isReady || self.isRecycleNear(at: now) && self.pendingTools.isEmpty else {
            self.phase = .talking
            // Its begin, or its end, fell into the time when the caller was not ours to hear.
            self.detectorHearsCaller = false
            if !self.pendingTools.isEmpty { self.set(.tool, now + self.plan.deadlines.tool) }
            output.commands.append(.assistant(.inform(news)))
            return true
        }
        switch self.reopening {
        case .human: return false
        case .again(let index), .next(let index): self.open(index, at: now, &output)
        // It was still being opened when the call left, or is too old to be gone back to.
        case nil: self.open(self.ladder.current, at: now, &output)
        }
        self.news = news
        return true
    }

    /// The one finaliser: every end comes through here, once.
    mutating func end(_ termination: CallTermination, at now: Duration, _ output: inout SessionOutput) {
        guard self.phase != .ended else { return }
        for account in self.playout.discard(at: now) {
            self.transcript.settle(account, interrupted: account.heard < account.received, at: now)
        }
        if self.isAgentSounding { output.commands.append(.note(.agentSpeaking(false))) }
        self.phase = .ended
        self.timers.removeAll()
        output.commands.append(.closeAssistant)
        output.commands.append(.finish(termination))
    }
}
