import Telephony

/// What a speaker has to say to the pipeline.
enum SpeakerEvent: Sendable, Equatable {
    case ready
    /// `output.bytes[range]` is the next audio of the reply.
    case audio(Range<Int>)
    /// The first clause that was not complete has sounded to its end.
    case clauseEnded
    /// All that was said has been delivered.
    case finished
    case failed(AssistantFailure)
}

/// Makes channel numbers; none is used twice in a call. 0 is the recogniser's first socket.
struct ChannelNumbers: Sendable {
    private var next = 1
    mutating func make() -> ChannelID {
        defer { self.next += 1 }
        return ChannelID(self.next)
    }
}

/// Deepgram's `/v1/speak`: one WebSocket for the call, text in, raw audio out (providers.md §4.3).
///
/// Text is held by the server until `Flush`, of which 20 a minute are allowed: the first clause of a reply and its end
/// always have one, clauses between them while there are enough. After `Clear` everything is old audio until `Cleared`.
struct DeepgramSpeaker: Sendable {
    private let configuration: SpeakerConfiguration
    private let voice: String
    let format: AudioFormat
    private var channel = ChannelID(-1)
    private(set) var isOpen = false
    private var attempts = 0
    private var flushes: [Duration] = []
    private var owedFlushes = 0
    private var unflushed = 0
    private var isDiscarding = false
    private var isEnding = false
    private var isFirstClause = true
    /// Said while the socket was not open.
    private var held: [String] = []

    private static let flushLimit = 18
    private static let reserve = 6

    init(_ configuration: SpeakerConfiguration, setup: AssistantSetup) {
        self.configuration = configuration
        self.format = configuration.format(for: setup.legFormat)
        let fallback =
            switch SpokenLanguage(tag: setup.language) {
            case .italian: "aura-2-livia-it"
            case .english, .portuguese: "aura-2-thalia-en"
            }
        self.voice = configuration.voice ?? (configuration.model == "aura-2" ? fallback : configuration.model)
    }

    func owns(_ id: ChannelID) -> Bool { id == self.channel }

    mutating func open(as channel: ChannelID, _ output: inout AssistantOutput) throws(SpeechPipelineError) {
        let address = try StageAddress(self.configuration.baseURL)
        self.channel = channel
        self.attempts += 1
        let query = [
            ("model", self.voice), ("encoding", deepgramEncoding(self.format)),
            ("sample_rate", String(self.format.rate.hertz)),
        ]
        output.effects.append(
            .connect(
                channel,
                WebSocketTarget(
                    url: address.socket("/v1/speak", query), headers: deepgramHeaders(self.configuration.key))))
    }

    mutating func say(_ clause: String, at now: Duration, _ output: inout AssistantOutput) {
        guard self.isOpen else {
            self.held.append(clause)
            return
        }
        let message: JSONValue = ["type": "Speak", "text": .string(clause + " ")]
        output.sendText(message.json, on: self.channel)
        self.unflushed += 1
        self.flushes.removeAll { now - $0 > .seconds(60) }
        if self.isFirstClause || self.flushes.count < Self.flushLimit - Self.reserve { self.flush(at: now, &output) }
        self.isFirstClause = false
    }

    private mutating func flush(at now: Duration, _ output: inout AssistantOutput) {
        output.sendText("{\"type\":\"Flush\"}", on: self.channel)
        self.flushes.append(now)
        self.owedFlushes += 1
        self.unflushed = 0
    }

    /// The reply has no more clauses. True: all of it has been delivered already.
    mutating func finish(at now: Duration, _ output: inout AssistantOutput) -> Bool {
        self.isEnding = true
        if self.unflushed > 0 { self.flush(at: now, &output) }
        return self.endIfDone()
    }

    private mutating func endIfDone() -> Bool {
        guard self.isEnding, self.owedFlushes == 0, self.held.isEmpty else { return false }
        self.isEnding = false
        self.isFirstClause = true
        return true
    }

