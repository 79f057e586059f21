import Assistants
import Telephony

/// The server side of a Gemini Live connection as a value (providers.md §3): client messages and the time go in, server
/// messages come out, strictly. What the real server answers with a close (it has no error messages), this one does too.
///
/// Faults of the script without a message here: `error` closes with 1011 and its text, `expiry` is a `goAway` and the
/// cut that it announces, `failedResponse` is a turn completed with RESPONSE_REJECTED.
package struct GeminiLiveSimulatorCore: SimulatorCore {
    enum Phase: Sendable, Equatable {
        /// The client speaks first. Left by `setup`.
        case opened
        /// Told that a history comes first. Left by its `turnComplete`.
        case history
        case ready
        case over
    }

    package private(set) var record = GeminiLiveRecord()
    /// The handles given out, for who connects next: earlier ones stay good too (for two hours, at Google).
    package private(set) var memories: [GeminiLiveMemory] = []

    let script: AssistantScript
    let seed: Int
    private let known: [GeminiLiveMemory]
    /// Handles of sessions whose connection still stands.
    private let inUse: Set<String>
    private let isKeyRight: Bool

    private var phase: Phase = .opened
    private var model = GeminiLiveModel("gemini-3.8-live")
    private var listening: OpenAIRealtimeListening
    private var detects = true
    private var interrupts = true
    private var resumes = false
    private var mishaps: RemainingMishaps
    private var isMute = false
    private var openedAt: Duration = .zero
    private var endsAt: Duration?
    private var announcedWake: Duration?
    private var scratch: [UInt8] = []
    private var handleCount = 0
    private var callCount = 0

    private var answerCount = 0
    private var replyCount = 0
    private var making: SimulatedAnswer?
    /// The turn of the model that is under way; the answer after a tool belongs to it.
    private var isTurnOpen = false
    private var openCalls: [String] = []
    /// The turn is generated and counts as complete when it would have been heard.
    private var completesAt: Duration?
    private var spokenSince: Duration = .zero
    /// Rest of the caller's words, told while the answer is made.
    private var dueWords: (at: Duration, text: String)?

    package init(
        script: AssistantScript, seed: Int = 1, known: [GeminiLiveMemory] = [], inUse: Set<String> = [],
        isKeyRight: Bool = true
    ) {
        self.script = script
        self.seed = seed
        self.known = known
        self.inUse = inUse
        self.isKeyRight = isKeyRight
        self.mishaps = RemainingMishaps(script)
        self.listening = OpenAIRealtimeListening(script: script, format: .l16(.wideband))
    }

    // MARK: Events

    package mutating func opened(at now: Duration, _ output: inout SimulatorOutput) {
        self.openedAt = now
        if let fault = self.mishaps.take(at: .opened) { self.perform(fault, at: now, &output) }
        self.settle(&output)
    }

    package mutating func received(
        _ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout SimulatorOutput
    ) {
        guard self.phase != .over else { return }
        if self.script.keepsMessages { self.record.messages.append(String(decoding: bytes, as: UTF8.self)) }
        self.advance(to: now, &output)
        // What was due may have ended it.
        guard self.phase != .over else { return }
        if let scan = try? JSONScan(bytes), scan.kind == .object {
            if !self.takeAudio(scan, at: now, &output) { self.message(JSONValue(scan), at: now, &output) }
        } else {
            self.refuse("Invalid JSON payload received.", &output)
        }
        self.settle(&output)
    }

    package mutating func wake(at now: Duration, _ output: inout SimulatorOutput) {
        guard self.phase != .over else { return }
        self.announcedWake = nil
        self.advance(to: now, &output)
        self.settle(&output)
    }

    private mutating func advance(to now: Duration, _ output: inout SimulatorOutput) {
        while let fault = self.mishaps.takeDue(after: now - self.openedAt) { self.perform(fault, at: now, &output) }
        if let end = self.endsAt, now >= end {
            return self.end(.close(code: 1001, reason: "The session duration limit was reached."), &output)
        }
        if self.endsAt == nil, now - self.openedAt >= self.script.sessionLimit - self.script.warning {
            self.warn(at: now, &output)
        }
        if let due = self.dueWords, due.at <= now {
            self.dueWords = nil
            self.tellWords(due.text, isFinal: true, &output)
        }
        self.continueReply(at: now, &output)
        if let due = self.completesAt, due <= now { self.completeTurn(&output) }
    }

    private mutating func settle(_ output: inout SimulatorOutput) {
        guard self.phase != .over, !self.isMute else { return }
        var due: [Duration] = [self.endsAt ?? self.openedAt + self.script.sessionLimit - self.script.warning]
        if let words = self.dueWords { due.append(words.at) }
        if let making = self.making { due.append(making.nextDue) }
        if let completes = self.completesAt { due.append(completes) }
        if let age = self.mishaps.nextAge { due.append(self.openedAt + age) }
        let earliest = due.min()
        guard earliest != self.announcedWake else { return }
        self.announcedWake = earliest
        output.effects.append(.wake(at: earliest))
    }

    // MARK: Client messages

    /// The client's audio in the form that comes fifty times a second. False: it is something else.
    private mutating func takeAudio(_ scan: JSONScan, at now: Duration, _ output: inout SimulatorOutput) -> Bool {
        guard self.phase == .ready, let input = scan["realtimeInput"] ?? scan["realtime_input"],
            let audio = input["audio"]
        else { return false }
        var keys = 0
        input.forEachMember { _, _ in keys += 1 }
        guard keys == 1, let data = audio["data"], let type = (audio["mimeType"] ?? audio["mime_type"])?.string else {
            return false
        }
        self.audio(data, type: type, at: now, &output)
        return true
    }

    private mutating func audio(
        _ data: JSONScan, type: String, at now: Duration, _ output: inout SimulatorOutput
    ) {
        guard let rate = Self.rate(of: type) else {
            return self.refuse("Unsupported audio format: \(type)", &output)
        }
        self.listening.change(to: .l16(SampleRate(hertz: rate)))
        self.scratch.removeAll(keepingCapacity: true)
        guard data.kind == .string, self.decode(data), self.scratch.count % 2 == 0 else {
            return self.refuse("Invalid value at 'realtime_input.audio.data' (TYPE_BYTES).", &output)
        }
        let bytes = self.scratch
        var events: [OpenAIRealtimeListening.Event] = []
        bytes.withUnsafeBytes { self.listening.heard($0, detects: self.detects, &events) }
        self.record.appended += self.listening.format.duration(ofBytes: bytes.count)
        for event in events {
            switch event {
            case .started: self.callerStarted(at: now, &output)
            case .stopped: self.callerStopped(at: now, &output)
            }
        }
    }

    /// protobuf's JSON takes both alphabets of Base64, with or without padding; the SDK writes the one for URLs.
    private mutating func decode(_ data: JSONScan) -> Bool {
        if !data.hasEscapes, (try? Base64.decode(data.bytes, into: &self.scratch)) != nil { return true }
        var text: [UInt8] = []
        data.unescape(into: &text)
        for index in text.indices {
            if text[index] == UInt8(ascii: "-") { text[index] = UInt8(ascii: "+") }
            if text[index] == UInt8(ascii: "_") { text[index] = UInt8(ascii: "/") }
        }
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return text.withUnsafeBytes { (try? Base64.decode($0, into: &self.scratch)) != nil }
    }

    private static func rate(of type: String) -> Int? {
        guard type.hasPrefix("audio/pcm") else { return nil }
        guard let rate = type.firstRange(of: "rate=") else { return 16_000 }
        return Int(type[rate.upperBound...].prefix { $0.isNumber }).flatMap { (8000...48_000).contains($0) ? $0 : nil }
    }

    private mutating func message(_ given: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        let message = GeminiLiveWire.camelCased(given)
        guard let members = message.members, members.count == 1, let member = members.first,
            let shape = GeminiLiveWire.messages[member.name]
        else { return self.refuse("Exactly one known member is expected at the top of a message.", &output) }
        do throws(WireShape.Refusal) {
            try shape.check(member.value, at: member.name)
        } catch {
            return self.refuse("Invalid JSON payload received: " + error.message, &output)
        }
        guard (member.name == "setup") == (self.phase == .opened) else {
            return self.refuse("setup must be the first message, and sent once.", &output)
        }
        switch member.name {
        case "setup": self.setUp(member.value, at: now, &output)
        case "clientContent": self.clientContent(member.value, at: now, &output)
        case "realtimeInput": self.realtimeInput(member.value, at: now, &output)
        case "toolResponse": self.toolResponse(member.value, at: now, &output)
        default: self.contextUpdate(member.value, &output)
        }
    }

    private mutating func setUp(_ setup: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        self.record.setup = setup
        guard self.isKeyRight else {
            return self.refuse("API key not valid. Please pass a valid API key.", &output)
        }
        let name = setup["model"]?.text ?? ""
        guard name.hasPrefix("models/") || name.hasPrefix("projects/") else {
            return self.end(.close(code: 1008, reason: "\(name) was not found."), &output)
        }
        guard setup["generationConfig"]?["responseModalities"]?.elements?.count ?? 1 == 1 else {
            return self.refuse("Only one response modality is supported.", &output)
        }
        self.model = GeminiLiveModel(name)
        let input = setup["realtimeInputConfig"]
        self.detects = !(input?["automaticActivityDetection"]?["disabled"]?.flag ?? false)
        self.interrupts = input?["activityHandling"]?.text != "NO_INTERRUPTION"
        if let silence = input?["automaticActivityDetection"]?["silenceDurationMs"]?.whole {
            self.listening.silence = .milliseconds(silence)
        }
        self.resumes = setup["sessionResumption"] != nil
        if let handle = setup["sessionResumption"]?["handle"]?.text {
            self.record.resumedHandle = handle
            guard !self.inUse.contains(handle) else {
                return self.end(.close(code: 1011, reason: "The session is in use by another connection."), &output)
            }
            guard let memory = self.known.first(where: { $0.handle == handle }) else {
                return self.refuse("The session resumption handle is not valid.", &output)
            }
            self.answerCount = memory.answerCount
            self.replyCount = memory.replyCount
        }
        if let fault = self.mishaps.take(at: .configured) {
            self.perform(fault, at: now, &output)
            if self.isMute || self.phase == .over { return }
        }
        let waits = setup["historyConfig"]?["initialHistoryInClientContent"]?.flag ?? false
        self.phase = waits ? .history : .ready
        self.send(["setupComplete": .object([])], &output)
        self.tellHandle(&output)
    }

    private mutating func clientContent(_ content: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        // Newer models take it as the history at the start only (providers.md §3.5).
        guard self.phase == .history || !self.model.takesTextInRealtime else {
            return self.refuse("Request contains an invalid argument.", &output)
        }
        var last = ""
        for turn in content["turns"]?.elements ?? [] {
            guard let role = turn["role"]?.text else {
                return self.refuse("Please use a valid role: user, model.", &output)
            }
            last = (turn["parts"]?.elements ?? []).compactMap { $0["text"]?.text }.joined(separator: "\n")
            self.record.turns.append((role, last))
        }
        guard content["turnComplete"]?.flag ?? false else { return }
        if self.phase == .history {
            self.phase = .ready
        } else {
            self.prompted(last, at: now, &output)
        }
    }

    private mutating func realtimeInput(_ input: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        guard self.phase == .ready else { return self.refuse("The initial history is not complete.", &output) }
        for member in input.members ?? [] where self.phase == .ready {
            switch member.name {
            case "text": self.prompted(member.value.text ?? "", at: now, &output)
            case "audio", "mediaChunks":
                for blob in member.value.elements ?? [member.value] {
                    let data = blob["data"] ?? .null
                    var json: [UInt8] = []
                    data.write(into: &json)
                    json.withUnsafeBytes { bytes in
                        guard let scan = try? JSONScan(bytes) else { return }
                        self.audio(scan, type: blob["mimeType"]?.text ?? "", at: now, &output)
                    }
                }
            case "activityStart", "activityEnd":
                guard !self.detects else {
                    return self.refuse("Explicit activity control is not supported with automatic detection.", &output)
                }
                if member.name == "activityStart" {
                    self.record.activities += 1
                    self.callerStarted(at: now, &output)
                } else {
                    self.callerStopped(at: now, &output)
                }
            case "audioStreamEnd":
                guard self.detects else {
                    return self.refuse("audio_stream_end needs automatic activity detection.", &output)
                }
                self.record.streamEnds += 1
            default: break
            }
        }
    }

    private mutating func toolResponse(_ value: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        for response in value["functionResponses"]?.elements ?? [] {
            let id = response["id"]?.text ?? ""
            guard let index = self.openCalls.firstIndex(of: id) else {
                return self.refuse("There is no open function call of that id.", &output)
            }
            self.openCalls.remove(at: index)
            self.record.toolOutputs.append((id, response["name"]?.text ?? "", (response["response"] ?? .null).json))
        }
        // The turn goes on when the last outcome is there.
        if self.openCalls.isEmpty, self.isTurnOpen, self.making == nil { self.beginAnswer(nil, at: now, &output) }
    }

    private mutating func contextUpdate(_ value: JSONValue, _ output: inout SimulatorOutput) {
        guard self.model.takesContextUpdates else {
            return self.refuse("context_update is not supported by this model.", &output)
        }
        let parts = value["systemInstruction"]?["parts"]?.elements ?? []
        self.record.contextUpdates.append(parts.compactMap { $0["text"]?.text }.joined(separator: "\n"))
    }

    // MARK: Turns

    private mutating func prompted(_ text: String, at now: Duration, _ output: inout SimulatorOutput) {
        self.record.prompts.append(text)
        self.interrupt(&output)
        var answer: AssistantScript.Answer?
        if text.contains("(The call has just been answered") {
            answer = self.script.greeting
        } else if text.contains("word for word"), let words = text.components(after: "\n\n") {
            answer = AssistantScript.Answer(words)
        }
        self.beginAnswer(answer, at: now, &output)
    }

    private mutating func callerStarted(at now: Duration, _ output: inout SimulatorOutput) {
        if self.script.tellsVoiceActivity { self.tellActivity("ACTIVITY_START", &output) }
        if self.interrupts { self.interrupt(&output) }
        // Words come while they are spoken.
        guard self.record.setup["inputAudioTranscription"] != nil, !self.isTurnOpen else { return }
        let text = self.script.answer(to: self.answerCount).callerTranscript
        let half = text.prefix(text.count / 2)
        if !half.isEmpty { self.tellWords(String(half), isFinal: false, &output) }
    }

    private mutating func callerStopped(at now: Duration, _ output: inout SimulatorOutput) {
        _ = self.listening.takeUncommitted()
        if self.script.tellsVoiceActivity { self.tellActivity("ACTIVITY_END", &output) }
        guard self.making == nil, !self.isTurnOpen else { return }
        if self.record.setup["inputAudioTranscription"] != nil {
            let text = self.script.answer(to: self.answerCount).callerTranscript
            self.dueWords = (now + self.script.transcriptDelay, String(text.dropFirst(text.count / 2)))
        }
        self.beginAnswer(nil, at: now, &output)
    }

    private mutating func tellActivity(_ type: String, _ output: inout SimulatorOutput) {
        self.send(["voiceActivity": ["voiceActivityType": .string(type)]], &output)
    }

    private mutating func tellWords(_ text: String, isFinal: Bool, _ output: inout SimulatorOutput) {
        var words: JSONValue = ["text": .string(text)]
        if isFinal { words.set(true, at: ["finished"]) }
        self.send(["serverContent": ["inputTranscription": words]], &output)
    }

    /// Nil: the script's next.
    private mutating func beginAnswer(
        _ given: AssistantScript.Answer?, at now: Duration, _ output: inout SimulatorOutput
    ) {
        let answer = given ?? self.script.answer(to: self.answerCount)
        if given == nil { self.answerCount += 1 }
        self.replyCount += 1
        if !self.isTurnOpen {
            self.isTurnOpen = true
            self.spokenSince = now
            // No handle knows of a turn that is under way.
            if self.resumes { self.send(["sessionResumptionUpdate": ["resumable": false]], &output) }
        }
        self.making = SimulatedAnswer(
            number: self.replyCount, answer: answer, script: self.script, format: .l16(.realtime), at: now,
            fault: self.mishaps.takeOfMaking(self.replyCount))
        self.record.replies.append(.init(number: self.replyCount))
        self.continueReply(at: now, &output)
    }

    /// Bytes made in one go; what is more comes with the next `wake`, which is asked for at once.
    private static let burstLimit = 1024 * 1024

    private mutating func continueReply(at now: Duration, _ output: inout SimulatorOutput) {
        while let making = self.making, making.nextDue <= now, self.phase == .ready,
            output.bytes.count < Self.burstLimit
        {
            if making.sentBytes == 0 {
                if let fault = self.mishaps.take(at: .response(making.number)) {
                    self.perform(fault, at: now, &output)
                    if self.isMute || self.phase == .over { return }
                }
                if making.failure != nil {
                    self.closeReply("rejected")
                    let content: JSONValue = ["turnComplete": true, "turnCompleteReason": "RESPONSE_REJECTED"]
                    self.send(["serverContent": content], &output)
                    return self.turnIsOver(&output)
                }
            }
            if !making.answer.text.isEmpty { self.sendPiece(&output) }
            guard let sent = self.making else { return }
            if sent.isHalfSent, let fault = self.mishaps.take(at: .midResponse(sent.number)) {
                self.perform(fault, at: now, &output)
                if self.isMute || self.phase == .over { return }
            }
            if sent.isAllSent { return self.generated(at: now, &output) }
        }
    }

    private mutating func sendPiece(_ output: inout SimulatorOutput) {
        guard let range = self.making?.nextPiece(), let making = self.making else { return }
        if !range.isEmpty {
            self.send(&output) { bytes in
                JSONText.append("{\"serverContent\":{\"modelTurn\":{\"role\":\"model\",\"parts\":[", to: &bytes)
                JSONText.append("{\"inlineData\":{\"mimeType\":\"audio/pcm;rate=24000\",\"data\":\"", to: &bytes)
                making.sound.appendBase64(range, to: &bytes)
                JSONText.append("\"}}]}}}", to: &bytes)
            }
        }
        if self.record.setup["outputAudioTranscription"] != nil, let text = self.making?.nextText(), !text.isEmpty {
            self.send(["serverContent": ["outputTranscription": ["text": .string(text)]]], &output)
        }
    }

    private mutating func closeReply(_ end: String) {
        let audio = self.making?.sentDuration ?? .zero
        if let index = self.record.replies.indices.last, self.record.replies[index].end == nil {
            self.record.replies[index].end = end
            self.record.replies[index].audio = audio
        }
        self.making = nil
    }

    private mutating func generated(at now: Duration, _ output: inout SimulatorOutput) {
        guard let making = self.making else { return }
        let length = making.sentDuration
        self.closeReply("complete")
        if !making.answer.tools.isEmpty {
            var calls: [JSONValue] = []
            for tool in making.answer.tools {
                self.callCount += 1
                let id = "function-call-\(self.seed)-\(self.callCount)"
                self.openCalls.append(id)
                calls.append([
                    "id": .string(id), "name": .string(tool.name),
                    "args": JSONValue(json: tool.arguments) ?? .object([]),
                ])
            }
            self.send(["toolCall": ["functionCalls": .array(calls)]], &output)
            return
        }
        self.send(["serverContent": ["generationComplete": true]], &output)
        if self.script.assumesPlayback {
            self.completesAt = max(now, self.spokenSince + length)
        } else {
            self.completeTurn(&output)
        }
    }

    private mutating func completeTurn(_ output: inout SimulatorOutput) {
        self.completesAt = nil
        var content: JSONValue = ["turnComplete": true]
        // Older models say nothing of it (providers.md §3.4).
        if self.model.takesContextUpdates { content.set("IDLE", at: ["interactionStatus"]) }
        self.send(["serverContent": content, "usageMetadata": self.usage()], &output)
        self.turnIsOver(&output)
    }

    private mutating func turnIsOver(_ output: inout SimulatorOutput) {
        self.isTurnOpen = false
        self.completesAt = nil
        self.tellHandle(&output)
    }

    /// The caller, or a new text, cuts in: no `generationComplete` in that turn, `turnComplete` right after.
    private mutating func interrupt(_ output: inout SimulatorOutput) {
        guard self.isTurnOpen else { return }
        if !self.openCalls.isEmpty {
            let ids = self.openCalls.map { JSONValue.string($0) }
            self.openCalls.removeAll()
            self.send(["toolCallCancellation": ["ids": .array(ids)]], &output)
        }
        self.closeReply("interrupted")
        self.completesAt = nil
        self.send(["serverContent": ["interrupted": true]], &output)
        self.completeTurn(&output)
    }

    private mutating func tellHandle(_ output: inout SimulatorOutput) {
        guard self.resumes, !self.isMute, self.phase != .over else { return }
        self.handleCount += 1
        let memory = GeminiLiveMemory(
            handle: "handle-\(self.seed)-\(self.handleCount)", answerCount: self.answerCount,
            replyCount: self.replyCount, seed: self.seed)
        if self.memories.count >= 64 { self.memories.removeFirst() }
        self.memories.append(memory)
        let update: JSONValue = ["newHandle": .string(memory.handle), "resumable": true]
        self.send(["sessionResumptionUpdate": update], &output)
    }

    /// Plausible numbers: 25 tokens a second of audio.
    private func usage() -> JSONValue {
        let heard = self.record.appended.milliseconds / 40
        let spoken = (self.record.replies.last?.audio.milliseconds ?? 0) / 40
        let read = 100
        let prompt: JSONValue = [
            ["modality": "TEXT", "tokenCount": .integer(read)], ["modality": "AUDIO", "tokenCount": .integer(heard)],
        ]
        let response: JSONValue = [["modality": "AUDIO", "tokenCount": .integer(spoken)]]
        return [
            "promptTokenCount": .integer(read + heard), "responseTokenCount": .integer(spoken),
            "totalTokenCount": .integer(read + heard + spoken), "promptTokensDetails": prompt,
            "responseTokensDetails": response,
        ]
    }

    // MARK: Common steps

    /// The server's JSON goes in binary frames.
    private mutating func send(_ message: JSONValue, _ output: inout SimulatorOutput) {
        self.send(&output) { message.write(into: &$0) }
    }

    private mutating func send(_ output: inout SimulatorOutput, write: (inout [UInt8]) -> Void) {
        guard !self.isMute, self.phase != .over else { return }
        let start = output.bytes.count
        write(&output.bytes)
        output.effects.append(.sendBinary(start..<output.bytes.count))
    }

    /// The client's own fault: 1007 with the reason is all that this wire has.
    private mutating func refuse(_ reason: String, _ output: inout SimulatorOutput) {
        self.record.refusal = reason
        self.end(.close(code: 1007, reason: String(reason.prefix(120))), &output)
    }

    private mutating func warn(at now: Duration, _ output: inout SimulatorOutput) {
        let seconds = Double(self.script.warning.milliseconds) / 1000
        self.endsAt = now + self.script.warning
        self.send(["goAway": ["timeLeft": .string("\(seconds)s")]], &output)
    }

    private mutating func perform(
        _ fault: AssistantScript.Fault, at now: Duration, _ output: inout SimulatorOutput
    ) {
        switch fault {
        case .silence:
            self.isMute = true
            output.effects.append(.wake(at: nil))
        case .close(let code, let reason): self.end(.close(code: code, reason: reason), &output)
        case .reset: self.end(.reset, &output)
        case .malformed:
            self.send(&output) { $0.append(contentsOf: #"{"serverContent":{"modelTurn":{"par"#.utf8) }
        case .binary: self.send(&output) { $0.append(contentsOf: [0, 1, 2, 255]) }
        case .huge(let count):
            self.send(&output) { bytes in
                bytes.append(contentsOf: #"{"simulatorHuge":{"padding":""#.utf8)
                bytes.append(contentsOf: repeatElement(UInt8(ascii: "x"), count: max(0, count)))
                bytes.append(contentsOf: "\"}}".utf8)
            }
        case .error(let code, let type, let message, _):
            self.end(.close(code: 1011, reason: "\(code ?? type): \(message)"), &output)
        case .expiry: self.warn(at: now, &output)
        // Of an answer's making: see `beginAnswer`.
        case .slow, .flood, .failedResponse: break
        }
    }

    private mutating func end(_ effect: SimulatorOutput.Effect, _ output: inout SimulatorOutput) {
        guard self.phase != .over else { return }
        self.phase = .over
        self.making = nil
        output.effects.append(effect)
        output.effects.append(.wake(at: nil))
    }
}

extension String {
    /// What stands after the first `separator`; nil: there is none.
    fileprivate func components(after separator: String) -> String? {
        guard let range = self.firstRange(of: separator) else { return nil }
        return String(self[range.upperBound...])
    }
}
