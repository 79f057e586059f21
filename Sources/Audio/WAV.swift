import Telephony

/// Why bytes are not a WAV file that we play.
package enum WAVError: Error, Equatable {
    /// No `RIFF`…`WAVE` at the start.
    case notWAV
    /// A chunk ends beyond the file, or the file before its chunks.
    case truncated
    /// No `fmt ` before the samples, or one that is too short.
    case noFormat
    case noSamples
    /// Another codec than 1 (PCM), 6 (A-law), 7 (µ-law).
    case unsupportedCodec(tag: Int)
    /// Not 16-bit linear or 8-bit G.711, mono or stereo, 8–48 kHz.
    case unsupportedLayout(bits: Int, channels: Int, hertz: Int)
}

/// A WAV file as a value: its format and its samples as they are in the file.
///
/// Of the chunks only `fmt ` and `data` are read (RIFF MCI 1.0, and Microsoft's WAVE_FORMAT_EXTENSIBLE).
package struct WAV: Sendable, Equatable {
    package var format: AudioFormat
    /// Whole samples (of all channels).
    package var samples: [UInt8]

    package init(format: AudioFormat, samples: [UInt8]) {
        self.format = format
        self.samples = samples
    }

    /// Linear mono.
    package init(linear samples: [Int16], rate: SampleRate) {
        self.init(format: .l16(rate), samples: samples.withUnsafeBytes { Array($0) })
    }

    package var duration: Duration { self.format.duration(ofBytes: self.samples.count) }

    /// Reads a file. A `data` chunk whose size is 0 or 0xFFFFFFFF (a recorder that was killed, a stream) reaches to the
    /// end of the bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WAVError) {
        guard bytes.count >= 12, WAV.tag(at: 0, of: bytes) == WAV.riff, WAV.tag(at: 8, of: bytes) == WAV.wave else {
            throw .notWAV
        }
        var offset = 12
        var format: AudioFormat?
        while offset + 8 <= bytes.count {
            let tag: UInt32 = WAV.tag(at: offset, of: bytes)
            let size: Int = WAV.number(at: offset + 4, of: bytes)
            let start: Int = offset + 8
            let rest: Int = bytes.count - start
            if tag == WAV.data {
                guard let format else { throw .noFormat }
                let isOpen: Bool = size == 0 || size == 0xFFFF_FFFF
                guard isOpen || size <= rest else { throw .truncated }
                let length: Int = (isOpen ? rest : size) / format.bytesPerSample * format.bytesPerSample
                self.init(format: format, samples: Array(bytes[start..<start + length]))
                return
            }
            guard size <= rest else { throw .truncated }
            if tag == WAV.fmt {
                format = try WAV.format(in: UnsafeRawBufferPointer(rebasing: bytes[start..<start + size]))
            }
            // Chunks begin at even offsets.
            offset = start + size + size % 2
        }
        throw .noSamples
    }

    package init(parsing bytes: [UInt8]) throws(WAVError) {
        let result: Result<WAV, WAVError> = bytes.withUnsafeBytes { bytes in
            do throws(WAVError) { return .success(try WAV(parsing: bytes)) } catch { return .failure(error) }
        }
        self = try result.get()
    }

    /// The whole file.
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = WAV.header(for: self.format, dataBytes: self.samples.count)
        bytes += self.samples
        if self.samples.count % 2 == 1 { bytes.append(0) }
        return bytes
    }

    /// The head of a file, samples to follow. A recorder writes it with 0 first, and at the end the same header with
    /// the true size over it: the length depends on the format alone.
    package static func header(for format: AudioFormat, dataBytes: Int) -> [UInt8] {
        let isLinear: Bool = format.encoding == .l16
        // Other codecs than PCM have an extension size in `fmt ` and a `fact` chunk.
        let formatSize: Int = isLinear ? 16 : 18
        let factSize: Int = isLinear ? 0 : 12
        let data: Int = min(max(0, dataBytes), 0xFFFF_FF00)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(58)
        func append(_ value: Int, bytes count: Int) {
            for shift in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * shift))) }
        }
        bytes += Array("RIFF".utf8)
        append(4 + 8 + formatSize + factSize + 8 + data + data % 2, bytes: 4)
        bytes += Array("WAVEfmt ".utf8)
        append(formatSize, bytes: 4)
        append(isLinear ? 1 : format.encoding == .pcma ? 6 : 7, bytes: 2)
        append(format.channels, bytes: 2)
        append(format.rate.hertz, bytes: 4)
        append(format.bytesPerSecond, bytes: 4)
        append(format.bytesPerSample, bytes: 2)
        append(format.encoding.bytesPerSample * 8, bytes: 2)
        if !isLinear {
            append(0, bytes: 2)
            bytes += Array("fact".utf8)
            append(4, bytes: 4)
            append(data / format.bytesPerSample, bytes: 4)
        }
        bytes += Array("data".utf8)
        append(data, bytes: 4)
        return bytes
    }

    private static func format(in chunk: UnsafeRawBufferPointer) throws(WAVError) -> AudioFormat {
        guard chunk.count >= 16 else { throw .noFormat }
        func short(_ offset: Int) -> Int { Int(chunk[offset]) | Int(chunk[offset + 1]) << 8 }
        var codec: Int = short(0)
        // Extensible: the codec is the first two bytes of the sub-format.
        if codec == 0xFFFE, chunk.count >= 40 { codec = short(24) }
        let channels: Int = short(2)
        let hertz: Int = WAV.number(at: 4, of: chunk)
        let bits: Int = short(14)
        let encoding: AudioEncoding
        switch codec {
        case 1: encoding = .l16
        case 6: encoding = .pcma
        case 7: encoding = .pcmu
        default: throw .unsupportedCodec(tag: codec)
        }
        guard bits == encoding.bytesPerSample * 8, (1...2).contains(channels), (8000...48000).contains(hertz) else {
            throw .unsupportedLayout(bits: bits, channels: channels, hertz: hertz)
        }
        return AudioFormat(encoding, SampleRate(hertz: hertz), channels: channels)
    }

    private static let riff: UInt32 = 0x4646_4952
    private static let wave: UInt32 = 0x4556_4157
    private static let fmt: UInt32 = 0x2074_6D66
    private static let data: UInt32 = 0x6174_6164

    private static func tag(at offset: Int, of bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private static func number(at offset: Int, of bytes: UnsafeRawBufferPointer) -> Int {
        Int(self.tag(at: offset, of: bytes))
    }
}
