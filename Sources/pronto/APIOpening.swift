import AdminAPI
import Configuration
import Foundation
import Networking
import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony

/// What each tenant may use and keeps, in memory: admission and the rate limit ask it.
final class TenantPolicies: Sendable {
    private let policies = Mutex<[TenantID: TenantPolicy]>([:])
    func replace(_ policies: [TenantID: TenantPolicy]) { self.policies.withLock { $0 = policies } }
    var all: [TenantID: TenantPolicy] { self.policies.withLock { $0 } }
    func limits(of tenant: TenantID) -> TenantLimits { self.policies.withLock { $0[tenant]?.limits } ?? TenantLimits() }
}

/// Who may ask the API, what tenants may use, and what is kept: made from the settings and the store, and read again with
/// the configuration.
final class APIAccess: Sendable {
    let policies = TenantPolicies()
    let keys: JWTKeyRing
    /// API tokens that were good a moment ago.
    let tokens = TokenMemory()
    private let settings: Settings
    private let logger: Logger
    private let isAway = Mutex(false)
    /// Keys that could not be read, so that each is told once.
    private let unread = Mutex<Set<String>>([])

    init(_ settings: Settings, logger: Logger) throws {
        self.settings = settings
        self.logger = logger
        self.keys = JWTKeyRing(installation: try Self.keys(settings), audience: settings.jwtAudience)
    }

    static func keys(_ settings: Settings) throws -> [JSONWebKey] {
        guard let file = settings.jwtKeysFile else { return [] }
        do throws(JSONWebKeyError) { return try JSONWebKey.set(file: file) } catch {
            throw StartError("PRONTO_JWT_KEYS_FILE: \(file): \(error); `pronto token new-jwk` makes a key")
        }
    }

    /// Reads the policies and the keys anew; what cannot be read leaves what was before.
    func reload(from store: any RecordsStore) async throws(StoreError) {
        self.policies.replace(try await store.policies())
        let unread = self.keys.replace(tenants: try await store.signingKeys())
        let known = self.unread.withLock { known in
            defer { known = Set(unread.map { "\($0.tenant.text)/\($0.id)" }).union(known.intersection(["file"])) }
            return known
        }
        for key in unread where !known.contains("\(key.tenant.text)/\(key.id)") {
            self.logger.warning(
                "Signing key not read: its tokens are refused (voip_signing_keys.key_data)",
                ["tenant.id": .string(key.tenant.text), "key.id": .string(key.id)])
        }
        do { self.keys.replace(installation: try Self.keys(self.settings)) } catch {
            self.logger.warning(
                "Keys of signed tokens not read again: those before stand", ["error": .string("\(error)")])
        }
    }

    /// Reads anew, whatever comes of it: what cannot be read leaves what was before, and is told once.
    func follow(_ store: any RecordsStore) async {
        do throws(StoreError) {
            try await self.reload(from: store)
            self.isAway.withLock { $0 = false }
        } catch {
            let isNew = self.isAway.withLock { isAway in
                defer { isAway = true }
                return !isAway
            }
            guard isNew else { return }
            self.logger.warning(
                "Tenants' policies and keys not read: those before stand", ["store.error": .string(error.code.rawValue)]
            )
        }
    }

    static func retention(_ settings: Settings) -> Retention {
        Retention(
            conversations: settings.keepConversations, recordings: settings.keepRecordings, calls: settings.keepCalls,
            activity: settings.keepActivity)
    }

    func gate(_ store: any RecordsStore, _ directory: AssistantDirectory, limiter: any RateLimiter) -> APIGate {
        let desk = CredentialDesk(
            store: store, memory: self.tokens, keys: self.keys, tenantNamed: { directory.tenant(named: $0) },
            isEnabled: { directory.entry(of: $0)?.tenant.isEnabled ?? false }, logger: self.logger, now: { Date() })
        let (peers, usual, policies) = (self.settings.allowedPeers, self.settings.apiTenantRate, self.policies)
        return APIGate(
            authenticator: desk, limiter: limiter, clientRate: .perMinute(self.settings.apiRate),
            tenantRate: { .perMinute(policies.limits(of: $0).requests ?? usual) },
            isTrustedPeer: { peer in peers.contains { $0.contains(peer.host) } })
    }
}

