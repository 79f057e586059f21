import Records
import Telephony

/// What a tenant may use (set by the installation); how long its records are kept, and how its calls bring their audio (set
/// by the tenant).
extension APIBackEnd {
    /// A hundred years: beyond that "for ever" (0) is meant.
    private static let days = APISchema.whole(0...36_500)
    private static let note = "Days; 0: until somebody deletes them; null: as the installation's settings have it"

    private static func retention(required: Bool) -> APISchema {
        .named(
            required ? "Retention" : "RetentionInput",
            .object(
                Retention.Subject.allCases.map {
                    APIField($0.rawValue, .nullable(days), required: required, note)
                }))
    }

    private static func limits(required: Bool) -> APISchema {
        func open(_ name: String, _ range: ClosedRange<Int>, _ note: String) -> APIField {
            APIField(name, .nullable(.whole(range)), required: required, note)
        }
        return .named(
            required ? "Limits" : "LimitsInput",
            .object([
                open(
                    "calls", 0...100_000,
                    "Calls at a time: on one node, with Redis on all nodes together; null: MAX_SESSIONS_PER_DOMAIN"),
                open(
                    "spend_micros", 0...1_000_000_000_000_000,
                    "Of a calendar month (UTC), in millionths of the currency of the costs; null: no limit"),
                open("requests", 1...1_000_000, "Requests a minute to the API; null: PRONTO_API_TENANT_RATE"),
            ]))
    }

    private static func audio(required: Bool) -> APISchema {
        .named(
            required ? "Audio" : "AudioInput",
            .object([
                APIField(
                    "mode", .nullable(.word(CallAudio.allCases.map(\.rawValue))), required: required,
                    "esl: the switch's own datagrams; rtp: SIP and RTP; dual and websocket: mod_audio_stream; null: AUDIO_MODE"
                )
            ]))
    }

    var policyRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/retention", .tenant(.viewer), name: "getRetention",
                "How long the tenant's records are kept.",
                answers: [
                    APIAnswer(
                        200,
                        .object([
                            APIField("own", Self.retention(required: true)),
                            APIField("installation", Self.retention(required: true)),
                        ]), "The tenant's own days, and those of the installation, which hold where its own are null.")
                ]
            ) { asked throws(APIProblem) in
                let policy = try await self.policy(asked)
                return .json(["own": Self.json(policy.retention), "installation": Self.json(self.retention)])
            },
            APIRoute(
                .put, "/api/retention", .tenant(.admin), name: "putRetention",
                "Sets how long the tenant's records are kept. What is older is removed within the hour, for good.",
                body: Self.retention(required: false),
                answers: [APIAnswer(200, Self.retention(required: true), "As it is kept.")]
            ) { asked throws(APIProblem) in
                let body = asked.body
                func days(_ subject: Retention.Subject) -> Int? { body[subject.rawValue].flatMap(APISchema.whole) }
                let retention = Retention(
                    conversations: days(.conversations), recordings: days(.recordings), calls: days(.calls),
                    activity: days(.activity))
                try await self.change(asked, .retention(retention))
                return .json(Self.json(retention))
            },
            APIRoute(
                .get, "/api/limits", .tenant(.viewer), name: "getLimits", "What the tenant may use.",
                answers: [APIAnswer(200, Self.limits(required: true), "Null: as the installation's settings have it.")]
            ) { asked throws(APIProblem) in .json(Self.json(try await self.policy(asked).limits)) },
            APIRoute(
                .put, "/api/limits", .tenant(.admin), name: "putLimits",
                "Sets what a tenant may use: the installation's to say, not the tenant's.",
                body: Self.limits(required: false),
                answers: [APIAnswer(200, Self.limits(required: true), "As it is kept.")]
            ) { asked throws(APIProblem) in
                guard asked.asker.scope == .installation else {
                    throw .forbidden("Limits are set with a token of the installation.")
                }
                let body = asked.body
                let limits = TenantLimits(
                    calls: body["calls"].flatMap(APISchema.whole),
                    spendMicros: body["spend_micros"].flatMap(APISchema.whole),
                    requests: body["requests"].flatMap(APISchema.whole))
                try await self.change(asked, .limits(limits))
                return .json(Self.json(limits))
            },
            APIRoute(
                .get, "/api/audio", .tenant(.viewer), name: "getAudio",
                "How calls bring their audio that come by the outbound Event Socket and do not say.",
                answers: [
                    APIAnswer(200, Self.audio(required: true), "Null: as the installation's AUDIO_MODE has it.")
                ]
            ) { asked throws(APIProblem) in .json(Self.json(try await self.policy(asked).audio)) },
            APIRoute(
                .put, "/api/audio", .tenant(.admin), name: "putAudio",
                "Sets how calls bring their audio that come by the outbound Event Socket and do not say.",
                body: Self.audio(required: false),
                answers: [
                    APIAnswer(200, Self.audio(required: true), "As it is kept; for calls that begin from now on.")
                ]
            ) { asked throws(APIProblem) in
                let audio = asked.body["mode"]?.text.flatMap { CallAudio(rawValue: $0) }
                try await self.change(asked, .audio(audio))
                return .json(Self.json(audio))
            },
        ]
    }

    private func policy(_ asked: APIRequest) async throws(APIProblem) -> TenantPolicy {
        let tenant = try asked.tenant()
        return try await self.ask { store throws(StoreError) in try await store.policy(of: tenant) }
    }

    private func change(_ asked: APIRequest, _ change: TenantPolicy.Change) async throws(APIProblem) {
        let tenant = try asked.tenant()
        try await self.ask { store throws(StoreError) in try await store.change(change, of: tenant) }
        await self.changed()
    }

    private static func json(_ retention: Retention) -> JSONValue {
        .object(Retention.Subject.allCases.map { .init($0.rawValue, .of(retention[$0])) })
    }

    private static func json(_ audio: CallAudio?) -> JSONValue { ["mode": .of(audio?.rawValue)] }

    private static func json(_ limits: TenantLimits) -> JSONValue {
        ["calls": .of(limits.calls), "spend_micros": .of(limits.spendMicros), "requests": .of(limits.requests)]
    }
}
