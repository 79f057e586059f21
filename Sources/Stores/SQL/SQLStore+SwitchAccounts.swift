import Records
import Telephony

extension SQLStore: SwitchAccountStore {
    package func switchAccount(of tenant: TenantID) async throws(StoreError) -> SwitchAccount? {
        guard let row = try await self.switchRow(of: tenant) else { return nil }
        var account = try SwitchAccount(row: row)
        account.password = Redacted(try self.box().opened(try row.text("esl_password"), for: account.owner))
        return account
    }

    package func switchAccounts() async throws(StoreError) -> [SwitchAccount] {
        let rows = try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM v_voice_event_sockets ORDER BY domain_uuid")
        }
        return try rows.map { row throws(StoreError) in
            var account = try SwitchAccount(row: row)
            do throws(StoreError) {
                account.password = Redacted(try self.box().opened(try row.text("esl_password"), for: account.owner))
            } catch {
                // One that cannot be opened stays without: it harms its own tenant only.
                if error.isRetryable { throw error }
            }
            return account
        }
    }

    package func save(_ account: SwitchAccount, of tenant: TenantID) async throws(StoreError) {
        try StoreError.check(account.tenant, is: tenant)
        try StoreError.check("esl_host", account.host, 1...253)
        guard (1...65535).contains(account.port) else { throw StoreError(.invalid, "esl_port must be 1 to 65535") }
        var row = account.row
        var kept: Set<String> = []
        if let password = account.password {
            try StoreError.check("esl_password", password.value, 1...256)
            row.set("esl_password", try self.box().sealed(password.value, for: account.owner))
        } else {
            guard let stored = try await self.switchRow(of: tenant) else {
                throw StoreError(.invalid, "esl_password is missing")
            }
            row.set("esl_password", try stored.text("esl_password"))
            kept.insert("esl_password")
        }
        let (saved, unchanged) = (row, kept)
        try await self.perform { database throws(StoreError) in
            try database.upsert(saved, into: SwitchAccount.table, key: "domain_uuid", keeping: unchanged)
        }
    }

    @discardableResult
    package func removeSwitchAccount(of tenant: TenantID) async throws(StoreError) -> Bool {
        try await self.perform { database throws(StoreError) in
            try database.run("DELETE FROM v_voice_event_sockets WHERE domain_uuid = ?", [.text(tenant.text)]) > 0
        }
    }

    private func switchRow(of tenant: TenantID) async throws(StoreError) -> Row? {
        try await self.perform { database throws(StoreError) in
            try database.rows("SELECT * FROM v_voice_event_sockets WHERE domain_uuid = ?", [.text(tenant.text)]).first
        }
    }

    /// Encrypts the passwords again with the first key, in the transaction of `rotateSecrets`; how many.
    static func rotateSwitchPasswords(in database: any SQLDatabase, _ box: SecretBox) throws(StoreError) -> Int {
        let rows = try database.rows("SELECT * FROM v_voice_event_sockets ORDER BY domain_uuid \(database.holding)")
        for row in rows {
            let account = try SwitchAccount(row: row)
            let password = try box.opened(try row.text("esl_password"), for: account.owner)
            try database.run(
                "UPDATE v_voice_event_sockets SET esl_password = ? WHERE domain_uuid = ?",
                [.text(try box.sealed(password, for: account.owner)), .text(account.tenant.text)])
        }
        return rows.count
    }
}

extension SwitchAccount {
    static let table = "v_voice_event_sockets"

    /// What the encrypted password is bound to.
    var owner: String { "\(self.tenant.text)/event-socket" }

    /// Without the password.
    init(row: Row) throws(StoreError) {
        self.init(
            tenant: try row.value("domain_uuid") { TenantID($0) }, host: try row.text("esl_host"),
            port: try row.integer("esl_port"), password: nil,
            connectTimeout: try row.millisecondsIfAny("esl_connect_timeout_ms"),
            readTimeout: try row.millisecondsIfAny("esl_read_timeout_ms"), isEnabled: try row.bool("is_enabled"))
    }

    fileprivate var row: Row {
        var row = Row()
        row.set("domain_uuid", self.tenant.text)
        row.set("esl_host", self.host)
        row.set("esl_port", self.port)
        row.set("esl_connect_timeout_ms", milliseconds: self.connectTimeout)
        row.set("esl_read_timeout_ms", milliseconds: self.readTimeout)
        row.set("is_enabled", self.isEnabled)
        return row
    }
}
