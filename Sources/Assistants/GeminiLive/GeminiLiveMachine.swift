import Telephony

/// One session with Gemini Live (providers.md §3) as a value, over as many connections as it takes.
///
/// ```
/// idle ─start▶ connecting ─opened▶ configuring ─setupComplete▶ ready ─▶ ended
///                   ▲                                            │
///                   └────────── resume, with the handle ─────────┘
/// ```
/// A connection lives some ten minutes. The server hands out handles; on `goAway`, or when a connection is lost between
/// two replies, the machine goes on with the newest on a connection of its own accord. The caller's audio of that
/// moment is kept and sent after. The conversation hears of it only when that fails.
///
/// The server finds the turns and says little about them: that the caller's turn is closed shows by the reply. Where
/// the assistant detects none (`TurnDetection.Kind.none`), a turn is kept here and sent whole at `commitCallerTurn`.
package struct GeminiLiveMachine: AssistantMachine {
    enum Phase: Sendable, Equatable {
        /// Leaves by `start`.
        case idle
        /// Leaves by `.opened`, the deadline or the socket's end.
        case connecting
        /// `setup` is under way. Leaves by `setupComplete`, a close or the deadline.
        case configuring
        /// Leaves by `finish`, the socket's end, or back to `connecting` with a handle.
        case ready
        /// Nothing leaves it, and nothing is said any more.
        case ended
    }

    /// What can be due.
    enum Timer: Int, CaseIterable, Sendable {
        /// Connect, then configure.
        case setUp
        /// A stopped reply's end.
        case responseEnd
        /// The end of work that the server said goes on in the background.
        case interaction
        /// Words of the caller that nothing followed.
        case transcriptPause
        /// A spoken sentence that nothing followed.
        case deaf
        case streamPause
        /// The move to another connection cannot wait any longer.
        case resume
        /// The next attempt to resume.
        case reconnect
    }

    /// What was seen and had no consequence. For the debug log and metrics.
    package struct Counters: Sendable, Equatable {
        package var unknownMessages = 0
        package var garbledMessages = 0
        package var droppedAudio = 0
        package var resumptions = 0
        package init() {}
    }

    /// The reply that is being made.
    struct Reply: Sendable {
        /// Of the stretch of speech that is open; nil between two.
        var item: Int?
        var text = ""
        var receivedBytes = 0
        /// The model has made all of it; `turnComplete` may come much later, when it assumes that it was heard.
        var isGenerated = false
        /// Stopped by us, or by the caller: what still comes of it is dropped.
        var isStopped = false
        /// It called tools: their outcomes keep it alive.
        var usedTools = false
        var incomplete: String?
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
    /// Notes that are repeated in every `contextUpdate`.
    static let noteLimit = 32
    /// Of a replayed history: the newest entries, within the context window with room for the call.
    static let historyEntries = 100
    static let historyCharacters = 24_000
    /// Caller audio kept over a change of connections, or of a turn that we close ourselves.
    static let keptAudio: Duration = .seconds(30)
    static let input = AudioFormat.l16(.wideband)
    static let output = AudioFormat.l16(.realtime)

    package let capabilities: AssistantCapabilities
    package internal(set) var counters = Counters()

    let configuration: GeminiLiveConfiguration
    let setup: AssistantSetup
    let messages: GeminiLiveMessages
    private let refusal: GeminiLiveConfigurationError?

    var phase: Phase = .idle
    /// Of the connection that counts; earlier ones are closed and forgotten.
    var channel = ChannelID.main
    var timers = MachineTimers<Timer>()
    /// The session has been `ready` once: what follows is resumption.
    var isEstablished = false
    /// The newest handle that the server called resumable.
    var handle: String?
    var resumeAttempts = 0
    /// The connection will be cut: move at the next quiet moment.
    var isResumeWanted = false

    var reply: Reply?
    var lastItem = 0
    var queue: [Wanted] = []
    /// We asked for the reply that comes next: it answers no turn of the caller.
    var isAsked = false
    var openTools: [(id: String, name: String)] = []
    var closedTools: [String] = []
    /// Notes that wait for the next prompt, or that every `contextUpdate` repeats.
    var notes: [String] = []
    var digits = ""

    /// The caller's item that words belong to now.
    var callerItem: Int?
    var callerText = ""
    var isCallerItemCommitted = false
    var lastCallerItem = 0
    var hasToldCallerStart = false
    var spokenTo = SpokenTo()
    var replyBegan: Duration?
    /// Caller audio that waits for a connection, or for the end of the turn that we close.
    private var kept: [UInt8] = []
    private var lastFrame: Duration?
    private var isStreamPaused = false
    var decoder = Base64Audio()

    package init(configuration: GeminiLiveConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.setup = setup
        let name = setup.model ?? configuration.model
        var refusal: GeminiLiveConfigurationError?
        var resource = name
        do throws(GeminiLiveConfigurationError) {
            try configuration.check(model: name, turns: setup.turns)
            resource = try configuration.resource(of: name)
        } catch { refusal = error }
        self.refusal = refusal
        self.messages = GeminiLiveMessages(
            configuration: configuration, setup: setup, model: GeminiLiveModel(name), resource: resource)
        let isManual = setup.turns.kind == .none
        self.capabilities = AssistantCapabilities(
            input: [Self.input], output: [Self.output], detectsTurns: !isManual, needsHeardReport: false,
            canBePaused: isManual, usesTools: true, speaksVerbatim: false, maximumSession: nil)
    }

    var isManual: Bool { self.setup.turns.kind == .none }

    // MARK: The call begins

    package mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .idle else { return }
        if let refusal = self.refusal {
            self.phase = .ended
            output.event(.failed(AssistantFailure(refusal.slug, .failOver)))
            return
        }
        self.connect(at: now, &output)
        self.timers.announce(&output)
    }

    mutating func connect(at now: Duration, _ output: inout AssistantOutput) {
        guard let target = try? self.configuration.target() else { return }
        self.phase = .connecting
        output.effects.append(.connect(self.channel, target))
        self.timers[.setUp] = now + self.configuration.connectDeadline
    }

    // MARK: The conversation asks

    package mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        if case .finish = command { return self.finish(&output) }
        guard self.isEstablished, self.phase != .ended else { return }
        switch command {
        case .respond(let request):
            switch request {
            case .greeting: self.want(.greeting)
            case .reply: self.want(.reply)
            case .say(let words): self.want(.say(words))
            }
        case .commitCallerTurn: self.commitCallerTurn(at: now, &output)
        case .clearCallerAudio: if self.isManual { self.kept.removeAll(keepingCapacity: true) }
        case .cancelResponse: self.cancelReply(at: now)
        // The server corrects its own memory when it is interrupted (providers.md §3.4); there is no report.
        case .truncate: break
        case .toolResult(let id, let result, let respond):
            self.toolAnswered(id, result.value, respond: respond, at: now, &output)
        case .inform(let text): self.inform(text.value, &output)
        case .digit(let digit):
            if self.digits.count < 64 { self.digits.append(digit.value) }
        case .finish: break
        }
        self.askNext(at: now, &output)
        self.timers.announce(&output)
    }

    private mutating func want(_ wanted: Wanted) {
        guard self.queue.count < Self.queueLimit else { return }
        // One reply answers all that came before it.
        if wanted == .reply, self.queue.contains(.reply) { return }
        self.queue.append(wanted)
    }

    /// Asks for what is wanted next, once the model is free.
    mutating func askNext(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.openTools.isEmpty, self.reply?.isGenerated ?? true, !self.isAsked,
            let next = self.queue.first
        else { return }
        // A turn of the caller that has just been closed is being answered already.
        self.queue.removeFirst()
        var text: String
        switch next {
        case .greeting: text = self.messages.greeting()
        case .say(let words): text = self.messages.say(words.value)
        case .reply: text = GeminiLiveMessages.reply
        }
        if !self.digits.isEmpty {
            text = "(The caller pressed on the telephone's keypad: \(self.digits))\n\n" + text
            self.digits = ""
        }
        if !self.messages.model.takesContextUpdates, !self.notes.isEmpty {
            text = self.notes.map { "(\($0))\n\n" }.joined() + text
            self.notes.removeAll()
        }
        self.isAsked = true
        self.endReply(.completed, &output)
        self.send(self.messages.prompt(text), &output)
    }

    private mutating func inform(_ text: String, _ output: inout AssistantOutput) {
        if self.notes.count >= Self.noteLimit { self.notes.removeFirst() }
        self.notes.append(text)
        guard self.phase == .ready, let message = self.messages.note(text, all: self.notes) else { return }
        if !self.messages.model.takesContextUpdates { self.notes.removeAll() }
        self.send(message, &output)
    }

    /// There is no way to stop the model: what still comes of this reply is dropped here.
    private mutating func cancelReply(at now: Duration) {
        guard self.reply != nil || self.isAsked else { return }
        if self.reply == nil { self.reply = Reply() }
        self.isAsked = false
        self.reply?.isStopped = true
        self.timers[.interaction] = nil
        self.timers[.responseEnd] = now + self.configuration.cancelDeadline
    }

    private mutating func toolAnswered(
        _ id: String, _ result: String, respond: Bool, at now: Duration, _ output: inout AssistantOutput
    ) {
        if let index = self.openTools.firstIndex(where: { $0.id == id }) {
            let tool = self.openTools.remove(at: index)
            if self.closedTools.count >= Self.toolLimit { self.closedTools.removeFirst() }
            self.closedTools.append(id)
            self.send(self.messages.toolResponse(id: id, name: tool.name, output: result), &output)
            // What the model makes of it belongs to the same reply.
            if self.openTools.isEmpty { self.timers[.interaction] = now + self.configuration.interactionDeadline }
        } else if !self.closedTools.contains(id) {
            // A tool that the session before this one asked for: this one knows of no such call.
            self.inform("The tool that was used earlier answered: " + result, &output)
            if respond { self.want(.reply) }
        }
    }

    private mutating func finish(_ output: inout AssistantOutput) {
        let isConnected = self.phase != .idle && self.phase != .ended && self.timers[.reconnect] == nil
        self.phase = .ended
        if isConnected { output.effects.append(.close(self.channel, code: 1000)) }
        self.timers.clear()
        output.effects.append(.wake(at: nil))
    }

    // MARK: The caller's audio

    package mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard self.isEstablished, self.phase != .ended, frame.count >= 2 else { return }
        // Half a sample would shift every later one.
        let whole = UnsafeRawBufferPointer(rebasing: frame[..<(frame.count & ~1)])
        self.spokenTo.heard(whole, Self.input, at: now)
        self.lastFrame = now
        if self.isManual || self.phase != .ready {
            self.keep(whole)
            return
        }
        self.append(whole, &output)
        self.isStreamPaused = false
        if self.timers[.streamPause] == nil {
            self.timers[.streamPause] = now + self.configuration.streamPause
            self.timers.announce(&output)
        }
        if let since = self.spokenTo.unansweredSince(), self.reply == nil, !self.isAsked, self.timers[.deaf] == nil,
            self.timers[.transcriptPause] == nil
        {
            self.timers[.deaf] = since + self.configuration.deafAfter
            self.timers.announce(&output)
        }
        if self.isResumeWanted { self.resumeIfQuiet(at: now, &output) }
    }

    private mutating func append(_ audio: UnsafeRawBufferPointer, _ output: inout AssistantOutput) {
        let start = output.bytes.count
        JSONText.append(
            "{\"realtimeInput\":{\"audio\":{\"mimeType\":\"audio/pcm;rate=16000\",\"data\":\"", to: &output.bytes)
        Base64.encode(audio, into: &output.bytes)
        JSONText.append("\"}}}", to: &output.bytes)
        output.effects.append(.sendText(self.channel, start..<output.bytes.count))
    }

    private mutating func keep(_ audio: UnsafeRawBufferPointer) {
        let limit = Self.input.bytes(in: Self.keptAudio)
        if self.kept.count + audio.count > limit { self.kept.removeFirst(min(self.kept.count, audio.count)) }
        self.kept.append(contentsOf: audio)
    }

    /// Sends what was kept, half a second a message.
    mutating func sendKept(_ output: inout AssistantOutput) {
        let kept = self.kept
        self.kept = []
        let piece = Self.input.bytes(in: .milliseconds(500))
        kept.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + piece)
                self.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), &output)
                start = end
            }
        }
    }

    /// Without the server's detector a turn goes out whole: what was only a cough was never sent.
    private mutating func commitCallerTurn(at now: Duration, _ output: inout AssistantOutput) {
        guard self.isManual, self.phase == .ready, self.kept.count >= Self.input.bytes(in: .milliseconds(100)) else {
            return
        }
        self.send(GeminiLiveMessages.activityStart, &output)
        self.sendKept(&output)
        self.send(GeminiLiveMessages.activityEnd, &output)
        // The answer is on its way by itself.
        self.queue.removeAll { $0 == .reply }
        self.isAsked = true
        self.openCallerItem()
        self.isCallerItemCommitted = true
        output.event(.callerTurnCommitted(CallerItem(self.lastCallerItem)))
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
            let slug = self.phase == .connecting ? "connect-timeout" : "configure-timeout"
            self.fail(AssistantFailure(slug, .retry), &output)
        case .responseEnd, .interaction:
            self.endReply(self.reply?.isStopped ?? false ? .cancelled : .completed, &output)
            self.askNext(at: now, &output)
        case .transcriptPause, .deaf:
            // Closed or not, the caller waits: the conversation's deadline for the first audio begins.
            guard self.reply == nil else { return }
            self.spokenTo.answered()
            self.closeCallerTurn(&output)
        case .streamPause:
            guard let last = self.lastFrame, self.phase == .ready, !self.isStreamPaused else { return }
            let due = last + self.configuration.streamPause
            guard now >= due else {
                self.timers[.streamPause] = due
                return
            }
            self.isStreamPaused = true
            self.send(GeminiLiveMessages.audioStreamEnd, &output)
        case .resume: self.resume(at: now, &output)
        case .reconnect: self.connect(at: now, &output)
        }
    }

    // MARK: Common steps

    mutating func send(_ message: JSONValue, _ output: inout AssistantOutput) {
        let start = output.bytes.count
        message.write(into: &output.bytes)
        output.effects.append(.sendText(self.channel, start..<output.bytes.count))
    }

    /// The session is over by a fault.
    mutating func fail(_ failure: AssistantFailure, isOpen: Bool = true, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        let isConnected = isOpen && self.timers[.reconnect] == nil
        self.phase = .ended
        self.timers.clear()
        if isConnected { output.effects.append(.close(self.channel, code: 1000)) }
        output.event(.failed(failure))
        output.effects.append(.wake(at: nil))
    }

    // MARK: From one connection to the next

    /// Nobody speaks and nothing is owed: the moment to change connections.
    mutating func resumeIfQuiet(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.handle != nil, self.reply == nil, !self.isAsked, self.queue.isEmpty,
            self.openTools.isEmpty, self.callerItem == nil || self.isCallerItemCommitted,
            !self.spokenTo.hasJustSpoken(within: .milliseconds(600), at: now)
        else { return }
        self.resume(at: now, &output)
        self.timers.announce(&output)
    }

    /// On a new connection with the newest handle. The old one is closed first: two of one session end with 1011.
    mutating func resume(at now: Duration, _ output: inout AssistantOutput) {
        guard self.handle != nil, self.openTools.isEmpty, self.reply?.isGenerated ?? true, !self.isAsked else {
            // In the middle of a reply no handle knows of it: a new session is told the conversation instead.
            self.fail(AssistantFailure("session-limit", .retry), &output)
            return
        }
        self.endReply(.completed, &output)
        output.effects.append(.close(self.channel, code: 1000))
        self.leaveConnection()
        self.connect(at: now, &output)
    }

    private mutating func leaveConnection() {
        self.channel = ChannelID(self.channel.number + 1)
        self.isResumeWanted = false
        self.timers[.resume] = nil
        self.timers[.streamPause] = nil
        self.timers[.deaf] = nil
        self.counters.resumptions &+= 1
    }

    /// The connection is gone. True: another one takes over.
    mutating func resumeAfterLoss(_ failure: AssistantFailure, at now: Duration, _ output: inout AssistantOutput)
        -> Bool
    {
        guard failure.verdict == .retry, self.isEstablished, self.handle != nil,
            self.resumeAttempts < self.configuration.resumeAttempts, self.openTools.isEmpty,
            self.reply?.isGenerated ?? true, !self.isAsked
        else { return false }
        self.endReply(.completed, &output)
        self.resumeAttempts += 1
        self.leaveConnection()
        self.timers[.setUp] = nil
        self.phase = .connecting
        // At once the first time; then the server gets a moment to forget the old connection.
        if self.resumeAttempts == 1 {
            self.connect(at: now, &output)
        } else {
            self.timers[.reconnect] = now + .milliseconds(300)
        }
        return true
    }
}
