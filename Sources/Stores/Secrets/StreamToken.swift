import COpenSSL
import Foundation
import Telephony

/// Why a stream token is not good. The slug is safe to log; the peer is told no more than "refused".
package enum StreamTokenError: String, Error, Sendable, CaseIterable {
    case malformed
    case unknownKey = "unknown-key"
    case forged
    case expired
    case fromTheFuture = "from-the-future"
    case otherTenant = "other-tenant"
    case otherCall = "other-call"

    /// How the attempt ends. The dialplan goes on with its own fallback.
    package var termination: CallTermination {
        CallTermination(cause: .callRejected, fault: .configuration, reason: "token-\(self.rawValue)")
    }
}

/// Says that the bearer may bring one call of one tenant, for a short time. Travels in a header; in a URL only as the
/// last resort.
///
/// The text is `pt1:KEYID:TENANT:CALL:ASSISTANT:ISSUED:EXPIRES:MAC`: assistant may be `-`; the times are seconds since
/// 1970; the MAC is HMAC-SHA256 (RFC 2104) over all before it, in base64url. One that a row of routing sent out is
/// `pt2:KEYID:TENANT:CALL:ASSISTANT:ROUTE:ISSUED:EXPIRES:MAC`.
package struct StreamToken: Sendable, Equatable {
    package var tenant: TenantID
    package var call: CallID
    /// The assistant that the issuer chose; nil: not stated.
    package var assistant: AssistantID?
    /// The row of `voip_trunk_ai_settings` whose parameters the call has; nil: none.
    package var route: RouteID?
    package var issuedAt: Date
    package var expiresAt: Date

    /// The longest life that is accepted, whoever signed: a token is for one call's beginning.
    package static let longestLife: TimeInterval = 24 * 3600
    /// How far the issuer's clock may be ahead of ours.
    package static let clockSkew: TimeInterval = 30
    /// Longer texts are not looked at.
    private static let longestText = 512

    package init(
        tenant: TenantID, call: CallID, assistant: AssistantID? = nil, route: RouteID? = nil, issuedAt: Date,
        lifetime: Duration
    ) {
        self.tenant = tenant
        self.call = call
        self.assistant = assistant
        self.route = route
        self.issuedAt = issuedAt
        let seconds = min(Double(lifetime.components.seconds), Self.longestLife)
        self.expiresAt = issuedAt.addingTimeInterval(max(seconds, 0))
    }

    /// The signed text. Redacted: whoever holds it may bring the call.
    package func signed(with keys: TokenKeys) -> Redacted<String> {
        let key = keys.list.current
        var fields = [
            self.route == nil ? "pt1" : "pt2", key.id, self.tenant.text, self.call.text, self.assistant?.text ?? "-",
        ]
        if let route = self.route { fields.append(route.text) }
        fields += [Self.seconds(self.issuedAt), Self.seconds(self.expiresAt)]
        let body = fields.joined(separator: ":")
        return Redacted("\(body):\(Base64URL.text(Self.mac(body, key)))")
    }

    /// The token in `text`, once its signature, its times, and the tenant and call that the request names have been
    /// checked. A nil `tenant` or `call`: the request's path names none, and the token's own counts.
    package static func verified(
        _ text: String, keys: TokenKeys, tenant: TenantID?, call: CallID?, at now: Date
    ) throws(StreamTokenError) -> StreamToken {
        guard text.utf8.count <= Self.longestText else { throw .malformed }
        var fields = text.split(separator: ":", omittingEmptySubsequences: false)
        let isRouted = fields[0] == "pt2"
        guard fields.count == (isRouted ? 9 : 8), isRouted || fields[0] == "pt1", let last = text.lastIndex(of: ":")
        else { throw .malformed }
        let routeText = isRouted ? fields.remove(at: 5) : nil
        guard let key = keys.list.key(fields[1]) else { throw .unknownKey }
        // Nothing of the text is believed before this.
        guard Self.isEqual(Array(fields[7].utf8), Array(Base64URL.text(Self.mac(String(text[..<last]), key)).utf8))
        else { throw .forged }
        guard let tokenTenant = TenantID(fields[2]), let tokenCall = CallID(fields[3]),
            let issued = UInt32(fields[5]), let expires = UInt32(fields[6]), issued <= expires,
            TimeInterval(expires - issued) <= Self.longestLife
        else { throw .malformed }
        var assistant: AssistantID?
        if fields[4] != "-" {
            assistant = AssistantID(fields[4])
            guard assistant != nil else { throw .malformed }
        }
        let route = routeText.flatMap { RouteID($0) }
        guard !isRouted || route != nil else { throw .malformed }
        let seconds = now.timeIntervalSince1970
        guard TimeInterval(issued) <= seconds + Self.clockSkew else { throw .fromTheFuture }
        guard seconds < TimeInterval(expires) else { throw .expired }
        guard tenant == nil || tenant == tokenTenant else { throw .otherTenant }
        guard call == nil || call == tokenCall else { throw .otherCall }
        var token = StreamToken(
            tenant: tokenTenant, call: tokenCall, assistant: assistant, route: route,
            issuedAt: Date(timeIntervalSince1970: TimeInterval(issued)), lifetime: .zero)
        token.expiresAt = Date(timeIntervalSince1970: TimeInterval(expires))
        return token
    }

    private static func seconds(_ date: Date) -> String {
        String(UInt32(min(max(date.timeIntervalSince1970, 0), Double(UInt32.max))))
    }

    private static func mac(_ body: String, _ key: KeyList.Key) -> [UInt8] {
        var mac = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        var length: UInt32 = 0
        let bytes = Array(body.utf8)
        // Fails only without memory; then the MAC of zeros would be a known one.
        guard HMAC(EVP_sha256(), key.bytes, Int32(key.bytes.count), bytes, bytes.count, &mac, &length) != nil,
            length == mac.count
        else { preconditionFailure("OpenSSL has no HMAC-SHA256") }
        return mac
    }

    /// In a time that does not tell how much is right.
    private static func isEqual(_ given: [UInt8], _ wanted: [UInt8]) -> Bool {
        given.count == wanted.count && CRYPTO_memcmp(given, wanted, wanted.count) == 0
    }
}

/// The keys that sign stream tokens (`PRONTO_TOKEN_KEYS`): 16 to 64 bytes each; the first signs, all verify.
package struct TokenKeys: Sendable {
    let list: KeyList
    package init(_ text: String) throws(KeyListError) { self.list = try KeyList(text, bytes: 16...64) }
}
