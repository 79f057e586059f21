import Telephony
import Testing

@testable import Assistants

/// A machine in virtual time with the engines played by the test: what it did reads as short lines.
struct LocalCall {
    var machine: LocalAssistantMachine
    var output = AssistantOutput()
    var now: Duration = .zero
    /// The channel of the sentence being spoken, and every open one.
    var voice: ChannelID?
    var detector: ChannelID?
    var recogniser: ChannelID?
    var open: Set<ChannelID> = []
    var wake: Duration?
    var spoken: [String] = []
    var tools: [ToolCall] = []
    var lines: [String] = []

    static let configuration = LocalAssistantConfiguration(
        destinations: [
            .init(name: "sales", aliases: ["prices"]), .init(name: "support", aliases: ["technical help"]),
        ],
        topics: [.init(name: "opening hours", keywords: ["when are you open"], answer: "We open at 9. We close at 6.")],
        operatorDestination: "support")

    init(
        _ configuration: LocalAssistantConfiguration = LocalCall.configuration, language: String = "en",
        drivenByUs: Bool = false, tools: [ToolDefinition] = []
    ) {
        let setup = AssistantSetup(
            instructions: "", greeting: "Hello. How can I help?", language: language, tools: tools,
            turns: TurnDetection(drivenByUs: drivenByUs), legFormat: .pcmu)
        self.machine = LocalAssistantMachine(configuration: configuration, setup: setup)
        self.machine.start(at: self.now, &self.output)
        self.drain()
    }

    mutating func perform(_ command: AssistantCommand) {
        self.machine.perform(command, at: self.now, &self.output)
        self.drain()
    }

    mutating func received(_ event: ChannelEvent) {
        self.machine.received(event, at: self.now, &self.output)
        self.drain()
    }

    /// The voice speaks all that is due, half a second a sentence.
    mutating func speakAll() {
        while let voice = self.voice {
            let audio = [UInt8](repeating: 0x55, count: 4000)
            audio.withUnsafeBytes { self.machine.received(.bytes(voice, $0), at: self.now, &self.output) }
            self.drain()
            self.voice = nil
            self.open.remove(voice)
            self.received(.closed(voice, .finished))
        }
    }

    /// The caller says something that the engine understands so.
    mutating func hear(_ words: String, _ confidence: Double = 0.9) {
        self.now += .seconds(2)
        if let detector { self.received(.speech(detector, isSpeaking: true)) }
        if let detector { self.received(.speech(detector, isSpeaking: false)) }
        if let recogniser { self.received(.recognised(recogniser, words: Redacted(words), confidence: confidence)) }
    }

    mutating func press(_ key: Character) { self.perform(.digit(Redacted(key))) }

    mutating func drain() {
        for effect in self.output.effects {
            switch effect {
            case .detect(let channel, _):
                self.detector = channel
                self.open.insert(channel)
            case .recognise(let channel, _):
                self.recogniser = channel
                self.open.insert(channel)
            case .synthesise(let channel, let request):
                self.voice = channel
                self.open.insert(channel)
                self.spoken.append(request.text.value)
            case .close(let channel, _):
                self.open.remove(channel)
                if self.voice == channel { self.voice = nil }
            case .audio(let item, let range): self.lines.append("audio \(item.number) \(range.count)")
            case .wake(let at): self.wake = at
            case .event(.toolCalled(let call)):
                self.tools.append(call)
                self.lines.append("tool \(call.name)")
            case .event(.callerTranscript(_, let text, _)): self.lines.append("caller: \(text.value)")
            case .event(.agentTranscript(_, let text, let isFinal)):
                if isFinal { self.lines.append("agent: \(text.value)") }
            case .event(.responseFinished(let outcome)): self.lines.append("finished \(outcome)")
            case .event(.interrupted): self.lines.append("interrupted")
            case .event(.failed(let failure)): self.lines.append("failed \(failure.slug)")
            default: break
            }
        }
        self.output.removeAll()
    }

    mutating func takeSpoken() -> [String] {
        defer { self.spoken = [] }
        return self.spoken
    }
}

