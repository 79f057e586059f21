import Audio
import Telephony

/// Keeps both sides of a call for a stereo WAV: left what was said, right what was heard.
struct PhoneTape: Sendable {
    private let rate: SampleRate
    private let isOn: Bool
    private var said: [Int16] = []
    private var heard: [UInt8] = []
    private var transcoder: Transcoder?
    private let limit: Int

    init(_ configuration: PhoneConfiguration) {
        self.rate = configuration.uplink.rate
        self.isOn = configuration.records
        self.limit = self.rate.samples(in: min(configuration.maximumDuration, .seconds(3600)) + .seconds(1))
        self.transcoder = self.isOn ? try? Transcoder(from: .l16(configuration.earRate), to: .l16(self.rate)) : nil
    }

    /// One frame of each side. The sides need not be of equal length: the resampler gives its first frames late, and
    /// its samples belong to where they stand.
    mutating func record(said: [Int16], heard: [Int16]) {
        guard self.isOn, self.said.count < self.limit else { return }
        self.said.append(contentsOf: said)
        heard.withUnsafeBytes { self.transcoder?.convert($0, into: &self.heard) }
    }

    mutating func recording() -> WAV? {
        guard self.isOn else { return nil }
        self.transcoder?.finish(into: &self.heard)
        var samples: [UInt8] = []
        samples.reserveCapacity(self.said.count * 4)
        for (index, sample) in self.said.enumerated() {
            let bits = UInt16(bitPattern: sample)
            samples.append(UInt8(truncatingIfNeeded: bits))
            samples.append(UInt8(truncatingIfNeeded: bits >> 8))
            let isKnown: Bool = index * 2 + 1 < self.heard.count
            samples.append(isKnown ? self.heard[index * 2] : 0)
            samples.append(isKnown ? self.heard[index * 2 + 1] : 0)
        }
        return WAV(format: AudioFormat(.l16, self.rate, channels: 2), samples: samples)
    }
}
