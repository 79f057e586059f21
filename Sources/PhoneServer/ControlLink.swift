import EventSocket
import Networking
import Observability
import Synchronization
import Telephony

/// The shell of an Event Socket connection: one supervised TCP connection on one loop, shared by the calls of a switch.
///
/// Callable from any thread; all work is posted to the link's loop. Answers and events come on that loop, and their
/// takers post them to the loop of their call.
package final class ControlLink: CallControl, Sendable {
    package let host: String
    package let port: UInt16
    private let loop: EventLoop
    private let logger: Logger
    private let shell: LoopBound<ControlShell>
    private let ready = Atomic<Bool>(false)

    package init(
        host: String, port: UInt16, configuration: InboundClient.Configuration, seed: UInt64, jobPrefix: String,
        loop: EventLoop, logger: Logger
    ) {
        self.host = host
        self.port = port
        self.loop = loop
        self.logger = logger
        self.shell = LoopBound(
            sending: ControlShell(
                client: InboundClient(configuration, seed: seed, jobPrefix: jobPrefix), host: host, port: port,
                loop: loop, logger: logger),
            on: loop)
    }

    /// Connects, and keeps connecting.
    package func start() {
        self.loop.execute { [self] in
            self.shell.value.onReady = { isReady in self.ready.store(isReady, ordering: .relaxed) }
            self.shell.value.step { $0.start(at: $1, into: &$2) }
        }
    }

    package func stop() {
        self.loop.execute { [self] in self.shell.value.step { $0.stop(at: $1, into: &$2) } }
    }

    package var isAvailable: Bool { self.ready.load(ordering: .relaxed) }

    package func transfer(
        _ channel: CallID, to destination: TransferDestination, done: @escaping @Sendable (Bool) -> Void
    ) {
        guard let command = try? ApiCommand.transfer(channel, to: DialplanTarget(destination)) else {
            self.logger.warning("A transfer destination cannot be dialed", ["esl.command": .string("uuid_transfer")])
            done(false)
            return
        }
        self.execute(command) { result in
            switch result {
            case .success(let reply): done(reply.refusal == nil)
            case .failure: done(false)
            }
        }
    }

    package func hangUp(_ channel: CallID, cause: HangupCause) {
        guard let command = try? ApiCommand.kill(channel, cause: cause) else { return }
        self.execute(command) { _ in }
    }

    package func stopPlayback(_ channel: CallID) {
        guard let command = try? ApiCommand.stopPlayback(of: channel) else { return }
        self.execute(command) { _ in }
    }

    package func stopStream(_ channel: CallID) {
        guard let command = try? ApiCommand.stopAudioStream(channel) else { return }
        self.execute(command) { _ in }
    }

    package func variables(
        _ names: [String], of channel: CallID, done: @escaping @Sendable ([String: Redacted<String>]) -> Void
    ) {
        let gathered = Gathered(expecting: names.count, done: done)
        if names.isEmpty { done([:]) }
        for name in names {
            guard let command = try? ApiCommand.getVariable(name, of: channel) else {
                gathered.add(name, nil)
                continue
            }
            self.execute(command, timeout: .milliseconds(500)) { result in
                // FreeSWITCH writes `_undef_` for a variable that is not set.
                guard case .success(let reply) = result, reply.refusal == nil, reply.text != "_undef_" else {
                    return gathered.add(name, nil)
                }
                gathered.add(name, Redacted(reply.text))
            }
        }
    }

    package func watch(_ channel: CallID, observer: @escaping @Sendable (PhoneEvent) -> Void) {
        self.loop.execute { [self] in
            self.shell.value.observers[channel] = observer
            self.shell.value.step { $0.watch(channel, at: $1, into: &$2) }
        }
    }

    package func unwatch(_ channel: CallID) {
        self.loop.execute { [self] in
            self.shell.value.observers[channel] = nil
            self.shell.value.step { $0.unwatch(channel, at: $1, into: &$2) }
        }
    }

    private func execute(
        _ command: ApiCommand, timeout: Duration? = nil,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.loop.execute { [self] in self.shell.value.execute(command, timeout: timeout, done: done) }
    }

    /// Waits for several answers.
    private final class Gathered: Sendable {
        private let state: Mutex<(left: Int, values: [String: Redacted<String>])>
        private let done: @Sendable ([String: Redacted<String>]) -> Void
        init(expecting count: Int, done: @escaping @Sendable ([String: Redacted<String>]) -> Void) {
            self.state = Mutex((count, [:]))
            self.done = done
        }
        func add(_ name: String, _ value: Redacted<String>?) {
            let all: [String: Redacted<String>]? = self.state.withLock { state in
                state.values[name] = value
                state.left -= 1
                return state.left == 0 ? state.values : nil
            }
            if let all { self.done(all) }
        }
    }
}

