import Networking
import Telephony

/// What the dialplan asks before it decides: `GET /api/freeswitch/ai-routing?call_id=…` (document 1), answered as
/// `KEY=value` lines that `freeswitch/scripts/ai_routing.lua` reads.
///
/// One configured answer for every call, until routing by trunk, number and time window exists. Yet "AI" is only said
/// while this node takes calls: a dialplan that asks a node which is leaving goes to its human at once.
package struct RoutingDesk: Sendable {
    /// The one answer.
    package var isEnabled: Bool
    /// An extension of the dialplan.
    package var failover: String
    /// Where the stream goes: `ws://127.0.0.1:8085`, without a path.
    package var streamBase: String
    /// The tenant of questions that name none.
    package var onlyTenant: @Sendable () -> TenantID?
    /// Nil: the node takes calls of this tenant; else why not, as a word.
    package var refusal: @Sendable (TenantID) -> String?
    /// A token for a call that comes from a peer without one; nil: none is needed, or no keys are set.
    package var token: @Sendable (TenantID, CallID) -> String?
    /// Who may ask. A proxy's word is nobody's.
    package var isTrustedPeer: @Sendable (SocketAddress) -> Bool

    package init(
        isEnabled: Bool, failover: String, streamBase: String, onlyTenant: @escaping @Sendable () -> TenantID?,
        refusal: @escaping @Sendable (TenantID) -> String?, token: @escaping @Sendable (TenantID, CallID) -> String?,
        isTrustedPeer: @escaping @Sendable (SocketAddress) -> Bool
    ) {
        self.isEnabled = isEnabled
        self.failover = failover
        self.streamBase = streamBase
        self.onlyTenant = onlyTenant
        self.refusal = refusal
        self.token = token
        self.isTrustedPeer = isTrustedPeer
    }

    package static let path = "/api/freeswitch/ai-routing"

    package func answer(_ request: HTTPRequest) -> HTTPResponse {
        guard self.isTrustedPeer(request.peer), !request.isForwarded else {
            return HTTPResponse(
                status: 401, text: "This address may not ask: PRONTO_ALLOWED_PEERS, and no proxy in between.\n")
        }
        guard let call = request.queryValue("call_id").flatMap({ CallID($0) }) else {
            return HTTPResponse(status: 400, text: "call_id: the channel's UUID, as in call_id=${uuid}.\n")
        }
        let stated = request.queryValue("tenant_id").flatMap { $0.isEmpty ? nil : $0 }
        let tenant = stated.map { TenantID($0) } ?? self.onlyTenant()
        guard let tenant else {
            return HTTPResponse(
                status: 400, text: "tenant_id: the domain's UUID (it may be left out where there is one tenant only).\n"
            )
        }
        var lines = ["FAILOVER_EXT=\(self.failover)"]
        if !self.isEnabled {
            lines += ["AI_ENABLED=false", "REASON=switched-off"]
        } else if let refusal = self.refusal(tenant) {
            lines += ["AI_ENABLED=false", "REASON=\(refusal)"]
        } else {
            lines += ["AI_ENABLED=true", "REASON=configured", "WS_URL=\(self.address(call, tenant, request))"]
            if let token = self.token(tenant, call) { lines.append("TOKEN=\(token)") }
        }
        return HTTPResponse(status: 200, text: lines.joined(separator: "\n") + "\n")
    }

    private func address(_ call: CallID, _ tenant: TenantID, _ request: HTTPRequest) -> String {
        var address = "\(self.streamBase)/api/voip/ai-gateway/route?callId=\(call.text)&tenantId=\(tenant.text)"
        for name in ["did", "caller"] {
            // The stream's address takes 64 bytes of each; a longer one is nobody's number.
            if let value = request.queryValue(name), (1...64).contains(value.utf8.count) {
                address += "&\(name)=\(Self.encoded(value))"
            }
        }
        return address
    }

    /// RFC 3986 §2.3: everything that is not unreserved is escaped, so that a value can be neither a second line nor a
    /// second key.
    static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return encoded
    }
}
