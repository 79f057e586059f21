import Telephony

/// What a recogniser understood, in the pipeline's words.
enum RecogniserEvent: Sendable, Equatable {
    case ready
    /// The service's own detector: used where it decides the turns, and where there is no local one.
    case speechStarted
    case speechStopped
    /// The words of the turn that are not certain yet; each replaces the last.
    case interim(String)
    /// Words that are certain now.
    case words(String)
    /// Nothing more will come of what was heard so far.
    case settled
    /// The service says that the turn is over.
    case turnEnded
    case failed(AssistantFailure)

    /// Says that the service hears the caller.
    var showsHearing: Bool {
        switch self {
        case .speechStarted, .speechStopped, .words, .turnEnded: true
        case .interim(let text): !text.isEmpty
        case .ready, .settled, .failed: false
        }
    }
}

/// Deepgram's streaming recognition, `/v1/listen` (Nova) or `/v2/listen` (Flux): providers.md §4.1, §4.2.
///
/// Audio goes up as binary frames in the leg's own encoding. Nova is told to settle (`Finalize`) when our detector hears
/// silence; Flux decides the turns by itself.
struct DeepgramRecogniser: Sendable {
    private let configuration: RecogniserConfiguration
    private let language: String
    let format: AudioFormat
    private var channel: ChannelID = .main
    private var isOpen = false
    private var attempts = 0
    /// Caller audio from before the socket stood, or while it is being replaced: the newest three seconds. And what the
    /// caller has said to a socket that has not shown yet that it hears: a next one gets it again.
    private var waiting: [UInt8] = []
    /// Flux wants 80 ms a message.
    private var gathered: [UInt8] = []
    private var lastAudio: Duration = .zero
    private var garbage = 0

    /// 10 s without audio or KeepAlive ends a Nova stream; Flux has no KeepAlive and is fed silence.
    static let idle: Duration = .seconds(4)
    private static let fluxIdle: Duration = .milliseconds(500)
    private static let garbageLimit = 16
    private static let waitingLimit: Duration = .seconds(3)
    /// A sentence, kept for another socket.
    private static let owedLimit: Duration = .seconds(12)

    init(_ configuration: RecogniserConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.language = setup.language
        self.format = AudioFormat(setup.legFormat.encoding, setup.legFormat.rate)
    }

    var isFlux: Bool { self.configuration.service == .flux }
    var isConnected: Bool { self.isOpen }

    mutating func open(as channel: ChannelID, at now: Duration, _ output: inout AssistantOutput)
        throws(SpeechPipelineError)
    {
        let address = try StageAddress(self.configuration.baseURL)
        self.channel = channel
        self.isOpen = false
        self.attempts += 1
        self.lastAudio = now
        var query: [(String, String)] = [
            ("model", self.configuration.model), ("encoding", deepgramEncoding(self.format)),
            ("sample_rate", String(self.format.rate.hertz)),
        ]
        if self.isFlux {
            if self.configuration.model.hasSuffix("multi") { query.append(("language_hint", self.shortLanguage)) }
        } else {
            query += [
                ("channels", "1"), ("language", deepgramLanguage(self.language)), ("interim_results", "true"),
                ("punctuate", "true"), ("smart_format", "true"), ("endpointing", "300"), ("utterance_end_ms", "1000"),
                ("vad_events", "true"),
            ]
        }
        output.effects.append(
            .connect(
                channel,
                WebSocketTarget(
                    url: address.socket(self.isFlux ? "/v2/listen" : "/v1/listen", query),
                    headers: deepgramHeaders(self.configuration.key))))
    }

    private var shortLanguage: String { String(self.language.prefix { $0 != "-" && $0 != "_" }).lowercased() }

    /// - Parameter isOwed: the caller is saying something of which the service has shown no sign of having heard it.
    mutating func audio(
        _ frame: UnsafeRawBufferPointer, isOwed: Bool, at now: Duration, _ output: inout AssistantOutput
    ) {
        self.lastAudio = now
        if isOwed || !self.isOpen {
            let limit = self.format.bytes(in: isOwed ? Self.owedLimit : Self.waitingLimit)
            self.waiting.append(contentsOf: frame)
            // By the second, so that the bytes are not moved for every frame.
            if self.waiting.count > limit + self.format.bytesPerSecond {
                self.waiting.removeFirst(self.waiting.count - limit)
            }
        } else if !self.waiting.isEmpty {
            self.waiting.removeAll()
        }
        guard self.isOpen else { return }
        if self.isFlux {
            self.gathered.append(contentsOf: frame)
            guard self.gathered.count >= self.format.bytes(in: .milliseconds(80)) else { return }
            self.gathered.withUnsafeBytes { self.send($0, &output) }
            self.gathered.removeAll(keepingCapacity: true)
        } else {
            self.send(frame, &output)
        }
    }

    private func send(_ bytes: UnsafeRawBufferPointer, _ output: inout AssistantOutput) {
        // An empty message would end the stream.
        guard !bytes.isEmpty else { return }
        let start = output.bytes.count
        output.bytes.append(contentsOf: bytes)
        output.effects.append(.sendBinary(self.channel, start..<output.bytes.count))
    }

