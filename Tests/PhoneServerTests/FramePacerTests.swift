import Telephony
import Testing

@testable import PhoneServer

@Suite struct FramePacerTests {
    private func append(_ bytes: [UInt8], to pacer: inout FramePacer) -> Bool {
        bytes.withUnsafeBytes { pacer.append($0) }
    }
    private func next(_ count: Int, of pacer: inout FramePacer) -> [UInt8] {
        var frame: [UInt8] = [9, 9]
        return pacer.next(count, into: &frame) { Array($0) }
    }

    @Test("Frames come out as they went in; without any, the format's own silence")
    func order() {
        var pacer = FramePacer(format: .pcmu)
        #expect(self.append(Array(repeating: 1, count: 160), to: &pacer))
        #expect(self.append(Array(repeating: 2, count: 160), to: &pacer))
        #expect(pacer.waitingBytes == 320)
        #expect(self.next(160, of: &pacer) == Array(repeating: 1, count: 160))
        #expect(self.next(160, of: &pacer) == Array(repeating: 2, count: 160))
        #expect(self.next(160, of: &pacer) == Array(repeating: 0xFF, count: 160))
        #expect(pacer.audioFrames == 2)
        #expect(pacer.silentFrames == 1)
        var linear = FramePacer(format: .l16(.narrowband))
        #expect(self.next(320, of: &linear) == Array(repeating: 0, count: 320))
        var aLaw = FramePacer(format: .pcma)
        #expect(self.next(160, of: &aLaw) == Array(repeating: 0xD5, count: 160))
    }

    @Test("Frames of 20 ms leave as frames of 30 ms, the last one filled up: never a short datagram")
    func recut() {
        var pacer = FramePacer(format: .pcmu)
        for value in 1...3 { #expect(self.append(Array(repeating: UInt8(value), count: 160), to: &pacer)) }
        #expect(
            self.next(240, of: &pacer) == Array(repeating: 1, count: 160) + Array(repeating: 2, count: 80))
        #expect(
            self.next(240, of: &pacer) == Array(repeating: 2, count: 80) + Array(repeating: 3, count: 160))
        #expect(self.append(Array(repeating: 4, count: 160), to: &pacer))
        #expect(
            self.next(240, of: &pacer) == Array(repeating: 4, count: 160) + Array(repeating: 0xFF, count: 80))
    }

    @Test("It is bounded: what would be too old when it is played is not taken, and a flush empties it")
    func bounds() {
        var pacer = FramePacer(format: .pcmu, capacity: .milliseconds(60))
        for _ in 0..<3 { #expect(self.append(Array(repeating: 1, count: 160), to: &pacer)) }
        #expect(!self.append(Array(repeating: 2, count: 160), to: &pacer))
        #expect(pacer.waitingBytes == 480)
        pacer.flush()
        #expect(pacer.waitingBytes == 0)
        #expect(self.next(160, of: &pacer) == Array(repeating: 0xFF, count: 160))
        // For hours.
        for round in 0..<10_000 {
            #expect(self.append(Array(repeating: UInt8(round % 200), count: 160), to: &pacer))
            if round % 2 == 1 {
                #expect(self.next(160, of: &pacer).first == UInt8((round - 1) % 200))
                #expect(self.next(160, of: &pacer).first == UInt8(round % 200))
            }
        }
        #expect(pacer.waitingBytes == 0)
    }
}
