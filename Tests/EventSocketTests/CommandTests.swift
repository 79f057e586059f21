import EventSocket
import Telephony
import Testing

@Suite struct CommandTests {
    static let channel = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")!
    static let other = CallID("4500d4b5-8aaa-403f-8a72-dbca171df510")!

    @Test(
        "What an operator types is one line, whatever is in it",
        arguments: ["a\nb", "status\r", "a\u{0}", "", "\u{7F}"])
    func typed(line: String) {
        #expect(throws: EventSocketCommandError.self) { try ApiCommand.typed(line) }
        #expect(throws: EventSocketCommandError.self) { try EventSocketCommand.typed(line) }
    }

    @Test("An answer is read as what it says, or as nothing")
    func answers() {
        #expect(EventSocketReply(text: "true").flag == true)
        #expect(EventSocketReply(text: "false").flag == false)
        #expect(EventSocketReply(text: "+OK").flag == nil)
        #expect(EventSocketReply(text: "_undef_").variable == nil)
        #expect(EventSocketReply(text: "a b").variable?.value == "a b")
        #expect(EventSocketReply(text: "+OK \(Self.channel)").channel == Self.channel)
        #expect(EventSocketReply(text: "+OK").channel == nil)
        #expect(EventSocketReply(text: "-ERR USER_BUSY").channel == nil)
        #expect(EventSocketReply(text: "{\"row_count\":0}").channels?.isEmpty == true)
        #expect(EventSocketReply(text: "-ERR no").channels == nil)
        #expect(SwitchRefusal("-ERROR")?.kind == .operationFailed)
        #expect(SwitchRefusal("-ERR invalid uuid")?.kind == .noSuchChannel)
        #expect(SwitchRefusal("-ERR Invalid uuid")?.whole == "-ERR Invalid uuid")
        #expect(SwitchRefusal("-ERR Cannot stop record session!")?.kind == .operationFailed)
    }

