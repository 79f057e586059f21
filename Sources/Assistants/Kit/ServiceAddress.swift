/// The base URL of a provider, taken apart once: `http(s)` or `ws(s)`, a host with an optional port, a path.
///
/// Every back end takes one, so that simulators, proxies, regional and compatible servers work unchanged.
package struct ServiceAddress: Sendable, Equatable {
    /// What is wrong with a base URL. Names no part of it: it may hold a secret.
    package enum Failure: Error, Equatable {
        case malformed
        /// A user name or password in the URL would be logged by every proxy on the way.
        case credentials
    }

    private let isSecure: Bool
    /// Host and port, in lower case.
    private let authority: String
    /// Without its last slash; empty where the base has none.
    package let path: String

    package init(_ base: String) throws(Failure) {
        let schemes: [(text: String, isSecure: Bool)] = [
            ("https://", true), ("wss://", true), ("http://", false), ("ws://", false),
        ]
        let lowered = base.lowercased()
        guard let scheme = schemes.first(where: { lowered.hasPrefix($0.text) }),
            base.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !base.contains("?"), !base.contains("#")
        else { throw .malformed }
        let rest = base.dropFirst(scheme.text.count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        guard !authority.isEmpty, !authority.hasPrefix(":") else { throw .malformed }
        guard !authority.contains("@") else { throw .credentials }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        self.isSecure = scheme.isSecure
        self.authority = authority.lowercased()
        self.path = String(path)
    }

    /// `ws(s)://host[:port]`.
    package var webSocketOrigin: String { (self.isSecure ? "wss://" : "ws://") + self.authority }
    /// `http(s)://host[:port]`.
    package var httpOrigin: String { (self.isSecure ? "https://" : "http://") + self.authority }

    /// Visible ASCII and spaces: a key with a line break from a careless copy is refused, not sent as two headers.
    package static func isHeaderValue(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }
}
