import Assistants
import Audio
import Configuration
import Foundation
import Networking
import PhoneServer
import Records
import SpeechEngines
import Stores
import Synchronization
import Telephony

/// `pronto provider voices` and `pronto provider preview`: what a provider can speak with, and how that sounds.
///
/// Providers that have a list are asked for it with the configured key; the others' lists are data with their date.
enum ProviderVoices {
    static let names = [
        "openai", "elevenlabs", "deepgram", "gemini", "groq", "anthropic", "compatible", "piper", "sherpa", "espeak",
    ]

    struct Model: Equatable {
        var kind: String
        var id: String
        var languages: [String]
    }

    /// What a provider has, and where that is known from.
    struct Listing {
        var voices: [SpeakerVoices.Voice] = []
        var models: [Model] = []
        var sources: [String] = []
    }

    private static func name(_ arguments: Arguments) throws -> String {
        guard arguments.words.count == 2 else { throw ArgumentError.missing("the provider's name") }
        guard Self.names.contains(arguments.words[1]) else {
            throw ArgumentError.notAllowed(option: "NAME", allowed: Self.names.joined(separator: ", "))
        }
        return arguments.words[1]
    }

    // MARK: Voices

    static func list(_ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings) async throws -> String {
        let name = try Self.name(arguments)
        let language = try arguments.optional("--language")
        let listing = try await Self.listing(of: name, arguments, store, settings)
        func fits(_ tags: [String]) -> Bool {
            guard let language else { return true }
            return tags.isEmpty || tags.contains { $0 == "multi" || Self.short($0) == Self.short(language) }
        }
        let voices = listing.voices.filter { fits([$0.language]) }
        let models = listing.models.filter { fits($0.languages) }
        var parts: [String] = []
        if !voices.isEmpty {
            parts.append(
                StoreCommands.table(["voice", "name", "language"], voices.map { [$0.id, $0.name, $0.language] }))
        }
        if !models.isEmpty {
            parts.append(
                StoreCommands.table(
                    ["model", "for", "languages"],
                    models.map { [$0.id, $0.kind, $0.languages.isEmpty ? "-" : $0.languages.joined(separator: ",")] }))
        }
        if parts.isEmpty { parts.append("nothing" + (language.map { " for \($0)" } ?? "")) }
        return (parts + listing.sources).joined(separator: "\n\n")
    }

    private static func short(_ tag: String) -> String {
        tag.split(whereSeparator: { $0 == "-" || $0 == "_" }).first?.lowercased() ?? ""
    }

