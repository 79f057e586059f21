import Records
import Routing
import Telephony
import Testing

@testable import PhoneServer

@Suite("The assistants in memory")
struct AssistantDirectoryTests {
    private static func entry(_ number: Int, assistant: Int, named name: String? = nil) throws -> TenantConfiguration {
        let tenant = try #require(TenantID("00000000-0000-4000-8000-00000000000\(number)"))
        let id = try #require(AssistantID("10000000-0000-4000-8000-00000000000\(assistant)"))
        var entry = TenantConfiguration(
            tenant: Tenant(id: tenant, name: name ?? "t\(number).example"),
            assistants: [Assistant(id: id, tenant: tenant, name: "a", language: "en")])
        entry.switchAccount = SwitchAccount(tenant: tenant, host: "h\(number)", password: nil)
        return entry
    }

    @Test("Some tenants' part is taken over, and what they had is gone; the others stay")
    func parts() throws {
        let directory = AssistantDirectory()
        let (one, two) = (try Self.entry(1, assistant: 1), try Self.entry(2, assistant: 2))
        directory.apply(ConfigurationReading(tenants: [one, two]))
        #expect(directory.tenant(named: "T1.example") == one.tenant.id)
        #expect(directory.owner(of: one.assistants[0].id) == one.tenant.id)
        #expect(directory.switches.map(\.host) == ["h1", "h2"])

        // Another assistant, another name; and a tenant that is no more.
        let changed = try Self.entry(1, assistant: 3, named: "new.example")
        directory.apply(ConfigurationReading(asked: [one.tenant.id], tenants: [changed]))
        #expect(directory.tenant(named: "t1.example") == nil && directory.tenant(named: "new.example") == one.tenant.id)
        #expect(directory.owner(of: one.assistants[0].id) == nil)
        #expect(directory.owner(of: changed.assistants[0].id) == one.tenant.id)
        #expect(directory.entry(of: two.tenant.id) == two)
        directory.apply(ConfigurationReading(asked: [two.tenant.id]))
        #expect(directory.entry(of: two.tenant.id) == nil && directory.tenant(named: "t2.example") == nil)
        #expect(directory.onlyTenant == one.tenant.id && directory.switches.map(\.host) == ["h1"])

        // The name of one that went is another's now.
        let heir = try Self.entry(2, assistant: 2, named: "new.example")
        directory.apply(ConfigurationReading(asked: [two.tenant.id], tenants: [heir]))
        directory.apply(ConfigurationReading(asked: [one.tenant.id]))
        #expect(directory.tenant(named: "new.example") == two.tenant.id)
    }

    @Test("A name is an assistant's first, then an agent's, who brings what its row says; another tenant's is nobody")
    func agentsByName() throws {
        let entry = try Self.entry(1, assistant: 1)
        let other = try Self.entry(2, assistant: 2)
        let (tenant, assistant) = (entry.tenant.id, entry.assistants[0].id)
        func agent(
            _ number: Int, _ name: String, of tenant: TenantID, as assistant: AssistantID? = nil, isEnabled: Bool = true
        ) throws -> AgentRow {
            let id = try #require(AssistantID("20000000-0000-4000-8000-00000000000\(number)"))
            var row = AgentRow(id: id, tenant: tenant, name: name, isEnabled: isEnabled)
            row.assistant = assistant
            row.model = "model-\(number)"
            row.systemPrompt = Redacted("You sell shoes.")
            return row
        }
        let foreign = other.assistants[0].id
        let agents = [
            try agent(1, "Shoes", of: tenant, as: assistant), try agent(2, "Alone", of: tenant),
            try agent(3, "Away", of: tenant, as: assistant, isEnabled: false),
            try agent(4, "Theirs", of: other.tenant.id), try agent(5, "a", of: tenant),
            try agent(6, "Thief", of: tenant, as: foreign), try agent(7, "alone", of: tenant, as: assistant),
        ]
        let directory = AssistantDirectory()
        directory.apply(ConfigurationReading(tenants: [entry, other]))
        directory.replace(
            routing: RoutingTable(
                RoutingRows(
                    tenants: [entry, other].map {
                        RoutingTenantRow(tenant: $0.tenant.id, domain: $0.tenant.name)
                    }, agents: agents), home: .utc))
        func choose(_ name: String) -> Result<AssistantDirectory.Choice, AssistantChoiceError> {
            var hints = AssistantHints()
            (hints.tenant, hints.assistantName) = (tenant, name)
            return directory.choose(hints)
        }
        let shoes = try choose("SHOES").get()
        #expect(shoes.assistant.id == assistant && shoes.entry.tenant.id == tenant && shoes.basis == .stated)
        let applied = shoes.overrides?.applied(to: shoes.assistant)
        #expect(applied?.model == "model-1" && applied?.instructions.value == "You sell shoes.")
        let alone = try choose("alone").get()
        #expect(alone.assistant.id == agents[1].id, "of two the first by id")
        #expect(alone.assistant.instructions.value == "You sell shoes." && alone.overrides?.context == nil)
        let own = try choose("A").get()
        #expect(own.assistant.id == assistant && own.overrides == nil, "assistants come first")
        func error(_ name: String) -> AssistantChoiceError? {
            if case .failure(let error) = choose(name) { error } else { nil }
        }
        #expect(error("away") == .disabled)
        #expect(error("theirs") == .unknownAssistant)
        #expect(error("thief") == .unknownAssistant)
        #expect(error("nobody") == .unknownAssistant)
    }

    @Test("What has not been confirmed for too long answers nobody, until it is confirmed")
    func age() throws {
        let directory = AssistantDirectory(limit: .seconds(600))
        let entry = try Self.entry(1, assistant: 1)
        var hints = AssistantHints()
        hints.tenant = entry.tenant.id
        func error() -> AssistantChoiceError? {
            if case .failure(let error) = directory.choose(hints) { error } else { nil }
        }
        directory.restore(ConfigurationReading(tenants: [entry]), age: .seconds(599 - 60))
        #expect(error() == nil && directory.answers(entry.tenant.id))
        directory.restore(ConfigurationReading(tenants: [entry]), age: .seconds(601))
        #expect(error() == .outdated && !directory.answers(entry.tenant.id))
        #expect(directory.unconfirmed >= .seconds(601))
        directory.confirm()
        #expect(error() == nil && directory.answers(entry.tenant.id))

        let patient = AssistantDirectory()
        patient.restore(ConfigurationReading(tenants: [entry]), age: .seconds(1e8))
        #expect(patient.answers(entry.tenant.id), "without a limit it answers for ever")
    }
}
