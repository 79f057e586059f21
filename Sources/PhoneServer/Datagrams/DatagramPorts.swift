import Networking
import Synchronization
import Telephony

/// A range of UDP ports that calls take and give back. A port rests after use: its last caller may still be sending, and
/// the next one would hear it. The one that has rested longest is taken first.
package struct PortRange: Sendable {
    /// How many calls the range holds at once.
    package let capacity: Int
    private var free: [(port: UInt16, since: Duration)]
    private var inUse: Set<UInt16> = []
    private let rest: Duration

    /// - Parameters:
    ///   - step: 2 where a call needs a pair (RTP on the even port, RTCP above it: RFC 3550 §11), 1 where it needs one.
    /// Nil: the range holds no call.
    package init?(_ range: ClosedRange<Int>, step: Int, rest: Duration = .seconds(10)) {
        let first = step == 2 ? range.lowerBound + range.lowerBound % 2 : range.lowerBound
        let last = range.upperBound - (step - 1)
        guard first >= 1024, range.upperBound <= 65535, first <= last else { return nil }
        self.free = stride(from: first, through: last, by: step).map { (UInt16($0), .seconds(-1_000_000_000)) }
        self.capacity = self.free.count
        self.rest = rest
    }

    /// Nil: all are in use or resting.
    package mutating func take(at now: Duration) -> UInt16? {
        guard let oldest = self.free.first, now - oldest.since >= self.rest else { return nil }
        self.free.removeFirst()
        self.inUse.insert(oldest.port)
        return oldest.port
    }

    /// The call is over, or another program has the port: it rests.
    package mutating func giveBack(_ port: UInt16, at now: Duration) {
        guard self.inUse.remove(port) != nil else { return }
        self.free.append((port, now))
    }

    package var taken: Int { self.inUse.count }
}

/// The ports of all loops, and sockets bound to them.
package final class DatagramPorts: Sendable {
    package let host: String
    private let range: Mutex<PortRange>
    package let capacity: Int

    package init(host: String, range: PortRange) {
        self.host = host
        self.capacity = range.capacity
        self.range = Mutex(range)
    }

    package var taken: Int { self.range.withLock { $0.taken } }

    /// Takes a port without binding it: for the far end's side of a range.
    func take() -> UInt16? { self.range.withLock { $0.take(at: EventLoop.freshNow()) } }

    func giveBack(_ port: UInt16) { self.range.withLock { $0.giveBack(port, at: EventLoop.freshNow()) } }

    /// Takes a port and binds it on `loop`, stepping over those that other programs have. Nil: there is none.
    func bind(
        on loop: EventLoop, reading: UDPSocket.Reading = .asItComes
    ) -> (port: UInt16, socket: UDPSocket)? {
        // Bounded: a port that was taken from us rests, so the next one is another.
        for _ in 0..<16 {
            guard let port = self.take(), let address = SocketAddress(self.host, port: Int(port)) else { return nil }
            do throws(ListenError) { return (port, try UDPSocket(address, on: loop, reading: reading)) } catch {
                self.giveBack(port)
            }
        }
        return nil
    }

    /// Whether nobody on this machine has `port` at `address`: the far end of a unicast says nothing when its port is taken.
    static func isFree(_ address: SocketAddress, on loop: EventLoop) -> Bool {
        do throws(ListenError) {
            try UDPSocket(address, on: loop).close()
            return true
        } catch {
            return false
        }
    }
}
