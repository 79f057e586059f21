import Networking
import Records
import Telephony

/// One thing that the API does, declared whole: who may ask, what may be asked, what comes back, and what answers. The
/// router, the checks and the OpenAPI document all read this value, so that none of them can say something else.
package struct APIRoute: Sendable {
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET", post = "POST", put = "PUT", delete = "DELETE"
    }

    /// Who may ask.
    package enum Access: Sendable, Equatable {
        /// Anybody who reaches the port.
        case open
        /// An address of PRONTO_ALLOWED_PEERS without a proxy between, or any credential that is good.
        case peer
        /// Any credential that is good, even one for the routing question only; the route is about no tenant.
        case anyCredential
        /// A credential of this role, for its own tenant; an installation's names one by `tenant`.
        case tenant(AccessRole)
        /// A credential of the installation.
        case installation(AccessRole)
    }

    package var method: Method
    /// As `/api/cdr/{call}`: an element in braces is a parameter.
    package var path: String
    package var access: Access
    /// Begins its name in the document: `listCalls`.
    package var name: String
    package var summary: String
    package var parameters: [APIParameter]
    package var body: APISchema?
    package var answers: [APIAnswer]
    /// Something else serves it, and its answers are all that it gives: it is in the document, and not routed here.
    package var isDescribedOnly = false
    package var handle: @Sendable (APIRequest) async throws(APIProblem) -> APIResponse

    package init(
        _ method: Method, _ path: String, _ access: Access, name: String, _ summary: String,
        parameters: [APIParameter] = [], body: APISchema? = nil, answers: [APIAnswer],
        handle: @escaping @Sendable (APIRequest) async throws(APIProblem) -> APIResponse
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.body = body
        self.answers = answers
        self.handle = handle
        if case .tenant = access { self.parameters.append(.tenant) }
    }

    package var elements: [Substring] { self.path.split(separator: "/") }
}

/// A parameter of a path or a query.
package struct APIParameter: Sendable {
    package enum Place: String, Sendable { case path, query }
    package var place: Place
    package var name: String
    package var schema: APISchema
    package var isRequired: Bool
    package var note: String

    package init(
        _ place: Place, _ name: String, _ schema: APISchema, required: Bool = false, _ note: String
    ) {
        self.place = place
        self.name = name
        self.schema = schema
        self.isRequired = required || place == .path
        self.note = note
    }

    package static let tenant = APIParameter(
        .query, "tenant", .uuid,
        "The tenant's domain_uuid: for credentials of the installation. Others have one tenant, and may leave it out.")
    package static let limit = APIParameter(.query, "limit", .whole(1...500), "Rows of a page. Default: 50.")
    package static let cursor = APIParameter(
        .query, "cursor", .text(Cursor.rule), "`next` of the page before, as it is.")
}

/// One answer that a route gives where it does what it was asked; what goes wrong is a problem (`APIProblem`).
package struct APIAnswer: Sendable {
    package var status: Int
    package var type: String?
    package var schema: APISchema?
    package var note: String

    package init(_ status: Int = 200, _ schema: APISchema?, type: String? = nil, _ note: String) {
        self.status = status
        self.schema = schema
        self.type = type ?? (schema == nil ? nil : "application/json")
        self.note = note
    }

    package static let done = APIAnswer(204, nil, "Done.")
}

/// One request whose sender, parameters and body have been found good.
package struct APIRequest: Sendable {
    package var asker: Asker
    /// The tenant that it is about; nil for routes that are about none.
    package var subject: TenantID?
    package var path: [String: String]
    package var query: [String: JSONValue]
    package var body: JSONValue
    package var headers: HTTPHeaders

    package init(
        asker: Asker, subject: TenantID?, path: [String: String] = [:], query: [String: JSONValue] = [:],
        body: JSONValue = .null, headers: HTTPHeaders = [:]
    ) {
        self.asker = asker
        self.subject = subject
        self.path = path
        self.query = query
        self.body = body
        self.headers = headers
    }

    /// The tenant of a route of tenants.
    package func tenant() throws(APIProblem) -> TenantID {
        guard let subject = self.subject else { throw .notFound("The request names no tenant.") }
        return subject
    }

    /// A parameter of the path, as the type that its schema has checked it for.
    package func path<Value>(_ name: String, _ make: (String) -> Value?) throws(APIProblem) -> Value {
        guard let value = self.path[name].flatMap(make) else {
            throw .parameters([APIProblem.Field("path.\(name)", "another value is needed")])
        }
        return value
    }

    package func text(_ name: String) -> String? { self.query[name]?.text }
    package var limit: Int { self.query["limit"]?.whole ?? 50 }
}

/// What a handler answers.
package struct APIResponse: Sendable {
    package enum Body: Sendable {
        case none
        case json(JSONValue)
        /// Piece by piece, as `produce` writes it.
        case stream(type: String, length: Int?, produce: @Sendable (any APIPieces) async throws -> Void)
    }
    package var status: Int
    package var headers: HTTPHeaders
    package var body: Body

    package init(status: Int = 200, headers: HTTPHeaders = [:], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package static func json(_ value: JSONValue, status: Int = 200) -> APIResponse {
        APIResponse(status: status, body: .json(value))
    }
    package static let done = APIResponse(status: 204, body: .none)
}

/// Where a streamed answer goes. Writing waits while the reader is slow, and fails when it is gone.
package protocol APIPieces: Sendable {
    func write(_ bytes: [UInt8]) async throws
}
