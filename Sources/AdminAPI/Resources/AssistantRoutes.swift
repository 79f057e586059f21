import Records
import Telephony

/// Assistants: read and written whole, by an id of the writer's choice (PUT is idempotent).
extension APIBackEnd {
    private static let parameter = APIParameter(.path, "assistant", .uuid, "The assistant's id.")

    var assistantRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/assistants", .tenant(.viewer), name: "listAssistants", "The tenant's assistants, by name.",
                answers: [
                    APIAnswer(
                        200, .object([APIField("items", .list(Assistant.schema(isAnswer: true), atMost: 100_000))]),
                        "All of them.")
                ]
            ) { asked throws(APIProblem) in
                let tenant = try asked.tenant()
                let all = try await self.ask { store throws(StoreError) in try await store.assistants(of: tenant) }
                return .json(["items": .array(all.map(\.json))])
            },
            APIRoute(
                .get, "/api/assistants/{assistant}", .tenant(.viewer), name: "getAssistant", "One assistant.",
                parameters: [Self.parameter],
                answers: [APIAnswer(200, Assistant.schema(isAnswer: true), "The assistant.")]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("assistant") { AssistantID($0) })
                let found = try await self.ask { store throws(StoreError) in try await store.assistant(id, of: tenant) }
                guard let found else { throw .notFound("The tenant has no assistant of this id.") }
                return .json(found.json)
            },
            APIRoute(
                .put, "/api/assistants/{assistant}", .tenant(.admin), name: "putAssistant",
                "Makes an assistant, or replaces it whole. Calls that begin a second later see it.",
                parameters: [Self.parameter], body: Assistant.schema(isAnswer: false),
                answers: [APIAnswer(200, Assistant.schema(isAnswer: true), "As it is kept.")]
            ) { asked throws(APIProblem) in try await self.putAssistant(asked) },
            APIRoute(
                .delete, "/api/assistants/{assistant}", .tenant(.admin), name: "deleteAssistant",
                "Removes an assistant and the destinations that are only its own. Records of its calls stay.",
                parameters: [Self.parameter], answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("assistant") { AssistantID($0) })
                let wasThere = try await self.ask { store throws(StoreError) in
                    try await store.removeAssistant(id, of: tenant)
                }
                guard wasThere else { throw .notFound("The tenant has no assistant of this id.") }
                await self.changed()
                return .done
            },
        ]
    }

    private func putAssistant(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, id) = (try asked.tenant(), try asked.path("assistant") { AssistantID($0) })
        let assistant = Assistant(id: id, tenant: tenant, body: asked.body)
        try await self.ask { store throws(StoreError) in try await store.save(assistant, of: tenant) }
        await self.changed()
        return .json(assistant.json)
    }
}

extension Assistant {
    private static let topic = APISchema.object([
        APIField("name", .plain(1...128)), APIField("phrases", .list(.plain(1...128), atMost: 64)),
        APIField("answer", .prose(1...4000)),
    ])

    /// `isAnswer`: with its id, and with every field there.
    static func schema(isAnswer: Bool) -> APISchema {
        func field(_ name: String, _ schema: APISchema, _ note: String? = nil) -> APIField {
            APIField(name, schema, required: isAnswer, note)
        }
        func open(_ name: String, _ schema: APISchema, _ note: String? = nil) -> APIField {
            APIField(name, .nullable(schema), required: isAnswer, note)
        }
        let fields = [
            APIField("name", .plain(1...128), "Unique within the tenant"),
            open("number", .plain(1...64), "The number that reaches it; unique within the tenant"),
            field("language", .text(.language), "BCP 47"), field("enabled", .flag),
            field("mode", .word(ProcessingMode.allCases.map(\.rawValue))),
            field("instructions", .prose(0...20000), "What it is told to be"),
            open("greeting", .prose(1...4000)), open("farewell", .prose(1...4000)),
            field("caller_speaks_first", .flag),
            field("providers", .list(.text(.provider), atMost: 16), "In the order in which they are tried"),
            open("voice", .plain(1...128)), open("model", .plain(1...128)),
            open("max_output_tokens", .whole(1...1_000_000)),
            field("turn_detection", .word(TurnSettings.Detection.allCases.map(\.rawValue))),
            field("turn_eagerness", .word(TurnSettings.Eagerness.allCases.map(\.rawValue))),
            open("turn_threshold", .number(0...1)),
            // What the realtime services take; rows that were written before may hold more, and no call is begun with them.
            open("turn_silence_ms", .whole(isAnswer ? 0...60_000 : 100...5000)),
            open("turn_prefix_ms", .whole(isAnswer ? 0...60_000 : 0...2000)), open("barge_in", .flag),
            open("barge_in_resume_ms", .whole(0...60_000)), field("no_input", .flag),
            field("no_input_ms", .whole(1000...600_000)),
            field("no_input_action", .word(NoInputSettings.Action.allCases.map(\.rawValue))),
            field("no_input_prompts", .list(.prose(1...1000), atMost: 16)),
            field("no_input_retries", .whole(0...100)), open("idle_timeout_s", .whole(1...86_400)),
            open("max_duration_s", .whole(1...86_400)), open("recording", .flag),
            open(
                "fallback",
                .object([APIField("number", .text(.number)), APIField("context", .text(.context))]),
                "Where a caller goes when no back end works"),
            field("tools", .list(.text(.slug), atMost: 64), "Empty: all"),
            field("topics", .list(Self.topic, atMost: 256), "What the embedded assistant can answer"),
        ]
        return .named(
            isAnswer ? "Assistant" : "AssistantInput", .object((isAnswer ? [APIField("id", .uuid)] : []) + fields))
    }

