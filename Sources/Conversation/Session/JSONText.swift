import Telephony

/// The little JSON that the conversation itself reads and writes: tool arguments and results, a few times a call.
extension JSONText {
    /// The string value of `key` in the top-level object of `text`; nil when there is none, or no JSON.
    static func string(_ key: StaticString, in text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { bytes in
            guard let document = try? JSONScan(bytes) else { return nil }
            return document[key]?.string
        }
    }
}
