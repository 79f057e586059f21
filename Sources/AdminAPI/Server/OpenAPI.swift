import Telephony

/// The OpenAPI 3.1 document of the routes: generated from the very declarations that requests are checked by.
package enum OpenAPI {
    package static func document(_ routes: [APIRoute], version: String) -> JSONValue {
        var components: [(name: String, schema: JSONValue)] = []
        Self.collect(Self.problem, into: &components)
        var paths: [JSONValue.Member] = []
        for route in routes {
            for schema in [route.body].compactMap({ $0 }) + route.answers.compactMap(\.schema) {
                Self.collect(schema, into: &components)
            }
            let operation = JSONValue.Member(route.method.rawValue.lowercased(), Self.operation(route))
            if let index = paths.firstIndex(where: { $0.name == route.path }) {
                paths[index].value.set(operation.value, at: [operation.name])
            } else {
                paths.append(.init(route.path, .object([operation])))
            }
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Pronto", "version": .string(version),
                "description":
                    "Calls, conversations and configuration of a Pronto gateway. Every answer is one tenant's.",
                "license": ["name": "Apache 2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "paths": .object(paths),
            "components": [
                "schemas": .object(components.map { .init($0.name, $0.schema) }),
                "securitySchemes": [
                    "bearer": [
                        "type": "http", "scheme": "bearer",
                        "description": "An API token (pronto api-token create), or a signed token (RFC 7519).",
                    ]
                ],
            ],
        ]
    }

    static let problem = APISchema.named(
        "Problem",
        .object([
            APIField("type", .plain(1...128), "A stable name of the problem."),
            APIField("title", .plain(1...256)), APIField("status", .whole(400...599)),
            APIField("detail", .prose(1...2000), "What to do about it."),
            APIField(
                "errors",
                .list(.object([APIField("field", .plain(1...256)), APIField("detail", .prose(1...2000))]), atMost: 32),
                required: false, "What of the request was wrong."),
        ]))

    private static func operation(_ route: APIRoute) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("operationId", .string(route.name)), .init("summary", .string(route.summary)),
            .init("description", .string(Self.access(route.access))),
            .init("security", Self.security(route.access)),
        ]
        if !route.parameters.isEmpty {
            members.append(.init("parameters", .array(route.parameters.map(Self.parameter))))
        }
        if let body = route.body {
            members.append(
                .init(
                    "requestBody",
                    ["required": true, "content": ["application/json": ["schema": Self.schema(body)]]]))
        }
        members.append(.init("responses", .object(Self.responses(route))))
        return .object(members)
    }

    private static func security(_ access: APIRoute.Access) -> JSONValue {
        switch access {
        case .open: []
        // Nothing, or a credential.
        case .peer: [.object([]), ["bearer": []]]
        default: [["bearer": []]]
        }
    }

    private static func access(_ access: APIRoute.Access) -> String {
        switch access {
        case .open: "Anybody."
        case .peer: "An address of PRONTO_ALLOWED_PEERS, or whoever shows a credential that is good."
        case .anyCredential: "Whoever shows a credential that is good."
        case .tenant(let role): "Role \(role.rawValue) or above."
        case .installation(let role): "Role \(role.rawValue) or above, of the installation."
        }
    }

    private static func parameter(_ parameter: APIParameter) -> JSONValue {
        [
            "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
            "required": .bool(parameter.isRequired), "description": .string(parameter.note),
            "schema": Self.schema(parameter.schema),
        ]
    }

    /// The problems that a route can have follow from its declaration.
    private static func responses(_ route: APIRoute) -> [JSONValue.Member] {
        var responses: [JSONValue.Member] = []
        for answer in route.answers {
            var content: JSONValue = .object([])
            for same in route.answers where same.status == answer.status {
                guard let type = same.type else { continue }
                content.set(["schema": same.schema.map(Self.schema) ?? ["type": "string"]], at: [type])
            }
            var response: JSONValue = ["description": .string(answer.note)]
            if content.members?.isEmpty == false { response.set(content, at: ["content"]) }
            if !responses.contains(where: { $0.name == String(answer.status) }) {
                responses.append(.init(String(answer.status), response))
            }
        }
        var problems = [(405, "The path does not take this method.")]
        if !route.isDescribedOnly { problems += Self.problems(route) }
        for (status, note) in problems.sorted(by: { $0.0 < $1.0 })
        where !responses.contains(where: { $0.name == String(status) }) {
            responses.append(
                .init(
                    String(status),
                    [
                        "description": .string(note),
                        "content": [
                            "application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]
                        ],
                    ]))
        }
        return responses
    }

    private static func problems(_ route: APIRoute) -> [(Int, String)] {
        var problems = [(500, "Our own mistake."), (503, "Not now.")]
        if !route.parameters.isEmpty || route.body != nil { problems.append((400, "Parameters are not right.")) }
        if route.path.contains("{") || route.parameters.contains(where: { $0.place == .query }) {
            problems.append((404, "There is nothing here."))
        }
        if route.access != .open {
            problems += [
                (401, "Who asks was not shown."), (403, "The token does not allow this."), (429, "Too many requests."),
            ]
        }
        if route.method != .get { problems.append((409, "It is in use already, or not in a state for this.")) }
        if route.body != nil {
            problems += [
                (413, "The body is too large."), (415, "The body is of another type."),
                (422, "Fields of the body are not right."),
            ]
        }
        return problems
    }

    private static func collect(_ schema: APISchema, into components: inout [(name: String, schema: JSONValue)]) {
        switch schema {
        case .named(let name, let inner):
            guard !components.contains(where: { $0.name == name }) else { return }
            components.append((name, Self.schema(inner)))
            Self.collect(inner, into: &components)
        case .nullable(let inner), .list(let inner, _): Self.collect(inner, into: &components)
        case .object(let fields): for field in fields { Self.collect(field.schema, into: &components) }
        case .text, .word, .whole, .number, .flag, .anyObject: break
        }
    }

    package static func schema(_ schema: APISchema) -> JSONValue {
        switch schema {
        case .text(let rule):
            var members: [JSONValue.Member] = [
                .init("type", "string"), .init("minLength", .integer(rule.length.lowerBound)),
                .init("maxLength", .integer(rule.length.upperBound)),
            ]
            if let pattern = rule.pattern { members.append(.init("pattern", .string(pattern))) }
            if let format = rule.format { members.append(.init("format", .string(format))) }
            return .object(members)
        case .word(let words): return ["type": "string", "enum": .array(words.map { .string($0) })]
        case .whole(let range):
            return ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .number(let range):
            return ["type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
        case .flag: return ["type": "boolean"]
        case .anyObject: return ["type": "object"]
        case .named(let name, _): return ["$ref": .string("#/components/schemas/\(name)")]
        case .list(let inner, let limit):
            return ["type": "array", "items": Self.schema(inner), "maxItems": .integer(limit)]
        case .nullable(let inner):
            let plain = Self.schema(inner)
            // A word's `enum` would refuse null beside it.
            guard let type = plain["type"]?.text, plain["enum"] == nil else {
                return ["anyOf": [plain, ["type": "null"]]]
            }
            var open = plain
            open.set([.string(type), "null"], at: ["type"])
            return open
        case .object(let fields):
            var properties: [JSONValue.Member] = []
            for field in fields {
                var property = Self.schema(field.schema)
                // Beside a $ref other words are allowed since JSON Schema 2019-09.
                if let note = field.note { property.set(.string(note), at: ["description"]) }
                if field.isWriteOnly { property.set(true, at: ["writeOnly"]) }
                properties.append(.init(field.name, property))
            }
            return [
                "type": "object", "properties": .object(properties), "additionalProperties": false,
                "required": .array(fields.filter(\.isRequired).map { .string($0.name) }),
            ]
        }
    }
}
