import Telephony
import Testing

@testable import Conversation

/// Speech drawn as text, one character a 20 ms frame. Heard: `S` voice, `.` silence. Detector: `<` start, `>` stop.
/// Decided: `P` pause, `C` confirm, `R` resume.
@Suite struct BargeInTests {
    @Test(
        "The caller's first sound pauses; what follows confirms or resumes",
        arguments: [
            (
                name: "a voice that goes on is confirmed after 300 ms",
                heard: "....SSSSSSSSSSSSSSSSSSSSSSSS",
                detected: ".....<......................",
                decided: ".....P............C........."
            ),
            (
                name: "a cough is resumed as soon as it is over",
                heard: "....SSSS........................",
                detected: ".....<..........................",
                decided: ".....P.............R............"
            ),
            (
                name: "the detector may say stop before the gate does",
                heard: "....SSSS.......................",
                detected: ".....<...............>..........",
                decided: ".....P.............R............"
            ),
            (
                name: "a voice below the gate counts when the detector stays sure",
                heard: String(repeating: ".", count: 80),
                detected: "....<" + String(repeating: ".", count: 75),
                decided: "....P" + String(repeating: ".", count: 59) + "C" + String(repeating: ".", count: 15)
            ),
            (
                name: "a voice that goes on after a resume, in the same segment of the detector, pauses again",
                heard: "....SSSS..................SSSSSSSSSSSSSSSSSSSSSS",
                detected: ".....<..........................................",
                decided: ".....P.............R........P...........C......."
            ),
            (
                name: "silence under a detector that takes it back resumes",
                heard: String(repeating: ".", count: 30),
                detected: "....<.....>...................",
                decided: "....P.....R..................."
            ),
        ])
    func timeline(name: String, heard: String, detected: String, decided: String) {
        var voice = CallerVoice()
        var bargeIn = BargeIn(mode: .twoStep(confirm: .milliseconds(300)))
        let detector = Array(detected)
        let actual = heard.enumerated().map { index, frame -> Character in
            let now: Duration = .milliseconds(20) * (index + 1)
            voice.frame(levelDBFS: frame == "S" ? -20 : -70, length: .milliseconds(20), at: now)
            var decision: BargeIn.Decision?
            switch index < detector.count ? detector[index] : "." {
            case "<": decision = bargeIn.speechStarted(agentSounds: true, voice: voice, at: now)
            case ">": decision = bargeIn.speechStopped(voice: voice, at: now)
            default: decision = bargeIn.review(agentSounds: true, voice: voice, at: now)
            }
            return switch decision {
            case .pause: "P"
            case .confirm: "C"
            case .resume: "R"
            case nil: "."
            }
        }
        #expect(String(actual) == String(decided.prefix(actual.count)), "\(name)")
    }

    @Test("Modes: off never, final at once")
    func modes() {
        var off = BargeIn(mode: .off)
        do {
            let outcome = off.speechStarted(agentSounds: true, voice: CallerVoice(), at: .zero)
            #expect(outcome == nil)
        }
        var final = BargeIn(mode: .final)
        do {
            let outcome = final.speechStarted(agentSounds: true, voice: CallerVoice(), at: .zero)
            #expect(outcome == .confirm)
        }
        do {
            let outcome = final.speechStarted(agentSounds: false, voice: CallerVoice(), at: .zero)
            #expect(outcome == nil)
        }
    }

    @Test("Words confirm an open pause at once")
    func words() {
        var bargeIn = BargeIn(mode: .twoStep(confirm: .milliseconds(300)))
        do {
            let outcome = bargeIn.meant()
            #expect(outcome == nil)
        }
        _ = bargeIn.speechStarted(agentSounds: true, voice: CallerVoice(), at: .zero)
        do {
            let outcome = bargeIn.meant()
            #expect(outcome == .confirm)
        }
        #expect(!bargeIn.isPaused)
    }

    @Test(
        "Backchannels are known in each language, sentences are not",
        arguments: [
            ("en", "Uh-huh.", true), ("en", "yeah, ok", true), ("en", "no wait", false), ("en", "", true),
            ("it", "Sì, certo.", true), ("it", "no aspetti", false), ("pt-BR", "aham, tá", true),
            ("pt-BR", "espera um pouco", false), ("xx", "okay", true),
        ])
    func backchannel(language: String, text: String, matches: Bool) {
        #expect(Backchannel.matches(text, language: language) == matches)
    }
}

@Suite struct CallerVoiceTests {
    @Test("Line noise is not a voice, even after it grew; a voice above it is")
    func adaptiveFloor() {
        var voice = CallerVoice()
        var now: Duration = .zero
        func hear(_ level: Double, frames: Int) {
            for _ in 0..<frames {
                now += .milliseconds(20)
                voice.frame(levelDBFS: level, length: .milliseconds(20), at: now)
            }
        }
        hear(-62, frames: 100)
        #expect(!voice.isSpeaking)
        hear(-40, frames: 3000)
        hear(-39, frames: 10)
        #expect(!voice.isSpeaking, "a car's engine became the floor")
        hear(-20, frames: 10)
        #expect(voice.isSpeaking)
        #expect(voice.voiced >= .milliseconds(200))
        hear(-62, frames: 20)
        #expect(!voice.isSpeaking)
    }
}

@Suite struct NoInputClockTests {
    @Test("Two prompts, then the end; a caller who speaks begins anew")
    func prompts() {
        var clock = NoInputClock(.init(patience: .seconds(8), prompts: 2))
        clock.quiet(since: .zero)
        do {
            let outcome = clock.wake(at: .seconds(7))
            #expect(outcome == nil)
        }
        do {
            let outcome = clock.wake(at: .seconds(8))
            #expect(outcome == .prompt)
        }
        do {
            let outcome = clock.wake(at: .seconds(20))
            #expect(outcome == nil, "the clock waits for silence after its own prompt")
        }
        clock.quiet(since: .seconds(20))
        do {
            let outcome = clock.wake(at: .seconds(28))
            #expect(outcome == .prompt)
        }
        clock.busy(callerSpoke: true)
        clock.quiet(since: .seconds(40))
        do {
            let outcome = clock.wake(at: .seconds(48))
            #expect(outcome == .prompt)
        }
        clock.quiet(since: .seconds(50))
        do {
            let outcome = clock.wake(at: .seconds(58))
            #expect(outcome == .prompt)
        }
        clock.quiet(since: .seconds(60))
        do {
            let outcome = clock.wake(at: .seconds(68))
            #expect(outcome == .giveUp)
        }
    }
}
