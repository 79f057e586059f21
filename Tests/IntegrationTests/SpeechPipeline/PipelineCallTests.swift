import Assistants
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// Whole calls over real sockets with the speech pipeline: phone, gateway, recognition, text model, speech.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PipelineCallTests {
    private func answers(_ texts: String...) -> ChatScript {
        var script = ChatScript()
        script.answers = texts.map { ChatScript.Answer($0) }
        return script
    }

    @Test("A caller is greeted, understood, answered twice and written down")
    func wholeCall() async throws {
        var deepgram = DeepgramScript()
        deepgram.utterances = ["When do you open?", "And on Sundays?"]
        let pipeline = try await PipelineGateway(
            deepgram: deepgram, chat: self.answers("We open at nine. Is that fine?", "On Sundays we are closed."))
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        for turn in 1...2 {
            try await pipeline.say(phone)
            try await pipeline.heard(replies: 1 + turn)
        }
        let finished = try await pipeline.finished(phone)
        #expect(finished.call.providers.map(\.text) == ["pipeline"])
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent, .caller, .agent])
        #expect(
            finished.turns.map(\.text.value) == [
                "Good morning, this is Pronto.", "When do you open?", "We open at nine. Is that fine?",
                "And on Sundays?", "On Sundays we are closed.",
            ])
        #expect(finished.call.usage.outputTextTokens > 0)
        let requests = try await pipeline.chat.records()
        #expect(requests.count == 2)
        #expect(requests.last?.body.contains("We open at nine. Is that fine?") == true)
        #expect(requests.allSatisfy { !$0.wasCancelled })
        try await pipeline.stop()
    }

    @Test(
        "Every writer and speaker holds a turn",
        arguments: [
            (WriterConfiguration.Service.openAI, SpeakerConfiguration.Service.openAI), (.anthropic, .elevenLabs),
            (.compatible, .local),
        ])
    func stages(_ writer: WriterConfiguration.Service, _ speaker: SpeakerConfiguration.Service) async throws {
        let pipeline = try await PipelineGateway(services: { services in
            services.writer = writer
            services.writerModel = "m"
            services.speaker = speaker
            services.voice = "v"
        })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent])
        #expect(finished.turns.last?.text.value == "We are open from nine to five. Is there anything else?")
        try await pipeline.stop()
    }

    @Test("Flux decides the turns by itself")
    func flux() async throws {
        let pipeline = try await PipelineGateway(services: { $0.recogniser = .flux })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent])
        #expect(finished.turns.dropFirst().first?.text.value == "Hello, who is there?")
        try await pipeline.stop()
    }

    @Test("A caller who interrupts stops the writer and the voice, and the memory ends where they did")
    func bargeIn() async throws {
        var chat = ChatScript()
        let long = (1...60).map { "This is sentence number \($0) of the answer." }.joined(separator: " ")
        chat.answers = [.init(long, pace: .milliseconds(10)), .init("All right.")]
        let pipeline = try await PipelineGateway(
            chat: chat, change: { _, defaults in defaults.resumeWindow = .milliseconds(200) })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        let before = phone.heard.value.audio
        try await pipeline.say(phone)
        try await eventually("an answer") { phone.heard.value.audio > before + 16000 }
        try await pipeline.say(phone, for: .milliseconds(700))
        try await eventually("a second request") { try await pipeline.chat.records().count == 2 }
        let requests = try await pipeline.chat.records()
        #expect(requests.first?.wasCancelled == true)
        #expect(requests.last?.body.contains("\"This is") == true)
        #expect(requests.last?.body.contains("…") == true)
        #expect(requests.last?.body.contains("sentence number 40 ") == false)
        #expect(try await pipeline.deepgram.records().contains { $0.clears > 0 })
        #expect(phone.heard.value.texts.contains { $0.contains("stopAudio") })
        let finished = try await pipeline.finished(phone)
        #expect(finished.turns.contains { $0.wasInterrupted })
        try await pipeline.stop()
    }

    @Test("A tool hands the caller over after the words were heard")
    func transfer() async throws {
        var chat = ChatScript()
        chat.answers = [.init("One moment.", tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)])]
        let pipeline = try await PipelineGateway(chat: chat)
        let call = try await pipeline.gateway.makeChannel()
        let phone = try await pipeline.greeted(call)
        try await pipeline.say(phone)
        let gateway = pipeline.gateway
        try await eventually("the hand-over") {
            try await gateway.commands(about: call).contains {
                $0.contains("uuid_transfer \(call)") && $0.contains("200")
            }
        }
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.turns.map(\.text.value).last == "One moment.")
        #expect(finished.tools.map(\.name) == ["transfer_call"])
        try await pipeline.stop()
    }

    @Test("An unknown tool is answered, and the model speaks about it")
    func unknownTool() async throws {
        var chat = ChatScript()
        chat.answers = [.init("", tools: [.init("weather")]), .init("I cannot look that up.")]
        let pipeline = try await PipelineGateway(chat: chat)
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let requests = try await pipeline.chat.records()
        #expect(requests.count == 2)
        #expect(requests.last?.body.contains("\"role\":\"tool\"") == true)
        #expect(try await pipeline.finished(phone).turns.last?.text.value == "I cannot look that up.")
        try await pipeline.stop()
    }

    @Test(
        "A service that fails once is not noticed; the call goes on",
        arguments: [ChatScript.Fault.errorInStream, .garbage])
    func retry(_ fault: ChatScript.Fault) async throws {
        var chat = ChatScript()
        chat.answers = [.init("", fault: fault), .init("Here I am again.")]
        let pipeline = try await PipelineGateway(chat: chat)
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(finished.turns.last?.text.value == "Here I am again.")
        #expect(finished.call.providers.map(\.text) == ["pipeline"])
        try await pipeline.stop()
    }

    @Test("Recognition that breaks off is connected anew, in the same session")
    func reconnect() async throws {
        var deepgram = DeepgramScript()
        deepgram.faults = [.closeAtSpeech]
        deepgram.faultsOnce = true
        let pipeline = try await PipelineGateway(deepgram: deepgram)
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone, for: .seconds(1))
        try await pipeline.heard(replies: 2)
        #expect(try await pipeline.deepgram.records().filter { $0.path == "/v1/listen" }.count == 2)
        _ = try await pipeline.finished(phone)
        try await pipeline.stop()
    }

    @Test("Turns by recordings: transcribed, answered, spoken")
    func turnBased() async throws {
        let pipeline = try await PipelineGateway(change: { assistant, _ in assistant.mode = .turnBased })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(finished.call.providers.map(\.text) == ["turn-based"])
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent])
        #expect(finished.turns.dropFirst().first?.text.value == "Hello, who is there?")
        let recordings = try await pipeline.deepgram.records().filter { $0.path == "/v1/listen" && $0.audioBytes > 0 }
        #expect(recordings.count == 1)
        try await pipeline.stop()
    }

    @Test("Recognition and voice of this machine hold a call; only the text model is a service")
    func local() async throws {
        let pipeline = try await PipelineGateway(
            chat: self.answers("We open at nine. Is that fine?"),
            services: { services in
                services.access[.deepgram] = nil
                services.recogniser = .sherpa
                services.speaker = .piper
                services.voice = "it_IT-paola-medium"
            })
        pipeline.speech.utterances.change { $0 = ["When do you open?"] }
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(finished.call.providers.map(\.text) == ["pipeline"])
        #expect(
            finished.turns.map(\.text.value) == [
                "Good morning, this is Pronto.", "When do you open?", "We open at nine. Is that fine?",
            ])
        #expect(pipeline.speech.engines.value.allSatisfy { $0 == .piper })
        #expect(pipeline.speech.recorded.value.allSatisfy { $0 > .milliseconds(500) && $0 < .seconds(5) })
        #expect(try await pipeline.deepgram.records().isEmpty)
        try await pipeline.stop()
    }

    @Test("A recogniser of this machine that cannot serve leaves the call to the next back end")
    func localFails() async throws {
        let pipeline = try await PipelineGateway(
            providers: ["pipeline", "openai"], services: { $0.recogniser = .sherpa })
        pipeline.speech.utterances.change { $0 = ["‹broken›"] }
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        try await eventually("the change") { try await !pipeline.gateway.simulators[0].records().isEmpty }
        let finished = try await pipeline.finished(phone)
        #expect(finished.call.providers.map(\.text) == ["pipeline", "openai"])
        try await pipeline.stop()
    }

    @Test("auto: a realtime service that cannot serve leaves the call to turns, in mid-call")
    func auto() async throws {
        var broken = OpenAIRealtimeScript()
        broken.mishaps = [
            .init(.response(2), .error(code: "insufficient_quota", type: "x", message: "no credit", closing: true))
        ]
        let pipeline = try await PipelineGateway(
            providers: ["openai"], openAI: [broken], change: { assistant, _ in assistant.mode = .auto })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        try await pipeline.say(phone)
        let gateway = pipeline.gateway
        try await pipeline.heard(replies: 2)
        let finished = try await pipeline.finished(phone)
        #expect(try await pipeline.chat.records().count == 1)
        #expect(finished.call.providers.map(\.text) == ["openai", "turn-based"])
        #expect(gateway.gateway.liveCalls == 0)
        try await pipeline.stop()
    }
}
