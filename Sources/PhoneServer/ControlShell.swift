import EventSocket
import Networking
import Observability
import Telephony

/// What lives on the link's loop: the machine, its socket and its timer.
final class ControlShell {
    private var client: InboundClient
    private let host: String
    private let port: UInt16
    private let connectTimeout: Duration
    private let loop: EventLoop
    private let logger: Logger
    private let metrics: ControlMetrics?
    private let reported: @Sendable (InboundClient.Status) -> Void
    private var effects: [InboundClient.Effect] = []
    private var isPerforming = false
    private var connector: Connector?
    private var connection: Connection?
    private var timer: TimerID?
    private var requests: UInt64 = 0
    private var waiting: [EventSocketRequestID: @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void] = [:]
    private var observers: [CallID: @Sendable (ChannelNews) -> Void] = [:]
    private var listeners = EventListeners()
    private var handlers: [EventListeners.ID: ListenerHandlers] = [:]
    private var isRetiring = false
    /// An address that is away for hours is one error in the log, not one each half minute.
    private var isDownLogged = false

    /// - Parameter reported: hears each change of the status, on the loop.
    init(
        client: InboundClient, host: String, port: UInt16, connectTimeout: Duration, loop: EventLoop, logger: Logger,
        metrics: ControlMetrics?, reported: @escaping @Sendable (InboundClient.Status) -> Void
    ) {
        self.client = client
        self.host = host
        self.port = port
        self.connectTimeout = connectTimeout
        self.loop = loop
        self.logger = logger.with(["esl.address": .string("\(host):\(port)")])
        self.metrics = metrics
        self.reported = reported
    }

    // MARK: Calls' channels

    func watch(_ channel: CallID, _ observer: @escaping @Sendable (ChannelNews) -> Void) {
        let isNew = self.observers.updateValue(observer, forKey: channel) == nil
        if isNew { self.step { $0.watch(channel, at: $1, into: &$2) } }
    }

    func unwatch(_ channel: CallID) {
        guard self.observers.removeValue(forKey: channel) != nil else { return }
        self.step { $0.unwatch(channel, at: $1, into: &$2) }
        if self.isRetiring { self.retire() }
    }

    func retire() {
        self.isRetiring = true
        guard self.observers.isEmpty else { return }
        self.step { $0.stop(at: $1, into: &$2) }
    }

    // MARK: Listeners

    /// What a listener is told: events, and that its channel is gone without one.
    struct ListenerHandlers {
        var event: @Sendable (SwitchEvent) -> Void
        var channelGone: @Sendable () -> Void
    }

    /// Nil: a name or the channel cannot be written to the switch.
    func listen(to interest: EventInterest, _ handlers: ListenerHandlers) -> EventListeners.ID? {
        var error: EventSocketCommandError?
        self.step { client, now, effects in
            if let channel = interest.channel { client.watch(channel, at: now, into: &effects) }
            do throws(EventSocketCommandError) {
                try client.subscribe(to: interest, at: now, into: &effects)
            } catch let failure {
                error = failure
                if let channel = interest.channel { client.unwatch(channel, at: now, into: &effects) }
            }
        }
        guard error == nil else { return nil }
        let id = self.listeners.add(interest)
        self.handlers[id] = handlers
        return id
    }

    /// How many listen.
    var listenerCount: Int { self.handlers.count }

    func stopListening(_ id: EventListeners.ID) {
        self.handlers[id] = nil
        guard let channel = self.listeners.remove(id)?.channel else { return }
        self.step { $0.unwatch(channel, at: $1, into: &$2) }
    }

    // MARK: Commands

    func execute(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.requests += 1
        let id = EventSocketRequestID(self.requests)
        self.waiting[id] = done
        self.step { $0.execute(command, id: id, timeout: timeout, at: $1, into: &$2) }
    }

