import Telephony

/// What can be due in a machine: one time each, at most, and one wake of the shell for the earliest.
struct MachineTimers<Timer: CaseIterable & RawRepresentable<Int> & Sendable>: Sendable {
    private var deadlines = DeadlineTable(count: Timer.allCases.count)
    private var announced: Duration?

    init() {}

    subscript(timer: Timer) -> Duration? {
        get { self.deadlines[timer.rawValue] }
        set { self.deadlines[timer.rawValue] = newValue }
    }

    /// Takes one timer that is due, in the order of the cases; nil when none is (left).
    mutating func takeDue(at now: Duration) -> Timer? {
        guard let earliest = self.deadlines.earliest, earliest <= now else { return nil }
        for timer in Timer.allCases {
            guard let due = self.deadlines[timer.rawValue], due <= now else { continue }
            self.deadlines[timer.rawValue] = nil
            return timer
        }
        return nil
    }

    /// The shell's timer is spent: what is still to come has to be announced again.
    mutating func spent() { self.announced = nil }

    mutating func clear() {
        self.deadlines.removeAll()
        self.announced = nil
    }

    /// Asks the shell for the earliest deadline when that has changed.
    mutating func announce(_ output: inout AssistantOutput) {
        let earliest = self.deadlines.earliest
        guard earliest != self.announced else { return }
        self.announced = earliest
        output.effects.append(.wake(at: earliest))
    }
}
