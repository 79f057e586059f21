import Foundation
import Records
import Synchronization
import Telephony
import TestDatabases
import Testing

@testable import Stores

@Suite("The configuration is read as a whole, and followed", .timeLimit(.minutes(3)))
struct ConfigurationLoadingTests {
    /// Two tenants with one of everything in the first.
    func fill(_ store: any RecordsStore) async throws -> (TenantConfiguration, TenantConfiguration) {
        let (one, other) = (try Sample.tenant(1), try Sample.tenant(2))
        for tenant in [one, other] { try await store.save(tenant) }
        let assistants = [try Sample.assistant(1, of: one.id), try Sample.assistant(2, of: one.id)]
        for assistant in assistants { try await store.save(assistant, of: one.id) }
        let destinations = [try Sample.destination(1, of: one.id), try Sample.destination(2, of: one.id)]
        for destination in destinations.reversed() { try await store.save(destination, of: one.id) }
        let account = ProviderAccount(tenant: one.id, provider: .openAI, secret: "sk-x")
        try await store.save(account, of: one.id)
        let switchAccount = SwitchAccount(tenant: one.id, host: "pbx.example", password: Redacted("ClueCon"))
        try await store.save(switchAccount, of: one.id)
        return (
            TenantConfiguration(
                tenant: one, assistants: assistants, destinations: destinations, accounts: [account],
                switchAccount: switchAccount), TenantConfiguration(tenant: other)
        )
    }

    func sorted(_ reading: ConfigurationReading) -> [TenantConfiguration] {
        reading.tenants.sorted { $0.tenant.name < $1.tenant.name }
    }

