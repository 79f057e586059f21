import MediaDialects
import Networking
import Telephony

/// A media module's WebSocket. It lives, without anybody holding it, until it has ended.
final class WebSocketPhoneLine: PhoneLine {
    private let dialect: PhoneModule
    private let target: PhoneTarget
    private let loop: EventLoop
    private var client: WebSocketClient?
    private var socket: WebSocket?

    init(_ dialect: PhoneModule, _ target: PhoneTarget, on loop: EventLoop) {
        self.dialect = dialect
        self.target = target
        self.loop = loop
    }

    func start(_ listener: any PhoneLineListener) {
        let dialect = self.dialect
        let headers = self.target.headers
        self.client = WebSocketClient.connect(
            url: self.target.url, headers: headers, subprotocols: dialect.subprotocol.map { [$0] } ?? [],
            tls: self.target.tls, options: Self.options(dialect), timeout: self.target.timeout,
            request: { url, key in
                PhoneHandshake.request(
                    dialect,
                    to: PhoneHandshake.Target(
                        host: url.host, port: url.port, path: url.target, isSecure: url.isSecure),
                    key: key, headers: headers)
            },
            on: self.loop,
            finished: { [self] result in
                self.client = nil
                switch result {
                case .success(let socket): self.opened(socket, listener)
                case .failure(.refused(let status)): listener.lineEnded(.refused(status: status))
                case .failure(let error): listener.lineEnded(.unreachable(error.slug))
                }
            })
    }

    private static func options(_ dialect: PhoneModule) -> WebSocketOptions {
        var options = WebSocketOptions()
        // A text of 2.5 MB is fine with the modules (freeswitch.md §3.4).
        options.maximumMessageSize = 8 * 1024 * 1024
        // The module waits for the gateway's end of TCP for a second.
        options.closeTimeout = .seconds(1)
        if dialect.isFork {
            // What `PhoneHandshake.deflateOffer` says.
            var deflate = DeflateOptions()
            deflate.sendsWithoutContext = true
            deflate.asksForNoContext = true
            deflate.windowBits = 9
            options.deflate = deflate
        }
        return options
    }

    private func opened(_ socket: WebSocket, _ listener: any PhoneLineListener) {
        self.socket = socket
        socket.onMessage = { kind, bytes in listener.lineBrought(kind == .text ? .text : .binary, bytes) }
        socket.onClose = { [self] end in
            self.socket = nil
            switch end {
            case .closed(let code, _): listener.lineEnded(.closedByGateway(code: code))
            case .violation: listener.lineEnded(.violation)
            case .lost: listener.lineEnded(.lost)
            case .unresponsive: listener.lineEnded(.closeUnanswered)
            }
        }
        listener.lineOpened()
    }

    func send(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
        switch kind {
        case .text: self.socket?.send(text: bytes)
        case .binary: self.socket?.send(binary: bytes)
        }
    }

    func hangUp(code: UInt16) {
        self.client?.cancel()
        self.socket?.close(code: code, reason: "Normal closure")
    }
}
