import Records
import Telephony

/// Transfer destinations: whom callers can be handed to.
extension APIBackEnd {
    private static let parameter = APIParameter(.path, "destination", .uuid, "The destination's id.")

    var destinationRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/destinations", .tenant(.viewer), name: "listDestinations",
                "The tenant's destinations, by priority and name.",
                answers: [
                    APIAnswer(
                        200,
                        .object([APIField("items", .list(DestinationRecord.schema(isAnswer: true), atMost: 100_000))]),
                        "All of them.")
                ]
            ) { asked throws(APIProblem) in
                let tenant = try asked.tenant()
                let all = try await self.ask { store throws(StoreError) in try await store.destinations(of: tenant) }
                return .json(["items": .array(all.map(\.json))])
            },
            APIRoute(
                .get, "/api/destinations/{destination}", .tenant(.viewer), name: "getDestination",
                "One destination.", parameters: [Self.parameter],
                answers: [APIAnswer(200, DestinationRecord.schema(isAnswer: true), "The destination.")]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("destination") { DestinationID($0) })
                let found = try await self.ask { store throws(StoreError) in
                    try await store.destination(id, of: tenant)
                }
                guard let found else { throw .notFound("The tenant has no destination of this id.") }
                return .json(found.json)
            },
            APIRoute(
                .put, "/api/destinations/{destination}", .tenant(.admin), name: "putDestination",
                "Makes a destination, or replaces it whole.", parameters: [Self.parameter],
                body: DestinationRecord.schema(isAnswer: false),
                answers: [APIAnswer(200, DestinationRecord.schema(isAnswer: true), "As it is kept.")]
            ) { asked throws(APIProblem) in try await self.putDestination(asked) },
            APIRoute(
                .delete, "/api/destinations/{destination}", .tenant(.admin), name: "deleteDestination",
                "Removes a destination.", parameters: [Self.parameter], answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("destination") { DestinationID($0) })
                let wasThere = try await self.ask { store throws(StoreError) in
                    try await store.removeDestination(id, of: tenant)
                }
                guard wasThere else { throw .notFound("The tenant has no destination of this id.") }
                await self.changed()
                return .done
            },
        ]
    }

    private func putDestination(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, id) = (try asked.tenant(), try asked.path("destination") { DestinationID($0) })
        let destination = DestinationRecord(id: id, tenant: tenant, body: asked.body)
        if let assistant = destination.assistant {
            let found = try await self.ask { store throws(StoreError) in
                try await store.assistant(assistant, of: tenant)
            }
            guard found != nil else { throw .notFound("body.assistant: the tenant has no assistant of this id.") }
        }
        try await self.ask { store throws(StoreError) in try await store.save(destination, of: tenant) }
        await self.changed()
        return .json(destination.json)
    }
}

extension DestinationRecord {
    static func schema(isAnswer: Bool) -> APISchema {
        func field(_ name: String, _ schema: APISchema, _ note: String? = nil) -> APIField {
            APIField(name, schema, required: isAnswer, note)
        }
        func open(_ name: String, _ schema: APISchema, _ note: String? = nil) -> APIField {
            APIField(name, .nullable(schema), required: isAnswer, note)
        }
        let fields = [
            APIField("name", .plain(1...128), "What callers call it; unique"),
            APIField("number", isAnswer ? .prose(0...1024) : .text(.number)),
            APIField("context", isAnswer ? .prose(0...1024) : .text(.context), "The dialplan context"),
            open("assistant", .uuid, "The one assistant that may use it; null: all of the tenant's"),
            field("aliases", .list(.plain(1...128), atMost: 64)), open("department", .plain(1...128)),
            open("role", .plain(1...128)), open("summary", .prose(1...2000), "Told to the model, to choose by"),
            field("kind", .word(Kind.allCases.map(\.rawValue))), field("ring_seconds", .whole(1...600)),
            field("priority", .whole(-1_000_000...1_000_000), "Smaller comes first"), field("default", .flag),
            field("enabled", .flag),
        ]
        return .named(
            isAnswer ? "Destination" : "DestinationInput", .object((isAnswer ? [APIField("id", .uuid)] : []) + fields))
    }

    init(id: DestinationID, tenant: TenantID, body: JSONValue) {
        self.init(
            id: id, tenant: tenant, name: body["name"]?.text ?? "", number: body["number"]?.text ?? "",
            context: body["context"]?.text ?? "")
        self.assistant = body["assistant"]?.text.flatMap { AssistantID($0) }
        self.aliases = body["aliases"]?.elements?.compactMap(\.text) ?? []
        self.department = body["department"]?.text
        self.role = body["role"]?.text
        self.summary = body["summary"]?.text
        self.kind = body["kind"]?.text.flatMap { Kind(rawValue: $0) } ?? .extension
        self.ringTimeout = .seconds(body["ring_seconds"].flatMap { APISchema.whole($0) } ?? 30)
        self.priority = body["priority"].flatMap { APISchema.whole($0) } ?? 100
        self.isDefault = body["default"]?.flag ?? false
        self.isEnabled = body["enabled"]?.flag ?? true
    }

    var json: JSONValue {
        [
            "id": .string(self.id.text), "name": .string(self.name), "number": .string(self.number.value),
            "context": .string(self.context), "assistant": .of(self.assistant?.text),
            "aliases": .array(self.aliases.map { .string($0) }), "department": .of(self.department),
            "role": .of(self.role), "summary": .of(self.summary), "kind": .string(self.kind.rawValue),
            "ring_seconds": .seconds(self.ringTimeout), "priority": .integer(self.priority),
            "default": .bool(self.isDefault), "enabled": .bool(self.isEnabled),
        ]
    }
}
