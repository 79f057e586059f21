import Assistants
import Telephony

/// ElevenLabs and Gemini that write what they like. Messages are the input's lines; with a first byte of `{` the session
/// is set up properly first.
enum CloudFuzzing {
    private static let setup = AssistantSetup(
        instructions: "", language: "en", legFormat: .pcmu,
        history: [ConversationEntry(role: .caller, text: "Hi")])

    static func elevenLabs(_ bytes: UnsafeRawBufferPointer) {
        let configuration = ElevenLabsAgentsConfiguration(baseURL: "http://127.0.0.1:1", agent: "a")
        self.play(
            bytes, to: ElevenLabsAgentsMachine(configuration: configuration, setup: self.setup),
            ready: #"{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":"#
                + #"{"agent_output_audio_format":"pcm_16000"}}"#)
    }

    static func gemini(_ bytes: UnsafeRawBufferPointer) {
        let configuration = GeminiLiveConfiguration(
            baseURL: "http://127.0.0.1:1", credential: .apiKey(Redacted("k")))
        self.play(
            bytes, to: GeminiLiveMachine(configuration: configuration, setup: self.setup),
            ready: #"{"setupComplete":{}}"#)
    }

    private static func play(_ bytes: UnsafeRawBufferPointer, to fresh: some AssistantMachine, ready: String) {
        var machine = fresh
        var output = AssistantOutput()
        var now: Duration = .zero
        // A machine that resumes is told about the connection that it opened last.
        var channel = ChannelID.main
        machine.start(at: now, &output)
        machine.received(.opened(channel), at: now, &output)
        if bytes.first == UInt8(ascii: "{") {
            Array(ready.utf8).withUnsafeBytes { machine.received(.text(channel, $0), at: now, &output) }
            machine.perform(.respond(.reply), at: now, &output)
        }
        let frame = [UInt8](repeating: 0x40, count: 640)
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 64) {
            now += .milliseconds(500)
            output.removeAll()
            machine.received(.text(channel, UnsafeRawBufferPointer(rebasing: line)), at: now, &output)
            frame.withUnsafeBytes { machine.callerAudio($0, at: now, &output) }
            machine.wake(at: now, &output)
            for effect in output.effects {
                if case .connect(let id, _) = effect { channel = id }
            }
            self.check(output)
        }
        output.removeAll()
        machine.perform(.cancelResponse, at: now, &output)
        machine.perform(.toolResult(id: "t1", output: Redacted("x"), respond: true), at: now, &output)
        machine.wake(at: now + .seconds(4000), &output)
        machine.received(.closed(channel, .closed(code: 1000, reason: "")), at: now, &output)
        self.check(output)
    }

    /// What the machine points at must be there.
    private static func check(_ output: AssistantOutput) {
        for effect in output.effects {
            switch effect {
            case .sendText(_, let range), .sendBinary(_, let range), .audio(_, let range):
                precondition(range.upperBound <= output.bytes.count, "an effect points beyond its bytes")
            default: break
            }
        }
    }

    static let elevenLabsEvents = [
        #"{"type":"audio","audio_event":{"audio_base_64":"AQACAA==","event_id":3}}"#,
        #"{"type":"agent_response","agent_response_event":{"agent_response":"Hi","event_id":1}}"#,
        #"{"type":"interruption","interruption_event":{"event_id":2}}"#,
        #"{"type":"user_transcript","user_transcription_event":{"user_transcript":"Hi","event_id":9}}"#,
        #"{"type":"ping","ping_event":{"event_id":7,"ping_ms":12}}"#,
        #"{"type":"client_tool_call","client_tool_call":{"tool_name":"a","tool_call_id":"t1","parameters":{"b":[1]}}}"#,
        #"{"type":"error","error_event":{"code":1011,"error_type":"llm_error","message":"x"}}"#,
    ]

    static let geminiEvents = [
        #"{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AQACAA=="}}]}}}"#,
        #"{"serverContent":{"turnComplete":true,"interactionStatus":"IDLE"},"usageMetadata":{"promptTokenCount":1}}"#,
        #"{"serverContent":{"interrupted":true}}"#, #"{"goAway":{"timeLeft":"3.5s"}}"#,
        #"{"serverContent":{"inputTranscription":{"text":"Hi","finished":true},"outputTranscription":{"text":"Ho"}}}"#,
        #"{"toolCall":{"functionCalls":[{"id":"t1","name":"look","args":{"a":[1,2]}}]}}"#,
        #"{"toolCallCancellation":{"ids":["t1"]}}"#,
        #"{"sessionResumptionUpdate":{"newHandle":"h","resumable":true}}"#,
    ]
}