@Suite struct LocalAssistantTests {
    @Test("The greeting is spoken sentence by sentence, its audio passed on, and its text told at the end")
    func greeting() {
        var call = LocalCall()
        call.perform(.respond(.greeting))
        #expect(call.spoken == ["Hello."])
        call.speakAll()
        #expect(call.spoken == ["Hello.", "How can I help?"])
        #expect(
            call.lines == ["audio 1 4000", "audio 1 4000", "agent: Hello. How can I help?", "finished completed"])
        #expect(call.wake == nil)
    }

    @Test(
        "What the caller says leads to the right tool, once the announcement has been delivered",
        arguments: [
            ("sales", "transfer_call", #"{"destination":"sales"}"#),
            ("i would like technical help please", "transfer_call", #"{"destination":"support"}"#),
            ("can i speak to an operator", "transfer_call", #"{"destination":"support"}"#),
            ("goodbye", "end_call", #"{"reason":"caller_goodbye"}"#),
        ])
    func tools(words: String, tool: String, arguments: String) {
        var call = LocalCall()
        call.hear(words)
        #expect(call.tools.isEmpty)
        call.speakAll()
        #expect(call.tools.map(\.name) == [tool])
        #expect(call.tools.first?.arguments.value == arguments)
        #expect(call.lines.suffix(2) == ["tool \(tool)", "finished completed"])
    }

    @Test("A topic is answered with the tenant's words")
    func topic() {
        var call = LocalCall()
        call.hear("when are you open")
        call.speakAll()
        #expect(call.spoken.prefix(2) == ["We open at 9.", "We close at 6."])
        #expect(call.tools.isEmpty)
    }

    @Test("An unsure choice is asked back; yes acts, no asks again", arguments: ["yes", "no", "sales", "1", "2"])
    func confirmation(answer: String) {
        var call = LocalCall()
        call.hear("sales", 0.5)
        call.speakAll()
        #expect(call.takeSpoken() == ["Did you say sales?"])
        if answer.count == 1 { call.press(Character(answer)) } else { call.hear(answer, 0.9) }
        call.speakAll()
        #expect(call.tools.map(\.name) == (["no", "2"].contains(answer) ? [] : ["transfer_call"]))
    }

    @Test(
        "Below the least confidence, and for words that mean nothing, nothing was understood",
        arguments: [
            ("sales", 0.1), ("sales", Double.nan), ("", 0.9), ("please thank you", 0.9),
        ])
    func notUnderstood(words: String, confidence: Double) {
        var call = LocalCall()
        call.hear(words, confidence)
        #expect(call.lines == ["caller: "])
        #expect(call.spoken == ["Sorry, I didn't understand. Could you say that again?"])
    }

    @Test("Misunderstandings are bounded: twice asked again, then the keypad, then a person")
    func bounded() {
        var call = LocalCall()
        call.hear("")
        call.speakAll()
        call.hear("")
        call.speakAll()
        _ = call.takeSpoken()
        call.hear("")
        call.speakAll()
        #expect(call.takeSpoken().contains("Press 1 for sales."))
        #expect(call.tools.isEmpty)
        call.hear("")
        call.speakAll()
        #expect(call.tools.map(\.arguments.value) == [#"{"destination":"support"}"#])
    }

    @Test(
        "Keys work at any time: destinations, operator, repeat, and a wrong one",
        arguments: [
            (Character("1"), #"{"destination":"sales"}"#), ("2", #"{"destination":"support"}"#),
            ("0", #"{"destination":"support"}"#), ("*", nil), ("7", nil), ("A", nil), ("#", nil),
        ])
    func keypad(key: Character, arguments: String?) {
        var call = LocalCall()
        call.perform(.respond(.greeting))
        call.press(key)
        // The greeting stops, and the conversation is told to drop what it holds of it.
        #expect(call.lines.prefix(2) == ["finished cancelled", "interrupted"])
        call.speakAll()
        #expect(call.tools.map(\.arguments.value) == [arguments].compactMap(\.self))
        if arguments == nil { #expect(call.spoken.contains("Press 1 for sales.")) }
    }

    @Test("Without ears the keypad is offered whenever the caller speaks")
    func withoutRecogniser() throws {
        var call = LocalCall()
        let recogniser = try #require(call.recogniser)
        call.received(.closed(recogniser, .failed(slug: "model-missing")))
        #expect(call.lines == ["failed local-recogniser-model-missing"])
        call.recogniser = nil
        call.hear("")
        call.hear("")
        call.hear("")
        call.speakAll()
        #expect(call.spoken.contains("Press 2 for support."))
    }

    @Test(
        "Where the conversation drives, an answer waits for its word, whichever comes first", arguments: [true, false])
    func driven(askedFirst: Bool) {
        var call = LocalCall(drivenByUs: true)
        if askedFirst { call.perform(.respond(.reply)) }
        call.hear("sales")
        #expect(call.lines == ["caller: sales"])
        #expect(call.spoken.isEmpty != askedFirst)
        if !askedFirst { call.perform(.respond(.reply)) }
        #expect(call.spoken == ["I'm connecting you to sales. One moment, please."])
    }

    @Test("A false interruption is forgotten")
    func cleared() {
        var call = LocalCall(drivenByUs: true)
        call.hear("sales")
        call.perform(.clearCallerAudio)
        call.perform(.respond(.reply))
        #expect(call.spoken.isEmpty)
        // No result comes: the promise is kept with a question, not with silence.
        call.now += .seconds(5)
        call.machine.wake(at: call.now, &call.output)
        call.drain()
        #expect(call.spoken == ["Sorry, I didn't understand. Could you say that again?"])
    }

    @Test("Cancelling an announcement cancels its transfer, and the caller is heard again")
    func cancelAnnouncement() {
        var call = LocalCall()
        call.hear("sales")
        call.perform(.cancelResponse)
        #expect(call.voice == nil && call.tools.isEmpty)
        #expect(call.wake == nil)
        _ = call.takeSpoken()
        call.hear("support")
        #expect(call.takeSpoken() == ["I'm connecting you to support. One moment, please."])
    }

    @Test("A question that was not heard cannot be answered with yes")
    func unheardQuestion() {
        var call = LocalCall()
        call.hear("sales", 0.5)
        call.speakAll()
        call.perform(.truncate(AgentItem(1), heard: .milliseconds(100)))
        call.hear("yes")
        call.speakAll()
        #expect(call.tools.isEmpty)
    }

    @Test("A failed transfer is told, and the call goes on")
    func failedTransfer() throws {
        var call = LocalCall()
        call.hear("sales")
        call.speakAll()
        let tool = try #require(call.tools.first)
        _ = call.takeSpoken()
        call.perform(.toolResult(id: tool.id, output: Redacted("{}"), respond: true))
        call.speakAll()
        #expect(call.takeSpoken().first == "I'm sorry, nobody is available there right now.")
        call.hear("support")
        call.speakAll()
        #expect(call.tools.count == 2)
        // An answer to nothing we asked is ignored.
        call.perform(.toolResult(id: "other", output: Redacted(""), respond: true))
        #expect(call.voice == nil)
    }

    @Test("A voice that fails is tried once more, then the next assistant must speak; the transfer is not lost")
    func voiceFails() throws {
        var call = LocalCall()
        call.hear("sales")
        let first = try #require(call.voice)
        call.received(.closed(first, .failed(slug: "engine")))
        let second = try #require(call.voice)
        #expect(second != first)
        call.now += .seconds(5)
        call.machine.wake(at: call.now, &call.output)
        call.drain()
        #expect(call.tools.map(\.name) == ["transfer_call"])
        #expect(call.lines.last?.contains("local-voice-timeout") == true)
        // A late event of the dead job changes nothing.
        let before: Int = call.lines.count
        call.received(.closed(first, .finished))
        #expect(call.lines.count == before)
    }

    @Test("Finish closes every channel and leaves no timer, in whatever state", arguments: 0..<5)
    func finish(state: Int) {
        var call = LocalCall()
        switch state {
        case 1: call.perform(.respond(.greeting))
        case 2: call.hear("sales", 0.5)
        case 3: call.hear("sales")
        case 4:
            call.hear("goodbye")
            call.speakAll()
        default: break
        }
        call.perform(.finish)
        #expect(call.open.isEmpty && call.wake == nil)
        let before: Int = call.lines.count
        call.hear("sales")
        call.press("1")
        call.perform(.respond(.greeting))
        call.machine.wake(at: .seconds(99), &call.output)
        call.drain()
        #expect(call.lines.count == before && call.voice == nil)
    }

    @Test("A message is taken until the hash key, where the tenant has that tool")
    func message() {
        var call = LocalCall(tools: [ToolDefinition(name: "take_message", description: "", parameters: "{}")])
        call.hear("leave a message")
        call.speakAll()
        call.hear("sales")
        call.press("#")
        #expect(call.tools.map(\.name) == ["take_message"])
    }

    @Test("No language misses a sentence or leaves a name out", arguments: SpokenLanguage.allCases)
    func catalogue(language: SpokenLanguage) {
        let sentences: [Sentence] = [
            .filler, .apology, .stillThere, .goodbyeSilent, .goodbye, .transferFailed, .handOver,
            .bridgeToOtherAssistant, .maximumDuration, .greeting, .notUnderstood, .pressForOperator, .anythingElse,
        ]
        for sentence in sentences { #expect(SentenceCatalogue.text(sentence, in: language).count > 5) }
        for sentence in [Sentence.transferring("Zoe"), .didYouSay("Zoe"), .pressFor(digit: "1", name: "Zoe")] {
            #expect(SentenceCatalogue.text(sentence, in: language).contains("Zoe"))
        }
        let same = SpokenLanguage.allCases.filter {
            SentenceCatalogue.text(.filler, in: $0) == SentenceCatalogue.text(.filler, in: language)
        }
        #expect(same == [language])
    }
}
