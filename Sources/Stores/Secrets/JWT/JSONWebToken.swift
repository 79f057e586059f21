import Foundation
import Records
import Telephony

/// Why a signed token is not good. The slug is safe to log; the bearer is told no more than "refused".
package enum JSONWebTokenError: String, Error, Sendable, CaseIterable {
    case malformed
    case oversized
    /// `alg` is none of ours, or not the key's own: a token does not choose how it is verified (RFC 8725 §3.1).
    case algorithm
    /// It says that something must be understood (`crit`), and nothing is.
    case critical
    case unknownKey = "unknown-key"
    case forged
    case expired
    case notYet = "not-yet"
    case fromTheFuture = "from-the-future"
    /// It lives, or has lived, longer than any token may.
    case lifetime
    case audience
    case issuer
    /// It names no tenant that is known.
    case tenant
    /// It names a tenant that is not its key's.
    case otherTenant = "other-tenant"
    case role
}

/// What a signed token says (RFC 7519 §4): the claims that this program knows, of their right types.
package struct TokenClaims: Sendable, Equatable {
    package var issuer: String?
    package var subject: String?
    package var audience: [String] = []
    package var expiresAt: Date
    package var notBefore: Date?
    package var issuedAt: Date?
    package var id: String?
    /// `tenant_id`: the domain's UUID.
    package var tenant: TenantID?
    /// `sip_domain`: the domain's name, lower case.
    package var domain: String?
    /// `trunk_id`: the one trunk that the token is for.
    package var trunk: String?
    /// `provisioner`: who set the trunk up, as `edgvoip`.
    package var provisioner: String?
    package var role: AccessRole?

    package init(expiresAt: Date) { self.expiresAt = expiresAt }
}

extension TokenClaims {
    /// Nil: a claim of another type than the RFC gives it, twice there, or too long for anybody's name.
    init?(_ json: JSONValue) {
        guard let members = json.members, Set(members.map(\.name)).count == members.count else { return nil }
        var isSound = true
        func text(_ name: String, longest: Int = 256) -> String? {
            guard let value = json[name], !value.isNull else { return nil }
            guard let text = value.text, (1...longest).contains(text.utf8.count),
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else {
                isSound = false
                return nil
            }
            return text
        }
        func date(_ name: String) -> Date? {
            guard let value = json[name], !value.isNull else { return nil }
            // To the year 9999: nothing that a clock could say lies beyond.
            guard let seconds = value.real, (0...253_402_300_799).contains(seconds) else {
                isSound = false
                return nil
            }
            return Date(timeIntervalSince1970: seconds)
        }
        guard let expiry = date("exp") else { return nil }
        self.init(expiresAt: expiry)
        self.notBefore = date("nbf")
        self.issuedAt = date("iat")
        self.issuer = text("iss")
        self.subject = text("sub")
        self.id = text("jti")
        self.domain = text("sip_domain", longest: 253)?.lowercased()
        self.trunk = text("trunk_id", longest: 128)
        self.provisioner = text("provisioner", longest: 128)
        if let tenant = text("tenant_id") {
            self.tenant = TenantID(tenant)
            if self.tenant == nil { return nil }
        }
        if let role = text("role") {
            self.role = AccessRole(rawValue: role)
            if self.role == nil { return nil }
        }
        if let audience = json["aud"], !audience.isNull {
            let texts = audience.elements?.map(\.text) ?? [audience.text]
            guard texts.count <= 16, !texts.contains(nil) else { return nil }
            self.audience = texts.compactMap { $0 }
        }
        guard isSound else { return nil }
    }

    var json: JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ name: String, _ text: String?) { if let text { members.append(.init(name, .string(text))) } }
        func add(_ name: String, _ date: Date?) {
            if let date { members.append(.init(name, .integer(Int(date.timeIntervalSince1970)))) }
        }
        add("iss", self.issuer)
        add("sub", self.subject)
        if self.audience.count == 1 {
            add("aud", self.audience[0])
        } else if !self.audience.isEmpty {
            members.append(.init("aud", .array(self.audience.map { .string($0) })))
        }
        add("exp", self.expiresAt)
        add("nbf", self.notBefore)
        add("iat", self.issuedAt)
        add("jti", self.id)
        add("tenant_id", self.tenant?.text)
        add("sip_domain", self.domain)
        add("trunk_id", self.trunk)
        add("provisioner", self.provisioner)
        add("role", self.role?.rawValue)
        return .object(members)
    }
}

