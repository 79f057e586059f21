import Audio
import Telephony

/// Recognition of one recording at a time, for turn-based calls: keeps the caller's audio from just before speech to its
/// end, then posts it as a WAV file to Deepgram's `/v1/listen` or an `/audio/transcriptions`, or has an engine of this
/// machine write it down.
struct BatchRecogniser: Sendable {
    private let configuration: RecogniserConfiguration
    private let language: String
    let format: AudioFormat
    private let lead: Int
    private var audio: [UInt8] = []
    private var isRecording = false
    private var channel: ChannelID?
    private var status = 0
    private var answer: [UInt8] = []
    private var isRetry = false
    private let timeout: Duration

    /// Longer than a caller speaks in one turn; the newest is kept.
    private static let longest: Duration = .seconds(60)
    /// What the realtime services take at most: before that nobody was about to speak.
    private static let longestPadding: Duration = .seconds(2)
    /// What a detector hears of speech before it says so.
    private static let onset: Duration = .milliseconds(200)

    init(_ configuration: RecogniserConfiguration, setup: AssistantSetup, timeout: Duration) {
        self.configuration = configuration
        self.language = setup.language
        self.timeout = timeout
        // Linear, so that every service takes the file; the conversation decodes.
        self.format = .l16(setup.legFormat.rate)
        self.lead = self.format.bytes(in: min(max(setup.turns.prefixPadding, .zero), Self.longestPadding) + Self.onset)
    }

    mutating func audio(_ frame: UnsafeRawBufferPointer) {
        self.audio.append(contentsOf: frame)
        let limit = self.isRecording ? self.format.bytes(in: Self.longest) : self.lead
        // By the second, so that the bytes are not moved for every frame.
        if self.audio.count > limit + self.format.bytesPerSecond { self.audio.removeFirst(self.audio.count - limit) }
    }

    mutating func speechStarted() {
        guard !self.isRecording else { return }
        self.isRecording = true
        if self.audio.count > self.lead { self.audio.removeFirst(self.audio.count - self.lead) }
    }

    mutating func forget() {
        self.isRecording = false
        self.audio.removeAll(keepingCapacity: true)
    }

    /// The turn is over: its words are asked for.
    mutating func transcribe(as channel: ChannelID, _ output: inout AssistantOutput) throws(SpeechPipelineError) {
        guard !self.configuration.isLocal else {
            self.channel = channel
            output.effects.append(
                .transcribe(
                    channel, TranscriptionRequest(audio: self.audio, format: self.format, language: self.language)))
            return
        }
        let target = try BatchTranscription(configuration: self.configuration, language: self.language)
            .target(pcm: self.audio, rate: self.format.rate, timeout: self.timeout)
        self.channel = channel
        self.status = 0
        self.answer = []
        output.effects.append(.request(channel, target))
    }

    /// What a transcription would be made of now.
    var recordedBytes: Int { self.audio.count }

    func owns(_ id: ChannelID) -> Bool { id == self.channel }

    mutating func close(_ output: inout AssistantOutput) {
        if let channel = self.channel { output.effects.append(.close(channel, code: 1000)) }
        self.channel = nil
    }

    /// What came of the request: its words, or that it should be made once more (`again`).
    enum Outcome: Sendable, Equatable { case pending, words(String), again, failed(AssistantFailure) }

    mutating func received(_ event: ChannelEvent) -> Outcome {
        switch event {
        case .responseHead(_, let status, _): self.status = status
        case .bytes(_, let bytes):
            if self.answer.count + bytes.count < 1024 * 1024 { self.answer.append(contentsOf: bytes) }
        case .transcribed(_, let words):
            self.channel = nil
            return .words(words.value)
        case .closed(_, let end):
            self.channel = nil
            guard !self.configuration.isLocal else { return .failed(StageVerdicts.ofEnd(end, .recogniser)) }
            let result = BatchTranscription.read(status: self.status, body: self.answer, end: end)
            switch result {
            case .success(let text):
                self.isRetry = false
                return .words(text)
            case .failure(let failure):
                guard failure.isRetryable, !self.isRetry else { return .failed(failure) }
                self.isRetry = true
                return .again
            }
        default: break
        }
        return .pending
    }
}

/// One recording to be transcribed, as an HTTP exchange: for turn-based calls and the HTTP interface.
package struct BatchTranscription: Sendable {
    package var configuration: RecogniserConfiguration
    package var language: String

    package init(configuration: RecogniserConfiguration, language: String) {
        self.configuration = configuration
        self.language = language
    }

    /// - Parameter pcm: linear 16-bit mono.
    package func target(
        pcm: [UInt8], rate: SampleRate, timeout: Duration
    ) throws(SpeechPipelineError) -> HTTPTarget {
        guard !self.configuration.isLocal else { throw .format }
        let address = try StageAddress(self.configuration.baseURL)
        let wav = WAV(format: .l16(rate), samples: pcm).encoded()
        switch self.configuration.service {
        case .deepgram, .flux, .deepgramBatch:
            let query = [
                ("model", self.configuration.model), ("language", deepgramLanguage(self.language)),
                ("punctuate", "true"), ("smart_format", "true"),
            ]
            return HTTPTarget(
                method: "POST", url: address.http("/v1/listen", query),
                headers: deepgramHeaders(self.configuration.key) + [("Content-Type", "audio/wav")], body: wav,
                timeout: timeout)
        case .openAI, .groq:
            // No part can hold this line by accident: base64 has no such run, and a WAV only by intent.
            let boundary = "pronto-7c1d9a42e6b84f05a3c9d1e27f60b853"
            var body: [UInt8] = []
            func field(_ name: String, _ value: String) {
                body.append(
                    contentsOf: "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
                        .utf8)
            }
            field("model", self.configuration.model)
            field("language", String(self.language.prefix { $0 != "-" && $0 != "_" }).lowercased())
            field("response_format", "json")
            body.append(
                contentsOf:
                    "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; filename=\"turn.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
                    .utf8)
            body.append(contentsOf: wav)
            body.append(contentsOf: "\r\n--\(boundary)--\r\n".utf8)
            var headers: [(name: String, value: String)] = [
                ("Content-Type", "multipart/form-data; boundary=\(boundary)")
            ]
            if let key = self.configuration.key { headers.append(("Authorization", "Bearer " + key.value)) }
            return HTTPTarget(
                method: "POST", url: address.http("/audio/transcriptions"), headers: headers, body: body,
                timeout: timeout)
        case .sherpa: throw .format
        }
    }

    package static func read(status: Int, body: [UInt8], end: ChannelEnd) -> Result<String, AssistantFailure> {
        guard case .finished = end else { return .failure(StageVerdicts.ofEnd(end, .recogniser)) }
        guard status == 200 else { return .failure(StageVerdicts.ofBody(status, body, .recogniser)) }
        guard let value = JSONValue(json: String(decoding: body, as: UTF8.self)) else {
            return .failure(AssistantFailure("recogniser-garbled", .retry))
        }
        let deepgram = value[["results", "channels"]]?.elements?.first?["alternatives"]?.elements?.first?["transcript"]
        guard let text = (deepgram ?? value["text"])?.text else {
            return .failure(AssistantFailure("recogniser-garbled", .retry))
        }
        return .success(text)
    }
}
