import Networking
import Observability
import Records
import Synchronization
import Telephony

/// Serves the API's routes: finds the route, lets the sender in, checks what is asked, has it answered within a deadline,
/// and writes the answer, or the problem, down.
///
/// A handler runs off the loops and comes back; no request ever waits on one. What a handler does not finish in time is
/// answered 503, and its late answer is nobody's.
package final class APIServer: Sendable {
    package struct Limits: Sendable {
        /// From the request to the beginning of its answer.
        package var deadline: Duration = .seconds(10)
        /// A streamed answer that brings its reader nothing for so long has lost it.
        package var stall: Duration = .seconds(30)
        /// Requests under way at once; the next is answered 503.
        package var requests = 256
        /// Bytes of a request's body. (The HTTP server's own limit is above it, so that this one is answered in words.)
        package var body = 512 * 1024
        package init() {}
    }

    package let routes: [APIRoute]
    package let gate: APIGate
    private let limits: Limits
    private let logger: Logger
    private let metrics: APIMetrics?
    /// The tenant that a credential of the installation means without naming one: the only one that there is.
    private let onlyTenant: @Sendable () -> TenantID?
    private let isKnown: @Sendable (TenantID) -> Bool
    private let underWay = Atomic<Int>(0)

    package init(
        routes: [APIRoute], gate: APIGate, limits: Limits = Limits(), logger: Logger, metrics: APIMetrics? = nil,
        onlyTenant: @escaping @Sendable () -> TenantID?, isKnown: @escaping @Sendable (TenantID) -> Bool
    ) {
        self.routes = routes
        self.gate = gate
        self.limits = limits
        self.logger = logger
        self.metrics = metrics
        self.onlyTenant = onlyTenant
        self.isKnown = isKnown
    }

    /// Takes the request if its path is below `/api/`. On the responder's loop; the answer comes now or later.
    package func handle(_ request: HTTPRequest, _ responder: HTTPResponder) -> Bool {
        guard request.path.hasPrefix("/api/") else { return false }
        do throws(APIProblem) {
            if let (route, path) = try self.route(for: request, responder) {
                self.serve(request, route, path, responder)
            }
        } catch {
            self.metrics?.answered(nil, status: error.status, after: nil)
            responder.respond(error.response)
        }
        return true
    }

    // MARK: Finding the route

    /// Nil: it has been answered (OPTIONS).
    private func route(
        for request: HTTPRequest, _ responder: HTTPResponder
    ) throws(APIProblem) -> (APIRoute, [String: String])? {
        let found = request.pathComponents.map { elements in
            self.routes.compactMap { route in Self.match(route, elements).map { (route, $0) } }
        }
        guard let found, !found.isEmpty else {
            throw .notFound("There is no such path. See /api/openapi.json.")
        }
        // A path that names something goes before one that takes anything there.
        let fewest = found.map(\.1.count).min()
        let candidates = found.filter { $0.1.count == fewest }
        let method = request.method == "HEAD" ? "GET" : request.method
        if let match = candidates.first(where: { $0.0.method.rawValue == method }) { return match }
        var allowed = candidates.map(\.0.method.rawValue)
        if allowed.contains("GET") { allowed.append("HEAD") }
        let allow = (allowed + ["OPTIONS"]).sorted().joined(separator: ", ")
        guard method != "OPTIONS" else {
            responder.respond(HTTPResponse(status: 204, headers: ["Allow": allow]))
            return nil
        }
        var problem = APIProblem(
            405, "method", "The path does not take this method", detail: "It takes \(allow).")
        problem.allow = allow
        throw problem
    }

    private static func match(_ route: APIRoute, _ elements: [String]) -> [String: String]? {
        let pattern = route.elements
        guard pattern.count == elements.count else { return nil }
        var path: [String: String] = [:]
        for (wanted, given) in zip(pattern, elements) {
            if wanted.hasPrefix("{") {
                path[String(wanted.dropFirst().dropLast())] = given
            } else if wanted != given {
                return nil
            }
        }
        return path
    }

    // MARK: Serving

    private func serve(
        _ request: HTTPRequest, _ route: APIRoute, _ path: [String: String], _ responder: HTTPResponder
    ) {
        let started = responder.loop.now
        guard self.underWay.add(1, ordering: .relaxed).newValue <= self.limits.requests else {
            self.underWay.subtract(1, ordering: .relaxed)
            self.metrics?.answered(route.name, status: 503, after: nil)
            return responder.respond(
                APIProblem.unavailable("Too many requests are under way.", retryAfter: 1).response)
        }
        let exchange = APIExchange(responder, stall: self.limits.stall)
        let box = LoopBound(exchange, on: responder.loop)
        let loop = responder.loop
        let task = Task {
            let result = await self.answer(request, route, path, at: started)
            self.underWay.subtract(1, ordering: .relaxed)
            let status: Int
            switch result {
            case .success(let response):
                status = response.status
                await APIExchange.respond(response, box)
            case .failure(let problem):
                status = problem.status
                loop.execute { box.value.finish(problem.response) }
            }
            loop.execute { self.metrics?.answered(route.name, status: status, after: loop.now - started) }
        }
        exchange.begin(task, deadline: self.limits.deadline) {
            self.logger.warning("API request not answered in time", ["api.route": .string(route.name)])
        }
    }

    private func answer(
        _ request: HTTPRequest, _ route: APIRoute, _ path: [String: String], at now: Duration
    ) async -> Result<APIResponse, APIProblem> {
        do throws(APIProblem) {
            let asked = try await self.request(request, route, path, at: now)
            let response = try await route.handle(asked)
            if route.method != .get {
                // Who changed what: never a number or a name of the request.
                self.logger.info(
                    "API change",
                    [
                        "api.route": .string(route.name), "api.client": .string(asked.asker.client),
                        "tenant.id": .string(asked.subject?.text ?? "-"),
                    ])
            }
            return .success(response)
        } catch {
            return .failure(error)
        }
    }

    /// The request, once everything about it has been found good. Who asks comes first: a stranger learns nothing about
    /// what would be right.
    private func request(
        _ request: HTTPRequest, _ route: APIRoute, _ path: [String: String], at now: Duration
    ) async throws(APIProblem) -> APIRequest {
        var asked = APIRequest(
            asker: Asker(scope: .installation, role: .viewer, credential: .peer, client: "open"), subject: nil,
            path: path, headers: request.headers)
        switch route.access {
        case .open: break
        case .peer:
            asked.asker = try await self.gate.asker(of: request, takesPeers: true, takesRoutingOnly: true, at: now)
        case .anyCredential:
            asked.asker = try await self.gate.asker(of: request, takesRoutingOnly: true, at: now)
        case .tenant(let role), .installation(let role):
            asked.asker = try await self.gate.asker(of: request, at: now)
            guard asked.asker.role >= role else {
                throw .forbidden("This takes the role \(role.rawValue); the token has \(asked.asker.role.rawValue).")
            }
        }
        if case .installation = route.access, asked.asker.scope != .installation {
            throw .forbidden("This takes a token of the installation, not of a tenant.")
        }
        var fields: [APIProblem.Field] = []
        asked.query = self.query(request, route, &fields)
        for parameter in route.parameters where parameter.place == .path {
            guard let text = path[parameter.name], parameter.schema.value(ofText: text) != nil else {
                fields.append(APIProblem.Field("path.\(parameter.name)", parameter.schema.needed))
                continue
            }
        }
        guard fields.isEmpty else { throw .parameters(fields) }
        if case .tenant = route.access {
            let tenant = try self.tenant(asked)
            try await self.gate.count(tenant, at: now)
            asked.subject = tenant
        }
        asked.body = try self.body(request, route)
        return asked
    }

    private func tenant(_ asked: APIRequest) throws(APIProblem) -> TenantID {
        let stated = asked.query["tenant"]?.text.flatMap { TenantID($0) }
        if let own = asked.asker.tenant {
            guard stated == nil || stated == own else { throw .forbidden("The token is another tenant's.") }
            return own
        }
        guard let tenant = stated ?? self.onlyTenant() else {
            throw .parameters([
                APIProblem.Field("query.tenant", "a token of the installation has to name the tenant (domain_uuid)")
            ])
        }
        guard self.isKnown(tenant) else { throw .notFound("There is no such tenant.") }
        return tenant
    }

    private func query(
        _ request: HTTPRequest, _ route: APIRoute, _ fields: inout [APIProblem.Field]
    ) -> [String: JSONValue] {
        var query: [String: JSONValue] = [:]
        for pair in (request.query ?? "").split(separator: "&").prefix(64) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(parts[0], plusIsSpace: true),
                let text = parts.count > 1 ? percentDecoded(parts[1], plusIsSpace: true) : ""
            else {
                fields.append(APIProblem.Field("query", "percent-encoded UTF-8 is needed"))
                continue
            }
            guard fields.count < 16 else { break }
            let place = "query." + APIProblem.Field.shown(name)
            guard let parameter = route.parameters.first(where: { $0.place == .query && $0.name == name }) else {
                fields.append(APIProblem.Field(place, "there is no such parameter"))
                continue
            }
            guard query[name] == nil else {
                fields.append(APIProblem.Field(place, "the parameter is there twice"))
                continue
            }
            guard let value = parameter.schema.value(ofText: text) else {
                fields.append(APIProblem.Field(place, parameter.schema.needed))
                continue
            }
            query[name] = value
        }
        for parameter in route.parameters
        where parameter.place == .query && parameter.isRequired && query[parameter.name] == nil
            && !fields.contains(where: { $0.name == "query.\(parameter.name)" })
        {
            fields.append(APIProblem.Field("query.\(parameter.name)", "the parameter is missing"))
        }
        return query
    }

    private func body(_ request: HTTPRequest, _ route: APIRoute) throws(APIProblem) -> JSONValue {
        guard let schema = route.body else { return .null }
        guard request.body.count <= self.limits.body else {
            throw APIProblem(
                413, "too-large", "The request's body is too large", detail: "At most \(self.limits.body) bytes.")
        }
        let type = request.headers["Content-Type"]?.prefix { $0 != ";" }.lowercased() ?? ""
        guard type.filter({ $0 != " " }) == "application/json" else {
            throw APIProblem(
                415, "media-type", "The request's body is of another type", detail: "Send application/json.")
        }
        guard let text = String(validating: request.body, as: UTF8.self), let body = JSONValue(json: text) else {
            throw APIProblem(400, "json", "The request's body is no JSON", detail: "Send JSON (RFC 8259) in UTF-8.")
        }
        var fields: [APIProblem.Field] = []
        schema.check(body, at: "body", &fields)
        guard fields.isEmpty else { throw .body(fields) }
        return body
    }
}