    /// The caller is silent: the words should settle now.
    func settle(_ output: inout AssistantOutput) {
        if self.isOpen, !self.isFlux { output.sendText("{\"type\":\"Finalize\"}", on: self.channel) }
    }

    /// When `idle` wants to be called.
    var idleDue: Duration? { self.isOpen ? self.lastAudio + (self.isFlux ? Self.fluxIdle : Self.idle) : nil }

    mutating func idle(at now: Duration, _ output: inout AssistantOutput) {
        guard let due = self.idleDue, now >= due else { return }
        self.lastAudio = now
        if self.isFlux {
            let silence = [UInt8](repeating: self.format.encoding.silence, count: self.format.bytes(in: Self.fluxIdle))
            silence.withUnsafeBytes { self.send($0, &output) }
        } else {
            output.sendText("{\"type\":\"KeepAlive\"}", on: self.channel)
        }
    }

    /// The socket is of no use: nothing more of it is wanted.
    mutating func abandon(_ output: inout AssistantOutput) {
        self.isOpen = false
        output.effects.append(.close(self.channel, code: 1000))
    }

    mutating func close(_ output: inout AssistantOutput) {
        if self.isOpen { output.sendText("{\"type\":\"CloseStream\"}", on: self.channel) }
        self.isOpen = false
        output.effects.append(.close(self.channel, code: 1000))
    }

    /// Whether `event` was this stage's.
    func owns(_ id: ChannelID) -> Bool { id == self.channel }

    mutating func received(_ event: ChannelEvent, _ output: inout AssistantOutput) -> [RecogniserEvent] {
        switch event {
        case .opened:
            self.isOpen = true
            // Kept: this socket has not heard it yet either.
            self.waiting.withUnsafeBytes { self.send($0, &output) }
            return [.ready]
        case .text(_, let bytes):
            guard let scan = try? JSONScan(bytes), scan.kind == .object else {
                self.garbage += 1
                return self.garbage < Self.garbageLimit ? [] : [.failed(AssistantFailure("recogniser-garbled", .retry))]
            }
            return self.isFlux ? self.flux(JSONValue(scan)) : self.nova(JSONValue(scan))
        case .closed(_, let end):
            self.isOpen = false
            return [.failed(StageVerdicts.ofEnd(end, .recogniser))]
        default: return []
        }
    }

    /// Tries again after a loss: true once for each connection that had stood or not.
    var mayTryAgain: Bool { self.attempts < 3 }
    mutating func proved() { self.attempts = 1 }

    private mutating func nova(_ value: JSONValue) -> [RecogniserEvent] {
        switch value["type"]?.text {
        case "Results":
            self.proved()
            let text = value["channel"]?["alternatives"]?.elements?.first?["transcript"]?.text ?? ""
            var events: [RecogniserEvent] = []
            if value["is_final"]?.flag ?? false {
                events.append(.interim(""))
                if !text.isEmpty { events.append(.words(text)) }
                if value["from_finalize"]?.flag ?? false { events.append(.settled) }
                if value["speech_final"]?.flag ?? false { events.append(.speechStopped) }
            } else if !text.isEmpty {
                events.append(.interim(text))
            }
            return events
        case "SpeechStarted": return [.speechStarted]
        case "UtteranceEnd": return [.speechStopped]
        case "Error": return [self.error(value)]
        default: return []
        }
    }

    private mutating func flux(_ value: JSONValue) -> [RecogniserEvent] {
        switch value["type"]?.text {
        case "TurnInfo":
            self.proved()
            let text = value["transcript"]?.text ?? ""
            switch value["event"]?.text {
            case "StartOfTurn": return [.speechStarted] + (text.isEmpty ? [] : [.interim(text)])
            case "EndOfTurn": return [.interim(""), .words(text), .turnEnded]
            // Eager ends would let an answer begin sooner, and be taken back: we wait for the certain one.
            case "Update", "EagerEndOfTurn", "TurnResumed": return text.isEmpty ? [] : [.interim(text)]
            default: return []
            }
        case "Error": return [self.error(value)]
        default: return []
        }
    }

    private func error(_ value: JSONValue) -> RecogniserEvent {
        let detail = value["description"]?.text ?? value["message"]?.text ?? ""
        let code = value["code"]?.text ?? value["variant"]?.text ?? ""
        return .failed(
            StageVerdicts.ofCode(code, detail: detail, .recogniser)
                ?? AssistantFailure("recogniser-error", .retry, detail: detail))
    }
}

func deepgramEncoding(_ format: AudioFormat) -> String {
    switch format.encoding {
    case .l16: "linear16"
    case .pcmu: "mulaw"
    case .pcma: "alaw"
    }
}

/// Deepgram names most languages by their first part, and Brazil's Portuguese whole.
func deepgramLanguage(_ tag: String) -> String {
    SpokenLanguage(tag: tag) == .portuguese ? "pt-BR" : String(tag.prefix { $0 != "-" && $0 != "_" }).lowercased()
}

func deepgramHeaders(_ key: Redacted<String>?) -> [(name: String, value: String)] {
    key.map { [("Authorization", "Token " + $0.value)] } ?? []
}
