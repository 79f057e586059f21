import Dispatch
import Synchronization
import Telephony
import Testing

@testable import Networking

@Suite("Names", .timeLimit(.minutes(1))) struct ResolverTests {
    private typealias Table = LookupTable<Int>
    private static func name(_ host: String) -> Table.Name { Table.Name(host: host, port: 443) }
    private static let address = SocketAddress("127.0.0.1", port: 443)!

    @Test("Equal questions share one lookup; what it found is good for some seconds, and no longer")
    func shared() throws {
        var table = Table()
        let name = Self.name("a.example")
        guard case .lookUp = table.ask(name, by: 1, at: .zero) else { throw Wrong() }
        for waiter in 2...50 {
            guard case .waits = table.ask(name, by: waiter, at: .zero) else { throw Wrong() }
        }
        let (waiters, next) = table.done(name, [Self.address], began: .zero, at: .seconds(1))
        #expect(waiters == Array(1...50) && next == nil)
        guard case .known(let addresses) = table.ask(name, by: 51, at: .seconds(10)) else { throw Wrong() }
        #expect(addresses == [Self.address])
        guard case .lookUp = table.ask(name, by: 52, at: .seconds(11)) else { throw Wrong() }
    }

    @Test("A name that is not there is asked for again after two seconds, one whose server is silent after ten")
    func absent() throws {
        for (took, good) in [(Duration.milliseconds(10), Duration.seconds(2)), (.seconds(5), .seconds(10))] {
            var table = Table()
            let name = Self.name("none.example")
            guard case .lookUp = table.ask(name, by: 1, at: .zero) else { throw Wrong() }
            _ = table.done(name, [], began: .zero, at: took)
            guard case .known(let addresses) = table.ask(name, by: 2, at: took + good - .milliseconds(1)) else {
                throw Wrong()
            }
            #expect(addresses.isEmpty)
            guard case .lookUp = table.ask(name, by: 3, at: took + good) else { throw Wrong() }
        }
    }

    @Test("Beyond its room a name waits its turn; beyond the waiters' room it is refused; nobody is forgotten")
    func room() throws {
        var table = Table(lookups: 2, waiters: 4)
        guard case .lookUp = table.ask(Self.name("a"), by: 1, at: .zero),
            case .lookUp = table.ask(Self.name("b"), by: 2, at: .zero),
            case .waits = table.ask(Self.name("c"), by: 3, at: .zero),
            case .waits = table.ask(Self.name("c"), by: 4, at: .zero),
            case .refused = table.ask(Self.name("d"), by: 5, at: .zero)
        else { throw Wrong() }
        let first = table.done(Self.name("b"), [], began: .zero, at: .zero)
        #expect(first.waiters == [2] && first.next == Self.name("c"))
        let second = table.done(Self.name("c"), [], began: .zero, at: .zero)
        #expect(second.waiters == [3, 4] && second.next == nil)
        guard case .lookUp = table.ask(Self.name("d"), by: 6, at: .zero) else { throw Wrong() }
    }

    @Test("Names asked for by strangers do not fill the memory")
    func bounded() throws {
        var table = Table()
        for number in 0..<5000 {
            let name = Self.name("\(number).example")
            guard case .lookUp = table.ask(name, by: number, at: .zero) else { throw Wrong() }
            #expect(table.done(name, [Self.address], began: .zero, at: .zero).waiters == [number])
        }
        #expect(table.known <= 512)
    }

    @Test("A zone that does not answer holds up nobody who asks for another name")
    func silentZone() async throws {
        let group = EventLoopGroup(count: 1, name: "names")
        defer { group.stop() }
        let gate = DispatchSemaphore(value: 0)
        let asked = Mutex<[String: Int]>([:])
        let resolver = Resolver { host, _ in
            asked.withLock { $0[host, default: 0] += 1 }
            if host == "silent.example" { gate.wait() }
            return [Self.address]
        }
        let loop = group.loops[0]
        let silent = Mutex(0)
        for _ in 0..<200 {
            resolver.resolve("silent.example", port: 443, on: loop) { _ in silent.withLock { $0 += 1 } }
        }
        for number in 0..<20 {
            let found = await withCheckedContinuation { continuation in
                resolver.resolve("\(number).example", port: 443, on: loop) { continuation.resume(returning: $0) }
            }
            #expect(found == [Self.address])
        }
        #expect(silent.withLock { $0 } == 0)
        gate.signal()
        for _ in 0..<500 where silent.withLock({ $0 }) < 200 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(silent.withLock { $0 } == 200)
        #expect(asked.withLock { $0["silent.example"] } == 1)
    }

    private struct Wrong: Error {}
}
