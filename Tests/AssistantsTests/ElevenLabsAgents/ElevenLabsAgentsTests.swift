import Assistants
import Telephony
import Testing

/// The machine of ElevenLabs Agents, event by event.
@Suite struct ElevenLabsAgentsTests {
    static func trace(
        setup: AssistantSetup = MachineTrace.setup(), _ change: (inout ElevenLabsAgentsConfiguration) -> Void = { _ in }
    ) -> MachineTrace {
        var configuration = ElevenLabsAgentsConfiguration(baseURL: "https://e.example", agent: "agent_1")
        change(&configuration)
        return MachineTrace(ElevenLabsAgentsMachine(configuration: configuration, setup: setup))
    }

    static func metadata(in input: String = "pcm_16000", out: String = "pcm_16000") -> String {
        #"{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{"conversation_id":"c","#
            + #""agent_output_audio_format":"\#(out)","user_input_audio_format":"\#(input)"}}"#
    }

    static func ready(
        setup: AssistantSetup = MachineTrace.setup(), format: String = "pcm_16000",
        _ change: (inout ElevenLabsAgentsConfiguration) -> Void = { _ in }
    ) -> MachineTrace {
        var trace = Self.trace(setup: setup, change)
        trace.start()
        trace.channel(.opened(.main))
        trace.server(Self.metadata(in: format, out: format))
        trace.forget()
        return trace
    }

    static func audio(_ id: Int, _ base64: String = "AQACAA==") -> String {
        #"{"type":"audio","audio_event":{"audio_base_64":"\#(base64)","event_id":\#(id)}}"#
    }

    static func response(_ text: String, _ id: Int = 1) -> String {
        #"{"type":"agent_response","agent_response_event":{"agent_response":"\#(text)","event_id":\#(id)}}"#
    }

    static func interruption(_ id: Int) -> String {
        #"{"type":"interruption","interruption_event":{"event_id":\#(id)}}"#
    }

    static func said(_ text: String) -> String {
        #"{"type":"user_transcript","user_transcription_event":{"user_transcript":"\#(text)","event_id":9}}"#
    }

    @Test("A public agent is reached without a key, and the client speaks first")
    func publicAgent() {
        var trace = Self.trace()
        trace.start()
        #expect(trace.connects.first?.target.url == "wss://e.example/v1/convai/conversation?agent_id=agent_1")
        #expect(trace.connects.first?.target.headers.isEmpty ?? false)
        #expect(trace.requests.isEmpty)
        trace.channel(.opened(.main))
        #expect(trace.sent.first?["type"] == "conversation_initiation_client_data")
        // Nothing is replaced unless the agent is known to allow it.
        #expect(trace.sent.first?["conversation_config_override"] == .object([]))
        #expect(trace.sent.first?["dynamic_variables"] == .object([]))
        trace.server(Self.metadata(in: "ulaw_8000", out: "pcm_24000"))
        #expect(trace.events == [.ready(input: .pcmu, output: .l16(.realtime))])
    }