    private static func listing(
        of name: String, _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> Listing {
        switch name {
        case "piper": return try Self.files("PIPER_VOICE", settings.piperVoices)
        case "sherpa":
            var listing = try Self.files("PRONTO_SHERPA_VOICE", settings.sherpaVoices)
            if let folder = settings.sherpaRecogniser {
                do throws(SpeechEngineError) {
                    let model = try SherpaRecogniserModel(folder: folder)
                    let languages =
                        settings.sherpaLanguages.isEmpty
                        ? model.languages(folder: folder) : Set(settings.sherpaLanguages)
                    listing.models.append(
                        Model(kind: "recognition", id: folder, languages: languages?.sorted() ?? ["multi"]))
                } catch {
                    throw CommandFailure("PRONTO_SHERPA_STT: \(error)")
                }
            }
            return listing
        case "espeak":
            do throws(SpeechEngineError) {
                let voices = try EspeakSynthesizer.installedVoices()
                return Listing(
                    voices: voices.map { .init(id: $0.language, name: $0.name, language: $0.language) },
                    sources: ["from the installed espeak-ng"])
            } catch {
                throw CommandFailure("espeak-ng: \(error)")
            }
        default:
            let access = try await Self.access(name, arguments, store, settings)
            return try await Self.asked(name, access, settings)
        }
    }

    private static func files(_ setting: String, _ paths: [String]) throws -> Listing {
        guard !paths.isEmpty else { throw CommandFailure("\(setting) is not set: name a file NAME.onnx, or a folder") }
        do throws(SpeechEngineError) {
            return Listing(voices: LocalVoices.listed(try VoiceFiles(paths)), sources: ["from the files of \(setting)"])
        } catch {
            throw CommandFailure("\(setting): \(error)")
        }
    }

    /// Lists of the services: OpenAI, Groq and compatible `GET /models`; ElevenLabs `GET /v1/voices`, `/v1/models`;
    /// Deepgram `GET /v1/models`; Anthropic `GET /v1/models`; Gemini `GET /VERSION/models` (the SDKs' own calls).
    private static func asked(_ name: String, _ access: Access, _ settings: Settings) async throws -> Listing {
        var listing = Listing()
        func get(_ path: String) async throws -> JSONValue {
            try await access.get(path, authorities: settings.caFile)
        }
        switch name {
        case "elevenlabs":
            listing.voices = Self.elevenLabsVoices(try await get("/v1/voices"))
            listing.models = Self.elevenLabsModels(try await get("/v1/models"))
        case "deepgram":
            let answer = try await get("/v1/models")
            listing.voices = Self.deepgramVoices(answer)
            listing.models = Self.deepgramModels(answer)
        case "gemini":
            listing.models = Self.geminiModels(try await get("/\(settings.geminiVersion)/models?pageSize=1000"))
            listing.voices = SpeakerVoices.gemini.map { .init(id: $0, name: $0, language: "multi") }
            listing.sources.append("voices as read on \(SpeakerVoices.readOn): Google has no list to ask for")
        default:
            listing.models = Self.models(try await get(name == "anthropic" ? "/v1/models?limit=1000" : "/models"))
            if name == "openai", settings.openAIBaseURL.contains("api.openai.com") {
                listing.voices = SpeakerVoices.openAI.map { .init(id: $0, name: $0, language: "multi") }
                listing.sources.append("voices as read on \(SpeakerVoices.readOn): OpenAI has no list to ask for")
            }
        }
        listing.sources.append("models asked of \(access.host)")
        return listing
    }

    static func elevenLabsVoices(_ answer: JSONValue) -> [SpeakerVoices.Voice] {
        (answer["voices"]?.elements ?? []).compactMap { voice in
            guard let id = voice["voice_id"]?.text else { return nil }
            let verified = (voice["verified_languages"]?.elements ?? []).compactMap { $0["language"]?.text }
            let language = voice[["labels", "language"]]?.text ?? verified.first ?? "multi"
            return .init(id: id, name: voice["name"]?.text ?? id, language: language)
        }
    }

    static func elevenLabsModels(_ answer: JSONValue) -> [Model] {
        (answer.elements ?? []).compactMap { model in
            guard let id = model["model_id"]?.text else { return nil }
            let isSpeech = model["can_do_text_to_speech"]?.flag ?? false
            return Model(
                kind: isSpeech ? "speech" : "other", id: id,
                languages: (model["languages"]?.elements ?? []).compactMap { $0["language_id"]?.text })
        }
    }

    static func deepgramVoices(_ answer: JSONValue) -> [SpeakerVoices.Voice] {
        (answer["tts"]?.elements ?? []).compactMap { voice in
            guard let id = voice["canonical_name"]?.text ?? voice["name"]?.text else { return nil }
            let languages = (voice["languages"]?.elements ?? []).compactMap(\.text)
            return .init(id: id, name: voice["name"]?.text ?? id, language: languages.first ?? "multi")
        }
    }

    static func deepgramModels(_ answer: JSONValue) -> [Model] {
        (answer["stt"]?.elements ?? []).compactMap { model in
            guard let id = model["canonical_name"]?.text ?? model["name"]?.text else { return nil }
            let isStreaming = model["streaming"]?.flag ?? false
            return Model(
                kind: isStreaming ? "recognition" : "recordings", id: id,
                languages: (model["languages"]?.elements ?? []).compactMap(\.text))
        }
    }

    static func geminiModels(_ answer: JSONValue) -> [Model] {
        (answer["models"]?.elements ?? []).compactMap { model in
            let methods = (model["supportedGenerationMethods"]?.elements ?? []).compactMap(\.text)
            guard let name = model["name"]?.text, methods.contains("bidiGenerateContent") else { return nil }
            return Model(
                kind: "live", id: name.hasPrefix("models/") ? String(name.dropFirst(7)) : name, languages: [])
        }
    }

    /// `{"data":[{"id":…}]}`. What a model is for is not told there.
    static func models(_ answer: JSONValue) -> [Model] {
        (answer["data"]?.elements ?? []).compactMap { $0["id"]?.text }.sorted().map { id in
            let kind =
                id.contains("realtime")
                ? "realtime"
                : id.contains("tts")
                    ? "speech"
                    : id.contains("transcribe") || id.contains("whisper") ? "recognition" : "-"
            return Model(kind: kind, id: id, languages: [])
        }
    }

    // MARK: Preview

    static func preview(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> String {
        let name = try Self.name(arguments)
        let text = try arguments.required("--text")
        guard (1...4000).contains(text.count) else {
            throw ArgumentError.notAllowed(option: "--text", allowed: "1 to 4000 characters")
        }
        let path = try arguments.required("--out")
        guard !FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure("--out: \(path) exists; name another file")
        }
        let voice = try arguments.optional("--voice")
        let language = try arguments.optional("--language") ?? "en"
        let format = AudioFormat.l16(.realtime)
        let began = ContinuousClock.now
        let audio: [UInt8]
        if let engine = LocalVoice(rawValue: name) {
            let request = SpeechRequest(text: text, language: language, voice: voice, engine: engine, format: format)
            audio = try await Self.spoken(request, settings)
        } else {
            guard let service = SpeakerConfiguration.Service(rawValue: name) else {
                throw CommandFailure(
                    "\(name) has no speech of its own to preview; openai, deepgram, elevenlabs, piper, sherpa and espeak have"
                )
            }
            let access = try await Self.access(name, arguments, store, settings)
            var speaker = SpeakerConfiguration(
                service, baseURL: access.base, key: access.key, model: try arguments.optional("--model"), voice: voice)
            if service == .elevenLabs { speaker.voice = voice ?? settings.elevenLabsVoice }
            let target: HTTPTarget
            do throws(SpeechPipelineError) {
                try speaker.check()
                target = try SpeechSynthesis(configuration: speaker, language: language)
                    .target(text, format: format, timeout: .seconds(60))
            } catch {
                throw CommandFailure("\(name): \(error.message)")
            }
            audio = try await access.perform(target, authorities: settings.caFile)
        }
        guard !audio.isEmpty else { throw CommandFailure("\(name): no sound came of it") }
        let wav = WAV(format: format, samples: audio).encoded()
        guard FileManager.default.createFile(atPath: path, contents: Data(wav)) else {
            throw CommandFailure("--out: \(path) cannot be written")
        }
        let taken = (ContinuousClock.now - began).milliseconds
        return "\(path): \(format.duration(ofBytes: audio.count).milliseconds) ms of sound, made in \(taken) ms"
    }

    private static func spoken(_ request: SpeechRequest, _ settings: Settings) async throws -> [UInt8] {
        let voices = try LocalVoices(settings)
        let (stream, continuation) = AsyncStream.makeStream(of: SpeechReport.self)
        _ = voices.synthesise(request) { report in
            continuation.yield(report)
            if case .ended = report { continuation.finish() }
        }
        var audio: [UInt8] = []
        var end = ChannelEnd.failed(slug: "engine")
        for await report in stream {
            switch report {
            case .started: break
            case .audio(let bytes): audio += bytes
            case .ended(let how): end = how
            }
        }
        voices.stop()
        switch end {
        case .failed("no-voice"):
            throw CommandFailure("no configured voice has that name or language: pronto provider voices")
        case .failed(let slug): throw CommandFailure("the engine failed: \(slug)")
        default: return audio
        }
    }
}
