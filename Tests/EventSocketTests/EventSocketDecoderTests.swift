import EventSocket
import Testing

@Suite struct EventSocketDecoderTests {
    static let transcripts = [
        "esl-inbound-badauth", "esl-inbound-commands", "esl-inbound-bgapi", "esl-inbound-call-plain",
        "esl-outbound-async-full", "esl-outbound-json-nolinger", "esl-outbound-plain",
    ]

    @Test("A recording means the same whole, byte by byte and in odd pieces", arguments: transcripts)
    func dripFeed(name: String) throws {
        let bytes = try Transcript(named: name).bytes(from: .freeSwitch)
        let whole = try decode(bytes, pieces: bytes.count).map(outline)
        #expect(whole.count >= 3)
        #expect(try decode(bytes, pieces: 1).map(outline) == whole)
        #expect(try decode(bytes, pieces: 777).map(outline) == whole)
        #expect(!whole.contains { $0.hasPrefix("unreadable") && !$0.hasSuffix("xml") })
    }

    @Test("CRLF line ends mean the same as LF")
    func carriageReturns() throws {
        let head = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
        let crlf = head.replacing("\n", with: "\r\n")
        #expect(try decode(Array(crlf.utf8), pieces: 5).map(outline) == ["reply +OK accepted"])
        #expect(try decode(Array(head.utf8), pieces: 5).map(outline) == ["reply +OK accepted"])
    }

    @Test("A recorded session is understood message by message")
    func badPassword() throws {
        let bytes = try Transcript(named: "esl-inbound-badauth").bytes(from: .freeSwitch)
        #expect(try decode(bytes, pieces: 64).map(outline) == ["auth", "reply -ERR invalid", "notice"])
    }

