import MediaDialects
import Telephony
import Testing

/// The exact bytes of each module's wire, and what is special about it.
@Suite struct DialectWireTests {
    private static let frame: [UInt8] = [0, 1, 2, 3, 0xFE, 0xFD]

    @Test("Community: streamAudio at the wire's rate, played by the controller in long pieces")
    func community() throws {
        var dialect = try ModAudioStream(wire: .l16(.wideband))
        let message = try dialect.sent(frame: Self.frame)
        #expect(message.kind == .text)
        #expect(
            String(decoding: message.bytes, as: UTF8.self)
                == #"{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":16000,"audioData":"AAECA/79"}}"#)
        #expect(dialect.encoded(.flush) == nil)
        let control = try #require(dialect.playsThroughControl)
        #expect(control.event == "mod_audio_stream::play")
        #expect(control.chunk >= .seconds(1))
        #expect(dialect.traits.lead >= control.chunk)
    }

    @Test("The fork: always 8 kHz L16 whatever comes up, stopAudio, its warm-up and its ring")
    func fork() throws {
        for wire in [AudioFormat.l16(.wideband), .pcmu, .pcma] {
            var dialect = try ModAudioStreamFork(wire: wire)
            #expect(dialect.downlink == .l16(.narrowband))
            let message = try dialect.sent(frame: Self.frame)
            #expect(
                String(decoding: message.bytes, as: UTF8.self)
                    == #"{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":8000,"audioData":"AAECA/79"}}"#
            )
            #expect(try dialect.sent(.flush) == #"{"type":"stopAudio"}"#)
            #expect(dialect.traits.warmUp == .milliseconds(400))
            #expect(dialect.traits.capacity == .seconds(2))
            #expect(dialect.playsThroughControl == nil)
        }
        let short = try ModAudioStreamFork(wire: .pcmu, warmUp: .milliseconds(60))
        #expect(short.traits.warmUp == .milliseconds(60))
        // Below its low water of 160 ms it counts as dry.
        #expect(short.traits.lead >= .milliseconds(160))
        #expect(throws: DialectError.warmUpOutOfRange) { try ModAudioStreamFork(wire: .pcmu, warmUp: .zero) }
        #expect(throws: DialectError.warmUpOutOfRange) { try ModAudioStreamFork(wire: .pcmu, warmUp: .seconds(3)) }
    }

    @Test("Binary down: frames as they are, a configured flush, nothing near 120 KB")
    func binary() throws {
        var dialect = try BinaryDown(wire: .pcmu, flushText: #"{"type":"killAudio"}"#)
        let message = try dialect.sent(frame: [1, 2, 3])
        #expect(message.kind == .binary)
        #expect(message.bytes == [1, 2, 3])
        #expect(try dialect.sent(.flush) == #"{"type":"killAudio"}"#)
        #expect(dialect.encoded(frame: [UInt8](repeating: 0, count: 8192)) != nil)
        #expect(dialect.encoded(frame: [UInt8](repeating: 0, count: 8193)) == nil)

        var mute = try BinaryDown(wire: .l16(.wideband), downlink: .l16(.narrowband))
        #expect(mute.encoded(.flush) == nil)
        #expect(!mute.traits.canFlush)
        #expect(mute.downlink == .l16(.narrowband))

        var text = try BinaryDown(wire: .pcmu, style: .streamAudio)
        #expect(
            String(decoding: try text.sent(frame: Self.frame).bytes, as: UTF8.self)
                == #"{"type":"streamAudio","data":{"audioDataType":"pcmu","sampleRate":8000,"audioData":"AAECA/79"}}"#)
        #expect(throws: DialectError.flushTextInvalid) { try BinaryDown(wire: .pcmu, flushText: "") }
        #expect(throws: DialectError.channelsUnsupported(.binaryDown)) {
            try BinaryDown(wire: .pcmu, downlink: AudioFormat(.l16, .narrowband, channels: 2))
        }
    }

    @Test("drachtio: playAudio as a file, killAudio only where it was asked for")
    func drachtio() throws {
        var dialect = try DrachtioFork(wire: .l16(.narrowband))
        #expect(
            String(decoding: try dialect.sent(frame: Self.frame).bytes, as: UTF8.self)
                == #"{"type":"playAudio","data":{"audioContentType":"raw","sampleRate":8000,"audioContent":"AAECA/79"}}"#
        )
        #expect(dialect.encoded(.flush) == nil)
        #expect(dialect.playsThroughControl?.event == "mod_audio_fork::play_audio")
        var killing = try DrachtioFork(wire: .l16(.narrowband), flush: .killAudio)
        #expect(try killing.sent(.flush) == #"{"type":"killAudio"}"#)
    }

    @Test("jambonz: −1 becomes 0, at whole samples only")
    func minusOne() throws {
        var dialect = try JambonzFork(wire: .l16(.narrowband))
        let frame: [UInt8] = [0xFF, 0xFF, 0x12, 0xFF, 0xFF, 0x34, 0xFF, 0xFF, 0xFE, 0xFF]
        let message = try dialect.sent(frame: frame)
        #expect(message.kind == .binary)
        #expect(message.bytes == [0, 0, 0x12, 0xFF, 0xFF, 0x34, 0, 0, 0xFE, 0xFF])
        #expect(try dialect.sent(.flush) == #"{"type":"killAudio"}"#)
        #expect(dialect.tail == .milliseconds(80))
    }

    @Test("jambonz: marks go out by safe names, come back played or cleared, and are thirty at most")
    func marks() throws {
        var dialect = try JambonzFork(wire: .l16(.narrowband))
        #expect(
            try dialect.sent(.mark(name: "item-1")) == #"{"type":"mark","data":{"name":"item-1"}}"#)
        #expect(
            dialect.heard(CapturedTexts.jambonz[0]).events
                == [.phone(.markReached(name: "item-1", cleared: false))])
        #expect(
            dialect.heard(CapturedTexts.jambonz[1]).events
                == [.phone(.markReached(name: "item-2", cleared: true))])
        #expect(dialect.pendingMarks == 0)
        for bad in ["", "a b", "a\"b", "a\\b", "é", String(repeating: "a", count: 65)] {
            #expect(dialect.encoded(.mark(name: bad)) == nil)
        }
        for _ in 0..<30 { #expect(dialect.encoded(.mark(name: "m")) != nil) }
        #expect(dialect.encoded(.mark(name: "m")) == nil)
        _ = dialect.heard(#"{"type": "mark", "data": {"name":"m", "event": "playout"}}"#)
        #expect(dialect.encoded(.mark(name: "m")) != nil)
        for bad in [
            #"{"type":"mark"}"#, #"{"type":"mark","data":{"name":"m"}}"#,
            #"{"type":"mark","data":{"name":1,"event":"playout"}}"#,
            #"{"type":"mark","data":{"name":"a b","event":"playout"}}"#,
            #"{"type":"mark","data":{"name":"m","event":"other"}}"#,
        ] {
            let input: DialectInput = dialect.heard(bad)
            #expect(input.events.isEmpty && input.problem == "mark-invalid")
        }
        var bytes: [UInt8] = []
        #expect(dialect.encodeClearMarks(into: &bytes) == .text)
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"type":"clearMarks"}"#)
        #expect(dialect.pendingMarks == 0)
    }

    @Test("A mark's text means nothing to a module that has none")
    func foreignMark() throws {
        var dialect = try ModAudioStream(wire: .l16(.narrowband))
        let input: DialectInput = dialect.heard(CapturedTexts.jambonz[0])
        #expect(input.events.isEmpty && input.problem == nil)
    }

    @Test("Formats that a module does not carry are refused by name")
    func formats() {
        #expect(throws: DialectError.formatUnsupported(.modAudioStream, .pcmu)) { try ModAudioStream(wire: .pcmu) }
        #expect(throws: DialectError.formatUnsupported(.drachtioFork, .pcma)) { try DrachtioFork(wire: .pcma) }
        #expect(throws: DialectError.formatUnsupported(.jambonzFork, .pcmu)) { try JambonzFork(wire: .pcmu) }
        let odd: AudioFormat = .l16(SampleRate(hertz: 44100))
        #expect(throws: DialectError.formatUnsupported(.modAudioStream, odd)) { try ModAudioStream(wire: odd) }
        // The api call of `stereo 8k pcmu` never returned.
        let stereo = AudioFormat(.pcmu, .narrowband, channels: 2)
        #expect(throws: DialectError.formatUnsupported(.modAudioStreamFork, stereo)) {
            try ModAudioStreamFork(wire: stereo)
        }
        for hertz in [0, -8000, 7, Int.max] {
            let wire: AudioFormat = .l16(SampleRate(hertz: hertz))
            #expect(throws: DialectError.self) { try BinaryDown(wire: wire) }
        }
        #expect(throws: DialectError.self) { try ModAudioStream(wire: AudioFormat(.l16, .narrowband, channels: 0)) }
    }
}
