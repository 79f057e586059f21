import Foundation
import Records
import Routing
import Synchronization
import Telephony

/// The configured assistants of all tenants, in memory: a call is answered without asking the database.
///
/// A snapshot that is replaced as a whole. When the database is away the last one stands.
package final class AssistantDirectory: Sendable {
    /// What is known about one tenant.
    package typealias Entry = TenantConfiguration

    private struct Snapshot {
        var tenants: [TenantID: Entry] = [:]
        var owners: [AssistantID: TenantID] = [:]
        var names: [String: TenantID] = [:]

        mutating func put(_ entry: Entry) {
            self.remove(entry.tenant.id)
            self.tenants[entry.tenant.id] = entry
            self.names[entry.tenant.name] = entry.tenant.id
            for assistant in entry.assistants { self.owners[assistant.id] = entry.tenant.id }
        }

        mutating func remove(_ tenant: TenantID) {
            guard let old = self.tenants.removeValue(forKey: tenant) else { return }
            // A name or an assistant may be another's by now.
            if self.names[old.tenant.name] == tenant { self.names[old.tenant.name] = nil }
            for assistant in old.assistants where self.owners[assistant.id] == tenant {
                self.owners[assistant.id] = nil
            }
        }
    }
    private let snapshot = Mutex(Snapshot())
    /// Who answers, and when: the routing rows of all tenants, read.
    let routing = Mutex(RoutingTable.empty)
    private let age: ConfigurationAge

    /// `limit`: for how long the last known configuration answers calls while the database is away; nil: for ever.
    package init(limit: Duration? = nil) { self.age = ConfigurationAge(limit: limit) }

    package func replace(with entries: [Entry]) {
        self.apply(ConfigurationReading(tenants: entries))
        self.confirm()
    }

    /// Takes over what was read: everything, or some tenants' part. It is for whoever read it to say when all that is
    /// known is true (`confirm`): one tenant's part says nothing of the others'.
    package func apply(_ reading: ConfigurationReading) {
        guard let asked = reading.asked else {
            var new = Snapshot()
            new.tenants.reserveCapacity(reading.tenants.count)
            for entry in reading.tenants { new.put(entry) }
            let whole = new
            let old = self.snapshot.withLock { snapshot in
                defer { snapshot = whole }
                return snapshot
            }
            // Ten thousand tenants are let go here, while no call waits for the lock.
            return withExtendedLifetime(old) {}
        }
        self.snapshot.withLock { snapshot in
            for tenant in asked { snapshot.remove(tenant) }
            for entry in reading.tenants { snapshot.put(entry) }
        }
    }

    /// Reads everything anew, for a program that asks once. Throws when the store cannot answer; the old snapshot then
    /// stands.
    package func reload(from store: any ConfigurationStore) async throws(StoreError) {
        self.apply(try await store.configuration(of: nil))
        self.confirm()
    }

    /// The database was asked, and what is known is true.
    package func confirm() { self.age.confirm() }

    /// What is known, or a part of it, stands in a file that was true `age` ago.
    package func confirmed(before age: Duration) { self.age.set(age) }

    /// For how long what is known has not been confirmed.
    package var unconfirmed: Duration { self.age.now }

    /// What is known is older than it may be.
    package var isOutdated: Bool { self.age.isBeyondLimit }

    /// Takes over what stands in a file that was written `age` ago.
    package func restore(_ reading: ConfigurationReading, age: Duration) {
        self.apply(reading)
        self.confirmed(before: age)
    }

    /// Whether somebody can answer a tenant's calls.
    package func answers(_ tenant: TenantID) -> Bool {
        self.snapshot.withLock { snapshot in
            guard let entry = snapshot.tenants[tenant], entry.tenant.isEnabled else { return false }
            return entry.assistants.contains(where: \.isEnabled)
        } && !self.age.isBeyondLimit
    }

    /// The Event Sockets that enabled tenants have of their own.
    package var switches: [SwitchAccount] {
        self.snapshot.withLock { snapshot in
            snapshot.tenants.values.compactMap { $0.tenant.isEnabled ? $0.switchAccount : nil }
        }.sorted { $0.tenant.text < $1.tenant.text }
    }

    /// A tenant by its name (FusionPBX's domain), for paths that carry names.
    package func tenant(named name: String) -> TenantID? {
        let name = name.lowercased()
        return self.snapshot.withLock { $0.names[name] }
    }

    /// The tenant of an installation that has one only: whose every call is.
    package var onlyTenant: TenantID? {
        self.snapshot.withLock { $0.tenants.count == 1 ? $0.tenants.keys.first : nil }
    }

    package func entry(of tenant: TenantID) -> Entry? { self.snapshot.withLock { $0.tenants[tenant] } }
    package func owner(of assistant: AssistantID) -> TenantID? {
        self.snapshot.withLock { $0.owners[assistant] } ?? self.agent(assistant)?.tenant
    }
    package var isEmpty: Bool { self.snapshot.withLock { $0.tenants.isEmpty } }

    package func assistant(_ id: AssistantID) -> (Entry, Assistant)? {
        self.configured(id) ?? self.agent(id).flatMap { agent in self.entry(of: agent.tenant).map { ($0, agent) } }
    }

    private func configured(_ id: AssistantID) -> (Entry, Assistant)? {
        self.snapshot.withLock { snapshot in
            guard let owner = snapshot.owners[id], let entry = snapshot.tenants[owner],
                let assistant = entry.assistants.first(where: { $0.id == id })
            else { return nil }
            return (entry, assistant)
        }
    }
}