    @Test("With a key the session is opened by a signed URL")
    func signed() {
        var trace = Self.trace { $0.key = Redacted("xi") }
        trace.start()
        #expect(trace.connects.isEmpty)
        let request = trace.requests.first
        #expect(
            request?.target.url == "https://e.example/v1/convai/conversation/get-signed-url?agent_id=agent_1")
        #expect(request?.target.headers.first?.name == "xi-api-key")
        let id = request?.channel ?? .main
        trace.channel(.responseHead(id, status: 200, headers: []))
        for piece in [#"{"signed_url":"wss://e.exa"#, #"mple/x?t=1"}"#] {
            Array(piece.utf8).withUnsafeBytes { trace.channel(.bytes(id, $0)) }
        }
        trace.channel(.closed(id, .finished))
        #expect(trace.connects.first?.target.url == "wss://e.example/x?t=1")
        #expect(trace.failures.isEmpty)
    }

    @Test(
        "A signed URL that does not come, or is none, is a failure with a name",
        arguments: [
            (401, #"{"detail":{}}"#, "unauthorised"), (404, "{}", "agent-not-found"), (500, "", "refused-500"),
            (200, "{}", "signed-url-malformed"), (200, "no JSON", "signed-url-malformed"),
            (200, #"{"signed_url":"ws://e.example/plain"}"#, "signed-url-malformed"),
            (200, String(repeating: "x", count: 20_000), "signed-url-malformed"),
        ])
    func unsigned(status: Int, body: String, slug: String) {
        var trace = Self.trace { $0.key = Redacted("xi") }
        trace.start()
        let id = trace.requests.first?.channel ?? .main
        trace.channel(.responseHead(id, status: status, headers: []))
        Array(body.utf8).withUnsafeBytes { trace.channel(.bytes(id, $0)) }
        trace.channel(.closed(id, .finished))
        #expect(trace.failures.map(\.slug) == [slug])
        #expect(trace.connects.isEmpty)
    }

    @Test("Only what the agent allows is replaced")
    func overrides() {
        var trace = Self.trace(setup: MachineTrace.setup(greeting: "Bom dia.")) { configuration in
            configuration.overrides = [.prompt, .firstMessage, .language, .variables]
        }
        trace.start()
        trace.channel(.opened(.main))
        let config = trace.sent.first?["conversation_config_override"]
        #expect(config?[["agent", "prompt", "prompt"]] == "You answer the phone.")
        #expect(config?[["agent", "first_message"]] == "Bom dia.")
        #expect(config?[["agent", "language"]] == "pt-br")
        #expect(config?["tts"] == nil)
        #expect(trace.sent.first?[["dynamic_variables", "instructions"]] == "You answer the phone.")
    }

    @Test(
        "A format that cannot be played, or is not said, ends the session", arguments: ["mp3_44100", "pcm_11025", ""])
    func formats(name: String) {
        var trace = Self.trace()
        trace.start()
        trace.channel(.opened(.main))
        trace.server(Self.metadata(out: name))
        #expect(trace.failures == [AssistantFailure("format-refused", .failOver, detail: "pcm_16000 in, \(name) out")])
        var silent = Self.trace()
        silent.start()
        silent.channel(.opened(.main))
        silent.server(#"{"type":"conversation_initiation_metadata"}"#)
        #expect(silent.failures.map(\.slug) == ["format-unproven"])
    }

    @Test("A reply is its text, its audio and a pause; the caller's turn is closed by its words")
    func turn() {
        var trace = Self.ready()
        trace.server(Self.said(" What time is it? "))
        trace.server(Self.response("Ten."))
        trace.server(Self.audio(2))
        trace.server(Self.audio(3, "AwA="))
        trace.pass(.milliseconds(1100))
        let item = CallerItem(1)
        #expect(
            trace.takeEvents() == [
                .callerSpeechStopped, .callerTurnCommitted(item),
                .callerTranscript(item, Redacted("What time is it?"), isFinal: true), .responseStarted,
                .agentTranscript(AgentItem(1), Redacted("Ten."), isFinal: true), .agentAudioFinished(AgentItem(1)),
                .responseFinished(.completed),
            ])
        #expect(trace.audio.flatMap(\.bytes) == [1, 0, 2, 0, 3, 0])
    }

    @Test("µ-law goes through untouched, byte by byte")
    func muLaw() {
        var trace = Self.ready(format: "ulaw_8000")
        trace.caller([1, 2, 3])
        #expect(trace.sent.last == ["user_audio_chunk": "AQID"])
        trace.server(Self.audio(1, "AQID"))
        #expect(trace.audio.map(\.bytes) == [[1, 2, 3]])
    }

    @Test("An interruption drops what it covers, however late it comes, and nothing after it")
    func interrupted() {
        var trace = Self.ready()
        trace.server(Self.audio(4))
        trace.server(Self.interruption(6))
        #expect(trace.events.contains(.interrupted))
        #expect(trace.events.last == .responseFinished(.cancelled))
        trace.server(Self.audio(5))
        trace.server(Self.audio(6))
        #expect(trace.audio.count == 1)
        trace.server(Self.audio(7))
        #expect(trace.audio.count == 2)
        #expect(trace.audio.last?.item == AgentItem(2))
        trace.server(
            #"{"type":"agent_response_correction","agent_response_correction_event":{"#
                + #""original_agent_response":"Long","corrected_agent_response":" Lo... ","event_id":8}}"#)
        #expect(trace.events.last == .agentTranscriptCorrected(AgentItem(2), Redacted("Lo...")))
    }

    @Test("A stopped reply is heard no more, and the next one is")
    func cancelled() {
        var trace = Self.ready()
        trace.server(Self.audio(1))
        trace.perform(.cancelResponse)
        #expect(trace.events.last == .responseFinished(.cancelled))
        trace.server(Self.audio(2))
        #expect(trace.audio.count == 1)
        trace.pass(.milliseconds(1100))
        trace.server(Self.audio(3))
        #expect(trace.audio.count == 2)
    }

    @Test("Each ping is answered at once, with its number")
    func ping() {
        var trace = Self.ready()
        trace.server(#"{"type":"ping","ping_event":{"event_id":7,"ping_ms":null}}"#)
        #expect(trace.sent == [["type": "pong", "event_id": 7]])
    }

    @Test("Client tools are told once; a failure is marked as one")
    func tools() {
        var trace = Self.ready()
        let call =
            #"{"type":"client_tool_call","client_tool_call":{"tool_name":"look","tool_call_id":"t1","#
            + #""parameters":{"a":1},"event_id":3}}"#
        trace.server(call)
        trace.server(call)
        #expect(trace.events == [.toolCalled(ToolCall(id: "t1", name: "look", arguments: #"{"a":1}"#))])
        trace.perform(.toolResult(id: "t1", output: Redacted(#"{"error":"no"}"#), respond: true))
        #expect(trace.sent.last?["type"] == "client_tool_result")
        #expect(trace.sent.last?["is_error"] == true)
        trace.forget()
        trace.perform(.toolResult(id: "old", output: Redacted("late"), respond: false))
        #expect(trace.sent.last?["type"] == "contextual_update")
    }

    @Test("Silence is sent when the leg sends nothing, so that the server hears somebody")
    func silence() {
        var trace = Self.ready(format: "ulaw_8000")
        trace.pass(.seconds(10))
        #expect(trace.sent.count >= 35)
        #expect(trace.sent.allSatisfy { $0["user_audio_chunk"] != nil })
        trace.forget()
        trace.caller([UInt8](repeating: 0xFF, count: 160))
        trace.pass(.milliseconds(400))
        #expect(trace.sent.count <= 2)
    }

    @Test("An agent that does not greet is asked to; one that takes over does not greet again")
    func greeting() {
        var trace = Self.ready()
        trace.perform(.respond(.greeting))
        trace.pass(.milliseconds(2100))
        #expect(trace.sent.contains { $0["type"] == "user_message" })
        var other = Self.ready()
        other.perform(.respond(.greeting))
        other.server(Self.response("Hello."))
        other.pass(.milliseconds(2100))
        #expect(!other.sent.contains { $0["type"] == "user_message" })
        let history = [ConversationEntry(role: .caller, text: "Hi")]
        var taking = Self.trace(setup: MachineTrace.setup(history: history))
        taking.start()
        taking.channel(.opened(.main))
        taking.server(Self.metadata())
        #expect(taking.sent.last?["text"]?.text?.contains("Caller: Hi") ?? false)
        taking.perform(.respond(.reply))
        taking.forget()
        taking.server(Self.response("Welcome, I am new."))
        taking.server(Self.audio(2))
        #expect(taking.audio.isEmpty)
        taking.pass(.milliseconds(1100))
        #expect(taking.sent.contains { $0["type"] == "user_message" })
    }

    @Test("An agent that hangs up ends the call; the end of the agent's time does not")
    func hangUp() {
        var trace = Self.ready()
        trace.server(Self.audio(1))
        trace.forget()
        trace.channel(.closed(.main, .closed(code: 1000, reason: "")))
        #expect(
            trace.events == [
                .agentAudioFinished(AgentItem(1)), .responseFinished(.completed),
                .toolCalled(ToolCall(id: "agent-ended", name: "end_call", arguments: "{}")),
            ])
        trace = Self.ready()
        trace.server(Self.audio(1))
        trace.server(#"{"type":"error","error_event":{"code":1,"error_type":"max_duration_exceeded"}}"#)
        trace.channel(.closed(.main, .closed(code: 1000, reason: "")))
        #expect(trace.failures.map(\.slug) == ["max-duration-exceeded"])
        #expect(trace.failures.last?.verdict == .retry)
    }

    @Test(
        "Each way of failing has its verdict",
        arguments: [
            (
                ChannelEnd.closed(code: 1008, reason: "Override for field 'x' is not allowed"), "override-error",
                AssistantFailure.Verdict.failOver
            ),
            (.closed(code: 1008, reason: "missing_dynamic_variable"), "missing-dynamic-variable", .failOver),
            (.closed(code: 1008, reason: ""), "closed-1008", .failOver),
            (.closed(code: 1002, reason: "transport_receive_timeout"), "transport-receive-timeout", .retry),
            (.closed(code: 1002, reason: "This request exceeds your quota limit"), "quota", .failOver),
            (.closed(code: 1002, reason: ""), "closed-1002", .retry),
            (.closed(code: 1011, reason: ""), "closed-1011", .retry),
            (.closed(code: 1006, reason: ""), "closed-1006", .retry),
            (.refused(status: 403), "unauthorised", .failOver),
            (.refused(status: 429), "rate-limited", .retry), (.failed(slug: "tls"), "connection-tls", .failOver),
        ])
    func verdicts(end: ChannelEnd, slug: String, verdict: AssistantFailure.Verdict) {
        let failure = ElevenLabsAgentsVerdicts.ofEnd(end)
        #expect(failure.slug == slug)
        #expect(failure.verdict == verdict)
    }

    @Test("Every error type has a verdict, and unknown ones are passed over")
    func errors() {
        for type in ["invalid_message", "override_error", "missing_fields", "value_error", "safety_violation"] {
            #expect(ElevenLabsAgentsVerdicts.ofError(type: type, message: "").verdict == .failOver)
        }
        for type in ["llm_error", "custom_llm_error", "vad_error", "tts_cascade_error", "unknown_websocket_crash"] {
            #expect(ElevenLabsAgentsVerdicts.ofError(type: type, message: "").verdict == .retry)
        }
        #expect(ElevenLabsAgentsVerdicts.ofError(type: "new_thing", message: "").verdict == .ignore)
    }

    static let messages = [
        metadata(), audio(3), response("Hello"), interruption(2), said("Hi"),
        #"{"type":"ping","ping_event":{"event_id":7,"ping_ms":12}}"#,
        #"{"type":"tentative_user_transcript","tentative_user_transcription_event":{"user_transcript":"H"}}"#,
        #"{"type":"client_tool_call","client_tool_call":{"tool_name":"a","tool_call_id":"t1","parameters":{"b":[1]}}}"#,
        #"{"type":"agent_response_correction","agent_response_correction_event":{"corrected_agent_response":"He"}}"#,
        #"{"type":"agent_chat_response_part","text_response_part":{"text":"He","type":"delta","event_id":1}}"#,
        #"{"type":"agent_response_complete"}"#, #"{"type":"vad_score","vad_score_event":{"vad_score":0.5}}"#,
        #"{"type":"error","error_event":{"code":1011,"error_type":"llm_error","message":"x"}}"#,
    ]

    @Test("Ten thousand garbled messages trap nothing, and what is sent stays JSON")
    func mutations() {
        var random = MutationSource(11)
        var trace = Self.ready()
        var rounds = 0
        for round in 0..<10_000 {
            if !trace.failures.isEmpty || round % 50 == 0 { trace = Self.ready() }
            trace.server(bytes: random.mutation(of: Self.messages))
            if round % 7 == 0 { trace.caller(MachineTrace.voice(.l16(.wideband))) }
            if round % 11 == 0 { trace.perform(.respond(.reply)) }
            if round % 13 == 0 { trace.perform(.cancelResponse) }
            if round % 17 == 0 { trace.perform(.toolResult(id: "t1", output: Redacted("x"), respond: true)) }
            trace.pass(.milliseconds(50))
            let isJSON = trace.takeSent().allSatisfy { $0.members != nil }
            #expect(isJSON)
            rounds += 1
        }
        #expect(rounds == 10_000)
    }
}
