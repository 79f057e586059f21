import Networking
import Records
import Telephony

/// Why a request is not served, as RFC 9457 writes it (`application/problem+json`).
///
/// The type is a URI reference below `/problems/`: a name to tell problems apart by, not a page. Nothing in it comes from
/// a row of the database, nor from what another tenant has.
package struct APIProblem: Error, Sendable, Equatable {
    /// One field of the request that was wrong.
    package struct Field: Sendable, Equatable {
        /// Where: `query.from`, `body.turns.silence_ms`.
        package var name: String
        /// What would be right.
        package var detail: String
        package init(_ name: String, _ detail: String) {
            self.name = name
            self.detail = detail
        }

        /// A name that the request made up, fit to be said back: it may hold anything.
        static func shown(_ name: String) -> String {
            String(
                String.UnicodeScalarView(
                    name.unicodeScalars.prefix(64).map { (0x21...0x7E).contains($0.value) ? $0 : "?" }))
        }
    }

    package var status: Int
    /// A stable slug.
    package var type: String
    package var title: String
    /// What to do about it.
    package var detail: String
    package var fields: [Field]
    /// `Retry-After`, in seconds.
    package var retryAfter: Int?
    /// `WWW-Authenticate` (RFC 6750 §3).
    package var challenge: String?
    /// `Allow` (RFC 9110 §15.5.6).
    package var allow: String?

    package init(
        _ status: Int, _ type: String, _ title: String, detail: String, fields: [Field] = [], retryAfter: Int? = nil
    ) {
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.fields = fields
        self.retryAfter = retryAfter
    }

    package var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", .string("/problems/\(self.type)")), .init("title", .string(self.title)),
            .init("status", .integer(self.status)), .init("detail", .string(self.detail)),
        ]
        if !self.fields.isEmpty {
            members.append(
                .init(
                    "errors",
                    .array(self.fields.map { ["field": .string($0.name), "detail": .string($0.detail)] })))
        }
        return .object(members)
    }

    package var response: HTTPResponse {
        var headers: HTTPHeaders = ["Content-Type": "application/problem+json", "Cache-Control": "no-store"]
        if let seconds = self.retryAfter { headers.add("Retry-After", String(seconds)) }
        if let challenge = self.challenge { headers.add("WWW-Authenticate", challenge) }
        if let allow = self.allow { headers.add("Allow", allow) }
        return HTTPResponse(status: self.status, headers: headers, body: Array((self.json.json + "\n").utf8))
    }
}

extension APIProblem {
    package static func parameters(_ fields: [Field]) -> APIProblem {
        APIProblem(
            400, "parameters", "The request's parameters are not right",
            detail: "Correct the parameters that `errors` names.", fields: fields)
    }

    package static func body(_ fields: [Field]) -> APIProblem {
        APIProblem(
            422, "body", "The request's body is not right", detail: "Correct the fields that `errors` names.",
            fields: fields)
    }

    /// Nothing was shown, or it is not good: the same words for both, and for every kind of not good.
    package static func unauthenticated(shown: Bool) -> APIProblem {
        var problem = APIProblem(
            401, "unauthenticated", "Who asks was not shown",
            detail: "Send Authorization: Bearer with an API token (pronto api-token create) or a signed token.")
        problem.challenge = shown ? #"Bearer realm="pronto", error="invalid_token""# : #"Bearer realm="pronto""#
        return problem
    }

    package static func forbidden(_ detail: String) -> APIProblem {
        APIProblem(403, "forbidden", "The token does not allow this", detail: detail)
    }

    package static func notFound(_ detail: String) -> APIProblem {
        APIProblem(404, "not-found", "There is nothing here", detail: detail)
    }

    package static func conflict(_ detail: String) -> APIProblem {
        APIProblem(409, "conflict", "It is in use already", detail: detail)
    }

    package static func tooMany(after wait: Duration) -> APIProblem {
        let seconds = Int(wait.components.seconds) + (wait.components.attoseconds > 0 ? 1 : 0)
        return APIProblem(
            429, "rate-limit", "Too many requests", detail: "Wait as long as Retry-After says, in seconds.",
            retryAfter: max(1, seconds))
    }

    package static func unavailable(_ detail: String, retryAfter: Int = 5) -> APIProblem {
        APIProblem(503, "unavailable", "Not now", detail: detail, retryAfter: retryAfter)
    }

    /// What the store could not do. Its messages name columns and settings, never a value.
    package init(_ error: StoreError) {
        switch error.code {
        case .conflict:
            self = .conflict("Another row has this name, number or id: \(error.message).")
        case .invalid:
            self = APIProblem(
                422, "body", "The request's body is not right", detail: "The store refuses it: \(error.message).")
        case .otherTenant:
            // Whose it is, is nobody's business.
            self = .conflict("The id is in use already: take another.")
        case .noSecretKey, .unreadableSecret:
            self = APIProblem(
                503, "no-secret-key", "Secrets cannot be kept or read", detail: "\(error.message).", retryAfter: 60)
        case .unavailable, .locked, .full, .readOnly, .overloaded, .closed, .failed, .corrupt, .wrongSchema:
            self = .unavailable("The database does not answer (\(error.code.rawValue)). Ask again later.")
        }
    }
}
