import MediaDialects
import Networking
import Telephony

/// A WebSocket and the dialect spoken on it.
final class WebSocketLeg: PhoneLeg {
    let socket: WebSocket
    private var wireDialect: any MediaDialect
    let dialect: String
    let uplink: AudioFormat
    let downlink: AudioFormat
    let traits: PlayoutTraits
    let tail: Duration
    /// Bytes of one 20 ms uplink frame. Asked fifty times a second, and a getter of an existential copies it.
    let frameBytes: Int
    /// Reused from message to message.
    var input = DialectInput()
    private var wire: [UInt8] = []
    /// For modules that make a file of each message: audio that waits to become one long message.
    private var gathered: [UInt8] = []
    private let gatheredBytes: Int
    var isGathering: Bool { !self.gathered.isEmpty }
    private(set) var lastHeard: Duration
    private(set) var framesIn = 0
    private(set) var framesOut = 0
    /// Whom the leg tells. Of a call that has ended the leg has been detached.
    private var call: CallShell?
    /// Problems are logged once a kind, not fifty times a second.
    private var reportedProblems: Set<String> = []

    init(socket: WebSocket, dialect: any MediaDialect, now: Duration) {
        self.socket = socket
        self.wireDialect = dialect
        self.dialect = dialect.name
        self.uplink = dialect.uplink
        self.downlink = dialect.downlink
        self.traits = dialect.traits
        self.tail = dialect.tail
        self.lastHeard = now
        self.frameBytes = dialect.uplink.bytes(in: .milliseconds(20))
        self.gatheredBytes = dialect.playsThroughControl.map { dialect.downlink.bytes(in: $0.chunk) } ?? 0
    }

    func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer, at now: Duration) {
        self.lastHeard = now
        self.input.removeAll()
        self.wireDialect.received(kind, message, &self.input)
    }

    /// Sends one frame; false when this dialect cannot play by message, or the socket is gone.
    func send(frame: UnsafeRawBufferPointer) -> Bool {
        if self.gatheredBytes > 0 {
            self.framesOut += 1
            self.gathered.append(contentsOf: frame)
            return true
        }
        self.wire.removeAll(keepingCapacity: true)
        guard let kind = self.wireDialect.encode(frame: frame, into: &self.wire) else { return false }
        self.framesOut += 1
        return self.send(kind)
    }

    /// Sends what was gathered when it is long enough, or nothing more comes for now.
    func sendGathered(isComplete: Bool) {
        guard !self.gathered.isEmpty, isComplete || self.gathered.count >= self.gatheredBytes else { return }
        self.wire.removeAll(keepingCapacity: true)
        let kind = self.gathered.withUnsafeBytes { self.wireDialect.encode(frame: $0, into: &self.wire) }
        self.gathered.removeAll(keepingCapacity: true)
        if let kind { _ = self.send(kind) }
    }

    /// Sends a command; false when the dialect has no message for it.
    func send(_ command: PhoneCommand) -> Bool {
        if command == .flush { self.gathered.removeAll(keepingCapacity: true) }
        self.wire.removeAll(keepingCapacity: true)
        guard let kind = self.wireDialect.encode(command, into: &self.wire) else { return false }
        return self.send(kind)
    }

    // MARK: The call

    func attach(to call: CallShell) {
        self.call = call
        // Strongly: the call lets go of its leg by `detach`, and a socket that ends drops its handlers. A closure that
        // holds one reference and nothing else is that reference: no box to be fetched at each frame.
        self.socket.onMessage = { [self] kind, message in
            self.received(kind == .text ? .text : .binary, message)
        }
        self.socket.onClose = { [self] end in
            self.call?.leg(self, ended: end.isNormal ? .closed : .lost(end.slug))
        }
    }

    func detach() {
        self.socket.onMessage = nil
        self.socket.onClose = nil
        self.call = nil
    }

    private func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer) {
        guard let call = self.call, call.isOn(self) else { return }
        let now = call.loop.now
        self.received(kind, message, at: now)
        if !self.input.audio.isEmpty {
            self.framesIn += self.input.audio.withUnsafeBytes {
                call.heard($0, frameBytes: self.frameBytes, endedAt: now)
            }
        }
        if let problem = self.input.problem, self.reportedProblems.insert(problem).inserted {
            call.logger.warning("Message not understood", ["leg.problem": .string(problem)])
        }
        var index = 0
        // A hang-up ends the call, and with it the leg.
        while index < self.input.events.count, call.isOn(self) {
            let event = self.input.events[index]
            index += 1
            switch event {
            case .phone(let event): call.leg(self, told: event)
            case .metadata(let metadata): call.learned(metadata)
            }
        }
    }

    func close(_ reason: LegClosing) {
        self.detach()
        switch reason {
        case .callEnded: self.socket.close(code: 1000, reason: "call ended")
        // Where there is an Event Socket it hangs up; elsewhere the dialplan's script has only this code to know it by.
        case .hangUp: self.socket.close(code: 4000, reason: "hang up")
        case .takenOver: self.socket.close(code: 4001, reason: "taken over")
        case .noSuchCall: self.socket.close(code: 1001, reason: "call ended")
        case .otherFormat: self.socket.close(code: 1003, reason: "another format than the call began with")
        case .noAssistant: self.socket.close(code: 1008, reason: "Several assistants: state secretary_uuid")
        case .tryLater: self.socket.close(code: 1013, reason: "try again later")
        }
    }

    private func send(_ kind: MessageKind) -> Bool {
        self.wire.withUnsafeBytes { bytes in
            switch kind {
            case .text: self.socket.send(text: bytes)
            case .binary: self.socket.send(binary: bytes)
            }
        }
    }
}
