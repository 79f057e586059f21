import Assistants
import Conversation
import MediaDialects
import Networking
import Observability
import Records
import Telephony

/// One call on one event loop: feeds the conversation and the assistant's machine, and performs what they ask.
///
/// Not Sendable: it lives on its loop and is called directly by the callbacks of its sockets and timers. Events from
/// elsewhere (engines, Event Socket, operators) come by `loop.execute`.
///
/// The contract of the core is "one mutation, then drain". Performing a command can cause further events at once (a
/// machine that fails while it starts); these only append to the same two output lists, and `settle` goes on until both
/// are empty. So no value is ever entered twice.
final class CallShell {
    var identity: CallIdentity
    let loop: EventLoop
    let gateway: Gateway
    let logger: Logger
    let startedAt: Duration

    var session: CallSession
    var output = SessionOutput()
    private var performed = 0

    var machine: (any AssistantMachine)?
    /// Whether there is a machine. Asked for each frame: to compare the existential with nil copies it.
    var hasMachine = false
    var machineOutput = AssistantOutput()
    /// The machine has brought audio: its back end works.
    var machineSpoke = false
    /// Whose machine it is: the ladder may have moved on while its last usage is told.
    var machineProvider = "none"
    private var performedEffects = 0
    var channels: [ChannelID: AssistantChannel] = [:]
    /// The one WebSocket that nearly every assistant has, kept out of the dictionary: frames go to it.
    var mainChannel: AssistantChannel?
    /// Its socket, while it is open.
    var mainSocket: WebSocket?
    /// The engines that take every caller frame, and which channels of the machine they speak for.
    var ears: (any ListeningJob)?
    var detection: ChannelID?
    var recognition: ChannelID?
    var machineWake: Duration?
    /// Counts machines; what belongs to an earlier one is ignored.
    var machineGeneration = 0
    /// Counts what was asked to open: a leave that comes later than the next is nobody's.
    var openings = 0

    var leg: (any PhoneLeg)?
    /// How often a later leg has taken the place of one before it.
    var takeOvers = 0
    /// The channel's own way to its switch (an outbound Event Socket), while it lives.
    var ownControl: (any CallControl)?
    var hasOwnControl: Bool { self.ownControl != nil }
    /// The channel's own socket does not follow it to where a transfer sends it.
    var losesChannel: Bool { !(self.ownControl?.followsElsewhere ?? true) }
    /// By which control the channel is followed. The tenant's may be another one by the end of the call (its settings have
    /// changed): whoever was asked to watch is asked to stop.
    var watching: (any CallControl)?
    /// The tenant's Event Socket, asked to watch beside the channel's own socket, which a transfer leaves behind.
    var watchingToo: (any CallControl)?
    /// The way to the switch that has the caller's channel: the channel's own, else the one by which it is followed, else
    /// its tenant's; nil: there is none.
    var control: (any CallControl)? {
        if let own = self.ownControl { return own }
        if let watching = self.watching, watching.isAvailable { return watching }
        return self.gateway.control(for: self.identity.tenant) ?? self.watching
    }
    var recorder: CallRecorder?
    /// Whose the channel is was asked: at the start, or, where the Event Socket was away then, before the first hand-over.
    var isChannelChecked = false
    /// The dead man's switch, while the channel has one.
    var fuse: DeadMansSwitch?
    /// A transfer that rings, and may bring the caller back.
    var ringing: Ringing?
    var lastDigit: (digit: Redacted<Character>, source: DigitSource, at: Duration)?
    private var isHandedOver = false
    private var isAbandoned = false
    private var isSettling = false
    private var timer: TimerID?
    private var timerAt: Duration?
    /// The deadline for which the timer was set, before it was laid on the grid.
    private var timerFor: Duration?
    /// Kept, so that a timer is no allocation. It holds this call strongly and is dropped by `finish`.
    private var onTimer: (() -> Void)?
    private(set) var isFinished = false
    var houseJobs: [Int: any SpeechJob] = [:]
    var report: CallReport
    /// The assistant's fallback, or everybody's: what the channel's variables may put another in the place of.
    let ownFallback: TransferDestination?

    /// How callbacks from other threads find this call.
    let slot: LoopBound<CallSlot>

