import Networking
import Telephony

/// How a message came.
package enum SIPTransport: String, Sendable, CaseIterable { case udp, tcp, tls }

/// A SIP URI's parts, decoded. `user` and what else a caller wrote are redacted.
package struct SIPAddress: Sendable, Equatable {
    package var user: Redacted<String>
    package var host: String
    package var port: UInt16
    /// `;name=value` pairs after the host, names in lower case; a value may be empty.
    package var parameters: [String: String]

    package init(user: String, host: String, port: UInt16 = 0, parameters: [String: String] = [:]) {
        self.user = Redacted(user)
        self.host = host
        self.port = port
        self.parameters = parameters
    }
}

/// Who a From, Remote-Party-ID or P-Asserted-Identity names.
package struct SIPParty: Sendable, Equatable {
    package var name: Redacted<String>
    package var number: Redacted<String>
    package var host: String
    /// The party does not want its number shown (RFC 3325's `Privacy: id`, Remote-Party-ID's `privacy=full`).
    package var isWithheld: Bool

    package init(name: String, number: String, host: String, isWithheld: Bool = false) {
        self.name = Redacted(name)
        self.number = Redacted(number)
        self.host = host
        self.isWithheld = isWithheld
    }
}

/// A call that waits for an answer. Its `dialog` is how to give one.
package struct SIPInvitation: Sendable {
    package let dialog: SIPDialog
    /// SIP's Call-ID: to find the call in both sides' logs. Not our `CallID`, and not to be believed.
    package let sipCallID: String
    /// Whom the INVITE asks for: the dialed number.
    package let request: SIPAddress
    package let from: SIPParty
    package let to: SIPParty
    /// What the peer itself says of the caller (Remote-Party-ID, else P-Asserted-Identity): FreeSWITCH's word, where
    /// From is the caller's.
    package let identity: SIPParty?
    package let headers: SIPHeaders
    /// Who sent it, by the packet and not by what is written in it.
    package let source: SocketAddress
    package let transport: SIPTransport
    /// Nil: the INVITE had no session description; `accept` makes the offer and `confirmed` brings what came of it.
    package let offer: SessionDescription?
    /// What our rules make of the offer: what `accept` will answer.
    package let agreement: MediaAgreement?

    /// The caller, as far as anybody says.
    package var caller: SIPParty { self.identity ?? self.from }
}
