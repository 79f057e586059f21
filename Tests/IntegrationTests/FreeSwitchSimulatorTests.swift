import EventSocket
import Foundation
import Simulators
import Telephony
import Testing

/// The simulated switch against recordings of a real one, and against our own client.
@Suite struct FreeSwitchSimulatorTests {
    private typealias Core = FreeSwitchSimulatorCore
    private static let connection = Core.ConnectionID(1)

    @Test(
        "What a program sent to a real FreeSWITCH is answered alike",
        arguments: [
            "esl-inbound-badauth", "esl-inbound-commands", "esl-inbound-bgapi",
        ])
    func replay(name: String) throws {
        var core = Core()
        core.outcomes = ["2000": .answers, "2001": .doesNotAnswer, "2002": .busy]
        var effects: [Core.Effect] = []
        core.accepted(Self.connection, into: &effects)
        var recorded: [UInt8] = []
        for piece in try pieces(name) {
            guard piece.isFromController else {
                recorded += piece.bytes
                continue
            }
            // The recorder stripped nothing: the blank line that ends a command is in its piece.
            piece.bytes.withUnsafeBytes { core.received($0, from: Self.connection, into: &effects) }
        }
        var simulated: [UInt8] = []
        for case .send(_, let bytes) in effects { simulated += bytes }
        let expected = try outlines(recorded)
        let got = try outlines(simulated)
        #expect(got == expected)
        #expect(expected.count > 2)
        if name != "esl-inbound-bgapi" { #expect(effects.last == .close(Self.connection)) }
    }

    @Test("Our client gets through to it: set-up, commands, jobs, events, hang-up")
    func client() throws {
        let channel = try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1"))
        var core = Core(password: "secret")
        core.addChannel(channel, variables: ["secretary_uuid": "11111111-2222-3333-4444-555555555555"])
        var line = Line(core: core)
        line.start()
        #expect(line.client.status == .ready)
        line.client.watch(channel, at: .zero, into: &line.effects)
        line.run()
        try line.ask(1, .getVariable("secretary_uuid", of: channel))
        try line.ask(2, .getVariable("nothing", of: channel))
        try line.ask(3, .startAudioStream(channel, url: "ws://127.0.0.1:8085/x", mix: .mono, rate: .wideband))
        try line.ask(4, .sendAudioStreamText(json: #"{"say": "two words"}"#, to: channel))
        try line.ask(5, .transfer(channel, to: DialplanTarget(extension: "2000", context: "default")))
        line.core.digit("5", on: channel, into: &line.switchEffects)
        line.run()
        try line.ask(6, .kill(channel, cause: .normalClearing))
        try line.ask(7, .kill(channel))
        #expect(
            line.answers == [
                "1 = 11111111-2222-3333-4444-555555555555", "2 = _undef_", "3 = +OK Success", "4 = +OK Success",
                "5 = +OK",
                "6 = +OK", "7 ! no-such-channel",
            ])
        #expect(line.events == ["DTMF", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"])
        #expect(
            line.notices == [
                .streamStarted(channel, url: "ws://127.0.0.1:8085/x", metadata: nil),
                .streamText(channel, #"{"say":"two\u0020words"}"#),
                .transferred(channel, extension: "2000", dialplan: "XML", context: "default"),
                .streamStopped(channel), .hungUp(channel, cause: .normalClearing),
            ])
        #expect(line.core.commands.first == "auth")
        line.core.shutDown(into: &line.switchEffects)
        line.run()
        #expect(line.client.status == .interrupted(.disconnectNotice))
    }

    // MARK: -

    /// A client and the simulator, joined by nothing but their effects.
    private struct Line {
        var core: Core
        var client = InboundClient(
            InboundClient.Configuration(password: "secret"), seed: 7, jobPrefix: "pronto")
        var effects: [InboundClient.Effect] = []
        var switchEffects: [Core.Effect] = []
        var answers: [String] = []
        var events: [String] = []
        var notices: [Core.Notice] = []

        init(core: Core) { self.core = core }

        mutating func start() {
            self.client.start(at: .zero, into: &self.effects)
            self.run()
        }

        mutating func ask(_ number: UInt64, _ command: ApiCommand) throws {
            self.client.execute(command, id: EventSocketRequestID(number), at: .zero, into: &self.effects)
            self.run()
        }

        mutating func run() {
            while !self.effects.isEmpty || !self.switchEffects.isEmpty {
                if !self.effects.isEmpty { self.perform(self.effects.removeFirst()) }
                if !self.switchEffects.isEmpty { self.perform(self.switchEffects.removeFirst()) }
            }
        }

        private mutating func perform(_ effect: InboundClient.Effect) {
            switch effect {
            case .connect:
                self.client.connected(at: .zero, into: &self.effects)
                self.core.accepted(connection, into: &self.switchEffects)
            case .send(let bytes):
                bytes.withUnsafeBytes { self.core.received($0, from: connection, into: &self.switchEffects) }
            case .close: self.core.closed(connection, into: &self.switchEffects)
            case .deliver(let event): self.events.append(event.name.wire)
            case .complete(let id, .success(let reply)): self.answers.append("\(id.number) = \(reply.text)")
            case .complete(let id, .failure(let failure)): self.answers.append("\(id.number) ! \(failure.slug)")
            case .wake, .statusChanged, .channelGone, .oddity: break
            }
        }

        private mutating func perform(_ effect: Core.Effect) {
            switch effect {
            case .send(_, let bytes):
                bytes.withUnsafeBytes { self.client.received($0, at: .zero, into: &self.effects) }
            case .close: self.client.connectionLost(at: .zero, into: &self.effects)
            case .noticed(let notice): self.notices.append(notice)
            case .openSocket, .openUnicast, .closeUnicast, .schedule, .linger: break
            }
        }
    }

    /// One line for each message; ids, times and versions apart. Events are counted, as replies may overtake them.
    private func outlines(_ bytes: [UInt8]) throws -> [String] {
        var decoder = EventSocketDecoder()
        bytes.withUnsafeBytes { decoder.append($0) }
        var replies: [String] = []
        var jobs: [String] = []
        var others: [String] = []
        while let message = try decoder.next() {
            switch message {
            case .authRequest: replies.append("auth")
            case .reply(let reply):
                replies.append(reply.text.hasPrefix("UP ") ? "status" : Self.withoutIDs(reply.text))
            case .disconnectNotice: replies.append("notice")
            case .event(let event) where event.name == .backgroundJob:
                jobs.append(
                    "\(event.headers["Job-Command"] ?? "") \(event.headers["Job-Command-Arg"] ?? "") \(Self.withoutIDs(event.text))"
                )
            case .event(let event) where event.name != .heartbeat:
                others.append("\(event.name) \(event.hangupCause?.name ?? event.subclass ?? "")")
            // The recording has a heartbeat in XML, which came when its time was.
            case .event, .unreadable, .channelData, .rejected: break
            }
        }
        // The recording of jobs ends before the events of its last command, `hupall`.
        return replies + jobs + others.filter { !$0.hasSuffix("MANAGER_REQUEST") }
    }

    private static func withoutIDs(_ text: String) -> String {
        text.split(separator: " ").map { isUUID($0) ? "<id>" : String($0) }.joined(separator: " ")
    }

    private func pieces(_ name: String) throws -> [(isFromController: Bool, bytes: [UInt8])] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appendingPathComponent("EventSocketTests/Fixtures/\(name).txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        var pieces: [(isFromController: Bool, bytes: [UInt8])] = []
        var lines: [Substring] = []
        var mark: Substring = ""
        func flush() {
            // The last line end of a piece belongs to the transcript.
            if mark.hasSuffix(">>") { pieces.append((true, Array(lines.joined(separator: "\n").utf8))) }
            if mark.hasSuffix("<<") { pieces.append((false, Array(lines.joined(separator: "\n").utf8))) }
            lines = []
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("---  ") {
                flush()
                mark = line
            } else {
                lines.append(line)
            }
        }
        if lines.last == "" { lines.removeLast() }
        flush()
        return pieces
    }
}

private let connection = FreeSwitchSimulatorCore.ConnectionID(1)
