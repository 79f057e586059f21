import Networking

/// Which addresses the back ends of calls may be at.
///
/// The installation's own settings may name what they like. A tenant's account names hosts too (`base_url`), and a name
/// that leads into this installation's network would make the gateway a door to it: so everything else has to be at a
/// public address, whatever its name says, at each connection (a name may lead elsewhere the next time).
package struct ProviderReach: Sendable {
    /// Nil: every address.
    private let own: Set<String>?

    private init(own: Set<String>?) { self.own = own }

    package static let everywhere = ProviderReach(own: nil)

    /// Public addresses, and those of these base URLs: host and port, whatever the path.
    package static func internet(and own: [String]) -> ProviderReach {
        ProviderReach(own: Set(own.compactMap(PublicHost.authority(inURL:))))
    }

    /// Which addresses of the URL's host may be connected to; nil: all.
    package func accepts(_ url: String) -> (@Sendable (SocketAddress) -> Bool)? {
        guard let own = self.own else { return nil }
        if let authority = PublicHost.authority(inURL: url), own.contains(authority) { return nil }
        return { $0.isPublic }
    }
}
