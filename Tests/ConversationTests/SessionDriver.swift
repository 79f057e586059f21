import Assistants
import Telephony

@testable import Conversation

/// Drives a `CallSession` in virtual time and writes down what it wants, one word a command.
final class SessionDriver {
    var session: CallSession
    var now: Duration = .zero
    /// Commands but frames, with the millisecond at which they came.
    var trace: [String] = []
    var framesToPhone = 0
    var framesToAssistant = 0
    var finished: [CallTermination] = []
    var notes: [SessionNote] = []
    /// What each assistant was told of the conversation so far.
    var histories: [[ConversationEntry]] = []
    private var output = SessionOutput()

    var capabilities = AssistantCapabilities(
        input: [.l16(.realtime)], output: [.l16(.realtime)], detectsTurns: true, needsHeardReport: true,
        canBePaused: true, usesTools: true, speaksVerbatim: false, maximumSession: .seconds(3600))

    static func plan(_ change: (inout CallPlan) -> Void = { _ in }) -> CallPlan {
        var plan = CallPlan(assistants: ["first", "second"])
        plan.fallback = TransferDestination(name: "reception", number: "100", context: "default")
        plan.destinations = [TransferDestination(name: "Sales", number: "200", context: "default")]
        change(&plan)
        return plan
    }

    init(_ plan: CallPlan = SessionDriver.plan()) {
        self.session = CallSession(
            plan: plan, uplink: .l16(.narrowband), downlink: .l16(.narrowband),
            traits: PlayoutTraits(lead: .milliseconds(60), canFlush: true))
    }

    var hasSentEverything: Bool { self.session.hasSentEverything }

    func start() { self.perform { $0.start(at: $1, &$2) } }

    /// Starts and lets the assistant come up (and, where it greets, speak a greeting of `greeting`).
    func startTalking(greeting: Duration = .milliseconds(400)) {
        self.start()
        self.ready()
        guard self.session.plan.opening == .agent else { return }
        self.say(item: 1, greeting)
        self.advance(by: greeting + .milliseconds(100))
        self.trace.removeAll()
    }

    func ready() {
        self.perform { [capabilities] in $0.assistantOpened(capabilities, at: $1, &$2) }
        self.assistant(.ready(input: .l16(.realtime), output: .l16(.realtime)))
    }

    func assistant(_ event: AssistantEvent) { self.perform { $0.assistant(event, at: $1, &$2) } }
    func phone(_ event: PhoneEvent) { self.perform { $0.phone(event, at: $1, &$2) } }

    /// A whole response of one item, delivered at once.
    func say(item: Int, _ duration: Duration, text: String = "") {
        self.assistant(.responseStarted)
        self.audio(item: item, duration)
        if !text.isEmpty { self.assistant(.agentTranscript(AgentItem(item), Redacted(text), isFinal: true)) }
        self.assistant(.agentAudioFinished(AgentItem(item)))
        self.assistant(.responseFinished(.completed))
    }

    func audio(item: Int, _ duration: Duration) {
        let bytes = [UInt8](repeating: 3, count: AudioFormat.l16(.realtime).bytes(in: duration))
        self.perform { session, now, output in
            bytes.withUnsafeBytes { session.agentAudio($0, of: AgentItem(item), at: now, &output) }
        }
    }

    /// The caller makes a sound (or none) for this long, in 20 ms frames of real time.
    func caller(_ voiced: Bool, for duration: Duration) {
        var frame: [UInt8] = []
        for index in 0..<160 {
            let sample: Int16 = voiced ? (index % 8 < 4 ? 8000 : -8000) : 0
            frame.append(UInt8(truncatingIfNeeded: sample))
            frame.append(UInt8(truncatingIfNeeded: sample >> 8))
        }
        let end = self.now + duration
        while self.now < end {
            self.advance(by: .milliseconds(20))
            self.perform { session, now, output in
                frame.withUnsafeBytes { session.callerFrame($0, at: now, &output) }
            }
        }
    }

    /// Lets time pass, waking the session whenever it asks.
    func advance(by duration: Duration) {
        let end = self.now + duration
        var wakes = 0
        while let wake = self.session.nextWake, wake <= end {
            wakes += 1
            precondition(wakes < 100_000, "the session asks to be woken for ever at \(self.now)")
            self.now = max(self.now, wake)
            self.perform { $0.wake(at: $1, &$2) }
        }
        self.now = end
    }

    func perform(_ event: (inout CallSession, Duration, inout SessionOutput) -> Void) {
        self.output.removeAll()
        event(&self.session, self.now, &self.output)
        for command in self.output.commands { self.write(command) }
    }

    private func write(_ command: SessionCommand) {
        switch command {
        case .phoneFrame: self.framesToPhone += 1
        case .assistantAudio: self.framesToAssistant += 1
        case .note(let note): self.notes.append(note)
        case .openAssistant(let index, let session, let history):
            self.histories.append(history)
            self.trace.append("open \(index) as \(session) after \(history.count)")
        case .closeAssistant: self.trace.append("close")
        case .assistant(let command): self.trace.append(Self.word(for: command))
        case .phone(.flush): self.trace.append("flush")
        case .phone(.mark(let name)): self.trace.append("mark \(name)")
        case .phone(.blindTransfer(let destination)): self.trace.append("transfer to \(destination.name)")
        case .phone(.hangUp(let cause)): self.trace.append("hang up \(cause.name)")
        case .speak(.custom(let text), _): self.trace.append("say custom \"\(text)\"")
        case .speak(let sentence, _): self.trace.append("say \(sentence.slug)")
        case .runTool(let call): self.trace.append("run \(call.name)")
        case .finish(let termination):
            self.finished.append(termination)
            self.trace.append("finish \(termination.reason)")
        }
    }

    private static func word(for command: AssistantCommand) -> String {
        switch command {
        case .respond(.greeting): "greet"
        case .respond(.reply): "reply"
        case .respond(.say(let text)): "say \"\(text.value)\""
        case .commitCallerTurn: "commit"
        case .clearCallerAudio: "clear"
        case .cancelResponse: "cancel"
        case .truncate(let item, let heard): "truncate \(item.number) at \(heard.milliseconds)"
        case .toolResult(let id, _, let respond): "result \(id)\(respond ? " and speak" : "")"
        case .inform: "inform"
        case .digit: "digit"
        case .finish: "finish"
        }
    }

    /// The house voice says all that it was asked to (each sentence sounds half a second).
    func houseSpeaks(_ numbers: ClosedRange<Int>) {
        let bytes = [UInt8](repeating: 5, count: AudioFormat.l16(.narrowband).bytes(in: .milliseconds(500)))
        for number in numbers {
            self.perform { session, now, output in
                bytes.withUnsafeBytes { session.houseAudio($0, number: number, at: now, &output) }
            }
            self.perform { $0.houseFinished(number: number, at: $1, &$2) }
        }
    }
}
