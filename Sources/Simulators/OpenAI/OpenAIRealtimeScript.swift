import Telephony

/// What an OpenAI Realtime simulator answers, how fast, and what goes wrong. Nothing of the caller's audio is
/// understood: turns are heard by their energy, and the answers come in order.
package struct OpenAIRealtimeScript: Sendable {
    /// What an answer sounds like.
    package enum Sound: Sendable, Equatable {
        /// The utterance of the answer's text, when the script has one; otherwise a tone of 60 ms a character.
        case utterance
        case tone(hertz: Double, Duration)
        /// Signed 16-bit little-endian mono at this rate.
        case pcm([UInt8], SampleRate)
    }

    /// A function call that an answer ends with.
    package struct ToolUse: Sendable, Equatable {
        package var name: String
        /// A JSON object's text.
        package var arguments: String
        package init(_ name: String, arguments: String = "{}") {
            self.name = name
            self.arguments = arguments
        }
    }

    /// One reply. The reply to a tool's outcome is simply the next one.
    package struct Answer: Sendable, Equatable {
        /// Empty: only tools are used.
        package var text: String
        package var sound: Sound
        package var tools: [ToolUse]
        /// What the caller is said to have said in the turn that this answers.
        package var callerTranscript: String
        /// From `response.created` to the first audio.
        package var delay: Duration
        package init(
            _ text: String, sound: Sound = .utterance, tools: [ToolUse] = [], callerTranscript: String = "…",
            delay: Duration = .zero
        ) {
            self.text = text
            self.sound = sound
            self.tools = tools
            self.callerTranscript = callerTranscript
            self.delay = delay
        }
    }

    /// When something goes wrong.
    package enum Moment: Sendable, Equatable {
        /// In place of `session.created`.
        case opened
        /// In place of `session.updated`.
        case configured
        /// In place of the nth response's first output (from 1).
        case response(Int)
        /// When half of the nth response's audio is out.
        case midResponse(Int)
        /// So long after the socket was opened.
        case after(Duration)
    }

    /// What goes wrong.
    package enum Fault: Sendable, Equatable {
        /// The socket stays open, and nothing is said any more.
        case silence
        case close(code: UInt16, reason: String)
        /// The TCP connection is cut without a close frame.
        case reset
        /// Half a JSON text, then everything goes on.
        case malformed
        /// A binary message, then everything goes on.
        case binary
        /// One text message of so many bytes, then everything goes on.
        case huge(bytes: Int)
        /// An `error` event; `closing`: followed by close 1011, as a quota error is.
        case error(code: String?, type: String, message: String, closing: Bool)
        /// Everything of this response comes so much later.
        case slow(Duration)
        /// The response's audio is so long, and comes at once.
        case flood(Duration)
        /// The response fails with this error.
        case failedResponse(code: String, message: String)
        /// `session_expired`, then close 1001.
        case expiry
    }

    /// One entry of the list of faults.
    package struct Mishap: Sendable, Equatable {
        package var moment: Moment
        package var fault: Fault
        package init(_ moment: Moment, _ fault: Fault) {
            self.moment = moment
            self.fault = fault
        }
    }

    /// In order, one for each reply; the last is repeated.
    package var answers: [Answer] = [Answer("I understand. How else can I help you?")]
    /// For a response that is asked for with instructions and the conversation.
    package var greeting = Answer("Hello, how can I help you?")
    /// 24 kHz mono PCM of texts, for answers and for sentences that are to be said word by word.
    package var utterances: [String: [UInt8]] = [:]
    /// Audio comes at so many times real time; nil: at once.
    package var pace: Double? = 4
    /// Audio of one delta.
    package var piece: Duration = .milliseconds(100)
    /// Louder than this, in dBFS RMS of 20 ms, counts as speech.
    package var speechLevel: Double = -40
    /// So long loud: speech has started.
    package var speechOnset: Duration = .milliseconds(60)
    /// So long quiet: speech has stopped. Nil: what the session's `silence_duration_ms` says.
    package var speechHangover: Duration? = .milliseconds(200)
    /// From the commit to the caller's transcript: it comes during the answer, as it does in life.
    package var transcriptDelay: Duration = .milliseconds(150)
    package var mishaps: [Mishap] = []
    /// The handshake is answered with this HTTP status instead.
    package var handshakeStatus: Int?
    /// The key that must be presented; nil: any.
    package var key: String?
    /// Whether the older shape is spoken when it is asked for. OpenAI refuses it.
    package var acceptsBeta = true
    package var sessionLimit: Duration = .seconds(3600)
    /// From the warning that the session will be cut to the cut, where the provider warns (Gemini's `goAway`).
    package var warning: Duration = .seconds(3)
    /// The server assumes that its audio is played as it sounds, and calls a turn complete only then (Gemini).
    package var assumesPlayback = false
    /// The server tells where it hears the caller's voice begin and end (Gemini's `voiceActivity`).
    package var tellsVoiceActivity = false
    /// Keep every text that the client sends (the SDK check reads them).
    package var keepsMessages = false

    package init() {}
}

/// What a simulated server was sent on one connection: what a test asks.
package struct OpenAIRealtimeRecord: Sendable {
    package struct Truncation: Sendable, Equatable {
        package var itemID: String
        package var milliseconds: Int
        /// Of the item as generated.
        package var duration: Int
    }

    package struct ToolOutput: Sendable, Equatable {
        package var callID: String
        package var output: String
    }

    package struct Response: Sendable, Equatable {
        package enum Kind: String, Sendable { case reply, greeting, say }
        package var id: String
        package var kind: Kind
        /// Nil while it is being made.
        package var status: String?
        package var audio: Duration = .zero
    }

    /// Caller audio, in all.
    package var appended: Duration = .zero
    package var commits = 0
    package var clears = 0
    package var cancels = 0
    package var truncations: [Truncation] = []
    package var toolOutputs: [ToolOutput] = []
    package var responses: [Response] = []
    /// Texts that the client added to the conversation.
    package var items: [(role: String, text: String)] = []
    package var instructions = ""
    /// Codes of the errors that the client was told.
    package var errors: [String] = []
    /// Types of what came, in order, appends left out.
    package var events: [String] = []
    package var messages: [String] = []
}
