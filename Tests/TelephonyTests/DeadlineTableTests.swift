import Telephony
import Testing

@Suite struct DeadlineTableTests {
    @Test("The earliest is the least of all that are set, whatever is set, moved and cleared")
    func earliest() {
        var table = DeadlineTable(count: 5)
        var plain: [Duration?] = Array(repeating: nil, count: 5)
        var generator = SystemRandomNumberGenerator()
        #expect(table.earliest == nil)
        for _ in 0..<5000 {
            let timer = Int.random(in: 0..<5, using: &generator)
            // Few values, so that equal deadlines are common.
            let time: Duration? = Bool.random(using: &generator) ? .milliseconds(Int.random(in: 0..<6)) : nil
            table[timer] = time
            plain[timer] = time
            #expect(table[timer] == time)
            #expect(table.earliest == plain.compactMap { $0 }.min())
        }
        table.removeAll()
        #expect(table.earliest == nil)
        #expect((0..<5).allSatisfy { table[$0] == nil })
    }

    @Test(
        "Nanoseconds of a duration are rounded towards zero", arguments: [0, 1, -1, 999_999_999, 1 << 40, -(1 << 40)])
    func nanoseconds(count: Int64) {
        #expect(Duration.nanoseconds(count).nanoseconds == count)
        #expect((Duration.nanoseconds(count) + Duration(attoseconds: count < 0 ? -5 : 5)).nanoseconds == count)
        #expect(Duration.seconds(9_000_000_000).nanoseconds == 9_000_000_000_000_000_000)
    }
}
