/// Where a stage's service is: a base URL of the configuration, checked, with paths and queries put behind it.
package struct StageAddress: Sendable, Equatable {
    /// `scheme://host[:port]` without the scheme, and the base's path without its last slash.
    private let authority: String
    private let path: String
    private let isSecure: Bool

    /// Throws what is wrong with `base`. Both `http(s)` and `ws(s)` are understood: the stage knows which it needs.
    package init(_ base: String) throws(SpeechPipelineError) {
        let schemes: [(given: String, isSecure: Bool)] = [
            ("https://", true), ("wss://", true), ("http://", false), ("ws://", false),
        ]
        let lowered = base.lowercased()
        guard let scheme = schemes.first(where: { lowered.hasPrefix($0.given) }),
            base.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !base.contains("?"), !base.contains("#")
        else { throw .malformedBaseURL }
        let rest = base.dropFirst(scheme.given.count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        guard !rest[..<slash].isEmpty, !rest.hasPrefix(":") else { throw .malformedBaseURL }
        guard !rest[..<slash].contains("@") else { throw .credentialsInBaseURL }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        self.authority = rest[..<slash].lowercased()
        self.path = String(path)
        self.isSecure = scheme.isSecure
    }

    /// Whether the service is on this machine, where no key is needed.
    package var isLoopback: Bool {
        ["127.", "localhost", "[::1]"].contains { self.authority.hasPrefix($0) }
    }

    /// The URL of `suffix` for an HTTP request. A base that already ends with it is taken as it is.
    package func http(_ suffix: String, _ query: [(String, String)] = []) -> String {
        self.url(self.isSecure ? "https://" : "http://", suffix, query)
    }

    /// The URL of `suffix` for a WebSocket.
    package func socket(_ suffix: String, _ query: [(String, String)] = []) -> String {
        self.url(self.isSecure ? "wss://" : "ws://", suffix, query)
    }

    private func url(_ scheme: String, _ suffix: String, _ query: [(String, String)]) -> String {
        var path = self.path
        // `/v1` is in some people's base URL and not in others'.
        if let version = suffix.split(separator: "/").first.map({ "/" + $0 }), path.hasSuffix(version) {
            path = String(path.dropLast(version.count))
        }
        let text = query.map { Self.encoded($0.0) + "=" + Self.encoded($0.1) }.joined(separator: "&")
        return scheme + self.authority + path + suffix + (text.isEmpty ? "" : "?" + text)
    }

    /// RFC 3986 §2.3: everything but the unreserved characters is escaped.
    static func encoded(_ text: String) -> String {
        let digits: [Character] = Array("0123456789ABCDEF")
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                result.append(Character(Unicode.Scalar(byte)))
            default:
                result.append("%")
                result.append(digits[Int(byte >> 4)])
                result.append(digits[Int(byte & 15)])
            }
        }
        return result
    }
}
