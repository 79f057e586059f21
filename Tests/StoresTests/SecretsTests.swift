import Foundation
import Records
import Telephony
import Testing

@testable import Stores

@Suite("Secrets at rest")
struct SecretsTests {
    @Test("The key does not lie in the file, and opens only for its own row")
    func atRest() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let store = try await SQLStore(path: path, secretKeys: SecretKeys(Sample.secretKey))
            let tenants = [try Sample.tenant(1), try Sample.tenant(2)]
            for tenant in tenants {
                try await store.save(tenant)
                let account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-\(tenant.name)-key")
                try await store.save(account, of: tenant.id)
            }
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))
                #expect(data.range(of: Data("sk-tenant".utf8)) == nil, "\(name)")
            }
            // A ciphertext that is copied to another tenant's row.
            try SQLiteDatabase(path: path).run(
                """
                UPDATE v_voice_ai_providers SET secret = (SELECT secret FROM v_voice_ai_providers WHERE domain_uuid = ?)
                """, [.text(tenants[0].id.text)])
            #expect(try await store.account(.openAI, kind: .realtime, of: tenants[0].id)?.secret != nil)
            let other = tenants[1].id
            #expect(
                await code { _ = try await store.account(.openAI, kind: .realtime, of: other) } == .unreadableSecret)
        }
    }

    @Test("A new key is put in front, secrets are turned over to it, and the old one may go")
    func rotation() async throws {
        try await withFolder { folder in
            let path = folder + "/pronto.db"
            let tenant = try Sample.tenant(1)
            let account = ProviderAccount(tenant: tenant.id, provider: .openAI, secret: "sk-x")
            let old = try await SQLStore(path: path, secretKeys: SecretKeys(Sample.secretKey))
            try await old.save(tenant)
            try await old.save(account, of: tenant.id)
            await old.close()

            let onlyNew = try await SQLStore(path: path, secretKeys: SecretKeys(Sample.otherSecretKey))
            let id = tenant.id
            #expect(await code { _ = try await onlyNew.account(.openAI, kind: .realtime, of: id) } == .unreadableSecret)
            let both = try await SQLStore(
                path: path, secretKeys: SecretKeys(Sample.otherSecretKey + "," + Sample.secretKey))
            #expect(try await both.account(.openAI, kind: .realtime, of: tenant.id) == account)
            #expect(try await both.rotateSecrets() == 1)
            #expect(try await onlyNew.account(.openAI, kind: .realtime, of: tenant.id) == account)
        }
    }

    @Test("Any changed byte of a sealed secret is noticed")
    func tampering() throws {
        let box = SecretBox(keys: try SecretKeys(Sample.secretKey).list)
        let sealed = try box.sealed("sk-x🙂", for: "row")
        #expect(try box.opened(sealed, for: "row") == "sk-x🙂")
        #expect(try box.sealed("sk-x🙂", for: "row") != sealed, "a nonce of its own each time")
        #expect(throws: StoreError.self) { try box.opened(sealed, for: "other row") }
        let characters = Array(sealed)
        for index in characters.indices where characters[index] != "=" {
            var changed = characters
            changed[index] = changed[index] == "A" ? "B" : "A"
            // Base64's last digit may carry bits that mean nothing.
            if let opened = try? box.opened(String(changed), for: "row") {
                #expect(opened == "sk-x🙂" && index >= characters.count - 3)
            }
        }
    }

    @Test(
        "What is no list of keys",
        arguments: [
            ("", KeyListError.empty), (" , ", .empty), ("!!", .malformed(entry: 1, bytes: 32...32)),
            ("a:c2hvcnQ=", .malformed(entry: 1, bytes: 32...32)), ("a b:x", .malformed(entry: 1, bytes: 32...32)),
            ("\(Sample.secretKey),\(Sample.secretKey)", .repeatedIdentifier(entry: 2)),
            ("ä:AAAA", .badIdentifier(entry: 1)), (":AAAA", .badIdentifier(entry: 1)),
        ])
    func badKeys(text: String, error: KeyListError) {
        #expect(throws: error) { try SecretKeys(text) }
    }

    @Test("A generated key is a key")
    func generated() throws {
        #expect(try SecretKeys(try SecretKeys.generated(id: "2026")).list.current.id == "2026")
        #expect("\(try SecretKeys(Sample.secretKey).list)" == "‹keys›")
    }
}

@Suite("Stream tokens")
struct StreamTokenTests {
    private static let keyText = "k1:" + Data(repeating: 3, count: 32).base64EncodedString()
    private static let now = Sample.moment(0)

    private func token(assistant: AssistantID? = nil) throws -> StreamToken {
        StreamToken(
            tenant: try Sample.tenantID(1), call: try #require(CallID("Call.1-x_y")), assistant: assistant,
            issuedAt: Self.now, lifetime: .seconds(60))
    }

    @Test("A token is good for its tenant and its call, until it expires")
    func good() throws {
        let keys = try TokenKeys(Self.keyText)
        for assistant in [nil, AssistantID(Sample.uuid(101))] {
            let token = try self.token(assistant: assistant)
            let text = token.signed(with: keys).value
            for (tenant, call) in [(token.tenant, token.call), (nil, nil)] as [(TenantID?, CallID?)] {
                let verified = try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: Self.now)
                #expect(verified == token)
            }
            #expect(
                text.utf8.allSatisfy { Base64URL.isDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
        }
    }

