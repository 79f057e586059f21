import Audio
import Telephony

/// The fork of mod_audio_stream that plays into the call ("netplay", captures/ws-netplay-*): PCMU, PCMA or L16 up;
/// `streamAudio` down into a ring.
///
/// Its `sampleRate` is ignored: all that comes down plays as 8 kHz, so 8 kHz is all that is sent. It plays nothing
/// before it holds its warm-up (400 ms, or `STREAM_PLAYBACK_WARMUP_MS`), so utterances shorter than that, and tails,
/// want padding with silence (`tail`). Its ring holds 2.0 s and drops the oldest. It writes µ-law whatever the
/// channel's codec: the dialplan has to force PCMU. `stopAudio` empties the ring within 20 ms.
package struct ModAudioStreamFork: MediaDialect {
    package let name = "mod-audio-stream-fork"
    package let uplink: AudioFormat
    package let downlink: AudioFormat = .l16(.narrowband)
    package let warmUp: Duration
    private var audio: UplinkAudio

    /// Below this its buffer counts as run dry (`STREAM_PLAYBACK_LOW_WATER_MS`, field.md §3.1).
    private static let lowWater: Duration = .milliseconds(160)
    private static let ring: Duration = .seconds(2)

    /// `warmUp` is what `STREAM_PLAYBACK_WARMUP_MS` was set to: 20 ms to 1.5 s.
    package init(wire: AudioFormat, warmUp: Duration = .milliseconds(400)) throws(DialectError) {
        try DialectError.check(wire, of: .modAudioStreamFork, encodings: [.l16, .pcmu, .pcma])
        guard warmUp >= .milliseconds(20), warmUp <= .milliseconds(1500) else { throw .warmUpOutOfRange }
        self.warmUp = warmUp
        self.audio = UplinkAudio(wire: wire)
        self.uplink = self.audio.format
    }

    package var traits: PlayoutTraits {
        PlayoutTraits(
            lead: max(self.warmUp, Self.lowWater) + .milliseconds(60), warmUp: self.warmUp, capacity: Self.ring,
            latency: .milliseconds(20), canFlush: true)
    }

    /// As much as the warm-up: the end of an utterance that found the ring dry starts it again.
    package var tail: Duration { self.warmUp }

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

    package mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind? {
        guard command == .flush else { return nil }
        JSONText.append("{\"type\":\"stopAudio\"}", to: &bytes)
        return .text
    }
}
