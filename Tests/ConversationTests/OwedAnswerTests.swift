import Assistants
import Telephony
import Testing

@testable import Conversation

/// The deadline of an answer: it runs while the caller waits for one, and only then.
@Suite struct OwedAnswerTests {
    /// A caller's turn that the assistant's server answers by itself.
    private func turn(_ call: SessionDriver, _ item: Int) {
        call.caller(true, for: .milliseconds(300))
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .milliseconds(300))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(item)))
    }

    @Test(
        "Whoever speaks again is not spoken into by a filler, and costs no session, in whichever mode",
        arguments: [BargeIn.Mode.final, .twoStep(confirm: .milliseconds(300))], [true, false])
    func speaksAgain(mode: BargeIn.Mode, isPausable: Bool) {
        let call = SessionDriver(SessionDriver.plan { $0.bargeIn = mode })
        call.capabilities.canBePaused = isPausable
        call.startTalking()
        self.turn(call, 1)
        // As the pipeline tells it: the answer is taken back before the caller is heard.
        call.assistant(.responseStarted)
        call.caller(false, for: .seconds(2))
        call.assistant(.responseFinished(.cancelled))
        call.caller(true, for: .milliseconds(60))
        call.assistant(.callerSpeechStarted)
        call.caller(true, for: .seconds(12))
        #expect(!call.trace.contains("say filler"))
        #expect(!call.trace.contains { $0.hasPrefix("open") })
        call.caller(false, for: .milliseconds(500))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(2)))
        // From here on the caller waits, and is told so.
        call.caller(false, for: .milliseconds(4200))
        #expect(call.trace.last == "say filler")
    }

    @Test("A detector that takes a noise for a voice for ever does not keep the caller waiting for ever")
    func stuckDetector() {
        let call = SessionDriver(SessionDriver.plan { $0.bargeIn = .final })
        call.capabilities.canBePaused = false
        call.startTalking()
        self.turn(call, 1)
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .seconds(9))
        #expect(call.trace.contains("say filler"))
    }

    @Test("A reply that was asked for and has not begun is taken back when the caller goes on")
    func goesOnBeforeTheReply() {
        let call = SessionDriver()
        call.startTalking()
        self.turn(call, 1)
        #expect(call.trace == ["reply"])
        call.caller(true, for: .milliseconds(100))
        call.assistant(.callerSpeechStarted)
        #expect(call.trace == ["reply", "cancel"])
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(2)))
        #expect(call.trace == ["reply", "cancel", "reply"])
    }

    @Test("An operator's transfer is not held up by a reply that was asked for")
    func transferBeforeTheReply() {
        let call = SessionDriver()
        call.startTalking()
        self.turn(call, 1)
        let sales = call.session.plan.destinations[0]
        call.perform { #expect($0.transferRequested(to: sales, at: $1, &$2)) }
        #expect(call.trace == ["reply", "flush", "cancel", "say transferring"])
    }

    @Test("After a destination that there is not, an assistant that says nothing more is noticed")
    func unknownDestination() {
        let call = SessionDriver()
        call.startTalking()
        self.turn(call, 1)
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"Mars"}"#)))
        call.assistant(.responseFinished(.completed))
        #expect(
            call.trace == ["reply", "result t and speak"], "no filler at once: the answer to the result comes next")
        call.advance(by: .seconds(4))
        #expect(call.trace.last == "say filler")
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(4))
        #expect(call.trace.last?.hasPrefix("open 0 as 2") == true)
    }

    @Test("The silent response that calls a tool is no silent answer: no filler for a tool that answers at once")
    func quickTool() {
        let call = SessionDriver()
        call.startTalking()
        self.turn(call, 1)
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "t", name: "lookup_customer", arguments: "{}")))
        call.perform { $0.toolFinished(id: "t", result: Redacted("found"), at: $1, &$2) }
        call.assistant(.responseFinished(.completed))
        call.advance(by: .seconds(3))
        #expect(call.trace == ["reply", "run lookup_customer", "result t and speak"])
        // The answer itself is silent: now nothing more is to come.
        call.assistant(.responseStarted)
        call.assistant(.responseFinished(.completed))
        call.advance(by: .milliseconds(20))
        #expect(call.trace.last == "say filler")
    }

    @Test("A tool whose call was taken back is not answered for, and its silence is noticed like any other")
    func toolsCancelled() {
        let call = SessionDriver(SessionDriver.plan { $0.noInput.patience = .zero })
        call.startTalking()
        self.turn(call, 1)
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "t", name: "lookup_customer", arguments: "{}")))
        call.assistant(.toolsCancelled(["t"]))
        call.say(item: 2, .seconds(1))
        call.advance(by: .seconds(30))
        #expect(call.trace == ["reply", "run lookup_customer"], "the deadline of the tool went with it")
        // Without an answer the caller is not left waiting.
        self.turn(call, 2)
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "u", name: "lookup_customer", arguments: "{}")))
        call.assistant(.toolsCancelled(["u"]))
        call.advance(by: .milliseconds(4100))
        #expect(call.trace.last == "say filler")
    }
}
