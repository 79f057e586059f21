import Records
import Telephony

extension APIToken {
    static let table = "voip_api_tokens"

    var row: Row {
        var row = Row()
        row.set("api_token_uuid", self.id.text)
        row.set("domain_uuid", self.tenant?.text)
        row.set("token_name", self.name)
        row.set("token_role", self.role.rawValue)
        row.set("token_prefix", self.prefix)
        row.set("token_hash", self.hash)
        row.set("created_at", self.createdAt)
        row.set("expires_at", self.expiresAt)
        row.set("last_used_at", self.lastUsedAt)
        row.set("revoked_at", self.revokedAt)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("api_token_uuid") { APITokenID($0) },
            tenant: try row.valueIfAny("domain_uuid") { TenantID($0) }, name: try row.text("token_name"),
            role: try row.value("token_role") { AccessRole(rawValue: $0) }, prefix: try row.text("token_prefix"),
            hash: try row.text("token_hash"), createdAt: try row.date("created_at"),
            expiresAt: try row.dateIfAny("expires_at"))
        self.lastUsedAt = try row.dateIfAny("last_used_at")
        self.revokedAt = try row.dateIfAny("revoked_at")
    }
}

extension TenantPolicy {
    static let table = "voip_tenant_settings"

    func row(of tenant: TenantID) -> Row {
        var row = Row()
        row.set("domain_uuid", tenant.text)
        row.set("max_calls", self.limits.calls)
        row.set("max_spend_micros", self.limits.spendMicros)
        row.set("max_requests", self.limits.requests)
        row.set("keep_conversations", self.retention.conversations)
        row.set("keep_recordings", self.retention.recordings)
        row.set("keep_cdr", self.retention.calls)
        row.set("keep_activity", self.retention.activity)
        row.set("audio_mode", self.audio?.rawValue)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            limits: TenantLimits(
                calls: try row.countIfAny("max_calls"), spendMicros: try row.countIfAny("max_spend_micros"),
                requests: try row.countIfAny("max_requests")),
            retention: Retention(
                conversations: try row.countIfAny("keep_conversations"),
                recordings: try row.countIfAny("keep_recordings"), calls: try row.countIfAny("keep_cdr"),
                activity: try row.countIfAny("keep_activity")),
            audio: try row.valueIfAny("audio_mode") { CallAudio(rawValue: $0) })
    }

    /// What may be stored: nothing is negative.
    func check() throws(StoreError) {
        let fields = [
            ("max_calls", self.limits.calls), ("max_spend_micros", self.limits.spendMicros),
            ("max_requests", self.limits.requests), ("keep_conversations", self.retention.conversations),
            ("keep_recordings", self.retention.recordings), ("keep_cdr", self.retention.calls),
            ("keep_activity", self.retention.activity),
        ]
        for case (let column, let value?) in fields where value < 0 {
            throw StoreError(.invalid, "\(column) must not be negative")
        }
    }
}

extension SigningKeyRecord {
    package static let table = "voip_signing_keys"

    /// What the encrypted key is bound to.
    var owner: String { "\(self.tenant.text)/signing-key/\(self.id)" }

    /// Without the key.
    init(row: Row) throws(StoreError) {
        self.init(tenant: try row.value("domain_uuid") { TenantID($0) }, id: try row.text("key_id"), key: nil)
    }
}

extension Row {
    /// A count that somebody may have written by hand.
    fileprivate func countIfAny(_ column: String) throws(StoreError) -> Int? {
        guard let count = try self.integerIfAny(column) else { return nil }
        guard count >= 0 else { throw Row.corrupt(column, "0 or more") }
        return count
    }
}
