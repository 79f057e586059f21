import Audio
import Telephony

/// Builds of mod_audio_stream that play at once what comes down: the commercial one (1.0.3 and later) and patched ones.
///
/// Down: binary frames, or `streamAudio` texts. What flushes them differs from build to build (field.md §4.6), so the
/// text is configured; without one nothing is sent, and `traits.canFlush` is false. A message of about 120 KB drops
/// the socket (1006), so more than 8 KiB of audio is refused. Measured only against the bench (`bench/load`), since the
/// commercial module was not at hand: probe the flush text before use.
package struct BinaryDown: MediaDialect {
    package enum Style: String, Sendable, CaseIterable, Codable { case binary, streamAudio }

    package let name = "binary-down"
    package let uplink: AudioFormat
    package let downlink: AudioFormat
    package let style: Style
    private let flushText: [UInt8]
    private var audio: UplinkAudio

    /// Bytes of audio in one message at most.
    package static let frameLimit = 8192

    /// `downlink` nil: as the uplink, mono. `flushText` is sent as it is, as one text message of at most 1 KiB.
    package init(
        wire: AudioFormat, downlink: AudioFormat? = nil, style: Style = .binary, flushText: String? = nil
    ) throws(DialectError) {
        try DialectError.check(wire, of: .binaryDown, encodings: [.l16, .pcmu, .pcma])
        let down: AudioFormat = downlink ?? AudioFormat(wire.encoding, wire.rate)
        try DialectError.check(down, of: .binaryDown, encodings: [.l16, .pcmu, .pcma])
        guard down.channels == 1 else { throw .channelsUnsupported(.binaryDown) }
        guard (flushText?.utf8.count ?? 1) <= 1024, flushText != "" else { throw .flushTextInvalid }
        self.audio = UplinkAudio(wire: wire)
        self.uplink = self.audio.format
        self.downlink = down
        self.style = style
        self.flushText = Array((flushText ?? "").utf8)
    }

    package var traits: PlayoutTraits {
        PlayoutTraits(lead: .milliseconds(60), latency: .milliseconds(20), canFlush: !self.flushText.isEmpty)
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
        guard frame.count <= Self.frameLimit else { return nil }
        switch self.style {
        case .streamAudio: return StreamAudioMessage.encode(frame, format: self.downlink, into: &bytes)
        case .binary:
            let size: Int = self.downlink.bytesPerSample
            let whole: Int = frame.count / size * size
            guard whole > 0 else { return nil }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: frame[..<whole]))
            return .binary
        }
    }

    package mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind? {
        guard command == .flush, !self.flushText.isEmpty else { return nil }
        bytes.append(contentsOf: self.flushText)
        return .text
    }
}
