import Records
import Telephony
import Testing

@testable import Stores

@Suite("Nothing of one tenant is seen or changed in the name of another")
struct TenantIsolationTests {
    @Test("Reading", arguments: StoreUnderTest.allCases)
    func reading(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (ours, theirs) = (try Sample.tenant(1), try Sample.tenant(2))
            let other = theirs.id
            let all = try await self.fill(store, ours, theirs)
            #expect(try await store.assistant(all.assistant.id, of: other) == nil)
            #expect(try await store.assistant(number: "801", of: other) == nil)
            #expect(try await store.assistant(named: all.assistant.name, of: other) == nil)
            #expect(try await store.assistants(of: other) == [])
            #expect(try await store.destination(all.destination.id, of: other) == nil)
            #expect(try await store.destinations(of: other) == [])
            #expect(try await store.destinations(for: all.assistant.id, of: other) == [])
            #expect(try await store.account(.openAI, kind: .realtime, of: other) == nil)
            #expect(try await store.accounts(of: other) == [])
            #expect(try await store.call(all.finished.call.id, of: other) == nil)
            #expect(try await store.calls(of: other, before: nil, limit: 100) == [])
            #expect(try await store.conversations(of: all.finished.call.id, tenant: other) == [])
            let conversation = try #require(all.finished.conversation).id
            #expect(try await store.turns(of: conversation, tenant: other) == [])
            #expect(try await store.toolUses(of: conversation, tenant: other) == [])
        }
    }

    @Test("Writing and removing", arguments: StoreUnderTest.allCases)
    func writing(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (ours, theirs) = (try Sample.tenant(1), try Sample.tenant(2))
            let other = theirs.id
            let all = try await self.fill(store, ours, theirs)

            // In the other's name, with our value.
            #expect(await code { try await store.save(all.assistant, of: other) } == .otherTenant)
            #expect(await code { try await store.save(all.destination, of: other) } == .otherTenant)
            #expect(await code { try await store.save(all.account, of: other) } == .otherTenant)
            #expect(await code { try await store.finish(all.finished, of: other) } == .otherTenant)

            // The other's value, with our id.
            var assistant = all.assistant
            assistant.tenant = other
            assistant.name = "thief"
            let stolen = assistant
            #expect(await code { try await store.save(stolen, of: other) } == .otherTenant)
            var destination = all.destination
            destination.tenant = other
            let taken = destination
            #expect(await code { try await store.save(taken, of: other) } == .otherTenant)

            // The other's destination, at our assistant.
            var foreign = try Sample.destination(9, of: other)
            foreign.assistant = all.assistant.id
            let planted = foreign
            #expect(await code { try await store.save(planted, of: other) } == .invalid)

            // The other's call, with our conversation inside.
            var mixed = try Sample.finished(5, of: other)
            mixed.conversation = all.finished.conversation
            let call = mixed
            #expect(await code { try await store.finish(call, of: other) } == .otherTenant)

            // The other's conversation with our conversation's id: refused, ours untouched.
            mixed = try Sample.finished(6, of: other)
            mixed.conversation?.id = try #require(all.finished.conversation).id
            let sameID = mixed
            #expect(await code { try await store.finish(sameID, of: other) } == .conflict)

            #expect(try await store.removeAssistant(all.assistant.id, of: other) == false)
            #expect(try await store.removeDestination(all.destination.id, of: other) == false)
            #expect(try await store.removeAccount(.openAI, kind: .realtime, of: other) == false)

            #expect(try await store.assistants(of: ours.id) == [all.assistant])
            #expect(try await store.destinations(of: ours.id) == [all.destination])
            #expect(try await store.account(.openAI, kind: .realtime, of: ours.id) == all.account)
            #expect(try await store.calls(of: ours.id, before: nil, limit: 10) == [all.finished.call])
            #expect(try await store.calls(of: other, before: nil, limit: 10) == [])
        }
    }

    @Test("The same names, numbers and call ids belong to each of them", arguments: StoreUnderTest.allCases)
    func sameNames(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (ours, theirs) = (try Sample.tenant(1), try Sample.tenant(2))
            let all = try await self.fill(store, ours, theirs)
            var assistant = try Sample.assistant(2, of: theirs.id)
            assistant.name = all.assistant.name
            assistant.number = all.assistant.number
            try await store.save(assistant, of: theirs.id)
            var call = all.finished
            call.call.tenant = theirs.id
            call.conversation = nil
            call.turns = []
            call.tools = []
            #expect(try await store.finish(call, of: theirs.id) == .written)
            #expect(try await store.assistant(number: "801", of: ours.id) == all.assistant)
            #expect(try await store.assistant(number: "801", of: theirs.id) == assistant)
            #expect(try await store.call(call.call.id, of: ours.id) == all.finished.call)
        }
    }

    private struct Everything {
        var assistant: Assistant
        var destination: DestinationRecord
        var account: ProviderAccount
        var finished: FinishedCall
    }

    private func fill(_ store: any RecordsStore, _ ours: Tenant, _ theirs: Tenant) async throws -> Everything {
        try await store.save(ours)
        try await store.save(theirs)
        let all = Everything(
            assistant: try Sample.assistant(1, of: ours.id), destination: try Sample.destination(1, of: ours.id),
            account: ProviderAccount(tenant: ours.id, provider: .openAI, secret: "sk-ours"),
            finished: try Sample.finished(1, of: ours.id))
        try await store.save(all.assistant, of: ours.id)
        try await store.save(all.destination, of: ours.id)
        try await store.save(all.account, of: ours.id)
        try await store.finish(all.finished, of: ours.id)
        return all
    }
}
