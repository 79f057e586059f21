import Audio
import EventSocket
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// The scenarios of `LegCallTests` and `SwitchLegTests` on a real FreeSWITCH, through the dialplans that we ship
/// (`freeswitch/dialplan`): FreeSWITCH makes the caller, who says a tone each eight seconds, and records what is heard.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: RealFreeSwitch.program != nil, "PRONTO_FREESWITCH does not name the freeswitch program"))
struct RealSwitchLegTests {
    @Test("A caller is greeted, heard and answered; the hang-up ends it", arguments: RealCall.Way.possible)
    func conversation(way: RealCall.Way) async throws {
        try await RealCall.with(way) { call in
            try await call.dial()
            try await eventually(within: .seconds(20), "greeting and answer") {
                // The caller's transcript may come after the answer.
                let isWrittenDown = call.notes.all.contains {
                    if case .callerSaid(_, isFinal: true) = $0 { true } else { false }
                }
                return call.notes.repliesHeard >= 2 && isWrittenDown
            }
            let heard = try await call.heard()
            #expect(heard > .milliseconds(600), "the caller heard both")
            try await call.hangUp()
            let finished = try await call.finished()
            #expect(finished.call.termination.reason == "caller-hung-up")
            #expect(finished.turns.count >= 3)
        }
    }

