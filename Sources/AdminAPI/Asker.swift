import Records
import Telephony

/// Who asks over HTTP, once that has been shown: what a handler needs to know to answer for one tenant and no other.
package struct Asker: Sendable, Equatable {
    /// How it was shown.
    package enum Credential: Sendable, Equatable {
        /// A stored API token.
        case apiToken(APITokenID)
        /// A signed token (RFC 7519), by the id of the key that verified it.
        case signed(key: String)
        /// An address of PRONTO_ALLOWED_PEERS without a proxy in between: the installation's own switch.
        case peer
    }

    /// Whose data it may see.
    package enum Scope: Sendable, Equatable {
        case installation
        case tenant(TenantID)
    }

    package var scope: Scope
    package var role: AccessRole
    package var credential: Credential
    /// The one trunk that a signed token is for (`trunk_id`); nil: whichever of the tenant's.
    package var trunk: String?
    /// Good for the routing question and for nothing else: it names one trunk, or no role.
    package var asksRoutingOnly: Bool
    /// What the rate limit counts by: a token's or key's id, or an address. Neither secret nor a caller's number.
    package var client: String

    /// - Parameter asksRoutingOnly: what names a trunk does so in any case: its tenant's records are not its trunk's.
    package init(
        scope: Scope, role: AccessRole, credential: Credential, trunk: String? = nil, asksRoutingOnly: Bool = false,
        client: String
    ) {
        self.scope = scope
        self.role = role
        self.credential = credential
        self.trunk = trunk
        self.asksRoutingOnly = asksRoutingOnly || trunk != nil
        self.client = client
    }

    /// The one tenant that it speaks for; nil: an installation's asker, who must name one.
    package var tenant: TenantID? {
        if case .tenant(let tenant) = self.scope { tenant } else { nil }
    }

    package func permits(_ tenant: TenantID) -> Bool {
        switch self.scope {
        case .installation: true
        case .tenant(let own): own == tenant
        }
    }

    /// Whether it may ask about this trunk of a tenant that it may ask about.
    package func permits(trunk: String?) -> Bool { self.trunk == nil || self.trunk == trunk }
}
