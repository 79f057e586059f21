import Assistants
import Conversation
import Records
import Telephony
import Testing

@testable import PhoneServer

/// What a call is written down as.
@Suite struct CallReportTests {
    private static let sales = TransferDestination(name: "Sales", number: "200", context: "default")

    /// A call of five seconds. The notes come a second apart, the first after one.
    private func record(
        _ notes: [SessionNote], _ termination: CallTermination, providers: [String] = []
    ) throws -> FinishedCall {
        var plan = CallPlan(assistants: ["local"])
        plan.destinations = [Self.sales]
        let identity = CallIdentity(
            call: try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")),
            tenant: try #require(TenantID("11111111-2222-3333-4444-555555555555")),
            assistant: try #require(AssistantID("aaaaaaaa-0000-4000-8000-000000000001")), assistantName: "reception")
        var report = CallReport(identity: identity, plan: plan, prices: .builtIn)
        for provider in providers { report.providerOpened(provider) }
        for (index, note) in notes.enumerated() { report.add(note, at: .seconds(index + 1)) }
        let session = CallSession(
            plan: plan, uplink: .l16(.narrowband), downlink: .l16(.narrowband),
            traits: PlayoutTraits(lead: .milliseconds(60), canFlush: true))
        return report.close(termination, session: session, duration: .seconds(5), recording: nil)
    }

    private static let started = SessionNote.transferStarted(name: "Sales")

    @Test(
        "A transfer counts when it was not refused, and the caller did not hang up while it rang",
        arguments: [
            ([started], CallTermination.transferred, true, .transfer),
            ([started], .assistantsExhausted, true, .transfer),
            ([started], .callerHungUp, false, .abandoned),
            ([started, .transferFailed(name: "Sales")], .callerHungUp, false, .hangup),
            ([started], .transferFailed, false, .failed),
            ([], .callerHungUp, false, .hangup),
        ] as [([SessionNote], CallTermination, Bool, ConversationRecord.FinalAction)])
    func transfers(
        notes: [SessionNote], termination: CallTermination, isTransferred: Bool, action: ConversationRecord.FinalAction
    ) throws {
        let record = try self.record(notes, termination)
        #expect((record.call.transferredTo?.name == "Sales") == isTransferred)
        #expect(record.conversation?.finalAction == action)
    }

    @Test(
        "A conversation was turn-based where its last back end was",
        arguments: [
            ([], ProcessingMode.realtime), (["openai"], .realtime), (["turn-based"], .turnBased),
            (["openai", "turn-based"], .turnBased), (["turn-based", "local"], .realtime),
        ] as [([String], ProcessingMode)])
    func mode(providers: [String], mode: ProcessingMode) throws {
        #expect(try self.record([], .callerHungUp, providers: providers).conversation?.mode == mode)
    }

    // MARK: Tools

    private static func call(_ name: String, id: String = "t", _ arguments: String = "{}") -> SessionNote {
        .tool(ToolCall(id: id, name: name, arguments: arguments))
    }
    private static func answer(_ text: String, id: String = "t", isTaken: Bool = true) -> SessionNote {
        .toolAnswered(id: id, result: Redacted(text), isTaken: isTaken)
    }
    private static let toSales = Self.call("transfer_call", #"{"destination":"Sales"}"#)

    @Test(
        "A transfer by tool is written down with what it came to, and with the time until that was known",
        arguments: [
            ([started], CallTermination.transferred, ToolUse.Outcome.succeeded, 4),
            ([started], .callerHungUp, .failed, 4),
            ([started, .transferFailed(name: "Sales")], .callerHungUp, .failed, 3),
            // The words before it were never over.
            ([], .callerHungUp, .failed, 4),
            ([started, .transferFailed(name: "Sales"), .transferStarted(name: "fallback")], .transferred, .failed, 3),
        ] as [([SessionNote], CallTermination, ToolUse.Outcome, Int)])
    func transferByTool(
        notes: [SessionNote], termination: CallTermination, outcome: ToolUse.Outcome, seconds: Int
    ) throws {
        let record = try self.record([Self.toSales, Self.answer("taken")] + notes, termination)
        let tool = try #require(record.tools.first)
        #expect(record.tools.count == 1 && tool.number == 1 && tool.name == "transfer_call")
        #expect(tool.arguments.value == #"{"destination":"Sales"}"#)
        #expect(tool.result?.value == "taken")
        #expect(tool.outcome == outcome)
        #expect(tool.startedAt == record.call.startedAt.addingTimeInterval(1))
        #expect(tool.duration == .seconds(seconds))
    }

    @Test("A destination that is not there is refused at once; the end of a call is its success")
    func refusedAndEnded() throws {
        let notes = [
            Self.call("transfer_call", id: "a"), Self.answer("unknown destination", id: "a", isTaken: false),
            Self.call("end_call", id: "b", #"{"reason":"done"}"#), Self.answer("ending", id: "b"),
        ]
        let tools = try self.record(notes, .farewell).tools
        #expect(tools.map(\.number) == [1, 2])
        #expect(tools.map(\.outcome) == [.refused, .succeeded])
        #expect(tools.map(\.duration) == [.seconds(1), .seconds(2)])
        #expect(tools.map { $0.result?.value } == ["unknown destination", "ending"])
        #expect(tools.last?.arguments.value == #"{"reason":"done"}"#)
    }

    @Test("Of two decisions in one reply the later counts")
    func superseded() throws {
        let notes = [
            Self.call("end_call", id: "a"), Self.answer("ending", id: "a"), Self.call("transfer_call", id: "b"),
            Self.answer("transferring", id: "b"), Self.started,
        ]
        #expect(try self.record(notes, .transferred).tools.map(\.outcome) == [.failed, .succeeded])
    }
}
