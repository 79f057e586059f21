import Assistants
import Networking
import Telephony

/// Tries one back end without a call: opens its session, asks for the greeting, and waits for its first sound.
///
/// It performs what the machine asks for, as `CallShell` does, and measures. No caller's audio is sent, nothing is kept.
/// Confined to its loop.
package final class SessionProbe {
    /// What was seen. Times count from the start.
    package struct Outcome: Sendable {
        /// The first socket stood, or the first HTTP answer began.
        package var connected: Duration?
        package var ready: Duration?
        package var firstAudio: Duration?
        package var input: AudioFormat?
        package var output: AudioFormat?
        package var usage: [AssistantUsage] = []
        package var failure: AssistantFailure?
    }

    private var machine: any AssistantMachine
    private let loop: EventLoop
    private let tls: TLSContext?
    private let http: ProviderHTTP
    private let speech: (any SpeechServices)?
    private let startedAt: Duration
    private var output = AssistantOutput()
    private var performed = 0
    private var isSettling = false
    private var outcome = Outcome()
    private var channels: [ChannelID: Channel] = [:]
    private var timer: TimerID?
    private var deadline: TimerID?
    private var done: ((Outcome) -> Void)?

    private enum Channel {
        case connecting(WebSocketClient)
        case socket(WebSocket)
        case request(HTTPTransfer)
        case job(any SpeechJob)
        case none
    }

    private init(
        _ machine: any AssistantMachine, _ loop: EventLoop, _ tls: TLSContext?, _ http: ProviderHTTP,
        _ speech: (any SpeechServices)?, _ done: @escaping (Outcome) -> Void
    ) {
        self.machine = machine
        self.loop = loop
        self.tls = tls
        self.http = http
        self.speech = speech
        self.startedAt = loop.now
        self.done = done
    }

    /// Begins, on the loop. `done` is called once, there, at the latest after `timeout`.
    package static func run(
        _ machine: any AssistantMachine, on loop: EventLoop, tls: TLSContext?, http: ProviderHTTP,
        speech: (any SpeechServices)?, timeout: Duration = .seconds(20), done: @escaping (Outcome) -> Void
    ) {
        let probe = SessionProbe(machine, loop, tls, http, speech, done)
        // The deadline's closure holds the probe until it is over.
        probe.deadline = loop.schedule(after: timeout) { probe.finish(probe.late) }
        probe.step { $0.start(at: $1, &$2) }
    }

    /// What is missing says how far it came.
    private var late: AssistantFailure {
        let slug =
            self.outcome.ready != nil
            ? "nothing-audible" : self.outcome.connected != nil ? "configure-timeout" : "connect-timeout"
        return AssistantFailure(slug, .retry)
    }

    private func finish(_ failure: AssistantFailure?) {
        guard let done = self.done else { return }
        self.done = nil
        self.outcome.failure = failure
        self.outcome.usage += self.machine.unreportedUsage(at: self.loop.now)
        self.machine.perform(.finish, at: self.loop.now, &self.output)
        for channel in self.channels.values { self.close(channel) }
        self.channels.removeAll()
        for timer in [self.timer, self.deadline].compactMap({ $0 }) { self.loop.cancel(timer) }
        self.timer = nil
        self.deadline = nil
        done(self.outcome)
    }

    private func close(_ channel: Channel) {
        switch channel {
        case .connecting(let attempt): attempt.cancel()
        case .socket(let socket):
            socket.onMessage = nil
            socket.onClose = nil
            socket.close(code: 1000, reason: "")
        case .request(let transfer): transfer.cancel()
        case .job(let job): job.cancel()
        case .none: break
        }
    }

    // MARK: Driving the machine

    private func step(_ event: (inout any AssistantMachine, Duration, inout AssistantOutput) -> Void) {
        guard self.done != nil else { return }
        event(&self.machine, self.loop.now, &self.output)
        guard !self.isSettling else { return }
        self.isSettling = true
        while self.performed < self.output.effects.count, self.done != nil {
            let effect = self.output.effects[self.performed]
            self.performed += 1
            self.perform(effect)
        }
        self.output.removeAll()
        self.performed = 0
        self.isSettling = false
    }

    private func deliver(_ event: ChannelEvent) { self.step { $0.received(event, at: $1, &$2) } }

    private func sinceStart() -> Duration { self.loop.now - self.startedAt }

    private func perform(_ effect: AssistantEffect) {
        switch effect {
        case .connect(let id, let target): self.connect(id, target)
        case .sendText(let id, let range): self.send(range, id, isText: true)
        case .sendBinary(let id, let range): self.send(range, id, isText: false)
        case .close(let id, _): if let channel = self.channels.removeValue(forKey: id) { self.close(channel) }
        case .request(let id, let target):
            let transfer = self.http.start(target, as: id, on: self.loop) { [weak self] event in
                guard let self, self.channels[id] != nil else { return }
                if case .responseHead = event { self.connectedOnce() }
                if case .closed = event { self.channels[id] = nil }
                self.deliver(event)
            }
            self.channels[id] = .request(transfer)
        case .synthesise(let id, let request): self.synthesise(id, request)
        // Nobody speaks: ears have nothing to hear.
        case .detect(let id, _), .recognise(let id, _), .transcribe(let id, _): self.channels[id] = Channel.none
        case .audio(_, let range):
            guard !range.isEmpty else { break }
            self.outcome.firstAudio = self.sinceStart()
            self.finish(nil)
        case .event(let event): self.told(event)
        case .wake(let due):
            if let timer = self.timer { self.loop.cancel(timer) }
            self.timer = due.map { due in
                self.loop.schedule(at: due) { [weak self] in self?.step { $0.wake(at: $1, &$2) } }
            }
        }
    }

    private func told(_ event: AssistantEvent) {
        switch event {
        case .ready(let input, let output):
            self.outcome.ready = self.sinceStart()
            self.outcome.input = input
            self.outcome.output = output
            self.machine.perform(.respond(.greeting), at: self.loop.now, &self.output)
        case .usage(let usage): self.outcome.usage.append(usage)
        case .failed(let failure): if failure.verdict != .ignore { self.finish(failure) }
        case .responseFinished(.failed(let failure)): self.finish(failure)
        case .responseFinished: self.finish(AssistantFailure("nothing-audible", .retry))
        default: break
        }
    }

    // MARK: Channels

    private func connectedOnce() {
        if self.outcome.connected == nil { self.outcome.connected = self.sinceStart() }
    }

    private func send(_ range: Range<Int>, _ id: ChannelID, isText: Bool) {
        guard case .socket(let socket)? = self.channels[id] else { return }
        self.output.bytes.withUnsafeBytes { bytes in
            let message = UnsafeRawBufferPointer(rebasing: bytes[range])
            _ = isText ? socket.send(text: message) : socket.send(binary: message)
        }
    }

    private func connect(_ id: ChannelID, _ target: WebSocketTarget) {
        self.channels[id] = Channel.none
        var options = WebSocketOptions()
        options.maximumMessageSize = 4 * 1024 * 1024
        let attempt = WebSocketClient.connect(
            url: target.url, headers: target.headers, subprotocols: target.subprotocols, tls: self.tls,
            options: options, timeout: .seconds(8), on: self.loop
        ) { [weak self] result in
            guard let self, self.channels[id] != nil else {
                if case .success(let socket) = result { socket.close(code: 1000, reason: "") }
                return
            }
            switch result {
            case .failure(let error):
                self.channels[id] = nil
                self.deliver(.closed(id, error.channelEnd))
            case .success(let socket):
                self.channels[id] = .socket(socket)
                socket.onMessage = { [weak self] kind, message in
                    self?.deliver(kind == .text ? .text(id, message) : .binary(id, message))
                }
                socket.onClose = { [weak self] end in
                    self?.channels[id] = nil
                    self?.deliver(.closed(id, end.channelEnd))
                }
                self.connectedOnce()
                self.deliver(.opened(id))
            }
        }
        if let attempt, case Channel.none? = self.channels[id] { self.channels[id] = .connecting(attempt) }
    }

    private func synthesise(_ id: ChannelID, _ request: SpeechRequest) {
        guard let speech = self.speech else {
            return self.finish(AssistantFailure("engine", .failOver, detail: "no local voice in this process"))
        }
        let loop = self.loop
        let box = LoopBound(self, on: loop)
        self.channels[id] = Channel.none
        let job = speech.synthesise(request) { report in
            loop.execute {
                let probe = box.value
                guard probe.channels[id] != nil else { return }
                switch report {
                case .started: probe.deliver(.opened(id))
                case .audio(let bytes): bytes.withUnsafeBytes { probe.deliver(.bytes(id, $0)) }
                case .ended(let end):
                    probe.channels[id] = nil
                    probe.deliver(.closed(id, end))
                }
            }
        }
        if case Channel.none? = self.channels[id] { self.channels[id] = .job(job) }
    }
}