    mutating func clear(_ output: inout AssistantOutput) {
        self.held = []
        if self.isOpen, self.owedFlushes > 0 || self.unflushed > 0 {
            output.sendText("{\"type\":\"Clear\"}", on: self.channel)
            self.isDiscarding = true
        }
        self.owedFlushes = 0
        self.unflushed = 0
        self.isEnding = false
        self.isFirstClause = true
    }

    mutating func close(_ output: inout AssistantOutput) {
        if self.isOpen { output.sendText("{\"type\":\"Close\"}", on: self.channel) }
        self.isOpen = false
        output.effects.append(.close(self.channel, code: 1000))
    }

    mutating func received(
        _ event: ChannelEvent, at now: Duration, _ numbers: inout ChannelNumbers, _ output: inout AssistantOutput
    ) -> [SpeakerEvent] {
        switch event {
        case .opened:
            self.isOpen = true
            let held = self.held
            self.held = []
            for clause in held { self.say(clause, at: now, &output) }
            if self.isEnding, self.unflushed > 0 { self.flush(at: now, &output) }
            return [.ready]
        case .binary(_, let bytes):
            self.attempts = 1
            guard !self.isDiscarding, !bytes.isEmpty else { return [] }
            let start = output.bytes.count
            output.bytes.append(contentsOf: bytes)
            return [.audio(start..<output.bytes.count)]
        case .text(_, let bytes):
            guard let scan = try? JSONScan(bytes), let type = scan["type"] else { return [] }
            if type.isText("Cleared") {
                self.isDiscarding = false
            } else if type.isText("Flushed"), !self.isDiscarding, self.owedFlushes > 0 {
                self.owedFlushes -= 1
                return [.clauseEnded] + (self.endIfDone() ? [.finished] : [])
            } else if type.isText("Error") {
                let detail = scan["description"]?.string ?? ""
                return [.failed(AssistantFailure("speaker-error", .retry, detail: detail))]
            }
            return []
        case .closed(_, let end):
            self.isOpen = false
            self.isDiscarding = false
            let failure = StageVerdicts.ofEnd(end, .speaker)
            // In the middle of speech what was lost is not known. Idle, a new socket is as good as the old one.
            let isIdle = self.owedFlushes == 0 && self.unflushed == 0
            guard isIdle, failure.isRetryable, self.attempts < 3 else { return [.failed(failure)] }
            do throws(SpeechPipelineError) {
                try self.open(as: numbers.make(), &output)
                return []
            } catch {
                return [.failed(AssistantFailure("speaker-" + error.slug, .failOver))]
            }
        default: return []
        }
    }
}

/// A voice that speaks a clause a job: OpenAI's or ElevenLabs' speech over HTTP, or a local engine.
///
/// Two jobs run at a time, so that the second clause is being made while the first is delivered; what comes early is
/// kept until its turn. A job that fails before its first sound is tried once more.
struct PieceSpeaker: Sendable {
    private struct Job: Sendable {
        var clause: String
        var channel: ChannelID?
        var status = 200
        var audio: [UInt8] = []
        var refusal: [UInt8] = []
        var hasSounded = false
        var isRetry = false
        var isDone = false
    }
    private let configuration: SpeakerConfiguration
    private let setup: AssistantSetup
    let format: AudioFormat
    private let timeout: Duration
    private var jobs: [Job] = []
    private var isEnding = false
    /// Half a sample, whose other half is in the next piece.
    private var odd: UInt8?

    /// Early audio beyond this stops the caller's memory from growing: two minutes at 24 kHz.
    private static let limit = 6 * 1024 * 1024

    init(_ configuration: SpeakerConfiguration, setup: AssistantSetup, timeout: Duration) {
        self.configuration = configuration
        self.setup = setup
        self.timeout = timeout
        self.format = configuration.format(for: setup.legFormat)
    }

