import AdminAPI
import Foundation
import Observability
import Records
import Stores
import Synchronization
import Telephony

/// Finds out whose a credential of the API is: a stored token by its hash, or a signed token by its key.
///
/// A stored token is looked up and remembered for moments (`RememberedTokens`); while the store does not answer, one that
/// it knew stays good for a while. Signed tokens are verified from memory.
final class CredentialDesk: Authenticating {
    private let store: any APITokenStore
    private let keys: JWTKeyRing
    private let tenantNamed: @Sendable (String) -> TenantID?
    private let isEnabled: @Sendable (TenantID) -> Bool
    private let logger: Logger
    private let now: @Sendable () -> Date
    /// When each token's use was last written down: once a minute is enough for people.
    private let noted = Mutex<[APITokenID: Date]>([:])
    private let memory: TokenMemory
    private let refusals = Mutex(RefusalLog())
    /// What a request waits for the store about a token that is remembered: the routing question has 400 ms in all.
    private let patience: Duration

    init(
        store: any APITokenStore, memory: TokenMemory, keys: JWTKeyRing, patience: Duration = .milliseconds(150),
        tenantNamed: @escaping @Sendable (String) -> TenantID?,
        isEnabled: @escaping @Sendable (TenantID) -> Bool, logger: Logger, now: @escaping @Sendable () -> Date
    ) {
        self.store = store
        self.memory = memory
        self.patience = patience
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
            if case .refused(let slug) = error,
                let count = self.refusals.withLock({ $0.refused(slug, at: self.now()) })
            {
                self.logger.warning(
                    "Credential refused", ["refusal.reason": .string(slug), "refusal.count": .integer(count)])
            }
            throw error
        }
    }

    private func asker(hash: String) async throws(AuthenticationFailure) -> Asker {
        let found: APIToken?
        switch self.memory.advice(hash: hash, at: self.now()) {
        case .believe(let token): found = token
        case .ask:
            switch await self.lookUp(hash) {
            case .success(let token): found = token
            case .failure: throw .unavailable
            }
        case .confirm(let known):
            switch await self.lookUp(hash, within: self.patience) {
            case .success(let token)?: found = token
            case .failure?, nil: found = known
            }
        }
        let now = self.now()
        guard let token = found else { throw .refused(slug: "unknown-token") }
        guard token.revokedAt == nil else { throw .refused(slug: "revoked") }
        guard token.isValid(at: now) else { throw .refused(slug: "expired") }
        await self.note(token.id, at: now)
        return Asker(
            scope: token.tenant.map { .tenant($0) } ?? .installation, role: token.role,
            credential: .apiToken(token.id), client: "token \(token.id.text)")
    }

    func remembers(bearer: String) -> Bool {
        APITokenSecret.hash(of: bearer).map { self.memory.contains(hash: $0, at: self.now()) } ?? false
    }

    /// Asks the store, and remembers what it says.
    private func lookUp(_ hash: String) async -> Result<APIToken?, StoreError> {
        do throws(StoreError) {
            let token = try await self.store.apiToken(hash: hash)
            self.memory.learned(token, hash: hash, at: self.now())
            return .success(token)
        } catch {
            if let count = self.refusals.withLock({ $0.refused("store", at: self.now()) }) {
                self.logger.warning(
                    "API token not looked up",
                    ["store.error": .string(error.code.rawValue), "refusal.count": .integer(count)])
            }
            return .failure(error)
        }
    }

    /// Nil: the store has not answered in time. What it answers later is remembered all the same.
    private func lookUp(_ hash: String, within patience: Duration) async -> Result<APIToken?, StoreError>? {
        let answers = AsyncStream<Result<APIToken?, StoreError>?>.makeStream()
        // Both end by themselves: the store's questions have a deadline of their own, and the other only sleeps.
        Task { answers.continuation.yield(await self.lookUp(hash)) }
        Task {
            // Nobody cancels it.
            try? await Task.sleep(for: patience)
            answers.continuation.yield(nil)
        }
        for await answer in answers.stream { return answer }
        return nil
    }

    private func asker(signed text: String) throws(AuthenticationFailure) -> Asker {
        do throws(JSONWebTokenError) {
            let verified = try self.keys.verified(text, at: self.now(), tenantNamed: self.tenantNamed)
            return Asker(
                scope: .tenant(verified.tenant), role: verified.claims.role ?? .viewer,
                credential: .signed(key: verified.key.id), trunk: verified.claims.trunk,
                // Without a role a token asks what requirements 2 signs tokens for, and reads no records.
                asksRoutingOnly: verified.claims.role == nil,
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
