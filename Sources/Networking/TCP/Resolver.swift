import CLinux
import Dispatch
import Glibc
import Synchronization
import Telephony

/// Host names to addresses, on a few threads of its own: `getaddrinfo` blocks, for minutes when a name server is dead,
/// and nothing else may wait for it.
package final class Resolver: Sendable {
    /// The threads and the requests that may wait. Beyond: an immediate failure, not a queue that grows for ever.
    private static let threadCount = 4
    private static let queueLimit = 256

    package static let shared = Resolver()

    private struct Request {
        let host: String
        let port: UInt16
        let answered: @Sendable ([SocketAddress]) -> Void
    }

    private struct State {
        var requests: [Request] = []
        var threads = 0
        var idle = 0
    }

    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)

    /// Calls `answered` on `loop` with the addresses of `host`, best first; empty: none, or the resolver is overloaded.
    /// A caller that gave up ignores the answer.
    package func resolve(
        _ host: String, port: UInt16, on loop: EventLoop, answered: @escaping @Sendable ([SocketAddress]) -> Void
    ) {
        if let address = SocketAddress(host, port: Int(port)) {
            return loop.execute { answered([address]) }
        }
        let request = Request(host: host, port: port) { addresses in loop.execute { answered(addresses) } }
        let (accepted, mustStart) = self.state.withLock { state in
            guard state.requests.count < Resolver.queueLimit else { return (false, false) }
            state.requests.append(request)
            let mustStart = state.idle < state.requests.count && state.threads < Resolver.threadCount
            if mustStart { state.threads += 1 }
            return (true, mustStart)
        }
        guard accepted else { return request.answered([]) }
        if mustStart { self.startThread() }
        self.available.signal()
    }

    private func startThread() {
        var identity: UInt64 = 0
        let box = Unmanaged.passRetained(self)
        let failure = pronto_thread_start(
            { argument in
                pronto_name_thread("resolver")
                Unmanaged<Resolver>.fromOpaque(argument!).takeUnretainedValue().serve()
            }, box.toOpaque(), &identity)
        guard failure == 0 else {
            box.release()
            let failed = self.state.withLock { state in
                state.threads -= 1
                defer { if state.threads == 0 { state.requests = [] } }
                return state.threads == 0 ? state.requests : []
            }
            for request in failed { request.answered([]) }
            return
        }
        _ = pronto_thread_detach(identity)
    }

    private func serve() -> Never {
        while true {
            self.state.withLock { $0.idle += 1 }
            self.available.wait()
            let request = self.state.withLock { state in
                state.idle -= 1
                return state.requests.isEmpty ? nil : state.requests.removeFirst()
            }
            if let request { request.answered(Resolver.look(up: request.host, port: request.port)) }
        }
    }

    private static func look(up host: String, port: UInt16) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // Not AI_ADDRCONFIG: on a host with nothing but loopback it hides "localhost". An address of a family without a
        // route fails at once, and the next is tried.
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0 else { return [] }
        defer { freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = found
        while let entry = next, addresses.count < 8 {
            if let raw = entry.pointee.ai_addr, let address = SocketAddress(raw, port: port) {
                addresses.append(address)
            }
            next = entry.pointee.ai_next
        }
        return addresses
    }
}
