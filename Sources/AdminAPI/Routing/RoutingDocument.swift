import Routing
import Telephony

/// The routing question as the OpenAPI document has it. Its answers are written by `RoutingDesk`, within the caller's
/// patience and from memory; so these routes are described here and served there, and `scripts/api-check` holds the one
/// against the other.
enum RoutingDocument {
    static let routes: [APIRoute] = [
        APIRoute(
            described: "/api/voip/ai-routing", .peer, name: "askRouting",
            "Whether the AI answers a call, by which agent, and who rings otherwise (requirements 2).",
            parameters: parameters(callIsNeeded: false),
            answers: [
                APIAnswer(200, answer, "The decision."), problem(400, "A parameter is not right; `fields` names it."),
                problem(401, "Who asks was not shown."), problem(403, "The credential is for another tenant or trunk."),
                problem(404, "There is no such tenant."), problem(429, "Too many questions."),
            ]),
        APIRoute(
            described: "/api/freeswitch/ai-routing", .peer, name: "askRoutingAsText",
            "The same in lines that ai_routing.lua reads: AI_ENABLED, FAILOVER_EXT, FAILOVER_TYPE, REASON, WS_URL, TENANT, ROUTE, TOKEN. "
                + "Always 200 for whoever may ask: what is wrong with the question is its REASON.",
            parameters: parameters(callIsNeeded: true),
            answers: [
                APIAnswer(200, nil, type: "text/plain", "KEY=value, one a line."),
                APIAnswer(401, nil, type: "text/plain", "Who asks was not shown."),
            ]),
    ]

    private static func problem(_ status: Int, _ note: String) -> APIAnswer {
        APIAnswer(status, Self.problem, type: "application/problem+json", note)
    }

    private static let reference = TextRule.ascii(
        1...128, "A-Za-z0-9._-", needed: "1 to 128 letters, digits, ., _ and -")

    private static func parameters(callIsNeeded: Bool) -> [APIParameter] {
        func query(_ name: String, _ schema: APISchema, _ note: String) -> APIParameter {
            APIParameter(.query, name, schema, note)
        }
        return [
            query("tenant_id", .uuid, "The tenant; or `sip_domain`. Without either: whose the trunk or the number is."),
            query(
                "sip_domain",
                .text(
                    TextRule(
                        1...253, pattern: #"^[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?(\.[A-Za-z]{2,20}){1,3}$"#,
                        needed: "a domain name")), "The tenant's domain."),
            query("trunk_id", .text(Self.reference), "The trunk that the call came by."),
            query("store_id", .text(Self.reference), "The store that the call is for."),
            query(
                "did",
                .text(TextRule(4...16, pattern: #"^\+[1-9][0-9]{5,13}$"#, needed: "a number such as +39061234567")),
                "The number that was dialed; `+` is itself, or %2B."),
            query("caller", .text(Self.reference), "Who calls: for the stream's address only."),
            query(
                "call_id", .text(.call),
                callIsNeeded
                    ? "The channel's id: without it no stream could be controlled, and the answer is a human."
                    : "The channel's id: with it the answer has a `token`, where keys are set."),
            query("ts", .moment, "When; left out: now."),
        ]
    }

    private static let mode = APISchema.word(["ai", "human"])
    private static let reason = APISchema.named("RoutingReason", .word(RoutingReason.allCases.map(\.rawValue)))

    private static let answer = APISchema.named(
        "RoutingAnswer",
        .object([
            APIField("tenant_id", .uuid, required: false), APIField("mode", mode), APIField("reason", reason),
            APIField(
                "agent",
                .object([
                    APIField("agent_id", .uuid, required: false), APIField("name", .prose(0...1024), required: false),
                    APIField("gateway_url", .prose(1...8192), "Where the stream goes, with what the call is"),
                    APIField("language", .prose(0...64), required: false),
                    APIField("tts_voice", .prose(0...1024), required: false),
                    APIField("barge_in", .flag, required: false),
                    APIField("max_ai_minutes", .whole(1...1_000_000), required: false),
                    APIField("recording", .word(["off", "on", "policy"]), required: false),
                    APIField("token", .plain(1...1024), required: false, "For the stream; a minute"),
                ]), required: false, "For `ai` only"),
            APIField(
                "fallback",
                .object([
                    APIField("target_type", .word(["ext", "ring", "queue", "vm"])),
                    APIField("target_ref", .plain(1...64)),
                ]), "Who rings otherwise"),
        ]))

    private static let problem = APISchema.named(
        "RoutingProblem",
        .object([
            APIField("type", .plain(1...128)), APIField("title", .plain(1...256)),
            APIField("status", .whole(400...429)), APIField("detail", .prose(1...4000)), APIField("mode", mode),
            APIField("reason", reason),
            APIField("fields", .anyObject, required: false, "By parameter, what would be right"),
        ]))
}

extension APIRoute {
    /// A route that something else serves: for the document only.
    fileprivate init(
        described path: String, _ access: Access, name: String, _ summary: String, parameters: [APIParameter],
        answers: [APIAnswer]
    ) {
        self.init(.get, path, access, name: name, summary, parameters: parameters, answers: answers) {
            _ throws(APIProblem) in throw .notFound("The routing question is not answered here.")
        }
        self.isDescribedOnly = true
    }
}
