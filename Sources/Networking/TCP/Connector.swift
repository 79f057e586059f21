import CLinux
import Glibc
import Telephony

/// Why no connection came about.
package enum ConnectError: Error, Sendable, Equatable {
    /// The host name has no address, or the resolver is overloaded.
    case dns
    /// The host has addresses, and none that may be connected to.
    case forbidden
    /// No address of the host accepted the connection.
    case connect
    case tls(TLSFailure)
    case timeout
    case cancelled
}

/// One attempt to connect: name, then each address in turn, then TLS, all before one deadline. Confined to a loop.
package final class Connector {
    private let loop: EventLoop
    private let host: String
    private let tls: TLSContext?
    private let accepts: (@Sendable (SocketAddress) -> Bool)?
    private let until: Duration
    private var addresses: [SocketAddress] = []
    private var descriptor: Int32 = -1
    private var connection: Connection?
    private var deadline: TimerID?
    private var attemptDeadline: TimerID?
    private var finished: ((Result<Connection, ConnectError>) -> Void)?

    /// Begins. `finished` is called exactly once, later, on the loop, with a connection that is ready. `accepts`: which of
    /// the host's addresses may be connected to; nil: all.
    package init(
        host: String, port: UInt16, tls: TLSContext? = nil, timeout: Duration = .seconds(10),
        accepts: (@Sendable (SocketAddress) -> Bool)? = nil, on loop: EventLoop,
        finished: @escaping (Result<Connection, ConnectError>) -> Void
    ) {
        loop.preconditionInLoop()
        self.loop = loop
        self.host = host
        self.tls = tls
        self.accepts = accepts
        self.until = loop.now + timeout
        self.finished = finished
        self.deadline = loop.schedule(at: self.until) { self.finish(.failure(.timeout)) }
        let box = LoopBound(self, on: loop)
        Resolver.shared.resolve(host, port: port, on: loop) { addresses in box.value.resolved(addresses) }
    }

    /// Gives up; `finished` hears `.cancelled`.
    package func cancel() { self.finish(.failure(.cancelled)) }

    private func resolved(_ addresses: [SocketAddress]) {
        guard self.finished != nil else { return }
        guard !addresses.isEmpty else { return self.finish(.failure(.dns)) }
        self.addresses = self.accepts.map { addresses.filter($0) } ?? addresses
        guard !self.addresses.isEmpty else { return self.finish(.failure(.forbidden)) }
        self.tryNext()
    }

    private func tryNext() {
        self.dropAttempt()
        guard self.finished != nil else { return }
        guard !self.addresses.isEmpty else { return self.finish(.failure(.connect)) }
        let address = self.addresses.removeFirst()
        let descriptor = pronto_socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return self.tryNext() }
        self.descriptor = descriptor
        pronto_tune_tcp(descriptor)
        let result = address.withSockaddr { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else { return self.tryNext() }
        do throws(SystemError) {
            try self.loop.register(descriptor, interest: .write) { [self] in self.ready($0, address) }
        } catch {
            return self.tryNext()
        }
        // An address that swallows packets gets its share of the time only.
        if !self.addresses.isEmpty {
            let share = (self.until - self.loop.now) / (self.addresses.count + 1)
            self.attemptDeadline = self.loop.schedule(after: share) { self.tryNext() }
        }
    }

    private func ready(_ readiness: Readiness, _ address: SocketAddress) {
        guard !readiness.contains(.stopping) else { return self.finish(.failure(.cancelled)) }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) == 0, failure == 0 else {
            return self.tryNext()
        }
        self.loop.unregister(self.descriptor)
        let connection = Connection(self.descriptor, peer: address, on: self.loop)
        self.descriptor = -1
        self.dropAttempt()
        self.connection = connection
        connection.onReady = { self.finish(.success(connection)) }
        connection.onEnd = { end in
            switch end {
            case .tls(let failure): self.finish(.failure(.tls(failure)))
            case .timedOut: self.finish(.failure(.timeout))
            case .loopStopped: self.finish(.failure(.cancelled))
            default: self.finish(.failure(self.tls == nil ? .connect : .tls(.lost)))
            }
        }
        // The deadline of the whole attempt is the earlier one.
        connection.begin(tls: self.tls, host: self.host, timeout: .seconds(3600))
    }

    private func dropAttempt() {
        if let attemptDeadline = self.attemptDeadline { self.loop.cancel(attemptDeadline) }
        self.attemptDeadline = nil
        if self.descriptor >= 0 {
            self.loop.unregister(self.descriptor)
            Glibc.close(self.descriptor)
            self.descriptor = -1
        }
    }

    private func finish(_ result: Result<Connection, ConnectError>) {
        guard let finished = self.finished else { return }
        self.finished = nil
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.dropAttempt()
        if let connection = self.connection {
            connection.onReady = nil
            connection.onEnd = nil
            if case .failure = result { connection.abort() }
        }
        self.connection = nil
        finished(result)
    }
}
