import Testing

@testable import Configuration

/// Keys and texts, a line each.
private func pairs(_ values: [RawValue]) -> [String] { values.map { "\($0.key)=\($0.text)" } }

/// The first problem of a text that does not parse.
private func problem(_ parse: () throws(ConfigurationError) -> [RawValue]) -> String? {
    do throws(ConfigurationError) {
        _ = try parse()
        return nil
    } catch {
        return error.problems.first?.description
    }
}

@Suite("pronto.toml")
struct TOMLTests {
    @Test("What is understood")
    func understood() throws {
        let text = """
            # a comment
            log_level = "debug" # and one behind
            OPENAI_API_KEY='sk-\\n' \r
            openai.base-url = "https://x/\\u00e8\\t\\"\\\\"

            [ realtime ]
            port = 8_085
            vad_threshold = 0.65
            "barge_in" = true
            silence_ms = +900
            [pronto]
            allowed_peers = [ # which
                "127.0.0.1", "::1",
            ]
            empty = []
            negative = -5
            """
        let values = try TOML.values(in: text, name: "f")
        #expect(
            pairs(values) == [
                "LOG_LEVEL=debug", #"OPENAI_API_KEY=sk-\n"#, "OPENAI_BASE-URL=https://x/è\t\"\\", "REALTIME_PORT=8085",
                "REALTIME_VAD_THRESHOLD=0.65", "REALTIME_BARGE_IN=true", "REALTIME_SILENCE_MS=900",
                "PRONTO_ALLOWED_PEERS=127.0.0.1,::1", "PRONTO_EMPTY=", "PRONTO_NEGATIVE=-5",
            ])
        #expect(values.map(\.origin)[3] == .file("f", line: 7))
    }

    @Test(
        "What is refused, with its line",
        arguments: [
            ("a", 1, TOMLError.Reason.equals), ("\n\na = ", 3, .value), ("= 1", 1, .key), ("a. = 1", 1, .key),
            ("a = 1 b = 2", 1, .endOfLine), ("[a", 1, .tableHeader), ("[]", 1, .key), ("[[a]]", 1, .arrayOfTables),
            ("a = {b = 1}", 1, .inlineTable), ("a = \"\"\"x\"\"\"", 1, .multilineString),
            ("a = '''x'''", 1, .multilineString),
            ("a = \"x\nb = 1", 1, .unclosedString), ("a = \"x", 1, .unclosedString), ("a = \"\\", 1, .unclosedString),
            ("a = \"\\q\"", 1, .escape), ("a = \"\\ud800\"", 1, .escape), ("a = \"\\UFFFFFFFF\"", 1, .escape),
            ("a = \"\u{1}\"", 1, .controlCharacter), ("# \u{1}", 1, .controlCharacter), ("a = 2026-11-20", 1, .number),
            ("a = 01", 1, .number), ("a = 1__0", 1, .number), ("a = 1.", 1, .number), ("a = .5", 1, .number),
            ("a = 0x10", 1, .number), ("a = nan", 1, .number), ("a = yes", 1, .number), ("a = [1 2]", 1, .array),
            ("a = [1,\n2", 2, .array), ("a = [[1]]", 1, .value), ("a = 1\nA = 2", 2, .repeatedKey),
            ("[b]\na = 1\n[c]\n[b]", 4, .repeatedTable), ("b_a = 1\n[b]\na = 1", 3, .repeatedKey),
            ("a = 1\rb = 2", 1, .endOfLine),
        ])
    func refused(text: String, line: Int, reason: TOMLError.Reason) {
        var parser = TOMLParser(text)
        #expect(throws: TOMLError(line: line, reason: reason)) { try parser.document() }
    }
}

@Suite(".env")
struct DotEnvTests {
    @Test("What is understood")
    func understood() throws {
        let text =
            "# comment\r\nA=1\r\nexport B = two words # not this\n\nC=\nD=\"a \\\"b\\\" \\n\" # c\nE='x # y'\nF=a#b\nG=$HOME"
        let values = try DotEnv.values(in: text, name: ".env")
        #expect(pairs(values) == ["A=1", "B=two words", "C=", "D=a \"b\" \n", "E=x # y", "F=a#b", "G=$HOME"])
        #expect(values.map(\.origin)[1] == .file(".env", line: 3))
    }

