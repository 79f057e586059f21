import Foundation
import Records
import Telephony
import Testing

@testable import pronto

@Suite struct CostCommandTests {
    private func finished(_ number: Int, of tenant: TenantID, at start: Date, _ cost: CallCost?) throws -> FinishedCall
    {
        var record = CallRecord(
            id: try #require(CallID("3c1a4a4e-0000-4000-8000-00000000000\(number)")), tenant: tenant, startedAt: start,
            endedAt: start + 90, termination: .callerHungUp)
        record.cost = cost
        return FinishedCall(call: record)
    }

    @Test("Costs are listed by day with their sum; what is unknown is said to be")
    func days() async throws {
        try await withDesk { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            let start = try Date("2026-11-20T23:00:00Z", strategy: .iso8601)
            let costs = [
                CallCost(micros: 12_300, knownMicros: 12_300, currency: "USD", priceDate: "2026-11-01"),
                CallCost(micros: nil, knownMicros: 700, currency: "USD", priceDate: "2026-11-01"),
            ]
            for (number, cost) in costs.enumerated() {
                let call = try self.finished(number, of: tenant, at: start + Double(number) * 7200, cost)
                _ = try await desk.withStore { try await $0.finish(call, of: tenant) }
            }
            let all = try await desk.run("costs --from 2026-11-20 --to 2026-11-21")
            let lines = all.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines.count >= 4)
            #expect(lines[1].prefix(6) == ["2026-11-20", "1", "1.5", "0.0123", "USD", "0"])
            #expect(lines[2].prefix(6) == ["2026-11-21", "1", "1.5", "0.0007", "USD", "1"])
            #expect(lines[3].prefix(6) == ["total", "2", "3.0", "0.013", "USD", "1"])
            #expect(all.contains("PRONTO_PRICES_FILE"))
            let first = try await desk.run("costs --from 2026-11-20 --to 2026-11-20 --json")
            let days = JSONValue(json: first)?.elements ?? []
            #expect(days.count == 1)
            #expect(days.first?["known_micros"]?.whole == 12_300)
            let list = try await desk.run("calls")
            #expect(list.contains("0.0123 USD") && list.contains("unknown, over 0.0007 USD"))
            #expect(await desk.complaint("costs --from yesterday").contains("2026-11-21"))
            #expect(await desk.complaint("costs --from 2026-11-22 --to 2026-11-21").contains("--from is after --to"))
            #expect(await desk.complaint("costs sing").contains("costs sing"))
        }
    }

    @Test(
        "Money has at least its cents, and no zeros behind them",
        arguments: [(0, "0.00"), (12_300, "0.0123"), (1_500_000, "1.50"), (-20_000, "-0.02"), (1, "0.000001")])
    func money(micros: Int, text: String) { #expect(StoreCommands.money(micros) == text) }
}
