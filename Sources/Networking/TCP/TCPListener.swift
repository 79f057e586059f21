import CLinux
import Glibc

/// Why a port could not be listened on. Names the address: the operator has to repair it.
package enum ListenError: Error, Equatable, CustomStringConvertible {
    case addressInUse(SocketAddress)
    case notPermitted(SocketAddress)
    /// The address is not one of this machine's.
    case addressNotAvailable(SocketAddress)
    case failed(SocketAddress, SystemError)

    init(_ address: SocketAddress, _ call: StaticString) {
        switch errno {
        case EADDRINUSE: self = .addressInUse(address)
        case EACCES: self = .notPermitted(address)
        case EADDRNOTAVAIL: self = .addressNotAvailable(address)
        default: self = .failed(address, SystemError(call))
        }
    }

    package var description: String {
        switch self {
        case .addressInUse(let address): "\(address) is in use by another program"
        case .notPermitted(let address): "No permission to listen on \(address)"
        case .addressNotAvailable(let address): "\(address) is not an address of this machine"
        case .failed(let address, let error): "Cannot listen on \(address) (\(error))"
        }
    }
}

/// A listening TCP socket on one loop. With SO_REUSEPORT each loop has a listener of its own on the same port, and the
/// kernel spreads the connections.
package final class TCPListener {
    /// What is really bound (the port, when 0 was asked for).
    package let address: SocketAddress
    private let descriptor: Int32
    private let loop: EventLoop
    private var isOpen = true
    /// Dropped when the listener closes: it holds its owner.
    private var accepted: ((Int32, SocketAddress) -> Void)?

    /// Binds and listens. Any thread, so that start-up can fail where it is written.
    ///
    /// SO_REUSEPORT would let a second gateway of the same user share the port in silence; so the port is first tried
    /// without it, unless `sharing` says that the caller itself has it open already.
    package static func bind(_ address: SocketAddress, sharing: Bool = false) throws(ListenError) -> BoundSocket {
        if !sharing, address.port != 0 { Glibc.close(try self.open(address, reusingPort: false)) }
        let descriptor = try self.open(address, reusingPort: true)
        guard Glibc.listen(descriptor, 1024) == 0 else {
            let error = ListenError(address, "listen")
            Glibc.close(descriptor)
            throw error
        }
        return BoundSocket(descriptor: descriptor, address: SocketAddress.local(of: descriptor) ?? address)
    }

    /// One socket for each of `count` loops, all on the same port.
    package static func bind(_ address: SocketAddress, count: Int) throws(ListenError) -> [BoundSocket] {
        var sockets: [BoundSocket] = []
        do throws(ListenError) {
            for index in 0..<count {
                sockets.append(try self.bind(sockets.first?.address ?? address, sharing: index > 0))
            }
        } catch {
            for socket in sockets { socket.close() }
            throw error
        }
        return sockets
    }

    private static func open(_ address: SocketAddress, reusingPort: Bool) throws(ListenError) -> Int32 {
        let descriptor = pronto_socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(address, SystemError("socket")) }
        // Connections of an earlier run in TIME_WAIT do not hold the port.
        _ = pronto_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if reusingPort { _ = pronto_set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        // `::` and `0.0.0.0` are two listeners; otherwise the first would take the second's port.
        if address.isIPv6 { _ = pronto_set_option(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        guard address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let error = ListenError(address, "bind")
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Begins to accept, on the loop. `accepted` owns the descriptor that it is given.
    package init(_ socket: BoundSocket, on loop: EventLoop, accepted: @escaping (Int32, SocketAddress) -> Void)
        throws(SystemError)
    {
        self.descriptor = socket.descriptor
        self.address = socket.address
        self.loop = loop
        self.accepted = accepted
        try loop.register(self.descriptor, interest: .read) { [self] in self.ready($0) }
    }

    /// Stops accepting and frees the port.
    package func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.accepted = nil
        self.loop.unregister(self.descriptor)
        Glibc.close(self.descriptor)
    }

    private func ready(_ readiness: Readiness) {
        guard !readiness.contains(.stopping) else { return self.close() }
        // A bounded batch: with a flood of connections, those that exist are served in between.
        for _ in 0..<64 where self.isOpen {
            var descriptor: Int32 = -1
            let peer = SocketAddress.filled { address, length in
                descriptor = pronto_accept(self.descriptor, address, length)
                return descriptor
            }
            if descriptor >= 0 {
                guard let peer else {
                    Glibc.close(descriptor)
                    continue
                }
                pronto_tune_tcp(descriptor)
                self.accepted?(descriptor, peer)
            } else {
                switch errno {
                // The peer was gone before we came; the next one may not be.
                case ECONNABORTED, EINTR, EPROTO: continue
                case EMFILE, ENFILE, ENOBUFS, ENOMEM: return self.rest()
                default: return
                }
            }
        }
    }

    /// Out of descriptors: the backlog waits, and a level-triggered loop would spin on it. Look again later.
    private func rest() {
        self.loop.modify(self.descriptor, interest: [])
        self.loop.schedule(after: .milliseconds(100)) { [self] in
            if self.isOpen { self.loop.modify(self.descriptor, interest: .read) }
        }
    }
}

/// A bound, listening descriptor that no loop has yet.
package struct BoundSocket: Sendable {
    let descriptor: Int32
    package let address: SocketAddress
}

extension BoundSocket {
    /// Gives the port up, when no listener took it.
    package func close() { Glibc.close(self.descriptor) }
}