    @Test(
        "What is refused, with its line and without its value",
        arguments: [
            ("A=1\nsk-very-secret", ".env (.env:2): the line is no KEY=value"),
            ("sk-very = secret", ".env (.env:1): the name before = is not of A-Z, a-z, 0-9 and _"),
            ("1A=secret", ".env (.env:1): the name before = is not of A-Z, a-z, 0-9 and _"),
            ("A=\"secret", "A (.env:1): a quote is not closed as it should"),
            ("A='x' secret", "A (.env:1): a quote is not closed as it should"),
        ])
    func refused(text: String, message: String) {
        let found = problem { () throws(ConfigurationError) in try DotEnv.values(in: text, name: ".env") }
        #expect(found == message)
    }
}

@Suite("pronto.json")
struct JSONFileTests {
    @Test("What is understood")
    func understood() throws {
        let text = #"{"realtime": {"port": 9, "vad_threshold": 0.5}, "A": [1, "x", true], "B": null, "C": false}"#
        let values = try JSONFile.values(in: text, name: "f")
        #expect(pairs(values) == ["A=1,x,true", "C=false", "REALTIME_PORT=9", "REALTIME_VAD_THRESHOLD=0.5"])
    }

    @Test(
        "What is refused",
        arguments: [
            ("", "no JSON"), ("[]", "no JSON object"), ("{", "no JSON"), (#"{"a": [[1]]}"#, "a list holds"),
            (#"{"a": "secret" "b"}"#, "no JSON"), (String(repeating: #"{"a":"#, count: 9), "nested"),
        ])
    func refused(text: String, part: String) throws {
        let found = problem { () throws(ConfigurationError) in try JSONFile.values(in: text, name: "f") }
        #expect(found?.contains(part) == true)
        #expect(found?.contains("secret") == false)
    }
}

@Suite("Hostile files")
struct MutationTests {
    private static let seeds: [String] = [
        "# c\na = \"x\\u00e8\"\n[realtime]\nport = 8_085\nx = [1, 'y', true,]\nb.c = -0.5\n",
        "A=1\nexport B=\"a \\\"b\\n\" # c\nC='x'\n#\n",
        #"{"realtime": {"port": 9, "x": 0.5}, "A": [1, "x\u00e8", true], "B": null}"#,
    ]

    @Test("10 000 mutations of each format are values or an error")
    func mutations() {
        var random = SeededGenerator(seed: 7)
        let marks = Array("\"'[]{}=.,#\\\n\r\t-+_0e\u{0}\u{FF}".utf8)
        for seed in Self.seeds {
            var outcomes = (values: 0, errors: 0)
            for round in 0..<10000 {
                var bytes = Array(seed.utf8)
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let index = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.insert(marks.randomElement(using: &random) ?? 0, at: index)
                    case 2: bytes.remove(at: index)
                    default: bytes.removeSubrange(index...)
                    }
                    if bytes.isEmpty { bytes = [0] }
                }
                let text = String(decoding: bytes, as: UTF8.self)
                do throws(ConfigurationError) {
                    let values: [RawValue]
                    switch seed.first {
                    case "{": values = try JSONFile.values(in: text, name: "f")
                    case "A": values = try DotEnv.values(in: text, name: "f")
                    default: values = try TOML.values(in: text, name: "f")
                    }
                    // Whatever it means, checking it must not trap either. (A tenth: looking for what was meant is slow
                    // in a debug build.)
                    if round.isMultiple(of: 10) { _ = try? Settings(layers: [values]) }
                    outcomes.values += 1
                } catch {
                    outcomes.errors += 1
                }
            }
            #expect(outcomes.values > 100 && outcomes.errors > 100, "\(outcomes)")
        }
    }
}

/// The same numbers on every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
