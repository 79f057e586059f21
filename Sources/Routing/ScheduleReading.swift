import Telephony

/// What is wrong with a column, and what would be right: names the place in it, never its value.
package struct ColumnProblem: Error, Equatable, Sendable {
    /// `time_windows[1].end`.
    package var place: String
    package var repair: String

    package init(_ place: String, _ repair: String) {
        self.place = place
        self.repair = repair
    }
}

/// The zones that a table's rows name, each looked up once.
struct ZoneBook {
    private var known: [String: Zone?] = [:]

    mutating func zone(_ name: String) -> Zone? {
        if let known = self.known[name] { return known }
        let zone = Zone(name)
        self.known[name] = .some(zone)
        return zone
    }
}

extension Schedule {
    /// Entries of one `time_windows` at most, and bytes of it: what a person writes stays far below.
    static let entryLimit = 500
    static let byteLimit = 65536

    private static let keys: Set<String> = [
        "dow", "start", "end", "ranges", "tz", "date", "from", "to", "mode", "name", "label", "note", "id",
    ]

    /// Reads the JSON of `time_windows` (requirements 2 §1, and §4 for the exceptions in it).
    ///
    /// An entry with `dow`, `start`, `end` (or `ranges`) and `tz` is weekly hours; one with `date`, or `from` and `to`, is
    /// an exception with `mode` `closed` or `open`.
    static func read(_ json: String, zone: Zone, zones: inout ZoneBook) throws(ColumnProblem) -> Schedule {
        let column = "time_windows"
        guard json.utf8.count <= Self.byteLimit else {
            throw ColumnProblem(column, "at most \(Self.byteLimit) bytes")
        }
        var book = zones
        defer { zones = book }
        let bytes = Array(json.utf8)
        let result: Result<Schedule, ColumnProblem> = bytes.withUnsafeBytes { buffer in
            do throws(ColumnProblem) {
                let scan: JSONScan
                do throws(JSONScanError) { scan = try JSONScan(buffer) } catch {
                    throw ColumnProblem(column, "a JSON array of windows, or null for always")
                }
                return .success(try Self.read(scan, column, zone, &book))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func read(
        _ scan: JSONScan, _ column: String, _ home: Zone, _ zones: inout ZoneBook
    ) throws(ColumnProblem) -> Schedule {
        var schedule = Schedule()
        if scan.kind == .null { return schedule }
        guard scan.kind == .array else { throw ColumnProblem(column, "a JSON array of windows, or null for always") }
        var entries: [JSONScan] = []
        scan.forEachElement { entries.append($0) }
        guard !entries.isEmpty else {
            throw ColumnProblem(column, "no window in it: null for always, or enabled = false for never")
        }
        guard entries.count <= Self.entryLimit else {
            throw ColumnProblem(column, "at most \(Self.entryLimit) entries")
        }
        var weeks: [WeeklyHours] = []
        var exceptions: [(zone: Zone, exceptions: [DateException])] = []
        for (index, entry) in entries.enumerated() {
            let place = "\(column)[\(index)]"
            guard entry.kind == .object else { throw ColumnProblem(place, "an object with dow, start, end and tz") }
            try Self.checkKeys(of: entry, place)
            let zone = try Self.zone(of: entry, place, home, &zones)
            if entry["date"] == nil, entry["from"] == nil, entry["to"] == nil {
                let intervals = try Self.weekly(entry, place, index)
                if let known = weeks.firstIndex(where: { $0.zone == zone }) {
                    weeks[known].intervals += intervals
                } else {
                    weeks.append(WeeklyHours(zone: zone, intervals: intervals))
                }
            } else {
                let exception = try Self.exception(entry, place)
                if let known = exceptions.firstIndex(where: { $0.zone == zone }) {
                    exceptions[known].exceptions.append(exception)
                } else {
                    exceptions.append((zone, [exception]))
                }
            }
        }
        for week in weeks {
            if let (one, other) = week.overlap {
                throw ColumnProblem("\(column)[\(other)]", "overlaps \(column)[\(one)]: make one window of the two")
            }
        }
        schedule.weeks = weeks.isEmpty ? nil : weeks
        schedule.exceptions = exceptions.map { ExceptionList(zone: $0.zone, $0.exceptions) }
        return schedule
    }

    /// A key that is misspelt would silently be none: `"t z"` would be another zone.
    private static func checkKeys(of entry: JSONScan, _ place: String) throws(ColumnProblem) {
        var seen: Set<String> = []
        var problem: ColumnProblem?
        entry.forEachMember { key, _ in
            let name = key.string ?? ""
            if !Self.keys.contains(name) {
                problem = ColumnProblem(
                    place, "has a key that is none of \(Self.keys.sorted().joined(separator: ", "))")
            } else if !seen.insert(name).inserted {
                problem = ColumnProblem("\(place).\(name)", "is there twice")
            }
        }
        if let problem { throw problem }
    }

    private static func zone(
        of entry: JSONScan, _ place: String, _ home: Zone, _ zones: inout ZoneBook
    ) throws(ColumnProblem) -> Zone {
        guard let scan = entry["tz"] else { return home }
        guard let zone = scan.string.flatMap({ zones.zone($0) }) else {
            throw ColumnProblem("\(place).tz", "a zone of the IANA database, such as Europe/Rome or America/Sao_Paulo")
        }
        return zone
    }

    private static func weekly(
        _ entry: JSONScan, _ place: String, _ index: Int
    ) throws(ColumnProblem) -> [WeeklyHours.Interval] {
        if entry["mode"] != nil {
            throw ColumnProblem("\(place).mode", "belongs to an exception, with date or from and to")
        }
        var days: Set<Int> = []
        if let scan = entry["dow"] {
            guard scan.kind == .array else {
                throw ColumnProblem("\(place).dow", "an array of 1 (Monday) to 7 (Sunday)")
            }
            var isFine = true
            scan.forEachElement { element in
                // 0 is Sunday too, as in JavaScript and cron.
                if let day = element.integer, (0...7).contains(day) {
                    days.insert(day == 0 ? 6 : day - 1)
                } else {
                    isFine = false
                }
            }
            guard isFine, !days.isEmpty else {
                throw ColumnProblem("\(place).dow", "an array of 1 (Monday) to 7 (Sunday); leave it out for every day")
            }
        } else {
            days = Set(0..<7)
        }
        let ranges = try Self.ranges(of: entry, place)
        guard !ranges.isEmpty else { throw ColumnProblem(place, "needs start and end, or ranges") }
        return days.sorted().flatMap { day in
            ranges.map { range in
                let start = day * 1440 + range.start
                // An end before its start is on the next day.
                let length = range.end > range.start ? range.end - range.start : range.end + 1440 - range.start
                return WeeklyHours.Interval(start: start, end: start + length, window: index)
            }
        }
    }

    /// `start` and `end`, or the same of each element of `ranges`; none where there is neither.
    private static func ranges(
        of entry: JSONScan, _ place: String
    ) throws(ColumnProblem) -> [(start: Int, end: Int)] {
        guard let scan = entry["ranges"] else {
            if entry["start"] == nil, entry["end"] == nil { return [] }
            return [try Self.range(entry, place)]
        }
        guard entry["start"] == nil, entry["end"] == nil else {
            throw ColumnProblem("\(place).ranges", "takes the place of start and end: write one or the other")
        }
        guard scan.kind == .array else {
            throw ColumnProblem("\(place).ranges", "an array of objects with start and end")
        }
        var elements: [JSONScan] = []
        scan.forEachElement { elements.append($0) }
        guard (1...48).contains(elements.count) else { throw ColumnProblem("\(place).ranges", "1 to 48 ranges") }
        var ranges: [(start: Int, end: Int)] = []
        for (number, element) in elements.enumerated() {
            ranges.append(try Self.range(element, "\(place).ranges[\(number)]"))
        }
        return ranges
    }

    private static func range(_ entry: JSONScan, _ place: String) throws(ColumnProblem) -> (start: Int, end: Int) {
        guard let start = entry["start"]?.string.flatMap({ TimeOfDay.minute($0) }), start < 1440 else {
            throw ColumnProblem("\(place).start", "HH:MM, 00:00 to 23:59")
        }
        guard let end = entry["end"]?.string.flatMap({ TimeOfDay.minute($0) }) else {
            throw ColumnProblem("\(place).end", "HH:MM, 00:00 to 24:00")
        }
        guard start != end else {
            throw ColumnProblem("\(place).end", "is its start: an empty window, or 00:00 to 24:00 for the whole day")
        }
        return (start, end)
    }

    private static func exception(_ entry: JSONScan, _ place: String) throws(ColumnProblem) -> DateException {
        if entry["dow"] != nil { throw ColumnProblem("\(place).dow", "belongs to weekly hours, without date") }
        let from: JSONScan
        let to: JSONScan
        let names: (String, String)
        if let date = entry["date"] {
            guard entry["from"] == nil, entry["to"] == nil else {
                throw ColumnProblem("\(place).date", "takes the place of from and to: write one or the other")
            }
            (from, to, names) = (date, date, ("date", "date"))
        } else {
            guard let first = entry["from"] else { throw ColumnProblem("\(place).from", "is missing") }
            guard let last = entry["to"] else { throw ColumnProblem("\(place).to", "is missing") }
            (from, to, names) = (first, last, ("from", "to"))
        }
        let isOpen: Bool
        switch entry["mode"]?.string {
        case "closed"?: isOpen = false
        case "open"?: isOpen = true
        default: throw ColumnProblem("\(place).mode", "closed or open")
        }
        let hours = try Self.ranges(of: entry, place)
        return try DateException.checked(
            from: from.string ?? "", to: to.string ?? "", isOpen: isOpen, hours: hours,
            name: entry["name"]?.string ?? entry["label"]?.string ?? from.string ?? "", place: place, names: names)
    }
}

extension DateException {
    /// - Parameters:
    ///   - from: `2026-12-25`, or `12-25` for each year; `to` likewise.
    ///   - place: what the fields' names are put behind, for errors.
    package static func checked(
        from: String, to: String, isOpen: Bool, hours: [(start: Int, end: Int)], name: String, place: String,
        names: (String, String)
    ) throws(ColumnProblem) -> DateException {
        let period: Period
        if let first = MonthDay(from) {
            guard let last = MonthDay(to) else { throw ColumnProblem("\(place).\(names.1)", "MM-DD, as the other is") }
            period = .yearly(from: first, to: last)
        } else {
            guard let first = CivilDay(from) else {
                throw ColumnProblem("\(place).\(names.0)", "a date that exists: YYYY-MM-DD, or MM-DD for each year")
            }
            guard let last = CivilDay(to) else {
                throw ColumnProblem("\(place).\(names.1)", "a date that exists: YYYY-MM-DD, as the other is")
            }
            guard first <= last else { throw ColumnProblem("\(place).\(names.1)", "is before \(names.0)") }
            period = .once(first, last)
        }
        var ranges: [Range<Int>] = []
        for (start, end) in hours {
            guard start < end else {
                throw ColumnProblem(
                    "\(place).end", "is before its start: an exception ends with its date, 24:00 at the latest")
            }
            ranges.append(start..<end)
        }
        return DateException(period: period, isOpen: isOpen, hours: ranges, name: String(name.prefix(64)))
    }
}
