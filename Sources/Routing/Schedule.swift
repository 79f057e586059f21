import Foundation
import Telephony

/// When the AI answers: weekly hours, and dates that are otherwise.
///
/// Without weekly hours it is always open, but for the exceptions. The date on the wall decides which exceptions count,
/// and an exception decides its whole date: hours of the evening before do not reach into a closed day.
package struct Schedule: Sendable {
    /// Why a moment is open or not.
    package enum Verdict: Sendable, Equatable {
        /// No weekly hours: always.
        case always
        /// Inside the window of this place in `time_windows`.
        case window(Int)
        case outside
        case exceptionOpen(String)
        case exceptionClosed(String)

        package var isOpen: Bool {
            switch self {
            case .always, .window, .exceptionOpen: true
            case .outside, .exceptionClosed: false
            }
        }
    }

    /// Nil: no weekly hours at all.
    var weeks: [WeeklyHours]?
    /// In the order in which they decide: the row's own, then those of its calendars.
    var exceptions: [ExceptionList]

    package init() {
        self.weeks = nil
        self.exceptions = []
    }

    package func verdict(at moment: Date) -> Verdict {
        // Usually all of one zone: its clock is read once.
        var last: (zone: Zone, clock: Clock)?
        func clock(_ zone: Zone) -> Clock {
            if let last, last.zone == zone { return last.clock }
            let clock = zone.clock(at: moment)
            last = (zone, clock)
            return clock
        }
        for list in self.exceptions {
            if let verdict = list.verdict(clock: clock) { return verdict }
        }
        guard let weeks = self.weeks else { return .always }
        for week in weeks {
            if let window = week.window(at: clock(week.zone)) { return .window(window) }
        }
        return .outside
    }
}

/// Hours of a week in one zone: intervals of minutes since Monday 00:00 that do not overlap.
struct WeeklyHours: Sendable {
    static let length = 7 * 1440

    struct Interval: Sendable {
        var start: Int
        /// At most a day beyond `start`: it may lie in the next week.
        var end: Int
        /// Its place in `time_windows`.
        var window: Int
    }

    var zone: Zone
    var intervals: [Interval]

    func window(at clock: Clock) -> Int? {
        let minute = clock.day.weekday * 1440 + clock.minute
        for interval in self.intervals {
            if interval.start <= minute, minute < interval.end { return interval.window }
            // Sunday night reaches into Monday.
            if interval.start <= minute + Self.length, minute + Self.length < interval.end { return interval.window }
        }
        return nil
    }

    /// Two intervals that share a minute, by the places of their windows; nil: there are none.
    var overlap: (Int, Int)? {
        // Each also as it lies in the week before, so that the turn of the week is no special case.
        let all =
            (self.intervals
            + self.intervals.map {
                Interval(start: $0.start - Self.length, end: $0.end - Self.length, window: $0.window)
            }).sorted { $0.start < $1.start }
        for (one, other) in zip(all, all.dropFirst()) where other.start < one.end { return (one.window, other.window) }
        return nil
    }
}

/// One date, or a period of dates, on which the weekly hours do not count.
package struct DateException: Sendable, Equatable {
    package enum Period: Sendable, Equatable {
        /// Once, both days included.
        case once(CivilDay, CivilDay)
        /// Each year, from month and day to month and day, both included; may pass the end of the year. 29 February
        /// is a date of leap years only.
        case yearly(from: MonthDay, to: MonthDay)
    }

    package var period: Period
    package var isOpen: Bool
    /// Minutes of the day; empty: all of it.
    package var hours: [Range<Int>]
    /// For explanations: `Ferragosto`.
    package var name: String

    package init(period: Period, isOpen: Bool, hours: [Range<Int>] = [], name: String) {
        self.period = period
        self.isOpen = isOpen
        self.hours = hours
        self.name = name
    }

    func covers(_ day: CivilDay) -> Bool {
        switch self.period {
        case .once(let from, let to): return from <= day && day <= to
        case .yearly(let from, let to):
            let (_, month, dayOfMonth) = day.parts
            let date = MonthDay(month: month, day: dayOfMonth)
            return from <= to ? from <= date && date <= to : date >= from || date <= to
        }
    }

    /// What is narrower decides first: once before yearly, then the shorter period.
    var rank: (Int, Int) {
        switch self.period {
        case .once(let from, let to): return (0, to.number - from.number)
        case .yearly(let from, let to):
            let days = to.ordinal - from.ordinal
            return (1, days < 0 ? days + 366 : days)
        }
    }
}

/// A day of every year.
package struct MonthDay: Sendable, Equatable, Comparable {
    package let month: Int
    package let day: Int

    init(month: Int, day: Int) {
        self.month = month
        self.day = day
    }

    /// `12-25`, and `02-29`; nil: no such day in any year.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 2, let month = wholeNumber(parts[0]), (1...12).contains(month),
            parts[1].utf8.count == 2, let day = wholeNumber(parts[1]),
            (1...CivilDay.length(of: month, in: 2024)).contains(day)
        else { return nil }
        self.init(month: month, day: day)
    }

    var ordinal: Int { (CivilDay(year: 2024, month: self.month, day: self.day)?.number ?? 0) - 19723 }

    package static func < (one: MonthDay, other: MonthDay) -> Bool {
        (one.month, one.day) < (other.month, other.day)
    }
}

/// Exceptions of one source in one zone, the narrowest first.
final class ExceptionList: Sendable {
    let zone: Zone
    let exceptions: [DateException]

    init(zone: Zone, _ exceptions: [DateException]) {
        self.zone = zone
        self.exceptions = exceptions.sorted { $0.rank < $1.rank }
    }

    /// Nil: no exception says anything about this moment.
    func verdict(clock: (Zone) -> Clock) -> Schedule.Verdict? {
        let clock = clock(self.zone)
        var index = 0
        while index < self.exceptions.count {
            guard self.exceptions[index].covers(clock.day) else {
                index += 1
                continue
            }
            // Equally narrow ones are asked together: closed beats open.
            let rank = self.exceptions[index].rank
            var opening: DateException?
            var special: DateException?
            while index < self.exceptions.count, self.exceptions[index].rank == rank {
                let exception = self.exceptions[index]
                index += 1
                guard exception.covers(clock.day) else { continue }
                let isNow = exception.hours.isEmpty || exception.hours.contains { $0.contains(clock.minute) }
                if !exception.isOpen {
                    if isNow { return .exceptionClosed(exception.name) }
                } else if isNow {
                    opening = opening ?? exception
                } else {
                    special = special ?? exception
                }
            }
            if let opening { return .exceptionOpen(opening.name) }
            // Opening hours of a date take the place of the week's.
            if let special { return .exceptionClosed(special.name) }
        }
        return nil
    }
}
