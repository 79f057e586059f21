import Foundation
import Networking
import Observability
import Records
import Stores
import Synchronization
import Telephony
import Testing

@testable import AdminAPI

/// The API on loopback with a store of two tenants, each with everything that a tenant can have.
final class APIUnderTest: Sendable {
    static let secretKey = "a:" + Data(repeating: 7, count: 32).base64EncodedString()

    let group = EventLoopGroup(count: 1)
    let store: SQLStore
    let folder: String
    let routes: [APIRoute]
    let desk = LiveCalls()
    let tokens: Tokens
    private let server: HTTPServer
    private let client: LoopBound<HTTPClient>

    /// A tenant and the ids of what it has.
    struct Company: Sendable {
        var tenant: TenantID
        var assistant: AssistantID
        var destination: DestinationID
        var call: CallID
        var conversation: ConversationID
        var live: CallID
        var token: APITokenID
        /// What only this company's data holds.
        var mark: String
    }
    let one: Company
    let two: Company

    /// Texts of tokens, by what they are.
    struct Tokens: Sendable {
        var viewer = ""
        var `operator` = ""
        var admin = ""
        var other = ""
        var installation = ""
        var revoked = ""
        var expired = ""
    }

    static func run(
        rate: Rate = Rate(perSecond: 1e6, burst: 1e6), limits: APIServer.Limits = .init(),
        more: [APIRoute] = [], askers: [String: Asker] = [:], _ body: (APIUnderTest) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-api-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let api = try await APIUnderTest(folder, rate, limits, more, askers)
        let result: Result<Void, any Error>
        do { result = .success(try await body(api)) } catch { result = .failure(error) }
        api.server.close()
        await api.store.close()
        api.group.stop()
        try result.get()
    }

    private init(
        _ folder: String, _ rate: Rate, _ limits: APIServer.Limits, _ more: [APIRoute], _ askers: [String: Asker]
    ) async throws {
        self.folder = folder
        let store = try await SQLStore(path: folder + "/pronto.db", secretKeys: try SecretKeys(Self.secretKey))
        self.store = store
        self.one = try await Self.company(1, store, folder)
        self.two = try await Self.company(2, store, folder)
        let tenants = [self.one.tenant, self.two.tenant]
        var tokens = Tokens()
        func make(
            _ tenant: TenantID?, _ role: AccessRole, expires: Date? = nil, revoked: Bool = false
        ) async throws -> String {
            let made = try APITokenSecret.generated(
                tenant: tenant, name: "a token", role: role, at: Date(), expiresAt: expires)
            try await store.add(made.token)
            if revoked { try await store.revokeAPIToken(made.token.id, of: tenant, at: Date()) }
            return made.text.value
        }
        tokens.viewer = try await make(self.one.tenant, .viewer)
        tokens.operator = try await make(self.one.tenant, .operator)
        tokens.admin = try await make(self.one.tenant, .admin)
        tokens.other = try await make(self.two.tenant, .admin)
        tokens.installation = try await make(nil, .admin)
        tokens.revoked = try await make(self.one.tenant, .admin, revoked: true)
        tokens.expired = try await make(self.one.tenant, .admin, expires: Date(timeIntervalSinceNow: -1))
        self.tokens = tokens
        self.desk.add(self.one.live, self.one.tenant, "live of \(self.one.mark)")
        self.desk.add(self.two.live, self.two.tenant, "live of \(self.two.mark)")
        let keeper = RecordKeeper(store: store, spool: nil, recordings: RecordingFolder(folder))
        let backEnd = APIBackEnd(
            store: store, calls: self.desk, recordings: Shelf(folder: RecordingFolder(folder)),
            eraser: Eraser(keeper: keeper), version: "test", changed: {}, now: { Date() },
            publicKeys: { ["keys": []] },
            makeToken: { tenant, name, role, expiry throws(StoreError) in
                try APITokenSecret.generated(tenant: tenant, name: name, role: role, at: Date(), expiresAt: expiry)
            },
            readKey: { text, tenant in
                do throws(JSONWebKeyError) {
                    return .success(try JSONWebKey.set(text, tenant: tenant)[0].id)
                } catch {
                    return .failure(.init(detail: "\(error)"))
                }
            }, retention: Retention(conversations: 90))
        let gate = APIGate(
            authenticator: StoredTokens(store: store, signed: askers), limiter: LocalRateLimiter(), clientRate: rate,
            tenantRate: { _ in Rate(perSecond: 1e6, burst: 1e6) })
        self.routes = backEnd.routes + more
        let api = APIServer(
            routes: self.routes, gate: gate, limits: limits, logger: .silent, onlyTenant: { nil },
            isKnown: { tenants.contains($0) })
        self.server = try AdminServer.start(
            host: "127.0.0.1", port: 0, loops: self.group.loops,
            health: { AdminServer.Health(isDraining: false, activeCalls: 0) }, registry: MetricsRegistry(), api: api)
        let loop = self.group.loops[0]
        self.client = try await loop.run { LoopBound(HTTPClient(on: loop), on: loop) }
    }

