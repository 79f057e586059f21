import Foundation
import Records
import Telephony

/// Conditions of a question and their values, in step.
private struct Conditions {
    private var texts: [String] = []
    private(set) var values: [StoredValue] = []

    init(tenant: TenantID) { self.add("domain_uuid = ?", .text(tenant.text)) }

    mutating func add(_ text: String, _ value: StoredValue) {
        self.texts.append(text)
        self.values.append(value)
    }

    mutating func add(_ text: String, _ value: String?) { if let value { self.add(text, .text(value)) } }
    mutating func add(_ text: String, _ value: Date?) { self.add(text, value.map(Timestamp.text)) }
    mutating func add(_ text: String, _ value: Duration?) {
        if let value { self.add(text, .integer(Int64(clamping: value.milliseconds))) }
    }

    /// What follows `position` in a list that is ordered by `start_time DESC, id`.
    mutating func follow(_ position: ListPosition?, id: String) {
        guard let position else { return }
        let time = StoredValue.text(Timestamp.text(position.startedAt))
        self.texts.append("(start_time < ? OR (start_time = ? AND \(id) > ?))")
        self.values += [time, time, .text(position.id)]
    }

    /// The same, after a row of the database's own, whatever its id and the fineness of its clock.
    func following(_ row: Row?, id: String) throws(StoreError) -> Conditions {
        guard let row, let start = try row.textIfAny("start_text"), let last = try row.textIfAny("id_text") else {
            return self
        }
        var conditions = self
        conditions.texts.append("(start_time < ? OR (start_time = ? AND \(id) > ?))")
        conditions.values += [.text(start), .text(start), .text(last)]
        return conditions
    }

    var sql: String { self.texts.joined(separator: " AND ") }
}

extension SQLStore: RecordQueries {
    package func calls(
        of tenant: TenantID, matching filter: CallFilter, after position: ListPosition?, limit: Int
    ) async throws(StoreError) -> [CallRecord] {
        var asked = Conditions(tenant: tenant)
        asked.add("start_time >= ?", filter.from)
        asked.add("start_time < ?", filter.until)
        asked.add("caller_id_number = ?", filter.caller?.value)
        asked.add("destination_number = ?", filter.dialed?.value)
        asked.add("voice_secretary_uuid = ?", filter.assistant?.text)
        asked.add("direction = ?", filter.direction?.rawValue)
        asked.add("hangup_cause = ?", filter.cause)
        asked.add("fault = ?", filter.fault?.rawValue)
        asked.add("reason = ?", filter.reason)
        asked.add("duration_ms >= ?", filter.minimumDuration)
        asked.add("duration_ms <= ?", filter.maximumDuration)
        asked.follow(position, id: "call_uuid")
        let conditions = asked
        return try await self.perform { database throws(StoreError) in
            try self.page(
                of: CallRecord.table, limit, in: database,
                { last, limit throws(StoreError) in
                    let conditions = try conditions.following(last, id: "call_uuid")
                    return try database.rows(
                        """
                        SELECT *, CAST(start_time AS text) AS start_text, CAST(call_uuid AS text) AS id_text
                        FROM voip_cdr WHERE \(conditions.sql) ORDER BY start_time DESC, call_uuid LIMIT ?
                        """, conditions.values + [.integer(Int64(limit))])
                }, { row throws(StoreError) in try CallRecord(row: row) })
        }
    }

    package func conversations(
        of tenant: TenantID, matching filter: ConversationFilter, after position: ListPosition?, limit: Int
    ) async throws(StoreError) -> [ConversationRecord] {
        var asked = Conditions(tenant: tenant)
        asked.add("start_time >= ?", filter.from)
        asked.add("start_time < ?", filter.until)
        asked.add("call_uuid = ?", filter.call?.text)
        asked.add("voice_secretary_uuid = ?", filter.assistant?.text)
        asked.add("final_action = ?", filter.finalAction?.rawValue)
        asked.follow(position, id: "voice_conversation_uuid")
        let conditions = asked
        return try await self.perform { database throws(StoreError) in
            try self.page(
                of: ConversationRecord.table, limit, in: database,
                { last, limit throws(StoreError) in
                    let conditions = try conditions.following(last, id: "voice_conversation_uuid")
                    return try database.rows(
                        """
                        SELECT *, CAST(start_time AS text) AS start_text,
                            CAST(voice_conversation_uuid AS text) AS id_text
                        FROM v_voice_conversations WHERE \(conditions.sql)
                        ORDER BY start_time DESC, voice_conversation_uuid LIMIT ?
                        """, conditions.values + [.integer(Int64(limit))])
                }, { row throws(StoreError) in try ConversationRecord(row: row) })
        }
    }

    package func conversation(
        _ id: ConversationID, of tenant: TenantID
    ) async throws(StoreError) -> ConversationRecord? {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM v_voice_conversations WHERE domain_uuid = ? AND voice_conversation_uuid = ?",
                [.text(tenant.text), .text(id.text)]
            ).first.map { row throws(StoreError) in try ConversationRecord(row: row) }
        }
    }
}
