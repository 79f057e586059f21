import Foundation
import Telephony
import Testing

@testable import Assistants

@Suite struct CostTests {
    private static let table = PriceTable(
        currency: "EUR", date: "2026-01-02",
        entries: [
            .init(
                service: "s", models: ["m", "family-*"],
                prices: [.textIn: 4_000_000_000, .textInCached: 400_000_000, .textOut: 24_000_000_000],
                source: "x", read: "2026-01-02"),
            .init(
                service: "s", models: ["family-large*"], prices: [.textIn: 8_000_000_000], source: "x",
                read: "2026-01-02"),
            .init(service: "ears", models: ["*"], prices: [.heard: 6_000_000], source: "x", read: "2026-01-01"),
        ])

    private func usage(
        _ service: String = "s", _ model: String = "m", _ change: (inout AssistantUsage) -> Void
    ) -> AssistantUsage {
        var usage = AssistantUsage(service: service, model: model)
        change(&usage)
        return usage
    }

    @Test("The built-in table is the repository's file, and every price in it has a source and a day")
    func builtIn() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = try String(contentsOf: root.appendingPathComponent("database/prices.json"), encoding: .utf8)
        #expect(file.trimmingCharacters(in: .newlines) == PriceTable.builtInText.trimmingCharacters(in: .newlines))
        let table = try PriceTable(json: PriceTable.builtInText)
        #expect(table == PriceTable.builtIn)
        #expect(table.currency == "USD")
        #expect(!table.entries.isEmpty)
        #expect(table.entries.allSatisfy { !$0.prices.isEmpty && !$0.source.isEmpty })
        // Two prices of one model would make the cost depend on their order.
        let names = table.entries.flatMap { entry in entry.models.map { entry.service + "/" + $0 } }
        #expect(Set(names).count == names.count)
    }

    @Test("Tokens by the million, kept ones by their own price, times by the minute")
    func prices() {
        let tokens = self.usage {
            $0.inputTextTokens = 1000
            $0.cachedTextTokens = 600
            $0.outputTextTokens = 10
        }
        // 400 at 4, 600 at 0.4 and 10 at 24 a million.
        let cost: Int64 = 1_600_000 + 240_000 + 240_000
        #expect(Self.table.cost(of: tokens) == cost)
        #expect(Self.table.cost(of: self.usage("ears", "any") { $0.heard = .seconds(90) }) == 9_000_000)
        #expect(Self.table.cost(of: self.usage { _ in }) == 0)
    }

    @Test("A model's own name goes before a beginning, a longer beginning before a shorter")
    func names() {
        func price(_ model: String) -> Int64? {
            Self.table.cost(of: self.usage("s", model) { $0.inputTextTokens = 1_000_000 })
        }
        #expect(price("m") == 4_000_000_000)
        #expect(price("family-small") == 4_000_000_000)
        #expect(price("family-large-2") == 8_000_000_000)
        #expect(price("m2") == nil)
    }

    @Test("What is not in the table is unknown and not free; nor is what was not counted")
    func unknown() {
        #expect(Self.table.cost(of: self.usage("s", "other") { $0.characters = 1 }) == nil)
        #expect(Self.table.cost(of: self.usage("t") { $0.characters = 1 }) == nil)
        #expect(Self.table.cost(of: self.usage { $0.isUncounted = true }) == nil)
        // An entry is complete: what it does not name is not billed.
        #expect(Self.table.cost(of: self.usage { $0.characters = 1 }) == 0)
        // Kept tokens without a price of their own cost what others cost.
        let large = self.usage("s", "family-large") {
            $0.inputTextTokens = 10
            $0.cachedTextTokens = 10
        }
        #expect(Self.table.cost(of: large) == 80_000)
    }

    @Test("Numbers that a server made up are no trap")
    func hostile() {
        let usage = self.usage {
            $0.inputTextTokens = .max
            $0.cachedTextTokens = .max
            $0.outputTextTokens = .max
            $0.inputAudioTokens = -5
        }
        #expect(Self.table.cost(of: usage) == .max)
        var account = CostAccount(Self.table)
        account.add(usage, of: "p", at: .zero)
        account.add(usage, of: "p", at: .seconds(1))
        #expect(account.knownMicros > 0)
        #expect(account.micros(ofTurns: [.zero]).count == 1)
        let negative = self.usage {
            $0.inputTextTokens = 1
            $0.cachedTextTokens = .min
            $0.inputAudioTokens = .max
            $0.cachedAudioTokens = .min
        }
        #expect(negative.quantity(.textIn) == 1)
        #expect(negative.quantity(.audioIn) == .max)
        #expect(negative.quantity(.textInCached) == 0)
        #expect(negative.cachedTokens == 0)
    }

    @Test("A call's cost is whole or unknown; the known part stays known")
    func account() {
        var account = CostAccount(Self.table)
        account.opened("p")
        // Nothing told yet: not free.
        #expect(account.micros == nil)
        account.add(self.usage { $0.outputTextTokens = 1000 }, of: "p", at: .seconds(2))
        account.add(self.usage { $0.outputTextTokens = 500 }, of: "p", at: .seconds(5))
        #expect(account.micros == 36_000)
        #expect(account.micros(ofTurns: [.seconds(1), .seconds(3)]) == [24_000, 12_000])
        account.add(self.usage("elsewhere") { $0.outputTextTokens = 1 }, of: "p", at: .seconds(6))
        #expect(account.micros == nil)
        #expect(account.knownMicros == 36_000)
        #expect(account.micros(ofTurns: [.seconds(1), .seconds(3)]) == [24_000, nil])
    }

    @Test(
        "A wrong file is named by the place that is wrong",
        arguments: [
            ("[]", "the file"), (#"{"currency":"usd","prices":[]}"#, "currency"), (#"{"currency":"USD"}"#, "prices"),
            (#"{"currency":"USD","prices":[{"service":"s"}]}"#, "prices[0].models"),
            (
                #"{"currency":"USD","prices":[{"service":"s","models":["m"],"per_million":{"words":"1"}}]}"#,
                "prices[0].per_million.words"
            ),
            (
                #"{"currency":"USD","prices":[{"service":"s","models":["m"],"per_minute":{"heard":0.5}}]}"#,
                "prices[0].per_minute.heard"
            ),
            (
                #"{"currency":"USD","prices":[{"service":"s","models":["m"],"read":"yesterday","source":"x"}]}"#,
                "prices[0].read"
            ),
        ])
    func wrongFile(json: String, place: String) {
        do throws(PriceTableError) {
            _ = try PriceTable(json: json)
            Issue.record("it was read")
        } catch {
            #expect(error.place == place)
        }
    }

    @Test(
        "Prices are decimal and exact",
        arguments: [("0.0045", 4_500_000), ("32", 32_000_000_000), ("0.000000001", 1)] as [(String, Int64)])
    func decimals(text: String, nano: Int64) { #expect(PriceTable.nano(text) == nano) }

    @Test(
        "What is no price is none", arguments: ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000001", "9999999999"])
    func noPrice(text: String) { #expect(PriceTable.nano(text) == nil) }
}