    @Test("Commands read on the wire as FreeSWITCH wants them")
    func wire() throws {
        let (a, b) = (Self.channel, Self.other)
        let sales = DialplanTarget(extension: "2000", context: "default")
        let expected: [(ApiCommand, String)] = [
            (.status, "status"),
            (.showChannels, "show channels as json"),
            (.coreID, "global_getvar core_uuid"),
            (try .typed("show calls  as json"), "show calls  as json"),
            (try .transfer(a, .other, to: sales), "uuid_transfer \(a) -bleg 2000 XML default"),
            (try .transfer(a, .both, to: sales), "uuid_transfer \(a) -both 2000 XML default"),
            (try .stopPlayback(of: a, all: false), "uuid_break \(a)"),
            (
                try .startRecording(a, into: "/tmp/a.wav", limit: .seconds(60)),
                "uuid_record \(a) start /tmp/a.wav 60"
            ),
            (try .exists(a), "uuid_exists \(a)"),
            (try .getVariable("read_codec", of: a), "uuid_getvar \(a) read_codec"),
            (try .setVariable("my_note", to: "two words", of: a), "uuid_setvar \(a) my_note two words"),
            (try .setVariable("my_note", to: nil, of: a), "uuid_setvar \(a) my_note"),
            (try .transfer(a, to: sales), "uuid_transfer \(a) 2000 XML default"),
            (try .park(a), "uuid_transfer \(a) park inline"),
            (
                try .dualTransfer(a, caller: sales, other: sales),
                "uuid_dual_transfer \(a) 2000/XML/default 2000/XML/default"
            ),
            (try .scheduleTransfer(a, to: sales, in: .seconds(2)), "sched_transfer +2 \(a) 2000 XML default"),
            (try .kill(a, cause: .userBusy), "uuid_kill \(a) USER_BUSY"),
            (try .bridge(a, with: b), "uuid_bridge \(a) \(b)"),
            (try .hold(a, true), "uuid_hold \(a)"),
            (try .hold(a, false), "uuid_hold off \(a)"),
            (try .broadcast("/tmp/x_0.tmp.r8", to: a), "uuid_broadcast \(a) /tmp/x_0.tmp.r8 aleg"),
            (try .stopPlayback(of: a), "uuid_break \(a) all"),
            (try .startRecording(a, into: "/tmp/a.wav"), "uuid_record \(a) start /tmp/a.wav"),
            (try .sendDigits("12#", to: a), "uuid_send_dtmf \(a) 12#"),
            (
                try .startAudioStream(
                    a, url: "ws://127.0.0.1:8085/x?a=b", mix: .mono, rate: .wideband, metadata: #"{"a": "b"}"#),
                #"uuid_audio_stream \#(a) start ws://127.0.0.1:8085/x?a=b mono 16k {"a": "b"}"#
            ),
            (
                try .sendAudioStreamText(json: #"{"type": "note", "text": "two \"words\" it's"}"#, to: a),
                #"uuid_audio_stream \#(a) send_text {"type":"note","text":"two\u0020\u0022words\u0022\u0020it\u0027s"}"#
            ),
            (
                try .originate(OriginatedCall(to: .user(extension: "2002", domain: "127.0.0.1"), timeout: .seconds(2))),
                "originate {originate_timeout=2}user/2002@127.0.0.1 &park()"
            ),
            (
                try .originate(
                    OriginatedCall(
                        to: .gateway(name: "carrier", number: "+39000"), variables: [("origination_uuid", b.text)],
                        then: .dialplan(sales))),
                "originate {originate_timeout=30,origination_uuid=\(b)}sofia/gateway/carrier/+39000 2000 XML default"
            ),
        ]
        for (command, line) in expected {
            #expect(String(decoding: EventSocketCommand.api(command).bytes, as: UTF8.self) == "api \(line)\n\n")
        }
        #expect(
            text(try .background(.status, job: "my-job-1")) == "bgapi status\nJob-UUID: my-job-1\n\n")
        #expect(
            text(try .subscribe(to: [.dtmf, .custom, .backgroundJob], subclasses: ["mod_audio_stream::play"]))
                == "event plain DTMF BACKGROUND_JOB CUSTOM mod_audio_stream::play\n\n")
        #expect(text(try .filter(channel: a)) == "filter Unique-ID \(a)\n\n")
        #expect(
            text(try .execute("playback", "tone_stream://%(3000,0,500)", id: "my-app-1"))
                == "sendmsg\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: tone_stream://%(3000,0,500)\nEvent-UUID: my-app-1\n\n"
        )
        #expect(
            text(try .hangUp(a)) == "sendmsg \(a)\ncall-command: hangup\nhangup-cause: NORMAL_CLEARING\n\n")
    }

    @Test(
        "No argument can become a second command, a second word or an option",
        arguments: [
            "2000\n\nexit", "2000\rapi status", "2000 XML evil", "'2000", "\"2000", "20\\00", "-both", "${system(id)}",
            "set:a=b,park:", "2000;api", "20\u{0}00", "&park()", "2000,3000", "2000|3000", "", "\u{2028}",
            String(repeating: "1", count: 257),
        ])
    func injection(bad: String) {
        let channel = Self.channel
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.transfer(channel, to: DialplanTarget(extension: bad, context: "default"))
        }
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.transfer(channel, to: DialplanTarget(extension: "2000", context: bad))
        }
        #expect(throws: EventSocketCommandError.self) { try ApiCommand.getVariable(bad, of: channel) }
        #expect(throws: EventSocketCommandError.self) { try ApiCommand.sendDigits(bad, to: channel) }
        #expect(throws: EventSocketCommandError.self) { try ApiCommand.broadcast(bad, to: channel) }
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.startAudioStream(channel, url: bad, mix: .mono, rate: .wideband)
        }
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.kill(channel, cause: HangupCause(q850: 16, name: bad))
        }
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.originate(OriginatedCall(to: .user(extension: bad, domain: "x")))
        }
        #expect(throws: EventSocketCommandError.self) { try EventSocketCommand.background(.status, job: bad) }
        #expect(throws: EventSocketCommandError.self) { try EventSocketCommand.subscribe(to: [.other(bad)]) }
        #expect(throws: EventSocketCommandError.self) { try EventSocketCommand.execute(bad) }
    }

    @Test(
        "What would be read by a later application is refused where blanks are allowed",
        arguments: [
            "a\nb", "${system(id)}", "it's", "back\\slash", " leading",
        ])
    func values(bad: String) {
        #expect(throws: EventSocketCommandError.unsafe(argument: .variableValue)) {
            try ApiCommand.setVariable("note", to: bad, of: Self.channel)
        }
    }

    @Test(
        "A broadcast plays files and never runs an application",
        arguments: [
            "hangup::16", "/tmp/../etc/passwd", "relative.wav", "http://evil/x.wav", "/tmp/a b.wav", "/a::b",
        ])
    func broadcast(bad: String) {
        #expect(throws: EventSocketCommandError.unsafe(argument: .path)) {
            try ApiCommand.broadcast(bad, to: Self.channel)
        }
    }

    @Test("A transfer that rings is one word of the inline dialplan: bridge by loopback, then the way back")
    func ring() throws {
        let channel = Self.channel
        let sales = DialplanTarget(extension: "2000", context: "default")
        let before =
            "uuid_transfer \(channel) 'm:^:set:continue_on_fail=true^set:hangup_after_bridge=true"
            + "^set:ringback=%(2000,4000,440,480)^bridge:{originate_timeout=30}loopback/2000/default/XML"
        let entry = DialplanTarget(extension: "8000", context: "public")
        let cases: [(ApiCommand.WayBack, String)] = [
            (.park, "\(before)^park:' inline"), (.dialplan(entry), "\(before)^transfer:8000 XML public' inline"),
        ]
        for (back, line) in cases {
            let command = try ApiCommand.ring(channel, sales, for: .seconds(30), otherwise: back)
            #expect(text(.api(command)) == "api \(line)\n\n")
        }
        // It would have to be reached through another dialplan than the one that its loopback names.
        #expect(throws: EventSocketCommandError.unsafe(argument: .dialplan)) {
            try ApiCommand.ring(
                channel, DialplanTarget(extension: "2000", dialplan: "LUA", context: "default"), for: .seconds(30),
                otherwise: .park)
        }
        #expect(throws: EventSocketCommandError.unsafe(argument: .dialplan)) {
            try ApiCommand.ring(
                channel, sales, for: .seconds(30),
                otherwise: .dialplan(DialplanTarget(extension: "park", dialplan: "inline", context: "default")))
        }
        #expect(throws: EventSocketCommandError.unsafe(argument: .seconds)) {
            try ApiCommand.ring(channel, sales, for: .milliseconds(10), otherwise: .park)
        }
    }

    @Test("The dead man's switch is a task in the channel's group; its number is read from the answer")
    func fuse() throws {
        let channel = Self.channel
        let human = DialplanTarget(extension: "2000", context: "default")
        #expect(
            text(.api(try .scheduleFuse(channel, to: human, seconds: 4)))
                == "api sched_api +4 \(channel) uuid_transfer \(channel) 2000 XML default\n\n")
        #expect(text(.api(.cancelTask(17))) == "api sched_del 17\n\n")
        for seconds in [0, -1, 3601, Int.max] {
            #expect(throws: EventSocketCommandError.unsafe(argument: .seconds)) {
                try ApiCommand.scheduleFuse(channel, to: human, seconds: seconds)
            }
        }
        #expect(SwitchTask.number(in: "+OK Added: 17") == 17)
        for odd in ["+OK", "+OK Added: ", "+OK Added: x", "-ERR Added: 3", "", "+OK Added: 99999999999999999999"] {
            #expect(SwitchTask.number(in: odd) == nil, "\(odd)")
        }
    }

    @Test(
        "Nothing dialed or configured can leave its place in a ringing transfer or a fuse",
        arguments: [
            "2000^park:", "2000'", "2000' inline", "2000/default", "2000 park", "${system(id)}", "2000\napi status",
            "{a=b}2000", "2000,3000", "2000|3000", "[leg=1]2000", "<2000>", "m:^:x", "", "2000\u{0}",
        ])
    func ringInjection(bad: String) {
        let channel = Self.channel
        let good = DialplanTarget(extension: "2000", context: "default")
        for target in [
            DialplanTarget(extension: bad, context: "default"), DialplanTarget(extension: "2000", context: bad),
        ] {
            #expect(throws: EventSocketCommandError.self) {
                try ApiCommand.ring(channel, target, for: .seconds(30), otherwise: .park)
            }
            #expect(throws: EventSocketCommandError.self) {
                try ApiCommand.ring(channel, good, for: .seconds(30), otherwise: .dialplan(target))
            }
            #expect(throws: EventSocketCommandError.self) {
                try ApiCommand.scheduleFuse(channel, to: target, seconds: 4)
            }
        }
        #expect(throws: EventSocketCommandError.self) {
            try EventSocketCommand.unicast(
                UnicastPorts(switchAddress: bad, switchPort: 1, ourAddress: "127.0.0.1", ourPort: 2))
        }
    }

    @Test("Raw audio is asked for with both ends named")
    func unicast() throws {
        let ports = UnicastPorts(
            switchAddress: "127.0.0.1", switchPort: 32_768, ourAddress: "127.0.0.1", ourPort: 16_384)
        #expect(
            text(try .unicast(ports, on: Self.channel))
                == "sendmsg \(Self.channel)\ncall-command: unicast\nlocal-ip: 127.0.0.1\nlocal-port: 32768\n"
                + "remote-ip: 127.0.0.1\nremote-port: 16384\ntransport: udp\n\n")
    }

    @Test("Text that is no JSON is not sent", arguments: ["", "{\"open", "{\"a\":\"\\x\"}", "\"\\"])
    func notJSON(bad: String) {
        #expect(throws: EventSocketCommandError.self) {
            try ApiCommand.sendAudioStreamText(json: bad, to: Self.channel)
        }
    }

    @Test("Commands, events and replies print nothing that anybody said or dialed")
    func redaction() throws {
        let command = EventSocketCommand.api(
            try .transfer(Self.channel, to: DialplanTarget(extension: "0039055", context: "default")))
        var printed = "\(command) \(EventSocketReply(text: "0039055"))"
        dump(command, to: &printed)
        dump(try decode(try fixture("esl-event-DTMF-plain"), pieces: 5000), to: &printed)
        #expect(!printed.contains("0039055"))
        #expect(!printed.contains("127.0.0.1"))
        #expect(printed.contains("uuid_transfer"))
    }

    private func text(_ command: EventSocketCommand) -> String { String(decoding: command.bytes, as: UTF8.self) }
}
