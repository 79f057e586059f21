import Assistants
import Conversation
import Records
import Telephony
import Testing

@testable import PhoneServer

/// What a call is written down as.
@Suite struct CallReportTests {
    private static let sales = TransferDestination(name: "Sales", number: "200", context: "default")

    private func record(_ notes: [SessionNote], _ termination: CallTermination) throws -> FinishedCall {
        var plan = CallPlan(assistants: ["local"])
        plan.destinations = [Self.sales]
        let identity = CallIdentity(
            call: try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")),
            tenant: try #require(TenantID("11111111-2222-3333-4444-555555555555")),
            assistant: try #require(AssistantID("aaaaaaaa-0000-4000-8000-000000000001")), assistantName: "reception")
        var report = CallReport(identity: identity, plan: plan, prices: .builtIn)
        for note in notes { report.add(note) }
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
}
