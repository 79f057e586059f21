import MediaDialects
import Telephony
import Testing

/// What holds for every dialect.
@Suite struct DialectContractTests {
    @Test("Messages from 1 byte to 200 ms become the same whole 20 ms frames", arguments: DialectCase.all)
    func dripFeed(each: DialectCase) throws {
        let length: Int = each.wire.bytes(in: .milliseconds(200))
        var random = SeededGenerator(seed: 1)
        let audio: [UInt8] = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
        let expected: [UInt8] =
            each.wire.channels == 1
            ? audio
            : stride(from: 0, to: length, by: 4).flatMap { audio[$0...$0 + 1] }
        let sizes: [Int] = [1, 2, 3, 7, 33, 160, 319, 320, 321, 640, 1000, 1280, length / 5, length / 2, length]
        for size in sizes {
            var dialect: any MediaDialect = try each.make()
            let frame: Int = dialect.uplink.bytes(in: .milliseconds(20))
            #expect(dialect.uplink == AudioFormat(each.wire.encoding, each.wire.rate))
            var heard: [UInt8] = []
            var offset = 0
            while offset < length {
                let end: Int = min(length, offset + size)
                let input: DialectInput = dialect.heard(.binary, Array(audio[offset..<end]))
                if input.audio.count % frame != 0 || input.problem != nil || !input.events.isEmpty {
                    Issue.record("size \(size) at \(offset)")
                }
                heard += input.audio
                offset = end
            }
            #expect(heard == expected, "size \(size)")
        }
    }