    @Test("The assistant says goodbye and hangs up; no leg is left", arguments: RealCall.Way.possible)
    func endCall(way: RealCall.Way) async throws {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init("Goodbye.", sound: .tone(hertz: 500, .milliseconds(400)), tools: [.init("end_call")])
        ]
        try await RealCall.with(way, script) { call in
            try await call.dial()
            let finished = try await call.finished()
            #expect(finished.turns.last?.text.value == "Goodbye.")
            #expect(finished.call.termination.cause == .normalClearing)
        }
    }

    @Test("A transfer that is answered takes the caller along", arguments: RealCall.Way.possible)
    func transferAnswered(way: RealCall.Way) async throws {
        try await RealCall.with(way, RealCall.transfers(answers: 1), human: "answers") { call in
            try await call.dial()
            let finished = try await call.finished()
            #expect(finished.call.termination.reason == "transferred")
            #expect(finished.call.transferredTo?.name == "Sales")
            #expect(try await call.api("uuid_exists \(call.caller)") == "true", "the caller is not hung up")
            // The switch fills this table in the background, some seconds late (measured).
            try await eventually(within: .seconds(8), "with the destination") {
                try await call.api("show channels").contains(",200,")
            }
            try await call.hangUp()
        }
    }

    @Test("A transfer that nobody answers brings the caller back", arguments: RealCall.Way.possible)
    func transferUnanswered(way: RealCall.Way) async throws {
        try await RealCall.with(way, RealCall.transfers(answers: 2), human: "rings") { call in
            try await call.dial()
            try await eventually(within: .seconds(30), "the conversation goes on") {
                let outputs = try await call.gateway.base.record()?.toolOutputs ?? []
                let isTold = !outputs.isEmpty || call.gateway.base.voice.spoken.value.contains("transfer-failed")
                return isTold
                    && call.notes.all.contains { note in
                        if case .agentSaid(let text, isFinal: true) = note {
                            text.value == "Nobody is there."
                        } else {
                            false
                        }
                    }
            }
            #expect(try await call.gateway.base.simulators[0].records().count == 1, "the same conversation")
            #expect(call.gateway.base.gateway.liveCalls == 1)
            try await call.hangUp()
            #expect(try await call.finished().call.termination.reason == "caller-hung-up")
        }
    }

    @Test(
        "A transfer that fails at once brings the caller back, and a key is one key",
        arguments: [RealCall.Way.esl, .parked, .rtpBySocket])
    func transferBusy(way: RealCall.Way) async throws {
        try await RealCall.with(way, RealCall.transfers(answers: 2), human: "busy") { call in
            try await call.dial()
            try await eventually(within: .seconds(30), "the conversation goes on") {
                call.notes.all.contains { note in
                    if case .agentSaid(let text, isFinal: true) = note {
                        text.value == "Nobody is there."
                    } else {
                        false
                    }
                }
            }
            let channel = try #require(call.notes.calls.first)
            _ = try await call.api("uuid_recv_dtmf \(channel) 7")
            func pressed() async throws -> Int {
                try await call.gateway.base.record()?.items.count { $0.text.contains("pressed the key 7") } ?? 0
            }
            try await eventually("the key") { try await pressed() > 0 }
            // By another way it would come within moments.
            try await Task.sleep(for: .seconds(1))
            #expect(try await pressed() == 1)
            #expect(try await call.gateway.base.simulators[0].records().count == 1, "the same conversation")
            try await call.hangUp()
            #expect(try await call.finished().call.termination.reason == "caller-hung-up")
        }
    }

    @Test(
        "A file that somebody plays on a raw channel costs a fresh park, and no fuse fires afterwards",
        arguments: [RealCall.Way.esl, .parked])
    func playback(way: RealCall.Way) async throws {
        try await RealCall.with(way) { call in
            try await call.dial()
            try await eventually(within: .seconds(20), "greeting and answer") { call.notes.repliesHeard >= 2 }
            let channel = try #require(call.notes.calls.first)
            let before = call.notes.repliesHeard
            _ = try await call.api("uuid_broadcast \(channel) tone_stream://%(300,0,600) aleg")
            // Longer than a fuse of four seconds, and long enough for the caller's next words.
            try await Task.sleep(for: .seconds(6))
            #expect(!(try await call.api("show channels").contains(",2000,")), "nobody was fetched away")
            try await eventually(within: .seconds(20), "the conversation goes on") {
                call.notes.repliesHeard > before
            }
            #expect(try await call.gateway.base.simulators[0].records().count == 1, "the same conversation")
            #expect(call.gateway.base.gateway.liveCalls == 1)
            try await call.hangUp()
            #expect(try await call.finished().call.termination.reason == "caller-hung-up")
        }
    }

    @Test(
        "Headers that a caller forges never reach us; without the dialplan's line they would, and open nothing",
        arguments: [true, false])
    func forgedHeaders(isShipped: Bool) async throws {
        let line = "<action application=\"set\" data=\"sip_copy_custom_headers=false\"/>"
        try await RealCall.with(.rtp, without: isShipped ? nil : line) { call in
            let caller = try call.sipp(headers: [
                "X-Pronto-Token: pt1:k1:\(TestGateway.otherTenant):\(UUID().uuidString.lowercased()):-:1:2:Zm9yZ2Vk",
                "X-Pronto-Tenant: \(TestGateway.otherTenant)", "X-A-UUID: \(UUID().uuidString.lowercased())",
            ])
            defer { caller.terminate() }
            if isShipped {
                try await eventually(within: .seconds(20), "the greeting") { call.notes.repliesHeard >= 1 }
                let finished = try await call.finished()
                #expect(finished.call.tenant == TestGateway.tenant)
                #expect(finished.call.termination.reason == "caller-hung-up")
            } else {
                try await eventually(within: .seconds(20), "the dialplan's human") {
                    try await call.api("show channels").contains(",2000,")
                }
                #expect(call.gateway.base.finished.value.isEmpty, "a token that is not good is no call")
                _ = try await call.api("hupall")
            }
        }
    }

    @Test("A gateway that is leaving takes no call: the dialplan's human has it", arguments: RealCall.Way.possible)
    func fallback(way: RealCall.Way) async throws {
        try await RealCall.with(way) { call in
            call.gateway.base.gateway.drain()
            try await call.dial()
            try await eventually(within: .seconds(8), "the human") {
                try await call.api("show channels").contains(",2000,")
            }
            #expect(call.gateway.base.finished.value.isEmpty)
            try await call.hangUp()
        }
    }
}

