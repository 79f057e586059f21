import Assistants
import Configuration
import Foundation
import Records
import Stores
import Telephony

/// `pronto provider set-key`: a tenant's own account with a company, for whole conversations (`realtime`) or for single
/// stages of the speech pipeline (`stt`, `llm`, `tts`).
enum ProviderKeys {
    /// What each kind can be served by: the names that the gateway looks accounts up by.
    static func providers(of kind: ProviderAccount.Kind) -> [String] {
        switch kind {
        case .realtime: ["openai", "elevenlabs", "gemini"]
        case .stt: RecogniserConfiguration.Service.allCases.filter { $0 != .sherpa }.map(\.rawValue)
        case .llm: WriterConfiguration.Service.allCases.map(\.rawValue)
        case .tts: ["deepgram", "openai", "elevenlabs"]
        case .embeddings: []
        }
    }

    private static let kinds: [ProviderAccount.Kind] = [.realtime, .stt, .llm, .tts]

    static func set(
        _ arguments: Arguments, _ tenant: Tenant, _ store: any RecordsStore, _ readInput: () -> String?
    ) async throws -> String {
        guard let provider = ProviderName(try StoreCommands.word(arguments, 1, "the provider's name")) else {
            throw CommandFailure("a provider's name is of a-z, 0-9, - and _")
        }
        let kinds = try Self.kinds(of: provider, arguments)
        let base = try arguments.optional("--base-url", allowed: "http(s):// or ws(s)://, a host and a path") { text in
            text.utf8.count <= 512 && (try? StageAddress(text)) != nil ? text : nil
        }
        // Never from the command line, where every user of the machine sees it.
        guard let line = readInput(), case let key = line.trimmingCharacters(in: .whitespacesAndNewlines), !key.isEmpty
        else { throw CommandFailure("write the key on standard input") }
        let accounts = try await store.accounts(of: tenant.id)
        for kind in kinds {
            let known = accounts.first { $0.provider == provider && $0.kind == kind }
            var account = known ?? ProviderAccount(tenant: tenant.id, kind: kind, provider: provider)
            var configuration = JSONValue(json: account.configuration) ?? .object([])
            // What is not said stays.
            for (name, value) in [
                ("base_url", base), ("model", try arguments.optional("--model")),
                ("voice", try arguments.optional("--voice")),
            ] {
                if let value { configuration.set(.string(value), at: [name]) }
            }
            account.configuration = configuration.json
            account.secret = Redacted(key)
            account.hasSecret = true
            try await store.save(account, of: tenant.id)
        }
        return "kept, encrypted: " + kinds.map { "\($0.rawValue)/\(provider.text)" }.joined(separator: ", ")
    }

    /// `--kind`, once or more; without it the one thing that the provider does here.
    private static func kinds(
        of provider: ProviderName, _ arguments: Arguments
    ) throws -> [ProviderAccount.Kind] {
        let able = Self.kinds.filter { Self.providers(of: $0).contains(provider.text) }
        guard !able.isEmpty else {
            let names = Set(Self.kinds.flatMap { Self.providers(of: $0) }).sorted().joined(separator: ", ")
            throw CommandFailure("\(provider.text): no back end of this name; there are \(names)")
        }
        let words = arguments.all("--kind")
        guard words.isEmpty else {
            return try words.map { word in
                guard let kind = ProviderAccount.Kind(rawValue: word), able.contains(kind) else {
                    throw ArgumentError.notAllowed(
                        option: "--kind",
                        allowed: able.map(\.rawValue).joined(separator: ", ") + " for \(provider.text)")
                }
                return kind
            }
        }
        // Whole conversations are what this command was always for.
        if able.contains(.realtime) { return [.realtime] }
        guard able.count == 1 else {
            throw ArgumentError.missing(
                "--kind: \(provider.text) serves \(able.map(\.rawValue).joined(separator: " and ")); name one or both")
        }
        return able
    }
}
