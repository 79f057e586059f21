import Telephony

/// Why a pipeline cannot be made as it is configured. The slug labels the failure; the message names the repair.
package enum SpeechPipelineError: Error, Sendable, Equatable {
    case malformedBaseURL
    case credentialsInBaseURL
    case malformedKey
    /// The service needs a key; the setting that would hold it.
    case missingKey(setting: String)
    case missingModel
    case missingVoice
    /// The service does not speak, or understand, the format.
    case format

    package var slug: String {
        switch self {
        case .malformedBaseURL: "malformed-base-url"
        case .credentialsInBaseURL: "credentials-in-base-url"
        case .malformedKey: "malformed-key"
        case .missingKey: "no-key"
        case .missingModel: "no-model"
        case .missingVoice: "no-voice"
        case .format: "format-not-carried"
        }
    }

    package var message: String {
        switch self {
        case .malformedBaseURL:
            "the base URL is no http(s) or ws(s) address without query: write https://host[:port][/path]"
        case .credentialsInBaseURL: "the base URL holds a user or a password: set the key in its own setting"
        case .malformedKey: "the key holds a line break or a character that no key has: copy it again"
        case .missingKey(let setting): "no key: set \(setting), or give the tenant a key of its own"
        case .missingModel: "no model is named"
        case .missingVoice: "no voice is named"
        case .format: "the service does not carry this audio format"
        }
    }
}

/// What the speech pipeline is made of: one service a stage, each with its address, key and model.
package struct SpeechPipelineConfiguration: Sendable {
    package var recogniser: RecogniserConfiguration
    package var writer: WriterConfiguration
    package var speaker: SpeakerConfiguration
    /// From the request to the first word of an answer; beyond it one more attempt, then the next back end.
    package var writerDeadline: Duration = .seconds(6)
    /// From a clause to its first sound.
    package var speakerDeadline: Duration = .seconds(5)
    /// From the end of a recording to its words (turn-based).
    package var transcriptionDeadline: Duration = .seconds(10)
    /// After a sentence of the caller of which the recogniser shows no sign, its socket is replaced.
    package var deafAfter: Duration = .seconds(4)
    /// Silence of the detector after which it reports the end of speech: the rest of the wait is endpointing's.
    package var detectorSilence: Duration = .milliseconds(160)

    package init(recogniser: RecogniserConfiguration, writer: WriterConfiguration, speaker: SpeakerConfiguration) {
        self.recogniser = recogniser
        self.writer = writer
        self.speaker = speaker
    }

    /// Throws the first thing that would make a call fail: at start or at save rather than when somebody calls.
    package func check() throws(SpeechPipelineError) {
        try self.recogniser.check()
        try self.writer.check()
        try self.speaker.check()
    }
}

/// Who writes down what the caller says.
package struct RecogniserConfiguration: Sendable {
    package enum Service: String, Sendable, CaseIterable {
        /// Deepgram's `/v1/listen`, streaming.
        case deepgram
        /// Deepgram's `/v2/listen`, which also decides the turns.
        case flux = "deepgram-flux"
        /// Deepgram's `/v1/listen` over HTTP, a recording at a time.
        case deepgramBatch = "deepgram-batch"
        /// `/audio/transcriptions` of OpenAI, Groq and compatible servers, a recording at a time.
        case openAI = "openai"
        case groq
        /// sherpa-onnx on this machine, a talkspurt at a time.
        case sherpa
    }
    package var service: Service
    package var baseURL: String
    package var key: Redacted<String>?
    package var model: String

    package init(_ service: Service, baseURL: String? = nil, key: Redacted<String>? = nil, model: String? = nil) {
        self.service = service
        self.baseURL = baseURL ?? service.defaultBaseURL
        self.key = key
        self.model = model ?? service.defaultModel
    }

    /// Whether words come while the caller speaks.
    package var isStreaming: Bool { self.service == .deepgram || self.service == .flux }

    /// Whether it is an engine of this machine: no address, no key, no model of a service.
    package var isLocal: Bool { self.service == .sherpa }

    package func check() throws(SpeechPipelineError) {
        guard !self.isLocal else { return }
        try checkStage(self.baseURL, self.key, model: self.model, setting: self.service.keySetting)
    }
}

