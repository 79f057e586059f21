import Glibc
import Networking
import Telephony
import Testing

@testable import PhoneServer

@Suite struct PortRangeTests {
    @Test("RTP takes even ports, each with the odd one above it; a single port is taken where one is enough")
    func steps() throws {
        var pairs = try #require(PortRange(20_001...20_006, step: 2))
        #expect(pairs.capacity == 2)
        #expect(pairs.take(at: .zero) == 20_002)
        #expect(pairs.take(at: .zero) == 20_004)
        #expect(pairs.take(at: .zero) == nil)
        #expect(pairs.taken == 2)
        var singles = try #require(PortRange(20_001...20_003, step: 1))
        #expect(singles.capacity == 3)
        #expect((0..<4).map { _ in singles.take(at: .zero) } == [20_001, 20_002, 20_003, nil])
    }

    @Test(
        "A range that holds no call, or lies outside of what may be bound, is none",
        arguments: [(20_001...20_002, 2), (1...1023, 1), (1023...2000, 1), (65_000...65_536, 2), (20_001...20_001, 2)])
    func bad(range: ClosedRange<Int>, step: Int) { #expect(PortRange(range, step: step) == nil) }

    @Test("A port rests after its call, and the one that rested longest is taken first")
    func rest() throws {
        var range = try #require(PortRange(20_000...20_003, step: 2, rest: .seconds(10)))
        let taken = (range.take(at: .seconds(0)), range.take(at: .seconds(0)))
        let first = try #require(taken.0)
        let second = try #require(taken.1)
        range.giveBack(second, at: .seconds(1))
        range.giveBack(first, at: .seconds(2))
        #expect(range.take(at: .seconds(10)) == nil)
        #expect(range.take(at: .seconds(11)) == second)
        #expect(range.take(at: .seconds(11)) == nil)
        #expect(range.take(at: .seconds(12)) == first)
        #expect(range.taken == 2)
    }

    @Test("What was never taken, or was given back already, is not given back again")
    func doubleReturn() throws {
        var range = try #require(PortRange(20_000...20_003, step: 2, rest: .zero))
        let taken = range.take(at: .zero)
        let port = try #require(taken)
        range.giveBack(port, at: .zero)
        range.giveBack(port, at: .zero)
        range.giveBack(19_998, at: .zero)
        #expect(range.taken == 0)
        #expect((0..<3).map { _ in range.take(at: .seconds(1)) } == [20_002, 20_000, nil])
    }

    @Test("A port that another program has is stepped over")
    func occupied() async throws {
        let loop = EventLoop(name: "ports")
        loop.start()
        defer { loop.stop() }
        let (bound, occupied, none, left) = try await loop.run { () -> (UInt16, UInt16, Bool, Int) in
            // Two neighbours, the lower of them taken by somebody else: found, since any port may be in use here.
            for _ in 0..<50 {
                let probe = try UDPSocket(SocketAddress("127.0.0.1", port: 0)!, on: loop)
                defer { probe.close() }
                let low = Int(probe.address.port)
                guard low % 2 == 0, low < 65_500, let range = PortRange(low...(low + 3), step: 2) else { continue }
                let ports = DatagramPorts(host: "127.0.0.1", range: range)
                guard let (port, socket) = ports.bind(on: loop) else { continue }
                let isNone = ports.bind(on: loop) == nil
                socket.close()
                ports.giveBack(port)
                return (port, UInt16(low), isNone, ports.taken)
            }
            return (0, 0, false, -1)
        }
        #expect(bound == occupied + 2)
        #expect(none)
        #expect(left == 0)
    }
}
