import EventSocket
import Networking
import Observability
import Telephony

/// One connection of the dialplan's `socket` application: its machine, its socket, its timer, and the commands that go
/// through it. Confined to its loop.
///
/// What the call does with it (`SwitchDesk`) is told by two closures; everything that the channel's control needs goes
/// through `run`. When the connection ends, every command that waits is answered, once.
final class SwitchCall {
    let loop: EventLoop
    let logger: Logger
    private let connection: Connection
    private var session: OutboundSession
    private var effects: [OutboundSession.Effect] = []
    private var isPerforming = false
    private var timer: TimerID?
    private var wakesAt: Duration?
    private var requests: UInt64 = 0
    private var waiting: [EventSocketRequestID: (Result<EventSocketReply, EventSocketFailure>) -> Void] = [:]
    private(set) var isOver = false

    /// The channel, once known.
    var channel: CallID? { self.session.channel }
    var onBegan: ((SwitchEvent) -> Void)?
    var onEvent: ((SwitchEvent) -> Void)?
    /// The channel is gone; the connection lives some seconds on for its last events.
    var onLingering: (() -> Void)?
    /// Once, the last.
    var onEnded: ((OutboundSession.End) -> Void)?

    init(_ connection: Connection, configuration: OutboundSession.Configuration, on loop: EventLoop, logger: Logger) {
        self.connection = connection
        self.loop = loop
        self.logger = logger
        self.session = OutboundSession(configuration)
    }

    /// A connection that has moved here, in the middle of its session.
    private init(arrived connection: Connection, from other: Moved, on loop: EventLoop) {
        self.connection = connection
        self.loop = loop
        self.logger = other.logger
        self.session = other.session
        self.requests = other.requests
        self.wakesAt = other.wakesAt
    }

    private struct Moved: Sendable {
        var session: OutboundSession
        var requests: UInt64
        var wakesAt: Duration?
        var logger: Logger
    }

    /// Goes on on another loop. Nothing may wait for an answer, and this must not be called from the connection's own
    /// callbacks. `arrived` is called there; nil: it broke on the way.
    func move(to loop: EventLoop, arrived: @escaping @Sendable (SwitchCall?) -> Void) {
        precondition(self.waiting.isEmpty, "A command waits for its answer")
        let moved = Moved(
            session: self.session, requests: self.requests, wakesAt: self.wakesAt, logger: self.logger)
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.isOver = true
        self.onBegan = nil
        self.onEvent = nil
        self.onLingering = nil
        self.onEnded = nil
        self.connection.move(to: loop) { connection in
            guard let connection else { return arrived(nil) }
            let call = SwitchCall(arrived: connection, from: moved, on: loop)
            call.attach()
            call.arm()
            arrived(call)
        }
    }

    /// Begins to speak. The owner keeps this object until `onEnded`.
    func start() {
        // A switch that reads slower than its own events is broken: a command is small.
        self.connection.highWaterMark = 256 * 1024
        self.attach()
        self.connection.begin()
        self.step { $0.accepted(at: $1, into: &$2) }
    }

    private func attach() {
        self.connection.onBytes = { [unowned self] bytes in
            self.step { $0.received(UnsafeRawBufferPointer(bytes), at: $1, into: &$2) }
        }
        self.connection.onEnd = { [unowned self] _ in self.step { $0.connectionLost(at: $1, into: &$2) } }
    }

    /// Sends a command; `done` is called once, on this loop, also when the connection ends before the answer.
    func run(
        _ command: EventSocketCommand, timeout: Duration? = nil,
        done: @escaping (Result<EventSocketReply, EventSocketFailure>) -> Void = { _ in }
    ) {
        guard !self.isOver else { return done(.failure(.stopped)) }
        self.requests += 1
        let id = EventSocketRequestID(self.requests)
        self.waiting[id] = done
        self.step { $0.execute(command, id: id, timeout: timeout, at: $1, into: &$2) }
    }

    /// Closes the socket: the dialplan goes on behind `socket`.
    func leave() { self.step { $0.stop(at: $1, into: &$2) } }

    private func step(_ event: (inout OutboundSession, Duration, inout [OutboundSession.Effect]) -> Void) {
        event(&self.session, self.loop.now, &self.effects)
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

    private func perform(_ effect: OutboundSession.Effect) {
        switch effect {
        case .send(let bytes): _ = bytes.withUnsafeBytes { self.connection.write($0) }
        case .close: self.connection.finish()
        case .wake(let time):
            self.wakesAt = time
            self.arm()
        case .began(let data): self.onBegan?(data)
        case .deliver(let event): self.onEvent?(event)
        case .complete(let id, let result): self.waiting.removeValue(forKey: id)?(result)
        case .lingering: self.onLingering?()
        case .ended(let end): self.ended(end)
        case .oddity(let slug):
            self.logger.warning("Event Socket oddity", ["esl.oddity": .string(slug)])
        }
    }

    private func arm() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = self.wakesAt.map { time in
            self.loop.schedule(at: time) { [unowned self] in
                self.timer = nil
                self.wakesAt = nil
                self.step { $0.timerFired(at: $1, into: &$2) }
            }
        }
    }

    private func ended(_ end: OutboundSession.End) {
        guard !self.isOver else { return }
        self.isOver = true
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.connection.onBytes = nil
        self.connection.onEnd = nil
        let onEnded = self.onEnded
        self.onBegan = nil
        self.onEvent = nil
        self.onLingering = nil
        self.onEnded = nil
        onEnded?(end)
    }
}
