import Assistants
import Telephony

/// What a simulated Deepgram understands, how it speaks, and what goes wrong.
package struct DeepgramScript: Sendable {
    /// Something that goes wrong on a streaming connection.
    package enum Fault: String, Sendable, CaseIterable {
        /// Recognition's socket is closed with 1011 (`NET-0001`) at the first speech.
        case closeAtSpeech = "close-at-speech"
        /// Recognition sends what is no JSON, over and over.
        case garbage
        /// Recognition is connected and says nothing.
        case deaf
        /// Speech is connected and stays silent.
        case mute
        /// Speech's socket is closed with 1011 at the first `Speak`.
        case closeAtSpeak = "close-at-speak"
        /// An `Error` message, then the end.
        case error
    }
    /// What the caller is understood to say, one talkspurt after another; the last is repeated.
    package var utterances = ["Hello, who is there?"]
    /// The key that is asked for; nil: any.
    package var key: String?
    /// The handshake (and every request) is answered with this status instead.
    package var handshakeStatus: Int?
    package var faults: [Fault] = []
    /// A fault strikes on the first connection only, so that a second one succeeds.
    package var faultsOnce = false
    /// dBFS from which sound counts as speech.
    package var speechLevel = -40.0
    /// Sound made for each character.
    package var soundPerCharacter: Duration = .milliseconds(60)
    /// Texts whose sound has a length of its own.
    package var sounds: [String: Duration] = [:]
    package init() {}

    /// `{"utterances":["…"],"faults":["garbage"]}`; nil: not such a text.
    package init?(json: String) {
        guard let value = JSONValue(json: json), value.members != nil else { return nil }
        self.init()
        if let texts = value["utterances"]?.elements?.compactMap(\.text), !texts.isEmpty { self.utterances = texts }
        self.faults = (value["faults"]?.elements ?? []).compactMap { $0.text.flatMap { Fault(rawValue: $0) } }
        self.handshakeStatus = value["handshake_status"]?.whole
    }
}

/// What one connection of the simulated Deepgram was sent.
package struct DeepgramRecord: Sendable {
    package var path = ""
    package var query = ""
    package var audioBytes = 0
    package var messages: [String] = []
    /// Texts that were asked to be spoken.
    package var spoken: [String] = []
    package var clears = 0
    package init() {}
}
