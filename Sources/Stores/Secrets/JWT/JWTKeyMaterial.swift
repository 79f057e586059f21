import COpenSSL
import Telephony

/// The algorithms that signed tokens may have (RFC 7518 §3.1). Others are refused by being unknown: `none` above all.
package enum JWTAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
}

/// What signs and verifies: bytes, or a key of OpenSSL's. Bound to one algorithm, so that a token cannot choose another.
///
/// `@unchecked Sendable`: OpenSSL counts references of a finished key atomically, and nothing changes it any more.
final class JWTKeyMaterial: @unchecked Sendable {
    private enum Kind {
        case secret([UInt8])
        case pair(OpaquePointer)
    }
    private let kind: Kind
    let algorithm: JWTAlgorithm
    /// It has the private half.
    let canSign: Bool

    /// RFC 7518 §3.2: at least as long as the hash.
    static let shortestSecret = 32
    /// RFC 7518 §3.3.
    static let shortestModulus = 2048
    private static let publicHalf: Int32 = 0x86
    private static let bothHalves: Int32 = 0x87

    /// Nil: too short.
    init?(secret: [UInt8]) {
        guard secret.count >= Self.shortestSecret else { return nil }
        self.kind = .secret(secret)
        self.algorithm = .hs256
        self.canSign = true
    }

    private init(_ key: OpaquePointer, _ algorithm: JWTAlgorithm, canSign: Bool) {
        self.kind = .pair(key)
        self.algorithm = algorithm
        self.canSign = canSign
    }

    deinit { if case .pair(let key) = self.kind { EVP_PKEY_free(key) } }

    /// The members of RFC 7518 §6.3 in their order: n, e, and, of a private key, d, p, q, dp, dq, qi. Nil: no RSA key of
    /// at least 2048 bits.
    static func rsa(_ numbers: [[UInt8]]) -> JWTKeyMaterial? {
        let names = ["n", "e", "d", "rsa-factor1", "rsa-factor2", "rsa-exponent1", "rsa-exponent2", "rsa-coefficient1"]
        guard numbers.count == 2 || numbers.count == names.count else { return nil }
        let isPrivate = numbers.count > 2
        let key = Self.make("RSA", isPrivate ? Self.bothHalves : Self.publicHalf) { builder in
            zip(names, numbers).allSatisfy { builder.push($0, number: $1) }
        }
        guard let key else { return nil }
        guard EVP_PKEY_get_bits(key) >= Self.shortestModulus, Self.isSound(key, isPrivate: isPrivate) else {
            EVP_PKEY_free(key)
            return nil
        }
        return JWTKeyMaterial(key, .rs256, canSign: isPrivate)
    }

    /// A point of P-256, and the private number (RFC 7518 §6.2). Nil: not on the curve, or not 32 bytes each.
    static func ec(x: [UInt8], y: [UInt8], d: [UInt8]?) -> JWTKeyMaterial? {
        guard x.count == 32, y.count == 32, d == nil || d?.count == 32 else { return nil }
        let key = Self.make("EC", d == nil ? Self.publicHalf : Self.bothHalves) { builder in
            builder.push("group", text: "P-256") && builder.push("pub", bytes: [4] + x + y)
                && (d.map { builder.push("priv", number: $0) } ?? true)
        }
        guard let key else { return nil }
        guard Self.isSound(key, isPrivate: d != nil) else {
            EVP_PKEY_free(key)
            return nil
        }
        return JWTKeyMaterial(key, .es256, canSign: d != nil)
    }

    private static func isSound(_ key: OpaquePointer, isPrivate: Bool) -> Bool {
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else { return false }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_public_check(context) == 1 else { return false }
        return !isPrivate || EVP_PKEY_pairwise_check(context) == 1
    }

