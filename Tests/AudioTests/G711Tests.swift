import Audio
import Testing

/// G.711 rebuilt from its text alone: eight segments of sixteen steps whose size doubles, decision values half-way
/// between the quantised ones. Nothing here is shared with the code under test.
private struct ReferenceLaw {
    /// Quantised magnitudes by rising code, in 16-bit units, and the least magnitude of each interval.
    var outputs: [Int] = []
    var thresholds: [Int] = []

    static let mu: ReferenceLaw = {
        // G.711 table 2: in 14-bit units, y = (33 + 2n)·2^s − 33; intervals begin at (32 + 2n)·2^s − 33 (from 0).
        var law = ReferenceLaw()
        for segment in 0..<8 {
            for step in 0..<16 {
                law.outputs.append(4 * ((33 + 2 * step) * (1 << segment) - 33))
                law.thresholds.append(max(0, 4 * ((32 + 2 * step) * (1 << segment) - 33)))
            }
        }
        return law
    }()

    static let a: ReferenceLaw = {
        // G.711 table 1: in 13-bit units, steps of 2 to 64, then doubling; outputs are the middles of the intervals.
        var law = ReferenceLaw()
        var lower = 0
        for segment in 0..<8 {
            let step: Int = 16 << max(0, segment - 1)
            for _ in 0..<16 {
                law.thresholds.append(lower)
                law.outputs.append(lower + step / 2)
                lower += step
            }
        }
        return law
    }()

    func interval(of magnitude: Int) -> Int { self.thresholds.lastIndex { $0 <= magnitude } ?? 0 }
}

/// The codes of every sample, from the lowest.
private func encodedAll(as law: G711.Law) -> [UInt8] {
    let samples: [Int16] = Array(Int16.min...Int16.max)
    var codes: [UInt8] = []
    samples.withUnsafeBufferPointer { G711.encode($0, as: law, into: &codes) }
    return codes
}

@Suite struct G711Tests {
    @Test("All 65 536 samples fall into the µ-law interval that G.711 gives")
    func muLawEncodes() {
        let codes: [UInt8] = encodedAll(as: .mu)
        for value in Int(Int16.min)...Int(Int16.max) {
            let interval: Int = ReferenceLaw.mu.interval(of: abs(value))
            let expected: UInt8 = ~(UInt8(interval) | (value < 0 ? 0x80 : 0))
            if codes[value + 32768] != expected { Issue.record("µ-law of \(value)") }
        }
    }

    @Test("All 65 536 samples fall into the A-law interval that G.711 gives")
    func aLawEncodes() {
        let codes: [UInt8] = encodedAll(as: .a)
        for value in Int(Int16.min)...Int(Int16.max) {
            let interval: Int = ReferenceLaw.a.interval(of: value < 0 ? -value - 1 : value)
            let expected: UInt8 = (UInt8(interval) | (value < 0 ? 0 : 0x80)) ^ 0x55
            if codes[value + 32768] != expected { Issue.record("A-law of \(value)") }
        }
    }

    @Test("All 256 codes become the quantised value of their interval")
    func decodes() {
        for code in 0...255 {
            let mu: UInt8 = ~UInt8(code)
            let muValue: Int = ReferenceLaw.mu.outputs[Int(mu & 0x7F)] * (mu & 0x80 == 0 ? 1 : -1)
            #expect(Int(G711.table(of: .mu)[code]) == muValue)
            let a: UInt8 = UInt8(code) ^ 0x55
            let aValue: Int = ReferenceLaw.a.outputs[Int(a & 0x7F)] * (a & 0x80 == 0 ? -1 : 1)
            #expect(Int(G711.table(of: .a)[code]) == aValue)
        }
    }

    @Test("A code decoded and encoded again is the same code", arguments: G711.Law.allCases)
    func roundTrip(law: G711.Law) {
        let codes: [UInt8] = Array(0...255)
        var samples: [Int16] = []
        codes.withUnsafeBytes { G711.decode($0, as: law, into: &samples) }
        var again: [UInt8] = [1]
        samples.withUnsafeBufferPointer { G711.encode($0, as: law, into: &again) }
        // µ-law has two zeros; the negative one comes back as the positive.
        let expected: [UInt8] = codes.map { law == .mu && $0 == 0x7F ? 0xFF : $0 }
        #expect(again == [1] + expected)
    }
}
