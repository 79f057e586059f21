import Assistants
import Audio
import Telephony

/// The server side of an OpenAI Realtime session as a value: client messages and the time go in, server messages come
/// out, strictly (providers.md §1): unknown parameters are refused, one response at a time, items know how long they
/// are.
package struct OpenAIRealtimeSimulatorCore: SimulatorCore {
    package typealias Dialect = OpenAIRealtimeConfiguration.Dialect

    package typealias Output = SimulatorOutput

    /// What the server remembers of an item.
    struct Item: Sendable {
        var id: String
        var value: JSONValue
        /// Of audio made by the assistant; nil for all other items.
        var audioMilliseconds: Int?
    }

    package private(set) var record = OpenAIRealtimeRecord()

    let script: OpenAIRealtimeScript
    let dialect: Dialect
    let model: String
    /// Tells ids of several connections apart.
    let seed: Int

    /// The effective configuration, echoed by every `session.updated`.
    var session: JSONValue
    var items: [Item] = []
    var listening: OpenAIRealtimeListening
    var making: OpenAIRealtimeMaking?
    var answerCount = 0
    var responseCount = 0
    var openCalls: Set<String> = []
    /// The item that the caller is speaking.
    var openTurn: String?
    /// Transcripts of the caller that are still to be told.
    var dueTranscripts: [(at: Duration, itemID: String, text: String)] = []
    var hasSpoken = false
    var remainingMishaps: [OpenAIRealtimeScript.Mishap]
    private var isMute = false
    private(set) var isOver = false
    private var openedAt: Duration = .zero
    private var idCount = 0
    private var announcedWake: Duration?
    private var scratch: [UInt8] = []

    package init(
        script: OpenAIRealtimeScript, dialect: Dialect = .ga, model: String = "gpt-realtime-2.1", seed: Int = 1
    ) {
        self.script = script
        self.dialect = dialect
        self.model = model
        self.seed = seed
        self.remainingMishaps = script.mishaps
        self.session = OpenAIRealtimeWire.defaultSession(dialect, model: model, seed: seed)
        self.listening = OpenAIRealtimeListening(script: script, format: .l16(.realtime))
    }

    // MARK: Events

    /// The WebSocket is open: the server speaks first.
    package mutating func opened(at now: Duration, _ output: inout Output) {
        self.openedAt = now
        if self.mishap(at: .opened, now, &output) { return self.settle(&output) }
        self.send(self.wire("session.created", ["session": self.session]), &output)
        self.settle(&output)
    }

    /// A whole text message of the client.
    package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout Output) {
        guard !self.isOver else { return }
        if self.script.keepsMessages { self.record.messages.append(String(decoding: bytes, as: UTF8.self)) }
        self.advance(to: now, &output)
        guard let scan = try? JSONScan(bytes), scan.kind == .object, let type = scan["type"], type.kind == .string
        else {
            self.refuse(
                OpenAIRealtimeShape.Refusal(
                    code: "invalid_json", message: "The event is not a JSON object with a type.", parameter: ""),
                nil, &output)
            return self.settle(&output)
        }
        if type.isText("input_audio_buffer.append") {
            self.append(scan, at: now, &output)
        } else {
            self.clientEvent(JSONValue(scan), at: now, &output)
        }
        self.settle(&output)
    }

    /// The time last asked for has come.
    package mutating func wake(at now: Duration, _ output: inout Output) {
        guard !self.isOver else { return }
        self.announcedWake = nil
        self.advance(to: now, &output)
        self.settle(&output)
    }

    /// Does what has become due.
    private mutating func advance(to now: Duration, _ output: inout Output) {
        while let index = self.remainingMishaps.firstIndex(where: { mishap in
            if case .after(let delay) = mishap.moment { return self.openedAt + delay <= now }
            return false
        }) {
            let fault = self.remainingMishaps.remove(at: index).fault
            self.perform(fault, at: now, &output)
        }
        if now - self.openedAt >= self.script.sessionLimit { self.perform(.expiry, at: now, &output) }
        while let due = self.dueTranscripts.first, due.at <= now {
            self.dueTranscripts.removeFirst()
            self.tellTranscript(due.itemID, due.text, &output)
        }
        self.continueResponse(at: now, &output)
    }

    private mutating func settle(_ output: inout Output) {
        guard !self.isOver, !self.isMute else { return }
        var due: [Duration] = [self.openedAt + self.script.sessionLimit]
        if let transcript = self.dueTranscripts.first { due.append(transcript.at) }
        if let making = self.making { due.append(making.nextDue) }
        for mishap in self.remainingMishaps {
            if case .after(let delay) = mishap.moment { due.append(self.openedAt + delay) }
        }
        let earliest = due.min()
        guard earliest != self.announcedWake else { return }
        self.announcedWake = earliest
        output.effects.append(.wake(at: earliest))
    }

    // MARK: Audio of the caller

    private mutating func append(_ scan: JSONScan, at now: Duration, _ output: inout Output) {
        var unknown: String?
        scan.forEachMember { key, _ in
            guard !key.isText("type"), !key.isText("audio"), !key.isText("event_id") else { return }
            unknown = key.string
        }
        let eventID = scan["event_id"]?.string
        if let unknown { return self.refuse(.unknown(unknown), eventID, &output) }
        guard let audio = scan["audio"] else { return self.refuse(.missing("audio"), eventID, &output) }
        self.scratch.removeAll(keepingCapacity: true)
        guard audio.kind == .string, !audio.hasEscapes, audio.bytes.count <= 15 * 1024 * 1024,
            (try? Base64.decode(audio.bytes, into: &self.scratch)) != nil,
            self.scratch.count % self.listening.format.bytesPerSample == 0
        else { return self.refuse(.value("audio"), eventID, &output) }
        let bytes = self.scratch
        var events: [OpenAIRealtimeListening.Event] = []
        bytes.withUnsafeBytes { self.listening.heard($0, detects: self.turnDetection != nil, &events) }
        self.record.appended += self.listening.format.duration(ofBytes: bytes.count)
        for event in events { self.callerEvent(event, at: now, &output) }
    }

    // MARK: Common steps

    /// The session's turn detection; nil where the client finds the turns.
    var turnDetection: JSONValue? {
        let path = self.dialect == .ga ? ["audio", "input", "turn_detection"] : ["turn_detection"]
        guard let value = self.session[path], !value.isNull else { return nil }
        return value
    }

    var hasTranscription: Bool {
        let path = self.dialect == .ga ? ["audio", "input", "transcription"] : ["input_audio_transcription"]
        return !(self.session[path] ?? .null).isNull
    }

    mutating func change(_ body: (inout OpenAIRealtimeRecord) -> Void) { body(&self.record) }

    mutating func nextID(_ kind: String) -> String {
        self.idCount += 1
        return "\(kind)_\(self.seed)_\(self.idCount)"
    }

    /// A server event, in this dialect's name.
    mutating func wire(_ type: String, _ members: JSONValue) -> JSONValue {
        var event: JSONValue = .object([])
        event.set(.string(OpenAIRealtimeWire.name(type, self.dialect)), at: ["type"])
        event.set(.string(self.nextID("event")), at: ["event_id"])
        for member in members.members ?? [] { event.set(member.value, at: [member.name]) }
        return event
    }

    mutating func send(_ event: JSONValue, _ output: inout Output) {
        guard !self.isMute, !self.isOver else { return }
        let start = output.bytes.count
        event.write(into: &output.bytes)
        output.effects.append(.sendText(start..<output.bytes.count))
    }

    /// A message that `write` appends to the output itself: audio.
    mutating func send(_ output: inout Output, write: (inout [UInt8]) -> Void) {
        guard !self.isMute, !self.isOver else { return }
        let start = output.bytes.count
        write(&output.bytes)
        output.effects.append(.sendText(start..<output.bytes.count))
    }

    /// Tells the client of an error of its own; the session goes on.
    mutating func refuse(_ refusal: OpenAIRealtimeShape.Refusal, _ eventID: String?, _ output: inout Output) {
        self.record.errors.append(refusal.code)
        self.sendError(
            code: refusal.code, type: "invalid_request_error", message: refusal.message,
            parameter: refusal.parameter.isEmpty ? nil : refusal.parameter, eventID: eventID, &output)
    }

    mutating func sendError(
        code: String?, type: String, message: String, parameter: String? = nil, eventID: String? = nil,
        _ output: inout Output
    ) {
        let error: JSONValue = [
            "type": .string(type), "code": code.map { .string($0) } ?? .null, "message": .string(message),
            "param": parameter.map { .string($0) } ?? .null, "event_id": eventID.map { .string($0) } ?? .null,
        ]
        self.send(self.wire("error", ["error": error]), &output)
    }

    // MARK: Mishaps

    /// Lets go wrong what is to go wrong at `moment`. True: what was to happen then does not.
    mutating func mishap(at moment: OpenAIRealtimeScript.Moment, _ now: Duration, _ output: inout Output) -> Bool {
        guard let index = self.remainingMishaps.firstIndex(where: { $0.moment == moment }) else { return false }
        let fault = self.remainingMishaps.remove(at: index).fault
        self.perform(fault, at: now, &output)
        return self.isMute || self.isOver
    }

    /// A mishap of a response's making rather than of the connection.
    mutating func takeResponseFault(_ number: Int) -> OpenAIRealtimeScript.Fault? {
        let index = self.remainingMishaps.firstIndex { mishap in
            guard mishap.moment == .response(number) else { return false }
            switch mishap.fault {
            case .slow, .flood, .failedResponse: return true
            default: return false
            }
        }
        return index.map { self.remainingMishaps.remove(at: $0).fault }
    }

    private mutating func perform(_ fault: OpenAIRealtimeScript.Fault, at now: Duration, _ output: inout Output) {
        switch fault {
        case .silence:
            self.isMute = true
            output.effects.append(.wake(at: nil))
        case .close(let code, let reason): self.end(.close(code: code, reason: reason), &output)
        case .reset: self.end(.reset, &output)
        case .malformed:
            self.send(&output) { $0.append(contentsOf: #"{"type":"response.output_audio.delta","del"#.utf8) }
        case .binary:
            guard !self.isMute, !self.isOver else { return }
            let start = output.bytes.count
            output.bytes.append(contentsOf: [0, 1, 2, 255])
            output.effects.append(.sendBinary(start..<output.bytes.count))
        case .huge(let count):
            self.send(&output) { bytes in
                bytes.append(contentsOf: #"{"type":"simulator.huge","padding":""#.utf8)
                bytes.append(contentsOf: repeatElement(UInt8(ascii: "x"), count: max(0, count)))
                bytes.append(contentsOf: "\"}".utf8)
            }
        case .error(let code, let type, let message, let closing):
            self.sendError(code: code, type: type, message: message, &output)
            if closing { self.end(.close(code: 1011, reason: code ?? type), &output) }
        case .expiry:
            self.sendError(
                code: "session_expired", type: "invalid_request_error",
                message: "Your session hit the maximum duration of 60 minutes.", &output)
            self.end(.close(code: 1001, reason: "session expired"), &output)
        // Of a response's making: see `begin`.
        case .slow, .flood, .failedResponse: break
        }
    }

    private mutating func end(_ effect: Output.Effect, _ output: inout Output) {
        guard !self.isOver else { return }
        self.isOver = true
        output.effects.append(effect)
        output.effects.append(.wake(at: nil))
    }
}
