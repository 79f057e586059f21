/// Why no range of ports can be made.
package enum RTPPortRangeError: Error, Equatable, CustomStringConvertible {
    case outOfRange(minimum: Int, maximum: Int)
    case noPair(minimum: Int, maximum: Int)

    package var description: String {
        switch self {
        case .outOfRange(let minimum, let maximum):
            "RTP_PORT_MIN \(minimum) and RTP_PORT_MAX \(maximum) must lie between 1024 and 65535"
        case .noPair(let minimum, let maximum):
            "RTP_PORT_MIN \(minimum) to RTP_PORT_MAX \(maximum) holds no even port with its odd neighbour: "
                + "a call takes two ports, so raise RTP_PORT_MAX"
        }
    }
}

/// The pairs of ports that calls use: RTP on the even one, RTCP on the odd one above it (RFC 3550 §11).
///
/// A port is not given out again while its last caller may still be sending (style guide: "Reusing an RTP port while the
/// last caller may still be sending"): it rests for `quarantine` after a call, and the one that has rested longest is
/// taken first.
package struct RTPPortRange: Sendable {
    /// How many calls the range holds at once.
    package let capacity: Int
    package private(set) var inUse: Set<UInt16> = []
    private let quarantine: Duration
    /// Free ports, longest rested first, and since when each is free.
    private var free: [(port: UInt16, since: Duration)]

    package init(minimum: Int, maximum: Int, quarantine: Duration = .seconds(10)) throws(RTPPortRangeError) {
        guard (1024...65535).contains(minimum), (1024...65535).contains(maximum) else {
            throw .outOfRange(minimum: minimum, maximum: maximum)
        }
        let first: Int = minimum + minimum % 2
        guard first + 1 <= maximum else { throw .noPair(minimum: minimum, maximum: maximum) }
        self.quarantine = quarantine
        // Far in the past: all may be used at once.
        self.free = stride(from: first, through: maximum - 1, by: 2).map { (UInt16($0), .seconds(-1_000_000_000)) }
        self.capacity = self.free.count
    }

    /// Takes the even port of a pair. Nil when all are in use or resting: the call is refused with 503.
    package mutating func take(at now: Duration) -> UInt16? {
        guard let oldest = self.free.first, now - oldest.since >= self.quarantine else { return nil }
        self.free.removeFirst()
        self.inUse.insert(oldest.port)
        return oldest.port
    }

    /// The call on `port` is over; or the port could not be bound because another program has it: the same, it rests.
    package mutating func giveBack(_ port: UInt16, at now: Duration) {
        guard self.inUse.remove(port) != nil else { return }
        self.free.append((port, now))
    }

    /// Pairs that could be taken now.
    package func available(at now: Duration) -> Int {
        // In order of rest: once one has not rested enough, none after it has.
        self.free.prefix { now - $0.since >= self.quarantine }.count
    }
}
