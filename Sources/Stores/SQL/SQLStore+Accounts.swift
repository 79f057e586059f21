import Foundation
import Records
import Telephony

extension SQLStore: ProviderAccountStore {
    package func account(
        _ provider: ProviderName, kind: ProviderAccount.Kind, of tenant: TenantID
    ) async throws(StoreError) -> ProviderAccount? {
        let row = try await self.perform { database throws(StoreError) in
            try database.rows(
                Self.one, ProviderAccount(tenant: tenant, kind: kind, provider: provider).key
            ).first
        }
        guard let row else { return nil }
        var account = try ProviderAccount(row: row)
        if let sealed = try row.textIfAny("secret") {
            account.secret = Redacted(try self.box().opened(sealed, for: account.owner))
        } else {
            account.secret = try row.textIfAny("config").flatMap { PlainKey(in: $0)?.key }
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
        var account = account
        try StoreError.check(account.tenant, is: tenant)
        // A key among the settings is not written there.
        let among = PlainKey(in: account.configuration)
        if let among {
            account.configuration = among.rest
            account.secret = account.secret ?? among.key
        }
        try StoreError.check("config", account.configuration, 2...100_000)
        guard (try? JSONSerialization.jsonObject(with: Data(account.configuration.utf8))) is [String: Any] else {
            throw StoreError(.invalid, "config is no JSON object")
        }
        var row = account.row
        row.set("voice_ai_provider_uuid", UUID().uuidString.lowercased())
        if let secret = account.secret {
            try StoreError.check("secret", secret.value, 1...10000)
            row.set("secret", try self.box().sealed(secret.value, for: account.owner))
        } else {
            row.set("secret", String?.none)
        }
        let (new, given, secrets) = (row, account, self.secrets)
        try await self.perform { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                var (saved, kept) = (new, Set(["voice_ai_provider_uuid"]))
                let before = try database.rows("\(Self.one) \(database.holding)", given.key).first
                let known = try before.flatMap { row throws(StoreError) in
                    try row.textIfAny("config").flatMap { PlainKey(in: $0) }
                }
                // Keys of other providers beside it were not shown, and are not given back: they stay.
                let others = (known?.others.value ?? [:]).merging(among?.others.value ?? [:]) { $1 }
                if !others.isEmpty {
                    guard let secrets else { throw Self.noKey }
                    saved.set(
                        "config", try PlainKey.adding(others, to: given.configuration, secrets, for: given.owner))
                }
                // By the row that is held: whoever asked may have seen an older one.
                if given.secret == nil, given.hasSecret, let before, try ProviderAccount(row: before).hasSecret {
                    let address = ProviderAccount.baseURL(in: try before.textIfAny("config") ?? "{}")
                    guard address == given.baseURL else {
                        throw StoreError(
                            .invalid, "base_url: another address than the one that the kept key was given for")
                    }
                    // The one that is stored stays: encrypted from now on, where it was not.
                    if let plain = known?.key, try before.textIfAny("secret") == nil {
                        guard let secrets else { throw Self.noKey }
                        saved.set("secret", try secrets.sealed(plain.value, for: given.owner))
                    } else {
                        kept.insert("secret")
                    }
                }
                try database.upsert(
                    saved, into: ProviderAccount.table, key: "domain_uuid, provider_type, provider_name", keeping: kept)
            }
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

    private static let one =
        "SELECT * FROM v_voice_ai_providers WHERE domain_uuid = ? AND provider_type = ? AND provider_name = ?"

    /// Encrypts every secret of every tenant again with the first key, and the keys that lie unencrypted among an account's
    /// settings; returns how many. All or none. Rows are held while it works: a key that somebody saves meanwhile stays.
    package func rotateSecrets() async throws(StoreError) -> Int {
        let box = try self.box()
        return try await self.perform(within: Migrator.time) { database throws(StoreError) in
            try database.transaction { () throws(StoreError) in
                var count = 0
                for row in try database.rows(
                    "SELECT * FROM v_voice_ai_providers ORDER BY voice_ai_provider_uuid \(database.holding)")
                {
                    // One that cannot be read stops everything: its key would be lost with the old one.
                    let account = try ProviderAccount(row: row)
                    let plain = try row.textIfAny("config").flatMap { PlainKey(in: $0) }
                    let secret = try row.textIfAny("secret").map { sealed throws(StoreError) in
                        try box.opened(sealed, for: account.owner)
                    }
                    guard secret != nil || plain != nil else { continue }
                    // Nothing: only other providers' keys, which are encrypted anew where they are.
                    let kept = secret ?? plain?.key?.value
                    let settings = try plain?.stored(beside: kept, box, for: account.owner) ?? account.configuration
                    try database.run(
                        "UPDATE v_voice_ai_providers SET secret = ?, config = ? WHERE voice_ai_provider_uuid = ?",
                        [
                            try kept.map { secret throws(StoreError) in
                                .text(try box.sealed(secret, for: account.owner))
                            } ?? .null, .text(settings),
                            .text(try row.text("voice_ai_provider_uuid")),
                        ])
                    count += 1
                }
                return count + (try Self.rotateSwitchPasswords(in: database, box))
                    + (try Self.rotateSigningKeys(in: database, box))
            }
        }
    }

    func box() throws(StoreError) -> SecretBox {
        guard let secrets = self.secrets else { throw Self.noKey }
        return secrets
    }

    private static let noKey = StoreError(
        .noSecretKey, "set PRONTO_SECRET_KEY or PRONTO_SECRET_KEY_FILE (32 bytes in base64) to keep secrets")
}

extension ProviderAccount {
    /// What the encrypted key is bound to.
    var owner: String { "\(self.tenant.text)/\(self.kind.rawValue)/\(self.provider.text)" }

    fileprivate var key: [StoredValue] {
        [.text(self.tenant.text), .text(self.kind.rawValue), .text(self.provider.text)]
    }
}
