import Telephony

/// Where an OpenAI Realtime service is and how it is to behave. Made by the shell from configuration and the store;
/// each field with its unit, range and reason.
///
/// Shapes and limits: providers.md §1 (SDK openai 3.52.0).
package struct OpenAIRealtimeConfiguration: Sendable {
    /// How the URL is built.
    package enum Service: Sendable, Equatable {
        /// `<base>/realtime?model=`: OpenAI itself and compatible servers.
        case openAI
        /// `<base>/openai/v1/realtime?model=<deployment>`: Azure's current path, GA shape.
        case azure
        /// `<base>/openai/realtime?api-version=&deployment=`: Azure's older path, beta shape.
        case azureLegacy(apiVersion: String)
    }

    /// Which names the messages have. OpenAI itself refuses `.beta` today (`beta_api_shape_disabled`).
    package enum Dialect: String, Sendable, Codable { case ga, beta }

    /// What proves who we are. Does not print.
    package enum Credential: Sendable, Equatable {
        /// `Authorization: Bearer` (OpenAI; Azure with an Entra token).
        case bearer(Redacted<String>)
        /// `api-key` (Azure).
        case apiKey(Redacted<String>)
        /// A compatible server without one.
        case none
    }

    package enum NoiseReduction: String, Sendable, Codable {
        case off
        /// A microphone near the mouth: a handset.
        case nearField = "near_field"
        /// A room microphone: a speakerphone, a conference set.
        case farField = "far_field"
    }

    /// How the caller's words are written down (for the record; the model itself hears the audio).
    package struct Transcription: Sendable, Equatable {
        /// Nil: `gpt-transcribe`, or `whisper-1` in the beta shape.
        package var model: String?
        /// ISO 639-1; nil: taken from the assistant's language.
        package var language: String?
        package var prompt: String?
        package init(model: String? = nil, language: String? = nil, prompt: String? = nil) {
            self.model = model
            self.language = language
            self.prompt = prompt
        }
    }

    /// `http(s)` or `ws(s)`; a base without a path means `/v1` for `.openAI`.
    package var baseURL: String
    package var service: Service
    package var dialect: Dialect
    package var credential: Credential
    package var organisation: String?
    package var project: String?
    /// Sent as they are: for proxies and compatible servers.
    package var extraHeaders: [(name: String, value: String)] = []
    /// Used where the assistant names none.
    package var model: String
    /// Used where the assistant names none; nil: `marin`, or `alloy` in the beta shape, which has no `marin`.
    package var voice: String?
    /// Nil: the caller's words are not transcribed.
    package var transcription: Transcription? = Transcription()
    package var noiseReduction: NoiseReduction = .nearField
    /// 0.25–1.5.
    package var speed: Double = 1
    /// 1–4096 tokens a reply; nil: no limit.
    package var maximumOutputTokens: Int?
    /// From the start to the open socket.
    package var connectDeadline: Duration = .seconds(5)
    /// From the open socket to `session.updated`.
    package var configureDeadline: Duration = .seconds(5)
    /// From `response.cancel` to `response.done`; then we go on without it, so that a lost answer blocks nothing.
    package var cancelDeadline: Duration = .seconds(3)
    /// The provider's limit (60 minutes, providers.md §1.8).
    package var maximumSession: Duration = .seconds(3600)
    /// When the move to a new session is asked for: early enough to find a quiet moment.
    package var recycleAfter: Duration = .seconds(3300)
    /// The echo in `session.updated` is the only proof of the formats. False for compatible servers that echo nothing.
    package var requiresFormatEcho = true

    package init(
        baseURL: String = "https://api.openai.com/v1", service: Service = .openAI, dialect: Dialect? = nil,
        credential: Credential, organisation: String? = nil, project: String? = nil,
        model: String = "gpt-realtime-2.1", voice: String? = nil
    ) {
        self.baseURL = baseURL
        self.service = service
        switch service {
        case .openAI, .azure: self.dialect = dialect ?? .ga
        case .azureLegacy: self.dialect = dialect ?? .beta
        }
        self.credential = credential
        self.organisation = organisation
        self.project = project
        self.model = model
        self.voice = voice
    }
}

/// What is wrong with a configuration: each names the field, none its value.
package enum OpenAIRealtimeConfigurationError: Error, Equatable {
    case malformedBaseURL
    /// A user name or password in the URL would be logged by every proxy on the way.
    case credentialsInBaseURL
    /// A line break in a header's value would make two headers of it.
    case malformedHeader(name: String)
    case emptyModel
    case outOfRange(field: String, allowed: String)
    /// `gpt-realtime-whisper` works without turn detection only (providers.md §1.2).
    case transcriptionForbidsTurnDetection

    /// A stable slug for logs and metrics.
    package var slug: String {
        switch self {
        case .malformedBaseURL: "configuration-base-url"
        case .credentialsInBaseURL: "configuration-url-credentials"
        case .malformedHeader: "configuration-header"
        case .emptyModel: "configuration-model"
        case .outOfRange: "configuration-range"
        case .transcriptionForbidsTurnDetection: "configuration-transcription"
        }
    }
}

extension OpenAIRealtimeConfiguration {
    /// Throws what the provider would refuse anyway, before a caller has to hear it.
    package func check(turns: TurnDetection) throws(OpenAIRealtimeConfigurationError) {
        guard (0.25...1.5).contains(self.speed) else { throw .outOfRange(field: "speed", allowed: "0.25–1.5") }
        if let tokens = self.maximumOutputTokens, !(1...4096).contains(tokens) {
            throw .outOfRange(field: "maximumOutputTokens", allowed: "1–4096")
        }
        if turns.kind == .server {
            guard (0...1).contains(turns.threshold) else { throw .outOfRange(field: "threshold", allowed: "0–1") }
            guard (Duration.zero...Duration.seconds(2)).contains(turns.prefixPadding) else {
                throw .outOfRange(field: "prefixPadding", allowed: "0–2000 ms")
            }
            guard (Duration.milliseconds(100)...Duration.seconds(5)).contains(turns.silence) else {
                throw .outOfRange(field: "silence", allowed: "100–5000 ms")
            }
        }
        if turns.kind != .none, self.transcription?.model == "gpt-realtime-whisper" {
            throw .transcriptionForbidsTurnDetection
        }
    }
}
