import Telephony

// What comes from the server, in the order of a call.
extension GeminiLiveMachine {
    package mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase != .ended, self.phase != .idle, event.channel == self.channel else { return }
        switch event {
        case .opened:
            guard self.phase == .connecting else { return }
            self.phase = .configuring
            self.timers[.setUp] = now + self.configuration.configureDeadline
            self.send(self.messages.setupMessage(handle: self.isEstablished ? self.handle : nil), &output)
        // The server's JSON comes in binary frames; the SDK takes either (providers.md §3.1).
        case .text(_, let message), .binary(_, let message): self.message(message, at: now, &output)
        case .closed(_, let end):
            let failure = GeminiLiveVerdicts.ofEnd(end)
            if !self.resumeAfterLoss(failure, at: now, &output) { self.fail(failure, isOpen: false, &output) }
        // Of other kinds of channel, which this machine never asks for.
        case .responseHead, .bytes, .recognised, .transcribed, .speech: break
        }
        self.timers.announce(&output)
    }

    private mutating func garbled(_ output: inout AssistantOutput) {
        self.counters.garbledMessages &+= 1
        switch self.counters.garbledMessages {
        case 1: output.event(.failed(AssistantFailure("garbled-message", .ignore)))
        case GeminiLiveMachine.garbageLimit...: self.fail(AssistantFailure("garbled", .retry), &output)
        default: break
        }
    }

    /// One message may carry several keys (providers.md §3.3).
    private mutating func message(
        _ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard let scan = try? JSONScan(bytes), scan.kind == .object else { return self.garbled(&output) }
        var parts: [(MessageKey, JSONScan)] = []
        scan.forEachMember { key, value in
            if let known = MessageKey(key) { parts.append((known, value)) }
        }
        if parts.isEmpty { self.counters.unknownMessages &+= 1 }
        for (key, value) in parts where self.phase != .ended {
            switch key {
            case .setupComplete: self.setupComplete(at: now, &output)
            // Nothing else can mean anything before the session is configured.
            case _ where self.phase != .ready: break
            case .serverContent: self.content(value, at: now, &output)
            case .toolCall: self.toolCall(value, at: now, &output)
            case .toolCallCancellation: self.toolsCancelled(value, &output)
            case .usageMetadata: output.event(.usage(self.usage(value)))
            case .goAway: self.goAway(value, at: now, &output)
            case .sessionResumptionUpdate: self.resumptionUpdate(value)
            case .voiceActivity: self.voiceActivity(value, at: now, &output)
            }
        }
        guard self.phase == .ready else { return }
        self.askNext(at: now, &output)
        if self.isResumeWanted { self.resumeIfQuiet(at: now, &output) }
    }

    // MARK: Set-up

    private mutating func setupComplete(at now: Duration, _ output: inout AssistantOutput) {
        guard self.phase == .configuring else { return }
        self.phase = .ready
        self.timers[.setUp] = nil
        if self.isEstablished {
            // The old connection's successor: the server knows the conversation.
            if !self.isManual { self.sendKept(&output) }
            return
        }
        self.isEstablished = true
        for tool in self.setup.tools where self.messages.declaration(tool) == nil {
            output.event(.failed(AssistantFailure("tool-schema-malformed", .ignore)))
        }
        if let history = self.messages.history(self.newestHistory()) { self.send(history, &output) }
        output.event(.ready(input: Self.input, output: Self.output))
    }

    /// The newest part of the conversation so far, within the model's window.
    private func newestHistory() -> ArraySlice<ConversationEntry> {
        var room = GeminiLiveMachine.historyCharacters
        var first = self.setup.history.count
        for (index, entry) in self.setup.history.enumerated().reversed() {
            guard self.setup.history.count - index <= GeminiLiveMachine.historyEntries else { break }
            room -= entry.text.value.utf8.count
            guard room >= 0 else { break }
            first = index
        }
        return self.setup.history[first...]
    }

    private mutating func resumptionUpdate(_ value: JSONScan) {
        // Not resumable just now (a reply or a tool is under way): the last handle stands.
        guard value["resumable"]?.bool ?? false, let handle = value["newHandle"]?.string, !handle.isEmpty,
            handle.utf8.count <= 4096
        else { return }
        self.handle = handle
        // A connection that hands out handles lives: earlier losses are forgiven.
        self.resumeAttempts = 0
    }

    private mutating func goAway(_ value: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        let left = value["timeLeft"]?.string.flatMap(GeminiLiveMachine.duration)
        guard self.handle != nil else {
            output.event(.goingAway(in: left))
            return
        }
        self.isResumeWanted = true
        let margin = self.configuration.resumeMargin
        self.timers[.resume] = now + max(.zero, (left ?? .seconds(10)) - margin)
    }

    /// A protobuf duration: seconds with a point and an `s`, as `9.5s`.
    static func duration(_ text: String) -> Duration? {
        guard text.hasSuffix("s"), let seconds = Double(text.dropLast()), (0...86_400).contains(seconds) else {
            return nil
        }
        return .milliseconds(Int(seconds * 1000))
    }

    // MARK: The caller

    mutating func openCallerItem() {
        self.lastCallerItem += 1
        self.callerItem = self.lastCallerItem
        self.callerText = ""
        self.isCallerItemCommitted = false
    }

    private mutating func voiceActivity(_ value: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        self.spokenTo.answered()
        switch value["voiceActivityType"]?.string {
        case "ACTIVITY_START":
            if self.callerItem == nil || self.isCallerItemCommitted {
                self.finishCallerText(&output)
                self.openCallerItem()
            }
            self.tellCallerStart(&output)
        case "ACTIVITY_END":
            guard self.callerItem != nil, !self.isCallerItemCommitted, self.hasToldCallerStart else { return }
            self.hasToldCallerStart = false
            output.event(.callerSpeechStopped)
            self.timers[.transcriptPause] = now + self.configuration.transcriptPause
        default: break
        }
    }

    /// Whether the caller's voice was on the line after the last reply had begun.
    private func hasSpokenSinceReply(at now: Duration) -> Bool {
        guard let began = self.replyBegan else { return true }
        guard let last = self.spokenTo.lastVoiced else { return false }
        // The tail of the turn that is answered may overlap its reply a little.
        return last > began + .milliseconds(200)
    }

    private mutating func tellCallerStart(_ output: inout AssistantOutput) {
        guard !self.hasToldCallerStart else { return }
        self.hasToldCallerStart = true
        output.event(.callerSpeechStarted)
    }

    private mutating func callerWords(_ value: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        let text = ProviderText.limited(value["text"]?.string ?? "")
        self.spokenTo.answered()
        self.timers[.deaf] = nil
        if !text.isEmpty {
            if self.callerItem == nil {
                // Words come late, and have no order towards the reply: those of somebody who has said nothing since
                // it began belong to the turn that it answers.
                guard self.hasSpokenSinceReply(at: now) else {
                    if self.lastCallerItem > 0 {
                        output.event(.callerTranscript(CallerItem(self.lastCallerItem), Redacted(text), isFinal: false))
                    }
                    return
                }
                self.openCallerItem()
                if self.reply == nil { self.tellCallerStart(&output) }
            }
            if let item = self.callerItem {
                if self.callerText.utf8.count < ProviderText.limit { self.callerText += text }
                output.event(.callerTranscript(CallerItem(item), Redacted(text), isFinal: false))
            }
        }
        if self.reply == nil, !self.isCallerItemCommitted, self.callerItem != nil {
            self.timers[.transcriptPause] = now + self.configuration.transcriptPause
        }
        if value["finished"]?.bool ?? false, self.isCallerItemCommitted { self.finishCallerText(&output) }
    }

    /// The caller's turn is over: it is answered, or should be.
    mutating func closeCallerTurn(_ output: inout AssistantOutput) {
        self.timers[.transcriptPause] = nil
        self.timers[.deaf] = nil
        guard !(self.callerItem != nil && self.isCallerItemCommitted) else { return }
        if self.callerItem == nil { self.openCallerItem() }
        if self.hasToldCallerStart { output.event(.callerSpeechStopped) }
        self.hasToldCallerStart = false
        self.isCallerItemCommitted = true
        output.event(.callerTurnCommitted(CallerItem(self.lastCallerItem)))
    }

    /// No more words belong to the item.
    private mutating func finishCallerText(_ output: inout AssistantOutput) {
        guard let item = self.callerItem else { return }
        if !self.callerText.isEmpty {
            output.event(.callerTranscript(CallerItem(item), Redacted(self.callerText), isFinal: true))
        }
        self.callerItem = nil
        self.callerText = ""
        self.isCallerItemCommitted = false
    }

    // MARK: Replies

    private mutating func content(_ value: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        var words: JSONScan?
        var turn: JSONScan?
        var spoken: JSONScan?
        var status: String?
        var reason: String?
        var (isInterrupted, isGenerated, isComplete) = (false, false, false)
        value.forEachMember { key, member in
            switch ContentKey(key) {
            case .modelTurn: turn = member
            case .inputTranscription: words = member
            case .outputTranscription: spoken = member
            case .interrupted: isInterrupted = member.bool ?? false
            case .generationComplete: isGenerated = member.bool ?? false
            case .turnComplete: isComplete = member.bool ?? false
            case .interactionStatus: status = member.string
            case .turnCompleteReason: reason = member.string
            case nil: break
            }
        }
        if isInterrupted { self.interrupted(at: now, &output) }
        if let words { self.callerWords(words, at: now, &output) }
        if let turn { self.modelTurn(turn, at: now, &output) }
        if let spoken, let text = spoken["text"]?.string, !text.isEmpty {
            self.agentWords(ProviderText.limited(text), at: now, &output)
        }
        if isGenerated { self.generated(&output) }
        if let reason = GeminiLiveVerdicts.incompleteReason(reason) { self.reply?.incomplete = reason }
        self.turnState(isComplete: isComplete, status: status, at: now, &output)
    }

    /// The SDK's rule (providers.md §3.4): `interactionStatus` decides where it is said, `turnComplete` where not.
    private mutating func turnState(
        isComplete: Bool, status: String?, at now: Duration, _ output: inout AssistantOutput
    ) {
        let isOver: Bool =
            switch status {
            case nil, "INTERACTION_STATUS_UNSPECIFIED": isComplete
            case "IDLE": true
            default: false
            }
        if isComplete, !isOver {
            // More will follow after a pause: what was said so far is one stretch.
            self.finishItem(&output)
            self.timers[.interaction] = now + self.configuration.interactionDeadline
        }
        guard isOver else { return }
        self.timers[.interaction] = nil
        if self.reply == nil, self.isAsked || self.isCallerItemCommitted {
            // An answer without a word: the conversation should know that nothing comes.
            guard self.isAsked || self.callerItem != nil else { return }
            self.beginReply(at: now, &output)
        }
        guard self.openTools.isEmpty else { return }
        self.endReply(self.reply?.isStopped ?? false ? .cancelled : .completed, &output)
        self.finishCallerText(&output)
    }

    private mutating func beginReply(at now: Duration, _ output: inout AssistantOutput) {
        guard self.reply == nil else { return }
        self.timers[.deaf] = nil
        self.timers[.transcriptPause] = nil
        self.spokenTo.answered()
        // What nobody asked for answers the caller: only by this is it known that the turn is closed.
        if !self.isAsked { self.closeCallerTurn(&output) }
        self.isAsked = false
        self.reply = Reply()
        self.replyBegan = now
        output.event(.responseStarted)
    }

    /// The number of the stretch of speech that is being made; nil where it is not wanted.
    private mutating func openItem(at now: Duration, _ output: inout AssistantOutput) -> Int? {
        self.beginReply(at: now, &output)
        guard let reply = self.reply, !reply.isStopped else { return nil }
        if let item = reply.item { return item }
        self.lastItem += 1
        self.decoder.reset()
        self.reply?.item = self.lastItem
        self.reply?.isGenerated = false
        return self.lastItem
    }

    private mutating func modelTurn(_ turn: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        guard let parts = turn["parts"], parts.kind == .array else { return }
        var audio: [JSONScan] = []
        // Newer models put several parts into one event.
        parts.forEachElement { part in
            if let data = part["inlineData"] { audio.append(data) }
        }
        for data in audio where self.phase == .ready { self.audio(data, at: now, &output) }
        // The model works: what was announced for the background has come.
        if !audio.isEmpty, self.timers[.interaction] != nil {
            self.timers[.interaction] = now + self.configuration.interactionDeadline
        }
    }

    private mutating func audio(_ data: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        guard let type = data["mimeType"]?.string, let base64 = data["data"] else { return self.garbled(&output) }
        guard GeminiLiveMachine.isOurs(type) else {
            self.fail(AssistantFailure("format-refused", .failOver, detail: ProviderText.limited(type)), &output)
            return
        }
        guard let item = self.openItem(at: now, &output) else {
            self.counters.droppedAudio &+= 1
            return
        }
        let start = output.bytes.count
        guard self.decoder.append(base64, bytesPerSample: 2, to: &output.bytes) else { return self.garbled(&output) }
        guard output.bytes.count > start else { return }
        self.reply?.receivedBytes &+= output.bytes.count - start
        output.effects.append(.audio(AgentItem(item), start..<output.bytes.count))
    }

    /// Signed 16-bit PCM at 24 kHz is the only output; the rate is part of the type.
    private static func isOurs(_ type: String) -> Bool {
        let lowered = type.lowercased().filter { $0 != " " }
        guard lowered.hasPrefix("audio/pcm") || lowered.hasPrefix("audio/l16") else { return false }
        guard let rate = lowered.firstRange(of: "rate=") else { return true }
        return lowered[rate.upperBound...].prefix { $0.isNumber } == "24000"
    }

    private mutating func agentWords(_ text: String, at now: Duration, _ output: inout AssistantOutput) {
        // Words of a reply that is over (they have no order towards the audio) begin no new one.
        guard self.reply != nil || self.isAsked || self.callerItem != nil else { return }
        guard let item = self.openItem(at: now, &output) else { return }
        if let count = self.reply?.text.utf8.count, count < ProviderText.limit { self.reply?.text += text }
        output.event(.agentTranscript(AgentItem(item), Redacted(text), isFinal: false))
    }

    private mutating func generated(_ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        self.reply?.isGenerated = true
        guard let item = reply.item, !reply.isStopped else { return }
        output.event(.agentAudioFinished(AgentItem(item)))
        self.reply?.receivedBytes = 0
    }

    /// All of the open stretch has come.
    private mutating func finishItem(_ output: inout AssistantOutput) {
        guard let reply = self.reply, let item = reply.item else { return }
        if reply.receivedBytes > 0, !reply.isStopped { output.event(.agentAudioFinished(AgentItem(item))) }
        if !reply.text.isEmpty { output.event(.agentTranscript(AgentItem(item), Redacted(reply.text), isFinal: true)) }
        self.reply?.item = nil
        self.reply?.text = ""
        self.reply?.receivedBytes = 0
        self.reply?.isGenerated = true
    }

    /// The reply is over; nothing when none is being made.
    mutating func endReply(_ outcome: ResponseOutcome, _ output: inout AssistantOutput) {
        guard let reply = self.reply else { return }
        self.finishItem(&output)
        self.timers[.responseEnd] = nil
        self.timers[.interaction] = nil
        self.reply = nil
        if let reason = reply.incomplete, outcome == .completed {
            output.event(.responseFinished(.incomplete(reason: reason)))
        } else {
            output.event(.responseFinished(outcome))
        }
    }

    /// The caller spoke into it: the server has stopped, and keeps only what it sent.
    private mutating func interrupted(at now: Duration, _ output: inout AssistantOutput) {
        self.finishCallerText(&output)
        output.event(.interrupted)
        guard self.reply != nil else { return }
        self.reply?.isStopped = true
        self.reply?.isGenerated = true
        // `turnComplete` follows; should it not, what comes later is not this reply.
        self.timers[.responseEnd] = now + self.configuration.cancelDeadline
    }

    // MARK: Tools

    private mutating func toolCall(_ value: JSONScan, at now: Duration, _ output: inout AssistantOutput) {
        var calls: [JSONScan] = []
        value["functionCalls"]?.forEachElement { calls.append($0) }
        guard !calls.isEmpty else { return self.garbled(&output) }
        // What was said before it is one stretch: no more of it comes while the model waits.
        self.finishItem(&output)
        for call in calls {
            guard let id = call["id"]?.string, !id.isEmpty, id.utf8.count <= 256, let name = call["name"]?.string,
                !name.isEmpty
            else {
                self.garbled(&output)
                continue
            }
            guard !self.openTools.contains(where: { $0.id == id }), !self.closedTools.contains(id),
                self.openTools.count < GeminiLiveMachine.toolLimit
            else { continue }
            let arguments = call["args"].map { JSONValue($0).json } ?? "{}"
            guard arguments.utf8.count <= ProviderText.limit else { continue }
            self.beginReply(at: now, &output)
            self.reply?.usedTools = true
            self.openTools.append((id, name))
            output.event(.toolCalled(ToolCall(id: id, name: ProviderText.limited(name), arguments: arguments)))
        }
        self.timers[.interaction] = nil
    }

    private mutating func toolsCancelled(_ value: JSONScan, _ output: inout AssistantOutput) {
        var ids: [String] = []
        value["ids"]?.forEachElement { if let id = $0.string { ids.append(id) } }
        let known = ids.filter { id in self.openTools.contains { $0.id == id } }
        guard !known.isEmpty else { return }
        self.openTools.removeAll { known.contains($0.id) }
        for id in known {
            if self.closedTools.count >= GeminiLiveMachine.toolLimit { self.closedTools.removeFirst() }
            self.closedTools.append(id)
        }
        output.event(.toolsCancelled(known))
    }

    private func usage(_ value: JSONScan) -> AssistantUsage {
        var usage = AssistantUsage(service: "gemini", model: self.setup.model ?? self.configuration.model)
        func count(_ key: JSONScan?) -> Int { AssistantUsage.count(key) }
        func audio(_ details: JSONScan?) -> Int {
            var counts: [Int] = []
            details?.forEachElement {
                if $0["modality"]?.isText("AUDIO") ?? false { counts.append(count($0["tokenCount"])) }
            }
            return AssistantUsage.sum(counts)
        }
        let (inputAudio, outputAudio) = (audio(value["promptTokensDetails"]), audio(value["responseTokensDetails"]))
        usage.inputAudioTokens = inputAudio
        usage.outputAudioTokens = outputAudio
        usage.inputTextTokens = AssistantUsage.sum(
            max(0, count(value["promptTokenCount"]) - inputAudio), count(value["toolUsePromptTokenCount"]))
        usage.outputTextTokens = AssistantUsage.sum(
            max(0, count(value["responseTokenCount"]) - outputAudio), count(value["thoughtsTokenCount"]))
        usage.cachedAudioTokens = min(audio(value["cacheTokensDetails"]), inputAudio)
        usage.cachedTextTokens = max(0, count(value["cachedContentTokenCount"]) - usage.cachedAudioTokens)
        return usage
    }
}

