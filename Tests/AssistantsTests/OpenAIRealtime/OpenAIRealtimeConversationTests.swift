import Assistants
import Telephony
import Testing

@Suite struct OpenAIRealtimeConversationTests {
    let frame = [UInt8](repeating: 0x7F, count: 160)

    // MARK: Audio

    @Test("A frame of the caller is one append with the same bytes")
    func append() {
        var trace = RealtimeTrace.ready()
        trace.caller(self.frame)
        let sent = trace.takeSent()
        #expect(sent.count == 1)
        #expect(sent.first?["type"] == "input_audio_buffer.append")
        var decoded: [UInt8] = []
        let text = Array((sent.first?["audio"]?.text ?? "").utf8)
        #expect(throws: Never.self) { try text.withUnsafeBytes { try Base64.decode($0, into: &decoded) } }
        #expect(decoded == self.frame)
    }

    @Test("Audio before the formats are proven is not sent")
    func early() {
        var trace = RealtimeTrace()
        trace.start()
        trace.caller(self.frame)
        trace.channel(.opened(.main))
        trace.caller(self.frame)
        #expect(trace.takeSent().isEmpty)
    }

    @Test("Agent audio comes out decoded, item by item, numbered from 1")
    func delta() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.delta([1, 2, 3], item: "a"))
        trace.server(Wire.delta([4], item: "a"))
        trace.server(Wire.delta([5, 6], item: "b"))
        #expect(trace.audio.map(\.item.number) == [1, 1, 2])
        #expect(trace.audio.map(\.bytes) == [[1, 2, 3], [4], [5, 6]])
        #expect(trace.takeEvents() == [.responseStarted])
    }

    @Test("A sample cut in two by a delta's end is put together again, for each item")
    func halfSamples() {
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(legFormat: .l16(.wideband)))
        trace.server(Wire.created())
        trace.server(Wire.delta([1, 2, 3], item: "a"))
        trace.server(Wire.delta([9], item: "b"))
        trace.server(Wire.delta([4, 5, 6], item: "a"))
        trace.server(Wire.delta([8], item: "b"))
        #expect(trace.audio.map(\.bytes) == [[1, 2], [3, 4, 5, 6], [9, 8]])
        #expect(trace.audio.map(\.item.number) == [1, 1, 2])
    }

    @Test(
        "Base64 without padding or with escaped slashes is read",
        arguments: [
            ("AQI", [1, 2] as [UInt8]), ("AQ", [1]), (#"\/\/\/\/"#, [255, 255, 255]), (#"\u0041QI="#, [1, 2]),
        ])
    func laxBase64(text: String, bytes: [UInt8]) {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.delta(base64: text))
        #expect(trace.audio.map(\.bytes) == [bytes])
    }

    @Test("The older names of the events mean the same")
    func betaNames() {
        var trace = RealtimeTrace.ready(configuration: RealtimeTrace.betaConfiguration)
        trace.server(Wire.created())
        trace.server(
            Wire.delta([1, 2]).replacing("response.output_audio.delta", with: "response.audio.delta"))
        trace.server(
            #"{"type":"response.audio_transcript.delta","response_id":"resp_1","item_id":"item_1","delta":"Ciao"}"#)
        trace.server(
            #"{"type":"response.audio_transcript.done","response_id":"resp_1","item_id":"item_1","transcript":"Ciao!"}"#
        )
        trace.server(#"{"type":"response.audio.done","response_id":"resp_1","item_id":"item_1"}"#)
        #expect(trace.audio.map(\.bytes) == [[1, 2]])
        let item = AgentItem(1)
        #expect(
            trace.takeEvents() == [
                .responseStarted, .agentTranscript(item, Redacted("Ciao"), isFinal: false),
                .agentTranscript(item, Redacted("Ciao!"), isFinal: true), .agentAudioFinished(item),
            ])
    }

    // MARK: The caller's turn

    @Test("The caller's turn is told in order, and its transcript finds it however late")
    func callerTurn() {
        var trace = RealtimeTrace.ready()
        trace.server(#"{"type":"input_audio_buffer.speech_started","item_id":"c1","audio_start_ms":0}"#)
        trace.server(#"{"type":"input_audio_buffer.speech_stopped","item_id":"c1","audio_end_ms":900}"#)
        trace.server(#"{"type":"input_audio_buffer.committed","item_id":"c1","previous_item_id":null}"#)
        trace.server(#"{"type":"input_audio_buffer.speech_started","item_id":"c2","audio_start_ms":0}"#)
        trace.server(
            #"{"type":"conversation.item.input_audio_transcription.delta","item_id":"c1","content_index":0,"delta":"Buon"}"#
        )
        trace.server(
            #"{"type":"conversation.item.input_audio_transcription.completed","item_id":"c1","content_index":0,"transcript":"Buongiorno","usage":{"type":"duration","seconds":1}}"#
        )
        trace.server(
            #"{"type":"conversation.item.input_audio_transcription.failed","item_id":"c2","content_index":0,"error":{"message":"m"}}"#
        )
        let (first, second) = (CallerItem(1), CallerItem(2))
        var billed = AssistantUsage(service: "openai", model: "gpt-transcribe")
        billed.heard = .seconds(1)
        #expect(
            trace.takeEvents() == [
                .callerSpeechStarted, .callerSpeechStopped, .callerTurnCommitted(first), .callerSpeechStarted,
                .callerTranscript(first, Redacted("Buon"), isFinal: false),
                .callerTranscript(first, Redacted("Buongiorno"), isFinal: true), .usage(billed),
                .callerTranscript(second, Redacted(""), isFinal: true),
                .failed(AssistantFailure("transcription-failed", .ignore, detail: "m")),
            ])
    }

    @Test("Where we find the turns, a commit is ours to make, but not of next to nothing")
    func commit() {
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(turns: TurnDetection(kind: .none)))
        trace.perform(.commitCallerTurn)
        for _ in 0..<4 { trace.caller(self.frame) }
        trace.forget()
        trace.perform(.commitCallerTurn)
        #expect(trace.takeSentTypes().isEmpty, "80 ms: the server would refuse it")
        trace.caller(self.frame)
        trace.forget()
        trace.perform(.commitCallerTurn)
        #expect(trace.takeSentTypes() == ["input_audio_buffer.commit"])
        trace.perform(.commitCallerTurn)
        #expect(trace.takeSentTypes().isEmpty)
        trace.perform(.clearCallerAudio)
        #expect(trace.takeSentTypes() == ["input_audio_buffer.clear"])
    }

    @Test("Where the server finds the turns and we drive, a commit goes out only while a turn is open")
    func commitWithServerDetector() {
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(turns: TurnDetection(drivenByUs: true)))
        for _ in 0..<10 { trace.caller(self.frame) }
        trace.forget()
        trace.perform(.commitCallerTurn)
        #expect(trace.takeSentTypes().isEmpty)
        trace.server(#"{"type":"input_audio_buffer.speech_started","item_id":"c1","audio_start_ms":0}"#)
        trace.perform(.commitCallerTurn)
        trace.perform(.respond(.reply))
        #expect(trace.takeSentTypes() == ["input_audio_buffer.commit", "response.create"])
    }

    // MARK: One active response

    @Test("A second wish waits for the end of the first")
    func oneAtATime() {
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(greeting: "Pronto!"))
        trace.perform(.respond(.greeting))
        let greeting = trace.takeSent()
        #expect(greeting.map { $0["type"]?.text } == ["response.create"])
        #expect(greeting.first?[["response", "instructions"]]?.text?.hasSuffix("Pronto!") == true)
        trace.perform(.respond(.say(Redacted("Un momento"))))
        trace.perform(.respond(.reply))
        trace.perform(.respond(.reply))
        #expect(trace.takeSent().isEmpty)
        trace.server(Wire.created("r1"))
        #expect(trace.takeSent().isEmpty)
        trace.server(Wire.done("r1"))
        let say = trace.takeSent()
        #expect(say.first?[["response", "input"]] == [])
        #expect(say.first?[["response", "tool_choice"]] == "none")
        trace.server(Wire.created("r2"))
        trace.server(Wire.done("r2"))
        #expect(trace.takeSentTypes() == ["response.create"])
        trace.server(Wire.created("r3"))
        trace.server(Wire.done("r3"))
        #expect(trace.takeSentTypes().isEmpty, "Two replies in the queue are one")
    }

    @Test("The assistant's own greeting keeps its persona")
    func ownGreeting() {
        var trace = RealtimeTrace.ready()
        trace.perform(.respond(.greeting))
        let instructions = trace.takeSent().first?[["response", "instructions"]]?.text ?? ""
        #expect(instructions.hasPrefix("You answer the phone."))
        #expect(instructions.contains("it-IT"))
    }

    @Test("A cancel goes out once, only while something is being made, and late audio of it is dropped")
    func cancel() {
        var trace = RealtimeTrace.ready()
        trace.perform(.cancelResponse)
        #expect(trace.takeSent().isEmpty)
        trace.server(Wire.created("r1"))
        trace.server(Wire.delta([1], response: "r1"))
        trace.perform(.cancelResponse)
        trace.perform(.cancelResponse)
        let sent = trace.takeSent()
        #expect(sent.map { $0["type"]?.text } == ["response.cancel"])
        #expect(sent.first?["response_id"] == "r1")
        trace.server(Wire.delta([2], response: "r1"))
        trace.server(
            Wire.done("r1", status: "cancelled", details: #"{"type":"cancelled","reason":"client_cancelled"}"#))
        trace.server(Wire.delta([3], response: "r1"))
        trace.server(Wire.created("r2"))
        trace.server(Wire.delta([4], response: "r1"))
        trace.server(Wire.delta([5], response: "r2", item: "i2"))
        #expect(trace.audio.map(\.bytes) == [[1], [5]])
        #expect(trace.takeEvents() == [.responseStarted, .responseFinished(.cancelled), .responseStarted])
        #expect(trace.machine.counters.droppedAudio == 3)
    }

    @Test("A reply cancelled before it has a name is cancelled when it gets one")
    func earlyCancel() {
        var trace = RealtimeTrace.ready()
        trace.perform(.respond(.reply))
        trace.perform(.cancelResponse)
        #expect(trace.takeSentTypes() == ["response.create"])
        trace.server(Wire.created("r1"))
        #expect(trace.takeSent().first?["response_id"] == "r1")
        trace.server(Wire.delta([1], response: "r1"))
        #expect(trace.audio.isEmpty)
        trace.server(Wire.done("r1", status: "cancelled"))
        #expect(trace.takeEvents() == [.responseStarted, .responseFinished(.cancelled)])
    }

    @Test("A server that never confirms a cancel does not block what comes after")
    func lostCancel() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created("r1"))
        trace.perform(.cancelResponse)
        trace.perform(.respond(.reply))
        #expect(trace.takeSentTypes() == ["response.cancel"])
        #expect(trace.wakes.last == .seconds(3))
        trace.wake(at: .seconds(3))
        #expect(trace.takeEvents() == [.responseStarted, .responseFinished(.cancelled)])
        #expect(trace.takeSentTypes() == ["response.create"])
    }

    @Test("A server that has nothing to cancel any more has ended that reply")
    func nothingToCancel() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created("r1"))
        trace.perform(.cancelResponse)
        trace.perform(.respond(.reply))
        trace.forget()
        trace.server(Wire.error(code: "response_cancel_not_active"))
        #expect(trace.takeEvents() == [.responseFinished(.cancelled)])
        #expect(trace.takeSentTypes() == ["response.create"])
    }

    @Test("A reply refused because another is active is asked for again when that one ends")
    func refusedWhileActive() throws {
        var trace = RealtimeTrace.ready()
        trace.perform(.respond(.say(Redacted("Arrivo"))))
        let asked = try #require(trace.takeSent().first?["event_id"]?.text)
        // The server had begun one of its own.
        trace.server(Wire.created("own"))
        trace.server(Wire.error(code: "conversation_already_has_active_response", eventID: asked))
        #expect(trace.takeSent().isEmpty)
        trace.server(Wire.done("own"))
        #expect(trace.takeSent().first?[["response", "input"]] == [])
        #expect(trace.takeEvents() == [.responseStarted, .responseFinished(.completed)])
    }

    @Test("The same refusal before we know of the other response, and with no id quoted")
    func refusedBlind() {
        var trace = RealtimeTrace.ready()
        trace.perform(.respond(.reply))
        trace.server(Wire.error(code: "conversation_already_has_active_response"))
        #expect(trace.takeSentTypes() == ["response.create"])
        trace.server(Wire.done("other"))
        #expect(trace.takeSentTypes() == ["response.create"])
    }

    @Test("A reply that is refused for another reason is a failed reply")
    func refusedReply() throws {
        var trace = RealtimeTrace.ready()
        trace.perform(.respond(.reply))
        let asked = try #require(trace.takeSent().first?["event_id"]?.text)
        trace.server(Wire.error(code: "invalid_value", eventID: asked))
        #expect(
            trace.takeEvents() == [
                .responseFinished(.failed(AssistantFailure("invalid-value", .retry, detail: "something")))
            ])
    }

    @Test(
        "A response's end is told as what it was",
        arguments: [
            (status: "completed", details: "null", outcome: ResponseOutcome.completed),
            (status: "cancelled", details: #"{"reason":"client_cancelled"}"#, outcome: .cancelled),
            (
                status: "incomplete", details: #"{"reason":"max_output_tokens"}"#,
                outcome: .incomplete(reason: "max-output-tokens")
            ),
            (
                status: "incomplete", details: #"{"reason":"content_filter"}"#,
                outcome: .incomplete(reason: "content-filter")
            ),
            (
                status: "failed", details: #"{"error":{"code":"insufficient_quota","message":"m"}}"#,
                outcome: .failed(AssistantFailure("insufficient-quota", .failOver, detail: "m"))
            ),
            (
                status: "failed", details: #"{"error":{"type":"server_error","code":null,"message":"m"}}"#,
                outcome: .failed(AssistantFailure("server-error", .retry, detail: "m"))
            ),
            (
                status: "failed", details: #"{"error":{"code":"new_and_unheard_of"}}"#,
                outcome: .failed(AssistantFailure("provider-error", .retry))
            ),
        ])
    func outcomes(status: String, details: String, outcome: ResponseOutcome) {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.done(status: status, details: details))
        #expect(trace.takeEvents() == [.responseStarted, .responseFinished(outcome)])
    }

    @Test("An interruption by the server is told as one")
    func interrupted() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.done(status: "cancelled", details: #"{"type":"cancelled","reason":"turn_detected"}"#))
        #expect(trace.takeEvents() == [.responseStarted, .interrupted, .responseFinished(.cancelled)])
    }

    @Test("Usage is counted by kind")
    func usage() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(
            #"{"type":"response.done","response":{"id":"resp_1","status":"completed","usage":{"total_tokens":10,"input_tokens":6,"output_tokens":4,"input_token_details":{"text_tokens":1,"audio_tokens":5,"cached_tokens":2},"output_token_details":{"text_tokens":1,"audio_tokens":3}}}}"#
        )
        var usage = AssistantUsage(service: "openai", model: "gpt-realtime-2.1")
        usage.inputTextTokens = 1
        usage.inputAudioTokens = 5
        usage.cachedTextTokens = 2
        usage.outputTextTokens = 1
        usage.outputAudioTokens = 3
        #expect(trace.takeEvents().contains(.usage(usage)))
    }

    // MARK: Heard

    @Test(
        "Truncation names the item and never more than has come of it",
        arguments: [
            (heard: 30, sent: [30]), (heard: 5000, sent: [40]), (heard: 0, sent: [0]), (heard: -5, sent: [0]),
        ])
    func truncate(heard: Int, sent: [Int]) {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.delta(self.frame, item: "a"))
        trace.server(Wire.delta(self.frame, item: "a"))
        trace.server(Wire.delta(self.frame, item: "b"))
        trace.perform(.cancelResponse)
        trace.forget()
        trace.perform(.truncate(AgentItem(1), heard: .milliseconds(heard)))
        let messages = trace.takeSent()
        #expect(messages.map { $0["audio_end_ms"]?.whole } == sent)
        #expect(messages.map { $0["item_id"]?.text } == ["a"])
    }

    @Test("What was heard to its end is not truncated, nor an item twice, nor one that nobody knows")
    func needlessTruncate() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.delta(self.frame))
        trace.server(#"{"type":"response.output_audio.done","response_id":"resp_1","item_id":"item_1"}"#)
        trace.server(Wire.done())
        trace.perform(.truncate(AgentItem(1), heard: .milliseconds(20)))
        trace.perform(.truncate(AgentItem(7), heard: .milliseconds(20)))
        #expect(trace.takeSent().isEmpty)
        trace.perform(.truncate(AgentItem(1), heard: .milliseconds(10)))
        trace.perform(.truncate(AgentItem(1), heard: .milliseconds(15)))
        #expect(trace.takeSentTypes() == ["conversation.item.truncate"])
    }

    // MARK: Tools

    @Test("Results are sent as they come; one reply speaks about all of them, after the response that asked")
    func tools() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.toolCall("c1"))
        trace.server(Wire.toolCall("c2"))
        trace.server(Wire.toolCall("c1"))
        #expect(
            trace.takeEvents() == [
                .responseStarted, .toolCalled(ToolCall(id: "c1", name: "transfer", arguments: "{}")),
                .toolCalled(ToolCall(id: "c2", name: "transfer", arguments: "{}")),
            ])
        trace.perform(.toolResult(id: "c1", output: Redacted("ok"), respond: true))
        #expect(trace.takeSent().first?[["item", "call_id"]] == "c1")
        trace.server(Wire.done())
        #expect(trace.takeSent().isEmpty, "c2 is not answered yet")
        trace.perform(.toolResult(id: "c2", output: Redacted("ok"), respond: false))
        #expect(trace.takeSentTypes() == ["conversation.item.create", "response.create"])
        trace.perform(.toolResult(id: "c2", output: Redacted("again"), respond: true))
        #expect(trace.takeSent().isEmpty)
    }

    @Test("A tool whose outcome needs no words gets none")
    func silentTool() {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.created())
        trace.server(Wire.toolCall("c1"))
        trace.perform(.toolResult(id: "c1", output: Redacted("ok"), respond: false))
        trace.server(Wire.done())
        #expect(trace.takeSentTypes() == ["conversation.item.create"])
    }

    @Test("The beta shape says a function's name in the item only")
    func betaTool() {
        var trace = RealtimeTrace.ready(configuration: RealtimeTrace.betaConfiguration)
        trace.server(Wire.created())
        trace.server(
            #"{"type":"response.output_item.added","response_id":"resp_1","item":{"type":"function_call","id":"f","call_id":"c1","name":"hours","arguments":""}}"#
        )
        trace.server(
            #"{"type":"response.function_call_arguments.done","response_id":"resp_1","item_id":"f","call_id":"c1","arguments":"{\"a\":1}"}"#
        )
        trace.server(
            #"{"type":"response.output_item.done","response_id":"resp_1","item":{"type":"function_call","id":"f","status":"completed","call_id":"c1","name":"hours","arguments":"{\"a\":1}"}}"#
        )
        #expect(
            trace.takeEvents() == [
                .responseStarted, .toolCalled(ToolCall(id: "c1", name: "hours", arguments: #"{"a":1}"#)),
            ])
    }

    @Test("The result of a tool that the session before asked for is told as text")
    func foreignTool() {
        var trace = RealtimeTrace.ready()
        trace.perform(.toolResult(id: "old", output: Redacted("open till six"), respond: true))
        let sent = trace.takeSent()
        #expect(sent.map { $0["type"]?.text } == ["conversation.item.create", "response.create"])
        #expect(sent.first?[["item", "role"]] == "system")
    }

    @Test(
        "What the assistant should know is an item, not a question",
        arguments: [
            AssistantCommand.inform(Redacted("The operator declined.")), .digit(Redacted("5")),
        ])
    func inform(command: AssistantCommand) {
        var trace = RealtimeTrace.ready()
        trace.perform(command)
        let sent = trace.takeSent()
        #expect(sent.map { $0["type"]?.text } == ["conversation.item.create"])
        #expect(sent.first?[["item", "role"]] == "system")
    }
}
