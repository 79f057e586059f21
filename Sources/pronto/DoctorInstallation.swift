import Assistants
import Configuration
import Foundation
import Networking
import PhoneServer
import Records
import SharedState
import Stores
import Telephony

/// What Pronto itself stands on: its database, the secrets in it, the back ends of its assistants, the other nodes.
struct InstallationFacts: Sendable {
    enum Database: Sendable {
        /// A SQLite file that nobody has made yet.
        case absent(path: String)
        /// In words, with the repair.
        case away(found: String, repair: String)
        case there(name: String, DatabaseCondition)
    }

    /// One assistant that could not answer, and why.
    struct Unready: Sendable, Equatable {
        var tenant: String
        var assistant: String
        var problem: String
    }

    /// One back end, tried as a call of that tenant would.
    struct Trial: Sendable {
        var provider: String
        var tenant: String
        var report: ProviderCommand.Report
    }

    var database: Database
    /// Nil: the database could not be read.
    var tenants: Int?
    /// Secrets that are kept, and those of them that cannot be opened, by what they are.
    var secrets = 0
    var unreadable: [String] = []
    /// Nil: the database could not be read.
    var ready: Int?
    var unready: [Unready] = []
    /// Back ends that assistants name, without this machine's own.
    var named: [String] = []
    /// Nil: nobody asked for trials.
    var trials: [Trial]?
    /// Nil: REDIS_HOST is unset.
    var nodes: Result<Int, CommandFailure>?
}

/// Gathers them. Changes nothing: a file that is not there is not made, a schema that is old stays old.
enum InstallationGathering {
    /// The most trials of one examination: each costs what a greeting costs.
    static let trialLimit = 20

    static func gather(_ settings: Settings, trials: Bool) async -> InstallationFacts {
        var facts = InstallationFacts(database: Self.database(settings))
        facts.nodes = await Self.nodes(settings)
        guard case .there(_, let condition) = facts.database, condition.missing.isEmpty else { return facts }
        do {
            let tenants = try await Self.configuration(settings)
            Self.look(at: tenants, settings, &facts)
            if trials { facts.trials = await Self.tried(tenants, settings) }
        } catch {
            facts.database = .away(found: "\(error)", repair: "see: pronto migrate status")
        }
        return facts
    }

    private static func database(_ settings: Settings) -> InstallationFacts.Database {
        if StoreOpening.postgres(settings) == nil, !FileManager.default.fileExists(atPath: settings.database) {
            return .absent(path: settings.database)
        }
        do {
            let database = try StoreOpening.database(settings)
            do throws(StoreError) {
                return .there(
                    name: StoreOpening.postgres(settings)?.address.summary ?? settings.database,
                    try DatabaseCondition.read(database))
            } catch {
                throw StoreOpening.startError(settings, error)
            }
        } catch {
            // `SETTING: PLACE: WHAT IS WRONG; WHAT TO DO`.
            let parts = "\(error)".split(separator: ";", maxSplits: 1).map { $0.drop { $0 == " " } }
            return .away(
                found: parts.first.map(String.init) ?? "the database does not answer",
                repair: parts.count > 1 ? String(parts[1]) : "look at the server's log")
        }
    }

    private static func configuration(_ settings: Settings) async throws -> [TenantConfiguration] {
        let store = try await StoreOpening.open(settings, connections: 1)
        let result: Result<[TenantConfiguration], any Error>
        do throws(StoreError) { result = .success(try await store.configuration(of: nil).tenants) } catch {
            result = .failure(StoreOpening.startError(settings, error))
        }
        await store.close()
        return try result.get().sorted { $0.tenant.name < $1.tenant.name }
    }

    private static func look(
        at tenants: [TenantConfiguration], _ settings: Settings, _ facts: inout InstallationFacts
    ) {
        facts.tenants = tenants.count
        var (ready, named) = (0, Set<String>())
        for entry in tenants {
            for account in entry.accounts where account.hasSecret {
                facts.secrets += 1
                guard account.secret == nil else { continue }
                facts.unreadable.append("\(entry.tenant.name): \(account.kind.rawValue)/\(account.provider.text)")
            }
            guard entry.tenant.isEnabled else { continue }
            for assistant in entry.assistants where assistant.isEnabled {
                named.formUnion(Self.backEnds(of: assistant, settings))
                do {
                    try AssistantReadiness.check(assistant, of: entry.tenant, accounts: entry.accounts, settings)
                    ready += 1
                } catch {
                    facts.unready.append(
                        .init(tenant: entry.tenant.name, assistant: assistant.name, problem: "\(error)"))
                }
            }
        }
        facts.ready = ready
        facts.named = named.sorted()
    }

    private static func backEnds(of assistant: Assistant, _ settings: Settings) -> [String] {
        (assistant.providers.map(\.text) + settings.fallbackProviders).filter { $0 != "local" }
    }

    /// Each back end once for each tenant that names it: with that tenant's key, or the settings'.
    private static func tried(
        _ tenants: [TenantConfiguration], _ settings: Settings
    ) async -> [InstallationFacts.Trial] {
        var trials: [InstallationFacts.Trial] = []
        for entry in tenants where entry.tenant.isEnabled {
            var done: Set<String> = []
            for assistant in entry.assistants where assistant.isEnabled {
                for name in Self.backEnds(of: assistant, settings) where done.insert(name).inserted {
                    guard trials.count < Self.trialLimit, let target = ProviderCommand.Target(rawValue: name) else {
                        continue
                    }
                    trials += await Self.tried(target, entry.tenant, assistant, settings).map {
                        .init(provider: name, tenant: entry.tenant.name, report: $0)
                    }
                }
            }
        }
        return trials
    }

