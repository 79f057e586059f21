import Assistants
import Telephony
import Testing

/// A machine with its outputs kept: events go in as a test writes them, effects come out readable.
struct RealtimeTrace {
    var machine: OpenAIRealtimeMachine
    var now: Duration = .zero
    /// Everything sent since the last `take…`, as JSON.
    private(set) var sent: [JSONValue] = []
    private(set) var events: [AssistantEvent] = []
    private(set) var audio: [(item: AgentItem, bytes: [UInt8])] = []
    private(set) var connects: [WebSocketTarget] = []
    private(set) var closes: [UInt16] = []
    private(set) var wakes: [Duration?] = []
    private var output = AssistantOutput()

    init(
        configuration: OpenAIRealtimeConfiguration = RealtimeTrace.configuration,
        setup: AssistantSetup = RealtimeTrace.setup()
    ) {
        self.machine = OpenAIRealtimeMachine(configuration: configuration, setup: setup)
    }

    static let configuration = OpenAIRealtimeConfiguration(credential: .bearer(Redacted("sk-test")))
    static let betaConfiguration = OpenAIRealtimeConfiguration(
        baseURL: "https://r.openai.azure.com", service: .azureLegacy(apiVersion: "2025-04-01-preview"),
        credential: .apiKey(Redacted("k")), model: "deployment")

    static func setup(
        greeting: String? = nil, legFormat: AudioFormat = .pcmu, turns: TurnDetection = TurnDetection(),
        tools: [ToolDefinition] = [], history: [ConversationEntry] = []
    ) -> AssistantSetup {
        AssistantSetup(
            instructions: "You answer the phone.", greeting: greeting, language: "it-IT", tools: tools, turns: turns,
            legFormat: legFormat, history: history)
    }

    // MARK: Events in

    mutating func start() {
        self.machine.start(at: self.now, &self.output)
        self.drain()
    }

    mutating func channel(_ event: ChannelEvent) {
        self.machine.received(event, at: self.now, &self.output)
        self.drain()
    }

    mutating func server(_ text: String) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { self.machine.received(.text(.main, $0), at: self.now, &self.output) }
        self.drain()
    }

    mutating func server(bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.machine.received(.text(.main, $0), at: self.now, &self.output) }
        self.drain()
    }

    mutating func perform(_ command: AssistantCommand) {
        self.machine.perform(command, at: self.now, &self.output)
        self.drain()
    }

    mutating func caller(_ frame: [UInt8]) {
        frame.withUnsafeBytes { self.machine.callerAudio($0, at: self.now, &self.output) }
        self.drain()
    }

    mutating func wake(at now: Duration) {
        self.now = now
        self.machine.wake(at: now, &self.output)
        self.drain()
    }

    /// Connected, configured and ready, with nothing left over.
    static func ready(
        configuration: OpenAIRealtimeConfiguration = RealtimeTrace.configuration,
        setup: AssistantSetup = RealtimeTrace.setup()
    ) -> RealtimeTrace {
        var trace = RealtimeTrace(configuration: configuration, setup: setup)
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created","event_id":"e1","session":{"id":"sess_1"}}"#)
        trace.server(trace.echo())
        trace.forget()
        return trace
    }

    /// The `session.updated` that a well-behaved server answers the last `session.update` with.
    func echo() -> String {
        let session = self.sent.last { $0["type"] == "session.update" }?["session"] ?? .null
        let updated: JSONValue = ["type": "session.updated", "event_id": "e2", "session": session]
        return updated.json
    }

    // MARK: Effects out

    private mutating func drain() {
        for effect in self.output.effects {
            switch effect {
            case .connect(_, let target): self.connects.append(target)
            case .sendText(_, let range):
                let text = String(decoding: self.output.bytes[range], as: UTF8.self)
                self.sent.append(JSONValue(json: text) ?? .string("NOT JSON: " + text))
            case .close(_, let code): self.closes.append(code)
            case .audio(let item, let range): self.audio.append((item, Array(self.output.bytes[range])))
            case .event(let event): self.events.append(event)
            case .wake(let due): self.wakes.append(due)
            case .sendBinary, .request, .synthesise, .recognise, .transcribe, .detect:
                Issue.record("an effect that this machine has no use for")
            }
        }
        self.output.removeAll()
    }

    mutating func forget() {
        self.sent.removeAll()
        self.events.removeAll()
        self.audio.removeAll()
        self.wakes.removeAll()
    }

    mutating func takeEvents() -> [AssistantEvent] {
        defer { self.events.removeAll() }
        return self.events
    }

    mutating func takeSent() -> [JSONValue] {
        defer { self.sent.removeAll() }
        return self.sent
    }

    /// The types of what was sent since the last time.
    mutating func takeSentTypes() -> [String] { self.takeSent().map { $0["type"]?.text ?? "?" } }

    /// The event's text that was sent last with this type.
    func lastSent(_ type: String) -> JSONValue? { self.sent.last { $0["type"]?.text == type } }
}

/// Server events, shaped as SDK openai 3.52.0 types them.
enum Wire {
    static func delta(_ bytes: [UInt8], response: String = "resp_1", item: String = "item_1") -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
        return delta(base64: String(decoding: text, as: UTF8.self), response: response, item: item)
    }

    static func delta(base64: String, response: String = "resp_1", item: String = "item_1") -> String {
        #"{"type":"response.output_audio.delta","event_id":"e","response_id":"\#(response)","item_id":"\#(item)","#
            + #""output_index":0,"content_index":0,"delta":"\#(base64)"}"#
    }

    static func created(_ id: String = "resp_1") -> String {
        #"{"type":"response.created","event_id":"e","response":{"object":"realtime.response","id":"\#(id)","#
            + #""status":"in_progress","output":[]}}"#
    }

    static func done(_ id: String = "resp_1", status: String = "completed", details: String = "null") -> String {
        #"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","id":"\#(id)","#
            + #""status":"\#(status)","status_details":\#(details),"output":[]}}"#
    }

    static func error(code: String? = nil, type: String = "invalid_request_error", eventID: String? = nil) -> String {
        var error: JSONValue = ["type": .string(type), "message": "something"]
        error.set(code.map { .string($0) } ?? .null, at: ["code"])
        error.set(eventID.map { .string($0) } ?? .null, at: ["event_id"])
        let event: JSONValue = ["type": "error", "event_id": "e", "error": error]
        return event.json
    }

    static func toolCall(_ callID: String, response: String = "resp_1", name: String = "transfer") -> String {
        #"{"type":"response.function_call_arguments.done","event_id":"e","response_id":"\#(response)","#
            + #""item_id":"fc_\#(callID)","output_index":0,"call_id":"\#(callID)","name":"\#(name)","arguments":"{}"}"#
    }
}
