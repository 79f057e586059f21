import CLinux
import Glibc
import Synchronization
import Telephony

/// Host names to addresses, each lookup on a thread of its own: `getaddrinfo` blocks, for minutes when a name server is
/// dead, and nothing else may wait for it (`LookupTable` says who shares a lookup, and what is known already).
package final class Resolver: Sendable {
    package static let shared = Resolver()

    private typealias Table = LookupTable<@Sendable ([SocketAddress]) -> Void>

    private let table = Mutex(Table())
    private let look: @Sendable (String, UInt16) -> [SocketAddress]

    /// - Parameter look: blocks until it knows; the tests have their own.
    init(look: @escaping @Sendable (String, UInt16) -> [SocketAddress] = { Resolver.look(up: $0, port: $1) }) {
        self.look = look
    }

    /// Calls `answered` on `loop` with the addresses of `host`, best first; empty: none, or the resolver is overloaded.
    /// A caller that gave up ignores the answer.
    package func resolve(
        _ host: String, port: UInt16, on loop: EventLoop, answered: @escaping @Sendable ([SocketAddress]) -> Void
    ) {
        if let address = SocketAddress(host, port: Int(port)) {
            return loop.execute { answered([address]) }
        }
        let waiter: @Sendable ([SocketAddress]) -> Void = { addresses in loop.execute { answered(addresses) } }
        let name = Table.Name(host: host.lowercased(), port: port)
        switch self.table.withLock({ $0.ask(name, by: waiter, at: Self.now) }) {
        case .known(let addresses): waiter(addresses)
        case .lookUp: self.begin(name)
        case .waits: break
        case .refused: waiter([])
        }
    }

    private static var now: Duration { .nanoseconds(pronto_monotonic_ns()) }

    private final class Task {
        let resolver: Resolver
        let name: Table.Name
        init(_ resolver: Resolver, _ name: Table.Name) {
            self.resolver = resolver
            self.name = name
        }
    }

    private func begin(_ name: Table.Name) {
        var identity: UInt64 = 0
        let box = Unmanaged.passRetained(Task(self, name))
        let failure = pronto_thread_start(
            { argument in
                pronto_name_thread("resolver")
                let task = Unmanaged<Task>.fromOpaque(argument!).takeRetainedValue()
                task.resolver.run(task.name)
                return nil
            }, box.toOpaque(), &identity)
        guard failure == 0 else {
            box.release()
            return self.ended(name, [], began: Self.now)
        }
        _ = pronto_thread_detach(identity)
    }

    /// On its thread: this name, then what waits for room.
    private func run(_ name: Table.Name) {
        var next: Table.Name? = name
        while let name = next {
            let began: Duration = Self.now
            let addresses: [SocketAddress] = self.look(name.host, name.port)
            next = self.finish(name, addresses, began)
        }
    }

    private func finish(_ name: Table.Name, _ addresses: [SocketAddress], _ began: Duration) -> Table.Name? {
        let (waiters, next) = self.table.withLock { $0.done(name, addresses, began: began, at: Self.now) }
        for waiter in waiters { waiter(addresses) }
        return next
    }

    /// No thread could be had: nobody is left waiting.
    private func ended(_ name: Table.Name, _ addresses: [SocketAddress], began: Duration) {
        var next: Table.Name? = name
        while let name = next { next = self.finish(name, addresses, began) }
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
