import MediaDialects
import Networking
import Telephony

/// The media connection of a call: a WebSocket and the dialect spoken on it. Confined to the call's loop.
final class PhoneLeg {
    let socket: WebSocket
    var dialect: any MediaDialect
    /// Bytes of one 20 ms uplink frame. Asked fifty times a second, and a getter of an existential copies it.
    let frameBytes: Int
    /// Reused from message to message.
    var input = DialectInput()
    private var wire: [UInt8] = []
    /// For modules that make a file of each message: audio that waits to become one long message.
    private var gathered: [UInt8] = []
    private let gatheredBytes: Int
    /// Whether audio waits to be sent as one long message.
    var isGathering: Bool { !self.gathered.isEmpty }
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
        self.frameBytes = dialect.uplink.bytes(in: .milliseconds(20))
        self.gatheredBytes = dialect.playsThroughControl.map { dialect.downlink.bytes(in: $0.chunk) } ?? 0
    }

    func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer, at now: Duration) {
        self.lastMessage = now
        self.input.removeAll()
        self.dialect.received(kind, message, &self.input)
    }

    /// Sends one frame; false when this dialect cannot play by message, or the socket is gone.
    func send(frame: UnsafeRawBufferPointer) -> Bool {
        if self.gatheredBytes > 0 {
            self.framesOut += 1
            self.gathered.append(contentsOf: frame)
            return true
        }
        self.wire.removeAll(keepingCapacity: true)
        guard let kind = self.dialect.encode(frame: frame, into: &self.wire) else { return false }
        self.framesOut += 1
        return self.send(kind)
    }

    /// Sends what was gathered when it is long enough, or nothing more comes for now.
    func sendGathered(isComplete: Bool) {
        guard !self.gathered.isEmpty, isComplete || self.gathered.count >= self.gatheredBytes else { return }
        self.wire.removeAll(keepingCapacity: true)
        let kind = self.gathered.withUnsafeBytes { self.dialect.encode(frame: $0, into: &self.wire) }
        self.gathered.removeAll(keepingCapacity: true)
        if let kind { _ = self.send(kind) }
    }

    /// Sends a command; false when the dialect has no message for it.
    func send(_ command: PhoneCommand) -> Bool {
        if command == .flush { self.gathered.removeAll(keepingCapacity: true) }
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