    private static func make(
        _ type: String, _ selection: Int32, _ fill: (KeyParameters) -> Bool
    ) -> OpaquePointer? {
        guard let builder = KeyParameters(), fill(builder) else { return nil }
        // The numbers have to live until they are copied.
        let made = withExtendedLifetime(builder) { OSSL_PARAM_BLD_to_param(builder.builder) }
        guard let parameters = made else { return nil }
        defer { OSSL_PARAM_free(parameters) }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_fromdata_init(context) == 1, EVP_PKEY_fromdata(context, &key, selection, parameters) == 1 else {
            EVP_PKEY_free(key)
            return nil
        }
        return key
    }

    // MARK: Signing

    /// The signature as a token carries it; nil: there is no private half, or OpenSSL has no memory.
    func signature(of text: [UInt8]) -> [UInt8]? {
        switch self.kind {
        case .secret(let secret): return Self.mac(text, secret)
        case .pair(let key):
            guard self.canSign, let context = EVP_MD_CTX_new() else { return nil }
            defer { EVP_MD_CTX_free(context) }
            var length = 0
            guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
                EVP_DigestSign(context, nil, &length, text, text.count) == 1
            else { return nil }
            var signature = [UInt8](repeating: 0, count: length)
            guard EVP_DigestSign(context, &signature, &length, text, text.count) == 1 else { return nil }
            signature.removeLast(signature.count - length)
            return self.algorithm == .es256 ? Self.raw(signature) : signature
        }
    }

    func verifies(_ signature: [UInt8], of text: [UInt8]) -> Bool {
        switch self.kind {
        case .secret(let secret):
            guard let wanted = Self.mac(text, secret), wanted.count == signature.count else { return false }
            return CRYPTO_memcmp(signature, wanted, wanted.count) == 0
        case .pair(let key):
            guard let encoded = self.algorithm == .es256 ? Self.encoded(signature) : signature,
                let context = EVP_MD_CTX_new()
            else { return false }
            defer { EVP_MD_CTX_free(context) }
            return EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1
                && EVP_DigestVerify(context, encoded, encoded.count, text, text.count) == 1
        }
    }

    private static func mac(_ text: [UInt8], _ secret: [UInt8]) -> [UInt8]? {
        var mac = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        var length: UInt32 = 0
        guard let size = Int32(exactly: secret.count),
            HMAC(EVP_sha256(), secret, size, text, text.count, &mac, &length) != nil, length == mac.count
        else { return nil }
        return mac
    }

    /// RFC 7518 §3.4: R and S, 32 bytes each; OpenSSL has them in DER.
    private static func raw(_ encoded: [UInt8]) -> [UInt8]? {
        encoded.withUnsafeBufferPointer { buffer -> [UInt8]? in
            var pointer = buffer.baseAddress
            guard let pair = d2i_ECDSA_SIG(nil, &pointer, encoded.count) else { return nil }
            defer { ECDSA_SIG_free(pair) }
            var raw = [UInt8](repeating: 0, count: 64)
            let isWhole = raw.withUnsafeMutableBufferPointer { raw -> Bool in
                guard let base = raw.baseAddress else { return false }
                return BN_bn2binpad(ECDSA_SIG_get0_r(pair), base, 32) == 32
                    && BN_bn2binpad(ECDSA_SIG_get0_s(pair), base + 32, 32) == 32
            }
            return isWhole ? raw : nil
        }
    }

