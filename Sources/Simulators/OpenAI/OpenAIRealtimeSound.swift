import Audio
import Telephony

/// The audio of one answer in the session's format: whole for speech, one period-true second over and over for a tone,
/// so that an hour of it needs no hour's memory.
struct OpenAIRealtimeSound: Sendable {
    private let bytes: [UInt8]
    /// Bytes in all; more than `bytes` has where it repeats.
    let count: Int

    init(_ answer: OpenAIRealtimeScript.Answer, script: OpenAIRealtimeScript, format: AudioFormat, flood: Duration?) {
        if let flood {
            self.init(hertz: 440, flood, format)
            return
        }
        switch answer.sound {
        case .utterance:
            if let pcm = script.utterances[answer.text] {
                self.init(pcm: pcm, .realtime, format)
            } else {
                self.init(hertz: 440, .milliseconds(60 * answer.text.count), format)
            }
        case .tone(let hertz, let duration): self.init(hertz: hertz, duration, format)
        case .pcm(let pcm, let rate): self.init(pcm: pcm, rate, format)
        }
    }

    private init(hertz: Double, _ duration: Duration, _ format: AudioFormat) {
        // A whole number of hertz repeats itself every second without a click.
        var tone = Tone(hertz.rounded(), amplitude: 0.25, rate: format.rate)
        var samples: [Int16] = []
        tone.append(samples: min(format.rate.hertz, format.rate.samples(in: duration)), to: &samples)
        let pcm = samples.withUnsafeBytes { Array($0) }
        self.bytes = OpenAIRealtimeSound.converted(pcm, from: .l16(format.rate), to: format)
        self.count = self.bytes.isEmpty ? 0 : format.bytes(in: duration)
    }

    private init(pcm: [UInt8], _ rate: SampleRate, _ format: AudioFormat) {
        self.bytes = OpenAIRealtimeSound.converted(pcm, from: .l16(rate), to: format)
        self.count = self.bytes.count
    }

    private static func converted(_ pcm: [UInt8], from source: AudioFormat, to target: AudioFormat) -> [UInt8] {
        guard var transcoder = try? Transcoder(from: source, to: target) else { return [] }
        var bytes: [UInt8] = []
        pcm.withUnsafeBytes { transcoder.convert($0, into: &bytes) }
        transcoder.finish(into: &bytes)
        return bytes
    }

    /// Appends the Base64 of `range` to `text`.
    func appendBase64(_ range: Range<Int>, to text: inout [UInt8]) {
        let start = range.lowerBound % max(1, self.bytes.count)
        if start + range.count <= self.bytes.count {
            self.bytes.withUnsafeBytes { all in
                Base64.encode(UnsafeRawBufferPointer(rebasing: all[start..<start + range.count]), into: &text)
            }
            return
        }
        let piece = range.map { self.bytes[$0 % self.bytes.count] }
        piece.withUnsafeBytes { Base64.encode($0, into: &text) }
    }
}
