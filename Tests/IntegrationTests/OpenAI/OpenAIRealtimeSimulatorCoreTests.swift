import Assistants
import Simulators
import Telephony
import Testing

/// The simulated server by itself: what it refuses, and that garbage does not break it.
@Suite struct OpenAIRealtimeSimulatorCoreTests {
    /// One server, fed text by text; what it answered, as JSON.
    private struct Fed {
        var core: OpenAIRealtimeSimulatorCore
        private var output = OpenAIRealtimeSimulatorCore.Output()
        var now: Duration = .zero

        init(
            _ script: OpenAIRealtimeScript = OpenAIRealtimeScript(), dialect: OpenAIRealtimeConfiguration.Dialect = .ga
        ) {
            self.core = OpenAIRealtimeSimulatorCore(script: script, dialect: dialect)
            self.core.opened(at: .zero, &self.output)
            _ = self.take()
        }

        mutating func send(_ text: String) -> [JSONValue] {
            let bytes = Array(text.utf8)
            bytes.withUnsafeBytes { self.core.received($0, at: self.now, &self.output) }
            return self.take()
        }

        mutating func wake(at now: Duration) -> [JSONValue] {
            self.now = now
            self.core.wake(at: now, &self.output)
            return self.take()
        }

        private mutating func take() -> [JSONValue] {
            defer { self.output.removeAll() }
            return self.output.effects.compactMap { effect in
                guard case .sendText(let range) = effect else { return nil }
                return JSONValue(json: String(decoding: self.output.bytes[range], as: UTF8.self))
            }
        }
    }

