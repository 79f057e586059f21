import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a credential may do, each level with all that is below it.
package enum AccessRole: String, Sendable, CaseIterable, Comparable {
    /// Reads records and configuration.
    case viewer
    /// Acts on live calls too.
    case `operator`
    /// Changes configuration, makes tokens, erases records.
    case admin

    private var level: Int {
        switch self {
        case .viewer: 0
        case .operator: 1
        case .admin: 2
        }
    }

    package static func < (one: AccessRole, other: AccessRole) -> Bool { one.level < other.level }
}

/// Names one API token: a lower-case UUID text.
package struct APITokenID: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }
    package var description: String { self.text }
}

/// A token of the HTTP API as it is kept (`voip_api_tokens`): never the token itself.
///
/// The secret is 256 random bits, so one round of SHA-256 is all that its hash needs: a slow hash such as argon2 defends
/// secrets that people chose and that can be guessed, and would only let a stranger keep our processor busy with tokens
/// that are none.
package struct APIToken: Sendable, Equatable {
    package var id: APITokenID
    /// Nil: a token of the installation, which may name any tenant.
    package var tenant: TenantID?
    package var name: String
    package var role: AccessRole
    /// The token's first characters, to know it by.
    package var prefix: String
    /// SHA-256 of the whole token, in lower-case hexadecimal digits.
    package var hash: String
    package var createdAt: Date
    /// Nil: it does not expire.
    package var expiresAt: Date?
    package var lastUsedAt: Date?
    package var revokedAt: Date?

    package init(
        id: APITokenID, tenant: TenantID?, name: String, role: AccessRole, prefix: String, hash: String,
        createdAt: Date, expiresAt: Date? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.role = role
        self.prefix = prefix
        self.hash = hash
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    /// Whether it is good at `now`.
    package func isValid(at now: Date) -> Bool {
        self.revokedAt == nil && (self.expiresAt.map { now < $0 } ?? true)
    }
}
