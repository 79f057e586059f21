import Telephony

/// Where Google's Live API is and how it is to behave. Made by the shell from configuration and the store; each field
/// with its unit, range and reason.
///
/// Shapes and limits: providers.md §3 (SDK google-genai 3.4.0).
package struct GeminiLiveConfiguration: Sendable {
    /// How the URL is built and what proves who we are.
    package enum Service: Sendable, Equatable {
        /// The Gemini Developer API of this version: `v1` (the SDK's default), `v1beta`, `v1alpha`.
        case developer(version: String)
        /// Vertex AI: `<base>/ws/google.cloud.aiplatform.<version>.LlmBidiService/BidiGenerateContent`, models by their
        /// whole resource name under this parent (`projects/…/locations/…`).
        case vertex(version: String, parent: String)
    }

    /// Does not print.
    package enum Credential: Sendable, Equatable {
        /// `x-goog-api-key`, as the SDK sends it.
        case apiKey(Redacted<String>)
        /// `Authorization: Bearer`: Vertex.
        case bearer(Redacted<String>)
        /// A proxy that adds its own.
        case none
    }

    /// `http(s)` or `ws(s)`.
    package var baseURL: String
    package var service: Service
    package var credential: Credential
    /// Used where the assistant names none; with or without `models/`.
    package var model: String
    /// A prebuilt voice's name, used where the assistant names none; nil: the model's own.
    package var voice: String?
    /// Whether the caller's and the agent's words are written down. The model itself hears the audio.
    package var transcribes = true
    /// Let the server forget the oldest turns instead of ending at 15 minutes of audio (providers.md §3.6).
    package var compressesContext = true
    /// Tokens from which on it compresses; nil: the server's default (80 % of the window).
    package var compressionTrigger: Int?
    /// 1–8192 tokens a reply; nil: no limit.
    package var maximumOutputTokens: Int?
    /// From the start to the open socket.
    package var connectDeadline: Duration = .seconds(5)
    /// From the open socket to `setupComplete`.
    package var configureDeadline: Duration = .seconds(5)
    /// After a reply was stopped: then the server's end of it is no longer waited for.
    package var cancelDeadline: Duration = .seconds(3)
    /// The server said IN_PROGRESS and then nothing more: then the reply counts as over.
    package var interactionDeadline: Duration = .seconds(30)
    /// Words of the caller, then neither more of them nor an answer: the turn counts as closed, so that the
    /// conversation's own deadlines run.
    package var transcriptPause: Duration = .milliseconds(1500)
    /// A spoken sentence that the server reacts to with nothing at all: then the turn counts as closed too.
    package var deafAfter: Duration = .seconds(5)
    /// The leg sends no frames (a hold, silence suppression): the server is told that the stream pauses.
    package var streamPause: Duration = .seconds(1)
    /// The move to the next connection is forced this long before the server would cut the old one.
    package var resumeMargin: Duration = .seconds(2)
    /// Lost connections in a row that are resumed before the session is given up.
    package var resumeAttempts = 3

    package init(
        baseURL: String = "https://generativelanguage.googleapis.com",
        service: Service = .developer(version: "v1"), credential: Credential, model: String = "gemini-3.8-live",
        voice: String? = nil
    ) {
        self.baseURL = baseURL
        self.service = service
        self.credential = credential
        self.model = model
        self.voice = voice
    }
}

/// What is wrong with a configuration: each names the field, none its value.
package enum GeminiLiveConfigurationError: Error, Equatable {
    case malformedBaseURL
    case credentialsInBaseURL
    case malformedKey
    case malformedVersion
    case malformedModel
    case malformedParent
    case outOfRange(field: String, allowed: String)

    /// A stable slug for logs and metrics.
    package var slug: String {
        switch self {
        case .malformedBaseURL: "configuration-base-url"
        case .credentialsInBaseURL: "configuration-url-credentials"
        case .malformedKey: "configuration-key"
        case .malformedVersion: "configuration-version"
        case .malformedModel: "configuration-model"
        case .malformedParent: "configuration-parent"
        case .outOfRange: "configuration-range"
        }
    }
}

