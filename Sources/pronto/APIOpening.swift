import AdminAPI
import Configuration
import Foundation
import Glibc
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
    /// Of the tenants that are named, or of all.
    func replace(_ policies: [TenantID: TenantPolicy], of asked: Set<TenantID>?) {
        self.policies.withLock { known in
            guard let asked else { return known = policies }
            for tenant in asked { known[tenant] = policies[tenant] }
        }
    }
    var all: [TenantID: TenantPolicy] { self.policies.withLock { $0 } }
    func audio(of tenant: TenantID) -> CallAudio? { self.policies.withLock { $0[tenant]?.audio } }
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
    private let turns: Turns
    private let faults: FaultTelling
    private let isAway = Mutex(false)
    /// PRONTO_JWT_KEYS_FILE as it was last read.
    private let file: Mutex<FileMark?>

    /// - Parameter turns: the configuration's.
    init(_ settings: Settings, turns: Turns, faults: FaultTelling, logger: Logger) throws {
        self.settings = settings
        self.turns = turns
        self.faults = faults
        self.logger = logger
        self.file = Mutex(settings.jwtKeysFile.flatMap { FileMark($0) })
        self.keys = JWTKeyRing(installation: try Self.keys(settings), audience: settings.jwtAudience)
    }

    static func keys(_ settings: Settings) throws -> [JSONWebKey] {
        guard let file = settings.jwtKeysFile else { return [] }
        do throws(JSONWebKeyError) { return try JSONWebKey.set(file: file) } catch {
            throw StartError("PRONTO_JWT_KEYS_FILE: \(file): \(error); `pronto token new-jwk` makes a key")
        }
    }

    /// The first reading: from the store, or, when it is away or locked, from the copy that the configuration has.
    func begin(_ store: any RecordsStore, _ copy: ConfigurationCopy?) async throws {
        do throws(StoreError) {
            self.take(try await store.access(of: nil))
        } catch {
            guard error.isPassing, let copy, copy.exists else { throw error }
            self.take(try copy.readAccess(secretKeys: try StoreCommands.secretKeys(self.settings)))
        }
    }

    /// Takes over policies and keys that were read; what is wrong with them harms only itself, and is told once.
    func take(_ reading: AccessReading) {
        self.policies.replace(reading.policies, of: reading.asked)
        let unread = self.keys.replace(tenants: reading.keys, of: reading.asked)
        // One that could not be decrypted is among the faults already.
        let shut = Set(reading.keys.filter { $0.key == nil }.map { "\($0.tenant.text)/\($0.id)" })
        let broken = unread.filter { !shut.contains("\($0.tenant.text)/\($0.id)") }.map { key in
            ConfigurationFault(
                table: SigningKeyRecord.table, row: key.tenant.text, tenant: key.tenant,
                message: "column key_data of key \(key.id) must be a JSON Web Key of that id: its tokens are refused")
        }
        self.faults.tell(reading.faults + broken, in: .access, of: reading.asked)
    }

    /// Reads all of it anew, whatever comes of it, after a change by the API, so that whoever made it sees it at once. What
    /// cannot be read leaves what was before, and is told once; the loader tries again.
    func follow(_ store: any RecordsStore) async {
        do throws(StoreError) {
            try await self.turns.inTurn { () async throws(StoreError) in
                self.take(try await store.access(of: nil))
            }
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

    // MARK: The installation's keys

    /// What tells one content of a file from another, without reading it.
    private struct FileMark: Equatable {
        private let numbers: [Int]

        init?(_ path: String) {
            var found = stat()
            guard stat(path, &found) == 0 else { return nil }
            self.numbers = [
                Int(found.st_ino), Int(found.st_size), found.st_mtim.tv_sec, found.st_mtim.tv_nsec,
                found.st_ctim.tv_sec, found.st_ctim.tv_nsec,
            ]
        }
    }

    /// Reads PRONTO_JWT_KEYS_FILE again where it is another one than before: keys are rotated without a restart.
    func followFile() {
        guard let path = self.settings.jwtKeysFile else { return }
        let mark = FileMark(path)
        let isNew = self.file.withLock { known in
            defer { known = mark }
            return known != mark
        }
        if isNew { self.rereadFile() }
    }

    /// What cannot be read leaves the keys that were before.
    func rereadFile() {
        do { self.keys.replace(installation: try Self.keys(self.settings)) } catch {
            self.logger.warning(
                "Keys of signed tokens not read again: those before stand", ["error": .string("\(error)")])
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

    /// Each minute what other nodes left for this one; a minute after the start, and every hour, what is too old.
    static func sweep(_ keeper: RecordKeeper, _ retention: Retention, _ logger: Logger) async {
        var next = ContinuousClock.now
        var isBehind = false
        while !Task.isCancelled {
            // Ends early only by cancellation, which is asked for next.
            try? await Task.sleep(for: .seconds(60))
            guard !Task.isCancelled else { return }
            isBehind = await self.catchUp(keeper, wasBehind: isBehind, logger)
            guard ContinuousClock.now >= next else { continue }
            next = .now + .seconds(3600)
            do throws(StoreError) {
                let sweep = try await keeper.sweep(installation: retention, at: Date())
                for (tenant, error) in sweep.failures {
                    logger.warning(
                        "Retention not applied to a tenant: the next hour tries again",
                        ["tenant.id": .string(tenant.text), "store.error": .string("\(error)")])
                }
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

    /// Whether it has to be done again. Told once, not each minute that the database is away.
    private static func catchUp(_ keeper: RecordKeeper, wasBehind: Bool, _ logger: Logger) async -> Bool {
        do throws(StoreError) {
            let done = try await keeper.catchUp(at: Date())
            guard !done.isEmpty else { return false }
            logger.info(
                "Erased here what was erased elsewhere",
                [
                    "recordings": .integer(done.recordings), "spooled": .integer(done.spooled),
                    "left": .integer(done.left),
                ])
            return false
        } catch {
            guard !wasBehind else { return true }
            logger.warning(
                "Erasing not caught up with: the next minute tries again", ["store.error": .string(error.code.rawValue)]
            )
            return true
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
