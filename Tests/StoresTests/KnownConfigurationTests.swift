import Records
import Telephony
import TestDatabases
import Testing

@testable import Stores

@Suite("What a watch over PostgreSQL knows")
struct KnownConfigurationTests {
    private func known(_ tables: String, _ tenants: KnownConfiguration.Fingerprints) -> KnownConfiguration {
        var known = KnownConfiguration()
        known.know(tables, tenants)
        return known
    }

    @Test("It begins with everything, and goes on saying so until it was dealt with")
    func beginning() throws {
        var known = KnownConfiguration()
        let one = try Sample.tenantID(1)
        for _ in 0..<2 {
            #expect(!known.isCurrent("a") && known.news([one.text: 1]) == .changed(nil))
            #expect(known.news(of: [one], [one.text: 1]) == .changed(nil), "a notice before the first reading")
        }
        known.know("a", [one.text: 1])
        #expect(known.isCurrent("a") && known.news([one.text: 1]) == .unchanged)
    }

    @Test("A change is found again until it was dealt with, and whose it is")
    func again() throws {
        let (one, two) = (try Sample.tenantID(1), try Sample.tenantID(2))
        var known = self.known("a", [one.text: 1, two.text: 1])
        for _ in 0..<2 {
            #expect(!known.isCurrent("b") && known.news([one.text: 2, two.text: 1]) == .changed([one]))
        }
        known.know("b", [one.text: 2, two.text: 1])
        #expect(known.isCurrent("b"))
        #expect(known.news([one.text: 2]) == .changed([two]), "one that went is a change too")
        #expect(
            known.news([one.text: 2, two.text: 1, try Sample.tenantID(3).text: 1]) == .changed([try Sample.tenantID(3)])
        )
    }

    @Test("One tenant's notice hides nothing of another's, whose table has no triggers")
    func notices() throws {
        let (one, two) = (try Sample.tenantID(1), try Sample.tenantID(2))
        var known = self.known("a", [one.text: 1, two.text: 1])
        // Both were changed; only the second is told.
        #expect(known.news(of: [two], [two.text: 2]) == .changed([two]))
        known.know([two], [two.text: 2])
        #expect(!known.isCurrent("b") && known.news([one.text: 2, two.text: 2]) == .changed([one]))
        // What a look has had read already is not read again for the notice that comes after it; what went is.
        #expect(known.news(of: [two], [two.text: 2]) == .unchanged)
        #expect(known.news(of: [two], [:]) == .changed([two]))
        known.know([two], [:])
        #expect(known.news(of: [two], [:]) == .unchanged)
    }

    @Test("Rows that are nobody's, and very many tenants at once, are everybody's change")
    func everybody() throws {
        #expect(self.known("a", ["": 1]).news(["": 2]) == .changed(nil))
        #expect(self.known("a", [:]).news(["x": 1]) == .changed(nil))
        let many = try (1...SQLStore.mostAtOnce + 1).map { (try Sample.tenantID($0).text, 1) }
        #expect(self.known("a", [:]).news(Dictionary(uniqueKeysWithValues: many)) == .changed(nil))
        let most = Dictionary(uniqueKeysWithValues: many.dropLast())
        #expect(self.known("a", [:]).news(most) == .changed(Set(most.keys.compactMap { TenantID($0) })))
    }

    @Test("Every table that is read has a place in the fingerprints, of all tenants and of some")
    func fingerprints() async throws {
        try await withPostgres { options in
            let store = try await SQLStore(postgres: options, secretKeys: SecretKeys(Sample.secretKey), migrates: true)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            try await store.save(try Sample.tenant(2))
            func prints(_ count: Int?) async throws -> [String: String] {
                let values = Array(
                    repeating: StoredValue.text(tenant.id.text), count: WatchedTable.all.count * (count ?? 0))
                return try await store.perform { database throws(StoreError) in
                    var found: [String: String] = [:]
                    for row in try database.rows(WatchedTable.fingerprints(of: count), values) {
                        found[try row.text("tenant")] = try row.text("fingerprint")
                    }
                    return found
                }
            }
            func tables() async throws -> String {
                try await store.perform { database throws(StoreError) in
                    try database.rows(WatchedTable.fingerprint)[0].text("fingerprint")
                }
            }
            let changes: [(String, () async throws -> Void)] = [
                ("assistant", { try await store.save(try Sample.assistant(1, of: tenant.id), of: tenant.id) }),
                ("destination", { try await store.save(try Sample.destination(1, of: tenant.id), of: tenant.id) }),
                (
                    "key",
                    {
                        try await store.save(
                            ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk"), of: tenant.id)
                    }
                ),
                (
                    "switch",
                    {
                        try await store.save(
                            SwitchAccount(tenant: tenant.id, host: "h", password: Redacted("p")), of: tenant.id)
                    }
                ),
                ("policy", { try await store.save(TenantPolicy(limits: TenantLimits(calls: 1)), of: tenant.id) }),
                (
                    "signing key",
                    {
                        try await store.save(
                            SigningKeyRecord(tenant: tenant.id, id: "k", key: Redacted("{}")), of: tenant.id,
                            at: Sample.moment(0))
                    }
                ),
                ("tenant", { try await store.save(tenant) }),
            ]
            for (what, change) in changes {
                let (before, whole) = (try await prints(nil), try await tables())
                try await change()
                let after = try await prints(nil)
                #expect(before.count == 2 && after.count == 2)
                #expect(before[tenant.id.text] != after[tenant.id.text], "\(what)")
                #expect(before.filter { $0.key != tenant.id.text } == after.filter { $0.key != tenant.id.text })
                #expect(try await prints(1) == after.filter { $0.key == tenant.id.text })
                #expect(try await tables() != whole, "\(what)")
            }
            await store.close()
        }
    }
}
