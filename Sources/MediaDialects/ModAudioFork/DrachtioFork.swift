import Audio
import Telephony

/// drachtio's mod_audio_fork (subprotocol `audio.drachtio.org`): L16 up, files down.
///
/// `playAudio` becomes a file and the event `mod_audio_fork::play_audio`; the controller plays it. `killAudio` breaks
/// whatever application runs on the channel, so that a call with nothing after it in its dialplan ends
/// (captures/ws-mod_audio_fork.txt: CLOSE 1000 right after it). It is therefore sent only where that is wanted
/// (`Flush.killAudio`: the application waits for the event and goes on); otherwise the flush is `uuid_break` by
/// Event Socket, which that dialect needs for playing anyway.
package struct DrachtioFork: MediaDialect {
    package enum Flush: String, Sendable, CaseIterable, Codable { case control, killAudio }

    package static let subprotocol = "audio.drachtio.org"

    package let name = "mod-audio-fork-drachtio"
    package let uplink: AudioFormat
    package let downlink: AudioFormat
    package let flush: Flush
    private var audio: UplinkAudio

    package init(wire: AudioFormat, flush: Flush = .control) throws(DialectError) {
        try DialectError.check(wire, of: .drachtioFork, encodings: [.l16])
        self.audio = UplinkAudio(wire: wire)
        self.uplink = self.audio.format
        self.downlink = self.audio.format
        self.flush = flush
    }

    package var traits: PlayoutTraits {
        PlayoutTraits(
            lead: .seconds(2), capacity: .seconds(60), latency: .milliseconds(125), canFlush: true)
    }

    package var playsThroughControl: ControlPlayback? {
        ControlPlayback(event: "mod_audio_fork::play_audio", chunk: .seconds(2), hole: .milliseconds(150))
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
        PlayAudioMessage.encode(frame, rate: self.downlink.rate, into: &bytes)
    }

    package mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind? {
        guard command == .flush, self.flush == .killAudio else { return nil }
        return PlayAudioMessage.encodeKill(into: &bytes)
    }
}
