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

    /// `text` as a JSON string with its quotes.
    static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        Self.appendString(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
