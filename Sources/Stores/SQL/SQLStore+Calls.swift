import Foundation
import Records
import Telephony

extension SQLStore: RecordsStore {}

extension SQLStore: CallRecordStore {
    @discardableResult
    package func finish(_ finished: FinishedCall, of tenant: TenantID) async throws(StoreError) -> FinishOutcome {
        try finished.check(tenant)
        return try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                let isNew =
                    try database.insert(finished.call.row, into: CallRecord.table, or: "ON CONFLICT DO NOTHING") == 1
                guard isNew else { return .alreadyWritten }
                if let conversation = finished.conversation {
                    try database.insert(
                        conversation.row(turns: finished.turns.count), into: ConversationRecord.table)
                    try database.insert(
                        finished.turns.map { $0.row(of: conversation) }, into: TurnRecord.table)
                    try database.insert(finished.tools.map { $0.row(of: conversation) }, into: ToolUse.table)
                }
                return .written
            }
        }
    }

    package func call(_ id: CallID, of tenant: TenantID) async throws(StoreError) -> CallRecord? {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT * FROM voip_cdr WHERE domain_uuid = ? AND call_uuid = ? ORDER BY start_time DESC LIMIT 1
                """, [.text(tenant.text), .text(id.text)]
            ).first.map { row throws(StoreError) in try CallRecord(row: row) }
        }
    }

    package func calls(of tenant: TenantID, before: Date?, limit: Int) async throws(StoreError) -> [CallRecord] {
        var filter = CallFilter()
        filter.until = before
        return try await self.calls(of: tenant, matching: filter, after: nil, limit: limit)
    }
}

extension SQLStore: ConversationStore {
    package func conversations(
        of call: CallID, tenant: TenantID
    ) async throws(StoreError) -> [ConversationRecord] {
        try await self.perform { database throws(StoreError) in
            let rows = try database.rows(
                "SELECT * FROM v_voice_conversations WHERE domain_uuid = ? AND call_uuid = ? ORDER BY start_time",
                [.text(tenant.text), .text(call.text)])
            return self.unreadable.readable(rows, of: ConversationRecord.table) { row throws(StoreError) in
                try ConversationRecord(row: row)
            }
        }
    }

    package func turns(of conversation: ConversationID, tenant: TenantID) async throws(StoreError) -> [TurnRecord] {
        try await self.perform { database throws(StoreError) in
            let rows = try database.rows(
                """
                SELECT * FROM v_voice_messages WHERE domain_uuid = ? AND voice_conversation_uuid = ?
                ORDER BY turn_number
                """, [.text(tenant.text), .text(conversation.text)])
            return self.unreadable.readable(rows, of: TurnRecord.table) { row throws(StoreError) in
                try TurnRecord(row: row)
            }
        }
    }

    package func toolUses(of conversation: ConversationID, tenant: TenantID) async throws(StoreError) -> [ToolUse] {
        try await self.perform { database throws(StoreError) in
            let rows = try database.rows(
                """
                SELECT * FROM v_voice_tool_uses WHERE domain_uuid = ? AND voice_conversation_uuid = ?
                ORDER BY tool_number
                """, [.text(tenant.text), .text(conversation.text)])
            return self.unreadable.readable(rows, of: ToolUse.table) { row throws(StoreError) in
                try ToolUse(row: row)
            }
        }
    }
}

extension FinishedCall {
    /// Whether all of it is of this tenant and this call.
    func check(_ tenant: TenantID) throws(StoreError) {
        try StoreError.check(self.call.tenant, is: tenant)
        if let conversation = self.conversation {
            try StoreError.check(conversation.tenant, is: tenant)
            guard conversation.call == self.call.id else {
                throw StoreError(.invalid, "the conversation is of another call")
            }
        } else if !self.turns.isEmpty || !self.tools.isEmpty {
            throw StoreError(.invalid, "turns and tool uses need their conversation")
        }
    }
}
