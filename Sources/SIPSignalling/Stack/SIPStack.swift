import CLibre
import CLinux
import Glibc
import Networking
import Observability
import Telephony

/// libre's objects and the calls on them. Confined to SIP's thread: made, used and dropped there.
///
/// libre calls back through C functions with one pointer; it is this object, unretained: `run` outlives every callback.
final class SIPStack {
    let configuration: SIPConfiguration
    let inbox: SIPInbox
    let counters: SIPCounters
    let logger: Logger
    let isDraining: () -> Bool
    let invited: (SIPInvitation) -> Void

    /// `struct sip`, and the listeners for sessions and for events (REFER's NOTIFY).
    private(set) var sip: OpaquePointer?
    private(set) var sessionSocket: OpaquePointer?
    private(set) var eventSocket: OpaquePointer?
    private var queue: OpaquePointer?
    private var resolver: OpaquePointer?
    var encryption: OpaquePointer?
    /// The UDP socket, and our look at each datagram before libre's.
    var udp: UnsafeMutableRawPointer?
    var gate: OpaquePointer?
    private let timer: UnsafeMutablePointer<tmr>

    var sessions: [SIPDialogID: SIPSession] = [:]
    var dialogs: [DialogKey: SIPDialogID] = [:]
    private var lastID: UInt64 = 0
    private var invitationRate: RateLimit
    /// Words to strangers: enough for an operator who forgot a peer, too few to be of use for a reflection.
    var strangerRate = RateLimit(perSecond: 5, burst: 10)

    /// What ended or refused something, of the message that is being handled (see `SIPStack+Messages`).
    var current = CurrentMessage()

    var addresses: SIPServer.Addresses
    var probe = ""
    var started: ((Result<SIPServer.Addresses, SIPServerError>) -> Void)?
    var stopDeadline: Duration?

    /// The interval in which calls without an answer are looked for.
    private static let sweepInterval: UInt64 = 500
    /// The interval in which the end of the last call is looked for while stopping.
    private static let stopInterval: UInt64 = 5
    /// Our own datagram to ourselves must come back within this time.
    static let probeLimit: Duration = .seconds(2)

    init(
        _ configuration: SIPConfiguration, inbox: SIPInbox, counters: SIPCounters, logger: Logger,
        isDraining: @escaping () -> Bool, invited: @escaping (SIPInvitation) -> Void
    ) {
        self.configuration = configuration
        self.inbox = inbox
        self.counters = counters
        self.logger = logger
        self.isDraining = isDraining
        self.invited = invited
        self.addresses = SIPServer.Addresses(plain: configuration.address)
        self.invitationRate = RateLimit(
            perSecond: configuration.invitationsPerSecond, burst: configuration.invitationBurst)
        self.timer = .allocate(capacity: 1)
        tmr_init(self.timer)
    }

    deinit { self.timer.deallocate() }

    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func of(_ context: UnsafeMutableRawPointer?) -> SIPStack {
        Unmanaged<SIPStack>.fromOpaque(context!).takeUnretainedValue()
    }

    static func text(of error: Int32) -> String { String(cString: strerror(error)) }

    // MARK: Life

    /// libre's own set-up, once a process. It also takes SIGPIPE; that is taken back.
    private static let libraryFailure: Int32 = {
        let failure = libre_init()
        pronto_ignore_sigpipe()
        // Warnings of libre's go to standard error past our log, some with the text of messages: none.
        dbg_init(Int32(DBG_CRIT), DBG_NONE)
        return failure
    }()

    /// The thread, from its first to its last line. `started` is called once.
    func run(started: @escaping (Result<SIPServer.Addresses, SIPServerError>) -> Void) {
        self.started = started
        do throws(SIPServerError) {
            try self.check("libre_init", Self.libraryFailure)
            // A loop of our own: without it all servers of a process would share one.
            try self.check("re_thread_init", re_thread_init())
            defer { re_thread_close() }
            defer { self.close() }
            // libre's default is FD_SETSIZE, and a gateway with 500 calls has descriptors beyond 1024.
            try self.check("fd_setsize", fd_setsize(65536))
            try self.check("poll_method_set", poll_method_set(METHOD_EPOLL))
            try self.open()
            try self.check("re_main", re_main(nil))
            if let started = self.started {
                self.started = nil
                started(.failure(.libraryFailed(call: "the listener", error: "did not hear itself")))
            }
        } catch {
            self.inbox.close(leftOver: 0)
            if let started = self.started {
                self.started = nil
                started(.failure(error))
            } else {
                self.logger.error("The SIP thread ended by itself", ["error": .string(error.description)])
            }
        }
    }

