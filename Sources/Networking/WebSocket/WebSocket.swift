import CLinux
import Telephony

/// One WebSocket (RFC 6455), server's or client's end, after its handshake. Confined to its connection's loop.
///
/// Set `onMessage` and `onClose` in the same turn in which the socket was given: the first bytes are looked at after it.
package final class WebSocket {
    private enum Phase {
        /// Messages both ways. Leaves to `closing` by `close`, to `closed` by the peer's Close, a violation or a loss.
        case open
        /// Our Close is sent; messages of the peer are dropped. Leaves to `closed` by its Close, a loss or the deadline.
        case closing
        /// `onClose` has been called, or is owed to nobody. What TCP still does is the connection's own affair.
        case closed
    }

    /// A message has come, whole. Borrowed.
    package var onMessage: ((WebSocketMessageKind, UnsafeRawBufferPointer) -> Void)?
    /// The WebSocket is over. Exactly once, the last call; not after `abort` or `move`.
    package var onClose: ((WebSocketEnd) -> Void)?
    /// What waited for the peer has all been given to the socket.
    package var onDrained: (() -> Void)?

    /// Agreed in the handshake.
    package let subprotocol: String?
    package let isServer: Bool
    private let connection: Connection
    private let options: WebSocketOptions
    private let deflate: MessageDeflate?
    private var phase = Phase.open
    private var masks: MaskSource

    // The message and the frame that are coming in.
    private var partialHeader: (UInt64, UInt64) = (0, 0)
    private var partialHeaderCount = 0
    private var frame: FrameHeader?
    private var framePosition = 0
    private var messageKind: WebSocketMessageKind?
    private var messageIsCompressed = false
    private var assembly: [UInt8] = []
    private var controlPayload: [UInt8] = []
    private var validator = UTF8Validator()

    /// Whether the owner has had its turn to set the handlers; what comes before is carried.
    private var isStarted = false
    private var isReceiving = false
    private var departure: (loop: EventLoop, arrived: @Sendable (WebSocket?) -> Void)?
    /// Bytes that came before anybody listened (glued to the handshake, or while the socket moves).
    private var carried: [UInt8]
    private var heardSincePing = true
    private var timer: TimerID?

    /// Assembly buffers of up to this size are kept for the next message.
    private static let keptCapacity = 32 * 1024

    init(
        _ connection: Connection, isServer: Bool, subprotocol: String?, options: WebSocketOptions,
        deflate: DeflateAgreement?, carried: [UInt8], seed: UInt64
    ) {
        self.connection = connection
        self.isServer = isServer
        self.subprotocol = subprotocol
        self.options = options
        self.deflate = deflate.map { MessageDeflate($0, options.deflate ?? DeflateOptions()) }
        self.carried = carried
        self.masks = MaskSource(seed: seed)
        connection.highWaterMark = options.highWaterMark
        connection.allowsHalfClose = false
        self.attach()
        // In the next turn: the owner sets its handlers first.
        connection.later { [self] _ in self.startReceiving() }
    }

    /// The loop that this socket is confined to.
    package var loop: EventLoop { self.connection.loop }
    package var peer: SocketAddress { self.connection.peer }
    package var isSecure: Bool { self.connection.isSecure }
    /// Messages can be sent.
    package var isOpen: Bool { self.phase == .open }
    /// Bytes that wait for the peer.
    package var bufferedBytes: Int { self.connection.bufferedBytes }
    package var isCompressed: Bool { self.deflate != nil }

    private func attach() {
        self.connection.onBytes = { [self] bytes in self.received(bytes) }
        self.connection.onEnd = { [self] end in self.finish(.lost(end)) }
        self.connection.onDrained = { [self] in self.onDrained?() }
    }

    func startReceiving() {
        guard self.phase != .closed, self.departure == nil else { return }
        self.isStarted = true
        var early: [UInt8] = []
        swap(&early, &self.carried)
        if !early.isEmpty { early.withUnsafeMutableBytes { self.received($0) } }
        guard self.phase != .closed, self.departure == nil else { return }
        self.connection.resumeWatching()
        self.connection.resumeReading()
        if let interval = self.options.pingInterval { self.schedulePing(after: interval) }
    }

    // MARK: Sending

    /// Sends one message. False: not open any more, or the peer reads too slowly and the socket is ending.
    @discardableResult
    package func send(text: UnsafeRawBufferPointer) -> Bool { self.send(.text, text) }

    /// Sends one message. False: not open any more, or the peer reads too slowly and the socket is ending.
    @discardableResult
    package func send(binary: UnsafeRawBufferPointer) -> Bool { self.send(.binary, binary) }

    /// Sends one text message.
    @discardableResult
    package func send(text: String) -> Bool {
        var text = text
        return text.withUTF8 { self.send(.text, UnsafeRawBufferPointer($0)) }
    }

    /// Sends one ping; the answer is not reported. At most 125 bytes are sent.
    package func ping(_ payload: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)) {
        guard self.phase == .open else { return }
        self.write(.ping, compressed: false, UnsafeRawBufferPointer(rebasing: payload.prefix(125)))
    }

    private func send(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) -> Bool {
        guard self.phase == .open else { return false }
        if let deflate = self.deflate, payload.count >= deflate.threshold {
            let loop = self.loop
            var compressed: [UInt8] = []
            swap(&compressed, &loop.deflated)
            defer { swap(&compressed, &loop.deflated) }
            if deflate.compress(payload, into: &compressed) {
                return compressed.withUnsafeBytes { self.write(opcode, compressed: true, $0) }
            }
        }
        return self.write(opcode, compressed: false, payload)
    }

    @discardableResult
    private func write(_ opcode: Opcode, compressed: Bool, _ payload: UnsafeRawBufferPointer) -> Bool {
        let mask = self.isServer ? nil : self.masks.next()
        let headerSize = FrameHeader.size(payload: payload.count, masked: mask != nil)
        return self.connection.write(byteCount: headerSize + payload.count) { target in
            _ = FrameHeader.write(opcode, compressed: compressed, payload: payload.count, mask: mask, to: target)
            copy(payload, masked: mask, to: UnsafeMutableRawBufferPointer(rebasing: target[headerSize...]))
        }
    }

    // MARK: Receiving

    /// What the connection read. Changed in place (unmasked).
    func received(_ bytes: UnsafeMutableRawBufferPointer) {
        self.heardSincePing = true
        guard self.isStarted else { return self.carried.append(contentsOf: bytes) }
        self.isReceiving = true
        var rest = bytes
        do throws(WebSocketViolation) {
            while !rest.isEmpty, self.phase != .closed, self.departure == nil {
                if self.frame == nil {
                    guard try self.readHeader(&rest) else { break }
                }
                try self.readPayload(&rest)
            }
        } catch {
            self.fail(error)
        }
        self.isReceiving = false
        if self.departure != nil {
            self.carried.append(contentsOf: rest)
            self.depart()
        }
    }

    /// False: more bytes are needed.
    private func readHeader(_ rest: inout UnsafeMutableRawBufferPointer) throws(WebSocketViolation) -> Bool {
        let parsed: FrameHeader.Parsed
        let before = self.partialHeaderCount
        if before > 0 {
            let taken = min(FrameHeader.maximumSize - before, rest.count)
            let filled = before + taken
            parsed = try withUnsafeMutableBytes(of: &self.partialHeader) { header throws(WebSocketViolation) in
                UnsafeMutableRawBufferPointer(rebasing: header[before...]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: rest[..<taken]))
                return try self.parse(UnsafeRawBufferPointer(rebasing: header[..<filled]))
            }
            if parsed == .incomplete { self.partialHeaderCount = filled }
        } else {
            parsed = try self.parse(UnsafeRawBufferPointer(rest))
            if parsed == .incomplete {
                withUnsafeMutableBytes(of: &self.partialHeader) { $0.copyMemory(from: UnsafeRawBufferPointer(rest)) }
                self.partialHeaderCount = rest.count
            }
        }
        guard case .header(let header, let size) = parsed else {
            rest = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            return false
        }
        self.partialHeaderCount = 0
        rest = UnsafeMutableRawBufferPointer(rebasing: rest[(size - before)...])
        try self.begin(header)
        return true
    }

    private func parse(_ bytes: UnsafeRawBufferPointer) throws(WebSocketViolation) -> FrameHeader.Parsed {
        try FrameHeader.parse(bytes, expectsMask: self.isServer, allowsCompression: self.deflate != nil)
    }

    private func begin(_ header: FrameHeader) throws(WebSocketViolation) {
        switch header.opcode {
        case .text, .binary:
            // RFC 6455 §5.4: messages are not interleaved.
            guard self.messageKind == nil else { throw .protocolError }
            self.messageKind = header.opcode == .text ? .text : .binary
            self.messageIsCompressed = header.isCompressed
            self.validator = UTF8Validator()
        case .continuation:
            guard self.messageKind != nil else { throw .protocolError }
        case .close, .ping, .pong: break
        }
        if !header.opcode.isControl,
            header.payloadLength > self.options.maximumMessageSize - self.assembly.count
        {
            throw .tooBig
        }
        self.frame = header
        self.framePosition = 0
    }

    private func readPayload(_ rest: inout UnsafeMutableRawBufferPointer) throws(WebSocketViolation) {
        guard let frame = self.frame else { return }
        let count = min(rest.count, frame.payloadLength - self.framePosition)
        let piece = UnsafeMutableRawBufferPointer(rebasing: rest[..<count])
        rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        if let mask = frame.mask { unmask(piece, mask, phase: self.framePosition) }
        let isWhole = self.framePosition == 0 && count == frame.payloadLength
        self.framePosition += count
        let isFrameEnd = self.framePosition == frame.payloadLength
        if isFrameEnd { self.frame = nil }
        if frame.opcode.isControl {
            try self.receivedControl(
                frame.opcode, UnsafeRawBufferPointer(piece), isWhole: isWhole, isFrameEnd: isFrameEnd)
        } else {
            try self.receivedData(
                UnsafeRawBufferPointer(piece), isWhole: isWhole, isMessageEnd: isFrameEnd && frame.isFinal,
                announced: frame.payloadLength)
        }
    }

    private func receivedData(_ piece: UnsafeRawBufferPointer, isWhole: Bool, isMessageEnd: Bool, announced: Int)
        throws(WebSocketViolation)
    {
        if self.messageKind == .text, !self.messageIsCompressed {
            // §8.1, at once: a long message need not be read to its end to be refused.
            guard self.validator.accept(piece), !isMessageEnd || self.validator.isComplete else { throw .invalidData }
        }
        if isWhole, isMessageEnd, self.assembly.isEmpty {
            return try self.deliver(piece)
        }
        if self.assembly.isEmpty {
            // The length is the peer's word only: no more than a little is set aside on its strength.
            self.assembly.reserveCapacity(min(announced, WebSocket.keptCapacity))
        }
        self.assembly.append(contentsOf: piece)
        guard isMessageEnd else { return }
        // Taken out while it is delivered: the handler may close the socket.
        var message: [UInt8] = []
        swap(&message, &self.assembly)
        var violation: WebSocketViolation?
        message.withUnsafeBytes { bytes in
            do throws(WebSocketViolation) { try self.deliver(bytes) } catch { violation = error }
        }
        if message.capacity <= WebSocket.keptCapacity {
            message.removeAll(keepingCapacity: true)
            swap(&message, &self.assembly)
        }
        if let violation { throw violation }
    }

    private func deliver(_ message: UnsafeRawBufferPointer) throws(WebSocketViolation) {
        guard let kind = self.messageKind else { return }
        self.messageKind = nil
        guard self.messageIsCompressed, let deflate = self.deflate else {
            if self.phase == .open { self.onMessage?(kind, message) }
            return
        }
        let loop = self.loop
        var inflated: [UInt8] = []
        swap(&inflated, &loop.inflated)
        defer {
            swap(&inflated, &loop.inflated)
            loop.trimScratch()
        }
        try deflate.decompress(message, limit: self.options.maximumMessageSize, into: &inflated)
        var isValid = true
        inflated.withUnsafeBytes { bytes in
            isValid = kind == .binary || UTF8Validator.isValid(bytes)
            if isValid, self.phase == .open { self.onMessage?(kind, bytes) }
        }
        if !isValid { throw .invalidData }
    }

    private func receivedControl(_ opcode: Opcode, _ piece: UnsafeRawBufferPointer, isWhole: Bool, isFrameEnd: Bool)
        throws(WebSocketViolation)
    {
        if isWhole { return try self.control(opcode, piece) }
        self.controlPayload.append(contentsOf: piece)
        guard isFrameEnd else { return }
        let payload = self.controlPayload
        self.controlPayload.removeAll(keepingCapacity: true)
        var violation: WebSocketViolation?
        payload.withUnsafeBytes { bytes in
            do throws(WebSocketViolation) { try self.control(opcode, bytes) } catch { violation = error }
        }
        if let violation { throw violation }
    }

    private func control(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) throws(WebSocketViolation) {
        switch opcode {
        case .ping:
            if self.phase == .open { self.write(.pong, compressed: false, payload) }
        case .close: try self.peerCloses(payload)
        case .pong, .text, .binary, .continuation: break
        }
    }

    // MARK: Closing

    /// Begins the closing handshake; `onClose` follows, with the peer's answer or after `closeTimeout`. `code`: 1000,
    /// 1001, 1011 or 3000–4999 as a rule; the reason is cut to 123 bytes.
    package func close(code: UInt16 = 1000, reason: String = "") {
        guard self.phase == .open else { return }
        self.sendClose(code, reason)
        self.phase = .closing
        self.cancelTimer()
        self.timer = self.loop.schedule(after: self.options.closeTimeout) { [self] in
            self.timer = nil
            self.finish(.unresponsive)
        }
    }

    /// Ends at once, without a Close frame. `onClose` is not called: the owner knows.
    package func abort() {
        guard self.phase != .closed else { return }
        self.onClose = nil
        self.finish(.lost(.local))
    }

    private func peerCloses(_ payload: UnsafeRawBufferPointer) throws(WebSocketViolation) {
        var code: UInt16 = 1005
        var reason = ""
        if !payload.isEmpty {
            // §5.5.1: a code of two bytes, then UTF-8.
            guard payload.count >= 2 else { throw .protocolError }
            code = UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self))
            guard isValidCloseCode(code) else { throw .protocolError }
            let text = UnsafeRawBufferPointer(rebasing: payload[2...])
            guard UTF8Validator.isValid(text) else { throw .invalidData }
            reason = String(decoding: text, as: UTF8.self)
        }
        if self.phase == .open { self.sendClose(code == 1005 ? nil : code, "") }
        self.finish(.closed(code: code, reason: reason))
    }

    private func fail(_ violation: WebSocketViolation) {
        if self.phase == .open { self.sendClose(violation.rawValue, "") }
        self.finish(.violation(violation))
    }

    private func sendClose(_ code: UInt16?, _ reason: String) {
        var payload: [UInt8] = []
        if let code {
            payload.append(UInt8(code >> 8))
            payload.append(UInt8(code & 0xFF))
            var text = reason
            while text.utf8.count > 123 { text.removeLast() }
            payload.append(contentsOf: text.utf8)
        }
        payload.withUnsafeBytes { _ = self.write(.close, compressed: false, $0) }
    }

    /// The one way to the end. A server closes TCP at once, after what waits (FreeSWITCH's call thread blocks on a server
    /// that leaves it open); a client leaves the first FIN to the server (§7.1.1), for `closeTimeout`.
    private func finish(_ end: WebSocketEnd) {
        guard self.phase != .closed else { return }
        self.phase = .closed
        self.cancelTimer()
        let onClose = self.onClose
        self.onClose = nil
        self.onMessage = nil
        self.onDrained = nil
        self.assembly = []
        switch end {
        case .lost, .unresponsive: self.connection.abort()
        case .closed, .violation:
            self.connection.finish(deadline: self.options.closeTimeout, waitsForPeer: !self.isServer)
        }
        onClose?(end)
    }

    private func cancelTimer() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
    }

    // MARK: Pings

    private func schedulePing(after delay: Duration) {
        self.timer = self.loop.schedule(after: delay) { [self] in
            self.heardSincePing = false
            self.ping()
            guard self.phase == .open else { return }
            self.timer = self.loop.schedule(after: self.options.pongTimeout) { [self] in
                self.timer = nil
                guard self.heardSincePing else { return self.finish(.unresponsive) }
                let interval = self.options.pingInterval ?? .seconds(30)
                self.schedulePing(after: max(.zero, interval - self.options.pongTimeout))
            }
        }
    }

    // MARK: Holding back and moving

    /// Stops reading: the peer is held back by TCP. What has been read already is still delivered.
    package func pauseReading() { self.connection.pauseReading() }
    package func resumeReading() { self.connection.resumeReading() }

    /// Gives the socket to another loop: descriptor, TLS, bytes that wait either way. The handlers are dropped now;
    /// `arrived` runs on `loop` and sets new ones, in that turn, before the first message. Nil: it ended on the way.
    package func move(to loop: EventLoop, arrived: @escaping @Sendable (WebSocket?) -> Void) {
        self.loop.preconditionInLoop()
        self.onMessage = nil
        self.onClose = nil
        self.onDrained = nil
        self.cancelTimer()
        self.departure = (loop, arrived)
        if !self.isReceiving { self.depart() }
    }

    private func depart() {
        guard let (loop, arrived) = self.departure else { return }
        guard self.phase == .open, self.connection.depart() else {
            self.finish(.lost(.local))
            return loop.execute { arrived(nil) }
        }
        self.isStarted = false
        let handedOver = HandedOver(self)
        // In the next turn of this loop: whoever delivered the message that the move answers looks at the socket once more
        // when the handler returns, and the other loop must not have it by then.
        self.loop.execute {
            loop.execute {
                let socket = handedOver.value
                socket.connection.arrive(on: loop)
                socket.departure = nil
                socket.attach()
                arrived(socket)
                socket.startReceiving()
            }
        }
    }
}
