import Foundation
import Records
import Telephony

/// Keys that lie unencrypted among an account's settings, as older systems have them: `{"api_key": "sk-…", "model": …}`;
/// an account of theirs may have those of several providers in one (`deepgram_key`, `groq_key`).
///
/// The likeliest serves, so that an adopted database answers calls at once; none leaves the store in the settings' text;
/// and `rotateSecrets()` moves the one to where it is encrypted, and encrypts the others where they are: nothing that
/// somebody else may still need is destroyed.
struct PlainKey {
    /// The names that a key has been seen under, the likeliest first.
    private static let names = [
        "api_key", "apikey", "api_token", "access_token", "xi_api_key", "token", "key", "secret", "openai_key",
        "elevenlabs_key", "google_key", "anthropic_key", "deepgram_key", "groq_key",
    ]

    /// The one that serves; nil: all that there are, are encrypted.
    let key: Redacted<String>?
    /// What it is called there.
    let name: String
    /// The settings without keys.
    let rest: String
    /// Keys beside it, by the names that they are stored under: in the clear, or as `SecretBox` seals them.
    let others: Redacted<[String: String]>

    /// Nil: the text has none, or is no JSON object.
    init?(in configuration: String) {
        // Most have none: that is known without reading the JSON.
        guard configuration != "{}" else { return nil }
        let lower = configuration.lowercased()
        guard Self.names.contains(where: { lower.contains("\"\($0)\"") }),
            var object = (try? JSONSerialization.jsonObject(with: Data(configuration.utf8))) as? [String: Any]
        else { return nil }
        var (found, called): (String?, String) = (nil, "")
        var others: [String: String] = [:]
        for name in Self.names {
            for stored in object.keys.sorted() where stored.lowercased() == name {
                guard let text = object[stored] as? String else { continue }
                object[stored] = nil
                guard !text.isEmpty, text != found else { continue }
                if found == nil, !SecretBox.isSealed(text) {
                    (found, called) = (text, stored)
                } else {
                    others[stored] = text
                }
            }
        }
        guard found != nil || !others.isEmpty, let rest = Self.text(object) else { return nil }
        self.key = found.map { Redacted($0) }
        self.name = called
        self.rest = rest
        self.others = Redacted(others)
    }

    /// The settings as they are to be stored beside `secret`: what is another key than that in them, encrypted for `owner`.
    func stored(beside secret: String?, _ box: SecretBox, for owner: String) throws(StoreError) -> String {
        var others = self.others.value
        if let key = self.key?.value, key != secret { others[self.name] = key }
        return try Self.adding(others, to: self.rest, box, for: owner)
    }

    /// `settings` with `keys` in them, encrypted anew with the first key.
    static func adding(
        _ keys: [String: String], to settings: String, _ box: SecretBox, for owner: String
    ) throws(StoreError) -> String {
        guard !keys.isEmpty else { return settings }
        guard var object = (try? JSONSerialization.jsonObject(with: Data(settings.utf8))) as? [String: Any] else {
            throw StoreError(.invalid, "config is no JSON object")
        }
        for (name, value) in keys {
            let place = "\(owner)/config/\(name)"
            let plain = SecretBox.isSealed(value) ? try box.opened(value, for: place) : value
            object[name] = try box.sealed(plain, for: place)
        }
        guard let text = Self.text(object) else { throw StoreError(.failed, "config does not encode") }
        return text
    }

    private static func text(_ object: [String: Any]) -> String? {
        (try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes]))
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