    private static func encoded(_ raw: [UInt8]) -> [UInt8]? {
        guard raw.count == 64, let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        let (r, s) = (BN_bin2bn(Array(raw[..<32]), 32, nil), BN_bin2bn(Array(raw[32...]), 32, nil))
        // On success the pair owns both.
        guard r != nil, s != nil, ECDSA_SIG_set0(pair, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        var pointer: UnsafeMutablePointer<UInt8>?
        let length = i2d_ECDSA_SIG(pair, &pointer)
        guard length > 0, let pointer else { return nil }
        defer { CRYPTO_free(pointer, nil, 0) }
        return Array(UnsafeBufferPointer(start: pointer, count: Int(length)))
    }

    // MARK: Making

    /// A new key as the members of a JSON Web Key, base64url each. Nil: OpenSSL failed.
    static func generated(_ algorithm: JWTAlgorithm) -> [(name: String, value: String)]? {
        switch algorithm {
        case .hs256:
            var secret = [UInt8](repeating: 0, count: Self.shortestSecret)
            guard RAND_bytes(&secret, Int32(secret.count)) == 1 else { return nil }
            return [("k", Base64URL.text(secret))]
        case .rs256:
            let names = [
                ("n", "n"), ("e", "e"), ("d", "d"), ("p", "rsa-factor1"), ("q", "rsa-factor2"),
                ("dp", "rsa-exponent1"), ("dq", "rsa-exponent2"), ("qi", "rsa-coefficient1"),
            ]
            return Self.generated("RSA", names, width: nil) {
                EVP_PKEY_CTX_set_rsa_keygen_bits($0, Int32(Self.shortestModulus)) == 1
            }
        case .es256:
            return Self.generated("EC", [("x", "qx"), ("y", "qy"), ("d", "priv")], width: 32) {
                EVP_PKEY_CTX_set_group_name($0, "P-256") == 1
            }
        }
    }

    private static func generated(
        _ type: String, _ names: [(String, String)], width: Int32?, _ configure: (OpaquePointer) -> Bool
    ) -> [(name: String, value: String)]? {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, configure(context), EVP_PKEY_generate(context, &key) == 1,
            let key
        else { return nil }
        defer { EVP_PKEY_free(key) }
        var members: [(name: String, value: String)] = []
        for (member, parameter) in names {
            var number: OpaquePointer?
            guard EVP_PKEY_get_bn_param(key, parameter, &number) == 1, let number else { return nil }
            defer { BN_clear_free(number) }
            let length = width ?? (BN_num_bits(number) + 7) / 8
            var bytes = [UInt8](repeating: 0, count: Int(length))
            guard BN_bn2binpad(number, &bytes, length) == length else { return nil }
            members.append((member, Base64URL.text(bytes)))
        }
        return members
    }
}

/// What a key of OpenSSL's is made from. Holds the numbers until it is.
private final class KeyParameters {
    let builder: OpaquePointer
    private var numbers: [OpaquePointer] = []
    /// The builder copies neither names nor texts nor bytes before it is asked for the parameters.
    private var kept: [UnsafeMutableRawBufferPointer] = []

    init?() {
        guard let builder = OSSL_PARAM_BLD_new() else { return nil }
        self.builder = builder
    }

    deinit {
        OSSL_PARAM_BLD_free(self.builder)
        for number in self.numbers { BN_clear_free(number) }
        for bytes in self.kept { bytes.deallocate() }
    }

    func push(_ name: String, number bytes: [UInt8]) -> Bool {
        guard (1...1024).contains(bytes.count), let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else {
            return false
        }
        self.numbers.append(number)
        return OSSL_PARAM_BLD_push_BN(self.builder, self.keep(name), number) == 1
    }

    func push(_ name: String, text: String) -> Bool {
        OSSL_PARAM_BLD_push_utf8_string(self.builder, self.keep(name), self.keep(text), text.utf8.count) == 1
    }

    func push(_ name: String, bytes: [UInt8]) -> Bool {
        OSSL_PARAM_BLD_push_octet_string(self.builder, self.keep(name), self.keep(bytes), bytes.count) == 1
    }

    private func keep(_ text: String) -> UnsafeMutablePointer<CChar> {
        self.keep(Array(text.utf8) + [0]).bindMemory(to: CChar.self, capacity: text.utf8.count + 1)
    }

    private func keep(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
        copy.copyBytes(from: bytes)
        self.kept.append(copy)
        guard let base = copy.baseAddress else { preconditionFailure("an allocation has an address") }
        return base
    }
}
