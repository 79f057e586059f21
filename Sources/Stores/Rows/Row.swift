import Foundation
import Records
import Telephony

/// One value of a column.
package enum StoredValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
}

/// The names of an answer's columns, shared by all its rows.
package final class RowColumns: Sendable {
    package let names: [String]
    /// Where a name stands; of a name that stands twice the last, as a dictionary of the row would have it.
    fileprivate let places: [String: Int]

    package init(_ names: [String]) {
        self.names = names
        self.places = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { _, last in last })
    }
}

/// One row: columns and their values. What the databases and the spool have in common.
///
/// Reading is strict: a column that is missing, of another type or out of range is `corrupt`, with its name.
package struct Row: Sendable, Equatable {
    /// A row that is being written has names of its own; one that was read shares them with its neighbours: 50 000 rows
    /// of 36 columns would otherwise have 1.8 million names.
    private enum Storage: Sendable {
        case own([String: StoredValue])
        case shared(RowColumns, [StoredValue])
    }
    private var storage: Storage

    package init(_ values: [String: StoredValue] = [:]) { self.storage = .own(values) }
    /// `values` in the order of `columns`.
    package init(_ columns: RowColumns, _ values: [StoredValue]) { self.storage = .shared(columns, values) }

    /// Nil: there is no such column.
    package subscript(column column: String) -> StoredValue? {
        switch self.storage {
        case .own(let values): return values[column]
        case .shared(let columns, let values): return columns.places[column].map { values[$0] }
        }
    }

    package var values: [String: StoredValue] {
        get {
            switch self.storage {
            case .own(let values): return values
            case .shared(let columns, let values): return columns.places.mapValues { values[$0] }
            }
        }
        set { self.storage = .own(newValue) }
        _modify {
            var values = self.values
            // Empty meanwhile: the dictionary has one owner, and a column is set in place.
            self.storage = .own([:])
            defer { self.storage = .own(values) }
            yield &values
        }
    }

    package static func == (one: Row, other: Row) -> Bool { one.values == other.values }

    // Writing.

    /// U+0000, which no text of PostgreSQL can hold, becomes U+FFFD.
    mutating func set(_ column: String, _ value: String?) {
        self.values[column] = value.map { .text(Row.storable($0)) } ?? .null
    }
    mutating func set(_ column: String, _ value: Int?) {
        self.values[column] = value.map { .integer(Int64($0)) } ?? .null
    }
    mutating func set(_ column: String, _ value: Double?) { self.values[column] = value.map { .real($0) } ?? .null }
    mutating func set(_ column: String, _ value: Bool?) {
        self.values[column] = value.map { .integer($0 ? 1 : 0) } ?? .null
    }
    mutating func set(_ column: String, _ value: Date?) { self.set(column, value.map(Timestamp.text)) }
    mutating func set(_ column: String, list: [String]) { self.set(column, Row.json(list)) }
    /// In milliseconds, rounded down, within `Row.durations`.
    mutating func set(_ column: String, milliseconds: Duration?) {
        self.set(column, milliseconds.map { Row.clamped($0, perSecond: 1000) })
    }
    /// In seconds, rounded down.
    mutating func set(_ column: String, seconds: Duration?) {
        self.set(column, seconds.map { Row.clamped($0, perSecond: 1) })
    }

    // Reading.

    func text(_ column: String) throws(StoreError) -> String {
        guard let text = try self.textIfAny(column) else { throw Row.corrupt(column, "a text") }
        return text
    }

    func textIfAny(_ column: String) throws(StoreError) -> String? {
        switch self[column: column] {
        case .text(let text): return text
        case .null: return nil
        default: throw Row.corrupt(column, "a text")
        }
    }

    /// Nil for NULL and for a text without characters.
    func filledText(_ column: String) throws(StoreError) -> String? {
        try self.textIfAny(column).flatMap { $0.isEmpty ? nil : $0 }
    }

    func integer(_ column: String) throws(StoreError) -> Int {
        guard let number = try self.integerIfAny(column) else { throw Row.corrupt(column, "a whole number") }
        return number
    }

    func integerIfAny(_ column: String) throws(StoreError) -> Int? {
        switch self[column: column] {
        case .integer(let number): return Int(number)
        case .null: return nil
        default: throw Row.corrupt(column, "a whole number")
        }
    }

    func realIfAny(_ column: String) throws(StoreError) -> Double? {
        switch self[column: column] {
        case .real(let number): return number
        // JSON (the spool) writes 1.0 as 1.
        case .integer(let number): return Double(number)
        case .null: return nil
        default: throw Row.corrupt(column, "a number")
        }
    }

    func bool(_ column: String) throws(StoreError) -> Bool {
        guard let value = try self.boolIfAny(column) else { throw Row.corrupt(column, "true or false") }
        return value
    }

    /// A number, or one of the words that FusionPBX's older tables have.
    func boolIfAny(_ column: String) throws(StoreError) -> Bool? {
        switch self[column: column] {
        case .text("true"): return true
        case .text("false"): return false
        default: return try self.integerIfAny(column).map { $0 != 0 }
        }
    }

    func date(_ column: String) throws(StoreError) -> Date {
        guard let date = try self.dateIfAny(column) else {
            throw Row.corrupt(column, "a moment such as 2026-11-20T09:41:00.123Z")
        }
        return date
    }

    func dateIfAny(_ column: String) throws(StoreError) -> Date? {
        guard let text = try self.textIfAny(column) else { return nil }
        guard let date = Timestamp.date(text) else {
            throw Row.corrupt(column, "a moment such as 2026-11-20T09:41:00.123Z")
        }
        return date
    }

    /// NULL is the empty list.
    func list(_ column: String) throws(StoreError) -> [String] {
        // Most lists are empty: of 50 000 assistants' four lists each that is a second saved.
        guard let text = try self.textIfAny(column), text != "[]" else { return [] }
        guard let list = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) else {
            throw Row.corrupt(column, "a JSON array of texts")
        }
        return list
    }

    func milliseconds(_ column: String) throws(StoreError) -> Duration {
        guard let duration = try self.millisecondsIfAny(column) else {
            throw Row.corrupt(column, "milliseconds, 0 to ten years")
        }
        return duration
    }

    func millisecondsIfAny(_ column: String) throws(StoreError) -> Duration? {
        guard let number = try self.integerIfAny(column) else { return nil }
        guard Row.durations.contains(number) else { throw Row.corrupt(column, "milliseconds, 0 to ten years") }
        return .milliseconds(number)
    }

    /// Milliseconds of which `limit` is more than makes sense: what takes them would be led astray by ten years.
    func millisecondsIfAny(_ column: String, atMost limit: Int) throws(StoreError) -> Duration? {
        guard let number = try self.integerIfAny(column) else { return nil }
        guard (0...limit).contains(number) else { throw Row.corrupt(column, "milliseconds, 0 to \(limit)") }
        return .milliseconds(number)
    }

    func seconds(_ column: String) throws(StoreError) -> Duration {
        guard let duration = try self.secondsIfAny(column) else { throw Row.corrupt(column, "seconds, 0 to ten years") }
        return duration
    }

    func secondsIfAny(_ column: String) throws(StoreError) -> Duration? {
        guard let number = try self.integerIfAny(column) else { return nil }
        guard (0...Row.durations.upperBound / 1000).contains(number) else {
            throw Row.corrupt(column, "seconds, 0 to ten years")
        }
        return .seconds(number)
    }

    /// A text that `make` accepts: an id, an enum's raw value.
    func value<Value>(_ column: String, _ make: (String) -> Value?) throws(StoreError) -> Value {
        guard let value = make(try self.text(column)) else { throw Row.corrupt(column, Row.allowed(in: column)) }
        return value
    }

    func valueIfAny<Value>(_ column: String, _ make: (String) -> Value?) throws(StoreError) -> Value? {
        guard let text = try self.textIfAny(column) else { return nil }
        guard let value = make(text) else { throw Row.corrupt(column, Row.allowed(in: column)) }
        return value
    }

    /// Nil also for what `make` does not accept: where another program's words may stand, and no harm is done without.
    func known<Value>(_ column: String, _ make: (String) -> Value?) throws(StoreError) -> Value? {
        try self.textIfAny(column).flatMap(make)
    }

    /// One of a few words: the error names them.
    func value<Value: RawRepresentable & CaseIterable>(
        _ column: String, _ make: (String) -> Value?
    ) throws(StoreError) -> Value where Value.RawValue == String {
        guard let value = try self.valueIfAny(column, make) else { throw Row.corrupt(column, Row.words(Value.self)) }
        return value
    }

    func valueIfAny<Value: RawRepresentable & CaseIterable>(
        _ column: String, _ make: (String) -> Value?
    ) throws(StoreError) -> Value? where Value.RawValue == String {
        guard let text = try self.textIfAny(column) else { return nil }
        guard let value = make(text) else { throw Row.corrupt(column, Row.words(Value.self)) }
        return value
    }

    private static func words<Value: RawRepresentable & CaseIterable>(_ type: Value.Type) -> String
    where Value.RawValue == String {
        "one of " + type.allCases.map(\.rawValue).joined(separator: ", ")
    }

    private static func allowed(in column: String) -> String {
        column.hasSuffix("_uuid") ? "a UUID" : "an id: letters, digits, - and _"
    }

    /// Says where it is and what is allowed there; never what stands there.
    static func corrupt(_ column: String, _ allowed: String) -> StoreError {
        StoreError(.corrupt, "column \(column) must be \(allowed)")
    }

    /// Milliseconds that a stored duration may have: to ten years, far from where `Duration.nanoseconds` overflows.
    static let durations: ClosedRange<Int> = 0...315_360_000_000

    static func json(_ list: [String]) -> String {
        // An array of strings always encodes.
        (try? JSONEncoder().encode(list.map(Row.storable))).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
    }

    static func storable(_ text: String) -> String {
        text.utf8.contains(0) ? text.replacing("\u{0}", with: "\u{FFFD}") : text
    }

    private static func clamped(_ duration: Duration, perSecond: Int64) -> Int {
        let (seconds, attoseconds) = duration.components
        let limit = Int64(Row.durations.upperBound) / 1000
        let whole = min(max(seconds, 0), limit)
        let fraction: Int64 = seconds < 0 || whole == limit ? 0 : attoseconds / (1_000_000_000_000_000_000 / perSecond)
        return Int(whole * perSecond + max(fraction, 0))
    }
}

extension StoredValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let number = try? container.decode(Int64.self) {
            self = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            self = .real(number)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .integer(let number): try container.encode(number)
        case .real(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }
}
