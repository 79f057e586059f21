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
        guard !given.isEmpty else { return false }
        let known = try await store.switchAccounts().first { $0.tenant == tenant }
        let host = try arguments.optional("--esl-host", allowed: "a host's name or address") { text in
            Self.isHost(text) ? text.lowercased() : nil
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

    /// For lists: never the password.
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
        guard !password.isEmpty, password.utf8.count <= 256, password.utf8.allSatisfy({ $0 > 0x1F && $0 != 0x7F })
        else {
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

    private static func isHost(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || ".-_:".utf8.contains(byte)
            }
    }
}
