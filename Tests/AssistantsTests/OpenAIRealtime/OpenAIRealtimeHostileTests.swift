import Assistants
import Telephony
import Testing

/// One event of every type in the union of SDK openai 3.52.0 and of the beta names, as a server would send them.
private let everyEvent: [String] = {
    let ids = #""event_id":"e","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0"#
    let item =
        #"{"id":"item_1","object":"realtime.item","type":"message","status":"completed","role":"assistant","content":[{"type":"output_audio","transcript":"Sì, \"certo\" \u00e8 \ud83d\ude00"}]}"#
    let call =
        #"{"id":"fc","type":"function_call","status":"completed","call_id":"c1","name":"transfer","arguments":"{\"to\":\"sales\"}"}"#
    let response =
        #"{"object":"realtime.response","id":"resp_1","status":"completed","status_details":null,"output":[\#(item),\#(call)],"usage":{"total_tokens":3,"input_token_details":{"text_tokens":1,"audio_tokens":-1,"cached_tokens":99999999999999999999},"output_token_details":{"text_tokens":1e3,"audio_tokens":1}}}"#
    let typed: [(String, String)] = [
        ("session.created", #""session":{"id":"s","object":"realtime.session","expires_at":1}"#),
        (
            "session.updated",
            #""session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":24000}},"output":{"format":{"type":"audio/pcm","rate":24000}}}}"#
        ),
        ("conversation.created", #""conversation":{"id":"conv","object":"realtime.conversation"}"#),
        ("conversation.item.created", #""item":\#(item),"previous_item_id":null"#),
        ("conversation.item.added", #""item":\#(item),"previous_item_id":null"#),
        ("conversation.item.done", #""item":\#(item)"#), ("conversation.item.retrieved", #""item":\#(item)"#),
        ("conversation.item.deleted", ids), ("conversation.item.truncated", ids + #","audio_end_ms":5"#),
        ("conversation.item.input_audio_transcription.delta", ids + #","delta":"Buon""#),
        ("conversation.item.input_audio_transcription.completed", ids + #","transcript":"Buongiorno""#),
        ("conversation.item.input_audio_transcription.segment", ids),
        ("conversation.item.input_audio_transcription.failed", ids + #","error":{"code":"x","message":"m"}"#),
        ("input_audio_buffer.speech_started", ids + #","audio_start_ms":1"#),
        ("input_audio_buffer.speech_stopped", ids + #","audio_end_ms":2"#),
        ("input_audio_buffer.committed", ids + #","previous_item_id":null"#), ("input_audio_buffer.cleared", ids),
        ("input_audio_buffer.timeout_triggered", ids),
        ("input_audio_buffer.dtmf_event_received", #""event":"1","received_at":1"#),
        ("output_audio_buffer.started", ids), ("output_audio_buffer.stopped", ids),
        ("output_audio_buffer.cleared", ids),
        ("response.created", #""response":\#(response)"#), ("response.done", #""response":\#(response)"#),
        ("response.output_item.added", ids + #","item":\#(call)"#),
        ("response.output_item.done", ids + #","item":\#(call)"#),
        ("response.content_part.added", ids), ("response.content_part.done", ids),
        ("response.output_audio.delta", ids + #","delta":"AAECAwQFBgc=""#),
        ("response.audio.delta", ids + #","delta":"AAEC\/w==""#),
        ("response.output_audio.done", ids), ("response.audio.done", ids),
        ("response.output_audio_transcript.delta", ids + #","delta":"Sì""#),
        ("response.output_audio_transcript.done", ids + #","transcript":"Sì""#),
        ("response.audio_transcript.delta", ids + #","delta":"Sì""#),
        ("response.audio_transcript.done", ids + #","transcript":"Sì""#),
        ("response.output_text.delta", ids + #","delta":"x""#), ("response.output_text.done", ids + #","text":"x""#),
        ("response.text.delta", ids + #","delta":"x""#), ("response.text.done", ids + #","text":"x""#),
        ("response.function_call_arguments.delta", ids + #","call_id":"c1","delta":"{""#),
        ("response.function_call_arguments.done", ids + #","call_id":"c2","name":"n","arguments":"{}""#),
        ("response.mcp_call_arguments.delta", ids), ("response.mcp_call_arguments.done", ids),
        ("response.mcp_call.in_progress", ids), ("response.mcp_call.completed", ids), ("response.mcp_call.failed", ids),
        ("mcp_list_tools.in_progress", ids), ("mcp_list_tools.completed", ids), ("mcp_list_tools.failed", ids),
        ("rate_limits.updated", #""rate_limits":[{"name":"tokens","limit":1,"remaining":0,"reset_seconds":0.5}]"#),
        ("error", #""error":{"type":"invalid_request_error","code":null,"message":"m","param":null,"event_id":null}"#),
        ("transcription_session.updated", #""session":{}"#),
    ]
    return typed.map { #"{"type":"\#($0.0)",\#($0.1)}"# }
}()

/// A small seeded generator (SplitMix64), so that a failing run repeats.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct OpenAIRealtimeHostileTests {
    @Test("Every event of the union is known and none of them is garbage", arguments: everyEvent)
    func everyKind(event: String) {
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(legFormat: .l16(.wideband)))
        trace.server(Wire.created())
        trace.server(event)
        #expect(trace.machine.counters == OpenAIRealtimeMachine.Counters())
        #expect(trace.closes.isEmpty)
    }

    @Test("In any order and before its time, an event breaks nothing", arguments: 0..<4)
    func anyOrder(seed: UInt64) {
        var random = Seeded(state: seed)
        var trace = RealtimeTrace()
        trace.start()
        for round in 0..<500 {
            if round == 20 { trace.channel(.opened(.main)) }
            trace.server(everyEvent.randomElement(using: &random) ?? "")
            if round % 7 == 0 { trace.perform(.respond(.reply)) }
            if round % 11 == 0 { trace.perform(.cancelResponse) }
            if round % 13 == 0 { trace.perform(.truncate(AgentItem(round % 5), heard: .milliseconds(round))) }
            if round % 50 == 0 { trace.wake(at: .milliseconds(round)) }
        }
        #expect(trace.sent.allSatisfy { $0["type"]?.text != nil })
    }

    @Test(
        "Ten thousand mutations of server events trap nowhere and send nothing but JSON", arguments: [1, 2] as [UInt64])
    func mutations(seed: UInt64) {
        var random = Seeded(state: seed)
        let signs = Array(#"{}[]",:\0u"#.utf8)
        var trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(legFormat: .l16(.wideband)))
        var survived = 0
        for round in 0..<5000 {
            var bytes = Array(everyEvent[round % everyEvent.count].utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<6, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case 3: bytes.removeLast(bytes.count - place)
                case 4: bytes[place] = signs.randomElement(using: &random) ?? 0
                default:
                    let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
                    bytes.insert(contentsOf: bytes[place..<end], at: place)
                }
            }
            trace.server(bytes: bytes)
            if trace.closes.isEmpty {
                survived += 1
            } else {
                trace = RealtimeTrace.ready(setup: RealtimeTrace.setup(legFormat: .l16(.wideband)))
            }
            if round % 5 == 0 { trace.perform(.respond(.reply)) }
            if round % 9 == 0 { trace.perform(.truncate(AgentItem(1), heard: .seconds(round))) }
            let isJSON = trace.takeSent().allSatisfy { $0["type"]?.text != nil }
            #expect(isJSON)
            trace.forget()
        }
        #expect(survived > 1000)
    }

    @Test(
        "Deep, wide and endless JSON is refused quietly",
        arguments: [
            String(repeating: "[", count: 10_000), String(repeating: #"{"a":"#, count: 10_000),
            #"{"type":"response.output_audio.delta","delta":""# + String(repeating: "A", count: 5_000_001) + #""}"#,
            #"{"type":"error","error":"# + String(repeating: "9", count: 100_000) + "}", #"{"type":null}"#, "[]", "",
            #"{"type":"response.output_audio.delta","item_id":"i","delta":"====" }"#,
        ])
    func hugeJSON(text: String) {
        var trace = RealtimeTrace.ready()
        trace.server(text)
        #expect(trace.machine.counters.garbledMessages == 1)
        #expect(trace.audio.isEmpty)
    }
}
