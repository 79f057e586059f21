import Foundation
import Routing
import Testing

@testable import Calendars
import Telephony

@Suite("iCalendar files")
struct CalendarFileTests {
    private func file(_ zone: String = "Europe/Rome", isOpen: Bool = false) throws -> CalendarFile {
        CalendarFile(zone: try #require(Zone(zone)), isOpen: isOpen, today: try #require(CivilDay("2026-11-21")))
    }

    private func calendar(_ events: String...) -> [UInt8] {
        let body = events.map { "BEGIN:VEVENT\nUID:\($0.count)@x\nDTSTAMP:20260101T000000Z\n\($0)\nEND:VEVENT\n" }
            .joined()
        let text = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\n\(body)END:VCALENDAR\n"
        return Array(text.replacing("\n", with: "\r\n").utf8)
    }

    private func rows(_ events: String..., zone: String = "Europe/Rome") throws -> [String] {
        let body = events.joined(separator: "\nEND:VEVENT\nBEGIN:VEVENT\n")
        return try self.file(zone).dates(of: self.calendar(body)).map {
            "\($0.name ?? "-") \($0.mode) \($0.from) \($0.to) \($0.start ?? "-") \($0.end ?? "-")"
        }
    }

    @Test("All-day events, once, for several days, and each year")
    func wholeDays() throws {
        #expect(
            try self.rows(
                "SUMMARY:Ponte\nDTSTART;VALUE=DATE:20261207\nDTEND;VALUE=DATE:20261208",
                "SUMMARY:Ferie\nDTSTART;VALUE=DATE:20270809\nDTEND;VALUE=DATE:20270821",
                "SUMMARY:Natale\nDTSTART;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY",
                "SUMMARY:Capodanno\nDTSTART;VALUE=DATE:20201231\nDTEND;VALUE=DATE:20210102\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31",
                "SUMMARY:Bisestile\nDTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY",
                "SUMMARY:Annullato\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20261208",
                "SUMMARY:Senza fine\nDTSTART;VALUE=DATE:20261210"
            ) == [
                "Bisestile closed 02-29 02-29 - -", "Natale closed 12-25 12-25 - -",
                "Capodanno closed 12-31 01-01 - -", "Ponte closed 2026-12-07 2026-12-07 - -",
                "Senza fine closed 2026-12-10 2026-12-10 - -", "Ferie closed 2027-08-09 2027-08-20 - -",
            ])
    }

