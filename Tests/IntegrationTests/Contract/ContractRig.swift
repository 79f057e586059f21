import Assistants
import Audio
import Conversation
import MediaDialects
import Simulators
import Telephony
import Testing

/// What any simulated server can tell of a connection, for tests that are about no provider.
struct ContractRecord: Sendable {
    /// How each reply ended (`complete`, `interrupted`…), nil while it is made.
    var replies: [String?] = []
    var appended: Duration = .zero
    var toolOutputs: [String] = []
    /// Everything that was told as text: history, context, prompts.
    var texts: [String] = []
    /// Why the server refused what the client wrote; nil: it did not.
    var refusal: String?
}

/// One back end under the contract: its machine towards its simulator.
struct ContractBackEnd: Sendable, CustomTestStringConvertible {
    let name: String
    /// A reply goes on where an interruption was taken back.
    let canBePaused: Bool
    /// The machine for a call whose leg has this format.
    let machine: @Sendable (AssistantSetup) -> any AssistantMachine
    /// The server of the nth connection. It is given the earlier ones: a session may go on over several.
    let server: @Sendable (AssistantScript, _ number: Int, _ earlier: [any SimulatorCore]) -> any SimulatorCore
    let record: @Sendable (any SimulatorCore) -> ContractRecord?

    var testDescription: String { self.name }
}

/// A whole call in virtual time: the conversation, the machine of each rung, and the simulated servers behind them.
///
/// The phone sends a frame each 20 ms and keeps what it hears. Everything that a shell does is done here in order; a
/// minute's call takes milliseconds.
final class ContractRig {
    /// A rung of the call's ladder.
    struct Rung {
        var backEnd: ContractBackEnd
        var script: AssistantScript
    }

    private let rungs: [Rung]
    private let turns: TurnDetection
    private let tools: [ToolDefinition]
    private(set) var now: Duration = .seconds(1000)
    private let startedAt: Duration = .seconds(1000)

    private var session: CallSession
    private var output = SessionOutput()
    private var machine: (any AssistantMachine)?
    private var machineOutput = AssistantOutput()
    private var machineWake: Duration?
    private var rung = 0

    /// The servers of all connections, in order; those of the current machine by channel.
    private(set) var servers: [(rung: Int, core: any SimulatorCore, wake: Duration?, isOpen: Bool)] = []
    private var channels: [ChannelID: Int] = [:]
    /// What travels: performed in order, so that nothing is entered twice.
    private var pending: [() -> Void] = []

