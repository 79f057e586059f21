import Audio
import Telephony

/// mod_audio_stream, community edition (also sptmru's): L16 up, files down.
///
/// Up: binary L16 of any multiple of 8 kHz, mono, mixed or stereo, 20–200 ms a message. sptmru's build says 16 kHz and
/// sends 8: state `rate=8000` for it. Down: binary is ignored; `streamAudio` becomes a file and the event
/// `mod_audio_stream::play`, and the controller plays it (`playsThroughControl`). The hole between two files is 120–180
/// ms, so chunks are long. There is no flush message: `uuid_break <uuid> all`.
package struct ModAudioStream: MediaDialect {
    package let name = "mod-audio-stream"
    package let uplink: AudioFormat
    package let downlink: AudioFormat
    private var audio: UplinkAudio

    /// `wire` is what `start` was told: rate and mono or stereo. Files are made at the wire's rate, mono.
    package init(wire: AudioFormat) throws(DialectError) {
        try DialectError.check(wire, of: .modAudioStream, encodings: [.l16])
        self.audio = UplinkAudio(wire: wire)
        self.uplink = self.audio.format
        self.downlink = self.audio.format
    }

    /// The first packet of a file comes 125 ms after the command (measured).
    package var traits: PlayoutTraits {
        PlayoutTraits(
            lead: .seconds(2), capacity: .seconds(60), latency: .milliseconds(125), canFlush: true)
    }

    package var playsThroughControl: ControlPlayback? {
        ControlPlayback(event: "mod_audio_stream::play", chunk: .seconds(2), hole: .milliseconds(150))
    }

    package mutating func received(
        _ kind: MessageKind, _ message: UnsafeRawBufferPointer, _ input: inout DialectInput
    ) {
        switch kind {
        case .binary: self.audio.received(message, into: &input.audio)
        case .text: LegText.received(message, &input)
        }
    }

    package mutating func encode(frame: UnsafeRawBufferPointer, into bytes: inout [UInt8]) -> MessageKind? {
        StreamAudioMessage.encode(frame, format: self.downlink, into: &bytes)
    }

    package mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind? { nil }
}
