import Assistants
import Conversation
import Simulators
import Telephony
import Testing

/// What every assistant must do on a call, whatever its wire: the conversation, the machine and the simulated server
/// of each back end in virtual time. A back end joins by an entry in `ContractBackEnd.all`.
@Suite struct AssistantContract {
    private static func script(
        _ answers: [AssistantScript.Answer] = [
            .init("It is half past ten.", callerTranscript: "What time is it?"),
            .init("You are welcome.", callerTranscript: "Thank you very much."),
        ], pace: Double? = 4, _ mishaps: [AssistantScript.Mishap] = []
    ) -> AssistantScript {
        var script = AssistantScript()
        script.answers = answers
        script.greeting = .init("Hello, how can I help?")
        script.pace = pace
        script.mishaps = mishaps
        return script
    }

    /// A reply that sounds for long enough to be broken into. (To make its sound is most of these tests' work.)
    private static let long = AssistantScript.Answer(
        "This is a very long story.", sound: .tone(hertz: 440, .seconds(10)), callerTranscript: "Tell me a story.")

    /// Past the greeting, and quiet.
    private func greet(_ rig: ContractRig) {
        rig.start()
        rig.pass(atMost: .seconds(6)) { rig.isAgentHeard }
        rig.pass(atMost: .seconds(10)) { rig.isQuiet }
        rig.pass(.milliseconds(500))
    }

    /// Whether the agent begins to sound within the limit from now.
    private func isAnswered(_ rig: ContractRig, within limit: Duration = .seconds(8)) -> Bool {
        let start = rig.now
        return rig.pass(atMost: limit) { rig.sound(from: start, to: rig.now) > .milliseconds(200) }
    }

    @Test("The agent greets first, and the caller hears all of it", arguments: ContractBackEnd.all)
    func greeting(backEnd: ContractBackEnd) {
        let rig = ContractRig(backEnd, Self.script())
        self.greet(rig)
        // 22 characters of 60 ms.
        #expect(rig.sound(from: .zero, to: rig.now) >= .milliseconds(1250))
        #expect(rig.turnsTaken.map(\.text.value) == ["Hello, how can I help?"])
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test("Two turns are answered, in order, and written down", arguments: ContractBackEnd.all)
    func twoTurns(backEnd: ContractBackEnd) {
        let rig = ContractRig(backEnd, Self.script())
        self.greet(rig)
        for _ in 0..<2 {
            rig.say()
            #expect(self.isAnswered(rig))
            rig.pass(atMost: .seconds(10)) { rig.isQuiet }
            rig.pass(.seconds(2))
        }
        #expect(rig.turnsTaken.map(\.speaker) == [.agent, .caller, .agent, .caller, .agent])
        #expect(
            rig.turnsTaken.map(\.text.value) == [
                "Hello, how can I help?", "What time is it?", "It is half past ten.", "Thank you very much.",
                "You are welcome.",
            ])
        #expect(rig.latencies.count == 2)
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
        #expect(rig.termination == nil)
    }

