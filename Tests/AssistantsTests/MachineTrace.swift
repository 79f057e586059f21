import Assistants
import Telephony
import Testing

/// Any machine with its outputs kept: events go in as a test writes them, effects come out readable.
struct MachineTrace {
    var machine: any AssistantMachine
    var now: Duration = .zero
    /// Everything sent since the last `forget`, as JSON.
    private(set) var sent: [JSONValue] = []
    private(set) var events: [AssistantEvent] = []
    private(set) var audio: [(item: AgentItem, bytes: [UInt8])] = []
    private(set) var connects: [(channel: ChannelID, target: WebSocketTarget)] = []
    private(set) var requests: [(channel: ChannelID, target: HTTPTarget)] = []
    private(set) var closes: [ChannelID] = []
    private(set) var wake: Duration?
    private var output = AssistantOutput()

    init(_ machine: any AssistantMachine) { self.machine = machine }

    static func setup(
        greeting: String? = nil, legFormat: AudioFormat = .pcmu, turns: TurnDetection = TurnDetection(),
        tools: [ToolDefinition] = [], history: [ConversationEntry] = [], model: String? = nil
    ) -> AssistantSetup {
        AssistantSetup(
            instructions: "You answer the phone.", greeting: greeting, language: "pt-BR", model: model, tools: tools,
            turns: turns, legFormat: legFormat, history: history)
    }

    mutating func start() {
        self.machine.start(at: self.now, &self.output)
        self.drain()
    }

    mutating func channel(_ event: ChannelEvent) {
        self.machine.received(event, at: self.now, &self.output)
        self.drain()
    }

    mutating func server(_ text: String, on channel: ChannelID = .main) {
        self.server(bytes: Array(text.utf8), on: channel)
    }

    mutating func server(bytes: [UInt8], on channel: ChannelID = .main) {
        bytes.withUnsafeBytes { self.machine.received(.text(channel, $0), at: self.now, &self.output) }
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

    /// Lets time pass, waking the machine when it asked for it.
    mutating func pass(_ duration: Duration) {
        let end = self.now + duration
        var rounds = 0
        while let due = self.wake, due <= end, rounds < 10_000 {
            rounds += 1
            self.now = max(self.now, due)
            self.wake = nil
            self.machine.wake(at: self.now, &self.output)
            self.drain()
        }
        self.now = end
    }

    private mutating func drain() {
        for effect in self.output.effects {
            switch effect {
            case .connect(let id, let target): self.connects.append((id, target))
            case .sendText(_, let range):
                let text = String(decoding: self.output.bytes[range], as: UTF8.self)
                self.sent.append(JSONValue(json: text) ?? .string("NOT JSON: " + text))
            case .close(let id, _): self.closes.append(id)
            case .audio(let item, let range): self.audio.append((item, Array(self.output.bytes[range])))
            case .event(let event): self.events.append(event)
            case .wake(let due): self.wake = due
            case .request(let id, let target): self.requests.append((id, target))
            case .sendBinary, .synthesise, .recognise, .transcribe, .detect:
                Issue.record("an effect that this machine has no use for")
            }
        }
        self.output.removeAll()
    }

    mutating func forget() {
        self.sent.removeAll()
        self.events.removeAll()
        self.audio.removeAll()
    }

    mutating func takeEvents() -> [AssistantEvent] {
        defer { self.events.removeAll() }
        return self.events
    }

    mutating func takeSent() -> [JSONValue] {
        defer { self.sent.removeAll() }
        return self.sent
    }

    var failures: [AssistantFailure] {
        self.events.compactMap { event in
            if case .failed(let failure) = event { return failure }
            return nil
        }
    }

    /// Twenty milliseconds of a loud tone, of a rate.
    static func voice(_ format: AudioFormat) -> [UInt8] {
        (0..<format.rate.samples(in: .milliseconds(20))).flatMap { index -> [UInt8] in
            let sample: Int16 = index % 40 < 20 ? 9000 : -9000
            return [UInt8(truncatingIfNeeded: sample), UInt8(truncatingIfNeeded: sample >> 8)]
        }
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct MutationSource: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { self.state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return self.state
    }

    /// One of `messages` with some of its bytes changed, dropped, doubled or cut off.
    mutating func mutation(of messages: [String]) -> [UInt8] {
        var bytes = Array((messages.randomElement(using: &self) ?? "").utf8)
        for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &self)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(bytes[place], at: place)
            case 3: bytes.removeLast(bytes.count - place)
            default:
                let word = ["null", "{}", "[]", "-1", "1e999", "\"\"", "true", "\\u0000"].randomElement(using: &self)
                bytes.insert(contentsOf: Array((word ?? "").utf8), at: place)
            }
        }
        return bytes
    }
}
