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
    /// There is a connection for as long as the session, which can be lost.
    let hasConnection: Bool
    /// The machine for a call whose leg has this format.
    let machine: @Sendable (AssistantSetup) -> any AssistantMachine
    /// The far end of a channel that the machine opens.
    let peer: @Sendable (ContractOpening) -> any ContractPeer

    var testDescription: String { self.name }

    init(
        name: String, canBePaused: Bool, hasConnection: Bool = true,
        machine: @escaping @Sendable (AssistantSetup) -> any AssistantMachine,
        peer: @escaping @Sendable (ContractOpening) -> any ContractPeer
    ) {
        self.name = name
        self.canBePaused = canBePaused
        self.hasConnection = hasConnection
        self.machine = machine
        self.peer = peer
    }

    /// A back end of one socket.
    /// - Parameter server: the core of the nth connection. It is given the earlier ones: a session may go on over
    ///   several.
    init(
        name: String, canBePaused: Bool, machine: @escaping @Sendable (AssistantSetup) -> any AssistantMachine,
        server:
            @escaping @Sendable (AssistantScript, _ number: Int, _ earlier: [any SimulatorCore]) -> any SimulatorCore,
        record: @escaping @Sendable (any SimulatorCore) -> ContractRecord?
    ) {
        self.init(name: name, canBePaused: canBePaused, machine: machine) { opening in
            let earlier = opening.earlier.compactMap { ($0 as? CorePeer)?.core }
            return CorePeer(server(opening.script, opening.number, earlier), record)
        }
    }
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
        /// Connections are accepted, and no handshake is ever answered.
        var neverOpens = false
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

    /// The far ends of all channels, in order; those of the current machine by channel.
    private(set) var peers: [(rung: Int, peer: any ContractPeer, wake: Duration?, isOpen: Bool)] = []
    private var channels: [ChannelID: Int] = [:]
    /// Machines made, by rung.
    private var machines: [Int: Int] = [:]
    /// The local detector, where a machine wants one.
    private var detection: (id: ChannelID, gate: SpeechGate)?
    private var detectionFormat = AudioFormat.l16(.narrowband)
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
            self.wakePeers()
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

    private func wakePeers() {
        for index in self.peers.indices {
            var rounds = 0
            while let due = self.peers[index].wake, due <= self.now, self.peers[index].isOpen, rounds < 1000 {
                rounds += 1
                self.peers[index].wake = nil
                self.deliver(self.peers[index].peer.wake(at: self.now), from: index)
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
                self.hear(frame)
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
        self.machines[index, default: 0] += 1
        var machine = self.rungs[index].backEnd.machine(setup)
        self.session.assistantOpened(machine.capabilities, at: self.now, &self.output)
        machine.start(at: self.now, &self.machineOutput)
        self.machine = machine
    }

    private func close() {
        self.machine = nil
        self.machineWake = nil
        self.machineOutput.removeAll()
        self.detection = nil
        for peer in self.channels.values { self.peers[peer].isOpen = false }
        self.channels.removeAll()
    }

    private func perform(_ effect: AssistantEffect, _ bytes: [UInt8]) {
        switch effect {
        case .connect(let id, let target): self.open(id, .socket(target))
        case .request(let id, let target): self.open(id, .request(target))
        case .sendText(let id, let range): self.send(Array(bytes[range]), isText: true, on: id)
        case .sendBinary(let id, let range): self.send(Array(bytes[range]), isText: false, on: id)
        case .close(let id, _):
            if self.detection?.id == id { self.detection = nil }
            guard let peer = self.channels.removeValue(forKey: id) else { return }
            self.peers[peer].isOpen = false
            self.peers[peer].peer.closed()
        case .audio(let item, let range):
            bytes.withUnsafeBytes { all in
                let audio = UnsafeRawBufferPointer(rebasing: all[range])
                self.session.agentAudio(audio, of: item, at: self.now, &self.output)
            }
        case .event(let event): self.session.assistant(event, at: self.now, &self.output)
        case .wake(let due): self.machineWake = due
        case .detect(let id, let request):
            self.detectionFormat = request.format
            self.detection = (id, SpeechGate(.init(hangover: request.silence)))
        case .synthesise, .recognise, .transcribe: break
        }
    }

    private func hear(_ frame: UnsafeRawBufferPointer) {
        guard let id = self.detection?.id else { return }
        let level = Level.rms(of: frame, encoding: self.detectionFormat.encoding)
        guard let event = self.detection?.gate.frame(levelDBFS: level, at: self.now) else { return }
        self.pending.append { [unowned self] in
            guard self.detection?.id == id else { return }
            self.machine?.received(
                .speech(id, isSpeaking: event == .speechStarted), at: self.now, &self.machineOutput)
        }
    }

    // MARK: Channels

    private func open(_ id: ChannelID, _ target: ContractOpening.Target) {
        let rung = self.rungs[self.rung]
        if case .socket = target {
            guard !rung.neverOpens else { return }
            if let status = rung.script.handshakeStatus {
                self.pending.append { [unowned self] in
                    self.machine?.received(.closed(id, .refused(status: status)), at: self.now, &self.machineOutput)
                }
                return
            }
        }
        let earlier = self.peers.filter { $0.rung == self.rung }.map(\.peer)
        let peer = rung.backEnd.peer(
            ContractOpening(
                target: target, script: rung.script, machine: self.machines[self.rung] ?? 1,
                number: earlier.count { $0.isCounted } + 1, earlier: earlier))
        self.peers.append((self.rung, peer, nil, true))
        let index = self.peers.count - 1
        self.channels[id] = index
        if case .socket = target {
            self.pending.append { [unowned self] in
                guard self.channels[id] == index else { return }
                self.machine?.received(.opened(id), at: self.now, &self.machineOutput)
            }
        }
        self.pending.append { [unowned self] in
            guard self.channels[id] == index else { return }
            self.deliver(peer.opened(at: self.now), from: index)
        }
    }

    private func send(_ message: [UInt8], isText: Bool, on id: ChannelID) {
        guard let index = self.channels[id] else { return }
        self.pending.append { [unowned self] in
            guard self.peers[index].isOpen else { return }
            self.deliver(
                self.peers[index].peer.received(message, isText: isText, at: self.now), from: index)
        }
    }

    private func deliver(_ effects: [PeerEffect], from index: Int) {
        for effect in effects {
            switch effect {
            case .text(let message):
                self.toMachine(index) { id, tell in message.withUnsafeBytes { tell(.text(id, $0)) } }
            case .binary(let message):
                self.toMachine(index) { id, tell in message.withUnsafeBytes { tell(.binary(id, $0)) } }
            case .head(let status, let type):
                self.toMachine(index) { id, tell in
                    tell(.responseHead(id, status: status, headers: [("Content-Type", type)]))
                }
            case .bytes(let bytes):
                self.toMachine(index) { id, tell in bytes.withUnsafeBytes { tell(.bytes(id, $0)) } }
            case .end(let end): self.end(index, end)
            case .wake(let due): self.peers[index].wake = due
            }
        }
    }

    private func toMachine(_ index: Int, _ event: @escaping (ChannelID, (ChannelEvent) -> Void) -> Void) {
        self.pending.append { [unowned self] in
            guard let id = self.channels.first(where: { $0.value == index })?.key else { return }
            event(id) { self.machine?.received($0, at: self.now, &self.machineOutput) }
        }
    }

    private func end(_ index: Int, _ end: ChannelEnd) {
        self.pending.append { [unowned self] in
            self.peers[index].isOpen = false
            guard let id = self.channels.first(where: { $0.value == index })?.key else { return }
            self.channels[id] = nil
            self.machine?.received(.closed(id, end), at: self.now, &self.machineOutput)
        }
    }

    // MARK: What a test asks

    /// What the server of a rung's newest connection was sent.
    func record(of rung: Int = 0) -> ContractRecord? { self.peers.last { $0.rung == rung }?.peer.record }

    /// Connections of all back ends so far.
    var connections: Int { self.peers.count { $0.peer.isCounted } }
    var isAnyChannelOpen: Bool { self.peers.contains { $0.isOpen } }

    /// All that any server complained about.
    var refusals: [String] { self.peers.compactMap { $0.peer.record?.refusal } }

    var isAgentHeard: Bool { self.heard.first { $0.isLoud }.map { $0.at <= self.now } ?? false }

    /// Sound that the caller heard between two times.
    func sound(from start: Duration, to end: Duration) -> Duration {
        // From the newest: asked each 20 ms, of a call of minutes.
        var frames = 0
        for frame in self.heard.reversed() where frame.at < end {
            guard frame.at >= start else { break }
            if frame.isLoud { frames += 1 }
        }
        return .milliseconds(20 * frames)
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
