import Synchronization
import Telephony

/// A number that only grows. Adding is one atomic instruction, from any thread.
package final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    package init() {}
    package func increment(by amount: Int = 1) { self.count.add(amount, ordering: .relaxed) }
    package var value: Int { self.count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let level = Atomic<Int>(0)
    package init() {}
    package func set(_ value: Int) { self.level.store(value, ordering: .relaxed) }
    package func add(_ amount: Int) { self.level.add(amount, ordering: .relaxed) }
    package var value: Int { self.level.load(ordering: .relaxed) }
}

/// Observations in fixed buckets, in seconds. Sums are kept in nanoseconds so that they can be added atomically.
package final class Histogram: Sendable {
    package let bounds: [Double]
    /// The same limits as the nanoseconds that observations are.
    private let limits: [Int64]
    private let state: Mutex<(counts: [Int], nanoseconds: Int64)>

    /// `bounds` are upper limits in seconds, ascending; `+Inf` is added.
    package init(bounds: [Double] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10]) {
        self.bounds = bounds
        self.limits = bounds.map { Int64(($0 * 1e9).rounded()) }
        self.state = Mutex((Array(repeating: 0, count: bounds.count + 1), 0))
    }

    package func observe(_ duration: Duration) {
        let nanoseconds = duration.nanoseconds
        let bucket = self.limits.firstIndex { nanoseconds <= $0 } ?? self.limits.count
        self.state.withLock { state in
            state.counts[bucket] += 1
            state.nanoseconds &+= nanoseconds
        }
    }

    /// Counts per bucket (not cumulative) and the sum in seconds.
    package var values: (counts: [Int], sum: Double) {
        self.state.withLock { ($0.counts, Double($0.nanoseconds) / 1e9) }
    }
}

/// All metrics of a process, and their text form (Prometheus exposition format 0.0.4).
///
/// Families are registered once, at start, with a closed set of label values; looking one up later is a property
/// access on whoever registered it. So nothing that a caller sends can make a new series.
package final class MetricsRegistry: Sendable {
    private enum Source: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case computed(@Sendable () -> Double)
    }
    private struct Series: Sendable {
        var labels: String
        var source: Source
    }
    private struct Family: Sendable {
        var name: String
        var help: String
        var type: String
        var series: [Series]
    }
    private let families = Mutex<[Family]>([])

    package init() {}

    package func counter(_ name: StaticString, _ help: StaticString, labels: [(String, String)] = []) -> Counter {
        let counter = Counter()
        self.add(name, help, "counter", labels, .counter(counter))
        return counter
    }

    package func gauge(_ name: StaticString, _ help: StaticString, labels: [(String, String)] = []) -> Gauge {
        let gauge = Gauge()
        self.add(name, help, "gauge", labels, .gauge(gauge))
        return gauge
    }

    /// A gauge that is worked out when it is asked for.
    package func computed(
        _ name: StaticString, _ help: StaticString, labels: [(String, String)] = [],
        _ value: @escaping @Sendable () -> Double
    ) {
        self.add(name, help, "gauge", labels, .computed(value))
    }

    package func histogram(
        _ name: StaticString, _ help: StaticString, labels: [(String, String)] = [], bounds: [Double]? = nil
    ) -> Histogram {
        let histogram = bounds.map { Histogram(bounds: $0) } ?? Histogram()
        self.add(name, help, "histogram", labels, .histogram(histogram))
        return histogram
    }

    /// One counter for each of a closed set of label values.
    package func counters<Label: Hashable & RawRepresentable & CaseIterable>(
        _ name: StaticString, _ help: StaticString, label: String, over type: Label.Type = Label.self
    ) -> [Label: Counter] where Label.RawValue == String {
        var counters: [Label: Counter] = [:]
        for value in Label.allCases { counters[value] = self.counter(name, help, labels: [(label, value.rawValue)]) }
        return counters
    }

    private func add(
        _ name: StaticString, _ help: StaticString, _ type: String, _ labels: [(String, String)], _ source: Source
    ) {
        let text = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        self.families.withLock { families in
            let series = Series(labels: text, source: source)
            if let index = families.firstIndex(where: { $0.name == name.description }) {
                precondition(families[index].type == type, "one metric, two types: \(name)")
                precondition(!families[index].series.contains { $0.labels == text }, "registered twice: \(name)")
                families[index].series.append(series)
            } else {
                families.append(
                    Family(name: name.description, help: help.description, type: type, series: [series]))
            }
        }
    }

    /// The exposition text, one family after another.
    package var text: String {
        var text = ""
        for family in self.families.withLock({ $0 }) {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
            for series in family.series { Self.write(series, of: family.name, to: &text) }
        }
        return text
    }

    private static func write(_ series: Series, of name: String, to text: inout String) {
        let braces = series.labels.isEmpty ? "" : "{\(series.labels)}"
        switch series.source {
        case .counter(let counter): text += "\(name)\(braces) \(counter.value)\n"
        case .gauge(let gauge): text += "\(name)\(braces) \(gauge.value)\n"
        case .computed(let value): text += "\(name)\(braces) \(value())\n"
        case .histogram(let histogram):
            let (counts, sum) = histogram.values
            var total = 0
            let prefix = series.labels.isEmpty ? "" : series.labels + ","
            for (index, count) in counts.enumerated() {
                total += count
                let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
                text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)\n"
            }
            text += "\(name)_sum\(braces) \(sum)\n\(name)_count\(braces) \(total)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
        return text
    }
}
