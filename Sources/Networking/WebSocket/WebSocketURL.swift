/// A `ws:` or `wss:` URL (RFC 6455 §3), taken apart.
package struct WebSocketURL: Sendable, Equatable {
    package let isSecure: Bool
    /// Without brackets.
    package let host: String
    package let port: UInt16
    /// Path and query, as the request line wants them.
    package let target: String

    /// Nil for another scheme, user information, a fragment, an empty host, a bad port, or any character that a request
    /// line must not have.
    package init?(_ url: String) {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !url.utf8.contains(UInt8(ascii: "#")),
            !url.utf8.contains(UInt8(ascii: "\\"))
        else { return nil }
        let rest: Substring
        if url.lowercased().hasPrefix("wss://") {
            self.isSecure = true
            rest = url.dropFirst(6)
        } else if url.lowercased().hasPrefix("ws://") {
            self.isSecure = false
            rest = url.dropFirst(5)
        } else {
            return nil
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        var authority = rest[..<end]
        let path = rest[end...]
        guard !authority.contains("@") else { return nil }
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            let after = authority[authority.index(after: bracket)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            port = after.isEmpty ? nil : after.dropFirst()
            authority = authority[authority.index(after: authority.startIndex)..<bracket]
            guard SocketAddress(String(authority), port: 0)?.isIPv6 == true else { return nil }
        } else if let colon = authority.firstIndex(of: ":") {
            port = authority[authority.index(after: colon)...]
            authority = authority[..<colon]
        }
        guard !authority.isEmpty, authority.utf8.count <= 255 else { return nil }
        self.host = String(authority)
        if let port, !port.isEmpty {
            guard port.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = UInt16(port), number > 0 else {
                return nil
            }
            self.port = number
        } else {
            self.port = self.isSecure ? 443 : 80
        }
        self.target = path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// The `Host` field's value.
    var hostField: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
    }
}
