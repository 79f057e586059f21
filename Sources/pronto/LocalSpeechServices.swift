import Assistants
import Audio
import Configuration
import Foundation
import Observability
import PhoneServer
import Records
import SpeechEngines
import Telephony

/// The local engines of this process behind what calls ask for: espeak-ng's voice, Piper's and sherpa-onnx's where they
/// are configured, pocketsphinx, Silero.
final class LocalSpeechServices: SpeechServices, Sendable {
    private let voices: LocalVoices
    private let engines: ListeningEngines
    private let scribe: SherpaRecognizer?
    private let hears: Bool

    /// The voices that this machine's engines have, for listings.
    var listedVoices: [LocalVoice: [SpeakerVoices.Voice]] { self.voices.listed }

    /// Throws what a start should not hide: a configured model that is missing or does not work.
    init(settings: Settings, logger: Logger) throws {
        self.voices = try LocalVoices(settings)
        self.scribe = try Self.makeScribe(settings)
        var recognizer: PocketSphinxRecognizer?
        do throws(SpeechEngineError) {
            recognizer = try PocketSphinxRecognizer()
        } catch {
            // The keypad menu works without it.
            logger.warning("No speech recognition for the local assistant", ["reason": .string("\(error)")])
        }
        let detectors = try Self.makeDetectors(settings, logger: logger)
        self.hears = settings.voiceDetection != .off
        let detector = self.hears ? (detectors == nil ? "energy" : "silero") : "off"
        logger.info("Speech is heard by this machine where turns are ours", ["detector": .string(detector)])
        self.engines = ListeningEngines(
            recognizer: recognizer, detectors: detectors, pool: WorkerPool(name: "ears", threads: 2, limit: 4096))
    }

    private static func makeDetectors(_ settings: Settings, logger: Logger) throws -> SileroDetectors? {
        switch settings.voiceDetection {
        case .energy, .off: return nil
        case .silero: break
        case .auto:
            guard settings.sileroModel != nil else { return nil }
            guard SileroDetector.isBuiltIn else {
                logger.warning("PRONTO_SILERO_MODEL is not used: this build has no Silero, the energy gate serves")
                return nil
            }
        }
        guard let model = settings.sileroModel else {
            throw StartError("PRONTO_SILERO_MODEL: needed by PRONTO_VAD=silero (scripts/install fetches .deps/models)")
        }
        guard FileManager.default.isReadableFile(atPath: model) else {
            throw StartError(
                "PRONTO_SILERO_MODEL: \(model) is no file that this user can read; scripts/install fetches .deps/models"
            )
        }
        guard SileroDetector.isBuiltIn else {
            throw StartError("PRONTO_VAD=silero: this build has no Silero; build with --traits LocalSpeech")
        }
        do throws(SpeechEngineError) {
            // sherpa-onnx ends the process on a model that it does not take: a child tries it first.
            try SpeechModelTrial.inChild(.detector, path: model)
            return try SileroDetectors(model: model)
        } catch {
            throw StartError("PRONTO_SILERO_MODEL: \(error)")
        }
    }

    /// Throws what a start should not hide: a recognition model that is wanted and missing, or does not work.
    private static func makeScribe(_ settings: Settings) throws -> SherpaRecognizer? {
        guard let folder = settings.sherpaRecogniser else {
            if settings.pipelineRecogniser == .sherpa {
                throw StartError("PRONTO_SHERPA_STT: needed by PRONTO_PIPELINE_STT=sherpa; name a model's folder")
            }
            if settings.turnBasedRecogniser == .sherpa {
                throw StartError("PRONTO_SHERPA_STT: needed by PRONTO_TURN_BASED_STT=sherpa; name a model's folder")
            }
            return nil
        }
        do throws(SpeechEngineError) {
            _ = try SherpaRecogniserModel(folder: folder)
            try SpeechModelTrial.inChild(.recogniser, path: folder)
            return try SherpaRecognizer(
                folder: folder, languages: settings.sherpaLanguages, threads: settings.localThreads)
        } catch {
            throw StartError("PRONTO_SHERPA_STT: \(error)")
        }
    }

    func synthesise(
        _ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        self.voices.synthesise(request, report: report)
    }

