import Foundation
import Records
import Telephony
import Testing

@testable import Stores

@Suite("What every store must do")
struct StoreContractTests {
    @Test("A tenant is found by its id and by its name in any case", arguments: StoreUnderTest.allCases)
    func tenants(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            var tenant = try Sample.tenant(1)
            try await store.save(tenant)
            try await store.save(try Sample.tenant(2))
            #expect(try await store.tenant(tenant.id) == tenant)
            #expect(try await store.tenant(named: "TENANT1.example") == tenant)
            #expect(try await store.tenant(named: "nobody.example") == nil)
            tenant.isEnabled = false
            try await store.save(tenant)
            #expect(try await store.tenants().map(\.isEnabled) == [false, true])
            tenant.name = "tenant2.example"
            let doubled = tenant
            #expect(await code { try await store.save(doubled) } == .conflict)
        }
    }

    @Test("An assistant comes back as it was saved", arguments: StoreUnderTest.allCases)
    func assistants(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            var full = try Sample.assistant(1, of: tenant.id)
            let plain = Assistant(
                id: try #require(AssistantID(Sample.uuid(109))), tenant: tenant.id, name: "Zoe", language: "en")
            try await store.save(full, of: tenant.id)
            try await store.save(plain, of: tenant.id)
            #expect(try await store.assistant(full.id, of: tenant.id) == full)
            #expect(try await store.assistant(number: "801", of: tenant.id) == full)
            #expect(try await store.assistant(named: "Zoe", of: tenant.id) == plain)
            #expect(try await store.tenant(owning: full.id) == tenant.id)

            full.isEnabled = false
            full.greeting = nil
            try await store.save(full, of: tenant.id)
            #expect(try await store.assistants(of: tenant.id).contains(full))
            #expect(try await store.assistant(number: "801", of: tenant.id) == nil)

            #expect(try await store.removeAssistant(full.id, of: tenant.id))
            #expect(try await store.removeAssistant(full.id, of: tenant.id) == false)
            #expect(try await store.assistants(of: tenant.id) == [plain])
        }
    }

    @Test("Two assistants of a tenant share neither a name nor a number", arguments: StoreUnderTest.allCases)
    func assistantConflicts(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            let first = try Sample.assistant(1, of: tenant.id)
            try await store.save(first, of: tenant.id)
            var second = try Sample.assistant(2, of: tenant.id)
            second.name = first.name
            let sameName = second
            #expect(await code { try await store.save(sameName, of: tenant.id) } == .conflict)
            second.name = "Bea"
            second.number = first.number
            let sameNumber = second
            #expect(await code { try await store.save(sameNumber, of: tenant.id) } == .conflict)
            second.name = ""
            let nameless = second
            #expect(await code { try await store.save(nameless, of: tenant.id) } == .invalid)
        }
    }

    @Test("An assistant is offered its own destinations and the common ones", arguments: StoreUnderTest.allCases)
    func destinations(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            let assistants = [try Sample.assistant(1, of: tenant.id), try Sample.assistant(2, of: tenant.id)]
            for assistant in assistants { try await store.save(assistant, of: tenant.id) }
            let common = try Sample.destination(2, of: tenant.id)
            var own = try Sample.destination(1, of: tenant.id)
            own.assistant = assistants[0].id
            var off = try Sample.destination(3, of: tenant.id)
            off.isEnabled = false
            for destination in [common, own, off] { try await store.save(destination, of: tenant.id) }

            #expect(try await store.destination(own.id, of: tenant.id) == own)
            #expect(try await store.destinations(of: tenant.id) == [own, common, off])
            #expect(try await store.destinations(for: assistants[0].id, of: tenant.id) == [own, common])
            #expect(try await store.destinations(for: assistants[1].id, of: tenant.id) == [common])

            var doubled = try Sample.destination(4, of: tenant.id)
            doubled.name = common.name
            let sameName = doubled
            #expect(await code { try await store.save(sameName, of: tenant.id) } == .conflict)
            #expect(try await store.removeDestination(common.id, of: tenant.id))
            #expect(try await store.destinations(of: tenant.id) == [own, off])
        }
    }

    @Test("A finished call is written once, however often it is handed over", arguments: StoreUnderTest.allCases)
    func finish(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            let finished = try Sample.finished(1, of: tenant)
            #expect(try await store.finish(finished, of: tenant) == .written)
            #expect(try await store.finish(finished, of: tenant) == .alreadyWritten)
            #expect(try await store.call(finished.call.id, of: tenant) == finished.call)
            let conversations = try await store.conversations(of: finished.call.id, tenant: tenant)
            #expect(conversations == [finished.conversation])
            let conversation = try #require(conversations.first)
            #expect(try await store.turns(of: conversation.id, tenant: tenant) == finished.turns)
            #expect(try await store.toolUses(of: conversation.id, tenant: tenant) == finished.tools)
        }
    }

    @Test(
        "A call that comes back from a transfer with the same id is a record more", arguments: StoreUnderTest.allCases)
    func sameChannelAgain(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            let first = try Sample.finished(1, of: tenant, at: 0)
            let second = try Sample.finished(1, of: tenant, at: 300)
            #expect(try await store.finish(first, of: tenant) == .written)
            #expect(try await store.finish(second, of: tenant) == .written)
            #expect(try await store.call(first.call.id, of: tenant) == second.call)
            #expect(try await store.conversations(of: first.call.id, tenant: tenant).count == 2)
        }
    }

    @Test("A call of which a part cannot be written is not written at all", arguments: StoreUnderTest.allCases)
    func allOrNothing(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            var finished = try Sample.finished(1, of: tenant)
            finished.turns.append(finished.turns[0])
            let doubledTurn = finished
            #expect(await code { try await store.finish(doubledTurn, of: tenant) } == .conflict)
            #expect(try await store.call(finished.call.id, of: tenant) == nil)
            #expect(try await store.conversations(of: finished.call.id, tenant: tenant) == [])
            finished.turns.removeLast()
            #expect(try await store.finish(finished, of: tenant) == .written)
        }
    }

    @Test(
        "A text with U+0000 inside, which no database's text can hold, is kept with a mark there",
        arguments: StoreUnderTest.allCases)
    func nul(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            var finished = try Sample.finished(1, of: tenant)
            finished.turns[0].text = Redacted("a\u{0}b")
            #expect(try await store.finish(finished, of: tenant) == .written)
            let conversation = try #require(finished.conversation).id
            #expect(try await store.turns(of: conversation, tenant: tenant).first?.text.value == "a\u{FFFD}b")
        }
    }

    @Test("A call with nobody's answer has no conversation", arguments: StoreUnderTest.allCases)
    func unanswered(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            var finished = try Sample.finished(1, of: tenant)
            finished.conversation = nil
            let turnsWithout = finished
            #expect(await code { try await store.finish(turnsWithout, of: tenant) } == .invalid)
            let call = CallRecord(
                id: finished.call.id, tenant: tenant, startedAt: Sample.moment(10), endedAt: Sample.moment(5),
                termination: .phoneLost)
            #expect(try await store.finish(FinishedCall(call: call), of: tenant) == .written)
            #expect(try await store.call(call.id, of: tenant) == call)
            #expect(call.duration == .zero, "a clock that was set back")
        }
    }

    @Test(
        "Costs are added up by day and currency; what is unknown is counted and not nothing",
        arguments: StoreUnderTest.allCases)
    func costs(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            let day = 86_400.0
            let costs: [CallCost?] = [
                CallCost(micros: 1_500_000, knownMicros: 1_500_000, currency: "USD", priceDate: "2026-11-21"),
                CallCost(micros: nil, knownMicros: 250_000, currency: "USD", priceDate: "2026-11-21"),
                CallCost(micros: 0, knownMicros: 0, currency: "EUR", priceDate: "2026-11-21"), nil,
            ]
            for (number, cost) in costs.enumerated() {
                var finished = try Sample.finished(number, of: tenant, at: Double(number))
                finished.call.cost = cost
                try await store.finish(finished, of: tenant)
            }
            var later = try Sample.finished(9, of: tenant, at: day)
            later.call.cost = costs[0]
            try await store.finish(later, of: tenant)
            let first = Sample.moment(0)
            let days = try await store.costs(of: tenant, from: first, to: Sample.moment(day))
            #expect(days.map(\.currency) == ["", "EUR", "USD"])
            #expect(days.map(\.calls) == [1, 1, 2])
            #expect(days.map(\.unknownCalls) == [1, 0, 1])
            #expect(days.map(\.knownMicros) == [0, 0, 1_750_000])
            #expect(days.last?.duration == .milliseconds(122_500))
            #expect(Set(days.map(\.day)).count == 1)
            let all = try await store.costs(of: tenant, from: first, to: Sample.moment(2 * day))
            #expect(all.count == 4)
            #expect(all.last?.knownMicros == 1_500_000)
            let spent = try await store.spent(by: tenant, since: first)
            #expect(spent.map(\.currency) == ["EUR", "USD"])
            #expect(spent.map(\.micros) == [0, 3_250_000])
            #expect(try await store.spent(by: tenant, since: Sample.moment(day)).map(\.micros) == [1_500_000])
            // Another tenant's costs are none of this one's.
            #expect(try await store.costs(of: Sample.tenantID(2), from: first, to: Sample.moment(day)).isEmpty)
            #expect(try await store.spent(by: Sample.tenantID(2), since: first).isEmpty)
        }
    }

    @Test("Calls are listed newest first, page by page", arguments: StoreUnderTest.allCases)
    func pages(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            for number in 0..<5 {
                try await store.finish(try Sample.finished(number, of: tenant, at: Double(number)), of: tenant)
            }
            let first = try await store.calls(of: tenant, before: nil, limit: 3)
            #expect(first.map(\.id.text) == ["call-4", "call-3", "call-2"])
            let second = try await store.calls(of: tenant, before: first.last?.startedAt, limit: 3)
            #expect(second.map(\.id.text) == ["call-1", "call-0"])
            #expect(try await store.calls(of: tenant, before: nil, limit: -5).count == 1)
        }
    }

    @Test("A provider's key comes back only where it is asked for", arguments: StoreUnderTest.allCases)
    func accounts(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            var account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-very-secret")
            account.configuration = #"{"model":"gpt-realtime"}"#
            account.displayName = "Ours"
            account.isDefault = true
            account.priority = 3
            try await store.save(account, of: tenant.id)
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id) == account)
            let listed = try await store.accounts(of: tenant.id)
            #expect(listed.map(\.secret) == [nil])
            #expect(listed.map(\.hasSecret) == [true])

            // What a listing gave can be saved again without losing the key.
            var changed = try #require(listed.first)
            changed.isEnabled = false
            try await store.save(changed, of: tenant.id)
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id)?.secret == account.secret)

            changed.hasSecret = false
            try await store.save(changed, of: tenant.id)
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id)?.secret == nil)

            changed.configuration = "[1]"
            let noObject = changed
            #expect(await code { try await store.save(noObject, of: tenant.id) } == .invalid)
            #expect(try await store.removeAccount(.openAI, kind: .realtime, of: tenant.id))
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id) == nil)
        }
    }

    @Test("A tenant's own Event Socket, and its password, come back", arguments: StoreUnderTest.allCases)
    func switchAccounts(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, other] { try await store.save(tenant) }
            #expect(try await store.switchAccount(of: one.id) == nil)
            var account = SwitchAccount(
                tenant: one.id, host: "pbx.example", port: 8031, password: Redacted("ClueCon"),
                connectTimeout: .milliseconds(2500), readTimeout: .seconds(9))
            try await store.save(account, of: one.id)
            #expect(try await store.switchAccount(of: one.id) == account)
            // Without a password the stored one stays; where there is none, that is no account.
            var changed = account
            changed.password = nil
            changed.isEnabled = false
            let kept = changed
            try await store.save(kept, of: one.id)
            account.isEnabled = false
            #expect(try await store.switchAccounts() == [account])
            let nothing = SwitchAccount(tenant: other.id, host: "h", password: nil)
            #expect(await code { try await store.save(nothing, of: other.id) } == .invalid)
            let foreign = account
            #expect(await code { try await store.save(foreign, of: other.id) } == .otherTenant)
            var wrong = account
            wrong.port = 70_000
            let outOfRange = wrong
            #expect(await code { try await store.save(outOfRange, of: one.id) } == .invalid)
            #expect(try await store.removeSwitchAccount(of: other.id) == false)
            #expect(try await store.removeSwitchAccount(of: one.id))
            #expect(try await store.switchAccounts() == [])
        }
    }

    @Test("A switch's password that another key encrypted harms its own tenant only")
    func foreignSwitchPassword() async throws {
        try await withFolder { folder in
            let tenant = try Sample.tenant(1)
            let before = try await SQLStore(path: folder + "/pronto.db", secretKeys: SecretKeys(Sample.secretKey))
            try await before.save(tenant)
            try await before.save(
                SwitchAccount(tenant: tenant.id, host: "h", password: Redacted("p")), of: tenant.id)
            await before.close()
            for keys in [nil, try SecretKeys(Sample.otherSecretKey)] {
                let after = try await SQLStore(path: folder + "/pronto.db", secretKeys: keys)
                let accounts = try await after.switchAccounts()
                #expect(accounts.map(\.host) == ["h"])
                #expect(accounts.map(\.password?.value) == [nil])
                #expect(await code { _ = try await after.switchAccount(of: tenant.id) } != nil)
                await after.close()
            }
        }
    }

    @Test("Without a key the store refuses secrets and says how to give one", arguments: StoreUnderTest.allCases)
    func noKey(kind: StoreUnderTest) async throws {
        try await kind.withStore(keys: nil) { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            let account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-x")
            let error = await #expect(throws: StoreError.self) { try await store.save(account, of: tenant.id) }
            #expect(error?.code == .noSecretKey)
            #expect(error?.message.contains("PRONTO_SECRET_KEY") == true)
            // An account without a key needs none.
            try await store.save(ProviderAccount(tenant: tenant.id, provider: .local), of: tenant.id)
        }
    }

    @Test("A closed store says so", arguments: StoreUnderTest.allCases)
    func closed(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            await store.close()
            #expect(await code { _ = try await store.tenants() } == .closed)
        }
    }

    @Test("Many at once are all served", arguments: StoreUnderTest.allCases)
    func concurrently(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenantID(1)
            let calls = try (0..<100).map { try Sample.finished($0, of: tenant, at: Double($0)) }
            let written = try await withThrowingTaskGroup(of: FinishOutcome.self) { group in
                // Each twice: who comes second must be told so.
                for call in calls + calls { group.addTask { try await store.finish(call, of: tenant) } }
                return try await group.reduce(into: 0) { $0 += $1 == .written ? 1 : 0 }
            }
            #expect(written == 100)
            #expect(try await store.calls(of: tenant, before: nil, limit: 1000).count == 100)
        }
    }
}
