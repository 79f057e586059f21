/// A deadline each for a fixed number of timers, and the earliest of all at hand.
///
/// A call is asked for its next deadline at every frame, and one of its timers is set ten times a second: so the earliest
/// is kept, and looked for only when it goes away.
package struct DeadlineTable: Sendable {
    private var times: [Duration?]
    /// Nil: nothing is due.
    package private(set) var earliest: Duration?

    /// A table of `count` timers, none of them set.
    package init(count: Int) { self.times = Array(repeating: nil, count: count) }

    /// Nil: not set.
    package subscript(timer: Int) -> Duration? {
        get { self.times[timer] }
        set {
            let former = self.times[timer]
            guard newValue != former else { return }
            self.times[timer] = newValue
            if let newValue, newValue <= self.earliest ?? newValue {
                self.earliest = newValue
            } else if former == self.earliest {
                self.findEarliest()
            }
        }
    }

    package mutating func removeAll() {
        for timer in self.times.indices { self.times[timer] = nil }
        self.earliest = nil
    }

    private mutating func findEarliest() {
        var earliest: Duration?
        for time in self.times {
            guard let time else { continue }
            earliest = earliest.map { min($0, time) } ?? time
        }
        self.earliest = earliest
    }
}
