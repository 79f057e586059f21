import Assistants
import Configuration
import Foundation
import PhoneServer
import Records
import SpeechEngines
import Telephony

/// Whether the back ends that an assistant names can serve it: a key in the store or the settings, a voice that exists, a
/// model file that is there. Told when it is saved, and not by the first caller.
///
/// The settings are those of this command. A key that only the service's own environment has cannot be seen from here:
/// `--unchecked` keeps the assistant all the same.
enum AssistantReadiness {
    /// The back ends that an assistant may name.
    static let providers = ["openai", "elevenlabs", "gemini", "pipeline", "turn-based", "local"]

    /// Throws the first thing that is missing, with the repair.
    static func check(
        _ assistant: Assistant, of tenant: Tenant, accounts: [ProviderAccount], _ settings: Settings
    ) throws {
        guard assistant.isEnabled else { return }
        var names = assistant.providers.map(\.text)
        // These modes use recordings, whatever the list says.
        if assistant.mode != .realtime, !names.contains("turn-based") { names.append("turn-based") }
        if assistant.mode == .turnBased { names.removeAll { $0 != "turn-based" && $0 != "local" } }
        for name in names {
            let isFirst = name == names.first
            let problem: String? =
                switch name {
                case "openai": self.openAI(assistant, isFirst: isFirst, tenant, accounts, settings)
                case "elevenlabs": self.elevenLabs(assistant, isFirst: isFirst, accounts, settings)
                case "gemini": self.gemini(tenant, accounts, settings)
                case "pipeline": self.pipeline(.streaming, assistant, isFirst: isFirst, tenant, accounts, settings)
                case "turn-based": self.pipeline(.turnBased, assistant, isFirst: isFirst, tenant, accounts, settings)
                default: nil
                }
            if let problem {
                throw CommandFailure("\(name) could not answer: \(problem). --unchecked saves it all the same")
            }
        }
    }

    private static func hasKey(_ provider: ProviderName, _ accounts: [ProviderAccount]) -> Bool {
        accounts.contains { $0.provider == provider && $0.kind == .realtime && $0.isEnabled && $0.hasSecret }
    }

    private static func openAI(
        _ assistant: Assistant, isFirst: Bool, _ tenant: Tenant, _ accounts: [ProviderAccount], _ settings: Settings
    ) -> String? {
        // A compatible server may want no key and has voices of its own.
        guard settings.openAIService == .openai, settings.openAIBaseURL.contains("api.openai.com") else { return nil }
        guard settings.openAIKey != nil || self.hasKey(.openAI, accounts) else {
            return "no key: set OPENAI_API_KEY, or run `pronto provider set-key openai --tenant \(tenant.name)`"
        }
        guard isFirst, let voice = assistant.voice else { return nil }
        let known = SpeakerVoices.known(of: SpeakerConfiguration(.openAI)).map(\.id)
        guard !known.contains(voice), !voice.hasPrefix("voice_") else { return nil }
        return "--voice: OpenAI has no voice of this name; it has \(known.joined(separator: ", "))"
    }

    private static func elevenLabs(
        _ assistant: Assistant, isFirst: Bool, _ accounts: [ProviderAccount], _ settings: Settings
    ) -> String? {
        let account = accounts.first { $0.provider == .elevenLabs && $0.kind == .realtime && $0.isEnabled }
        let named = account.flatMap { JSONValue(json: $0.configuration)?["agent_id"]?.text }
        guard settings.elevenLabsAgent ?? named ?? (isFirst ? assistant.model : nil) == nil else { return nil }
        return "no agent: set ELEVENLABS_AGENT_ID, or name the agent with --model"
    }

    private static func gemini(_ tenant: Tenant, _ accounts: [ProviderAccount], _ settings: Settings) -> String? {
        guard settings.geminiBaseURL.contains("googleapis.com") else { return nil }
        guard settings.googleKey == nil, !self.hasKey(.gemini, accounts) else { return nil }
        return "no key: set GOOGLE_API_KEY, or run `pronto provider set-key gemini --tenant \(tenant.name)`"
    }

    // MARK: The pipeline's stages

    private static func pipeline(
        _ mode: PipelineServices.Mode, _ assistant: Assistant, isFirst: Bool, _ tenant: Tenant,
        _ accounts: [ProviderAccount], _ settings: Settings
    ) -> String? {
        // Listed accounts have their keys closed; that there is one is all that matters here.
        let opened = accounts.map { account in
            var account = account
            if account.hasSecret, account.secret == nil { account.secret = Redacted("kept") }
            return account
        }
        let entry = AssistantDirectory.Entry(tenant: tenant, assistants: [assistant], accounts: opened)
        let configuration: SpeechPipelineConfiguration
        do {
            configuration = try PipelineSettings.services(settings, checks: false).configuration(mode, for: entry)
        } catch {
            guard let error = error as? SpeechPipelineError else { return "\(error)" }
            return error.message
        }
        let ownVoice = isFirst ? assistant.voice : nil
        return self.recogniser(configuration.recogniser, assistant, settings)
            ?? self.speaker(configuration.speaker, voice: ownVoice, assistant, settings)
    }

    private static func recogniser(
        _ recogniser: RecogniserConfiguration, _ assistant: Assistant, _ settings: Settings
    ) -> String? {
        guard recogniser.isLocal else { return nil }
        guard let folder = settings.sherpaRecogniser else {
            return "no model: set PRONTO_SHERPA_STT to the folder of a recognition model"
        }
        do throws(SpeechEngineError) {
            let model = try SherpaRecogniserModel(folder: folder)
            let languages =
                settings.sherpaLanguages.isEmpty
                ? model.languages(folder: folder) : Set(settings.sherpaLanguages.map(SherpaRecognizer.short))
            guard let languages, !languages.contains(SherpaRecognizer.short(assistant.language)) else { return nil }
            return
                "--language: the model in PRONTO_SHERPA_STT understands \(languages.sorted().joined(separator: ", "))"
        } catch {
            return "PRONTO_SHERPA_STT: \(error)"
        }
    }

    private static func speaker(
        _ speaker: SpeakerConfiguration, voice: String?, _ assistant: Assistant, _ settings: Settings
    ) -> String? {
        let (setting, paths): (String, [String])
        switch speaker.localVoice {
        case .piper: (setting, paths) = ("PIPER_VOICE", settings.piperVoices)
        case .sherpa: (setting, paths) = ("PRONTO_SHERPA_VOICE", settings.sherpaVoices)
        case .espeak, nil: return nil
        }
        guard !paths.isEmpty else { return "no voice: set \(setting) to a file NAME.onnx" }
        if setting == "PIPER_VOICE", settings.piperProgram.map(FileManager.default.isExecutableFile(atPath:)) != true {
            return "PIPER_BINARY: no program is there; scripts/install --with-piper makes .deps/piper/bin/piper"
        }
        do throws(SpeechEngineError) {
            let files = try VoiceFiles(paths)
            let name = voice ?? speaker.voice
            guard files.choose(name: name, language: assistant.language) == nil else { return nil }
            let known = files.voices.map { "\($0.name) (\($0.language))" }.joined(separator: ", ")
            return name == nil
                ? "\(setting): no voice for \(assistant.language); there are \(known)"
                : "--voice: no such voice in \(setting); there are \(known)"
        } catch {
            return "\(setting): \(error)"
        }
    }
}
