import Telephony

/// The caller's turns: heard by the detector, written down by the recogniser, closed by `Endpointing`.
extension SpeechPipelineMachine {
    // MARK: Where speech begins and ends

    mutating func detected(_ isSpeaking: Bool, at now: Duration, _ output: inout AssistantOutput) {
        if isSpeaking {
            self.speechStarted(byService: false, at: now, &output)
        } else {
            let silence = min(self.setup.turns.silence, self.configuration.detectorSilence)
            self.speechStopped(since: now - silence, at: now, &output)
        }
    }

    mutating func detectorLost(_ end: ChannelEnd, _ output: inout AssistantOutput) {
        self.detector = nil
        // A recording has no other ears; a streaming service hears begin and end by itself, only later.
        if self.batch != nil {
            self.fail(AssistantFailure("no-detector", .failOver), &output)
        } else {
            output.event(.failed(AssistantFailure("detector-lost", .ignore)))
        }
    }

    private mutating func speechStarted(byService: Bool, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, !self.isCallerSpeaking else { return }
        self.isCallerSpeaking = true
        self.endpointing.speechStarted(at: now)
        self.setTimer(.turn, at: nil)
        self.openTurn(byService: byService)
        // More of the same turn: what was asked for is asked again with all of it.
        if self.turn?.isTranscribing ?? false {
            self.batch?.close(&output)
            self.setTimer(.transcription, at: nil)
            self.turn?.isTranscribing = false
        }
        self.batch?.speechStarted()
        // Before the conversation hears of it: where the turns are not driven, nobody else stops the answer.
        if !self.setup.turns.drivenByUs, self.reply != nil { self.cancelReply(at: now, &output) }
        output.event(.callerSpeechStarted)
    }

    private mutating func openTurn(byService: Bool) {
        guard self.turn == nil else {
            self.turn?.isSettled = false
            return
        }
        self.turn = PipelineTurn(item: CallerItem(self.nextCaller), isByService: byService)
        self.nextCaller += 1
    }

    private mutating func speechStopped(since: Duration, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.isCallerSpeaking else { return }
        self.isCallerSpeaking = false
        self.endpointing.speechStopped(since: since)
        output.event(.callerSpeechStopped)
        self.streaming?.settle(&output)
        self.reviewTurn(at: now, &output)
    }

    // MARK: Words

    mutating func recogniserTold(_ event: RecogniserEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        switch event {
        case .ready:
            self.becomeReady(&output)
            // A socket that replaces another has been sent what the caller said, and the caller is silent meanwhile.
            if self.phase == .ready, self.turn != nil, !self.isCallerSpeaking { self.streaming?.settle(&output) }
        case .speechStarted: if self.detector == nil { self.speechStarted(byService: true, at: now, &output) }
        case .speechStopped:
            guard self.detector == nil || self.turn?.isByService ?? false else { break }
            self.speechStopped(since: now - .milliseconds(300), at: now, &output)
        case .interim(let text):
            guard self.phase == .ready, !text.isEmpty || self.turn != nil else { break }
            // Words that our detector did not hear: a soft caller is a caller.
            if self.turn == nil { self.speechStarted(byService: true, at: now, &output) }
            self.turn?.interim = text
            self.tellWords(&output)
        case .words(let text):
            guard self.phase == .ready, !text.isEmpty else { break }
            if self.turn == nil { self.speechStarted(byService: true, at: now, &output) }
            self.turn?.words.append(text)
            self.turn?.interim = ""
            self.tellWords(&output)
            self.reviewTurn(at: now, &output)
        case .settled:
            self.turn?.isSettled = true
            self.reviewTurn(at: now, &output)
        case .turnEnded:
            if self.isCallerSpeaking {
                self.isCallerSpeaking = false
                output.event(.callerSpeechStopped)
            }
            self.commitTurn(at: now, &output)
        case .failed(let failure): self.recogniserFailed(failure, at: now, &output)
        }
    }

    /// The conversation is told words as they come, so that an interruption can be confirmed by them. A recogniser
    /// that changes its mind is not followed: the final words replace all.
    private mutating func tellWords(_ output: inout AssistantOutput) {
        guard let turn = self.turn, turn.text.count > turn.told.count, turn.text.hasPrefix(turn.told) else { return }
        let news = String(turn.text.dropFirst(turn.told.count))
        self.turn?.told = turn.text
        output.event(.callerTranscript(turn.item, Redacted(news), isFinal: false))
    }

