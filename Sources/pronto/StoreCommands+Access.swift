import Configuration
import Foundation
import Records
import Stores
import Telephony

/// Who may ask the API, and what is erased: `pronto api-token`, `pronto signing-key`, `pronto token jwt`, `pronto forget`.
extension StoreCommands {
    static func apiToken(_ arguments: Arguments, _ store: any RecordsStore, at now: Date) async throws -> String {
        let isInstallation = arguments.has("--installation")
        if isInstallation, try arguments.optional("--tenant") != nil {
            throw CommandFailure("--installation and --tenant exclude each other: a token is the one's or the other's")
        }
        let tenant = isInstallation ? nil : try await Self.tenant(of: arguments, store).id
        switch arguments.words.first {
        case "create":
            let role = try arguments.optional("--role", allowed: "viewer, operator or admin") {
                AccessRole(rawValue: $0)
            }
            let days = try Self.number(arguments, "--days", 1...3650)
            let made = try APITokenSecret.generated(
                tenant: tenant, name: try Self.word(arguments, 1, "a name to know the token by"),
                role: role ?? .viewer, at: now, expiresAt: days.map { now.addingTimeInterval(Double($0) * 86400) })
            try await store.add(made.token)
            // Shown once: only its hash is kept.
            return made.text.value
        case "list", nil:
            let rows = try await store.apiTokens(of: tenant).map { token in
                [
                    token.id.text, token.prefix + "…", token.role.rawValue, token.name,
                    token.expiresAt.map(Self.text) ?? "-", token.lastUsedAt.map(Self.text) ?? "-",
                    token.isValid(at: now) ? "good" : token.revokedAt == nil ? "expired" : "revoked",
                ]
            }
            return Self.table(["id", "token", "role", "name", "expires", "last used", "state"], rows)
        case "revoke":
            let text = try Self.word(arguments, 1, "the token's id (pronto api-token list)")
            guard let id = APITokenID(text), try await store.revokeAPIToken(id, of: tenant, at: now) else {
                throw CommandFailure("there is no such token, or it is revoked")
            }
            return "revoked"
        case let word?: throw Self.unknown("api-token \(word)")
        }
    }

    static func signingKey(
        _ arguments: Arguments, _ store: any RecordsStore, _ readInput: () -> String?, at now: Date
    ) async throws -> String {
        let tenant = try await Self.tenant(of: arguments, store).id
        switch arguments.words.first {
        case "add":
            var text = ""
            if let file = try arguments.optional("--file") {
                guard let read = try? String(contentsOfFile: file, encoding: .utf8) else {
                    throw CommandFailure("--file: \(file) cannot be read")
                }
                text = read
            } else {
                while let line = readInput() { text += line + "\n" }
            }
            let keys: [JSONWebKey]
            do throws(JSONWebKeyError) { keys = try JSONWebKey.set(text, tenant: tenant) } catch {
                throw CommandFailure("the key: \(error)")
            }
            guard let members = JSONValue(json: text) else { throw CommandFailure("the key: no JSON") }
            let entries = members["keys"]?.elements ?? [members]
            for (key, entry) in zip(keys, entries) {
                try await store.save(
                    SigningKeyRecord(tenant: tenant, id: key.id, key: Redacted(entry.json)), of: tenant, at: now)
            }
            return "kept, encrypted: " + keys.map(\.id).joined(separator: ", ")
        case "list", nil:
            return Self.table(["kid"], try await store.signingKeys(of: tenant).map { [$0.id] })
        case "remove":
            let id = try Self.word(arguments, 1, "the key's kid")
            guard try await store.removeSigningKey(id, of: tenant) else {
                throw CommandFailure("the tenant has no such key")
            }
            return "removed"
        case let word?: throw Self.unknown("signing-key \(word)")
        }
    }

    /// `pronto token jwt`: a signed token for a tenant.
    static func signedToken(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings, at now: Date
    ) async throws -> String {
        let keys = JWTKeyRing(installation: try APIAccess.keys(settings), audience: settings.jwtAudience)
        let role = try arguments.optional("--role", allowed: "viewer, operator or admin") { AccessRole(rawValue: $0) }
        let seconds = try Self.number(arguments, "--lifetime", 1...86400) ?? 3600
        let kid = try arguments.optional("--key")
        guard let signer = keys.signer(id: kid) else {
            throw CommandFailure(
                settings.jwtKeysFile == nil
                    ? "PRONTO_JWT_KEYS_FILE is not set; `pronto token new-jwk` makes a key"
                    : "PRONTO_JWT_KEYS_FILE has no key that can sign" + (kid.map { ", of kid \($0)" } ?? ""))
        }
        if let role, role > signer.role {
            throw CommandFailure(
                "the key \(signer.id) signs for \(signer.role.rawValue) at most: add \"role\":\"\(role.rawValue)\" to it"
            )
        }
        let token = keys.issue(
            for: try await Self.tenant(of: arguments, store), audience: try arguments.optional("--audience"),
            trunk: try arguments.optional("--trunk"), role: role, subject: try arguments.optional("--subject"),
            key: signer.id, at: now, lifetime: .seconds(seconds))
        guard let token else { throw CommandFailure("OpenSSL signed nothing") }
        return token.value
    }

    /// `pronto token new-jwk`: a new key, as a set that PRONTO_JWT_KEYS_FILE may name.
    static func newKey(_ arguments: Arguments) throws -> String {
        let algorithm = try arguments.optional("--algorithm", allowed: "HS256, RS256 or ES256") {
            JWTAlgorithm(rawValue: $0)
        }
        let role = try arguments.optional("--role", allowed: "viewer, operator or admin") { AccessRole(rawValue: $0) }
        let key = try JSONWebKey.generated(
            algorithm ?? .es256, id: try arguments.optional("--id") ?? "1", issuer: try arguments.optional("--issuer"),
            role: role)
        return "{\"keys\":[\(key.value)]}"
    }

    /// Erases what one caller left behind.
    static func forget(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> String {
        let number = try arguments.required("--caller")
        guard (1...64).contains(number.utf8.count), number.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ArgumentError.notAllowed(option: "--caller", allowed: "a number of 1 to 64 characters")
        }
        guard arguments.has("--yes") else {
            throw CommandFailure("this erases the caller's data for good; add --yes to do it")
        }
        let tenant = try await Self.tenant(of: arguments, store).id
        let keeper = RecordKeeper(
            store: store, spool: try CallSpool(path: settings.database + ".spool"),
            recordings: RecordingFolder(settings.recordings), activities: store, node: NodesOpening.name(settings),
            elsewhere: try NodesOpening.forgetting(settings))
        let report = try await keeper.forget(caller: number, of: tenant)
        return Self.table(
            ["erased", "count"],
            [
                ["numbers of calls", String(report.calls)], ["conversations", String(report.conversations)],
                ["recordings", String(report.recordings)], ["lines of the spool", String(report.spooled)],
                ["activities", String(report.activities)], ["recordings still to go", String(report.left)],
            ])
    }
}
