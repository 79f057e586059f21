import Configuration
import Foundation
import Records
import Stores
import Telephony

/// `pronto costs`: what a tenant's calls cost at their providers, by day. And how money is written everywhere else.
extension StoreCommands {
    static func costs(_ arguments: Arguments, _ store: any RecordsStore, at now: Date) async throws -> String {
        guard arguments.words.isEmpty else { throw Self.unknown("costs " + arguments.words.joined(separator: " ")) }
        let tenant = try await Self.tenant(of: arguments, store)
        let to = try Self.day(arguments, "--to") ?? now
        // Both days are part of it: `--to` means its end.
        let end = try arguments.optional("--to") == nil ? to.addingTimeInterval(1) : to.addingTimeInterval(86_400)
        let from = try Self.day(arguments, "--from") ?? to.addingTimeInterval(-30 * 86_400)
        guard from < end else { throw CommandFailure("--from is after --to") }
        let days = try await store.costs(of: tenant.id, from: from, to: end)
        if arguments.has("--json") { return Self.json(days) }
        var rows = days.map { Self.row($0.day, $0) }
        for (currency, total) in Self.totals(days) { rows.append(Self.row("total", total, currency)) }
        let table = Self.table(["day", "calls", "minutes", "cost", "currency", "calls of unknown cost"], rows)
        let hasUnknown = days.contains { $0.unknownCalls > 0 }
        return hasUnknown
            ? table + "\nA cost is what is known of it: a part of the calls in the last column has no price "
                + "(PRONTO_PRICES_FILE gives prices of your own)."
            : table
    }

    private static func row(_ day: String, _ cost: DailyCost, _ currency: String? = nil) -> [String] {
        let minutes = Double(cost.duration.milliseconds) / 60_000
        return [
            day, String(cost.calls), String(format: "%.1f", minutes), Self.money(cost.knownMicros),
            currency ?? (cost.currency.isEmpty ? "-" : cost.currency), String(cost.unknownCalls),
        ]
    }

    private static func totals(_ days: [DailyCost]) -> [(String, DailyCost)] {
        Set(days.map(\.currency)).sorted().map { currency in
            var total = DailyCost(
                day: "", currency: currency, calls: 0, duration: .zero, unknownCalls: 0, knownMicros: 0)
            for day in days where day.currency == currency {
                total.calls += day.calls
                total.duration += day.duration
                total.unknownCalls += day.unknownCalls
                total.knownMicros += day.knownMicros
            }
            return (currency.isEmpty ? "-" : currency, total)
        }
    }

    private static func json(_ days: [DailyCost]) -> String {
        JSONValue.array(
            days.map { day in
                [
                    "day": .string(day.day), "calls": .integer(day.calls),
                    "seconds": .number(Double(day.duration.milliseconds) / 1000),
                    "currency": day.currency.isEmpty ? .null : .string(day.currency),
                    "known_micros": .integer(day.knownMicros), "calls_of_unknown_cost": .integer(day.unknownCalls),
                ]
            }
        ).json
    }

    /// A UTC day.
    private static func day(_ arguments: Arguments, _ option: String) throws -> Date? {
        try arguments.optional(option, allowed: "a day, as 2026-11-21") { text in
            guard text.utf8.count == 10 else { return nil }
            return try? Date(text + "T00:00:00Z", strategy: .iso8601)
        }
    }

    // MARK: Money

    /// Millionths, written with at least cents and no digit that is a zero behind them: `0.0123`.
    static func money(_ micros: Int) -> String {
        var fraction = String(format: "%06d", abs(micros % 1_000_000))
        while fraction.count > 2, fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(micros < 0 ? "-" : "")\(abs(micros / 1_000_000)).\(fraction)"
    }

    static func text(_ cost: CallCost?) -> String {
        guard let cost else { return "-" }
        if let micros = cost.micros { return "\(Self.money(micros)) \(cost.currency)" }
        return cost.knownMicros > 0 ? "unknown, over \(Self.money(cost.knownMicros)) \(cost.currency)" : "unknown"
    }

    /// What a call used, in its providers' units.
    static func details(_ call: CallRecord) -> String {
        let usage = call.usage
        var parts: [String] = []
        func add(_ count: Int, _ what: String) { if count > 0 { parts.append("\(count) \(what)") } }
        add(usage.inputTextTokens, "text tokens in")
        add(usage.inputAudioTokens, "audio tokens in")
        add(usage.cachedTokens, "of them kept")
        add(usage.outputTextTokens, "text tokens out")
        add(usage.outputAudioTokens, "audio tokens out")
        add(usage.characters, "characters spoken")
        if usage.heard > .zero { parts.append("\(Self.seconds(usage.heard)) recognised") }
        if usage.connected > .zero { parts.append("\(Self.seconds(usage.connected)) connected") }
        let prices = call.cost.map { "; prices of \($0.priceDate)" } ?? ""
        return parts.isEmpty ? "" : " (" + parts.joined(separator: ", ") + prices + ")"
    }
}
