import CLibre
import Networking
import Telephony

/// Why an INVITE cannot be served, for its sender.
struct InvitationRefusal: Error {
    let status: SIPStatus
    let reason: StaticString
    let headers: String

    init(_ status: SIPStatus, _ reason: StaticString, headers: String = "") {
        self.status = status
        self.reason = reason
        // RFC 3261 §20.43: 399 is "miscellaneous"; the text is a literal of ours.
        self.headers = headers.isEmpty ? "Warning: 399 pronto \"\(reason)\"\r\n" : headers
    }

    init(_ refusal: MediaRefusal) {
        let warning = refusal.warning
        self.init(
            refusal.status, warning.text, headers: "Warning: \(warning.code) pronto \"\(warning.text)\"\r\n")
    }
}

/// What an INVITE says, read out of libre's message while it is there.
struct InvitationParts {
    let sipCallID: String
    let request: SIPAddress
    let from: SIPParty
    let to: SIPParty
    let identity: SIPParty?
    let headers: SIPHeaders
    let source: SocketAddress
    let transport: SIPTransport
    let offer: SessionDescription?
    let agreement: MediaAgreement?

    private static let longestField = 256

    init(_ message: sip_msg, rules: MediaRules) throws(InvitationRefusal) {
        guard message.from.tag.l > 0 else { throw InvitationRefusal(.badRequest, "From has no tag") }
        guard message.callid.l > 0, message.callid.l <= 512 else {
            throw InvitationRefusal(.badRequest, "Call-ID is missing or longer than 512 bytes")
        }
        guard message.has(SIP_HDR_CONTACT) else { throw InvitationRefusal(.badRequest, "Contact is missing") }
        guard message.has(SIP_HDR_VIA), message.has(SIP_HDR_CSEQ) else {
            throw InvitationRefusal(.badRequest, "Via or CSeq is missing")
        }
        let scheme = String(message.uri.scheme).lowercased()
        guard scheme == "sip" || scheme == "sips" else {
            throw InvitationRefusal(SIPStatus(416, "Unsupported URI Scheme"), "Only sip: and sips: are served")
        }
        try Self.checkRequirements(message)
        guard let source = SocketAddress(libre: message.src) else {
            throw InvitationRefusal(.badRequest, "The sender has no address")
        }
        self.source = source
        self.transport =
            switch message.tp {
            case SIP_TRANSP_TLS: .tls
            case SIP_TRANSP_TCP: .tcp
            default: .udp
            }
        self.sipCallID = String(message.callid).plain(Self.longestField)
        self.request = Self.address(message.uri)
        self.from = Self.party(name: message.from.dname, uri: message.from.uri)
        self.to = Self.party(name: message.to.dname, uri: message.to.uri)
        self.identity = Self.identity(message)
        var extensions: [(name: String, value: String)] = []
        message.eachHeader { header in
            let name = String(header.name)
            if name.count > 2, name.lowercased().hasPrefix("x-") { extensions.append((name, String(header.val))) }
        }
        self.headers = SIPHeaders(extensions)
        self.offer = try Self.offer(message)
        do throws(MediaRefusal) {
            self.agreement = if let offer { try rules.agreement(with: offer) } else { nil }
        } catch { throw InvitationRefusal(error) }
    }

    func invitation(_ dialog: SIPDialog) -> SIPInvitation {
        SIPInvitation(
            dialog: dialog, sipCallID: self.sipCallID, request: self.request, from: self.from, to: self.to,
            identity: self.identity, headers: self.headers, source: self.source, transport: self.transport,
            offer: self.offer, agreement: self.agreement)
    }

    /// RFC 3261 §8.2.2.3: what is required and not known is refused with its name. We know none, 100rel included.
    private static func checkRequirements(_ message: sip_msg) throws(InvitationRefusal) {
        let values = message.values(SIP_HDR_REQUIRE) + message.values(SIP_HDR_PROXY_REQUIRE)
        let required = values.flatMap { $0.split(separator: ",") }.map { name in
            // Only what a token may hold goes back into a header.
            String(String.UnicodeScalarView(name.unicodeScalars.filter(Self.isToken).prefix(64)))
        }
        let named = required.filter { !$0.isEmpty }.prefix(8)
        guard named.isEmpty else {
            throw InvitationRefusal(
                .badExtension, "The INVITE requires an extension that is not served",
                headers: "Unsupported: \(named.joined(separator: ", "))\r\n")
        }
    }

    private static func isToken(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-._".unicodeScalars.contains(scalar))
    }

    /// The session description of a message; nil when it has no body.
    static func offer(_ message: sip_msg) throws(InvitationRefusal) -> SessionDescription? {
        guard message.body.count > 0 else { return nil }
        guard message.isContent("application", "sdp"), !message.has(SIP_HDR_CONTENT_ENCODING) else {
            throw InvitationRefusal(
                .unsupportedMediaType, "The body is not plain application/sdp", headers: "Accept: application/sdp\r\n")
        }
        do throws(MediaRefusal) {
            return try SessionDescription(message.body)
        } catch { throw InvitationRefusal(error) }
    }

    private static func address(_ uri: uri) -> SIPAddress {
        var parameters: [String: String] = [:]
        for part in String(uri.params).split(separator: ";").prefix(32) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = pair[0].lowercased()
            if !name.isEmpty {
                parameters[name] = pair.count == 2 ? String(pair[1]).percentDecoded().plain(Self.longestField) : ""
            }
        }
        return SIPAddress(
            user: String(uri.user).percentDecoded().plain(Self.longestField),
            host: String(uri.host).plain(Self.longestField), port: uri.port, parameters: parameters)
    }

    private static func party(name: pl, uri: uri, isWithheld: Bool = false) -> SIPParty {
        SIPParty(
            name: String(name).plain(Self.longestField),
            number: String(uri.user).percentDecoded().plain(Self.longestField),
            host: String(uri.host).plain(Self.longestField), isWithheld: isWithheld)
    }

    /// Remote-Party-ID is what FreeSWITCH sends by default; P-Asserted-Identity (RFC 3325) what trunks do.
    private static func identity(_ message: sip_msg) -> SIPParty? {
        let isPrivate = message.values(SIP_HDR_PRIVACY).contains { $0.lowercased().contains("id") }
        for name in ["Remote-Party-ID", "P-Asserted-Identity"] {
            var found: SIPParty?
            message.eachHeader { header in
                guard found == nil, String(header.name).lowercased() == name.lowercased() else { return }
                var value = header.val
                var decoded = sip_addr()
                guard sip_addr_decode(&decoded, &value) == 0 else { return }
                let parameters = String(decoded.params).lowercased()
                if name == "Remote-Party-ID", parameters.contains("party=called") { return }
                let isWithheld = isPrivate || parameters.contains("privacy=full") || parameters.contains("privacy=uri")
                found = Self.party(name: decoded.dname, uri: decoded.uri, isWithheld: isWithheld)
            }
            if let found { return found }
        }
        return nil
    }
}
