import Assistants
import Audio
import Simulators
import Telephony
import Testing

/// Whole sessions of machine and simulated server in virtual time: what one side writes, the other side checks.
@Suite struct OpenAIRealtimeCallTests {
    typealias Script = OpenAIRealtimeScript

    @Test(
        "A turn is heard, answered and written down, in both shapes and every format",
        arguments: [
            (OpenAIRealtimeConfiguration.Dialect.ga, AudioFormat.pcmu), (.ga, .pcma), (.ga, .l16(.wideband)),
            (.beta, .pcmu), (.beta, .l16(.narrowband)),
        ])
    func turn(dialect: OpenAIRealtimeConfiguration.Dialect, leg: AudioFormat) throws {
        var script = Script()
        script.answers = [Script.Answer("We are open until six.", callerTranscript: "When do you close?")]
        var call = VirtualCall(script: script, setup: VirtualCall.setup(legFormat: leg), dialect: dialect)
        call.start()
        call.pass(.milliseconds(500))
        call.pass(.milliseconds(600), speaking: true)
        call.pass(.seconds(3))
        #expect(call.record.errors.isEmpty)
        #expect(call.failures.isEmpty)
        #expect(call.agentTexts == ["We are open until six."])
        #expect(call.callerTexts == ["When do you close?"])
        #expect(call.outcomes == [.completed])
        let started = try #require(call.events.first { $0.event == .callerSpeechStarted }).at
        let stopped = try #require(call.events.first { $0.event == .callerSpeechStopped }).at
        #expect(started == .milliseconds(560), "60 ms of energy")
        #expect(stopped == .milliseconds(1300), "200 ms of silence")
        // 22 characters of 60 ms, to the sample, at the pitch that was asked for.
        let format = call.machine.capabilities.output[0]
        let bytes = try #require(call.audio[AgentItem(1)])
        #expect(bytes.count == format.bytes(in: .milliseconds(22 * 60)))
        #expect(call.count { $0 == .agentAudioFinished(AgentItem(1)) } == 1)
        var transcoder = try Transcoder(from: format, to: .l16(format.rate))
        var pcm: [UInt8] = []
        bytes.withUnsafeBytes { transcoder.convert($0, into: &pcm) }
        var samples: [Int16] = []
        pcm.withUnsafeBytes { samples.appendLittleEndian($0) }
        #expect(Goertzel.amplitude(of: 440, in: samples, rate: format.rate) > 0.2)
        #expect(Goertzel.amplitude(of: 880, in: samples, rate: format.rate) < 0.02)
    }

