import Foundation
import Telephony

/// A key that lies unencrypted among an account's settings, as older systems have it: `{"api_key": "sk-…", "model": …}`.
///
/// It serves, so that an adopted database answers calls at once; it never leaves the store in the settings' text; and
/// `rotateSecrets()` moves it to where it is encrypted.
struct PlainKey {
    /// The names that a key has been seen under, the likeliest first.
    private static let names = [
        "api_key", "apikey", "api_token", "access_token", "xi_api_key", "token", "key", "secret",
    ]

    let key: Redacted<String>
    /// The settings without it, and without the other names' values: one account has one key.
    let rest: String

    /// Nil: the text has none, or is no JSON object.
    init?(in configuration: String) {
        // Most have none: that is known without reading the JSON.
        guard configuration != "{}" else { return nil }
        let lower = configuration.lowercased()
        guard Self.names.contains(where: { lower.contains("\"\($0)\"") }),
            var object = (try? JSONSerialization.jsonObject(with: Data(configuration.utf8))) as? [String: Any]
        else { return nil }
        var found: String?
        for name in Self.names {
            for stored in object.keys where stored.lowercased() == name {
                guard let text = object[stored] as? String else { continue }
                object[stored] = nil
                if found == nil, !text.isEmpty { found = text }
            }
        }
        guard let found,
            let data = try? JSONSerialization.data(
                withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        else { return nil }
        self.key = Redacted(found)
        self.rest = String(decoding: data, as: UTF8.self)
    }
}
