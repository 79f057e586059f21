import Telephony

/// Decides when a caller's turn is over: by the silence, by how finished the words sound, by how this caller pauses.
///
/// The configured silence is the measure. Words that end like a sentence need less of it; words that end in "and", or a
/// comma, or none yet, need more. A caller who has gone on after longer pauses is given longer ones, up to twice.
struct Endpointing: Sendable {
    private let silence: Duration
    private let dangling: Set<String>
    /// How long this caller's pauses within turns have been, weighted towards the newest.
    private var pace: Duration = .zero
    private var silentSince: Duration?
    private var committedAt: Duration?

    init(silence: Duration, language: String) {
        self.silence = silence
        self.dangling =
            switch SpokenLanguage(tag: language) {
            case .english:
                ["and", "or", "but", "because", "so", "the", "a", "to", "of", "with", "for", "my", "is", "um", "uh"]
            case .italian:
                [
                    "e", "o", "ma", "perché", "che", "il", "la", "un", "una", "di", "a", "con", "per", "mio", "allora",
                    "ehm",
                ]
            case .portuguese:
                [
                    "e", "ou", "mas", "porque", "que", "o", "a", "um", "uma", "de", "para", "com", "meu", "então", "é",
                    "hum",
                ]
            }
    }

    mutating func speechStarted(at now: Duration) {
        // A turn that was closed just before was closed too early.
        let pause =
            self.silentSince ?? self.committedAt.flatMap { now - $0 < .milliseconds(900) ? $0 - self.silence : nil }
        if let pause, now - pause < .seconds(3) { self.pace = (self.pace + (now - pause)) / 2 }
        self.silentSince = nil
        self.committedAt = nil
    }

    /// - Parameter since: when the caller fell silent; before the detector's report, by its own patience.
    mutating func speechStopped(since: Duration) { self.silentSince = since }
    mutating func committed(at now: Duration) {
        self.silentSince = nil
        self.committedAt = now
    }

    /// The answer sounds: what the caller says from now on is no rest of the turn before.
    mutating func answered() { self.committedAt = nil }

    /// When the turn is over if the caller stays silent; nil while they speak.
    func deadline(words: String) -> Duration? { self.silentSince.map { $0 + self.wait(after: words) } }

    func wait(after words: String) -> Duration {
        let paced = min(max(self.silence, self.pace * 5 / 4), self.silence * 2)
        guard let last = words.last(where: { !$0.isWhitespace }) else { return paced }
        if ".!?".contains(last) { return min(paced, max(self.silence * 7 / 10, .milliseconds(200))) }
        let word = words.split(whereSeparator: { $0.isWhitespace || $0 == "," }).last.map { $0.lowercased() } ?? ""
        let isOpen = last == "," || last == "…" || self.dangling.contains(word)
        return isOpen ? min(paced * 3 / 2, self.silence * 2) : paced
    }
}
