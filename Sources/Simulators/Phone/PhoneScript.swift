import Telephony

/// One thing that the caller does. Speech is mono samples at the rate of `PhoneConfiguration`.
package enum PhoneStep: Sendable, Equatable {
    /// Says nothing; the line is open.
    case silence(Duration)
    case speak([Int16])
    /// Listens until the agent has spoken and then been quiet for `quietFor`. After `timeout` it goes on, and a turn of
    /// the caller's that had no answer counts as unanswered.
    case waitForAgent(quietFor: Duration, timeout: Duration)
    /// Speaks as soon as this much of the agent has been heard since the step began; after `timeout` it speaks anyway.
    case interrupt(afterHearing: Duration, [Int16], timeout: Duration)
    /// Presses a key.
    case digit(Redacted<Character>)
    /// Sends a text as a controller's `send_text` does.
    case text(String)
    /// `uuid_hold`: no frames, nothing is heard, the socket stays (freeswitch.md §3.2).
    case hold(Duration)
    /// The module's `pause`: no frames go up; what comes down plays on.
    case pause(Duration)
    case hangUp

    /// What to call it on a display.
    package var name: String {
        switch self {
        case .silence: "silence"
        case .speak: "speak"
        case .waitForAgent: "listen"
        case .interrupt: "interrupt"
        case .digit: "digit"
        case .text: "text"
        case .hold: "hold"
        case .pause: "pause"
        case .hangUp: "hang-up"
        }
    }
}

/// All that makes one simulated call.
package struct PhoneConfiguration: Sendable {
    /// What follows the last step.
    package enum Ending: Sendable, Equatable { case hangUp, stay }

    package var dialect: PhoneDialect
    /// Of the uplink. G.711 is 8 kHz whatever is set.
    package var rate: SampleRate
    /// 2: left the caller, right what the caller hears (the module's `stereo`).
    package var channels: Int = 1
    /// Audio of one message, as `STREAM_BUFFER_SIZE`: 20 to 200 ms in steps of 20; anything else is 20, as there.
    package var messageDuration: Duration = .milliseconds(20)
    /// The module's first text.
    package var metadata: Redacted<String>?
    /// The module loses its first text in some calls (freeswitch.md §3.2): this one does.
    package var losesMetadata = false
    /// Rate of binary audio that comes down (`binary`, `jambonz`); nil: as the uplink.
    package var downlinkRate: SampleRate?
    /// The codec of the caller's channel behind the fork, which writes µ-law whatever it is.
    package var channelLaw: AudioEncoding = .pcmu
    /// In place of the dialect's own.
    package var ear: PhoneEar.Model?
    package var script: [PhoneStep]
    package var ending: Ending = .hangUp
    /// The caller hangs up after this, whatever the script says.
    package var maximumDuration: Duration = .seconds(120)
    /// Keep both sides for `PhoneResult.recording` (64 KB a second at 16 kHz).
    package var records = false
    /// Report each 20 ms of what is heard (`PhoneReport.heard`).
    package var reportsAudio = false

    package init(dialect: PhoneDialect, rate: SampleRate = .wideband, script: [PhoneStep] = []) {
        self.dialect = dialect
        self.rate = dialect.encoding == .l16 ? rate : .narrowband
        self.script = script
    }

    /// What goes up.
    package var uplink: AudioFormat {
        let isLinear: Bool = self.dialect.encoding == .l16
        return AudioFormat(
            self.dialect.encoding, isLinear ? self.rate : .narrowband, channels: self.channels == 2 ? 2 : 1)
    }

    /// What binary messages that come down mean.
    package var downlink: AudioFormat { AudioFormat(self.dialect.encoding, self.downlinkRate ?? self.uplink.rate) }

    /// The rate at which the ear works: 8 kHz for the fork, which ignores what the gateway states.
    package var earRate: SampleRate { self.dialect.isFork ? .narrowband : self.downlinkRate ?? self.uplink.rate }

    var framesPerMessage: Int {
        let milliseconds: Int = self.messageDuration.milliseconds
        return milliseconds % 20 == 0 && (20...200).contains(milliseconds) ? milliseconds / 20 : 1
    }
}
