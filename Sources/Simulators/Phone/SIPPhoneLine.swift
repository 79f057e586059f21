import Audio
import Foundation
import MediaDialects
import Networking
import RTPMedia
import Telephony

/// A SIP call over UDP with RTP in PCMU, each phone with sockets of its own. RTP leaves by the gateway's own sender, and is
/// heard as it comes: no jitter buffer hides what the gateway sends late.
final class SIPPhoneLine: PhoneLine {
    private let loop: EventLoop
    private let target: SIPCallerCore.Target
    private let timeout: Duration
    private let peer: SocketAddress
    private var core: SIPCallerCore?
    private var signalling: UDPSocket?
    private var media: UDPSocket?
    private var timer: TimerID?
    /// Kept until the end.
    private var listener: (any PhoneLineListener)?
    private var remote: SocketAddress?
    private var payloadType: UInt8 = 0
    private var sender: RTPSender?
    private var packet: [UInt8] = []
    private var lastSequence: UInt16?
    private(set) var packetsLost = 0
    private(set) var referredTo: Redacted<String>?
    private let declinesTransfers: Bool
    private let headers: [(name: String, value: String)]

    /// Nil: `url` is no `sip:` address with a numeric host.
    init?(
        _ url: String, headers: [(name: String, value: String)] = [], timeout: Duration, on loop: EventLoop
    ) {
        // `;x-decline` is for us: a phone that will not be transferred.
        let declines = url.hasSuffix(";x-decline")
        guard let target = SIPCallerCore.Target(declines ? String(url.dropLast(10)) : url),
            let peer = SocketAddress(target.host == "localhost" ? "127.0.0.1" : target.host, port: target.port)
        else { return nil }
        self.target = target
        self.peer = peer
        self.timeout = timeout
        self.loop = loop
        self.declinesTransfers = declines
        self.headers = headers
    }

    func start(_ listener: any PhoneLineListener) {
        self.listener = listener
        guard let any = SocketAddress(self.peer.isLoopback ? "127.0.0.1" : "0.0.0.0", port: 0),
            let signalling = try? UDPSocket(any, on: self.loop), let media = try? UDPSocket(any, on: self.loop)
        else { return self.end(.unreachable("bind")) }
        self.signalling = signalling
        self.media = media
        signalling.onDatagram = { [unowned self] bytes, _, _ in
            self.step { $0.received(bytes, at: $1, into: &$2) }
        }
        media.onDatagram = { [unowned self] bytes, _, _ in self.heard(bytes) }
        var core = SIPCallerCore(
            target: self.target, local: signalling.address.description, mediaPort: Int(media.address.port),
            identity: UUID().uuidString.lowercased().replacing("-", with: ""), timeout: self.timeout)
        core.referOutcome = self.declinesTransfers ? .declines : .accepts
        core.headers = self.headers
        self.core = core
        self.step { $0.start(at: $1, into: &$2) }
    }

    private func step(_ body: (inout SIPCallerCore, Duration, inout [SIPCallerCore.Effect]) -> Void) {
        guard var core = self.core else { return }
        var effects: [SIPCallerCore.Effect] = []
        body(&core, self.loop.now, &effects)
        self.core = core
        for effect in effects {
            switch effect {
            case .send(let bytes): bytes.withUnsafeBytes { _ = self.signalling?.send($0, to: self.peer) }
            case .wake(let time):
                if let timer = self.timer { self.loop.cancel(timer) }
                self.timer = self.loop.schedule(at: time) { [unowned self] in
                    self.timer = nil
                    self.step { $0.timerFired(at: $1, into: &$2) }
                }
            case .answered(let media): self.answered(media)
            case .referred(let target): self.referredTo = target
            case .ended(let end): self.end(end)
            }
        }
    }

    private func answered(_ media: SIPCallerCore.Media) {
        self.remote = SocketAddress(media.host, port: media.port)
        self.payloadType = media.payloadType
        self.sender = RTPSender(
            configuration: RTPSender.Configuration(
                law: media.payloadType == 8 ? .a : .mu, telephoneEvent: media.telephoneEvent,
                ssrc: UInt32.random(in: 1...UInt32.max), firstSequenceNumber: UInt16.random(in: 0...UInt16.max),
                firstTimestamp: UInt32.random(in: 0...UInt32.max)))
        self.listener?.lineOpened()
    }

    private func end(_ end: PhoneEnd) {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.core = nil
        self.signalling?.close()
        self.media?.close()
        // This may be a socket's own callback: it is kept for as long as that.
        let sockets = LoopBound((self.signalling, self.media), on: self.loop)
        self.loop.execute { _ = sockets.value }
        self.signalling = nil
        self.media = nil
        let listener = self.listener
        self.listener = nil
        listener?.lineEnded(end)
    }

    // MARK: Audio

    private func heard(_ datagram: UnsafeRawBufferPointer) {
        guard !RTPPacket.isControl(datagram), let packet = try? RTPPacket(parsing: datagram),
            packet.payloadType == self.payloadType
        else { return }
        if let last = self.lastSequence {
            let step = packet.sequenceNumber &- last
            // A packet that comes behind its successor is not lost.
            if step > 1, step < 0x8000 { self.packetsLost += Int(step) - 1 }
            if step < 0x8000 { self.lastSequence = packet.sequenceNumber }
        } else {
            self.lastSequence = packet.sequenceNumber
        }
        self.listener?.lineBrought(.binary, UnsafeRawBufferPointer(rebasing: datagram[packet.payload]))
    }

    func send(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
        guard kind == .binary, let remote = self.remote else { return }
        self.packet.removeAll(keepingCapacity: true)
        self.sender?.send(bytes, at: self.loop.now, into: &self.packet)
        self.packet.withUnsafeBytes { _ = self.media?.send($0, to: remote) }
    }

    func press(_ digit: Redacted<Character>) { _ = self.sender?.press(digit) }

    func hold(_ isHeld: Bool) { self.step { $0.hold(isHeld, at: $1, into: &$2) } }

    func hangUp(code: UInt16) { self.step { $0.hangUp(at: $1, into: &$2) } }
}
