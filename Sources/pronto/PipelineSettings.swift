import AdminAPI
import Assistants
import Configuration
import Observability
import PhoneServer
import Telephony

/// The speech pipeline's services from the settings.
enum PipelineSettings {
    /// Throws `StartError`, naming the setting, where the ladder of every assistant needs what is not configured.
    /// - Parameter checks: false where one assistant is looked at by itself.
    static func services(_ settings: Settings, checks: Bool = true) throws -> PipelineServices {
        var services = PipelineServices()
        func access(_ base: String?, _ key: String?) -> PipelineServices.Access {
            PipelineServices.Access(baseURL: base, key: key.map { Redacted($0) })
        }
        services.access = [
            .deepgram: access(settings.deepgramBaseURL, settings.deepgramKey),
            .openai: access(settings.openAIBaseURL, settings.openAIKey),
            .groq: access(settings.groqBaseURL, settings.groqKey),
            .anthropic: access(settings.anthropicBaseURL, settings.anthropicKey),
            .elevenlabs: access(settings.elevenLabsBaseURL, settings.elevenLabsKey),
            .compatible: access(settings.pipelineWriterURL, settings.pipelineWriterKey),
        ]
        services.recogniser =
            RecogniserConfiguration.Service(rawValue: settings.pipelineRecogniser.rawValue) ?? .deepgram
        services.recogniserModel = settings.pipelineRecogniserModel
        services.turnBasedRecogniser =
            switch settings.turnBasedRecogniser {
            case .deepgram: .deepgramBatch
            case .openai: .openAI
            case .groq: .groq
            case .sherpa: .sherpa
            }
        services.writer = WriterConfiguration.Service(rawValue: settings.pipelineWriter.rawValue) ?? .groq
        services.writerModel = settings.pipelineWriterModel
        services.speaker = SpeakerConfiguration.Service(rawValue: settings.pipelineSpeaker.rawValue) ?? .deepgram
        services.speakerModel = settings.pipelineSpeakerModel
        services.voice = settings.pipelineVoice
        if services.speaker == .elevenLabs { services.voice = services.voice ?? settings.elevenLabsVoice }
        for (name, mode) in [("pipeline", PipelineServices.Mode.streaming), ("turn-based", .turnBased)]
        where checks && settings.fallbackProviders.contains(name) {
            do throws(SpeechPipelineError) {
                _ = try services.configuration(mode)
            } catch {
                throw StartError("REALTIME_FALLBACK_PROVIDERS names \(name): \(error.message)")
            }
        }
        return services
    }

    /// The HTTP interface of the stages, for dialplan scripts.
    static func interface(
        _ settings: Settings, _ services: PipelineServices, _ gateway: GatewayConfiguration, _ gate: APIGate,
        directory: AssistantDirectory, http: ProviderHTTP, speech: any SpeechServices, logger: Logger
    ) -> SpeechInterface {
        var configuration = SpeechInterface.Configuration()
        configuration.services = services
        configuration.isTrustedPeer = gateway.isTrustedPeer
        configuration.token = settings.serviceToken.map { Redacted($0) }
        configuration.folder = settings.apiAudio
        configuration.version = Pronto.version
        configuration.asker = { request, now in
            do throws(APIProblem) {
                let asker = try await gate.asker(of: request, at: now)
                // Each stage costs money.
                guard asker.role >= .operator else { throw .forbidden("This takes the role operator.") }
                if let tenant = asker.tenant { try await gate.count(tenant, at: now) }
                return .success(asker.tenant)
            } catch {
                return .failure(SpeechRefusal(error.response))
            }
        }
        return SpeechInterface(configuration, directory: directory, http: http, speech: speech, logger: logger)
    }
}