/// The parts of the API that are elsewhere: calls, recordings, erasing.
enum APIOpening {
    static func server(
        _ settings: Settings, _ gate: APIGate, store: any RecordsStore, gateway: Gateway, directory: AssistantDirectory,
        access: APIAccess, keeper: RecordKeeper, registry: MetricsRegistry, logger: Logger,
        changed: @escaping @Sendable () async -> Void
    ) -> APIServer {
        let keys = access.keys
        var backEnd = APIBackEnd(
            store: store, calls: GatewayCalls(gateway: gateway),
            recordings: RecordingFolder(settings.recordings), eraser: keeper, version: Pronto.version,
            changed: changed, now: { Date() }, publicKeys: { keys.publicSet },
            makeToken: { tenant, name, role, expiry throws(StoreError) in
                try APITokenSecret.generated(tenant: tenant, name: name, role: role, at: Date(), expiresAt: expiry)
            },
            readKey: { text, tenant in
                do throws(JSONWebKeyError) {
                    let keys = try JSONWebKey.set(text, tenant: tenant)
                    guard keys.count == 1 else { return .failure(.init(detail: "one key at a time is taken")) }
                    return .success(keys[0].id)
                } catch {
                    return .failure(.init(detail: "\(error)"))
                }
            }, retention: APIAccess.retention(settings))
        backEnd.tokenRevoked = { access.tokens.forget($0) }
        backEnd.mayNamePrivateHosts = settings.tenantPrivateHosts
        let routes = backEnd.routes
        return APIServer(
            routes: routes, gate: gate, logger: logger, metrics: APIMetrics(registry: registry, routes: routes),
            onlyTenant: { directory.onlyTenant }, isKnown: { directory.entry(of: $0) != nil })
    }

    /// Takes away what is too old: a minute after the start, and every hour.
    static func sweep(_ keeper: RecordKeeper, _ retention: Retention, _ logger: Logger) async {
        var pause = Duration.seconds(60)
        while !Task.isCancelled {
            // Ends early only by cancellation, which the loop's condition sees.
            try? await Task.sleep(for: pause)
            guard !Task.isCancelled else { return }
            pause = .seconds(3600)
            do throws(StoreError) {
                let sweep = try await keeper.sweep(installation: retention, at: Date())
                guard !sweep.isEmpty else { continue }
                logger.info(
                    "Records beyond their retention removed",
                    [
                        "calls": .integer(sweep.calls), "conversations": .integer(sweep.conversations),
                        "recordings": .integer(sweep.recordings), "activities": .integer(sweep.activities),
                        "spooled": .integer(sweep.spooled), "left": .integer(sweep.left),
                    ])
            } catch {
                logger.warning(
                    "Retention not applied: the next hour tries again", ["store.error": .string(error.code.rawValue)])
            }
        }
    }
}

/// The API's view of this node's calls.
struct GatewayCalls: LiveCallDesk {
    let gateway: Gateway

    func calls(of tenant: TenantID) async -> [LiveCall] {
        await self.gateway.summaries(of: tenant).map { summary in
            let identity = summary.identity
            var call = LiveCall(
                id: identity.call, assistant: identity.assistant, assistantName: identity.assistantName,
                startedAt: summary.startedAt)
            call.caller = identity.caller
            call.dialed = identity.dialed
            call.dialect = summary.dialect
            call.provider = summary.provider
            call.isTransferring = summary.isTransferring
            return call
        }
    }

    func hangUp(_ call: CallID, of tenant: TenantID) async -> Bool {
        self.gateway.end(call, of: tenant, .operatorHungUp)
    }

    func transfer(_ call: CallID, of tenant: TenantID, to destination: TransferDestination) async -> Bool? {
        await self.gateway.transfer(call, of: tenant, to: destination)
    }
}

extension RecordKeeper: CallerErasing {}
extension OpenRecording: RecordingReading {}
extension RecordingFolder: RecordingShelf {
    package func open(_ recording: String, of tenant: TenantID) throws(StoreError) -> (any RecordingReading)? {
        let file: OpenRecording? = try self.open(recording, of: tenant)
        return file
    }
}