    @Test("What is refused, and why")
    func refused() throws {
        let keys = try TokenKeys(Self.keyText)
        let token = try self.token()
        let text = token.signed(with: keys).value
        func refusal(
            _ text: String, _ keys: TokenKeys, tenant: TenantID? = nil, call: CallID? = nil, after seconds: Double = 0
        ) -> StreamTokenError? {
            do throws(StreamTokenError) {
                let now = Self.now.addingTimeInterval(seconds)
                _ = try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: now)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal(text, keys, after: 59) == nil)
        #expect(refusal(text, keys, after: 60) == .expired)
        #expect(refusal(text, keys, after: -30) == nil)
        #expect(refusal(text, keys, after: -31) == .fromTheFuture)
        #expect(refusal(text, keys, tenant: try Sample.tenantID(2)) == .otherTenant)
        #expect(refusal(text, keys, call: CallID("call.2")) == .otherCall)
        let otherKey = try TokenKeys("k1:" + Data(repeating: 4, count: 32).base64EncodedString())
        #expect(refusal(text, otherKey) == .forged)
        let otherID = try TokenKeys("k2:" + Data(repeating: 3, count: 32).base64EncodedString())
        #expect(refusal(text, otherID) == .unknownKey)
        for garbage in [
            "", "pt1", ":::::::", "pt2" + text.dropFirst(3), text + ":", String(repeating: "a", count: 10000),
        ] {
            #expect(refusal(garbage, keys) == .malformed, "\(garbage.prefix(8))")
        }
    }

    @Test("After a rotation both keys verify and the new one signs")
    func rotation() throws {
        let new = "k2:" + Data(repeating: 5, count: 16).base64EncodedString()
        let old = try self.token().signed(with: TokenKeys(Self.keyText)).value
        let both = try TokenKeys(new + "," + Self.keyText)
        _ = try StreamToken.verified(old, keys: both, tenant: nil, call: nil, at: Self.now)
        #expect(try self.token().signed(with: both).value.hasPrefix("pt1:k2:"))
    }

    @Test("No change of a token passes")
    func mutations() throws {
        let keys = try TokenKeys(Self.keyText)
        let text = Array(try self.token().signed(with: keys).value.utf8)
        var random = SeededGenerator(seed: 2)
        for _ in 0..<10000 {
            var mutated = text
            let index = Int.random(in: 0..<mutated.count, using: &random)
            mutated[index] = UInt8.random(in: 0x20...0x7E, using: &random)
            guard mutated != text else { continue }
            let string = String(decoding: mutated, as: UTF8.self)
            #expect(throws: StreamTokenError.self) {
                try StreamToken.verified(string, keys: keys, tenant: nil, call: nil, at: Self.now)
            }
        }
    }

    @Test("A life longer than a day is cut when made")
    func longLife() throws {
        let keys = try TokenKeys(Self.keyText)
        let token = StreamToken(
            tenant: try Sample.tenantID(1), call: try #require(CallID("c")), issuedAt: Self.now,
            lifetime: .seconds(10_000_000))
        let text = token.signed(with: keys).value
        let later = Self.now.addingTimeInterval(24 * 3600)
        #expect(throws: StreamTokenError.expired) {
            try StreamToken.verified(text, keys: keys, tenant: nil, call: nil, at: later)
        }
    }
}

@Suite("Stored moments")
struct TimestampTests {
    @Test(
        "As text and back",
        arguments: [
            (0.0, "1970-01-01T00:00:00.000Z"), (-0.001, "1969-12-31T23:59:59.999Z"),
            (951_782_400.5, "2000-02-29T00:00:00.500Z"), (4_107_542_399.999, "2100-02-28T23:59:59.999Z"),
            (253_402_300_799.999, "9999-12-31T23:59:59.999Z"), (-62_167_219_200, "0000-01-01T00:00:00.000Z"),
        ])
    func roundTrip(seconds: Double, text: String) {
        #expect(Timestamp.text(Date(timeIntervalSince1970: seconds)) == text)
        #expect(Timestamp.date(text) == Date(timeIntervalSince1970: seconds))
    }

    @Test(
        "Times that no calendar has are clamped",
        arguments: [
            (Double.infinity, "9999-12-31T23:59:59.999Z"), (-Double.infinity, "0000-01-01T00:00:00.000Z"),
            (Double.nan, "0000-01-01T00:00:00.000Z"), (1e300, "9999-12-31T23:59:59.999Z"),
        ])
    func clamped(seconds: Double, text: String) {
        #expect(Timestamp.text(Date(timeIntervalSince1970: seconds)) == text)
    }

    @Test(
        "Texts that are no moment",
        arguments: [
            "", "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
            "2026-01-01 00:00:00.000Z", "2026-01-01T00:00:00.000", "+026-01-01T00:00:00.000Z",
        ])
    func noMoment(text: String) {
        #expect(Timestamp.date(text) == nil)
    }
}
