// Calendars: iCalendar files (RFC 5545) as dates of routing, by libical.
//
// A file is somebody else's: its size, its depth, its events and its recurrences are bounded before and while libical
// reads it, and it is only ever read by a command of its operator, never by a gateway that has calls.
