import Assistants
import Foundation
import Simulators
import Telephony
import Testing

/// Everything that the machine can write, in both dialects. With `PRONTO_SDK_FRAMES` set, the frames are also written to
/// that file as JSON lines, for `scripts/sdk-check` to hold against the types of the official SDK.
@Suite struct OpenAIRealtimeFramesTests {
    @Test("A session that uses everything writes every client event, and a strict server accepts them all")
    func everyFrame() throws {
        var lines = ""
        for dialect in [OpenAIRealtimeConfiguration.Dialect.ga, .beta] {
            let kinds = [TurnDetection(), TurnDetection(kind: .semantic, drivenByUs: true), TurnDetection(kind: .none)]
            for (turns, leg) in zip(kinds, [AudioFormat.pcmu, .pcma, .l16(.wideband)]) {
                let messages = self.session(dialect, turns, leg)
                let types = Set(messages.compactMap { JSONValue(json: $0)?["type"]?.text })
                #expect(types.isSuperset(of: ["session.update", "conversation.item.create", "response.create"]))
                for message in messages {
                    lines += #"{"dialect":"\#(dialect.rawValue)","frame":\#(message)}"# + "\n"
                }
            }
        }
        guard let path = ProcessInfo.processInfo.environment["PRONTO_SDK_FRAMES"] else { return }
        try lines.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func session(
        _ dialect: OpenAIRealtimeConfiguration.Dialect, _ turns: TurnDetection, _ leg: AudioFormat
    ) -> [String] {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init("One moment.", sound: .tone(hertz: 400, .milliseconds(300)), tools: [.init("hours")]),
            .init("Long.", sound: .tone(hertz: 400, .seconds(20))),
        ]
        let tool = ToolDefinition(
            name: "hours", description: "Opening hours",
            parameters: #"{"type":"object","properties":{"day":{"type":"string"}},"required":["day"]}"#)
        let history = [
            ConversationEntry(role: .caller, text: "Hi"), ConversationEntry(role: .agent, text: "Hello \"you\"\n"),
            ConversationEntry(role: .tool, text: "x"),
        ]
        let setup = VirtualCall.setup(legFormat: leg, turns: turns, tools: [tool], history: history)
        var call = VirtualCall(script: script, setup: setup, dialect: dialect) { configuration in
            configuration.maximumOutputTokens = 2000
            configuration.speed = 1.1
        }
        call.onEvent = { event in
            guard case .toolCalled(let tool) = event else { return [] }
            return [.toolResult(id: tool.id, output: Redacted(#"{"until":"18:00"}"#), respond: true)]
        }
        call.start()
        call.perform(.respond(.greeting))
        call.perform(.inform(Redacted("The line is noisy.")))
        call.perform(.digit(Redacted("#")))
        call.pass(.seconds(1))
        call.perform(.respond(.say(Redacted("Please hold."))))
        call.pass(.seconds(1))
        call.perform(.clearCallerAudio)
        call.pass(.milliseconds(400), speaking: true)
        if turns.kind == .none { call.perform(.commitCallerTurn) }
        call.pass(.milliseconds(400))
        if turns.drivenByUs || turns.kind == .none { call.perform(.respond(.reply)) }
        call.pass(.seconds(2))
        call.perform(.cancelResponse)
        let last = call.audio.keys.max() ?? AgentItem(0)
        call.perform(.truncate(last, heard: .milliseconds(100)))
        call.pass(.seconds(1))
        #expect(call.record.errors.isEmpty)
        #expect(call.record.cancels == 1)
        #expect(call.record.truncations.count == 1)
        #expect(call.record.toolOutputs.count == 1)
        #expect(call.failures.isEmpty)
        return call.clientMessages
    }
}

/// Scripts as a command line takes them.
@Suite struct OpenAIRealtimeScriptTests {
    @Test("A script is read whole")
    func whole() throws {
        let script = try OpenAIRealtimeScript(
            json: """
                {"answers": [{"text": "Hi", "caller": "Hello", "delay_ms": 20, "tone": {"hertz": 500, "ms": 100},
                 "tools": [{"name": "t"}]}], "greeting": {"text": "Yes?"}, "pace": 0, "key": "k", "accepts_beta": false,
                 "handshake_status": 503, "speech": {"level_db": -30, "onset_ms": 40, "hangover_ms": 100},
                 "transcript_delay_ms": 5, "mishaps": [{"at": "mid-response:2", "fault": "close:1011"},
                 {"at": "after:50", "fault": "error:insufficient_quota", "closing": true}]}
                """)
        #expect(
            script.answers == [
                .init(
                    "Hi", sound: .tone(hertz: 500, .milliseconds(100)), tools: [.init("t")], callerTranscript: "Hello",
                    delay: .milliseconds(20))
            ])
        #expect(script.pace == nil)
        #expect(script.speechOnset == .milliseconds(40))
        #expect(script.handshakeStatus == 503)
        #expect(script.mishaps.first == .init(.midResponse(2), .close(code: 1011, reason: "")))
        #expect(script.mishaps.count == 2)
    }

    @Test(
        "A script with a mistake is refused, saying where",
        arguments: [
            ("[]", "script"), (#"{"answer":[]}"#, "answer"), (#"{"pace":-1}"#, "pace"),
            (#"{"answers":[{"txt":"x"}]}"#, "answers.txt"),
            (#"{"mishaps":[{"at":"never","fault":"reset"}]}"#, "mishaps.at"),
            (#"{"mishaps":[{"at":"opened","fault":"boom"}]}"#, "mishaps.fault"),
            (#"{"mishaps":[{"at":"opened","fault":"close:99999"}]}"#, "mishaps.fault"),
            (#"{"speech":{"onset_ms":"x"}}"#, "onset_ms"),
            (#"{"greeting":{"tone":{"hertz":1,"ms":1}}}"#, "greeting.tone.hertz"),
        ])
    func refused(json: String, place: String) {
        let error = #expect(throws: OpenAIRealtimeScriptError.self) { try OpenAIRealtimeScript(json: json) }
        #expect(error?.place == place)
    }
}