    @Test("Times are those of the calendar's clocks, whatever zone they are written in")
    func timed() throws {
        #expect(
            try self.rows(
                "SUMMARY:UTC\nDTSTART:20261201T080000Z\nDTEND:20261201T120000Z",
                "SUMMARY:Lisbona\nDTSTART;TZID=Europe/Lisbon:20261202T090000\nDTEND;TZID=Europe/Lisbon:20261202T110000",
                "SUMMARY:Locale\nDTSTART:20261203T140000\nDURATION:PT2H30M",
                "SUMMARY:Notte\nDTSTART:20261204T220000\nDTEND:20261206T060000",
                "SUMMARY:Mezzanotte\nDTSTART:20261208T200000\nDTEND:20261209T000000"
            ) == [
                "UTC closed 2026-12-01 2026-12-01 09:00 13:00", "Lisbona closed 2026-12-02 2026-12-02 10:00 12:00",
                "Locale closed 2026-12-03 2026-12-03 14:00 16:30", "Notte closed 2026-12-04 2026-12-04 22:00 24:00",
                "Notte closed 2026-12-05 2026-12-05 - -", "Notte closed 2026-12-06 2026-12-06 00:00 06:00",
                "Mezzanotte closed 2026-12-08 2026-12-08 20:00 24:00",
            ])
    }

    @Test(
        "An event that lasts for ever is refused before its days are written out",
        arguments: [
            ("DURATION:P20000D\nRRULE:FREQ=DAILY", "DURATION: a year at most"), ("DURATION:P367D", "DURATION"),
            // More seconds than 32 bits hold: it would be 289 days.
            ("DURATION:P50000D", "DURATION: a year at most"), ("DURATION:P7102W", "DURATION: a year at most"),
            ("DTEND:20271202T080000\nRRULE:FREQ=DAILY;COUNT=900", "more than 5000 dates"),
            ("DURATION:P366D\nRRULE:FREQ=DAILY;COUNT=900", "more than 5000 dates"),
        ])
    func endless(end: String, problem: String) throws {
        let error = #expect(throws: CalendarFileError.self) { try self.rows("DTSTART:20261201T080000\n\(end)") }
        #expect(error?.event == 1 && error?.problem.hasPrefix(problem) == true, "\(String(describing: error))")
    }

    @Test("Recurrences are written out from today for five years, without the dates that are excluded")
    func recurrences() throws {
        let mondays = try self.rows(
            "DTSTART;VALUE=DATE:20261102\nRRULE:FREQ=WEEKLY;UNTIL=20261214\nEXDATE;VALUE=DATE:20261130")
        #expect(mondays.map { String($0.dropFirst(9).prefix(10)) } == ["2026-11-23", "2026-12-07", "2026-12-14"])
        // The last Thursday of November, of a calendar that began in 1990.
        let thursdays = try self.rows("DTSTART;VALUE=DATE:19901129\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=-1TH")
        #expect(
            thursdays.map { String($0.dropFirst(9).prefix(10)) }
                == ["2026-11-26", "2027-11-25", "2028-11-30", "2029-11-29", "2030-11-28"])
        let exception = try self.rows(
            "DTSTART;VALUE=DATE:20251225\nRRULE:FREQ=YEARLY;COUNT=3\nEXDATE;VALUE=DATE:20261225")
        #expect(exception == ["- closed 2027-12-25 2027-12-25 - -"])
        // A time that is repeated keeps its local hour over daylight saving.
        let spring = try self.rows(
            "DTSTART;TZID=Europe/Rome:20270327T100000\nDTEND;TZID=Europe/Rome:20270327T110000\nRRULE:FREQ=DAILY;COUNT=2"
        )
        #expect(
            spring == ["- closed 2027-03-27 2027-03-27 10:00 11:00", "- closed 2027-03-28 2027-03-28 10:00 11:00"])
    }

    @Test("An occurrence that was moved stands where it was moved to, and one that was cancelled nowhere")
    func replaced() throws {
        func read(_ events: String...) throws -> [String] {
            let body = events.map { "UID:one@x\n\($0)" }.joined(separator: "\nEND:VEVENT\nBEGIN:VEVENT\n")
            let text =
                "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\nBEGIN:VEVENT\n\(body)\nEND:VEVENT\nEND:VCALENDAR\n"
            return try self.file().dates(of: Array(text.replacing("\n", with: "\r\n").utf8)).map {
                "\($0.from) \($0.start ?? "-")"
            }
        }
        let weekly = "DTSTART;VALUE=DATE:20261130\nRRULE:FREQ=WEEKLY;COUNT=4"
        #expect(
            try read(
                weekly, "RECURRENCE-ID;VALUE=DATE:20261207\nDTSTART;VALUE=DATE:20261208",
                "RECURRENCE-ID;VALUE=DATE:20261214\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20261214"
            ) == ["2026-11-30 -", "2026-12-08 -", "2026-12-21 -"])
        // The order in the file means nothing, and the moment may be written by another clock.
        let daily =
            "DTSTART;TZID=Europe/Rome:20261201T003000\nDTEND;TZID=Europe/Rome:20261201T020000\nRRULE:FREQ=DAILY;COUNT=3"
        #expect(
            try read(
                "RECURRENCE-ID:20261201T233000Z\nDTSTART;TZID=Europe/Rome:20261202T150000\nDTEND;TZID=Europe/Rome:20261202T160000",
                daily
            ) == ["2026-12-01 00:30", "2026-12-02 15:00", "2026-12-03 00:30"])
        // An event of each year, one of whose days was moved, is no row of each year any more.
        let christmas = try read(
            "DTSTART;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY",
            "RECURRENCE-ID;VALUE=DATE:20261225\nDTSTART;VALUE=DATE:20261228")
        #expect(christmas.prefix(2) == ["2026-12-28 -", "2027-12-25 -"])
        for (bad, named) in [
            ("RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261207\nDTSTART;VALUE=DATE:20261208", "RANGE"),
            ("RECURRENCE-ID;VALUE=DATE:20261207\nDTSTART;VALUE=DATE:20261208\nRRULE:FREQ=DAILY;COUNT=2", "RRULE"),
        ] {
            let error = #expect(throws: CalendarFileError.self) { try read(weekly, bad) }
            #expect(error?.event == 2 && error?.problem.contains(named) == true)
        }
    }

    @Test(
        "EXDATE and RDATE are moments: in UTC or another zone they are the event's own clocks' before they are compared"
    )
    func marks() throws {
        let daily =
            "DTSTART;TZID=Europe/Rome:20261201T003000\nDTEND;TZID=Europe/Rome:20261201T013000\nRRULE:FREQ=DAILY;COUNT=3"
        func days(_ text: String) throws -> [String] {
            try self.rows(text).map { String($0.dropFirst(9).prefix(10)) + " " + String($0.dropFirst(31).prefix(5)) }
        }
        #expect(try days("\(daily)\nEXDATE:20261201T233000Z") == ["2026-12-01 00:30", "2026-12-03 00:30"])
        #expect(
            try days("\(daily)\nEXDATE;TZID=America/Sao_Paulo:20261130T203000") == [
                "2026-12-02 00:30", "2026-12-03 00:30",
            ])
        #expect(
            try days("\(daily)\nEXDATE;TZID=Europe/Rome:20261201T003000,20261203T003000") == ["2026-12-02 00:30"])
        // Twice a day: only the one that is named.
        #expect(
            try days(
                "DTSTART:20261201T090000\nDTEND:20261201T100000\nRRULE:FREQ=DAILY;BYHOUR=9,15;COUNT=4\nEXDATE:20261201T150000"
            ) == ["2026-12-01 09:00", "2026-12-02 09:00", "2026-12-02 15:00"])
        let once = "DTSTART;TZID=Europe/Rome:20261201T100000\nDTEND;TZID=Europe/Rome:20261201T110000"
        #expect(
            try days("\(once)\nRDATE:20261210T233000Z,20261201T090000Z") == ["2026-12-01 10:00", "2026-12-11 00:30"])
        let error = #expect(throws: CalendarFileError.self) {
            try days("\(once)\nRDATE;VALUE=PERIOD:20261210T090000Z/PT1H")
        }
        #expect(error?.problem.contains("RDATE") == true)
    }

    @Test("A yearly period over the end of February is written out: its last day is not the same in each year")
    func february() throws {
        let carnival = try self.rows("DTSTART;VALUE=DATE:20260225\nDTEND;VALUE=DATE:20260302\nRRULE:FREQ=YEARLY")
        #expect(
            carnival == [
                "- closed 2027-02-25 2027-03-01 - -", "- closed 2028-02-25 2028-02-29 - -",
                "- closed 2029-02-25 2029-03-01 - -", "- closed 2030-02-25 2030-03-01 - -",
                "- closed 2031-02-25 2031-03-01 - -",
            ])
        #expect(
            try self.rows("DTSTART;VALUE=DATE:20260225\nDTEND;VALUE=DATE:20260301\nRRULE:FREQ=YEARLY")
                == ["- closed 02-25 02-28 - -"])
    }

    @Test("What was read is what routing takes")
    func taken() throws {
        let dates = try self.file(isOpen: true).dates(
            of: self.calendar("DTSTART;VALUE=DATE:20261220", "DTSTART:20261221T080000Z\nDTEND:20261221T100000Z"))
        for date in dates {
            let exception = try date.exception()
            #expect(exception.isOpen)
        }
        #expect(dates.map(\.number) == [1, 2])
    }

    @Test(
        "What cannot be taken says which event, and what would be right",
        arguments: [
            ("SUMMARY:x", "event 1: DTSTART is missing"), ("DTSTART;VALUE=DATE:20260231", "event 1: "),
            ("DTSTART:20261201T080000", "event 1: DTEND is missing"),
            ("DTSTART:20261201T080000\nDTEND:20261201T070000", "event 1: DTEND"),
            ("DTSTART;VALUE=DATE:20261201\nDTEND:20261201T070000Z", "event 1: DTEND"),
            ("DTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261101", "event 1: DTEND"),
            ("DTSTART;TZID=W. Europe Standard Time:20261201T080000\nDTEND:20261201T090000Z", "event 1: TZID"),
            ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=SECONDLY", "event 1: RRULE"),
            ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY", "event 1: RRULE: more than 1000"),
            ("DTSTART;VALUE=DATE:16010101\nRRULE:FREQ=DAILY", "event 1: RRULE: more than 20000"),
            ("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=SOMETIMES", "event 1: "),
        ])
    func refused(event: String, message: String) throws {
        let error = #expect(throws: CalendarFileError.self) { try self.file().dates(of: self.calendar(event)) }
        #expect(error.map { "\($0)".hasPrefix(message) } == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test("Files that are none, or too much of one, are refused before libical reads them")
    func hostile() throws {
        let file = try self.file()
        let hostile: [[UInt8]] = [
            [], Array("hello".utf8), [0xFF, 0xFE, 0x00], Array("BEGIN:VCALENDAR\r\n".utf8),
            self.calendar("DTSTART:\u{0}"),
            Array("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".utf8),
            Array(
                (String(repeating: "BEGIN:VCALENDAR\r\n", count: 5000)
                    + String(repeating: "END:VCALENDAR\r\n", count: 5000)).utf8),
            Array(repeating: 0x0A, count: 3_000_000), Array(String(repeating: "A:B\n", count: 100_001).utf8),
            Array("BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261201\r\nEND:VEVENT\r\n".utf8),
        ]
        for (index, bytes) in hostile.enumerated() {
            #expect(throws: CalendarFileError.self, "file \(index)") { try file.dates(of: bytes) }
        }
        let many = Array(repeating: "DTSTART;VALUE=DATE:20261201", count: 2001).joined(
            separator: "\nEND:VEVENT\nBEGIN:VEVENT\n")
        #expect(throws: CalendarFileError.self) { try file.dates(of: self.calendar(many)) }
    }

    @Test("A file that is cut or changed anywhere is read or refused, and nothing else")
    func mutations() throws {
        let whole = self.calendar(
            "SUMMARY:Natale\nDTSTART;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY;BYMONTH=12\nEXDATE;VALUE=DATE:20261225\nRDATE;VALUE=DATE:20270101"
        )
        let file = try self.file()
        var outcomes: [Bool: Int] = [:]
        for index in whole.indices {
            for change in 0..<3 {
                var bytes = whole
                switch change {
                case 0: bytes.removeSubrange(index...)
                case 1: bytes[index] = UInt8(truncatingIfNeeded: index &* 37 &+ 11) | 0x20
                default: bytes.insert(contentsOf: bytes[..<index].suffix(7), at: index)
                }
                let isRead = (try? file.dates(of: bytes)) != nil
                outcomes[isRead, default: 0] += 1
            }
        }
        #expect((outcomes[true] ?? 0) > 0 && (outcomes[false] ?? 0) > 0)
    }
}