    init(
        identity: CallIdentity, plan: CallPlan, fallback: TransferDestination?, leg: any PhoneLeg,
        control: (any CallControl)?, loop: EventLoop,
        gateway: Gateway, recorder: CallRecorder?, slot: LoopBound<CallSlot>
    ) {
        self.identity = identity
        self.ownFallback = fallback
        self.slot = slot
        self.loop = loop
        self.gateway = gateway
        self.leg = leg
        self.ownControl = control
        // A channel's own socket cannot reach another's.
        self.isChannelChecked = control != nil
        self.recorder = recorder
        self.logger = gateway.logger.with(["call.id": .string(identity.call.text)])
        self.startedAt = loop.now
        self.session = CallSession(
            plan: plan, uplink: leg.uplink, downlink: leg.downlink, traits: leg.traits, tail: leg.tail)
        self.report = CallReport(identity: identity, plan: plan, prices: gateway.prices)
        self.report.dialect = leg.dialect
    }

    /// Wires the socket and begins. Called once, on the loop.
    func start() {
        self.slot.value.keep(self)
        self.leg?.attach(to: self)
        if let channel = self.identity.channel { self.follow(channel) }
        self.step { $0.start(at: $1, &$2) }
    }

    /// What a leg tells about itself beside its address: fills in what is not known, contradicts nothing.
    func learned(_ metadata: LegMetadata) {
        self.identity.caller = self.identity.caller ?? metadata.caller
        self.identity.dialed = self.identity.dialed ?? metadata.dialed
        self.report.learned(self.identity)
        if let call = metadata.call { self.learned(channel: call) }
        if let format = metadata.format, format != self.session.uplinkFormat {
            self.logger.warning(
                "The metadata states another format than the address: the address counts",
                ["leg.uplink": .string(self.session.uplinkFormat.description)])
        }
    }

    // MARK: Driving the core

    /// Gives the session one event, then performs all that follows.
    func step(_ event: (inout CallSession, Duration, inout SessionOutput) -> Void) {
        guard !self.isFinished else { return }
        event(&self.session, self.loop.now, &self.output)
        self.settle()
    }

    /// Gives the machine one event, then performs all that follows.
    func stepMachine(_ event: (inout any AssistantMachine, Duration, inout AssistantOutput) -> Void) {
        guard !self.isFinished, self.hasMachine else { return }
        event(&self.machine!, self.loop.now, &self.machineOutput)
        self.settle()
    }

    func settle() {
        guard !self.isSettling else { return }
        self.isSettling = true
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
        self.isSettling = false
        if let leg = self.leg, leg.isGathering { leg.sendGathered(isComplete: self.session.hasSentEverything) }
        self.armTimer()
    }

    /// Forgets effects of a machine that is being replaced, but not what it told of its use: what a back end tells in one
    /// message (Gemini: the end of its reply, then what that cost) can end the call before all of it has been performed.
    func dropMachineEffects() {
        let dropped = self.machineOutput.effects[self.performedEffects...]
        self.performedEffects = self.machineOutput.effects.count
        for case .event(.usage(let usage)) in dropped { self.used(usage) }
    }

    private func armTimer() {
        // `finish` has dropped timer and closure; nothing may bring them back, since the closure holds this call.
        guard !self.isFinished else { return }
        var next = self.session.nextWake
        if let wake = self.machineWake { next = next.map { min($0, wake) } ?? wake }
        guard next != self.timerFor else { return }
        self.timerFor = next
        next = next.map(Self.onGrid)
        guard next != self.timerAt else { return }
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.timerAt = next
        guard let next else { return }
        if self.onTimer == nil { self.onTimer = { [self] in self.timerFired() } }
        if let onTimer = self.onTimer { self.timer = self.loop.schedule(at: next, onTimer) }
    }

    /// Timers of all calls fall on a grid of 4 ms, so that one turn of the loop serves many: playout commits 60 ms ahead,
    /// and every other deadline is coarser still. What is due at once is not touched: it needs no timer.
    private static func onGrid(_ time: Duration) -> Duration {
        let grid: Int64 = 4_000_000
        return .nanoseconds((time.nanoseconds &+ grid &- 1) / grid &* grid)
    }

    private func timerFired() {
        self.timer = nil
        self.timerAt = nil
        self.timerFor = nil
        let now = self.loop.now
        if let wake = self.machineWake, now >= wake {
            self.machineWake = nil
            if self.hasMachine { self.machine!.wake(at: now, &self.machineOutput) }
        }
        self.session.wake(at: now, &self.output)
        self.settle()
    }

    // MARK: Performing

    private func perform(_ command: SessionCommand) {
        switch command {
        case .assistantAudio(let range): self.sendToAssistant(range)
        case .phoneFrame(let range, let playsAt): self.sendToPhone(range, playsAt: playsAt)
        case .assistant(let command):
            guard self.hasMachine else { return }
            self.machine!.perform(command, at: self.loop.now, &self.machineOutput)
        case .openAssistant(let index, _, let history): self.openAssistant(index, history: history)
        case .closeAssistant: self.closeAssistant()
        case .phone(let command): self.perform(command)
        case .speak(let sentence, let number): self.speak(sentence, number: number)
        case .runTool(let call): self.runTool(call)
        case .note(let note): self.note(note)
        case .finish(let termination): self.finish(termination)
        }
    }

