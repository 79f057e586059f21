import Records
import Telephony

/// What a tenant may use (set by the installation) and how long its records are kept (set by the tenant).
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
                open("calls", 0...100_000, "Calls at a time, on one node; null: MAX_SESSIONS_PER_DOMAIN"),
                open(
                    "spend_micros", 0...1_000_000_000_000_000,
                    "Of a calendar month (UTC), in millionths of the currency of the costs; null: no limit"),
                open("requests", 1...1_000_000, "Requests a minute to the API; null: PRONTO_API_RATE"),
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
                try await self.change(asked) { $0.retention = retention }
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
                try await self.change(asked) { $0.limits = limits }
                return .json(Self.json(limits))
            },
        ]
    }

    private func policy(_ asked: APIRequest) async throws(APIProblem) -> TenantPolicy {
        let tenant = try asked.tenant()
        return try await self.ask { store throws(StoreError) in try await store.policy(of: tenant) }
    }

    private func change(
        _ asked: APIRequest, _ edit: (inout TenantPolicy) -> Void
    ) async throws(APIProblem) {
        let tenant = try asked.tenant()
        var policy = try await self.policy(asked)
        edit(&policy)
        let saved = policy
        try await self.ask { store throws(StoreError) in try await store.save(saved, of: tenant) }
        await self.changed()
    }

    private static func json(_ retention: Retention) -> JSONValue {
        .object(Retention.Subject.allCases.map { .init($0.rawValue, .of(retention[$0])) })
    }

    private static func json(_ limits: TenantLimits) -> JSONValue {
        ["calls": .of(limits.calls), "spend_micros": .of(limits.spendMicros), "requests": .of(limits.requests)]
    }
}
