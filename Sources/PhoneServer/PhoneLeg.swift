import MediaDialects
import Networking
import Telephony

/// The media connection of a call: a WebSocket and the dialect spoken on it. Confined to the call's loop.
final class PhoneLeg {
    let socket: WebSocket
    var dialect: any MediaDialect
    /// Reused from message to message.
    var input = DialectInput()
    private var wire: [UInt8] = []
    /// When the last message came: a leg that is silent for long may be taken over.
    var lastMessage: Duration
    private(set) var framesIn = 0
    private(set) var framesOut = 0
    /// Problems are logged once a kind, not fifty times a second.
    var reportedProblems: Set<String> = []

    init(socket: WebSocket, dialect: any MediaDialect, now: Duration) {
        self.socket = socket
        self.dialect = dialect
        self.lastMessage = now
    }

    func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer, at now: Duration) {
        self.lastMessage = now
        self.input.removeAll()
        self.dialect.received(kind, message, &self.input)
    }

    /// Sends one frame; false when this dialect cannot play by message, or the socket is gone.
    func send(frame: UnsafeRawBufferPointer) -> Bool {
        self.wire.removeAll(keepingCapacity: true)
        guard let kind = self.dialect.encode(frame: frame, into: &self.wire) else { return false }
        self.framesOut += 1
        return self.send(kind)
    }

    /// Sends a command; false when the dialect has no message for it.
    func send(_ command: PhoneCommand) -> Bool {
        self.wire.removeAll(keepingCapacity: true)
        guard let kind = self.dialect.encode(command, into: &self.wire) else { return false }
        return self.send(kind)
    }

    func noteFrame() { self.framesIn += 1 }

    private func send(_ kind: MessageKind) -> Bool {
        self.wire.withUnsafeBytes { bytes in
            switch kind {
            case .text: self.socket.send(text: bytes)
            case .binary: self.socket.send(binary: bytes)
            }
        }
    }
}