    /// Connected and deaf: another socket gets what this one did not hear.
    mutating func recogniserDeaf(at now: Duration, _ output: inout AssistantOutput) {
        guard let since = self.spokenTo.unansweredSince() else { return }
        guard self.recogniserHeardAt <= since else {
            // It hears, and understood nothing: noise, or another language.
            self.spokenTo.answered()
            return
        }
        let due = since + self.configuration.deafAfter
        guard now >= due else {
            // The caller went on speaking.
            self.setTimer(.deaf, at: due)
            return
        }
        self.streaming?.abandon(&output)
        self.recogniserFailed(AssistantFailure("recogniser-deaf", .retry), at: now, &output)
        if self.phase == .ready { self.setTimer(.deaf, at: now + self.configuration.deafAfter) }
    }

    private mutating func recogniserFailed(
        _ failure: AssistantFailure, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard self.phase == .ready, failure.isRetryable, self.streaming?.mayTryAgain ?? false else {
            self.fail(failure, &output)
            return
        }
        // Audio is kept meanwhile, and the conversation goes on.
        output.event(.failed(AssistantFailure(failure.slug, .ignore, detail: failure.detail.value)))
        do throws(SpeechPipelineError) {
            try self.streaming?.open(as: self.numbers.make(), at: now, &output)
        } catch {
            self.fail(AssistantFailure(error.slug, .failOver), &output)
        }
    }

    // MARK: Where a turn ends

    mutating func reviewTurn(at now: Duration, _ output: inout AssistantOutput) {
        guard let turn = self.turn, !self.isCallerSpeaking, !turn.isTranscribing,
            let due = self.endpointing.deadline(words: turn.text)
        else { return }
        // An engine of this machine writes while the wait goes on, which costs nobody anything: the words are there at
        // its end, and how they end helps to decide it. A caller who goes on is written down again as a whole.
        let isEager = self.batch != nil && self.configuration.recogniser.isLocal && !turn.isSettled
        guard now >= due || isEager else {
            self.setTimer(.turn, at: due)
            return
        }
        if self.batch != nil, !turn.isSettled {
            self.turn?.isTranscribing = true
            self.setTimer(.transcription, at: now + self.configuration.transcriptionDeadline)
            do throws(SpeechPipelineError) {
                self.heardBytes &+= self.batch?.recordedBytes ?? 0
                try self.batch?.transcribe(as: self.numbers.make(), &output)
            } catch {
                self.fail(AssistantFailure(error.slug, .failOver), &output)
            }
            return
        }
        // While the socket is being replaced no words can come: they are waited for, and the ladder bounds the wait.
        if let streaming = self.streaming, !streaming.isConnected, turn.text.isEmpty {
            self.setTimer(.turn, at: now + Self.settleTime)
            return
        }
        let isCertain = self.batch != nil || turn.interim.isEmpty && (turn.isSettled || !turn.words.isEmpty)
        if isCertain || now >= due + Self.settleTime {
            self.commitTurn(at: now, &output)
        } else {
            self.setTimer(.turn, at: due + Self.settleTime)
        }
    }

    mutating func transcribed(
        _ outcome: BatchRecogniser.Outcome, at now: Duration, _ output: inout AssistantOutput
    ) {
        switch outcome {
        case .pending: break
        case .words(let text):
            self.setTimer(.transcription, at: nil)
            self.turn?.words = [text]
            self.turn?.isSettled = true
            self.turn?.isTranscribing = false
            self.tellWords(&output)
            self.reviewTurn(at: now, &output)
        case .again:
            self.turn?.isTranscribing = false
            self.reviewTurn(at: now, &output)
        case .failed(let failure): self.fail(failure, &output)
        }
    }

    /// The turn is over. Without words it was none: a cough, a door.
    mutating func commitTurn(at now: Duration, _ output: inout AssistantOutput) {
        guard let turn = self.turn else { return }
        let text = turn.text
        self.turn = nil
        self.batch?.forget()
        self.setTimer(.turn, at: nil)
        self.endpointing.committed(at: now)
        guard text.contains(where: { $0.isLetter || $0.isNumber }) else { return }
        self.rounds = 0
        self.memory.caller(text)
        output.event(.callerTurnCommitted(turn.item))
        output.event(.callerTranscript(turn.item, Redacted(text), isFinal: true))
        if !self.setup.turns.drivenByUs { self.want(.model(task: nil), at: now, &output) }
    }

    mutating func dropTurn(_ output: inout AssistantOutput) {
        self.turn = nil
        self.setTimer(.turn, at: nil)
        self.setTimer(.transcription, at: nil)
        self.batch?.close(&output)
        self.batch?.forget()
    }
}
