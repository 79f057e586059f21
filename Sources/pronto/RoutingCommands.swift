import Configuration
import Foundation
import Records
import Routing
import Telephony

/// The subcommands that look after who answers, and when: arguments in, text out.
enum RoutingCommands {
    static let usage = """
        pronto route [--domain D | --tenant T] [--trunk ID] [--store ID] [--did N] [--at 2026-12-25T10:00:00+01:00] [--json]
        pronto trunk add TRUNK|any [--agent A] [--hours 1-5=09:00-13:00,15:00-19:00[@ZONE]]… [--windows JSON]
                [--calendar C]… [--allow N]… [--block N]… [--fallback ext|ring|queue|vm:REF] [--store ID] [--language L]
                [--voice V] [--barge-in | --no-barge-in] [--max-minutes N] [--recording off|on|policy] [--id UUID]
                [--disabled | --enabled] [--replace] | list | remove ID
        pronto trunk defaults [--country 39] [--zone Europe/Rome] [--fallback TYPE:REF]
        pronto agent add NAME [--assistant A] [--model M] [--gateway-url URL] [--tools A,B] [--prompt-file FILE] … | list | remove NAME
        pronto calendar import FILE --name NAME [--zone Z] [--open] [--years N] [--replace] | list | show NAME | remove NAME
        pronto activity [list] [--tenant T] [--limit N] [--reveal]
        """

    static let options: [String: Set<String>] = [
        "route": ["--tenant", "--domain", "--trunk", "--store", "--did", "--at"],
        "trunk": [
            "--tenant", "--id", "--agent", "--hours", "--windows", "--calendar", "--allow", "--block", "--fallback",
            "--store", "--language", "--voice", "--max-minutes", "--recording", "--country", "--zone",
        ],
        "agent": ["--tenant", "--id", "--assistant", "--model", "--gateway-url", "--tools", "--prompt-file"],
        "calendar": ["--tenant", "--name", "--zone", "--years"], "activity": ["--tenant", "--limit"],
    ]

    static let flags: [String: Set<String>] = [
        "route": ["--json"],
        "trunk": ["--disabled", "--enabled", "--replace", "--barge-in", "--no-barge-in"],
        "agent": ["--disabled", "--enabled", "--replace"], "calendar": ["--open", "--replace"],
        "activity": ["--reveal"],
    ]

    static func run(
        _ name: String, _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> String {
        switch name {
        case "route": return try await Self.route(arguments, store, settings, at: Date())
        case "trunk": return try await Self.trunk(arguments, store)
        case "agent": return try await Self.agent(arguments, store)
        case "calendar": return try await Self.calendar(arguments, store, settings, today: Date())
        case "activity": return try await Self.activity(arguments, store)
        default: throw StoreCommands.unknown(name)
        }
    }

    static func home(_ settings: Settings) throws -> Zone {
        guard let zone = Zone(settings.timeZone) else {
            throw CommandFailure("DEFAULT_TIMEZONE: a zone of the IANA database, such as Europe/Rome")
        }
        return zone
    }

    // MARK: pronto route

    /// What the gateway would decide, with the reasons. It knows the rows; whether a gateway runs, and has room, it does
    /// not know.
    static func route(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings, at now: Date
    ) async throws -> String {
        if let word = arguments.words.first { throw ArgumentError.tooMany(word) }
        let moment = try arguments.optional("--at", allowed: "a time such as 2026-12-25T10:00:00+01:00") {
            Moment.date(ofQuery: $0)
        }
        let table = RoutingTable(try await store.routingRows(), home: try Self.home(settings))
        var question = RoutingQuestion(at: moment ?? now)
        question.domain = try arguments.optional("--domain", allowed: "a SIP domain") { text in
            RoutingText.isDomain(text) ? text : nil
        }
        if question.domain == nil { question.tenant = try await StoreCommands.tenant(of: arguments, store).id }
        question.trunk = try arguments.optional("--trunk", allowed: "1 to 128 characters") { text in
            RoutingText.isReference(text) ? text : nil
        }
        question.store = try arguments.optional("--store", allowed: "1 to 128 characters") { text in
            RoutingText.isReference(text) ? text : nil
        }
        question.did = try arguments.optional("--did", allowed: "1 to 32 characters") { text in
            (1...32).contains(text.utf8.count) ? text : nil
        }
        let decision = table.decide(question, explaining: true)
        return arguments.has("--json") ? Self.json(decision, settings) : Self.text(decision, settings)
    }

    private static func fallback(_ decision: RoutingDecision, _ settings: Settings) -> RoutingFallback {
        decision.fallback ?? RoutingFallback(kind: .extension, reference: settings.aiRoutingFailover)
    }

    private static func text(_ decision: RoutingDecision, _ settings: Settings) -> String {
        let fallback = Self.fallback(decision, settings)
        var rows = decision.steps.map { [$0.subject, $0.finding] }
        rows.append(["fallback", "\(fallback.kind.rawValue) \(fallback.reference)"])
        return StoreCommands.table(["step", "finding"], rows)
    }

    private static func json(_ decision: RoutingDecision, _ settings: Settings) -> String {
        let fallback = Self.fallback(decision, settings)
        var members: [JSONValue.Member] = [
            .init("mode", .string(decision.isAI ? "ai" : "human")), .init("reason", .string(decision.reason.rawValue)),
        ]
        if let tenant = decision.tenant { members.append(.init("tenant_id", .string(tenant.text))) }
        if let route = decision.route { members.append(.init("settings_id", .string(route.text))) }
        if let agent = decision.agent { members.append(.init("agent_id", .string(agent.id.text))) }
        members.append(
            .init(
                "fallback",
                .object([
                    .init("target_type", .string(fallback.kind.rawValue)),
                    .init("target_ref", .string(fallback.reference)),
                ])))
        members.append(
            .init(
                "steps",
                .array(
                    decision.steps.map {
                        .object([.init("step", .string($0.subject)), .init("finding", .string($0.finding))])
                    })))
        return JSONValue.object(members).json
    }

    // MARK: pronto activity

    static func activity(_ arguments: Arguments, _ store: any RecordsStore) async throws -> String {
        guard arguments.words.isEmpty || arguments.words == ["list"] else {
            throw StoreCommands.unknown("activity " + arguments.words.joined(separator: " "))
        }
        let tenant = try await StoreCommands.tenant(of: arguments, store)
        let limit = try StoreCommands.number(arguments, "--limit", 1...1000) ?? 20
        let rows = try await store.activity(of: tenant.id, before: nil, limit: limit).map { entry in
            [
                StoreCommands.text(entry.decidedAt), entry.isAI ? "ai" : "human", entry.reason, entry.trunk ?? "-",
                entry.did.map { arguments.has("--reveal") ? $0 : "\(Redacted($0))" } ?? "-", entry.call?.text ?? "-",
                "\(entry.latency.components.attoseconds / 1_000_000_000_000 + entry.latency.components.seconds * 1_000_000) µs",
            ]
        }
        return StoreCommands.table(["time", "mode", "reason", "trunk", "did", "call", "latency"], rows)
    }
}
