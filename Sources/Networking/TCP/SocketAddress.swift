import CLinux
import Glibc

/// An IPv4 or IPv6 address with a port.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    // The address in network order, read as big-endian words; IPv4 in the lower 32 bits of `low`. Inline: an address
    // comes with every datagram, and must not cost an allocation.
    private let high: UInt64
    private let low: UInt64
    package let isIPv6: Bool
    package let port: UInt16
    /// The interface of a link-local IPv6 address.
    private let scope: UInt32

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { self.isIPv6 ? self.high == 0 && self.low == 1 : self.low >> 24 == 127 }

    /// 0.0.0.0 or ::, which mean every address of the machine.
    package var isWildcard: Bool { self.high == 0 && self.low == 0 }

    /// 4 or 16 bytes, network order: for allow-lists.
    package var bytes: [UInt8] {
        let low = (0..<8).map { UInt8(truncatingIfNeeded: self.low >> (56 - 8 * $0)) }
        guard self.isIPv6 else { return Array(low[4...]) }
        return (0..<8).map { UInt8(truncatingIfNeeded: self.high >> (56 - 8 * $0)) } + low
    }

    /// The address as one IPv6 address, first byte highest, IPv4 mapped into it (RFC 4291 §2.5.5.2): a number to compare,
    /// without an allocation.
    package var mapped: (high: UInt64, low: UInt64) {
        self.isIPv6 ? (self.high, self.low) : (0, 0xFFFF_0000_0000 | self.low)
    }

    package init(mappedHigh high: UInt64, low: UInt64, port: UInt16) {
        self.init(high: high, low: low, isIPv6: true, port: port, scope: 0)
    }

    init(_ datagram: pronto_datagram) {
        self.init(
            high: datagram.high, low: datagram.low, isIPv6: datagram.is_ipv6 != 0, port: datagram.port,
            scope: datagram.scope)
    }

    /// An IPv4-mapped IPv6 address becomes the IPv4 address that it is, so that an allow-list cannot be passed by
    /// writing it otherwise.
    private init(high: UInt64, low: UInt64, isIPv6: Bool, port: UInt16, scope: UInt32) {
        let isMapped = isIPv6 && high == 0 && low >> 32 == 0xFFFF
        self.high = high
        self.low = isMapped ? low & 0xFFFF_FFFF : low
        self.isIPv6 = isIPv6 && !isMapped
        self.port = port
        self.scope = scope
    }

    /// Nil unless `host` is a numeric address (`127.0.0.1`, `::1`, `[::1]`, with or without a scope).
    package init?(_ host: String, port: Int) {
        guard let port = UInt16(exactly: port) else { return nil }
        var text = Substring(host)
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard !text.isEmpty, getaddrinfo(String(text), nil, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        guard let address = found?.pointee.ai_addr, let parsed = SocketAddress(address, port: port) else { return nil }
        self = parsed
    }

    /// Nil for a family that is neither IPv4 nor IPv6. `port`: in place of the one in `address`.
    package init?(_ address: UnsafePointer<sockaddr>, port: UInt16? = nil) {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let own = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee }
            self.init(
                high: 0, low: UInt64(UInt32(bigEndian: own.sin_addr.s_addr)), isIPv6: false,
                port: port ?? UInt16(bigEndian: own.sin_port), scope: 0)
        case AF_INET6:
            let own = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee }
            let words = withUnsafeBytes(of: own.sin6_addr) { bytes in
                (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            self.init(
                high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1), isIPv6: true,
                port: port ?? UInt16(bigEndian: own.sin6_port), scope: own.sin6_scope_id)
        default: return nil
        }
    }

    var family: Int32 { self.isIPv6 ? AF_INET6 : AF_INET }

    package func with(port: UInt16) -> SocketAddress {
        SocketAddress(high: self.high, low: self.low, isIPv6: self.isIPv6, port: port, scope: self.scope)
    }

    /// Calls `body` with the address as the kernel wants it.
    package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        if self.isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = self.port.bigEndian
            address.sin6_scope_id = self.scope
            withUnsafeMutableBytes(of: &address.sin6_addr) { bytes in
                bytes.storeBytes(of: self.high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: self.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = self.port.bigEndian
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: self.low).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Reads an address by a call that fills one, such as `getsockname`; nil when the call fails.
    static func filled(by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32)
        -> SocketAddress?
    {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard call(address, &length) >= 0 else { return nil }
                return SocketAddress(address)
            }
        }
    }

    /// The local address of a socket; nil when it has none.
    package static func local(of descriptor: Int32) -> SocketAddress? { .filled { getsockname(descriptor, $0, $1) } }

    /// The address alone, without brackets.
    package var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = self.bytes.withUnsafeBytes { inet_ntop(self.family, $0.baseAddress, &text, socklen_t(text.count)) }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `127.0.0.1:8085` or `[::1]:8085`.
    package var description: String { self.isIPv6 ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }
}
