/// Answers one request: at once or later, whole, in pieces, or by becoming a WebSocket. Confined to its loop; once only.
///
/// Dropping it unanswered answers 500: a forgotten request is our fault, and the client must not wait for ever.
package final class HTTPResponder {
    package let loop: EventLoop
    private let request: HTTPRequest
    private var connection: HTTPServerConnection?
    private var isStreaming = false

    /// The client went away before the answer was complete. Called at most once.
    package var onCancel: (() -> Void)?

    init(_ connection: HTTPServerConnection, request: HTTPRequest, loop: EventLoop) {
        self.connection = connection
        self.request = request
        self.loop = loop
    }

    deinit {
        guard let connection = self.connection else { return }
        let (handedOver, wasStreaming) = (HandedOver(connection), self.isStreaming)
        self.loop.execute {
            if wasStreaming {
                handedOver.value.abandon()
            } else {
                handedOver.value.writeWhole(HTTPResponse(status: 500))
            }
        }
    }

    /// False once it has been answered, or the client is gone.
    package var isPending: Bool { self.connection?.isAnswering ?? false }

    /// Sends the answer, whole. Ignored when the client is gone.
    package func respond(_ response: HTTPResponse) {
        guard !self.isStreaming, let connection = self.take() else { return }
        connection.writeWhole(response)
    }

    /// Begins an answer whose body follows by `write` and `end` (chunked, or of a `length` that is known before:
    /// events, downloads).
    package func beginStreaming(status: Int = 200, headers: HTTPHeaders = [:], length: Int? = nil) {
        guard !self.isStreaming, let connection = self.connection else { return }
        self.isStreaming = true
        connection.beginPieces(status, headers, length: length)
    }

    /// One piece of a streamed body. False: the client is gone, or reads too slowly and is being dropped.
    @discardableResult
    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard self.isStreaming, let connection = self.connection else { return false }
        return connection.writePiece(bytes)
    }

    @discardableResult
    package func write(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { self.write(UnsafeRawBufferPointer($0)) }
    }

    /// Ends a streamed body.
    package func end() {
        guard self.isStreaming else { return }
        self.take()?.endPieces()
    }

    /// Bytes of a streamed body that wait for the client.
    package var bufferedBytes: Int { self.connection?.bufferedBytes ?? 0 }

    /// Accepts the WebSocket that the client asks for. `subprotocol`: one of `request.subprotocols`, or nil. Nil: the
    /// handshake was not one; that is answered already (400, or 426 for another version). Set the socket's handlers in
    /// the same turn.
    package func upgradeToWebSocket(
        subprotocol: String? = nil, extraHeaders: HTTPHeaders = [:], options: WebSocketOptions = WebSocketOptions()
    ) -> WebSocket? {
        guard !self.isStreaming, let connection = self.take() else { return nil }
        return connection.upgrade(
            self.request, subprotocol: subprotocol, extraHeaders: extraHeaders, options: options)
    }

    private func take() -> HTTPServerConnection? {
        defer { self.connection = nil }
        self.onCancel = nil
        return self.connection
    }

    func connectionEnded() {
        self.connection = nil
        let onCancel = self.onCancel
        self.onCancel = nil
        onCancel?()
    }
}
