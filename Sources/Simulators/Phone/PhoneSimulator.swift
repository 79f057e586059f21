import MediaDialects
import Networking
import Telephony

/// Where a simulated phone calls. Headers may hold a token: this value does not print.
package struct PhoneTarget: Sendable, CustomStringConvertible, CustomReflectable {
    /// `ws:` or `wss:`; for `unicast` `esl://HOST:PORT/NUMBER?variable=value`; for `rtp` `sip:NUMBER@HOST:PORT;…`.
    package var url: String
    /// As `STREAM_EXTRA_HEADERS`; for `rtp` those of the INVITE.
    package var headers: [(name: String, value: String)]
    /// For `wss:`; nil: the system's certificate authorities.
    package var tls: TLSContext?
    /// For the connection and the handshake. mod_audio_stream gives up after 2 s (freeswitch.md §3.5).
    package var timeout: Duration

    package init(
        url: String, headers: [(name: String, value: String)] = [], tls: TLSContext? = nil,
        timeout: Duration = .seconds(2)
    ) {
        self.url = url
        self.headers = headers
        self.tls = tls
        self.timeout = timeout
    }

    package var description: String { "PhoneTarget(‹redacted›)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The shell of one simulated phone: a line and a timer around `PhoneSimulatorCore`. Confined to its loop, which
/// may carry hundreds. It lives, without anybody holding it, from `start` until `onEnd` was called.
package final class PhoneSimulator {
    private let loop: EventLoop
    private var core: PhoneSimulatorCore
    private var output = PhoneOutput()
    private let line: (any PhoneLine)?
    private var timer: TimerID?
    private var wakeAt: Duration = .zero
    private var onWake: (() -> Void)?
    private var onEvent: ((PhoneReport, UnsafeBufferPointer<Int16>) -> Void)?
    private var onEnd: ((PhoneResult) -> Void)?

    /// What a timer may be late without anything having piled up.
    private static let lateness: Duration = .milliseconds(5)

    package init(configuration: PhoneConfiguration, target: PhoneTarget, on loop: EventLoop) {
        self.loop = loop
        self.core = PhoneSimulatorCore(configuration)
        switch configuration.dialect.carrier {
        case .webSocket: self.line = WebSocketPhoneLine(configuration.dialect, target, on: loop)
        case .unicast: self.line = SwitchPhoneLine(target.url, timeout: target.timeout, on: loop)
        case .rtp: self.line = SIPPhoneLine(target.url, headers: target.headers, timeout: target.timeout, on: loop)
        }
    }

    /// A phone of a simulated switch, whose dialplan has `number`. On the switch's loop.
    package init(
        configuration: PhoneConfiguration, channel: CallID, number: String, variables: [String: String] = [:],
        of exchange: SwitchExchange, timeout: Duration = .seconds(5)
    ) {
        precondition(configuration.dialect == .unicast, "A switch's phone speaks unicast")
        self.loop = exchange.loop
        self.core = PhoneSimulatorCore(configuration)
        self.line = SwitchPhoneLine(
            of: exchange, channel: channel, number: number, variables: variables, timeout: timeout)
    }

    /// The rate of the samples that come with `PhoneReport.heard`.
    package var earRate: SampleRate { self.core.earRate }

    /// Calls. `onEvent` is told what happens as it happens; the samples are those of `.heard`, borrowed, and empty for
    /// all others. `onEnd` is called exactly once, last. Once only, on the loop.
    package func start(
        onEvent: ((PhoneReport, UnsafeBufferPointer<Int16>) -> Void)? = nil,
        onEnd: @escaping (PhoneResult) -> Void
    ) {
        self.loop.preconditionInLoop()
        precondition(self.onEnd == nil && !self.core.isOver, "This phone has called before")
        self.onEvent = onEvent
        self.onEnd = onEnd
        self.onWake = { [self] in self.timerFired() }
        self.core.started(at: self.loop.now)
        guard let line = self.line else { return self.lineEnded(.unreachable("address")) }
        line.start(self)
    }

    /// The caller hangs up. Before the connection is up: the attempt is given up.
    package func hangUp() {
        self.loop.preconditionInLoop()
        let wasTalking = self.core.isTalking
        self.core.hangUp(at: self.loop.now, &self.output)
        if !wasTalking { self.line?.hangUp(code: 1000) }
        self.perform()
    }

    /// Breaks what plays, as `uuid_break` does.
    package func breakPlayback() {
        self.loop.preconditionInLoop()
        self.core.breakPlayback(at: self.loop.now, &self.output)
        self.perform()
    }

    /// Gives the caller more to do: for a phone that stays on the line (`PhoneConfiguration.Ending.stay`).
    package func append(_ steps: [PhoneStep]) {
        self.loop.preconditionInLoop()
        self.core.append(steps)
    }

    /// What was measured on the line beside the conversation.
    private func collect() {
        guard let line = self.line as? SIPPhoneLine else { return }
        self.core.setPackets(lost: line.packetsLost, transferTarget: line.referredTo)
    }

    /// A host that was late has audio of ours in the socket, which a loop reads after its timers. Ticking before it is
    /// read would count the host's pause as the gateway's gap.
    private func timerFired() {
        self.timer = nil
        guard self.loop.now - self.wakeAt > PhoneSimulator.lateness else { return self.wake() }
        let box = LoopBound(self, on: self.loop)
        self.loop.execute { box.value.wake() }
    }

    private func wake() {
        self.core.wake(at: self.loop.now, &self.output)
        self.perform()
    }

    private func ended(_ end: PhoneEnd) {
        self.collect()
        self.core.ended(end, at: self.loop.now, &self.output)
        self.perform()
    }

    /// Performs what the core wants. Taken out for the time, since a socket that ends while we send calls back at once.
    private func perform() {
        var output = PhoneOutput()
        swap(&output, &self.output)
        output.bytes.withUnsafeBytes { bytes in
            for action in output.actions { self.perform(action, bytes, output.heard) }
        }
        output.removeAll()
        // What came in the meantime was performed by the inner call.
        if self.output.actions.isEmpty { swap(&output, &self.output) }
    }

    private func perform(_ action: PhoneAction, _ bytes: UnsafeRawBufferPointer, _ heard: [Int16]) {
        switch action {
        case .send(let kind, let range): self.line?.send(kind, UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .press(let digit): self.line?.press(digit)
        case .hold(let isHeld): self.line?.hold(isHeld)
        case .close(let code): self.line?.hangUp(code: code)
        case .wake(let deadline):
            guard let onWake = self.onWake else { return }
            if let timer = self.timer { self.loop.cancel(timer) }
            self.wakeAt = deadline
            self.timer = self.loop.schedule(at: deadline, onWake)
        case .report(.heard(let range)):
            heard.withUnsafeBufferPointer { heard in
                self.onEvent?(.heard(range), UnsafeBufferPointer(rebasing: heard[range]))
            }
        case .report(let report): self.onEvent?(report, UnsafeBufferPointer(start: nil, count: 0))
        case .ended: self.finish()
        }
    }

    private func finish() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.onWake = nil
        self.onEvent = nil
        let onEnd = self.onEnd
        self.onEnd = nil
        onEnd?(self.core.result)
    }
}

extension PhoneSimulator: PhoneLineListener {
    func lineOpened() {
        self.core.opened(at: self.loop.now, &self.output)
        self.perform()
    }

    func lineBrought(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
        self.core.received(kind, bytes, at: self.loop.now, &self.output)
        self.perform()
    }

    func lineEnded(_ end: PhoneEnd) { self.ended(end) }
}
