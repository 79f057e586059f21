import Audio
import Telephony
import Testing

@Suite struct WAVTests {
    static let formats: [AudioFormat] = [
        .l16(.narrowband), .l16(.realtime), AudioFormat(.l16, .wideband, channels: 2), .pcmu, .pcma,
    ]

    @Test("A file that was written reads back the same", arguments: formats)
    func roundTrip(format: AudioFormat) throws {
        let wav = WAV(format: format, samples: [UInt8](repeating: 3, count: format.bytesPerSample * 321))
        let bytes: [UInt8] = wav.encoded()
        #expect(bytes.count % 2 == 0)
        #expect(try WAV(parsing: bytes) == wav)
        // RIFF's own size counts everything after its eight bytes.
        let size: Int = (0..<4).reduce(0) { $0 | Int(bytes[4 + $1]) << (8 * $1) }
        #expect(size == bytes.count - 8)
    }

    @Test("The header of a linear file is the well-known 44 bytes")
    func header() {
        let expected: [UInt8] =
            Array("RIFF".utf8) + [0x64, 1, 0, 0] + Array("WAVEfmt ".utf8)
            + [16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x80, 0x3E, 0, 0, 2, 0, 16, 0]
            + Array("data".utf8) + [0x40, 1, 0, 0]
        #expect(WAV.header(for: .l16(.narrowband), dataBytes: 320) == expected)
    }

    @Test("A recording that nobody closed is read to its end")
    func unclosed() throws {
        let samples: [UInt8] = Array(0..<101)
        let bytes: [UInt8] = WAV.header(for: .l16(.narrowband), dataBytes: 0) + samples
        #expect(try WAV(parsing: bytes).samples == Array(samples.dropLast()))
    }

    @Test("Other chunks are stepped over, odd ones with their padding")
    func otherChunks() throws {
        let wav = WAV(format: .l16(.narrowband), samples: [1, 2, 3, 4])
        var bytes: [UInt8] = wav.encoded()
        bytes.insert(contentsOf: Array("LIST".utf8) + [3, 0, 0, 0, 9, 9, 9, 0], at: 36)
        #expect(try WAV(parsing: bytes) == wav)
    }

    @Test("What is no WAV, or none of ours, is refused by its reason")
    func refused() {
        let file: [UInt8] = WAV(format: .l16(.narrowband), samples: [1, 2, 3, 4]).encoded()
        #expect(throws: WAVError.notWAV) { try WAV(parsing: []) }
        #expect(throws: WAVError.notWAV) { try WAV(parsing: Array("RIFFxxxxAVI ".utf8)) }
        #expect(throws: WAVError.truncated) { try WAV(parsing: Array(file.dropLast())) }
        #expect(throws: WAVError.noSamples) { try WAV(parsing: Array(file.prefix(36))) }
        #expect(throws: WAVError.noFormat) { try WAV(parsing: Array(file.prefix(12) + file.dropFirst(36))) }
        var other: [UInt8] = file
        other[20] = 3
        #expect(throws: WAVError.unsupportedCodec(tag: 3)) { try WAV(parsing: other) }
        other = file
        other[34] = 24
        #expect(throws: WAVError.unsupportedLayout(bits: 24, channels: 1, hertz: 8000)) { try WAV(parsing: other) }
        other = file
        other[22] = 0
        #expect(throws: WAVError.unsupportedLayout(bits: 16, channels: 0, hertz: 8000)) { try WAV(parsing: other) }
    }

    @Test("No mutation of a file does more than fail")
    func mutations() {
        var random = SeededGenerator(seed: 7)
        let file: [UInt8] = WAV(format: .pcmu, samples: [UInt8](repeating: 1, count: 64)).encoded()
        for _ in 0..<10_000 {
            var bytes: [UInt8] = file
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...bytes.count / 4, using: &random))
            if let wav = try? WAV(parsing: bytes) { #expect(wav.samples.count <= bytes.count) }
        }
    }
}

/// splitmix64: the same mutations on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value: UInt64 = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