    @Test(
        "The caller interrupts, whether the reply is still made or has long been, and is answered",
        arguments: ContractBackEnd.all, [1.0, 1000.0])
    func bargeIn(backEnd: ContractBackEnd, pace: Double) throws {
        let next = AssistantScript.Answer("Very well.", callerTranscript: "Stop, please stop that.")
        let rig = ContractRig(backEnd, Self.script([Self.long, next], pace: pace))
        self.greet(rig)
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(.seconds(3))
        let start = rig.now
        rig.say(.seconds(1))
        let silentAt = try #require(rig.lastSound)
        #expect(silentAt - start <= .milliseconds(300))
        #expect(self.isAnswered(rig))
        rig.pass(.seconds(8))
        // The long reply was not heard to its end, and the record says so.
        let cut = try #require(rig.turnsTaken.first { $0.wasInterrupted })
        #expect("This is a very long story.".hasPrefix(cut.text.value.prefix(4)))
        #expect(cut.heard < .seconds(8))
        #expect(rig.turnsTaken.last?.text.value == "Very well.")
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test("A click interrupts nothing", arguments: ContractBackEnd.all)
    func falseInterruption(backEnd: ContractBackEnd) {
        let answer = AssistantScript.Answer(
            "A story of five seconds.", sound: .tone(hertz: 440, .seconds(5)), callerTranscript: "Tell me a story.")
        let rig = ContractRig(backEnd, Self.script([answer]))
        self.greet(rig)
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(.seconds(1))
        let start = rig.now
        rig.pass(.milliseconds(40), speaking: true)
        rig.pass(.seconds(3))
        #expect(rig.sound(from: start, to: rig.now) >= .milliseconds(2500))
        #expect(rig.turnsTaken.allSatisfy { !$0.wasInterrupted })
    }

    @Test(
        "A cough pauses the agent, who then goes on", arguments: ContractBackEnd.all.filter(\.canBePaused))
    func pauseAndResume(backEnd: ContractBackEnd) {
        let answer = AssistantScript.Answer(
            "A story of five seconds.", sound: .tone(hertz: 440, .seconds(5)), callerTranscript: "Tell me a story.")
        // Of the cough nothing is understood.
        let rig = ContractRig(
            [.init(backEnd: backEnd, script: Self.script([answer, .init("Pardon?")]))],
            bargeIn: .twoStep(confirm: .milliseconds(300)),
            turns: TurnDetection(drivenByUs: true))
        self.greet(rig)
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(.seconds(1))
        rig.pass(.milliseconds(120), speaking: true)
        rig.pass(.seconds(8))
        #expect(rig.notes.contains(.paused))
        #expect(rig.notes.contains(.bargeIn(confirmed: false)))
        #expect(!rig.notes.contains(.bargeIn(confirmed: true)))
        #expect(rig.turnsTaken.contains { $0.text.value == "A story of five seconds." && $0.heard >= .seconds(4) })
    }

    @Test(
        "A tool is called once, and the agent speaks about its outcome",
        arguments: ContractBackEnd.all, [#"{"status":"three"}"#, #"{"error":"the lookup failed"}"#])
    func tool(backEnd: ContractBackEnd, result: String) {
        let using = AssistantScript.Answer(
            "Let me look.", tools: [.init("look_up", arguments: #"{"what":"orders"}"#)],
            callerTranscript: "How many orders?")
        let rig = ContractRig(
            [.init(backEnd: backEnd, script: Self.script([using, .init("There are three.")]))],
            tools: [ToolDefinition(name: "look_up", description: "Looks up", parameters: #"{"type":"object"}"#)])
        rig.tool = (.seconds(3), result)
        self.greet(rig)
        rig.say()
        rig.pass(.seconds(14))
        #expect(rig.toolCalls.map(\.name) == ["look_up"])
        #expect(rig.toolCalls.first.flatMap { JSONValue(json: $0.arguments.value)?["what"]?.text } == "orders")
        #expect(rig.record()?.toolOutputs.count == 1)
        let word = result.contains("three") ? "three" : "failed"
        #expect(rig.record()?.toolOutputs.first?.contains(word) ?? false)
        #expect(rig.turnsTaken.last?.text.value.contains("There are three.") ?? false)
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test("A tool that never answers is answered for", arguments: ContractBackEnd.all)
    func deadTool(backEnd: ContractBackEnd) {
        let using = AssistantScript.Answer("Let me look.", tools: [.init("look_up")], callerTranscript: "Look it up.")
        let rig = ContractRig(backEnd, Self.script([using, .init("I could not find it.")]))
        rig.tool = nil
        self.greet(rig)
        rig.say()
        rig.pass(.seconds(25))
        #expect(rig.record()?.toolOutputs.count == 1)
        #expect(rig.turnsTaken.last?.text.value.contains("I could not find it.") ?? false)
        #expect(rig.failures.isEmpty)
    }

    @Test("A silent caller is asked, and then the call ends", arguments: ContractBackEnd.all)
    func silence(backEnd: ContractBackEnd) {
        let rig = ContractRig(
            [.init(backEnd: backEnd, script: Self.script())], plan: { $0.noInput.patience = .seconds(5) })
        self.greet(rig)
        rig.pass(.seconds(60))
        #expect(rig.termination?.reason == CallTermination.callerSilent.reason)
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test(
        "A leg that sends nothing for more than a minute is no reason to lose the session",
        arguments: ContractBackEnd.all)
    func hold(backEnd: ContractBackEnd) {
        let rig = ContractRig([.init(backEnd: backEnd, script: Self.script())], plan: { $0.noInput.patience = .zero })
        self.greet(rig)
        rig.isHeld = true
        // ElevenLabs ends a session that it hears nothing of for 60 s.
        rig.pass(.seconds(65))
        rig.isHeld = false
        rig.pass(.seconds(1))
        rig.say()
        #expect(self.isAnswered(rig))
        #expect(rig.failures.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test(
        "A connection lost between two turns is made again, and the caller is answered",
        arguments: ContractBackEnd.all.filter(\.hasConnection))
    func reconnect(backEnd: ContractBackEnd) {
        let rig = ContractRig(
            backEnd,
            Self.script(
                [.init("Yes.", callerTranscript: "Hello?")],
                [
                    .init(.after(.seconds(6)), .reset)
                ]))
        self.greet(rig)
        rig.pass(atMost: .seconds(10)) { rig.connections > 1 }
        #expect(rig.connections == 2)
        rig.pass(.milliseconds(500))
        rig.say()
        #expect(self.isAnswered(rig))
        #expect(rig.termination == nil)
        #expect(rig.transfers.isEmpty)
        #expect(rig.refusals.isEmpty)
    }

    @Test(
        "The end of the provider's session does not end the call",
        arguments: ContractBackEnd.all.filter(\.hasConnection))
    func sessionLimit(backEnd: ContractBackEnd) {
        let rig = ContractRig(
            backEnd,
            Self.script(
                [.init("Yes.", callerTranscript: "Hello?")],
                [
                    .init(.after(.seconds(6)), .expiry)
                ]))
        self.greet(rig)
        rig.pass(.seconds(8))
        rig.say()
        #expect(self.isAnswered(rig))
        #expect(rig.termination == nil)
        #expect(rig.connections >= 2)
        #expect(rig.refusals.isEmpty)
    }

    @Test(
        "Garbage in the middle of a reply is passed over", arguments: ContractBackEnd.all,
        [AssistantScript.Fault.malformed, .binary, .huge(bytes: 3_000_000)])
    func garbage(backEnd: ContractBackEnd, fault: AssistantScript.Fault) {
        let rig = ContractRig(
            backEnd,
            Self.script(
                [.init("It is half past ten.", callerTranscript: "What time is it?")],
                [.init(.midResponse(2), fault)]))
        self.greet(rig)
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(.seconds(4))
        rig.say()
        #expect(self.isAnswered(rig))
        #expect(rig.failures.isEmpty)
        #expect(rig.connections <= 1)
    }

    /// Where a server stops answering, or closes.
    private static let moments: [AssistantScript.Moment] = [
        .opened, .configured, .response(1), .midResponse(1), .response(2), .midResponse(2),
    ]

    @Test(
        "A server that falls silent, wherever it does, costs the caller seconds and not the call",
        arguments: ContractBackEnd.all, moments)
    func fallsSilent(backEnd: ContractBackEnd, moment: AssistantScript.Moment) {
        let rig = ContractRig([
            .init(backEnd: backEnd, script: Self.script(_: [Self.long], [.init(moment, .silence)])),
            .init(backEnd: .openAI, script: Self.script([.init("Here I am.", callerTranscript: "Hello?")])),
        ])
        rig.start()
        rig.pass(.seconds(8))
        rig.say()
        rig.pass(.seconds(10))
        #expect(rig.termination == nil)
        // A session that greets well and then falls silent is tried twice: the second time it greets well too.
        rig.say()
        #expect(self.isAnswered(rig, within: .seconds(20)))
    }

    /// Every close that providers.md names, and those of RFC 6455.
    private static let closes: [(code: UInt16, reason: String)] = [
        (1000, ""), (1001, "going away"), (1002, "transport_receive_timeout"), (1003, ""), (1005, ""), (1006, ""),
        (1007, "Request contains an invalid argument."), (1007, "API key not valid."), (1008, "override_error"),
        (1008, "models/x was not found"), (1009, ""), (1010, ""), (1011, "insufficient_quota"), (1011, "internal"),
        (1012, ""), (1013, ""), (1014, ""), (1015, ""), (3000, ""), (4000, ""), (4429, ""), (4999, ""),
    ]

    @Test("However a server closes, the next in the list answers", arguments: ContractBackEnd.all)
    func closed(backEnd: ContractBackEnd) {
        for (index, (code, reason)) in Self.closes.enumerated() {
            // An exchange over HTTP has no close codes: some stand for all.
            if !backEnd.hasConnection, index % 5 != 1 { continue }
            do {
                let moment: AssistantScript.Moment = index % 2 == 0 ? .configured : .midResponse(2)
                let fault = AssistantScript.Fault.close(code: code, reason: reason)
                let rig = ContractRig([
                    .init(backEnd: backEnd, script: Self.script([Self.long], [.init(moment, fault)])),
                    .init(backEnd: .openAI, script: Self.script([.init("Here I am.", callerTranscript: "Hello?")])),
                ])
                rig.start()
                rig.pass(.seconds(3))
                rig.say(.milliseconds(600))
                rig.pass(.seconds(2))
                rig.say(.milliseconds(600))
                let isAnswered = self.isAnswered(rig)
                // An agent that hangs up by itself ends the call, as a caller expects.
                let isHangUp = code == 1000 && rig.termination?.reason == CallTermination.farewell.reason
                #expect(isAnswered || isHangUp, "\(code) \(reason) at \(moment)")
                #expect(isHangUp || rig.termination == nil, "\(code) \(reason) at \(moment)")
            }
        }
    }

    @Test(
        "However a handshake is refused, the next in the list answers", arguments: ContractBackEnd.all,
        [400, 401, 403, 404, 408, 422, 429, 500, 502, 503])
    func refused(backEnd: ContractBackEnd, status: Int) {
        var script = Self.script()
        script.handshakeStatus = status
        let rig = ContractRig([
            .init(backEnd: backEnd, script: script), .init(backEnd: .openAI, script: Self.script()),
        ])
        self.greet(rig)
        #expect(rig.currentRung == 1)
        #expect(rig.isAgentHeard)
    }

    @Test(
        "A server that takes connections and never answers the handshake costs the caller seconds and not the call",
        arguments: ContractBackEnd.all.filter(\.hasConnection))
    func neverOpens(backEnd: ContractBackEnd) {
        let rig = ContractRig([
            .init(backEnd: backEnd, script: Self.script(), neverOpens: true),
            .init(backEnd: .openAI, script: Self.script()),
        ])
        rig.start()
        #expect(rig.pass(atMost: .seconds(20)) { rig.isAgentHeard })
        #expect(rig.currentRung == 1)
        #expect(rig.termination == nil)
    }

    @Test(
        "A server whose reply drips in far slower than it sounds is given up, and the next one answers",
        arguments: ContractBackEnd.all)
    func drips(backEnd: ContractBackEnd) {
        let rig = ContractRig([
            .init(backEnd: backEnd, script: Self.script([Self.long], pace: 0.01)),
            .init(backEnd: .openAI, script: Self.script([.init("Here I am.", callerTranscript: "Hello?")])),
        ])
        rig.start()
        #expect(rig.pass(atMost: .seconds(60)) { rig.currentRung == 1 })
        rig.pass(atMost: .seconds(10)) { rig.isAgentHeard && rig.isQuiet }
        rig.say()
        #expect(self.isAnswered(rig))
        #expect(rig.termination == nil)
    }

    @Test("The caller may hang up at any moment", arguments: ContractBackEnd.all)
    func hangUp(backEnd: ContractBackEnd) {
        let using = AssistantScript.Answer("Let me look.", tools: [.init("look_up")], callerTranscript: "Look it up.")
        for step in 0..<15 {
            let rig = ContractRig(backEnd, Self.script([using, Self.long]))
            rig.tool = (.seconds(1), "{}")
            rig.start()
            let moment = Duration.milliseconds(step * 600)
            rig.pass(min(moment, .seconds(4)))
            if moment > .seconds(4) { rig.say(min(moment - .seconds(4), .milliseconds(1200))) }
            if moment > .milliseconds(5200) { rig.pass(moment - .milliseconds(5200)) }
            rig.hangUp()
            #expect(rig.termination?.reason == CallTermination.callerHungUp.reason, "at \(moment)")
            #expect(!rig.isAnyChannelOpen, "at \(moment)")
            #expect(rig.refusals.isEmpty, "at \(moment)")
        }
    }

    @Test(
        "When one back end dies in the middle, another of any kind goes on: one bridge sentence, and it knows what was said",
        arguments: ContractBackEnd.pairs)
    func failOver(from first: ContractBackEnd, to second: ContractBackEnd) {
        let rig = ContractRig([
            .init(
                backEnd: first,
                script: Self.script(
                    [.init("It is half past ten.", callerTranscript: "What time is it?")],
                    [.init(.midResponse(3), .close(code: 1008, reason: ""))])),
            .init(
                backEnd: second, script: Self.script([.init("I am here now.", callerTranscript: "Are you there?")])),
        ])
        self.greet(rig)
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(atMost: .seconds(10)) { rig.isQuiet }
        rig.pass(.seconds(1))
        rig.say()
        // Its answer to this is broken off in the middle.
        #expect(rig.pass(atMost: .seconds(8)) { rig.currentRung == 1 })
        let switched = rig.now
        #expect(self.isAnswered(rig))
        #expect(rig.now - switched < .milliseconds(1500))
        rig.pass(.seconds(6))
        #expect(rig.sentences == [.changeOver])
        let told = rig.record(of: 1)?.texts.joined(separator: "\n") ?? ""
        #expect(told.contains("What time is it?"))
        #expect(told.contains("It is half past ten."))
        rig.say()
        #expect(self.isAnswered(rig))
        rig.pass(atMost: .seconds(10)) { rig.isQuiet }
        #expect(rig.turnsTaken.last?.text.value == "I am here now.")
        #expect(rig.termination == nil)
        #expect(rig.refusals.isEmpty)
    }
}
