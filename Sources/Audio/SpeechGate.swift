/// Tells speech from background by level alone: a noise floor that follows the line, and a margin above it.
///
/// It knows nothing of voices: a slammed door opens it. It serves where the neural detector is not built in or not
/// worth its cost (the first step of a barge-in), and as the gate before that detector. It needs no audio, only the
/// level of each frame, so it costs a few nanoseconds.
package struct SpeechGate: Sendable, Equatable {
    /// What a frame changed.
    package enum Event: Sendable, Equatable {
        case speechStarted
        case speechStopped
    }

    /// How the gate is set.
    package struct Configuration: Sendable, Equatable {
        /// How far above the noise floor speech is, in dB. 10 keeps most breaths out; a quiet talker is 15 above.
        package var margin: Double
        /// Below this nothing is speech however quiet the line is, in dBFS.
        package var minimum: Double
        /// Loud for this long before it counts: a click is shorter.
        package var onset: Duration
        /// Quiet for this long before speech is over.
        package var hangover: Duration

        package init(
            margin: Double = 10, minimum: Double = -50, onset: Duration = .milliseconds(60),
            hangover: Duration = .milliseconds(500)
        ) {
            self.margin = margin
            self.minimum = minimum
            self.onset = onset
            self.hangover = hangover
        }
    }

    package let configuration: Configuration
    /// Whether it hears speech now (hangover included).
    package private(set) var isSpeaking = false
    /// The level of the background, in dBFS. Starts high enough that a noisy line does not open the gate at once.
    package private(set) var noiseFloor: Double = -55
    private var loudSince: Duration?
    private var lastLoud: Duration = .zero

    package init(_ configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// One frame's level (RMS) at its time. Frames are expected about every 20 ms; a gap is no event.
    package mutating func frame(levelDBFS level: Double, at now: Duration) -> Event? {
        let isLoud: Bool = level >= max(self.noiseFloor + self.configuration.margin, self.configuration.minimum)
        self.follow(level)
        if isLoud {
            self.lastLoud = now
            let since: Duration = self.loudSince ?? now
            self.loudSince = since
            if !self.isSpeaking, now - since >= self.configuration.onset {
                self.isSpeaking = true
                return .speechStarted
            }
            return nil
        }
        // One quiet frame between two loud ones is a plosive's closure, not the end of the onset.
        if !self.isSpeaking, now - self.lastLoud > .milliseconds(40) { self.loudSince = nil }
        if self.isSpeaking, now - self.lastLoud >= self.configuration.hangover {
            self.isSpeaking = false
            self.loudSince = nil
            return .speechStopped
        }
        return nil
    }

    /// Down at once (within five frames), up slowly (3 dB a second): speech has pauses, noise has none. Digital
    /// silence (a muted or DTX line) says nothing of the noise behind it and is clamped.
    private mutating func follow(_ level: Double) {
        let heard: Double = max(level, -70)
        if heard < self.noiseFloor {
            self.noiseFloor += (heard - self.noiseFloor) * 0.2
        } else {
            self.noiseFloor = min(self.noiseFloor + 0.06, min(heard, -20))
        }
    }
}
