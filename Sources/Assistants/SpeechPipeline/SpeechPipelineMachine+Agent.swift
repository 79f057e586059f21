import Telephony

/// The agent's replies: asked for, written, spoken, and told to the memory as they were heard.
extension SpeechPipelineMachine {
    mutating func want(_ source: PipelineReply.Source, at now: Duration, _ output: inout AssistantOutput) {
        // A conversation asks for one thing at a time; a burst of requests is bounded all the same.
        if self.wanted.count >= 8 { self.wanted.removeFirst() }
        self.wanted.append(source)
        self.startNext(at: now, &output)
    }

    private mutating func startNext(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .ready, self.reply == nil, !self.wanted.isEmpty else { return }
        let source = self.wanted.removeFirst()
        self.reply = PipelineReply(
            item: AgentItem(self.nextItem), source: source, cutter: SentenceCutter(language: self.setup.language),
            writer: self.configuration.writer.service)
        self.nextItem += 1
        output.event(.responseStarted)
        switch source {
        case .model: self.ask(at: now, &output)
        case .words(let words):
            let clauses = (self.reply?.cutter.feed(words) ?? []) + (self.reply?.cutter.finish() ?? [])
            for clause in clauses { self.say(clause, at: now, &output) }
            self.written(at: now, &output)
        }
    }

    // MARK: Writing

    private mutating func ask(at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply, case .model(let task) = reply.source else { return }
        var request = ChatRequest(
            configuration: self.configuration.writer, setup: self.setup, memory: self.memory, task: task)
        request.mayUseTools = self.rounds < Self.roundLimit
        do throws(SpeechPipelineError) {
            let channel = self.numbers.make()
            let target = try request.target()
            self.reply?.channel = channel
            self.reply?.answer = ChatAnswer(self.configuration.writer.service)
            output.effects.append(.request(channel, target))
            self.setTimer(.writer, at: now + self.configuration.writerDeadline)
        } catch {
            self.replyFailed(AssistantFailure("writer-" + error.slug, .failOver), at: now, &output)
        }
    }

    mutating func writerTold(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        let events: [ChatAnswer.Event]
        switch event {
        case .responseHead(_, let status, let headers):
            self.reply?.answer.head(status: status, headers: headers)
            return
        case .bytes(_, let bytes): events = self.reply?.answer.bytes(bytes) ?? []
        case .closed(_, let end):
            events = self.reply?.answer.ended(end) ?? []
            self.reply?.channel = nil
        default: return
        }
        for event in events {
            guard self.reply != nil, self.phase == .ready else { return }
            switch event {
            case .text(let text):
                self.setTimer(.writer, at: nil)
                for clause in self.reply?.cutter.feed(text) ?? [] { self.say(clause, at: now, &output) }
            case .usage(let usage): self.wrote(usage)
            case .finished(let tools, let incomplete):
                self.setTimer(.writer, at: nil)
                if !(self.reply?.isCounted ?? true) { self.wrote(nil) }
                self.reply?.incomplete = incomplete
                for clause in self.reply?.cutter.finish() ?? [] { self.say(clause, at: now, &output) }
                self.callTools(tools, &output)
                self.written(at: now, &output)
            case .failed(let failure): self.writerFailed(failure, at: now, &output)
            }
        }
    }

    /// What a request to the model used; nil: the server has not said.
    private mutating func wrote(_ told: AssistantUsage?) {
        let writer = self.configuration.writer
        var usage = told ?? AssistantUsage()
        usage.service = writer.service.rawValue
        usage.model = writer.model
        usage.isUncounted = told == nil
        self.reply?.isCounted = true
        if self.written.count < 64 { self.written.append(usage) }
    }

    /// Once more, at once, when nothing of the answer came: the caller does not notice. Then the next back end.
    mutating func writerFailed(_ failure: AssistantFailure, at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        if let channel = reply.channel { output.effects.append(.close(channel, code: 1000)) }
        self.reply?.channel = nil
        if failure.isRetryable, !reply.isRetry, !reply.answer.hasBegun {
            self.reply?.isRetry = true
            self.ask(at: now, &output)
        } else {
            self.replyFailed(failure, at: now, &output)
        }
    }

    private mutating func callTools(_ tools: [ChatMemory.ToolUse], _ output: inout AssistantOutput) {
        guard let item = self.reply?.item, !tools.isEmpty else { return }
        var named: [ChatMemory.ToolUse] = []
        for var tool in tools {
            // Servers leave ids out, or number them anew in each answer.
            self.toolCount += 1
            let isTaken = self.memory.hasTool(tool.id) || named.contains { $0.id == tool.id }
            if tool.id.isEmpty || isTaken { tool.id = "call_pronto_\(self.toolCount)" }
            named.append(tool)
            self.pendingTools.insert(tool.id)
        }
        self.rounds += 1
        self.memory.agent(item, text: self.reply?.heard.text ?? "", tools: named)
        for tool in named {
            output.event(.toolCalled(ToolCall(id: tool.id, name: tool.name, arguments: tool.arguments)))
        }
    }

