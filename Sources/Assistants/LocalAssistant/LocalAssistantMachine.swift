import Telephony

/// The assistant that needs no network: a closed grammar for the ears, espeak-ng for the voice, a keypad menu always.
///
/// It opens a detector and a recogniser for the whole call and one synthesiser job a sentence. The engines' threads
/// are the shell's affair; here is only what to say and what was meant. A missing recogniser leaves the keypad.
///
/// Transfers and the end of the call leave as tool calls (`transfer_call`, `end_call`, `take_message`), after the
/// words that announce them.
package struct LocalAssistantMachine: AssistantMachine {
    /// Where the dialogue is. Replies run beside it: a caller may speak or press a key during any of them.
    enum Phase: Sendable, Equatable {
        /// Before `start`.
        case idle
        /// Open for anything. Leaves to `confirming` on an unsure choice, to `leaving` on a transfer or farewell, to
        /// `takingMessage` on the wish for one.
        case listening
        /// "Did you say sales?" Yes acts, no asks again, another choice counts by itself.
        case confirming(LocalIntent)
        /// A message is being spoken; `#` or a hang-up ends it. The recording is the conversation's.
        case takingMessage
        /// A tool that ends our part was asked for; a failed one leads back to `listening`.
        case leaving
        /// `finish` was asked for: nothing more is said or done.
        case finished
    }

    package let capabilities: AssistantCapabilities
    let configuration: LocalAssistantConfiguration
    let setup: AssistantSetup
    let language: SpokenLanguage
    let grammar: LocalGrammar
    let takesMessages: Bool

    var phase: Phase = .idle
    var reply: LocalReply?
    /// Replies already delivered that may still be playing, for `truncate`; bounded.
    var delivered: [LocalReply] = []
    /// What "repeat" says again.
    var lastSaid: [String] = []
    var nextChannel = 1
    var nextItem = 1
    var nextCaller = 1
    var nextTool = 1
    var detector: ChannelID?
    var recogniser: ChannelID?
    /// Tool call id → name, for those unanswered; bounded by the conversation answering each.
    var pendingTools: [String: String] = [:]
    /// Caller turns not understood in a row.
    var misses = 0
    /// What was understood of a turn that we were not yet asked to answer (`drivenByUs`).
    var understood: Understanding?
    /// `respond(.reply)` came before the recogniser's result.
    var owesReply = false
    /// When a promised engine result is overdue.
    var deadline: Duration?

    /// The result of one turn.
    enum Understanding: Sendable, Equatable {
        case nothing
        case choice(LocalIntent, confidence: Double)
    }

    /// How long an engine may take for its first sound or result: far more than it needs (espeak-ng 20 ms, a
    /// decoding 200 ms) and still shorter than a caller's patience.
    static let patience: Duration = .seconds(4)

    package init(configuration: LocalAssistantConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.setup = setup
        self.language = SpokenLanguage(tag: setup.language)
        self.takesMessages = setup.tools.contains { $0.name == "take_message" }
        self.grammar = LocalGrammar(configuration, language: self.language, takesMessages: self.takesMessages)
        self.capabilities = AssistantCapabilities(
            input: [setup.legFormat], output: [setup.legFormat], detectsTurns: true, needsHeardReport: true,
            canBePaused: true, usesTools: true, speaksVerbatim: true, maximumSession: nil, answersDigits: true)
    }

    // MARK: Events in the order they occur on a call

    package mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .idle else { return }
        self.phase = .listening
        let detector = self.newChannel()
        let recogniser = self.newChannel()
        self.detector = detector
        self.recogniser = recogniser
        output.effects.append(
            .detect(
                detector,
                DetectionRequest(
                    format: self.setup.legFormat, threshold: self.setup.turns.threshold,
                    silence: self.setup.turns.silence)))
        output.effects.append(
            .recognise(
                recogniser,
                RecognitionRequest(
                    language: self.language.rawValue, grammar: self.grammar.text, format: self.setup.legFormat)))
        output.event(.ready(input: self.setup.legFormat, output: self.setup.legFormat))
    }

    package mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .idle, self.phase != .finished else { return }
        switch command {
        case .respond(.greeting):
            let greeting: String = self.setup.greeting ?? self.sentence(.greeting)
            self.say(SentenceSplitter.split(greeting), at: now, &output)
        case .respond(.say(let text)):
            self.say(SentenceSplitter.split(text.value), at: now, &output)
        case .respond(.reply):
            if let understood = self.understood {
                self.understood = nil
                self.answer(understood, at: now, &output)
            } else if self.recogniser != nil {
                self.owesReply = true
                self.expect(at: now, &output)
            } else {
                self.offerKeypad(at: now, &output)
            }
        case .commitCallerTurn:
            // The recogniser closes turns by itself: nothing is waiting for a commit.
            break
        case .clearCallerAudio:
            self.understood = nil
            self.owesReply = false
        case .cancelResponse:
            // The caller stopped the announcement of a transfer: it is not asked for, and we listen again.
            if self.phase == .leaving, self.reply != nil { self.phase = .listening }
            self.cancelReply(&output)
            self.rearm(&output)
        case .truncate(let item, let heard):
            self.truncate(item, heard: heard)
        case .toolResult(let id, _, let respond):
            self.toolAnswered(id, respond: respond, at: now, &output)
        case .inform:
            // No model to inform: what this assistant knows is its configuration.
            break
        case .digit(let digit):
            self.pressed(digit.value, at: now, &output)
        case .finish:
            self.finish(&output)
        }
    }

    /// The engines are fed by the shell from the same frames; the machine has no use for samples.
    package mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {}

    package mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .finished else { return }
        switch event {
        case .speech(let channel, let isSpeaking) where channel == self.detector:
            output.event(isSpeaking ? .callerSpeechStarted : .callerSpeechStopped)
            // Without ears a spoken turn can only be answered with the keypad.
            if !isSpeaking, self.recogniser == nil { self.turnEnded(words: "", .nothing, at: now, &output) }
        case .recognised(let channel, let words, let confidence) where channel == self.recogniser:
            self.recognised(words.value, confidence: confidence, at: now, &output)
        case .bytes(let channel, let audio) where channel == self.reply?.channel:
            self.speak(audio, &output)
        case .closed(let channel, let end):
            self.closed(channel, end, at: now, &output)
        default:
            // A late event of a job that was closed, or `opened`: nothing depends on it.
            break
        }
    }

    package mutating func wake(at now: Duration, _ output: inout AssistantOutput) {
        guard let deadline = self.deadline, now >= deadline, self.phase != .finished else { return }
        self.deadline = nil
        if let channel = self.reply?.channel {
            output.effects.append(.close(channel, code: 1000))
            self.sentenceFailed("voice-timeout", at: now, &output)
        } else if self.owesReply {
            self.owesReply = false
            self.answer(.nothing, at: now, &output)
        }
    }

    // MARK: Hearing

    mutating func recognised(
        _ words: String, confidence: Double, at now: Duration, _ output: inout AssistantOutput
    ) {
        // NaN fails every comparison: it counts as not understood.
        let least: Double = self.configuration.leastConfidence ?? self.language.leastConfidence
        guard confidence >= least, let intent = self.grammar.intent(of: words) else {
            self.turnEnded(words: "", .nothing, at: now, &output)
            return
        }
        self.turnEnded(words: words, .choice(intent, confidence: confidence), at: now, &output)
    }

    /// A turn is closed. It is answered now, unless the conversation drives the turns: then when it says so.
    mutating func turnEnded(
        words: String, _ understanding: Understanding, at now: Duration, _ output: inout AssistantOutput
    ) {
        let item = CallerItem(self.nextCaller)
        self.nextCaller += 1
        output.event(.callerTurnCommitted(item))
        output.event(.callerTranscript(item, Redacted(words), isFinal: true))
        // While a message is spoken every word belongs to it.
        if self.phase == .takingMessage || self.phase == .leaving { return }
        if self.setup.turns.drivenByUs, !self.owesReply {
            // A later talkspurt of the same turn replaces an earlier one, unless it says nothing.
            if understanding != .nothing || self.understood == nil { self.understood = understanding }
        } else {
            self.owesReply = false
            self.answer(understanding, at: now, &output)
        }
    }

    // MARK: Speaking

    mutating func say(
        _ sentences: [String], then sequel: LocalReply.Sequel = .nothing, at now: Duration,
        _ output: inout AssistantOutput
    ) {
        self.cancelReply(&output)
        let reply = LocalReply(item: AgentItem(self.nextItem), sentences: sentences, sequel: sequel)
        self.nextItem += 1
        self.reply = reply
        if !sentences.isEmpty { self.lastSaid = sentences }
        output.event(.responseStarted)
        self.nextSentence(at: now, &output)
    }

    /// Starts the sentence that is due, or ends the reply.
    mutating func nextSentence(at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        guard reply.current < reply.sentences.count else {
            self.replyDelivered(reply, &output)
            return
        }
        let channel = self.newChannel()
        self.reply?.channel = channel
        output.effects.append(
            .synthesise(
                channel,
                SpeechRequest(
                    text: reply.sentences[reply.current], language: self.setup.language, voice: self.setup.voice,
                    format: self.setup.legFormat)))
        self.expect(at: now, &output)
    }

    mutating func speak(_ audio: UnsafeRawBufferPointer, _ output: inout AssistantOutput) {
        guard let item = self.reply?.item, !audio.isEmpty else { return }
        let start: Int = output.bytes.count
        output.bytes.append(contentsOf: audio)
        output.effects.append(.audio(item, start..<output.bytes.count))
        self.reply?.bytes &+= audio.count
        if self.deadline != nil { self.disarm(&output) }
    }

    mutating func replyDelivered(_ reply: LocalReply, _ output: inout AssistantOutput) {
        self.reply = nil
        self.disarm(&output)
        if !reply.sentences.isEmpty {
            output.event(.agentAudioFinished(reply.item))
            output.event(.agentTranscript(reply.item, Redacted(reply.text), isFinal: true))
            if self.delivered.count >= 8 { self.delivered.removeFirst() }
            self.delivered.append(reply)
        }
        if case .tool(let name, let arguments) = reply.sequel { self.call(tool: name, arguments: arguments, &output) }
        output.event(.responseFinished(.completed))
    }

    mutating func call(tool name: String, arguments: String, _ output: inout AssistantOutput) {
        let id = "local-\(self.nextTool)"
        self.nextTool += 1
        self.pendingTools[id] = name
        output.event(.toolCalled(ToolCall(id: id, name: name, arguments: arguments)))
    }

    /// Ends the reply under way. A tool that it announced is not called: the caller stopped the announcement.
    mutating func cancelReply(_ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        if let channel = reply.channel { output.effects.append(.close(channel, code: 1000)) }
        self.reply = nil
        if !reply.ends.isEmpty || reply.bytes > 0 {
            if self.delivered.count >= 8 { self.delivered.removeFirst() }
            self.delivered.append(reply)
        }
        output.event(.responseFinished(.cancelled))
    }

    /// A question that was not heard has not been asked: "yes" must not answer it.
    mutating func truncate(_ item: AgentItem, heard: Duration) {
        guard let index = self.delivered.firstIndex(where: { $0.item == item }) else { return }
        let reply: LocalReply = self.delivered.remove(at: index)
        let bytes: Int = self.setup.legFormat.bytes(in: min(max(heard, .zero), .seconds(3600)))
        let isWhole: Bool = bytes >= reply.bytes
        if !isWhole, reply.heard(bytes: bytes).isEmpty, bytes * 2 < reply.bytes, case .confirming = self.phase,
            reply.item.number == self.nextItem - 1
        {
            self.phase = .listening
        }
    }

    // MARK: Engines

    mutating func closed(
        _ channel: ChannelID, _ end: ChannelEnd, at now: Duration, _ output: inout AssistantOutput
    ) {
        if channel == self.reply?.channel {
            if case .finished = end, let reply = self.reply {
                self.reply?.channel = nil
                self.reply?.isRetry = false
                self.reply?.ends.append(reply.bytes)
                self.reply?.current += 1
                let spoken: String = reply.sentences[reply.current]
                output.event(.agentTranscript(reply.item, Redacted(spoken + " "), isFinal: false))
                self.nextSentence(at: now, &output)
            } else {
                self.sentenceFailed("voice-failed", at: now, &output)
            }
        } else if channel == self.recogniser {
            self.recogniser = nil
            output.event(.failed(AssistantFailure("local-recogniser-\(Self.slug(end))", .ignore)))
            if self.owesReply {
                self.owesReply = false
                self.offerKeypad(at: now, &output)
            }
        } else if channel == self.detector {
            self.detector = nil
            output.event(.failed(AssistantFailure("local-detector-\(Self.slug(end))", .ignore)))
        }
    }

    /// Once more, when nothing of the sentence has sounded; then the next assistant (or a human) has to speak.
    mutating func sentenceFailed(_ slug: String, at now: Duration, _ output: inout AssistantOutput) {
        guard var reply = self.reply else { return }
        reply.channel = nil
        if !reply.isRetry, reply.bytes == (reply.ends.last ?? 0) {
            reply.isRetry = true
            self.reply = reply
            self.nextSentence(at: now, &output)
            return
        }
        self.reply = nil
        self.disarm(&output)
        // The caller must not lose a transfer to a mute voice.
        if case .tool(let name, let arguments) = reply.sequel {
            self.call(tool: name, arguments: arguments, &output)
        } else if self.phase == .leaving {
            self.phase = .listening
        }
        output.event(.responseFinished(.failed(AssistantFailure("local-\(slug)", .failOver))))
    }

    static func slug(_ end: ChannelEnd) -> String {
        switch end {
        case .finished, .closed: "closed"
        case .refused: "refused"
        case .failed(let slug): slug
        }
    }

    mutating func finish(_ output: inout AssistantOutput) {
        for channel in [self.reply?.channel, self.recogniser, self.detector] {
            if let channel { output.effects.append(.close(channel, code: 1000)) }
        }
        self.phase = .finished
        self.reply = nil
        self.recogniser = nil
        self.detector = nil
        self.delivered = []
        self.deadline = nil
        output.effects.append(.wake(at: nil))
    }

    // MARK: Small steps

    func sentence(_ sentence: Sentence) -> String { SentenceCatalogue.text(sentence, in: self.language) }

    mutating func newChannel() -> ChannelID {
        defer { self.nextChannel += 1 }
        return ChannelID(self.nextChannel)
    }

    mutating func expect(at now: Duration, _ output: inout AssistantOutput) {
        self.deadline = now + Self.patience
        output.effects.append(.wake(at: self.deadline))
    }

    mutating func disarm(_ output: inout AssistantOutput) {
        guard self.deadline != nil else { return }
        self.deadline = nil
        output.effects.append(.wake(at: nil))
    }

    /// After a cancellation the only promise left may be a recognition.
    mutating func rearm(_ output: inout AssistantOutput) {
        if !self.owesReply { self.disarm(&output) }
    }
}
