/// A plain TCP server, one listener a loop on the same port: for Event Socket outbound and the like.
package final class TCPServer: Sendable {
    /// Where it really listens.
    package let address: SocketAddress
    private let listeners: [LoopListener]

    /// Binds now (errors name the address). `makeHandler` is called once on each loop; what it returns owns each new
    /// connection: it sets the handlers and calls `begin`, or lets it drop, which closes it.
    package init(
        on loops: [EventLoop], address: SocketAddress,
        makeHandler: @escaping @Sendable (EventLoop) -> (Connection) -> Void
    ) throws(ListenError) {
        precondition(!loops.isEmpty, "A server needs a loop")
        let sockets = try TCPListener.bind(address, count: loops.count)
        self.address = sockets[0].address
        self.listeners = zip(loops, sockets).map { loop, socket in LoopListener(socket, on: loop, makeHandler) }
    }

    /// Stops accepting; connections live on. Any thread.
    package func close() {
        for listener in self.listeners { listener.close() }
    }

    /// The part that lives on one loop.
    ///
    /// `@unchecked Sendable`: `listener` and `isClosed` are touched on the loop only.
    private final class LoopListener: @unchecked Sendable {
        private let loop: EventLoop
        private var listener: TCPListener?
        private var isClosed = false

        init(
            _ socket: BoundSocket, on loop: EventLoop,
            _ makeHandler: @escaping @Sendable (EventLoop) -> (Connection) -> Void
        ) {
            self.loop = loop
            loop.execute {
                guard !self.isClosed else { return socket.close() }
                let handler = makeHandler(loop)
                do throws(SystemError) {
                    self.listener = try TCPListener(socket, on: loop) { descriptor, peer in
                        handler(Connection(descriptor, peer: peer, on: loop))
                    }
                } catch {
                    // Without an epoll entry nobody would ever answer: refuse connections rather than let them hang.
                    socket.close()
                }
            }
        }

        func close() {
            self.loop.execute {
                self.isClosed = true
                self.listener?.close()
                self.listener = nil
            }
        }
    }
}