    private static func tried(
        _ target: ProviderCommand.Target, _ tenant: Tenant, _ assistant: Assistant, _ settings: Settings
    ) async -> [ProviderCommand.Report] {
        do {
            let bench = try await ProviderBench(
                settings, tenant: tenant.id.text, assistant: assistant.name, patience: .seconds(20))
            defer { bench.stop() }
            return await bench.reports(of: target)
        } catch {
            var report = ProviderCommand.Report(what: "session")
            report.failure = AssistantFailure("not-made", .failOver, detail: "\(error)")
            return [report]
        }
    }

    private static func nodes(_ settings: Settings) async -> Result<Int, CommandFailure>? {
        do {
            let trust = try settings.caFile.map { try TLSContext.client(authorities: $0, besidesSystem: true) }
            guard let configuration = try NodesOpening.configuration(settings, trust) else { return nil }
            let reply = try await RedisQuestion.ask(configuration, instance: "doctor") { $0.nodes }
            return .success((reply.elements ?? []).compactMap(NodeSighting.init).count)
        } catch {
            return .failure(CommandFailure("\(error)"))
        }
    }
}

extension DoctorChecks {
    /// What Pronto itself stands on.
    static func installation(_ facts: InstallationFacts, _ settings: Settings) -> [DoctorFinding] {
        self.database(facts) + self.secrets(facts) + self.assistants(facts) + self.trials(facts) + self.nodes(facts)
    }

    private static func database(_ facts: InstallationFacts) -> [DoctorFinding] {
        switch facts.database {
        case .absent(let path):
            return [
                .warning(
                    "database", "\(path): there is no such file yet",
                    "pronto tenant add NAME makes it; or PRONTO_DATABASE, DB_HOST and DB_NAME name another place")
            ]
        case .away(let found, let repair): return [.failed("database", found, repair)]
        case .there(let name, let condition):
            var findings = [DoctorFinding.fine("database", "\(name): \(condition.version) answers")]
            if condition.missing.isEmpty {
                findings.append(.fine("database-schema", "all \(condition.applied) migrations are there"))
            } else {
                let numbers = condition.missing.map(String.init).joined(separator: ", ")
                findings.append(
                    .failed("database-schema", "migrations are missing: \(numbers)", "pronto migrate up"))
            }
            if condition.denied.isEmpty {
                findings.append(.fine("database-rights", "its tables can be read and written"))
            } else {
                let shown = condition.denied.prefix(4).joined(separator: ", ")
                let more = condition.denied.count > 4 ? " and \(condition.denied.count - 4) more" : ""
                findings.append(
                    .failed(
                        "database-rights", "this user lacks \(shown)\(more)",
                        "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON these tables TO DB_USER"))
            }
            return findings
        }
    }

    private static func secrets(_ facts: InstallationFacts) -> [DoctorFinding] {
        guard facts.tenants != nil else { return [] }
        guard facts.unreadable.isEmpty else {
            return [
                .failed(
                    "secrets", "keys that cannot be opened: " + facts.unreadable.prefix(5).joined(separator: ", "),
                    "PRONTO_SECRET_KEY or PRONTO_SECRET_KEY_FILE has to hold the key that they were kept with; "
                        + "or keep them again: pronto provider set-key")
            ]
        }
        return facts.secrets == 0 ? [] : [.fine("secrets", "\(facts.secrets) keys of tenants can be opened")]
    }

    private static func assistants(_ facts: InstallationFacts) -> [DoctorFinding] {
        guard let tenants = facts.tenants, let ready = facts.ready else { return [] }
        guard tenants > 0 else {
            return [.warning("assistants", "there is no tenant", "pronto tenant add NAME, then pronto assistant add")]
        }
        var findings = facts.unready.prefix(10).map { unready in
            DoctorFinding.failed(
                "assistant", "\(unready.tenant): \(unready.assistant): \(unready.problem)",
                "what it says; then pronto assistant add \(unready.assistant) --replace, or pronto provider set-key")
        }
        if ready > 0 {
            findings.append(.fine("assistants", "\(ready) have what their back ends need"))
        } else if facts.unready.isEmpty {
            findings.append(
                .warning("assistants", "no tenant has an assistant that is switched on", "pronto assistant add NAME"))
        }
        return findings
    }

    private static func trials(_ facts: InstallationFacts) -> [DoctorFinding] {
        guard facts.tenants != nil, !facts.named.isEmpty else { return [] }
        guard let trials = facts.trials else {
            return [
                .skipped(
                    "providers",
                    "not tried: \(facts.named.joined(separator: ", ")); --providers tries each key, which costs a greeting"
                )
            ]
        }
        return trials.map { trial in
            let id = "provider-\(trial.provider)"
            guard let failure = trial.report.failure else {
                let time = trial.report.firstSound.map { ", first sound after \($0.milliseconds) ms" } ?? ""
                return .fine(id, "\(trial.tenant): \(trial.report.what) works\(time)")
            }
            let diagnosis = ProviderDiagnosis(failure)
            return .failed(id, "\(trial.tenant): \(diagnosis.meaning) (\(failure.slug))", diagnosis.repair)
        }
    }

    private static func nodes(_ facts: InstallationFacts) -> [DoctorFinding] {
        switch facts.nodes {
        case nil: return [.skipped("redis", "REDIS_HOST is unset: one node")]
        case .success(let count): return [.fine("redis", "answers; nodes that live: \(count)")]
        case .failure(let failure):
            return [
                .failed(
                    "redis", failure.description,
                    "REDIS_HOST, REDIS_PORT, REDIS_PASSWORD, REDIS_TLS; calls go on, each node for itself")
            ]
        }
    }
}
