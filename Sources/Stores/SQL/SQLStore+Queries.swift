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
            try database.rows(
                "SELECT * FROM voip_cdr WHERE \(conditions.sql) ORDER BY start_time DESC, call_uuid LIMIT ?",
                conditions.values + [.integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in try CallRecord(row: row) }
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
            try database.rows(
                """
                SELECT * FROM v_voice_conversations WHERE \(conditions.sql)
                ORDER BY start_time DESC, voice_conversation_uuid LIMIT ?
                """, conditions.values + [.integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in try ConversationRecord(row: row) }
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

extension SQLStore: ErasureStore {
    package func recordings(
        of tenant: TenantID, before end: Date, limit: Int
    ) async throws(StoreError) -> [CallTrace] {
        try await self.traces(
            "start_time < ? AND recording_path IS NOT NULL", [.text(Timestamp.text(end))], tenant, limit)
    }

    package func calls(of tenant: TenantID, before end: Date, limit: Int) async throws(StoreError) -> [CallTrace] {
        try await self.traces("start_time < ?", [.text(Timestamp.text(end))], tenant, limit)
    }

    package func calls(
        ofCaller numbers: [String], tenant: TenantID, limit: Int
    ) async throws(StoreError) -> [CallTrace] {
        let values = numbers.prefix(16).map { StoredValue.text($0) }
        guard !values.isEmpty else { return [] }
        let marks = Array(repeating: "?", count: values.count).joined(separator: ", ")
        return try await self.traces(
            """
            (caller_id_number IN (\(marks)) OR (direction = 'outbound' AND destination_number IN (\(marks))))
            """, values + values, tenant, limit)
    }

    private func traces(
        _ condition: String, _ values: [StoredValue], _ tenant: TenantID, _ limit: Int
    ) async throws(StoreError) -> [CallTrace] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT call_uuid, start_time, recording_path FROM voip_cdr WHERE domain_uuid = ? AND \(condition)
                ORDER BY start_time, call_uuid LIMIT ?
                """, [.text(tenant.text)] + values + [.integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in
                CallTrace(
                    id: try row.value("call_uuid") { CallID($0) }, startedAt: try row.date("start_time"),
                    recording: try row.textIfAny("recording_path"))
            }
        }
    }

    package func clearRecordings(of calls: [CallTrace], tenant: TenantID) async throws(StoreError) {
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                for call in calls {
                    try database.run(
                        "UPDATE voip_cdr SET recording_path = NULL WHERE \(CallTrace.key)", call.values(tenant))
                }
            }
        }
    }

    package func removeCalls(_ calls: [CallTrace], tenant: TenantID) async throws(StoreError) -> Int {
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                var removed = 0
                for call in calls {
                    removed += try database.run("DELETE FROM voip_cdr WHERE \(CallTrace.key)", call.values(tenant))
                    // A channel that came back has records of its own under the same id: its conversations stay.
                    let others = try database.rows(
                        "SELECT 1 AS found FROM voip_cdr WHERE domain_uuid = ? AND call_uuid = ? LIMIT 1",
                        [.text(tenant.text), .text(call.id.text)])
                    if others.isEmpty { _ = try Self.removeConversations(of: call, tenant, in: database) }
                }
                return removed
            }
        }
    }

    package func removeConversations(
        of tenant: TenantID, before end: Date, limit: Int
    ) async throws(StoreError) -> Int {
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                let rows = try database.rows(
                    """
                    SELECT voice_conversation_uuid FROM v_voice_conversations WHERE domain_uuid = ? AND start_time < ?
                    ORDER BY start_time LIMIT ?
                    """,
                    [.text(tenant.text), .text(Timestamp.text(end)), .integer(Int64(min(max(limit, 1), 1000)))])
                return try Self.remove(conversations: rows, tenant, in: database)
            }
        }
    }

    private static func removeConversations(
        of call: CallTrace, _ tenant: TenantID, in database: any SQLDatabase
    ) throws(StoreError) -> Int {
        let rows = try database.rows(
            "SELECT voice_conversation_uuid FROM v_voice_conversations WHERE domain_uuid = ? AND call_uuid = ?",
            [.text(tenant.text), .text(call.id.text)])
        return try Self.remove(conversations: rows, tenant, in: database)
    }

    /// With turns and tool uses, whether or not the tables' foreign keys would take them along: tables of an older system
    /// that were adopted have none.
    private static func remove(
        conversations rows: [Row], _ tenant: TenantID, in database: any SQLDatabase
    ) throws(StoreError) -> Int {
        for row in rows {
            let id = StoredValue.text(try row.text("voice_conversation_uuid"))
            for table in [ToolUse.table, TurnRecord.table, ConversationRecord.table] {
                try database.run(
                    "DELETE FROM \(table) WHERE domain_uuid = ? AND voice_conversation_uuid = ?",
                    [.text(tenant.text), id])
            }
        }
        return rows.count
    }

    package func forgetCaller(of calls: [CallTrace], tenant: TenantID) async throws(StoreError) -> Int {
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                var removed = 0
                for call in calls {
                    removed += try Self.removeConversations(of: call, tenant, in: database)
                    // Of a call that we made, the person is the one who was called.
                    try database.run(
                        """
                        UPDATE voip_cdr SET caller_id_number = NULL, recording_path = ?,
                        destination_number = CASE WHEN direction = 'outbound' THEN NULL ELSE destination_number END
                        WHERE \(CallTrace.key)
                        """, [call.recording.map { .text($0) } ?? .null] + call.values(tenant))
                }
                return removed
            }
        }
    }
}

extension CallTrace {
    fileprivate static let key = "domain_uuid = ? AND call_uuid = ? AND start_time = ?"
    fileprivate func values(_ tenant: TenantID) -> [StoredValue] {
        [.text(tenant.text), .text(self.id.text), .text(Timestamp.text(self.startedAt))]
    }
}