    func check(_ call: String, _ failure: Int32) throws(SIPServerError) {
        guard failure == 0 else { throw .libraryFailed(call: call, error: Self.text(of: failure)) }
    }

    private func open() throws(SIPServerError) {
        guard !self.configuration.address.isWildcard else { throw .addressIsWildcard }
        // For peers whose Contact is a name. A machine without name servers has none, and such peers get no BYE.
        var servers = [sa](repeating: sa(), count: 8)
        var count = UInt32(servers.count)
        if dns_srv_get(nil, 0, &servers, &count) == 0, count > 0 {
            try self.check("dnsc_alloc", dnsc_alloc(&self.resolver, nil, servers, count))
        }
        try self.check(
            "sip_alloc",
            sip_alloc(&self.sip, self.resolver, 256, 256, 256, self.configuration.software, nil, self.context))
        try self.listen()
        sip_set_trace_handler(self.sip) { isSent, _, _, _, bytes, count, context in
            guard !isSent else { return }
            SIPStack.of(context).look(at: UnsafeRawBufferPointer(start: bytes, count: count))
        }
        try self.check(
            "sipsess_listen",
            sipsess_listen(
                &self.sessionSocket, self.sip, 256,
                { message, context in SIPStack.of(context).invitation(message!) }, self.context))
        try self.check(
            "sipevent_listen", sipevent_listen(&self.eventSocket, self.sip, 32, 32, nil, nil))
        // The last listeners: what libre would print to standard error, numbers included, ends here.
        try self.check(
            "sip_listen",
            sip_listen(
                nil, self.sip, true,
                { message, context in
                    SIPStack.of(context).otherRequest(message!)
                    return true
                }, self.context))
        try self.check("sip_listen", sip_listen(nil, self.sip, false, { _, _ in true }, self.context))
        try self.check(
            "mqueue_alloc",
            mqueue_alloc(&self.queue, { _, _, context in SIPStack.of(context).runJobs() }, self.context))
        try self.probeOwnSocket()
        self.startTimer(Self.sweepInterval)
        if let queue = self.queue { self.inbox.open(queue) }
    }

    private func close() {
        tmr_cancel(self.timer)
        for session in Array(self.sessions.values) { session.bye(.temporaryFailure) }
        // What still waits for an ACK or for the answer to a BYE is dropped here.
        sipsess_close_all(self.sessionSocket)
        sip_close(self.sip, true)
        drop(&self.gate)
        if let udp = self.udp { mem_deref(udp) }
        self.udp = nil
        drop(&self.eventSocket)
        drop(&self.sessionSocket)
        self.inbox.close(leftOver: self.sip.map { Int(mem_nrefs(UnsafeRawPointer($0))) - 1 } ?? 0)
        drop(&self.sip)
        drop(&self.encryption)
        drop(&self.resolver)
        drop(&self.queue)
    }

    private func runJobs() { for job in self.inbox.take() { job(self) } }

    // MARK: Time

    static var now: Duration { .nanoseconds(pronto_monotonic_ns()) }

    private func startTimer(_ milliseconds: UInt64) {
        tmr_start(self.timer, milliseconds, { SIPStack.of($0).tick() }, self.context)
    }

    private func tick() {
        let now = Self.now
        if let deadline = self.stopDeadline {
            // Each call that libre still brings to its end holds a reference.
            let isOver = self.started == nil && self.sip.map { mem_nrefs(UnsafeRawPointer($0)) == 1 } ?? true
            if isOver || now >= deadline { return re_cancel() }
            return self.startTimer(Self.stopInterval)
        }
        for session in Array(self.sessions.values) { session.timePassed(now) }
        self.startTimer(Self.sweepInterval)
    }

    func beginStop(within limit: Duration) {
        for session in Array(self.sessions.values) { session.stop() }
        self.stopDeadline = Self.now + limit
        self.startTimer(Self.stopInterval)
    }

    var isStopping: Bool { self.stopDeadline != nil && self.started == nil }

    // MARK: Calls

    func allowsInvitation() -> Bool { self.invitationRate.take(at: Self.now) }

    func nextID() -> SIPDialogID {
        self.lastID += 1
        return SIPDialogID(number: self.lastID)
    }

    func add(_ session: SIPSession) {
        self.sessions[session.dialog.id] = session
        self.dialogs[session.key] = session.dialog.id
        self.counters.dialogs.set(self.sessions.count)
    }

    func remove(_ session: SIPSession) {
        self.sessions[session.dialog.id] = nil
        self.dialogs[session.key] = nil
        self.counters.dialogs.set(self.sessions.count)
    }

    func session(of message: sip_msg) -> SIPSession? {
        self.dialogs[message.dialogKey].flatMap { self.sessions[$0] }
    }
}
