import Configuration
import Foundation
import Records
import Telephony

/// A tenant's own Event Socket, as `pronto tenant add` and `set` take it.
enum TenantSwitch {
    static let options: Set<String> = [
        "--esl-host", "--esl-port", "--esl-password-file", "--esl-connect-timeout", "--esl-read-timeout",
    ]
    static let none = "--no-esl"
    static let adopt = "--adopt-esl"

    /// Changes what the options name; false when they name nothing. A password is read from a file, or from standard
    /// input for `-`: on a command line anybody on the machine could read it.
    @discardableResult
    static func apply(
        _ arguments: Arguments, _ tenant: TenantID, _ store: any RecordsStore, _ readInput: () -> String?
    ) async throws -> Bool {
        let given = Self.options.filter { !arguments.all($0).isEmpty }
        if arguments.has(Self.none) {
            guard given.isEmpty else { throw ArgumentError.tooMany(given.sorted()[0]) }
            try await store.removeSwitchAccount(of: tenant)
            return true
        }
        if arguments.has(Self.adopt) {
            guard given.isEmpty else { throw ArgumentError.tooMany(given.sorted()[0]) }
            try await Self.adopt(tenant, store)
            return true
        }
        guard !given.isEmpty else { return false }
        let known = try await store.switchAccounts().first { $0.tenant == tenant }
        let host = try arguments.optional("--esl-host", allowed: "a host's name or address") { text in
            SwitchAccount.isHost(text) ? text.lowercased() : nil
        }
        guard let host = host ?? known?.host else { throw ArgumentError.missing("--esl-host") }
        var account = SwitchAccount(tenant: tenant, host: host, password: nil)
        account.port =
            try arguments.optional("--esl-port", allowed: "1 to 65535") { text in
                Int(text).flatMap { (1...65535).contains($0) ? $0 : nil }
            } ?? known?.port ?? 8021
        account.connectTimeout =
            try Self.seconds(arguments, "--esl-connect-timeout", 0.1...60) ?? known?.connectTimeout
        account.readTimeout = try Self.seconds(arguments, "--esl-read-timeout", 1...600) ?? known?.readTimeout
        account.password = try Self.password(arguments, readInput)
        guard account.password != nil || known != nil else { throw ArgumentError.missing("--esl-password-file") }
        try await store.save(account, of: tenant)
        return true
    }

    /// Keeps what an older system's settings say, the password encrypted. Theirs stay as they are: others may read them.
    private static func adopt(_ tenant: TenantID, _ store: any RecordsStore) async throws {
        guard try await !store.switchAccounts().contains(where: { $0.tenant == tenant }) else {
            throw CommandFailure(
                "the tenant has an Event Socket of its own already: take it away with \(Self.none) first")
        }
        let reading = try await store.configuration(of: [tenant])
        guard let account = reading.tenants.first?.switchAccount else {
            let faults = reading.faults.filter { $0.tenant == tenant }.map { "\n\($0)" }.joined()
            throw CommandFailure(
                "v_voice_secretary_settings has no esl_host and esl_password of this tenant that can be used\(faults)")
        }
        try await store.save(account, of: tenant)
    }

    /// For lists: of every tenant that has one, also by an older system's settings.
    static func texts(_ store: any RecordsStore) async throws -> [TenantID: String] {
        let own = Set(try await store.switchAccounts().map(\.tenant))
        var texts: [TenantID: String] = [:]
        for account in try await store.configuration(of: nil).tenants.compactMap(\.switchAccount) {
            texts[account.tenant] =
                Self.text(account) + (own.contains(account.tenant) ? "" : " (v_voice_secretary_settings)")
        }
        return texts
    }

    /// Never the password.
    static func text(_ account: SwitchAccount) -> String {
        "\(account.host):\(account.port)" + (account.password == nil ? " (password unreadable)" : "")
    }

    private static func password(_ arguments: Arguments, _ readInput: () -> String?) throws -> Redacted<String>? {
        guard let file = try arguments.optional("--esl-password-file") else { return nil }
        let text: String
        if file == "-" {
            guard let line = readInput() else { throw CommandFailure("standard input has no line with the password") }
            text = line
        } else {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CommandFailure("--esl-password-file: \(file) cannot be read")
            }
            text = String(decoding: data, as: UTF8.self)
        }
        let password = text.trimmingCharacters(in: .newlines)
        guard SwitchAccount.isPassword(password) else {
            throw CommandFailure("the password must be one line of 1 to 256 bytes without control characters")
        }
        return Redacted(password)
    }

    private static func seconds(
        _ arguments: Arguments, _ option: String, _ range: ClosedRange<Double>
    ) throws -> Duration? {
        try arguments.optional(option, allowed: "\(range.lowerBound) to \(range.upperBound) seconds") { text in
            Double(text).flatMap { range.contains($0) ? .milliseconds(Int($0 * 1000)) : nil }
        }
    }
}