    func transcribe(
        _ request: TranscriptionRequest, report: @escaping @Sendable (TranscriptionReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        guard let scribe = self.scribe else {
            report(.failed(slug: "no-recogniser"))
            return Running(job: SpeechEngines.SpeechJob())
        }
        var samples: [Int16] = []
        guard var transcoder = try? Transcoder(from: request.format, to: .l16(.wideband)) else {
            report(.failed(slug: "format"))
            return Running(job: SpeechEngines.SpeechJob())
        }
        var bytes: [UInt8] = []
        request.audio.withUnsafeBytes { transcoder.convert($0, into: &bytes) }
        transcoder.finish(into: &bytes)
        samples.reserveCapacity(bytes.count / 2)
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            samples.append(Int16(truncatingIfNeeded: Int(bytes[index]) | Int(bytes[index + 1]) << 8))
        }
        let job = scribe.transcribe(samples, language: request.language) { result in
            switch result {
            case .success(let words): report(.words(words))
            case .failure(let error): report(.failed(slug: error.slug))
            }
        }
        return Running(job: job)
    }

    func listen(
        _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
    ) throws -> any ListeningJob {
        guard self.hears else { throw AssistantFailure("off", .failOver) }
        do throws(SpeechEngineError) {
            return Ears(
                listener: try SpeechListener(
                    format: request.format, threshold: request.threshold, silence: request.silence,
                    engines: self.engines
                ) { event in
                    switch event {
                    case .recognitionReady: report(.recognitionReady)
                    case .recognitionFailed(let error): report(.recognitionFailed(slug: error.slug))
                    case .speech(let isSpeaking): report(.speech(isSpeaking: isSpeaking))
                    case .recognised(let result):
                        report(.recognised(words: result.words, confidence: result.confidence))
                    }
                })
        } catch {
            throw AssistantFailure(error.slug, .failOver)
        }
    }

    private struct Running: PhoneServer.SpeechJob {
        let job: SpeechEngines.SpeechJob
        func cancel() { self.job.cancel() }
    }

    /// A call's ears, confined to its loop like the call.
    private final class Ears: ListeningJob {
        private var listener: SpeechListener
        init(listener: consuming SpeechListener) { self.listener = listener }
        func caller(_ frame: UnsafeRawBufferPointer) { self.listener.hear(frame) }
        func recognise(_ request: RecognitionRequest) {
            self.listener.recognise(
                RecognitionGrammar(
                    text: request.grammar, language: request.language, pronunciations: request.pronunciations))
        }
        func stopRecognising() { self.listener.stopRecognising() }
        func close() { self.listener.close() }
    }
}

/// `pronto check-speech-model KIND PATH`: tries a model in this process, which a bad one may end. Not for people.
enum SpeechModelTrial {
    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count == 2, let kind = SpeechModelCheck.Kind(rawValue: arguments[0]) else { return 64 }
        do throws(SpeechEngineError) {
            try SpeechModelCheck.run(kind, path: arguments[1])
            return 0
        } catch {
            Pronto.complain("\(error)")
            return 1
        }
    }

    /// The same in a child, so that this process survives.
    static func inChild(_ kind: SpeechModelCheck.Kind, path: String) throws(SpeechEngineError) {
        try SpeechModelCheck.runInChild(
            executable: "/proc/self/exe", arguments: ["check-speech-model", kind.rawValue, path], path: path)
    }
}

/// Makes the embedded assistant's machine from a row.
enum LocalAssistants {
    @Sendable static func make(
        _ assistant: Assistant, _ entry: AssistantDirectory.Entry, _ setup: AssistantSetup
    ) throws -> any AssistantMachine {
        var configuration = LocalAssistantConfiguration(
            destinations: StandardPlans.destinations(for: assistant, in: entry).map {
                LocalAssistantConfiguration.Destination(name: $0.name, aliases: $0.aliases)
            },
            topics: assistant.topics.map {
                LocalAssistantConfiguration.Topic(name: $0.name, keywords: $0.phrases, answer: $0.answer)
            })
        configuration.operatorDestination =
            StandardPlans.destinations(for: assistant, in: entry).first(where: \.isDefault)?.name
        return LocalAssistantMachine(configuration: configuration, setup: setup)
    }
}
