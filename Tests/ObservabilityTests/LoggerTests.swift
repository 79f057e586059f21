import Foundation
import Synchronization
import Telephony
import Testing

@testable import Observability

private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { self.lines.withLock { $0 } }
    func add(_ line: String) { self.lines.withLock { $0.append(line) } }
}

@Suite struct LoggerTests {
    @Test("A JSON line is one JSON object, whatever the values hold")
    func json() throws {
        let lines = Lines()
        let logger = Logger(level: .info, form: .json) { lines.add($0) }.with(["call.id": .string("a\"b\n\u{1}é")])
        logger.info("Call answered", ["n": .integer(-3), "x": .double(.nan), "ok": .bool(true), "said": .redacted])
        let line = try #require(lines.all.first)
        #expect(!line.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "Call answered")
        #expect(object["call.id"] as? String == "a\"b\n\u{1}é")
        #expect(object["n"] as? Int == -3)
        #expect(object["said"] as? String == "[redacted]")
    }

    @Test("Levels below the threshold cost nothing and write nothing", arguments: LogLevel.allCases)
    func levels(threshold: LogLevel) {
        let lines = Lines()
        let logger = Logger(level: threshold) { lines.add($0) }
        logger.trace("1")
        logger.debug("2")
        logger.info("3")
        logger.warning("4")
        logger.error("5")
        #expect(lines.all.count == LogLevel.allCases.filter { $0 >= threshold }.count)
    }

    @Test("A text line cannot be forged by a value")
    func text() {
        let line = Logger.text(
            .info, "Hello", [("who", .string("x\n2030 ERROR fake"))], at: Date(timeIntervalSince1970: 0))
        #expect(line == "1970-01-01T00:00:00.000Z INFO Hello who=\"x?2030 ERROR fake\"")
    }

    @Test("What a person said prints as nothing, also through reflection")
    func redacted() {
        let said = Redacted("my number is 5551234")
        var dumped = ""
        dump(said, to: &dumped)
        #expect(!"\(said) \(String(reflecting: said)) \(dumped)".contains("555"))
    }
}

@Suite struct MetricsTests {
    @Test("Exposition: families once, series with labels, cumulative buckets")
    func exposition() {
        let registry = MetricsRegistry()
        let calls = registry.counter("calls_total", "Calls", labels: [("provider", "op\"en\\ai")])
        let other = registry.counter("calls_total", "Calls", labels: [("provider", "local")])
        let latency = registry.histogram("latency_seconds", "Latency", bounds: [0.1, 1])
        calls.increment(by: 2)
        other.increment()
        latency.observe(.milliseconds(50))
        latency.observe(.milliseconds(500))
        latency.observe(.seconds(5))
        #expect(
            registry.text == """
                # HELP calls_total Calls
                # TYPE calls_total counter
                calls_total{provider="op\\"en\\\\ai"} 2
                calls_total{provider="local"} 1
                # HELP latency_seconds Latency
                # TYPE latency_seconds histogram
                latency_seconds_bucket{le="0.1"} 1
                latency_seconds_bucket{le="1.0"} 2
                latency_seconds_bucket{le="+Inf"} 3
                latency_seconds_sum 5.55
                latency_seconds_count 3

                """)
    }

    @Test("Counting from many threads loses nothing")
    func threads() async {
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.increment() } } }
        }
        #expect(counter.value == 8000)
    }
}
