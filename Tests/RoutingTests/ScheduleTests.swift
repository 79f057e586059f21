import Foundation
import Testing

@testable import Routing
import Telephony

/// The schedule of a `time_windows` text.
func schedule(_ json: String, zone: String = "Europe/Rome") throws -> Schedule {
    var book = ZoneBook()
    return try Schedule.read(json, zone: #require(Zone(zone)), zones: &book)
}

func moment(_ text: String) throws -> Date { try #require(Moment.date(ofQuery: text), "\(text) is no moment") }

@Suite("Weekly hours")
struct WeeklyHoursTests {
    private static let office = #"[{"dow":[1,2,3,4,5],"start":"09:00","end":"19:00","tz":"Europe/Rome"}]"#
    private static let siesta =
        #"[{"dow":[1,2,3,4,5],"ranges":[{"start":"09:00","end":"13:00"},{"start":"15:00","end":"19:00"}]},{"dow":[6],"start":"09:00","end":"13:00"}]"#
    private static let night = #"[{"dow":[5,0],"start":"22:00","end":"06:00"}]"#

    @Test(
        "A window is from its start to just before its end, on its days, by the clock of its zone",
        arguments: [
            // 2026-11-23 is a Monday; Rome is an hour ahead of UTC.
            (Self.office, "2026-11-23T08:00:00Z", true), (Self.office, "2026-11-23T07:59:59Z", false),
            (Self.office, "2026-11-23T17:59:59Z", true), (Self.office, "2026-11-23T18:00:00Z", false),
            (Self.office, "2026-11-23T09:00:00+01:00", true), (Self.office, "2026-11-22T12:00:00+01:00", false),
            // In July two hours.
            (Self.office, "2026-07-20T07:00:00Z", true), (Self.office, "2026-07-20T17:00:00Z", false),
            // Several ranges.
            (Self.siesta, "2026-11-23T12:59:00+01:00", true), (Self.siesta, "2026-11-23T13:00:00+01:00", false),
            (Self.siesta, "2026-11-23T15:00:00+01:00", true), (Self.siesta, "2026-11-28T12:00:00+01:00", true),
            (Self.siesta, "2026-11-28T15:30:00+01:00", false),
            // Across midnight: Friday's night ends on Saturday, Sunday's in the next week.
            (Self.night, "2026-11-27T22:00:00+01:00", true), (Self.night, "2026-11-28T05:59:00+01:00", true),
            (Self.night, "2026-11-28T06:00:00+01:00", false), (Self.night, "2026-11-28T22:00:00+01:00", false),
            (Self.night, "2026-11-29T23:00:00+01:00", true), (Self.night, "2026-11-30T00:00:00+01:00", true),
            (Self.night, "2026-11-27T05:00:00+01:00", false),
            // The whole day, and no windows at all.
            (#"[{"start":"00:00","end":"24:00"}]"#, "2026-11-23T00:00:00+01:00", true),
            (#"[{"start":"00:00","end":"24:00"}]"#, "2026-11-23T23:59:59+01:00", true),
            ("null", "2026-11-23T03:00:00+01:00", true),
        ])
    func windows(json: String, at: String, isOpen: Bool) throws {
        #expect(try schedule(json).verdict(at: moment(at)).isOpen == isOpen, "\(json) at \(at)")
    }

    @Test(
        "Daylight saving: skipped clock times never match, repeated ones match twice",
        arguments: [
            // Rome, Sunday 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-03-29T00:59:59Z", false),
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-03-29T01:00:00Z", false),
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-03-29T01:30:00Z", false),
            (#"[{"start":"01:00","end":"03:00"}]"#, "Europe/Rome", "2026-03-29T00:30:00Z", true),
            (#"[{"start":"01:00","end":"03:00"}]"#, "Europe/Rome", "2026-03-29T01:00:00Z", false),
            (#"[{"dow":[6],"start":"22:00","end":"03:30"}]"#, "Europe/Rome", "2026-03-29T01:15:00Z", true),
            // Rome, Sunday 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC; 02:30 is twice.
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-10-25T00:30:00Z", true),
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-10-25T01:00:00Z", false),
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-10-25T01:30:00Z", true),
            (#"[{"start":"02:15","end":"02:45"}]"#, "Europe/Rome", "2026-10-25T02:30:00Z", false),
            // São Paulo, Sunday 2018-11-04: the day begins at 01:00 (03:00 UTC).
            (#"[{"dow":[6],"start":"23:00","end":"24:00"}]"#, "America/Sao_Paulo", "2018-11-04T02:59:59Z", true),
            (#"[{"dow":[7],"start":"00:00","end":"01:00"}]"#, "America/Sao_Paulo", "2018-11-04T03:00:00Z", false),
            (#"[{"dow":[7],"start":"00:00","end":"02:00"}]"#, "America/Sao_Paulo", "2018-11-04T03:00:00Z", true),
            // São Paulo, 2019-02-17: midnight becomes Saturday 23:00 again (02:00 UTC).
            (#"[{"dow":[6],"start":"23:00","end":"24:00"}]"#, "America/Sao_Paulo", "2019-02-17T01:30:00Z", true),
            (#"[{"dow":[6],"start":"23:00","end":"24:00"}]"#, "America/Sao_Paulo", "2019-02-17T02:30:00Z", true),
            (#"[{"dow":[6],"start":"23:00","end":"24:00"}]"#, "America/Sao_Paulo", "2019-02-17T03:00:00Z", false),
            // And none since: 2026 is three hours behind all year.
            (#"[{"start":"09:00","end":"18:00"}]"#, "America/Sao_Paulo", "2026-12-01T12:00:00Z", true),
            // Half hours: India, and Lord Howe, whose daylight saving is half an hour (2026-04-05, 02:00 to 01:30).
            (#"[{"start":"09:30","end":"18:30"}]"#, "Asia/Kolkata", "2026-11-23T04:00:00Z", true),
            (#"[{"start":"09:30","end":"18:30"}]"#, "Asia/Kolkata", "2026-11-23T03:59:59Z", false),
            (#"[{"start":"01:30","end":"02:00"}]"#, "Australia/Lord_Howe", "2026-04-04T14:45:00Z", true),
            (#"[{"start":"01:30","end":"02:00"}]"#, "Australia/Lord_Howe", "2026-04-04T15:15:00Z", true),
            (#"[{"start":"01:30","end":"02:00"}]"#, "Australia/Lord_Howe", "2026-04-04T15:30:00Z", false),
        ])
    func daylightSaving(json: String, zone: String, at: String, isOpen: Bool) throws {
        #expect(try schedule(json, zone: zone).verdict(at: moment(at)).isOpen == isOpen, "\(json) \(zone) \(at)")
    }

    @Test(
        "What cannot be meant is refused with the place and the repair",
        arguments: [
            ("7", "time_windows", "array"), ("{", "time_windows", "array"), ("[]", "time_windows", "null for always"),
            ("[7]", "time_windows[0]", "object"), ("[{}]", "time_windows[0]", "start and end"),
            (#"[{"start":"9:00","end":"19:00"}]"#, "time_windows[0].start", "HH:MM"),
            (#"[{"start":"09:00","end":"24:01"}]"#, "time_windows[0].end", "24:00"),
            (#"[{"start":"24:00","end":"01:00"}]"#, "time_windows[0].start", "23:59"),
            (#"[{"start":"09:00","end":"09:00"}]"#, "time_windows[0].end", "00:00 to 24:00"),
            (#"[{"start":"09:00"}]"#, "time_windows[0].end", "HH:MM"),
            (#"[{"dow":[],"start":"09:00","end":"10:00"}]"#, "time_windows[0].dow", "Monday"),
            (#"[{"dow":[8],"start":"09:00","end":"10:00"}]"#, "time_windows[0].dow", "Sunday"),
            (#"[{"dow":["mon"],"start":"09:00","end":"10:00"}]"#, "time_windows[0].dow", "Monday"),
            (#"[{"dow":1,"start":"09:00","end":"10:00"}]"#, "time_windows[0].dow", "array"),
            (#"[{"start":"09:00","end":"10:00","tz":"Europe/Roma"}]"#, "time_windows[0].tz", "IANA"),
            (#"[{"start":"09:00","end":"10:00","tz":"GMT+3"}]"#, "time_windows[0].tz", "IANA"),
            (#"[{"start":"09:00","end":"10:00","tz":null}]"#, "time_windows[0].tz", "IANA"),
            (#"[{"start":"09:00","end":"10:00","zone":"Europe/Rome"}]"#, "time_windows[0]", "tz"),
            (#"[{"start":"09:00","end":"10:00","start":"08:00"}]"#, "time_windows[0].start", "twice"),
            (#"[{"ranges":[],"dow":[1]}]"#, "time_windows[0].ranges", "1 to 48"),
            (
                #"[{"ranges":[{"start":"09:00","end":"10:00"}],"start":"09:00"}]"#, "time_windows[0].ranges",
                "one or the other"
            ),
            (#"[{"start":"09:00","end":"10:00","mode":"open"}]"#, "time_windows[0].mode", "exception"),
            // Overlaps: on the same day, by a night that reaches over, around the week, and within one window.
            (
                #"[{"start":"09:00","end":"12:00"},{"dow":[3],"start":"11:59","end":"13:00"}]"#, "time_windows[1]",
                "overlaps time_windows[0]"
            ),
            (
                #"[{"dow":[1],"start":"22:00","end":"06:00"},{"dow":[2],"start":"05:00","end":"09:00"}]"#,
                "time_windows[1]", "overlaps"
            ),
            (
                #"[{"dow":[7],"start":"22:00","end":"06:00"},{"dow":[1],"start":"05:00","end":"09:00"}]"#,
                "time_windows[1]", "overlaps"
            ),
            (
                #"[{"ranges":[{"start":"09:00","end":"12:00"},{"start":"11:00","end":"13:00"}]}]"#, "time_windows[0]",
                "overlaps"
            ),
            // Exceptions.
            (#"[{"date":"2026-02-29","mode":"closed"}]"#, "time_windows[0].date", "exists"),
            (#"[{"date":"02-30","mode":"closed"}]"#, "time_windows[0].date", "exists"),
            (#"[{"date":"25/12/2026","mode":"closed"}]"#, "time_windows[0].date", "YYYY-MM-DD"),
            (#"[{"date":"2026-12-25"}]"#, "time_windows[0].mode", "closed or open"),
            (#"[{"from":"2026-08-20","to":"2026-08-10","mode":"closed"}]"#, "time_windows[0].to", "before from"),
            (#"[{"from":"2026-08-20","mode":"closed"}]"#, "time_windows[0].to", "missing"),
            (#"[{"from":"08-10","to":"2026-08-20","mode":"closed"}]"#, "time_windows[0].to", "MM-DD"),
            (#"[{"date":"2026-12-24","mode":"open","start":"22:00","end":"02:00"}]"#, "time_windows[0].end", "24:00"),
            (#"[{"date":"2026-12-24","mode":"open","dow":[1]}]"#, "time_windows[0].dow", "weekly"),
        ])
    func refused(json: String, place: String, repair: String) throws {
        let problem = #expect(throws: ColumnProblem.self) { try schedule(json) }
        #expect(problem?.place == place)
        #expect(problem?.repair.contains(repair) == true, "\(problem?.repair ?? "")")
    }

    @Test("Windows that touch, or are in different zones, do not overlap")
    func touching() throws {
        _ = try schedule(#"[{"start":"09:00","end":"12:00"},{"start":"12:00","end":"13:00"}]"#)
        _ = try schedule(
            #"[{"start":"09:00","end":"12:00"},{"start":"09:00","end":"12:00","tz":"America/Sao_Paulo"}]"#)
        _ = try schedule(#"[{"dow":[7],"start":"22:00","end":"06:00"},{"dow":[1],"start":"06:00","end":"09:00"}]"#)
    }

    @Test("A text of a million brackets is refused, not read")
    func huge() {
        #expect(throws: ColumnProblem.self) { try schedule(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: ColumnProblem.self) { try schedule(String(repeating: "[", count: 60_000)) }
    }
}

@Suite("Exceptions of dates")
struct ExceptionTests {
    private static let base = #"{"dow":[1,2,3,4,5],"start":"09:00","end":"19:00"}"#

    @Test(
        "An exception beats the windows; the narrower one beats the wider; closed beats open",
        arguments: [
            // Christmas of one year, on a Friday.
            (#"{"date":"2026-12-25","mode":"closed"}"#, "2026-12-25T10:00:00+01:00", false),
            (#"{"date":"2026-12-25","mode":"closed"}"#, "2026-12-26T00:00:00+01:00", false),
            (#"{"date":"2026-12-25","mode":"closed"}"#, "2026-12-28T10:00:00+01:00", true),
            // Each year.
            (#"{"date":"12-25","mode":"closed"}"#, "2030-12-25T10:00:00+01:00", false),
            // A period, both days included; one over the end of the year.
            (#"{"from":"2026-08-10","to":"2026-08-21","mode":"closed"}"#, "2026-08-10T09:30:00+02:00", false),
            (#"{"from":"2026-08-10","to":"2026-08-21","mode":"closed"}"#, "2026-08-21T18:59:00+02:00", false),
            (#"{"from":"2026-08-10","to":"2026-08-21","mode":"closed"}"#, "2026-08-24T09:30:00+02:00", true),
            (#"{"from":"12-24","to":"01-06","mode":"closed"}"#, "2026-12-31T10:00:00+01:00", false),
            (#"{"from":"12-24","to":"01-06","mode":"closed"}"#, "2027-01-06T10:00:00+01:00", false),
            (#"{"from":"12-24","to":"01-06","mode":"closed"}"#, "2027-01-07T10:00:00+01:00", true),
            // 29 February is a date of leap years: no other day stands for it.
            (#"{"date":"02-29","mode":"closed"}"#, "2028-02-29T10:00:00+01:00", false),
            (#"{"date":"02-29","mode":"closed"}"#, "2028-02-28T10:00:00+01:00", true),
            (#"{"date":"02-29","mode":"closed"}"#, "2027-03-01T10:00:00+01:00", true),
            (#"{"from":"02-25","to":"02-29","mode":"closed"}"#, "2025-02-28T10:00:00+01:00", false),
            (#"{"from":"02-25","to":"02-29","mode":"closed"}"#, "2027-03-01T10:00:00+01:00", true),
            (#"{"date":"2028-02-29","mode":"closed"}"#, "2028-02-29T10:00:00+01:00", false),
            // Open: a Sunday; with hours these take the place of the week's.
            (#"{"date":"2026-12-20","mode":"open"}"#, "2026-12-20T03:00:00+01:00", true),
            (#"{"date":"2026-12-24","mode":"open","start":"09:00","end":"13:00"}"#, "2026-12-24T12:59:00+01:00", true),
            (#"{"date":"2026-12-24","mode":"open","start":"09:00","end":"13:00"}"#, "2026-12-24T15:00:00+01:00", false),
            (
                #"{"date":"2026-12-24","mode":"open","ranges":[{"start":"09:00","end":"11:00"},{"start":"15:00","end":"16:00"}]}"#,
                "2026-12-24T15:00:00+01:00", true
            ),
            // Closed for some hours: the rest of the day is as the week says.
            (
                #"{"date":"2026-11-23","mode":"closed","start":"14:00","end":"16:00"}"#, "2026-11-23T15:00:00+01:00",
                false
            ),
            (
                #"{"date":"2026-11-23","mode":"closed","start":"14:00","end":"16:00"}"#, "2026-11-23T13:00:00+01:00",
                true
            ),
            (
                #"{"date":"2026-11-23","mode":"closed","start":"14:00","end":"16:00"}"#, "2026-11-23T20:00:00+01:00",
                false
            ),
            // Once beats yearly, a day beats a period, closed beats open of the same day.
            (
                #"{"date":"12-08","mode":"closed"},{"date":"2026-12-08","mode":"open"}"#, "2026-12-08T10:00:00+01:00",
                true
            ),
            (
                #"{"from":"2026-08-10","to":"2026-08-21","mode":"closed"},{"date":"2026-08-12","mode":"open"}"#,
                "2026-08-12T10:00:00+02:00", true
            ),
            (
                #"{"date":"2026-12-07","mode":"open"},{"date":"2026-12-07","mode":"closed"}"#,
                "2026-12-07T10:00:00+01:00", false
            ),
        ])
    func order(exceptions: String, at: String, isOpen: Bool) throws {
        let schedule = try schedule("[\(Self.base),\(exceptions)]")
        #expect(try schedule.verdict(at: moment(at)).isOpen == isOpen, "\(exceptions) at \(at)")
    }

    @Test("Exceptions alone leave every other day open")
    func alone() throws {
        let schedule = try schedule(#"[{"date":"12-25","mode":"closed","name":"Natale"}]"#)
        #expect(try schedule.verdict(at: moment("2026-12-25T10:00:00+01:00")) == .exceptionClosed("Natale"))
        #expect(try schedule.verdict(at: moment("2026-12-24T23:59:59+01:00")) == .always)
    }

    @Test("The date is that of the exception's zone")
    func zone() throws {
        let schedule = try schedule(#"[{"date":"2026-12-25","mode":"closed","tz":"America/Sao_Paulo"}]"#)
        #expect(try schedule.verdict(at: moment("2026-12-25T02:59:00Z")).isOpen)
        #expect(try !schedule.verdict(at: moment("2026-12-26T02:59:00Z")).isOpen)
    }

    @Test("Every day of four centuries is the same date as Foundation's")
    func calendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        var number = -200
        while number < 150_000 {
            let day = CivilDay(number: number)
            let (year, month, dayOfMonth) = day.parts
            let parts = calendar.dateComponents(
                [.year, .month, .day, .weekday], from: Date(timeIntervalSince1970: Double(number) * 86400))
            #expect(parts.year == year && parts.month == month && parts.day == dayOfMonth)
            // Foundation's Sunday is 1.
            #expect(parts.weekday == (day.weekday + 1) % 7 + 1)
            #expect(CivilDay(year: year, month: month, day: dayOfMonth) == day)
            number += 37
        }
    }

    @Test(
        "A moment is a date and a time with a zone",
        arguments: [
            ("2025-10-30T09:41:00Z", 1_761_817_260), ("2025-10-30T10:41:00+01:00", 1_761_817_260),
            ("2025-10-30T09:41:00.123456Z", 1_761_817_260), ("2025-10-30 09:41:00Z", 1_761_817_260),
            ("2025-10-30T10:41:00 01:00", 1_761_817_260), ("2025-10-30T06:41:00-03:00", 1_761_817_260),
        ])
    func moments(text: String, seconds: Int) throws {
        #expect(try moment(text).timeIntervalSince1970.rounded(.down) == Double(seconds))
    }

    @Test(
        "Half a moment is none",
        arguments: [
            "", "2025-10-30", "2025-10-30T09:41:00", "2025-02-29T09:41:00Z", "2025-10-30T24:00:00Z",
            "0000-10-30T09:41:00Z",
            "2025-10-30T09:60:00Z", "2025-10-30T09:41:00.Z", "2025-10-30T09:41:00+25:00", "2025-10-30T09:41:00Zx",
            "2025-10-30T09:41:00+01", "20251030T094100Z0000", "2025-10-30T09:41:00\u{0}\u{0}",
        ])
    func noMoments(text: String) { #expect(Moment.date(ofQuery: text) == nil) }
}
