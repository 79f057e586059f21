import Audio
import Telephony

/// Whether the caller has spoken to a server that tells little about turns, by level alone.
///
/// Gemini and ElevenLabs do not say "the caller stopped": the reply itself is the sign. Two questions are left open by
/// that. Is a late transcript about speech of this moment (`hasJustSpoken`)? And has the caller said something long, to
/// which nothing at all has come back (`isUnanswered`): is this server connected and deaf? It decides no turn.
struct SpokenTo: Sendable {
    /// Louder than this counts as voice, in dBFS: a telephone's silence lies far below, a close talker far above.
    static let level = -42.0
    /// Voice that is more than a cough or a slammed door.
    static let sentence: Duration = .seconds(1)
    /// Gaps within speech.
    private static let gap: Duration = .seconds(1)

    private var voiced: Duration = .zero
    private(set) var lastVoiced: Duration?

    init() {}

    /// A frame of the caller that ends at `now`.
    mutating func heard(_ frame: UnsafeRawBufferPointer, _ format: AudioFormat, at now: Duration) {
        guard Level(of: frame, encoding: format.encoding).rms > SpokenTo.level else { return }
        if let last = self.lastVoiced, now - last > SpokenTo.gap { self.voiced = .zero }
        self.voiced += format.duration(ofBytes: frame.count)
        self.lastVoiced = now
    }

    /// Voice was heard a moment ago that nothing has answered yet.
    func isOwed(at now: Duration) -> Bool { self.voiced > .zero && self.hasJustSpoken(within: .seconds(6), at: now) }

    /// Something came from the server that shows that it hears.
    mutating func answered() { self.voiced = .zero }

    /// Whether the caller was speaking within the last `span`.
    func hasJustSpoken(within span: Duration, at now: Duration) -> Bool {
        self.lastVoiced.map { now - $0 <= span } ?? false
    }

    /// When a sentence without any answer becomes suspicious; nil: there is none.
    func unansweredSince() -> Duration? { self.voiced >= SpokenTo.sentence ? self.lastVoiced : nil }
}
