import Assistants
import Audio
import Conversation
import MediaDialects
import Telephony

/// One call without sockets: the same values as in `PhoneServer.CallShell`, driven in the same order, its messages kept
/// in reused buffers where the shell would write them to a socket.
///
/// Time is virtual, so that hours of a call are a loop.
final class BenchedCall {
    /// What one call of the bench carries.
    struct Kind {
        var name: String
        var leg: AudioFormat
        var style: BinaryDown.Style
    }

    private var session: CallSession
    private var output = SessionOutput()
    private var performed = 0
    private var machine: any AssistantMachine
    private var machineOutput = AssistantOutput()
    private var performedEffects = 0
    private var dialect: any MediaDialect
    private var input = DialectInput()
    private let frameBytes: Int
    private var wire: [UInt8] = []
    /// The clock of the call: advanced by the bench.
    var now: Duration = .zero
    private(set) var messagesToProvider = 0
    private(set) var framesToPhone = 0
    private(set) var bytesOut = 0

    /// A call that has been brought to its steady state: assistant ready, no greeting.
    init(_ kind: Kind) throws {
        let dialect = try BinaryDown(wire: kind.leg, style: kind.style, flushText: "{\"type\":\"stopAudio\"}")
        var plan = CallPlan(assistants: ["openai"])
        plan.opening = .caller
        plan.noInput = NoInputClock.Configuration(patience: .zero)
        plan.maximumDuration = .zero
        self.dialect = dialect
        self.frameBytes = dialect.uplink.bytes(in: .milliseconds(20))
        self.session = CallSession(
            plan: plan, uplink: dialect.uplink, downlink: dialect.downlink, traits: dialect.traits)
        var configuration = OpenAIRealtimeConfiguration(
            baseURL: "http://127.0.0.1:1/v1", credential: .bearer(Redacted("bench")))
        configuration.requiresFormatEcho = false
        configuration.recycleAfter = .seconds(100_000_000)
        self.machine = OpenAIRealtimeMachine(
            configuration: configuration,
            setup: AssistantSetup(instructions: "", language: "en", legFormat: dialect.uplink))
        self.session.start(at: self.now, &self.output)
        self.settle()
        self.session.assistantOpened(self.machine.capabilities, at: self.now, &self.output)
        self.machine.start(at: self.now, &self.machineOutput)
        self.settle()
        self.fromProvider(.opened(.main))
        self.fromProvider("{\"type\":\"session.created\",\"session\":{}}")
        self.fromProvider("{\"type\":\"session.updated\",\"session\":{}}")
    }

    /// A binary message of the phone.
    func fromPhone(_ message: UnsafeRawBufferPointer) {
        self.input.removeAll()
        self.dialect.received(.binary, message, &self.input)
        self.input.audio.withUnsafeBytes { audio in
            var start = 0
            while start + self.frameBytes <= audio.count {
                let frame = UnsafeRawBufferPointer(rebasing: audio[start..<(start + self.frameBytes)])
                self.session.callerFrame(frame, at: self.now, &self.output)
                start += self.frameBytes
            }
        }
        self.settle()
    }

    func fromProvider(_ text: String) {
        var text = text
        text.withUTF8 { self.fromProvider(.text(.main, UnsafeRawBufferPointer($0))) }
    }

    func fromProvider(_ event: ChannelEvent) {
        self.machine.received(event, at: self.now, &self.machineOutput)
        self.settle()
    }

    /// The shell's timer, at the call's present time.
    func wake() {
        guard let next = self.session.nextWake, next <= self.now else { return }
        self.session.wake(at: self.now, &self.output)
        self.settle()
    }

    private func settle() {
        while true {
            if self.performed < self.output.commands.count {
                let command = self.output.commands[self.performed]
                self.performed += 1
                self.perform(command)
            } else if self.performedEffects < self.machineOutput.effects.count {
                let effect = self.machineOutput.effects[self.performedEffects]
                self.performedEffects += 1
                self.perform(effect)
            } else {
                break
            }
        }
        self.output.removeAll()
        self.machineOutput.removeAll()
        self.performed = 0
        self.performedEffects = 0
    }

    private func perform(_ command: SessionCommand) {
        switch command {
        case .assistantAudio(let range):
            self.output.bytes.withUnsafeBytes { bytes in
                self.machine.callerAudio(
                    UnsafeRawBufferPointer(rebasing: bytes[range]), at: self.now, &self.machineOutput)
            }
        case .phoneFrame(let range, _):
            self.wire.removeAll(keepingCapacity: true)
            self.output.bytes.withUnsafeBytes { bytes in
                _ = self.dialect.encode(
                    frame: UnsafeRawBufferPointer(rebasing: bytes[range]), into: &self.wire)
            }
            self.framesToPhone += 1
            self.bytesOut &+= self.wire.count
        case .assistant(let command): self.machine.perform(command, at: self.now, &self.machineOutput)
        case .openAssistant, .closeAssistant, .phone, .speak, .runTool, .note, .finish: break
        }
    }

    private func perform(_ effect: AssistantEffect) {
        switch effect {
        case .sendText(_, let range), .sendBinary(_, let range):
            self.messagesToProvider += 1
            self.bytesOut &+= range.count
        case .audio(let item, let range):
            self.machineOutput.bytes.withUnsafeBytes { bytes in
                self.session.agentAudio(
                    UnsafeRawBufferPointer(rebasing: bytes[range]), of: item, at: self.now, &self.output)
            }
        case .event(let event): self.session.assistant(event, at: self.now, &self.output)
        case .connect, .close, .request, .synthesise, .recognise, .transcribe, .detect, .wake: break
        }
    }
}
