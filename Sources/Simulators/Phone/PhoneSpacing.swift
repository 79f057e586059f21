import Telephony

/// How evenly frames come: deviations of the time between two from 20 ms, as a histogram.
package struct PhoneSpacing: Sendable, Equatable {
    private static let period: Duration = .milliseconds(20)
    /// More is a pause, not a frame that is late.
    private static let longest: Duration = .milliseconds(100)
    /// Of 0.1 ms each, up to 80 ms.
    private static let buckets = 801

    package private(set) var count = 0
    private var histogram: [Int] = []
    private var last: Duration?

    package init() {}

    package mutating func arrived(at now: Duration) {
        defer { self.last = now }
        guard let last = self.last, now - last < Self.longest else { return }
        let deviation = now - last - Self.period
        let bucket = Int(max(deviation, .zero - deviation).nanoseconds / 100_000)
        if self.histogram.isEmpty { self.histogram = Array(repeating: 0, count: Self.buckets) }
        self.histogram[min(bucket, Self.buckets - 1)] += 1
        self.count += 1
    }

    package mutating func add(_ other: PhoneSpacing) {
        guard other.count > 0 else { return }
        if self.histogram.isEmpty { self.histogram = Array(repeating: 0, count: Self.buckets) }
        for index in other.histogram.indices { self.histogram[index] += other.histogram[index] }
        self.count += other.count
    }

    /// In microseconds, the upper edge of the bucket, by nearest rank; 0 without values.
    package func percentile(_ share: Double) -> Int {
        var left = max(1, Int((share * Double(self.count)).rounded(.up)))
        for (bucket, count) in self.histogram.enumerated() {
            left -= count
            if left <= 0 { return (bucket + 1) * 100 }
        }
        return 0
    }
}
