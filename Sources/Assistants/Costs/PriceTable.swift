import Telephony

/// What services ask for what they do: data with a date and a source for every price (`database/prices.json`, built in;
/// another file replaces it whole, `PRONTO_PRICES_FILE`).
///
/// A price that is not in the table is unknown, and so is a cost that needs it: never zero. An entry is complete: what it
/// does not name is not billed by that service. Money is counted in billionths (nano) of the table's currency while it is
/// added, and stored in millionths.
package struct PriceTable: Sendable, Equatable {
    /// One service's price for some of its models.
    package struct Entry: Sendable, Equatable {
        package var service: String
        /// Names, or beginnings of names that end with `*`.
        package var models: [String]
        /// Nano for a million (counts) or for a minute (times).
        package var prices: [UsageMeter: Int64]
        /// Where the price was read, and when.
        package var source: String
        package var read: String
    }

    /// ISO 4217.
    package var currency: String
    /// Of the newest price in it.
    package var date: String
    package var entries: [Entry]

    package init(currency: String, date: String, entries: [Entry]) {
        self.currency = currency
        self.date = date
        self.entries = entries
    }

    /// The entry of that name, else the longest beginning that fits.
    package func entry(service: String, model: String) -> Entry? {
        var best: (entry: Entry, length: Int)?
        for entry in self.entries where entry.service == service {
            for name in entry.models {
                if name == model { return entry }
                guard name.hasSuffix("*"), model.hasPrefix(name.dropLast()), name.count > best?.length ?? 0 else {
                    continue
                }
                best = (entry, name.count)
            }
        }
        return best?.entry
    }

    /// What this usage costs, in nano; nil: its price is unknown. Usage of nothing costs nothing.
    package func cost(of usage: AssistantUsage) -> Int64? {
        let used = UsageMeter.allCases.compactMap { meter -> (UsageMeter, Int)? in
            let quantity = usage.quantity(meter)
            return quantity > 0 ? (meter, quantity) : nil
        }
        guard !usage.isUncounted else { return nil }
        guard !used.isEmpty else { return 0 }
        guard let entry = self.entry(service: usage.service, model: usage.model) else { return nil }
        var total: Int128 = 0
        for (meter, quantity) in used {
            // Where nothing is said of kept tokens, they cost what others cost.
            let whole: UsageMeter? =
                meter == .textInCached ? .textIn : meter == .audioInCached ? .audioIn : nil
            guard let price = entry.prices[meter] ?? whole.flatMap({ entry.prices[$0] }) else { continue }
            total += Int128(quantity) * Int128(price) / (meter.isTime ? 60_000 : 1_000_000)
        }
        return Int64(clamping: total)
    }
}

extension PriceTable {
    /// The table of this version (`database/prices.json`). A test reads it; should it be unreadable all the same, every
    /// price is unknown.
    package static let builtIn: PriceTable = {
        do throws(PriceTableError) { return try PriceTable(json: Self.builtInText) } catch {
            assertionFailure("\(error)")
            return PriceTable(currency: "USD", date: "", entries: [])
        }
    }()
}

// MARK: The file

/// What is wrong with a file of prices: the place in it, and what belongs there.
package struct PriceTableError: Error, Equatable, CustomStringConvertible {
    package var place: String
    package var problem: String
    package var description: String { "\(self.place): \(self.problem)" }
}

extension PriceTable {
    /// Reads a table's JSON. Throws the first thing that is wrong with it.
    package init(json text: String) throws(PriceTableError) {
        guard let value = JSONValue(json: text), value.members != nil else {
            throw PriceTableError(place: "the file", problem: "it is no JSON object")
        }
        guard let currency = value["currency"]?.text, currency.utf8.count == 3,
            currency.utf8.allSatisfy({ $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") })
        else { throw PriceTableError(place: "currency", problem: "three capital letters belong here, as USD") }
        guard let elements = value["prices"]?.elements else {
            throw PriceTableError(place: "prices", problem: "a list belongs here")
        }
        var entries: [Entry] = []
        for (index, element) in elements.enumerated() {
            entries.append(try Self.entry(element, at: "prices[\(index)]"))
        }
        self.init(currency: currency, date: entries.map(\.read).max() ?? "", entries: entries)
    }

    private static func entry(_ value: JSONValue, at place: String) throws(PriceTableError) -> Entry {
        func text(_ key: String) throws(PriceTableError) -> String {
            guard let text = value[key]?.text, !text.isEmpty else {
                throw PriceTableError(place: "\(place).\(key)", problem: "a text belongs here")
            }
            return text
        }
        let models = value["models"]?.elements?.compactMap(\.text) ?? []
        guard !models.isEmpty, models.allSatisfy({ !$0.isEmpty }) else {
            throw PriceTableError(place: "\(place).models", problem: "a list of models belongs here")
        }
        var prices: [UsageMeter: Int64] = [:]
        for (key, isTime) in [("per_million", false), ("per_minute", true)] {
            for member in value[key]?.members ?? [] {
                let meterPlace = "\(place).\(key).\(member.name)"
                guard let meter = UsageMeter(rawValue: member.name), meter.isTime == isTime else {
                    let known = UsageMeter.allCases.filter { $0.isTime == isTime }.map(\.rawValue)
                    throw PriceTableError(
                        place: meterPlace, problem: "no such meter; there are " + known.joined(separator: ", "))
                }
                guard let price = member.value.text.flatMap({ Self.nano($0) }) else {
                    throw PriceTableError(place: meterPlace, problem: "a price in quotes belongs here, as \"0.0045\"")
                }
                prices[meter] = price
            }
        }
        let date = try text("read")
        guard date.utf8.count == 10, date.split(separator: "-").map(\.count) == [4, 2, 2] else {
            throw PriceTableError(place: "\(place).read", problem: "a date belongs here, as 2026-11-21")
        }
        return Entry(
            service: try text("service"), models: models, prices: prices, source: try text("source"), read: date)
    }

    /// `12.5` as nano; nil: no such number. By digits: a price is decimal, a Double is not.
    static func nano(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first, !whole.isEmpty, whole.utf8.count <= 9,
            text.utf8.allSatisfy({ ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: ".") })
        else { return nil }
        let fraction = parts.count == 2 ? parts[1] : ""
        guard parts.count == 1 || (1...9).contains(fraction.utf8.count) else { return nil }
        let padded = fraction + String(repeating: "0", count: 9 - fraction.utf8.count)
        guard let units = Int64(whole), let rest = Int64(padded) else { return nil }
        return units * 1_000_000_000 + rest
    }
}
