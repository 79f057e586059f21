import Telephony

// What comes from the server, in the order of a call.
extension OpenAIRealtimeMachine {
    package mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended, self.phase != .idle, event.channel == .main else { return }
        switch event {
        case .opened:
            guard self.phase == .connecting else { return }
            self.phase = .opened
            self.setTimer(.setUp, at: now + self.configuration.configureDeadline)
            self.announceWake(&output)
        case .text(_, let message): self.message(message, at: now, &output)
        // All messages are text (providers.md §1.1).
        case .binary: self.garbled(&output)
        case .closed(_, let end): self.closed(end, &output)
        // Of other kinds of channel, which this machine never asks for.
        case .responseHead, .bytes, .recognised, .transcribed, .speech: break
        }
    }

    private mutating func closed(_ end: ChannelEnd, _ output: inout AssistantOutput) {
        var failure = OpenAIRealtimeVerdicts.ofEnd(end)
        // The error that came before says more than the code of the close that follows it.
        if let cause = self.cause { failure = cause }
        self.fail(failure, isOpen: false, &output)
    }

    private mutating func message(
        _ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        var head = Head()
        guard let scan = try? JSONScan(bytes, eachMember: { head.note($0, $1) }), let type = head.type,
            type.kind == .string
        else {
            self.garbled(&output)
            return
        }
        // Fifty times a second and more: before any text is made of a name.
        if type.isText("response.output_audio.delta") || type.isText("response.audio.delta") {
            self.audioDelta(scan, head, &output)
            return
        }
        if self.phase == .ready, type.isText("response.output_audio_transcript.delta") {
            self.agentTranscript(scan, head, isFinal: false, &output)
            return
        }
        guard let kind = type.string.flatMap({ OpenAIRealtimeEventKind(name: $0) }) else {
            self.counters.unknownEvents &+= 1
            return
        }
        self.event(kind, scan, head, at: now, &output)
        self.askForNextResponse(at: now, &output)
        self.announceWake(&output)
    }

    /// Members of a message that deltas are made of, found while it is checked. Of two of a name the first counts.
    private struct Head {
        var type: JSONScan?
        var response: JSONScan?
        var item: JSONScan?
        var delta: JSONScan?

        mutating func note(_ key: JSONScan, _ value: JSONScan) {
            if self.type == nil, key.isText("type") {
                self.type = value
            } else if self.response == nil, key.isText("response_id") {
                self.response = value
            } else if self.item == nil, key.isText("item_id") {
                self.item = value
            } else if self.delta == nil, key.isText("delta") {
                self.delta = value
            }
        }
    }

    private mutating func garbled(_ output: inout AssistantOutput) {
        self.counters.garbledMessages &+= 1
        switch self.counters.garbledMessages {
        case 1: output.event(.failed(AssistantFailure("garbled-message", .ignore)))
        case OpenAIRealtimeMachine.garbageLimit...: self.fail(AssistantFailure("garbled", .retry), &output)
        default: break
        }
    }

    private mutating func event(
        _ kind: OpenAIRealtimeEventKind, _ scan: JSONScan, _ head: Head, at now: Duration,
        _ output: inout AssistantOutput
    ) {
        switch kind {
        case .sessionCreated: self.sessionCreated(&output)
        case .sessionUpdated: self.sessionUpdated(scan, at: now, &output)
        case .error: self.error(scan, at: now, &output)
        // Nothing else can mean anything before the session is configured.
        case _ where self.phase != .ready: break
        case .speechStarted:
            self.isCallerTurnOpen = true
            if let id = scan["item_id"] { _ = self.callerItems.item(named: id) }
            output.event(.callerSpeechStarted)
        case .speechStopped: output.event(.callerSpeechStopped)
        case .committed:
            self.isCallerTurnOpen = false
            self.uncommittedBytes = 0
            if let item = scan["item_id"].flatMap({ self.callerItems.item(named: $0) }) {
                output.event(.callerTurnCommitted(item))
            }
        case .callerTranscriptDelta: self.callerTranscript(scan, key: "delta", isFinal: false, &output)
        case .callerTranscript:
            self.callerTranscript(scan, key: "transcript", isFinal: true, &output)
            if let usage = scan["usage"], usage.kind == .object { self.transcriptionUsage(usage, &output) }
        case .callerTranscriptFailed:
            // The item is closed without words; the model itself has heard the audio, so the call goes on.
            guard let item = scan["item_id"].flatMap({ self.callerItems.item(named: $0) }) else { return }
            output.event(.callerTranscript(item, Redacted(""), isFinal: true))
            let detail = scan["error"]?["message"]?.string ?? ""
            output.event(.failed(AssistantFailure("transcription-failed", .ignore, detail: limited(detail))))
        case .responseCreated: self.responseCreated(scan, at: now, &output)
        case .responseDone: self.responseDone(scan, &output)
        case .outputItemAdded: self.outputItem(scan, isDone: false, &output)
        case .outputItemDone: self.outputItem(scan, isDone: true, &output)
        case .audioDelta: self.audioDelta(scan, head, &output)
        case .audioDone: self.audioDone(scan, &output)
        case .agentTranscriptDelta: self.agentTranscript(scan, head, isFinal: false, &output)
        case .agentTranscript: self.agentTranscript(scan, head, isFinal: true, &output)
        case .argumentsDone: self.argumentsDone(scan, &output)
        case .toolServerFailed: output.event(.failed(AssistantFailure("tool-server-failed", .ignore)))
        case .uninteresting: break
        }
    }

    // MARK: Set-up

    private mutating func sessionCreated(_ output: inout AssistantOutput) {
        guard self.phase == .opened else { return }
        self.phase = .configuring
        let update = self.messages.sessionUpdate(
            input: self.format, output: self.format, eventID: self.nextEventID("session"))
        self.send(update, &output)
        for tool in self.setup.tools where OpenAIRealtimeMessages.tool(tool) == nil {
            output.event(.failed(AssistantFailure("tool-schema-malformed", .ignore)))
        }
    }

    private mutating func sessionUpdated(_ scan: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .configuring else { return }
        switch self.formatsEchoed(in: scan["session"]) {
        case true?: break
        case false?:
            self.fail(AssistantFailure("format-refused", .failOver), &output)
            return
        case nil where self.configuration.requiresFormatEcho:
            self.fail(AssistantFailure("format-unproven", .failOver), &output)
            return
        case nil: break
        }
        self.phase = .ready
        self.setTimer(.setUp, at: nil)
        self.setTimer(.recycle, at: now + self.configuration.recycleAfter)
        self.replayHistory(&output)
        output.event(.ready(input: self.format, output: self.format))
    }

    /// Whether the server runs with our formats; nil when it does not say. Both dialects' places are looked at: a
    /// compatible server may answer in the other's.
    private func formatsEchoed(in session: JSONScan?) -> Bool? {
        let audio = session?["audio"]
        let input = audio?["input"]?["format"] ?? session?["input_audio_format"]
        let output = audio?["output"]?["format"] ?? session?["output_audio_format"]
        guard let input, let output else { return nil }
        return self.isOurFormat(input) && self.isOurFormat(output)
    }

    private func isOurFormat(_ echo: JSONScan) -> Bool {
        guard let name = (echo.kind == .object ? echo["type"] : echo)?.string else { return false }
        switch (self.format.encoding, name) {
        case (.l16, "audio/pcm"): return echo["rate"]?.integer ?? 24000 == 24000
        case (.l16, "pcm16"), (.pcmu, "audio/pcmu"), (.pcmu, "g711_ulaw"), (.pcma, "audio/pcma"),
            (.pcma, "g711_alaw"):
            return true
        default: return false
        }
    }

    /// The newest part of the conversation so far, as text: a session cannot be resumed, only told.
    private mutating func replayHistory(_ output: inout AssistantOutput) {
        var room = OpenAIRealtimeMachine.historyCharacters
        var first = self.setup.history.count
        for (index, entry) in self.setup.history.enumerated().reversed() {
            guard self.setup.history.count - index <= OpenAIRealtimeMachine.historyEntries else { break }
            room -= entry.text.value.utf8.count
            guard room >= 0 else { break }
            first = index
        }
        for entry in self.setup.history[first...] where !entry.text.value.isEmpty {
            switch entry.role {
            case .caller: self.addItem(role: "user", entry.text.value, &output)
            case .agent: self.addItem(role: "assistant", entry.text.value, &output)
            case .tool: self.addItem(role: "system", "A tool was used: " + entry.text.value, &output)
            }
        }
    }

    // MARK: The caller

    private mutating func callerTranscript(
        _ scan: JSONScan, key: StaticString, isFinal: Bool, _ output: inout AssistantOutput
    ) {
        guard let item = scan["item_id"].flatMap({ self.callerItems.item(named: $0) }) else { return }
        let text = scan[key]?.string ?? ""
        guard isFinal || !text.isEmpty else { return }
        output.event(.callerTranscript(item, Redacted(limited(text)), isFinal: isFinal))
    }

    // MARK: Responses

    private mutating func responseCreated(_ scan: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        let id = scan["response"]?["id"]?.string ?? ""
        let isCancelled = self.responses.created(id: id)
        output.event(.responseStarted)
        if isCancelled { self.sendCancel(of: id, at: now, &output) }
    }

    private mutating func responseDone(_ scan: JSONScan, _ output: inout AssistantOutput) {
        guard let response = scan["response"] else {
            self.garbled(&output)
            return
        }
        let id = response["id"]?.string ?? ""
        let wasCancelled = self.responses.active?.isCancelled ?? false
        let isActive = self.responses.done(id: id)
        if isActive { self.setTimer(.responseEnd, at: nil) }
        let outcome = self.outcome(of: response, wasCancelledByUs: isActive && wasCancelled)
        if outcome == .completed { self.finishResponse(id, response, &output) }
        // Late audio of a response that is over is dropped by its name, whoever ended it.
        if outcome == .cancelled { self.responses.stop(id) }
        if let usage = response["usage"], usage.kind == .object { output.event(.usage(self.usage(usage))) }
        guard isActive else { return }
        if outcome == .cancelled, response["status_details"]?["reason"]?.isText("turn_detected") ?? false {
            output.event(.interrupted)
        }
        output.event(.responseFinished(outcome))
    }

    /// Says what servers that are sparing with events have left unsaid.
    private mutating func finishResponse(_ id: String, _ response: JSONScan, _ output: inout AssistantOutput) {
        for index in self.agentItems.records.indices {
            let record = self.agentItems[index]
            guard record.responseID == id, !record.isAudioFinished, record.receivedBytes > 0 else { continue }
            self.agentItems[index].isAudioFinished = true
            output.event(.agentAudioFinished(AgentItem(record.number)))
        }
        var calls: [JSONScan] = []
        response["output"]?.forEachElement { item in
            if item["type"]?.isText("function_call") ?? false { calls.append(item) }
        }
        for call in calls.prefix(OpenAIRealtimeResponses.toolLimit) {
            self.toolCalled(call, named: call["name"], &output)
        }
    }

    private func outcome(of response: JSONScan, wasCancelledByUs: Bool) -> ResponseOutcome {
        let details = response["status_details"]
        switch response["status"]?.string {
        case "completed": return .completed
        case "incomplete":
            switch details?["reason"]?.string {
            case "max_output_tokens": return .incomplete(reason: "max-output-tokens")
            case "content_filter": return .incomplete(reason: "content-filter")
            default: return .incomplete(reason: "unstated")
            }
        case "failed":
            let error = details?["error"]
            let (code, type) = (error?["code"]?.string, error?["type"]?.string)
            var verdict = OpenAIRealtimeVerdicts.ofError(code: code, type: type, isConfiguring: false)
            // A reply that failed for an unknown reason is worth one more try; no reply is not harmless.
            if verdict == .ignore { verdict = .retry }
            return .failed(
                AssistantFailure(
                    OpenAIRealtimeVerdicts.slug(code: code, type: type), verdict,
                    detail: limited(error?["message"]?.string ?? "")))
        case "cancelled": return .cancelled
        default: return wasCancelledByUs ? .cancelled : .completed
        }
    }

    /// Input transcription is billed apart, by tokens or by its time (providers.md §1.4).
    private func transcriptionUsage(_ scan: JSONScan, _ output: inout AssistantOutput) {
        var usage = AssistantUsage(service: self.billedService, model: self.messages.transcriptionModel)
        if scan["type"]?.isText("duration") ?? false {
            let seconds: Double =
                switch JSONValue(scan)["seconds"] {
                case .integer(let number)?: Double(number)
                case .number(let number)?: number
                default: 0
                }
            usage.heard = .milliseconds(Int64((min(max(seconds, 0), 86_400) * 1000).rounded()))
        } else {
            usage.inputTextTokens = AssistantUsage.count(scan["input_token_details"]?["text_tokens"])
            usage.inputAudioTokens = AssistantUsage.count(scan["input_token_details"]?["audio_tokens"])
            usage.outputTextTokens = AssistantUsage.count(scan["output_tokens"])
        }
        output.event(.usage(usage))
    }

    /// Azure bills by a list of its own.
    private var billedService: String { if case .openAI = self.configuration.service { "openai" } else { "azure" } }

    private func usage(_ scan: JSONScan) -> AssistantUsage {
        func count(_ value: JSONScan?) -> Int { AssistantUsage.count(value) }
        let input = scan["input_token_details"]
        let made = scan["output_token_details"]
        var usage = AssistantUsage(
            service: self.billedService, model: self.setup.model ?? self.configuration.model)
        usage.inputTextTokens = count(input?["text_tokens"])
        usage.inputAudioTokens = count(input?["audio_tokens"])
        let kept = input?["cached_tokens_details"]
        usage.cachedAudioTokens = min(count(kept?["audio_tokens"]), usage.inputAudioTokens)
        // Servers that do not say of what kind they were: text costs the less.
        usage.cachedTextTokens =
            kept == nil ? count(input?["cached_tokens"]) : min(count(kept?["text_tokens"]), usage.inputTextTokens)
        usage.outputTextTokens = count(made?["text_tokens"])
        usage.outputAudioTokens = count(made?["audio_tokens"])
        return usage
    }

    // MARK: What the agent says

    /// The item's place in the table, made when this is the first of it; nil when its response has been stopped.
    private mutating func agentItem(_ head: Head) -> Int? {
        let response = head.response
        if let id = head.item ?? response, let index = self.agentItems.index(of: id) { return index }
        guard !self.responses.isStopped(response), let name = (head.item ?? response)?.string else { return nil }
        return self.agentItems.add(id: name, responseID: response?.string ?? self.responses.active?.id ?? "")
    }

    private mutating func audioDelta(_ scan: JSONScan, _ head: Head, _ output: inout AssistantOutput) {
        guard self.phase == .ready else { return }
        guard !self.responses.isStopped(head.response) else {
            self.counters.droppedAudio &+= 1
            return
        }
        guard let delta = head.delta, delta.kind == .string, let index = self.agentItem(head) else {
            self.garbled(&output)
            return
        }
        let start = output.bytes.count
        if let half = self.agentItems[index].halfSample { output.bytes.append(half) }
        guard self.decode(delta, into: &output.bytes) else {
            output.bytes.removeLast(output.bytes.count - start)
            self.garbled(&output)
            return
        }
        self.agentItems[index].halfSample = nil
        // Base64 of a provider need not end at a sample: the odd byte waits for the next delta.
        if self.format.bytesPerSample == 2, (output.bytes.count - start) % 2 == 1 {
            self.agentItems[index].halfSample = output.bytes.removeLast()
        }
        guard output.bytes.count > start else { return }
        if self.agentItems[index].receivedBytes == 0 {
            self.agentItems[index].contentIndex = max(0, scan["content_index"]?.integer ?? 0)
        }
        self.agentItems[index].receivedBytes &+= output.bytes.count - start
        output.effects.append(.audio(AgentItem(self.agentItems[index].number), start..<output.bytes.count))
    }

    /// Appends the bytes that a delta stands for. False: it is no Base64.
    private mutating func decode(_ delta: JSONScan, into bytes: inout [UInt8]) -> Bool {
        // Some JSON writers escape the slash of Base64, and some Base64 writers leave out the padding.
        if !delta.hasEscapes, delta.bytes.count % 4 == 0 {
            return (try? Base64.decode(delta.bytes, into: &bytes)) != nil
        }
        self.scratch.removeAll(keepingCapacity: true)
        delta.unescape(into: &self.scratch)
        while self.scratch.count % 4 != 0 { self.scratch.append(UInt8(ascii: "=")) }
        return self.scratch.withUnsafeBytes { text in (try? Base64.decode(text, into: &bytes)) != nil }
    }

    private mutating func audioDone(_ scan: JSONScan, _ output: inout AssistantOutput) {
        guard let id = scan["item_id"] ?? scan["response_id"], let index = self.agentItems.index(of: id),
            !self.agentItems[index].isAudioFinished
        else { return }
        self.agentItems[index].isAudioFinished = true
        self.agentItems[index].halfSample = nil
        output.event(.agentAudioFinished(AgentItem(self.agentItems[index].number)))
    }

    private mutating func agentTranscript(
        _ scan: JSONScan, _ head: Head, isFinal: Bool, _ output: inout AssistantOutput
    ) {
        // Pieces of a stopped reply are dropped like its audio; its whole text is wanted for the record.
        if !isFinal, self.responses.isStopped(head.response) { return }
        guard let index = self.agentItem(head), !self.agentItems[index].isTranscriptFinished else { return }
        let text: String? =
            isFinal ? (scan["transcript"] ?? scan["text"])?.string : head.delta?.string
        guard let text, isFinal || !text.isEmpty else { return }
        self.agentItems[index].isTranscriptFinished = isFinal
        output.event(
            .agentTranscript(AgentItem(self.agentItems[index].number), Redacted(limited(text)), isFinal: isFinal))
    }

    // MARK: Tools

    private mutating func outputItem(_ scan: JSONScan, isDone: Bool, _ output: inout AssistantOutput) {
        guard let item = scan["item"] else { return }
        switch item["type"]?.string {
        case "message":
            // Numbered in the order in which they begin.
            guard !isDone, let id = item["id"]?.string, let idScan = item["id"] else { return }
            guard self.agentItems.index(of: idScan) == nil, !self.responses.isStopped(scan["response_id"]) else {
                return
            }
            _ = self.agentItems.add(id: id, responseID: scan["response_id"]?.string ?? "")
        case "function_call":
            if isDone {
                guard !self.responses.isStopped(scan["response_id"]) else { return }
                // Cut short: its arguments are no JSON.
                guard !(item["status"]?.isText("incomplete") ?? false) else { return }
                self.toolCalled(item, named: item["name"], &output)
            } else if let callID = item["call_id"]?.string, let name = item["name"]?.string {
                if self.toolNames.count >= OpenAIRealtimeResponses.toolLimit { self.toolNames.removeFirst() }
                self.toolNames.append((callID, name))
            }
        default: break
        }
    }

    private mutating func argumentsDone(_ scan: JSONScan, _ output: inout AssistantOutput) {
        guard !self.responses.isStopped(scan["response_id"]) else { return }
        self.toolCalled(scan, named: scan["name"], &output)
    }

    /// Tells of a call once, from whichever event has all of it first.
    private mutating func toolCalled(_ scan: JSONScan, named given: JSONScan?, _ output: inout AssistantOutput) {
        guard let id = scan["call_id"]?.string, let arguments = scan["arguments"]?.string, !id.isEmpty,
            arguments.utf8.count <= OpenAIRealtimeMachine.textLimit,
            let name = given?.string ?? self.toolNames.last(where: { $0.callID == id })?.name, !name.isEmpty,
            self.responses.toolCalled(id)
        else { return }
        output.event(.toolCalled(ToolCall(id: id, name: limited(name), arguments: arguments)))
    }

    // MARK: Errors

    private mutating func error(_ scan: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        guard let error = scan["error"], error.kind == .object else {
            self.garbled(&output)
            return
        }
        let (code, type) = (error["code"]?.string, error["type"]?.string)
        let eventID = error["event_id"]?.string
        let isConfiguring = self.phase != .ready
        let verdict = OpenAIRealtimeVerdicts.ofError(code: code, type: type, isConfiguring: isConfiguring)
        let failure = AssistantFailure(
            OpenAIRealtimeVerdicts.slug(code: code, type: type), verdict,
            detail: limited(error["message"]?.string ?? ""))

        if code == "session_expired" {
            // The close follows by itself; until then the caller can still be told something.
            self.cause = failure
            output.event(.goingAway(in: nil))
            return
        }
        if isConfiguring || verdict == .failOver {
            self.fail(failure, &output)
            return
        }
        let isBusy = code == "conversation_already_has_active_response"
        // The server has nothing left to cancel, and its `response.done` would have come before this.
        if code == "response_cancel_not_active", self.responses.active?.isCancelled ?? false {
            _ = self.responses.giveUpWaiting()
            self.setTimer(.responseEnd, at: nil)
            output.event(.responseFinished(.cancelled))
            return
        }
        // Without a quoted id only that code can be about a request of ours for certain.
        if eventID?.hasPrefix("pronto_response_") ?? isBusy,
            let request = self.responses.refused(eventID: eventID, isBusyElsewhere: isBusy)
        {
            if isBusy {
                self.setTimer(.responseEnd, at: now + self.configuration.cancelDeadline)
            } else if !request.isCancelled {
                // The reply that was asked for will not come.
                let lost: AssistantFailure.Verdict = verdict == .ignore ? .retry : verdict
                output.event(
                    .responseFinished(.failed(AssistantFailure(failure.slug, lost, detail: failure.detail.value))))
            }
            return
        }
        // An error that passes, about nothing in particular: the session is open and goes on.
        output.event(.failed(AssistantFailure(failure.slug, .ignore, detail: failure.detail.value)))
    }
}

/// Text from outside, cut at the machine's limit.
private func limited(_ text: String) -> String {
    guard text.utf8.count > OpenAIRealtimeMachine.textLimit else { return text }
    return String(decoding: text.utf8.prefix(OpenAIRealtimeMachine.textLimit), as: UTF8.self)
}