    @Test("The reply to connect holds the channel, decoded; only there values are URL-encoded")
    func channelData() throws {
        let bytes = try Transcript(named: "esl-outbound-async-full").bytes(from: .freeSwitch)
        guard case .channelData(let data) = try #require(try decode(bytes, pieces: 4096).first) else {
            Issue.record("no channel data")
            return
        }
        #expect(data.channel?.text == "708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")
        #expect(data.headers["Reply-Text"] == "+OK\n")
        #expect(data.headers["socket-mode"] == "async")
        #expect(data.headers["CONTROL"] == "full")
        #expect(data.variable("domain_uuid")?.value == "11111111-2222-3333-4444-555555555555")
        #expect(data.variable("rtp_local_sdp_str")?.value.contains("\r\na=ptime:20\r\n") == true)
        #expect(data.headers.oddities == 0)
    }

    @Test("A linger notice is not the end of the socket")
    func linger() throws {
        let bytes = try Transcript(named: "esl-outbound-async-full").bytes(from: .freeSwitch)
        let notices = try decode(bytes, pieces: 4096).map(outline).filter { $0.hasPrefix("notice") }
        #expect(notices == ["notice linger", "notice"])
    }

    @Test("An event's own body is found in the plain and in the JSON form", arguments: ["plain", "json"])
    func playEvent(form: String) throws {
        let event = try event("esl-event-audio_stream-play-" + form)
        #expect(event.name == .custom)
        #expect(event.subclass == "mod_audio_stream::play")
        #expect(event.body.count == 109)
        guard case .playback(let file) = try #require(event.audioStream) else {
            Issue.record("no playback")
            return
        }
        #expect(file.hasSuffix("_0.tmp.r8"))
        #expect(file.contains(try #require(event.channel).text))
    }

    @Test("The end of a channel has its cause and its variables", arguments: ["plain", "json"])
    func hangupComplete(form: String) throws {
        let event = try event("esl-event-CHANNEL_HANGUP_COMPLETE-" + form)
        #expect(event.name == .channelHangupComplete)
        #expect(event.hangupCause == .normalClearing)
        #expect(event.headers.count > 200)
        #expect(event.variable("sip_hangup_disposition")?.value == "recv_bye")
    }

    @Test("A digit is a digit", arguments: ["plain", "json"])
    func digit(form: String) throws {
        let event = try event("esl-event-DTMF-" + form)
        #expect(event.name == .dtmf)
        #expect(event.digit != nil)
    }

    @Test(
        "Text that is no Event Socket is a typed error, and stays one",
        arguments: [
            ("HTTP/1.1 400 Bad Request\n\n", EventSocketDecodingError.malformedHeader(lineNumber: 1)),
            ("Content-Type: command/reply\nnonsense\n\n", .malformedHeader(lineNumber: 2)),
            ("Content-Length: -1\n\n", .malformedLength),
            ("Content-Length: 99999999999999999999\n\n", .malformedLength),
            ("Content-Length: 0x10\n\n", .malformedLength),
            ("Content-Length: 4\nContent-Length: 5\n\n", .malformedLength),
            ("Content-Length: 1000001\n\n", .bodyTooLong(announced: 1_000_001, limit: 1_000_000)),
            (String(repeating: "a", count: 5000), .headTooLong(limit: 4096)),
        ])
    func garbage(text: String, error: EventSocketDecodingError) {
        var decoder = EventSocketDecoder(limits: .init(head: 4096, body: 100_000, omitted: 1_000_000))
        Array(text.utf8).withUnsafeBytes { decoder.append($0) }
        #expect(throws: error) { try decoder.next() }
        Array("Content-Type: auth/request\n\n".utf8).withUnsafeBytes { decoder.append($0) }
        #expect(throws: error) { try decoder.next() }
    }

    @Test("What is longer than the limit is passed over, and what follows it is understood", arguments: [1, 7, 4096])
    func oversize(piece: Int) throws {
        let long = String(repeating: "x", count: 5000)
        let text =
            "Content-Length: 5000\nContent-Type: text/event-plain\n\n\(long)"
            + "Content-Type: api/response\nContent-Length: 5000\n\n\(long)"
            + "Content-Type: api/response\nContent-Length: 4\n\ntrue"
        var decoder = EventSocketDecoder(limits: .init(head: 4096, body: 1000))
        var said: [String] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            Array(rest.prefix(piece)).withUnsafeBytes { decoder.append($0) }
            rest = rest.dropFirst(piece)
            while let message = try decoder.next() {
                switch message {
                case .unreadable(let type): said.append(type)
                case .reply(let reply): said.append("\(reply.text) \(reply.omitted)")
                default: said.append("?")
                }
            }
        }
        #expect(said == ["text/event-plain", " 5000", "true 0"])
    }

    @Test("An odd line inside an event costs neither the event nor the connection")
    func oddEvent() throws {
        let inner = "Event-Name: DTMF\nno colon here\nDTMF-Digit: %35\nContent-Length: 999\n\nshort"
        let text = "Content-Length: \(inner.utf8.count)\nContent-Type: text/event-plain\n\n\(inner)"
        guard case .event(let event) = try #require(try decode(Array(text.utf8), pieces: 10).first) else {
            Issue.record("no event")
            return
        }
        #expect(event.headers.oddities == 2)
        #expect(event.digit?.value == "5")
        #expect(event.text == "short")
    }

    @Test("Ten thousand damaged recordings never trap")
    func mutations() throws {
        var seeds = [try Transcript(named: "esl-inbound-badauth").bytes(from: .freeSwitch)]
        for name in ["esl-event-DTMF-plain", "esl-event-DTMF-json"] { seeds.append(try fixture(name)) }
        let play = try fixture("esl-event-audio_stream-play-plain")
        let inner = Array(play.suffix(500))
        seeds.append(Array("Content-Length: \(inner.count)\nContent-Type: text/event-plain\n\n".utf8) + inner)
        seeds.append(Array("Event-Name: CHANNEL_DATA\nContent-Type: command/reply\nReply-Text: %2BOK%0A\n\n".utf8))
        var generator = SeededGenerator(seed: 20_261_121)
        var understood = 0
        for round in 0..<10_000 {
            var bytes = seeds[round % seeds.count].prefix(700)[...]
            for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&bytes, using: &generator) }
            var decoder = EventSocketDecoder(limits: .init(head: 512, body: 2048))
            let cut = bytes.startIndex + Int.random(in: 0...bytes.count, using: &generator)
            for part in [bytes[..<cut], bytes[cut...]] {
                part.withUnsafeBytes { decoder.append($0) }
                while let message = try? decoder.next() {
                    understood += 1
                    if case .event(let event) = message { _ = (event.channel, event.hangupCause, event.audioStream) }
                }
            }
        }
        #expect(understood > 1000)
    }

    private func mutate(_ bytes: inout ArraySlice<UInt8>, using generator: inout SeededGenerator) {
        let position = bytes.startIndex + Int.random(in: 0..<max(bytes.count, 1), using: &generator)
        guard position < bytes.endIndex else { return }
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: position)
        case 2: bytes.insert(contentsOf: bytes[position...].prefix(20), at: position)
        default: bytes = bytes[..<position]
        }
    }

    private func event(_ name: String) throws -> SwitchEvent {
        let messages = try decode(try fixture(name), pieces: 1000)
        guard case .event(let event) = try #require(messages.first) else { throw NoEvent() }
        return event
    }
    struct NoEvent: Error {}
}

/// All messages in `bytes`, handed over in pieces of so many bytes.
func decode(_ bytes: [UInt8], pieces: Int) throws -> [EventSocketMessage] {
    var decoder = EventSocketDecoder()
    var messages: [EventSocketMessage] = []
    var position = 0
    while position < bytes.count {
        let end = min(position + pieces, bytes.count)
        bytes[position..<end].withUnsafeBytes { decoder.append($0) }
        while let message = try decoder.next() { messages.append(message) }
        position = end
    }
    return messages
}

/// A message in one line, to compare with.
func outline(_ message: EventSocketMessage) -> String {
    switch message {
    case .authRequest: "auth"
    case .reply(let reply): "reply " + reply.text + (reply.job.map { " job " + $0 } ?? "")
    case .channelData(let event): "channel data \(event.headers.count)"
    case .event(let event):
        "event \(event.name.wire) \(event.headers.count) \(event.channel?.text ?? "-") \(event.text)"
    case .disconnectNotice(let notice): notice.lingers ? "notice linger" : "notice"
    case .rejected: "rejected"
    case .unreadable(let contentType): "unreadable " + contentType
    }
}
