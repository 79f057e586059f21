import Foundation
import Records
import Synchronization
import Telephony

/// The keys of signed tokens that this gateway knows: the installation's, from its file, and each tenant's, from the
/// store. In memory, so that who asks is known whatever the database does.
package final class JWTKeyRing: Sendable {
    private struct State {
        var installation: [JSONWebKey] = []
        var tenants: [TenantID: [String: JSONWebKey]] = [:]
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

    /// Replaces the tenants' keys. Returns which could not be read: they harm only themselves.
    @discardableResult
    package func replace(tenants records: [SigningKeyRecord]) -> [(tenant: TenantID, id: String)] {
        var keys: [TenantID: [String: JSONWebKey]] = [:]
        var unread: [(tenant: TenantID, id: String)] = []
        for record in records {
            let key = record.key.flatMap { try? JSONWebKey.set($0.value, tenant: record.tenant).first }
            if let key, key.id == record.id {
                keys[record.tenant, default: [:]][record.id] = key
            } else {
                unread.append((record.tenant, record.id))
            }
        }
        self.state.withLock { $0.tenants = keys }
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
            stated.flatMap { state.tenants[$0]?[token.keyID] } ?? state.installation.first { $0.id == token.keyID }
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
