import COpenSSL
import Foundation
import Records
import Telephony

/// The text of an API token: `pronto_` and 256 random bits in base64url. Shown once, when it is made.
package enum APITokenSecret {
    private static let mark = "pronto_"
    private static let length = 50

    /// A new token's text, and the record of it.
    package static func generated(
        tenant: TenantID?, name: String, role: AccessRole, at now: Date, expiresAt: Date? = nil
    ) throws(StoreError) -> (text: Redacted<String>, token: APIToken) {
        let text = Self.mark + Base64URL.text(try SecretBox.random(32))
        guard let id = APITokenID(UUID().uuidString), let hash = Self.hash(of: text) else {
            throw StoreError(.failed, "OpenSSL made no token")
        }
        let token = APIToken(
            id: id, tenant: tenant, name: name, role: role, prefix: String(text.prefix(Self.mark.count + 6)),
            hash: hash, createdAt: now, expiresAt: expiresAt)
        return (Redacted(text), token)
    }

    /// What the store is asked for; nil: the text is no token's.
    package static func hash(of text: String) -> String? {
        guard text.utf8.count == Self.length, text.hasPrefix(Self.mark),
            text.utf8.dropFirst(Self.mark.count).allSatisfy(Base64URL.isDigit)
        else { return nil }
        return TextDigest.hex(text)
    }
}
