import Assistants
import Records
import Telephony

/// The speech pipeline's services as the gateway is configured: who serves each stage, and where and with which key
/// each service is reached. A tenant's accounts of the kinds `stt`, `llm` and `tts` replace them stage by stage.
package struct PipelineServices: Sendable {
    /// How one company's service is reached.
    package struct Access: Sendable {
        package var baseURL: String?
        package var key: Redacted<String>?
        package init(baseURL: String? = nil, key: Redacted<String>? = nil) {
            self.baseURL = baseURL
            self.key = key
        }
    }
    package enum Company: String, Sendable, CaseIterable {
        case deepgram, openai, groq, anthropic, elevenlabs, compatible
    }
    package var access: [Company: Access] = [:]
    package var recogniser = RecogniserConfiguration.Service.deepgram
    package var recogniserModel: String?
    package var turnBasedRecogniser = RecogniserConfiguration.Service.deepgramBatch
    package var writer = WriterConfiguration.Service.groq
    package var writerModel: String?
    package var speaker = SpeakerConfiguration.Service.deepgram
    package var speakerModel: String?
    package var voice: String?
    /// The voices of this machine's engines, as they are configured.
    package var localVoices: [LocalVoice: [SpeakerVoices.Voice]] = [:]

    package init() {}

    package enum Mode: Sendable { case streaming, turnBased }

    /// The three stages for calls of `entry`'s tenant (nil: as the gateway is configured). Throws what is missing.
    package func configuration(
        _ mode: Mode, for entry: AssistantDirectory.Entry? = nil
    ) throws(SpeechPipelineError) -> SpeechPipelineConfiguration {
        let configuration = SpeechPipelineConfiguration(
            recogniser: try self.makeRecogniser(mode, entry), writer: try self.makeWriter(entry),
            speaker: try self.makeSpeaker(entry))
        try configuration.check()
        return configuration
    }

    package func makeRecogniser(
        _ mode: Mode, _ entry: AssistantDirectory.Entry?
    ) throws(SpeechPipelineError) -> RecogniserConfiguration {
        var service = mode == .streaming ? self.recogniser : self.turnBasedRecogniser
        let account = Self.account(.stt, entry)
        if let name = account?.provider.text, let named = RecogniserConfiguration.Service(rawValue: name) {
            // A streaming account serves recordings too, but not the other way round.
            let batch = named == .deepgram || named == .flux ? .deepgramBatch : named
            let serves = named == .deepgram || named == .flux || named == .sherpa
            service = mode == .turnBased ? batch : (serves ? named : service)
        }
        let model = mode == .streaming && service == self.recogniser ? self.recogniserModel : nil
        let own = account.flatMap { Self.company($0.provider.text) == Self.company(service.rawValue) ? $0 : nil }
        let (access, values) = try self.access(of: service.rawValue, own)
        return RecogniserConfiguration(
            service, baseURL: access.baseURL, key: access.key, model: values?["model"]?.text ?? model)
    }

    package func makeWriter(_ entry: AssistantDirectory.Entry?) throws(SpeechPipelineError) -> WriterConfiguration {
        let account = Self.account(.llm, entry)
        let named = account.flatMap { WriterConfiguration.Service(rawValue: $0.provider.text) }
        let service = named ?? self.writer
        let (access, values) = try self.access(of: service.rawValue, named == nil ? nil : account)
        let model = service == self.writer ? self.writerModel : nil
        return WriterConfiguration(
            service, baseURL: access.baseURL, key: access.key, model: values?["model"]?.text ?? model)
    }

    package func makeSpeaker(_ entry: AssistantDirectory.Entry?) throws(SpeechPipelineError) -> SpeakerConfiguration {
        let account = Self.account(.tts, entry)
        let named = account.flatMap { SpeakerConfiguration.Service(rawValue: $0.provider.text) }
        let service = named ?? self.speaker
        let (access, values) = try self.access(of: service.rawValue, named == nil ? nil : account)
        let isOurs = service == self.speaker
        return SpeakerConfiguration(
            service, baseURL: access.baseURL, key: access.key,
            model: values?["model"]?.text ?? (isOurs ? self.speakerModel : nil),
            voice: values?["voice"]?.text ?? (isOurs ? self.voice : nil))
    }

    private static func account(
        _ kind: ProviderAccount.Kind, _ entry: AssistantDirectory.Entry?
    ) -> ProviderAccount? {
        (entry?.accounts ?? []).filter { $0.kind == kind && $0.isEnabled }
            .min { ($0.isDefault ? 0 : 1, $0.priority) < ($1.isDefault ? 0 : 1, $1.priority) }
    }

    /// `deepgram-flux` and `deepgram-batch` are Deepgram's.
    private static func company(_ service: String) -> Company? {
        Company(rawValue: service) ?? (service.hasPrefix("deepgram") ? .deepgram : nil)
    }

    private func access(
        of service: String, _ account: ProviderAccount?
    ) throws(SpeechPipelineError) -> (Access, JSONValue?) {
        var access = Self.company(service).flatMap { self.access[$0] } ?? Access()
        let values = account.flatMap { JSONValue(json: $0.configuration) }
        if let account, account.hasSecret {
            // A tenant with a key of its own must never be billed to ours because its key could not be opened.
            guard let secret = account.secret else { throw .malformedKey }
            access.key = secret
        }
        if let base = values?["base_url"]?.text, !base.isEmpty {
            // Our key goes to no address that a tenant has named.
            if account?.secret == nil { access.key = nil }
            access.baseURL = base
        }
        return (access, values)
    }
}

extension StandardAssistants {
    func makePipeline(
        _ mode: PipelineServices.Mode, _ assistant: Assistant, _ entry: AssistantDirectory.Entry,
        legFormat: AudioFormat, history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        guard let services = self.pipeline else { throw AssistantFailure("not-configured", .failOver) }
        do throws(SpeechPipelineError) {
            var configuration = try services.configuration(mode, for: entry)
            if let tokens = assistant.maximumOutputTokens { configuration.writer.maximumTokens = tokens }
            // A voice or a model is one service's word: it is this one's where this one comes first.
            let isFirst = assistant.providers.first.map { ["pipeline", "turn-based"].contains($0.text) } ?? false
            if isFirst || assistant.mode == .turnBased {
                if let voice = assistant.voice { configuration.speaker.voice = voice }
                if let model = assistant.model { configuration.writer.model = model }
            }
            return SpeechPipelineMachine(
                configuration: configuration,
                setup: self.setup(assistant, entry, for: .local, legFormat: legFormat, history: history))
        } catch {
            throw AssistantFailure(error.slug, .failOver, detail: error.message)
        }
    }
}
