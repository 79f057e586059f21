import Foundation
import Records
import Synchronization
import Telephony

/// The keys of signed tokens that this gateway knows: the installation's, from its file, and each tenant's, from the
/// store. In memory, so that who asks is known whatever the database does.
package final class JWTKeyRing: Sendable {
    private struct State {
        var installation: [JSONWebKey] = []
        var tenants: [TenantID: [String: TenantKey]] = [:]
    }
    /// A key and the text that it was read from. To read one anew takes OpenSSL a sound key's proof, milliseconds each.
    private struct TenantKey {
        var key: JSONWebKey
        var text: Redacted<String>
    }
    private let state: Mutex<State>
    /// What tokens to us must have as audience, and what tokens of ours name as issuer.
    package let audience: String

    package init(installation: [JSONWebKey] = [], audience: String) {
        self.state = Mutex(State(installation: installation))
        self.audience = audience
    }

    /// Replaces the installation's keys: for rotation without a restart.
    package func replace(installation keys: [JSONWebKey]) { self.state.withLock { $0.installation = keys } }

    /// Replaces the keys of the tenants that are named, or of all. One whose text is as it was is not read anew. Returns
    /// which could not be read: they harm only themselves.
    @discardableResult
    package func replace(
        tenants records: [SigningKeyRecord], of asked: Set<TenantID>? = nil
    ) -> [(tenant: TenantID, id: String)] {
        let known = self.state.withLock { $0.tenants }
        var keys: [TenantID: [String: TenantKey]] = [:]
        var unread: [(tenant: TenantID, id: String)] = []
        for record in records {
            if let text = record.key, let old = known[record.tenant]?[record.id], old.text.value == text.value {
                keys[record.tenant, default: [:]][record.id] = old
            } else if let text = record.key,
                let key = try? JSONWebKey.set(text.value, tenant: record.tenant).first, key.id == record.id
            {
                keys[record.tenant, default: [:]][record.id] = TenantKey(key: key, text: text)
            } else {
                unread.append((record.tenant, record.id))
            }
        }
        let found = keys
        self.state.withLock { state in
            guard let asked else { return state.tenants = found }
            for tenant in asked { state.tenants[tenant] = found[tenant] }
        }
        return unread
    }

    /// The installation's first key that can sign, or the one of this id.
    package func signer(id: String? = nil) -> JSONWebKey? {
        self.state.withLock { $0.installation.first { $0.canSign && (id == nil || $0.id == id) } }
    }

    /// The public halves of the installation's keys (RFC 7517 §5), for those who verify what we sign.
    package var publicSet: JSONValue {
        let keys = self.state.withLock { $0.installation }
        return ["keys": .array(keys.filter(\.canSign).compactMap(\.publicPart))]
    }

    /// Whose token it is and what it says. `tenants`: the tenant of a SIP domain.
    ///
    /// A tenant's key speaks for that tenant only. An installation's key speaks for the tenant that the token names, by
    /// `tenant_id` or `sip_domain`; where it names both, they are the same one.
    package func verified(
        _ text: String, at now: Date, tenantNamed tenants: (String) -> TenantID?
    ) throws(JSONWebTokenError) -> (tenant: TenantID, key: JSONWebKey, claims: TokenClaims) {
        let token = try JSONWebToken.Unverified(text)
        let named = token.claims.domain.map { tenants($0) }
        let stated = token.claims.tenant ?? named ?? nil
        let key = self.state.withLock { state -> JSONWebKey? in
            stated.flatMap { state.tenants[$0]?[token.keyID]?.key } ?? state.installation.first { $0.id == token.keyID }
        }
        guard let key else { throw .unknownKey }
        let claims = try token.verified(by: key, audience: self.audience, at: now)
        guard let tenant = stated else { throw .tenant }
        if let named, named != tenant { throw .otherTenant }
        return (tenant, key, claims)
    }

    /// A token of ours, for a tenant: to ask ourselves, or for a gateway of the tenant's (`audience` is then its). Nil: no
    /// key can sign.
    package func issue(
        for tenant: Tenant, audience: String? = nil, trunk: String? = nil, role: AccessRole? = nil,
        subject: String? = nil, key: String? = nil, at now: Date, lifetime: Duration
    ) -> Redacted<String>? {
        guard let signer = self.signer(id: key) else { return nil }
        let seconds = min(max(Double(lifetime.components.seconds), 1), JSONWebToken.longestLife)
        var claims = TokenClaims(expiresAt: now.addingTimeInterval(seconds))
        claims.issuer = signer.issuer ?? self.audience
        claims.subject = subject
        claims.audience = [audience ?? self.audience]
        claims.issuedAt = now
        claims.tenant = tenant.id
        claims.domain = tenant.name
        claims.trunk = trunk
        claims.provisioner = self.audience
        claims.role = role
        return JSONWebToken.signed(claims, with: signer)
    }
}
