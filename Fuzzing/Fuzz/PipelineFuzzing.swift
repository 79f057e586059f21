import Assistants
import Telephony

/// The pipeline's services that write what they like: recognition, text model and voice of one session.
///
/// The input's lines are played in order. A line's first byte says whose it is: `r` the recogniser's text, `s` the voice's
/// text, `a` the voice's audio, `w` a piece of the text model's stream, `e` the end of that stream, `c` a caller who
/// begins to speak, `q` one who falls silent; anything else lets half a second pass.
enum PipelineFuzzing {
    static func chat(_ bytes: UnsafeRawBufferPointer) { self.play(bytes, writer: .groq, speaker: .deepgram) }
    static func anthropic(_ bytes: UnsafeRawBufferPointer) { self.play(bytes, writer: .anthropic, speaker: .openAI) }

    private static func play(
        _ bytes: UnsafeRawBufferPointer, writer: WriterConfiguration.Service, speaker: SpeakerConfiguration.Service
    ) {
        let base = "http://127.0.0.1:1"
        var machine = SpeechPipelineMachine(
            configuration: SpeechPipelineConfiguration(
                recogniser: RecogniserConfiguration(.deepgram, baseURL: base),
                writer: WriterConfiguration(writer, baseURL: base, model: "m"),
                speaker: SpeakerConfiguration(speaker, baseURL: base, voice: "v")),
            setup: AssistantSetup(instructions: "", language: "en", legFormat: .pcmu))
        var far = FarSide()
        var output = AssistantOutput()
        var now: Duration = .zero
        machine.start(at: now, &output)
        far.take(&output, &machine, at: now)
        machine.perform(.respond(.reply), at: now, &output)
        far.take(&output, &machine, at: now)
        let frame = [UInt8](repeating: 0x40, count: 160)
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 64, omittingEmptySubsequences: true) {
            let rest = UnsafeRawBufferPointer(rebasing: line.dropFirst())
            now += .milliseconds(40)
            switch line.first {
            case UInt8(ascii: "r"): if let id = far.ears { machine.received(.text(id, rest), at: now, &output) }
            case UInt8(ascii: "s"): if let id = far.voice { machine.received(.text(id, rest), at: now, &output) }
            case UInt8(ascii: "a"):
                if let id = far.voice { machine.received(.binary(id, rest), at: now, &output) }
                if let id = far.speech.first { machine.received(.bytes(id, rest), at: now, &output) }
            case UInt8(ascii: "w"):
                // A stream is cut at lines by this input: their ends are put back.
                let piece = Array(rest) + [UInt8(ascii: "\n"), UInt8(ascii: "\n")]
                if let id = far.model { piece.withUnsafeBytes { machine.received(.bytes(id, $0), at: now, &output) } }
            case UInt8(ascii: "e"):
                if let id = far.model { machine.received(.closed(id, .finished), at: now, &output) }
                far.model = nil
            case UInt8(ascii: "c"), UInt8(ascii: "q"):
                let speaks = line.first == UInt8(ascii: "c")
                if let id = far.detector { machine.received(.speech(id, isSpeaking: speaks), at: now, &output) }
            default: now += .milliseconds(500)
            }
            frame.withUnsafeBytes { machine.callerAudio($0, at: now, &output) }
            machine.wake(at: now, &output)
            far.take(&output, &machine, at: now)
        }
        machine.perform(.cancelResponse, at: now, &output)
        machine.perform(.truncate(AgentItem(1), heard: .milliseconds(500)), at: now, &output)
        machine.perform(.toolResult(id: "t1", output: Redacted("x"), respond: true), at: now, &output)
        machine.wake(at: now + .seconds(4000), &output)
        _ = machine.unreportedUsage(at: now)
        machine.perform(.finish, at: now, &output)
        far.take(&output, &machine, at: now)
    }

    /// The channels that the machine has open, and the opening of new ones.
    private struct FarSide {
        var ears: ChannelID?
        var voice: ChannelID?
        var detector: ChannelID?
        var model: ChannelID?
        var speech: [ChannelID] = []

        mutating func take(_ output: inout AssistantOutput, _ machine: inout SpeechPipelineMachine, at now: Duration) {
            // What opening a channel brings is taken too; a machine that opens for ever would be a finding.
            for _ in 0..<64 where !output.effects.isEmpty {
                let effects = output.effects
                let count = output.bytes.count
                output.removeAll()
                for effect in effects {
                    switch effect {
                    case .connect(let id, let target):
                        if target.url.contains("/speak") { self.voice = id } else { self.ears = id }
                        machine.received(.opened(id), at: now, &output)
                    case .request(let id, let target):
                        let isModel = target.url.hasSuffix("/completions") || target.url.hasSuffix("/messages")
                        if isModel { self.model = id } else { self.speech.append(id) }
                        machine.received(.responseHead(id, status: 200, headers: []), at: now, &output)
                    case .detect(let id, _): self.detector = id
                    case .close(let id, _):
                        if id == self.model { self.model = nil }
                        self.speech.removeAll { $0 == id }
                    case .sendText(_, let range), .sendBinary(_, let range), .audio(_, let range):
                        precondition(range.upperBound <= count, "an effect points beyond its bytes")
                    case .synthesise, .recognise, .transcribe, .event, .wake: break
                    }
                }
            }
            precondition(output.effects.isEmpty, "the machine opens channels for ever")
        }
    }

    private static let ears = [
        #"r{"type":"Results","is_final":true,"from_finalize":true,"channel":{"alternatives":[{"transcript":"Hi"}]}}"#,
        #"r{"type":"Results","is_final":false,"channel":{"alternatives":[{"transcript":"H"}]}}"#,
        #"r{"type":"SpeechStarted"}"#, #"r{"type":"UtteranceEnd"}"#, #"r{"type":"Error","code":"X"}"#,
    ]
    private static let voice = [#"s{"type":"Flushed"}"#, #"s{"type":"Cleared"}"#, "aAAAAAA"]

    static let chatSeeds = [
        (["c"] + Self.ears + ["q", ".", "."]).joined(separator: "\n"),
        ([
            #"wdata: {"choices":[{"index":0,"delta":{"content":"Hello there. "}}]}"#,
            #"wdata: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","function":{"name":"a","arguments":"{}"}}]}}]}"#,
            #"wdata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":1}}}"#,
            "wdata: [DONE]", "e",
        ] + Self.voice).joined(separator: "\n"),
    ]
    static let anthropicSeeds = [
        [
            #"wdata: {"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":2}}}"#,
            #"wdata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            #"wdata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi there. "}}"#,
            #"wdata: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"a"}}"#,
            #"wdata: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            #"wdata: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            #"wdata: {"type":"message_stop"}"#, "e", "aAAAAAAA", "c", "q",
        ].joined(separator: "\n")
    ]
}
