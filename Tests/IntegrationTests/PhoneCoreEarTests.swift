import Audio
import MediaDialects
import Telephony
import Testing

@testable import Simulators

/// What reaches the caller's ear, held against what real modules do (freeswitch.md §3.4).
@Suite("The phone's ear is the modules'")
struct PhoneCoreEarTests {
    private static func phone(
        _ dialect: PhoneModule, rate: SampleRate = .narrowband, _ change: (inout PhoneConfiguration) -> Void = { _ in }
    ) -> PhoneCoreDriver {
        var configuration = PhoneConfiguration(dialect: dialect, rate: rate, script: [.silence(.seconds(60))])
        change(&configuration)
        return .connected(configuration)
    }

    private static func tone(_ milliseconds: Int, hertz: Double = 700, rate: SampleRate = .narrowband) -> [Int16] {
        PhoneCoreDriver.tone(.milliseconds(milliseconds), hertz: hertz, rate: rate)
    }

    @Test("The fork never plays 300 ms, until more comes")
    func warmUp() {
        var phone = Self.phone(.forkPCMU)
        phone.text(PhoneCoreDriver.streamAudio(Self.tone(300), rate: 8000))
        phone.advance(by: .seconds(10))
        #expect(phone.voicedHeard == .zero)
        phone.text(PhoneCoreDriver.streamAudio(Self.tone(100), rate: 8000))
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .milliseconds(400))
    }

    @Test("The fork begins 400 ms after the first of frames that come in real time")
    func warmUpInRealTime() {
        var phone = Self.phone(.forkPCMU)
        phone.advance(by: .milliseconds(5))
        for _ in 0..<50 {
            phone.text(PhoneCoreDriver.streamAudio(Self.tone(20), rate: 8000))
            phone.advance(by: .milliseconds(20))
        }
        let first: Int? = phone.heard.firstIndex { $0 != 0 }
        let start: Duration = .milliseconds(20) * ((first ?? 0) / 160 + 1)
        #expect(start == .milliseconds(400))
    }

    @Test("Of 10 s sent at once the fork plays the last 2 s")
    func ring() {
        var phone = Self.phone(.forkPCMU)
        for second in 1...10 {
            phone.text(PhoneCoreDriver.streamAudio(Self.tone(1000, hertz: Double(second) * 100), rate: 8000))
        }
        phone.advance(by: .seconds(5))
        #expect(phone.voicedHeard == .seconds(2))
        let voiced: [Int16] = Array(phone.heard.drop { $0 == 0 })
        #expect(Goertzel.amplitude(of: 900, in: Array(voiced[..<8000]), rate: .narrowband) > 0.2)
        #expect(Goertzel.amplitude(of: 1000, in: Array(voiced[8000..<16000]), rate: .narrowband) > 0.2)
        phone.peerCloses()
        #expect(phone.core.result.discarded == .seconds(8))
    }

    @Test(
        "A flush is silence within 20 ms",
        arguments: [
            (PhoneModule.forkPCMU, #"{"type":"stopAudio"}"#), (.forkL16, #"{"type": "stopAudio"}"#),
            (.binary, #"{"type":"clearAudio"}"#), (.jambonz, #"{"type":"killAudio"}"#),
            (.drachtio, #"{"type":"killAudio"}"#),
        ])
    func flush(_ dialect: PhoneModule, text: String) {
        var phone = Self.phone(dialect)
        switch dialect {
        case .drachtio: phone.text(PhoneCoreDriver.playAudio(Self.tone(2000), rate: 8000))
        case .jambonz: phone.receive(.binary, PhoneCoreDriver.bytes(Self.tone(2000)))
        default: phone.text(PhoneCoreDriver.streamAudio(Self.tone(2000), rate: 8000))
        }
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard > .milliseconds(800))
        phone.text(text)
        phone.heard.removeAll()
        phone.advance(by: .seconds(2))
        #expect(phone.voicedHeard == .zero)
        #expect(phone.reports.contains(.flushed))
        phone.peerCloses()
        #expect(phone.core.result.flushes == 1)
        #expect(phone.core.result.gaps == 0)
    }

    @Test("The fork ignores the sample rate: 16 kHz plays an octave low and twice as long")
    func ignoredRate() {
        var phone = Self.phone(.forkPCMU)
        phone.text(PhoneCoreDriver.streamAudio(Self.tone(800, hertz: 1000, rate: .wideband), rate: 16000))
        phone.advance(by: .seconds(4))
        #expect(phone.voicedHeard == .milliseconds(1600))
        let voiced: [Int16] = Array(phone.heard.drop { $0 == 0 }.prefix(8000))
        #expect(Goertzel.amplitude(of: 500, in: voiced, rate: .narrowband) > 0.2)
        #expect(Goertzel.amplitude(of: 1000, in: voiced, rate: .narrowband) < 0.02)
    }

    @Test("An A-law channel behind the fork hears distortion")
    func wrongLaw() {
        func harmonics(_ law: AudioEncoding) -> Double {
            var phone = Self.phone(.forkPCMU) { $0.channelLaw = law }
            phone.text(PhoneCoreDriver.streamAudio(Self.tone(1000), rate: 8000))
            phone.advance(by: .seconds(2))
            let voiced: [Int16] = Array(phone.heard.drop { $0 == 0 }.prefix(8000))
            var total = 0.0
            for sample in voiced { total += Double(sample) * Double(sample) }
            let tone: Double = Goertzel.amplitude(of: 700, in: voiced, rate: .narrowband) * 32768
            return 1 - tone * tone / 2 / (total / 8000)
        }
        #expect(harmonics(.pcmu) < 0.01)
        #expect(harmonics(.pcma) > 0.2)
    }

    @Test("The community module plays files: 125 ms late, 120 ms between two, and stopAudio means nothing to it")
    func files() {
        var phone = Self.phone(.modAudioStream, rate: .wideband)
        for _ in 0..<2 { phone.text(PhoneCoreDriver.streamAudio(Self.tone(200), rate: 8000)) }
        phone.advance(by: .milliseconds(200))
        phone.text(#"{"type":"stopAudio"}"#)
        phone.receive(.binary, [UInt8](repeating: 1, count: 320))
        phone.advance(by: .seconds(2))
        let frames: [Bool] = stride(from: 0, to: phone.heard.count, by: 320).map { start in
            PhoneSimulatorCore.isVoiced(Array(phone.heard[start..<start + 320]))
        }
        // Frame n sounds from (n + 1) × 20 ms.
        #expect(frames.firstIndex(of: true) == 6)
        #expect(
            Array(frames[6..<32]) == Array(repeating: true, count: 10) + Array(repeating: false, count: 6)
                + Array(repeating: true, count: 10))
        phone.peerCloses()
        #expect(phone.core.result.ignoredMessages == 2)
        #expect(phone.core.result.gaps == 1)
        #expect(phone.core.result.gapTime == .milliseconds(120))
    }

    @Test("A controller's uuid_break ends a file")
    func breaking() {
        var phone = Self.phone(.modAudioStream)
        phone.text(PhoneCoreDriver.streamAudio(Self.tone(5000), rate: 8000))
        phone.advance(by: .seconds(1))
        phone.event { $0.breakPlayback(at: $1, &$2) }
        phone.heard.removeAll()
        phone.advance(by: .seconds(5))
        #expect(phone.voicedHeard == .zero)
    }

    @Test("jambonz: 80 ms are gathered, then 40, and a tail below waits")
    func gathering() {
        var phone = Self.phone(.jambonz)
        phone.receive(.binary, PhoneCoreDriver.bytes(Self.tone(60)))
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .zero)
        phone.receive(.binary, PhoneCoreDriver.bytes(Self.tone(20)))
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .milliseconds(80))
        phone.receive(.binary, PhoneCoreDriver.bytes(Self.tone(20)))
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .milliseconds(80))
        phone.text(#"{"type":"killAudio"}"#)
        phone.receive(.binary, PhoneCoreDriver.bytes(Self.tone(20)))
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .milliseconds(120), "A kill does not reach what is gathered")
    }

    @Test("jambonz: a mark comes back when its place is played, cleared when it is killed, early for a true −1")
    func marks() {
        var phone = Self.phone(.jambonz)
        func audio(_ milliseconds: Int) -> [UInt8] {
            PhoneCoreDriver.bytes(Self.tone(milliseconds).map { $0 == -1 ? 0 : $0 })
        }
        phone.receive(.binary, audio(200))
        phone.text(#"{"type":"mark","data":{"name":"one"}}"#)
        phone.receive(.binary, audio(200))
        phone.advance(by: .milliseconds(200))
        #expect(phone.texts.isEmpty)
        phone.advance(by: .milliseconds(20))
        #expect(phone.texts == [#"{"type": "mark", "data": {"name":"one", "event": "playout"}}"#])
        phone.text(#"{"type":"mark","data":{"name":"two"}}"#)
        phone.receive(.binary, audio(200))
        phone.text(#"{"type":"killAudio"}"#)
        #expect(phone.texts.last == #"{"type": "mark", "data": {"name":"two", "event": "cleared"}}"#)
        phone.receive(.binary, PhoneCoreDriver.bytes([Int16](repeating: -1, count: 1600)))
        phone.text(#"{"type":"mark","data":{"name":"early"}}"#)
        phone.advance(by: .milliseconds(20))
        #expect(phone.texts.count == 3)
    }

    @Test("What a module cannot play is counted and otherwise ignored", arguments: PhoneModule.webSockets)
    func garbage(_ dialect: PhoneModule) {
        var phone = Self.phone(dialect)
        let texts: [String] = [
            "", "hello", "{", "[]", #"{"type":5}"#, #"{"type":"streamAudio"}"#,
            #"{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":8000,"audioData":"@@@"}}"#,
            #"{"type":"streamAudio","data":{"audioDataType":"mp3","sampleRate":8000,"audioData":"AAAA"}}"#,
            #"{"type":"playAudio","data":{"audioContentType":"raw","sampleRate":11025,"audioContent":"AAAA"}}"#,
            #"{"type":"mark","data":{}}"#, String(repeating: "[", count: 10_000),
        ]
        for text in texts { phone.text(text) }
        phone.advance(by: .seconds(1))
        #expect(phone.voicedHeard == .zero)
        phone.peerCloses()
        #expect(phone.core.result.ignoredMessages == texts.count)
    }

    @Test("Any size of message is heard whole", arguments: [1, 7, 160, 320, 999, 64_000])
    func anySize(_ size: Int) {
        var phone = Self.phone(.binary)
        let bytes: [UInt8] = PhoneCoreDriver.bytes(Self.tone(2000))
        for start in stride(from: 0, to: bytes.count, by: size) {
            phone.receive(.binary, Array(bytes[start..<min(bytes.count, start + size)]))
        }
        phone.advance(by: .seconds(4))
        #expect(phone.voicedHeard == .seconds(2))
    }

    @Test("Hostile amounts of audio do not grow the phone without bound")
    func bounded() {
        var phone = Self.phone(.binary)
        let second: [UInt8] = PhoneCoreDriver.bytes(Self.tone(1000))
        for _ in 0..<200 { phone.receive(.binary, second) }
        phone.peerCloses()
        #expect(phone.core.result.discarded == .seconds(80))
    }
}
