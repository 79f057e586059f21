import Assistants
import PhoneServer
import Telephony
import Testing

/// A back end that ends its first reply with the end of the call, and tells in the same breath what that cost: as Gemini
/// does, whose message has `turnComplete` before `usageMetadata`.
private struct ClosingMachine: AssistantMachine {
    let capabilities = AssistantCapabilities(
        input: [.l16(.narrowband)], output: [.l16(.narrowband)], detectsTurns: true, needsHeardReport: false,
        canBePaused: false, usesTools: true, speaksVerbatim: false, maximumSession: nil)
    static let usage: AssistantUsage = {
        // Of those that have a price.
        var usage = AssistantUsage(service: "openai", model: "gpt-realtime-2.1")
        usage.inputTextTokens = 11
        usage.outputAudioTokens = 22
        return usage
    }()

    mutating func start(at now: Duration, _ output: inout AssistantOutput) {
        output.event(.ready(input: .l16(.narrowband), output: .l16(.narrowband)))
    }

    mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput) {
        guard case .respond = command else { return }
        output.event(.responseStarted)
        output.event(.toolCalled(ToolCall(id: "t", name: "end_call", arguments: "{}")))
        output.event(.responseFinished(.completed))
        output.event(.usage(Self.usage))
        output.event(.usage(Self.usage))
    }

    mutating func callerAudio(_ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput) {}
    mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput) {}
    mutating func wake(at now: Duration, _ output: inout AssistantOutput) {}
}

private struct ClosingMaking: AssistantMaking {
    func make(
        provider: String, identity: CallIdentity, legFormat: AudioFormat, history: [ConversationEntry]
    ) throws -> any AssistantMachine { ClosingMachine() }
}

@Suite(.timeLimit(.minutes(1))) struct LastUsageTests {
    @Test("What the last reply used is accounted for, though the call ended before that was told")
    func lastUsage() async throws {
        let gateway = try await TestGateway(backEnds: (["gemini"], { _, _ in ClosingMaking() }))
        let call = try await gateway.makeChannel()
        let phone = try await TestPhone.dial(
            port: gateway.port, path: "/stream/\(TestGateway.tenant)/\(call)", on: gateway.group.loops[0])
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.call.termination.reason == "farewell")
        #expect(finished.call.usage.inputTextTokens == 22)
        #expect(finished.call.usage.outputAudioTokens == 44)
        #expect(finished.call.cost?.micros ?? 0 > 0)
        #expect(finished.tools.map(\.outcome) == [.succeeded])
        phone.hangUp()
        try await gateway.stop()
    }
}
