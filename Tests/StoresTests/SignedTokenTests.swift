import Foundation
import Records
import Telephony
import Testing

@testable import Stores

/// The attacks of RFC 8725 are in `scripts/api/jwt_check.py` too, made with PyJWT against a whole gateway.
@Suite("Signed tokens")
struct SignedTokenTests {
    private static let now = Date(timeIntervalSince1970: 1_760_000_000)

    private static func key(
        _ algorithm: JWTAlgorithm, id: String = "k", issuer: String? = nil, role: AccessRole? = nil,
        tenant: TenantID? = nil
    ) throws -> JSONWebKey {
        let text = try JSONWebKey.generated(algorithm, id: id, issuer: issuer, role: role)
        return try #require(try JSONWebKey.set(text.value, tenant: tenant).first)
    }

    private static func claims(_ edit: (inout TokenClaims) -> Void = { _ in }) -> TokenClaims {
        var claims = TokenClaims(expiresAt: self.now.addingTimeInterval(300))
        claims.audience = ["pronto"]
        claims.issuedAt = self.now
        claims.domain = "one.example"
        edit(&claims)
        return claims
    }

    private static func refusal(_ body: () throws -> Void) -> JSONWebTokenError? {
        do {
            try body()
            return nil
        } catch {
            return error as? JSONWebTokenError
        }
    }

