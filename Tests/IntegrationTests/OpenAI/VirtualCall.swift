import Assistants
import Audio
import Simulators
import Telephony

/// The machine and the simulated server, wired to one another in virtual time: a call of minutes takes milliseconds.
struct VirtualCall {
    var machine: OpenAIRealtimeMachine
    var server: OpenAIRealtimeSimulatorCore
    private(set) var now: Duration = .zero
    private(set) var events: [(at: Duration, event: AssistantEvent)] = []
    private(set) var audio: [AgentItem: [UInt8]] = [:]
    private(set) var firstAudio: Duration?
    /// All that the server said, audio left out.
    private(set) var serverMessages: [JSONValue] = []
    private(set) var serverTypes: [String] = []
    private(set) var clientMessages: [String] = []
    private(set) var isOpen = false
    /// Events of the machine that the test answers, as the conversation would.
    var onEvent: ((AssistantEvent) -> [AssistantCommand])?

    private var machineOutput = AssistantOutput()
    private var serverOutput = OpenAIRealtimeSimulatorCore.Output()
    private var machineWake: Duration?
    private var serverWake: Duration?
    private var tone: Tone
    private let format: AudioFormat

    init(
        script: OpenAIRealtimeScript, setup: AssistantSetup, dialect: OpenAIRealtimeConfiguration.Dialect = .ga,
        adjust: (inout OpenAIRealtimeConfiguration) -> Void = { _ in }
    ) {
        var configuration = OpenAIRealtimeConfiguration(
            baseURL: "http://127.0.0.1/v1", dialect: dialect, credential: .bearer(Redacted("k")))
        adjust(&configuration)
        self.machine = OpenAIRealtimeMachine(configuration: configuration, setup: setup)
        self.server = OpenAIRealtimeSimulatorCore(script: script, dialect: dialect)
        self.format = self.machine.capabilities.input[0]
        self.tone = Tone(300, amplitude: 0.3, rate: self.format.rate)
    }

    static func setup(
        legFormat: AudioFormat = .pcmu, turns: TurnDetection = TurnDetection(), tools: [ToolDefinition] = [],
        history: [ConversationEntry] = []
    ) -> AssistantSetup {
        AssistantSetup(
            instructions: "You answer the phone.", language: "en", tools: tools, turns: turns, legFormat: legFormat,
            history: history)
    }

    mutating func start() {
        self.machine.start(at: self.now, &self.machineOutput)
        self.settle()
    }

    mutating func perform(_ command: AssistantCommand) {
        self.machine.perform(command, at: self.now, &self.machineOutput)
        self.settle()
    }

    /// Lets time pass, 20 ms by 20 ms, with the caller silent or speaking (a tone).
    mutating func pass(_ duration: Duration, speaking: Bool = false) {
        let end = self.now + duration
        while self.now < end {
            self.now += .milliseconds(20)
            self.frame(speaking: speaking)
            if let due = self.machineWake, due <= self.now {
                self.machineWake = nil
                self.machine.wake(at: self.now, &self.machineOutput)
                self.settle()
            }
            while let due = self.serverWake, due <= self.now {
                self.serverWake = nil
                self.server.wake(at: self.now, &self.serverOutput)
                self.settle()
            }
        }
    }

    private mutating func frame(speaking: Bool) {
        var pcm: [UInt8] = []
        if speaking {
            var samples: [Int16] = []
            self.tone.append(samples: self.format.rate.samples(in: .milliseconds(20)), to: &samples)
            guard var transcoder = try? Transcoder(from: .l16(self.format.rate), to: self.format) else { return }
            samples.withUnsafeBytes { transcoder.convert($0, into: &pcm) }
        } else {
            pcm = Array(repeating: self.format.encoding.silence, count: self.format.bytes(in: .milliseconds(20)))
        }
        pcm.withUnsafeBytes { self.machine.callerAudio($0, at: self.now, &self.machineOutput) }
        self.settle()
    }

    /// Carries everything across until both sides are quiet.
    private mutating func settle() {
        while !self.machineOutput.effects.isEmpty || !self.serverOutput.effects.isEmpty {
            let (machine, server) = (self.machineOutput, self.serverOutput)
            self.machineOutput.removeAll()
            self.serverOutput.removeAll()
            for effect in machine.effects { self.fromMachine(effect, machine.bytes) }
            for effect in server.effects { self.fromServer(effect, server.bytes) }
        }
    }

    private mutating func fromMachine(_ effect: AssistantEffect, _ bytes: [UInt8]) {
        switch effect {
        case .connect:
            self.isOpen = true
            self.machine.received(.opened(.main), at: self.now, &self.machineOutput)
            self.server.opened(at: self.now, &self.serverOutput)
        case .sendText(_, let range):
            guard self.isOpen else { return }
            let message = Array(bytes[range])
            self.clientMessages.append(String(decoding: message, as: UTF8.self))
            message.withUnsafeBytes { self.server.received($0, at: self.now, &self.serverOutput) }
        case .close: self.isOpen = false
        case .audio(let item, let range):
            self.firstAudio = self.firstAudio ?? self.now
            self.audio[item, default: []] += bytes[range]
        case .event(let event):
            self.events.append((self.now, event))
            for command in self.onEvent?(event) ?? [] {
                self.machine.perform(command, at: self.now, &self.machineOutput)
            }
        case .wake(let due): self.machineWake = due
        case .sendBinary, .request, .synthesise, .recognise, .transcribe, .detect: break
        }
    }

    private mutating func fromServer(_ effect: OpenAIRealtimeSimulatorCore.Output.Effect, _ bytes: [UInt8]) {
        switch effect {
        case .sendText(let range):
            guard self.isOpen else { return }
            let message = Array(bytes[range])
            let event = JSONValue(json: String(decoding: message, as: UTF8.self)) ?? .null
            self.serverTypes.append(event["type"]?.text ?? "?")
            if event["delta"] == nil { self.serverMessages.append(event) }
            message.withUnsafeBytes { self.machine.received(.text(.main, $0), at: self.now, &self.machineOutput) }
        case .sendBinary(let range):
            let message = Array(bytes[range])
            message.withUnsafeBytes { self.machine.received(.binary(.main, $0), at: self.now, &self.machineOutput) }
        case .close(let code, let reason): self.closed(.closed(code: code, reason: reason))
        case .reset: self.closed(.failed(slug: "reset"))
        case .wake(let due): self.serverWake = due
        }
    }

    private mutating func closed(_ end: ChannelEnd) {
        guard self.isOpen else { return }
        self.isOpen = false
        self.machine.received(.closed(.main, end), at: self.now, &self.machineOutput)
    }

    // MARK: What a test asks

    var record: OpenAIRealtimeRecord { self.server.record }

    func count(_ isWanted: (AssistantEvent) -> Bool) -> Int { self.events.filter { isWanted($0.event) }.count }

    var failures: [AssistantFailure] {
        self.events.compactMap { entry in
            if case .failed(let failure) = entry.event { return failure }
            return nil
        }
    }

    var outcomes: [ResponseOutcome] {
        self.events.compactMap { entry in
            if case .responseFinished(let outcome) = entry.event { return outcome }
            return nil
        }
    }

    var agentTexts: [String] {
        self.events.compactMap { entry in
            if case .agentTranscript(_, let text, isFinal: true) = entry.event { return text.value }
            return nil
        }
    }

    var callerTexts: [String] {
        self.events.compactMap { entry in
            if case .callerTranscript(_, let text, isFinal: true) = entry.event { return text.value }
            return nil
        }
    }
}