    private static func uuid(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    private static func company(_ number: Int, _ store: SQLStore, _ folder: String) async throws -> Company {
        let mark = "mark\(number)\(number)\(number)"
        let tenant = try #require(TenantID(Self.uuid(number)))
        let company = Company(
            tenant: tenant, assistant: try #require(AssistantID(Self.uuid(number * 100 + 1))),
            destination: try #require(DestinationID(Self.uuid(number * 100 + 2))),
            call: try #require(CallID("call-\(mark)")),
            conversation: try #require(ConversationID(Self.uuid(number * 100 + 3))),
            live: try #require(CallID("live-\(mark)")),
            token: try #require(APITokenID(Self.uuid(number * 100 + 4))), mark: mark)
        try await store.save(Tenant(id: tenant, name: "\(mark).example"))
        var assistant = Assistant(
            id: company.assistant, tenant: tenant, name: "assistant \(mark)", number: "800\(number)")
        assistant.instructions = Redacted("instructions \(mark)")
        try await store.save(assistant, of: tenant)
        try await store.save(
            DestinationRecord(
                id: company.destination, tenant: tenant, name: "destination \(mark)", number: "1001",
                context: "default"), of: tenant)
        var account = ProviderAccount(tenant: tenant, provider: .openAI, secret: "secret \(mark)")
        account.displayName = "account \(mark)"
        // As an existing installation has it: a key where none should be.
        account.configuration = #"{"model":"m \#(mark)","api_key":"plain secret \#(mark)"}"#
        try await store.save(account, of: tenant)
        try await store.save(
            TenantPolicy(limits: TenantLimits(calls: 1110 + number), retention: Retention(calls: 2220 + number)),
            of: tenant)
        let key = try JSONWebKey.generated(.hs256, id: "key-\(mark)")
        try await store.save(SigningKeyRecord(tenant: tenant, id: "key-\(mark)", key: key), of: tenant, at: Date())
        try await store.add(
            APIToken(
                id: company.token, tenant: tenant, name: "token \(mark)", role: .viewer, prefix: "pronto_x",
                hash: "hash \(mark)", createdAt: Date()))
        let path = "\(folder)/\(tenant.text)/\(company.call.text)-1.wav"
        try FileManager.default.createDirectory(
            atPath: "\(folder)/\(tenant.text)", withIntermediateDirectories: true)
        try Data("recording of \(mark)".utf8).write(to: URL(fileURLWithPath: path))
        let start = Date(timeIntervalSince1970: 1_760_000_000)
        var call = CallRecord(
            id: company.call, tenant: tenant, startedAt: start, endedAt: start.addingTimeInterval(61),
            termination: .callerHungUp)
        // The same caller calls both.
        call.caller = Redacted("+39061234567")
        call.dialed = Redacted("=cmd|\(mark)")
        call.recording = path
        call.assistant = company.assistant
        let conversation = ConversationRecord(
            id: company.conversation, tenant: tenant, call: company.call, startedAt: start, endedAt: call.endedAt,
            finalAction: .hangup)
        let turn = TurnRecord(
            number: 1, role: .caller, text: "words \(mark)", startedAt: start, endedAt: call.endedAt)
        let tool = ToolUse(
            number: 1, name: "end_call", arguments: "arguments \(mark)", outcome: .succeeded, startedAt: start,
            duration: .zero)
        try await store.finish(
            FinishedCall(call: call, conversation: conversation, turns: [turn], tools: [tool]), of: tenant)
        return company
    }

    /// Asks and returns the whole answer.
    func ask(
        _ method: String, _ path: String, token: String? = nil, body: JSONValue? = nil,
        headers: [(name: String, value: String)] = []
    ) async throws -> HTTPResponse {
        var request = HTTPClientRequest(method: method, url: "http://\(self.server.address)\(path)", headers: headers)
        if let token { request.headers.append(("Authorization", "Bearer \(token)")) }
        if let body {
            request.headers.append(("Content-Type", "application/json"))
            request.body = Array(body.json.utf8)
        }
        let asked = request
        let result: Result<HTTPResponse, HTTPClientError> = await withCheckedContinuation { continuation in
            self.client.loop.execute {
                self.client.value.fetch(asked) { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }
}

extension HTTPResponse {
    var text: String { String(decoding: self.body, as: UTF8.self) }
    var json: JSONValue { JSONValue(json: self.text) ?? .null }
}

/// Calls that live.
final class LiveCalls: LiveCallDesk {
    private let calls = Mutex<[CallID: (tenant: TenantID, call: LiveCall)]>([:])
    let transfers = Mutex<[(CallID, TransferDestination)]>([])

    func add(_ id: CallID, _ tenant: TenantID, _ name: String) {
        self.calls.withLock {
            $0[id] = (tenant, LiveCall(id: id, assistant: nil, assistantName: name, startedAt: Date()))
        }
    }
    var count: Int { self.calls.withLock { $0.count } }

    func calls(of tenant: TenantID) async -> [LiveCall] {
        self.calls.withLock { $0.values.filter { $0.tenant == tenant }.map(\.call) }
    }
    func hangUp(_ call: CallID, of tenant: TenantID) async -> Bool {
        self.calls.withLock { calls in
            guard calls[call]?.tenant == tenant else { return false }
            calls[call] = nil
            return true
        }
    }
    func transfer(_ call: CallID, of tenant: TenantID, to destination: TransferDestination) async -> Bool? {
        guard self.calls.withLock({ $0[call]?.tenant == tenant }) else { return nil }
        self.transfers.withLock { $0.append((call, destination)) }
        return true
    }
}

private struct Shelf: RecordingShelf {
    let folder: RecordingFolder
    func open(_ recording: String, of tenant: TenantID) throws(StoreError) -> (any RecordingReading)? {
        try self.folder.open(recording, of: tenant).map { Reading(file: $0) }
    }
    struct Reading: RecordingReading {
        let file: OpenRecording
        var length: Int { self.file.length }
        func read(from offset: Int, count: Int) throws(StoreError) -> [UInt8] {
            try self.file.read(from: offset, count: count)
        }
    }
}

private struct Eraser: CallerErasing {
    let keeper: RecordKeeper
    func forget(caller number: String, of tenant: TenantID) async throws(StoreError) -> ErasureReport {
        try await self.keeper.forget(caller: number, of: tenant)
    }
}

private struct StoredTokens: Authenticating {
    let store: SQLStore
    /// In place of signed tokens: whom each text stands for.
    let signed: [String: Asker]
    func asker(bearer: String) async throws(AuthenticationFailure) -> Asker {
        if let asker = self.signed[bearer] { return asker }
        guard let hash = APITokenSecret.hash(of: bearer) else { throw .refused(slug: "shape") }
        let found: APIToken?
        do throws(StoreError) { found = try await self.store.apiToken(hash: hash) } catch { throw .unavailable }
        guard let token = found, token.isValid(at: Date()) else { throw .refused(slug: "token") }
        return Asker(
            scope: token.tenant.map { .tenant($0) } ?? .installation, role: token.role,
            credential: .apiToken(token.id), client: token.id.text)
    }
}
