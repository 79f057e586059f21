import Telephony

/// One session with OpenAI's Realtime API, or with a server that speaks it (providers.md §1), as a value.
///
/// ```
/// idle ─start▶ connecting ─opened▶ greeted ─session.created▶ configuring ─session.updated▶ ready ─▶ ended
/// ```
/// Audio is G.711 untouched where the leg has it, PCM at 24 kHz otherwise: the conversation transcodes. Caller audio
/// before `.ready` is dropped, because its format is not proven yet: who wants it kept, keeps it.
package struct OpenAIRealtimeMachine: AssistantMachine {
    enum Phase: Sendable, Equatable {
        /// Leaves by `start`.
        case idle
        /// Leaves by `.opened`, the connect deadline or the socket's end.
        case connecting
        /// The socket is open; the server speaks first (`session.created`).
        case opened
        /// `session.update` is under way. Leaves by `session.updated`, a refusal or the deadline.
        case configuring
        /// Leaves by `finish` or the socket's end.
        case ready
        /// Nothing leaves it, and nothing is said any more.
        case ended
    }

    /// What can be due, each with a place in the table of deadlines.
    enum Timer: Int, CaseIterable, Sendable {
        /// Connect, then configure.
        case setUp
        /// A `response.done` that must come before anything new can be asked for.
        case responseEnd
        case recycle
    }

    /// What was seen and had no consequence. For the debug log and metrics.
    package struct Counters: Sendable, Equatable {
        package var unknownEvents = 0
        package var garbledMessages = 0
        package var droppedAudio = 0
        package init() {}
    }

    /// So much garbage is a broken server, not an accident.
    static let garbageLimit = 16
    /// Longest text that is passed on: a transcript of an hour is far below.
    static let textLimit = 64 * 1024
    /// Of a replayed history: the newest entries, within the context window with room for the call.
    static let historyEntries = 100
    static let historyCharacters = 24_000

    package let capabilities: AssistantCapabilities
    package internal(set) var counters = Counters()

    let configuration: OpenAIRealtimeConfiguration
    let setup: AssistantSetup
    let messages: OpenAIRealtimeMessages
    let format: AudioFormat

    var phase: Phase = .idle
    var responses = OpenAIRealtimeResponses()
    var agentItems = OpenAIRealtimeAgentItems()
    var callerItems = OpenAIRealtimeCallerItems()
    /// Names of functions that are being called: the beta shape says the name in the item only.
    var toolNames: [(callID: String, name: String)] = []
    /// The server's detector hears the caller and has not committed yet.
    var isCallerTurnOpen = false
    /// Caller audio that the server holds uncommitted, in bytes.
    var uncommittedBytes = 0
    /// An error after which the socket's end has a known reason.
    var cause: AssistantFailure?

    private var deadlines = DeadlineTable(count: Timer.allCases.count)
    private var announcedWake: Duration?
    private var eventCount = 0
    var scratch: [UInt8] = []

    package init(configuration: OpenAIRealtimeConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.setup = setup
        self.messages = OpenAIRealtimeMessages(configuration: configuration, setup: setup)
        let format: AudioFormat =
            switch setup.legFormat.encoding {
            case .pcmu: .pcmu
            case .pcma: .pcma
            case .l16: .l16(.realtime)
            }
        self.format = format
        self.capabilities = AssistantCapabilities(
            input: [format], output: [format], detectsTurns: setup.turns.kind != .none, needsHeardReport: true,
            canBePaused: setup.turns.drivenByUs || setup.turns.kind == .none, usesTools: true, speaksVerbatim: false,
            maximumSession: configuration.maximumSession)
    }

    // MARK: The call begins

    package mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .idle else { return }
        do throws(OpenAIRealtimeConfigurationError) {
            try self.configuration.check(turns: self.setup.turns)
            let target = try self.configuration.target(model: self.setup.model ?? self.configuration.model)
            self.phase = .connecting
            output.effects.append(.connect(.main, target))
            self.setTimer(.setUp, at: now + self.configuration.connectDeadline)
            self.announceWake(&output)
        } catch {
            self.phase = .ended
            output.event(.failed(AssistantFailure(error.slug, .failOver)))
        }
    }

    // MARK: The conversation asks

    package mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        if case .finish = command {
            self.finish(&output)
            return
        }
        guard self.phase == .ready else { return }
        switch command {
        case .respond(let request):
            switch request {
            case .greeting: self.responses.want(.greeting)
            case .reply: self.responses.want(.reply)
            case .say(let words): self.responses.want(.say(words))
            }
        case .commitCallerTurn: self.commitCallerTurn(&output)
        case .clearCallerAudio:
            self.uncommittedBytes = 0
            self.isCallerTurnOpen = false
            self.send(self.messages.plain("input_audio_buffer.clear", eventID: self.nextEventID("clear")), &output)
        case .cancelResponse: self.cancelResponse(at: now, &output)
        case .truncate(let item, let heard): self.truncate(item, heard: heard, &output)
        case .toolResult(let id, let result, let respond):
            self.toolAnswered(id, result.value, respond: respond, &output)
        case .inform(let text): self.addItem(role: "system", text.value, &output)
        case .digit(let digit):
            self.addItem(role: "system", "The caller pressed the key \(digit.value) on the telephone.", &output)
        case .finish: break
        }
        self.askForNextResponse(at: now, &output)
        self.announceWake(&output)
    }

    package mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard self.phase == .ready, !frame.isEmpty else { return }
        // Half a sample would shift every later one.
        let whole = frame.count - frame.count % self.format.bytesPerSample
        let start = output.bytes.count
        JSONText.append("{\"type\":\"input_audio_buffer.append\",\"audio\":\"", to: &output.bytes)
        Base64.encode(UnsafeRawBufferPointer(rebasing: frame[..<whole]), into: &output.bytes)
        JSONText.append("\"}", to: &output.bytes)
        output.effects.append(.sendText(.main, start..<output.bytes.count))
        self.uncommittedBytes &+= whole
    }

    private mutating func commitCallerTurn(_ output: inout AssistantOutput) {
        // The server's own detector commits by itself; between its `speech_started` and that we may be quicker. Without
        // either, or with less than it takes for a word (100 ms is also the server's least), there is nothing to commit.
        let isOurs = self.setup.turns.kind == .none || self.isCallerTurnOpen
        guard isOurs, self.uncommittedBytes >= self.format.bytes(in: .milliseconds(100)) else { return }
        self.uncommittedBytes = 0
        self.send(self.messages.plain("input_audio_buffer.commit", eventID: self.nextEventID("commit")), &output)
    }

    private mutating func cancelResponse(at now: Duration, _ output: inout AssistantOutput) {
        if let id = self.responses.cancel() {
            self.sendCancel(of: id, at: now, &output)
        } else if self.responses.requested != nil {
            // It has no name yet. Should it never get one, what comes after it must not wait for ever.
            self.setTimer(.responseEnd, at: now + self.configuration.cancelDeadline)
        }
    }

    mutating func sendCancel(of id: String, at now: Duration, _ output: inout AssistantOutput) {
        self.send(self.messages.cancel(responseID: id, eventID: self.nextEventID("cancel")), &output)
        self.setTimer(.responseEnd, at: now + self.configuration.cancelDeadline)
    }

    private mutating func truncate(_ item: AgentItem, heard: Duration, _ output: inout AssistantOutput) {
        guard let index = self.agentItems.index(of: item) else { return }
        let record = self.agentItems[index]
        let received = self.format.duration(ofBytes: record.receivedBytes).milliseconds
        // Beyond what the item holds is an error to the server; what was heard to its end needs no correction, and
        // would lose its transcript by one.
        let end = max(0, min(heard.milliseconds, received))
        if record.isAudioFinished, end >= received, !self.responses.isStopped(named: record.responseID) { return }
        guard end < record.truncatedAt ?? Int.max else { return }
        self.agentItems[index].truncatedAt = end
        let message = self.messages.truncate(
            itemID: record.id, contentIndex: record.contentIndex, milliseconds: end,
            eventID: self.nextEventID("truncate"))
        self.send(message, &output)
    }

    private mutating func toolAnswered(
        _ id: String, _ result: String, respond: Bool, _ output: inout AssistantOutput
    ) {
        if self.responses.toolAnswered(id, respond: respond) {
            self.send(
                self.messages.toolOutput(callID: id, output: result, eventID: self.nextEventID("item")), &output)
        } else if !self.responses.knowsClosedTool(id) {
            // A tool that the session before this one asked for: this one knows of no such call.
            self.addItem(role: "system", "The tool that was used earlier answered: " + result, &output)
            if respond { self.responses.want(.reply) }
        }
    }

    mutating func addItem(role: String, _ text: String, _ output: inout AssistantOutput) {
        self.send(self.messages.item(role: role, text: text, eventID: self.nextEventID("item")), &output)
    }

    private mutating func finish(_ output: inout AssistantOutput) {
        let isConnected = self.phase != .idle && self.phase != .ended
        self.phase = .ended
        if isConnected { output.effects.append(.close(.main, code: 1000)) }
        self.clearTimers()
        output.effects.append(.wake(at: nil))
    }

    // MARK: Time

    package mutating func wake(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
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
        case .setUp:
            let slug = self.phase == .connecting ? "connect-timeout" : "configure-timeout"
            self.fail(AssistantFailure(slug, .retry), &output)
        case .responseEnd:
            if self.responses.giveUpWaiting() != nil { output.event(.responseFinished(.cancelled)) }
            self.askForNextResponse(at: now, &output)
        case .recycle:
            let left = self.configuration.maximumSession - self.configuration.recycleAfter
            output.event(.goingAway(in: max(.zero, left)))
        }
    }

    mutating func setTimer(_ timer: Timer, at due: Duration?) { self.deadlines[timer.rawValue] = due }

    private mutating func clearTimers() {
        for timer in Timer.allCases { self.setTimer(timer, at: nil) }
        self.announcedWake = nil
    }

    /// Asks the shell for the earliest deadline when that has changed.
    mutating func announceWake(_ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        let earliest = self.deadlines.earliest
        guard earliest != self.announcedWake else { return }
        self.announcedWake = earliest
        output.effects.append(.wake(at: earliest))
    }

    // MARK: Common steps

    mutating func send(_ message: JSONValue, _ output: inout AssistantOutput) {
        let start = output.bytes.count
        message.write(into: &output.bytes)
        output.effects.append(.sendText(.main, start..<output.bytes.count))
    }

    /// An `event_id` whose purpose can be read from the error that quotes it.
    mutating func nextEventID(_ purpose: String) -> String {
        self.eventCount &+= 1
        return "pronto_\(purpose)_\(self.eventCount)"
    }

    /// Sends the next `response.create` when none is being made.
    mutating func askForNextResponse(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.responses.hasNext else { return }
        let eventID = self.nextEventID("response")
        guard let request = self.responses.next(eventID: eventID) else { return }
        let message: JSONValue =
            switch request.wanted {
            case .reply, .toolFollowUp: self.messages.reply(eventID: request.eventID)
            case .greeting: self.messages.greeting(eventID: request.eventID)
            case .say(let words): self.messages.say(words.value, eventID: request.eventID)
            }
        self.send(message, &output)
    }

    /// The session is over by a fault.
    mutating func fail(_ failure: AssistantFailure, isOpen: Bool = true, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        self.phase = .ended
        self.clearTimers()
        if isOpen { output.effects.append(.close(.main, code: 1000)) }
        output.event(.failed(failure))
        output.effects.append(.wake(at: nil))
    }
}
