import Assistants
import Telephony
import Testing

@Suite struct OpenAIRealtimeSessionTests {
    @Test("A session is opened, configured, proven and only then ready")
    func opening() throws {
        var trace = RealtimeTrace()
        trace.start()
        #expect(trace.connects.first?.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1")
        #expect(trace.connects.first?.headers.map(\.name) == ["Authorization"])
        #expect(trace.wakes == [.seconds(5)])
        trace.now = .seconds(1)
        trace.channel(.opened(.main))
        #expect(trace.takeSent().isEmpty, "The server speaks first")
        #expect(trace.wakes.last == .seconds(6))
        trace.server(#"{"type":"session.created","event_id":"e","session":{"id":"s"}}"#)
        let update = try #require(trace.lastSent("session.update"))
        #expect(update[["session", "type"]] == "realtime")
        #expect(update[["session", "output_modalities"]] == ["audio"])
        #expect(update[["session", "audio", "input", "format"]] == ["type": "audio/pcmu"])
        #expect(update[["session", "audio", "output", "format"]] == ["type": "audio/pcmu"])
        #expect(update[["session", "audio", "input", "transcription", "language"]] == "it")
        #expect(update[["session", "audio", "input", "turn_detection", "create_response"]] == true)
        #expect(trace.takeEvents().isEmpty)
        trace.server(trace.echo())
        #expect(trace.takeEvents() == [.ready(input: .pcmu, output: .pcmu)])
        #expect(trace.wakes.last == .seconds(3301))
    }

    @Test(
        "The leg's G.711 is passed through, everything else is 24 kHz PCM",
        arguments: [
            (leg: AudioFormat.pcmu, name: "audio/pcmu", beta: "g711_ulaw", format: AudioFormat.pcmu),
            (leg: .pcma, name: "audio/pcma", beta: "g711_alaw", format: .pcma),
            (leg: .l16(.narrowband), name: "audio/pcm", beta: "pcm16", format: .l16(.realtime)),
            (leg: .l16(.fullband), name: "audio/pcm", beta: "pcm16", format: .l16(.realtime)),
        ])
    func formats(leg: AudioFormat, name: String, beta: String, format: AudioFormat) {
        for configuration in [RealtimeTrace.configuration, RealtimeTrace.betaConfiguration] {
            var trace = RealtimeTrace(configuration: configuration, setup: RealtimeTrace.setup(legFormat: leg))
            trace.start()
            trace.channel(.opened(.main))
            trace.server(#"{"type":"session.created"}"#)
            let session = trace.lastSent("session.update")?["session"]
            if configuration.dialect == .ga {
                #expect(session?[["audio", "input", "format", "type"]]?.text == name)
                #expect((session?[["audio", "input", "format", "rate"]] == nil) == (leg.encoding != .l16))
            } else {
                #expect(session?["input_audio_format"]?.text == beta)
                #expect(session?["output_audio_format"]?.text == beta)
            }
            trace.server(trace.echo())
            #expect(trace.takeEvents() == [.ready(input: format, output: format)])
        }
    }

    @Test("The beta shape has beta names and nothing of GA")
    func betaShape() throws {
        var trace = RealtimeTrace(configuration: RealtimeTrace.betaConfiguration)
        trace.start()
        #expect(
            trace.connects.first?.url
                == "wss://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=deployment")
        #expect(trace.connects.first?.headers.map(\.name) == ["api-key", "OpenAI-Beta"])
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        let session = try #require(trace.lastSent("session.update")?["session"])
        let names = try #require(session.members).map(\.name).sorted()
        #expect(
            names == [
                "input_audio_format", "input_audio_noise_reduction", "input_audio_transcription", "instructions",
                "modalities", "output_audio_format", "tool_choice", "tools", "turn_detection", "voice",
            ])
        #expect(session["modalities"] == ["audio", "text"])
    }

    @Test(
        "Where we drive, the server neither answers nor interrupts by itself",
        arguments: [
            TurnDetection.Kind.server, .semantic,
        ])
    func drivenByUs(kind: TurnDetection.Kind) {
        let turns = TurnDetection(kind: kind, drivenByUs: true)
        var trace = RealtimeTrace(setup: RealtimeTrace.setup(turns: turns))
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        let detection = trace.lastSent("session.update")?[["session", "audio", "input", "turn_detection"]]
        #expect(detection?["create_response"] == false)
        #expect(detection?["interrupt_response"] == false)
        #expect(trace.machine.capabilities.canBePaused)
    }

