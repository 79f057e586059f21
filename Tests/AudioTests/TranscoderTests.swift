import Audio
import Telephony
import Testing

private func converted(
    _ bytes: [UInt8], from source: AudioFormat, to target: AudioFormat, by size: Int = .max
) throws -> [UInt8] {
    var transcoder = try Transcoder(from: source, to: target)
    var output: [UInt8] = []
    var offset = 0
    while offset < bytes.count {
        let end: Int = size < bytes.count - offset ? offset + size : bytes.count
        bytes[offset..<end].withUnsafeBytes { transcoder.convert($0, into: &output) }
        offset = end
    }
    transcoder.finish(into: &output)
    return output
}

@Suite struct TranscoderTests {
    static let pairs: [(from: Int, to: Int)] = [
        (8000, 16000), (8000, 24000), (8000, 48000), (16000, 8000), (16000, 24000), (24000, 8000), (24000, 16000),
        (24000, 48000), (48000, 8000), (22050, 8000), (22050, 16000), (22050, 24000),
    ]

    @Test("A tone keeps its pitch, its level and its length through every rate", arguments: pairs)
    func pitch(from: Int, to: Int) throws {
        let source = SampleRate(hertz: from)
        let target = SampleRate(hertz: to)
        let input: [Int16] = Tone(1000, amplitude: 0.5, rate: source).samples(for: .seconds(1))
        let output: [Int16] = try converted(input.asBytes, from: .l16(source), to: .l16(target)).asSamples
        #expect(abs(output.count - to) <= 8)
        let ears = Ears(listeningTo: output[(to / 10)..<(to * 9 / 10)], for: 1000, at: target)
        #expect(ears.ratio > 60)
        #expect(abs(ears.amplitude - 0.5) < 0.01)
    }

    @Test("The band of a telephone comes through as it was, to 3.4 kHz", arguments: [300, 1800, 2700, 3400])
    func band(hertz: Int) throws {
        for (from, to) in [(8000, 24000), (24000, 8000), (8000, 16000), (16000, 8000), (48000, 8000)] {
            let (source, target) = (SampleRate(hertz: from), SampleRate(hertz: to))
            let input: [Int16] = Tone(Double(hertz), amplitude: 0.5, rate: source).samples(for: .seconds(1))
            let output: [Int16] = try converted(input.asBytes, from: .l16(source), to: .l16(target)).asSamples
            let ears = Ears(listeningTo: output[(to / 10)..<(to * 9 / 10)], for: Double(hertz), at: target)
            // A tenth of a decibel.
            #expect(abs(ears.amplitude - 0.5) < 0.006)
            #expect(ears.ratio > 70)
        }
    }

    @Test("The loudest input that a filter can meet is clipped, never turned over", arguments: pairs)
    func loudest(from: Int, to: Int) throws {
        // Every sample at full scale, its sign that of a sinc: what sums up highest.
        let step: Double = max(1, Double(from) / Double(to))
        for sign in [1.0, -1.0] {
            let input: [Int16] = (0..<2000).map { index in
                let time: Double = (Double(index) - 1000) / step
                let lobe = Int(abs(time).rounded(.down))
                return sign * (lobe % 2 == 0 ? 1 : -1) * (lobe == 0 ? 1 : -1) < 0 ? .min : .max
            }
            let output: [Int16] = try converted(
                input.asBytes, from: .l16(SampleRate(hertz: from)), to: .l16(SampleRate(hertz: to))
            ).asSamples
            let middle: Int = 1000 * to / from
            #expect(sign > 0 ? output[middle] == .max : output[middle] == .min)
        }
    }

    @Test("A level stays a level, in every phase", arguments: pairs)
    func level(from: Int, to: Int) throws {
        let input = [Int16](repeating: 10_000, count: from / 4)
        let output: [Int16] = try converted(
            input.asBytes, from: .l16(SampleRate(hertz: from)), to: .l16(SampleRate(hertz: to))
        ).asSamples
        #expect(output[(to / 20)..<(to / 5)].allSatisfy { $0 == 10_000 })
    }

    @Test("Output sample 0 belongs to input sample 0: the filter's delay is not heard")
    func aligned() throws {
        let input: [Int16] = Tone(500, amplitude: 0.5, rate: .narrowband).samples(for: .milliseconds(200))
        let output: [Int16] = try converted(input.asBytes, from: .l16(.narrowband), to: .l16(.realtime)).asSamples
        for index in stride(from: 200, to: 1400, by: 1) {
            #expect(abs(Int(output[index * 3]) - Int(input[index])) < 40)
        }
    }

