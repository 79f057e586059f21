import Telephony

/// One conversation with one assistant back end, as a value: events and the time go in, effects come out.
///
/// The shell that owns a machine feeds it one event at a time and then performs `output.effects` in order:
/// open and write sockets, start engines, set the timer, hand events and audio to the conversation. `now` is
/// monotonic, from any origin that stays fixed for the call.
///
/// A machine never traps on what a provider sends: garbage is `.event(.failed(…))` with a verdict.
package protocol AssistantMachine: Sendable {
    /// What this back end can do. Constant for the machine's life.
    var capabilities: AssistantCapabilities { get }

    /// The call begins: connect, configure. Called once, first.
    mutating func start(at now: Duration, _ output: inout AssistantOutput)

    /// The conversation asks for something.
    mutating func perform(_ command: AssistantCommand, at now: Duration, _ output: inout AssistantOutput)

    /// 20 ms of the caller in `capabilities`' negotiated input format (see `AssistantEvent.ready`). Borrowed: valid
    /// for this call only. Before `ready` the frame may be dropped or kept, as the back end's protocol has it.
    mutating func callerAudio(
        _ frame: UnsafeRawBufferPointer, at now: Duration, _ output: inout AssistantOutput)

    /// A socket, request or engine that this machine asked for has something.
    mutating func received(_ event: ChannelEvent, at now: Duration, _ output: inout AssistantOutput)

    /// The time last asked for with `.wake` has come (or passed). Called also when nothing is due: check the clock.
    mutating func wake(at now: Duration, _ output: inout AssistantOutput)

    /// What was used and has not been told by `.usage`. Asked for once, when the machine is let go.
    func unreportedUsage(at now: Duration) -> [AssistantUsage]
}

extension AssistantMachine {
    package func unreportedUsage(at now: Duration) -> [AssistantUsage] { [] }
}

/// What a machine wants done, in order. Reused from event to event: once its arrays have grown, a frame allocates
/// nothing.
package struct AssistantOutput: Sendable {
    package var effects: [AssistantEffect] = []
    /// The bytes that `.sendText`, `.sendBinary` and `.audio` point into.
    package var bytes: [UInt8] = []

    package init() {}

    /// Forgets what was performed, keeps the memory.
    package mutating func removeAll() {
        if !self.effects.isEmpty { self.effects.removeAll(keepingCapacity: true) }
        if !self.bytes.isEmpty { self.bytes.removeAll(keepingCapacity: true) }
    }

    /// Appends a text message for `channel`.
    package mutating func sendText(_ text: String, on channel: ChannelID = .main) {
        let start = self.bytes.count
        self.bytes.append(contentsOf: text.utf8)
        self.effects.append(.sendText(channel, start..<self.bytes.count))
    }

    package mutating func event(_ event: AssistantEvent) { self.effects.append(.event(event)) }
}

/// A socket, request or engine job of one machine. The machine numbers them; numbers are not reused in a call.
package struct ChannelID: Hashable, Sendable {
    package var number: Int
    package init(_ number: Int) { self.number = number }
    package static let main = ChannelID(0)
}

/// One thing for the shell to do.
package enum AssistantEffect: Sendable {
    /// Open a WebSocket. Answered by `.opened` or `.closed`.
    case connect(ChannelID, WebSocketTarget)
    /// Send `output.bytes[range]` as a text or a binary message. Never waits; dropped if the channel is gone.
    case sendText(ChannelID, Range<Int>)
    case sendBinary(ChannelID, Range<Int>)
    /// Close a channel (or cancel a request or an engine job). No further event of it is delivered.
    case close(ChannelID, code: UInt16)
    /// An HTTP request; its answer streams in as `.responseHead`, `.bytes`…, `.closed`.
    case request(ChannelID, HTTPTarget)
    /// Speak `text` with a local engine; PCM streams in as `.bytes` after `.opened`, then `.closed`.
    case synthesise(ChannelID, SpeechRequest)
    /// Recognise what `callerAudio` brings with a local engine, until `.close`. Results come as `.recognised`.
    case recognise(ChannelID, RecognitionRequest)
    /// Write down a recording with a local engine. Answered once, by `.transcribed` or `.closed`.
    case transcribe(ChannelID, TranscriptionRequest)
    /// Detect speech (neural VAD) in what `callerAudio` brings, until `.close`. Comes as `.speech`.
    case detect(ChannelID, DetectionRequest)
    /// Audio for the caller, in the negotiated output format: `output.bytes[range]`.
    case audio(AgentItem, Range<Int>)
    /// Something for the conversation.
    case event(AssistantEvent)
    /// Call `wake` at this time. Replaces the earlier request; nil: no timer.
    case wake(at: Duration?)
}