/// What the API counts, by route and status.
package final class APIMetrics: Sendable {
    package enum Outcome: String, CaseIterable, Sendable {
        case done, refused, failed
        case unauthenticated
        case limited
        init(status: Int) {
            switch status {
            case ..<400: self = .done
            case 401: self = .unauthenticated
            case 429: self = .limited
            case 400..<500: self = .refused
            default: self = .failed
            }
        }
    }
    private let requests: [String: [Outcome: Counter]]
    private let time: Histogram

    package init(registry: MetricsRegistry, routes: [APIRoute]) {
        var requests: [String: [Outcome: Counter]] = [:]
        for name in routes.map(\.name) + ["none"] {
            for outcome in Outcome.allCases {
                requests[name, default: [:]][outcome] = registry.counter(
                    "voice_ai_api_requests_total", "Requests to the HTTP API, by route and what became of them",
                    labels: [("route", name), ("outcome", outcome.rawValue)])
            }
        }
        self.requests = requests
        self.time = registry.histogram(
            "voice_ai_api_request_seconds", "From a request to the HTTP API to its answer",
            bounds: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
    }

    func answered(_ route: String?, status: Int, after time: Duration?) {
        self.requests[route ?? "none"]?[Outcome(status: status)]?.increment()
        if let time { self.time.observe(time) }
    }
}
