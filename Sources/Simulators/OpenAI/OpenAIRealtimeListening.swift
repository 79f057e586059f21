import Audio
import Telephony

/// Hears by energy where the caller's speech begins and ends, on the clock of the audio itself: milliseconds are
/// counted from the first byte ever appended (providers.md §1.4).
struct OpenAIRealtimeListening: Sendable {
    enum Event: Sendable, Equatable {
        case started(at: Int)
        case stopped(at: Int)
    }

    private let script: OpenAIRealtimeScript
    private(set) var format: AudioFormat
    private var assembler: FrameAssembler
    private var frames: [UInt8] = []
    private var position: Duration = .zero
    private var voiced: Duration = .zero
    private var silent: Duration = .zero
    private(set) var isSpeaking = false
    /// Bytes appended since the last commit or clear.
    private(set) var uncommittedBytes = 0
    /// From the session's turn detection.
    var prefixPadding: Duration = .milliseconds(300)
    var silence: Duration = .milliseconds(500)

    private static let frame: Duration = .milliseconds(20)

    init(script: OpenAIRealtimeScript, format: AudioFormat) {
        self.script = script
        self.format = format
        self.assembler = FrameAssembler(format: format)
    }

    /// Another format: what was appended since the last commit is forgotten.
    mutating func change(to format: AudioFormat) {
        guard format != self.format else { return }
        self.format = format
        self.assembler = FrameAssembler(format: format)
        self.uncommittedBytes = 0
    }

    mutating func heard(_ bytes: UnsafeRawBufferPointer, detects: Bool, _ events: inout [Event]) {
        self.uncommittedBytes += bytes.count
        self.frames.removeAll(keepingCapacity: true)
        self.assembler.append(bytes, into: &self.frames)
        var start = 0
        while start < self.frames.count {
            let end = start + self.assembler.frameBytes
            let level = self.frames.withUnsafeBytes { all in
                Level(of: UnsafeRawBufferPointer(rebasing: all[start..<end]), encoding: self.format.encoding)
            }
            // The audio's clock runs on where nobody listens.
            self.frameHeard(isLoud: detects && level.rms > self.script.speechLevel, &events)
            start = end
        }
    }

    private mutating func frameHeard(isLoud: Bool, _ events: inout [Event]) {
        self.position += OpenAIRealtimeListening.frame
        self.voiced = isLoud ? self.voiced + OpenAIRealtimeListening.frame : .zero
        self.silent = isLoud ? .zero : self.silent + OpenAIRealtimeListening.frame
        if !self.isSpeaking, self.voiced >= self.script.speechOnset {
            self.isSpeaking = true
            events.append(.started(at: max(0, (self.position - self.voiced - self.prefixPadding).milliseconds)))
        } else if self.isSpeaking, self.silent >= self.script.speechHangover ?? self.silence {
            self.isSpeaking = false
            events.append(.stopped(at: self.position.milliseconds))
        }
    }

    /// The buffer has become an item, or was thrown away. How long it was.
    mutating func takeUncommitted() -> Duration {
        defer {
            self.uncommittedBytes = 0
            self.isSpeaking = false
            self.voiced = .zero
            self.silent = .zero
        }
        return self.format.duration(ofBytes: self.uncommittedBytes)
    }
}
