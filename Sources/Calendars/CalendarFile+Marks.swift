import CICal
import Foundation
import Routing
import Telephony

// The moments that name occurrences: what is added to a series, left out of it, and replaced in it.
extension CalendarFile {
    /// A moment that names an occurrence: of EXDATE, RDATE or RECURRENCE-ID, as it is written.
    struct Mark {
        var time: icaltimetype
        /// Of its own TZID, or UTC; nil: as the event's.
        var zone: TimeZone?
        var isDate: Bool { self.time.is_date != 0 }
    }

    /// By UID, the occurrences in whose place another event stands (RFC 5545 §3.8.4.4).
    func replacements(
        among events: [OpaquePointer], from number: Int
    ) throws(CalendarFileError) -> [String: [Mark]] {
        var replaced: [String: [Mark]] = [:]
        for (index, event) in events.enumerated() {
            let number = number + index + 1
            guard let property = icalcomponent_get_first_property(event, ICAL_RECURRENCEID_PROPERTY) else { continue }
            func refuse(_ problem: String) -> CalendarFileError { CalendarFileError(event: number, problem: problem) }
            guard icalproperty_get_first_parameter(property, ICAL_RANGE_PARAMETER) == nil else {
                throw refuse("RECURRENCE-ID: RANGE is not understood: split the series into two events")
            }
            guard let uid = icalcomponent_get_uid(event).map({ String(cString: $0) }), !uid.isEmpty else {
                throw refuse("RECURRENCE-ID: without a UID it is nobody's occurrence")
            }
            guard Self.properties(of: event, ICAL_RRULE_PROPERTY).isEmpty else {
                throw refuse("RECURRENCE-ID: an event in place of one occurrence has no RRULE of its own")
            }
            replaced[uid, default: []].append(
                try self.mark(property, icalproperty_get_recurrenceid(property), number))
        }
        return replaced
    }

    func mark(
        _ property: OpaquePointer, _ time: icaltimetype, _ number: Int
    ) throws(CalendarFileError) -> Mark {
        guard icaltime_is_null_time(time) == 0, Self.day(time) != nil else {
            throw CalendarFileError(event: number, problem: "EXDATE, RDATE or RECURRENCE-ID: a date that exists")
        }
        return Mark(time: time, zone: time.is_date != 0 ? nil : try Self.zone(of: property, time, number))
    }

    /// The same moment by the clocks of the event's own zone: what its occurrences are written in.
    func local(_ mark: Mark, _ span: Span) -> icaltimetype? {
        guard let zone = mark.zone, !span.isWholeDay, !mark.isDate else { return mark.time }
        guard let moment = self.moment(mark.time, zone),
            let own = span.zone ?? TimeZone(identifier: self.zone.name)
        else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = own
        let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute], from: moment)
        guard let year = parts.year, let month = parts.month, let day = parts.day, let hour = parts.hour,
            let minute = parts.minute
        else { return nil }
        var time = span.start
        (time.year, time.month, time.day) = (Int32(year), Int32(month), Int32(day))
        (time.hour, time.minute, time.second) = (Int32(hour), Int32(minute), 0)
        return time
    }

    /// `starts` without the occurrences that the marks name. An event that occurs once a day is told by its day, since
    /// programs are loose with the time of an EXDATE; one that occurs more often, by the minute.
    func without(_ marks: [Mark], _ starts: [icaltimetype], _ span: Span) -> [icaltimetype] {
        guard !marks.isEmpty else { return starts }
        let isDaily = Set(starts.compactMap(Self.day)).count == starts.count
        var (days, minutes): (Set<CivilDay>, Set<Int>) = ([], [])
        for mark in marks {
            guard let time = self.local(mark, span), let day = Self.day(time) else { continue }
            if mark.isDate || span.isWholeDay || isDaily { days.insert(day) } else { minutes.insert(Self.minute(time)) }
        }
        return starts.filter { start in
            !minutes.contains(Self.minute(start)) && !(Self.day(start).map(days.contains) ?? false)
        }
    }

    static func minute(_ time: icaltimetype) -> Int {
        (Self.day(time)?.number ?? 0) * 1440 + Int(time.hour) * 60 + Int(time.minute)
    }

    func added(
        to event: OpaquePointer, _ span: Span, _ number: Int
    ) throws(CalendarFileError) -> [icaltimetype] {
        var added: [icaltimetype] = []
        for property in Self.properties(of: event, ICAL_RDATE_PROPERTY) {
            let time = icalproperty_get_rdate(property).time
            guard icaltime_is_null_time(time) == 0 else {
                throw CalendarFileError(
                    event: number, problem: "RDATE: a period is not understood: write a date or time")
            }
            let mark = try self.mark(property, time, number)
            guard span.isWholeDay || !mark.isDate, let local = self.local(mark, span) else {
                throw CalendarFileError(event: number, problem: "RDATE: a time where DTSTART is one")
            }
            added.append(local)
        }
        return added
    }
}