    @Test("RFC 7515 A.1 to A.3: the RFC's own tokens verify, and those with one bit changed do not")
    func vectors() throws {
        let payload =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        func bytes(_ text: String) throws -> [UInt8] { try #require(Base64URL.bytes(text.filter { !$0.isWhitespace })) }
        let secret = try #require(
            JWTKeyMaterial(
                secret: try bytes(
                    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")))
        let rsa = try #require(
            JWTKeyMaterial.rsa([
                try bytes(
                    """
                    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR
                    T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB
                    dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia
                    GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ
                    """), try bytes("AQAB"),
            ]))
        let ec = try #require(
            JWTKeyMaterial.ec(
                x: try bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                y: try bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"), d: nil))
        for (material, header, text) in [
            (secret, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            (
                rsa, "eyJhbGciOiJSUzI1NiJ9",
                """
                cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9
                uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB
                _eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq
                Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
                """
            ),
            (
                ec, "eyJhbGciOiJFUzI1NiJ9",
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
            ),
        ] {
            let signed = Array("\(header).\(payload)".utf8)
            let signature = try bytes(text)
            #expect(material.verifies(signature, of: signed))
            for index in [0, signature.count / 2, signature.count - 1] {
                var changed = signature
                changed[index] ^= 1
                #expect(!material.verifies(changed, of: signed))
            }
            #expect(!material.verifies(signature, of: signed + [0]))
            #expect(!material.verifies([], of: signed))
            #expect(!material.verifies(Array(signature.dropLast()), of: signed))
        }
    }

    @Test("What is signed is verified, with every algorithm", arguments: JWTAlgorithm.allCases)
    func roundTrip(algorithm: JWTAlgorithm) throws {
        let key = try Self.key(algorithm, issuer: "edgvoip", role: .admin)
        let claims = Self.claims {
            $0.issuer = "edgvoip"
            $0.tenant = TenantID(Sample.uuid(1))
            $0.trunk = "t1"
            $0.provisioner = "edgvoip"
            $0.role = .operator
            $0.audience = ["other", "pronto"]
        }
        let text = try #require(JSONWebToken.signed(claims, with: key))
        let token = try JSONWebToken.Unverified(text.value)
        #expect(try token.verified(by: key, audience: "pronto", at: Self.now) == claims)
        // A key of the same id and algorithm that is another's.
        let other = try Self.key(algorithm, issuer: "edgvoip", role: .admin)
        #expect(Self.refusal { _ = try token.verified(by: other, audience: "pronto", at: Self.now) } == .forged)
        // The public half verifies, and does not sign.
        if let part = key.publicPart {
            var members = part.members ?? []
            members += [.init("iss", "edgvoip"), .init("role", "admin")]
            let half = try JSONWebKey(.object(members))
            #expect(!half.canSign && JSONWebToken.signed(claims, with: half) == nil)
            #expect(try token.verified(by: half, audience: "pronto", at: Self.now) == claims)
        }
    }

    @Test("The key fixes the algorithm: a token that names another is refused before its signature is looked at")
    func confusion() throws {
        let keys = try JWTAlgorithm.allCases.map { try Self.key($0) }
        for signer in keys {
            let text = try #require(JSONWebToken.signed(Self.claims(), with: signer)).value
            for key in keys where key.algorithm != signer.algorithm {
                let token = try JSONWebToken.Unverified(text)
                #expect(
                    Self.refusal { _ = try token.verified(by: key, audience: "pronto", at: Self.now) } == .algorithm)
            }
        }
        for (header, wanted) in [
            (#"{"alg":"none","kid":"k"}"#, JSONWebTokenError.algorithm), (#"{"alg":"HS512","kid":"k"}"#, .algorithm),
            (#"{"alg":"hs256","kid":"k"}"#, .algorithm), (#"{"kid":"k"}"#, .algorithm),
            (#"{"alg":"HS256"}"#, .unknownKey), (#"{"alg":"HS256","kid":"../k"}"#, .unknownKey),
            (#"{"alg":"HS256","kid":"k","crit":["exp"]}"#, .critical),
            (#"{"alg":"HS256","kid":"k","b64":false}"#, .critical),
            (#"{"alg":"HS256","alg":"none","kid":"k"}"#, .malformed),
            (#"{"alg":"HS256","kid":"k","typ":"JOSE"}"#, .malformed),
            (#"["HS256"]"#, .malformed), ("HS256", .malformed),
        ] {
            let text = "\(Base64URL.text(Array(header.utf8))).\(Base64URL.text(Array(#"{"exp":1}"#.utf8))).AAAA"
            #expect(Self.refusal { _ = try JSONWebToken.Unverified(text) } == wanted, "\(header)")
        }
    }

    @Test(
        "Shapes that are no token",
        arguments: [
            "", ".", "..", "a.b", "a.b.c.d", "a.b.c", "eyJ9.e30.AAAA", "é.é.é", "eyJhbGciOiJIUzI1NiJ9=.e30.AAAA",
        ])
    func shapes(text: String) {
        #expect(Self.refusal { _ = try JSONWebToken.Unverified(text) } != nil)
    }

    @Test("Too long is not looked at")
    func oversized() {
        #expect(Self.refusal { _ = try JSONWebToken.Unverified(String(repeating: "a", count: 8193)) } == .oversized)
    }

    @Test(
        "Claims of the wrong type, twice there or beyond all sense are malformed",
        arguments: [
            "{}", #"{"exp":"1760000300"}"#, #"{"exp":1e300}"#, #"{"exp":-1}"#, #"{"exp":1760000300,"exp":1760000300}"#,
            #"{"exp":1760000300,"iat":true}"#, #"{"exp":1760000300,"aud":7}"#, #"{"exp":1760000300,"aud":["a",1]}"#,
            #"{"exp":1760000300,"tenant_id":"x"}"#, #"{"exp":1760000300,"role":"root"}"#,
            #"{"exp":1760000300,"trunk_id":"a\nb"}"#, #"{"exp":1760000300,"sip_domain":""}"#, "[]", "null",
        ])
    func claimTypes(text: String) throws {
        let json = JSONValue(json: text) ?? .null
        #expect(TokenClaims(json) == nil)
    }

    @Test("Times, audience, issuer, role and tenant are checked")
    func checks() throws {
        let one = try Sample.tenantID(1)
        let key = try Self.key(.hs256, issuer: "edgvoip", role: .operator, tenant: one)
        func refusal(at seconds: Double = 0, _ edit: (inout TokenClaims) -> Void) throws -> JSONWebTokenError? {
            let claims = Self.claims {
                $0.issuer = "edgvoip"
                edit(&$0)
            }
            let text = try #require(JSONWebToken.signed(claims, with: key)).value
            let token = try JSONWebToken.Unverified(text)
            return Self.refusal {
                _ = try token.verified(by: key, audience: "pronto", at: Self.now.addingTimeInterval(seconds))
            }
        }
        #expect(try refusal { _ in } == nil)
        // The other clock may be half a minute off, and no more.
        #expect(try refusal(at: 329) { _ in } == nil)
        #expect(try refusal(at: 330) { _ in } == .expired)
        #expect(try refusal { $0.issuedAt = Self.now.addingTimeInterval(29) } == nil)
        #expect(try refusal { $0.issuedAt = Self.now.addingTimeInterval(31) } == .fromTheFuture)
        #expect(try refusal { $0.notBefore = Self.now.addingTimeInterval(31) } == .notYet)
        #expect(try refusal { $0.expiresAt = Self.now.addingTimeInterval(25 * 3600) } == .lifetime)
        #expect(
            try refusal {
                $0.issuedAt = nil
                $0.expiresAt = Self.now.addingTimeInterval(25 * 3600)
            } == .lifetime)
        #expect(try refusal { $0.audience = [] } == .audience)
        #expect(try refusal { $0.audience = ["Pronto"] } == .audience)
        #expect(try refusal { $0.issuer = nil } == .issuer)
        #expect(try refusal { $0.issuer = "mallory" } == .issuer)
        #expect(try refusal { $0.role = .operator } == nil)
        #expect(try refusal { $0.role = .admin } == .role)
        #expect(try refusal { $0.tenant = one } == nil)
        #expect(try refusal { $0.tenant = try? Sample.tenantID(2) } == .otherTenant)
    }

    @Test("A ring: a tenant's key speaks for it alone; an installation's for the tenant that is named; rotation")
    func ring() throws {
        let (one, two) = (try Sample.tenantID(1), try Sample.tenantID(2))
        func named(_ name: String) -> TenantID? { ["one.example": one, "two.example": two][name] }
        let old = try Self.key(.es256, id: "old")
        let new = try Self.key(.es256, id: "new")
        let ring = JWTKeyRing(installation: [old], audience: "pronto")
        func who(_ key: JSONWebKey, _ edit: (inout TokenClaims) -> Void = { _ in }) throws -> Result<
            TenantID, JSONWebTokenError
        > {
            let text = try #require(JSONWebToken.signed(Self.claims(edit), with: key)).value
            do throws(JSONWebTokenError) {
                return .success(try ring.verified(text, at: Self.now, tenantNamed: named).tenant)
            } catch {
                return .failure(error)
            }
        }
        #expect(try who(old) == .success(one))
        #expect(try who(old) { $0.domain = "TWO.example" } == .success(two))
        #expect(try who(old) { $0.domain = "three.example" } == .failure(.tenant))
        #expect(try who(old) { $0.domain = nil } == .failure(.tenant))
        #expect(try who(old) { $0.tenant = two } == .failure(.otherTenant))
        #expect(try who(new) == .failure(.unknownKey))
        // Both during the change, then the new one only.
        ring.replace(installation: [new, old])
        #expect(try who(old) == .success(one) && (try who(new)) == .success(one))
        ring.replace(installation: [new])
        #expect(try who(old) == .failure(.unknownKey))

        let text = try JSONWebKey.generated(.hs256, id: "theirs")
        let theirs = try #require(try JSONWebKey.set(text.value).first)
        let unread = ring.replace(tenants: [
            SigningKeyRecord(tenant: one, id: "theirs", key: text),
            SigningKeyRecord(tenant: two, id: "broken", key: Redacted("{}")),
            SigningKeyRecord(tenant: two, id: "locked", key: nil),
        ])
        #expect(unread.map(\.id) == ["broken", "locked"])
        #expect(try who(theirs) == .success(one))
        #expect(try who(theirs) { $0.domain = "two.example" } == .failure(.unknownKey))
        #expect(try who(theirs) { $0.domain = nil } == .failure(.unknownKey))

        // One tenant's part: the other's stays, and what is as it was is not read anew.
        #expect(ring.replace(tenants: [], of: [two]).isEmpty)
        #expect(try who(theirs) == .success(one))
        #expect(ring.replace(tenants: [SigningKeyRecord(tenant: one, id: "theirs", key: text)], of: [one]).isEmpty)
        #expect(try who(theirs) == .success(one))
        ring.replace(tenants: [], of: [one])
        #expect(try who(theirs) == .failure(.unknownKey))

        // Ours, for ourselves and for a gateway of the tenant's.
        let tenant = Tenant(id: two, name: "two.example")
        let own = try #require(ring.issue(for: tenant, trunk: "t", at: Self.now, lifetime: .seconds(60)))
        let said = try ring.verified(own.value, at: Self.now, tenantNamed: named)
        #expect(said.tenant == two && said.claims.trunk == "t" && said.claims.role == nil)
        let away = try #require(ring.issue(for: tenant, audience: "gateway", at: Self.now, lifetime: .seconds(60)))
        #expect(Self.refusal { _ = try ring.verified(away.value, at: Self.now, tenantNamed: named) } == .audience)
    }

    @Test(
        "Keys that are none, by entry and member",
        arguments: [
            (#"{"kty":"oct","alg":"HS256","k":"AAAA"}"#, "kid"), (#"{"kty":"oct","kid":"a","k":"AAAA"}"#, "alg"),
            (#"{"kty":"oct","kid":"a","alg":"none","k":"AAAA"}"#, "alg"),
            (#"{"kty":"oct","kid":"a","alg":"HS256","k":"AAAA"}"#, "k"),
            (#"{"kty":"oct","kid":"a","alg":"HS256","k":"AAA="}"#, "k"),
            (#"{"kty":"RSA","kid":"a","alg":"HS256","k":"AAAA"}"#, "kty"),
            (#"{"kty":"RSA","kid":"a","alg":"RS256","n":"AQAB","e":"AQAB"}"#, "n"),
            (#"{"kty":"EC","kid":"a","alg":"ES256","crv":"P-384","x":"AA","y":"AA"}"#, "crv"),
            (#"{"kty":"EC","kid":"a","alg":"ES256","crv":"P-256","x":"AA","y":"AA"}"#, "x"),
            (
                #"{"kty":"EC","kid":"a","alg":"ES256","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
                "x"
            ),
            (#"{"kty":"oct","kid":"a b","alg":"HS256","k":"AAAA"}"#, "kid"),
            (#"{"kty":"oct","kid":"a","alg":"HS256","use":"enc","k":"AAAA"}"#, "use"),
            (#"{"kty":"oct","kid":"a","alg":"HS256","role":"root","k":"AAAA"}"#, "role"),
        ])
    func badKeys(text: String, member: String) {
        do throws(JSONWebKeyError) {
            _ = try JSONWebKey.set("{\"keys\":[\(text)]}")
            Issue.record("taken")
        } catch {
            guard case .member(1, let name, _) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(name == member)
        }
    }

    @Test("Keys and tokens do not print")
    func printing() throws {
        let text = try JSONWebKey.generated(.hs256, id: "k")
        let key = try #require(try JSONWebKey.set(text.value).first)
        let secret = try #require(JSONValue(json: text.value)?["k"]?.text)
        var dumped = ""
        dump(key, to: &dumped)
        for shown in ["\(text)", "\(key)", dumped] { #expect(!shown.contains(secret)) }
        #expect(APITokenSecret.hash(of: "pronto_x") == nil)
        let made = try APITokenSecret.generated(tenant: nil, name: "n", role: .viewer, at: Self.now)
        #expect(made.text.value.utf8.count == 50 && made.text.value.hasPrefix(made.token.prefix))
        #expect(APITokenSecret.hash(of: made.text.value) == made.token.hash && made.token.hash.utf8.count == 64)
        #expect(!"\(made)".contains(made.text.value))
    }
}