extension RecogniserConfiguration.Service {
    package var defaultBaseURL: String {
        switch self {
        case .sherpa: ""
        case .deepgram, .flux, .deepgramBatch: "https://api.deepgram.com"
        case .openAI: "https://api.openai.com/v1"
        case .groq: "https://api.groq.com/openai/v1"
        }
    }
    package var defaultModel: String {
        switch self {
        case .deepgram, .deepgramBatch: "nova-3"
        case .flux: "flux-general-multi"
        case .openAI: "gpt-transcribe"
        case .groq: "whisper-large-v3-turbo"
        case .sherpa: ""
        }
    }
    package var keySetting: String? {
        switch self {
        case .sherpa: nil
        case .deepgram, .flux, .deepgramBatch: "DEEPGRAM_API_KEY"
        case .openAI: "OPENAI_API_KEY"
        case .groq: "GROQ_API_KEY"
        }
    }
}

extension RecogniserConfiguration {
    /// The service's name in the price table; nil: nobody bills it.
    package var billedService: String? {
        switch self.service {
        case .deepgram, .flux, .deepgramBatch: "deepgram"
        case .openAI: "openai"
        case .groq: "groq"
        case .sherpa: nil
        }
    }
}

extension SpeakerConfiguration {
    /// The service's name in the price table; nil: nobody bills it.
    package var billedService: String? {
        switch self.service {
        case .deepgram, .openAI, .elevenLabs: self.service.rawValue
        case .local, .piper, .sherpa: nil
        }
    }
    /// Deepgram's voices are models, of one price with the family's others: `aura-2-thalia-en`.
    package var billedModel: String {
        self.service == .deepgram ? self.voice ?? self.model : self.model
    }
}

/// Who thinks of the answer.
package struct WriterConfiguration: Sendable {
    package enum Service: String, Sendable, CaseIterable {
        case groq
        case openAI = "openai"
        case anthropic
        /// Any server of OpenAI's chat completions: Ollama, vLLM, llama.cpp.
        case compatible
    }
    package var service: Service
    package var baseURL: String
    package var key: Redacted<String>?
    package var model: String
    package var maximumTokens: Int = 1024
    package var temperature: Double?
    /// The `anthropic-version` header (providers.md §5.2: the present SDK's).
    package var anthropicVersion = "2026-10-21"
    /// The older form of Anthropic's key header, for servers that want `x-api-key`.
    package var usesKeyHeader = false

    package init(_ service: Service, baseURL: String? = nil, key: Redacted<String>? = nil, model: String? = nil) {
        self.service = service
        self.baseURL = baseURL ?? service.defaultBaseURL
        self.key = key
        self.model = model ?? service.defaultModel
    }

    package func check() throws(SpeechPipelineError) {
        try checkStage(self.baseURL, self.key, model: self.model, setting: self.service.keySetting)
    }
}

extension WriterConfiguration.Service {
    package var defaultBaseURL: String {
        switch self {
        case .groq: "https://api.groq.com/openai/v1"
        case .openAI: "https://api.openai.com/v1"
        case .anthropic: "https://api.anthropic.com"
        case .compatible: "http://127.0.0.1:11434/v1"
        }
    }
    /// A compatible server's models are its own: it has to be told one.
    package var defaultModel: String {
        switch self {
        // Groq named it as the successor of the Llama model that it has switched off (`ModelRetirements`).
        case .groq: "openai/gpt-oss-120b"
        case .openAI: "gpt-4.1-mini"
        case .anthropic: "claude-haiku-4-5"
        case .compatible: ""
        }
    }
    package var keySetting: String? {
        switch self {
        case .groq: "GROQ_API_KEY"
        case .openAI: "OPENAI_API_KEY"
        case .anthropic: "ANTHROPIC_API_KEY"
        case .compatible: nil
        }
    }
}

