import Telephony

/// A customer of the platform: FusionPBX's domain (`v_domains`).
package struct Tenant: Sendable, Equatable {
    package var id: TenantID
    /// The SIP domain, as `example.com`; unique, lower case. Paths such as `/rt/{tenant}` may name it.
    package var name: String
    /// A tenant that is not enabled is answered by nobody.
    package var isEnabled: Bool
    /// The dialplan context that is meant where a transfer's is not stated, or is `unstatedContext`. FusionPBX has no
    /// context `default`: there each tenant's numbers are in the context of its domain's name.
    package var context = Tenant.unstatedContext

    /// FreeSWITCH's own, and what a database holds where nobody stated one.
    package static let unstatedContext = "default"

    package init(id: TenantID, name: String, isEnabled: Bool = true) {
        self.id = id
        self.name = name.lowercased()
        self.isEnabled = isEnabled
    }
}