    @Test("Texts between the audio do not touch it, and no text is needed at all", arguments: DialectCase.all)
    func textBetween(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        let half = [UInt8](repeating: 1, count: each.wire.bytes(in: .milliseconds(10)))
        #expect(dialect.heard(.binary, half).audio.isEmpty)
        for text in CapturedTexts.all { #expect(dialect.heard(text).audio.isEmpty) }
        #expect(dialect.heard(.binary, half).audio.count == dialect.uplink.bytes(in: .milliseconds(20)))
        #expect(dialect.heard(.binary, []).audio.isEmpty)
    }

    @Test("Ids and numbers are understood however they are said", arguments: DialectCase.all)
    func metadata(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        var expected = LegMetadata()
        expected.call = CallID("00000000-0000-4000-8000-000000000005")
        expected.caller = Redacted("1001")
        expected.dialed = Redacted("2002")
        #expect(dialect.heard(CapturedTexts.specified[0]).events == [.metadata(expected)])

        expected = LegMetadata()
        expected.caller = Redacted("+39000000001")
        #expect(dialect.heard(CapturedTexts.specified[1]).events == [.metadata(expected)])
        #expect(dialect.heard(CapturedTexts.specified[2]).events == [.phone(.digit(Redacted("5")))])
        #expect(dialect.heard(CapturedTexts.specified[3]).events == [.phone(.hungUp(.normalClearing))])

        expected = LegMetadata()
        expected.tenant = TenantID("00000000-0000-4000-8000-00000000000a")
        expected.assistant = AssistantID("00000000-0000-4000-8000-00000000000b")
        expected.caller = Redacted("1001")
        #expect(dialect.heard(CapturedTexts.specified[4]).events == [.metadata(expected)])

        expected = LegMetadata()
        expected.call = CallID("00000000-0000-4000-8000-000000000004")
        expected.format = AudioFormat(.l16, .wideband, channels: 2)
        #expect(dialect.heard(CapturedTexts.starts[3]).events == [.metadata(expected)])
        #expect(dialect.heard(#"{"caller":1001}"#).events.count == 1)
    }

    @Test(
        "Digits are one key of sixteen",
        arguments: [
            (##"{"type":"dtmf","digit":"#"}"##, "#"), (#"{"type":"dtmf","digit":"*"}"#, "*"),
            (#"{"type":"dtmf","digit":7}"#, "7"), (#"{"event":"dtmf","dtmf":"2","duration":"1600"}"#, "2"),
            (#"{"event":"dtmf","digit":"a"}"#, "A"), (#"{"type":"dtmf","digit":"12"}"#, nil),
            (#"{"type":"dtmf","digit":""}"#, nil), (#"{"type":"dtmf"}"#, nil), (#"{"type":"dtmf","digit":"x"}"#, nil),
            (#"{"type":"dtmf","digit":"ß"}"#, nil), (#"{"type":"dtmf","digit":"5\u0301"}"#, nil),
        ] as [(String, Character?)])
    func digits(text: String, digit: Character?) throws {
        for each in DialectCase.all {
            var dialect: any MediaDialect = try each.make()
            let input: DialectInput = dialect.heard(text)
            #expect(input.events == (digit.map { [.phone(.digit(Redacted($0)))] } ?? []))
            #expect((input.problem == nil) == (digit != nil))
        }
    }

    @Test(
        "Garbage is a problem with a name and nothing else",
        arguments: [
            ("", "text-not-json"), ("hello", "text-not-json"), ("[]", "text-not-json"), ("\"x\"", "text-not-json"),
            (#"{"type":"note","text":"two"#, "text-not-json"),
            (#"{"domain_uuid":"no uuid"}"#, "metadata-tenant-invalid"),
            (#"{"call_uuid":"a b"}"#, "metadata-call-invalid"),
            (#"{"caller":"a\nb"}"#, "metadata-value-invalid"),
            (#"{"rate":"44100"}"#, "metadata-format-invalid"), (#"{"rate":0}"#, "metadata-format-invalid"),
            (#"{"rate":"16k","encoding":"pcmu"}"#, "metadata-format-invalid"),
        ])
    func garbage(text: String, problem: String) throws {
        for each in DialectCase.all {
            var dialect: any MediaDialect = try each.make()
            let input: DialectInput = dialect.heard(text)
            #expect(input.problem == problem)
            #expect(input.events.isEmpty && input.audio.isEmpty)
        }
    }

    @Test("Unknown JSON means nothing and is no problem", arguments: DialectCase.all)
    func unknown(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        for text in [#"{"hello":"world"}"#, #"{"a":"b c d","e":1}"#, "{}", #"{"type":"transcription"}"#] {
            let input: DialectInput = dialect.heard(text)
            #expect(input.events.isEmpty && input.problem == nil)
        }
    }

    @Test("A depth of 10 000, strings of 5 MB and invalid UTF-8 are refused", arguments: DialectCase.all)
    func hostile(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        let deep = String(repeating: #"{"a":"#, count: 10_000) + "1" + String(repeating: "}", count: 10_000)
        #expect(dialect.heard(deep).problem == "text-not-json")
        #expect(dialect.heard(String(repeating: "[", count: 60_000)).problem == "text-not-json")
        let huge: [UInt8] =
            Array(#"{"caller":""#.utf8) + [UInt8](repeating: 0x41, count: 5_000_000) + Array(#""}"#.utf8)
        #expect(dialect.heard(.text, huge).problem == "text-too-long")
        let long = #"{"caller":""# + String(repeating: "1", count: 300) + #""}"#
        #expect(dialect.heard(long).problem == "metadata-value-invalid")
        let invalid: [UInt8] = Array(#"{"caller":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
        #expect(dialect.heard(.text, invalid).problem == "metadata-value-invalid")
    }

    @Test("10 000 mutations of the captured texts do no more than fail", arguments: DialectCase.all)
    func mutations(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        var random = SeededGenerator(seed: 42)
        let texts: [[UInt8]] = CapturedTexts.all.map { Array($0.utf8) }
        var input = DialectInput()
        for round in 0..<10_000 {
            var bytes: [UInt8] = texts[round % texts.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: place)
                default: bytes.removeLast(bytes.count - place)
                }
            }
            input.removeAll()
            bytes.withUnsafeBytes { dialect.received(.text, $0, &input) }
            if input.events.count > 1 || !input.audio.isEmpty { Issue.record("round \(round)") }
        }
    }

    @Test(
        "What goes down is exactly the frame: binary as it is, text as ASCII JSON around base64",
        arguments: DialectCase.all)
    func down(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        var random = SeededGenerator(seed: 3)
        for length in [2, 4, 6, 158, 160, 320, 640, 960, 1920, 4000] {
            // No 0xFF, which jambonz's marks forbid and its own test covers.
            let frame: [UInt8] = (0..<length).map { _ in UInt8.random(in: 0...254, using: &random) }
            let message = try dialect.sent(frame: frame)
            switch message.kind {
            case .binary: #expect(message.bytes == frame)
            case .text:
                #expect(message.bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
                var audio: [UInt8] = []
                try message.bytes.withUnsafeBytes { bytes in
                    let data = try #require(try JSONScan(bytes)["data"])
                    #expect(data["sampleRate"]?.integer == dialect.downlink.rate.hertz)
                    let text = try #require(data["audioData"] ?? data["audioContent"])
                    try Base64.decode(text.bytes, into: &audio)
                }
                #expect(audio == frame)
            }
        }
        #expect(dialect.encoded(frame: []) == nil)
        if dialect.downlink.encoding == .l16 {
            #expect(dialect.encoded(frame: [1]) == nil)
            #expect(try dialect.sent(frame: [1, 2, 3]).bytes == dialect.sent(frame: [1, 2]).bytes)
        }
    }

    @Test("A flush is sent only where the leg has one, and no other command has a message", arguments: DialectCase.all)
    func commands(each: DialectCase) throws {
        var dialect: any MediaDialect = try each.make()
        let flush = dialect.encoded(.flush)
        if flush != nil { #expect(dialect.traits.canFlush) }
        if dialect.traits.canFlush, flush == nil { #expect(dialect.playsThroughControl != nil) }
        #expect(dialect.encoded(.hangUp(.normalClearing)) == nil)
        let destination = TransferDestination(name: "sales", number: "100", context: "default")
        #expect(dialect.encoded(.blindTransfer(destination)) == nil)
        #expect((dialect.encoded(.mark(name: "item-1")) != nil) == dialect.traits.reportsMarks)
        // A leg never plays what it has no room or no time for.
        #expect(dialect.traits.lead >= dialect.traits.warmUp)
        #expect(dialect.traits.lead < dialect.traits.capacity)
    }
}
