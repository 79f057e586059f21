import Assistants
import Telephony

/// The server side of a conversation with an ElevenLabs agent as a value (providers.md §2): client messages and the
/// time go in, server messages come out, strictly.
///
/// Event ids are one increasing counter. An interruption is followed by a piece of audio that it covers, as happens
/// when both were under way. Faults of the script without a message here: `failedResponse` is an `error` event of that
/// type and close 1002, `expiry` the end by `max_duration_exceeded`.
package struct ElevenLabsAgentsSimulatorCore: SimulatorCore {
    enum Phase: Sendable, Equatable {
        /// The client speaks first.
        case opened
        case ready
        case over
    }

    package private(set) var record = ElevenLabsAgentsRecord()

    let script: AssistantScript
    let settings: ElevenLabsAgentSettings
    let seed: Int
    private let output: AudioFormat

    private var phase: Phase = .opened
    private var listening: OpenAIRealtimeListening
    private var mishaps: RemainingMishaps
    private var isMute = false
    private var openedAt: Duration = .zero
    private var lastHeard: Duration = .zero
    private var nextPing: Duration?
    private var announcedWake: Duration?
    private var scratch: [UInt8] = []

    private var eventID = 0
    private var callCount = 0
    private var answerCount = 0
    private var replyCount = 0
    private var making: SimulatedAnswer?
    private var openCalls: [String] = []
    /// The agent reckons that the caller hears it until then.
    private var soundsUntil: Duration = .zero
    private var soundsSince: Duration = .zero
    private var lastText = ""
    private var hangsUpAt: Duration?

    package init(script: AssistantScript, settings: ElevenLabsAgentSettings = .init(), seed: Int = 1) {
        self.script = script
        self.settings = settings
        self.seed = seed
        self.mishaps = RemainingMishaps(script)
        let input = ElevenLabsAgentsFormat.format(named: settings.inputFormat) ?? .l16(.wideband)
        self.output = ElevenLabsAgentsFormat.format(named: settings.outputFormat) ?? .l16(.wideband)
        self.listening = OpenAIRealtimeListening(script: script, format: input)
    }

    // MARK: Events

    package mutating func opened(at now: Duration, _ output: inout SimulatorOutput) {
        self.openedAt = now
        self.lastHeard = now
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
            if scan["type"] == nil {
                self.audio(scan, at: now, &output)
            } else {
                self.message(JSONValue(scan), at: now, &output)
            }
        } else {
            self.refuse("invalid_message", "Invalid message received.", &output)
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
        if now - self.openedAt >= self.script.sessionLimit { self.perform(.expiry, at: now, &output) }
        if now - self.lastHeard >= self.settings.inactivityLimit {
            self.fail("transport_receive_timeout", "No input was received.", code: 1002, &output)
        }
        if let due = self.hangsUpAt, due <= now { self.end(.close(code: 1000, reason: "Call ended by agent"), &output) }
        if let due = self.nextPing, due <= now, self.phase == .ready {
            self.nextPing = now + self.settings.pingInterval
            self.record.pings += 1
            self.send("ping", "ping_event", ["event_id": .integer(self.nextID()), "ping_ms": nil], &output)
        }
        self.continueReply(at: now, &output)
    }

    private mutating func settle(_ output: inout SimulatorOutput) {
        guard self.phase != .over, !self.isMute else { return }
        var due: [Duration] = [
            self.openedAt + self.script.sessionLimit, self.lastHeard + self.settings.inactivityLimit,
        ]
        if let making = self.making { due.append(making.nextDue) }
        if let ping = self.nextPing { due.append(ping) }
        if let end = self.hangsUpAt { due.append(end) }
        if let age = self.mishaps.nextAge { due.append(self.openedAt + age) }
        let earliest = due.min()
        guard earliest != self.announcedWake else { return }
        self.announcedWake = earliest
        output.effects.append(.wake(at: earliest))
    }

    // MARK: Client messages

    private mutating func audio(_ scan: JSONScan, at now: Duration, _ output: inout SimulatorOutput) {
        var keys = 0
        scan.forEachMember { _, _ in keys += 1 }
        self.scratch.removeAll(keepingCapacity: true)
        guard keys == 1, let chunk = scan["user_audio_chunk"], chunk.kind == .string, !chunk.hasEscapes,
            (try? Base64.decode(chunk.bytes, into: &self.scratch)) != nil,
            self.scratch.count % self.listening.format.bytesPerSample == 0
        else { return self.refuse("invalid_message", "Invalid message received.", &output) }
        guard self.phase == .ready else {
            return self.refuse("invalid_message", "The first message must be the initiation.", &output)
        }
        self.lastHeard = now
        let bytes = self.scratch
        var events: [OpenAIRealtimeListening.Event] = []
        bytes.withUnsafeBytes { self.listening.heard($0, detects: true, &events) }
        self.record.appended += self.listening.format.duration(ofBytes: bytes.count)
        for event in events {
            switch event {
            case .started: self.callerStarted(at: now, &output)
            case .stopped: self.callerStopped(at: now, &output)
            }
        }
    }

    private mutating func message(_ message: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        let type = message["type"]?.text ?? ""
        guard let shape = ElevenLabsAgentsWire.messages[type] else {
            return self.refuse("invalid_message", "Unknown message type.", &output)
        }
        do throws(WireShape.Refusal) {
            try shape.check(message, at: "")
        } catch {
            return self.refuse("invalid_message", error.message, &output)
        }
        guard (type == "conversation_initiation_client_data") == (self.phase == .opened) else {
            return self.refuse("invalid_message", "The initiation must be the first message, and sent once.", &output)
        }
        switch type {
        case "conversation_initiation_client_data": self.initiate(message, at: now, &output)
        case "pong":
            let id = message["event_id"]?.whole ?? -1
            guard id <= self.eventID else { return self.refuse("value_error", "Unknown event id.", &output) }
            self.record.pongs.append(id)
        case "client_tool_result":
            let id = message["tool_call_id"]?.text ?? ""
            guard let index = self.openCalls.firstIndex(of: id) else {
                return self.refuse("value_error", "There is no open tool call of that id.", &output)
            }
            self.openCalls.remove(at: index)
            let result = message["result"]?.text ?? (message["result"] ?? .null).json
            self.record.toolOutputs.append((id, result, message["is_error"]?.flag ?? false))
            if self.openCalls.isEmpty, self.making == nil { self.beginAnswer(nil, at: now, &output) }
        case "contextual_update": self.record.context.append(message["text"]?.text ?? "")
        case "user_message":
            let text = message["text"]?.text ?? ""
            self.record.prompts.append(text)
            self.interrupt(at: now, &output)
            if text.contains("(The call has just been answered") {
                self.beginAnswer(self.script.greeting, at: now, &output)
            } else if text.contains("word for word"), let range = text.firstRange(of: "\n\n") {
                self.beginAnswer(.init(String(text[range.upperBound...])), at: now, &output)
            } else {
                self.beginAnswer(nil, at: now, &output)
            }
        default: break
        }
    }

    private mutating func initiate(_ message: JSONValue, at now: Duration, _ output: inout SimulatorOutput) {
        self.record.initiation = message
        if let allowed = self.settings.allowedOverrides {
            for name in ElevenLabsAgentsWire.overrides(in: message) where !allowed.contains(name) {
                return self.fail("override_error", "Override for field '\(name)' is not allowed.", code: 1008, &output)
            }
        }
        if let fault = self.mishaps.take(at: .configured) {
            self.perform(fault, at: now, &output)
            if self.isMute || self.phase == .over { return }
        }
        self.phase = .ready
        self.send(
            "conversation_initiation_metadata", "conversation_initiation_metadata_event",
            [
                "conversation_id": .string("conv_\(self.seed)"),
                "agent_output_audio_format": .string(self.settings.outputFormat),
                "user_input_audio_format": .string(self.settings.inputFormat),
            ], &output)
        self.nextPing = now + self.settings.pingInterval
        guard self.settings.greets else { return }
        let override = message["conversation_config_override"]?["agent"]?["first_message"]?.text
        if let override {
            if !override.isEmpty { self.beginAnswer(.init(override), at: now, &output) }
        } else {
            self.beginAnswer(self.script.greeting, at: now, &output)
        }
    }

    // MARK: Turns

    private mutating func callerStarted(at now: Duration, _ output: inout SimulatorOutput) {
        self.interrupt(at: now, &output)
        let words = self.script.answer(to: self.answerCount).callerTranscript
        self.send(
            "tentative_user_transcript", "tentative_user_transcription_event",
            ["user_transcript": .string(String(words.prefix(words.count / 2))), "event_id": .integer(self.nextID())],
            &output)
    }

    private mutating func callerStopped(at now: Duration, _ output: inout SimulatorOutput) {
        _ = self.listening.takeUncommitted()
        guard self.making == nil, self.openCalls.isEmpty else { return }
        let words = self.script.answer(to: self.answerCount).callerTranscript
        self.send(
            "user_transcript", "user_transcription_event",
            ["user_transcript": .string(words), "event_id": .integer(self.nextID())], &output)
        self.beginAnswer(nil, at: now, &output)
    }

    /// Nil: the script's next.
    private mutating func beginAnswer(
        _ given: AssistantScript.Answer?, at now: Duration, _ output: inout SimulatorOutput
    ) {
        let answer = given ?? self.script.answer(to: self.answerCount)
        if given == nil { self.answerCount += 1 }
        self.replyCount += 1
        self.making = SimulatedAnswer(
            number: self.replyCount, answer: answer, script: self.script, format: self.output, at: now,
            fault: self.mishaps.takeOfMaking(self.replyCount))
        self.soundsSince = now
        self.lastText = answer.text
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
                if let failure = making.failure {
                    return self.fail(failure, "The agent could not answer.", code: 1002, &output)
                }
                if !making.answer.text.isEmpty {
                    // The text of the whole turn, when it is known; it need not come before the audio.
                    self.send(
                        "agent_response", "agent_response_event",
                        ["agent_response": .string(making.answer.text), "event_id": .integer(self.nextID())], &output)
                }
            }
            if !making.answer.text.isEmpty { self.sendPiece(at: now, &output) }
            guard let sent = self.making else { return }
            if sent.isHalfSent, let fault = self.mishaps.take(at: .midResponse(sent.number)) {
                self.perform(fault, at: now, &output)
                if self.isMute || self.phase == .over { return }
            }
            if sent.isAllSent { return self.generated(at: now, &output) }
        }
    }

    private mutating func sendPiece(at now: Duration, _ output: inout SimulatorOutput) {
        guard let range = self.making?.nextPiece(), let making = self.making, !range.isEmpty else { return }
        let id = self.nextID()
        self.soundsUntil = max(self.soundsUntil, now) + making.format.duration(ofBytes: range.count)
        self.send(&output) { bytes in
            JSONText.append("{\"type\":\"audio\",\"audio_event\":{\"audio_base_64\":\"", to: &bytes)
            making.sound.appendBase64(range, to: &bytes)
            JSONText.append("\",\"event_id\":", to: &bytes)
            JSONText.appendInteger(id, to: &bytes)
            JSONText.append("}}", to: &bytes)
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
        self.closeReply("complete")
        for tool in making.answer.tools {
            self.callCount += 1
            let id = "call_\(self.seed)_\(self.callCount)"
            self.openCalls.append(id)
            self.send(
                "client_tool_call", "client_tool_call",
                [
                    "tool_name": .string(tool.name), "tool_call_id": .string(id),
                    "parameters": JSONValue(json: tool.arguments) ?? .object([]),
                    "event_id": .integer(self.nextID()),
                ], &output)
        }
        if self.settings.sendsCompletions, making.answer.tools.isEmpty {
            self.send(
                "agent_response_complete", "agent_response_complete_event", ["event_id": .integer(self.nextID())],
                &output)
        }
        if let limit = self.settings.hangsUpAfter, self.replyCount >= limit { self.hangsUpAt = self.soundsUntil }
    }

    /// The caller, or a new text, cuts in, as long as the agent reckons to be heard.
    private mutating func interrupt(at now: Duration, _ output: inout SimulatorOutput) {
        guard self.making != nil || now < self.soundsUntil else { return }
        let making = self.making
        self.closeReply("interrupted")
        let covered = self.eventID
        let id = self.nextID()
        self.send("interruption", "interruption_event", ["event_id": .integer(id)], &output)
        if let making, making.sentBytes > 0, !self.isMute {
            // It was on its way when the interruption was decided.
            self.record.lateAudio += 1
            self.send(&output) { bytes in
                JSONText.append("{\"type\":\"audio\",\"audio_event\":{\"audio_base_64\":\"", to: &bytes)
                making.sound.appendBase64(0..<min(making.pieceBytes, making.sound.count), to: &bytes)
                JSONText.append("\",\"event_id\":", to: &bytes)
                JSONText.appendInteger(covered, to: &bytes)
                JSONText.append("}}", to: &bytes)
            }
        }
        if self.settings.sendsCorrections, !self.lastText.isEmpty {
            let length = max(self.soundsUntil - self.soundsSince, .milliseconds(1))
            let share = min(1, Double((now - self.soundsSince).nanoseconds) / Double(length.nanoseconds))
            let heard = self.lastText.prefix(Int(Double(self.lastText.count) * max(0, share)))
            self.send(
                "agent_response_correction", "agent_response_correction_event",
                [
                    "original_agent_response": .string(self.lastText),
                    "corrected_agent_response": .string(String(heard) + "..."), "event_id": .integer(self.nextID()),
                ], &output)
        }
        self.soundsUntil = now
    }

    // MARK: Common steps

    private mutating func nextID() -> Int {
        self.eventID += 1
        return self.eventID
    }

    private mutating func send(
        _ type: String, _ key: String, _ event: JSONValue, _ output: inout SimulatorOutput
    ) {
        var message: JSONValue = ["type": .string(type)]
        message.set(event, at: [key])
        self.send(&output) { message.write(into: &$0) }
    }

    private mutating func send(_ output: inout SimulatorOutput, write: (inout [UInt8]) -> Void) {
        guard !self.isMute, self.phase != .over else { return }
        let start = output.bytes.count
        write(&output.bytes)
        output.effects.append(.sendText(start..<output.bytes.count))
    }

    /// The client's own fault.
    private mutating func refuse(_ type: String, _ reason: String, _ output: inout SimulatorOutput) {
        self.record.refusal = reason
        self.fail(type, reason, code: 1008, &output)
    }

    /// An `error` event, and the close that follows.
    private mutating func fail(
        _ type: String, _ message: String, code: UInt16, _ output: inout SimulatorOutput
    ) {
        self.tellError(type, message, &output)
        self.end(.close(code: code, reason: String(message.prefix(120))), &output)
    }

    private mutating func tellError(_ type: String, _ message: String, _ output: inout SimulatorOutput) {
        self.send(
            "error", "error_event",
            ["code": 1008, "error_type": .string(type), "message": .string(message)], &output)
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
            self.send(&output) { $0.append(contentsOf: #"{"type":"audio","audio_event":{"audio_ba"#.utf8) }
        case .binary:
            guard !self.isMute, self.phase != .over else { return }
            let start = output.bytes.count
            output.bytes.append(contentsOf: [0, 1, 2, 255])
            output.effects.append(.sendBinary(start..<output.bytes.count))
        case .huge(let count):
            self.send(&output) { bytes in
                bytes.append(contentsOf: #"{"type":"simulator_huge","padding":""#.utf8)
                bytes.append(contentsOf: repeatElement(UInt8(ascii: "x"), count: max(0, count)))
                bytes.append(contentsOf: "\"}".utf8)
            }
        case .error(let code, let type, let message, let closing):
            if closing {
                self.fail(code ?? type, message, code: 1002, &output)
            } else {
                self.tellError(code ?? type, message, &output)
            }
        case .expiry: self.fail("max_duration_exceeded", "The maximum duration was reached.", code: 1000, &output)
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
