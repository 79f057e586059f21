import Configuration
import Foundation
import Records
import Stores
import Telephony

/// What a command that was understood cannot do; prints as a sentence for the operator.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The subcommands that look after the store, the keys and the configuration: arguments in, text out.
///
/// Numbers, prompts and transcripts are shown only with `--reveal`: terminals are recorded and shared.
enum StoreCommands {
    static let names: Set<String> = [
        "tenant", "assistant", "destination", "provider", "calls", "costs", "migrate", "token", "config", "secrets",
        "api-token", "signing-key", "forget", "route", "trunk", "agent", "calendar", "activity",
    ]

    static let usage = """
        pronto tenant add NAME [--id UUID] [--disabled] [--audio M|default] [--esl-host H …] | list
        pronto tenant set NAME [--audio M|default] [--esl-host H] [--esl-port P] [--esl-password-file FILE|-] … | --no-esl | --adopt-esl
        pronto assistant add NAME [--tenant T] [--id UUID] [--number N] [--language L] [--mode realtime|turn_based|auto]
                        [--instructions TEXT | --instructions-file FILE] [--greeting TEXT] [--farewell TEXT] [--caller-first]
                        [--provider P]… [--model M] [--voice V] [--tool NAME]… [--topic NAME=PHRASE|PHRASE=ANSWER]…
                        [--vad server_vad|semantic_vad|none] [--threshold 0…1] [--silence-ms N] [--prefix-ms N]
                        [--no-barge-in] [--resume-ms N] [--no-input-ms N] [--no-input-prompt TEXT]… [--no-input-retries N]
                        [--idle-seconds N] [--maximum-seconds N] [--record | --no-record] [--fallback NUMBER[@CONTEXT]]
                        [--disabled] [--replace] [--unchecked] | list | remove NAME
        pronto destination add NAME NUMBER [--tenant T] [--id UUID] [--context C] [--alias A]… [--assistant NAME|UUID]
                        [--kind extension|ring_group|queue|external|voicemail] [--department TEXT] [--summary TEXT]
                        [--priority N] [--ring-seconds N] [--default] [--disabled] [--replace]
                        | list [--reveal] | remove NAME
        pronto provider set-key PROVIDER [--kind realtime|stt|llm|tts]… [--base-url URL] [--model M] [--voice V] [--tenant T]
                        (the key on standard input) | list | rotate | new-key
        pronto provider voices NAME [--language L] [--tenant T] (voices and models, asked of the provider where it tells)
        pronto provider preview NAME --text T --out FILE.wav [--voice V] [--model M] [--language L] [--tenant T]
        pronto calls [list] [--tenant T] [--limit N] | show ID [--reveal]
        pronto costs [--tenant T] [--from DAY] [--to DAY] [--json]
        pronto migrate up | down [--to N] --yes | status
        pronto secrets rotate | new-key [--id ID]
        pronto token issue --call ID [--tenant T] [--assistant UUID] [--lifetime SECONDS] | new-key
        pronto token jwt [--tenant T] [--role R] [--audience A] [--trunk ID] [--key KID] | new-jwk [--algorithm A] [--id KID] | jwks
        pronto api-token create NAME [--role viewer|operator|admin] [--days N] [--tenant T | --installation] | list | revoke ID
        pronto signing-key add [--file FILE] (or on standard input) | list | remove KID [--tenant T]
        pronto forget --caller NUMBER [--tenant T] --yes
        \(RoutingCommands.usage)
        pronto config [--markdown]
        Every setting may be given as an option, as in --database FILE; --config FILE names the file of settings.
        """

    static let options: [String: Set<String>] = [
        "tenant": Set(["--id", TenantAudio.option]).union(TenantSwitch.options),
        "assistant": [
            "--tenant", "--id", "--number", "--language", "--instructions", "--instructions-file", "--greeting",
            "--farewell", "--provider", "--voice", "--model", "--vad", "--threshold", "--silence-ms", "--prefix-ms",
            "--resume-ms", "--idle-seconds", "--maximum-seconds", "--no-input-ms", "--no-input-prompt",
            "--no-input-retries", "--fallback", "--tool", "--topic", "--mode",
        ],
        "destination": [
            "--tenant", "--id", "--context", "--alias", "--assistant", "--kind", "--department", "--summary",
            "--priority", "--ring-seconds",
        ],
        "provider": [
            "--tenant", "--id", "--language", "--voice", "--model", "--text", "--out", "--kind", "--base-url",
        ],
        "calls": ["--tenant", "--limit"], "costs": ["--tenant", "--from", "--to"], "migrate": ["--to"],
        "secrets": ["--id"],
        "token": [
            "--tenant", "--call", "--assistant", "--lifetime", "--id", "--role", "--audience", "--trunk", "--subject",
            "--key", "--algorithm", "--issuer",
        ], "config": [],
        "api-token": ["--tenant", "--role", "--days"], "signing-key": ["--tenant", "--file"],
        "forget": ["--tenant", "--caller"],
    ]