/// What lives on the link's loop: the machine, its socket and its timer.
final class ControlShell {
    private var client: InboundClient
    private let host: String
    private let port: UInt16
    private let loop: EventLoop
    private let logger: Logger
    private var effects: [InboundClient.Effect] = []
    private var isPerforming = false
    private var connector: Connector?
    private var connection: Connection?
    private var timer: TimerID?
    private var requests: UInt64 = 0
    private var waiting: [EventSocketRequestID: @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void] = [:]
    var observers: [CallID: @Sendable (PhoneEvent) -> Void] = [:]
    var onReady: ((Bool) -> Void)?

    init(client: InboundClient, host: String, port: UInt16, loop: EventLoop, logger: Logger) {
        self.client = client
        self.host = host
        self.port = port
        self.loop = loop
        self.logger = logger
    }

    func execute(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.requests += 1
        let id = EventSocketRequestID(self.requests)
        self.waiting[id] = done
        self.step { $0.execute(command, id: id, timeout: timeout, at: $1, into: &$2) }
    }

    func step(_ event: (inout InboundClient, Duration, inout [InboundClient.Effect]) -> Void) {
        event(&self.client, self.loop.now, &self.effects)
        guard !self.isPerforming else { return }
        self.isPerforming = true
        var index = 0
        while index < self.effects.count {
            let effect = self.effects[index]
            index += 1
            self.perform(effect)
        }
        self.effects.removeAll(keepingCapacity: true)
        self.isPerforming = false
    }

    private func perform(_ effect: InboundClient.Effect) {
        switch effect {
        case .connect: self.connect()
        case .send(let bytes): _ = bytes.withUnsafeBytes { self.connection?.write($0) }
        case .close: self.close()
        case .wake(let time):
            if let timer = self.timer { self.loop.cancel(timer) }
            self.timer = time.map { time in
                self.loop.schedule(at: time) { [unowned self] in
                    self.timer = nil
                    self.step { $0.timerFired(at: $1, into: &$2) }
                }
            }
        case .deliver(let event): self.deliver(event)
        case .complete(let id, let result): self.waiting.removeValue(forKey: id)?(result)
        case .statusChanged(let status): self.report(status)
        case .oddity(let slug): self.logger.warning("Event Socket oddity", ["esl.oddity": .string(slug)])
        }
    }

    private func connect() {
        self.close()
        self.connector = Connector(host: self.host, port: self.port, timeout: .seconds(10), on: self.loop) {
            [unowned self] result in
            self.connector = nil
            switch result {
            case .success(let connection): self.connected(connection)
            case .failure(.cancelled): break
            case .failure: self.step { $0.connectionLost(at: $1, into: &$2) }
            }
        }
    }

    private func connected(_ connection: Connection) {
        self.connection = connection
        connection.onBytes = { [unowned self, unowned connection] bytes in
            guard self.connection === connection else { return }
            self.step { $0.received(UnsafeRawBufferPointer(bytes), at: $1, into: &$2) }
        }
        connection.onEnd = { [unowned self, unowned connection] _ in
            guard self.connection === connection else { return }
            self.connection = nil
            self.step { $0.connectionLost(at: $1, into: &$2) }
        }
        self.step { $0.connected(at: $1, into: &$2) }
    }

    private func close() {
        self.connector?.cancel()
        self.connector = nil
        guard let connection = self.connection else { return }
        self.connection = nil
        connection.finish()
    }

    private func report(_ status: InboundClient.Status) {
        self.onReady?(status == .ready)
        switch status {
        case .ready: self.logger.info("Event Socket connected")
        case .interrupted(let loss):
            self.logger.warning("Event Socket interrupted", ["esl.loss": .string(loss.rawValue)])
        case .down(let loss):
            self.logger.error(
                "Event Socket down: transfers are impossible until it is back", ["esl.loss": .string(loss.rawValue)])
        case .connecting, .stopped: break
        }
    }

    private func deliver(_ event: SwitchEvent) {
        guard let channel = event.channel, let observer = self.observers[channel] else { return }
        switch event.name {
        case .channelHangup, .channelHangupComplete: observer(.hungUp(event.hangupCause ?? .normalClearing))
        case .channelHold: observer(.held)
        case .channelUnhold: observer(.resumed)
        case .dtmf: if let digit = event.digit { observer(.digit(digit)) }
        case .custom:
            // The community module has put our audio into a file; playing it is our job (freeswitch.md §3.4).
            if case .playback(let file)? = event.audioStream, let play = try? ApiCommand.broadcast(file, to: channel) {
                self.execute(play, timeout: nil) { _ in }
            }
        default: break
        }
    }
}
