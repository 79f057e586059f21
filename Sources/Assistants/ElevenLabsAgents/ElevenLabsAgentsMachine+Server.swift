import Telephony

// What comes from the server, in the order of a call.
extension ElevenLabsAgentsMachine {
    package mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended, self.phase != .idle else { return }
        if event.channel == Self.signing {
            if self.phase == .signing { self.signingEvent(event, at: now, &output) }
            return self.timers.announce(&output)
        }
        guard event.channel == .main, self.phase != .signing else { return }
        switch event {
        case .opened:
            guard self.phase == .connecting else { return }
            self.phase = .configuring
            self.timers[.setUp] = now + self.configuration.configureDeadline
            self.send(self.messages.initiation(), &output)
        case .text(_, let message): self.message(message, at: now, &output)
        // All messages are text.
        case .binary: self.garbled(&output)
        case .closed(_, let end): self.closed(end, &output)
        // Of other kinds of channel, which this machine never asks for.
        case .responseHead, .bytes, .recognised, .transcribed, .speech: break
        }
        guard self.phase != .ended else { return }
        self.timers.announce(&output)
    }

    private mutating func closed(_ end: ChannelEnd, _ output: inout AssistantOutput) {
        if let cause = self.cause { return self.fail(cause, isOpen: false, &output) }
        let failure = ElevenLabsAgentsVerdicts.ofEnd(end)
        if case .closed(code: 1000, let reason) = end, self.phase == .ready, self.lastItem > 0,
            failure.slug == "closed-1000", !reason.lowercased().contains("duration")
        {
            // The agent hung up: its last words are heard out, then the call ends.
            self.endReply(.completed, &output)
            self.phase = .ended
            self.timers.clear()
            output.event(.toolCalled(ToolCall(id: "agent-ended", name: "end_call", arguments: "{}")))
            output.effects.append(.wake(at: nil))
            return
        }
        self.fail(failure, isOpen: false, &output)
    }

    private mutating func garbled(_ output: inout AssistantOutput) {
        self.counters.garbledMessages &+= 1
        switch self.counters.garbledMessages {
        case 1: output.event(.failed(AssistantFailure("garbled-message", .ignore)))
        case Self.garbageLimit...: self.fail(AssistantFailure("garbled", .retry), &output)
        default: break
        }
    }

    private mutating func message(
        _ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard let scan = try? JSONScan(bytes), let type = scan["type"], type.kind == .string else {
            return self.garbled(&output)
        }
        // Several times a second: before any text is made of a name.
        if type.isText("audio") {
            if self.phase == .ready { self.audio(scan["audio_event"], at: now, &output) }
            return
        }
        switch type.string {
        case "conversation_initiation_metadata":
            self.metadata(scan["conversation_initiation_metadata_event"], at: now, &output)
        case "ping": self.ping(scan["ping_event"], &output)
        case "error", "client_error": self.error(scan["error_event"] ?? scan["client_error_event"], &output)
        // Nothing else can mean anything before the formats are known.
        case _ where self.phase != .ready: break
        case "agent_response": self.agentResponse(scan["agent_response_event"], at: now, &output)
        case "agent_response_correction": self.correction(scan["agent_response_correction_event"], &output)
        case "agent_chat_response_part": self.part(scan["text_response_part"], &output)
        case "agent_response_complete":
            self.isDropping = false
            self.endReply(.completed, &output)
        case "interruption": self.interruption(scan["interruption_event"], at: now, &output)
        case "user_transcript": self.userTranscript(scan["user_transcription_event"], at: now, &output)
        case "tentative_user_transcript": self.tentative(at: now, &output)
        case "client_tool_call": self.toolCall(scan["client_tool_call"], &output)
        case let name? where Self.uninteresting.contains(name): break
        default: self.counters.unknownEvents &+= 1
        }
        self.askNext(at: now, &output)
    }

    /// Known, and nothing follows from it: the agent's own tools, its monitoring, and what concerns text chats.
    private static let uninteresting: Set<String> = [
        "vad_score", "context_usage", "asr_initiation_metadata", "guardrail_triggered", "rich_content", "agent_typing",
        "external_agent_connected", "external_agent_disconnected", "agent_tool_request", "agent_tool_response",
        "agent_tool_response_full_payload", "mcp_tool_call", "mcp_connection_status", "agent_reasoning_response_part",
        "agent_response_metadata", "dtmf_request", "internal_turn_probability", "internal_tentative_agent_response",
    ]

    // MARK: Set-up

    private mutating func metadata(_ event: JSONScan?, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .configuring else { return }
        guard let event, event.kind == .object, let named = event["agent_output_audio_format"]?.string else {
            return self.fail(AssistantFailure("format-unproven", .failOver), &output)
        }
        // A missing input format means pcm_16000 (providers.md §2.2).
        let inputName = event["user_input_audio_format"]?.string ?? "pcm_16000"
        guard let produced = ElevenLabsAgentsFormat.format(named: named),
            let taken = ElevenLabsAgentsFormat.format(named: inputName)
        else {
            let detail = ProviderText.limited("\(inputName) in, \(named) out")
            return self.fail(AssistantFailure("format-refused", .failOver, detail: detail), &output)
        }
        self.input = taken
        self.output = produced
        self.phase = .ready
        self.readySince = now
        self.timers[.setUp] = nil
        self.lastFrame = now
        self.timers[.silence] = now + self.configuration.silenceAfter
        if let history = self.messages.history(self.newestHistory()) {
            self.send(self.messages.context(history), &output)
            if !self.configuration.overrides.contains(.firstMessage) {
                // The agent greets whatever we say; in the middle of a call nobody shall hear it.
                self.isDropping = true
                self.timers[.replyPause] = now + Self.greetingPatience
            }
        }
        output.event(.ready(input: taken, output: produced))
    }

    /// The newest part of the conversation so far.
    private func newestHistory() -> ArraySlice<ConversationEntry> {
        var room = Self.historyCharacters
        var first = self.setup.history.count
        for (index, entry) in self.setup.history.enumerated().reversed() {
            guard self.setup.history.count - index <= Self.historyEntries else { break }
            room -= entry.text.value.utf8.count
            guard room >= 0 else { break }
            first = index
        }
        return self.setup.history[first...]
    }

    private mutating func ping(_ event: JSONScan?, _ output: inout AssistantOutput) {
        guard let id = event?["event_id"]?.integer else { return self.garbled(&output) }
        // At once: it measures latency, and a session without pongs is cut.
        self.send(self.messages.pong(id), &output)
    }

    // MARK: The agent

    private mutating func beginReply(at now: Duration, _ output: inout AssistantOutput) -> Int {
        if let reply = self.reply { return reply.item }
        self.lastItem += 1
        self.reply = Reply(item: self.lastItem)
        self.decoder.reset()
        self.spokenTo.answered()
        self.timers[.deaf] = nil
        self.timers[.greeting] = nil
        // What failed before has been got over.
        self.cause = nil
        output.event(.responseStarted)
        return self.lastItem
    }

    private mutating func audio(_ event: JSONScan?, at now: Duration, _ output: inout AssistantOutput) {
        guard let event, let base64 = event["audio_base_64"], base64.kind == .string,
            let id = event["event_id"]?.integer
        else { return self.garbled(&output) }
        guard id > self.interruptedThrough, !self.isDropping else {
            self.counters.droppedAudio &+= 1
            if self.isDropping { self.timers[.replyPause] = now + self.configuration.replyPause }
            return
        }
        // An empty piece ends some voices' streams.
        guard !base64.bytes.isEmpty else { return }
        let item = self.beginReply(at: now, &output)
        let start = output.bytes.count
        guard self.decoder.append(base64, bytesPerSample: self.output.bytesPerSample, to: &output.bytes) else {
            return self.garbled(&output)
        }
        let count = output.bytes.count - start
        self.timers[.replyPause] = now + self.configuration.replyPause
        guard count > 0 else { return }
        self.reply?.receivedBytes &+= count
        self.soundsUntil = max(self.soundsUntil, now) + self.output.duration(ofBytes: count)
        output.effects.append(.audio(AgentItem(item), start..<output.bytes.count))
    }

    private mutating func agentResponse(_ event: JSONScan?, at now: Duration, _ output: inout AssistantOutput) {
        guard let event, let text = event["agent_response"]?.string else { return self.garbled(&output) }
        if let id = event["event_id"]?.integer, id <= self.interruptedThrough { return }
        if self.isDropping {
            self.timers[.replyPause] = now + self.configuration.replyPause
            return
        }
        // The text of a turn comes once: a second one is another turn.
        if self.reply?.text != nil { self.endReply(.completed, &output) }
        let item = self.beginReply(at: now, &output)
        self.reply?.text = text
        if self.reply?.receivedBytes == 0 { self.timers[.replyPause] = now + Self.textLead }
        let spoken = ProviderText.limited(text.trimmed)
        output.event(.agentTranscript(AgentItem(item), Redacted(spoken), isFinal: true))
    }

    /// What the agent was cut at, as its server reckons: what it remembers to have said.
    private mutating func correction(_ event: JSONScan?, _ output: inout AssistantOutput) {
        guard let text = event?["corrected_agent_response"]?.string else { return self.garbled(&output) }
        guard self.lastItem > 0 else { return }
        let heard = ProviderText.limited(text.trimmed)
        output.event(.agentTranscriptCorrected(AgentItem(self.lastItem), Redacted(heard)))
    }

    private mutating func part(_ event: JSONScan?, _ output: inout AssistantOutput) {
        // Parts come before the turn's text, and its audio begins the reply.
        guard let text = event?["text"]?.string, !text.isEmpty, let reply = self.reply, reply.text == nil,
            reply.pieces.utf8.count < ProviderText.limit
        else { return }
        self.reply?.pieces += text
        let piece = ProviderText.limited(text)
        output.event(.agentTranscript(AgentItem(reply.item), Redacted(piece), isFinal: false))
    }

    private mutating func interruption(_ event: JSONScan?, at now: Duration, _ output: inout AssistantOutput) {
        guard let id = event?["event_id"]?.integer else { return self.garbled(&output) }
        self.interruptedThrough = max(self.interruptedThrough, id)
        self.isDropping = false
        self.soundsUntil = now
        self.spokenTo.answered()
        output.event(.interrupted)
        self.endReply(.cancelled, &output)
    }

    // MARK: The caller

    private mutating func userTranscript(_ event: JSONScan?, at now: Duration, _ output: inout AssistantOutput) {
        guard let text = event?["user_transcript"]?.string else { return self.garbled(&output) }
        self.spokenTo.answered()
        self.isDropping = false
        // What still belonged to the turn before has come.
        self.endReply(.completed, &output)
        self.callerTurn(ProviderText.limited(text.trimmed), &output)
    }

    /// Words that may still change are not written down. They are the only early sign that the caller speaks; while
    /// the agent sounds, only the server's `interruption` decides what that means.
    private mutating func tentative(at now: Duration, _ output: inout AssistantOutput) {
        self.spokenTo.answered()
        self.timers[.deaf] = nil
        guard !self.hasToldCallerStart, self.reply == nil, now > self.soundsUntil + .milliseconds(500) else { return }
        self.hasToldCallerStart = true
        output.event(.callerSpeechStarted)
    }

    // MARK: Tools

    private mutating func toolCall(_ call: JSONScan?, _ output: inout AssistantOutput) {
        guard let call, let id = call["tool_call_id"]?.string, !id.isEmpty, id.utf8.count <= 256,
            let name = call["tool_name"]?.string, !name.isEmpty
        else { return self.garbled(&output) }
        let arguments = call["parameters"].map { JSONValue($0).json } ?? "{}"
        guard !self.openTools.contains(id), !self.closedTools.contains(id), self.openTools.count < Self.toolLimit,
            arguments.utf8.count <= ProviderText.limit
        else { return }
        self.openTools.append(id)
        self.spokenTo.answered()
        output.event(.toolCalled(ToolCall(id: id, name: ProviderText.limited(name), arguments: arguments)))
    }

    // MARK: Errors

    private mutating func error(_ event: JSONScan?, _ output: inout AssistantOutput) {
        let type = event?["error_type"]?.string ?? event?["code"]?.string
        let message = event?["message"]?.string ?? event?["reason"]?.string ?? ""
        let failure = ElevenLabsAgentsVerdicts.ofError(type: type, message: ProviderText.limited(message))
        switch failure.verdict {
        case .ignore: output.event(.failed(failure))
        // A close follows that says less. Should it not, nothing is lost: the session goes on.
        case .retry, .failOver:
            self.cause = failure
            if self.phase != .ready { self.fail(failure, &output) }
        }
    }
}
