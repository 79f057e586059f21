import Telephony
import Testing

/// Runs `body` on the outermost value of `text`; nil when it was refused.
private func scanned<Result>(_ text: String, _ body: (JSONScan) -> Result) -> Result? {
    let bytes: [UInt8] = Array(text.utf8)
    return bytes.withUnsafeBytes { bytes in (try? JSONScan(bytes)).map(body) }
}

private func refusal(_ bytes: [UInt8]) -> JSONScanError? {
    bytes.withUnsafeBytes { bytes in
        do throws(JSONScanError) {
            _ = try JSONScan(bytes)
            return nil
        } catch { return error }
    }
}

@Suite struct JSONScanTests {
    static let delta = """
        {"type":"response.output_audio.delta", "event_id" : "e\\u00e91", "n":-12,"f":1.5e3,
         "ok":true,"no":null,"inner":{"list":[1,{"a":[]},"x"],"type":"wrong"},"delta":"UklGRg=="}
        """

    @Test("Values are found by their path, whatever lies between")
    func paths() {
        let found: Bool? = scanned(Self.delta) { scan in
            #expect(scan.kind == .object)
            #expect(scan["type"]?.isText("response.output_audio.delta") == true)
            #expect(scan["type"]?.isText("response.output_audio") == false)
            #expect(scan["event_id"]?.string == "eé1")
            #expect(scan["n"]?.integer == -12)
            #expect(scan["f"]?.integer == nil)
            #expect(scan["f"]?.double == 1500)
            #expect(scan["ok"]?.bool == true)
            #expect(scan["no"]?.kind == .null)
            #expect(scan["inner"]?["type"]?.string == "wrong")
            #expect(scan["list"] == nil)
            #expect(scan["delta"].map { Array($0.bytes) } == Array("UklGRg==".utf8))
            #expect(scan["delta"]?.hasEscapes == false)
            #expect(scan["delta"]?["x"] == nil)
            var kinds: [JSONScan.Kind] = []
            scan["inner"]?["list"]?.forEachElement { kinds.append($0.kind) }
            #expect(kinds == [.number, .object, .string])
            var keys: [String?] = []
            scan["inner"]?.forEachMember { key, _ in keys.append(key.string) }
            #expect(keys == ["list", "type"])
            return true
        }
        #expect(found == true)
    }

