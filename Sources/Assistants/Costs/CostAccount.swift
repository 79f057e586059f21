import Telephony

/// Adds up what one call costs, part by part, as its usage is told.
///
/// Nothing is guessed: a part whose price is unknown makes the whole unknown, and what is known of it stays known. A
/// service that was used and never said how much is such a part too.
package struct CostAccount: Sendable {
    private let prices: PriceTable
    private var nano: Int64 = 0
    private var isComplete = true
    /// Back ends that were ready, and whether they have told any usage.
    private var told: [String: Bool] = [:]
    /// By the time at which it was told, for the turns.
    private var parts: [(at: Duration, nano: Int64?)] = []
    /// A call of hours has fewer replies than this; more are added to the last.
    private static let partLimit = 4000

    package init(_ prices: PriceTable) { self.prices = prices }

    package var currency: String { self.prices.currency }
    package var priceDate: String { self.prices.date }

    /// Sessions with this back end are paid for; it has to say how much.
    package mutating func opened(_ provider: String) { self.told[provider] = self.told[provider] ?? false }

    /// - Parameter now: since the call began.
    /// - Returns: what it costs in nano, nil when that is unknown.
    @discardableResult
    package mutating func add(_ usage: AssistantUsage, of provider: String, at now: Duration) -> Int64? {
        self.told[provider] = true
        let cost = self.prices.cost(of: usage)
        self.nano = Self.sum(self.nano, cost ?? 0)
        if cost == nil { self.isComplete = false }
        if self.parts.count < Self.partLimit {
            self.parts.append((now, cost))
        } else {
            let last = self.parts[Self.partLimit - 1]
            self.parts[Self.partLimit - 1].nano = cost.flatMap { cost in last.nano.map { Self.sum($0, cost) } }
        }
        return cost
    }

    /// Millionths of the currency that are known to be owed.
    package var knownMicros: Int { Self.micros(self.nano) }
    /// All of the call's cost; nil: a part of it is unknown.
    package var micros: Int? {
        self.isComplete && self.told.values.allSatisfy { $0 } ? Self.micros(self.nano) : nil
    }

    /// The cost of each of the agent's turns, by when they began, in their order. A usage belongs to the last turn that
    /// had begun; nil: a part of a turn's cost is unknown.
    package func micros(ofTurns began: [Duration]) -> [Int?] {
        var nano = [Int64?](repeating: 0, count: began.count)
        guard !began.isEmpty else { return [] }
        for part in self.parts {
            let turn = began.lastIndex { $0 <= part.at } ?? 0
            nano[turn] = nano[turn].flatMap { sum in part.nano.map { Self.sum(sum, $0) } }
        }
        return nano.map { $0.map(Self.micros) }
    }

    /// A server's numbers are its own: what they add up to stops at the most that there can be.
    private static func sum(_ a: Int64, _ b: Int64) -> Int64 {
        let (sum, isOver) = a.addingReportingOverflow(b)
        return isOver ? .max : sum
    }

    private static func micros(_ nano: Int64) -> Int { Int((nano / 500 + 1) / 2) }
}
