import Audio
import RTPMedia
import Simulators
import Telephony
import Testing

@Suite("Calls over bad networks (seeded)") struct RTPEmulatedCallTests {
    /// Two minutes of a voice with pauses.
    private static let voice: [[UInt8]] = SyntheticVoice().frames(6000)

    private static func call(
        _ conditions: NetworkEmulator.Conditions, seed: UInt64 = 1, drift: Double = 0,
        limits: JitterBuffer.Limits = .standard
    ) -> EmulatedRTPCall.Result {
        EmulatedRTPCall(
            configuration: .init(law: .mu, limits: limits), conditions: conditions, seed: seed, drift: drift
        ).run(frames: self.voice.count) { self.voice[$0] }
    }

    @Test("What is made up is what was lost, and no more", arguments: [0.0, 0.01, 0.03, 0.05, 0.10])
    func loss(share: Double) {
        let result = Self.call(.init(loss: share))
        #expect(abs(result.statistics.lossShare - share) < 0.02)
        #expect(abs(result.statistics.concealedShare - result.statistics.lossShare) < 0.001)
        #expect(result.statistics.packetsLate == 0)
        #expect(result.statistics.depthMean < .milliseconds(45))
    }

    @Test("Jitter within the limits is taken up by the depth", arguments: [10, 20, 40, 60], [true, false])
    func jitter(milliseconds: Int, keepsOrder: Bool) {
        let result = Self.call(.init(jitter: .milliseconds(milliseconds), keepsOrder: keepsOrder))
        #expect(result.statistics.packetsLost == 0)
        #expect(result.statistics.concealedShare < 0.005)
        #expect(result.statistics.depthMean < .milliseconds(milliseconds + 40))
    }

    @Test("Where nothing is set, jitter of 100 ms is taken up; with RTP_JITTER_MAX_MS=60 it is not") func wideJitter()
        throws
    {
        let result = Self.call(.init(jitter: .milliseconds(100)))
        #expect(result.statistics.concealedShare < 0.005)
        let limits = try JitterBuffer.Limits(minimum: nil, maximum: 60, target: nil)
        let narrow = Self.call(.init(jitter: .milliseconds(100)), limits: limits)
        #expect(narrow.statistics.depthMean < .milliseconds(85))
        #expect(narrow.statistics.packetsLate > 1000)
    }

    @Test("Clocks that differ by 200 ppm for two minutes", arguments: [200.0, -200.0])
    func drift(ppm: Double) {
        let result = Self.call(.init(jitter: .milliseconds(5)), drift: ppm)
        #expect(result.statistics.concealedShare < 0.002)
        #expect(result.statistics.depthMean < .milliseconds(50))
        #expect(result.kinds.contains(.adjusted))
    }

    @Test("Everything at once, and every frame is there", arguments: 1...10 as ClosedRange<UInt64>)
    func everything(seed: UInt64) {
        let result = Self.call(
            .init(loss: 0.05, lossRun: 2, jitter: .milliseconds(80), duplication: 0.05, reordering: 0.05), seed: seed,
            drift: 200)
        #expect(result.codes.count == result.kinds.count * 160)
        #expect(result.kinds.count == Self.voice.count + 10)
        #expect(result.statistics.concealedShare < 0.5)
        #expect(result.statistics.packetsReceived <= result.packetsSent)
    }

    @Test("The same seed makes the same call") func deterministic() {
        let conditions = NetworkEmulator.Conditions(loss: 0.05, jitter: .milliseconds(60), duplication: 0.01)
        let (first, second) = (Self.call(conditions, seed: 9), Self.call(conditions, seed: 9))
        #expect(first.codes == second.codes)
        #expect(first.statistics == second.statistics)
        #expect(Self.call(conditions, seed: 10).codes != first.codes)
    }

    @Test("A pause in which nothing is sent is neither lost nor made up") func pauses() {
        let speaker = SyntheticVoice()
        let result = EmulatedRTPCall(conditions: .init(jitter: .milliseconds(15)), seed: 3).run(
            frames: Self.voice.count
        ) { speaker.isSpeaking(in: $0) ? Self.voice[$0] : nil }
        #expect(result.statistics.packetsLost == 0)
        #expect(result.statistics.audioConcealed < .milliseconds(100))
        #expect(result.statistics.audioPlayed > .seconds(85))
    }

    @Test("A tone stays a tone while the depth changes: no click", arguments: [200.0, -200.0])
    func adjustedTone(ppm: Double) {
        // Without pauses: the depth has to change in the middle of it. 400 Hz, amplitude 8000.
        let tone: [Int16] = Tone(frequencies: [400], amplitude: 8000.0 / 32_768, rate: .narrowband).samples(
            for: .seconds(120))
        let result = EmulatedRTPCall(conditions: .init(jitter: .milliseconds(12)), seed: 4, drift: ppm).run(
            frames: tone.count / 160
        ) { index in
            var codes: [UInt8] = []
            tone[(index * 160)..<(index * 160 + 160)].withUnsafeBufferPointer { G711.encode($0, as: .mu, into: &codes) }
            return codes
        }
        #expect(result.kinds.contains(.adjusted))
        var samples: [Int16] = []
        result.codes.withUnsafeBytes { G711.decode($0, as: .mu, into: &samples) }
        // From one sample to the next a sine of 8000 at 400 Hz moves by at most 2513, and µ-law adds its step (256).
        let heard: ArraySlice<Int16> = samples[(160 * 30)..<(samples.count - 160 * 30)]
        let steepest: Int = zip(heard, heard.dropFirst()).map { abs(Int($1) - Int($0)) }.max() ?? 0
        #expect(steepest < 3100)
        let level: Double = Goertzel.amplitude(of: 400, in: Array(heard.suffix(80_000)), rate: .narrowband)
        #expect(level > 0.2)
    }

    @Test("A lost frame in the middle of a voice is made of that voice, and not a hole") func concealedVoice() {
        let voice: [[UInt8]] = SyntheticVoice(phrase: 200, pause: 0).frames(200)
        let result = EmulatedRTPCall(conditions: .init(loss: 0.04), seed: 11).run(frames: 200) { voice[$0] }
        var ratios: [Double] = []
        for index in 5..<195 where result.kinds[index] == .concealed && result.kinds[index - 1] == .audio {
            ratios.append(Self.level(result, index) - Self.level(result, index - 1))
        }
        #expect(!ratios.isEmpty)
        // Within 12 dB of the frame before, where a hole would be 70 dB below it.
        #expect(ratios.allSatisfy { abs($0) < 12 })
    }

    private static func level(_ result: EmulatedRTPCall.Result, _ frame: Int) -> Double {
        result.codes[(frame * 160)..<(frame * 160 + 160)].withUnsafeBytes { Level(of: $0, encoding: .pcmu).rms }
    }
}
