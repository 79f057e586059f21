import Telephony

/// The opening handshake of each module, byte by byte as they send it (captures/ws-*.txt): no space after the colon,
/// lower case, an Origin, a Host without its port.
package enum PhoneHandshake {
    /// Where the gateway is.
    package struct Target: Sendable, Equatable {
        package var host: String
        package var port: UInt16
        /// Path and query.
        package var path: String
        package var isSecure: Bool
        package init(host: String, port: UInt16, path: String, isSecure: Bool = false) {
            self.host = host
            self.port = port
            self.path = path
            self.isSecure = isSecure
        }
    }

    /// netplay's offer, which a gateway may decline.
    package static let deflateOffer =
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits=9"

    /// The whole request. `headers` are those of `STREAM_EXTRA_HEADERS`; `key` is 16 random bytes in base64.
    package static func request(
        _ dialect: PhoneModule, to target: Target, key: String, headers: [(name: String, value: String)] = []
    ) -> String {
        let host: String = target.host.contains(":") ? "[\(target.host)]" : target.host
        let scheme: String = target.isSecure ? "https" : "http"
        var lines: [String] = ["GET \(target.path) HTTP/1.1"]
        switch dialect {
        case .modAudioStream, .binary, .binaryPCMU, .forkPCMU, .forkPCMA, .forkL16:
            lines += ["Host:\(host):\(target.port)", "Upgrade:websocket", "Connection:upgrade"]
            lines += ["Sec-WebSocket-Key:\(key)", "Sec-WebSocket-Version:13"]
            if dialect.isFork { lines.append("Sec-WebSocket-Extensions:\(self.deflateOffer)") }
            lines.append("Origin:\(scheme)://\(host):\(target.port)")
            lines += headers.map { "\($0.name):\($0.value)" }
        case .drachtio, .jambonz:
            lines += ["Pragma: no-cache", "Cache-Control: no-cache", "Host: \(host)", "Origin: \(scheme)://\(host)"]
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: \(key)"]
            if let subprotocol = dialect.subprotocol { lines.append("Sec-WebSocket-Protocol: \(subprotocol)") }
            lines.append("Sec-WebSocket-Version: 13")
            lines += headers.map { "\($0.name): \($0.value)" }
        case .unicast, .rtp: break
        }
        return lines.joined(separator: "\r\n") + "\r\n\r\n"
    }
}
