import CLinux
import Glibc

/// A bound UDP socket on one loop: RTP, and FreeSWITCH's unicast audio. Confined to the loop.
package final class UDPSocket {
    /// Who decides when what has come is read.
    package enum Reading: Sendable {
        /// The loop, at once.
        case asItComes
        /// The owner, by `drain()`, on a beat of its own. A wake of the loop and a call of the kernel for each datagram
        /// are saved; when it came is known all the same, by the kernel's note.
        case byOwner
    }

    package let loop: EventLoop
    /// What is really bound.
    package let address: SocketAddress
    private let descriptor: Int32
    private var isOpen = true

    /// A datagram has come, from its sender, at a time of the loop's clock. The bytes are borrowed, and none when it was
    /// longer than `longestDatagram`.
    package var onDatagram: ((UnsafeRawBufferPointer, SocketAddress, Duration) -> Void)?

    /// No audio is longer: 200 ms of G.711 are 1 612 bytes of RTP, 60 ms of L16 at 48 kHz are 5 760.
    package static let longestDatagram = 8192
    private static let batch = EventLoop.readBufferSize / UDPSocket.longestDatagram

    /// Binds now; port 0: any free one.
    package init(_ address: SocketAddress, on loop: EventLoop, reading: Reading = .asItComes) throws(ListenError) {
        loop.preconditionInLoop()
        let descriptor = try Self.bind(address)
        self.loop = loop
        self.descriptor = descriptor
        self.address = SocketAddress.local(of: descriptor) ?? address
        // A kernel without the note gives ages of zero: the time of reading.
        if reading == .byOwner { _ = pronto_note_arrivals(descriptor) }
        do throws(SystemError) {
            // Without interest the loop still says when it stops.
            try loop.register(descriptor, interest: reading == .byOwner ? [] : .read) { [unowned self] in
                self.ready($0)
            }
        } catch {
            self.isOpen = false
            Glibc.close(descriptor)
            throw .failed(address, error)
        }
    }

    /// Whether a socket can be bound to `address` now. Any thread: for what a start finds out before there is a call.
    package static func check(_ address: SocketAddress) throws(ListenError) {
        Glibc.close(try self.bind(address))
    }

    private static func bind(_ address: SocketAddress) throws(ListenError) -> Int32 {
        let descriptor = pronto_socket(address.family, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(address, SystemError("socket")) }
        guard address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let error = ListenError(address, "bind")
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    deinit {
        // Dropped without `close`: only on its loop can that be put right.
        if self.isOpen, self.loop.isInLoop { self.loop.unregister(self.descriptor) }
        if self.isOpen { Glibc.close(self.descriptor) }
    }

    /// Sends one datagram. False when the kernel would not take it: audio that is late is better lost than queued.
    @discardableResult
    package func send(_ bytes: UnsafeRawBufferPointer, to peer: SocketAddress) -> Bool {
        guard self.isOpen else { return false }
        let sent = peer.withSockaddr { address, length in
            sendto(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), address, length)
        }
        return sent == bytes.count
    }

    package func close() {
        guard self.isOpen else { return }
        self.isOpen = false
        self.onDatagram = nil
        self.loop.unregister(self.descriptor)
        Glibc.close(self.descriptor)
    }

    /// Reads what waits, for a socket that is read by its owner. Bounded: a flood costs its own call, not the others.
    package func drain() {
        for _ in 0..<16 where self.isOpen {
            guard self.receive() == Self.batch else { return }
        }
    }

    private func ready(_ readiness: Readiness) {
        guard !readiness.contains(.stopping) else { return self.close() }
        // One batch a turn; the loop comes back while there is more.
        _ = self.receive()
    }

    /// How many datagrams were there, or -1.
    private func receive() -> Int {
        let buffer = self.loop.readBuffer
        return withUnsafeTemporaryAllocation(of: pronto_datagram.self, capacity: Self.batch) { datagrams in
            let count = Int(
                pronto_receive_many(
                    self.descriptor, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    UInt32(Self.longestDatagram),
                    datagrams.baseAddress, Int32(Self.batch)))
            guard count > 0 else { return count }
            let now = self.loop.now
            for index in 0..<count where self.isOpen {
                let datagram = datagrams[index]
                let start = index * Self.longestDatagram
                self.onDatagram?(
                    UnsafeRawBufferPointer(rebasing: buffer[start..<(start + Int(datagram.length))]),
                    SocketAddress(datagram), now - .nanoseconds(datagram.age_ns))
            }
            return count
        }
    }
}
