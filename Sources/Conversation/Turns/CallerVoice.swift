import Telephony

/// Hears, from levels alone, whether the caller is speaking now, and since when.
///
/// It does not decide turns (the assistant's detector or Silero does): it answers the questions that a detector's late,
/// padded events leave open. When did the caller really stop? Is the caller still at it? The noise floor adapts: down
/// at once, up slowly, so that a line's hiss or a car's engine is not speech, and speech does not become the floor.
package struct CallerVoice: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Above the floor by this much counts as voice, in dB.
        package var margin = 9.0
        /// Never voice below this, in dBFS.
        package var minimum = -48.0
        /// Voice goes on over gaps up to this long (stops within words).
        package var hangover: Duration = .milliseconds(160)
        package init() {}
    }

    private let configuration: Configuration
    /// dBFS of the line when nobody speaks.
    package private(set) var floor = -60.0
    package private(set) var isSpeaking = false
    /// When the talkspurt began (meaningful while, and just after, `isSpeaking`).
    package private(set) var began: Duration = .zero
    /// The end of the last voiced frame.
    package private(set) var lastVoiced: Duration?
    /// Voiced time of the current talkspurt, gaps not counted.
    package private(set) var voiced: Duration = .zero

    package init(_ configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// One frame of the caller, `length` long, that ends at `now`.
    package mutating func frame(levelDBFS level: Double, length: Duration, at now: Duration) {
        let threshold = max(self.floor + self.configuration.margin, self.configuration.minimum)
        if level > threshold {
            if !self.isSpeaking {
                self.isSpeaking = true
                self.began = now - length
                self.voiced = .zero
            }
            self.voiced += length
            self.lastVoiced = now
        } else if self.isSpeaking, now - (self.lastVoiced ?? now) >= self.configuration.hangover {
            self.isSpeaking = false
        }
        // −90 dBFS is digital silence (−96) and no line: a floor there would make every click a voice.
        let heard = max(level, -90)
        self.floor += (heard < self.floor ? 0.2 : 0.0015) * (heard - self.floor)
    }
}
