import Foundation
import Records
import Telephony

/// A finished call as one line of JSON: the very rows that the database would get, by the same columns.
struct SpoolLine: Codable {
    /// The shape of the line. A later program reads every earlier shape.
    var version = 1
    var call: [String: StoredValue]
    var conversation: [String: StoredValue]?
    var turns: [[String: StoredValue]]
    var tools: [[String: StoredValue]]

    init(_ finished: FinishedCall) {
        self.call = finished.call.row.values
        self.conversation = finished.conversation?.row(turns: finished.turns.count).values
        let conversation = finished.conversation
        self.turns = conversation.map { of in finished.turns.map { $0.row(of: of).values } } ?? []
        self.tools = conversation.map { of in finished.tools.map { $0.row(of: of).values } } ?? []
    }

    /// The line's bytes without the line feed; JSON has none inside.
    func encoded() throws(StoreError) -> [UInt8] {
        guard let data = try? JSONEncoder().encode(self) else {
            throw StoreError(.invalid, "the call does not encode")
        }
        return [UInt8](data)
    }

    static func decoded(_ line: Data) throws(StoreError) -> FinishedCall {
        guard let line = try? JSONDecoder().decode(SpoolLine.self, from: line), line.version == 1 else {
            throw StoreError(.corrupt, "a line of the spool is damaged")
        }
        return FinishedCall(
            call: try CallRecord(row: Row(line.call)),
            conversation: try line.conversation.map { values throws(StoreError) in
                try ConversationRecord(row: Row(values))
            },
            turns: try line.turns.map { values throws(StoreError) in try TurnRecord(row: Row(values)) },
            tools: try line.tools.map { values throws(StoreError) in try ToolUse(row: Row(values)) })
    }
}
