import EventSocket
import Networking
import Observability
import Synchronization
import Telephony

/// The shell of an Event Socket connection: one supervised TCP connection on one loop, shared by the calls of a switch.
///
/// Callable from any thread; all work is posted to the link's loop. Answers and events come on that loop, and their
/// takers post them to the loop of their call. What else can be asked of the switch is in `ControlLink+Commands.swift`,
/// listeners and waits are in `ControlLink+Events.swift`.
package final class ControlLink: CallControl, Sendable {
    package let host: String
    package let port: UInt16
    package let jobPrefix: String
    let loop: EventLoop
    let logger: Logger
    let shell: LoopBound<ControlShell>
    private let board = ControlBoard()

    package init(
        host: String, port: UInt16, configuration: InboundClient.Configuration, seed: UInt64, jobPrefix: String,
        loop: EventLoop, logger: Logger, metrics: ControlMetrics? = nil,
        observer: @escaping @Sendable (InboundClient.Status) -> Void = { _ in }
    ) {
        self.host = host
        self.port = port
        self.jobPrefix = jobPrefix
        self.loop = loop
        self.logger = logger
        let board = self.board
        self.shell = LoopBound(
            sending: ControlShell(
                client: InboundClient(configuration, seed: seed, jobPrefix: jobPrefix), host: host, port: port,
                connectTimeout: configuration.connectTimeout, loop: loop, logger: logger, metrics: metrics
            ) { status in
                board.set(status)
                observer(status)
            },
            on: loop)
    }

    /// Connects, and keeps connecting.
    package func start() {
        self.loop.execute { [self] in self.shell.value.step { $0.start(at: $1, into: &$2) } }
    }

    package func stop() {
        self.loop.execute { [self] in self.shell.value.step { $0.stop(at: $1, into: &$2) } }
    }

    /// Stops as soon as no call follows its channel by this link any more: nobody new will.
    package func retire() {
        self.loop.execute { [self] in self.shell.value.retire() }
    }

    package var status: InboundClient.Status { self.board.status }
    package var isAvailable: Bool { self.status == .ready }
    package var isDown: Bool {
        if case .down = self.status { true } else { false }
    }

    package func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.execute(command, timeout: timeout, done: done)
    }

    package func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {
        self.loop.execute { [self] in self.shell.value.watch(channel, observer) }
    }

    package func unwatch(_ channel: CallID) {
        self.loop.execute { [self] in self.shell.value.unwatch(channel) }
    }

    func execute(
        _ command: ApiCommand, timeout: Duration? = nil,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) {
        self.loop.execute { [self] in self.shell.value.execute(command, timeout: timeout, done: done) }
    }

    /// Where the link stands, for any thread.
    private final class ControlBoard: Sendable {
        private let state = Mutex(InboundClient.Status.connecting)
        var status: InboundClient.Status { self.state.withLock { $0 } }
        func set(_ status: InboundClient.Status) { self.state.withLock { $0 = status } }
    }
}
