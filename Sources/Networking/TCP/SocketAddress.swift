import Glibc

/// An IPv4 or IPv6 address with a port.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16 bytes, network order. An IPv4-mapped IPv6 address is kept as the IPv4 address that it is, so that an
    /// allow-list cannot be passed by writing it otherwise.
    package let bytes: [UInt8]
    package let port: UInt16
    /// The interface of a link-local IPv6 address.
    let scope: UInt32

    package var isIPv6: Bool { self.bytes.count == 16 }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        self.isIPv6
            ? self.bytes.dropLast().allSatisfy { $0 == 0 } && self.bytes[15] == 1 : self.bytes[0] == 127
    }

    init(bytes: [UInt8], port: UInt16, scope: UInt32 = 0) {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        self.bytes = bytes.count == 16 && Array(bytes[..<12]) == mapped ? Array(bytes[12...]) : bytes
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
    init?(_ address: UnsafePointer<sockaddr>, port: UInt16? = nil) {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let (bytes, own) = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                (
                    withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) },
                    UInt16(bigEndian: pointer.pointee.sin_port)
                )
            }
            self.init(bytes: bytes, port: port ?? own)
        case AF_INET6:
            let (bytes, own, scope) = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                (
                    withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) },
                    UInt16(bigEndian: pointer.pointee.sin6_port), pointer.pointee.sin6_scope_id
                )
            }
            self.init(bytes: bytes, port: port ?? own, scope: scope)
        default: return nil
        }
    }

    var family: Int32 { self.isIPv6 ? AF_INET6 : AF_INET }

    package func with(port: UInt16) -> SocketAddress {
        SocketAddress(bytes: self.bytes, port: port, scope: self.scope)
    }

    /// Calls `body` with the address as the kernel wants it.
    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        if self.isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = self.port.bigEndian
            address.sin6_scope_id = self.scope
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: self.bytes) }
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = self.port.bigEndian
        withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: self.bytes) }
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
    static func local(of descriptor: Int32) -> SocketAddress? { .filled { getsockname(descriptor, $0, $1) } }

    /// The address alone, without brackets.
    package var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = self.bytes.withUnsafeBytes { inet_ntop(self.family, $0.baseAddress, &text, socklen_t(text.count)) }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `127.0.0.1:8085` or `[::1]:8085`.
    package var description: String { self.isIPv6 ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }
}
