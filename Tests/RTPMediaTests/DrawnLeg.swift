import Audio
import RTPMedia
import Telephony

/// A leg drawn as text, one character for 20 ms. What is sent: `#` audio, `-` audio that is lost, `.` nothing (the clock
/// goes on), `c` comfort noise, `<` two swapped audio packets (with the next), `2` audio sent twice, `l` audio that comes
/// 100 ms late. What is given out: `A` audio, `~` adjusted, `x` made up, `n` comfort noise, `_` silence.
struct DrawnLeg {
    var receiver: RTPReceiver
    var events: [RTPEvent] = []
    var codes: [UInt8] = []
    /// The peer's state; tests change it in mid-stream.
    var number: UInt16 = 65_530
    var timestamp: UInt32 = .max - 500
    var ssrc: UInt32 = 0xCB28_DBA0
    var marker = false
    var tick = 0
    private var delayed: [(tick: Int, bytes: [UInt8])] = []
    let peer = RTPAddress(ipv4: 0x7F00_0001, port: 30_082)

    /// A buffer that has little room shows most: what is drawn is about its edges.
    static let narrow: JitterBuffer.Limits = {
        do { return try JitterBuffer.Limits(minimum: 20, maximum: 60, target: 40) } catch {
            preconditionFailure("\(error)")
        }
    }()

    init(_ configuration: RTPReceiver.Configuration = .init(law: .mu, limits: DrawnLeg.narrow)) {
        self.receiver = RTPReceiver(configuration: configuration, announced: self.peer)
    }

    /// The codes of the audio packet that is sent in tick n.
    static func frame(_ tick: Int) -> [UInt8] { (0..<160).map { UInt8(truncatingIfNeeded: tick &* 31 &+ $0 &* 7) } }

    mutating func send(_ drawing: String) -> String {
        var given = ""
        var swapped: [UInt8]?
        for mark in drawing {
            for packet in self.delayed where packet.tick <= self.tick { self.deliver(packet.bytes) }
            self.delayed.removeAll { $0.tick <= self.tick }
            switch mark {
            case "#":
                self.deliver(self.audio())
                if let bytes = swapped { self.deliver(bytes) }
                swapped = nil
            case "2":
                let bytes: [UInt8] = self.audio()
                self.deliver(bytes)
                self.deliver(bytes)
            case "<": swapped = self.audio()
            case "-": _ = self.audio()
            case "l": self.delayed.append((self.tick + 5, self.audio()))
            case "c": self.deliver(self.packet(type: 13, payload: [40]))
            default: self.timestamp &+= 160
            }
            given += self.pull()
        }
        return given
    }

    mutating func audio() -> [UInt8] {
        self.packet(type: self.receiver.configuration.law.payloadType, payload: Self.frame(self.tick))
    }

    /// One packet of 20 ms; number and clock go on.
    mutating func packet(type: UInt8, payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        RTPPacket(
            marker: self.marker, payloadType: type, sequenceNumber: self.number, timestamp: self.timestamp,
            ssrc: self.ssrc
        ).writeHeader(into: &bytes)
        self.marker = false
        self.number &+= 1
        self.timestamp &+= 160
        return bytes + payload
    }

    mutating func deliver(_ bytes: [UInt8], from source: RTPAddress? = nil) {
        let now: Duration = .milliseconds(20 * self.tick)
        bytes.withUnsafeBytes { self.receiver.received($0, from: source ?? self.peer, at: now, into: &self.events) }
    }

    mutating func pull() -> String {
        let kind: RTPFrameKind = self.receiver.pull(
            at: .milliseconds(20 * self.tick), into: &self.codes, events: &self.events)
        self.tick += 1
        switch kind {
        case .audio: return "A"
        case .adjusted: return "~"
        case .concealed: return "x"
        case .comfortNoise: return "n"
        case .silence: return "_"
        }
    }

    /// What was given out in tick n.
    func given(_ tick: Int) -> [UInt8] { Array(self.codes[(tick * 160)..<(tick * 160 + 160)]) }
}