    @Test(
        "Chunks of any size give the same bytes as the whole: no frame border is heard",
        arguments: [1, 3, 7, 160, 320, 321, 640, 4801])
    func chunked(size: Int) throws {
        let tone: [Int16] = Tone(697, 1209, amplitude: 0.3, rate: .wideband).samples(for: .milliseconds(400))
        for target in [AudioFormat.l16(.realtime), .l16(.narrowband), .pcmu, .pcma] {
            let whole: [UInt8] = try converted(tone.asBytes, from: .l16(.wideband), to: target)
            let pieces: [UInt8] = try converted(tone.asBytes, from: .l16(.wideband), to: target, by: size)
            #expect(whole == pieces)
        }
    }

    @Test("Equal formats pass untouched, odd bytes too")
    func passThrough() throws {
        let bytes: [UInt8] = (0..<1001).map { UInt8(truncatingIfNeeded: $0 * 7) }
        for format in [AudioFormat.pcmu, .pcma, .l16(.wideband), AudioFormat(.l16, .wideband, channels: 2)] {
            #expect(try Transcoder(from: format, to: format).isPassThrough)
            #expect(try converted(bytes, from: format, to: format, by: 77) == bytes)
        }
    }

    @Test("G.711 through a service at 24 kHz and back is still the tone")
    func g711() throws {
        for format in [AudioFormat.pcmu, .pcma] {
            let tone: [Int16] = Tone(1000, amplitude: 0.5, rate: .narrowband).samples(for: .seconds(1))
            let codes: [UInt8] = try converted(tone.asBytes, from: .l16(.narrowband), to: format)
            #expect(codes.count == 8000)
            let service: [UInt8] = try converted(codes, from: format, to: .l16(.realtime))
            let heard: [UInt8] = try converted(service, from: .l16(.realtime), to: format)
            var samples: [Int16] = []
            try #require(format.encoding.law).decode(heard, into: &samples)
            let ears = Ears(listeningTo: samples[800..<7200], for: 1000, at: .narrowband)
            #expect(ears.ratio > 33)
            #expect(abs(ears.amplitude - 0.5) < 0.02)
        }
    }

    @Test("Stereo becomes the mean of its sides without overflow")
    func stereo() throws {
        let pairs: [Int16] = [32767, 32767, -32768, -32768, 100, 300, -100, 100]
        let source = AudioFormat(.l16, .narrowband, channels: 2)
        let mono: [UInt8] = try converted(pairs.asBytes, from: source, to: .l16(.narrowband), by: 3)
        #expect(mono.asSamples == [32767, -32768, 200, 0])
    }

    @Test("After a reset nothing of what came before is heard")
    func reset() throws {
        var transcoder = try Transcoder(from: .l16(.realtime), to: .l16(.narrowband))
        let loud: [UInt8] = Tone(1000, amplitude: 0.9, rate: .realtime).samples(for: .milliseconds(50)).asBytes
        var output: [UInt8] = []
        loud.withUnsafeBytes { transcoder.convert($0, into: &output) }
        [UInt8](repeating: 9, count: 1).withUnsafeBytes { transcoder.convert($0, into: &output) }
        transcoder.reset()
        output.removeAll()
        [UInt8](repeating: 0, count: 4800).withUnsafeBytes { transcoder.convert($0, into: &output) }
        transcoder.finish(into: &output)
        #expect(abs(output.count - 1600) <= 4)
        #expect(output.allSatisfy { $0 == 0 })
    }

    @Test("What lies above the lower rate's band does not come back as another pitch")
    func noAlias() throws {
        let high: [UInt8] = Tone(6000, amplitude: 0.9, rate: .realtime).samples(for: .seconds(1)).asBytes
        let output: [Int16] = try converted(high, from: .l16(.realtime), to: .l16(.narrowband)).asSamples
        #expect(output[800..<7200].allSatisfy { abs(Int($0)) <= 8 })
    }

    @Test("What cannot be done is said, not tried")
    func refused() {
        #expect(throws: Transcoder.Failure.unsupportedChannels(2)) {
            try Transcoder(from: .pcmu, to: AudioFormat(.l16, .narrowband, channels: 2))
        }
        #expect(throws: Transcoder.Failure.unsupportedChannels(0)) {
            try Transcoder(from: AudioFormat(.l16, .narrowband, channels: 0), to: .pcmu)
        }
        #expect(throws: Transcoder.Failure.resampler(.unsupportedRate(hertz: 0))) {
            try Transcoder(from: .l16(SampleRate(hertz: 0)), to: .pcmu)
        }
        #expect(throws: Transcoder.Failure.resampler(.unsupportedRatio(from: 8001, to: 16000))) {
            try Transcoder(from: .l16(SampleRate(hertz: 8001)), to: .l16(.wideband))
        }
    }
}

extension G711.Law {
    fileprivate func decode(_ codes: [UInt8], into samples: inout [Int16]) {
        codes.withUnsafeBytes { G711.decode($0, as: self, into: &samples) }
    }
}
