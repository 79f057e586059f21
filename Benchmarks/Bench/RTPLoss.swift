import Foundation
import RTPMedia
import Simulators
import Telephony

/// `pronto-bench rtp-loss`: what a caller's audio becomes over networks that lose and delay. The tables of docs/rtp.md.
///
/// Virtual time and seeds: the same figures each time. Each row is `seconds` of a speaker with pauses in which
/// packets go on (as FreeSWITCH sends them), once for each of `seeds`.
enum RTPLoss {
    private static let seconds = 120
    private static let seeds: ClosedRange<UInt64> = 1...5

    private struct Row {
        var name: String
        var conditions: NetworkEmulator.Conditions
        var limits: JitterBuffer.Limits = .standard
        var drift = 0.0
    }

    static func run() throws {
        let frames: Int = self.seconds * 50
        let voice: [[UInt8]] = SyntheticVoice().frames(frames)
        print("\(self.seeds.count) runs of \(self.seconds) s a row; delays in ms\n")
        self.heading()
        for row in try self.rows() { self.measure(row, voice) }
    }

    private static func rows() throws -> [Row] {
        let losses: [Double] = [0, 0.01, 0.03, 0.05, 0.10]
        let jitters: [Int] = [0, 10, 20, 40, 60, 80, 100]
        let narrow = try JitterBuffer.Limits(minimum: 20, maximum: 60, target: nil)
        let wide = try JitterBuffer.Limits(minimum: 20, maximum: 200, target: nil)
        let documented = try JitterBuffer.Limits(minimum: 60, maximum: 200, target: 100)
        var rows: [Row] = losses.map { Row(name: "loss \(self.percent($0))", conditions: .init(loss: $0)) }
        rows += losses.dropFirst().map {
            Row(name: "loss \(self.percent($0)), runs of 3", conditions: .init(loss: $0, lossRun: 3))
        }
        for (name, limits) in [("20-60", narrow), ("20-200", wide), ("60-200, 100", documented)] {
            rows += jitters.map {
                Row(
                    name: "jitter 0-\($0), buffer \(name)", conditions: .init(jitter: .milliseconds($0)),
                    limits: limits)
            }
        }
        rows += [20, 60, 100].map {
            Row(
                name: "jitter 0-\($0) in order, buffer 20-60",
                conditions: .init(jitter: .milliseconds($0), keepsOrder: true), limits: narrow)
        }
        for loss in [0.03, 0.10] {
            rows.append(
                Row(
                    name: "loss \(self.percent(loss)), jitter 0-40, 20-60",
                    conditions: .init(loss: loss, jitter: .milliseconds(40)), limits: narrow))
            rows.append(
                Row(
                    name: "loss \(self.percent(loss)), jitter 0-100, 20-200",
                    conditions: .init(loss: loss, jitter: .milliseconds(100)), limits: wide))
        }
        rows.append(Row(name: "1 % held up by 30 ms", conditions: .init(reordering: 0.01)))
        rows.append(Row(name: "5 % doubled", conditions: .init(duplication: 0.05)))
        rows.append(Row(name: "clock +200 ppm", conditions: .init(jitter: .milliseconds(5)), drift: 200))
        rows.append(Row(name: "clock -200 ppm", conditions: .init(jitter: .milliseconds(5)), drift: -200))
        return rows
    }

    private static func heading() {
        print(
            self.padded("network", 38) + "  lost %  late %  made up %  depth mean  depth most  longest made  changed %")
    }

    private static func measure(_ row: Row, _ voice: [[UInt8]]) {
        var sums = (lost: 0.0, late: 0.0, concealed: 0.0, depth: 0.0, adjusted: 0.0)
        var depthMost: Duration = .zero
        var gap: Duration = .zero
        for seed in self.seeds {
            let call = EmulatedRTPCall(
                configuration: RTPReceiver.Configuration(law: .mu, limits: row.limits), conditions: row.conditions,
                seed: seed, drift: row.drift)
            let result = call.run(frames: voice.count) { voice[$0] }
            let statistics: RTPStatistics = result.statistics
            sums.lost += statistics.lossShare
            sums.late += Double(statistics.packetsLate) / Double(statistics.packetsExpected)
            sums.concealed += statistics.concealedShare
            sums.depth += statistics.depthMean.inSeconds * 1000
            sums.adjusted += Double(result.kinds.count { $0 == .adjusted }) / Double(result.kinds.count)
            depthMost = max(depthMost, statistics.depthMost)
            gap = max(gap, result.longestRun(of: [.concealed, .silence]))
        }
        let runs = Double(self.seeds.count)
        print(
            self.padded(row.name, 38)
                + String(
                    format: "%8.2f%8.2f%11.2f%12.0f%12d%14d%11.2f", 100 * sums.lost / runs, 100 * sums.late / runs,
                    100 * sums.concealed / runs, sums.depth / runs, depthMost.milliseconds, gap.milliseconds,
                    100 * sums.adjusted / runs))
    }

    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