    func owns(_ id: ChannelID) -> Bool { self.jobs.contains { $0.channel == id } }

    mutating func say(_ clause: String, _ numbers: inout ChannelNumbers, _ output: inout AssistantOutput)
        throws(SpeechPipelineError)
    {
        self.jobs.append(Job(clause: clause))
        try self.begin(&numbers, &output)
    }

    private mutating func begin(_ numbers: inout ChannelNumbers, _ output: inout AssistantOutput)
        throws(SpeechPipelineError)
    {
        for index in self.jobs.indices.prefix(2) where self.jobs[index].channel == nil && !self.jobs[index].isDone {
            let channel = numbers.make()
            self.jobs[index].channel = channel
            if self.configuration.isLocal {
                output.effects.append(
                    .synthesise(
                        channel,
                        SpeechRequest(
                            text: self.jobs[index].clause, language: self.setup.language,
                            voice: self.configuration.voice, engine: self.configuration.localVoice,
                            format: self.format)))
            } else {
                let request = SpeechSynthesis(configuration: self.configuration, language: self.setup.language)
                let target = try request.target(self.jobs[index].clause, format: self.format, timeout: self.timeout)
                output.effects.append(.request(channel, target))
            }
        }
    }

    mutating func finish() -> Bool {
        self.isEnding = !self.jobs.isEmpty
        return self.jobs.isEmpty
    }

    mutating func clear(_ output: inout AssistantOutput) {
        for job in self.jobs { if let channel = job.channel { output.effects.append(.close(channel, code: 1000)) } }
        self.jobs = []
        self.odd = nil
        self.isEnding = false
    }

    mutating func received(
        _ event: ChannelEvent, _ numbers: inout ChannelNumbers, _ output: inout AssistantOutput
    ) -> [SpeakerEvent] {
        guard let index = self.jobs.firstIndex(where: { $0.channel == event.channel }) else { return [] }
        switch event {
        case .responseHead(_, let status, _): self.jobs[index].status = status
        case .bytes(_, let bytes): return self.bytes(bytes, of: index, &output)
        case .closed(_, let end): return self.closed(index, end, &numbers, &output)
        default: break
        }
        return []
    }

    private mutating func bytes(
        _ bytes: UnsafeRawBufferPointer, of index: Int, _ output: inout AssistantOutput
    ) -> [SpeakerEvent] {
        guard self.jobs[index].status == 200 else {
            if self.jobs[index].refusal.count < 16 * 1024 {
                self.jobs[index].refusal.append(contentsOf: bytes.prefix(4096))
            }
            return []
        }
        guard !bytes.isEmpty else { return [] }
        self.jobs[index].hasSounded = true
        guard index == 0 else {
            guard self.jobs[index].audio.count + bytes.count <= Self.limit else {
                return [.failed(AssistantFailure("speaker-overflow", .failOver))]
            }
            self.jobs[index].audio.append(contentsOf: bytes)
            return []
        }
        return self.deliver(bytes, &output).map { [.audio($0)] } ?? []
    }

    /// Whole samples only: half of one would turn all that follows into noise.
    private mutating func deliver(_ bytes: UnsafeRawBufferPointer, _ output: inout AssistantOutput) -> Range<Int>? {
        let start = output.bytes.count
        if let odd = self.odd { output.bytes.append(odd) }
        self.odd = nil
        output.bytes.append(contentsOf: bytes)
        if self.format.bytesPerSample == 2, (output.bytes.count - start) % 2 == 1 {
            self.odd = output.bytes.removeLast()
        }
        return output.bytes.count > start ? start..<output.bytes.count : nil
    }

