import CICal
import Foundation
import Routing
import Telephony

/// Why a calendar file was not taken: which event, and what would be right.
package struct CalendarFileError: Error, Equatable, CustomStringConvertible {
    /// From 1, in the order of the file; 0: the file as a whole.
    package var event: Int
    package var problem: String

    package var description: String { self.event == 0 ? self.problem : "event \(self.event): \(self.problem)" }
}

/// Reads the events of an iCalendar file as exceptions of dates.
///
/// An all-day event is its days, a timed one its hours. An event of every year is kept as that; every other recurrence is
/// written out from `today` for `horizon` years. Cancelled events are left out. Events mean closed unless it is said
/// otherwise. An event that takes the place of one occurrence of another (RECURRENCE-ID) does so: it stands where it says,
/// or nowhere when it is cancelled.
package struct CalendarFile: Sendable {
    package struct Limits: Sendable {
        package var bytes = 2 * 1024 * 1024
        package var lines = 100_000
        package var depth = 4
        package var events = 2000
        /// Days of one recurrence that are looked at, and kept.
        package var steps = 20_000
        package var occurrences = 1000
        package var dates = 5000
        package init() {}
    }

    package var limits = Limits()
    /// The clocks by which dates count.
    package var zone: Zone
    package var isOpen: Bool
    package var today: CivilDay
    /// Years of recurrences that are written out.
    package var horizon: Int

    package init(zone: Zone, isOpen: Bool = false, today: CivilDay, horizon: Int = 5) {
        self.zone = zone
        self.isOpen = isOpen
        self.today = today
        self.horizon = horizon
    }

    /// The dates of a file, in the order of time.
    package func dates(of bytes: [UInt8]) throws(CalendarFileError) -> [CalendarDateRow] {
        let text = try self.checked(bytes)
        guard let root = pronto_ical_parse(text) else {
            throw CalendarFileError(event: 0, problem: "no iCalendar file")
        }
        defer { icalcomponent_free(root) }
        var calendars: [OpaquePointer] = []
        switch icalcomponent_isa(root) {
        case ICAL_VCALENDAR_COMPONENT: calendars = [root]
        case ICAL_XROOT_COMPONENT:
            calendars = Self.children(of: root, ICAL_VCALENDAR_COMPONENT)
        default: break
        }
        guard !calendars.isEmpty else {
            throw CalendarFileError(event: 0, problem: "no iCalendar file: it has no VCALENDAR")
        }
        var found: [(order: String, row: CalendarDateRow)] = []
        var number = 0
        for calendar in calendars {
            let events = Self.children(of: calendar, ICAL_VEVENT_COMPONENT)
            guard number + events.count <= self.limits.events else {
                throw CalendarFileError(event: 0, problem: "more than \(self.limits.events) events")
            }
            let replaced = try self.replacements(among: events, from: number)
            for event in events {
                number += 1
                for row in try self.rows(of: event, number, replaced: replaced) {
                    found.append(("\(row.from) \(row.start ?? "")", row))
                }
                guard found.count <= self.limits.dates else {
                    throw CalendarFileError(event: 0, problem: "more than \(self.limits.dates) dates")
                }
            }
        }
        guard number > 0 else { throw CalendarFileError(event: 0, problem: "it has no VEVENT") }
        found.sort { $0.order < $1.order }
        return found.enumerated().map { index, entry in
            var row = entry.row
            row.number = index + 1
            return row
        }
    }

    /// The text without what libical should not have to survive.
    private func checked(_ bytes: [UInt8]) throws(CalendarFileError) -> String {
        func refuse(_ problem: String) -> CalendarFileError { CalendarFileError(event: 0, problem: problem) }
        guard bytes.count <= self.limits.bytes else { throw refuse("larger than \(self.limits.bytes) bytes") }
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw refuse("no iCalendar file: not UTF-8 text")
        }
        var depth = 0
        var lines = 0
        for line in bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            lines += 1
            guard lines <= self.limits.lines else { throw refuse("more than \(self.limits.lines) lines") }
            let start = String(decoding: line.prefix(6), as: UTF8.self).uppercased()
            if start == "BEGIN:" {
                depth += 1
                guard depth <= self.limits.depth else {
                    throw refuse("more than \(self.limits.depth) components in one another")
                }
            } else if start.hasPrefix("END:") {
                depth -= 1
            }
        }
        guard depth == 0 else { throw refuse("no iCalendar file: BEGIN and END do not match") }
        return text
    }

    private static func children(of parent: OpaquePointer, _ kind: icalcomponent_kind) -> [OpaquePointer] {
        var children: [OpaquePointer] = []
        var next = icalcomponent_get_first_component(parent, kind)
        while let child = next {
            children.append(child)
            next = icalcomponent_get_next_component(parent, kind)
        }
        return children
    }

    static func properties(of parent: OpaquePointer, _ kind: icalproperty_kind) -> [OpaquePointer] {
        var properties: [OpaquePointer] = []
        var next = icalcomponent_get_first_property(parent, kind)
        while let property = next {
            properties.append(property)
            next = icalcomponent_get_next_property(parent, kind)
        }
        return properties
    }

    // MARK: One event

    /// An event's first occurrence.
    struct Span {
        var start: icaltimetype
        /// Days that an all-day event lasts, at least 1; of a timed one, seconds.
        var length: Int
        var isWholeDay: Bool
        /// The zone of its times; nil: the calendar's clocks.
        var zone: TimeZone?
    }

    private func rows(
        of event: OpaquePointer, _ number: Int, replaced: [String: [Mark]]
    ) throws(CalendarFileError) -> [CalendarDateRow] {
        func refuse(_ problem: String) -> CalendarFileError { CalendarFileError(event: number, problem: problem) }
        if icalcomponent_get_status(event) == ICAL_STATUS_CANCELLED { return [] }
        if !Self.properties(of: event, ICAL_XLICERROR_PROPERTY).isEmpty {
            throw refuse("a line that iCalendar does not have: check DTSTART, DTEND and RRULE")
        }
        let span = try self.span(of: event, number)
        let name = icalcomponent_get_summary(event).map { String(String(cString: $0).prefix(64)) }
        let rules = Self.properties(of: event, ICAL_RRULE_PROPERTY)
        guard rules.count <= 1 else { throw refuse("RRULE: more than one") }
        var excluded: [Mark] = []
        for property in Self.properties(of: event, ICAL_EXDATE_PROPERTY) {
            excluded.append(try self.mark(property, icalproperty_get_exdate(property), number))
        }
        if icalcomponent_get_first_property(event, ICAL_RECURRENCEID_PROPERTY) == nil,
            let uid = icalcomponent_get_uid(event)
        {
            excluded += replaced[String(cString: uid)] ?? []
        }
        let added = try self.added(to: event, span, number)

        var starts: [icaltimetype] = []
        if let rule = rules.first {
            let frequency = pronto_ical_frequency(rule)
            guard
                [ICAL_DAILY_RECURRENCE, ICAL_WEEKLY_RECURRENCE, ICAL_MONTHLY_RECURRENCE, ICAL_YEARLY_RECURRENCE]
                    .contains(frequency)
            else { throw refuse("RRULE: FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY") }
            if span.isWholeDay, excluded.isEmpty, added.isEmpty, span.length < 366,
                pronto_ical_is_plain_yearly(rule, span.start), let row = self.yearly(span, name)
            {
                return [row]
            }
            starts = try self.occurrences(rule, span, number)
        } else {
            starts = [span.start]
        }
        let known = Set(starts.map(Self.minute))
        starts += added.filter { !known.contains(Self.minute($0)) }
        var rows: [CalendarDateRow] = []
        for start in self.without(excluded, starts, span) {
            rows += try self.rows(from: start, span, name, number)
            guard rows.count <= self.limits.dates else { throw refuse("more than \(self.limits.dates) dates") }
        }
        return rows
    }

    static func day(_ time: icaltimetype) -> CivilDay? {
        CivilDay(year: Int(time.year), month: Int(time.month), day: Int(time.day))
    }

    private func span(of event: OpaquePointer, _ number: Int) throws(CalendarFileError) -> Span {
        func refuse(_ problem: String) -> CalendarFileError { CalendarFileError(event: number, problem: problem) }
        guard let property = icalcomponent_get_first_property(event, ICAL_DTSTART_PROPERTY) else {
            throw refuse("DTSTART is missing")
        }
        let start = icalproperty_get_dtstart(property)
        guard let first = Self.day(start), (0..<24).contains(start.hour), (0..<60).contains(start.minute) else {
            throw refuse("DTSTART: a date that exists")
        }
        let isWholeDay = start.is_date != 0
        var zone: TimeZone?
        if !isWholeDay { zone = try Self.zone(of: property, start, number) }
        guard let endProperty = icalcomponent_get_first_property(event, ICAL_DTEND_PROPERTY) else {
            // RFC 5545 §3.6.1: without an end an all-day event is one day, a timed one no time at all.
            let duration = Self.seconds(icalcomponent_get_duration(event))
            guard !isWholeDay || duration <= 0 else {
                guard duration % 86400 == 0, duration / 86400 <= 3660 else {
                    throw refuse("DURATION: whole days, ten years at most")
                }
                return Span(start: start, length: duration / 86400, isWholeDay: true, zone: nil)
            }
            if isWholeDay { return Span(start: start, length: 1, isWholeDay: true, zone: nil) }
            guard duration > 0 else { throw refuse("DTEND is missing: a time without an end closes nothing") }
            guard duration <= Self.longest else { throw refuse("DURATION: a year at most") }
            return Span(start: start, length: duration, isWholeDay: false, zone: zone)
        }
        let end = icalproperty_get_dtend(endProperty)
        guard let last = Self.day(end) else { throw refuse("DTEND: a date that exists") }
        guard (end.is_date != 0) == isWholeDay else { throw refuse("DTEND: a date where DTSTART is one, else a time") }
        if isWholeDay {
            // DTEND is the day after (RFC 5545 §3.6.1); equal to DTSTART some programs mean one day.
            let days = max(last.number - first.number, last == first ? 1 : 0)
            guard (1...3660).contains(days) else { throw refuse("DTEND: after DTSTART, ten years at most") }
            return Span(start: start, length: days, isWholeDay: true, zone: nil)
        }
        let endZone = try Self.zone(of: endProperty, end, number)
        guard let from = self.moment(start, zone), let to = self.moment(end, endZone) else {
            throw refuse("DTSTART: a time that exists")
        }
        let seconds = to.timeIntervalSince(from)
        guard seconds > 0, seconds <= Double(Self.longest) else { throw refuse("DTEND: after DTSTART, a year at most") }
        return Span(start: start, length: Int(seconds), isWholeDay: false, zone: zone)
    }

    /// In seconds, of an event with hours.
    private static let longest = 366 * 86400

    /// libical's own sum is 32 bits wide: of P50000D it makes 289 days.
    private static func seconds(_ duration: icaldurationtype) -> Int {
        let days = Int(duration.weeks) * 7 + Int(duration.days)
        let seconds = ((days * 24 + Int(duration.hours)) * 60 + Int(duration.minutes)) * 60 + Int(duration.seconds)
        return duration.is_neg == 0 ? seconds : -seconds
    }

    /// The zone of a time; nil: floating, by the calendar's clocks.
    static func zone(
        of property: OpaquePointer, _ time: icaltimetype, _ number: Int
    ) throws(CalendarFileError) -> TimeZone? {
        if icaltime_is_utc(time) != 0 { return .gmt }
        guard let parameter = icalproperty_get_first_parameter(property, ICAL_TZID_PARAMETER),
            let text = icalparameter_get_tzid(parameter)
        else { return nil }
        guard let zone = Zone(String(cString: text)), let found = TimeZone(identifier: zone.name) else {
            throw CalendarFileError(
                event: number,
                problem: "TZID: a zone of the IANA database, such as Europe/Rome (Windows has other names)")
        }
        return found
    }

    func moment(_ time: icaltimetype, _ zone: TimeZone?) -> Date? {
        guard let zone = zone ?? TimeZone(identifier: self.zone.name) else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        return calendar.date(
            from: DateComponents(
                year: Int(time.year), month: Int(time.month), day: Int(time.day), hour: Int(time.hour),
                minute: Int(time.minute), second: 0))
    }

    // MARK: Recurrence

    private func occurrences(
        _ rule: OpaquePointer, _ span: Span, _ number: Int
    ) throws(CalendarFileError) -> [icaltimetype] {
        guard let iterator = pronto_ical_days(rule, span.start) else {
            throw CalendarFileError(event: number, problem: "RRULE: cannot be followed")
        }
        defer { icalrecur_iterator_free(iterator) }
        let days = span.isWholeDay ? span.length : span.length / 86400 + 2
        let first = CivilDay(number: self.today.number - days)
        let last = CivilDay(number: self.today.number + self.horizon * 366)
        var starts: [icaltimetype] = []
        for _ in 0..<self.limits.steps {
            let next = icalrecur_iterator_next(iterator)
            guard icaltime_is_null_time(next) == 0, let day = Self.day(next), day <= last else { return starts }
            if day < first { continue }
            starts.append(next)
            guard starts.count <= self.limits.occurrences else {
                throw CalendarFileError(
                    event: number,
                    problem: "RRULE: more than \(self.limits.occurrences) dates: weekly hours belong into time_windows")
            }
        }
        throw CalendarFileError(event: number, problem: "RRULE: more than \(self.limits.steps) steps to today")
    }

    /// A period of every year; nil: its days are not the same in each, because it reaches over the end of February, so that
    /// it has to be written out.
    private func yearly(_ span: Span, _ name: String?) -> CalendarDateRow? {
        guard let (_, month, day) = Self.day(span.start)?.parts else { return nil }
        // Before a leap year, in one, and before another common one.
        let ends = [2023, 2024, 2025].compactMap { CivilDay(year: $0, month: month, day: day) }.map { start in
            let (_, month, day) = CivilDay(number: start.number + span.length - 1).parts
            return Self.text(month, day)
        }
        guard let end = ends.first, ends.allSatisfy({ $0 == end }) else { return nil }
        // The 29th of February by itself is a date of leap years.
        guard ends.count == 3 || span.length == 1 else { return nil }
        return CalendarDateRow(number: 0, name: name, mode: self.mode, from: Self.text(month, day), to: end)
    }

    private var mode: String { self.isOpen ? "open" : "closed" }

    private static func text(_ month: Int, _ day: Int) -> String {
        String("\(10000 + month * 100 + day)".suffix(4)).monthDay
    }

    /// One occurrence: whole days as one row, hours as a row a day by the calendar's clocks.
    private func rows(
        from start: icaltimetype, _ span: Span, _ name: String?, _ number: Int
    ) throws(CalendarFileError) -> [CalendarDateRow] {
        guard let first = Self.day(start) else {
            throw CalendarFileError(event: number, problem: "a date that does not exist")
        }
        if span.isWholeDay {
            let last = CivilDay(number: first.number + span.length - 1)
            return [CalendarDateRow(number: 0, name: name, mode: self.mode, from: first.text, to: last.text)]
        }
        guard let moment = self.moment(start, span.zone) else {
            throw CalendarFileError(event: number, problem: "DTSTART: a time that exists")
        }
        let begin = self.zone.clock(at: moment)
        let end = self.zone.clock(at: moment.addingTimeInterval(Double(span.length)))
        var rows: [CalendarDateRow] = []
        for day in begin.day.number...max(begin.day.number, end.day.number) {
            let from = day == begin.day.number ? begin.minute : 0
            let to = day == end.day.number ? end.minute : 1440
            // Ends at midnight: nothing of the day after. An hour that is repeated may end before it begins.
            guard from < to else { continue }
            let text = CivilDay(number: day).text
            rows.append(
                CalendarDateRow(
                    number: 0, name: name, mode: self.mode, from: text, to: text,
                    start: from == 0 && to == 1440 ? nil : TimeOfDay.text(from),
                    end: from == 0 && to == 1440 ? nil : TimeOfDay.text(to)))
        }
        return rows
    }
}

extension String {
    /// `1225` as `12-25`.
    fileprivate var monthDay: String { "\(self.prefix(2))-\(self.suffix(2))" }
}
