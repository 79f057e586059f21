import Telephony

/// Why no WebSocket came about.
package enum WebSocketConnectError: Error, Sendable, Equatable {
    /// The URL is not a usable `ws:` or `wss:` URL, or a header of ours is not one.
    case badRequest
    case dns
    /// The host has addresses, and none that may be connected to.
    case forbidden
    case connect
    case tls(TLSFailure)
    case timeout
    /// The server answered with this status in place of 101.
    case refused(status: Int)
    /// The answer is not a WebSocket server's.
    case protocolError
    case cancelled

    /// A stable name for logs, metrics and `ChannelEnd.failed`.
    package var slug: String {
        switch self {
        case .badRequest, .protocolError: "protocol"
        case .dns: "dns"
        case .forbidden: "forbidden-address"
        case .connect: "connect"
        case .tls: "tls"
        case .timeout: "timeout"
        case .refused: "refused"
        case .cancelled: "cancelled"
        }
    }
}

/// One attempt to open a WebSocket as a client. Confined to a loop; lives until it has answered.
package final class WebSocketClient {
    private let loop: EventLoop
    private let url: WebSocketURL
    private let headers: [(name: String, value: String)]
    private let subprotocols: [String]
    private let options: WebSocketOptions
    private let request: ((WebSocketURL, String) -> String)?
    private var key = ""
    private var connector: Connector?
    private var connection: Connection?
    private var deadline: TimerID?
    private var answer: [UInt8] = []
    private var finished: ((Result<WebSocket, WebSocketConnectError>) -> Void)?

    private static let headLimit = 16 * 1024

    /// Connects, secures (`wss:`; `tls` nil: the system's certificate authorities) and upgrades, all within `timeout`.
    /// `finished` is called exactly once, later, on the loop; set the socket's handlers in it.
    /// `headers` go out as they are, after ours. `request` writes the whole request (of this URL and key) in their
    /// place, for peers that imitate others' handshakes: it has to ask for what `subprotocols` and `options.deflate` say.
    /// `accepts`: which of the host's addresses may be connected to; nil: all.
    @discardableResult
    package static func connect(
        url: String, headers: [(name: String, value: String)] = [], subprotocols: [String] = [],
        tls: TLSContext? = nil, options: WebSocketOptions = WebSocketOptions(), timeout: Duration = .seconds(10),
        accepts: (@Sendable (SocketAddress) -> Bool)? = nil,
        request: ((WebSocketURL, _ key: String) -> String)? = nil, on loop: EventLoop,
        finished: @escaping (Result<WebSocket, WebSocketConnectError>) -> Void
    ) -> WebSocketClient? {
        loop.preconditionInLoop()
        let areSafe = headers.allSatisfy { field in
            !field.name.isEmpty && field.name.utf8.allSatisfy(isTokenCharacter) && isFieldValue(field.value)
        }
        var context = tls
        guard let url = WebSocketURL(url), areSafe, subprotocols.allSatisfy({ $0.utf8.allSatisfy(isTokenCharacter) })
        else {
            let box = LoopBound(finished, on: loop)
            loop.execute { box.value(.failure(.badRequest)) }
            return nil
        }
        if url.isSecure, context == nil {
            guard let system = TLSContext.system else {
                let box = LoopBound(finished, on: loop)
                loop.execute { box.value(.failure(.tls(.untrusted))) }
                return nil
            }
            context = system
        }
        return WebSocketClient(
            url, headers, subprotocols, url.isSecure ? context : nil, options, timeout, accepts, request, loop, finished
        )
    }

    private init(
        _ url: WebSocketURL, _ headers: [(name: String, value: String)], _ subprotocols: [String],
        _ tls: TLSContext?, _ options: WebSocketOptions, _ timeout: Duration,
        _ accepts: (@Sendable (SocketAddress) -> Bool)?, _ request: ((WebSocketURL, String) -> String)?,
        _ loop: EventLoop,
        _ finished: @escaping (Result<WebSocket, WebSocketConnectError>) -> Void
    ) {
        self.loop = loop
        self.url = url
        self.headers = headers
        self.subprotocols = subprotocols
        self.options = options
        self.request = request
        self.finished = finished
        self.deadline = loop.schedule(after: timeout) { self.finish(.failure(.timeout)) }
        self.connector = Connector(
            host: url.host, port: url.port, tls: tls, timeout: timeout, accepts: accepts, on: loop
        ) { result in
            switch result {
            case .success(let connection): self.connected(connection)
            case .failure(.forbidden): self.finish(.failure(.forbidden))
            case .failure(.dns): self.finish(.failure(.dns))
            case .failure(.connect): self.finish(.failure(.connect))
            case .failure(.tls(let failure)): self.finish(.failure(.tls(failure)))
            case .failure(.timeout): self.finish(.failure(.timeout))
            case .failure(.cancelled): self.finish(.failure(.cancelled))
            }
        }
    }

    /// Gives up; `finished` hears `.cancelled`, unless it has heard already.
    package func cancel() { self.finish(.failure(.cancelled)) }

    private func connected(_ connection: Connection) {
        self.connector = nil
        guard self.finished != nil else { return connection.abort() }
        self.connection = connection
        guard let nonce = WebSocketHandshake.random(16) else { return self.finish(.failure(.connect)) }
        self.key = WebSocketHandshake.base64(nonce)
        connection.onBytes = { self.received($0) }
        connection.onEnd = { _ in self.finish(.failure(.connect)) }
        if let request = self.request {
            connection.write(request(self.url, self.key))
            return
        }
        var request = "GET \(self.url.target) HTTP/1.1\r\nHost: \(self.url.hostField)\r\n"
        request += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        request += "Sec-WebSocket-Key: \(self.key)\r\n"
        if !self.subprotocols.isEmpty {
            request += "Sec-WebSocket-Protocol: \(self.subprotocols.joined(separator: ", "))\r\n"
        }
        if let deflate = self.options.deflate {
            request += "Sec-WebSocket-Extensions: \(WebSocketHandshake.offer(deflate))\r\n"
        }
        for field in self.headers { request += "\(field.name): \(field.value)\r\n" }
        connection.write(request + "\r\n")
    }

    private func received(_ bytes: UnsafeMutableRawBufferPointer) {
        let known = self.answer.count
        self.answer.append(contentsOf: bytes)
        guard let end = HTTPHead.end(of: self.answer, from: known) else {
            if self.answer.count > WebSocketClient.headLimit { self.finish(.failure(.protocolError)) }
            return
        }
        guard end <= WebSocketClient.headLimit,
            let head = self.answer.withUnsafeBytes({ bytes in
                try? HTTPHead(.response, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
            })
        else { return self.finish(.failure(.protocolError)) }
        guard head.status == 101 else {
            return self.finish(.failure(.refused(status: head.status)))
        }
        let subprotocol = head.headers["Sec-WebSocket-Protocol"]
        let answers = WebSocketHandshake.extensions(in: head.headers.all("Sec-WebSocket-Extensions"))
        guard head.headers.hasToken("websocket", in: "Upgrade"), head.headers.hasToken("upgrade", in: "Connection"),
            head.headers["Sec-WebSocket-Accept"] == WebSocketHandshake.accept(for: self.key),
            subprotocol == nil || self.subprotocols.contains(subprotocol ?? ""),
            let agreement = WebSocketHandshake.readDeflate(answers, self.options.deflate),
            let seed = WebSocketHandshake.seed(), let connection = self.connection
        else { return self.finish(.failure(.protocolError)) }
        self.connection = nil
        let socket = WebSocket(
            connection, isServer: false, subprotocol: subprotocol, options: self.options, deflate: agreement,
            carried: Array(self.answer[end...]), seed: seed)
        self.finish(.success(socket))
    }

    private func finish(_ result: Result<WebSocket, WebSocketConnectError>) {
        guard let finished = self.finished else { return }
        self.finished = nil
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
        self.connector?.cancel()
        self.connector = nil
        self.connection?.abort()
        self.connection = nil
        self.answer = []
        finished(result)
    }
}

/// Whether `text` may stand as a field's value: no control characters (they could end the field).
func isFieldValue(_ text: String) -> Bool {
    text.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
}

extension TLSContext {
    /// Verifying clients with the system's certificate authorities; nil where they cannot be read.
    package static let system: TLSContext? = try? TLSContext.client()
}
