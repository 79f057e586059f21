import Telephony

/// Which ElevenLabs agent answers, how it is reached and what of it may be changed for a call. Made by the shell from
/// configuration and the store.
///
/// The agent itself (its model, its tools, its audio formats, who may override what) is made at ElevenLabs; a session
/// only adds to it. Shapes and limits: providers.md §2 (SDK elevenlabs 2.78.0).
package struct ElevenLabsAgentsConfiguration: Sendable {
    /// What of the agent a session replaces. The agent must allow each (its security settings); one that it does not
    /// allow ends the session with 1008.
    package enum Override: String, Sendable, CaseIterable {
        /// The assistant's instructions replace the agent's prompt.
        case prompt
        /// The assistant's greeting replaces the agent's first message; and after a change of assistants in the middle
        /// of a call the agent does not greet again.
        case firstMessage = "first_message"
        case language
        case voice
        /// `dynamic_variables`: instructions, greeting and language, for prompts made with `{{instructions}}`.
        case variables
    }

    /// `http(s)` or `ws(s)`; without a path.
    package var baseURL: String
    /// Used where the assistant names none as its model.
    package var agent: String
    /// With a key the session is opened by a signed URL, as private agents demand; nil: a public agent.
    package var key: Redacted<String>?
    package var overrides: Set<Override>
    /// Used with the override, where the assistant names none.
    package var voice: String?
    /// A deployment of the agent (`production` where none is named).
    package var environment: String?
    /// From the start to the signed URL's answer, and again to the open socket.
    package var connectDeadline: Duration = .seconds(5)
    /// From the open socket to the metadata event.
    package var configureDeadline: Duration = .seconds(5)
    /// No more audio for so long: what came is all of it. There is no event that says so.
    package var replyPause: Duration = .milliseconds(1000)
    /// A spoken sentence that the server reacts to with nothing at all: then the turn counts as closed.
    package var deafAfter: Duration = .seconds(6)
    /// No frame from the leg for so long: silence is sent instead. The server ends sessions that it hears nothing of
    /// for 60 s (1002), and needs the silence to hear a turn's end.
    package var silenceAfter: Duration = .milliseconds(500)

    package init(
        baseURL: String = "https://api.elevenlabs.io", agent: String, key: Redacted<String>? = nil,
        overrides: Set<Override> = [], voice: String? = nil, environment: String? = nil
    ) {
        self.baseURL = baseURL
        self.agent = agent
        self.key = key
        self.overrides = overrides
        self.voice = voice
        self.environment = environment
    }
}

/// What is wrong with a configuration: each names the field, none its value.
package enum ElevenLabsAgentsConfigurationError: Error, Equatable {
    case malformedBaseURL
    case credentialsInBaseURL
    case noAgent
    case malformedAgent
    case malformedKey
    case malformedEnvironment
    /// The signed URL that the server gave is none.
    case malformedSignedURL

    /// A stable slug for logs and metrics.
    package var slug: String {
        switch self {
        case .malformedBaseURL: "configuration-base-url"
        case .credentialsInBaseURL: "configuration-url-credentials"
        case .noAgent: "configuration-no-agent"
        case .malformedAgent: "configuration-agent"
        case .malformedKey: "configuration-key"
        case .malformedEnvironment: "configuration-environment"
        case .malformedSignedURL: "signed-url-malformed"
        }
    }
}

extension ElevenLabsAgentsConfiguration {
    /// How a session begins: with a question for a signed URL, or at the socket.
    package enum Opening: Sendable {
        case signedURL(HTTPTarget)
        case socket(WebSocketTarget)
    }

    package func opening(agent named: String?) throws(ElevenLabsAgentsConfigurationError) -> Opening {
        let agent = named ?? self.agent
        guard !agent.isEmpty else { throw .noAgent }
        guard agent.count <= 128, agent.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .malformedAgent }
        var query = "agent_id=" + PercentEncoding.encoded(agent)
        if let environment = self.environment {
            guard ServiceAddress.isHeaderValue(environment) else { throw .malformedEnvironment }
            query += "&environment=" + PercentEncoding.encoded(environment)
        }
        let address = try self.address()
        let path = address.path + "/v1/convai/conversation"
        guard let key = self.key else {
            // The socket itself bears no key, and the SDK asks for no subprotocol (providers.md §2.1).
            return .socket(WebSocketTarget(url: address.webSocketOrigin + path + "?" + query))
        }
        guard ServiceAddress.isHeaderValue(key.value) else { throw .malformedKey }
        let target = HTTPTarget(
            method: "GET", url: address.httpOrigin + path + "/get-signed-url?" + query,
            headers: [("xi-api-key", key.value)], timeout: self.connectDeadline)
        return .signedURL(target)
    }

    /// The socket behind a signed URL. It is taken as it is, but for the scheme: it must be as secure as the base.
    package func target(signed url: String) throws(ElevenLabsAgentsConfigurationError) -> WebSocketTarget {
        let isPlain = try self.address().webSocketOrigin.hasPrefix("ws://")
        guard url.hasPrefix("wss://") || (isPlain && url.hasPrefix("ws://")), url.utf8.count <= 4096,
            url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .malformedSignedURL }
        return WebSocketTarget(url: url)
    }

    private func address() throws(ElevenLabsAgentsConfigurationError) -> ServiceAddress {
        do throws(ServiceAddress.Failure) {
            return try ServiceAddress(self.baseURL)
        } catch {
            throw error == .credentials ? .credentialsInBaseURL : .malformedBaseURL
        }
    }
}

/// The audio formats of an agent, by their names (providers.md §2.2). A-law is none of them.
package enum ElevenLabsAgentsFormat {
    package static func format(named name: String) -> AudioFormat? {
        if name == "ulaw_8000" { return .pcmu }
        guard name.hasPrefix("pcm_"), let rate = Int(name.dropFirst(4)),
            [8000, 16_000, 22_050, 24_000, 44_100, 48_000].contains(rate)
        else { return nil }
        return .l16(SampleRate(hertz: rate))
    }

    package static let all: [AudioFormat] = [
        .l16(.wideband), .pcmu, .l16(.narrowband), .l16(.realtime), .l16(SampleRate(hertz: 22_050)),
        .l16(SampleRate(hertz: 44_100)), .l16(.fullband),
    ]
}
