import Foundation
import Records
import Telephony

/// Why a text holds no keys that tokens can be signed and verified with. Says where, never what.
package enum JSONWebKeyError: Error, Equatable, CustomStringConvertible {
    case unreadableFile
    /// No JSON object with `keys`, and no key itself.
    case notAKeySet
    case empty
    /// The entry (from 1) and the member that is missing or wrong.
    case member(entry: Int, name: String, needed: String)
    case repeatedIdentifier(entry: Int)
    case generationFailed

    package var description: String {
        switch self {
        case .unreadableFile: "the file of keys cannot be read"
        case .notAKeySet: "the text is no JSON Web Key Set (RFC 7517 §5): {\"keys\": [{…}]}"
        case .empty: "the set holds no key"
        case .member(let entry, let name, let needed): "key \(entry): \(name) must be \(needed)"
        case .repeatedIdentifier(let entry): "key \(entry): kid is another key's too"
        case .generationFailed: "OpenSSL made no key"
        }
    }
}

/// A key of signed tokens (RFC 7517), bound to one algorithm, and what its tokens may say.
///
/// Beside the RFC's members two of our own are read (RFC 7517 §4 lets there be others): `iss`, the issuer whose key it is,
/// and `role`, the most that its tokens may ask for (default `viewer`).
package struct JSONWebKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// `kid`.
    package let id: String
    /// Tokens must name this issuer; nil: whichever.
    package let issuer: String?
    /// The most that its tokens may be allowed.
    package let role: AccessRole
    /// Whose key it is; nil: the installation's, whose tokens name their tenant.
    package let tenant: TenantID?
    let material: JWTKeyMaterial
    /// The public members; nil for a shared secret, which has none.
    package let publicPart: JSONValue?

    package var algorithm: JWTAlgorithm { self.material.algorithm }
    package var canSign: Bool { self.material.canSign }
    package var description: String { "‹key \(self.id)›" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    /// Reads one key. `entry`: its place in its set, for errors.
    package init(_ json: JSONValue, entry: Int = 1, tenant: TenantID? = nil) throws(JSONWebKeyError) {
        func wrong(_ name: String, _ needed: String) -> JSONWebKeyError {
            .member(entry: entry, name: name, needed: needed)
        }
        func bytes(_ name: String) throws(JSONWebKeyError) -> [UInt8] {
            guard let text = json[name]?.text, let bytes = Base64URL.bytes(text), (1...1024).contains(bytes.count)
            else { throw wrong(name, "base64url without padding") }
            return bytes
        }
        guard let id = json["kid"]?.text, Self.isIdentifier(id) else {
            throw wrong("kid", "1 to 128 of a-z, A-Z, 0-9, -, _ and .")
        }
        guard let algorithm = json["alg"]?.text.flatMap({ JWTAlgorithm(rawValue: $0) }) else {
            throw wrong("alg", "HS256, RS256 or ES256")
        }
        if let use = json["use"], use != "sig" { throw wrong("use", "sig, or left out") }
        self.id = id
        self.tenant = tenant
        if let issuer = json["iss"], !issuer.isNull {
            guard let text = issuer.text, (1...256).contains(text.utf8.count) else {
                throw wrong("iss", "a text of 1 to 256 bytes, or left out")
            }
            self.issuer = text
        } else {
            self.issuer = nil
        }
        if let role = json["role"], !role.isNull {
            guard let known = role.text.flatMap({ AccessRole(rawValue: $0) }) else {
                throw wrong("role", "viewer, operator or admin, or left out")
            }
            self.role = known
        } else {
            self.role = .viewer
        }
        let isPrivate = json["d"] != nil
        let kind = json["kty"]?.text
        switch algorithm {
        case .hs256:
            guard kind == "oct" else { throw wrong("kty", "oct for HS256") }
            guard let material = JWTKeyMaterial(secret: try bytes("k")) else {
                throw wrong("k", "at least \(JWTKeyMaterial.shortestSecret) bytes (RFC 7518 §3.2)")
            }
            self.material = material
            self.publicPart = nil
        case .rs256:
            guard kind == "RSA" else { throw wrong("kty", "RSA for RS256") }
            var numbers: [[UInt8]] = []
            for name in isPrivate ? ["n", "e", "d", "p", "q", "dp", "dq", "qi"] : ["n", "e"] {
                numbers.append(try bytes(name))
            }
            guard let material = JWTKeyMaterial.rsa(numbers) else {
                throw wrong("n", "a sound RSA key of at least \(JWTKeyMaterial.shortestModulus) bits")
            }
            self.material = material
            self.publicPart = Self.publicPart(json, ["n", "e"])
        case .es256:
            guard kind == "EC" else { throw wrong("kty", "EC for ES256") }
            guard json["crv"] == "P-256" else { throw wrong("crv", "P-256") }
            let secret = isPrivate ? try bytes("d") : nil
            guard let material = JWTKeyMaterial.ec(x: try bytes("x"), y: try bytes("y"), d: secret) else {
                throw wrong("x", "with y a point of P-256, 32 bytes each, and d its number")
            }
            self.material = material
            self.publicPart = Self.publicPart(json, ["crv", "x", "y"])
        }
    }

    private static func publicPart(_ json: JSONValue, _ names: [String]) -> JSONValue {
        .object(
            (["kty", "kid", "alg"] + names).compactMap { name in json[name].map { JSONValue.Member(name, $0) } }
                + [JSONValue.Member("use", "sig")])
    }

    /// What may stand in a header, a log line and a path.
    package static func isIdentifier(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { Base64URL.isDigit($0) || $0 == UInt8(ascii: ".") }
    }

    /// All keys of a set, or the one key that the text is.
    package static func set(_ text: String, tenant: TenantID? = nil) throws(JSONWebKeyError) -> [JSONWebKey] {
        guard text.utf8.count <= 1_000_000, let json = JSONValue(json: text) else { throw .notAKeySet }
        let entries: [JSONValue]
        if let listed = json["keys"]?.elements {
            entries = listed
        } else if json["kty"] != nil {
            entries = [json]
        } else {
            throw .notAKeySet
        }
        var keys: [JSONWebKey] = []
        for (index, entry) in entries.enumerated() {
            let key = try JSONWebKey(entry, entry: index + 1, tenant: tenant)
            guard !keys.contains(where: { $0.id == key.id }) else { throw .repeatedIdentifier(entry: index + 1) }
            keys.append(key)
        }
        guard !keys.isEmpty else { throw .empty }
        return keys
    }

    /// The keys of a file (`PRONTO_JWT_KEYS_FILE`).
    package static func set(file path: String) throws(JSONWebKeyError) -> [JSONWebKey] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw .unreadableFile }
        return try Self.set(text)
    }

    /// A new private key's JSON text.
    package static func generated(
        _ algorithm: JWTAlgorithm, id: String, issuer: String? = nil, role: AccessRole? = nil
    ) throws(JSONWebKeyError) -> Redacted<String> {
        guard Self.isIdentifier(id) else {
            throw .member(entry: 1, name: "kid", needed: "1 to 128 of a-z, A-Z, 0-9, -, _ and .")
        }
        guard let members = JWTKeyMaterial.generated(algorithm) else { throw .generationFailed }
        let kind: JSONValue =
            switch algorithm {
            case .hs256: "oct"
            case .rs256: "RSA"
            case .es256: "EC"
            }
        var json: [JSONValue.Member] = [
            .init("kty", kind), .init("kid", .string(id)), .init("alg", .string(algorithm.rawValue)),
            .init("use", "sig"),
        ]
        if algorithm == .es256 { json.append(.init("crv", "P-256")) }
        json += members.map { .init($0.name, .string($0.value)) }
        if let issuer { json.append(.init("iss", .string(issuer))) }
        if let role { json.append(.init("role", .string(role.rawValue))) }
        return Redacted(JSONValue.object(json).json)
    }
}
