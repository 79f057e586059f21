import Networking
import Telephony

/// Where a Redis is, and how it is spoken to.
package struct RedisEndpoint: Sendable {
    package var host: String
    package var port: UInt16
    package var tls: TLSContext?
    package init(host: String, port: UInt16, tls: TLSContext? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }
}

/// One supervised connection to Redis: performs what `RedisSession` decides. Confined to its loop.
package final class RedisLink {
    package let loop: EventLoop
    private let endpoint: RedisEndpoint
    private var session: RedisSession
    private var effects: [RedisSession.Effect] = []
    private var performed = 0
    private var isPerforming = false
    private var connector: Connector?
    private var connection: Connection?
    private var replies: RedisReplies?
    private var timer: TimerID?
    private var timerAt: Duration?
    private var askers: [RedisSession.Tag: (RedisOutcome) -> Void] = [:]

    package var onReady: (() -> Void)?
    package var onAway: ((RedisAbsence) -> Void)?
    package var onMessage: ((_ channel: String, _ text: String) -> Void)?

    /// Redis reads as fast as one writes to it, or it is in trouble: what it has not taken is bounded.
    private static let highWaterMark = 8 * 1024 * 1024

    /// May be made anywhere; everything else on `loop`.
    package init(
        _ endpoint: RedisEndpoint, _ configuration: RedisSession.Configuration, seed: UInt64, on loop: EventLoop
    ) {
        self.endpoint = endpoint
        self.session = RedisSession(configuration, seed: seed)
        self.loop = loop
    }

    package var isReady: Bool { self.session.isReady }

    package func start() { self.step { $0.start(at: $1, &$2) } }

    /// Ends for good: whoever waits is told that Redis is away.
    package func stop() {
        self.step { $0.stop(at: $1, &$2) }
        self.onReady = nil
        self.onAway = nil
        self.onMessage = nil
    }

    /// Asks; `done` is called once: inside this call where there is nobody to ask, otherwise later.
    package func ask(_ command: RedisCommand, within: Duration, done: @escaping (RedisOutcome) -> Void) {
        self.step { session, now, effects in
            let tag = session.ask(command, within: within, at: now, &effects)
            self.askers[tag] = done
        }
    }

    // MARK: Driving the value

    private func step(_ event: (inout RedisSession, Duration, inout [RedisSession.Effect]) -> Void) {
        self.loop.preconditionInLoop()
        event(&self.session, self.loop.now, &self.effects)
        self.settle()
    }

    private func settle() {
        guard !self.isPerforming else { return }
        self.isPerforming = true
        while self.performed < self.effects.count {
            let effect = self.effects[self.performed]
            self.performed += 1
            self.perform(effect)
        }
        self.effects.removeAll(keepingCapacity: true)
        self.performed = 0
        self.isPerforming = false
        self.armTimer()
    }

    private func armTimer() {
        let next = self.session.nextWake
        // A timer that is set for earlier asks again when it fires: one for each command would cost more.
        if let timerAt = self.timerAt, let next, timerAt <= next { return }
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.timerAt = next
        guard let next else { return }
        self.timer = self.loop.schedule(at: next) { [weak self] in
            guard let self else { return }
            self.timer = nil
            self.timerAt = nil
            self.step { $0.due(at: $1, &$2) }
        }
    }

    private func perform(_ effect: RedisSession.Effect) {
        switch effect {
        case .connect: self.connect()
        case .send(let bytes): bytes.withUnsafeBytes { _ = self.connection?.write($0) }
        case .disconnect: self.disconnect()
        case .answer(let tag, let outcome): self.askers.removeValue(forKey: tag)?(outcome)
        case .message(let channel, let text): self.onMessage?(channel, text)
        case .ready: self.onReady?()
        case .away(let absence): self.onAway?(absence)
        }
    }

    // MARK: The socket

    private func connect() {
        self.connector = Connector(
            host: self.endpoint.host, port: self.endpoint.port, tls: self.endpoint.tls, timeout: .seconds(2),
            on: self.loop
        ) { [weak self] result in
            guard let self, self.connector != nil else {
                if case .success(let connection) = result { connection.abort() }
                return
            }
            self.connector = nil
            switch result {
            case .success(let connection): self.adopt(connection)
            case .failure(let error): self.step { $0.lost(Self.absence(of: error), at: $1, &$2) }
            }
        }
    }

    private func adopt(_ connection: Connection) {
        self.connection = connection
        self.replies = RedisReplies()
        connection.highWaterMark = Self.highWaterMark
        connection.onBytes = { [weak self] bytes in self?.received(UnsafeRawBufferPointer(bytes)) }
        connection.onEnd = { [weak self] end in
            guard let self else { return }
            self.connection = nil
            self.replies = nil
            self.step { $0.lost(end == .overflow ? .overloaded : .closed, at: $1, &$2) }
        }
        self.step { $0.connected(at: $1, &$2) }
    }

    private func disconnect() {
        let connector = self.connector
        self.connector = nil
        connector?.cancel()
        self.connection?.abort()
        self.connection = nil
        self.replies = nil
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        guard let replies = self.replies else { return }
        do throws(RedisProtocolError) {
            try replies.feed(bytes)
            // What a reply causes may have dropped the connection, and with it the rest.
            while self.replies === replies, let reply = try replies.next() {
                self.step { $0.received(reply, at: $1, &$2) }
            }
        } catch {
            self.disconnect()
            self.step { $0.lost(.garbled, at: $1, &$2) }
        }
    }

    private static func absence(of error: ConnectError) -> RedisAbsence {
        switch error {
        case .dns: .unresolved
        case .connect, .forbidden: .unreachable
        case .tls: .tls
        case .timeout: .timeout
        case .cancelled: .stopped
        }
    }
}
