import Records

/// Many rows in one statement: at ten milliseconds a trip, five hundred statements are all the time that a question has.
extension Array {
    /// In runs of 128, 64, 32 … elements: however many there are, few statements have to be known.
    func batches(of most: Int = 128) -> [ArraySlice<Element>] {
        var batches: [ArraySlice<Element>] = []
        var (rest, size) = (self[...], most)
        while !rest.isEmpty {
            while size > rest.count { size /= 2 }
            batches.append(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
        return batches
    }
}

/// `?, ?, ?`
func marks(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }

extension SQLDatabase {
    /// Adds rows that have the same columns; returns how many there are more.
    @discardableResult
    package func insert(_ rows: [Row], into table: String, or conflict: String = "") throws(StoreError) -> Int {
        guard let first = rows.first else { return 0 }
        // Sorted, so that one table has one text for each size.
        let columns = first.values.keys.sorted()
        let row = "(\(marks(columns.count)))"
        var added = 0
        for batch in rows.batches() {
            let values = batch.flatMap { row in columns.map { row[column: $0] ?? .null } }
            let places = Array(repeating: row, count: batch.count).joined(separator: ", ")
            added += try self.run(
                "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES \(places) \(conflict)", values)
        }
        return added
    }

    /// Removes the tenant's rows with one of these values in `column`; returns how many went.
    func delete(
        from table: String, of tenant: StoredValue, where column: String, isOneOf values: [StoredValue]
    ) throws(StoreError) -> Int {
        var removed = 0
        for batch in values.batches() {
            removed += try self.run(
                "DELETE FROM \(table) WHERE domain_uuid = ? AND \(column) IN (\(marks(batch.count)))",
                [tenant] + batch)
        }
        return removed
    }
}
