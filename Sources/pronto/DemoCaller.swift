import Simulators
import Telephony

/// The caller of the demo: what is said when, and what is made of the answers.
struct DemoCaller: Sendable {
    let scenario: DemoScenario
    let phone: DemoPhone
    let screen: DemoScreen
    /// Sentence → its sound.
    let speech: [String: [Int16]]
    let isQuick: Bool
    /// What the agent says is understood from its transcript; false where that is an open model's.
    let knowsTheAgent: Bool

    /// A sentence is asked again this many times.
    private static let attempts = 3

    /// The whole call, from the greeting to the hand-over; returns early when the call ends.
    func converse() async {
        guard await self.listen(timeout: .seconds(10)) != .over else { return }
        guard await self.ask(self.scenario.asksHours) != .over, await self.listen() != .over else { return }
        guard await self.ask(self.scenario.asksParking) != .over, await self.listen() != .over else { return }
        guard await self.ask(self.scenario.asksAddress) != .over else { return }
        guard await self.interrupt(self.scenario.interrupts) != .over, await self.listen() != .over else { return }
        guard await self.ask(self.scenario.asksForSales) != .over else { return }
        // The hand-over ends the call; an assistant that does not hand over is heard out.
        guard await self.listen() != .over else { return }
        self.phone.hangUp()
    }

    /// Says it, confirms when asked back, and returns while the answer is heard.
    private func ask(_ sentence: String) async -> DemoPhone.Outcome {
        for _ in 0..<Self.attempts {
            let outcome = await self.say(sentence)
            guard outcome == .done, self.knowsTheAgent else { return outcome }
            if self.scenario.isNotUnderstood(self.screen.facts.agentWords) {
                guard await self.listen() != .over else { return .over }
                continue
            }
            return await self.confirmIfAsked()
        }
        return .done
    }

    private func confirmIfAsked() async -> DemoPhone.Outcome {
        guard self.scenario.isQuestionBack(self.screen.facts.agentWords) else { return .done }
        guard await self.listen() != .over else { return .over }
        return await self.say(self.scenario.confirms)
    }

    /// Speaks over the answer that is heard now.
    private func interrupt(_ sentence: String) async -> DemoPhone.Outcome {
        let samples = self.speech[sentence] ?? []
        let patience: Duration = self.isQuick ? .milliseconds(1500) : .seconds(5)
        self.screen.line(.caller, "(interrupts) says “\(sentence)”")
        let spoken = await self.phone.perform([.interrupt(afterHearing: patience, samples, timeout: .seconds(8))])
        guard spoken == .done else { return spoken }
        // The old answer's words are past; what comes now answers the interruption.
        self.screen.forgetAgentWords()
        guard await self.answerBegins() == .done, self.knowsTheAgent else { return .done }
        if self.scenario.isNotUnderstood(self.screen.facts.agentWords) {
            guard await self.listen() != .over else { return .over }
            return await self.ask(sentence)
        }
        return await self.confirmIfAsked()
    }

    private func say(_ sentence: String) async -> DemoPhone.Outcome {
        self.screen.forgetAgentWords()
        self.screen.line(.caller, "says “\(sentence)”")
        let spoken = await self.phone.perform([.speak(self.speech[sentence] ?? [])])
        return spoken == .done ? await self.answerBegins() : spoken
    }

    /// Waits until the agent has been heard for a moment: its words are known by then.
    private func answerBegins() async -> DemoPhone.Outcome {
        await self.phone.perform([.interrupt(afterHearing: .milliseconds(300), [], timeout: .seconds(10))])
    }

    /// Hears the agent out, and thinks a little.
    private func listen(timeout: Duration = .seconds(45)) async -> DemoPhone.Outcome {
        let pause: [PhoneStep] = self.isQuick ? [] : [.silence(.milliseconds(1200))]
        let quiet: Duration = self.isQuick ? .milliseconds(700) : .milliseconds(1000)
        return await self.phone.perform([.waitForAgent(quietFor: quiet, timeout: timeout)] + pause)
    }
}
