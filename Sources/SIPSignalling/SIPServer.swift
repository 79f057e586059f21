import CLibre
import CLinux
import Dispatch
import Networking
import Observability
import Synchronization
import Telephony

/// What the server counts, for metrics. Closed sets only.
package final class SIPCounters: Sendable {
    /// INVITEs that reached the owner.
    package let invitations = Counter()
    /// INVITEs refused by the server itself: no place, too many a second, stopping.
    package let refusedFull = Counter()
    package let refusedRate = Counter()
    package let refusedStopping = Counter()
    /// INVITEs whose session description or request could not be served.
    package let refusedRequest = Counter()
    /// Requests from outside of the allowed networks (UDP; the kernel drops TCP's).
    package let strangers = Counter()
    /// Datagrams that are no SIP message.
    package let junk = Counter()
    /// Calls at this moment, invitations included.
    package let dialogs = Gauge()
}

/// The SIP listener: one thread of libre's, and what other threads may say to it.
///
/// `start`, then `stop`; once. Everything may be called from any thread.
package final class SIPServer: Sendable {
    /// What is really bound.
    package struct Addresses: Sendable, Equatable {
        /// UDP, and TCP where it is on.
        package var plain: SocketAddress
        package var tls: SocketAddress?
    }

    package let configuration: SIPConfiguration
    package let counters = SIPCounters()
    private let logger: Logger
    private let invited: @Sendable (SIPInvitation) -> Void
    private let inbox = SIPInbox()
    private let isDrainingFlag = Atomic<Bool>(false)
    private let state = Mutex(State.new)

    private enum State {
        case new
        case running(thread: UInt64)
        case stopped
    }

    /// `invited`: called on SIP's thread with each acceptable invitation. It only passes it on.
    package init(
        _ configuration: SIPConfiguration, logger: Logger, invited: @escaping @Sendable (SIPInvitation) -> Void
    ) {
        self.configuration = configuration
        self.logger = logger
        self.invited = invited
    }

    /// While true, OPTIONS gets 503 with Retry-After. Calls that are up go on; an INVITE reaches the owner all the same,
    /// who alone knows whether it is the next leg of one of them.
    package var isDraining: Bool {
        get { self.isDrainingFlag.load(ordering: .relaxed) }
        set { self.isDrainingFlag.store(newValue, ordering: .relaxed) }
    }

    /// Binds, and returns when calls can come.
    package func start() throws -> Addresses {
        let start = SIPStart(server: self)
        try self.state.withLock { state in
            guard case .new = state else { throw SIPServerError.wasStarted }
            var identity: UInt64 = 0
            let context = Unmanaged.passRetained(start)
            let failure = pronto_thread_start(
                { argument in
                    Unmanaged<SIPStart>.fromOpaque(argument!).takeRetainedValue().run()
                    return nil
                }, context.toOpaque(), &identity)
            guard failure == 0 else {
                context.release()
                throw SIPServerError.libraryFailed(call: "pthread_create", error: SIPStack.text(of: failure))
            }
            state = .running(thread: identity)
        }
        switch start.wait() {
        case .success(let addresses):
            self.logger.info(
                "Listening for SIP",
                [
                    "sip.address": .string(addresses.plain.description),
                    "sip.tls": .string(addresses.tls?.description ?? "off"),
                ])
            return addresses
        case .failure(let error):
            self.join()
            throw error
        }
    }

    /// Refuses what waits, says BYE to every call, waits for the other ends at most for `limit`, and ends the thread.
    /// Never on SIP's own thread. Returns how many of libre's objects had to be dropped without their end.
    @discardableResult
    package func stop(within limit: Duration = .seconds(2)) -> Int {
        self.isDraining = true
        self.inbox.post { $0.beginStop(within: limit) }
        self.join()
        return self.inbox.leftOver
    }

    private func join() {
        let thread: UInt64? = self.state.withLock { state in
            guard case .running(let thread) = state else { return nil }
            state = .stopped
            return thread
        }
        if let thread { _ = pronto_thread_join(thread) }
    }

    // MARK: For the thread

    fileprivate func makeStack() -> SIPStack {
        SIPStack(
            self.configuration, inbox: self.inbox, counters: self.counters, logger: self.logger,
            isDraining: { [self] in self.isDraining }, invited: self.invited)
    }
}

/// The thread's body, and the word that its start waits for.
private final class SIPStart: Sendable {
    private let server: SIPServer
    private let isKnown = DispatchSemaphore(value: 0)
    private let outcome = Mutex<Result<SIPServer.Addresses, SIPServerError>?>(nil)

    init(server: SIPServer) { self.server = server }

    func wait() -> Result<SIPServer.Addresses, SIPServerError> {
        self.isKnown.wait()
        // The semaphore is raised after the outcome was written, once.
        return self.outcome.withLock { $0! }
    }

    func run() {
        pronto_name_thread("sip")
        self.server.makeStack().run { outcome in
            self.outcome.withLock { $0 = outcome }
            self.isKnown.signal()
        }
    }
}
