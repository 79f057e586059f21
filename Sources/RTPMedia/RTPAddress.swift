/// Where a datagram came from or goes to: an IP address and a port, as numbers. The shell has the socket's own type.
package struct RTPAddress: Hashable, Sendable {
    /// The IPv6 address, or an IPv4 address mapped into it (RFC 4291 §2.5.5.2), first byte highest.
    package let high: UInt64
    package let low: UInt64
    package let port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// An IPv4 address, first byte highest: 127.0.0.1 is 0x7F00_0001.
    package init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
    }

    package func hasSameHost(as other: RTPAddress) -> Bool { self.high == other.high && self.low == other.low }

    /// 0.0.0.0 or `::`, or port 0: nothing to send to (RFC 3264 §8.4, a hold of the old kind).
    package var isNowhere: Bool {
        self.port == 0 || (self.high == 0 && (self.low == 0 || self.low == 0xFFFF_0000_0000))
    }
}
