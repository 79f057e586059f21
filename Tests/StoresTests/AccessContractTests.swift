import Foundation
import Records
import Telephony
import Testing

@testable import Stores

@Suite("Stores: who may ask, what is asked, what is erased")
struct AccessContractTests {
    @Test("API tokens: kept by hash, listed for their owner only, revoked once", arguments: StoreUnderTest.allCases)
    func tokens(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, two] { try await store.save(tenant) }
            var made: [APIToken] = []
            for (index, tenant) in [one.id, two.id, nil].enumerated() {
                let token = try APITokenSecret.generated(
                    tenant: tenant, name: "Àida \(index)", role: AccessRole.allCases[index], at: Sample.moment(0),
                    expiresAt: index == 1 ? Sample.moment(60) : nil
                ).token
                try await store.add(token)
                made.append(token)
            }
            #expect(try await store.apiTokens(of: one.id) == [made[0]])
            #expect(try await store.apiTokens(of: nil) == [made[2]])
            for token in made { #expect(try await store.apiToken(hash: token.hash) == token) }
            #expect(try await store.apiToken(hash: "nobody's") == nil)
            #expect(made[1].isValid(at: Sample.moment(59)) && !made[1].isValid(at: Sample.moment(60)))
            // Another owner revokes nothing.
            for owner in [two.id, nil] {
                #expect(try await !store.revokeAPIToken(made[0].id, of: owner, at: Sample.moment(1)))
            }
            #expect(try await !store.revokeAPIToken(made[2].id, of: one.id, at: Sample.moment(1)))
            #expect(try await store.revokeAPIToken(made[0].id, of: one.id, at: Sample.moment(1)))
            #expect(try await !store.revokeAPIToken(made[0].id, of: one.id, at: Sample.moment(2)))
            #expect(try await store.apiToken(hash: made[0].hash)?.revokedAt == Sample.moment(1))
            try await store.apiTokenUsed(made[2].id, at: Sample.moment(3))
            #expect(try await store.apiTokens(of: nil).first?.lastUsedAt == Sample.moment(3))
            // One hash, one token.
            var twin = made[1]
            twin.id = try #require(APITokenID(Sample.uuid(999)))
            let again = twin
            #expect(await code { try await store.add(again) } == .conflict)
        }
    }

    @Test("Policies and signing keys, each tenant's own", arguments: StoreUnderTest.allCases)
    func policies(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, two] { try await store.save(tenant) }
            #expect(try await store.policy(of: one.id) == TenantPolicy())
            let policy = TenantPolicy(
                limits: TenantLimits(calls: 0, spendMicros: 5_000_000_000, requests: 60),
                retention: Retention(conversations: 1, recordings: 2, calls: 3, activity: 0), audio: .rtp)
            try await store.save(policy, of: one.id)
            #expect(try await store.policy(of: one.id) == policy)
            #expect(try await store.policy(of: two.id) == TenantPolicy())
            #expect(try await store.policies() == [one.id: policy])
            try await store.save(TenantPolicy(), of: one.id)
            #expect(try await store.policy(of: one.id) == TenantPolicy())
            #expect(
                await code { try await store.save(TenantPolicy(limits: TenantLimits(calls: -1)), of: one.id) }
                    == .invalid)

            let key = SigningKeyRecord(tenant: one.id, id: "k.1", key: Redacted(#"{"kty":"oct"}"#))
            #expect(await code { try await store.save(key, of: two.id, at: Sample.moment(0)) } == .otherTenant)
            try await store.save(key, of: one.id, at: Sample.moment(0))
            // The same id is another tenant's too, and each is its own.
            let twin = SigningKeyRecord(tenant: two.id, id: "k.1", key: Redacted(#"{"kty":"RSA"}"#))
            try await store.save(twin, of: two.id, at: Sample.moment(0))
            #expect(Set(try await store.access(of: nil).keys.map(\.tenant)) == [one.id, two.id])
            #expect(try await store.access(of: [one.id]).keys == [key])
            #expect(try await store.access(of: [two.id]).keys == [twin])
            #expect(try await store.signingKeys(of: one.id).map(\.key) == [nil])
            #expect(try await !store.removeSigningKey("k.2", of: one.id))
            #expect(try await store.removeSigningKey("k.1", of: one.id))
            #expect(try await store.access(of: nil).keys == [twin])
        }
        try await kind.withStore(keys: nil) { store in
            let one = try Sample.tenant(1)
            try await store.save(one)
            let key = SigningKeyRecord(tenant: one.id, id: "k", key: Redacted("{}"))
            #expect(await code { try await store.save(key, of: one.id, at: Sample.moment(0)) } == .noSecretKey)
        }
    }

    @Test("A policy or key with nonsense in it harms itself only, and is named", arguments: StoreUnderTest.allCases)
    func nonsense(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let sql = try #require(store as? SQLStore)
            let tenants = try (1...3).map { try Sample.tenant($0) }
            for tenant in tenants {
                try await store.save(tenant)
                try await store.save(TenantPolicy(limits: TenantLimits(calls: 3)), of: tenant.id)
                try await store.save(
                    SigningKeyRecord(tenant: tenant.id, id: "k", key: Redacted("{}")), of: tenant.id,
                    at: Sample.moment(0))
            }
            let (one, two) = (tenants[0].id, tenants[1].id)
            try await sql.perform { database throws(StoreError) in
                try database.run(
                    "UPDATE voip_tenant_settings SET max_calls = -1 WHERE domain_uuid = ?", [.text(one.text)])
                try database.run(
                    "UPDATE voip_signing_keys SET key_data = 'plain' WHERE domain_uuid = ?", [.text(two.text)])
                if database.dialect == .sqlite {
                    // A row that is not even a tenant's.
                    try database.execute(
                        """
                        INSERT INTO v_domains (domain_uuid, domain_name) VALUES ('house', 'house.example');
                        INSERT INTO voip_signing_keys VALUES ('house', 'k', 'plain', '2026-01-01T00:00:00.000Z');
                        """)
                }
            }
            let all = try await store.access(of: nil)
            #expect(all.policies.count == 2 && all.policies[one] == nil)
            #expect(all.keys.count == 3 && all.keys.filter { $0.key == nil }.map(\.tenant) == [two])
            #expect(all.faults.contains { $0.tenant == one && $0.message.hasPrefix("column max_calls") })
            #expect(all.faults.contains { $0.tenant == two && $0.message.hasPrefix("column key_data") })
            #expect(all.faults.count == (sql.dialect == .sqlite ? 3 : 2))
            let part = try await store.access(of: [one, try Sample.tenantID(9)])
            #expect(part.asked?.count == 2 && part.keys.map(\.tenant) == [one] && part.faults.count == 1)
            try await withFolder { folder in
                let copy = ConfigurationCopy(path: folder + "/copy")
                try await copy.write(from: sql)
                let kept = try copy.readAccess(secretKeys: try SecretKeys(Sample.secretKey))
                #expect(kept.policies == all.policies && kept.keys.count == 3 && Set(kept.faults) == Set(all.faults))
            }
        }
    }

    /// Five calls of a tenant, a minute apart, the last two at the same moment.
    private func fill(_ store: any RecordsStore, _ tenant: TenantID) async throws -> [CallRecord] {
        var calls: [CallRecord] = []
        for number in 0..<5 {
            var finished = try Sample.finished(number, of: tenant, at: Double(min(number, 3)) * 60)
            finished.call.direction = number == 0 ? .outbound : .inbound
            finished.call.caller = Redacted("+39061234\(number)")
            finished.call.dialed = Redacted("800\(number)")
            finished.call.endedAt = finished.call.startedAt.addingTimeInterval(Double(number) * 10)
            finished.conversation?.id = try #require(
                ConversationID(Sample.uuid(9_000_000 + number + (tenant == (try Sample.tenantID(2)) ? 100 : 0))))
            try await store.finish(finished, of: tenant)
            calls.append(finished.call)
        }
        return calls
    }

    @Test("Filters, order and pages", arguments: StoreUnderTest.allCases)
    func queries(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, two] { try await store.save(tenant) }
            _ = try await self.fill(store, one.id)
            _ = try await self.fill(store, two.id)
            func found(_ edit: (inout CallFilter) -> Void) async throws -> [String] {
                var filter = CallFilter()
                edit(&filter)
                let calls = try await store.calls(of: one.id, matching: filter, after: nil, limit: 100)
                #expect(calls.allSatisfy { $0.tenant == one.id })
                return calls.map { String($0.id.text.suffix(1)) }
            }
            #expect(try await found { _ in } == ["3", "4", "2", "1", "0"])
            #expect(try await found { $0.from = Sample.moment(60) } == ["3", "4", "2", "1"])
            #expect(try await found { $0.until = Sample.moment(60) } == ["0"])
            #expect(try await found { $0.caller = Redacted("+390612342") } == ["2"])
            #expect(try await found { $0.dialed = Redacted("8004") } == ["4"])
            #expect(try await found { $0.direction = .outbound } == ["0"])
            #expect(try await found { $0.assistant = AssistantID(Sample.uuid(101)) }.count == 5)
            #expect(try await found { $0.assistant = AssistantID(Sample.uuid(555)) } == [])
            #expect(try await found { $0.cause = "NORMAL_CLEARING" }.count == 5)
            #expect(try await found { $0.fault = .caller } == [])
            #expect(try await found { $0.reason = "transferred" }.count == 5)
            #expect(try await found { $0.reason = "' OR '1'='1" } == [])
            #expect(
                try await found {
                    $0.minimumDuration = .seconds(10)
                    $0.maximumDuration = .seconds(20)
                } == ["2", "1"])
            var (seen, position): ([String], ListPosition?) = ([], nil)
            while true {
                let page = try await store.calls(of: one.id, matching: CallFilter(), after: position, limit: 2)
                guard let last = page.last else { break }
                seen += page.map { String($0.id.text.suffix(1)) }
                position = ListPosition(startedAt: last.startedAt, id: last.id.text)
            }
            #expect(seen == ["3", "4", "2", "1", "0"])

            let all = try await store.conversations(of: one.id, matching: ConversationFilter(), after: nil, limit: 100)
            #expect(all.count == 5 && all.allSatisfy { $0.tenant == one.id })
            var filter = ConversationFilter()
            filter.call = CallID("call-2")
            filter.finalAction = .transfer
            filter.from = Sample.moment(0)
            filter.until = Sample.moment(1000)
            filter.assistant = AssistantID(Sample.uuid(101))
            let some = try await store.conversations(of: one.id, matching: filter, after: nil, limit: 100)
            #expect(some.map(\.call.text) == ["call-2"])
            let id = try #require(some.first?.id)
            #expect(try await store.conversation(id, of: one.id) == some.first)
            #expect(try await store.conversation(id, of: two.id) == nil)
            let rest = try await store.conversations(
                of: one.id, matching: ConversationFilter(),
                after: ListPosition(startedAt: all[1].startedAt, id: all[1].id.text), limit: 100)
            #expect(rest == Array(all.dropFirst(2)))
        }
    }

    @Test("Erasing, in steps, and never another tenant's", arguments: StoreUnderTest.allCases)
    func erasure(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, two) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, two] { try await store.save(tenant) }
            let calls = try await self.fill(store, one.id)
            let theirs = try await self.fill(store, two.id)
            let before = try await store.calls(of: two.id, matching: CallFilter(), after: nil, limit: 100)
            func conversations(_ tenant: TenantID) async throws -> Int {
                try await store.conversations(of: tenant, matching: ConversationFilter(), after: nil, limit: 100).count
            }

            let recorded = try await store.recordings(of: one.id, before: Sample.moment(61), limit: 100)
            #expect(recorded.map(\.id) == [calls[0].id, calls[1].id] && recorded.allSatisfy { $0.recording != nil })
            // Another tenant's name with our keys does nothing.
            #expect(try await store.clearRecordings(of: recorded, tenant: one.id, noting: []) == 2)
            #expect(try await store.clearRecordings(of: recorded, tenant: one.id, noting: []) == 0)
            #expect(try await store.recordings(of: one.id, before: Sample.moment(61), limit: 100) == [])
            #expect(try await store.recordings(of: two.id, before: Sample.moment(61), limit: 100).count == 2)

            #expect(try await store.removeConversations(of: one.id, before: Sample.moment(100), limit: 1) == 1)
            #expect(try await store.removeConversations(of: one.id, before: Sample.moment(100), limit: 100) == 1)
            #expect(try await conversations(one.id) == 3)
            #expect(try await conversations(two.id) == 5)

            let callers = ["+390612342", "0"]
            let found = try await store.calls(ofCaller: callers, tenant: one.id, limit: 100)
            #expect(found.map(\.id) == [calls[2].id])
            // A call of ours: the person is whom we called.
            #expect(try await store.calls(ofCaller: ["8000"], tenant: one.id, limit: 100).map(\.id) == [calls[0].id])
            #expect(try await store.calls(ofCaller: ["8001"], tenant: one.id, limit: 100) == [])
            let done = try await store.forgetCaller(of: found, tenant: one.id, noting: [])
            #expect(done.calls == 1 && done.conversations == 1)
            let forgotten = try #require(try await store.call(calls[2].id, of: one.id))
            #expect(forgotten.caller == nil && forgotten.recording == nil && forgotten.dialed != nil)
            #expect(try await store.calls(ofCaller: callers, tenant: one.id, limit: 100) == [])
            #expect(try await store.call(theirs[2].id, of: two.id)?.caller?.value == "+390612342")

            let old = try await store.calls(of: one.id, before: Sample.moment(121), limit: 2)
            #expect(old.map(\.id) == [calls[0].id, calls[1].id])
            #expect(try await store.removeCalls(old, tenant: one.id, noting: []) == 2)
            #expect(try await store.removeCalls(old, tenant: one.id, noting: []) == 0)
            #expect(try await store.calls(of: one.id, matching: CallFilter(), after: nil, limit: 100).count == 3)
            #expect(try await store.calls(of: two.id, matching: CallFilter(), after: nil, limit: 100) == before)
            #expect(try await conversations(two.id) == 5)
            let conversation = try #require(
                try await store.conversations(of: theirs[0].id, tenant: two.id).first)
            #expect(try await store.turns(of: conversation.id, tenant: two.id).count == 2)
        }
    }

    @Test("A channel that came back: its other call's conversations stay", arguments: StoreUnderTest.allCases)
    func sameChannel(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let one = try Sample.tenant(1)
            try await store.save(one)
            try await store.finish(try Sample.finished(1, of: one.id, at: 0), of: one.id)
            try await store.finish(try Sample.finished(1, of: one.id, at: 600), of: one.id)
            let old = try await store.calls(of: one.id, before: Sample.moment(1), limit: 10)
            #expect(try await store.removeCalls(old, tenant: one.id, noting: []) == 1)
            let id = try #require(old[0].id)
            #expect(try await store.conversations(of: id, tenant: one.id).count == 2)
            let last = try await store.calls(of: one.id, before: Sample.moment(1000), limit: 10)
            #expect(try await store.removeCalls(last, tenant: one.id, noting: []) == 1)
            #expect(try await store.conversations(of: id, tenant: one.id) == [])
        }
    }
}
