import Telephony

/// One session with an ElevenLabs agent (providers.md §2) as a value.
///
/// ```
/// idle ─start▶ signing ─signed URL▶ connecting ─opened▶ configuring ─metadata▶ ready ─▶ ended
///         └──────── public agent ────────▲
/// ```
/// The agent finds the turns, interrupts and remembers by itself; its formats are what its metadata event says. µ-law
/// at 8 kHz is passed through where the agent is set so and the leg has it: the conversation transcodes nothing then.
///
/// There is no event for the end of a reply (`agent_response_complete` is listed, and used where it comes): a reply is
/// over when no audio has come for a while. An agent that hangs up closes with 1000, which is passed on as the tool
/// `end_call`.
package struct ElevenLabsAgentsMachine: AssistantMachine {
    enum Phase: Sendable, Equatable {
        /// Leaves by `start`.
        case idle
        /// The signed URL is asked for. Leaves by its answer or the deadline.
        case signing
        /// Leaves by `.opened`, the deadline or the socket's end.
        case connecting
        /// The initiation is sent. Leaves by the metadata event, a close or the deadline.
        case configuring
        /// Leaves by `finish` or the socket's end: there is no resumption.
        case ready
        /// Nothing leaves it, and nothing is said any more.
        case ended
    }

    /// What can be due.
    enum Timer: Int, CaseIterable, Sendable {
        case setUp
        /// No more audio has come: the reply is over.
        case replyPause
        /// The agent was to greet by itself, and does not.
        case greeting
        case deaf
        case silence
    }

    /// What was seen and had no consequence. For the debug log and metrics.
    package struct Counters: Sendable, Equatable {
        package var unknownEvents = 0
        package var garbledMessages = 0
        package var droppedAudio = 0
        package init() {}
    }

    /// The reply that is coming.
    struct Reply: Sendable {
        var item: Int
        var text: String?
        var pieces = ""
        var receivedBytes = 0
    }

    /// What the conversation wants said.
    enum Wanted: Sendable, Equatable {
        case greeting, reply
        case say(Redacted<String>)
    }

    /// So much garbage is a broken server, not an accident.
    static let garbageLimit = 16
    static let toolLimit = 64
    static let queueLimit = 8
    static let historyEntries = 100
    static let historyCharacters = 24_000
    /// The signed URL's answer is some hundred bytes.
    static let answerLimit = 16 * 1024
    static let signing = ChannelID(1)
    /// An agent that is to greet by itself is given so long.
    static let greetingPatience: Duration = .seconds(2)
    /// A reply's text may come well before its first audio.
    static let textLead: Duration = .seconds(5)
    /// Silence is sent in pieces of this length.
    static let silencePiece: Duration = .milliseconds(240)

    package let capabilities: AssistantCapabilities
    package internal(set) var counters = Counters()

    let configuration: ElevenLabsAgentsConfiguration
    let setup: AssistantSetup
    let messages: ElevenLabsAgentsMessages

    var phase: Phase = .idle
    var timers = MachineTimers<Timer>()
    /// When the conversation began.
    var readySince: Duration?
    var input: AudioFormat = .l16(.wideband)
    var output: AudioFormat = .l16(.wideband)
    /// An error after which the socket's end has a known reason.
    var cause: AssistantFailure?
    private var answer: [UInt8] = []
    private var answerStatus = 0

    var reply: Reply?
    var lastItem = 0
    /// Events up to this id were interrupted: audio of theirs that comes later is dropped (providers.md §2.5).
    var interruptedThrough = -1
    /// What comes belongs to a reply that we stopped, or to a greeting that nobody wants.
    var isDropping = false
    /// When the audio so far will have sounded, if it is played as it comes: nearly when the agent is silent.
    var soundsUntil: Duration = .zero
    var queue: [Wanted] = []
    var openTools: [String] = []
    var closedTools: [String] = []
    var digits = ""
    var lastCallerItem = 0
    var hasToldCallerStart = false
    var spokenTo = SpokenTo()
    var lastFrame: Duration?
    var decoder = Base64Audio()

    package init(configuration: ElevenLabsAgentsConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.setup = setup
        self.messages = ElevenLabsAgentsMessages(configuration: configuration, setup: setup)
        self.capabilities = AssistantCapabilities(
            input: ElevenLabsAgentsFormat.all, output: ElevenLabsAgentsFormat.all, detectsTurns: true,
            needsHeardReport: false, canBePaused: false, usesTools: true, speaksVerbatim: false, maximumSession: nil)
    }

    // MARK: The call begins

    package mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .idle else { return }
        do throws(ElevenLabsAgentsConfigurationError) {
            switch try self.configuration.opening(agent: self.setup.model) {
            case .signedURL(let target):
                self.phase = .signing
                output.effects.append(.request(Self.signing, target))
            case .socket(let target):
                self.phase = .connecting
                output.effects.append(.connect(.main, target))
            }
            self.timers[.setUp] = now + self.configuration.connectDeadline
            self.timers.announce(&output)
        } catch {
            self.phase = .ended
            output.event(.failed(AssistantFailure(error.slug, .failOver)))
        }
    }

    /// An event of the request for the signed URL.
    mutating func signingEvent(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        switch event {
        case .responseHead(_, let status, _): self.answerStatus = status
        case .bytes(_, let bytes):
            guard self.answer.count + bytes.count <= Self.answerLimit else {
                output.effects.append(.close(Self.signing, code: 1000))
                return self.fail(AssistantFailure("signed-url-malformed", .failOver), isOpen: false, &output)
            }
            self.answer.append(contentsOf: bytes)
        case .closed(_, .finished): self.signed(at: now, &output)
        case .closed(_, let end): self.fail(ElevenLabsAgentsVerdicts.ofEnd(end), isOpen: false, &output)
        case .opened, .text, .binary, .recognised, .transcribed, .speech: break
        }
    }

    private mutating func signed(at now: Duration, _ output: inout AssistantOutput) {
        guard self.answerStatus == 200 else {
            let failure = ElevenLabsAgentsVerdicts.ofStatus(self.answerStatus)
            return self.fail(failure, isOpen: false, &output)
        }
        let url = self.answer.withUnsafeBytes { (try? JSONScan($0))?["signed_url"]?.string }
        self.answer.removeAll()
        do throws(ElevenLabsAgentsConfigurationError) {
            guard let url else { throw .malformedSignedURL }
            let target = try self.configuration.target(signed: url)
            self.phase = .connecting
            output.effects.append(.connect(.main, target))
            self.timers[.setUp] = now + self.configuration.connectDeadline
        } catch {
            self.fail(AssistantFailure(error.slug, .failOver), isOpen: false, &output)
        }
    }

    // MARK: The conversation asks

    package mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        if case .finish = command { return self.finish(&output) }
        guard self.phase == .ready else { return }
        switch command {
        case .respond(.greeting):
            // The agent says its first message by itself; only when it has none is it asked.
            if self.lastItem == 0 { self.timers[.greeting] = now + Self.greetingPatience }
        case .respond(.reply): if !self.queue.contains(.reply) { self.want(.reply) }
        case .respond(.say(let words)): self.want(.say(words))
        case .cancelResponse: self.cancelReply(at: now, &output)
        // The agent closes turns, keeps its own account of what was heard, and has no buffer to clear.
        case .commitCallerTurn, .clearCallerAudio, .truncate: break
        case .toolResult(let id, let result, let respond):
            if let index = self.openTools.firstIndex(of: id) {
                self.openTools.remove(at: index)
                if self.closedTools.count >= Self.toolLimit { self.closedTools.removeFirst() }
                self.closedTools.append(id)
                self.send(self.messages.toolResult(id: id, output: result.value), &output)
            } else if !self.closedTools.contains(id) {
                // A tool that the session before this one asked for: this one knows of no such call.
                self.send(self.messages.context("The tool that was used earlier answered: " + result.value), &output)
                if respond { self.want(.reply) }
            }
        case .inform(let text): self.send(self.messages.context(text.value), &output)
        case .digit(let digit): if self.digits.count < 64 { self.digits.append(digit.value) }
        case .finish: break
        }
        self.askNext(at: now, &output)
        self.timers.announce(&output)
    }

    private mutating func want(_ wanted: Wanted) {
        guard self.queue.count < Self.queueLimit else { return }
        self.queue.append(wanted)
    }

    /// Asks for what is wanted next, once the agent is silent.
    mutating func askNext(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.reply == nil, !self.isDropping, self.openTools.isEmpty, !self.queue.isEmpty
        else { return }
        var text =
            switch self.queue.removeFirst() {
            case .greeting: ElevenLabsAgentsMessages.greeting
            case .reply: ElevenLabsAgentsMessages.reply
            case .say(let words): ElevenLabsAgentsMessages.say(words.value)
            }
        if !self.digits.isEmpty {
            text = "(The caller pressed on the telephone's keypad: \(self.digits))\n\n" + text
            self.digits = ""
        }
        self.send(self.messages.prompt(text), &output)
    }

    /// There is no way to stop the agent: what still comes of this reply is dropped here.
    private mutating func cancelReply(at now: Duration, _ output: inout AssistantOutput) {
        guard self.reply != nil else { return }
        self.endReply(.cancelled, &output)
        self.soundsUntil = now
        self.isDropping = true
        self.timers[.replyPause] = now + self.configuration.replyPause
    }

    private mutating func finish(_ output: inout AssistantOutput) {
        let phase = self.phase
        self.phase = .ended
        switch phase {
        case .signing: output.effects.append(.close(Self.signing, code: 1000))
        case .connecting, .configuring, .ready: output.effects.append(.close(.main, code: 1000))
        case .idle, .ended: break
        }
        self.timers.clear()
        output.effects.append(.wake(at: nil))
    }

    /// A conversation is billed by its length, whatever is said in it.
    package func unreportedUsage(at now: Duration) -> [AssistantUsage] {
        guard let since = self.readySince else { return [] }
        var usage = AssistantUsage(service: "elevenlabs", model: "agents")
        usage.connected = max(.zero, now - since)
        return [usage]
    }

    // MARK: The caller's audio

    package mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard self.phase == .ready else { return }
        // Half a sample would shift every later one.
        let whole = UnsafeRawBufferPointer(rebasing: frame[..<(frame.count - frame.count % self.input.bytesPerSample)])
        guard !whole.isEmpty else { return }
        self.spokenTo.heard(whole, self.input, at: now)
        self.lastFrame = now
        self.append(whole, &output)
        if self.timers[.silence] == nil { self.timers[.silence] = now + self.configuration.silenceAfter }
        if let since = self.spokenTo.unansweredSince(), self.reply == nil, self.timers[.deaf] == nil,
            now > self.soundsUntil
        {
            self.timers[.deaf] = since + self.configuration.deafAfter
        }
        self.timers.announce(&output)
    }

    private mutating func append(_ audio: UnsafeRawBufferPointer, _ output: inout AssistantOutput) {
        let start = output.bytes.count
        // The one message without a type.
        JSONText.append("{\"user_audio_chunk\":\"", to: &output.bytes)
        Base64.encode(audio, into: &output.bytes)
        JSONText.append("\"}", to: &output.bytes)
        output.effects.append(.sendText(.main, start..<output.bytes.count))
    }

    // MARK: Time

    package mutating func wake(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        while let timer = self.timers.takeDue(at: now) {
            self.fired(timer, at: now, &output)
            if self.phase == .ended { return }
        }
        self.timers.spent()
        self.timers.announce(&output)
    }

    private mutating func fired(_ timer: Timer, at now: Duration, _ output: inout AssistantOutput) {
        switch timer {
        case .setUp:
            let slug =
                switch self.phase {
                case .signing: "signed-url-timeout"
                case .connecting: "connect-timeout"
                default: "configure-timeout"
                }
            if self.phase == .signing { output.effects.append(.close(Self.signing, code: 1000)) }
            self.fail(AssistantFailure(slug, .retry), isOpen: self.phase != .signing, &output)
        case .replyPause:
            // A pause is the end of a reply, unless far less sounded than its words take: then the rest is late, and the
            // conversation's patience with sound that does not come decides.
            if !self.isDropping, self.isReplyCutShort() { return }
            self.isDropping = false
            self.endReply(.completed, &output)
            self.askNext(at: now, &output)
        case .greeting:
            guard self.lastItem == 0, self.reply == nil else { return }
            self.want(.greeting)
            self.askNext(at: now, &output)
        case .deaf:
            guard self.reply == nil else { return }
            self.spokenTo.answered()
            self.callerTurn("", &output)
        case .silence: self.sendSilence(at: now, &output)
        }
    }

    private mutating func sendSilence(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready else { return }
        let due = (self.lastFrame ?? now) + self.configuration.silenceAfter
        guard now >= due else {
            self.timers[.silence] = due
            return
        }
        let silence = [UInt8](
            repeating: self.input.encoding.silence, count: self.input.bytes(in: Self.silencePiece))
        silence.withUnsafeBytes { self.append($0, &output) }
        self.timers[.silence] = now + Self.silencePiece
    }

    // MARK: Common steps

    mutating func send(_ message: JSONValue, _ output: inout AssistantOutput) {
        let start = output.bytes.count
        message.write(into: &output.bytes)
        output.effects.append(.sendText(.main, start..<output.bytes.count))
    }

    /// Nobody says a hundred letters a second: the server is late with the rest.
    private func isReplyCutShort() -> Bool {
        guard let reply = self.reply, reply.receivedBytes > 0, let text = reply.text, text.utf8.count >= 20
        else { return false }
        return self.output.duration(ofBytes: reply.receivedBytes) < .milliseconds(10) * text.utf8.count
    }

    /// The reply is over; nothing when none is coming.
    mutating func endReply(_ outcome: ResponseOutcome, _ output: inout AssistantOutput) {
        self.timers[.replyPause] = nil
        guard let reply = self.reply else { return }
        self.reply = nil
        if reply.receivedBytes > 0 { output.event(.agentAudioFinished(AgentItem(reply.item))) }
        if reply.text == nil, !reply.pieces.isEmpty {
            output.event(.agentTranscript(AgentItem(reply.item), Redacted(reply.pieces), isFinal: true))
        }
        output.event(.responseFinished(outcome))
    }

    /// The caller's turn is closed, with these words (empty: none are known).
    mutating func callerTurn(_ words: String, _ output: inout AssistantOutput) {
        self.timers[.deaf] = nil
        self.lastCallerItem += 1
        let item = CallerItem(self.lastCallerItem)
        output.event(.callerSpeechStopped)
        self.hasToldCallerStart = false
        output.event(.callerTurnCommitted(item))
        if !words.isEmpty { output.event(.callerTranscript(item, Redacted(words), isFinal: true)) }
    }

    /// The session is over by a fault.
    mutating func fail(_ failure: AssistantFailure, isOpen: Bool = true, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        self.phase = .ended
        self.timers.clear()
        if isOpen { output.effects.append(.close(.main, code: 1000)) }
        output.event(.failed(failure))
        output.effects.append(.wake(at: nil))
    }
}
