import CLibre
import CLinux
import Glibc
import Networking
import Observability
import Telephony

/// Where messages come in, and who may send them.
extension SIPStack {
    // MARK: Sockets

    func listen() throws(SIPServerError) {
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
    func probeOwnSocket() throws(SIPServerError) {
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
}