    // What a test asks.
    /// Each frame that the phone was sent: when it sounds, and whether it is sound.
    private(set) var heard: [(at: Duration, isLoud: Bool)] = []
    private(set) var notes: [SessionNote] = []
    private(set) var flushes: [Duration] = []
    private(set) var termination: CallTermination?
    private(set) var transfers: [String] = []
    private(set) var sentences: [HouseSentence] = []
    private(set) var toolCalls: [ToolCall] = []
    /// How long a tool takes and what it says; nil: it never answers.
    var tool: (delay: Duration, result: String)? = (.milliseconds(100), #"{"status":"ok"}"#)
    /// The leg sends no frames.
    var isHeld = false
    private var dueTools: [(at: Duration, id: String, result: String)] = []
    private var dueSentences: [(at: Duration, number: Int)] = []
    private var tone = Tone(300, amplitude: 0.4, rate: .narrowband)

    init(
        _ rungs: [Rung], bargeIn: BargeIn.Mode = .final, turns: TurnDetection = TurnDetection(),
        tools: [ToolDefinition] = [], plan change: (inout CallPlan) -> Void = { _ in }
    ) {
        self.rungs = rungs
        self.turns = turns
        self.tools = tools
        var plan = CallPlan(assistants: rungs.map(\.backEnd.name))
        plan.bargeIn = bargeIn
        plan.noInput = NoInputClock.Configuration(patience: .seconds(20), prompts: 1)
        plan.fallback = TransferDestination(name: "fallback", number: "100", context: "default")
        change(&plan)
        self.session = CallSession(
            plan: plan, uplink: .l16(.narrowband), downlink: .l16(.narrowband),
            traits: PlayoutTraits(lead: .milliseconds(60), canFlush: true))
    }

    convenience init(_ backEnd: ContractBackEnd, _ script: AssistantScript, bargeIn: BargeIn.Mode = .final) {
        self.init([Rung(backEnd: backEnd, script: script)], bargeIn: bargeIn)
    }

    // MARK: The call

    func start() {
        self.session.start(at: self.now, &self.output)
        self.settle()
    }

    func hangUp() {
        self.session.phone(.hungUp(.normalClearing), at: self.now, &self.output)
        self.settle()
    }

    /// Lets time pass, 20 ms by 20 ms, with the caller silent or speaking.
    func pass(_ duration: Duration, speaking: Bool = false) {
        let end = self.now + duration
        while self.now < end, self.termination == nil {
            self.now += .milliseconds(20)
            if !self.isHeld { self.frame(speaking: speaking) }
            if let due = self.machineWake, due <= self.now {
                self.machineWake = nil
                self.machine?.wake(at: self.now, &self.machineOutput)
                self.settle()
            }
            self.wakeServers()
            while let next = self.session.nextWake, next <= self.now, self.termination == nil {
                self.session.wake(at: self.now, &self.output)
                self.settle()
            }
            self.finishWork()
        }
    }

    /// Passes time until something is so; false: it was not within the limit.
    @discardableResult
    func pass(atMost limit: Duration, until condition: () -> Bool) -> Bool {
        let end = self.now + limit
        while self.now < end {
            if condition() { return true }
            guard self.termination == nil else { return condition() }
            self.pass(.milliseconds(20))
        }
        return condition()
    }

    /// The caller says something of this length and falls silent.
    func say(_ duration: Duration = .milliseconds(1200)) { self.pass(duration, speaking: true) }

    private func wakeServers() {
        for index in self.servers.indices {
            var rounds = 0
            while let due = self.servers[index].wake, due <= self.now, self.servers[index].isOpen, rounds < 1000 {
                rounds += 1
                self.servers[index].wake = nil
                var output = SimulatorOutput()
                self.servers[index].core.wake(at: self.now, &output)
                self.deliver(output, from: index)
                self.settle()
            }
        }
    }

    private func finishWork() {
        while let index = self.dueTools.firstIndex(where: { $0.at <= self.now }) {
            let due = self.dueTools.remove(at: index)
            self.session.toolFinished(id: due.id, result: Redacted(due.result), at: self.now, &self.output)
            self.settle()
        }
        while let index = self.dueSentences.firstIndex(where: { $0.at <= self.now }) {
            let due = self.dueSentences.remove(at: index)
            let audio = self.sound(.milliseconds(200))
            audio.withUnsafeBytes { self.session.houseAudio($0, number: due.number, at: self.now, &self.output) }
            self.session.houseFinished(number: due.number, at: self.now, &self.output)
            self.settle()
        }
    }

    private func frame(speaking: Bool) {
        let bytes = speaking ? self.sound(.milliseconds(20)) : [UInt8](repeating: 0, count: 320)
        bytes.withUnsafeBytes { self.session.callerFrame($0, at: self.now, &self.output) }
        self.settle()
    }

    private func sound(_ duration: Duration) -> [UInt8] {
        var samples: [Int16] = []
        self.tone.append(samples: SampleRate.narrowband.samples(in: duration), to: &samples)
        return samples.withUnsafeBytes { Array($0) }
    }

    // MARK: The shell's part

    private func settle() {
        while true {
            if !self.output.commands.isEmpty {
                let output = self.output
                self.output.removeAll()
                for command in output.commands { self.perform(command, output.bytes) }
            } else if !self.machineOutput.effects.isEmpty {
                let output = self.machineOutput
                self.machineOutput.removeAll()
                for effect in output.effects { self.perform(effect, output.bytes) }
            } else if !self.pending.isEmpty {
                self.pending.removeFirst()()
            } else {
                return
            }
        }
    }

    private func perform(_ command: SessionCommand, _ bytes: [UInt8]) {
        switch command {
        case .assistantAudio(let range):
            bytes.withUnsafeBytes { all in
                let frame = UnsafeRawBufferPointer(rebasing: all[range])
                self.machine?.callerAudio(frame, at: self.now, &self.machineOutput)
            }
        case .phoneFrame(let range, let playsAt):
            let isLoud = bytes.withUnsafeBytes { all in
                Level(of: UnsafeRawBufferPointer(rebasing: all[range]), encoding: .l16).rms > -40
            }
            self.heard.append((playsAt, isLoud))
        case .assistant(let command): self.machine?.perform(command, at: self.now, &self.machineOutput)
        case .openAssistant(let index, _, let history): self.open(index, history)
        case .closeAssistant: self.close()
        case .phone(.flush):
            self.flushes.append(self.now)
            // What was sent and has not sounded is thrown away.
            self.heard.removeAll { $0.at > self.now }
        case .phone(.blindTransfer(let destination)):
            self.transfers.append(destination.number.value)
            self.pending.append { [unowned self] in
                self.session.phone(.transferred, at: self.now, &self.output)
            }
        case .phone: break
        case .speak(let sentence, let number):
            self.sentences.append(sentence)
            self.dueSentences.append((self.now + .milliseconds(40), number))
        case .runTool(let call):
            self.toolCalls.append(call)
            if let tool = self.tool { self.dueTools.append((self.now + tool.delay, call.id, tool.result)) }
        case .note(let note): self.notes.append(note)
        case .finish(let termination):
            self.termination = termination
            self.close()
        }
    }

    private func open(_ index: Int, _ history: [ConversationEntry]) {
        self.close()
        self.rung = index
        let setup = AssistantSetup(
            instructions: "You answer the phone.", language: "en", tools: self.tools, turns: self.turns,
            legFormat: .l16(.narrowband), history: history)
        var machine = self.rungs[index].backEnd.machine(setup)
        self.session.assistantOpened(machine.capabilities, at: self.now, &self.output)
        machine.start(at: self.now, &self.machineOutput)
        self.machine = machine
    }

    private func close() {
        self.machine = nil
        self.machineWake = nil
        self.machineOutput.removeAll()
        for server in self.channels.values { self.servers[server].isOpen = false }
        self.channels.removeAll()
    }

    private func perform(_ effect: AssistantEffect, _ bytes: [UInt8]) {
        switch effect {
        case .connect(let id, _): self.connect(id)
        case .sendText(let id, let range):
            guard let server = self.channels[id] else { return }
            let message = Array(bytes[range])
            self.pending.append { [unowned self] in self.toServer(server, message) }
        case .close(let id, _):
            if let server = self.channels.removeValue(forKey: id) { self.servers[server].isOpen = false }
        case .audio(let item, let range):
            bytes.withUnsafeBytes { all in
                let audio = UnsafeRawBufferPointer(rebasing: all[range])
                self.session.agentAudio(audio, of: item, at: self.now, &self.output)
            }
        case .event(let event): self.session.assistant(event, at: self.now, &self.output)
        case .wake(let due): self.machineWake = due
        case .sendBinary, .request, .synthesise, .recognise, .transcribe, .detect: break
        }
    }

    private func connect(_ id: ChannelID) {
        let rung = self.rungs[self.rung]
        let number = self.servers.filter { $0.rung == self.rung }.count + 1
        let earlier = self.servers.filter { $0.rung == self.rung }.map(\.core)
        let core = rung.backEnd.server(rung.script, number, earlier)
        if let status = rung.script.handshakeStatus {
            self.pending.append { [unowned self] in
                self.machine?.received(.closed(id, .refused(status: status)), at: self.now, &self.machineOutput)
            }
            return
        }
        self.servers.append((self.rung, core, nil, true))
        let server = self.servers.count - 1
        self.channels[id] = server
        self.pending.append { [unowned self] in
            guard self.channels[id] == server else { return }
            self.machine?.received(.opened(id), at: self.now, &self.machineOutput)
        }
        self.pending.append { [unowned self] in
            var output = SimulatorOutput()
            self.servers[server].core.opened(at: self.now, &output)
            self.deliver(output, from: server)
        }
    }

    private func toServer(_ server: Int, _ message: [UInt8]) {
        guard self.servers[server].isOpen else { return }
        var output = SimulatorOutput()
        message.withUnsafeBytes { self.servers[server].core.received($0, at: self.now, &output) }
        self.deliver(output, from: server)
    }

    private func deliver(_ output: SimulatorOutput, from server: Int) {
        for effect in output.effects {
            switch effect {
            case .sendText(let range):
                let message = Array(output.bytes[range])
                self.toMachine(server) { id, body in message.withUnsafeBytes { body(.text(id, $0)) } }
            case .sendBinary(let range):
                let message = Array(output.bytes[range])
                self.toMachine(server) { id, body in message.withUnsafeBytes { body(.binary(id, $0)) } }
            case .close(let code, let reason):
                self.end(server, .closed(code: code, reason: reason))
            case .reset: self.end(server, .failed(slug: "reset"))
            case .wake(let due): self.servers[server].wake = due
            }
        }
    }

    private func toMachine(
        _ server: Int, _ event: @escaping (ChannelID, (ChannelEvent) -> Void) -> Void
    ) {
        self.pending.append { [unowned self] in
            guard let id = self.channels.first(where: { $0.value == server })?.key else { return }
            event(id) { self.machine?.received($0, at: self.now, &self.machineOutput) }
        }
    }

    private func end(_ server: Int, _ end: ChannelEnd) {
        self.pending.append { [unowned self] in
            self.servers[server].isOpen = false
            guard let id = self.channels.first(where: { $0.value == server })?.key else { return }
            self.channels[id] = nil
            self.machine?.received(.closed(id, end), at: self.now, &self.machineOutput)
        }
    }

    // MARK: What a test asks

    /// What the server of a rung's newest connection was sent.
    func record(of rung: Int = 0) -> ContractRecord? {
        guard let server = self.servers.last(where: { $0.rung == rung }) else { return nil }
        return self.rungs[rung].backEnd.record(server.core)
    }

    /// All that any server complained about.
    var refusals: [String] {
        self.servers.compactMap { self.rungs[$0.rung].backEnd.record($0.core)?.refusal }
    }

    var isAgentHeard: Bool { self.heard.contains { $0.isLoud && $0.at <= self.now } }

    /// Sound that the caller heard between two times.
    func sound(from start: Duration, to end: Duration) -> Duration {
        .milliseconds(20 * self.heard.filter { $0.isLoud && $0.at >= start && $0.at < end }.count)
    }

    /// Whether the agent is sounding, and when it last did.
    var lastSound: Duration? { self.heard.last { $0.isLoud && $0.at <= self.now }?.at }
    var isQuiet: Bool { self.lastSound.map { self.now - $0 > .milliseconds(400) } ?? true }

    var failures: [String] {
        self.notes.compactMap { note in
            if case .assistantFailed(_, let slug) = note { return slug }
            return nil
        }
    }
    var turnsTaken: [Turn] { self.session.turns }
    var latencies: [Duration] { self.session.latencies }
    var currentRung: Int { self.session.currentAssistant }
    var readyCount: Int {
        self.notes.filter { note in
            if case .assistantReady = note { return true }
            return false
        }.count
    }
}
