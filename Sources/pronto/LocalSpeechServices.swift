import Assistants
import Configuration
import Foundation
import Observability
import PhoneServer
import Records
import SpeechEngines
import Telephony

/// The local engines of this process behind what calls ask for: espeak-ng's voice, pocketsphinx, Silero.
final class LocalSpeechServices: SpeechServices, Sendable {
    private let synthesizer: EspeakSynthesizer
    private let engines: ListeningEngines

    /// Throws what a start should not hide: a configured model that is missing or does not work.
    init(settings: Settings, logger: Logger) throws {
        self.synthesizer = EspeakSynthesizer()
        var recognizer: PocketSphinxRecognizer?
        do throws(SpeechEngineError) {
            recognizer = try PocketSphinxRecognizer()
        } catch {
            // The keypad menu works without it.
            logger.warning("No speech recognition for the local assistant", ["reason": .string("\(error)")])
        }
        let detectors = try Self.makeDetectors(settings, logger: logger)
        self.engines = ListeningEngines(
            recognizer: recognizer, detectors: detectors, pool: WorkerPool(name: "ears", threads: 2, limit: 4096))
    }

    private static func makeDetectors(_ settings: Settings, logger: Logger) throws -> SileroDetectors? {
        guard settings.voiceDetection == .silero else { return nil }
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
            try SileroDetector.validateInChild(
                executable: "/proc/self/exe", arguments: ["check-vad-model", model])
            return try SileroDetectors(model: model)
        } catch {
            throw StartError("PRONTO_SILERO_MODEL: \(error)")
        }
    }

    func synthesise(
        _ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        let wanted = SynthesisRequest(
            text: request.text.value, language: request.language, voice: request.voice, format: request.format)
        let job = self.synthesizer.speak(wanted) { event in
            switch event {
            case .started: report(.started)
            case .audio(let bytes): report(.audio(bytes))
            case .finished: report(.ended(.finished))
            case .failed(let slug): report(.ended(.failed(slug: slug)))
            }
        }
        return Speaking(job: job)
    }

    func listen(
        _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
    ) throws -> any ListeningJob {
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

    private struct Speaking: PhoneServer.SpeechJob {
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

/// `pronto check-vad-model PATH`: tries a model in this process, which a bad one may end. Not for people.
enum VoiceDetectorCheck {
    static func run(_ arguments: [String]) -> Int32 {
        guard let path = arguments.first else { return 64 }
        return SileroDetector.checkModel(path: path) ? 0 : 1
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
