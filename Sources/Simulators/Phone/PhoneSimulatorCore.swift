import Audio
import MediaDialects
import Telephony

/// A caller with a telephone, behind a FreeSWITCH media module, as a value: what the socket and the clock bring goes
/// in, messages come out. Every 20 ms one frame is heard and one is said.
///
/// Order of events: `started`, then `opened` or `ended`; after `opened` any of `received`, `wake`, the controller's
/// `breakPlayback`, `hangUp` and `append`; last `ended`, once.
package struct PhoneSimulatorCore: Sendable {
    private enum State: Equatable {
        /// Leaves by `started`.
        case idle
        /// The handshake is under way. Leaves by `opened`, by `ended` (refused, unreachable).
        case connecting
        /// The call is up. Leaves to `closing` by the script's end or `hangUp`, to `over` by `ended`.
        case talking
        /// Our Close is sent. Leaves by `ended`.
        case closing
        case over
    }

    package let configuration: PhoneConfiguration
    package private(set) var result = PhoneResult()
    private var state = State.idle
    private var startedAt: Duration = .zero
    private var openedAt: Duration = .zero
    private var nextTick: Duration = .zero

    private var ear: PhoneEar
    private var inbox: PhoneInbox
    private var meter: PhoneMeter
    private var script: PhoneScriptRunner
    private var uplink: PhoneUplink
    private var tape: PhoneTape

    private var heardFrame: [Int16] = []
    private var saidFrame: [Int16] = []
    private var isHeld = false

    /// A host that slept longer than this has lost the frames in between.
    private static let longestCatchUp: Duration = .seconds(5)
    private static let tick: Duration = .milliseconds(20)
    /// From where a frame counts as sound: far below speech (−40 to −15 dBFS), above a line's hiss.
    static let voicedLevel: Double = -50

    package init(_ configuration: PhoneConfiguration) {
        self.configuration = configuration
        self.ear = PhoneEar(configuration.ear ?? configuration.dialect.ear, rate: configuration.earRate)
        self.inbox = PhoneInbox(configuration)
        self.meter = PhoneMeter(openedAt: .zero, startUp: .zero)
        self.script = PhoneScriptRunner(configuration.script, rate: configuration.uplink.rate)
        self.uplink = PhoneUplink(configuration)
        self.tape = PhoneTape(configuration)
    }

    /// The rate of `PhoneReport.heard`.
    package var earRate: SampleRate { self.configuration.earRate }
    package var isOver: Bool { self.state == .over }
    package var isTalking: Bool { self.state == .talking }

    /// What the line itself counted.
    mutating func setPackets(lost: Int, transferTarget: Redacted<String>?) {
        self.result.packetsLost = lost
        self.result.referredTo = transferTarget
    }

    // MARK: The connection

    /// The attempt to connect begins.
    package mutating func started(at now: Duration) {
        guard self.state == .idle else { return }
        self.state = .connecting
        self.startedAt = now
    }

    /// The gateway answered 101.
    package mutating func opened(at now: Duration, _ output: inout PhoneOutput) {
        guard self.state == .connecting || self.state == .idle else { return }
        if self.state == .idle { self.startedAt = now }
        self.state = .talking
        self.openedAt = now
        self.meter = PhoneMeter(openedAt: now, startUp: self.startUp, isTold: !self.keepsBeat)
        self.result.connectTime = now - self.startedAt
        output.report(.connected(after: now - self.startedAt))
        if let metadata = self.configuration.metadata, !self.configuration.losesMetadata, !self.keepsBeat {
            self.sendText(metadata.value, &output)
        }
        // First audio 14 to 47 ms after the handshake (freeswitch.md §3.2).
        self.nextTick = now + PhoneSimulatorCore.tick
        output.actions.append(.wake(at: self.nextTick))
    }

    /// The connection is over, or never was.
    package mutating func ended(_ end: PhoneEnd, at now: Duration, _ output: inout PhoneOutput) {
        guard self.state != .over else { return }
        switch self.state {
        case .talking, .closing:
            if self.script.isWaitingForAgent, self.state == .talking, self.meter.giveUpAnswer() {
                self.result.unansweredTurns += 1
            }
            self.result.duration = now - self.openedAt
        case .idle, .connecting, .over: break
        }
        // Whatever follows our Close, the caller has hung up; but a gateway that leaves its side open blocks the
        // call's thread in FreeSWITCH (freeswitch.md §3.5).
        let isGatewaysFault: Bool = end == .violation || end == .closeUnanswered
        self.result.end = self.state == .closing && !isGatewaysFault ? self.closedBy ?? .hungUp : end
        self.state = .over
        self.collectMeasures()
        self.result.recording = self.tape.recording()
        output.actions.append(.ended)
    }

    /// Set where the module closed at the gateway's wish.
    private var closedBy: PhoneEnd?

    private mutating func close(_ output: inout PhoneOutput) {
        guard self.state == .talking else { return }
        self.state = .closing
        output.actions.append(.close(code: 1000))
    }

    private mutating func collectMeasures() {
        self.result.firstAudio = self.meter.firstAudio
        self.result.answers = self.meter.answers
        self.result.bargeInStops = self.meter.bargeInStops
        self.result.ignoredInterruptions = self.meter.ignoredInterruptions
        self.result.gaps = self.meter.gaps
        self.result.gapTime = self.meter.gapTime
        self.result.agentHeard = self.meter.agentHeard
        self.result.discarded = self.ear.discarded
    }

    private var startUp: Duration {
        switch self.ear.model {
        case .cushion(let cushion): cushion
        case .ring(let warmUp, _, _): warmUp
        case .gathered(let first, _): first
        case .files(let delay, let hole): delay + hole
        }
    }

    // MARK: What the gateway sends

    /// A whole message has come.
    package mutating func received(
        _ kind: MessageKind, _ message: UnsafeRawBufferPointer, at now: Duration, _ output: inout PhoneOutput
    ) {
        guard self.state == .talking else { return }
        self.result.messagesReceived += 1
        self.result.bytesReceived += message.count
        if self.keepsBeat, kind == .binary { self.result.spacing.arrived(at: now) }
        switch self.inbox.received(kind, message, at: now, ear: &self.ear) {
        case .audio, .mark: break
        case .flush: self.flushed(&output)
        case .disconnect:
            self.closedBy = .closedByGateway(code: 1000)
            self.close(&output)
        case .ignored: self.result.ignoredMessages += 1
        }
        self.reportMarks(&output)
    }

    /// The controller breaks what plays (`uuid_break`), where the gateway steers playback by Event Socket.
    package mutating func breakPlayback(at now: Duration, _ output: inout PhoneOutput) {
        guard self.state == .talking else { return }
        self.ear.flush()
        self.flushed(&output)
        self.reportMarks(&output)
    }

    private mutating func flushed(_ output: inout PhoneOutput) {
        self.result.flushes += 1
        self.meter.flushed()
        output.report(.flushed)
    }

    private mutating func reportMarks(_ output: inout PhoneOutput) {
        guard !self.ear.reachedMarks.isEmpty || !self.ear.clearedMarks.isEmpty else { return }
        for name in self.ear.reachedMarks { self.report(mark: name, isCleared: false, &output) }
        for name in self.ear.clearedMarks { self.report(mark: name, isCleared: true, &output) }
        self.ear.removeReportedMarks()
    }

    private mutating func report(mark name: String, isCleared: Bool, _ output: inout PhoneOutput) {
        let count: Int = output.send(.text) { PhoneInbox.markReport(name, isCleared: isCleared, into: &$0) }
        self.countSent(count)
    }

    /// Whether the gateway sends one frame each 20 ms, and keys and hold are signals of their own.
    private var keepsBeat: Bool { self.configuration.dialect.carrier != .webSocket }

    private mutating func setHeld(_ isHeld: Bool, _ output: inout PhoneOutput) {
        guard self.isHeld != isHeld else { return }
        self.isHeld = isHeld
        if self.keepsBeat { output.actions.append(.hold(isHeld)) }
    }

    private mutating func sendText(_ text: String, _ output: inout PhoneOutput) {
        let count: Int = output.send(.text) { $0.append(contentsOf: text.utf8) }
        self.countSent(count)
    }

    private mutating func countSent(_ bytes: Int) {
        self.result.messagesSent += 1
        self.result.bytesSent += bytes
    }

    // MARK: What the caller does beside the script

    /// The caller hangs up.
    package mutating func hangUp(at now: Duration, _ output: inout PhoneOutput) { self.close(&output) }

    /// Adds steps to the script's end.
    package mutating func append(_ steps: [PhoneStep]) { self.script.append(steps) }

    // MARK: Time

    /// The time asked for has come, or passed: all frames that are due are heard and said.
    package mutating func wake(at now: Duration, _ output: inout PhoneOutput) {
        guard self.state == .talking else { return }
        if now - self.nextTick > PhoneSimulatorCore.longestCatchUp {
            let skipped = Int((now - self.nextTick) / PhoneSimulatorCore.tick)
            self.result.skippedFrames += skipped
            self.nextTick += PhoneSimulatorCore.tick * skipped
        }
        while self.state == .talking, self.nextTick <= now {
            self.tick(at: self.nextTick, &output)
            self.nextTick += PhoneSimulatorCore.tick
        }
        if self.state == .talking { output.actions.append(.wake(at: self.nextTick)) }
    }

    private mutating func tick(at now: Duration, _ output: inout PhoneOutput) {
        self.hear(at: now, &output)
        self.say(at: now, &output)
        self.tape.record(said: self.saidFrame, heard: self.heardFrame)
        if now - self.openedAt >= self.configuration.maximumDuration { self.close(&output) }
    }

    private mutating func hear(at now: Duration, _ output: inout PhoneOutput) {
        self.heardFrame.removeAll(keepingCapacity: true)
        var plays = false
        if self.isHeld {
            self.heardFrame.append(contentsOf: repeatElement(0, count: self.earRate.samples(in: .milliseconds(20))))
            self.meter.held()
        } else {
            plays = self.ear.tick(at: now, into: &self.heardFrame)
        }
        let isVoiced: Bool = plays && PhoneSimulatorCore.isVoiced(self.heardFrame)
        self.meter.heard(plays: plays, isVoiced: isVoiced, at: now)
        self.reportMarks(&output)
        if !self.meter.findings.isEmpty { self.reportFindings(&output) }
        guard self.configuration.reportsAudio else { return }
        let start: Int = output.heard.count
        output.heard.append(contentsOf: self.heardFrame)
        output.report(.heard(start..<output.heard.count))
    }

    private mutating func reportFindings(_ output: inout PhoneOutput) {
        for finding in self.meter.findings {
            switch finding {
            case .agentSpeaking(let isSpeaking): output.report(.agentSpeaking(isSpeaking))
            case .firstAudio(let after): output.report(.firstAudio(after: after))
            case .answered(let after): output.report(.answered(after: after))
            case .interrupted(let after): output.report(.interrupted(after: after))
            case .interruptionIgnored: output.report(.interruptionIgnored)
            }
        }
        self.meter.removeFindings()
    }

    private mutating func say(at now: Duration, _ output: inout PhoneOutput) {
        self.saidFrame.removeAll(keepingCapacity: true)
        var sends = false
        var isOnHold = false
        let hearing = PhoneScriptRunner.Hearing(lastSound: self.meter.lastSound, agentHeard: self.meter.agentHeard)
        script: while true {
            switch self.script.next(at: now, hearing, into: &self.saidFrame) {
            case .frame: sends = true
            case .nothing(let isHeld):
                self.setHeld(isHeld, &output)
                // The switch goes on with silence (measured).
                sends = self.configuration.dialect == .unicast
                isOnHold = isHeld
            case .began(let index, let name):
                output.report(.stepBegan(index: index, name: name))
                continue script
            case .digit(let digit) where self.keepsBeat:
                output.actions.append(.press(digit))
                continue script
            case .digit(let digit):
                self.sendText("{\"type\":\"dtmf\",\"digit\":\"\(digit.value)\"}", &output)
                continue script
            case .text(let text):
                if !self.keepsBeat { self.sendText(text, &output) }
                continue script
            case .timedOut:
                if self.meter.giveUpAnswer() {
                    self.result.unansweredTurns += 1
                    output.report(.unanswered)
                }
                continue script
            case .hangUp:
                self.close(&output)
            case .finished:
                if self.configuration.ending == .hangUp { self.close(&output) } else { sends = true }
            }
            break script
        }
        if sends, !isOnHold { self.setHeld(false, &output) }
        self.reportSpeech(at: now, &output)
        let frame: Int = self.configuration.uplink.rate.samples(in: .milliseconds(20))
        if self.saidFrame.count < frame {
            self.saidFrame.append(contentsOf: repeatElement(0, count: frame - self.saidFrame.count))
        }
        guard sends, self.state == .talking else { return }
        guard self.uplink.append(said: self.saidFrame, heard: self.heardFrame) else { return }
        let count: Int = output.send(.binary) { self.uplink.take(into: &$0) }
        self.countSent(count)
    }

    private mutating func reportSpeech(at now: Duration, _ output: inout PhoneOutput) {
        let speech: PhoneScriptRunner.Speech = self.script.speech
        if speech.began {
            if speech.interrupts { self.meter.interruptionStarted(at: now) }
            output.report(.callerSpeaking(true))
        }
        if speech.ended {
            self.meter.turnEnded(at: now)
            output.report(.callerSpeaking(false))
        }
    }

    static func isVoiced(_ samples: [Int16]) -> Bool {
        samples.withUnsafeBufferPointer { Level(of: $0).rms > PhoneSimulatorCore.voicedLevel }
    }
}
