import Assistants
import Telephony
import Testing

@testable import Conversation

/// A caller who was on the way out comes back, or an assistant is replaced by the next: nobody is left with a dead one, and
/// nobody is woken for nothing.
@Suite struct WayBackTests {
    /// Talks, and hands the caller over to Sales; the phone has been asked.
    private func transferring(_ plan: CallPlan = SessionDriver.plan()) -> SessionDriver {
        let call = SessionDriver(plan)
        call.startTalking()
        call.say(item: 2, .seconds(1), text: "I am putting you through.")
        call.assistant(.toolCalled(Self.toSales))
        call.advance(by: .milliseconds(1200))
        #expect(call.trace.last == "transfer to Sales")
        return call
    }

    private static let toSales = ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"Sales"}"#)
    private static let lost = AssistantFailure("connection-lost", .retry)

    @Test("An assistant that breaks while the destination rings is opened anew for the caller who comes back")
    func brokenWhileRinging() {
        let call = self.transferring()
        call.assistant(.failed(Self.lost))
        #expect(call.trace.last == "close", "nothing can be asked of it any more")
        #expect(call.notes.contains(.assistantFailed(index: 0, slug: "connection-lost")))
        call.phone(.transferFailed(reason: "unanswered"))
        #expect(call.trace.suffix(2) == ["say transfer-failed", "open 0 as 2 after 1"])
        call.ready()
        #expect(call.trace.last == "inform", "the new one knows what became of the transfer")
        call.caller(true, for: .milliseconds(200))
        #expect(call.framesToAssistant >= 10)
    }

    @Test(
        "One that breaks before its last words are heard changes nothing about the transfer, and is opened anew after it"
    )
    func brokenWhileLeaving() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(1))
        call.assistant(.toolCalled(Self.toSales))
        call.assistant(.agentAudioFinished(AgentItem(2)))
        call.assistant(.responseFinished(.completed))
        call.assistant(.failed(AssistantFailure("quota", .failOver)))
        #expect(call.trace == ["result t", "close"])
        call.advance(by: .milliseconds(1100))
        #expect(call.trace.last == "transfer to Sales", "the words that there were are heard out")
        call.phone(.transferFailed(reason: "busy"))
        #expect(call.trace.last?.hasPrefix("open 1 as 2") == true, "a verdict of the ladder is kept")
    }

    @Test("The longest time of a call holds for a caller who comes back after it, and leaves them a sentence")
    func limitAfterReturn() {
        let call = self.transferring(
            SessionDriver.plan {
                $0.maximumDuration = .seconds(10)
                $0.noInput = .init(patience: .zero)
            })
        call.advance(by: .seconds(12))
        #expect(call.trace.last == "transfer to Sales", "nobody is cut off while it rings")
        call.phone(.transferFailed(reason: "unanswered"))
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(7))
        #expect(call.finished.isEmpty && !call.trace.contains("say maximum-duration"))
        call.advance(by: .seconds(4))
        #expect(call.trace.last == "say maximum-duration")
        call.houseSpeaks(2...2)
        call.advance(by: .seconds(2))
        #expect(call.finished == [.maximumDuration])
    }

    @Test("The longest time of a call is not moved by a caller who comes back before it")
    func limitBeforeReturn() {
        let call = self.transferring(
            SessionDriver.plan {
                $0.maximumDuration = .seconds(30)
                $0.noInput = .init(patience: .zero)
            })
        call.advance(by: .seconds(5))
        call.phone(.transferFailed(reason: "unanswered"))
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(30) - call.now - .milliseconds(100))
        #expect(!call.trace.contains("say maximum-duration"))
        call.advance(by: .milliseconds(200))
        #expect(call.trace.contains("say maximum-duration"))
    }

    @Test("A session whose time is over while it rings is not what the caller comes back to", arguments: [true, false])
    func oldSession(isToldBefore: Bool) {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(1))
        if isToldBefore { call.assistant(.goingAway(in: .seconds(200))) }
        call.assistant(.toolCalled(Self.toSales))
        call.assistant(.agentAudioFinished(AgentItem(2)))
        call.assistant(.responseFinished(.completed))
        call.advance(by: .milliseconds(1200))
        #expect(call.trace.last == "transfer to Sales")
        if !isToldBefore { call.assistant(.goingAway(in: .seconds(12))) }
        call.advance(by: .seconds(6))
        #expect(call.trace.last == "transfer to Sales", "no session is opened for nobody")
        call.phone(.transferFailed(reason: "unanswered"))
        #expect(call.trace.suffix(2) == ["say transfer-failed", "open 0 as 2 after 0"])
        call.ready()
        #expect(call.trace.last == "inform", "the new one knows what became of the transfer")
    }

    @Test("Where no assistant is left the caller who comes back goes to the human")
    func nobodyLeft() {
        let call = self.transferring(SessionDriver.plan { $0.assistants = ["only"] })
        call.assistant(.failed(AssistantFailure("quota", .failOver)))
        call.phone(.transferFailed(reason: "unanswered"))
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(1))
        #expect(call.trace.last == "transfer to reception")
    }

    @Test("A caller who is handed over before the assistant was ready is not left without one")
    func handedOverWhileOpening() {
        let call = SessionDriver()
        call.start()
        let sales = call.session.plan.destinations[0]
        call.perform { #expect($0.transferRequested(to: sales, at: $1, &$2)) }
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(1))
        call.ready()
        call.phone(.transferFailed(reason: "unanswered"))
        #expect(call.trace.last == "open 0 as 2 after 0")
        call.ready()
        #expect(call.trace.suffix(2) == ["inform", "greet"])
    }

    @Test("A tool that ends while the destination rings is no reason to wait for it for ever")
    func toolWhileRinging() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.toolCalled(ToolCall(id: "slow", name: "lookup_customer", arguments: "{}")))
        call.assistant(.toolCalled(Self.toSales))
        #expect(call.trace.last == "transfer to Sales")
        call.perform { $0.toolFinished(id: "slow", result: Redacted("found"), at: $1, &$2) }
        #expect(call.trace.last == "result slow", "told, and no reply asked for")
        call.phone(.transferFailed(reason: "unanswered"))
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(12))
        #expect(call.trace.last == "say still-there", "the silence is the caller's again")
    }

    @Test("The clock of a silent caller wakes nobody while the call is on its way", arguments: [true, false])
    func noSpin(isTransferred: Bool) {
        let call = SessionDriver(SessionDriver.plan { $0.deadlines.ready = .seconds(30) })
        call.startTalking()
        call.advance(by: .seconds(5))
        if isTransferred {
            let sales = call.session.plan.destinations[0]
            call.perform { #expect($0.transferRequested(to: sales, at: $1, &$2)) }
        } else {
            call.assistant(.failed(Self.lost))
            #expect(call.trace.last?.hasPrefix("open 0 as 2") == true)
        }
        for _ in 0..<20 {
            call.now += .milliseconds(500)
            call.perform { $0.wake(at: $1, &$2) }
            guard let wake = call.session.nextWake else { continue }
            #expect(wake > call.now)
        }
    }

    @Test("The next assistant knows what the caller has heard, and is about to hear, of the answer that broke off")
    func historyOfABrokenAnswer() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.assistant(.callerTranscript(CallerItem(1), Redacted("when do you close"), isFinal: true))
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(2))
        call.assistant(.agentTranscript(AgentItem(2), Redacted("We close at"), isFinal: false))
        call.advance(by: .seconds(1))
        call.assistant(.failed(Self.lost))
        #expect(call.histories.last?.map(\.text.value) == ["when do you close", "We close at"])
        #expect(call.histories.last?.map(\.role) == [.caller, .agent])
        // What was cut is not told: nobody heard the rest of it, and nobody will.
        let cut = SessionDriver()
        cut.startTalking()
        cut.say(item: 2, .seconds(4), text: "one two three four five six seven eight")
        cut.advance(by: .seconds(1))
        cut.caller(true, for: .milliseconds(100))
        cut.assistant(.callerSpeechStarted)
        cut.caller(true, for: .milliseconds(300))
        cut.assistant(.failed(Self.lost))
        #expect(cut.histories.last?.map(\.text.value) == ["one two"])
    }
}
