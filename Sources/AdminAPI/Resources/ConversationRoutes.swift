import Records
import Routing
import Telephony

/// Conversations: what was said, which tools were used, how long each answer took.
extension APIBackEnd {
    var conversationRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/conversations", .tenant(.viewer), name: "listConversations",
                "Conversations, newest first; without their words.",
                parameters: [
                    APIParameter(.query, "from", .moment, "Begun at this time or later."),
                    APIParameter(.query, "to", .moment, "Begun before this time."),
                    APIParameter(.query, "call", .text(.call), "Of this call."),
                    APIParameter(.query, "assistant", .uuid, "With this assistant."),
                    APIParameter(
                        .query, "final_action",
                        .word(ConversationRecord.FinalAction.allCases.map(\.rawValue)), "What it came to."),
                    .limit, .cursor,
                ],
                answers: [
                    APIAnswer(
                        200, Self.page("ConversationPage", ConversationRecord.schema), "One page of conversations.")
                ]
            ) { asked throws(APIProblem) in try await self.listConversations(asked) },
            APIRoute(
                .get, "/api/conversations/{conversation}", .tenant(.viewer), name: "getConversation",
                "One conversation with its messages and tool calls.",
                parameters: [APIParameter(.path, "conversation", .uuid, "The conversation's id.")],
                answers: [APIAnswer(200, ConversationRecord.wholeSchema, "The conversation.")]
            ) { asked throws(APIProblem) in try await self.conversation(asked) },
        ]
    }

    private func listConversations(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, position) = (try asked.tenant(), try self.position(asked))
        var filter = ConversationFilter()
        filter.from = asked.text("from").flatMap(Moment.date)
        filter.until = asked.text("to").flatMap(Moment.date)
        filter.call = asked.text("call").flatMap { CallID($0) }
        filter.assistant = asked.text("assistant").flatMap { AssistantID($0) }
        filter.finalAction = asked.text("final_action").flatMap { ConversationRecord.FinalAction(rawValue: $0) }
        let wanted = filter
        let rows = try await self.ask { store throws(StoreError) in
            try await store.conversations(of: tenant, matching: wanted, after: position, limit: asked.limit + 1)
        }
        let page = rows.prefix(asked.limit)
        let next = rows.count > page.count ? page.last.map { Cursor.text($0.position) } : nil
        return .json(["items": .array(page.map { .object($0.members) }), "next": .of(next)])
    }

    private func conversation(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, id) = (try asked.tenant(), try asked.path("conversation") { ConversationID($0) })
        let found = try await self.ask { store throws(StoreError) in try await store.conversation(id, of: tenant) }
        guard let found else { throw .notFound("The tenant has no conversation of this id.") }
        let turns = try await self.ask { store throws(StoreError) in try await store.turns(of: id, tenant: tenant) }
        let tools = try await self.ask { store throws(StoreError) in try await store.toolUses(of: id, tenant: tenant) }
        return .json(
            .object(
                found.members + [
                    .init("messages", .array(turns.map(\.json))), .init("tool_calls", .array(tools.map(\.json))),
                ]))
    }
}

extension ConversationRecord {
    var position: ListPosition { ListPosition(startedAt: self.startedAt, id: self.id.text) }

    private static let fields = [
        APIField("id", .uuid), APIField("call", .text(.call)), APIField("assistant", .nullable(.uuid)),
        APIField("mode", .word(ProcessingMode.allCases.map(\.rawValue))),
        APIField("language", .nullable(.prose(0...64))), APIField("start", .moment), APIField("end", .moment),
        APIField("final_action", .word(FinalAction.allCases.map(\.rawValue))),
    ]
    static let schema = APISchema.named("Conversation", .object(fields))
    static let wholeSchema = APISchema.named(
        "ConversationWithMessages",
        .object(
            fields + [
                APIField("messages", .list(TurnRecord.schema, atMost: 100_000)),
                APIField("tool_calls", .list(ToolUse.schema, atMost: 100_000)),
            ]))

    var members: [JSONValue.Member] {
        [
            .init("id", .string(self.id.text)), .init("call", .string(self.call.text)),
            .init("assistant", .of(self.assistant?.text)), .init("mode", .string(self.mode.rawValue)),
            .init("language", .of(self.language)), .init("start", .of(self.startedAt)),
            .init("end", .of(self.endedAt)), .init("final_action", .string(self.finalAction.rawValue)),
        ]
    }
}

extension TurnRecord {
    /// What people said may hold whatever they, or a provider, put there.
    private static let words = APISchema.text(TextRule(0...1_000_000, needed: "a text"))
    static let schema = APISchema.named(
        "Message",
        .object([
            APIField("number", .whole(0...1_000_000)), APIField("role", .word(Role.allCases.map(\.rawValue))),
            APIField("text", words, "All that was said"),
            APIField("heard_text", .nullable(words), "What of the agent's words the caller heard"),
            APIField("heard_ms", .nullable(.whole(0...Int.max))), APIField("was_interrupted", .flag),
            APIField(
                "latency_ms", .nullable(.whole(0...Int.max)), "From the caller's last word to the agent's first"),
            APIField("provider", .nullable(.plain(1...64))), APIField("start", .moment), APIField("end", .moment),
        ]))

    var json: JSONValue {
        [
            "number": .integer(self.number), "role": .string(self.role.rawValue), "text": .string(self.text.value),
            "heard_text": .of(self.heardText?.value), "heard_ms": .milliseconds(self.heard),
            "was_interrupted": .bool(self.wasInterrupted), "latency_ms": .milliseconds(self.latency),
            "provider": .of(self.provider?.text), "start": .of(self.startedAt), "end": .of(self.endedAt),
        ]
    }
}

extension ToolUse {
    private static let words = APISchema.text(TextRule(0...1_000_000, needed: "a text"))
    static let schema = APISchema.named(
        "ToolCall",
        .object([
            APIField("number", .whole(0...1_000_000)), APIField("name", words),
            APIField("arguments", words, "As the model wrote them"), APIField("result", .nullable(words)),
            APIField("outcome", .word(Outcome.allCases.map(\.rawValue))), APIField("start", .moment),
            APIField("duration_ms", .whole(0...Int.max)),
        ]))

    var json: JSONValue {
        [
            "number": .integer(self.number), "name": .string(self.name), "arguments": .string(self.arguments.value),
            "result": .of(self.result?.value), "outcome": .string(self.outcome.rawValue),
            "start": .of(self.startedAt), "duration_ms": .milliseconds(self.duration),
        ]
    }
}
