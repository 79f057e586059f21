import Audio
import MediaDialects
import Telephony
import Testing

@testable import Simulators

@Suite("The phone's wire is the modules'")
struct PhoneCoreWireTests {
    /// Bytes and intervals of freeswitch.md §3.2.
    @Test(
        "Each dialect's messages have the module's size and pace",
        arguments: [
            (PhoneModule.modAudioStream, 8000, 1, 20, 320, 50), (.modAudioStream, 16000, 1, 20, 640, 50),
            (.modAudioStream, 8000, 2, 20, 640, 50), (.modAudioStream, 16000, 2, 20, 1280, 50),
            (.modAudioStream, 24000, 1, 20, 960, 50), (.modAudioStream, 48000, 1, 20, 1920, 50),
            (.modAudioStream, 16000, 1, 40, 1280, 25), (.modAudioStream, 8000, 1, 100, 1600, 10),
            (.modAudioStream, 8000, 1, 200, 3200, 5), (.modAudioStream, 8000, 1, 30, 320, 50),
            (.forkPCMU, 16000, 1, 20, 160, 50), (.forkPCMA, 8000, 1, 100, 800, 10), (.forkL16, 16000, 1, 20, 640, 50),
            (.drachtio, 16000, 1, 20, 640, 50), (.jambonz, 8000, 1, 20, 320, 50), (.binary, 24000, 1, 60, 2880, 16),
        ] as [(PhoneModule, Int, Int, Int, Int, Int)])
    func messages(
        _ dialect: PhoneModule, rate: Int, channels: Int, milliseconds: Int, bytes: Int, perSecond: Int
    ) {
        var configuration = PhoneConfiguration(
            dialect: dialect, rate: SampleRate(hertz: rate), script: [.silence(.seconds(5))])
        configuration.channels = channels
        configuration.messageDuration = .milliseconds(milliseconds)
        configuration.metadata = Redacted(#"{"a": "b c"}"#)
        var phone: PhoneCoreDriver = .connected(configuration)
        phone.advance(by: .seconds(1))
        #expect(phone.messages.first?.kind == .text)
        #expect(phone.texts == [#"{"a": "b c"}"#])
        #expect(phone.binaries.count == perSecond)
        #expect(phone.binaries.allSatisfy { $0.count == bytes })
        #expect(phone.binaries.allSatisfy { $0.allSatisfy { $0 == dialect.encoding.silence } })
    }

    @Test("The metadata text can be lost, and audio comes all the same")
    func lostMetadata() {
        var configuration = PhoneConfiguration(dialect: .modAudioStream, script: [.silence(.seconds(1))])
        configuration.metadata = Redacted("{}")
        configuration.losesMetadata = true
        var phone: PhoneCoreDriver = .connected(configuration)
        phone.advance(by: .milliseconds(100))
        #expect(phone.texts.isEmpty)
        #expect(phone.binaries.count == 5)
    }

    @Test("Stereo carries the caller left and what the caller hears right")
    func stereo() {
        var configuration = PhoneConfiguration(
            dialect: .binary, rate: .narrowband,
            script: [.speak([Int16](repeating: 1000, count: 8000))])
        configuration.channels = 2
        var phone: PhoneCoreDriver = .connected(configuration)
        phone.receive(.binary, PhoneCoreDriver.bytes([Int16](repeating: -3000, count: 4000)))
        phone.advance(by: .milliseconds(100))
        let samples: [Int16] = phone.binaries[0].withUnsafeBytes { Array($0.bindMemory(to: Int16.self)) }
        #expect(samples.count == 320)
        #expect(stride(from: 0, to: 320, by: 2).allSatisfy { samples[$0] == 1000 && samples[$0 + 1] == -3000 })
    }

    @Test("Speech goes up in the dialect's encoding", arguments: [PhoneModule.forkPCMU, .forkPCMA, .forkL16])
    func encodings(_ dialect: PhoneModule) {
        let tone: [Int16] = PhoneCoreDriver.tone(.milliseconds(200), rate: .narrowband)
        var phone: PhoneCoreDriver = .connected(
            PhoneConfiguration(dialect: dialect, rate: .narrowband, script: [.speak(tone)]))
        phone.advance(by: .milliseconds(200))
        var expected: [UInt8] = []
        if let law = dialect.encoding.law {
            tone.withUnsafeBufferPointer { G711.encode($0, as: law, into: &expected) }
        } else {
            expected = PhoneCoreDriver.bytes(tone)
        }
        #expect(phone.binaries.flatMap { $0 } == expected)
    }

    @Test("Hold and pause send no frame, and there is no backlog after them")
    func hold() {
        var phone: PhoneCoreDriver = .connected(
            PhoneConfiguration(
                dialect: .modAudioStream, rate: .narrowband,
                script: [
                    .silence(.seconds(1)), .hold(.seconds(2)), .silence(.seconds(1)), .pause(.seconds(1)),
                    .silence(.seconds(5)),
                ]))
        phone.advance(by: .seconds(6))
        let counts: [Int] = (0..<6).map { second in
            phone.messages.count { $0.at > .seconds(second) && $0.at <= .seconds(second + 1) }
        }
        #expect(counts == [50, 0, 0, 50, 0, 50])
    }

    @Test("Digits and texts go as texts, hanging up is Close 1000 and the end of frames")
    func digits() {
        var phone: PhoneCoreDriver = .connected(
            PhoneConfiguration(
                dialect: .forkPCMU,
                script: [
                    .digit(Redacted("5")), .silence(.milliseconds(40)), .digit(Redacted("*")),
                    .text(#"{"type":"hangup"}"#), .hangUp,
                ]))
        phone.advance(by: .seconds(1))
        #expect(
            phone.texts == [
                #"{"type":"dtmf","digit":"5"}"#, #"{"type":"dtmf","digit":"*"}"#, #"{"type":"hangup"}"#,
            ])
        #expect(phone.binaries.count == 2)
        #expect(phone.closes == [1000])
        phone.peerCloses()
        #expect(phone.isOver)
        #expect(phone.core.result.end == .hungUp)
    }

    @Test(
        "Handshakes are those of the captures",
        arguments: [
            (
                PhoneModule.modAudioStream,
                """
                GET /stream/1/2 HTTP/1.1
                Host:127.0.0.1:8085
                Upgrade:websocket
                Connection:upgrade
                Sec-WebSocket-Key:JxYFtbou2MfZQuXXKeSNfQ==
                Sec-WebSocket-Version:13
                Origin:http://127.0.0.1:8085
                X-Lab-Caller:1000


                """
            ),
            (
                .forkPCMU,
                """
                GET /stream/1/2 HTTP/1.1
                Host:127.0.0.1:8085
                Upgrade:websocket
                Connection:upgrade
                Sec-WebSocket-Key:JxYFtbou2MfZQuXXKeSNfQ==
                Sec-WebSocket-Version:13
                Sec-WebSocket-Extensions:permessage-deflate; client_no_context_takeover; \
                server_no_context_takeover; client_max_window_bits=9
                Origin:http://127.0.0.1:8085
                X-Lab-Caller:1000


                """
            ),
            (
                .drachtio,
                """
                GET /stream/1/2 HTTP/1.1
                Pragma: no-cache
                Cache-Control: no-cache
                Host: 127.0.0.1
                Origin: http://127.0.0.1
                Upgrade: websocket
                Connection: Upgrade
                Sec-WebSocket-Key: JxYFtbou2MfZQuXXKeSNfQ==
                Sec-WebSocket-Protocol: audio.drachtio.org
                Sec-WebSocket-Version: 13
                X-Lab-Caller: 1000


                """
            ),
        ] as [(PhoneModule, String)])
    func handshake(_ dialect: PhoneModule, text: String) {
        let request: String = PhoneHandshake.request(
            dialect, to: PhoneHandshake.Target(host: "127.0.0.1", port: 8085, path: "/stream/1/2"),
            key: "JxYFtbou2MfZQuXXKeSNfQ==", headers: [("X-Lab-Caller", "1000")])
        #expect(request == text.replacing("\n", with: "\r\n"))
    }

    @Test(
        "Without a module keys and hold are signals of their own, and no text is sent",
        arguments: [PhoneModule.unicast, .rtp])
    func datagramLines(_ dialect: PhoneModule) {
        var configuration = PhoneConfiguration(dialect: dialect, rate: .narrowband)
        configuration.metadata = Redacted("{}")
        configuration.script = [
            .text("{}"), .digit(Redacted("7")), .silence(.milliseconds(40)), .hold(.milliseconds(40)),
            .silence(.milliseconds(40)),
        ]
        var driver = PhoneCoreDriver.connected(configuration)
        driver.advance(by: .milliseconds(400))
        #expect(driver.keys == ["7", "hold", "resume"])
        #expect(driver.messages.allSatisfy { $0.kind == .binary })
        #expect(driver.messages.allSatisfy { $0.bytes.count == (dialect == .rtp ? 160 : 320) })
        // The switch goes on with silence while the line is held; a SIP phone does not.
        #expect(driver.messages.count == (dialect == .rtp ? 4 : 6))
    }
}
