import CHTTPParser
import Glibc
import Telephony

/// One HTTP/1.1 connection of the server: requests one at a time, in order. Confined to its loop.
final class HTTPServerConnection {
    private enum State {
        /// Waiting for a request, or in its head. Leaves to `body` or `answering` with the head's end, to `over` by a
        /// refusal, a deadline or the peer.
        case head
        /// In the body. Leaves to `answering` with its end.
        case body(HTTPHead)
        /// The handler has the request. Nothing is read; what came early waits in `input`. Leaves to `head` or `over`
        /// with the answer's end, to `upgraded` by a WebSocket.
        case answering
        /// A WebSocket owns the connection.
        case upgraded
        case over
    }

    private let connection: Connection
    private let limits: HTTPServerLimits
    private let handler: (HTTPRequest, HTTPResponder) -> Void
    private let ended: (HTTPServerConnection) -> Void
    private var state = State.head
    private var input: [UInt8] = []
    private var scanned = 0
    private var body: [UInt8] = []
    private var chunks = ChunkedBody()
    private var timer: TimerID?
    private var hasBegunRequest = false
    private weak var responder: HTTPResponder?
    private var keepsAlive = false
    private var isHead = false
    private var isCurrentVersion = true
    /// Bytes that are still due of a streamed body whose length was told.
    private var due: Int?

    init(
        _ connection: Connection, limits: HTTPServerLimits, handler: @escaping (HTTPRequest, HTTPResponder) -> Void,
        ended: @escaping (HTTPServerConnection) -> Void
    ) {
        self.connection = connection
        self.limits = limits
        self.handler = handler
        self.ended = ended
    }

    func begin(tls: TLSContext?) {
        self.connection.highWaterMark = self.limits.highWaterMark
        self.connection.allowsHalfClose = true
        self.connection.onBytes = { [self] bytes in self.received(UnsafeRawBufferPointer(bytes)) }
        self.connection.onPeerFinished = { [self] in self.peerFinished() }
        self.connection.onEnd = { [self] _ in self.finish() }
        self.connection.onReady = { [self] in self.arm(self.limits.idleTime) }
        self.connection.begin(tls: tls, timeout: self.limits.headTime)
    }

    // MARK: Input

    private func received(_ bytes: UnsafeRawBufferPointer) {
        self.input.append(contentsOf: bytes)
        self.process()
    }

    private func process() {
        while true {
            switch self.state {
            case .head: guard self.readHead() else { return }
            case .body(let head): guard self.readBody(head) else { return }
            case .answering, .upgraded, .over: return
            }
        }
    }

