import AdminAPI
import Foundation
import Observability
import Records
import Stores
import Synchronization
import Telephony

/// Finds out whose a credential of the API is: a stored token by its hash, or a signed token by its key.
///
/// A stored token is looked up for each request, so that a revoked one is good for none. Signed tokens are verified from
/// memory.
final class CredentialDesk: Authenticating {
    private let store: any APITokenStore
    private let keys: JWTKeyRing
    private let tenantNamed: @Sendable (String) -> TenantID?
    private let isEnabled: @Sendable (TenantID) -> Bool
    private let logger: Logger
    private let now: @Sendable () -> Date
    /// When each token's use was last written down: once a minute is enough for people.
    private let noted = Mutex<[APITokenID: Date]>([:])

    init(
        store: any APITokenStore, keys: JWTKeyRing, tenantNamed: @escaping @Sendable (String) -> TenantID?,
        isEnabled: @escaping @Sendable (TenantID) -> Bool, logger: Logger, now: @escaping @Sendable () -> Date
    ) {
        self.store = store
        self.keys = keys
        self.tenantNamed = tenantNamed
        self.isEnabled = isEnabled
        self.logger = logger
        self.now = now
    }

    func asker(bearer: String) async throws(AuthenticationFailure) -> Asker {
        do throws(AuthenticationFailure) {
            let asker: Asker
            if let hash = APITokenSecret.hash(of: bearer) {
                asker = try await self.asker(hash: hash)
            } else {
                asker = try self.asker(signed: bearer)
            }
            // A tenant that was switched off has nothing to ask.
            if let tenant = asker.tenant, !self.isEnabled(tenant) { throw .refused(slug: "tenant-disabled") }
            return asker
        } catch {
            if case .refused(let slug) = error {
                self.logger.warning("Credential refused", ["refusal.reason": .string(slug)])
            }
            throw error
        }
    }

    private func asker(hash: String) async throws(AuthenticationFailure) -> Asker {
        let now = self.now()
        let found: APIToken?
        do throws(StoreError) { found = try await self.store.apiToken(hash: hash) } catch {
            self.logger.warning("API token not looked up", ["store.error": .string(error.code.rawValue)])
            throw .unavailable
        }
        guard let token = found else { throw .refused(slug: "unknown-token") }
        guard token.revokedAt == nil else { throw .refused(slug: "revoked") }
        guard token.isValid(at: now) else { throw .refused(slug: "expired") }
        await self.note(token.id, at: now)
        return Asker(
            scope: token.tenant.map { .tenant($0) } ?? .installation, role: token.role,
            credential: .apiToken(token.id), client: "token \(token.id.text)")
    }

    private func asker(signed text: String) throws(AuthenticationFailure) -> Asker {
        do throws(JSONWebTokenError) {
            let verified = try self.keys.verified(text, at: self.now(), tenantNamed: self.tenantNamed)
            return Asker(
                scope: .tenant(verified.tenant), role: verified.claims.role ?? .viewer,
                credential: .signed(key: verified.key.id), trunk: verified.claims.trunk,
                client: "key \(verified.tenant.text) \(verified.key.id)")
        } catch {
            throw .refused(slug: "signed-\(error.rawValue)")
        }
    }

    /// A time that cannot be written stops nobody.
    private func note(_ id: APITokenID, at now: Date) async {
        let isDue = self.noted.withLock { noted -> Bool in
            if let last = noted[id], now.timeIntervalSince(last) < 60 { return false }
            if noted.count >= 10_000 { noted.removeAll() }
            noted[id] = now
            return true
        }
        guard isDue else { return }
        do throws(StoreError) { try await self.store.apiTokenUsed(id, at: now) } catch {
            self.logger.warning("Use of an API token not written down", ["store.error": .string(error.code.rawValue)])
        }
    }
}