/// The keys at the top of a server's message. Servers write camelCase; nothing else is read, as in the SDK.
private enum MessageKey {
    case setupComplete, serverContent, toolCall, toolCallCancellation, usageMetadata, goAway, sessionResumptionUpdate
    case voiceActivity

    init?(_ key: JSONScan) {
        // In the order of their frequency.
        if key.isText("serverContent") {
            self = .serverContent
        } else if key.isText("usageMetadata") {
            self = .usageMetadata
        } else if key.isText("sessionResumptionUpdate") {
            self = .sessionResumptionUpdate
        } else if key.isText("toolCall") {
            self = .toolCall
        } else if key.isText("toolCallCancellation") {
            self = .toolCallCancellation
        } else if key.isText("setupComplete") {
            self = .setupComplete
        } else if key.isText("goAway") {
            self = .goAway
        } else if key.isText("voiceActivity") {
            self = .voiceActivity
        } else {
            return nil
        }
    }
}

/// The keys of `serverContent` that something follows from.
private enum ContentKey {
    case modelTurn, inputTranscription, outputTranscription, interrupted, generationComplete, turnComplete
    case interactionStatus, turnCompleteReason

    init?(_ key: JSONScan) {
        if key.isText("modelTurn") {
            self = .modelTurn
        } else if key.isText("outputTranscription") {
            self = .outputTranscription
        } else if key.isText("inputTranscription") {
            self = .inputTranscription
        } else if key.isText("interrupted") {
            self = .interrupted
        } else if key.isText("generationComplete") {
            self = .generationComplete
        } else if key.isText("turnComplete") {
            self = .turnComplete
        } else if key.isText("interactionStatus") {
            self = .interactionStatus
        } else if key.isText("turnCompleteReason") {
            self = .turnCompleteReason
        } else {
            return nil
        }
    }
}
