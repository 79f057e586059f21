import Foundation
import Records
import Telephony

extension SQLStore: TenantStore {
    package func tenant(_ id: TenantID) async throws(StoreError) -> Tenant? {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM v_domains WHERE domain_uuid = ?", [.text(id.text)]).first
                .map { row throws(StoreError) in try Tenant(row: row) }
        }
    }

    package func tenant(named name: String) async throws(StoreError) -> Tenant? {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM v_domains WHERE domain_name = ?", [.text(name.lowercased())]).first
                .map { row throws(StoreError) in try Tenant(row: row) }
        }
    }

    // FusionPBX writes this table too: one row that cannot be shall not keep the others from being seen, or their records
    // from being swept.
    package func listedTenants() async throws(StoreError) -> (tenants: [Tenant], faults: [ConfigurationFault]) {
        try await self.perform { database throws(StoreError) in
            var gathering = ConfigurationGathering(secrets: nil)
            try database.each("SELECT * FROM v_domains", []) { row throws(StoreError) in
                gathering.take(row, of: .tenants)
            }
            let reading = gathering.reading(of: nil)
            let tenants = reading.tenants.map(\.tenant).sorted { ($0.name, $0.id.text) < ($1.name, $1.id.text) }
            return (tenants, reading.faults)
        }
    }

    package func tenant(owning assistant: AssistantID) async throws(StoreError) -> TenantID? {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT domain_uuid FROM v_voice_secretaries WHERE voice_secretary_uuid = ?", [.text(assistant.text)]
            ).first.map { row throws(StoreError) in try row.value("domain_uuid") { TenantID($0) } }
        }
    }

    package func save(_ tenant: Tenant) async throws(StoreError) {
        try StoreError.check("domain_name", tenant.name, 1...253)
        var row = tenant.row
        // FusionPBX's v_domains has a boolean here, in older versions a text: both take this word.
        if self.dialect == .postgres { row.set("domain_enabled", tenant.isEnabled ? "true" : "false") }
        let saved = row
        try await self.perform { database throws(StoreError) in
            _ = try database.insert(
                saved, into: Tenant.table,
                or: """
                    ON CONFLICT (domain_uuid) DO UPDATE
                    SET domain_name = excluded.domain_name, domain_enabled = excluded.domain_enabled
                    """)
        }
    }
}

extension SQLStore: AssistantStore {
    package func assistant(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Assistant? {
        try await self.assistants("voice_secretary_uuid = ?", tenant, [.text(id.text)]).first
    }

    package func assistant(number: String, of tenant: TenantID) async throws(StoreError) -> Assistant? {
        // Judged here: in a table of FusionPBX's making `enabled` may be a text.
        try await self.assistants("extension = ?", tenant, [.text(number)]).first(where: \.isEnabled)
    }

    package func assistant(named name: String, of tenant: TenantID) async throws(StoreError) -> Assistant? {
        try await self.assistants("secretary_name = ?", tenant, [.text(name)]).first
    }

    package func assistants(of tenant: TenantID) async throws(StoreError) -> [Assistant] {
        try await self.assistants("TRUE", tenant, [])
    }

    private func assistants(
        _ condition: String, _ tenant: TenantID, _ values: [StoredValue]
    ) async throws(StoreError) -> [Assistant] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM v_voice_secretaries WHERE domain_uuid = ? AND \(condition) ORDER BY secretary_name",
                [.text(tenant.text)] + values
            ).map { row throws(StoreError) in try Assistant(row: row) }
        }
    }

    package func save(_ assistant: Assistant, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(assistant.tenant, is: tenant)
        try StoreError.check("secretary_name", assistant.name, 1...128)
        try StoreError.check("language", assistant.language, 2...35)
        try StoreError.check("personality_prompt", assistant.instructions.value, 0...200_000)
        if let number = assistant.number { try StoreError.check("extension", number, 1...64) }
        let row = try assistant.row()
        try await self.perform { database throws(StoreError) in
            try database.upsert(row, into: Assistant.table, key: "voice_secretary_uuid")
        }
    }

    @discardableResult
    package func removeAssistant(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.remove("v_voice_secretaries", "voice_secretary_uuid", id.text, tenant)
    }

    private func remove(
        _ table: String, _ key: String, _ id: String, _ tenant: TenantID
    ) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.run(
                "DELETE FROM \(table) WHERE domain_uuid = ? AND \(key) = ?", [.text(tenant.text), .text(id)]) > 0
        }
    }
}

extension SQLStore: DestinationStore {
    package func destination(
        _ id: DestinationID, of tenant: TenantID
    ) async throws(StoreError) -> DestinationRecord? {
        try await self.destinations("transfer_destination_uuid = ?", tenant, [.text(id.text)]).first
    }

    package func destinations(
        for assistant: AssistantID, of tenant: TenantID
    ) async throws(StoreError) -> [DestinationRecord] {
        try await self.destinations(
            "(secretary_uuid IS NULL OR secretary_uuid = ?)", tenant, [.text(assistant.text)]
        ).filter(\.isEnabled)
    }

    package func destinations(of tenant: TenantID) async throws(StoreError) -> [DestinationRecord] {
        try await self.destinations("TRUE", tenant, [])
    }

    private func destinations(
        _ condition: String, _ tenant: TenantID, _ values: [StoredValue]
    ) async throws(StoreError) -> [DestinationRecord] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT * FROM v_voice_transfer_destinations WHERE domain_uuid = ? AND \(condition)
                ORDER BY priority, name
                """, [.text(tenant.text)] + values
            ).map { row throws(StoreError) in try DestinationRecord(row: row) }
        }
    }

    package func save(_ destination: DestinationRecord, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(destination.tenant, is: tenant)
        try StoreError.check("name", destination.name, 1...128)
        try StoreError.check("destination_number", destination.number.value, 1...64)
        try StoreError.check("destination_context", destination.context, 1...128)
        let row = destination.row
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                // The foreign key alone would take another tenant's assistant.
                if let assistant = destination.assistant {
                    let found = try database.rows(
                        "SELECT 1 AS found FROM v_voice_secretaries WHERE domain_uuid = ? AND voice_secretary_uuid = ?",
                        [.text(tenant.text), .text(assistant.text)])
                    guard !found.isEmpty else { throw StoreError(.invalid, "the tenant has no such assistant") }
                }
                try database.upsert(row, into: DestinationRecord.table, key: "transfer_destination_uuid")
            }
        }
    }

    @discardableResult
    package func removeDestination(_ id: DestinationID, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.remove("v_voice_transfer_destinations", "transfer_destination_uuid", id.text, tenant)
    }
}

extension StoreError {
    static func check(_ given: TenantID, is tenant: TenantID) throws(StoreError) {
        guard given == tenant else { throw StoreError(.otherTenant, "the value belongs to another tenant") }
    }

    /// In bytes of UTF-8; a NUL would end the text for C.
    static func check(_ column: String, _ text: String, _ length: ClosedRange<Int>) throws(StoreError) {
        guard length.contains(text.utf8.count), !text.utf8.contains(0) else {
            throw StoreError(.invalid, "\(column) must have \(length.lowerBound) to \(length.upperBound) bytes")
        }
    }
}
