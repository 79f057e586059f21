import Telephony

/// Which addresses are the internet's, and which are somebody's own network: what a stranger names must not lead this
/// process to its neighbours, nor to the metadata of a cloud (169.254.169.254).
package enum PublicHost {
    /// Whether the host of an `http(s):` or `ws(s):` URL is by its text no public one: an address that is not, in
    /// whatever notation the resolver takes (`127.1`, `2130706433`), or a name that only this machine or this network
    /// knows. A name may still lead to such an address: who connects looks at that again (`SocketAddress.isPublic`).
    package static func isPrivate(inURL url: String) -> Bool {
        guard let host = Self.host(inURL: url) else { return true }
        if let address = SocketAddress(host, port: 0) { return !address.isPublic }
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        // RFC 6761 §6.3, RFC 6762 §3, RFC 8375, ICANN's .internal; and names without a dot, of the search list.
        return name == "localhost" || !name.contains(".")
            || [".localhost", ".local", ".internal", ".home.arpa"].contains { name.hasSuffix($0) }
    }

    /// The host, in lower case and without brackets; nil: there is none.
    package static func host(inURL url: String) -> String? { self.parts(url)?.host }

    /// Host and port, as one text to compare: `api.openai.com:443`.
    package static func authority(inURL url: String) -> String? {
        self.parts(url).map { "\($0.host):\($0.port)" }
    }

    private static func parts(_ url: String) -> (host: String, port: String)? {
        guard let start = url.firstRange(of: "://") else { return nil }
        let isSecure = ["https", "wss"].contains(url[..<start.lowerBound].lowercased())
        var authority = url[start.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != "\\" }
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        let host: Substring
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[authority.index(after: authority.startIndex)..<end]
            authority = authority[authority.index(after: end)...]
        } else {
            host = authority.prefix { $0 != ":" }
            authority = authority[host.endIndex...]
        }
        guard !host.isEmpty else { return nil }
        let port = authority.dropFirst()
        return (host.lowercased(), port.isEmpty ? (isSecure ? "443" : "80") : String(port))
    }
}

extension SocketAddress {
    /// Neither loopback, nor link-local, nor private, nor shared, nor reserved: the tables of RFC 6890 with RFC 6598's
    /// 100.64.0.0/10 and RFC 4193's fc00::/7. What carries an IPv4 address within (RFC 6052, RFC 3056, RFC 4291 §2.5.5)
    /// is what that one is.
    package var isPublic: Bool {
        let bytes = self.bytes
        return bytes.count == 4 ? Self.isPublic(v4: bytes[...]) : Self.isPublic(v6: bytes)
    }

    private static func isPublic(v4 bytes: ArraySlice<UInt8>) -> Bool {
        let (a, b, c) = (bytes[bytes.startIndex], bytes[bytes.startIndex + 1], bytes[bytes.startIndex + 2])
        switch a {
        case 0, 10, 127, 224...255: return false
        case 100: return !(64...127).contains(b)
        case 169: return b != 254
        case 172: return !(16...31).contains(b)
        case 192: return b != 168 && !(b == 0 && (c == 0 || c == 2)) && !(b == 88 && c == 99)
        case 198: return b != 18 && b != 19 && !(b == 51 && c == 100)
        case 203: return !(b == 0 && c == 113)
        default: return true
        }
    }

    private static func isPublic(v6 bytes: [UInt8]) -> Bool {
        // 2000::/3 is all that IANA has given out, and 64:ff9b::/96 leads to IPv4.
        if bytes[..<12] == [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0] { return self.isPublic(v4: bytes[12...]) }
        guard bytes[0] & 0xE0 == 0x20 else { return false }
        if bytes[0] == 0x20, bytes[1] == 0x02 { return self.isPublic(v4: bytes[2..<6]) }
        // Documentation, and 2001::/23 with Teredo: protocol assignments, nobody's servers.
        if bytes[0] == 0x20, bytes[1] == 0x01 {
            return !(bytes[2] == 0x0D && bytes[3] == 0xB8) && bytes[2] > 0x01
        }
        return true
    }
}
