import COpenSSL

/// A text's SHA-256 (FIPS 180-4), as names of things are kept whose own text must not be, or may be too long.
package enum TextDigest {
    /// In 64 hexadecimal digits.
    package static func hex(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(bytes, bytes.count, &digest)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
