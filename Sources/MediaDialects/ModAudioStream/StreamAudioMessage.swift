import Telephony

/// `streamAudio`: the text by which mod_audio_stream and its forks take audio down.
enum StreamAudioMessage {
    /// Appends the message. Nothing for a frame without a whole sample.
    static func encode(_ frame: UnsafeRawBufferPointer, format: AudioFormat, into bytes: inout [UInt8]) -> MessageKind?
    {
        let whole: Int = frame.count / format.bytesPerSample * format.bytesPerSample
        guard whole > 0 else { return nil }
        JSONText.append("{\"type\":\"streamAudio\",\"data\":{\"audioDataType\":\"", to: &bytes)
        switch format.encoding {
        case .l16: JSONText.append("raw", to: &bytes)
        case .pcmu: JSONText.append("pcmu", to: &bytes)
        case .pcma: JSONText.append("pcma", to: &bytes)
        }
        JSONText.append("\",\"sampleRate\":", to: &bytes)
        JSONText.appendInteger(format.rate.hertz, to: &bytes)
        JSONText.append(",\"audioData\":\"", to: &bytes)
        Base64.encode(UnsafeRawBufferPointer(rebasing: frame[..<whole]), into: &bytes)
        JSONText.append("\"}}", to: &bytes)
        return .text
    }
}
