import Foundation
import Records
import Routing
import Telephony
import Testing

@testable import AdminAPI

@Suite("The API's values: rates, times, cells, ranges, cursors")
struct ValueTests {
    @Test("A bucket gives its burst at once, then its rate, and never more than its burst")
    func bucket() {
        let rate = Rate(perSecond: 2, burst: 3)
        var bucket = TokenBucket(rate, at: .seconds(10))
        for _ in 0..<3 { #expect(bucket.take(rate, at: .seconds(10)) == nil) }
        #expect(bucket.take(rate, at: .seconds(10)) == .milliseconds(500))
        #expect(bucket.take(rate, at: .milliseconds(10_250)) == .milliseconds(250))
        #expect(bucket.take(rate, at: .milliseconds(10_500)) == nil)
        // A clock that stands still or goes back gives nothing.
        #expect(bucket.take(rate, at: .seconds(1)) != nil)
        var taken = 0
        for _ in 0..<10 where bucket.take(rate, at: .seconds(1000)) == nil { taken += 1 }
        #expect(taken == 3)
    }

    @Test("The table of clients is bounded, and a stranger's flood takes nobody's bucket that is in use")
    func table() {
        let limiter = LocalRateLimiter(limit: 100)
        let rate = Rate(perSecond: 1, burst: 2)
        for number in 0..<10_000 {
            _ = limiter.take(RateKey(.client, "stranger \(number)"), rate, at: .milliseconds(number))
        }
        #expect(limiter.count <= 100)
    }

    @Test(
        "Times of RFC 3339 and nothing else",
        arguments: [
            ("1970-01-01T00:00:00Z", 0.0), ("2024-02-29T12:30:15.5Z", 1_709_209_815.5),
            ("2026-11-21T10:00:00+01:00", 1_795_251_600), ("1969-12-31t23:59:59.999z", -0.001),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ])
    func moments(text: String, seconds: Double) throws {
        let date = try #require(Moment.date(text))
        #expect(abs(date.timeIntervalSince1970 - seconds) < 0.0005)
        #expect(Moment.date(Moment.text(date)) == date)
    }

    @Test(
        "What is no time",
        arguments: [
            "", "2026-11-21", "2026-11-21T10:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-11-21T24:00:00Z", "2026-11-21 10:00:00Z", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:00+24:00",
            "0000-01-01T00:00:00Z", "2026-11-21T10:00:00Zx", "00000000000000000000", "२०२६-11-21T10:00:00Z",
        ])
    func noMoments(text: String) { #expect(Moment.date(text) == nil) }

    @Test(
        "Cells",
        arguments: [
            ("plain", "plain"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "'=1+1"), (" =1+1", "' =1+1"),
            ("@SUM(A1)", "'@SUM(A1)"), ("-2+3", "'-2+3"), ("+390612", "+390612"), ("-12.5", "-12.5"),
            ("\t=1", "'\t=1"), ("＝1", "'＝1"), ("=a\r\n,b", "\"'=a\r\n,b\""), ("", ""),
        ])
    func cells(text: String, cell: String) { #expect(CSV.cell(text) == cell) }

    @Test(
        "Ranges",
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-", .part(0..<100)), ("bytes=10-19", .part(10..<20)),
            ("bytes=90-500", .part(90..<100)), ("bytes=-10", .part(90..<100)), ("bytes=-500", .part(0..<100)),
            ("bytes=100-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=5-2", .whole),
            ("bytes=0-1,5-6", .whole), ("bytes=a-b", .whole), ("bytes=-", .whole), ("items=0-1", .whole),
            ("bytes=99999999999999999999-", .whole),
        ] as [(String?, ByteRange)])
    func ranges(field: String?, range: ByteRange) { #expect(ByteRange.read(field, length: 100) == range) }

    @Test("A cursor comes back as it went, and nobody's is taken")
    func cursors() {
        for seconds in [0, 1_760_000_000.123, -5] {
            let position = ListPosition(startedAt: Date(timeIntervalSince1970: seconds), id: "a.b_c-1")
            #expect(Cursor.position(Cursor.text(position)) == position)
            #expect(Cursor.rule.takes(Cursor.text(position)))
        }
        for text in ["", "AAAA", "x", "MTIzIGEgYg", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5IGE"] {
            #expect(Cursor.position(text) == nil)
        }
    }

    @Test("A text of an address is one of its schema, or nothing: never null")
    func texts() {
        #expect(APISchema.uuid.value(ofText: "__proto__") == nil)
        #expect(APISchema.word(["a"]).value(ofText: "b") == nil)
        #expect(APISchema.whole(0...9).value(ofText: "10") == nil)
        #expect(APISchema.whole(0...9).value(ofText: "+1") == nil)
        #expect(APISchema.whole(-9...9).value(ofText: "-1") == .integer(-1))
        #expect(APISchema.flag.value(ofText: "yes") == nil)
        var problems: [APIProblem.Field] = []
        APISchema.whole(0...9).check(1.0, at: "x", &problems)
        #expect(problems.isEmpty)
        APISchema.whole(0...9).check(1.5, at: "x", &problems)
        #expect(problems.map(\.name) == ["x"])
    }

    @Test("The patterns of the document are the checks")
    func patterns() {
        let rules: [TextRule] = [.uuid, .call, .number, .slug, .provider, .context, .language, .keyID, .plain(0...64)]
        let samples = [
            "a", "A-b_c.1", "+3906", "++39", "*98#", "it-IT", "1it", ".", "..", "a b", "a\n", "\u{7f}", "é",
            "00000000-0000-4000-8000-00000000000A", "_x", "-x",
        ]
        for rule in rules {
            guard let pattern = rule.pattern, let expression = try? NSRegularExpression(pattern: pattern) else {
                Issue.record("no pattern")
                continue
            }
            for sample in samples where rule.length.contains(sample.unicodeScalars.count) {
                let range = NSRange(sample.startIndex..., in: sample)
                // `$` of ICU matches before a last line end; JavaScript's does not.
                let matches = expression.firstMatch(in: sample, range: range) != nil && !sample.hasSuffix("\n")
                #expect(rule.takes(sample) == matches, "\(pattern) \(sample)")
            }
        }
    }
}
