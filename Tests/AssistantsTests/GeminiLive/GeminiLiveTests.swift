import Assistants
import Telephony
import Testing

/// The machine of Gemini Live, event by event.
@Suite struct GeminiLiveTests {
    static let configuration = GeminiLiveConfiguration(
        baseURL: "https://g.example", credential: .apiKey(Redacted("k")))

    static func trace(
        setup: AssistantSetup = MachineTrace.setup(), _ change: (inout GeminiLiveConfiguration) -> Void = { _ in }
    ) -> MachineTrace {
        var configuration = Self.configuration
        change(&configuration)
        return MachineTrace(GeminiLiveMachine(configuration: configuration, setup: setup))
    }

    static func ready(
        setup: AssistantSetup = MachineTrace.setup(), _ change: (inout GeminiLiveConfiguration) -> Void = { _ in }
    ) -> MachineTrace {
        var trace = Self.trace(setup: setup, change)
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"setupComplete":{}}"#)
        trace.forget()
        return trace
    }

    static func audio(_ bytes: [UInt8], type: String = "audio/pcm;rate=24000") -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
        let base64 = String(decoding: text, as: UTF8.self)
        return
            #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"\#(type)","data":"\#(base64)"}}]}}}"#
    }

    static let complete = #"{"serverContent":{"turnComplete":true}}"#
    static let handle = #"{"sessionResumptionUpdate":{"newHandle":"h1","resumable":true}}"#

    @Test("The address, the key's header and the setup are what the SDK sends")
    func opening() {
        let tools = [ToolDefinition(name: "t", description: "d", parameters: #"{"type":"object"}"#)]
        var trace = Self.trace(setup: MachineTrace.setup(tools: tools))
        trace.start()
        #expect(
            trace.connects.first?.target.url
                == "wss://g.example/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent")
        #expect(trace.connects.first?.target.headers.first?.name == "x-goog-api-key")
        trace.channel(.opened(.main))
        let setup = trace.sent.first?["setup"]
        #expect(setup?["model"] == "models/gemini-3.8-live")
        #expect(setup?[["generationConfig", "responseModalities"]] == ["AUDIO"])
        #expect(setup?[["sessionResumption"]] == .object([]))
        #expect(setup?[["contextWindowCompression", "slidingWindow"]] == .object([]))
        #expect(setup?[["realtimeInputConfig", "automaticActivityDetection", "silenceDurationMs"]] == 500)
        #expect(setup?["tools"]?.elements?.first?["functionDeclarations"]?.elements?.first?["behavior"] == "BLOCKING")
        #expect(trace.events.isEmpty)
        trace.server(#"{"setupComplete":{}}"#)
        #expect(trace.events == [.ready(input: .l16(.wideband), output: .l16(.realtime))])
    }

    @Test("Vertex has its own path, token and model name")
    func vertex() throws {
        var configuration = Self.configuration
        configuration.service = .vertex(version: "v1beta1", parent: "projects/p/locations/l")
        configuration.credential = .bearer(Redacted("t"))
        #expect(
            try configuration.target().url
                == "wss://g.example/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent")
        var trace = MachineTrace(GeminiLiveMachine(configuration: configuration, setup: MachineTrace.setup()))
        trace.start()
        trace.channel(.opened(.main))
        #expect(
            trace.sent.first?["setup"]?["model"]
                == "projects/p/locations/l/publishers/google/models/gemini-3.8-live")
    }

    @Test(
        "What is wrong with a configuration is said before the caller hears it",
        arguments: [
            ("ftp://x", "gemini-3.8-live", "v1", "configuration-base-url"),
            ("https://u:p@x", "gemini-3.8-live", "v1", "configuration-url-credentials"),
            ("https://x", "a b", "v1", "configuration-model"), ("https://x", "m", "v 1", "configuration-version"),
        ])
    func misconfigured(base: String, model: String, version: String, slug: String) {
        var trace = Self.trace { configuration in
            configuration.baseURL = base
            configuration.model = model
            configuration.service = .developer(version: version)
        }
        trace.start()
        #expect(trace.failures == [AssistantFailure(slug, .failOver)])
        #expect(trace.connects.isEmpty)
    }

    @Test("A caller's turn is closed by the reply; the words go to their turn, late ones too")
    func turn() {
        var trace = Self.ready()
        for _ in 0..<20 {
            trace.caller(MachineTrace.voice(.l16(.wideband)))
            trace.pass(.milliseconds(20))
        }
        trace.server(#"{"serverContent":{"inputTranscription":{"text":"What "}}}"#)
        #expect(trace.events.contains(.callerSpeechStarted))
        trace.server(Self.audio([1, 0, 2, 0]))
        trace.server(#"{"serverContent":{"outputTranscription":{"text":"Ten."}}}"#)
        trace.server(#"{"serverContent":{"inputTranscription":{"text":"time?","finished":true}}}"#)
        trace.server(#"{"serverContent":{"generationComplete":true}}"#)
        trace.server(Self.complete)
        let item = CallerItem(1)
        #expect(
            trace.takeEvents() == [
                .callerSpeechStarted, .callerTranscript(item, Redacted("What "), isFinal: false),
                .callerSpeechStopped, .callerTurnCommitted(item), .responseStarted,
                .agentTranscript(AgentItem(1), Redacted("Ten."), isFinal: false),
                .callerTranscript(item, Redacted("time?"), isFinal: false),
                .callerTranscript(item, Redacted("What time?"), isFinal: true),
                .agentAudioFinished(AgentItem(1)),
                .agentTranscript(AgentItem(1), Redacted("Ten."), isFinal: true),
                .responseFinished(.completed),
            ])
        #expect(trace.audio.map(\.bytes) == [[1, 0, 2, 0]])
        // Words that come when the turn is over are still that turn's, and no beginning of speech.
        trace.server(#"{"serverContent":{"inputTranscription":{"text":" Please."}}}"#)
        #expect(trace.takeEvents() == [.callerTranscript(item, Redacted(" Please."), isFinal: false)])
    }

    @Test("interactionStatus decides where a turn ends; turnComplete alone does where it is not said")
    func endOfTurn() {
        var trace = Self.ready()
        trace.server(Self.audio([1, 0]))
        trace.server(#"{"serverContent":{"turnComplete":true,"interactionStatus":"IN_PROGRESS"}}"#)
        #expect(!trace.events.contains(.responseFinished(.completed)))
        #expect(trace.events.contains(.agentAudioFinished(AgentItem(1))))
        trace.server(Self.audio([2, 0]))
        #expect(trace.audio.last?.item == AgentItem(2))
        trace.server(#"{"serverContent":{"turnComplete":true,"interactionStatus":"IDLE"}}"#)
        #expect(trace.events.filter { $0 == .responseFinished(.completed) }.count == 1)
        #expect(trace.events.filter { $0 == .responseStarted }.count == 1)
    }

    @Test("Work in the background that never ends is given up")
    func endlessInteraction() {
        var trace = Self.ready()
        trace.server(Self.audio([1, 0]))
        trace.server(#"{"serverContent":{"turnComplete":true,"interactionStatus":"IN_PROGRESS"}}"#)
        trace.pass(.seconds(31))
        #expect(trace.events.contains(.responseFinished(.completed)))
    }

    @Test("An interruption drops what still comes of the reply, and nothing of the next")
    func interrupted() {
        var trace = Self.ready()
        trace.server(Self.audio([1, 0]))
        trace.server(#"{"serverContent":{"interrupted":true}}"#)
        #expect(trace.events.contains(.interrupted))
        trace.server(Self.audio([9, 9]))
        trace.server(Self.complete)
        #expect(trace.events.last == .responseFinished(.cancelled))
        trace.server(Self.audio([2, 0]))
        #expect(trace.audio.map(\.bytes) == [[1, 0], [2, 0]])
        #expect(trace.audio.last?.item == AgentItem(2))
    }

    @Test("Several parts in one event, odd bytes and an escaped slash are all heard")
    func parts() {
        var trace = Self.ready()
        let part = #"{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AQID"}}"#
        let slash = #"{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"\/\/8="}}"#
        trace.server(#"{"serverContent":{"modelTurn":{"parts":[{"text":"hm","thought":true},\#(part),\#(slash)]}}}"#)
        #expect(trace.audio.flatMap(\.bytes) == [1, 2, 3, 0xFF])
        // Another rate than was agreed cannot be played.
        trace.server(Self.audio([1, 0], type: "audio/pcm;rate=16000"))
        #expect(trace.failures.last?.slug == "format-refused")
    }

    @Test("Tools are told once, answered by id and name, and may be taken back")
    func tools() {
        var trace = Self.ready()
        let call = #"{"toolCall":{"functionCalls":[{"id":"c1","name":"look","args":{"a":1}},{"id":"c2","name":"go"}]}}"#
        trace.server(call)
        trace.server(call)
        let calls = trace.events.compactMap { event in
            if case .toolCalled(let call) = event { return call }
            return nil
        }
        #expect(calls.map(\.id) == ["c1", "c2"])
        #expect(calls.first?.arguments.value == #"{"a":1}"#)
        trace.perform(.toolResult(id: "c1", output: Redacted(#"{"n":3}"#), respond: true))
        let response = trace.sent.last?["toolResponse"]?["functionResponses"]?.elements?.first
        #expect(response?["id"] == "c1")
        #expect(response?["name"] == "look")
        #expect(response?[["response", "output", "n"]] == 3)
        trace.server(#"{"toolCallCancellation":{"ids":["c2","unknown"]}}"#)
        #expect(trace.events.last == .toolsCancelled(["c2"]))
        trace.forget()
        trace.perform(.toolResult(id: "c2", output: Redacted("late"), respond: true))
        #expect(trace.sent.isEmpty)
        // Of a session before this one: told as a note, and answered.
        trace.perform(.toolResult(id: "old", output: Redacted("late"), respond: false))
        #expect(trace.sent.last?["contextUpdate"] != nil)
    }

    @Test("goAway moves the session to a new connection at a quiet moment, and the caller's audio goes along")
    func goAway() {
        var trace = Self.ready()
        trace.server(Self.handle)
        trace.server(Self.audio([1, 0]))
        trace.server(#"{"goAway":{"timeLeft":"10s"}}"#)
        #expect(trace.closes.isEmpty)
        trace.server(Self.complete)
        #expect(trace.closes == [.main])
        #expect(trace.connects.last?.channel == ChannelID(1))
        // Nothing of the old connection counts any more.
        trace.server(Self.audio([7, 7]))
        #expect(trace.audio.count == 1)
        trace.forget()
        trace.caller(MachineTrace.voice(.l16(.wideband)))
        trace.channel(.opened(ChannelID(1)))
        #expect(trace.sent.first?["setup"]?[["sessionResumption", "handle"]] == "h1")
        trace.server(#"{"setupComplete":{}}"#, on: ChannelID(1))
        #expect(trace.sent.last?["realtimeInput"]?["audio"] != nil)
        // The conversation has noticed nothing.
        #expect(trace.events.isEmpty)
    }

    @Test("Without a handle, goAway is passed on; in the middle of a reply the end of the time is a retry")
    func goAwayWithout() {
        var trace = Self.ready()
        trace.server(#"{"goAway":{"timeLeft":"9.5s"}}"#)
        #expect(trace.events == [.goingAway(in: .milliseconds(9500))])
        trace = Self.ready()
        trace.server(Self.handle)
        trace.server(Self.audio([1, 0]))
        trace.server(#"{"goAway":{"timeLeft":"5s"}}"#)
        trace.pass(.seconds(4))
        #expect(trace.failures.last == AssistantFailure("session-limit", .retry))
    }

    @Test("A lost connection is resumed, a few times; without a handle it is the ladder's")
    func lost() {
        var trace = Self.ready()
        trace.channel(.closed(.main, .failed(slug: "reset")))
        #expect(trace.failures == [AssistantFailure("connection-reset", .retry)])
        trace = Self.ready()
        trace.server(Self.handle)
        for attempt in 1...3 {
            trace.channel(.closed(ChannelID(attempt - 1), .closed(code: 1011, reason: "")))
            trace.pass(.milliseconds(400))
            #expect(trace.connects.last?.channel == ChannelID(attempt))
        }
        #expect(trace.failures.isEmpty)
        trace.channel(.closed(ChannelID(3), .closed(code: 1011, reason: "")))
        #expect(trace.failures == [AssistantFailure("closed-1011", .retry)])
    }

    @Test("Without the server's detector a turn goes out whole when it is closed, and a cough not at all")
    func manual() {
        var trace = Self.ready(setup: MachineTrace.setup(turns: TurnDetection(kind: .none)))
        let frame = MachineTrace.voice(.l16(.wideband))
        for _ in 0..<10 { trace.caller(frame) }
        trace.perform(.clearCallerAudio)
        trace.perform(.commitCallerTurn)
        #expect(trace.sent.isEmpty)
        for _ in 0..<10 { trace.caller(frame) }
        trace.perform(.commitCallerTurn)
        trace.perform(.respond(.reply))
        let kinds = trace.sent.compactMap { $0["realtimeInput"]?.members?.first?.name }
        #expect(kinds == ["activityStart", "audio", "activityEnd"])
        #expect(trace.sent.count == 3)
    }

    @Test("Digits go with the next reply, notes in the way that the model has for them")
    func texts() {
        var trace = Self.ready()
        trace.perform(.digit(Redacted("4")))
        trace.perform(.digit(Redacted("2")))
        #expect(trace.sent.isEmpty)
        trace.perform(.respond(.reply))
        #expect(trace.sent.last?["realtimeInput"]?["text"]?.text?.contains("42") ?? false)
        trace.perform(.inform(Redacted("Noisy.")))
        let instructions = trace.sent.last?["contextUpdate"]?["systemInstruction"]?["parts"]?.elements?.first?["text"]
        #expect(instructions?.text == "You answer the phone.\n\nNoisy.")
        var older = Self.ready { $0.model = "gemini-2.5-flash-native-audio-preview-12-2025" }
        older.perform(.inform(Redacted("Noisy.")))
        #expect(older.sent.last?["clientContent"]?["turnComplete"] == false)
        older.perform(.respond(.greeting))
        #expect(older.sent.last?["clientContent"]?["turnComplete"] == true)
        var middle = Self.ready { $0.model = "gemini-3.1-flash-live-preview" }
        middle.perform(.inform(Redacted("Noisy.")))
        #expect(middle.sent.isEmpty)
        middle.perform(.respond(.reply))
        #expect(middle.sent.last?["realtimeInput"]?["text"]?.text?.contains("Noisy.") ?? false)
    }

    @Test("The history is told once, as each generation of models takes it")
    func history() {
        let entries = [
            ConversationEntry(role: .caller, text: "Hi"), ConversationEntry(role: .agent, text: "Hello"),
        ]
        for (model, isWaitedFor) in [("gemini-3.8-live", true), ("gemini-2.5-flash", false)] {
            var trace = Self.trace(setup: MachineTrace.setup(history: entries, model: model))
            trace.start()
            trace.channel(.opened(.main))
            #expect((trace.sent.first?["setup"]?["historyConfig"] != nil) == isWaitedFor)
            trace.server(#"{"setupComplete":{}}"#)
            let content = trace.sent.last?["clientContent"]
            #expect(content?["turnComplete"] == .bool(isWaitedFor))
            #expect(content?["turns"]?.elements?.map { $0["role"]?.text } == ["user", "model"])
        }
    }

    @Test("A server that hears nothing of a spoken sentence is noticed")
    func deaf() {
        var trace = Self.ready()
        for _ in 0..<75 {
            trace.caller(MachineTrace.voice(.l16(.wideband)))
            trace.pass(.milliseconds(20))
        }
        trace.pass(.seconds(6))
        #expect(trace.events.contains(.callerTurnCommitted(CallerItem(1))))
        // The stream's pause was told meanwhile.
        #expect(trace.sent.contains(["realtimeInput": ["audioStreamEnd": true]]))
    }

    @Test("Usage is told by kind")
    func usage() {
        var trace = Self.ready()
        trace.server(
            #"{"usageMetadata":{"promptTokenCount":130,"responseTokenCount":50,"cachedContentTokenCount":7,"#
                + #""promptTokensDetails":[{"modality":"AUDIO","tokenCount":30}],"#
                + #""responseTokensDetails":[{"modality":"AUDIO","tokenCount":45}],"thoughtsTokenCount":2}}"#)
        var usage = AssistantUsage(service: "gemini", model: "gemini-3.8-live")
        usage.inputTextTokens = 100
        usage.inputAudioTokens = 30
        usage.cachedTextTokens = 7
        usage.outputTextTokens = 7
        usage.outputAudioTokens = 45
        #expect(trace.events == [.usage(usage)])
    }

    @Test("Counts that a server made up lie between nothing and some billions")
    func hostileUsage() {
        var trace = Self.ready()
        let most = Int.max
        let audio = #"[{"modality":"AUDIO","tokenCount":\#(most)},{"modality":"AUDIO","tokenCount":\#(most)}]"#
        trace.server(
            #"{"usageMetadata":{"promptTokenCount":\#(most),"toolUsePromptTokenCount":\#(most),"#
                + #""responseTokenCount":\#(most),"thoughtsTokenCount":\#(most),"cachedContentTokenCount":-1,"#
                + #""promptTokensDetails":\#(audio),"responseTokensDetails":\#(audio),"cacheTokensDetails":\#(audio)}}"#
        )
        var usage = AssistantUsage(service: "gemini", model: "gemini-3.8-live")
        usage.inputTextTokens = 1_000_000_000
        usage.inputAudioTokens = 1_000_000_000
        usage.cachedAudioTokens = 1_000_000_000
        usage.outputTextTokens = 1_000_000_000
        usage.outputAudioTokens = 1_000_000_000
        #expect(trace.events == [.usage(usage)])
    }

    @Test(
        "Each way of ending has its verdict",
        arguments: [
            (
                ChannelEnd.closed(code: 1007, reason: "API key not valid."), "invalid-key",
                AssistantFailure.Verdict.failOver
            ),
            (.closed(code: 1007, reason: "Request contains an invalid argument."), "closed-1007", .failOver),
            (.closed(code: 1007, reason: "input token count exceeds"), "context-exhausted", .retry),
            (.closed(code: 1008, reason: "models/x is not found for API version v1"), "model-not-found", .failOver),
            (.closed(code: 1008, reason: ""), "closed-1008", .failOver),
            (.closed(code: 1011, reason: "You exceeded your current quota"), "quota", .failOver),
            (.closed(code: 1011, reason: "Internal error"), "closed-1011", .retry),
            (.closed(code: 1001, reason: ""), "closed-1001", .retry),
            (.closed(code: 1006, reason: ""), "closed-1006", .retry),
            (.refused(status: 401), "unauthorised", .failOver), (.refused(status: 404), "version-not-found", .failOver),
            (.refused(status: 429), "rate-limited", .retry), (.refused(status: 503), "refused-503", .retry),
            (.failed(slug: "tls"), "connection-tls", .failOver), (.failed(slug: "dns"), "connection-dns", .retry),
        ])
    func verdicts(end: ChannelEnd, slug: String, verdict: AssistantFailure.Verdict) {
        let failure = GeminiLiveVerdicts.ofEnd(end)
        #expect(failure.slug == slug)
        #expect(failure.verdict == verdict)
    }

    @Test("Deadlines of connecting and configuring are retries")
    func deadlines() {
        var trace = Self.trace()
        trace.start()
        trace.pass(.seconds(6))
        #expect(trace.failures == [AssistantFailure("connect-timeout", .retry)])
        trace = Self.trace()
        trace.start()
        trace.channel(.opened(.main))
        trace.pass(.seconds(6))
        #expect(trace.failures == [AssistantFailure("configure-timeout", .retry)])
    }

    static let messages = [
        #"{"setupComplete":{"sessionId":"s"}}"#, audio([1, 0, 2, 0]), complete, handle,
        #"{"serverContent":{"interrupted":true}}"#, #"{"serverContent":{"generationComplete":true}}"#,
        #"{"serverContent":{"inputTranscription":{"text":"Hi","finished":true}}}"#,
        #"{"serverContent":{"outputTranscription":{"text":"Hello"}},"usageMetadata":{"promptTokenCount":1}}"#,
        #"{"serverContent":{"turnComplete":true,"interactionStatus":"IN_PROGRESS"}}"#,
        #"{"toolCall":{"functionCalls":[{"id":"c1","name":"look","args":{"a":[1,2]}}]}}"#,
        #"{"toolCallCancellation":{"ids":["c1"]}}"#, #"{"goAway":{"timeLeft":"3.5s"}}"#,
        #"{"voiceActivity":{"voiceActivityType":"ACTIVITY_START"}}"#,
        #"{"voiceActivity":{"voiceActivityType":"ACTIVITY_END","audioOffset":"1s"}}"#,
    ]

    @Test("Ten thousand garbled messages trap nothing, and what is sent stays JSON")
    func mutations() {
        var random = MutationSource(7)
        var trace = Self.ready()
        var rounds = 0
        for round in 0..<10_000 {
            if !trace.failures.isEmpty || round % 50 == 0 { trace = Self.ready() }
            trace.server(bytes: random.mutation(of: Self.messages), on: trace.connects.last?.channel ?? .main)
            if round % 7 == 0 { trace.caller(MachineTrace.voice(.l16(.wideband))) }
            if round % 11 == 0 { trace.perform(.respond(.reply)) }
            if round % 13 == 0 { trace.perform(.cancelResponse) }
            if round % 17 == 0 { trace.perform(.toolResult(id: "c1", output: Redacted("x"), respond: true)) }
            trace.pass(.milliseconds(50))
            let isJSON = trace.takeSent().allSatisfy { $0.members?.count == 1 }
            #expect(isJSON)
            rounds += 1
        }
        #expect(rounds == 10_000)
    }

    @Test("A server of garbage alone is given up")
    func garbage() {
        var trace = Self.ready()
        for _ in 0..<16 { trace.server("no JSON") }
        #expect(trace.failures.first == AssistantFailure("garbled-message", .ignore))
        #expect(trace.failures.last == AssistantFailure("garbled", .retry))
    }
}
