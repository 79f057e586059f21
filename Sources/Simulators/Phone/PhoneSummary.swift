import Telephony

/// What many simulated calls were like together, for people and for programs. Nothing in it was said or dialed.
package struct PhoneSummary: Sendable {
    /// A distribution of times, in whole milliseconds.
    package struct Spread: Sendable, Equatable {
        package let count: Int
        package let p50: Int
        package let p95: Int
        package let p99: Int
        package let maximum: Int

        /// Nil without values.
        package init?(_ values: [Duration]) {
            guard let p50 = PhoneResult.percentile(0.5, of: values), let p95 = PhoneResult.percentile(0.95, of: values),
                let p99 = PhoneResult.percentile(0.99, of: values), let maximum = values.max()
            else { return nil }
            self.count = values.count
            self.p50 = p50.milliseconds
            self.p95 = p95.milliseconds
            self.p99 = p99.milliseconds
            self.maximum = maximum.milliseconds
        }
    }

    package private(set) var calls = 0
    package private(set) var failures: [String: Int] = [:]
    package private(set) var counts: [(name: String, value: Int)] = []
    /// How well the gateway kept the beat, in microseconds.
    package private(set) var spacing = PhoneSpacing()
    package private(set) var spreads: [(name: String, spread: Spread?)] = []

    package init(_ results: [PhoneResult]) {
        self.calls = results.count
        for result in results { self.spacing.add(result.spacing) }
        for failure in results.compactMap(\.failure) { self.failures[failure, default: 0] += 1 }
        self.spreads = [
            ("connect", Spread(results.compactMap(\.connectTime))),
            ("first_audio", Spread(results.compactMap(\.firstAudio))),
            ("answer", Spread(results.flatMap(\.answers))),
            ("barge_in", Spread(results.flatMap(\.bargeInStops))),
        ]
        func sum(_ part: (PhoneResult) -> Int) -> Int { results.reduce(0) { $0 + part($1) } }
        self.counts = [
            ("gaps", sum { $0.gaps }), ("gap_ms", sum { $0.gapTime.milliseconds }),
            ("packets_lost", sum { $0.packetsLost }),
            ("unanswered_turns", sum { $0.unansweredTurns }),
            ("ignored_interruptions", sum { $0.ignoredInterruptions }), ("flushes", sum { $0.flushes }),
            ("agent_heard_ms", sum { $0.agentHeard.milliseconds }), ("discarded_ms", sum { $0.discarded.milliseconds }),
            ("ignored_messages", sum { $0.ignoredMessages }), ("skipped_frames", sum { $0.skippedFrames }),
            ("messages_up", sum { $0.messagesSent }), ("messages_down", sum { $0.messagesReceived }),
            ("bytes_up", sum { $0.bytesSent }), ("bytes_down", sum { $0.bytesReceived }),
        ]
    }

    package var failed: Int { self.failures.values.reduce(0, +) }

    /// A table to read.
    package var table: String {
        var lines: [String] = ["calls \(self.calls), failed \(self.failed)"]
        for (slug, count) in self.failures.sorted(by: { $0.key < $1.key }) { lines.append("  \(slug): \(count)") }
        lines.append("")
        lines.append(Self.row("ms", ["n", "p50", "p95", "p99", "max"]))
        for (name, spread) in self.spreads {
            let cells: [String] =
                spread.map { [$0.count, $0.p50, $0.p95, $0.p99, $0.maximum].map { "\($0)" } }
                ?? ["0", "-", "-", "-", "-"]
            lines.append(Self.row(name, cells))
        }
        if self.spacing.count > 0 {
            let shares = [0.5, 0.95, 0.99, 1].map { Self.milliseconds(self.spacing.percentile($0)) }
            lines.append(Self.row("beat_error", ["\(self.spacing.count)"] + shares))
        }
        lines.append("")
        for (name, value) in self.counts { lines.append(Self.row(name, ["\(value)"])) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One line of JSON.
    package var json: String {
        var bytes: [UInt8] = []
        JSONText.append("{\"calls\":", to: &bytes)
        JSONText.appendInteger(self.calls, to: &bytes)
        JSONText.append(",\"failed\":", to: &bytes)
        JSONText.appendInteger(self.failed, to: &bytes)
        JSONText.append(",\"failures\":{", to: &bytes)
        for (index, failure) in self.failures.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { JSONText.append(",", to: &bytes) }
            Self.append(failure.key, failure.value, to: &bytes)
        }
        JSONText.append("}", to: &bytes)
        for (name, spread) in self.spreads { Self.append(name, spread, to: &bytes) }
        if self.spacing.count > 0 {
            JSONText.append(",\"beat_error_us\":{", to: &bytes)
            Self.append("n", self.spacing.count, to: &bytes)
            for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1)] {
                JSONText.append(",", to: &bytes)
                Self.append(name, self.spacing.percentile(share), to: &bytes)
            }
            JSONText.append("}", to: &bytes)
        }
        for (name, value) in self.counts {
            JSONText.append(",", to: &bytes)
            Self.append(name, value, to: &bytes)
        }
        JSONText.append("}\n", to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func append(_ name: String, _ value: Int, to bytes: inout [UInt8]) {
        JSONText.appendString(name, to: &bytes)
        JSONText.append(":", to: &bytes)
        JSONText.appendInteger(value, to: &bytes)
    }

    private static func append(_ name: String, _ spread: Spread?, to bytes: inout [UInt8]) {
        JSONText.append(",", to: &bytes)
        JSONText.appendString(name + "_ms", to: &bytes)
        JSONText.append(":{", to: &bytes)
        self.append("n", spread?.count ?? 0, to: &bytes)
        if let spread {
            for (name, value) in [
                ("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99), ("max", spread.maximum),
            ] {
                JSONText.append(",", to: &bytes)
                self.append(name, value, to: &bytes)
            }
        }
        JSONText.append("}", to: &bytes)
    }

    /// Microseconds as milliseconds with one digit.
    private static func milliseconds(_ microseconds: Int) -> String {
        "\(microseconds / 1000).\(microseconds % 1000 / 100)"
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        let padded: [String] = cells.map { String(repeating: " ", count: max(1, 9 - $0.count)) + $0 }
        return name + String(repeating: " ", count: max(1, 22 - name.count)) + padded.joined()
    }
}
