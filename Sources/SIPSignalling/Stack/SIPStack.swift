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
    private var encryption: OpaquePointer?
    /// The UDP socket, and our look at each datagram before libre's.
    private var udp: UnsafeMutableRawPointer?
    private var gate: OpaquePointer?
    private let timer: UnsafeMutablePointer<tmr>

    var sessions: [SIPDialogID: SIPSession] = [:]
    var dialogs: [DialogKey: SIPDialogID] = [:]
    private var lastID: UInt64 = 0
    private var invitationRate: RateLimit
    /// Words to strangers: enough for an operator who forgot a peer, too few to be of use for a reflection.
    private var strangerRate = RateLimit(perSecond: 5, burst: 10)

    /// What ended or refused something, of the message that is being handled (see `SIPStack+Messages`).
    var current = CurrentMessage()

    private var addresses: SIPServer.Addresses
    private var probe = ""
    private var started: ((Result<SIPServer.Addresses, SIPServerError>) -> Void)?
    private var stopDeadline: Duration?

    /// The interval in which calls without an answer are looked for.
    private static let sweepInterval: UInt64 = 500
    /// The interval in which the end of the last call is looked for while stopping.
    private static let stopInterval: UInt64 = 5
    /// Our own datagram to ourselves must come back within this time.
    private static let probeLimit: Duration = .seconds(2)

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

    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

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

    // MARK: Sockets

    private func listen() throws(SIPServerError) {
        var attempts = self.configuration.address.port == 0 && self.configuration.listensOnTCP ? 10 : 1
        while true {
            attempts -= 1
            do throws(SIPServerError) {
                return try self.listenOnce()
            } catch {
                // The port that UDP was given may be taken for TCP.
                guard attempts > 0, case .cannotListen(_, "TCP", _) = error else { throw error }
                sip_transp_flush(self.sip)
            }
        }
    }

    private func listenOnce() throws(SIPServerError) {
        var plain = self.configuration.address
        plain = try self.add(SIP_TRANSP_UDP, "UDP", plain) { pronto_sip_transp_add($0, SIP_TRANSP_UDP, $1) }
        if self.configuration.listensOnTCP {
            plain = try self.add(SIP_TRANSP_TCP, "TCP", plain) { pronto_sip_transp_add($0, SIP_TRANSP_TCP, $1) }
        }
        self.addresses = SIPServer.Addresses(plain: plain)
        guard let tls = self.configuration.tls else { return }
        self.encryption = try SIPCertificate.context(tls)
        let encryption = self.encryption
        self.addresses.tls = try self.add(SIP_TRANSP_TLS, "TLS", plain.with(port: tls.port)) {
            pronto_sip_transp_add_tls($0, $1, encryption)
        }
    }

    private func add(
        _ kind: sip_transp, _ name: String, _ address: SocketAddress,
        _ body: (OpaquePointer?, UnsafePointer<sa>) -> Int32
    ) throws(SIPServerError) -> SocketAddress {
        var wanted = address.libre
        let failure = body(self.sip, &wanted)
        guard failure == 0 else {
            throw .cannotListen(address, transport: name, error: Self.text(of: failure))
        }
        var bound = sa()
        try self.check("sip_transp_laddr", sip_transp_laddr(self.sip, &bound, kind, &wanted))
        let port = sa_port(&bound)
        let isStream = kind != SIP_TRANSP_UDP
        for descriptor in Self.descriptors(boundTo: address.with(port: port), stream: isStream) {
            // libre's sockets would be inherited by the speech engines' child processes.
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            if isStream {
                let filter = PeerFilter(allowing: self.configuration.allowedPeers)
                let attached = filter.instructions.withUnsafeBytes {
                    pronto_attach_filter(descriptor, $0.baseAddress, UInt16(clamping: filter.instructions.count))
                }
                guard attached == 0 else {
                    throw .filterRefused(
                        networks: self.configuration.allowedPeers.count, error: Self.text(of: errno))
                }
            } else {
                // A burst of calls must not be lost in a buffer of 200 KB; what the system allows is taken.
                _ = pronto_set_option(descriptor, SOL_SOCKET, SO_RCVBUF, 1 << 20)
            }
        }
        return address.with(port: port)
    }

    /// libre gives no descriptor of a SIP transport: it is found by its local address.
    private static func descriptors(boundTo address: SocketAddress, stream: Bool) -> [Int32] {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let descriptor = Int32(name), SocketAddress.local(of: descriptor) == address else { continue }
            var kind: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else { continue }
            if kind == Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue) { found.append(descriptor) }
        }
        return found
    }

    // MARK: The gate of UDP

    /// libre hands out its UDP socket only with a message that came by it. So we send ourselves one, and from then on see
    /// every datagram before libre does. `start` returns when it has come.
    private func probeOwnSocket() throws(SIPServerError) {
        self.probe = "pronto-\(UInt64.random(in: .min ... .max))-\(UInt64.random(in: .min ... .max))"
        let own = self.addresses.plain
        let descriptor = pronto_socket(own.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw .libraryFailed(call: "socket", error: Self.text(of: errno)) }
        defer { Glibc.close(descriptor) }
        let text =
            "OPTIONS sip:pronto@\(own) SIP/2.0\r\nVia: SIP/2.0/UDP \(own);branch=z9hG4bK\(self.probe)\r\n"
            + "From: <sip:pronto@\(own)>;tag=probe\r\nTo: <sip:pronto@\(own)>\r\nCall-ID: \(self.probe)\r\n"
            + "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        let sent = own.withSockaddr { address, length in
            Array(text.utf8).withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, address, length) }
        }
        guard sent == text.utf8.count else { throw .libraryFailed(call: "sendto", error: Self.text(of: errno)) }
        self.stopDeadline = Self.now + Self.probeLimit
    }

    /// Whether we see datagrams before libre does.
    var isGuarded: Bool { self.gate != nil }

    /// Whether `message` was our own, and has been taken.
    func isProbe(_ message: sip_msg) -> Bool {
        guard self.gate == nil, !self.probe.isEmpty, message.tp == SIP_TRANSP_UDP, let socket = message.sock,
            String(message.callid) == self.probe
        else { return false }
        let failure = udp_register_helper(
            &self.gate, OpaquePointer(socket), 0, nil,
            { source, buffer, context in SIPStack.of(context).isRefused(source!.pointee, buffer!) }, self.context)
        guard failure == 0, let started = self.started else { return true }
        self.udp = mem_ref(socket)
        // libre reads 8 KB and cuts off the rest; with one byte more than allowed, too long is seen as such.
        udp_rxsz_set(OpaquePointer(socket), self.configuration.largestMessage + 1)
        self.stopDeadline = nil
        self.started = nil
        started(.success(self.addresses))
        return true
    }

    /// Looks at a datagram before libre does. True: it goes no further.
    private func isRefused(_ source: sa, _ buffer: UnsafeMutablePointer<mbuf>) -> Bool {
        let length = mbuf_get_left(buffer)
        // RFC 5626 §3.5.1: blank lines keep a NAT open.
        guard length > 4, let first = mbuf_buf(buffer)?.pointee else { return true }
        let isLetter = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first & 0xDF)
        let start = buffer.pointee.pos
        var decoded: UnsafeMutablePointer<sip_msg>?
        guard length <= self.configuration.largestMessage, isLetter, sip_msg_decode(&decoded, buffer) == 0,
            let message = decoded
        else {
            buffer.pointee.pos = start
            self.counters.junk.increment()
            return true
        }
        defer { mem_deref(message) }
        // What libre takes for granted (RFC 3261 §8.1.1).
        guard Self.isComplete(message.pointee) else {
            buffer.pointee.pos = start
            self.counters.junk.increment()
            return true
        }
        guard let peer = SocketAddress(libre: source),
            self.configuration.allowedPeers.contains(where: { $0.contains(peer) })
        else {
            self.counters.strangers.increment()
            self.refuseStranger(message, from: source)
            return true
        }
        buffer.pointee.pos = start
        return false
    }

    static func isComplete(_ message: sip_msg) -> Bool {
        guard message.via.sentby.l > 0, message.callid.l > 0, message.callid.l <= 512, message.cseq.met.l > 0,
            message.from.auri.l > 0, message.to.auri.l > 0
        else { return false }
        return !message.req || String(message.met) == String(message.cseq.met)
    }

    private func refuseStranger(_ message: UnsafeMutablePointer<sip_msg>, from source: sa) {
        guard message.pointee.req, !message.pointee.isMethod("ACK"), let udp = self.udp,
            self.strangerRate.take(at: Self.now)
        else { return }
        message.pointee.src = source
        message.pointee.dst = self.addresses.plain.libre
        message.pointee.tp = SIP_TRANSP_UDP
        message.pointee.sock = mem_ref(udp)
        _ = pronto_sip_reply(self.sip, message, SIPStatus.forbidden.code, SIPStatus.forbidden.phrase.description, "")
        self.logger.warning(
            "SIP request from outside of the allowed networks: add the peer to them if it is yours",
            ["peer.address": .string(SocketAddress(libre: source)?.description ?? "unknown")])
    }

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

extension SocketAddress {
    /// 0.0.0.0 or ::.
    var isWildcard: Bool { self.bytes.allSatisfy { $0 == 0 } }
}
