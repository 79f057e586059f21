import Glibc
import Audio
import RTPMedia
import Telephony

/// One direction of a call over an emulated network, in virtual time: a speaker's frames become packets, some arrive, and
/// a receiver gives out a frame every 20 ms. For tests and for the table in docs/rtp.md.
package struct EmulatedRTPCall {
    package struct Result: Sendable {
        /// What was given out, 160 codes a pull.
        package var codes: [UInt8] = []
        /// One a pull.
        package var kinds: [RTPFrameKind] = []
        package var events: [RTPEvent] = []
        package var statistics = RTPStatistics()
        package var packetsSent = 0

        /// The longest run of frames of these kinds, between the first and the last audio.
        package func longestRun(of kinds: Set<RTPFrameKind>) -> Duration {
            guard let first = self.kinds.firstIndex(of: .audio), let last = self.kinds.lastIndex(of: .audio) else {
                return .zero
            }
            var longest = 0
            var run = 0
            for kind in self.kinds[first...last] {
                run = kinds.contains(kind) ? run + 1 : 0
                longest = max(longest, run)
            }
            return .milliseconds(20) * longest
        }
    }

    private let configuration: RTPReceiver.Configuration
    private let conditions: NetworkEmulator.Conditions
    private let seed: UInt64
    /// How much faster the speaker's clock runs, in millionths.
    private let drift: Double

    package init(
        configuration: RTPReceiver.Configuration = RTPReceiver.Configuration(law: .mu),
        conditions: NetworkEmulator.Conditions, seed: UInt64, drift: Double = 0
    ) {
        self.configuration = configuration
        self.conditions = conditions
        self.seed = seed
        self.drift = drift
    }

    /// `frame`: the speaker's frame number n, 160 codes; nil where nothing is sent (its timestamps go on). Pulling begins
    /// with the first packet sent and ends 200 ms after the last.
    package func run(frames: Int, frame: (Int) -> [UInt8]?) -> Result {
        var network = NetworkEmulator(self.conditions, seed: self.seed)
        var receiver = RTPReceiver(configuration: self.configuration, announced: self.address)
        var result = Result()
        let packets: [(arrival: Duration, bytes: [UInt8])] = self.packets(frames, frame, &network, &result)
        var next = 0
        // 7 ms after the speaker's ticks: the two clocks are nobody's but their own.
        for pull in 0..<(frames + 10) {
            let now: Duration = .milliseconds(20 * pull + 7)
            while next < packets.count, packets[next].arrival <= now {
                packets[next].bytes.withUnsafeBytes {
                    receiver.received($0, from: self.address, at: packets[next].arrival, into: &result.events)
                }
                next += 1
            }
            result.kinds.append(receiver.pull(at: now, into: &result.codes, events: &result.events))
        }
        result.statistics = receiver.statistics
        return result
    }

    private var address: RTPAddress { RTPAddress(ipv4: 0x7F00_0001, port: 4000) }

    /// All that arrives, in the order of arrival.
    private func packets(
        _ frames: Int, _ frame: (Int) -> [UInt8]?, _ network: inout NetworkEmulator, _ result: inout Result
    ) -> [(arrival: Duration, bytes: [UInt8])] {
        var packets: [(arrival: Duration, bytes: [UInt8])] = []
        var sequenceNumber: UInt16 = 65_000
        var wasSilent = true
        for index in 0..<frames {
            guard let codes = frame(index) else {
                wasSilent = true
                continue
            }
            var bytes: [UInt8] = []
            RTPPacket(
                marker: wasSilent, payloadType: self.configuration.law.payloadType, sequenceNumber: sequenceNumber,
                timestamp: 0xFFFF_0000 &+ UInt32(index * 160), ssrc: 0x1234_5678
            ).writeHeader(into: &bytes)
            bytes += codes
            sequenceNumber &+= 1
            wasSilent = false
            result.packetsSent += 1
            let sent: Duration = .nanoseconds(Int64(Double(index) * 20_000_000 / (1 + self.drift / 1e6)))
            for arrival in network.arrivals(ofOneSentAt: sent) { packets.append((arrival, bytes)) }
        }
        // Stable: of two at once, the one sent first comes first.
        return packets.enumerated().sorted { ($0.element.arrival, $0.offset) < ($1.element.arrival, $1.offset) }
            .map(\.element)
    }
}

/// Something that sounds like a voice to a concealer: harmonics of a gliding pitch in syllables, with pauses.
package struct SyntheticVoice: Sendable {
    /// Frames of a phrase, and of the pause behind it. No pause: it never stops.
    package var phrase: Int
    package var pause: Int
    package var pitch: Double
    /// Full scale is 1.
    package var amplitude: Double

    package init(phrase: Int = 75, pause: Int = 25, pitch: Double = 130, amplitude: Double = 0.25) {
        self.phrase = phrase
        self.pause = pause
        self.pitch = pitch
        self.amplitude = amplitude
    }

    package func isSpeaking(in frame: Int) -> Bool { frame % max(1, self.phrase + self.pause) < self.phrase }

    /// Linear samples of `frames` frames; pauses hold a faint noise.
    package func samples(frames: Int, seed: UInt64 = 1) -> [Int16] {
        var random = SeededRandom(seed: seed)
        var samples: [Int16] = []
        samples.reserveCapacity(frames * 160)
        var phase = 0.0
        for index in 0..<(frames * 160) {
            let seconds: Double = Double(index) / 8000
            phase += 2 * Double.pi * self.pitch * (1 + 0.1 * sin(2 * Double.pi * 0.7 * seconds)) / 8000
            var value: Double = (random.fraction() - 0.5) * 0.002
            if self.isSpeaking(in: index / 160) {
                // Four syllables a second.
                let syllable: Double = 0.55 - 0.45 * cos(2 * Double.pi * 4 * seconds)
                var voice = 0.0
                for harmonic in 1...12 { voice += sin(phase * Double(harmonic)) / Double(harmonic) }
                value += self.amplitude * syllable * voice * 0.5
            }
            samples.append(Int16(max(-32_768, min(32_767, value * 32_768))))
        }
        return samples
    }

    /// The same in G.711, cut into frames.
    package func frames(_ count: Int, law: G711.Law = .mu, seed: UInt64 = 1) -> [[UInt8]] {
        let samples: [Int16] = self.samples(frames: count, seed: seed)
        return (0..<count).map { index in
            var codes: [UInt8] = []
            samples.withUnsafeBufferPointer {
                G711.encode(
                    UnsafeBufferPointer(rebasing: $0[(index * 160)..<(index * 160 + 160)]), as: law, into: &codes)
            }
            return codes
        }
    }
}
