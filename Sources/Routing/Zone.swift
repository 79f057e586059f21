import Foundation
import Telephony

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
        return "\(self.day.text) \(TimeOfDay.text(self.minute)):\(zeroPadded(self.second % 60, 2)) "
            + "\(self.offset < 0 ? "-" : "+")\(zeroPadded(minutes / 60, 2)):\(zeroPadded(minutes % 60, 2))"
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

    package static func text(_ minute: Int) -> String { "\(zeroPadded(minute / 60, 2)):\(zeroPadded(minute % 60, 2))" }
}