    @Test(
        "What the real server refuses is refused, by code and parameter",
        arguments: [
            (
                #"{"type":"session.update","session":{"modalities":["audio"],"type":"realtime"}}"#, "unknown_parameter",
                "session.modalities"
            ),
            (
                #"{"type":"session.update","session":{"instructions":"x"}}"#, "missing_required_parameter",
                "session.type"
            ),
            (#"{"type":"session.update"}"#, "missing_required_parameter", "session"),
            (
                #"{"type":"session.update","session":{"type":"realtime","temperature":0.8}}"#, "unknown_parameter",
                "session.temperature"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","model":"other"}}"#, "invalid_value",
                "session.model"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","output_modalities":["audio","text"]}}"#,
                "invalid_value", "session.output_modalities"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcm","rate":8000}}}}}"#,
                "invalid_value", "session.audio.input.format.rate"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu","rate":8000}}}}}"#,
                "unknown_parameter", "session.audio.input.format.rate"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"speed":2}}}}"#,
                "invalid_value", "session.audio.output.speed"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","silence_duration_ms":1}}}}}"#,
                "invalid_value", "session.audio.input.turn_detection.silence_duration_ms"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","tools":[{"type":"function","function":{"name":"x"}}]}}"#,
                "unknown_parameter", "session.tools[0].function"
            ),
            (#"{"type":"input_audio_buffer.append"}"#, "missing_required_parameter", "audio"),
            (#"{"type":"input_audio_buffer.append","audio":"A"}"#, "invalid_value", "audio"),
            (#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#, "invalid_value", "audio"),
            (#"{"type":"input_audio_buffer.append","audio":"AAA=","rate":8000}"#, "unknown_parameter", "rate"),
            (#"{"type":"input_audio_buffer.commit"}"#, "input_audio_buffer_commit_empty", nil),
            (#"{"type":"response.cancel"}"#, "response_cancel_not_active", nil),
            (
                #"{"type":"response.create","response":{"modalities":["audio"]}}"#, "unknown_parameter",
                "response.modalities"
            ),
            (
                #"{"type":"conversation.item.truncate","item_id":"none","content_index":0,"audio_end_ms":1}"#,
                "item_not_found", "item_id"
            ),
            (
                #"{"type":"conversation.item.truncate","item_id":"none","content_index":0,"audio_end_ms":-1}"#,
                "invalid_value", "audio_end_ms"
            ),
            (
                #"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_audio","audio":"AA=="}]}}"#,
                "invalid_value", "item.content[0].type"
            ),
            (
                #"{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"none","output":"x"}}"#,
                "invalid_tool_call_id", "item.call_id"
            ),
            (#"{"type":"response.audio.begin"}"#, "invalid_value", "type"), ("{", "invalid_json", nil),
            ("[]", "invalid_json", nil),
        ] as [(String, String, String?)])
    func refusals(text: String, code: String, parameter: String?) {
        var fed = Fed()
        let answers = fed.send(text.replacing(#"{"type""#, with: #"{"event_id":"mine","type""#, maxReplacements: 1))
        #expect(answers.map { $0["type"]?.text } == ["error"])
        #expect(answers.first?[["error", "code"]]?.text == code)
        #expect(answers.first?[["error", "param"]]?.text == parameter)
        if code != "invalid_json" { #expect(answers.first?[["error", "event_id"]] == "mine") }
        #expect(fed.core.record.errors == [code])
    }

    @Test("A refused update leaves the defaults; an accepted one changes only what it has")
    func updates() {
        var fed = Fed()
        _ = fed.send(
            #"{"type":"session.update","session":{"type":"realtime","modalities":["text"],"instructions":"x"}}"#)
        let answer = fed.send(
            #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcma"},"turn_detection":null}}}}"#
        )
        let session = answer.first?["session"]
        #expect(session?["instructions"] == "You are a helpful assistant.")
        #expect(session?[["audio", "input", "format"]] == ["type": "audio/pcma"])
        #expect(session?[["audio", "input", "turn_detection"]] == .null)
        #expect(session?[["audio", "output", "format", "type"]] == "audio/pcm")
        #expect(session?["id"] == "sess_1")
    }

    @Test("One response at a time, and none is cut beyond its length")
    func oneResponse() throws {
        var script = OpenAIRealtimeScript()
        script.answers = [.init("Hi", sound: .tone(hertz: 400, .milliseconds(500)))]
        script.pace = 1
        var fed = Fed(script)
        let begun = fed.send(#"{"type":"response.create"}"#)
        let id = try #require(begun.first { $0["type"] == "response.output_item.added" }?[["item", "id"]]?.text)
        let again = fed.send(#"{"type":"response.create"}"#)
        #expect(again.first?[["error", "code"]] == "conversation_already_has_active_response")
        _ = fed.wake(at: .milliseconds(250))
        let cut = #"{"type":"conversation.item.truncate","content_index":0,"item_id":"\#(id)","audio_end_ms":"#
        #expect(fed.send(cut + "301}").first?[["error", "param"]] == "audio_end_ms")
        #expect(fed.send(cut + "300}").first?["type"] == "conversation.item.truncated")
        #expect(fed.send(#"{"type":"response.cancel","response_id":"other"}"#).first?["type"] == "error")
        let stopped = fed.send(#"{"type":"response.cancel"}"#)
        #expect(stopped.contains { $0["type"] == "response.output_audio.done" })
        let done = stopped.first { $0["type"] == "response.done" }
        #expect(done?[["response", "status_details", "reason"]] == "client_cancelled")
    }

    @Test("Ten thousand mutations of client messages trap nowhere")
    func mutations() {
        let messages = [
            #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu"},"turn_detection":{"type":"server_vad","prefix_padding_ms":300}},"output":{"voice":"marin","speed":1.1}},"tools":[{"type":"function","name":"x","parameters":{}}]}}"#,
            #"{"type":"input_audio_buffer.append","audio":"AAECAwQFBgcICQoLDA0ODw=="}"#,
            #"{"type":"conversation.item.create","item":{"id":"i1","type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}}"#,
            #"{"type":"conversation.item.truncate","item_id":"i1","content_index":0,"audio_end_ms":9223372036854775807}"#,
            #"{"type":"conversation.item.delete","item_id":"i1"}"#,
            #"{"type":"conversation.item.retrieve","item_id":"i1"}"#,
            #"{"type":"response.create","response":{"instructions":"a\n\nb","input":[]}}"#,
            #"{"type":"response.cancel"}"#,
            #"{"type":"input_audio_buffer.commit"}"#, #"{"type":"input_audio_buffer.clear"}"#,
        ]
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % max(1, bound)
        }
        var script = OpenAIRealtimeScript()
        script.answers = [.init("Hi", sound: .tone(hertz: 400, .milliseconds(100)))]
        var output = OpenAIRealtimeSimulatorCore.Output()
        var core = OpenAIRealtimeSimulatorCore(script: script)
        core.opened(at: .zero, &output)
        for round in 0..<10_000 {
            var bytes = Array(messages[round % messages.count].utf8)
            for _ in 0...random(3) where !bytes.isEmpty {
                let place = random(bytes.count)
                switch random(4) {
                case 0: bytes[place] = UInt8(random(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8(random(256)), at: place)
                default: bytes.swapAt(place, random(bytes.count))
                }
            }
            bytes.withUnsafeBytes { core.received($0, at: .milliseconds(round), &output) }
            output.removeAll()
        }
        #expect(core.record.errors.count > 1000)
    }
}
