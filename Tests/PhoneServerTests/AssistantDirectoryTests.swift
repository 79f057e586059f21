import Records
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
