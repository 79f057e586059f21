import Records
import Routing
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A call that lives, as an operator sees it.
package struct LiveCall: Sendable, Equatable {
    package var id: CallID
    package var assistant: AssistantID?
    package var assistantName: String
    package var caller: Redacted<String>?
    package var dialed: Redacted<String>?
    package var dialect: String?
    package var provider: String?
    package var startedAt: Date
    package var isTransferring: Bool
    package init(id: CallID, assistant: AssistantID?, assistantName: String, startedAt: Date) {
        self.id = id
        self.assistant = assistant
        self.assistantName = assistantName
        self.startedAt = startedAt
        self.isTransferring = false
    }
}

/// The calls that live on this node.
package protocol LiveCallDesk: Sendable {
    func calls(of tenant: TenantID) async -> [LiveCall]
    /// False: the tenant has no such call.
    func hangUp(_ call: CallID, of tenant: TenantID) async -> Bool
    /// Nil: the tenant has no such call; false: it is leaving already.
    func transfer(_ call: CallID, of tenant: TenantID, to destination: TransferDestination) async -> Bool?
}

/// A recording that is open for reading.
package protocol RecordingReading: Sendable {
    var length: Int { get }
    /// The bytes from `offset`, at most `count`. Throws when the disk fails.
    func read(from offset: Int, count: Int) throws(StoreError) -> [UInt8]
}

/// Where recordings are.
package protocol RecordingShelf: Sendable {
    /// Nil: there is no such file within the tenant's own folder, whatever the record says.
    func open(_ recording: String, of tenant: TenantID) throws(StoreError) -> (any RecordingReading)?
}

/// Erases what one caller left behind, everywhere.
package protocol CallerErasing: Sendable {
    func forget(caller number: String, of tenant: TenantID) async throws(StoreError) -> ErasureReport
}

/// What the routes work with. Everything that the API cannot do by itself.
package struct APIBackEnd: Sendable {
    package var store: any RecordsStore
    package var calls: any LiveCallDesk
    package var recordings: any RecordingShelf
    package var eraser: any CallerErasing
    package var version: String
    /// The configuration was changed by a request: calls are to see it at once.
    package var changed: @Sendable () async -> Void
    package var now: @Sendable () -> Date
    /// The public halves of the keys that sign our tokens.
    package var publicKeys: @Sendable () -> JSONValue
    /// Makes an API token: its text, which is shown once, and the record of it.
    package var makeToken:
        @Sendable (TenantID?, String, AccessRole, Date?) throws(StoreError) -> (text: Redacted<String>, token: APIToken)
    /// The `kid` of a JSON Web Key's text; else what would be right.
    package var readKey: @Sendable (String, TenantID) -> Result<String, KeyRefusal>
    /// How long things are kept where a tenant does not say.
    package var retention: Retention

    /// An API token was revoked by a request: it is good for none that comes after.
    package var tokenRevoked: @Sendable (APITokenID) -> Void = { _ in }
    /// Whether a tenant's administrator may name back ends on loopback, link-local and private addresses
    /// (PRONTO_TENANT_PRIVATE_HOSTS).
    package var mayNamePrivateHosts = false

    /// Why a text is no key, in words.
    package struct KeyRefusal: Error, Sendable {
        package var detail: String
        package init(detail: String) { self.detail = detail }
    }

    package init(
        store: any RecordsStore, calls: any LiveCallDesk, recordings: any RecordingShelf, eraser: any CallerErasing,
        version: String, changed: @escaping @Sendable () async -> Void, now: @escaping @Sendable () -> Date,
        publicKeys: @escaping @Sendable () -> JSONValue,
        makeToken:
            @escaping @Sendable (TenantID?, String, AccessRole, Date?) throws(StoreError) -> (
                text: Redacted<String>, token: APIToken
            ),
        readKey: @escaping @Sendable (String, TenantID) -> Result<String, KeyRefusal>, retention: Retention
    ) {
        self.store = store
        self.calls = calls
        self.recordings = recordings
        self.eraser = eraser
        self.version = version
        self.changed = changed
        self.now = now
        self.publicKeys = publicKeys
        self.makeToken = makeToken
        self.readKey = readKey
        self.retention = retention
    }

    /// Asks the store; what it cannot do becomes a problem.
    func ask<Value>(
        _ question: (any RecordsStore) async throws(StoreError) -> Value
    ) async throws(APIProblem) -> Value {
        do throws(StoreError) { return try await question(self.store) } catch { throw APIProblem(error) }
    }

    /// Every route, in the order of the document.
    package var routes: [APIRoute] {
        let routes =
            self.accessRoutes + self.callRecordRoutes + self.conversationRoutes + self.liveCallRoutes
            + self.assistantRoutes + self.destinationRoutes + self.providerRoutes + self.policyRoutes
            + self.tokenRoutes + self.callerRoutes
        let document = OpenAPI.document(
            [self.documentRoute(.null)] + routes + RoutingDocument.routes, version: self.version)
        return [self.documentRoute(document)] + routes
    }

    private func documentRoute(_ document: JSONValue) -> APIRoute {
        APIRoute(
            .get, "/api/openapi.json", .open, name: "getDocument", "This document.",
            answers: [APIAnswer(200, .anyObject, "The document (OpenAPI 3.1).")]
        ) { _ in .json(document) }
    }
}

extension JSONValue {
    static func of(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    static func of(_ number: Int?) -> JSONValue { number.map { .integer($0) } ?? .null }
    static func of(_ date: Date?) -> JSONValue { date.map { .string(Moment.text($0)) } ?? .null }
    static func of(_ flag: Bool?) -> JSONValue { flag.map { .bool($0) } ?? .null }
    static func milliseconds(_ duration: Duration?) -> JSONValue {
        duration.map { .integer(Int($0.milliseconds)) } ?? .null
    }
    static func seconds(_ duration: Duration?) -> JSONValue {
        duration.map { .integer(Int($0.components.seconds)) } ?? .null
    }
}
