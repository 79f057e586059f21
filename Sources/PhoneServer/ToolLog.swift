import Assistants
import Foundation
import Records
import Telephony

/// The tools that were used in a call, for its records.
///
/// The conversation's own tools are answered at once and done later: a transfer has come to something when somebody has
/// answered, or nobody; an end when the last words were heard. Only then is it known what they came to, and how long
/// that took. The last that was taken counts: what an assistant decided before it is not done any more.
struct ToolLog: Sendable {
    private struct Entry {
        var call: ToolCall
        var result: Redacted<String>?
        /// Nil: it is not known yet.
        var outcome: ToolUse.Outcome?
        /// Since the call began.
        var began: Duration
        var took: Duration = .zero
    }
    private var entries: [Entry] = []
    /// A call that uses more has an assistant that runs in circles.
    private static let limit = 200
    private static let own: Set<String> = ["transfer_call", "request_handoff", "end_call"]

    init() {}

    /// The others are written down with their results by whoever runs them (`add`).
    mutating func called(_ call: ToolCall, at now: Duration) {
        guard Self.own.contains(call.name), self.entries.count < Self.limit else { return }
        self.entries.append(Entry(call: call, began: now))
    }

    mutating func answered(_ id: String, _ result: Redacted<String>, isTaken: Bool, at now: Duration) {
        guard let place = self.entries.lastIndex(where: { $0.call.id == id && $0.result == nil }) else { return }
        self.entries[place].result = result
        if isTaken {
            self.close(.failed, at: now) { $0 != place }
        } else {
            self.close(.refused, at: now) { $0 == place }
        }
    }

    mutating func transferFailed(at now: Duration) { self.close(.failed, at: now) { _ in true } }

    mutating func add(
        _ call: ToolCall, _ result: Redacted<String>, _ outcome: ToolUse.Outcome, began: Duration, took: Duration
    ) {
        guard self.entries.count < Self.limit else { return }
        self.entries.append(Entry(call: call, result: result, outcome: outcome, began: began, took: took))
    }

    /// What is open is not open any more.
    private mutating func close(_ outcome: ToolUse.Outcome, at now: Duration, where matches: (Int) -> Bool) {
        for index in self.entries.indices where self.entries[index].outcome == nil && matches(index) {
            self.entries[index].outcome = outcome
            self.entries[index].took = max(.zero, now - self.entries[index].began)
        }
    }

    /// At the end of the call: what is open then has happened, or never will.
    func uses(from startedAt: Date, endedAfter duration: Duration, wasTransferred: Bool) -> [ToolUse] {
        var log = self
        log.close(.succeeded, at: duration) { wasTransferred || self.entries[$0].call.name == "end_call" }
        log.close(.failed, at: duration) { _ in true }
        return log.entries.enumerated().map { index, entry in
            ToolUse(
                number: index + 1, name: entry.call.name, arguments: entry.call.arguments.value,
                result: entry.result?.value, outcome: entry.outcome ?? .failed,
                startedAt: startedAt.addingTimeInterval(entry.began.inSeconds), duration: entry.took)
        }
    }
}