    /// The assistant that a checked body describes: what it leaves out is as in a new one.
    init(id: AssistantID, tenant: TenantID, body: JSONValue) {
        self.init(id: id, tenant: tenant, name: body["name"]?.text ?? "")
        func texts(_ name: String) -> [String] { body[name]?.elements?.compactMap(\.text) ?? [] }
        func whole(_ name: String) -> Int? { body[name].flatMap { APISchema.whole($0) } }
        func milliseconds(_ name: String) -> Duration? { whole(name).map { .milliseconds($0) } }
        self.number = body["number"]?.text
        self.language = body["language"]?.text ?? "en"
        self.isEnabled = body["enabled"]?.flag ?? true
        self.mode = body["mode"]?.text.flatMap { ProcessingMode(rawValue: $0) } ?? .realtime
        self.instructions = Redacted(body["instructions"]?.text ?? "")
        self.greeting = body["greeting"]?.text
        self.farewell = body["farewell"]?.text
        self.callerSpeaksFirst = body["caller_speaks_first"]?.flag ?? false
        self.providers = texts("providers").compactMap { ProviderName($0) }
        self.voice = body["voice"]?.text
        self.model = body["model"]?.text
        self.maximumOutputTokens = whole("max_output_tokens")
        self.turns.detection =
            body["turn_detection"]?.text.flatMap { TurnSettings.Detection(rawValue: $0) } ?? .server
        self.turns.eagerness = body["turn_eagerness"]?.text.flatMap { TurnSettings.Eagerness(rawValue: $0) } ?? .auto
        self.turns.threshold = body["turn_threshold"]?.real
        self.turns.silence = milliseconds("turn_silence_ms")
        self.turns.prefixPadding = milliseconds("turn_prefix_ms")
        self.bargeIn.isEnabled = body["barge_in"]?.flag
        self.bargeIn.resumeWindow = milliseconds("barge_in_resume_ms")
        self.noInput.isEnabled = body["no_input"]?.flag ?? true
        self.noInput.after = milliseconds("no_input_ms") ?? .seconds(8)
        self.noInput.action =
            body["no_input_action"]?.text.flatMap { NoInputSettings.Action(rawValue: $0) } ?? .reprompt
        self.noInput.prompts = texts("no_input_prompts")
        self.noInput.retries = whole("no_input_retries") ?? 2
        self.idleTimeout = whole("idle_timeout_s").map { .seconds($0) }
        self.maximumDuration = whole("max_duration_s").map { .seconds($0) }
        self.isRecorded = body["recording"]?.flag
        if let fallback = body["fallback"], let number = fallback["number"]?.text {
            self.fallback = FallbackDestination(number: number, context: fallback["context"]?.text ?? "default")
        }
        self.tools = texts("tools")
        self.topics = (body["topics"]?.elements ?? []).map { topic in
            Topic(
                name: topic["name"]?.text ?? "", phrases: topic["phrases"]?.elements?.compactMap(\.text) ?? [],
                answer: topic["answer"]?.text ?? "")
        }
    }

    var json: JSONValue {
        func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
        let fallback: JSONValue =
            self.fallback.map { ["number": .string($0.number.value), "context": .string($0.context)] } ?? .null
        let topics = self.topics.map { topic -> JSONValue in
            ["name": .string(topic.name), "phrases": list(topic.phrases), "answer": .string(topic.answer)]
        }
        return [
            "id": .string(self.id.text), "name": .string(self.name), "number": .of(self.number),
            "language": .string(self.language), "enabled": .bool(self.isEnabled), "mode": .string(self.mode.rawValue),
            "instructions": .string(self.instructions.value), "greeting": .of(self.greeting),
            "farewell": .of(self.farewell), "caller_speaks_first": .bool(self.callerSpeaksFirst),
            "providers": list(self.providers.map(\.text)), "voice": .of(self.voice), "model": .of(self.model),
            "max_output_tokens": .of(self.maximumOutputTokens),
            "turn_detection": .string(self.turns.detection.rawValue),
            "turn_eagerness": .string(self.turns.eagerness.rawValue),
            "turn_threshold": self.turns.threshold.map { .number($0) } ?? .null,
            "turn_silence_ms": .milliseconds(self.turns.silence),
            "turn_prefix_ms": .milliseconds(self.turns.prefixPadding), "barge_in": .of(self.bargeIn.isEnabled),
            "barge_in_resume_ms": .milliseconds(self.bargeIn.resumeWindow), "no_input": .bool(self.noInput.isEnabled),
            "no_input_ms": .milliseconds(self.noInput.after),
            "no_input_action": .string(self.noInput.action.rawValue),
            "no_input_prompts": list(self.noInput.prompts), "no_input_retries": .integer(self.noInput.retries),
            "idle_timeout_s": .seconds(self.idleTimeout), "max_duration_s": .seconds(self.maximumDuration),
            "recording": .of(self.isRecorded), "fallback": fallback, "tools": list(self.tools),
            "topics": .array(topics),
        ]
    }
}

extension TextRule {
    static let language = TextRule.ascii(2...35, first: "A-Za-z", "A-Za-z0-9-", needed: "a language tag, as it-IT")
    static let provider = TextRule.ascii(1...32, "a-z0-9_-", needed: "1 to 32 of a-z, 0-9, _ and -")
    /// A dialplan context: FusionPBX's are domain names.
    static let context = TextRule.ascii(
        1...128, "A-Za-z0-9._-", needed: "a dialplan context: 1 to 128 letters, digits, ., _ and -")
}
