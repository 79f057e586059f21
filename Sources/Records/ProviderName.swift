/// The slug of an assistant back end, such as `openai`: safe in logs and metric labels.
package struct ProviderName: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil unless `text` is 1–32 of `a`–`z`, `0`–`9`, `_` and `-`.
    package init?(_ text: some StringProtocol) {
        let isSlug = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isSlug, (1...32).contains(text.utf8.count) else { return nil }
        self.text = String(text)
    }

    private init(known: String) { self.text = known }

    /// OpenAI Realtime and servers that speak its protocol.
    package static let openAI = ProviderName(known: "openai")
    /// ElevenLabs Agents.
    package static let elevenLabs = ProviderName(known: "elevenlabs")
    /// Google's Gemini Live.
    package static let gemini = ProviderName(known: "gemini")
    /// The embedded assistant: no key, no network.
    package static let local = ProviderName(known: "local")

    package var description: String { self.text }
}
