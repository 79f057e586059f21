import Foundation

/// A time zone of the IANA database, and what its clocks show.
package struct Zone: Sendable, Equatable {
    package let name: String
    private let zone: TimeZone

    /// Nil unless `name` is a name of the IANA database. Offsets (`GMT+3`, which Foundation would take) and
    /// abbreviations are not: they know no daylight saving.
    package init?(_ name: String) {
        guard Self.hasShape(name), let zone = TimeZone(identifier: name) else { return nil }
        self.name = name
        self.zone = zone
    }

    private init(utc: TimeZone) {
        self.name = "UTC"
        self.zone = utc
    }

    package static let utc = Zone(utc: .gmt)

    package static func == (one: Zone, other: Zone) -> Bool { one.name == other.name }

    private static func hasShape(_ name: String) -> Bool {
        if name == "UTC" { return true }
        guard (3...64).contains(name.utf8.count), name.contains("/") else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "+"):
                true
            default: false
            }
        }
    }

    /// What the clocks of this zone show at a moment. Every moment shows exactly one time; the reverse is not so.
    package func clock(at moment: Date) -> Clock {
        // 9999-12-31: far from where the arithmetic would overflow.
        let seconds = min(max(moment.timeIntervalSince1970, 0), 253_402_300_799)
        let whole = seconds.isFinite ? Int(seconds.rounded(.down)) : 0
        let offset = self.zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(whole)))
        let local = whole + offset
        let day = Int((Double(local) / 86400).rounded(.down))
        return Clock(day: CivilDay(number: day), second: local - day * 86400, offset: offset)
    }
}

/// A date and a time of day, as a clock on the wall shows them.
package struct Clock: Sendable, Equatable {
    package var day: CivilDay
    /// Since midnight.
    package var second: Int
    /// What the zone was ahead of UTC, in seconds.
    package var offset: Int

    package var minute: Int { self.second / 60 }

    /// `2026-12-25 10:00:00 +01:00`.
    package var text: String {
        let minutes = abs(self.offset) / 60
        return "\(self.day.text) \(TimeOfDay.text(self.minute)):\(padded(self.second % 60, 2)) "
            + "\(self.offset < 0 ? "-" : "+")\(padded(minutes / 60, 2)):\(padded(minutes % 60, 2))"
    }
}

/// A date of the proleptic Gregorian calendar, as days since 1970-01-01.
package struct CivilDay: Sendable, Hashable, Comparable {
    package let number: Int

    package init(number: Int) { self.number = number }

    /// Nil unless there is such a date: not 2026-02-29.
    package init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month), (1...Self.length(of: month, in: year)).contains(day)
        else { return nil }
        // Years that begin in March, so that the leap day is their last.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        self.number = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    package var parts: (year: Int, month: Int, day: Int) {
        let shifted = self.number + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400
        return month < 10 ? (year, month + 3, day) : (year + 1, month - 9, day)
    }

    /// Monday is 0. 1970-01-01 was a Thursday.
    package var weekday: Int { ((self.number + 3) % 7 + 7) % 7 }

    /// `2026-12-25`.
    package var text: String {
        let (year, month, day) = self.parts
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }

    package static func < (one: CivilDay, other: CivilDay) -> Bool { one.number < other.number }

    package static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    package static func length(of month: Int, in year: Int) -> Int {
        switch month {
        case 2: Self.isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// `2026-12-25`; nil: no such date.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, let year = wholeNumber(parts[0]), parts[1].utf8.count == 2,
            let month = wholeNumber(parts[1]), parts[2].utf8.count == 2, let day = wholeNumber(parts[2])
        else { return nil }
        self.init(year: year, month: month, day: day)
    }
}

/// Minutes since midnight, written `09:30`.
package enum TimeOfDay {
    /// `00:00` to `24:00`, with or without `:00` for seconds; nil: it is none.
    package static func minute(_ text: some StringProtocol) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), parts.allSatisfy({ $0.utf8.count == 2 }), let hour = wholeNumber(parts[0]),
            let minute = wholeNumber(parts[1]), minute < 60, parts.count == 2 || parts[2] == "00"
        else { return nil }
        let whole = hour * 60 + minute
        return whole <= 1440 ? whole : nil
    }

    package static func text(_ minute: Int) -> String { "\(padded(minute / 60, 2)):\(padded(minute % 60, 2))" }
}

/// Digits only; nil for anything else, also for a sign.
func wholeNumber(_ text: some StringProtocol) -> Int? {
    guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
}

func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// Moments as RFC 3339 writes them: `2026-12-25T10:00:00+01:00`.
package enum Moment {
    /// Nil unless `text` is a date and time with a zone (RFC 3339 §5.6). A blank is taken for `T` and for the `+` that a
    /// query turns into one.
    package static func date(_ text: some StringProtocol) -> Date? {
        let bytes = Array(text.utf8)
        guard (20...35).contains(bytes.count), let day = CivilDay(text.prefix(10)),
            bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: "t") || bytes[10] == UInt8(ascii: " ")
        else { return nil }
        func two(_ index: Int) -> Int? {
            guard index + 2 <= bytes.count, (0x30...0x39).contains(bytes[index]),
                (0x30...0x39).contains(bytes[index + 1])
            else { return nil }
            return Int(bytes[index] - 0x30) * 10 + Int(bytes[index + 1] - 0x30)
        }
        guard let hour = two(11), bytes[13] == UInt8(ascii: ":"), let minute = two(14), bytes[16] == UInt8(ascii: ":"),
            let second = two(17), hour < 24, minute < 60, second < 61
        else { return nil }
        var index = 19
        if bytes[index] == UInt8(ascii: ".") {
            index += 1
            let start = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
            guard index > start else { return nil }
        }
        guard index < bytes.count else { return nil }
        var offset = 0
        switch bytes[index] {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"):
            guard index + 1 == bytes.count else { return nil }
        case UInt8(ascii: "+"), UInt8(ascii: " "), UInt8(ascii: "-"):
            guard bytes.count == index + 6, let hours = two(index + 1), bytes[index + 3] == UInt8(ascii: ":"),
                let minutes = two(index + 4), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (bytes[index] == UInt8(ascii: "-") ? -60 : 60)
        default: return nil
        }
        return Date(timeIntervalSince1970: Double(day.number * 86400 + hour * 3600 + minute * 60 + second - offset))
    }
}
