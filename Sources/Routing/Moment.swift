#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
import Telephony

/// Times over HTTP and on the command line: RFC 3339 §5.6, any offset in, UTC with milliseconds out.
package enum Moment {
    private static let earliest = -62_135_596_800.0
    private static let latest = 253_402_300_799.0

    package static func text(_ date: Date) -> String {
        let seconds = min(max(date.timeIntervalSince1970, Self.earliest), Self.latest)
        let milliseconds = Int((seconds * 1000).rounded())
        let day = Int((Double(milliseconds) / 86_400_000).rounded(.down))
        let rest = milliseconds - day * 86_400_000
        return "\(CivilDay(number: day).text)T"
            + "\(zeroPadded(rest / 3_600_000, 2)):\(zeroPadded(rest / 60000 % 60, 2)):"
            + "\(zeroPadded(rest / 1000 % 60, 2)).\(zeroPadded(rest % 1000, 3))Z"
    }

    /// Nil unless `text` is a date-time of the RFC. A leap second counts as the second after it.
    package static func date(_ text: String) -> Date? {
        var rest = Array(text.utf8)[...]
        func number(_ count: Int, _ range: ClosedRange<Int>) -> Int? {
            guard rest.count >= count, rest.prefix(count).allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            let value = rest.prefix(count).reduce(0) { $0 * 10 + Int($1 - 0x30) }
            rest = rest.dropFirst(count)
            return range.contains(value) ? value : nil
        }
        func take(_ characters: String) -> UInt8? {
            guard let first = rest.first, characters.utf8.contains(first) else { return nil }
            rest = rest.dropFirst()
            return first
        }
        guard let year = number(4, 1...9999), take("-") != nil, let month = number(2, 1...12), take("-") != nil,
            let day = number(2, 1...31), take("Tt") != nil, let hour = number(2, 0...23), take(":") != nil,
            let minute = number(2, 0...59), take(":") != nil, let second = number(2, 0...60)
        else { return nil }
        var fraction = 0.0
        if take(".") != nil {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            guard (1...18).contains(digits.count), let value = Double("0." + String(decoding: digits, as: UTF8.self))
            else { return nil }
            fraction = value
            rest = rest.dropFirst(digits.count)
        }
        var offset = 0
        guard let sign = take("Zz+-") else { return nil }
        if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            guard let hours = number(2, 0...23), take(":") != nil, let minutes = number(2, 0...59) else { return nil }
            offset = (hours * 60 + minutes) * (sign == UInt8(ascii: "+") ? 60 : -60)
        }
        guard rest.isEmpty, let date = CivilDay(year: year, month: month, day: day) else { return nil }
        let whole = date.number * 86400 + hour * 3600 + minute * 60 + second - offset
        // An offset can lead beyond the years that databases know.
        return Date(timeIntervalSince1970: min(max(Double(whole) + fraction, Self.earliest), Self.latest))
    }

    /// As `date`, of a query's value: a blank stands for `T`, and for the `+` that a form turned into one.
    package static func date(ofQuery text: some StringProtocol) -> Date? {
        guard let blank = text.firstIndex(of: " ") else { return Self.date(String(text)) }
        var text = String(text)
        let isSeparator = text.utf8.distance(from: text.startIndex, to: blank) == 10
        if isSeparator { text.replaceSubrange(blank...blank, with: "T") }
        return Self.date(text.replacing(" ", with: "+"))
    }
}
