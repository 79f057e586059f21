import Foundation

/// One thing that was looked at: what was found, what that means, and what would repair it.
struct DoctorFinding: Sendable, Equatable, Encodable {
    enum Verdict: String, Sendable, Encodable, Comparable {
        case fine, skipped, warning, failed
        private var weight: Int {
            switch self {
            case .fine: 0
            case .skipped: 1
            case .warning: 2
            case .failed: 3
            }
        }
        static func < (lhs: Self, rhs: Self) -> Bool { lhs.weight < rhs.weight }
    }

    /// A slug that stays: scripts look for it.
    var id: String
    var verdict: Verdict
    var found: String
    var repair: String?

    static func fine(_ id: String, _ found: String) -> Self { Self(id: id, verdict: .fine, found: found, repair: nil) }
    static func skipped(_ id: String, _ why: String) -> Self {
        Self(id: id, verdict: .skipped, found: why, repair: nil)
    }
    static func warning(_ id: String, _ found: String, _ repair: String) -> Self {
        Self(id: id, verdict: .warning, found: found, repair: repair)
    }
    static func failed(_ id: String, _ found: String, _ repair: String) -> Self {
        Self(id: id, verdict: .failed, found: found, repair: repair)
    }
}

/// The findings of one examination.
struct DoctorReport: Sendable, Encodable {
    var verdict: DoctorFinding.Verdict
    var checks: [DoctorFinding]

    init(_ checks: [DoctorFinding]) {
        self.checks = checks
        self.verdict = checks.map(\.verdict).filter { $0 != .skipped }.max() ?? .skipped
    }

    /// 0: nothing failed. 1: something did, or, with `strict`, was a warning.
    func status(strict: Bool) -> Int32 {
        self.verdict == .failed || strict && self.verdict == .warning ? 1 : 0
    }

    var text: String {
        let width = self.checks.map(\.id.count).max() ?? 0
        return self.checks.map { check in
            let mark =
                switch check.verdict {
                case .fine: "ok     "
                case .skipped: "-      "
                case .warning: "warning"
                case .failed: "FAILED "
                }
            let padding = String(repeating: " ", count: width - check.id.count)
            let line = "\(mark)  \(check.id)\(padding)  \(check.found)"
            return check.repair.map { "\(line)\n         \(String(repeating: " ", count: width))  → \($0)" } ?? line
        }.joined(separator: "\n")
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Strings and enums of our own always encode.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
