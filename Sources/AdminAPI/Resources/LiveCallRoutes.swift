import Records
import Telephony

/// The calls that live on this node: to see them, and to act on them.
extension APIBackEnd {
    private static let schema = APISchema.named(
        "LiveCall",
        .object([
            APIField("call", .text(.call)), APIField("assistant", .nullable(.uuid)),
            APIField("assistant_name", .prose(0...1024)), APIField("caller", .nullable(.prose(0...1024))),
            APIField("did", .nullable(.prose(0...1024))), APIField("dialect", .nullable(.prose(0...256))),
            APIField("provider", .nullable(.prose(0...256)), "The back end that speaks now"),
            APIField("start", .moment), APIField("is_transferring", .flag),
        ]))

    var liveCallRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/calls", .tenant(.viewer), name: "listLiveCalls", "The calls that live on this node.",
                answers: [
                    APIAnswer(200, .object([APIField("items", .list(Self.schema, atMost: 100_000))]), "Oldest first.")
                ]
            ) { asked throws(APIProblem) in
                let calls = await self.calls.calls(of: try asked.tenant())
                return .json(["items": .array(calls.sorted { $0.startedAt < $1.startedAt }.map(Self.json))])
            },
            APIRoute(
                .post, "/api/calls/{call}/hangup", .tenant(.operator), name: "hangUpCall",
                "Ends a call at once.", parameters: [Self.callParameter], answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, call) = (try asked.tenant(), try asked.path("call") { CallID($0) })
                guard await self.calls.hangUp(call, of: tenant) else { throw Self.noCall }
                return .done
            },
            APIRoute(
                .post, "/api/calls/{call}/transfer", .tenant(.operator), name: "transferCall",
                "Hands a caller to one of the tenant's destinations. What became of it is in the call's record.",
                parameters: [Self.callParameter],
                body: .object([APIField("destination", .uuid, "The destination's id")]),
                answers: [APIAnswer(202, nil, "The switch is being asked.")]
            ) { asked throws(APIProblem) in try await self.transfer(asked) },
        ]
    }

    private static let noCall = APIProblem.notFound("The tenant has no live call of this id on this node.")

    /// A number from outside is never dialed: only what the tenant has configured.
    private func transfer(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, call) = (try asked.tenant(), try asked.path("call") { CallID($0) })
        guard let id = asked.body["destination"]?.text.flatMap({ DestinationID($0) }) else {
            throw .body([APIProblem.Field("body.destination", "a UUID is needed")])
        }
        let found = try await self.ask { store throws(StoreError) in try await store.destination(id, of: tenant) }
        guard let found, found.isEnabled else {
            throw .notFound("body.destination: the tenant has no enabled destination of this id.")
        }
        switch await self.calls.transfer(call, of: tenant, to: found.transferDestination) {
        case nil: throw Self.noCall
        case false?: throw .conflict("The call is leaving already.")
        case true?: return APIResponse(status: 202, body: .none)
        }
    }

    private static func json(_ call: LiveCall) -> JSONValue {
        [
            "call": .string(call.id.text), "assistant": .of(call.assistant?.text),
            "assistant_name": .string(call.assistantName), "caller": .of(call.caller?.value),
            "did": .of(call.dialed?.value), "dialect": .of(call.dialect), "provider": .of(call.provider),
            "start": .of(call.startedAt), "is_transferring": .bool(call.isTransferring),
        ]
    }
}