    private func sendToAssistant(_ range: Range<Int>) {
        guard self.hasMachine else { return }
        self.output.bytes.withUnsafeBytes { bytes in
            let frame = UnsafeRawBufferPointer(rebasing: bytes[range])
            self.ears?.caller(frame)
            self.machine!.callerAudio(frame, at: self.loop.now, &self.machineOutput)
        }
    }

    private func sendToPhone(_ range: Range<Int>, playsAt: Duration) {
        self.output.bytes.withUnsafeBytes { bytes in
            let frame = UnsafeRawBufferPointer(rebasing: bytes[range])
            _ = self.leg?.send(frame: frame)
            self.recorder?.agentFrame(frame, playsAt: playsAt)
        }
        self.gateway.metrics.framesDown.increment()
    }

    private func perform(_ command: PhoneCommand) {
        switch command {
        case .flush:
            self.recorder?.flush(at: self.loop.now)
            defer { self.gateway.metrics.bargeInStop.observe(EventLoop.freshNow() - self.loop.now) }
            if self.leg?.send(command) != true, let channel = self.identity.channel {
                self.control?.stopPlayback(channel)
            }
        case .mark:
            _ = self.leg?.send(command)
        case .blindTransfer(let destination):
            self.transfer(to: destination)
        case .hangUp(let cause):
            if let channel = self.identity.channel, let control = self.control, control.isAvailable {
                self.hangUp(channel, cause: cause, by: control)
            } else {
                _ = self.leg?.send(command)
            }
        }
    }

    /// The call's last command: by the time that an unchecked channel's owner is known, this shell is gone.
    private func hangUp(_ channel: CallID, cause: HangupCause, by control: any CallControl) {
        guard !self.isChannelChecked else {
            control.hangUp(channel, cause: cause)
            return
        }
        let tenant = self.identity.tenant.text
        control.variables(["domain_uuid"], of: channel) { values in
            let domain = values["domain_uuid"]?.value.lowercased() ?? ""
            if domain.isEmpty || domain == tenant { control.hangUp(channel, cause: cause) }
        }
    }

    private func speak(_ sentence: HouseSentence, number: Int) {
        let text = self.gateway.sentence(sentence, language: self.report.plan.language)
        let request = SpeechRequest(
            text: text, language: self.report.plan.language, format: self.session.downlinkFormat)
        let loop = self.loop
        let slot = self.slot
        self.houseJobs[number] = self.gateway.speech.synthesise(request) { report in
            loop.execute { slot.value.call?.house(report, number: number) }
        }
    }

    private func house(_ report: SpeechReport, number: Int) {
        switch report {
        case .audio(let bytes):
            self.step { session, now, output in
                bytes.withUnsafeBytes { session.houseAudio($0, number: number, at: now, &output) }
            }
        case .ended(let end):
            self.houseJobs[number] = nil
            if case .failed(let slug) = end {
                self.logger.warning("The house voice failed", ["reason": .string(slug)])
            }
            self.step { $0.houseFinished(number: number, at: $1, &$2) }
        case .started: break
        }
    }

    /// Tools that need the outside world come with later versions; an unknown one is answered at once, so that the
    /// assistant can say so instead of waiting.
    private func runTool(_ call: ToolCall) {
        let asked = EventLoop.freshNow()
        let answer = self.gateway.tools.run(call, identity: self.identity)
        let duration = EventLoop.freshNow() - asked
        self.report.add(
            tool: call, result: answer.result, outcome: answer.outcome, began: asked - self.startedAt, took: duration)
        self.step { $0.toolFinished(id: call.id, result: answer.result, at: $1, &$2) }
    }

