import Telephony

/// All of one tenant that its calls are answered by.
package struct TenantConfiguration: Sendable, Equatable {
    package var tenant: Tenant
    package var assistants: [Assistant]
    package var destinations: [DestinationRecord]
    /// With their keys opened. One that cannot be opened stays without, and calls that need it say so.
    package var accounts: [ProviderAccount]
    /// The tenant's own Event Socket.
    package var switchAccount: SwitchAccount?

    package init(
        tenant: Tenant, assistants: [Assistant] = [], destinations: [DestinationRecord] = [],
        accounts: [ProviderAccount] = [], switchAccount: SwitchAccount? = nil
    ) {
        self.tenant = tenant
        self.assistants = assistants
        self.destinations = destinations
        self.accounts = accounts
        self.switchAccount = switchAccount
    }
}

/// A row that is left out because of what it holds. It harms itself only; the message says where it is and what is allowed
/// there, never what it holds.
package struct ConfigurationFault: Sendable, Hashable, CustomStringConvertible {
    package var table: String
    /// The row's id, where that can be read.
    package var row: String
    /// Whose it is, where that can be read.
    package var tenant: TenantID?
    package var message: String

    package init(table: String, row: String, tenant: TenantID?, message: String) {
        self.table = table
        self.row = row
        self.tenant = tenant
        self.message = message
    }

    package var description: String { "\(self.table) \(self.row): \(self.message)" }
}

/// What a look at the configuration found.
package struct ConfigurationReading: Sendable, Equatable {
    /// Whose configuration was asked for; nil: everybody's. One who is asked for and not found exists no more.
    package var asked: Set<TenantID>?
    package var tenants: [TenantConfiguration]
    package var faults: [ConfigurationFault]

    package init(asked: Set<TenantID>? = nil, tenants: [TenantConfiguration] = [], faults: [ConfigurationFault] = []) {
        self.asked = asked
        self.tenants = tenants
        self.faults = faults
    }
}

/// What a watch over the configuration has to say.
package enum ConfigurationNews: Sendable, Equatable {
    /// These tenants' rows were changed; nil: anybody's may have been.
    case changed(Set<TenantID>?)
    /// The database was asked: nothing was changed but what was told and dealt with. All that is known is true.
    case unchanged
    /// The database does not answer.
    case away(StoreError)
}

/// Reads what calls are answered by, all tenants in a handful of questions, and tells when it was changed.
package protocol ConfigurationStore: Sendable {
    /// Of the tenants that are named, or of all. For the gateway itself, never for an answer to the outside.
    func configuration(of tenants: Set<TenantID>?) async throws(StoreError) -> ConfigurationReading

    /// Tells `news` of every change within a second, whoever made it, until the task is cancelled. Begins with
    /// `changed(nil)`: what was before is for the caller to read. Waits for `news` to have dealt with one before it tells
    /// the next.
    ///
    /// `news` answers whether it has dealt with a change: one that it could not read is told again, and nothing is called
    /// `unchanged` until it has been. What it answers to other news means nothing.
    func watchConfiguration(_ news: @Sendable (ConfigurationNews) async -> Bool) async
}
