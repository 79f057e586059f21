import Foundation
import Records
import Telephony

extension SQLStore: ProviderAccountStore {
    package func account(
        _ provider: ProviderName, kind: ProviderAccount.Kind, of tenant: TenantID
    ) async throws(StoreError) -> ProviderAccount? {
        let row = try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT * FROM v_voice_ai_providers
                WHERE domain_uuid = ? AND provider_type = ? AND provider_name = ?
                """, [.text(tenant.text), .text(kind.rawValue), .text(provider.text)]
            ).first
        }
        guard let row else { return nil }
        var account = try ProviderAccount(row: row)
        if let sealed = try row.textIfAny("secret") {
            account.secret = Redacted(try self.box().opened(sealed, for: account.owner))
        }
        return account
    }

    package func accounts(of tenant: TenantID) async throws(StoreError) -> [ProviderAccount] {
        try await self.perform { database throws(StoreError) in
            try database.rows(
                "SELECT * FROM v_voice_ai_providers WHERE domain_uuid = ? ORDER BY priority, provider_type, provider_name",
                [.text(tenant.text)]
            ).map { row throws(StoreError) in try ProviderAccount(row: row) }
        }
    }

    package func save(_ account: ProviderAccount, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(account.tenant, is: tenant)
        try StoreError.check("config", account.configuration, 2...100_000)
        guard (try? JSONSerialization.jsonObject(with: Data(account.configuration.utf8))) is [String: Any] else {
            throw StoreError(.invalid, "config is no JSON object")
        }
        var row = account.row
        row.set("voice_ai_provider_uuid", UUID().uuidString.lowercased())
        var kept: Set<String> = ["voice_ai_provider_uuid"]
        if let secret = account.secret {
            try StoreError.check("secret", secret.value, 1...10000)
            row.set("secret", try self.box().sealed(secret.value, for: account.owner))
        } else if account.hasSecret {
            kept.insert("secret")
        } else {
            row.set("secret", String?.none)
        }
        let (saved, unchanged) = (row, kept)
        try await self.perform { database throws(StoreError) in
            try database.upsert(
                saved, into: ProviderAccount.table, key: "domain_uuid, provider_type, provider_name", keeping: unchanged
            )
        }
    }

    @discardableResult
    package func removeAccount(
        _ provider: ProviderName, kind: ProviderAccount.Kind, of tenant: TenantID
    ) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.run(
                "DELETE FROM v_voice_ai_providers WHERE domain_uuid = ? AND provider_type = ? AND provider_name = ?",
                [.text(tenant.text), .text(kind.rawValue), .text(provider.text)]) > 0
        }
    }

    /// Encrypts every secret of every tenant again with the first key; returns how many. All or none.
    package func rotateSecrets() async throws(StoreError) -> Int {
        let box = try self.box()
        return try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                let rows = try database.rows("SELECT * FROM v_voice_ai_providers WHERE secret IS NOT NULL")
                for row in rows {
                    let owner = try ProviderAccount(row: row).owner
                    let secret = try box.opened(try row.text("secret"), for: owner)
                    try database.run(
                        "UPDATE v_voice_ai_providers SET secret = ? WHERE voice_ai_provider_uuid = ?",
                        [
                            .text(try box.sealed(secret, for: owner)),
                            .text(try row.text("voice_ai_provider_uuid")),
                        ])
                }
                return rows.count + (try Self.rotateSwitchPasswords(in: database, box))
            }
        }
    }

    func box() throws(StoreError) -> SecretBox {
        guard let secrets = self.secrets else {
            throw StoreError(
                .noSecretKey, "set PRONTO_SECRET_KEY or PRONTO_SECRET_KEY_FILE (32 bytes in base64) to keep secrets")
        }
        return secrets
    }
}

extension ProviderAccount {
    /// What the encrypted key is bound to.
    fileprivate var owner: String { "\(self.tenant.text)/\(self.kind.rawValue)/\(self.provider.text)" }
}
