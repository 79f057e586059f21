import Assistants
import Foundation
import Telephony
import Testing

/// Everything that the machines of Gemini and ElevenLabs can write. With `PRONTO_SDK_FOLDER` set, the frames are also
/// written there as JSON lines, for `scripts/sdk-check` to hold against the official SDKs.
@Suite struct SDKFramesTests {
    private static let tool = ToolDefinition(
        name: "hours", description: "Opening hours",
        parameters: #"{"type":"object","properties":{"day":{"type":"string"}},"required":["day"]}"#)
    private static let history = [
        ConversationEntry(role: .caller, text: "Hi"), ConversationEntry(role: .agent, text: "Hello \"you\"\n"),
        ConversationEntry(role: .tool, text: "x"),
    ]

    private func write(_ frames: [JSONValue], to name: String) throws {
        guard let folder = ProcessInfo.processInfo.environment["PRONTO_SDK_FOLDER"] else { return }
        let lines = frames.map { JSONValue.object([.init("frame", $0)]).json + "\n" }.joined()
        try lines.write(toFile: "\(folder)/\(name).jsonl", atomically: true, encoding: .utf8)
    }

    @Test("Gemini Live: one top-level key each, and every kind of message")
    func gemini() throws {
        var frames: [JSONValue] = []
        for (kind, model) in [
            (TurnDetection.Kind.server, "gemini-3.8-live"), (.semantic, "gemini-2.5-flash-native-audio"),
            (.none, "gemini-3.1-flash-live-preview"),
        ] {
            let turns = TurnDetection(kind: kind, threshold: 0.8, eagerness: .high, mayInterrupt: kind != .semantic)
            let setup = MachineTrace.setup(turns: turns, tools: [Self.tool], history: Self.history, model: model)
            var trace = GeminiLiveTests.trace(setup: setup) { configuration in
                configuration.voice = "Kore"
                configuration.maximumOutputTokens = 2000
                configuration.compressionTrigger = 20_000
            }
            trace.start()
            trace.channel(.opened(.main))
            trace.server(#"{"setupComplete":{}}"#)
            trace.server(GeminiLiveTests.handle)
            trace.perform(.respond(.greeting))
            trace.server(GeminiLiveTests.audio([1, 0]))
            trace.server(GeminiLiveTests.complete)
            trace.perform(.inform(Redacted("The line is noisy.")))
            trace.perform(.digit(Redacted("4")))
            for _ in 0..<10 { trace.caller(MachineTrace.voice(.l16(.wideband))) }
            trace.perform(.commitCallerTurn)
            trace.server(#"{"toolCall":{"functionCalls":[{"id":"c1","name":"hours","args":{"day":"monday"}}]}}"#)
            trace.perform(.toolResult(id: "c1", output: Redacted(#"{"until":"18:00"}"#), respond: true))
            trace.server(GeminiLiveTests.complete)
            trace.perform(.respond(.say(Redacted("Please hold."))))
            trace.server(GeminiLiveTests.complete)
            trace.pass(.seconds(2))
            trace.server(#"{"goAway":{"timeLeft":"2s"}}"#)
            trace.pass(.seconds(3))
            trace.channel(.opened(ChannelID(1)))
            #expect(trace.sent.last?["setup"]?[["sessionResumption", "handle"]] == "h1")
            frames += trace.sent
        }
        #expect(frames.allSatisfy { $0.members?.count == 1 })
        let kinds = Set(frames.compactMap { $0.members?.first?.name })
        #expect(kinds == ["setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate"])
        try self.write(frames, to: "gemini")
    }

    @Test("ElevenLabs Agents: every kind of message")
    func elevenLabs() throws {
        let setup = MachineTrace.setup(greeting: "Hello.", tools: [Self.tool], history: Self.history)
        var trace = ElevenLabsAgentsTests.trace(setup: setup) { configuration in
            configuration.overrides = Set(ElevenLabsAgentsConfiguration.Override.allCases)
            configuration.voice = "v"
        }
        trace.start()
        trace.channel(.opened(.main))
        trace.server(ElevenLabsAgentsTests.metadata())
        trace.caller(MachineTrace.voice(.l16(.wideband)))
        trace.server(#"{"type":"ping","ping_event":{"event_id":7,"ping_ms":null}}"#)
        trace.perform(.inform(Redacted("The line is noisy.")))
        trace.perform(.digit(Redacted("#")))
        trace.perform(.respond(.reply))
        trace.server(
            #"{"type":"client_tool_call","client_tool_call":{"tool_name":"hours","tool_call_id":"t1","parameters":{}}}"#
        )
        trace.perform(.toolResult(id: "t1", output: Redacted(#"{"until":"18:00"}"#), respond: true))
        let kinds = Set(trace.sent.map { $0["type"]?.text ?? "audio" })
        #expect(
            kinds == [
                "audio", "conversation_initiation_client_data", "pong", "contextual_update", "user_message",
                "client_tool_result",
            ])
        try self.write(trace.sent, to: "elevenlabs")
    }
}