/// A signed token in its compact form (RFC 7515 §3.1, RFC 7519).
///
/// What RFC 8725 asks is kept: the key fixes the algorithm; keys come from our own configuration, never from the token
/// (`jku`, `jwk`, `x5u`, `x5c` are not looked at); `crit` is refused; audience, issuer and times are always checked.
package enum JSONWebToken {
    /// Longer texts are not looked at.
    package static let longestText = 8192
    /// The longest life of a token, whoever signed it.
    package static let longestLife: TimeInterval = 24 * 3600
    /// How far another clock may differ from ours.
    package static let clockSkew: TimeInterval = 30

    /// A token that is whole but not believed yet: good for finding the key, and for nothing else.
    package struct Unverified: Sendable {
        package let keyID: String
        package let claims: TokenClaims
        let algorithm: String
        let signed: [UInt8]
        let signature: [UInt8]

        package init(_ text: String) throws(JSONWebTokenError) {
            guard text.utf8.count <= JSONWebToken.longestText else { throw .oversized }
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 3, let header = Self.object(parts[0]) else { throw .malformed }
            guard let members = header.members, Set(members.map(\.name)).count == members.count else {
                throw .malformed
            }
            guard header["crit"] == nil, header["b64"] == nil else { throw .critical }
            if let type = header["typ"] {
                guard let text = type.text?.lowercased(), ["jwt", "at+jwt"].contains(text) else { throw .malformed }
            }
            guard let algorithm = header["alg"]?.text, JWTAlgorithm(rawValue: algorithm) != nil else {
                throw .algorithm
            }
            guard let id = header["kid"]?.text, JSONWebKey.isIdentifier(id) else { throw .unknownKey }
            guard let claims = Self.object(parts[1]).flatMap({ TokenClaims($0) }),
                let signature = Base64URL.bytes(parts[2]), !signature.isEmpty
            else { throw .malformed }
            self.keyID = id
            self.claims = claims
            self.algorithm = algorithm
            self.signed = Array("\(parts[0]).\(parts[1])".utf8)
            self.signature = signature
        }

        private static func object(_ part: Substring) -> JSONValue? {
            guard let bytes = Base64URL.bytes(part), let text = String(validating: bytes, as: UTF8.self) else {
                return nil
            }
            return JSONValue(json: text)
        }

        /// The claims, once the signature, the times, the audience and the issuer have been checked.
        package func verified(
            by key: JSONWebKey, audience: String, at now: Date
        ) throws(JSONWebTokenError) -> TokenClaims {
            guard self.algorithm == key.algorithm.rawValue else { throw .algorithm }
            // Nothing of the text is believed before this.
            guard key.material.verifies(self.signature, of: self.signed) else { throw .forged }
            let (claims, skew) = (self.claims, JSONWebToken.clockSkew)
            guard now < claims.expiresAt.addingTimeInterval(skew) else { throw .expired }
            if let notBefore = claims.notBefore, now.addingTimeInterval(skew) < notBefore { throw .notYet }
            if let issued = claims.issuedAt, now.addingTimeInterval(skew) < issued { throw .fromTheFuture }
            let begin = claims.issuedAt ?? claims.notBefore ?? now
            guard claims.expiresAt.timeIntervalSince(begin) <= JSONWebToken.longestLife + skew else { throw .lifetime }
            guard claims.audience.contains(audience) else { throw .audience }
            if let issuer = key.issuer, claims.issuer != issuer { throw .issuer }
            if let role = claims.role, role > key.role { throw .role }
            if let tenant = key.tenant, let named = claims.tenant, named != tenant { throw .otherTenant }
            return claims
        }
    }

    /// The token's text; nil: the key has no private half.
    package static func signed(_ claims: TokenClaims, with key: JSONWebKey) -> Redacted<String>? {
        let header: JSONValue = [
            "alg": .string(key.algorithm.rawValue), "typ": "JWT", "kid": .string(key.id),
        ]
        let body = [header, claims.json].map { Base64URL.text(Array($0.json.utf8)) }.joined(separator: ".")
        return key.material.signature(of: Array(body.utf8)).map { Redacted("\(body).\(Base64URL.text($0))") }
    }
}