extension GeminiLiveConfiguration {
    /// Throws what the provider would refuse anyway, before a caller has to hear it.
    package func check(model: String, turns: TurnDetection) throws(GeminiLiveConfigurationError) {
        _ = try self.target()
        _ = try self.resource(of: model)
        if let tokens = self.maximumOutputTokens, !(1...8192).contains(tokens) {
            throw .outOfRange(field: "maximumOutputTokens", allowed: "1–8192")
        }
        if let tokens = self.compressionTrigger, !(5000...128_000).contains(tokens) {
            throw .outOfRange(field: "compressionTrigger", allowed: "5000–128000")
        }
        guard turns.kind == .server else { return }
        guard (Duration.zero...Duration.seconds(2)).contains(turns.prefixPadding) else {
            throw .outOfRange(field: "prefixPadding", allowed: "0–2000 ms")
        }
        guard (Duration.milliseconds(100)...Duration.seconds(5)).contains(turns.silence) else {
            throw .outOfRange(field: "silence", allowed: "100–5000 ms")
        }
    }

    /// The WebSocket that every connection of a session is opened on.
    package func target() throws(GeminiLiveConfigurationError) -> WebSocketTarget {
        let address: ServiceAddress
        do throws(ServiceAddress.Failure) {
            address = try ServiceAddress(self.baseURL)
        } catch {
            throw error == .credentials ? .credentialsInBaseURL : .malformedBaseURL
        }
        let path: String
        switch self.service {
        case .developer(let version):
            guard isName(version) else { throw .malformedVersion }
            path = "/ws/google.ai.generativelanguage.\(version).GenerativeService.BidiGenerateContent"
        case .vertex(let version, _):
            guard isName(version) else { throw .malformedVersion }
            // A slash before the method, not a point (providers.md §3.1).
            path = "/ws/google.cloud.aiplatform.\(version).LlmBidiService/BidiGenerateContent"
        }
        var headers: [(name: String, value: String)] = []
        switch self.credential {
        case .apiKey(let key): headers.append(("x-goog-api-key", key.value))
        case .bearer(let token): headers.append(("Authorization", "Bearer " + token.value))
        case .none: break
        }
        guard headers.allSatisfy({ ServiceAddress.isHeaderValue($0.value) }) else { throw .malformedKey }
        return WebSocketTarget(url: address.webSocketOrigin + address.path + path, headers: headers)
    }

    /// The model as `setup.model` names it.
    func resource(of model: String) throws(GeminiLiveConfigurationError) -> String {
        let name = model.hasPrefix("models/") ? String(model.dropFirst(7)) : model
        switch self.service {
        case .developer:
            guard isName(name) else { throw .malformedModel }
            return "models/" + name
        case .vertex(_, let parent):
            if name.hasPrefix("projects/") { return name }
            guard isName(name) else { throw .malformedModel }
            guard parent.hasPrefix("projects/"), parent.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw .malformedParent
            }
            return parent + "/publishers/google/models/" + name
        }
    }
}

private func isName(_ text: String) -> Bool {
    !text.isEmpty && text.count <= 128
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
}

/// What differs from one generation of Live models to the next (providers.md §3.4, §3.5).
package struct GeminiLiveModel: Sendable, Equatable {
    private let version: (major: Int, minor: Int)

    package static func == (lhs: GeminiLiveModel, rhs: GeminiLiveModel) -> Bool { lhs.version == rhs.version }

    /// By the first number with a point in the name. A name without one is taken for the newest: what comes is built
    /// on what is.
    package init(_ name: String) {
        var found: (Int, Int)?
        let characters = Array(name)
        for index in characters.indices.dropFirst().dropLast() where characters[index] == "." {
            guard let major = characters[index - 1].wholeNumberValue, let minor = characters[index + 1].wholeNumberValue
            else { continue }
            found = (major, minor)
            break
        }
        self.version = found ?? (3, 8)
    }

    /// From 3.1: text in the middle of a call goes into `realtimeInput`; `clientContent` is for the history at the
    /// start only, and closes the session with 1007 at any other time.
    package var takesTextInRealtime: Bool { self.version >= (3, 1) }
    /// From 3.8: `contextUpdate` changes the instructions in the middle of a call.
    package var takesContextUpdates: Bool { self.version >= (3, 8) }
    /// From 3.8 a function is NON_BLOCKING unless it is declared otherwise.
    package var isNonBlockingByDefault: Bool { self.version >= (3, 8) }
}
