import COpenSSL
import Foundation
import Records

/// Encrypts one secret for one row: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits.
///
/// The stored text is `v1:KEYID:BASE64(nonce, ciphertext, tag)`. The row's owner is authenticated with it: a ciphertext
/// that is copied to another tenant's row does not open.
struct SecretBox {
    private static let nonceLength = 12
    private static let tagLength = 16
    let keys: KeyList

    func sealed(_ secret: String, for owner: String) throws(StoreError) -> String {
        let key = self.keys.current
        let nonce = try Self.random(Self.nonceLength)
        let plain = Array(secret.utf8)
        var cipher = [UInt8](repeating: 0, count: plain.count)
        var tag = [UInt8](repeating: 0, count: Self.tagLength)
        let owner = Array(owner.utf8)
        guard let context = EVP_CIPHER_CTX_new() else { throw Self.failure }
        defer { EVP_CIPHER_CTX_free(context) }
        var length: Int32 = 0
        guard let size = Int32(exactly: plain.count), let ownerSize = Int32(exactly: owner.count),
            EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nil, key.bytes, nonce) == 1,
            EVP_EncryptUpdate(context, nil, &length, owner, ownerSize) == 1,
            EVP_EncryptUpdate(context, &cipher, &length, plain, size) == 1, length == size,
            // GCM is a stream cipher: the end adds nothing.
            EVP_EncryptFinal_ex(context, &tag, &length) == 1, length == 0,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagLength), &tag) == 1
        else { throw Self.failure }
        return "v1:\(key.id):\(Data(nonce + cipher + tag).base64EncodedString())"
    }

    /// Whether a text is what `sealed` makes, by its look.
    static func isSealed(_ text: String) -> Bool {
        text.hasPrefix("v1:") && text.split(separator: ":", omittingEmptySubsequences: false).count == 3
    }

    func opened(_ text: String, for owner: String) throws(StoreError) -> String {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "v1", let data = Data(base64Encoded: String(parts[2])),
            data.count >= Self.nonceLength + Self.tagLength
        else { throw StoreError(.unreadableSecret, "the stored secret has no shape that this program knows") }
        guard let key = self.keys.key(parts[1]) else {
            throw StoreError(.unreadableSecret, "the secret was encrypted with a key that is not configured")
        }
        let bytes = [UInt8](data)
        let nonce = Array(bytes.prefix(Self.nonceLength))
        var tag = Array(bytes.suffix(Self.tagLength))
        let cipher = Array(bytes.dropFirst(Self.nonceLength).dropLast(Self.tagLength))
        var plain = [UInt8](repeating: 0, count: cipher.count)
        let owner = Array(owner.utf8)
        var end: [UInt8] = [UInt8](repeating: 0, count: 16)
        guard let context = EVP_CIPHER_CTX_new() else { throw Self.failure }
        defer { EVP_CIPHER_CTX_free(context) }
        var length: Int32 = 0
        guard let size = Int32(exactly: cipher.count), let ownerSize = Int32(exactly: owner.count),
            EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nil, key.bytes, nonce) == 1,
            EVP_DecryptUpdate(context, nil, &length, owner, ownerSize) == 1,
            EVP_DecryptUpdate(context, &plain, &length, cipher, size) == 1, length == size,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagLength), &tag) == 1
        else { throw Self.failure }
        guard EVP_DecryptFinal_ex(context, &end, &length) == 1 else {
            throw StoreError(
                .unreadableSecret, "the secret was changed, moved to another row, or the key is a wrong one")
        }
        guard let secret = String(validating: plain, as: UTF8.self) else { throw Self.failure }
        return secret
    }

    static func random(_ count: Int) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw Self.failure }
        return bytes
    }

    private static let failure = StoreError(.failed, "OpenSSL refused to encrypt or decrypt")
}