    static let flags: [String: Set<String>] = [
        "tenant": ["--disabled", TenantSwitch.none, TenantSwitch.adopt],
        "assistant": [
            "--replace", "--disabled", "--caller-first", "--no-barge-in", "--record", "--no-record", "--unchecked",
        ],
        "destination": ["--replace", "--disabled", "--default", "--reveal"], "calls": ["--reveal"], "costs": ["--json"],
        "migrate": ["--yes"], "config": ["--markdown"], "api-token": ["--installation"], "forget": ["--yes"],
    ]

    /// Performs `pronto NAME ARGUMENTS…`. `readInput` gives a line of standard input, for keys.
    static func run(
        _ name: String, _ words: [String], folder: String, environment: [String: String],
        readInput: () -> String? = { readLine() }
    ) async throws -> String {
        let options = (Self.options[name] ?? RoutingCommands.options[name] ?? []).union(["--config"])
        let arguments = try Arguments(
            words, options: options, flags: Self.flags[name] ?? RoutingCommands.flags[name] ?? [])
        let settings = try Settings.load(
            folder: folder, file: try arguments.optional("--config"), environment: environment,
            arguments: arguments.settings)
        switch name {
        case "config":
            guard arguments.has("--markdown") else { return ConfigurationPage.list(settings) }
            // Whoever prints a command's text ends its last line.
            return String(ConfigurationPage.markdown().dropLast())
        case "migrate": return try Self.migrate(arguments, settings, at: Date())
        case "token" where arguments.words.first == "new-key", "provider" where arguments.words.first == "new-key",
            "secrets" where arguments.words.first == "new-key":
            return try SecretKeys.generated(id: try arguments.optional("--id") ?? "1")
        case "token" where arguments.words.first == "new-jwk": return try Self.newKey(arguments)
        case "token" where arguments.words.first == "jwks":
            return JWTKeyRing(installation: try APIAccess.keys(settings), audience: settings.jwtAudience).publicSet.json
        default: break
        }
        let store = try await StoreOpening.open(settings, connections: 1)
        let result: Result<String, any Error>
        do {
            result = .success(try await Self.run(name, arguments, store, settings, readInput))
        } catch {
            result = .failure(error)
        }
        await store.close()
        let text = try result.get()
        if NodesOpening.isChange(name, arguments.words) { await NodesOpening.announceChange(settings) }
        return text
    }

    /// The keys of secrets at rest, from wherever the configuration has them; nil: none.
    static func secretKeys(_ settings: Settings) throws -> SecretKeys? {
        do throws(KeyListError) {
            if let text = settings.secretKey { return try SecretKeys(text) }
            if let file = settings.secretKeyFile { return try SecretKeys(file: file) }
            return nil
        } catch {
            let setting = settings.secretKey == nil ? "PRONTO_SECRET_KEY_FILE" : "PRONTO_SECRET_KEY"
            throw CommandFailure("\(setting): \(error); `pronto provider new-key` makes one")
        }
    }

    private static func run(
        _ name: String, _ arguments: Arguments, _ store: SQLStore, _ settings: Settings, _ readInput: () -> String?
    ) async throws -> String {
        switch name {
        case "tenant": return try await Self.tenant(arguments, store, readInput)
        case "assistant": return try await Self.assistant(arguments, store, settings)
        case "destination": return try await Self.destination(arguments, store)
        case "provider": return try await Self.provider(arguments, store, settings, readInput)
        case "calls": return try await Self.calls(arguments, store)
        case "costs": return try await Self.costs(arguments, store, at: Date())
        case "api-token": return try await Self.apiToken(arguments, store, at: Date())
        case "signing-key": return try await Self.signingKey(arguments, store, readInput, at: Date())
        case "forget": return try await Self.forget(arguments, store, settings)
        case "token" where arguments.words.first == "jwt":
            return try await Self.signedToken(arguments, store, settings, at: Date())
        case "secrets":
            guard arguments.words == ["rotate"] else {
                throw Self.unknown("secrets " + arguments.words.joined(separator: " "))
            }
            return try await Self.rotateSecrets(store)
        case "token": return try await Self.token(arguments, store, settings.tokenKeys, at: Date())
        default: return try await RoutingCommands.run(name, arguments, store, settings)
        }
    }