    /// A command of the Event Socket itself, rather than of the switch's API.
    func execute(
        _ command: EventSocketCommand, timeout: Duration?,
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
                self.loop.schedule(at: time) { [weak self] in
                    guard let self else { return }
                    self.timer = nil
                    self.step { $0.timerFired(at: $1, into: &$2) }
                }
            }
        case .deliver(let event): self.deliver(event)
        case .complete(let id, let result):
            if case .failure(let failure) = result { self.metrics?.commandFailed(failure) }
            self.waiting.removeValue(forKey: id)?(result)
        case .statusChanged(let status): self.report(status)
        case .channelGone(let channel, let wasRestarted): self.gone(channel, wasRestarted)
        case .oddity(let slug): self.logger.warning("Event Socket oddity", ["esl.oddity": .string(slug)])
        }
    }

    private func connect() {
        self.close()
        self.connector = Connector(host: self.host, port: self.port, timeout: self.connectTimeout, on: self.loop) {
            [weak self] result in
            guard let self else { return }
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
        // Weak: a link that is let go without a stop must not be called any more.
        connection.onBytes = { [weak self, unowned connection] bytes in
            guard let self, self.connection === connection else { return }
            self.step { $0.received(UnsafeRawBufferPointer(bytes), at: $1, into: &$2) }
        }
        connection.onEnd = { [weak self, unowned connection] _ in
            guard let self, self.connection === connection else { return }
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
        self.reported(status)
        switch status {
        case .ready:
            self.isDownLogged = false
            self.logger.info("Event Socket connected")
        case .interrupted(let loss):
            self.metrics?.lost(loss)
            self.logger.warning("Event Socket interrupted", ["esl.loss": .string(loss.rawValue)])
        case .down(let loss):
            self.metrics?.lost(loss)
            guard !self.isDownLogged else { return }
            self.isDownLogged = true
            self.logger.error(
                "Event Socket down: no hand-over is possible until it is back, and attempts go on",
                ["esl.loss": .string(loss.rawValue), "repair": .string(loss.repair)])
        case .connecting, .stopped: break
        }
    }

    private func deliver(_ event: SwitchEvent) {
        self.metrics?.events.increment()
        if !self.listeners.isEmpty {
            for id in self.listeners.listeners(to: event) { self.handlers[id]?.event(event) }
        }
        guard let channel = event.channel, let observer = self.observers[channel] else { return }
        if let news = event.news { return observer(news) }
        switch event.name {
        case .custom:
            // The community module has put our audio into a file; playing it is our job (freeswitch.md §3.4).
            if case .playback(let file)? = event.audioStream, let play = try? ApiCommand.broadcast(file, to: channel) {
                self.execute(play, timeout: nil) { _ in }
            }
        default: break
        }
    }

    /// The channel ended while nothing could be heard of it. A restart of the switch is not the caller's hang-up.
    private func gone(_ channel: CallID, _ wasRestarted: Bool) {
        self.logger.warning(
            "A channel ended while the Event Socket was away",
            ["call.id": .string(channel.text), "esl.switch_restarted": .string(wasRestarted ? "yes" : "no")])
        for id in self.listeners.listeners(of: channel) { self.handlers[id]?.channelGone() }
        self.observers[channel]?(
            .phone(.hungUp(wasRestarted ? HangupCauseNames.cause(named: "CRASH") : .normalClearing)))
    }
}

extension EventSocketLoss {
    /// What an operator can do about it.
    package var repair: String {
        switch self {
        case .connectFailed, .setUpTimedOut: "check ESL_HOST and ESL_PORT, and that mod_event_socket listens there"
        case .authenticationRefused: "check ESL_PASSWORD against event_socket.conf.xml"
        case .accessDenied: "add this host to apply-inbound-acl in event_socket.conf.xml"
        case .subscriptionRefused: "the switch does not know an event: FreeSWITCH 1.10 or later is needed"
        case .garbled: "what answers there is no Event Socket: check ESL_HOST and ESL_PORT"
        case .silent: "the switch does not answer: see its log and load, or raise ESL_READ_TIMEOUT"
        case .disconnectNotice, .closedByPeer: "the switch closed the connection: see its log"
        }
    }
}