/// Why nobody can answer a call: what was missing, in words that an operator can act on. Safe to send and to log.
package enum AssistantChoiceError: Error, Equatable, Sendable {
    case unknownTenant
    case unknownAssistant
    case disabled
    /// The tenant has several assistants and nothing said which.
    case ambiguous
    case noAssistants
    /// The database has been away for longer than the last known configuration may be used.
    case outdated

    package var message: String {
        switch self {
        case .unknownTenant: "The id in the path is no tenant and no assistant that this gateway knows."
        case .unknownAssistant: "The tenant has no such assistant. See: pronto assistant list"
        case .disabled: "The tenant or the assistant is disabled."
        case .ambiguous:
            "The tenant has several assistants: state secretary_uuid in the path, a channel variable or the metadata."
        case .noAssistants: "The tenant has no assistant yet. See: pronto assistant add"
        case .outdated:
            "The database has been away for longer than PRONTO_CONFIGURATION_AGE: the configuration is too old to use."
        }
    }
    package var slug: String { "\(self)" }
}

/// What is known about which assistant should answer, from the most to the least trusted source.
package struct AssistantHints: Sendable {
    /// From a signed token, or a query that a trusted peer wrote.
    package var tenant: TenantID?
    package var assistant: AssistantID?
    package var assistantName: String?
    /// The first id of `/stream/{id}/…`: an assistant or a tenant.
    package var firstID: String?
    /// What FreeSWITCH's channel says (by Event Socket) or the leg's metadata.
    package var channelAssistant: AssistantID?
    package var dialed: String?
    package init() {}
}

extension AssistantDirectory {
    /// Which way an assistant was found; logged with the call.
    package enum Basis: String, Sendable { case stated, assistantPath, channel, number, onlyOne }

    /// Who answers, and why it is they.
    package struct Choice: Sendable {
        package var entry: Entry
        /// As its row has it: `overrides` are not applied yet.
        package var assistant: Assistant
        package var basis: Basis
        /// Where an agent was named (`ai_agents`): what its row says about the calls that it answers.
        package var overrides: AssistantOverrides?
    }

    /// Decides who answers, in the documented order; otherwise says what was missing.
    package func choose(_ hints: AssistantHints) -> Result<Choice, AssistantChoiceError> {
        if self.age.isBeyondLimit { return .failure(.outdated) }
        // First id is an assistant: its owner is the tenant, and must not contradict a stated one.
        if let id = hints.assistant ?? hints.firstID.flatMap({ AssistantID($0) }),
            let (entry, assistant) = self.assistant(id)
        {
            if let tenant = hints.tenant, tenant != entry.tenant.id { return .failure(.unknownAssistant) }
            return self.checked(entry, assistant, hints.assistant == id ? .stated : .assistantPath)
        }
        if hints.assistant != nil { return .failure(.unknownAssistant) }
        guard let tenant = hints.tenant ?? hints.firstID.flatMap({ TenantID($0) }), let entry = self.entry(of: tenant)
        else { return .failure(.unknownTenant) }
        if let name = hints.assistantName?.lowercased() {
            if let assistant = entry.assistants.first(where: { $0.name.lowercased() == name }) {
                return self.checked(entry, assistant, .stated)
            }
            guard let (agent, isEnabled) = self.routingTable.agent(named: name, of: tenant) else {
                return .failure(.unknownAssistant)
            }
            guard isEnabled else { return .failure(.disabled) }
            guard let (owner, assistant) = self.assistant(agent.assistant), owner.tenant.id == tenant else {
                return .failure(.unknownAssistant)
            }
            return self.checked(entry, assistant, .stated, AssistantOverrides(agent))
        }
        if let id = hints.channelAssistant, let assistant = entry.assistants.first(where: { $0.id == id }) {
            return self.checked(entry, assistant, .channel)
        }
        if let dialed = hints.dialed, let assistant = entry.assistants.first(where: { $0.number == dialed }) {
            return self.checked(entry, assistant, .number)
        }
        let enabled = entry.assistants.filter(\.isEnabled)
        switch enabled.count {
        case 0: return .failure(entry.assistants.isEmpty ? .noAssistants : .disabled)
        case 1: return self.checked(entry, enabled[0], .onlyOne)
        default: return .failure(.ambiguous)
        }
    }

    private func checked(
        _ entry: Entry, _ assistant: Assistant, _ basis: Basis, _ overrides: AssistantOverrides? = nil
    ) -> Result<Choice, AssistantChoiceError> {
        guard entry.tenant.isEnabled, assistant.isEnabled else { return .failure(.disabled) }
        return .success(Choice(entry: entry, assistant: assistant, basis: basis, overrides: overrides))
    }
}