    static func tenant(
        _ arguments: Arguments, _ store: any RecordsStore, _ readInput: () -> String?
    ) async throws -> String {
        switch arguments.words.first {
        case "add":
            let name = try Self.word(arguments, 1, "the tenant's name")
            let given = try arguments.optional("--id", allowed: "a UUID") { TenantID($0) }
            let known = try await store.tenant(named: name)
            if let known, let given, known.id != given { throw CommandFailure("\(name) exists with another id") }
            guard let id = known?.id ?? given ?? TenantID(UUID().uuidString) else { throw CommandFailure("no id") }
            try await store.save(Tenant(id: id, name: name, isEnabled: !arguments.has("--disabled")))
            try await TenantSwitch.apply(arguments, id, store, readInput)
            try await TenantAudio.apply(arguments, id, store)
            return id.text
        case "set":
            let tenant = try await Self.tenant(named: try Self.word(arguments, 1, "the tenant's name or id"), store)
            let isAudioSet = try await TenantAudio.apply(arguments, tenant.id, store)
            guard try await TenantSwitch.apply(arguments, tenant.id, store, readInput) || isAudioSet else {
                throw ArgumentError.missing(
                    "--audio, --esl-host, --no-esl, --adopt-esl or another of the tenant's options")
            }
            return tenant.id.text
        case "list", nil:
            let switches = try await TenantSwitch.texts(store)
            let (tenants, faults) = try await store.listedTenants()
            for fault in faults { Pronto.complain("warning: left out: \(fault)") }
            let policies = try await store.policies()
            return Self.table(
                ["id", "name", "enabled", "esl", "audio"],
                tenants.map {
                    [
                        $0.id.text, $0.name, $0.isEnabled ? "yes" : "no", switches[$0.id] ?? "-",
                        policies[$0.id]?.audio?.rawValue ?? "-",
                    ]
                })
        case let word?: throw Self.unknown("tenant \(word)")
        }
    }

    static func token(
        _ arguments: Arguments, _ store: any RecordsStore, _ keyText: String?, at now: Date
    ) async throws -> String {
        guard arguments.words == ["issue"] else {
            throw Self.unknown("token " + arguments.words.joined(separator: " "))
        }
        guard let keyText else {
            throw CommandFailure("PRONTO_TOKEN_KEYS is not set; `pronto token new-key` makes a key")
        }
        let keys: TokenKeys
        do throws(KeyListError) { keys = try TokenKeys(keyText) } catch {
            throw CommandFailure("PRONTO_TOKEN_KEYS: \(error); `pronto token new-key` makes one")
        }
        guard let call = CallID(try arguments.required("--call")) else {
            throw ArgumentError.notAllowed(option: "--call", allowed: "1 to 64 letters, digits, -, _ and .")
        }
        let seconds = try arguments.optional("--lifetime", allowed: "1 to 86400 seconds") { text in
            Int(text).flatMap { (1...86400).contains($0) ? $0 : nil }
        }
        let token = StreamToken(
            tenant: try await Self.tenant(of: arguments, store).id, call: call,
            assistant: try arguments.optional("--assistant", allowed: "a UUID") { AssistantID($0) }, issuedAt: now,
            lifetime: .seconds(seconds ?? 60))
        return token.signed(with: keys).value
    }

    // What the commands share.

    /// `--tenant` by id or name; without it the only tenant there is.
    static func tenant(of arguments: Arguments, _ store: any RecordsStore) async throws -> Tenant {
        guard let text = try arguments.optional("--tenant") else {
            let tenants = try await store.tenants()
            guard let only = tenants.first else { throw CommandFailure("there is no tenant: pronto tenant add NAME") }
            guard tenants.count == 1 else { throw CommandFailure("there are several tenants: say which with --tenant") }
            return only
        }
        return try await Self.tenant(named: text, store)
    }

    private static func tenant(named text: String, _ store: any RecordsStore) async throws -> Tenant {
        let found: Tenant?
        if let id = TenantID(text) {
            found = try await store.tenant(id)
        } else {
            found = try await store.tenant(named: text)
        }
        guard let found else { throw CommandFailure("there is no such tenant: pronto tenant list") }
        return found
    }

    static func word(_ arguments: Arguments, _ index: Int, _ what: String) throws -> String {
        guard arguments.words.count > index else { throw ArgumentError.missing(what) }
        return arguments.words[index]
    }

    static func unknown(_ what: String) -> CommandFailure { CommandFailure("\(what): no such command\n\(Self.usage)") }

    static func text(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(timeZone: TimeZone(secondsFromGMT: 0) ?? .current))
    }

    /// Columns with spaces between them.
    static func table(_ heading: [String], _ rows: [[String]]) -> String {
        let all = [heading] + rows
        let widths = heading.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: max(0, $1 - $0.count)) }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
