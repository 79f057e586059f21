import Records
import Synchronization

/// Rows that are left out of an answer because this program cannot read them: another program's, in a table that both
/// write. One such row must not hide its neighbours; and nobody must wonder where it went.
package final class UnreadableRows: Sendable {
    /// Where, and what is wrong: a table's name, a column's, what is allowed there. Never what stands there.
    package struct Finding: Sendable, Hashable {
        package var table: String
        package var message: String
    }

    private struct State {
        var counts: [Finding: Int] = [:]
        var report: (@Sendable (Finding) -> Void)?
    }
    private let state = Mutex(State())

    package init() {}

    /// `report` hears of each finding once.
    package func observe(_ report: @escaping @Sendable (Finding) -> Void) {
        let known = self.state.withLock { state in
            state.report = report
            return Array(state.counts.keys)
        }
        for finding in known { report(finding) }
    }

    /// How often each was found.
    package var counts: [Finding: Int] { self.state.withLock { $0.counts } }

    func note(_ table: String, _ error: StoreError) {
        let finding = Finding(table: table, message: error.message)
        let report: (@Sendable (Finding) -> Void)? = self.state.withLock { state in
            state.counts[finding, default: 0] += 1
            return state.counts[finding] == 1 ? state.report : nil
        }
        report?(finding)
    }

    /// The rows that `read` understands.
    func readable<Value>(
        _ rows: [Row], of table: String, _ read: (Row) throws(StoreError) -> Value
    ) -> [Value] {
        var values: [Value] = []
        for row in rows {
            do throws(StoreError) { values.append(try read(row)) } catch { self.note(table, error) }
        }
        return values
    }
}

extension SQLStore {
    /// At most `limit` rows that `read` understands, in the order of `question`, which begins after what it is given:
    /// where rows are left out, more are asked for, so that a short answer is the list's end.
    func page<Value>(
        of table: String, _ limit: Int, in database: any SQLDatabase,
        _ question: (_ after: Row?, _ limit: Int) throws(StoreError) -> [Row],
        _ read: (Row) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        let limit = min(max(limit, 1), 1000)
        var values: [Value] = []
        var last: Row?
        // Bounded: ten thousand rows of somebody else's in a row are no list of ours.
        for round in 0..<11 {
            let wanted = round == 0 ? limit : 1000
            let rows = try question(last, wanted)
            values += self.unreadable.readable(rows, of: table, read)
            guard values.count < limit, rows.count == wanted else { return Array(values.prefix(limit)) }
            last = rows.last
        }
        guard values.isEmpty else { return values }
        throw StoreError(.corrupt, "\(table) has ten thousand rows in a row that cannot be read: look at the log")
    }
}
