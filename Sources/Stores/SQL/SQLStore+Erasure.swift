import Foundation
import Records
import Telephony

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
        let marks = marks(values.count)
        return try await self.traces(
            """
            (caller_id_number IN (\(marks)) OR (direction = 'outbound' AND destination_number IN (\(marks))))
            """, values + values, tenant, limit)
    }

    /// By the texts that the database itself has of id and start: what it says it also finds. Our own reading of a
    /// moment has milliseconds; another program's row may have microseconds, or `infinity`.
    private func traces(
        _ condition: String, _ values: [StoredValue], _ tenant: TenantID, _ limit: Int
    ) async throws(StoreError) -> [CallTrace] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT CAST(call_uuid AS text) AS call_text, CAST(start_time AS text) AS start_text,
                    recording_path, node
                FROM voip_cdr WHERE domain_uuid = ? AND \(condition) ORDER BY start_time, call_uuid LIMIT ?
                """, [.text(tenant.text)] + values + [.integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in
                CallTrace(
                    call: try row.textIfAny("call_text"), start: try row.textIfAny("start_text"),
                    recording: try row.textIfAny("recording_path"), node: try row.filledText("node"))
            }
        }
    }

    package func clearRecordings(
        of calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> Int {
        try await self.erase { database throws(StoreError) in
            try Self.note(noting, in: database)
            return try Self.change(
                calls, "UPDATE voip_cdr SET recording_path = NULL WHERE recording_path IS NOT NULL AND", tenant,
                database)
        }
    }

    package func removeCalls(
        _ calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> Int {
        try await self.erase { database throws(StoreError) in
            try Self.note(noting, in: database)
            for batch in calls.batches() { try Self.countOn(batch, tenant, in: database) }
            let removed = try Self.change(calls, "DELETE FROM voip_cdr WHERE", tenant, database)
            // A channel that came back has records of its own under the same id: its conversations stay.
            let ids = Set(calls.compactMap(\.call))
            var others: Set<String> = []
            for batch in ids.sorted().batches() {
                try database.each(
                    """
                    SELECT DISTINCT CAST(call_uuid AS text) AS call_text FROM voip_cdr
                    WHERE domain_uuid = ? AND call_uuid IN (\(marks(batch.count)))
                    """, [.text(tenant.text)] + batch.map { .text($0) }
                ) { row throws(StoreError) in others.insert(try row.text("call_text")) }
            }
            _ = try Self.removeConversations(ofCalls: ids.subtracting(others).sorted(), tenant, in: database)
            return removed
        }
    }

    package func removeConversations(
        of tenant: TenantID, before end: Date, limit: Int
    ) async throws(StoreError) -> Int {
        try await self.removeConversations("start_time < ?", [.text(Timestamp.text(end))], tenant, limit)
    }

    package func removeConversations(
        ofCaller numbers: [String], tenant: TenantID, limit: Int
    ) async throws(StoreError) -> Int {
        let values = numbers.prefix(16).map { StoredValue.text($0) }
        guard !values.isEmpty else { return 0 }
        return try await self.removeConversations(
            "caller_id_number IN (\(marks(values.count)))", values, tenant, limit)
    }

    private func removeConversations(
        _ condition: String, _ values: [StoredValue], _ tenant: TenantID, _ limit: Int
    ) async throws(StoreError) -> Int {
        try await self.erase { database throws(StoreError) in
            let ids = try database.rows(
                """
                SELECT voice_conversation_uuid FROM v_voice_conversations WHERE domain_uuid = ? AND \(condition)
                ORDER BY start_time LIMIT ?
                """, [.text(tenant.text)] + values + [.integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in try row.text("voice_conversation_uuid") }
            return try Self.remove(conversations: ids, tenant, in: database)
        }
    }

    package func forgetCaller(
        of calls: [CallTrace], tenant: TenantID, noting: [RecordingRemoval]
    ) async throws(StoreError) -> (calls: Int, conversations: Int) {
        try await self.erase { database throws(StoreError) in
            try Self.note(noting, in: database)
            let conversations = try Self.removeConversations(
                ofCalls: Set(calls.compactMap(\.call)).sorted(), tenant, in: database)
            // Of a call that we made, the person is the one who was called.
            let forgotten = try Self.change(
                calls,
                """
                UPDATE voip_cdr SET caller_id_number = NULL, recording_path = NULL,
                destination_number = CASE WHEN direction = 'outbound' THEN NULL ELSE destination_number END WHERE
                """, tenant, database)
            return (forgotten, conversations)
        }
    }

    // MARK: Steps

    /// Steps of erasing are bounded by rows, not by the time that a caller's question has: of rows that others hold or a
    /// disk that is slow, a step that ran out of time would be tried again for ever.
    private func erase<Value: Sendable>(
        _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try await self.perform(within: .seconds(30)) { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in try body(database) }
        }
    }

    /// Runs `statement`, which ends in its WHERE, on the rows of these calls; how many it changed.
    private static func change(
        _ calls: [CallTrace], _ statement: String, _ tenant: TenantID, _ database: any SQLDatabase
    ) throws(StoreError) -> Int {
        var changed = 0
        for batch in calls.batches() {
            let (condition, values) = Self.keys(of: batch, tenant)
            changed += try database.run("\(statement) \(condition)", values)
        }
        return changed
    }

    private static func keys(of calls: ArraySlice<CallTrace>, _ tenant: TenantID) -> (String, [StoredValue]) {
        var values: [StoredValue] = [.text(tenant.text)]
        let keys = calls.map { call in
            let parts = [("call_uuid", call.call), ("start_time", call.start)].map { column, value in
                guard let value else { return "\(column) IS NULL" }
                values.append(.text(value))
                return "\(column) = ?"
            }
            return "(\(parts.joined(separator: " AND ")))"
        }
        return ("domain_uuid = ? AND (\(keys.joined(separator: " OR ")))", values)
    }

    /// What the calls cost stays in the month's sum, which a spend limit is held against.
    private static func countOn(
        _ calls: ArraySlice<CallTrace>, _ tenant: TenantID, in database: any SQLDatabase
    ) throws(StoreError) {
        let month =
            switch database.dialect {
            case .sqlite: "substr(start_time, 1, 7)"
            case .postgres: "to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM')"
            }
        let (condition, values) = Self.keys(of: calls, tenant)
        // Every node sweeps. Whoever comes second finds the rows gone, and has nothing to count.
        try database.each(
            "SELECT 1 AS held FROM voip_cdr WHERE \(condition) ORDER BY start_time, call_uuid \(database.holding)",
            values
        ) { _ in }
        let sums = try database.rows(
            """
            SELECT \(month) AS month, cost_currency, CAST(sum(cost_known_micros) AS bigint) AS cost_micros
            FROM voip_cdr WHERE \(condition) AND cost_currency IS NOT NULL AND cost_known_micros > 0
                AND start_time >= ?
            GROUP BY 1, 2
            """, values + [.text("2000-01-01T00:00:00.000Z")])
        for sum in sums {
            var row = sum
            row.set("domain_uuid", tenant.text)
            try database.insert(
                row, into: "voip_spent",
                or: """
                    ON CONFLICT (domain_uuid, month, cost_currency)
                    DO UPDATE SET cost_micros = voip_spent.cost_micros + excluded.cost_micros
                    """)
        }
    }

    private static func removeConversations(
        ofCalls calls: [String], _ tenant: TenantID, in database: any SQLDatabase
    ) throws(StoreError) -> Int {
        var ids: [String] = []
        for batch in calls.batches() {
            try database.each(
                """
                SELECT voice_conversation_uuid FROM v_voice_conversations
                WHERE domain_uuid = ? AND call_uuid IN (\(marks(batch.count)))
                """, [.text(tenant.text)] + batch.map { .text($0) }
            ) { row throws(StoreError) in ids.append(try row.text("voice_conversation_uuid")) }
        }
        return try Self.remove(conversations: ids, tenant, in: database)
    }

    /// With turns and tool uses, whether or not the tables' foreign keys would take them along: tables of an older system
    /// that were adopted have none, and turns that say not whose they are.
    private static func remove(
        conversations ids: [String], _ tenant: TenantID, in database: any SQLDatabase
    ) throws(StoreError) -> Int {
        for batch in ids.batches() {
            let values: [StoredValue] = [.text(tenant.text)] + batch.map { .text($0) }
            for table in [ToolUse.table, TurnRecord.table] {
                try database.run(
                    """
                    DELETE FROM \(table) WHERE (domain_uuid = ? OR domain_uuid IS NULL)
                    AND voice_conversation_uuid IN (\(marks(batch.count)))
                    """, values)
            }
        }
        return try database.delete(
            from: ConversationRecord.table, of: .text(tenant.text), where: "voice_conversation_uuid",
            isOneOf: ids.map { .text($0) })
    }

    // MARK: What is left to do

    private static func note(
        _ removals: [RecordingRemoval], in database: any SQLDatabase
    ) throws(StoreError) {
        let now = Timestamp.text(Date())
        let rows = removals.map { removal in
            var row = Row()
            row.set("domain_uuid", removal.tenant.text)
            row.set("node", removal.node ?? "")
            row.set("recording_path", removal.recording)
            row.set("asked_at", now)
            return row
        }
        try database.insert(rows, into: "voip_recordings_to_remove", or: "ON CONFLICT DO NOTHING")
    }

    package func note(_ removals: [RecordingRemoval]) async throws(StoreError) {
        try await self.erase { database throws(StoreError) in try Self.note(removals, in: database) }
    }

    package func recordingRemovals(
        of node: String?, limit: Int
    ) async throws(StoreError) -> [RecordingRemoval] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT domain_uuid, node, recording_path FROM voip_recordings_to_remove
                WHERE node IN ('', ?) ORDER BY asked_at, recording_path LIMIT ?
                """, [.text(node ?? ""), .integer(Int64(min(max(limit, 1), 1000)))]
            ).map { row throws(StoreError) in
                RecordingRemoval(
                    tenant: try row.value("domain_uuid") { TenantID($0) }, recording: try row.text("recording_path"),
                    node: try row.filledText("node"))
            }
        }
    }

    package func finish(_ removals: [RecordingRemoval]) async throws(StoreError) {
        guard !removals.isEmpty else { return }
        try await self.erase { database throws(StoreError) in
            for batch in removals.batches() {
                let keys = Array(
                    repeating: "(domain_uuid = ? AND node = ? AND recording_path = ?)", count: batch.count)
                try database.run(
                    "DELETE FROM voip_recordings_to_remove WHERE \(keys.joined(separator: " OR "))",
                    batch.flatMap { [.text($0.tenant.text), .text($0.node ?? ""), .text($0.recording)] })
            }
        }
    }

    package func announce(_ erasure: CallerErasure) async throws(StoreError) {
        var row = Row()
        row.set("domain_uuid", erasure.tenant.text)
        row.set("caller_hash", erasure.caller)
        row.set("asked_at", erasure.askedAt)
        let entry = row
        _ = try await self.perform { database throws(StoreError) in
            try database.insert(
                entry, into: "voip_callers_to_forget",
                or: "ON CONFLICT (domain_uuid, caller_hash) DO UPDATE SET asked_at = excluded.asked_at")
        }
    }

    package func erasures(since: Date) async throws(StoreError) -> [CallerErasure] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM voip_callers_to_forget WHERE asked_at >= ? ORDER BY asked_at",
                [.text(Timestamp.text(since))]
            ).map { row throws(StoreError) in
                CallerErasure(
                    tenant: try row.value("domain_uuid") { TenantID($0) }, caller: try row.text("caller_hash"),
                    askedAt: try row.date("asked_at"))
            }
        }
    }

    package func removeErasures(before end: Date) async throws(StoreError) {
        _ = try await self.perform { database throws(StoreError) in
            try database.run("DELETE FROM voip_callers_to_forget WHERE asked_at < ?", [.text(Timestamp.text(end))])
        }
    }
}
