import Synchronization

/// An HTTP/1.1 server: one listener a loop, on the same port.
package final class HTTPServer: Sendable {
    /// What answers one request. Made once a loop, so that it may hold what is confined to that loop.
    package typealias Handler = (HTTPRequest, HTTPResponder) -> Void

    /// Where it really listens.
    package let address: SocketAddress
    private let listeners: [LoopListener]

    /// Binds now (errors name the address) and serves on all `loops`. `tls`: HTTPS. `makeHandler` is called once on each
    /// loop.
    package init(
        on loops: [EventLoop], address: SocketAddress, tls: TLSContext? = nil,
        limits: HTTPServerLimits = HTTPServerLimits(), makeHandler: @escaping @Sendable (EventLoop) -> Handler
    ) throws(ListenError) {
        precondition(!loops.isEmpty, "A server needs a loop")
        let sockets = try TCPListener.bind(address, count: loops.count)
        self.address = sockets[0].address
        self.listeners = zip(loops, sockets).map { loop, socket in
            LoopListener(socket, on: loop, tls: tls, limits: limits, makeHandler: makeHandler)
        }
    }

    /// Stops accepting, and closes connections that have no request under way; WebSockets live on. Any thread.
    package func close() {
        for listener in self.listeners { listener.close() }
    }

    /// The HTTP connections that are open now (WebSockets not counted).
    package var connectionCount: Int { self.listeners.reduce(0) { $0 + $1.count.load(ordering: .relaxed) } }
}

/// The part of a server that lives on one loop.
///
/// `@unchecked Sendable`: `connections`, `listener` and `isClosed` are touched on the loop only.
private final class LoopListener: @unchecked Sendable {
    private let loop: EventLoop
    private let tls: TLSContext?
    private let limits: HTTPServerLimits
    private var listener: TCPListener?
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    private var isClosed = false
    let count = Atomic<Int>(0)

    init(
        _ socket: BoundSocket, on loop: EventLoop, tls: TLSContext?, limits: HTTPServerLimits,
        makeHandler: @escaping @Sendable (EventLoop) -> HTTPServer.Handler
    ) {
        self.loop = loop
        self.tls = tls
        self.limits = limits
        loop.execute {
            guard !self.isClosed else { return socket.close() }
            let handler = makeHandler(loop)
            do throws(SystemError) {
                self.listener = try TCPListener(socket, on: loop) { descriptor, peer in
                    self.accepted(descriptor, peer, handler)
                }
            } catch {
                // Without an epoll entry nobody would ever answer: refuse connections rather than let them hang.
                socket.close()
            }
        }
    }

    private func accepted(_ descriptor: Int32, _ peer: SocketAddress, _ handler: @escaping HTTPServer.Handler) {
        let connection = Connection(descriptor, peer: peer, on: self.loop)
        // Dropping it closes it.
        guard self.connections.count < self.limits.connections else { return }
        let http = HTTPServerConnection(connection, limits: self.limits, handler: handler) { ended in
            self.connections[ObjectIdentifier(ended)] = nil
            self.count.store(self.connections.count, ordering: .relaxed)
        }
        self.connections[ObjectIdentifier(http)] = http
        self.count.store(self.connections.count, ordering: .relaxed)
        http.begin(tls: self.tls)
    }

    func close() {
        self.loop.execute {
            self.isClosed = true
            self.listener?.close()
            self.listener = nil
            for connection in self.connections.values where !connection.isAnswering { connection.close() }
        }
    }
}
