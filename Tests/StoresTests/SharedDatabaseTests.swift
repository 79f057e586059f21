import Foundation
import Records
import Routing
import Telephony
import Testing

@testable import Stores

/// Several nodes, and people beside them, on one PostgreSQL. What another does in the middle of ours is done here on a
/// connection of its own, whose transaction stays open until ours is seen to wait for it.
@Suite("Two at once on one database: neither undoes the other's, nor does it twice", .timeLimit(.minutes(3)))
struct SharedDatabaseTests {
    /// Runs `ours` while `theirs` is done and not yet committed.
    private func meanwhile<Value: Sendable>(
        _ theirs: String, on options: PostgresPool.Options, _ ours: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (other, watcher) = (
            try PostgresDatabase(options: options.database), try PostgresDatabase(options: options.database)
        )
        try other.execute("BEGIN")
        try other.execute(theirs)
        async let value = ours()
        for _ in 0..<1500 {
            let waiting = try watcher.rows(
                """
                SELECT count(*) AS n FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'
                """)
            if try waiting[0].integer("n") > 0 { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        try other.execute("COMMIT")
        return try await value
    }

    @Test("What calls cost that two nodes remove at once is counted once")
    func spending() async throws {
        try await withPostgres { options in
            let store = try await SQLStore(postgres: options, migrates: true)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            for number in 1...3 { try await store.finish(try Sample.finished(number, of: tenant.id), of: tenant.id) }
            let traces = try await store.calls(of: tenant.id, before: .distantFuture, limit: 9)
            #expect(traces.count == 3)
            let removed = try await self.meanwhile(
                """
                WITH gone AS (DELETE FROM voip_cdr RETURNING *)
                INSERT INTO voip_spent (domain_uuid, month, cost_currency, cost_micros)
                SELECT domain_uuid, to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM'), cost_currency, sum(cost_known_micros)
                FROM gone GROUP BY 1, 2, 3
                """, on: options
            ) { try await store.removeCalls(traces, tenant: tenant.id, noting: []) }
            #expect(removed == 0)
            let month = CivilMonth.start(of: Sample.moment(0))
            #expect(try await store.spent(by: tenant.id, since: month).map(\.micros) == [3 * 12_345])
            await store.close()
        }
    }

    @Test("A kept key goes to no address that it was not given for", arguments: StoreUnderTest.allCases)
    func keptKey(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            var account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-a")
            account.configuration = #"{"base_url":"https://a.example"}"#
            try await store.save(account, of: tenant.id)
            account.secret = nil
            account.configuration = #"{"base_url":"https://a.example","model":"m"}"#
            try await store.save(account, of: tenant.id)
            for elsewhere in [#"{"base_url":"https://b.example"}"#, "{}"] {
                account.configuration = elsewhere
                let moved = account
                #expect(await code { try await store.save(moved, of: tenant.id) } == .invalid)
            }
            let kept = try #require(try await store.account(.openAI, kind: .realtime, of: tenant.id))
            #expect(kept.baseURL == "https://a.example" && kept.secret?.value == "sk-a")
        }
    }

    @Test("Nor does it when the address is changed between the question and the answer")
    func keptKeyMeanwhile() async throws {
        try await withPostgres { options in
            let keys = try SecretKeys(Sample.secretKey)
            let store = try await SQLStore(postgres: options, secretKeys: keys, migrates: true)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            var account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-theirs")
            account.configuration = #"{"base_url":"https://a.example"}"#
            try await store.save(account, of: tenant.id)
            account.secret = nil
            account.configuration = #"{"base_url":"https://a.example","model":"m"}"#
            let asked = account
            let outcome = try await self.meanwhile(
                #"UPDATE v_voice_ai_providers SET config = '{"base_url":"https://b.example"}'"#, on: options
            ) { await code { try await store.save(asked, of: tenant.id) } }
            #expect(outcome == .invalid)
            let kept = try #require(try await store.account(.openAI, kind: .realtime, of: tenant.id))
            #expect(kept.baseURL == "https://b.example" && kept.secret?.value == "sk-theirs")
            await store.close()
        }
    }

    @Test("Secrets that are saved while all are encrypted again stay as they were saved")
    func rotation() async throws {
        try await withPostgres { options in
            let keys = try SecretKeys(Sample.secretKey)
            let store = try await SQLStore(postgres: options, secretKeys: keys, migrates: true)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            let id = tenant.id
            let places = [
                ("v_voice_ai_providers", "secret"), ("v_voice_event_sockets", "esl_password"),
                ("voip_signing_keys", "key_data"),
            ]
            func save(_ secret: String) async throws {
                try await store.save(ProviderAccount(tenant: id, provider: .openAI, secret: secret), of: id)
                try await store.save(SwitchAccount(tenant: id, host: "h", password: Redacted(secret)), of: id)
                try await store.save(
                    SigningKeyRecord(tenant: id, id: "k", key: Redacted(secret)), of: id, at: Sample.moment(0))
            }
            func stored(_ table: String, _ column: String) async throws -> String {
                try await store.perform { database throws(StoreError) in
                    try database.rows("SELECT \(column) AS sealed FROM \(table)")[0].text("sealed")
                }
            }
            // What another node encrypts, as it would be written. One place at a time: the first wait would hide the others.
            for (table, column) in places {
                try await save("new")
                let new = try await stored(table, column)
                try await save("old")
                let count = try await self.meanwhile("UPDATE \(table) SET \(column) = '\(new)'", on: options) {
                    try await store.rotateSecrets()
                }
                #expect(count == 3)
                let access = try await store.access(of: nil)
                let secrets = [
                    "v_voice_ai_providers": try await store.account(.openAI, kind: .realtime, of: id)?.secret?.value,
                    "v_voice_event_sockets": try await store.switchAccount(of: id)?.password?.value,
                    "voip_signing_keys": access.keys.first?.key?.value,
                ]
                for (place, secret) in secrets { #expect(secret == (place == table ? "new" : "old"), "\(place)") }
            }
            await store.close()
        }
    }

    @Test("Limits, retention and audio of a tenant are each set by themselves", arguments: StoreUnderTest.allCases)
    func policies(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = (try Sample.tenant(1), try Sample.tenant(2))
            for tenant in [one, other] { try await store.save(tenant) }
            var expected = TenantPolicy()
            expected.audio = .dual
            try await store.change(.audio(.dual), of: one.id)
            #expect(try await store.policy(of: one.id) == expected)
            expected.retention = Retention(conversations: 1, recordings: 2, calls: 3, activity: 4)
            try await store.change(.retention(expected.retention), of: one.id)
            #expect(try await store.policy(of: one.id) == expected)
            expected.limits = TenantLimits(calls: 5, spendMicros: 6, requests: 7)
            try await store.change(.limits(expected.limits), of: one.id)
            #expect(try await store.policy(of: one.id) == expected)
            expected.retention = Retention(calls: 0)
            expected.audio = nil
            try await store.change(.retention(expected.retention), of: one.id)
            try await store.change(.audio(nil), of: one.id)
            #expect(try await store.policies() == [one.id: expected])
            let negative = TenantPolicy.Change.retention(Retention(recordings: -1))
            #expect(await code { try await store.change(negative, of: one.id) } == .invalid)
        }
    }
}
