import Telephony

/// Builds the script of an ordinary caller: hear the greeting, then speak and listen in turn.
package struct PhoneConversation: Sendable {
    /// What the caller says, turn by turn, at the rate of the uplink.
    package var turns: [[Int16]]
    /// Every turn but the first is spoken over the agent, after this much of its answer.
    package var interruptAfter: Duration?
    /// Keys to press when all has been said once.
    package var digits: [Redacted<Character>] = []
    /// Goes on, turn after turn, for this long; nil: once through, then hangs up.
    package var length: Duration?

    /// How long the agent must be quiet for the caller to believe that it is done: longer than a pause between
    /// sentences.
    package var quiet: Duration = .milliseconds(900)
    /// How long the caller waits for a greeting.
    package var patienceForGreeting: Duration = .seconds(8)
    /// How long the caller waits for an answer, its length included.
    package var patience: Duration = .seconds(30)

    /// Two keys within this time may be taken for one.
    private static let betweenDigits: Duration = .milliseconds(250)
    /// Rounds of a long call.
    private static let roundsLimit = 4000

    package init(turns: [[Int16]] = []) { self.turns = turns }

    package var script: [PhoneStep] {
        var script: [PhoneStep] = [.waitForAgent(quietFor: self.quiet, timeout: self.patienceForGreeting)]
        let round: [PhoneStep] = self.round
        script += round
        for digit in self.digits { script += [.digit(digit), .silence(PhoneConversation.betweenDigits)] }
        if !self.digits.isEmpty {
            script.append(.waitForAgent(quietFor: self.quiet, timeout: self.patienceForGreeting))
        }
        guard let length = self.length else { return script + [.hangUp] }
        // The configuration's `maximumDuration` cuts it; a round takes a second at the least.
        if !round.isEmpty {
            for _ in 0..<min(PhoneConversation.roundsLimit, max(0, length.milliseconds / 1000)) { script += round }
        }
        return script + [.silence(length), .hangUp]
    }

    private var round: [PhoneStep] {
        var turns: [[Int16]] = self.turns
        // Something has to be interrupted: a lone turn is said, and said again over the answer.
        if self.interruptAfter != nil, let only = turns.first, turns.count == 1 { turns.append(only) }
        var steps: [PhoneStep] = []
        for (index, turn) in turns.enumerated() {
            if index > 0, let interruptAfter = self.interruptAfter {
                steps.append(.interrupt(afterHearing: interruptAfter, turn, timeout: self.patience))
            } else {
                steps.append(.speak(turn))
            }
            let isInterrupted: Bool = self.interruptAfter != nil && index + 1 < turns.count
            if !isInterrupted { steps.append(.waitForAgent(quietFor: self.quiet, timeout: self.patience)) }
        }
        return steps
    }
}