    @Test(
        "A server that runs with other formats than ours, or does not say, is not talked to",
        arguments: [
            (
                echo:
                    #"{"audio":{"input":{"format":{"type":"audio/pcm","rate":24000}},"output":{"format":{"type":"audio/pcmu"}}}}"#,
                slug: "format-refused"
            ),
            (
                echo:
                    #"{"audio":{"input":{"format":{"type":"audio/pcmu"}},"output":{"format":{"type":"audio/pcma"}}}}"#,
                slug: "format-refused"
            ),
            (echo: #"{"input_audio_format":"pcm16","output_audio_format":"pcm16"}"#, slug: "format-refused"),
            (echo: #"{}"#, slug: "format-unproven"),
            (echo: #"{"audio":{"input":{"format":5},"output":[]}}"#, slug: "format-unproven"),
        ])
    func formatProof(echo: String, slug: String) {
        var trace = RealtimeTrace()
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        trace.server(#"{"type":"session.updated","session":\#(echo)}"#)
        #expect(trace.takeEvents() == [.failed(AssistantFailure(slug, .failOver))])
        #expect(trace.closes == [1000])
        #expect(trace.wakes.last == .some(nil))
    }

    @Test("A server that says nothing of formats is taken at our word where that is configured")
    func silentEcho() {
        var configuration = RealtimeTrace.configuration
        configuration.requiresFormatEcho = false
        var trace = RealtimeTrace(configuration: configuration)
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        trace.server(#"{"type":"session.updated","session":{}}"#)
        #expect(trace.takeEvents() == [.ready(input: .pcmu, output: .pcmu)])
    }

    @Test(
        "Each stage of the set-up has its deadline",
        arguments: [
            (stages: 0, slug: "connect-timeout"), (stages: 1, slug: "configure-timeout"),
            (stages: 2, slug: "configure-timeout"),
        ])
    func deadlines(stages: Int, slug: String) throws {
        var trace = RealtimeTrace()
        trace.start()
        if stages > 0 { trace.channel(.opened(.main)) }
        if stages > 1 { trace.server(#"{"type":"session.created"}"#) }
        let due = try #require(trace.wakes.last ?? nil)
        trace.wake(at: due - .milliseconds(1))
        #expect(trace.takeEvents().isEmpty)
        trace.wake(at: due)
        #expect(trace.takeEvents() == [.failed(AssistantFailure(slug, .retry))])
        #expect(trace.closes == [1000])
        trace.server(#"{"type":"session.created"}"#)
        #expect(trace.takeEvents().isEmpty, "An ended session says nothing more")
    }

    @Test("The conversation so far is told as text, in order, before anything else")
    func history() {
        let history = [
            ConversationEntry(role: .caller, text: "Buongiorno"), ConversationEntry(role: .agent, text: "Pronto?"),
            ConversationEntry(role: .tool, text: "looked up"),
        ]
        var trace = RealtimeTrace(setup: RealtimeTrace.setup(history: history))
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        trace.server(trace.echo())
        let items = trace.takeSent().filter { $0["type"] == "conversation.item.create" }.map { $0["item"] ?? .null }
        #expect(items.map { $0["role"]?.text } == ["user", "assistant", "system"])
        #expect(
            items.map { $0["content"]?.elements?.first?["type"]?.text } == ["input_text", "output_text", "input_text"])
    }

    @Test("Of a long history the newest part is told")
    func longHistory() {
        let history = (0..<300).map {
            ConversationEntry(role: .caller, text: "\($0) " + String(repeating: "x", count: 500))
        }
        var trace = RealtimeTrace(setup: RealtimeTrace.setup(history: history))
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        trace.server(trace.echo())
        let items = trace.takeSent().filter { $0["type"] == "conversation.item.create" }
        #expect((1..<60).contains(items.count))
        let last = items.last?[["item", "content"]]?.elements?.first?["text"]?.text
        #expect(last?.hasPrefix("299 ") == true)
    }

    @Test("Before the provider's limit a move is asked for, and again when the session has expired")
    func recycling() {
        var trace = RealtimeTrace.ready()
        trace.wake(at: .seconds(3300))
        #expect(trace.takeEvents() == [.goingAway(in: .seconds(300))])
        trace.server(Wire.error(code: "session_expired"))
        #expect(trace.takeEvents() == [.goingAway(in: nil)])
        trace.channel(.closed(.main, .closed(code: 1001, reason: "expired")))
        guard case .failed(let failure) = trace.takeEvents().first else {
            Issue.record("no failure")
            return
        }
        #expect(failure.slug == "session-expired")
        #expect(failure.verdict == .retry)
    }

    @Test("Finish closes the socket and says no more")
    func finish() {
        var trace = RealtimeTrace.ready()
        trace.perform(.finish)
        #expect(trace.closes == [1000])
        #expect(trace.wakes == [nil])
        trace.server(Wire.created())
        trace.perform(.respond(.reply))
        trace.caller([UInt8](repeating: 0xFF, count: 160))
        trace.channel(.closed(.main, .closed(code: 1000, reason: "")))
        #expect(trace.takeEvents().isEmpty)
        #expect(trace.takeSent().isEmpty)
    }

    @Test("A tool whose parameters are no schema is left out and said, the rest is kept")
    func tools() {
        let tools = [
            ToolDefinition(name: "good", description: "d", parameters: #"{"type":"object","properties":{}}"#),
            ToolDefinition(name: "bad", description: "d", parameters: "no"),
        ]
        var trace = RealtimeTrace(setup: RealtimeTrace.setup(tools: tools))
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        let sent = trace.lastSent("session.update")?[["session", "tools"]]?.elements ?? []
        #expect(sent.map { $0["name"]?.text } == ["good"])
        #expect(sent.first?["type"] == "function")
        #expect(trace.takeEvents() == [.failed(AssistantFailure("tool-schema-malformed", .ignore))])
    }
}
