import Audio
import MediaDialects
import Telephony

@testable import Simulators

/// Drives a `PhoneSimulatorCore` in virtual time and keeps what it sends and reports.
struct PhoneCoreDriver {
    var core: PhoneSimulatorCore
    var now: Duration = .zero
    var messages: [(kind: MessageKind, bytes: [UInt8], at: Duration)] = []
    var reports: [PhoneReport] = []
    /// What the caller hears, all of it.
    var heard: [Int16] = []
    var closes: [UInt16] = []
    /// Keys and holds that are signals of their own.
    var keys: [String] = []
    var isOver = false
    private var output = PhoneOutput()
    private var wakeAt: Duration?

    init(_ configuration: PhoneConfiguration) {
        var configuration = configuration
        configuration.reportsAudio = true
        self.core = PhoneSimulatorCore(configuration)
    }

    /// A call that is up at time zero.
    static func connected(_ configuration: PhoneConfiguration) -> PhoneCoreDriver {
        var driver = PhoneCoreDriver(configuration)
        driver.core.started(at: .zero)
        driver.event { $0.opened(at: $1, &$2) }
        return driver
    }

    mutating func event(_ body: (inout PhoneSimulatorCore, Duration, inout PhoneOutput) -> Void) {
        body(&self.core, self.now, &self.output)
        for action in self.output.actions {
            switch action {
            case .send(let kind, let range): self.messages.append((kind, Array(self.output.bytes[range]), self.now))
            case .press(let digit): self.keys.append("\(digit.value)")
            case .hold(let isHeld): self.keys.append(isHeld ? "hold" : "resume")
            case .close(let code): self.closes.append(code)
            case .wake(let deadline): self.wakeAt = deadline
            case .report(.heard(let range)): self.heard.append(contentsOf: self.output.heard[range])
            case .report(let report): self.reports.append(report)
            case .ended: self.isOver = true
            }
        }
        self.output.removeAll()
    }

    mutating func advance(by duration: Duration) {
        let end: Duration = self.now + duration
        while let wakeAt = self.wakeAt, wakeAt <= end, self.closes.isEmpty {
            self.wakeAt = nil
            self.now = wakeAt
            self.event { $0.wake(at: $1, &$2) }
        }
        self.now = end
    }

    mutating func text(_ text: String) { self.receive(.text, Array(text.utf8)) }

    mutating func receive(_ kind: MessageKind, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in self.event { $0.received(kind, bytes, at: $1, &$2) } }
    }

    /// The peer's Close.
    mutating func peerCloses(_ end: PhoneEnd = .closedByGateway(code: 1000)) {
        self.event { $0.ended(end, at: $1, &$2) }
    }

    var binaries: [[UInt8]] { self.messages.filter { $0.kind == .binary }.map(\.bytes) }
    var texts: [String] { self.messages.filter { $0.kind == .text }.map { String(decoding: $0.bytes, as: UTF8.self) } }

    /// How long sound was heard, frame by frame.
    var voicedHeard: Duration { .milliseconds(20) * PhoneCoreDriver.voicedFrames(of: self.heard, self.core.earRate) }

    static func voicedFrames(of samples: [Int16], _ rate: SampleRate) -> Int {
        let frame: Int = rate.samples(in: .milliseconds(20))
        return stride(from: 0, to: samples.count, by: frame).count { start in
            PhoneSimulatorCore.isVoiced(Array(samples[start..<min(samples.count, start + frame)]))
        }
    }

    /// `duration` of a tone.
    static func tone(_ duration: Duration, hertz: Double = 700, rate: SampleRate) -> [Int16] {
        Tone(hertz, rate: rate).samples(for: duration)
    }

    static func bytes(_ samples: [Int16]) -> [UInt8] { samples.withUnsafeBytes { Array($0) } }

    static func streamAudio(_ samples: [Int16], rate: Int) -> String {
        var text: [UInt8] = []
        samples.withUnsafeBytes { Base64.encode($0, into: &text) }
        let audio = String(decoding: text, as: UTF8.self)
        return #"{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":\#(rate),"audioData":"\#(audio)"}}"#
    }

    static func playAudio(_ samples: [Int16], rate: Int) -> String {
        var text: [UInt8] = []
        samples.withUnsafeBytes { Base64.encode($0, into: &text) }
        let audio = String(decoding: text, as: UTF8.self)
        return
            #"{"type":"playAudio","data":{"audioContentType":"raw","sampleRate":\#(rate),"audioContent":"\#(audio)"}}"#
    }
}