    private mutating func closed(
        _ index: Int, _ end: ChannelEnd, _ numbers: inout ChannelNumbers, _ output: inout AssistantOutput
    ) -> [SpeakerEvent] {
        let job = self.jobs[index]
        var failure: AssistantFailure?
        if job.status != 200 {
            failure = StageVerdicts.ofBody(job.status, job.refusal, .speaker)
        } else if end != .finished {
            failure = StageVerdicts.ofEnd(end, .speaker)
        } else if !job.hasSounded {
            failure = AssistantFailure("speaker-silent", .retry)
        }
        if let failure {
            guard failure.isRetryable || self.configuration.isLocal, !job.hasSounded, !job.isRetry else {
                return [.failed(failure)]
            }
            self.jobs[index] = Job(clause: job.clause, isRetry: true)
        } else {
            self.jobs[index].isDone = true
            self.jobs[index].channel = nil
        }
        var events: [SpeakerEvent] = []
        while let first = self.jobs.first, first.isDone {
            self.jobs.removeFirst()
            self.odd = nil
            events.append(.clauseEnded)
            if let next = self.jobs.first, !next.audio.isEmpty {
                self.jobs[0].audio = []
                let range = next.audio.withUnsafeBytes { self.deliver($0, &output) }
                if let range { events.append(.audio(range)) }
            }
        }
        do throws(SpeechPipelineError) {
            try self.begin(&numbers, &output)
        } catch {
            events.append(.failed(AssistantFailure("speaker-" + error.slug, .failOver)))
        }
        if self.isEnding, self.jobs.isEmpty {
            self.isEnding = false
            events.append(.finished)
        }
        return events
    }
}

/// One text to be spoken, as an HTTP exchange: for the pipeline and the HTTP interface.
package struct SpeechSynthesis: Sendable {
    package var configuration: SpeakerConfiguration
    package var language: String
    package init(configuration: SpeakerConfiguration, language: String) {
        self.configuration = configuration
        self.language = language
    }

    package func target(
        _ text: String, format: AudioFormat, timeout: Duration
    ) throws(SpeechPipelineError) -> HTTPTarget {
        let address = try StageAddress(self.configuration.baseURL)
        var headers: [(name: String, value: String)] = [("Content-Type", "application/json")]
        var body: [UInt8] = []
        let url: String
        switch self.configuration.service {
        case .openAI:
            if let key = self.configuration.key { headers.append(("Authorization", "Bearer " + key.value)) }
            let value: JSONValue = [
                "model": .string(self.configuration.model), "input": .string(text),
                "voice": .string(self.configuration.voice ?? "marin"), "response_format": "pcm",
            ]
            value.write(into: &body)
            url = address.http("/audio/speech")
        case .elevenLabs:
            guard let voice = self.configuration.voice else { throw .missingVoice }
            if let key = self.configuration.key { headers.append(("xi-api-key", key.value)) }
            var value: [JSONValue.Member] = [
                .init("text", .string(text)), .init("model_id", .string(self.configuration.model)),
            ]
            // Only the multilingual flash and turbo models take a language; the others refuse it.
            if self.configuration.model.hasSuffix("v2_5") {
                value.append(.init("language_code", .string(String(self.language.prefix(2)).lowercased())))
            }
            JSONValue.object(value).write(into: &body)
            let audio =
                switch format.encoding {
                case .pcmu: "ulaw_8000"
                case .pcma: "alaw_8000"
                case .l16: "pcm_\(format.rate.hertz)"
                }
            url = address.http(
                "/v1/text-to-speech/\(PercentEncoding.encoded(voice))/stream", [("output_format", audio)])
        case .deepgram:
            headers += deepgramHeaders(self.configuration.key)
            let value: JSONValue = ["text": .string(text)]
            value.write(into: &body)
            url = address.http(
                "/v1/speak",
                [
                    ("model", self.configuration.voice ?? self.configuration.model),
                    ("encoding", deepgramEncoding(format)), ("sample_rate", String(format.rate.hertz)),
                    ("container", "none"),
                ])
        case .local, .piper, .sherpa: throw .format
        }
        return HTTPTarget(method: "POST", url: url, headers: headers, body: body, timeout: timeout)
    }
}
