import CLinux
import Glibc
import Telephony

/// Why a connection is over.
package enum ConnectionEnd: Error, Sendable, Equatable {
    /// The peer finished (FIN, or TLS close_notify).
    case peerClosed
    /// The socket broke: a reset, or a peer that TCP found to have vanished.
    case reset
    /// The peer reads too slowly: what waits for it passed the high-water mark.
    case overflow
    case tls(TLSFailure)
    /// A deadline passed (TLS handshake, graceful close).
    case timedOut
    /// We closed it.
    case local
    /// The loop ended under it.
    case loopStopped
}

/// One TCP connection, with or without TLS, confined to a loop.
///
/// Reads are pushed: `onBytes` borrows what came, in the loop's shared buffer (it may be changed in place). Writes go to
/// the socket at once; what the socket does not take waits in a queue, up to `highWaterMark`.
package final class Connection {
    private enum State {
        /// TLS is being agreed. Leaves to `open` or `closed`. What is written waits.
        case securing
        /// Both ways open. Leaves to `finishing` by `finish`, to `closed` by anything.
        case open
        /// The owner has said its last word: the queue is sent, then FIN; what comes is read and dropped, until the
        /// peer's FIN or the deadline. Leaves to `closed`.
        case finishing
        case closed
    }

    package private(set) var loop: EventLoop
    package let peer: SocketAddress
    private let descriptor: Int32
    private var state: State
    private var tls: TLSSession?
    private var queue = ByteQueue()
    private var deadline: TimerID?
    private var interest: Interest = []
    private var isRegistered = false
    private var isPaused = false
    private var peerFinished = false
    private var finSent = false
    private var tlsWantsWrite = false
    private var readIsQueued = false
    private var ticket: Ticket?
    private var waitsForPeer = false

    /// What may wait to be sent, in bytes. Beyond it the connection ends with `.overflow`.
    package var highWaterMark = 1024 * 1024
    /// A peer that finished may still be answered. Otherwise its FIN ends the connection.
    package var allowsHalfClose = false

    /// Bytes have come. Borrowed.
    package var onBytes: ((UnsafeMutableRawBufferPointer) -> Void)?
    /// TLS is agreed (or there is none, and the connection began): called once.
    package var onReady: (() -> Void)?
    /// The peer sends no more (`allowsHalfClose` only).
    package var onPeerFinished: (() -> Void)?
    /// All that waited has been given to the socket.
    package var onDrained: (() -> Void)?
    /// The connection is over. Exactly once, and the last call of all; not when the owner aborted.
    package var onEnd: ((ConnectionEnd) -> Void)?

    /// Takes ownership of a connected, non-blocking descriptor. Call `begin` when the handlers are set.
    package init(_ descriptor: Int32, peer: SocketAddress, on loop: EventLoop) {
        self.descriptor = descriptor
        self.peer = peer
        self.loop = loop
        self.state = .open
    }

    deinit {
        self.ticket?.connection = nil
        // A connection that was never begun, or that was on its way to a loop that had ended.
        if self.state != .closed { Glibc.close(self.descriptor) }
    }

    package var isOpen: Bool { self.state == .open || self.state == .securing }
    package var isSecure: Bool { self.tls != nil }

    /// How many bytes wait to be sent.
    package var bufferedBytes: Int { self.queue.count }

    /// Starts watching, with TLS when a context is given. `host`: whom a client expects. `onReady` follows.
    package func begin(tls context: TLSContext? = nil, host: String? = nil, timeout: Duration = .seconds(10)) {
        self.loop.preconditionInLoop()
        if let context {
            guard let session = context.session(on: self.descriptor, host: host) else {
                self.state = .securing
                return self.fail(later: .tls(.protocolError))
            }
            self.tls = session
            self.state = .securing
            self.deadline = self.loop.schedule(after: timeout) { [weak self] in self?.end(.timedOut) }
        }
        self.watch()
        guard self.state != .closed else { return }
        if self.state == .securing {
            self.secure()
        } else {
            self.becomeReady()
        }
    }

    /// What was put off to the next turn of the loop finds the connection through this; cut when it leaves the loop.
    private final class Ticket {
        /// Cleared by the connection's end. Not weak: the side table that a weak reference makes would slow every retain
        /// of the connection.
        unowned(unsafe) var connection: Connection?
        init(_ connection: Connection) { self.connection = connection }
    }

    /// Runs `body` in the loop's next turn, unless the connection has left the loop by then.
    func later(_ body: @escaping (Connection) -> Void) {
        let ticket = self.ticket ?? Ticket(self)
        self.ticket = ticket
        let box = LoopBound((ticket, body), on: self.loop)
        self.loop.execute {
            let (ticket, body) = box.value
            if let connection = ticket.connection { body(connection) }
        }
    }

    private func fail(later end: ConnectionEnd) { self.later { $0.end(end) } }

    // MARK: Writing

    /// Sends `bytes`, after what waits already. False: the connection is closed, or this closed it (`.overflow`).
    @discardableResult
    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.write(byteCount: bytes.count) { target in
            if !bytes.isEmpty { target.copyMemory(from: bytes) }
        }
    }

    @discardableResult
    package func write(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { self.write(UnsafeRawBufferPointer($0)) }
    }

    /// Sends `byteCount` bytes that `fill` composes in place: in the loop's scratch when nothing waits, at the end of
    /// the queue otherwise. No allocation in the first case.
    @discardableResult
    package func write(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Bool {
        guard self.isOpen else { return false }
        guard self.queue.count + byteCount <= self.highWaterMark else {
            // Not inside the caller's call: it would see its own `onEnd` before the answer to `write`.
            self.fail(later: .overflow)
            self.highWaterMark = -1
            return false
        }
        guard self.queue.isEmpty, self.state == .open else {
            fill(self.queue.grow(by: byteCount))
            return true
        }
        let message = self.loop.scratch(byteCount)
        fill(message)
        let sent = self.put(UnsafeRawBufferPointer(message))
        if sent < message.count {
            self.queue.append(UnsafeRawBufferPointer(rebasing: message[sent...]))
            self.updateInterest()
        }
        self.loop.trimScratch()
        return true
    }

    /// Gives the socket what it takes. A broken socket takes everything: its end is found by the next read.
    private func put(_ bytes: UnsafeRawBufferPointer) -> Int {
        var sent = 0
        while sent < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
            if let tls = self.tls {
                switch tls.write(rest) {
                case .done(let count): sent += count
                case .wantsRead: return sent
                case .wantsWrite:
                    self.tlsWantsWrite = true
                    return sent
                case .ended, .failed:
                    self.fail(later: .reset)
                    return bytes.count
                }
            } else {
                let count = Glibc.send(self.descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                if count >= 0 {
                    sent += count
                } else if errno == EAGAIN {
                    return sent
                } else if errno != EINTR {
                    self.fail(later: .reset)
                    return bytes.count
                }
            }
        }
        return sent
    }

    private func drain() {
        guard self.state == .open || self.state == .finishing else { return }
        self.tlsWantsWrite = false
        if !self.queue.isEmpty {
            let sent = self.put(self.queue.bytes)
            self.queue.consume(sent)
            if self.queue.isEmpty, self.state == .open { self.onDrained?() }
        }
        if self.state == .finishing, self.queue.isEmpty { self.sendFin() }
        self.updateInterest()
    }

    // MARK: Reading

    /// Stops reading: the peer is held back by TCP's own window.
    package func pauseReading() {
        self.isPaused = true
        self.updateInterest()
    }

    package func resumeReading() {
        guard self.isPaused else { return }
        self.isPaused = false
        self.updateInterest()
        // OpenSSL may hold decrypted bytes of which epoll knows nothing.
        if self.tls != nil { self.readLater() }
    }

    private func readLater() {
        guard !self.readIsQueued else { return }
        self.readIsQueued = true
        self.later { connection in
            connection.readIsQueued = false
            connection.read()
        }
    }

    private func read() {
        // One pass for plain sockets (level-triggered: what is left comes back). With TLS until OpenSSL is empty, in a
        // bounded number of turns.
        for _ in 0..<16 {
            guard self.isRegistered, self.state == .open || self.state == .finishing, !self.isPaused,
                !self.peerFinished
            else { return }
            let buffer = self.loop.readBuffer
            let count: Int
            if let tls = self.tls {
                switch tls.read(into: buffer) {
                case .done(let bytes): count = bytes
                case .wantsRead: return
                case .wantsWrite:
                    self.tlsWantsWrite = true
                    return self.updateInterest()
                case .ended: return self.peerHasFinished()
                case .failed(.lost): return self.end(.reset)
                case .failed(let failure): return self.end(.tls(failure))
                }
            } else {
                count = recv(self.descriptor, buffer.baseAddress, buffer.count, 0)
                if count == 0 { return self.peerHasFinished() }
                if count < 0 {
                    if errno != EAGAIN, errno != EINTR { self.end(.reset) }
                    return
                }
            }
            if self.state == .open { self.onBytes?(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])) }
            if self.tls == nil { return }
        }
        if self.tls != nil { self.readLater() }
    }

    private func peerHasFinished() {
        guard self.state == .open, self.allowsHalfClose, self.tls == nil else { return self.end(.peerClosed) }
        self.peerFinished = true
        self.updateInterest()
        self.onPeerFinished?()
    }

    // MARK: Ending

    /// Says the last word: sends what waits, then FIN, and drops what still comes, until the peer's FIN or `deadline`.
    /// The connection lives on by itself for that; `onEnd` is not called any more.
    ///
    /// Closing at once with unread bytes would send a reset, which can destroy the last word on its way.
    ///
    /// `waitsForPeer`: the FIN is left to the peer (a WebSocket client, RFC 6455 §7.1.1), ours comes with the deadline.
    package func finish(deadline: Duration = .seconds(2), waitsForPeer: Bool = false) {
        guard self.isOpen else { return }
        guard self.state == .open else { return self.abort() }
        self.state = .finishing
        self.waitsForPeer = waitsForPeer
        self.dropHandlers()
        self.isPaused = false
        self.cancelDeadline()
        self.deadline = self.loop.schedule(after: deadline) { self.end(.timedOut) }
        if self.queue.isEmpty { self.sendFin() }
        if self.state != .closed { self.updateInterest() }
    }

    private func sendFin() {
        guard !self.finSent, !self.waitsForPeer else { return }
        self.finSent = true
        self.tls?.sendCloseNotify()
        shutdown(self.descriptor, Int32(SHUT_WR))
        if self.peerFinished { self.fail(later: .local) }
    }

    /// Ends at once. `onEnd` is not called: the owner knows.
    package func abort() {
        self.dropHandlers()
        self.end(.local)
    }

    private func dropHandlers() {
        self.onBytes = nil
        self.onReady = nil
        self.onPeerFinished = nil
        self.onDrained = nil
        self.onEnd = nil
    }

    private func end(_ reason: ConnectionEnd) {
        guard self.state != .closed else { return }
        self.state = .closed
        self.cancelDeadline()
        if self.isRegistered { self.loop.unregister(self.descriptor) }
        self.isRegistered = false
        Glibc.close(self.descriptor)
        self.queue.removeAll()
        let onEnd = self.onEnd
        self.dropHandlers()
        onEnd?(reason)
    }

    private func cancelDeadline() {
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
    }

    // MARK: The loop

    private func watch() {
        self.interest = self.wantedInterest
        do throws(SystemError) {
            try self.loop.register(self.descriptor, interest: self.interest) { [self] in self.ready($0) }
            self.isRegistered = true
        } catch {
            self.fail(later: .reset)
        }
    }

    private var wantedInterest: Interest {
        var interest: Interest = []
        if !self.isPaused, !self.peerFinished { interest.insert(.read) }
        if self.tlsWantsWrite || (!self.queue.isEmpty && self.state != .securing) { interest.insert(.write) }
        return interest
    }

    private func updateInterest() {
        guard self.isRegistered else { return }
        let wanted = self.wantedInterest
        guard wanted != self.interest else { return }
        self.interest = wanted
        self.loop.modify(self.descriptor, interest: wanted)
    }

    private func ready(_ readiness: Readiness) {
        if readiness.contains(.stopping) { return self.end(.loopStopped) }
        if self.state == .securing { return self.secure() }
        if !readiness.isDisjoint(with: .broken), self.isPaused || self.peerFinished {
            // Nobody reads, and epoll reports this without end.
            return self.end(.reset)
        }
        if readiness.contains(.writable) { self.drain() }
        if !readiness.isDisjoint(with: [.readable, .broken]) { self.read() }
    }

    private func secure() {
        guard let tls = self.tls else { return }
        self.tlsWantsWrite = false
        switch tls.handshake() {
        case .done:
            self.cancelDeadline()
            self.state = .open
            self.updateInterest()
            self.becomeReady()
            if !self.queue.isEmpty { self.drain() }
            // The peer's first bytes may have come with its last handshake record.
            self.read()
        case .wantsRead: self.updateInterest()
        case .wantsWrite:
            self.tlsWantsWrite = true
            self.updateInterest()
        case .ended: self.end(.tls(.lost))
        case .failed(let failure): self.end(.tls(failure))
        }
    }

    private func becomeReady() {
        let onReady = self.onReady
        self.onReady = nil
        onReady?()
    }

    // MARK: Moving

    /// Gives the connection to another loop: descriptor, TLS, bytes that wait to be sent. The handlers are dropped now;
    /// `arrived` runs on `loop` and sets new ones. Nil: it has ended. What `onBytes` was given is the owner's to carry.
    package func move(to loop: EventLoop, arrived: @escaping @Sendable (Connection?) -> Void) {
        self.loop.preconditionInLoop()
        guard self.depart() else {
            self.abort()
            return loop.execute { arrived(nil) }
        }
        let handedOver = HandedOver(self)
        // In the next turn of this loop: a reader that gave its bytes to the handler which moves it looks at it once more.
        self.loop.execute {
            loop.execute {
                let connection = handedOver.value
                connection.arrive(on: loop)
                arrived(connection)
                connection.resumeWatching()
            }
        }
    }

    /// Leaves the loop: descriptor, TLS state and what waits go along; the handlers are dropped. Nil when it is not
    /// open. `arrive` follows, on the other loop.
    func depart() -> Bool {
        guard self.state == .open, self.highWaterMark >= 0 else { return false }
        self.dropHandlers()
        self.ticket?.connection = nil
        self.ticket = nil
        self.readIsQueued = false
        if self.isRegistered { self.loop.unregister(self.descriptor) }
        self.isRegistered = false
        return true
    }

    /// Becomes the new loop's. Call `resumeWatching` when the handlers are set.
    func arrive(on loop: EventLoop) {
        loop.preconditionInLoop()
        self.loop = loop
    }

    func resumeWatching() {
        guard self.state == .open, !self.isRegistered else { return }
        self.watch()
        if self.tls != nil { self.readLater() }
    }
}