/// Who speaks the answer.
package struct SpeakerConfiguration: Sendable {
    package enum Service: String, Sendable, CaseIterable {
        /// Deepgram's `/v1/speak`, one WebSocket for the call.
        case deepgram
        /// OpenAI's `/audio/speech`, a request a clause.
        case openAI = "openai"
        /// ElevenLabs' `/v1/text-to-speech/…/stream`, a request a clause.
        case elevenLabs = "elevenlabs"
        /// The local engine that this gateway is configured with.
        case local
        /// Piper's program on this machine.
        case piper
        /// sherpa-onnx on this machine.
        case sherpa
    }
    package var service: Service
    package var baseURL: String
    package var key: Redacted<String>?
    package var model: String
    /// The service's name of the voice; Deepgram's is the model.
    package var voice: String?

    package init(
        _ service: Service, baseURL: String? = nil, key: Redacted<String>? = nil, model: String? = nil,
        voice: String? = nil
    ) {
        self.service = service
        self.baseURL = baseURL ?? service.defaultBaseURL
        self.key = key
        self.model = model ?? service.defaultModel
        self.voice = voice ?? service.defaultVoice
    }

    /// Whether it is an engine of this machine: no address, no key, no model of a service.
    package var isLocal: Bool {
        switch self.service {
        case .local, .piper, .sherpa: true
        case .deepgram, .openAI, .elevenLabs: false
        }
    }

    /// The engine that is asked for by name; nil: the configured one, or none of this machine.
    package var localVoice: LocalVoice? {
        switch self.service {
        case .piper: .piper
        case .sherpa: .sherpa
        case .local, .deepgram, .openAI, .elevenLabs: nil
        }
    }

    package func check() throws(SpeechPipelineError) {
        guard !self.isLocal else { return }
        try checkStage(self.baseURL, self.key, model: self.model, setting: self.service.keySetting)
        if self.service == .elevenLabs, self.voice ?? "" == "" { throw .missingVoice }
    }

    /// The audio that is asked for, for a leg of `format`: the leg's own where the service has it.
    package func format(for leg: AudioFormat) -> AudioFormat {
        let leg = AudioFormat(leg.encoding, leg.rate)
        switch self.service {
        case .local, .piper, .sherpa: return leg
        case .openAI: return .l16(.realtime)
        case .deepgram:
            if leg.encoding != .l16 { return leg }
            return [8000, 16000, 24000, 32000, 48000].contains(leg.rate.hertz) ? leg : .l16(.wideband)
        case .elevenLabs:
            if leg.encoding != .l16 { return leg }
            return [8000, 16000, 24000, 48000].contains(leg.rate.hertz) ? leg : .l16(.wideband)
        }
    }
}

extension SpeakerConfiguration.Service {
    package var defaultBaseURL: String {
        switch self {
        case .deepgram: "https://api.deepgram.com"
        case .openAI: "https://api.openai.com/v1"
        case .elevenLabs: "https://api.elevenlabs.io"
        case .local, .piper, .sherpa: ""
        }
    }
    package var defaultModel: String {
        switch self {
        case .deepgram: "aura-2"
        case .openAI: "gpt-4o-mini-tts"
        case .elevenLabs: "eleven_flash_v2_5"
        case .local, .piper, .sherpa: ""
        }
    }
    package var defaultVoice: String? {
        switch self {
        case .openAI: "marin"
        case .deepgram, .elevenLabs, .local, .piper, .sherpa: nil
        }
    }
    package var keySetting: String? {
        switch self {
        case .deepgram: "DEEPGRAM_API_KEY"
        case .openAI: "OPENAI_API_KEY"
        case .elevenLabs: "ELEVENLABS_API_KEY"
        case .local, .piper, .sherpa: nil
        }
    }
}

/// What is the same for every stage that is a service: its address, its key, its model.
private func checkStage(
    _ base: String, _ key: Redacted<String>?, model: String, setting: String?
) throws(SpeechPipelineError) {
    let address = try StageAddress(base)
    if let key {
        // A key with a line break from a careless copy is refused, not sent as two headers.
        guard !key.value.isEmpty, key.value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .malformedKey }
    } else if let setting, !address.isLoopback {
        throw .missingKey(setting: setting)
    }
    guard !model.isEmpty else { throw .missingModel }
}