/// One call on a FreeSWITCH of its own, and the gateway that answers it.
final class RealCall {
    /// How the dialplan brings it.
    enum Way: String, CaseIterable, Sendable {
        /// `freeswitch/dialplan/900_voice_ai_esl.xml`.
        case esl
        /// Parked, and steered by the inbound Event Socket alone.
        case parked
        /// `freeswitch/dialplan/900_voice_ai_rtp.xml`.
        case rtp
        /// `socket`, whose program bridges to our SIP port.
        case rtpBySocket
        /// `freeswitch/dialplan/900_voice_ai_dual.xml`: the caller by mod_audio_stream, everything else by `socket`.
        case dual
        /// `freeswitch/dialplan/900_voice_ai_realtime.xml`: mod_audio_stream, started by our script.
        case realtime

        var needsStream: Bool { self == .dual || self == .realtime }

        /// Those that the program's modules allow.
        static let possible: [Way] = {
            let missing = ["audio_stream", "lua"].filter { !RealFreeSwitch.has(module: $0) }
            guard !missing.isEmpty, RealFreeSwitch.program != nil else { return Self.allCases }
            print("real FreeSWITCH: dual and realtime skipped, without \(missing.map { "mod_\($0).so" })")
            return Self.allCases.filter { !$0.needsStream }
        }()
    }

    let caller = UUID().uuidString.lowercased()
    let gateway: LegGateway
    var notes: CallNotes { self.gateway.base.notes }
    private let way: Way
    private let switchFolder: String
    private let switchSIP: UInt16
    private var tape: String { self.switchFolder + "/temp/heard.wav" }

    private init(_ way: Way, _ gateway: LegGateway, _ folder: String, _ switchSIP: UInt16) {
        self.switchSIP = switchSIP
        self.way = way
        self.gateway = gateway
        self.switchFolder = folder
    }

    /// Runs `body` with a fresh switch and gateway; afterwards no channel and no port may be left. `without`: a part of the
    /// dialplan that is left out.
    static func with(
        _ way: Way, _ script: OpenAIRealtimeScript = OpenAIRealtimeScript(), human: String = "answers",
        without part: String? = nil, _ body: (RealCall) async throws -> Void
    ) async throws {
        let (socket, sip, switchSIP) = (try Self.freePort(), try Self.freePort(), try Self.freePort())
        let phones = try Self.freePort()
        var dialplan = try Self.dialplan(way, socket: socket, sip: sip, phones: phones)
        if let part {
            #expect(dialplan.contains(part), "the shipped dialplan has changed")
            dialplan = dialplan.replacing(part, with: "")
        }
        let real = try RealFreeSwitch(
            program: try #require(RealFreeSwitch.program),
            telephony: .init(
                sipPort: switchSIP, sipContext: "calls",
                contexts: [
                    "calls": dialplan,
                    "internal": Self.extensions(human: human),
                ],
                modules: way.needsStream ? ["audio_stream", "lua"] : [],
                scripts: Self.root.appendingPathComponent("freeswitch/scripts").path))
        defer { real.stop() }
        try real.start()
        let gateway = try await LegGateway(
            script: script, real: (real.port, RealFreeSwitch.password, socket, sip, phones))
        if way == .parked { gateway.serveRealParkedCalls() }
        let call = RealCall(way, gateway, real.folder, switchSIP)
        try await body(call)
        try await eventually(within: .seconds(20), "no leg is left") {
            try await call.api("show channels").contains("0 total.")
        }
        try await eventually("no port is left") {
            gateway.ports.taken == 0 && gateway.switchPorts.taken == 0 && gateway.sipPorts.taken == 0
        }
        #expect(gateway.base.gateway.liveCalls == 0)
        try await gateway.stop()
    }

