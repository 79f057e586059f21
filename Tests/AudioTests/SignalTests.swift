import Audio
import Telephony
import Testing

@Suite struct SignalTests {
    @Test("Levels are dBFS: full sine −3, half of it −9, silence the floor")
    func levels() {
        let full: [Int16] = Tone(1000, amplitude: 1, rate: .narrowband).samples(for: .seconds(1))
        let half: [Int16] = Tone(1000, amplitude: 0.5, rate: .narrowband).samples(for: .seconds(1))
        let fullLevel: Level = full.withUnsafeBufferPointer { Level(of: $0) }
        #expect(abs(fullLevel.rms + 3.01) < 0.02)
        #expect(abs(fullLevel.peak) < 0.01)
        let halfLevel: Level = half.asBytes.withUnsafeBytes { Level(of: $0, encoding: .l16) }
        #expect(abs(halfLevel.rms + 9.03) < 0.02)
        let silence = [UInt8](repeating: 0xFF, count: 160)
        #expect(silence.withUnsafeBytes { Level(of: $0, encoding: .pcmu) } == .silence)
        #expect(UnsafeRawBufferPointer(start: nil, count: 0).level == .silence)
        let loudest = [Int16](repeating: .min, count: 160)
        #expect(loudest.withUnsafeBufferPointer { Level(of: $0) } == Level(rms: 0, peak: 0))
    }

    @Test("G.711 measures as its samples do", arguments: G711.Law.allCases)
    func lawLevel(law: G711.Law) {
        let tone: [Int16] = Tone(1000, amplitude: 0.3, rate: .narrowband).samples(for: .milliseconds(100))
        var codes: [UInt8] = []
        tone.withUnsafeBufferPointer { G711.encode($0, as: law, into: &codes) }
        let level: Level = codes.withUnsafeBytes { Level(of: $0, encoding: law == .mu ? .pcmu : .pcma) }
        #expect(abs(level.rms - tone.withUnsafeBufferPointer { Level(of: $0).rms }) < 0.2)
    }

    @Test("The level alone is that of the whole measurement", arguments: [AudioEncoding.l16, .pcmu, .pcma])
    func levelAlone(encoding: AudioEncoding) {
        let frames: [[UInt8]] = [
            [], Array(repeating: encoding.silence, count: 320), (0..<320).map { UInt8(truncatingIfNeeded: $0 &* 37) },
            Array(repeating: 0x80, count: 321),
        ]
        for frame in frames {
            frame.withUnsafeBytes { bytes in
                #expect(Level.rms(of: bytes, encoding: encoding) == Level(of: bytes, encoding: encoding).rms)
            }
        }
    }

    @Test("Every key is heard as its own two tones and no other", arguments: Tone.keypad)
    func keypad(digit: Character) throws {
        let tone = try #require(Tone(digit: digit, amplitude: 0.25, rate: .narrowband))
        let samples: [Int16] = tone.samples(for: .milliseconds(100))
        let pair = try #require(Tone.frequencies(of: digit))
        for hertz in Tone.rows + Tone.columns {
            let amplitude: Double = Goertzel.amplitude(of: hertz, in: samples, rate: .narrowband)
            if hertz == pair.row || hertz == pair.column {
                #expect(abs(amplitude - 0.25) < 0.03)
            } else {
                #expect(amplitude < 0.04)
            }
        }
    }

    @Test("No key, no tone")
    func noKey() {
        #expect(Tone(digit: "x", rate: .narrowband) == nil)
    }

    @Test("A tone made in pieces is the tone made at once")
    func continuous() {
        let whole: [Int16] = Tone(440, 480, rate: .narrowband).samples(for: .seconds(1))
        var tone = Tone(440, 480, rate: .narrowband)
        var pieces: [Int16] = []
        for _ in 0..<50 { tone.append(samples: 160, to: &pieces) }
        #expect(pieces == whole)
    }

    @Test(
        "Ringing has its country's length, pitch and pause",
        arguments: [
            (cadence: Tone.Cadence.europe, seconds: 5), (cadence: .northAmerica, seconds: 6),
            (cadence: .unitedKingdom, seconds: 3),
        ])
    func ringback(cadence: Tone.Cadence, seconds: Int) {
        let samples: [Int16] = Tone.ringback(cadence, rate: .narrowband)
        #expect(samples.count == seconds * 8000)
        for hertz in cadence.frequencies {
            #expect(abs(Goertzel.amplitude(of: hertz, in: Array(samples[0..<1600]), rate: .narrowband) - 0.1) < 0.01)
        }
        #expect(samples.suffix(8000).allSatisfy { $0 == 0 })
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var level: Level { Level(of: self, encoding: .l16) }
}