    /// False: more bytes are needed, or it is over.
    private func readHead() -> Bool {
        // RFC 9112 §2.2: an empty line before the request line is forgiven.
        if !self.hasBegunRequest, self.input.starts(with: [0x0D, 0x0A]) { self.input.removeFirst(2) }
        guard !self.input.isEmpty else {
            self.input = []
            return false
        }
        if !self.hasBegunRequest {
            self.hasBegunRequest = true
            self.scanned = 0
            self.arm(self.limits.headTime)
        }
        guard isTokenCharacter(self.input[0]) || self.input[0] == 0x0D else {
            self.refuse(400)
            return false
        }
        guard let end = HTTPHead.end(of: self.input, from: self.scanned) else {
            self.scanned = self.input.count
            if self.input.count > self.limits.head { self.refuse(self.input.contains(0x0A) ? 431 : 414) }
            return false
        }
        guard end <= self.limits.head else {
            self.refuse(431)
            return false
        }
        let result = self.input.withUnsafeBytes { bytes in
            Result { () throws(HTTPHeadError) in
                try HTTPHead(.request, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
            }
        }
        self.input.removeFirst(end)
        switch result {
        case .failure(let error):
            self.refuse(error.status)
            return false
        case .success(let head):
            return self.accept(head)
        }
    }

    private func accept(_ head: HTTPHead) -> Bool {
        self.keepsAlive = head.keepsAlive
        self.isHead = head.method == "HEAD"
        self.isCurrentVersion = head.minorVersion == 1
        self.chunks = ChunkedBody()
        self.body = []
        if case .length(let length) = head.framing, length > self.limits.body {
            self.refuse(413)
            return false
        }
        if let expectation = head.headers["Expect"] {
            guard equalIgnoringCase(expectation, "100-continue") else {
                self.refuse(417)
                return false
            }
            if head.framing != .none, self.isCurrentVersion { self.connection.write("HTTP/1.1 100 Continue\r\n\r\n") }
        }
        if head.framing == .none {
            self.dispatch(head)
        } else {
            self.state = .body(head)
            self.arm(self.limits.bodyTime)
        }
        return true
    }

    private func readBody(_ head: HTTPHead) -> Bool {
        switch head.framing {
        case .none: break
        case .length(let length):
            let count = min(length - self.body.count, self.input.count)
            self.body.append(contentsOf: self.input[..<count])
            self.input.removeFirst(count)
            guard self.body.count == length else { return false }
        case .chunked:
            do throws(ChunkedBody.Failure) {
                let used = try self.chunks.read(self.input[...], into: &self.body, limit: self.limits.body)
                self.input.removeFirst(used)
            } catch {
                self.refuse(error == .tooLarge ? 413 : 400)
                return false
            }
            guard self.chunks.isDone else { return false }
        }
        self.dispatch(head)
        return true
    }

    private func dispatch(_ head: HTTPHead) {
        self.state = .answering
        self.disarm()
        self.connection.pauseReading()
        let request = HTTPRequest(
            method: head.method, target: head.target, headers: head.headers, body: self.body,
            peer: self.connection.peer, isSecure: self.connection.isSecure, isCurrentVersion: self.isCurrentVersion)
        self.body = []
        let responder = HTTPResponder(self, request: request, loop: self.connection.loop)
        self.responder = responder
        self.handler(request, responder)
    }

    private func peerFinished() {
        switch self.state {
        case .head, .body: self.close()
        // It has asked and said goodbye: it still wants the answer.
        case .answering: self.keepsAlive = false
        case .upgraded, .over: break
        }
    }

    // MARK: Output

    var isAnswering: Bool { if case .answering = self.state { true } else { false } }
    var bufferedBytes: Int { self.connection.bufferedBytes }

    /// Writes the head of an answer. `length`: the body's; nil: chunked, or to the connection's end for HTTP/1.0.
    func writeHead(_ status: Int, _ headers: HTTPHeaders, length: Int?) {
        var text = "HTTP/1.1 \(status) \(HTTPServerConnection.reason(status))\r\n"
        text += "Date: \(HTTPServerConnection.date())\r\n"
        for field in headers.fields {
            // A line end in a value would be a field of the peer's choice.
            guard isFieldValue(field.value), !field.name.isEmpty, field.name.utf8.allSatisfy(isTokenCharacter),
                !["content-length", "transfer-encoding", "connection", "date"].contains(field.name.lowercased())
            else { continue }
            text += "\(field.name): \(field.value)\r\n"
        }
        if let length {
            if status >= 200, status != 204, status != 304 { text += "Content-Length: \(length)\r\n" }
        } else if self.isCurrentVersion {
            text += "Transfer-Encoding: chunked\r\n"
        } else {
            self.keepsAlive = false
        }
        if !self.keepsAlive {
            text += "Connection: close\r\n"
        } else if !self.isCurrentVersion {
            text += "Connection: keep-alive\r\n"
        }
        self.connection.write(text + "\r\n")
    }

    func writeWhole(_ response: HTTPResponse) {
        guard self.isAnswering else { return }
        self.writeHead(response.status, response.headers, length: response.body.count)
        if !self.isHead, response.status >= 200, response.status != 204, response.status != 304 {
            response.body.withUnsafeBytes { _ = self.connection.write($0) }
        }
        self.answered()
    }

    /// Begins a streamed body. Nil `length`: as long as it comes to be.
    func beginPieces(_ status: Int, _ headers: HTTPHeaders, length: Int?) {
        self.due = length
        self.writeHead(status, headers, length: length)
    }

    /// One piece of a streamed body. False: the peer is gone or too slow, or more came than was told.
    func writePiece(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard self.isAnswering else { return false }
        guard !self.isHead, !bytes.isEmpty else { return true }
        if let due = self.due {
            guard bytes.count <= due else { return false }
            self.due = due - bytes.count
            return self.connection.write(bytes)
        }
        guard self.isCurrentVersion else { return self.connection.write(bytes) }
        return self.connection.write("\(String(bytes.count, radix: 16))\r\n") && self.connection.write(bytes)
            && self.connection.write("\r\n")
    }

    func endPieces() {
        guard self.isAnswering else { return }
        if let due = self.due {
            self.due = nil
            // Less than was told: the peer must not wait for the rest.
            guard due == 0 || self.isHead else { return self.abandon() }
        } else if !self.isHead, self.isCurrentVersion {
            self.connection.write("0\r\n\r\n")
        }
        self.answered()
    }

    private func answered() {
        self.responder = nil
        guard self.keepsAlive else { return self.close() }
        self.state = .head
        self.hasBegunRequest = false
        self.arm(self.limits.idleTime)
        // In the next turn: a thousand pipelined requests must not nest, nor keep the loop from its other work.
        self.connection.later { [self] connection in
            connection.resumeReading()
            self.process()
        }
    }

    /// A refusal of what is not, or not yet, a request. Nothing after it can be trusted to be where a request begins.
    private func refuse(_ status: Int) {
        self.keepsAlive = false
        self.writeHead(status, [:], length: 0)
        self.close()
    }

    /// Ends an answer that cannot be finished: the peer must not take it for whole.
    func abandon() {
        guard self.isAnswering else { return }
        self.connection.abort()
        self.finish()
    }

    // MARK: WebSocket

    /// See `HTTPResponder.upgradeToWebSocket`.
    func upgrade(
        _ request: HTTPRequest, subprotocol: String?, extraHeaders: HTTPHeaders, options: WebSocketOptions
    ) -> WebSocket? {
        guard self.isAnswering else { return nil }
        guard request.isWebSocketUpgrade, request.isCurrentVersion, let key = request.headers["Sec-WebSocket-Key"],
            WebSocketHandshake.isValidKey(key), request.headers.all("Sec-WebSocket-Key").count == 1,
            let seed = WebSocketHandshake.seed()
        else {
            self.writeWhole(HTTPResponse(status: 400))
            return nil
        }
        guard request.headers["Sec-WebSocket-Version"] == "13" else {
            // RFC 6455 §4.4.
            self.writeWhole(HTTPResponse(status: 426, headers: ["Sec-WebSocket-Version": "13"]))
            return nil
        }
        let offers = WebSocketHandshake.extensions(in: request.headers.all("Sec-WebSocket-Extensions"))
        let deflate = options.deflate.flatMap { WebSocketHandshake.acceptDeflate(offers, $0) }
        var text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        text += "Sec-WebSocket-Accept: \(WebSocketHandshake.accept(for: key))\r\n"
        if let subprotocol, request.subprotocols.contains(subprotocol) {
            text += "Sec-WebSocket-Protocol: \(subprotocol)\r\n"
        }
        if let deflate { text += "Sec-WebSocket-Extensions: \(deflate.answer)\r\n" }
        for field in extraHeaders.fields
        where isFieldValue(field.value) && !field.name.isEmpty && field.name.utf8.allSatisfy(isTokenCharacter) {
            text += "\(field.name): \(field.value)\r\n"
        }
        self.connection.write(text + "\r\n")
        let carried = self.input
        self.state = .upgraded
        self.input = []
        self.responder = nil
        let socket = WebSocket(
            self.connection, isServer: true, subprotocol: subprotocol, options: options, deflate: deflate?.agreement,
            carried: carried, seed: seed)
        self.ended(self)
        return socket
    }

    // MARK: Ending

    func close() {
        switch self.state {
        case .upgraded, .over: return
        case .head, .body, .answering: break
        }
        self.connection.finish()
        self.finish()
    }

    private func finish() {
        switch self.state {
        case .upgraded, .over: return
        case .head, .body, .answering: break
        }
        let responder = self.responder
        self.state = .over
        self.disarm()
        self.input = []
        self.body = []
        self.responder = nil
        self.ended(self)
        responder?.connectionEnded()
    }

    private func arm(_ time: Duration) {
        self.disarm()
        self.timer = self.connection.loop.schedule(after: time) { [self] in
            self.timer = nil
            // A client that has begun a request is told; one that is merely idle is not (RFC 9110 §15.5.9).
            if self.hasBegunRequest { self.refuse(408) } else { self.close() }
        }
    }

    private func disarm() {
        if let timer = self.timer { self.connection.loop.cancel(timer) }
        self.timer = nil
    }

    private static func reason(_ status: Int) -> String {
        guard let status = UInt32(exactly: status), let text = http_status_str(http_status(status)) else { return "" }
        let reason = String(cString: text)
        return reason == "<unknown>" ? "" : reason
    }

    /// RFC 9110 §5.6.7.
    private static func date() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let day = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)])"
        return "\(day) \(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
