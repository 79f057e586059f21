import MediaDialects
import Networking
import Telephony

/// Where a simulated phone calls. Headers may hold a token: this value does not print.
package struct PhoneTarget: Sendable, CustomStringConvertible, CustomReflectable {
    /// `ws:` or `wss:`.
    package var url: String
    /// As `STREAM_EXTRA_HEADERS`.
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

/// The shell of one simulated phone: a WebSocket and a timer around `PhoneSimulatorCore`. Confined to its loop, which
/// may carry hundreds. It lives, without anybody holding it, from `start` until `onEnd` was called.
package final class PhoneSimulator {
    private let target: PhoneTarget
    private let loop: EventLoop
    private var core: PhoneSimulatorCore
    private var output = PhoneOutput()
    private var client: WebSocketClient?
    private var socket: WebSocket?
    private var timer: TimerID?
    private var wakeAt: Duration = .zero
    private var onWake: (() -> Void)?
    private var onEvent: ((PhoneReport, UnsafeBufferPointer<Int16>) -> Void)?
    private var onEnd: ((PhoneResult) -> Void)?

    /// What a timer may be late without anything having piled up.
    private static let lateness: Duration = .milliseconds(5)

    package init(configuration: PhoneConfiguration, target: PhoneTarget, on loop: EventLoop) {
        self.target = target
        self.loop = loop
        self.core = PhoneSimulatorCore(configuration)
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
        let dialect: PhoneModule = self.core.configuration.dialect
        let headers: [(name: String, value: String)] = self.target.headers
        self.client = WebSocketClient.connect(
            url: self.target.url, headers: headers, subprotocols: dialect.subprotocol.map { [$0] } ?? [],
            tls: self.target.tls, options: PhoneSimulator.options(dialect), timeout: self.target.timeout,
            request: { url, key in
                PhoneHandshake.request(
                    dialect,
                    to: PhoneHandshake.Target(
                        host: url.host, port: url.port, path: url.target, isSecure: url.isSecure),
                    key: key, headers: headers)
            },
            on: self.loop,
            finished: { [self] result in
                self.client = nil
                switch result {
                case .success(let socket): self.opened(socket)
                case .failure(.refused(let status)): self.ended(.refused(status: status))
                case .failure(let error): self.ended(.unreachable(error.slug))
                }
            })
    }

    /// The caller hangs up. Before the connection is up: the attempt is given up.
    package func hangUp() {
        self.loop.preconditionInLoop()
        self.client?.cancel()
        self.core.hangUp(at: self.loop.now, &self.output)
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

    private static func options(_ dialect: PhoneModule) -> WebSocketOptions {
        var options = WebSocketOptions()
        // A text of 2.5 MB is fine with the modules (freeswitch.md §3.4).
        options.maximumMessageSize = 8 * 1024 * 1024
        // The module waits for the gateway's end of TCP for a second.
        options.closeTimeout = .seconds(1)
        if dialect.isFork {
            // What `PhoneHandshake.deflateOffer` says.
            var deflate = DeflateOptions()
            deflate.sendsWithoutContext = true
            deflate.asksForNoContext = true
            deflate.windowBits = 9
            options.deflate = deflate
        }
        return options
    }

    private func opened(_ socket: WebSocket) {
        self.socket = socket
        socket.onMessage = { [self] kind, bytes in
            self.core.received(kind == .text ? .text : .binary, bytes, at: self.loop.now, &self.output)
            self.perform()
        }
        socket.onClose = { [self] end in
            switch end {
            case .closed(let code, _): self.ended(.closedByGateway(code: code))
            case .violation: self.ended(.violation)
            case .lost: self.ended(.lost)
            case .unresponsive: self.ended(.closeUnanswered)
            }
        }
        self.core.opened(at: self.loop.now, &self.output)
        self.perform()
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
        case .send(.text, let range): self.socket?.send(text: UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .send(.binary, let range): self.socket?.send(binary: UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .close(let code): self.socket?.close(code: code, reason: "Normal closure")
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
        self.socket = nil
        self.onWake = nil
        self.onEvent = nil
        let onEnd = self.onEnd
        self.onEnd = nil
        onEnd?(self.core.result)
    }
}