    private func note(_ note: SessionNote) {
        self.report.add(note, at: self.loop.now - self.startedAt)
        if case .assistantFailed(let index, _) = note, index < self.report.plan.assistants.count {
            // By now the ladder may have moved on.
            self.gateway.metrics.note(note, provider: self.report.plan.assistants[index])
        } else {
            if case .turnLatency(let latency) = note {
                self.logger.debug("Turn answered", ["turn.latency_ms": .integer(latency.milliseconds)])
            }
            self.gateway.metrics.note(note, provider: self.currentProvider)
        }
        switch note {
        case .assistantFailed(let index, let slug):
            if slug != Self.passedOver, index < self.report.plan.assistants.count {
                self.gateway.breakerFailed(self.report.plan.assistants[index], self.identity.tenant, at: self.loop.now)
            }
            self.logger.warning(
                "Assistant failed", ["assistant.index": .integer(index), "failure.reason": .string(slug)])
        case .usage(let usage): self.used(usage)
        case .assistantReady:
            self.report.providerReady(self.currentProvider)
            self.gateway.tellOthers(.answered, self.identity, ["provider": self.currentProvider])
            self.logger.info(
                "Assistant ready",
                [
                    "assistant.provider": .string(self.currentProvider),
                    "answer.owed": .string(self.session.owesAnswer ? "yes" : "no"),
                ])
        case .transferStarted:
            self.gateway.tellOthers(.transferStarted, self.identity)
            self.logger.info("Transfer started")
        case .transferFailed: self.gateway.tellOthers(.transferFailed, self.identity)
        default: break
        }
        self.gateway.observer?.call(self.identity, noted: note, at: self.loop.now - self.startedAt)
    }

    /// What the back end has used, into the call's account and the metrics.
    func used(_ usage: AssistantUsage) {
        let provider = self.machineProvider
        let cost = self.report.add(usage, of: provider, at: self.loop.now - self.startedAt)
        self.gateway.metrics.used(usage, of: provider, cost: cost)
    }

    var currentProvider: String {
        let index = self.session.currentAssistant
        return index < self.report.plan.assistants.count ? self.report.plan.assistants[index] : "none"
    }

    // MARK: Events from elsewhere

    func phone(_ event: PhoneEvent) { self.step { $0.phone(event, at: $1, &$2) } }

    /// An operator or a drain ends the call.
    func end(_ termination: CallTermination) { self.step { $0.endRequested(termination, at: $1, &$2) } }

    /// The process leaves: the caller is told so and goes to the fallback. Once, whoever says it.
    func handOver() {
        guard !self.isHandedOver else { return }
        self.isHandedOver = true
        self.end(.draining)
    }

    /// The process ends now, whatever the call is doing: what there is of it is written down.
    func abandon(_ termination: CallTermination) {
        self.isAbandoned = true
        self.step { $0.abandoned(termination, at: $1, &$2) }
    }

    /// An operator hands the caller over. False: the call is leaving already.
    func transferRequested(to destination: TransferDestination) -> Bool {
        var isTaken = false
        self.report.offered.insert(destination, at: 0)
        self.step { isTaken = $0.transferRequested(to: destination, at: $1, &$2) }
        return isTaken
    }

    // MARK: The end

    /// The shell's half of the one finaliser: every resource of the call is let go here.
    private func finish(_ termination: CallTermination) {
        guard !self.isFinished else { return }
        self.isFinished = true
        self.closeAssistant()
        for job in self.houseJobs.values { job.cancel() }
        self.houseJobs.removeAll()
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.onTimer = nil
        self.timerAt = nil
        self.timerFor = nil
        self.machineWake = nil
        self.letGoOfFuse(termination)
        if let channel = self.identity.channel {
            // Our close leaves the module's media bug on a channel that lives on, and the next `start` would fail
            // (freeswitch.md §3.5).
            if termination.reason != CallTermination.callerHungUp.reason,
                self.report.dialect?.hasPrefix("mod-audio-stream") ?? false
            {
                self.control?.stopStream(channel)
            }
            self.stopWatching(channel)
        }
        let leg = self.leg
        self.dropLeg()
        // Nobody has found anyone for a caller whom we abandon: the dialplan is to.
        leg?.close(self.isAbandoned ? .tryLater : termination.isAgreed ? .hangUp : .callEnded)
        let recording = self.recorder?.finish(at: self.loop.now)
        self.recorder = nil
        let record = self.report.close(
            termination, session: self.session, duration: self.loop.now - self.startedAt, recording: recording)
        self.logger.info(
            "Call ended",
            [
                "call.reason": .string(termination.reason), "call.fault": .string(termination.fault.rawValue),
                "call.duration_ms": .integer((self.loop.now - self.startedAt).milliseconds),
            ])
        self.gateway.callFinished(self, termination: termination, record: record)
        self.slot.value.release()
    }
}

/// The place of a call in the register, and what callbacks from other threads hold: found while the call lives.
///
/// It owns the shell from `keep` to the finish; otherwise a call would live only as long as one of its closures.
final class CallSlot {
    private(set) var call: CallShell?
    init() {}
    func keep(_ call: CallShell) { self.call = call }
    func release() { self.call = nil }
}
