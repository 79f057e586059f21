import Audio
import Telephony
import Testing

@Suite struct FrameAssemblerTests {
    @Test(
        "Messages of any size become the same whole frames",
        arguments: [1, 2, 159, 160, 161, 319, 320, 640, 3200, 7777])
    func anySize(size: Int) {
        let bytes: [UInt8] = (0..<16_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        var assembler = FrameAssembler(format: .l16(.narrowband))
        #expect(assembler.frameBytes == 320)
        var frames: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            let end: Int = min(offset + size, bytes.count)
            bytes[offset..<end].withUnsafeBytes { assembler.append($0, into: &frames) }
            #expect(frames.count % 320 == 0)
            #expect(assembler.pendingBytes < 320)
            offset = end
        }
        #expect(frames == bytes)
    }

    @Test(
        "The last piece is filled up with the encoding's silence",
        arguments: [
            (format: AudioFormat.pcmu, silence: UInt8(0xFF)), (format: .pcma, silence: 0xD5),
            (format: .l16(.wideband), silence: 0),
        ])
    func finish(format: AudioFormat, silence: UInt8) {
        var assembler = FrameAssembler(format: format)
        var frames: [UInt8] = []
        [UInt8](repeating: 7, count: 10).withUnsafeBytes { assembler.append($0, into: &frames) }
        #expect(frames.isEmpty)
        assembler.finish(into: &frames)
        #expect(frames.prefix(10).allSatisfy { $0 == 7 })
        #expect(frames.dropFirst(10).allSatisfy { $0 == silence })
        #expect(frames.count == assembler.frameBytes)
        assembler.finish(into: &frames)
        #expect(frames.count == assembler.frameBytes)
    }

    @Test("After a reset a new stretch begins at its own first byte")
    func reset() {
        var assembler = FrameAssembler(format: .pcmu)
        var frames: [UInt8] = []
        [UInt8](repeating: 1, count: 159).withUnsafeBytes { assembler.append($0, into: &frames) }
        assembler.reset()
        [UInt8](repeating: 2, count: 160).withUnsafeBytes { assembler.append($0, into: &frames) }
        #expect(frames == [UInt8](repeating: 2, count: 160))
    }
}
