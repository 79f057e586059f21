/// One request, whole.
package struct HTTPRequest: Sendable {
    package var method: String
    /// As in the request line: path and query, percent-encoded.
    package var target: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// Who is at the other end of the TCP connection, whatever the headers claim.
    package var peer: SocketAddress
    package var isSecure: Bool
    /// HTTP/1.1 (true) or 1.0.
    var isCurrentVersion: Bool

    /// The target up to its query, still percent-encoded.
    package var path: Substring { self.target.prefix { $0 != "?" } }

    /// The target's query, without the question mark.
    package var query: Substring? {
        self.target.firstIndex(of: "?").map { self.target[self.target.index(after: $0)...] }
    }

    /// The decoded path's elements; nil when an element is not valid UTF-8, or hides a slash or a control character.
    package var pathComponents: [String]? {
        var components: [String] = []
        for part in self.path.split(separator: "/") {
            guard let decoded = percentDecoded(part, plusIsSpace: false),
                !decoded.utf8.contains(where: { $0 < 0x20 || $0 == 0x2F || $0 == 0x7F }), decoded != "..",
                decoded != "."
            else { return nil }
            components.append(decoded)
        }
        return components
    }

    /// The first value of `name` in the query, decoded; nil when absent or badly encoded.
    package func queryValue(_ name: String) -> String? {
        for pair in (self.query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if percentDecoded(parts[0], plusIsSpace: true) == name {
                return parts.count > 1 ? percentDecoded(parts[1], plusIsSpace: true) : ""
            }
        }
        return nil
    }

    /// Whether the client asks for a WebSocket (RFC 6455 §4.2.1, in any case of letters).
    package var isWebSocketUpgrade: Bool {
        self.method == "GET" && self.headers.hasToken("websocket", in: "Upgrade")
            && self.headers.hasToken("upgrade", in: "Connection")
    }

    /// What the client offers in `Sec-WebSocket-Protocol`, best first.
    package var subprotocols: [String] {
        self.headers.all("Sec-WebSocket-Protocol").flatMap { field in
            field.split(separator: ",").map { String(trimmed($0)) }
        }
    }

    /// A proxy has had its hands on it: `peer` is not the client (design §8a).
    package var isForwarded: Bool {
        self.headers.contains("Forwarded") || self.headers.contains("X-Forwarded-For")
            || self.headers.contains("X-Forwarded-Host") || self.headers.contains("X-Real-IP")
            || self.headers.contains("Via")
    }
}

/// Decodes `%xx`; nil for a bad escape or text that is not UTF-8.
package func percentDecoded(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
    var bytes: [UInt8] = []
    var digits: (high: UInt8?, pending: Bool) = (nil, false)
    for byte in text.utf8 {
        if digits.pending {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            if let high = digits.high {
                bytes.append(high << 4 | UInt8(digit))
                digits = (nil, false)
            } else {
                digits.high = UInt8(digit)
            }
        } else if byte == UInt8(ascii: "%") {
            digits = (nil, true)
        } else {
            bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
        }
    }
    guard !digits.pending else { return nil }
    return String(validating: bytes, as: UTF8.self)
}

/// One answer, whole.
package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package init(status: Int, text: String, type: String = "text/plain; charset=utf-8") {
        self.init(status: status, headers: ["Content-Type": type], body: Array(text.utf8))
    }
}

/// Limits of an HTTP server. Every one is there against a peer that would take what it can get.
package struct HTTPServerLimits: Sendable {
    /// Bytes of the request line and all fields.
    package var head = 16 * 1024
    /// Bytes of a body.
    package var body = 1024 * 1024
    /// From the first byte of a request to the end of its head.
    package var headTime: Duration = .seconds(10)
    /// From the end of the head to the end of the body.
    package var bodyTime: Duration = .seconds(30)
    /// Between requests, and before the first.
    package var idleTime: Duration = .seconds(60)
    /// Connections at once, per loop. Beyond: closed at once.
    package var connections = 20_000
    /// Bytes that may wait for a slow reader.
    package var highWaterMark = 16 * 1024 * 1024

    package init() {}
}
