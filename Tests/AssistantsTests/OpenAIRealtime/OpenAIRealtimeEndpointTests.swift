import Assistants
import Telephony
import Testing

@Suite struct OpenAIRealtimeEndpointTests {
    @Test(
        "A base becomes the session's URL",
        arguments: [
            ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?model=m"),
            ("https://api.openai.com", "wss://api.openai.com/v1/realtime?model=m"),
            ("https://eu.api.openai.com/v1/", "wss://eu.api.openai.com/v1/realtime?model=m"),
            ("http://127.0.0.1:8080/v1", "ws://127.0.0.1:8080/v1/realtime?model=m"),
            ("ws://[::1]:9/x//", "ws://[::1]:9/x/realtime?model=m"),
            ("WSS://Host.example/v1/realtime", "wss://host.example/v1/realtime?model=m"),
        ])
    func openAI(base: String, url: String) throws {
        let configuration = OpenAIRealtimeConfiguration(baseURL: base, credential: .none)
        #expect(try configuration.target(model: "m").url == url)
    }

    @Test(
        "Azure's paths, however much of them the base has",
        arguments: [
            ("https://r.openai.azure.com", "wss://r.openai.azure.com/openai/v1/realtime?model=my%20d"),
            ("https://r.openai.azure.com/openai", "wss://r.openai.azure.com/openai/v1/realtime?model=my%20d"),
            ("https://r.openai.azure.com/openai/v1/", "wss://r.openai.azure.com/openai/v1/realtime?model=my%20d"),
        ])
    func azure(base: String, url: String) throws {
        let configuration = OpenAIRealtimeConfiguration(
            baseURL: base, service: .azure, credential: .apiKey(Redacted("k")))
        let target = try configuration.target(model: "my d")
        #expect(target.url == url)
        #expect(target.headers.map(\.name) == ["api-key"], "No beta header on the GA path")
    }

    @Test("Organisation and project travel as headers, and nothing of the target prints")
    func headers() throws {
        let configuration = OpenAIRealtimeConfiguration(
            credential: .bearer(Redacted("sk-secret")), organisation: "org", project: "proj")
        let target = try configuration.target(model: "m")
        #expect(target.headers.map(\.name) == ["Authorization", "OpenAI-Organization", "OpenAI-Project"])
        #expect(target.headers.first?.value == "Bearer sk-secret")
        #expect(!"\(target)".contains("secret"))
        #expect(!"\(configuration)".contains("secret"))
    }

    @Test(
        "What cannot be a base is refused",
        arguments: [
            ("", OpenAIRealtimeConfigurationError.malformedBaseURL), ("api.openai.com", .malformedBaseURL),
            ("ftp://x", .malformedBaseURL), ("https://", .malformedBaseURL), ("https://:80/", .malformedBaseURL),
            ("https://x/ y", .malformedBaseURL), ("https://x/v1?a=b", .malformedBaseURL),
            ("https://user:pw@x/v1", .credentialsInBaseURL),
        ])
    func refused(base: String, error: OpenAIRealtimeConfigurationError) {
        let configuration = OpenAIRealtimeConfiguration(baseURL: base, credential: .none)
        #expect(throws: error) { try configuration.target(model: "m") }
    }

    @Test("A key with a line break is refused, not sent as two headers")
    func headerInjection() {
        let configuration = OpenAIRealtimeConfiguration(credential: .bearer(Redacted("sk\r\nHost: evil")))
        #expect(throws: OpenAIRealtimeConfigurationError.malformedHeader(name: "Authorization")) {
            try configuration.target(model: "m")
        }
    }

    @Test("A configuration that the provider would refuse fails over before it is tried")
    func ranges() {
        var configuration = RealtimeTrace.configuration
        configuration.speed = 2
        var trace = RealtimeTrace(configuration: configuration)
        trace.start()
        #expect(trace.connects.isEmpty)
        #expect(trace.takeEvents() == [.failed(AssistantFailure("configuration-range", .failOver))])
        configuration.speed = 1
        configuration.transcription = .init(model: "gpt-realtime-whisper")
        #expect(throws: OpenAIRealtimeConfigurationError.transcriptionForbidsTurnDetection) {
            try configuration.check(turns: TurnDetection())
        }
        #expect(throws: Never.self) { try configuration.check(turns: TurnDetection(kind: .none)) }
    }

    @Test("Models that will be shut down are known with their date")
    func retirements() {
        #expect(OpenAIRealtimeModels.announcedShutdown(of: "gpt-realtime") == "2027-01-20")
        #expect(OpenAIRealtimeModels.announcedShutdown(of: "whisper-1") == "2027-02-26")
        #expect(OpenAIRealtimeModels.announcedShutdown(of: "gpt-realtime-2.1") == nil)
    }
}
