/// What services count when they bill. The names are those of the price table.
package enum UsageMeter: String, CaseIterable, Sendable {
    /// Tokens of text that a model read, without those that it had kept.
    case textIn = "text_in"
    case textInCached = "text_in_cached"
    case textOut = "text_out"
    case audioIn = "audio_in"
    case audioInCached = "audio_in_cached"
    case audioOut = "audio_out"
    /// Characters that a voice was given.
    case characters
    /// Milliseconds of audio that a recogniser was given.
    case heard
    /// Milliseconds that a session stood.
    case connected

    /// Whether it is a time, priced by the minute; the others are counted, and priced by the million.
    package var isTime: Bool { self == .heard || self == .connected }
}

extension AssistantUsage {
    /// What is to be paid for, by what it is counted in. Nothing below zero, whatever a server said.
    package func quantity(_ meter: UsageMeter) -> Int {
        let quantity =
            switch meter {
            case .textIn: Self.others(than: self.cachedTextTokens, of: self.inputTextTokens)
            case .textInCached: self.cachedTextTokens
            case .textOut: self.outputTextTokens
            case .audioIn: Self.others(than: self.cachedAudioTokens, of: self.inputAudioTokens)
            case .audioInCached: self.cachedAudioTokens
            case .audioOut: self.outputAudioTokens
            case .characters: self.characters
            case .heard: self.heard.milliseconds
            case .connected: self.connected.milliseconds
            }
        return max(0, quantity)
    }

    /// What was not kept. Neither below zero before the subtraction: it could overflow.
    private static func others(than kept: Int, of all: Int) -> Int { max(0, all) - min(max(0, kept), max(0, all)) }
}