    @Test("The server's events come in the order that may be relied on")
    func order() {
        var script = Script()
        script.answers = [Script.Answer("Yes.", sound: .tone(hertz: 500, .milliseconds(150)))]
        script.transcriptDelay = .seconds(2)
        var call = VirtualCall(script: script, setup: VirtualCall.setup())
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(1))
        #expect(
            call.serverTypes == [
                "session.created", "session.updated", "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped", "input_audio_buffer.committed", "conversation.item.added",
                "conversation.item.done", "response.created", "response.output_item.added", "conversation.item.added",
                "response.content_part.added", "response.output_audio.delta", "response.output_audio_transcript.delta",
                "response.output_audio.delta", "response.output_audio_transcript.delta", "response.output_audio.done",
                "response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done",
                "conversation.item.done", "response.done", "rate_limits.updated",
            ])
    }

    @Test("A caller who interrupts stops the server, and the item is cut to what was heard")
    func bargeIn() {
        var script = Script()
        script.answers = [Script.Answer("Long.", sound: .tone(hertz: 400, .seconds(20)))]
        script.pace = 2
        var call = VirtualCall(script: script, setup: VirtualCall.setup())
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(2))
        call.pass(.milliseconds(300), speaking: true)
        #expect(call.outcomes == [.cancelled])
        #expect(call.count { $0 == .interrupted } == 1)
        call.perform(.truncate(AgentItem(1), heard: .milliseconds(1234)))
        #expect(call.record.truncations.map(\.milliseconds) == [1234])
        call.perform(.truncate(AgentItem(1), heard: .seconds(100)))
        #expect(call.record.truncations.count == 1)
        #expect(call.record.errors.isEmpty)
    }

    @Test("Driven by us: the server waits, a cancel stops it, and an interruption can be taken back")
    func drivenByUs() {
        var script = Script()
        script.answers = [Script.Answer("Long.", sound: .tone(hertz: 400, .seconds(20))), Script.Answer("Short.")]
        var call = VirtualCall(script: script, setup: VirtualCall.setup(turns: TurnDetection(drivenByUs: true)))
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(1))
        #expect(call.count { $0 == .responseStarted } == 0)
        #expect(call.count { $0 == .callerTurnCommitted(CallerItem(1)) } == 1)
        call.perform(.respond(.reply))
        call.pass(.seconds(1))
        call.pass(.milliseconds(200), speaking: true)
        #expect(call.outcomes.isEmpty, "The caller's noise alone stops nothing")
        call.perform(.cancelResponse)
        call.perform(.truncate(AgentItem(1), heard: .milliseconds(900)))
        call.perform(.respond(.reply))
        call.pass(.seconds(3))
        #expect(call.outcomes == [.cancelled, .completed])
        #expect(call.record.cancels == 1)
        #expect(call.record.errors.isEmpty)
        #expect(call.agentTexts.last == "Short.")
    }

    @Test("Turns that only we find: commit, then reply")
    func noDetection() {
        var call = VirtualCall(
            script: Script(), setup: VirtualCall.setup(turns: TurnDetection(kind: .none)))
        call.start()
        call.pass(.seconds(1), speaking: true)
        call.perform(.commitCallerTurn)
        call.perform(.respond(.reply))
        call.pass(.seconds(3))
        #expect(call.record.commits == 1)
        #expect(call.outcomes == [.completed])
        #expect(call.record.errors.isEmpty)
    }

    @Test("The caller's audio is counted from its first byte, also where nobody listened for turns")
    func audioClock() throws {
        var call = VirtualCall(script: OpenAIRealtimeScript(), setup: VirtualCall.setup())
        call.start()
        call.pass(.seconds(2))
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.milliseconds(600))
        #expect(call.record.appended == .seconds(3))
        let started = try #require(call.serverMessages.first { $0["type"] == "input_audio_buffer.speech_started" })
        let stopped = try #require(call.serverMessages.first { $0["type"] == "input_audio_buffer.speech_stopped" })
        #expect(started["audio_start_ms"] == 1700, "2000 less 300 of padding")
        #expect(stopped["audio_end_ms"] == 2600)
    }

    @Test("Tools are answered all together by one reply", arguments: [OpenAIRealtimeConfiguration.Dialect.ga, .beta])
    func tools(dialect: OpenAIRealtimeConfiguration.Dialect) {
        var script = Script()
        script.answers = [
            Script.Answer("One moment.", tools: [.init("hours"), .init("transfer", arguments: #"{"to":"sales"}"#)]),
            Script.Answer("Sales will be with you."),
        ]
        let tool = ToolDefinition(name: "hours", description: "Opening hours", parameters: #"{"type":"object"}"#)
        var call = VirtualCall(script: script, setup: VirtualCall.setup(tools: [tool]), dialect: dialect)
        call.onEvent = { event in
            guard case .toolCalled(let tool) = event else { return [] }
            return [.toolResult(id: tool.id, output: Redacted("ok " + tool.name), respond: true)]
        }
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(4))
        #expect(call.record.toolOutputs.map(\.output) == ["ok hours", "ok transfer"])
        #expect(call.agentTexts == ["One moment.", "Sales will be with you."])
        #expect(call.record.responses.count == 2)
        #expect(call.record.errors.isEmpty)
    }

    @Test(
        "Greeting, word by word, history, notes and digits are all accepted by a strict server",
        arguments: [
            OpenAIRealtimeConfiguration.Dialect.ga, .beta,
        ])
    func said(dialect: OpenAIRealtimeConfiguration.Dialect) {
        let history = [
            ConversationEntry(role: .caller, text: "Hi"), ConversationEntry(role: .agent, text: "Hello"),
            ConversationEntry(role: .tool, text: "x"),
        ]
        var call = VirtualCall(script: Script(), setup: VirtualCall.setup(history: history), dialect: dialect)
        call.start()
        call.perform(.respond(.greeting))
        call.perform(.respond(.say(Redacted("The office is closed.\nPlease call tomorrow."))))
        call.perform(.inform(Redacted("The operator is busy.")))
        call.perform(.digit(Redacted("5")))
        call.pass(.seconds(6))
        #expect(call.record.errors.isEmpty)
        #expect(call.record.responses.map(\.kind) == [.greeting, .say])
        #expect(call.agentTexts == ["Hello, how can I help you?", "The office is closed.\nPlease call tomorrow."])
        #expect(call.record.items.map(\.role) == ["user", "assistant", "system", "system", "system"])
    }

    @Test(
        "Each way of going wrong leads to its verdict",
        arguments: [
            (Script.Mishap(.opened, .silence), "configure-timeout", AssistantFailure.Verdict.retry),
            (.init(.configured, .silence), "configure-timeout", .retry),
            (.init(.opened, .close(code: 1013, reason: "try again")), "closed-1013", .retry),
            (.init(.opened, .close(code: 1008, reason: "no")), "closed-1008", .failOver),
            (
                .init(
                    .configured,
                    .error(code: "beta_api_shape_disabled", type: "invalid_request_error", message: "m", closing: true)),
                "beta-api-shape-disabled", .failOver
            ),
            (.init(.midResponse(1), .reset), "connection-reset", .retry),
            (.init(.midResponse(1), .close(code: 1011, reason: "")), "closed-1011", .retry),
            (
                .init(.response(1), .error(code: "insufficient_quota", type: "x", message: "m", closing: true)),
                "insufficient-quota", .failOver
            ),
            (.init(.after(.seconds(1)), .expiry), "session-expired", .retry),
            (.init(.response(1), .malformed), "garbled-message", .ignore),
            (.init(.response(1), .binary), "garbled-message", .ignore),
        ])
    func mishaps(mishap: Script.Mishap, slug: String, verdict: AssistantFailure.Verdict) {
        var script = Script()
        script.mishaps = [mishap]
        var call = VirtualCall(script: script, setup: VirtualCall.setup())
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(8))
        #expect(call.failures.map(\.slug) == [slug])
        #expect(call.failures.map(\.verdict) == [verdict])
        if verdict == .ignore { #expect(call.outcomes == [.completed]) }
    }

    @Test("A reply that stops in its middle leaves the session up: the deadline is the conversation's")
    func stopsMidDelta() {
        var script = Script()
        script.mishaps = [.init(.midResponse(1), .silence)]
        var call = VirtualCall(script: script, setup: VirtualCall.setup())
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(20))
        #expect(call.outcomes.isEmpty)
        #expect(call.audio[AgentItem(1)]?.isEmpty == false)
        call.perform(.cancelResponse)
        call.pass(.seconds(4))
        #expect(call.outcomes == [.cancelled])
    }

    @Test(
        "A failed, a slow and an endless reply",
        arguments: [
            (
                Script.Fault.failedResponse(code: "rate_limit_exceeded", message: "m"),
                ResponseOutcome.failed(AssistantFailure("rate-limit-exceeded", .retry, detail: "m")), 0
            ),
            (.slow(.seconds(3)), .completed, 1),
            (.flood(.seconds(600)), .completed, 600 * 8000),
        ])
    func oddReplies(fault: Script.Fault, outcome: ResponseOutcome, atLeast bytes: Int) {
        var script = Script()
        script.mishaps = [.init(.response(1), fault)]
        var call = VirtualCall(script: script, setup: VirtualCall.setup())
        call.start()
        call.pass(.milliseconds(400), speaking: true)
        call.pass(.seconds(9))
        #expect(call.outcomes == [outcome])
        #expect(call.audio[AgentItem(1)]?.count ?? 0 >= bytes)
        if case .slow = fault { #expect(call.firstAudio ?? .zero > .seconds(3)) }
    }

    @Test("An hour's session is asked to move in time and expires at its end")
    func hour() {
        var script = Script()
        script.sessionLimit = .seconds(60)
        var call = VirtualCall(script: script, setup: VirtualCall.setup()) { configuration in
            configuration.maximumSession = .seconds(60)
            configuration.recycleAfter = .seconds(55)
        }
        call.start()
        call.pass(.seconds(61))
        let goings = call.events.compactMap { entry -> (Duration, Duration?)? in
            if case .goingAway(let left) = entry.event { return (entry.at, left) }
            return nil
        }
        #expect(goings.map(\.0) == [.seconds(55), .seconds(60)])
        #expect(goings.map(\.1) == [.seconds(5), nil])
        #expect(call.failures.map(\.slug) == ["session-expired"])
    }
}
