import Networking
import Telephony

/// How the SIP listener behaves. Each field with its unit and its reason.
package struct SIPConfiguration: Sendable {
    /// Where UDP and TCP are listened on, one port for both; port 0: any free one. It is written into Contact, so it
    /// must be an address of this machine that peers can reach, never 0.0.0.0.
    package var address: SocketAddress
    /// Whether TCP is listened on too.
    package var listensOnTCP: Bool
    /// TLS (RFC 3261 §26.2.1), on a port of its own. Nil: none.
    package var tls: TLS?
    /// Who may speak to us. An address in this list counts as authentication.
    package var allowedPeers: [PeerNetwork]
    /// Calls at the same time; the next gets 486 with Retry-After, so that the dialplan's next line is the fallback.
    package var mostDialogs: Int
    /// INVITEs in a second in the long run, and at once; beyond it 503 with Retry-After.
    package var invitationsPerSecond: Int
    package var invitationBurst: Int
    /// Bytes of one message; longer datagrams are dropped. FreeSWITCH's INVITE has about 1.5 KB.
    package var largestMessage: Int
    /// How long the owner of an invitation may think. Then 503: a call is never left ringing on nobody.
    package var answerDeadline: Duration
    /// What audio is taken.
    package var media: MediaRules
    /// `Server` and `User-Agent`.
    package var software: String

    package struct TLS: Sendable {
        package var port: UInt16
        /// PEM files.
        package var certificate: String
        package var privateKey: String
        package init(port: UInt16, certificate: String, privateKey: String) {
            self.port = port
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    /// Requirements name no SIP port; 5090 stays out of the way of FreeSWITCH's 5060, 5061 and 5080.
    package static let standardPort = 5090

    package init(
        address: SocketAddress, listensOnTCP: Bool = true, tls: TLS? = nil,
        allowedPeers: [PeerNetwork] = PeerNetwork.loopback, mostDialogs: Int = 500, invitationsPerSecond: Int = 100,
        invitationBurst: Int = 200, largestMessage: Int = 16 * 1024, answerDeadline: Duration = .seconds(10),
        media: MediaRules = MediaRules(), software: String = "Pronto"
    ) {
        self.address = address
        self.listensOnTCP = listensOnTCP
        self.tls = tls
        self.allowedPeers = allowedPeers
        self.mostDialogs = mostDialogs
        self.invitationsPerSecond = invitationsPerSecond
        self.invitationBurst = invitationBurst
        self.largestMessage = largestMessage
        self.answerDeadline = answerDeadline
        self.media = media
        self.software = software
    }
}

/// Why the SIP listener does not start. Each names what has to be repaired.
package enum SIPServerError: Error, Equatable, CustomStringConvertible {
    /// 0.0.0.0 or ::, which nobody can send a BYE to.
    case addressIsWildcard
    case cannotListen(SocketAddress, transport: String, error: String)
    case certificateUnreadable(path: String)
    case tlsRefused
    /// The kernel did not take the allow-list for the TCP listeners.
    case filterRefused(networks: Int, error: String)
    case libraryFailed(call: String, error: String)
    case wasStarted

    package var description: String {
        switch self {
        case .addressIsWildcard:
            "The SIP address is written into Contact: name an address of this machine, not 0.0.0.0 or ::"
        case .cannotListen(let address, let transport, let error):
            "Cannot listen for SIP on \(address) by \(transport): \(error)"
        case .certificateUnreadable(let path): "Cannot read \(path) for SIP over TLS"
        case .tlsRefused: "The certificate and the key for SIP over TLS do not fit, or are not PEM"
        case .filterRefused(let networks, let error):
            "The kernel did not take the list of \(networks) allowed SIP peers (\(error)): shorten it, or raise net.core.optmem_max"
        case .libraryFailed(let call, let error): "libre: \(call): \(error)"
        case .wasStarted: "A SIP server starts once"
        }
    }
}