/// Where a WebSocket goes. Headers may hold secrets: this value does not print.
package struct WebSocketTarget: Sendable, CustomStringConvertible, CustomReflectable {
    package var url: String
    package var headers: [(name: String, value: String)]
    package var subprotocols: [String]
    package init(url: String, headers: [(name: String, value: String)] = [], subprotocols: [String] = []) {
        self.url = url
        self.headers = headers
        self.subprotocols = subprotocols
    }
    package var description: String { "WebSocketTarget(‹redacted›)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// One HTTP request of a machine.
package struct HTTPTarget: Sendable, CustomStringConvertible, CustomReflectable {
    package var method: String
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// From the start to the last byte.
    package var timeout: Duration
    package init(
        method: String, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(30)
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }
    package var description: String { "HTTPTarget(‹redacted›)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The engines of this machine that speak.
package enum LocalVoice: String, Sendable, CaseIterable {
    /// espeak-ng: every language, a robot's voice.
    case espeak
    /// Piper's program with voices of the configuration.
    case piper
    /// sherpa-onnx with voices of the configuration.
    case sherpa
}

/// Text for a local speech engine.
package struct SpeechRequest: Sendable, Equatable {
    package var text: Redacted<String>
    /// BCP 47, as `it-IT`.
    package var language: String
    package var voice: String?
    /// Nil: the one that this gateway is configured with, and espeak-ng in its place where that cannot speak.
    package var engine: LocalVoice?
    /// The format that the engine's audio is wanted in.
    package var format: AudioFormat
    package init(
        text: String, language: String, voice: String? = nil, engine: LocalVoice? = nil, format: AudioFormat
    ) {
        self.text = Redacted(text)
        self.language = language
        self.voice = voice
        self.engine = engine
        self.format = format
    }
}

/// A recording for a local engine that writes speech down.
package struct TranscriptionRequest: Sendable, Equatable {
    package var audio: [UInt8]
    /// Of `audio`: linear, mono.
    package var format: AudioFormat
    /// BCP 47, as `it-IT`.
    package var language: String
    package init(audio: [UInt8], format: AudioFormat, language: String) {
        self.audio = audio
        self.format = format
        self.language = language
    }
}

/// What a local recogniser should listen for: a closed grammar, so that it can be right.
package struct RecognitionRequest: Sendable, Equatable {
    package var language: String
    /// A JSGF grammar (JSpeech Grammar Format) whose words are all in `pronunciations` or the model's dictionary.
    package var grammar: String
    /// Word → phones of the acoustic model, for words (and languages) that its dictionary lacks.
    package var pronunciations: [String: [String]]
    /// The format of the frames that will come.
    package var format: AudioFormat
    package init(language: String, grammar: String, pronunciations: [String: [String]] = [:], format: AudioFormat) {
        self.language = language
        self.grammar = grammar
        self.pronunciations = pronunciations
        self.format = format
    }
}

/// What a neural voice-activity detector should listen to.
package struct DetectionRequest: Sendable, Equatable {
    package var format: AudioFormat
    /// Probability from which a window counts as speech.
    package var threshold: Double
    /// Silence that ends speech.
    package var silence: Duration
    package init(format: AudioFormat, threshold: Double = 0.5, silence: Duration = .milliseconds(500)) {
        self.format = format
        self.threshold = threshold
        self.silence = silence
    }
}

/// What a channel has to tell. Bytes are borrowed: valid during `received` only.
package enum ChannelEvent: @unchecked Sendable {
    /// The WebSocket is open, or the engine is ready.
    case opened(ChannelID)
    case text(ChannelID, UnsafeRawBufferPointer)
    case binary(ChannelID, UnsafeRawBufferPointer)
    /// The head of an HTTP answer.
    case responseHead(ChannelID, status: Int, headers: [(name: String, value: String)])
    /// A piece of an HTTP body, or of an engine's audio.
    case bytes(ChannelID, UnsafeRawBufferPointer)
    /// What the recogniser understood of one talkspurt; empty words: nothing in the grammar fits.
    case recognised(ChannelID, words: Redacted<String>, confidence: Double)
    /// What was said in a recording; the channel is over with it.
    case transcribed(ChannelID, Redacted<String>)
    /// The detector's state changed.
    case speech(ChannelID, isSpeaking: Bool)
    /// The channel is over.
    case closed(ChannelID, ChannelEnd)

    package var channel: ChannelID {
        switch self {
        case .opened(let id), .text(let id, _), .binary(let id, _), .responseHead(let id, _, _), .bytes(let id, _),
            .recognised(let id, _, _), .transcribed(let id, _), .speech(let id, _), .closed(let id, _):
            id
        }
    }
}

/// How a channel ended.
package enum ChannelEnd: Sendable, Equatable {
    /// Complete: an HTTP body read to its end, an utterance synthesised.
    case finished
    /// A WebSocket close frame. The reason is the peer's text: for verdicts, not for logs at default level.
    case closed(code: UInt16, reason: String)
    /// The handshake was answered with an HTTP status other than 101.
    case refused(status: Int)
    /// Anything below: `dns`, `connect`, `tls`, `timeout`, `reset`, `protocol`, `overflow`, `engine`.
    case failed(slug: String)
}
