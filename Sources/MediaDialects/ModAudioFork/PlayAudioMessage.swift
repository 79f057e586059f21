import Telephony

/// `playAudio`: the text by which mod_audio_fork takes audio down, as a file.
enum PlayAudioMessage {
    /// Appends the message. `audioContentType` is always there: the module compares it without looking whether it is
    /// (source of both modules). Nothing for a frame without a whole sample.
    static func encode(_ frame: UnsafeRawBufferPointer, rate: SampleRate, into bytes: inout [UInt8]) -> MessageKind? {
        let whole: Int = frame.count / 2 * 2
        guard whole > 0 else { return nil }
        JSONText.append("{\"type\":\"playAudio\",\"data\":{\"audioContentType\":\"raw\",\"sampleRate\":", to: &bytes)
        JSONText.appendInteger(rate.hertz, to: &bytes)
        JSONText.append(",\"audioContent\":\"", to: &bytes)
        Base64.encode(UnsafeRawBufferPointer(rebasing: frame[..<whole]), into: &bytes)
        JSONText.append("\"}}", to: &bytes)
        return .text
    }

    static func encodeKill(into bytes: inout [UInt8]) -> MessageKind {
        JSONText.append("{\"type\":\"killAudio\"}", to: &bytes)
        return .text
    }
}
