import Assistants
import Telephony
import Testing

@testable import Conversation

@Suite struct CallSessionTests {
    @Test("A call begins with the assistant and its greeting; early caller audio is not lost")
    func opening() {
        let call = SessionDriver()
        call.start()
        #expect(call.trace == ["open 0 as 1 after 0"])
        call.caller(true, for: .milliseconds(200))
        #expect(call.framesToAssistant == 0)
        call.ready()
        #expect(call.trace.last == "greet")
        #expect(call.framesToAssistant == 10)
    }

    @Test("Caller first: nothing is said until the caller has spoken")
    func callerFirst() {
        let call = SessionDriver(SessionDriver.plan { $0.opening = .caller })
        call.startTalking()
        #expect(call.trace == ["open 0 as 1 after 0"])
    }

    @Test("A turn: heard, answered, measured from the moment the voice ended")
    func turn() {
        let call = SessionDriver()
        call.startTalking()
        call.caller(true, for: .milliseconds(400))
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .milliseconds(500))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        #expect(call.trace == ["reply"])
        call.assistant(.callerTranscript(CallerItem(1), Redacted("what time is it"), isFinal: true))
        call.advance(by: .milliseconds(100))
        call.say(item: 2, .milliseconds(600), text: "It is noon.")
        #expect(call.session.latencies == [.milliseconds(600)])
        call.advance(by: .seconds(1))
        let turns = call.session.turns
        #expect(turns.map(\.speaker) == [.agent, .caller, .agent])
        #expect(turns[2].heardText.value == "It is noon.")
        #expect(turns[2].heard == .milliseconds(600))
    }

    @Test("Barge-in after the provider has finished sending: silence first, then the truth about what was heard")
    func bargeIn() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(4), text: "one two three four five six seven eight")
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(100))
        call.assistant(.callerSpeechStarted)
        #expect(call.trace == ["flush"])
        let frames = call.framesToPhone
        call.caller(true, for: .milliseconds(300))
        #expect(call.framesToPhone == frames, "nothing sounds after the pause")
        #expect(call.trace == ["flush", "truncate 2 at 1100"])
        #expect(call.session.bargeIns == 1)
        let cut = call.session.turns.last
        #expect(cut?.wasInterrupted == true)
        #expect(cut?.heardText.value == "one two")
    }

    @Test("Barge-in while the provider generates also cancels, and late audio of that item is dropped")
    func bargeInWhileGenerating() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(2))
        call.advance(by: .milliseconds(500))
        call.caller(true, for: .milliseconds(40))
        call.assistant(.callerSpeechStarted)
        call.caller(true, for: .milliseconds(400))
        #expect(call.trace == ["flush", "cancel", "truncate 2 at 540"])
        let frames = call.framesToPhone
        call.audio(item: 2, .seconds(1))
        call.advance(by: .milliseconds(200))
        #expect(call.framesToPhone == frames)
    }

    @Test("A cough pauses and the answer goes on from what was heard; the provider is told nothing")
    func falseInterruption() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(3))
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(80))
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .milliseconds(600))
        #expect(call.trace == ["flush"])
        #expect(call.session.falseInterruptions == 1)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(7)))
        call.assistant(.callerTranscript(CallerItem(7), Redacted("mhm"), isFinal: true))
        call.advance(by: .seconds(3))
        #expect(call.trace == ["flush"])
        #expect(call.session.turns.last { $0.speaker == .agent }?.heard == .seconds(3))
    }

    @Test("What was taken for a cough but was words is answered after all")
    func doubtfulWords() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(3))
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(80))
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .milliseconds(500))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(7)))
        call.assistant(.callerTranscript(CallerItem(7), Redacted("stop please"), isFinal: true))
        #expect(call.trace.first == "flush")
        #expect(call.trace.last == "reply")
        #expect(call.trace.contains { $0.hasPrefix("truncate 2 at ") })
    }

    @Test("A caller who goes on after a resume, in the same segment of the detector, is heard")
    func resumedTooEarly() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(5))
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(80))
        call.assistant(.callerSpeechStarted)
        call.caller(false, for: .milliseconds(500))
        #expect(call.session.falseInterruptions == 1)
        call.caller(true, for: .milliseconds(400))
        #expect(call.session.bargeIns == 1)
        #expect(call.trace.last?.hasPrefix("truncate 2 at ") == true)
        call.caller(false, for: .milliseconds(500))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        #expect(call.trace.last == "reply")
    }

    @Test("Words that come after the resume cut the agent before they are final; late words of the turn before do not")
    func wordsAfterResume() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.say(item: 2, .seconds(5))
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(80))
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerTranscript(CallerItem(1), Redacted("what about the red one"), isFinal: true))
        #expect(call.session.bargeIns == 0)
        call.caller(false, for: .milliseconds(500))
        call.assistant(.callerTranscript(CallerItem(2), Redacted("no wait"), isFinal: false))
        #expect(call.session.bargeIns == 1)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(2)))
        #expect(call.trace.last == "reply")
    }

    @Test(
        "A doubtful turn whose words never come is answered in silence if it was long enough for a word",
        arguments: [
            (voiced: 240, words: nil as String?, isAnswered: true), (voiced: 240, words: "", isAnswered: true),
            (voiced: 100, words: nil, isAnswered: false), (voiced: 100, words: "", isAnswered: false),
        ])
    func doubtWithoutWords(voiced: Int, words: String?, isAnswered: Bool) {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(2))
        call.advance(by: .milliseconds(1600))
        call.caller(true, for: .milliseconds(20))
        call.assistant(.callerSpeechStarted)
        call.caller(true, for: .milliseconds(voiced - 20))
        call.caller(false, for: .milliseconds(600))
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        if let words { call.assistant(.callerTranscript(CallerItem(1), Redacted(words), isFinal: true)) }
        call.advance(by: .milliseconds(1900))
        #expect(call.trace == ["flush"])
        call.advance(by: .milliseconds(4200))
        #expect(call.trace == (isAnswered ? ["flush", "reply", "say filler"] : ["flush"]))
    }

    @Test("A turn that is closed while the pause is undecided is answered once, and not into the resumed answer")
    func turnClosedInPause() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(5))
        call.advance(by: .seconds(1))
        call.caller(true, for: .milliseconds(100))
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        #expect(call.trace == ["flush"])
        call.assistant(.callerTranscript(CallerItem(1), Redacted("stop please"), isFinal: true))
        #expect(call.trace.last == "reply")
        #expect(call.trace.count { $0 == "reply" } == 1)
    }

    @Test("A barge-in on a back end that cannot be paused is cut at once, and counted")
    func unpausable() {
        let call = SessionDriver()
        call.capabilities.canBePaused = false
        call.startTalking()
        call.say(item: 2, .seconds(3))
        call.advance(by: .seconds(1))
        call.assistant(.callerSpeechStarted)
        #expect(call.trace == ["flush", "truncate 2 at 1000"])
        #expect(call.session.bargeIns == 1)
    }

    @Test("Nothing audible: a filler, a retry, the next assistant, then the human, each heard")
    func ladder() {
        let call = SessionDriver(SessionDriver.plan { $0.deadlines.ready = .seconds(2) })
        call.startTalking()
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.advance(by: .seconds(4))
        #expect(call.trace == ["reply", "say filler"])
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(4))
        #expect(call.trace.suffix(1) == ["open 0 as 2 after 0"])
        call.advance(by: .seconds(2))
        #expect(call.trace.suffix(2) == ["say change-over", "open 1 as 3 after 0"])
        call.houseSpeaks(2...2)
        call.ready()
        #expect(call.trace.last == "reply", "the caller still waits for an answer")
        call.assistant(.failed(AssistantFailure("quota", .failOver)))
        #expect(call.trace.suffix(2) == ["close", "say apology"])
        call.houseSpeaks(3...3)
        call.advance(by: .seconds(2))
        #expect(call.trace.last == "transfer to reception")
        call.phone(.transferred)
        #expect(call.finished.map(\.reason) == ["assistants-exhausted"])
    }

    @Test("A transfer waits until the agent's words were heard, and tells the assistant when it failed")
    func transfer() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(1))
        call.assistant(.toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"sales"}"#)))
        call.assistant(.agentAudioFinished(AgentItem(2)))
        call.assistant(.responseFinished(.completed))
        call.advance(by: .milliseconds(900))
        #expect(call.trace == ["result t"])
        call.advance(by: .milliseconds(200))
        #expect(call.trace == ["result t", "transfer to Sales"])
        #expect(call.notes.contains(.transferStarted(name: "Sales")))
        #expect(!call.notes.contains(.transferFailed(name: "Sales")))
        call.phone(.transferFailed(reason: "busy"))
        #expect(call.notes.contains(.transferFailed(name: "Sales")))
        #expect(call.trace.suffix(2) == ["say transfer-failed", "inform"])
        #expect(call.finished.isEmpty)
    }

    @Test("A transfer that the model did not announce is announced by the house")
    func silentTransfer() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"Sales"}"#)))
        call.assistant(.responseFinished(.completed))
        #expect(call.trace == ["result t", "say transferring"])
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(1))
        #expect(call.trace.last == "transfer to Sales")
    }

    @Test(
        "An operator hands the caller over: the agent is cut short, the caller hears where to, and it comes back if need be"
    )
    func operatorTransfer() {
        let call = SessionDriver()
        let desk = TransferDestination(name: "Desk", number: "300", context: "default")
        var isTaken = false
        call.startTalking()
        call.say(item: 2, .seconds(2))
        call.advance(by: .milliseconds(300))
        call.trace.removeAll()
        call.perform { isTaken = $0.transferRequested(to: desk, at: $1, &$2) }
        #expect(isTaken && call.trace.first == "flush" && call.trace.contains("say transferring"))
        // Once: it is leaving now.
        call.perform { isTaken = $0.transferRequested(to: desk, at: $1, &$2) }
        #expect(!isTaken)
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(1))
        #expect(call.trace.last == "transfer to Desk")
        call.phone(.transferFailed(reason: "refused"))
        #expect(call.trace.suffix(2) == ["say transfer-failed", "inform"])
        call.phone(.hungUp(.normalClearing))
        call.perform { isTaken = $0.transferRequested(to: desk, at: $1, &$2) }
        #expect(!isTaken && call.finished == [.callerHungUp])
    }

    @Test("Where the assistant detects no turns the level does: commit and reply after the silence that ends a turn")
    func ownTurns() {
        let call = SessionDriver()
        call.capabilities.detectsTurns = false
        call.startTalking()
        call.caller(true, for: .milliseconds(20))
        call.caller(false, for: .seconds(1))
        #expect(call.trace.isEmpty, "a click is no turn")
        call.caller(true, for: .milliseconds(500))
        call.caller(false, for: .milliseconds(300))
        call.caller(true, for: .milliseconds(300))
        call.caller(false, for: .milliseconds(560))
        #expect(call.trace.isEmpty, "a short pause ends no turn")
        call.advance(by: .milliseconds(60))
        #expect(call.trace == ["commit", "reply"], "also when no more frames come")
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        #expect(call.trace == ["commit", "reply"])
        call.advance(by: .seconds(4))
        #expect(call.trace == ["commit", "reply", "say filler"])
    }

    @Test("Our own detector interrupts in two steps, and a cough is committed but not answered")
    func ownBargeIn() {
        let call = SessionDriver()
        call.capabilities.detectsTurns = false
        call.startTalking()
        call.say(item: 2, .seconds(4))
        call.advance(by: .milliseconds(500))
        call.caller(true, for: .milliseconds(100))
        #expect(call.trace == ["flush"])
        call.caller(false, for: .milliseconds(800))
        #expect(call.trace == ["flush", "commit"])
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.assistant(.callerTranscript(CallerItem(1), Redacted("mhm"), isFinal: true))
        call.caller(true, for: .milliseconds(400))
        #expect(call.session.bargeIns == 1)
        call.caller(false, for: .milliseconds(700))
        #expect(call.trace.suffix(2) == ["commit", "reply"])
    }

    @Test("Less than a frame of an item that stalls wakes nobody, and does not hide the stall")
    func stallWithinAFrame() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .milliseconds(110))
        call.advance(by: .seconds(3))
        #expect(call.session.nextWake.map { $0 > call.now + .milliseconds(500) } == true)
        call.advance(by: .seconds(3))
        #expect(call.trace == ["open 0 as 2 after 0"])
    }

    @Test(
        "Digits cut the agent and are answered together: after the last, or at the hash key",
        arguments: [
            (keys: "12", isHash: false), (keys: "12#", isHash: true),
        ])
    func digits(keys: String, isHash: Bool) {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(3))
        call.advance(by: .seconds(1))
        for key in keys {
            call.phone(.digit(Redacted(key)))
            call.advance(by: key == "#" ? .zero : .seconds(1))
        }
        let pressed = ["flush", "truncate 2 at 1000"] + keys.map { _ in "digit" }
        #expect(call.trace == pressed + (isHash ? ["reply"] : []))
        call.advance(by: .milliseconds(600))
        #expect(call.trace == pressed + ["reply"])
        call.advance(by: .seconds(3))
        #expect(call.trace.count { $0 == "reply" } == 1)
    }

    @Test(
        "A back end that answers digits by itself is not asked to; digits that a failed session got are answered by the next"
    )
    func digitsElsewhere() {
        let own = SessionDriver()
        own.capabilities.answersDigits = true
        own.startTalking()
        own.phone(.digit(Redacted("1")))
        own.advance(by: .seconds(3))
        #expect(own.trace == ["digit"])
        let failing = SessionDriver()
        failing.startTalking()
        failing.phone(.digit(Redacted("1")))
        failing.assistant(.failed(AssistantFailure("connection-lost", .retry)))
        failing.ready()
        #expect(failing.trace == ["digit", "open 0 as 2 after 0", "reply"])
    }

    @Test("An assistant that fails after a tool decided the end changes nothing about it")
    func failureAfterDecision() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(1))
        call.assistant(.toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"Sales"}"#)))
        call.assistant(.failed(AssistantFailure("connection-lost", .retry)))
        #expect(call.trace == ["result t", "close"])
        call.advance(by: .milliseconds(1100))
        #expect(call.trace == ["result t", "close", "transfer to Sales"])
    }

    @Test("An unknown destination is refused to the model, and the call goes on")
    func unknownDestination() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"Mars"}"#)))
        #expect(call.trace == ["result t and speak"])
        call.assistant(.toolCalled(ToolCall(id: "u", name: "transfer_call", arguments: "garbage")))
        #expect(call.trace.last == "result u and speak")
    }

    @Test("The farewell is heard before the hang-up")
    func farewell() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.audio(item: 2, .seconds(2))
        call.assistant(.toolCalled(ToolCall(id: "t", name: "end_call", arguments: "{}")))
        call.assistant(.agentAudioFinished(AgentItem(2)))
        call.assistant(.responseFinished(.completed))
        call.advance(by: .milliseconds(1950))
        #expect(call.trace == ["result t"])
        call.advance(by: .milliseconds(100))
        #expect(call.trace == ["result t", "hang up NORMAL_CLEARING", "close", "finish farewell"])
        #expect(call.session.turns.last?.heard == .seconds(2))
    }

    @Test("A slow tool is answered for, and its late result is ignored")
    func slowTool() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        call.assistant(.toolCalled(ToolCall(id: "t", name: "lookup_customer", arguments: "{}")))
        call.assistant(.responseFinished(.completed))
        call.advance(by: .seconds(15))
        #expect(call.trace == ["run lookup_customer", "result t and speak"])
        call.perform { $0.toolFinished(id: "t", result: Redacted("late"), at: $1, &$2) }
        #expect(call.trace.count == 2)
    }

    @Test("A silent caller is asked twice, then told goodbye; on hold the clock stands still")
    func noInput() {
        let call = SessionDriver()
        call.startTalking()
        call.phone(.held)
        call.advance(by: .seconds(300))
        #expect(call.trace.isEmpty)
        call.phone(.resumed)
        call.advance(by: .seconds(11))
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(11))
        call.houseSpeaks(2...2)
        call.advance(by: .seconds(11))
        #expect(call.trace == ["say still-there", "say still-there", "close", "say goodbye-silent"])
        call.houseSpeaks(3...3)
        call.advance(by: .seconds(1))
        #expect(call.finished == [.callerSilent])
    }

    @Test(
        "Configured prompts and the farewell are said in order, the last prompt again, and then the call ends",
        arguments: [
            false, true,
        ])
    func ownPrompts(isVerbatim: Bool) {
        let call = SessionDriver(
            SessionDriver.plan {
                $0.noInput = .init(patience: .seconds(8), prompts: 3)
                $0.noInputPrompts = ["Hello?", "Anybody?"]
                $0.farewell = "Bye."
            })
        call.capabilities.speaksVerbatim = isVerbatim
        call.startTalking()
        for number in 1...4 {
            call.advance(by: .milliseconds(8600))
            if isVerbatim { call.say(item: 1 + number, .milliseconds(500)) } else { call.houseSpeaks(number...number) }
        }
        call.advance(by: .seconds(1))
        let say = isVerbatim ? "say" : "say custom"
        let prompts = ["\(say) \"Hello?\"", "\(say) \"Anybody?\"", "\(say) \"Anybody?\""]
        let farewell = (isVerbatim ? [] : ["close"]) + ["\(say) \"Bye.\""]
        #expect(call.trace == prompts + farewell + ["hang up NORMAL_CLEARING", "close", "finish caller-silent"])
    }

    @Test("A farewell that the assistant does not say is said by the house", arguments: [false, true])
    func farewellByHouse(fails: Bool) {
        let call = SessionDriver(
            SessionDriver.plan {
                $0.maximumDuration = .seconds(5)
                $0.farewell = "Bye."
            })
        call.capabilities.speaksVerbatim = true
        call.startTalking()
        call.advance(by: .milliseconds(4500))
        #expect(call.trace == ["flush", "say \"Bye.\""])
        if fails {
            call.assistant(.failed(AssistantFailure("connection-lost", .retry)))
        } else {
            call.assistant(.responseStarted)
            call.assistant(.responseFinished(.completed))
        }
        #expect(call.trace.contains("close"))
        #expect(call.trace.last == "say custom \"Bye.\"")
        call.houseSpeaks(1...1)
        call.advance(by: .seconds(1))
        #expect(call.finished == [.maximumDuration])
        #expect(call.trace.count { $0.hasPrefix("open") } == 0)
    }

    @Test("A caller who speaks into the farewell for silence stays")
    func notSilentAfterAll() {
        let call = SessionDriver(
            SessionDriver.plan {
                $0.noInput = .init(patience: .seconds(8), prompts: 0)
                $0.farewell = "Bye."
            })
        call.capabilities.speaksVerbatim = true
        call.startTalking()
        call.advance(by: .seconds(9))
        #expect(call.trace == ["say \"Bye.\""])
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerSpeechStopped)
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.say(item: 2, .seconds(1))
        call.advance(by: .seconds(5))
        #expect(call.finished.isEmpty)
        #expect(call.trace == ["say \"Bye.\"", "cancel", "reply"], "a farewell that has not begun is not said either")
    }

    @Test("The longest call ends with a sentence, even when the house voice has none")
    func maximumDuration() {
        let call = SessionDriver(SessionDriver.plan { $0.maximumDuration = .seconds(60) })
        call.startTalking()
        call.advance(by: .seconds(61))
        #expect(call.trace.suffix(2) == ["close", "say maximum-duration"])
        call.advance(by: .seconds(21))
        #expect(call.finished == [.maximumDuration])
    }

    @Test("A media connection that comes back goes on; one that does not ends the call")
    func mediaLost() {
        let call = SessionDriver()
        call.startTalking()
        call.say(item: 2, .seconds(2))
        call.advance(by: .milliseconds(500))
        call.phone(.mediaLost(reason: "closed"))
        let frames = call.framesToPhone
        call.advance(by: .seconds(3))
        #expect(call.framesToPhone == frames)
        call.perform { $0.mediaReturned(at: $1, &$2) }
        call.advance(by: .seconds(2))
        #expect(call.session.turns.last?.heard == .seconds(2))
        call.trace.removeAll()
        call.phone(.mediaLost(reason: "closed"))
        call.advance(by: .seconds(9))
        #expect(call.trace == ["close", "transfer to reception"], "not a silent channel")
        call.phone(.transferFailed(reason: "no-control"))
        #expect(call.trace.suffix(3) == ["hang up MEDIA_TIMEOUT", "close", "finish phone-leg-lost"])
        #expect(call.finished == [.phoneLost])
    }

    @Test(
        "Media that is lost for good without a fallback ends with a hang-up; with one, by its outcome",
        arguments: [
            false, true,
        ])
    func mediaGone(hasFallback: Bool) {
        let call = SessionDriver(SessionDriver.plan { if !hasFallback { $0.fallback = nil } })
        call.startTalking()
        call.phone(.mediaLost(reason: "closed"))
        call.advance(by: .seconds(9))
        if hasFallback { call.phone(.transferred) }
        #expect(call.trace.contains("hang up MEDIA_TIMEOUT") == !hasFallback)
        #expect(call.trace.contains("transfer to reception") == hasFallback)
        #expect(call.finished == [.phoneLost])
    }

    @Test("While the media is lost no filler is said and no assistant is given up; both begin anew when it is back")
    func deadlinesStandStill() {
        let call = SessionDriver(SessionDriver.plan { $0.deadlines.mediaReturn = .seconds(60) })
        call.startTalking()
        call.assistant(.callerSpeechStarted)
        call.assistant(.callerSpeechStopped)
        call.phone(.mediaLost(reason: "closed"))
        call.assistant(.callerTurnCommitted(CallerItem(1)))
        call.advance(by: .seconds(30))
        #expect(call.trace == ["reply"])
        call.perform { $0.mediaReturned(at: $1, &$2) }
        call.advance(by: .milliseconds(3900))
        #expect(call.trace == ["reply"])
        call.advance(by: .milliseconds(200))
        #expect(call.trace == ["reply", "say filler"])
    }

    @Test("Two minutes of unheard audio are enough: the response is stopped, the account stays true")
    func tooMuchAudio() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.responseStarted)
        for _ in 0..<130 { call.audio(item: 2, .seconds(1)) }
        #expect(call.trace.contains("cancel"))
        #expect(call.trace.contains("truncate 2 at 0"))
    }

    @Test("A leg that plays files is told that all was sent only when the item is finished, not after each delta")
    func wholeItems() {
        let call = SessionDriver()
        call.startTalking()
        #expect(call.hasSentEverything)
        call.assistant(.responseStarted)
        for _ in 0..<3 {
            call.audio(item: 2, .milliseconds(100))
            call.advance(by: .milliseconds(100))
            #expect(!call.hasSentEverything)
        }
        call.assistant(.agentAudioFinished(AgentItem(2)))
        call.advance(by: .milliseconds(200))
        #expect(call.hasSentEverything)
    }

    @Test("A session near its end moves at a quiet moment, with the conversation so far")
    func recycling() {
        let call = SessionDriver()
        call.startTalking()
        call.assistant(.agentTranscript(AgentItem(1), Redacted("Good morning."), isFinal: true))
        call.assistant(.goingAway(in: .seconds(200)))
        #expect(call.trace == ["open 0 as 2 after 1"])
        call.ready()
        #expect(call.trace.last == "open 0 as 2 after 1", "no second greeting")
    }

    enum State: CaseIterable {
        case fresh, opening, greeting, listening, answering, paused, leaving, transferring, lost
    }

    @Test(
        "A hang-up in any state finishes once, closes the assistant, and nothing is asked afterwards",
        arguments: State.allCases)
    func hangUp(in state: State) {
        let call = SessionDriver()
        switch state {
        case .fresh: break
        case .opening: call.start()
        case .greeting:
            call.start()
            call.ready()
            call.assistant(.responseStarted)
            call.audio(item: 1, .seconds(2))
        case .listening: call.startTalking()
        case .answering, .paused, .leaving, .transferring, .lost:
            call.startTalking()
            call.say(item: 2, .seconds(2))
            call.advance(by: .milliseconds(300))
        }
        if state == .paused {
            call.caller(true, for: .milliseconds(40))
            call.assistant(.callerSpeechStarted)
        }
        if state == .leaving || state == .transferring {
            call.assistant(
                .toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"sales"}"#)))
        }
        if state == .transferring { call.advance(by: .seconds(3)) }
        if state == .lost { call.phone(.mediaLost(reason: "reset")) }
        call.phone(.hungUp(.normalClearing))
        #expect(call.finished == [.callerHungUp])
        #expect(call.trace.suffix(2) == ["close", "finish caller-hung-up"])
        #expect(call.session.nextWake == nil)
        let count = call.trace.count
        call.caller(true, for: .milliseconds(100))
        call.assistant(.callerSpeechStarted)
        call.audio(item: 9, .seconds(1))
        call.phone(.hungUp(.normalClearing))
        call.perform { $0.wake(at: $1, &$2) }
        call.perform { $0.endRequested(.draining, at: $1, &$2) }
        call.perform { $0.abandoned(.draining, at: $1, &$2) }
        #expect(call.trace.count == count)
    }

    @Test("An abandoned call ends at once and in silence, whatever it waited for")
    func abandoned() {
        let leaving = SessionDriver()
        leaving.startTalking()
        leaving.perform { $0.endRequested(.draining, at: $1, &$2) }
        let ringing = SessionDriver()
        ringing.startTalking()
        ringing.assistant(
            .toolCalled(ToolCall(id: "t", name: "transfer_call", arguments: #"{"destination":"sales"}"#)))
        ringing.advance(by: .seconds(3))
        for call in [SessionDriver(), leaving, ringing] {
            let count = call.trace.count
            call.perform { $0.abandoned(.draining, at: $1, &$2) }
            #expect(call.trace[count...] == ["close", "finish draining"])
            #expect(call.finished == [.draining])
            #expect(call.session.nextWake == nil)
        }
    }
}