    mutating func toolAnswered(
        _ id: String, _ result: String, respond: Bool, at now: Duration, _ output: inout AssistantOutput
    ) {
        if self.pendingTools.remove(id) == nil || !self.memory.toolAnswered(id, result) {
            // A tool that the session before this one asked for: this one knows of no such call.
            self.memory.note("The tool that was used earlier answered: " + result)
        }
        self.owesFollowUp = self.owesFollowUp || respond
        guard self.pendingTools.isEmpty, self.owesFollowUp else { return }
        self.owesFollowUp = false
        self.want(.model(task: nil), at: now, &output)
    }

    // MARK: Speaking

    private mutating func say(_ clause: String, at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        self.reply?.heard.said(clause)
        self.memory.agent(reply.item, text: self.reply?.heard.text ?? "")
        if reply.heard.bytes == 0 { self.setTimer(.speaker, at: now + self.configuration.speakerDeadline) }
        self.spokenCharacters += clause.count
        output.event(.agentTranscript(reply.item, Redacted(clause + " "), isFinal: false))
        self.socket?.say(clause, at: now, &output)
        do throws(SpeechPipelineError) {
            try self.pieces?.say(clause, &self.numbers, &output)
        } catch {
            self.replyFailed(AssistantFailure("speaker-" + error.slug, .failOver), at: now, &output)
        }
    }

    /// All of the reply's text is there.
    private mutating func written(at now: Duration, _ output: inout AssistantOutput) {
        guard self.reply != nil else { return }
        self.reply?.isWritten = true
        if self.socket?.finish(at: now, &output) ?? self.pieces?.finish() ?? true {
            self.replyDelivered(at: now, &output)
        }
    }

    mutating func speakerTold(_ event: SpeakerEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended else { return }
        switch event {
        case .ready: self.becomeReady(&output)
        case .audio(let range):
            guard let item = self.reply?.item else { return }
            self.setTimer(.speaker, at: nil)
            self.reply?.heard.sounded(range.count)
            self.endpointing.answered()
            output.effects.append(.audio(item, range))
        case .clauseEnded:
            if self.pieces != nil { self.reply?.heard.clauseEnded() }
        case .finished:
            if self.reply?.isWritten ?? false { self.replyDelivered(at: now, &output) }
        case .failed(let failure):
            if self.phase == .opening || self.reply == nil {
                self.fail(failure, &output)
            } else {
                self.replyFailed(failure, at: now, &output)
            }
        }
    }

    private mutating func replyDelivered(at now: Duration, _ output: inout AssistantOutput) {
        guard var reply = self.reply else { return }
        reply.heard.allEnded()
        self.endReply()
        self.remember(reply)
        self.tellUsage(&output)
        if !reply.heard.text.isEmpty {
            output.event(.agentAudioFinished(reply.item))
            output.event(.agentTranscript(reply.item, Redacted(reply.heard.text), isFinal: true))
        }
        output.event(.responseFinished(reply.incomplete.map { .incomplete(reason: $0) } ?? .completed))
        self.startNext(at: now, &output)
    }

    mutating func cancelReply(at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        self.stop(reply, &output)
        // What was heard of it, `truncate` will say; what had no sound was not said.
        if reply.heard.bytes == 0 { self.memory.truncate(reply.item, to: "") }
        output.event(.responseFinished(.cancelled))
        self.startNext(at: now, &output)
    }

    mutating func replyFailed(_ failure: AssistantFailure, at now: Duration, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        self.stop(reply, &output)
        if reply.heard.bytes == 0 { self.memory.truncate(reply.item, to: "") }
        output.event(.responseFinished(.failed(failure)))
    }

    private mutating func stop(_ reply: PipelineReply, _ output: inout AssistantOutput) {
        if let channel = reply.channel { output.effects.append(.close(channel, code: 1000)) }
        self.socket?.clear(&output)
        self.pieces?.clear(&output)
        // A request that was broken off is billed all the same, and its count never comes.
        if case .model = reply.source, !reply.isCounted { self.wrote(nil) }
        self.tellUsage(&output)
        self.endReply()
        self.remember(reply)
    }

    private mutating func endReply() {
        self.reply = nil
        self.setTimer(.writer, at: nil)
        self.setTimer(.speaker, at: nil)
    }

    private mutating func remember(_ reply: PipelineReply) {
        guard reply.heard.bytes > 0 else { return }
        if self.delivered.count >= 8 { self.delivered.removeFirst() }
        self.delivered.append((reply.item, reply.heard))
    }

    /// The caller heard only this much: so does the memory.
    mutating func truncate(_ item: AgentItem, heard: Duration) {
        guard let record = self.delivered.first(where: { $0.item == item }) else { return }
        let bytes = self.outputFormat.bytes(in: min(max(heard, .zero), .seconds(3600)))
        let text = record.heard.heard(bytes: bytes)
        if text != record.heard.text { self.memory.truncate(item, to: text) }
    }
}
