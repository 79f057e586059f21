import Foundation
import Records
import Telephony

extension SQLStore: APITokenStore {
    package func add(_ token: APIToken) async throws(StoreError) {
        try StoreError.check("token_name", token.name, 1...512)
        let row = token.row
        _ = try await self.perform { database throws(StoreError) in
            try database.insert(row, into: APIToken.table)
        }
    }

    package func apiTokens(of tenant: TenantID?) async throws(StoreError) -> [APIToken] {
        let owner = Self.owner(tenant)
        return try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM voip_api_tokens WHERE \(owner.condition) ORDER BY created_at, api_token_uuid",
                owner.values
            ).map { row throws(StoreError) in try APIToken(row: row) }
        }
    }

    package func apiToken(hash: String) async throws(StoreError) -> APIToken? {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM voip_api_tokens WHERE token_hash = ?", [.text(hash)])
                .first.map { row throws(StoreError) in try APIToken(row: row) }
        }
    }

    @discardableResult
    package func revokeAPIToken(
        _ id: APITokenID, of tenant: TenantID?, at now: Date
    ) async throws(StoreError) -> Bool {
        let owner = Self.owner(tenant)
        return try await self.perform { database throws(StoreError) in
            try database.run(
                """
                UPDATE voip_api_tokens SET revoked_at = ?
                WHERE api_token_uuid = ? AND revoked_at IS NULL AND \(owner.condition)
                """, [.text(Timestamp.text(now)), .text(id.text)] + owner.values) > 0
        }
    }

    package func apiTokenUsed(_ id: APITokenID, at now: Date) async throws(StoreError) {
        _ = try await self.perform { database throws(StoreError) in
            try database.run(
                "UPDATE voip_api_tokens SET last_used_at = ? WHERE api_token_uuid = ?",
                [.text(Timestamp.text(now)), .text(id.text)])
        }
    }

    private static func owner(_ tenant: TenantID?) -> (condition: String, values: [StoredValue]) {
        tenant.map { ("domain_uuid = ?", [.text($0.text)]) } ?? ("domain_uuid IS NULL", [])
    }
}

extension SQLStore: TenantPolicyStore {
    package func policy(of tenant: TenantID) async throws(StoreError) -> TenantPolicy {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM voip_tenant_settings WHERE domain_uuid = ?", [.text(tenant.text)])
                .first.map { row throws(StoreError) in try TenantPolicy(row: row) } ?? TenantPolicy()
        }
    }

    package func policies() async throws(StoreError) -> [TenantID: TenantPolicy] {
        try await self.perform { database throws(StoreError) in
            var policies: [TenantID: TenantPolicy] = [:]
            for row in try database.rows("SELECT * FROM voip_tenant_settings") {
                // One that somebody wrote by hand harms itself only: the installation's settings hold.
                guard let tenant = try? row.value("domain_uuid", { TenantID($0) }),
                    let policy = try? TenantPolicy(row: row)
                else { continue }
                policies[tenant] = policy
            }
            return policies
        }
    }

    package func save(_ policy: TenantPolicy, of tenant: TenantID) async throws(StoreError) {
        try await self.save(policy.changes, of: tenant)
    }

    package func change(_ change: TenantPolicy.Change, of tenant: TenantID) async throws(StoreError) {
        try await self.save([change], of: tenant)
    }

    /// Writes the columns of these subjects and no others.
    private func save(_ changes: [TenantPolicy.Change], of tenant: TenantID) async throws(StoreError) {
        var row = Row()
        row.set("domain_uuid", tenant.text)
        for change in changes { try change.put(to: &row) }
        let saved = row
        try await self.perform { database throws(StoreError) in
            try database.upsert(saved, into: TenantPolicy.table, key: "domain_uuid")
        }
    }

    package func access(of tenants: Set<TenantID>?) async throws(StoreError) -> AccessReading {
        let asked = Asked(tenants)
        if asked.isNobody { return AccessReading(asked: []) }
        let secrets = self.secrets
        return try await self.perform(within: Self.loadingTime) { database throws(StoreError) in
            var gathering = AccessGathering(of: asked.tenants, secrets: secrets)
            for table in AccessTable.allCases {
                try database.each(
                    "SELECT * FROM \(table.rawValue) \(asked.condition("domain_uuid"))", asked.ids
                ) { row throws(StoreError) in gathering.take(row, of: table) }
            }
            return gathering.reading
        }
    }

    package func signingKeys(of tenant: TenantID) async throws(StoreError) -> [SigningKeyRecord] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM voip_signing_keys WHERE domain_uuid = ? ORDER BY key_id", [.text(tenant.text)]
            ).map { row throws(StoreError) in try SigningKeyRecord(row: row) }
        }
    }

    package func save(_ key: SigningKeyRecord, of tenant: TenantID, at now: Date) async throws(StoreError) {
        try StoreError.check(key.tenant, is: tenant)
        try StoreError.check("key_id", key.id, 1...128)
        guard let secret = key.key else { throw StoreError(.invalid, "key_data is missing") }
        try StoreError.check("key_data", secret.value, 2...20_000)
        var row = Row()
        row.set("domain_uuid", tenant.text)
        row.set("key_id", key.id)
        row.set("key_data", try self.box().sealed(secret.value, for: key.owner))
        row.set("created_at", now)
        let saved = row
        try await self.perform { database throws(StoreError) in
            try database.upsert(saved, into: SigningKeyRecord.table, key: "domain_uuid, key_id")
        }
    }

    @discardableResult
    package func removeSigningKey(_ id: String, of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.run(
                "DELETE FROM voip_signing_keys WHERE domain_uuid = ? AND key_id = ?",
                [.text(tenant.text), .text(id)]) > 0
        }
    }

    /// Encrypts the keys again with the first key, in the transaction of `rotateSecrets`; how many.
    static func rotateSigningKeys(in database: any SQLDatabase, _ box: SecretBox) throws(StoreError) -> Int {
        let rows = try database.rows("SELECT * FROM voip_signing_keys ORDER BY domain_uuid, key_id \(database.holding)")
        for row in rows {
            let key = try SigningKeyRecord(row: row)
            let secret = try box.opened(try row.text("key_data"), for: key.owner)
            try database.run(
                "UPDATE voip_signing_keys SET key_data = ? WHERE domain_uuid = ? AND key_id = ?",
                [.text(try box.sealed(secret, for: key.owner)), .text(key.tenant.text), .text(key.id)])
        }
        return rows.count
    }
}
