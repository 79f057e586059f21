import CLinux
import Glibc

/// A bound UDP socket on one loop: RTP, and FreeSWITCH's unicast audio. Confined to the loop.
package final class UDPSocket {
    package let loop: EventLoop
    /// What is really bound.
    package let address: SocketAddress
    private let descriptor: Int32
    private var isOpen = true

    /// A datagram has come, from its sender. Borrowed.
    package var onDatagram: ((UnsafeRawBufferPointer, SocketAddress) -> Void)?

    /// Binds now; port 0: any free one.
    package init(_ address: SocketAddress, on loop: EventLoop) throws(ListenError) {
        loop.preconditionInLoop()
        let descriptor = pronto_socket(address.family, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(address, SystemError("socket")) }
        guard address.withSockaddr({ Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let error = ListenError(address, "bind")
            Glibc.close(descriptor)
            throw error
        }
        self.loop = loop
        self.descriptor = descriptor
        self.address = SocketAddress.local(of: descriptor) ?? address
        do throws(SystemError) {
            try loop.register(descriptor, interest: .read) { [unowned self] in self.ready($0) }
        } catch {
            self.isOpen = false
            Glibc.close(descriptor)
            throw .failed(address, error)
        }
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

    private func ready(_ readiness: Readiness) {
        guard !readiness.contains(.stopping) else { return self.close() }
        // A bounded batch, so that a flood on one socket leaves the others their turn.
        for _ in 0..<32 where self.isOpen {
            var count = 0
            let buffer = self.loop.readBuffer
            let sender = SocketAddress.filled { address, length in
                count = recvfrom(self.descriptor, buffer.baseAddress, buffer.count, 0, address, length)
                return count < 0 ? -1 : 0
            }
            // ECONNREFUSED reports an earlier datagram's fate; there may be good ones behind it.
            if count < 0 {
                if errno == ECONNREFUSED { continue }
                return
            }
            if let sender { self.onDatagram?(UnsafeRawBufferPointer(rebasing: buffer[..<count]), sender) }
        }
    }
}
