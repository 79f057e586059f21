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

    /// All of it, subject by subject.
    var changes: [Change] { [.limits(self.limits), .retention(self.retention), .audio(self.audio)] }

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
}

extension TenantPolicy.Change {
    /// Sets the subject's columns. What may be stored: nothing is negative.
    func put(to row: inout Row) throws(StoreError) {
        switch self {
        case .limits(let limits):
            try row.set("max_calls", count: limits.calls)
            try row.set("max_spend_micros", count: limits.spendMicros)
            try row.set("max_requests", count: limits.requests)
        case .retention(let retention):
            try row.set("keep_conversations", count: retention.conversations)
            try row.set("keep_recordings", count: retention.recordings)
            try row.set("keep_cdr", count: retention.calls)
            try row.set("keep_activity", count: retention.activity)
        case .audio(let audio):
            row.set("audio_mode", audio?.rawValue)
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
    fileprivate mutating func set(_ column: String, count: Int?) throws(StoreError) {
        if let count, count < 0 { throw StoreError(.invalid, "\(column) must not be negative") }
        self.set(column, count)
    }

    /// A count that somebody may have written by hand.
    fileprivate func countIfAny(_ column: String) throws(StoreError) -> Int? {
        guard let count = try self.integerIfAny(column) else { return nil }
        guard count >= 0 else { throw Row.corrupt(column, "0 or more") }
        return count
    }
}