    @Test(
        "Escapes are undone, in keys too",
        arguments: [
            (#""a\/b\\c\"d""#, #"a/b\c"d"#), (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
            (#""\ud83d\ude00""#, "😀"), (#""\ud83d""#, "\u{FFFD}"), (#""\ude00x""#, "\u{FFFD}x"),
            (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""\u0000""#, "\u{0}"), (#""""#, ""),
        ])
    func escapes(text: String, plain: String) {
        #expect(scanned(text) { $0.string } == .some(.some(plain)))
        #expect(scanned(#"{"a":0,"\u006by":7}"#) { $0["ky"]?.integer } == .some(.some(7)))
    }

    @Test(
        "Whole numbers to the last, and none beyond",
        arguments: [
            ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("0", 0), ("-0", 0),
            ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil), ("1e2", nil),
            ("99999999999999999999999999", nil),
        ] as [(String, Int?)])
    func integers(text: String, value: Int?) {
        #expect(scanned(text) { $0.integer } == .some(value))
    }

    @Test(
        "What RFC 8259 does not allow is refused",
        arguments: [
            "", " ", "{", "}", "[", "]", "{]", "[}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
            "{,}",
            "{a:1}", "{'a':1}", "{\"a\":1 \"b\":2}", "\"", "\"\\\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u12", "\"a\nb\"",
            "\"a\u{1}\"", "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "nul", "nulll", "tru", "True", "1 2",
            "{}{}", "[1]]", "\u{FEFF}{}", "{\"a\":1,,\"b\":2}", "{1:2}",
        ])
    func refused(text: String) {
        #expect(refusal(Array(text.utf8)) != nil)
    }

    @Test(
        "What it allows is taken",
        arguments: [
            "{}", "[]", "0", "-0.5E-3", "\"\"", "null", " \t\r\n[ ] ", "[[],{},[[{}]]]", "{\"\":{\"\":[]}}", "[1,2,3]",
            "\"\u{7F}é😀\"", "{\"a\":[{\"b\":{}},[]],\"c\":\"\\\\\"}",
        ])
    func accepted(text: String) {
        #expect(refusal(Array(text.utf8)) == nil)
    }

    @Test("64 levels are read, the 65th is not, and a depth of 10 000 costs no stack")
    func depth() {
        func nested(_ depth: Int, _ open: String, _ close: String) -> [UInt8] {
            Array((String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)).utf8)
        }
        #expect(refusal(nested(64, "[", "]")) == nil)
        #expect(refusal(nested(65, "[", "]")) == .tooDeep(offset: 64))
        #expect(refusal(nested(10_000, "[", "]")) == .tooDeep(offset: 64))
        #expect(refusal(nested(10_000, "{\"a\":", "}")) == .tooDeep(offset: 64 * 5))
        #expect(refusal([UInt8](repeating: UInt8(ascii: "["), count: 10_000)) == .tooDeep(offset: 64))
    }

    @Test("A string of 5 MB is one look, and its end is missed when it is cut off")
    func hugeString() {
        var text: [UInt8] = Array("{\"delta\":\"".utf8)
        text += [UInt8](repeating: UInt8(ascii: "A"), count: 5_000_000)
        #expect(refusal(text) == .unexpectedEnd)
        text += Array("\",\"n\":1}".utf8)
        text.withUnsafeBytes { bytes in
            let scan: JSONScan? = try? JSONScan(bytes)
            #expect(scan?["delta"]?.bytes.count == 5_000_000)
            #expect(scan?["n"]?.integer == 1)
        }
    }

    @Test("Every prefix of a message is refused, and every place of a quote is found")
    func prefixes() {
        let whole: [UInt8] = Array(Self.delta.utf8)
        for length in 0..<whole.count { #expect(refusal(Array(whole.prefix(length))) != nil) }
        for length in 0..<40 {
            let plain = String(repeating: "a", count: length)
            #expect(scanned("\"" + plain + "\"") { $0.string } == .some(.some(plain)))
            #expect(scanned("\"" + plain + "é\\n\"") { $0.string } == .some(.some(plain + "é\n")))
            #expect(refusal(Array(("\"" + plain + "\u{1F}\"").utf8)) == .unexpectedByte(offset: length + 1))
        }
    }

    @Test("The end of a string is found at every place of a long text", arguments: 0..<72)
    func everyPlace(length: Int) {
        let before = String(repeating: "a", count: length)
        let after = String(repeating: "b", count: 80)
        let member: Int? = scanned("{\"k\":\"\(before)\",\"n\":7,\"z\":\"\(after)\"}") { scan in
            #expect(scan["k"]?.bytes.count == length)
            #expect(scan["z"]?.bytes.count == 80)
            return scan["n"]?.integer ?? 0
        }
        #expect(member == 7)
        #expect(scanned("\"\(before)\\n\(after)\"") { $0.string } == .some(.some(before + "\n" + after)))
        #expect(refusal(Array("\"\(before)\u{1F}\(after)\"".utf8)) == .unexpectedByte(offset: length + 1))
        // Bytes beside the ends in value, and those above ASCII, are text.
        #expect(scanned("\"\(before)!#[]\u{7F}é\(after)\"") { $0.string != nil } == true)
    }

    @Test("10 000 mutations: refused or read, never more")
    func mutations() {
        var state: UInt64 = 11
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        let whole: [UInt8] = Array(Self.delta.utf8)
        for _ in 0..<10_000 {
            var bytes: [UInt8] = whole
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            bytes.removeLast(random(3) == 0 ? random(bytes.count) : 0)
            bytes.withUnsafeBytes { bytes in
                guard let scan = try? JSONScan(bytes) else { return }
                _ = scan["type"]?.string
                _ = scan["n"]?.integer
                _ = scan["f"]?.double
                scan.forEachMember { key, value in _ = (key.string, value.string) }
            }
        }
    }

    @Test("Members that are told during the check are those that look-ups find, and refusals are the same")
    func eachMember() {
        var generator = SplitMix(state: 7)
        let seeds: [[UInt8]] = [
            Array(Self.delta.utf8), Array("{}".utf8), Array(" [1,{\"a\":2}] ".utf8), Array("7".utf8),
            Array("{\"a\":{\"a\":1},\"a\":[2,\"}\"],\"b\\u0031\":\"x\\\"y\"}".utf8),
        ]
        var readable = 0
        for round in 0..<4000 {
            var bytes: [UInt8] = seeds[round % seeds.count]
            if round >= seeds.count {
                for _ in 0...(round % 3) {
                    let place = Int(generator.next() % UInt64(bytes.count))
                    bytes[place] = Array("{}[]\",:\\ 7etn\u{1}".utf8)[Int(generator.next() % 14)]
                }
            }
            bytes.withUnsafeBytes { bytes in
                var told: [[UInt8]] = []
                var found: [[UInt8]] = []
                let streamed: JSONScanError? = Self.error {
                    () throws(JSONScanError) in
                    let scan = try JSONScan(bytes) { told += [Array($0.bytes), Array($1.bytes)] }
                    scan.forEachMember { found += [Array($0.bytes), Array($1.bytes)] }
                    readable += 1
                }
                let whole: JSONScanError? = Self.error { () throws(JSONScanError) in _ = try JSONScan(bytes) }
                #expect(streamed == whole)
                if streamed == nil { #expect(told == found) }
            }
        }
        #expect(readable > 100)
    }

    @Test("Depth counts the outermost object too", arguments: [(62, true), (63, true), (64, false)])
    func eachMemberDepth(inner: Int, isRead: Bool) {
        let text = "{\"a\":" + String(repeating: "[", count: inner) + String(repeating: "]", count: inner) + "}"
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { bytes in
            let streamed = Self.error { () throws(JSONScanError) in _ = try JSONScan(bytes) { _, _ in } }
            let whole = Self.error { () throws(JSONScanError) in _ = try JSONScan(bytes) }
            #expect(streamed == whole)
            #expect((streamed == nil) == isRead)
        }
    }

    private static func error(_ body: () throws(JSONScanError) -> Void) -> JSONScanError? {
        do throws(JSONScanError) {
            try body()
            return nil
        } catch { return error }
    }

    @Test("A name is compared without making text of it, escaped or not")
    func names() {
        for (text, name, isSame) in [
            ("\"item_0123456789abcdef\"", "item_0123456789abcdef", true),
            ("\"item_0123456789abcdef\"", "item_0123456789abcdeX", false),
            ("\"item\"", "item_", false), ("\"it\\u0065m\"", "item", true), ("\"\"", "", true), ("7", "7", false),
        ] {
            #expect(scanned(text) { $0.isName(name) } == isSame)
        }
    }

    @Test("Invalid UTF-8 inside a string is no string")
    func invalidUTF8() {
        let bytes: [UInt8] = [0x22, 0xC3, 0x28, 0x22]
        bytes.withUnsafeBytes { bytes in
            let scan: JSONScan? = try? JSONScan(bytes)
            #expect(scan != nil)
            #expect(scan?.string == nil)
        }
    }
}

@Suite struct JSONTextTests {
    @Test("What is written reads back", arguments: ["", "plain", "q\"b\\s/\u{0}\u{1F}\u{7F}\n\r\té😀"])
    func strings(text: String) {
        var bytes: [UInt8] = []
        JSONText.appendString(text, to: &bytes)
        #expect(scanned(String(decoding: bytes, as: UTF8.self)) { $0.string } == .some(.some(text)))
    }

    @Test("Whole numbers are written in full", arguments: [0, 7, -7, 10, 8000, Int.max, Int.min])
    func integers(value: Int) {
        var bytes: [UInt8] = [1]
        JSONText.appendInteger(value, to: &bytes)
        #expect(String(decoding: bytes.dropFirst(), as: UTF8.self) == String(value))
    }
}

/// Repeatable numbers for mutations.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed: UInt64 = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
