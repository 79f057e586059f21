/// Samples per second. The rate travels with the audio: a sample count is not a time.
package struct SampleRate: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
    package let hertz: Int
    package init(hertz: Int) { self.hertz = hertz }

    package static let narrowband = SampleRate(hertz: 8000)
    package static let wideband = SampleRate(hertz: 16000)
    package static let realtime = SampleRate(hertz: 24000)
    package static let fullband = SampleRate(hertz: 48000)

    package static func < (lhs: SampleRate, rhs: SampleRate) -> Bool { lhs.hertz < rhs.hertz }
    package var description: String { "\(self.hertz) Hz" }

    /// Samples of one channel in `duration`, rounded down.
    package func samples(in duration: Duration) -> Int {
        let nanoseconds = duration.nanoseconds
        let (product, isOver) = nanoseconds.multipliedReportingOverflow(by: Int64(self.hertz))
        guard isOver else { return Int(product / 1_000_000_000) }
        // From six days at 16 kHz on: whole seconds and the rest of one, each for itself.
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Int(seconds) * self.hertz + Int(rest * Int64(self.hertz) / 1_000_000_000)
    }
}

/// How one sample is written.
package enum AudioEncoding: String, Sendable, Codable {
    /// Signed 16-bit, little-endian, linear ("L16" in this field, although RFC 3551 means big-endian by it).
    case l16
    /// G.711 µ-law.
    case pcmu
    /// G.711 A-law.
    case pcma

    package var bytesPerSample: Int { self == .l16 ? 2 : 1 }
    /// The byte that a silent stretch is made of.
    package var silence: UInt8 {
        switch self {
        case .l16: 0
        case .pcmu: 0xFF
        case .pcma: 0xD5
        }
    }
}

/// What the bytes of a leg or an assistant mean. Stated by URL, metadata, configuration or SDP; never guessed.
package struct AudioFormat: Hashable, Sendable, CustomStringConvertible {
    package var encoding: AudioEncoding
    package var rate: SampleRate
    /// 2 only on the uplink of a module that streams `stereo` (left the caller, right what the caller hears).
    package var channels: Int

    package init(_ encoding: AudioEncoding, _ rate: SampleRate, channels: Int = 1) {
        self.encoding = encoding
        self.rate = rate
        self.channels = channels
    }

    package static let pcmu = AudioFormat(.pcmu, .narrowband)
    package static let pcma = AudioFormat(.pcma, .narrowband)
    package static func l16(_ rate: SampleRate) -> AudioFormat { AudioFormat(.l16, rate) }

    package var bytesPerSample: Int { self.encoding.bytesPerSample * self.channels }
    package var bytesPerSecond: Int { self.bytesPerSample * self.rate.hertz }

    /// Bytes in `duration`, whole samples, rounded down.
    package func bytes(in duration: Duration) -> Int { self.rate.samples(in: duration) * self.bytesPerSample }

    /// How long `bytes` sound.
    package func duration(ofBytes bytes: Int) -> Duration {
        .nanoseconds(Int64(bytes / self.bytesPerSample) * 1_000_000_000 / Int64(self.rate.hertz))
    }

    package var description: String {
        "\(self.encoding.rawValue)/\(self.rate.hertz)" + (self.channels == 1 ? "" : "/\(self.channels)")
    }
}

extension Duration {
    /// The whole duration in nanoseconds (good for 292 years).
    package var nanoseconds: Int64 {
        // Not by `components`, which is several unspecialised 128-bit operations of the library: this is asked for some
        // thirty times a frame.
        Int64(truncatingIfNeeded: self.attoseconds / 1_000_000_000)
    }

    /// The whole duration in milliseconds, rounded down.
    package var milliseconds: Int { Int(self.nanoseconds / 1_000_000) }

    /// The duration in seconds, for metrics and records.
    package var inSeconds: Double { Double(self.nanoseconds) / 1e9 }
}