    /// Answers of which the first transfers.
    static func transfers(answers: Int) -> OpenAIRealtimeScript {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init(
                "One moment.", sound: .tone(hertz: 500, .milliseconds(400)),
                tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)]),
            .init("Nobody is there.", sound: .tone(hertz: 500, .milliseconds(600))),
        ]
        script.answers.removeLast(2 - answers)
        return script
    }

    // MARK: The call

    /// Calls 8000, silent for three seconds, then with a tone each eight.
    func dial() async throws {
        let steps = "m:^:sleep:3000^playback:tone_stream://%(700,7300,440);loops=5^park:"
        let answer = try await self.api(
            "originate {origination_uuid=\(self.caller),loopback_bowout=false,RECORD_STEREO=false}"
                + "loopback/8000/calls '\(steps)' inline")
        #expect(answer.hasPrefix("+OK"), "\(answer)")
        _ = try await self.api("uuid_record \(self.caller) start \(self.tape)")
    }

    /// A stranger's phone (sipp) that calls 8000 with these headers, and hangs up after five seconds of conversation.
    func sipp(headers: [String]) throws -> Process {
        let scenario = self.switchFolder + "/temp/stranger.xml"
        func request(_ line: String, _ number: String, _ rest: [String]) -> String {
            ([
                "\(line) SIP/2.0", "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]",
                "From: <sip:1000@[local_ip]:[local_port]>;tag=[pid]a[call_number]",
                "To: <sip:8000@[remote_ip]:[remote_port]>\(number == "1 INVITE" ? "" : "[peer_tag_param]")",
                "Call-ID: [call_id]", "CSeq: \(number)", "Max-Forwards: 70",
                "Contact: <sip:1000@[local_ip]:[local_port]>",
            ] + rest).joined(separator: "\n")
        }
        let offer = [
            "Content-Type: application/sdp", "Content-Length: [len]", "", "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-",
            "c=IN IP4 127.0.0.1", "t=0 0", "m=audio [media_port] RTP/AVP 0", "a=ptime:20",
        ]
        let steps = [
            "<send retrans=\"500\"><![CDATA[\n"
                + request("INVITE sip:8000@[remote_ip]:[remote_port]", "1 INVITE", headers + offer) + "\n]]></send>",
            "<recv response=\"100\" optional=\"true\"/><recv response=\"180\" optional=\"true\"/>",
            "<recv response=\"183\" optional=\"true\"/><recv response=\"200\" rrs=\"true\"/>",
            "<send><![CDATA[\n" + request("ACK [next_url]", "1 ACK", ["Content-Length: 0", ""]) + "\n]]></send>",
            "<pause milliseconds=\"5000\"/><send retrans=\"500\"><![CDATA[\n"
                + request("BYE [next_url]", "2 BYE", ["Content-Length: 0", ""])
                + "\n]]></send><recv response=\"200\"/>",
        ]
        try "<?xml version=\"1.0\"?>\n<scenario name=\"stranger\">\n\(steps.joined(separator: "\n"))\n</scenario>\n"
            .write(
                toFile: scenario, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sipp")
        process.arguments = [
            "127.0.0.1:\(self.switchSIP)", "-sf", scenario, "-m", "1", "-i", "127.0.0.1", "-nostdin", "-timeout", "40s",
        ]
        process.currentDirectoryURL = URL(fileURLWithPath: self.switchFolder + "/temp")
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    func hangUp() async throws { _ = try await self.api("uuid_kill \(self.caller)") }

    /// The sound on the caller's line so far, the caller's own tones left out.
    func heard() async throws -> Duration {
        _ = try await self.api("uuid_record \(self.caller) stop \(self.tape)")
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: self.tape)))
        let recording = try WAV(parsing: bytes)
        let samples = recording.samples.withUnsafeBytes { Array($0.bindMemory(to: Int16.self)) }
        let rate = recording.format.rate.hertz
        // 440 Hz has gone through a whole number of turns in a tenth of a second, and so cancels itself there.
        let lag = rate / 10
        var voiced = 0
        for start in stride(from: 0, to: max(0, samples.count - lag - rate / 50), by: rate / 50) {
            let isLoud = (start..<(start + rate / 50)).contains { abs(Int(samples[$0])) > 1000 }
            let isOther = (start..<(start + rate / 50)).contains {
                abs(Int(samples[$0]) - Int(samples[$0 + lag])) > 1500
            }
            if isLoud, isOther || start < rate * 5 / 2 { voiced += 1 }
        }
        return .milliseconds(20 * voiced)
    }

    func finished() async throws -> FinishedCall {
        try await eventually(within: .seconds(30), "a record") { !self.gateway.base.finished.value.isEmpty }
        return try #require(self.gateway.base.finished.value.first)
    }

    /// An API command of the switch, and its answer.
    func api(_ line: String) async throws -> String {
        let command = try ApiCommand.typed(line)
        let control = self.gateway.base.control
        return try await withCheckedThrowingContinuation { continuation in
            control.ask(command, timeout: .seconds(10)) { continuation.resume(with: $0.map(\.text)) }
        }
    }

    // MARK: The switch

    private static func freePort() throws -> UInt16 {
        let probe = try TCPListener.bind(try #require(SocketAddress("127.0.0.1", port: 0)))
        defer { probe.close() }
        return probe.address.port
    }

    private static let root = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }

    private static func dialplan(_ way: Way, socket: UInt16, sip: UInt16, phones: UInt16) throws -> String {
        let tenant = TestGateway.tenant
        switch way {
        case .esl, .rtp, .dual, .realtime:
            var text = try String(
                contentsOf: self.root.appendingPathComponent("freeswitch/dialplan/900_voice_ai_\(way.rawValue).xml"),
                encoding: .utf8)
            text = text.replacing("127.0.0.1:8022", with: "127.0.0.1:\(socket)")
                .replacing("127.0.0.1:8085", with: "127.0.0.1:\(phones)")
                .replacing("127.0.0.1:5090;", with: "127.0.0.1:\(sip);tenant=\(tenant);")
                .replacing("<include>", with: "").replacing("</include>", with: "")
            let mark = "<action application=\"set\" data=\"pronto_failover_ext=2000\"/>"
            #expect(text.contains(mark), "the shipped dialplan has changed")
            // FusionPBX sets it; a plain switch's dialplan has it from `pronto dialplan --tenant`.
            return text.replacing(mark, with: mark + Self.action("set", "domain_uuid=\(tenant)"))
                + Self.extensions(human: "answers")
        case .parked:
            return Self.dialed(
                "8000",
                [
                    ("set", "domain_uuid=\(tenant)"), ("set", "pronto_mode=esl"),
                    ("set", "pronto_fuse=4 2000 XML calls"), ("answer", ""), ("sched_transfer", "+4 2000 XML calls"),
                    ("park", ""),
                ]) + Self.extensions(human: "answers")
        case .rtpBySocket:
            return Self.dialed(
                "8000",
                [
                    ("set", "domain_uuid=\(tenant)"), ("set", "VOICE_AI_AUDIO_MODE=rtp"), ("answer", ""),
                    ("socket", "127.0.0.1:\(socket) async full"), ("transfer", "2000 XML calls"),
                ]) + Self.extensions(human: "answers")
        }
    }

    /// 2000 is the human of the fallback; 200 the assistant's destination.
    private static func extensions(human: String) -> String {
        Self.dialed("2000", [("answer", ""), ("park", "")])
            + Self.dialed("200", Self.actions(of: human))
    }

    private static func actions(of human: String) -> [(String, String)] {
        switch human {
        case "rings": [("ring_ready", ""), ("sleep", "60000")]
        case "busy": [("hangup", "USER_BUSY")]
        default: [("answer", ""), ("park", "")]
        }
    }

    private static func action(_ application: String, _ data: String) -> String {
        "<action application=\"\(application)\" data=\"\(data)\"/>"
    }

    private static func dialed(_ number: String, _ actions: [(String, String)]) -> String {
        "<extension name=\"\(number)\"><condition field=\"destination_number\" expression=\"^\(number)$\">"
            + actions.map { Self.action($0.0, $0.1) }.joined() + "</condition></extension>"
    }
}
