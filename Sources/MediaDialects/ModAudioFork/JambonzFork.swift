import Audio
import Telephony

/// jambonz's mod_audio_fork (subprotocol `audio.jambonz.org`, `listen` with `bidirectionalAudio.streaming`): L16 up,
/// binary L16 down, with marks.
///
/// Read in the module's source (2024-10), not run:
/// * A mark is the sample 0xFFFF inside the audio: it is put in *before the next binary message*, and any sample of
///   that value after it counts as one. So −1 is sent as 0, and the last mark of an utterance needs `tail` after it.
/// * Marks go through the module's resampler when rates differ, so `downlink` must be stated as the channel's rate.
/// * At most 30 marks are pending, more are dropped; a flush reports the pending ones as cleared.
/// * 80 ms are gathered before the first sound, then 40; `killAudio` clears the playout but not what is gathered: up to
///   80 ms of old audio may sound after it. It also breaks the application that runs on the channel.
/// * A mark's name comes back unescaped inside JSON: only letters, digits, `-`, `_` and `.` are sent.
package struct JambonzFork: MediaDialect {
    package static let subprotocol = "audio.jambonz.org"
    package static let pendingMarksLimit = 30

    package let name = "mod-audio-fork-jambonz"
    package let uplink: AudioFormat
    package let downlink: AudioFormat
    /// Marks sent and not yet back.
    package private(set) var pendingMarks = 0
    private var audio: UplinkAudio

    /// `channelRate` is `bidirectionalAudio.sampleRate`, and ought to be the channel's; nil: as the uplink.
    package init(wire: AudioFormat, channelRate: SampleRate? = nil) throws(DialectError) {
        try DialectError.check(wire, of: .jambonzFork, encodings: [.l16])
        let down: AudioFormat = .l16(channelRate ?? wire.rate)
        try DialectError.check(down, of: .jambonzFork, encodings: [.l16])
        self.audio = UplinkAudio(wire: wire)
        self.uplink = self.audio.format
        self.downlink = down
    }

    package var traits: PlayoutTraits {
        PlayoutTraits(
            lead: .milliseconds(120), warmUp: .milliseconds(80), latency: .milliseconds(40), canFlush: true,
            reportsMarks: true)
    }

    package var tail: Duration { .milliseconds(80) }

    package mutating func received(
        _ kind: MessageKind, _ message: UnsafeRawBufferPointer, _ input: inout DialectInput
    ) {
        switch kind {
        case .binary: self.audio.received(message, into: &input.audio)
        case .text:
            var wasMark = false
            LegText.received(message, &input) { scan, input in
                guard scan["type"]?.isText("mark") == true else { return false }
                wasMark = Self.markReported(scan, &input)
                return true
            }
            if wasMark, self.pendingMarks > 0 { self.pendingMarks -= 1 }
        }
    }

    package mutating func encode(frame: UnsafeRawBufferPointer, into bytes: inout [UInt8]) -> MessageKind? {
        let whole: Int = frame.count / 2 * 2
        guard whole > 0 else { return nil }
        let start: Int = bytes.count
        bytes.append(contentsOf: frame[..<whole])
        bytes.withUnsafeMutableBytes { bytes in
            for offset in stride(from: start, to: start &+ whole, by: 2)
            where bytes[offset] == 0xFF && bytes[offset &+ 1] == 0xFF {
                bytes[offset] = 0
                bytes[offset &+ 1] = 0
            }
        }
        return .binary
    }

    package mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind? {
        switch command {
        case .flush: return PlayAudioMessage.encodeKill(into: &bytes)
        case .mark(let name):
            // A text that CallID takes is one that needs no escape.
            guard CallID(name) != nil, self.pendingMarks < Self.pendingMarksLimit else { return nil }
            self.pendingMarks += 1
            JSONText.append("{\"type\":\"mark\",\"data\":{\"name\":", to: &bytes)
            JSONText.appendString(name, to: &bytes)
            JSONText.append("}}", to: &bytes)
            return .text
        case .blindTransfer, .hangUp: return nil
        }
    }

    /// Appends the message that forgets all pending marks; the module then reports none of them.
    package mutating func encodeClearMarks(into bytes: inout [UInt8]) -> MessageKind {
        self.pendingMarks = 0
        JSONText.append("{\"type\":\"clearMarks\"}", to: &bytes)
        return .text
    }

    /// `{"type": "mark", "data": {"name":"x", "event": "playout"}}`, or `"cleared"`.
    private static func markReported(_ scan: JSONScan, _ input: inout DialectInput) -> Bool {
        guard let data = scan["data"], let name = data["name"]?.string, CallID(name) != nil,
            let event = data["event"]
        else {
            input.problem = "mark-invalid"
            return false
        }
        let isCleared: Bool = event.isText("cleared")
        guard isCleared || event.isText("playout") else {
            input.problem = "mark-invalid"
            return false
        }
        input.events.append(.phone(.markReached(name: name, cleared: isCleared)))
        return true
    }
}