    @Test("All of it, or of the tenants that are named, as it was saved", arguments: StoreUnderTest.allCases)
    func reading(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = try await self.fill(store)
            let all = try await store.configuration(of: nil)
            #expect(self.sorted(all) == [one, other] && all.faults.isEmpty && all.asked == nil)
            let gone = try Sample.tenantID(9)
            let part = try await store.configuration(of: [one.tenant.id, gone])
            #expect(part.tenants == [one] && part.asked == [one.tenant.id, gone])
            #expect(try await store.configuration(of: []) == ConfigurationReading(asked: []))
            let many = Set(try (1...200).map { try Sample.tenantID($0) })
            #expect(try await store.configuration(of: many).asked == nil, "very many are all")
        }
    }

    /// Nonsense by hand, and what is said of it.
    static let nonsense = [
        ("v_voice_secretaries", "vad_type = 'shout'", "column vad_type must be one of server_vad, semantic_vad, none"),
        ("v_voice_secretaries", "silence_duration_ms = -5", "column silence_duration_ms must be milliseconds"),
        (
            "v_voice_secretaries", "prefix_padding_ms = 315360000000",
            "column prefix_padding_ms must be milliseconds, 0 to"
        ),
        ("v_voice_secretaries", "provider_order = '{\"a\":1}'", "column provider_order must be a JSON array"),
        ("v_voice_secretaries", "provider_order = '[\"Open AI\"]'", "column provider_order must be a JSON array"),
        ("v_voice_secretaries", "topics = '[7]'", "column topics must be a JSON array of {name, phrases, answer}"),
        ("v_voice_transfer_destinations", "aliases = '\"x\"'", "column aliases must be a JSON array of texts"),
        ("v_voice_ai_providers", "provider_name = 'Ötzi'", "column provider_name must be an id"),
        ("v_voice_ai_providers", "secret = 'v1:a:AAAA'", "column secret: the stored secret has no shape"),
        ("v_voice_event_sockets", "esl_password = 'plain'", "column esl_password: the stored secret has no shape"),
        ("v_voice_event_sockets", "esl_connect_timeout_ms = -1", "column esl_connect_timeout_ms must be milliseconds"),
    ]

    @Test(
        "A row with nonsense harms itself only, and is named with its column",
        arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func faults(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = try await self.fill(store)
            let sql = try #require(store as? SQLStore)
            for (table, change, message) in Self.nonsense {
                let key = try #require(ConfigurationTable(rawValue: table)).key
                let (before, id) = try await sql.perform { database throws(StoreError) in
                    let row = try database.rows("SELECT * FROM \(table) ORDER BY \(key)")[0]
                    let id = try row.text(key)
                    try database.run("UPDATE \(table) SET \(change) WHERE \(key) = ?", [.text(id)])
                    return (row, id)
                }
                let reading = try await store.configuration(of: nil)
                #expect(reading.faults.map(\.table) == [table] && reading.faults.map(\.row) == [id], "\(change)")
                #expect(reading.faults.first?.message.hasPrefix(message) == true, "\(reading.faults)")
                #expect(reading.faults.first?.tenant == one.tenant.id)
                let found = self.sorted(reading)
                #expect(found.count == 2 && found.last == other)
                #expect(
                    found[0].assistants.count == (table == "v_voice_secretaries" ? 1 : 2)
                        && found[0].destinations.count == (table == "v_voice_transfer_destinations" ? 1 : 2))
                let column = String(change.prefix { $0 != " " })
                let value = try #require(before[column: column])
                try await sql.perform { database throws(StoreError) in
                    _ = try database.run("UPDATE \(table) SET \(column) = ? WHERE \(key) = ?", [value, .text(id)])
                }
            }
            #expect(self.sorted(try await store.configuration(of: nil)) == [one, other])
        }
    }

    /// What a watch said, without the `unchanged` in between.
    private final class Heard: Sendable {
        private let changes = Mutex<[Set<TenantID>?]>([])
        func take(_ news: ConfigurationNews) -> Bool {
            if case .changed(let tenants) = news { self.changes.withLock { $0.append(tenants) } }
            return true
        }
        var count: Int { self.changes.withLock { $0.count } }
        func has(_ tenant: TenantID, since: Int) -> Bool {
            self.changes.withLock { $0.dropFirst(since).contains { $0?.contains(tenant) ?? false } }
        }
        var wholes: Int { self.changes.withLock { $0.count { $0 == nil } } }
    }

    @Test("A change is heard of, by tenant, whoever made it", arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func watching(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = try await self.fill(store)
            let sql = try #require(store as? SQLStore)
            let heard = Heard()
            let watch = Task { await store.watchConfiguration { heard.take($0) } }
            try await soonTrue { heard.count > 0 }
            let id = one.tenant.id
            func told(_ what: String, _ tenant: TenantID, _ change: () async throws -> Void) async throws {
                let before = heard.count
                try await change()
                try await soonTrue { heard.has(tenant, since: before) }
            }
            var assistant = one.assistants[0]
            assistant.greeting = "changed"
            try await told("an assistant is saved", id) { try await store.save(assistant, of: id) }
            try await told("a destination is removed", id) {
                try await store.removeDestination(one.destinations[0].id, of: id)
            }
            try await told("a tenant is switched off", other.tenant.id) {
                var tenant = other.tenant
                tenant.isEnabled = false
                try await store.save(tenant)
            }
            try await told("a password", id) {
                try await store.save(SwitchAccount(tenant: id, host: "h", password: Redacted("p")), of: id)
            }
            try await told("a policy", other.tenant.id) {
                try await store.save(TenantPolicy(limits: TenantLimits(calls: 1)), of: other.tenant.id)
            }
            try await told("a signing key", id) {
                try await store.save(
                    SigningKeyRecord(tenant: id, id: "k", key: Redacted("{}")), of: id, at: Sample.moment(0))
            }
            try await told("an account is removed by hand", id) {
                try await sql.perform { database throws(StoreError) in
                    _ = try database.run("DELETE FROM v_voice_ai_providers")
                }
            }
            #expect(heard.wholes == 1, "only the beginning is everybody's")
            watch.cancel()
            await watch.value
        }
    }

    /// News as somebody heard them who cannot deal with the first few changes.
    private final class Slow: Sendable {
        private let state = Mutex<(left: Int, heard: [ConfigurationNews])>((0, []))
        func take(_ news: ConfigurationNews) -> Bool {
            self.state.withLock { state in
                state.heard.append(news)
                guard case .changed = news, state.left > 0 else { return true }
                state.left -= 1
                return false
            }
        }
        func refuse(_ changes: Int) {
            self.state.withLock { $0 = (changes, []) }
        }
        var heard: [ConfigurationNews] { self.state.withLock { $0.heard } }
    }

    @Test(
        "What could not be read is told again, and nothing is called unchanged before it was",
        arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func toldAgain(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let (one, other) = try await self.fill(store)
            let slow = Slow()
            slow.refuse(2)
            let watch = Task { await store.watchConfiguration { slow.take($0) } }
            try await soonTrue { slow.heard.contains(.unchanged) }
            #expect(slow.heard.prefix(3) == [.changed(nil), .changed(nil), .changed(nil)])

            slow.refuse(2)
            var assistant = one.assistants[0]
            assistant.greeting = "changed"
            try await store.save(assistant, of: one.tenant.id)
            // Somebody else's change, which can be read, in between: it hides nothing.
            try await soonTrue { slow.heard.contains { if case .changed = $0 { true } else { false } } }
            try await store.save(other.tenant)
            try await soonTrue { slow.heard.last == .unchanged && slow.heard.count > 3 }
            let heard = slow.heard.drop { $0 == .unchanged }
            var isRefused = 2
            var isTold = false
            for news in heard {
                if case .changed(let tenants) = news {
                    let isOurs = tenants?.contains(one.tenant.id) ?? true
                    if isRefused > 0 { isRefused -= 1 } else { isTold = isTold || isOurs }
                } else {
                    #expect(isTold, "unchanged before the change was dealt with: \(heard)")
                    break
                }
            }
            #expect(isTold)
            watch.cancel()
            await watch.value
        }
    }

    @Test("A change of a table without triggers is found, whatever other tenants' notices say meanwhile")
    func silentTable() async throws {
        try await withPostgres { options in
            let store = try await SQLStore(postgres: options, secretKeys: SecretKeys(Sample.secretKey), migrates: true)
            let (one, other) = try await self.fill(store)
            try await store.perform { database throws(StoreError) in
                try database.execute("ALTER TABLE v_voice_transfer_destinations DISABLE TRIGGER USER")
            }
            let heard = Heard()
            let watch = Task { await store.watchConfiguration { heard.take($0) } }
            try await soonTrue { heard.count > 0 }
            let before = heard.count
            try await store.removeDestination(one.destinations[0].id, of: one.tenant.id)
            try await store.save(other.tenant)
            try await soonTrue { heard.has(other.tenant.id, since: before) }
            try await soonTrue { heard.has(one.tenant.id, since: before) }
            #expect(heard.wholes == 1, "and whose it is")
            watch.cancel()
            await watch.value
            await store.close()
        }
    }

    @Test("A database that was away at the start has its schema seen to when it answers, before it is followed")
    func settledLater() async throws {
        let server = try await TestPostgres.start()
        var options = server.options("postgres")
        options.pauses = .milliseconds(20) ... .milliseconds(200)
        try await server.crash()
        #expect(await code { _ = try await SQLStore(postgres: options, migrates: true) } == .unavailable)
        let store = try await SQLStore(postgres: options, migrates: true, mayBeAway: true)
        let cautious = try await SQLStore(postgres: options, mayBeAway: true)
        let refusals = Tally(0)
        let careful = Task {
            await cautious.watchConfiguration { news in
                if case .away(let error) = news, error.code == .wrongSchema { refusals.add() }
                return true
            }
        }
        try await server.restart()
        // The one who may not migrate says what is wrong; the other migrates, and then both follow.
        try await soonTrue { refusals.value > 0 }
        let heard = Heard()
        let watch = Task { await store.watchConfiguration { heard.take($0) } }
        try await soonTrue { heard.count > 0 }
        try await store.save(try Sample.tenant(1))
        for task in [careful, watch] {
            task.cancel()
            await task.value
        }
        await store.close()
        await cautious.close()
    }

    @Test("Where notices do not come through, a look twice a second finds the change")
    func polling() async throws {
        try await withPostgres { options in
            var deaf = options
            deaf.listens = false
            let store = try await SQLStore(postgres: deaf, secretKeys: SecretKeys(Sample.secretKey), migrates: true)
            let (one, _) = try await self.fill(store)
            let heard = Heard()
            let watch = Task { await store.watchConfiguration { heard.take($0) } }
            try await soonTrue { heard.count > 0 }
            for change in ["UPDATE v_voice_secretaries SET greeting_message = 'x'", "DELETE FROM v_voice_secretaries"] {
                let before = heard.count
                try await store.perform { database throws(StoreError) in _ = try database.run(change) }
                try await soonTrue { heard.count > before }
            }
            #expect(try await store.configuration(of: [one.tenant.id]).tenants.first?.assistants == [])
            // Calls are no configuration.
            let before = heard.count
            try await store.finish(try Sample.finished(1, of: one.tenant.id), of: one.tenant.id)
            try await Task.sleep(for: .milliseconds(1500))
            #expect(heard.count == before)
            watch.cancel()
            await watch.value
            await store.close()
        }
    }

    @Test("A database that goes away and comes back is said to, and what happened meanwhile is read")
    func restart() async throws {
        let server = try await TestPostgres.start()
        var options = server.options("postgres")
        options.pauses = .milliseconds(20) ... .milliseconds(200)
        let store = try await SQLStore(postgres: options, migrates: true)
        let heard = Heard()
        let away = Tally(0)
        let watch = Task {
            await store.watchConfiguration { news in
                if case .away = news { away.add() }
                return heard.take(news)
            }
        }
        try await soonTrue { heard.count == 1 }
        try await server.crash()
        try await soonTrue { away.value > 0 }
        let refused = try Sample.tenant(1)
        #expect(await code { try await store.save(refused) } == .unavailable)
        try await server.restart()
        try await soonTrue { await code { try await store.save(refused) } == nil }
        try await soonTrue { heard.count > 1 }
        watch.cancel()
        await watch.value
        await store.close()
    }

    @Test("A copy of the configuration is what was in the database, and nothing else is taken for one")
    func copy() async throws {
        try await withFolder { folder in
            try await withPostgres { options in
                let keys = try SecretKeys(Sample.secretKey)
                let store = try await SQLStore(postgres: options, secretKeys: keys, migrates: true)
                let (one, other) = try await self.fill(store)
                let copy = ConfigurationCopy(path: folder + "/copy")
                #expect(!copy.exists && copy.age() == nil)
                try await copy.write(from: store)
                #expect(copy.exists && (copy.age() ?? .seconds(100)) < .seconds(60))
                #expect(self.sorted(try copy.read(secretKeys: keys)) == [one, other])
                #expect(try copy.read(secretKeys: nil).faults.count == 2, "the secrets stay shut")
                let data = try Data(contentsOf: URL(fileURLWithPath: copy.path))
                for secret in ["sk-x", "ClueCon"] { #expect(data.range(of: Data(secret.utf8)) == nil) }
                let attributes = try FileManager.default.attributesOfItem(atPath: copy.path)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
                await store.close()
                // The last one stands when a new one cannot be made.
                #expect(await code { try await copy.write(from: store) } == .closed)
                #expect(try copy.read(secretKeys: keys).tenants.count == 2)

                let lines = data.split(separator: UInt8(ascii: "\n"))
                for torn in [
                    Data(), data.prefix(data.count / 2), Data(lines.dropLast().joined(separator: Data("\n".utf8))),
                    Data((lines.prefix(3) + lines.dropFirst(4)).joined(separator: Data("\n".utf8))),
                    Data(#"{"version":2}"#.utf8) + data, Data("x\n".utf8) + data,
                ] {
                    try torn.write(to: URL(fileURLWithPath: copy.path))
                    let error = #expect(throws: StoreError.self) { _ = try copy.read(secretKeys: keys) }
                    #expect(error?.code == .corrupt)
                }
            }
        }
    }
}

extension ConfigurationLoadingTests {
    @Test(
        "A number that JSON does not have, in one row, keeps nobody out of the copy",
        arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func copyOfNoNumber(kind: StoreUnderTest) async throws {
        try await withFolder { folder in
            try await kind.withStore { store in
                let (one, other) = try await self.fill(store)
                let sql = try #require(store as? SQLStore)
                let copy = ConfigurationCopy(path: folder + "/copy")
                for number in kind == .postgres ? ["'NaN'", "'Infinity'", "'-Infinity'"] : ["9e999", "-9e999"] {
                    try await sql.perform { database throws(StoreError) in
                        _ = try database.run(
                            "UPDATE v_voice_secretaries SET vad_threshold = \(number) WHERE voice_secretary_uuid = ?",
                            [.text(one.assistants[0].id.text)])
                    }
                    try await copy.write(from: sql)
                    var expected = one
                    expected.assistants[0].turns.threshold = nil
                    let read = try copy.read(secretKeys: SecretKeys(Sample.secretKey))
                    #expect(self.sorted(read) == [expected, other], "\(number)")
                }
            }
        }
    }
}

/// A count that tasks share.
final class Tally: Sendable {
    private let count: Mutex<Int>
    init(_ count: Int) { self.count = Mutex(count) }
    func add() { self.count.withLock { $0 += 1 } }
    var value: Int { self.count.withLock { $0 } }
}

@Suite("Keys that lie open among an account's settings")
struct PlainKeyTests {
    @Test(
        "What is a key, and what is left",
        arguments: [
            (#"{"api_key":"sk-1","model":"m"}"#, "sk-1", #"{"model":"m"}"#),
            (#"{"API_Key":"sk-1"}"#, "sk-1", "{}"),
            (#"{"token":"t","api_key":"sk-1","url":"https://x/y"}"#, "sk-1", #"{"url":"https://x/y"}"#),
            (#"{"api_key":"","model":"m"}"#, nil, nil), (#"{"model":"api_key"}"#, nil, nil), ("[1]", nil, nil),
            (#"{"groq_key":"g","model":"m"}"#, "g", #"{"model":"m"}"#),
            (#"{"deepgram_key":"d","groq_key":"g"}"#, "d", "{}"),
            (#"{"api_key":7}"#, nil, nil), ("", nil, nil), (#"{"nested":{"api_key":"x"}}"#, nil, nil),
        ] as [(String, String?, String?)])
    func found(text: String, key: String?, rest: String?) {
        let plain = PlainKey(in: text)
        #expect(plain?.key?.value == key && plain?.rest == rest)
    }

    @Test(
        "Keys of several providers in one account: none is shown, none is lost",
        arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func several(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let sql = try #require(store as? SQLStore)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            try await store.save(ProviderAccount(tenant: tenant.id, provider: .openAI), of: tenant.id)
            try await sql.perform { database throws(StoreError) in
                _ = try database.run(
                    "UPDATE v_voice_ai_providers SET config = ?",
                    [.text(#"{"api_key":"sk-1","deepgram_key":"dg-2","groq_key":"gq-3","model":"m"}"#)])
            }
            func raw() async throws -> String {
                try await sql.perform { database throws(StoreError) in
                    try database.rows("SELECT config FROM v_voice_ai_providers").map {
                        row throws(StoreError) in try row.text("config")
                    }.joined()
                }
            }
            for _ in 0..<2 {
                #expect(try await sql.rotateSecrets() == 1)
                let text = try await raw()
                for key in ["sk-1", "dg-2", "gq-3"] { #expect(!text.contains(key)) }
                let plain = try #require(PlainKey(in: text))
                #expect(plain.key == nil && plain.rest == #"{"model":"m"}"#)
                #expect(plain.others.value.keys.sorted() == ["deepgram_key", "groq_key"])
            }
            var account = try #require(try await store.account(.openAI, kind: .realtime, of: tenant.id))
            #expect(account.secret?.value == "sk-1" && account.configuration == #"{"model":"m"}"#)
            // A change of the settings, which do not show them, keeps them.
            account.configuration = #"{"model":"n"}"#
            account.secret = nil
            try await store.save(account, of: tenant.id)
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id)?.secret?.value == "sk-1")
            let others = try #require(PlainKey(in: try await raw())).others.value
            let box = SecretBox(keys: try SecretKeys(Sample.secretKey).list)
            for (name, wanted) in [("deepgram_key", "dg-2"), ("groq_key", "gq-3")] {
                let sealed = try #require(others[name])
                #expect(try box.opened(sealed, for: "\(account.owner)/config/\(name)") == wanted)
            }
        }
    }

    @Test(
        "It serves, is never shown, and is encrypted by the next change or rotation",
        arguments: [.sqliteFile, .postgres] as [StoreUnderTest])
    func rotation(kind: StoreUnderTest) async throws {
        try await kind.withStore { store in
            let sql = try #require(store as? SQLStore)
            let tenant = try Sample.tenant(1)
            try await store.save(tenant)
            for provider in [ProviderName.openAI, .gemini] {
                try await store.save(ProviderAccount(tenant: tenant.id, provider: provider), of: tenant.id)
            }
            try await sql.perform { database throws(StoreError) in
                _ = try database.run(
                    "UPDATE v_voice_ai_providers SET config = ?", [.text(#"{"api_key":"sk-open","model":"m"}"#)])
            }
            let listed = try await store.accounts(of: tenant.id)
            #expect(listed.map(\.hasSecret) == [true, true])
            #expect(listed.map(\.configuration) == [#"{"model":"m"}"#, #"{"model":"m"}"#])
            #expect(try await store.account(.openAI, kind: .realtime, of: tenant.id)?.secret?.value == "sk-open")
            let reading = try await store.configuration(of: nil)
            #expect(reading.faults.count == 2 && reading.faults.allSatisfy { $0.message.contains("secrets rotate") })
            #expect(reading.tenants.first?.accounts.map(\.secret?.value) == ["sk-open", "sk-open"])

            // A change of something else keeps it, encrypted.
            var changed = try #require(listed.first)
            changed.priority = 7
            try await store.save(changed, of: tenant.id)
            #expect(try await sql.rotateSecrets() == 2)
            for provider in [ProviderName.openAI, .gemini] {
                #expect(try await store.account(provider, kind: .realtime, of: tenant.id)?.secret?.value == "sk-open")
            }
            let raw = try await sql.perform { database throws(StoreError) in
                try database.rows("SELECT * FROM v_voice_ai_providers").map { "\($0.values)" }.joined()
            }
            #expect(!raw.contains("sk-open"))
            #expect(try await store.configuration(of: nil).faults.isEmpty)

            // One that is given so is not written so.
            var given = ProviderAccount(tenant: tenant.id, provider: .elevenLabs)
            given.configuration = #"{"xi_api_key":"sk-given"}"#
            try await store.save(given, of: tenant.id)
            let stored = try await store.account(.elevenLabs, kind: .realtime, of: tenant.id)
            #expect(stored?.secret?.value == "sk-given" && stored?.configuration == "{}")
            #expect(try await store.configuration(of: nil).faults.isEmpty)
        }
    }
}
