/// What can be due in a machine: one time each, at most, and one wake of the shell for the earliest.
struct DeadlineTable<Timer: CaseIterable & RawRepresentable<Int> & Sendable>: Sendable {
    private var times: [Duration?] = Array(repeating: nil, count: Timer.allCases.count)
    private var announced: Duration?

    init() {}

    subscript(timer: Timer) -> Duration? {
        get { self.times[timer.rawValue] }
        set { self.times[timer.rawValue] = newValue }
    }

    /// Takes one timer that is due, in the order of the cases; nil when none is (left).
    mutating func takeDue(at now: Duration) -> Timer? {
        for timer in Timer.allCases {
            guard let due = self.times[timer.rawValue], due <= now else { continue }
            self.times[timer.rawValue] = nil
            return timer
        }
        return nil
    }

    /// The shell's timer is spent: what is still to come has to be announced again.
    mutating func spent() { self.announced = nil }

    mutating func clear() {
        for index in self.times.indices { self.times[index] = nil }
        self.announced = nil
    }

    /// Asks the shell for the earliest deadline when that has changed.
    mutating func announce(_ output: inout AssistantOutput) {
        var earliest: Duration?
        for time in self.times {
            guard let time else { continue }
            earliest = earliest.map { min($0, time) } ?? time
        }
        guard earliest != self.announced else { return }
        self.announced = earliest
        output.effects.append(.wake(at: earliest))
    }
}
