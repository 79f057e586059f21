import Configuration
import Records
import Telephony

/// How a tenant's calls bring their audio, as `pronto tenant add` and `set` take it.
enum TenantAudio {
    static let option = "--audio"

    private enum Choice {
        case mode(CallAudio)
        case installation
    }

    /// Changes what the option names; false when it is not given.
    @discardableResult
    static func apply(
        _ arguments: Arguments, _ tenant: TenantID, _ store: any RecordsStore
    ) async throws -> Bool {
        let names = CallAudio.allCases.map(\.rawValue).joined(separator: ", ")
        let choice = try arguments.optional(Self.option, allowed: "\(names), or default") { text -> Choice? in
            text == "default" ? .installation : CallAudio(rawValue: text).map { .mode($0) }
        }
        guard let choice else { return false }
        switch choice {
        case .mode(let audio): try await store.change(.audio(audio), of: tenant)
        case .installation: try await store.change(.audio(nil), of: tenant)
        }
        return true
    }
}
