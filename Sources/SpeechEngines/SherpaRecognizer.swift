#if LocalSpeech
    import CSherpaOnnx
#endif
import Foundation
import Synchronization
import Telephony

/// Free speech written down on this machine, a talkspurt at a time: sherpa-onnx with a model of the configuration.
///
/// Decoding takes a tenth of what was said (Moonshine tiny: 90–160 ms for a sentence) and cannot be interrupted, so it
/// runs on threads of its own, a bounded number, each with a recogniser; what was cancelled is thrown away. sherpa-onnx
/// ends the process on a wrong model: `SpeechModelCheck` has tried it in a child first.
package final class SherpaRecognizer: Sendable {
    /// Longer talkspurts are cut at their begin: the newest words count. Whisper itself hears 30 s at most.
    package static let longest = 30 * 16_000

    private let folder: String
    private let languages: Set<String>?
    private let pool: WorkerPool
    #if LocalSpeech
        private let idle = Mutex<[SherpaEars]>([])
    #endif

    /// - Parameter languages: what the model understands; empty: as its folder's name says.
    ///
    /// Throws what is missing, or that this build has no sherpa-onnx. The model is loaded at once, once; others when
    /// several talkspurts are decoded at a time.
    package init(
        folder: String, languages: [String] = [], threads: Int = 2, waiting: Int = 64
    ) throws(SpeechEngineError) {
        guard SileroDetector.isBuiltIn else { throw .rejected("sherpa-onnx: built without the trait LocalSpeech") }
        let model = try SherpaRecogniserModel(folder: folder)
        self.folder = folder
        self.languages = languages.isEmpty ? model.languages(folder: folder) : Set(languages.map(Self.short))
        self.pool = WorkerPool(name: "scribe", threads: threads, limit: waiting)
        #if LocalSpeech
            // Whisper and SenseVoice are told the language when they are made; a caller's own comes then.
            let first: SherpaEars = try SherpaEars(folder: folder, language: "")
            self.idle.withLock { $0.append(first) }
        #endif
    }

    package func stop() { self.pool.stop() }

    /// Whether the model knows the language of this BCP 47 tag.
    package func understands(_ language: String) -> Bool {
        guard let languages = self.languages else { return true }
        return languages.contains(Self.short(language))
    }

    package static func short(_ language: String) -> String {
        language.split(whereSeparator: { $0 == "-" || $0 == "_" }).first?.lowercased() ?? ""
    }

    /// Writes down 16 kHz mono samples. `deliver` is called once, on one of the pool's threads, unless the job is
    /// cancelled before.
    package func transcribe(
        _ samples: [Int16], language: String,
        _ deliver: @escaping @Sendable (Result<Redacted<String>, SpeechEngineError>) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        guard self.understands(language) else {
            deliver(.failure(.noLanguage))
            return job
        }
        let isTaken: Bool = self.pool.submit {
            if job.isCancelled { return }
            let result: Result<Redacted<String>, SpeechEngineError> = self.decode(
                samples.suffix(Self.longest), language: Self.short(language))
            if !job.isCancelled { deliver(result) }
        }
        if !isTaken { deliver(.failure(.overloaded)) }
        return job
    }

    private func decode(_ samples: ArraySlice<Int16>, language: String) -> Result<Redacted<String>, SpeechEngineError> {
        #if LocalSpeech
            do throws(SpeechEngineError) {
                let found: SherpaEars? = self.idle.withLock { idle in
                    let index: Int? = idle.lastIndex { $0.serves(language) }
                    return index.map { idle.remove(at: $0) }
                }
                let ears: SherpaEars
                if let found { ears = found } else { ears = try SherpaEars(folder: self.folder, language: language) }
                let text: String? = ears.transcribe(samples)
                self.idle.withLock { idle in
                    idle.append(ears)
                    // One a language and thread at most, the longest unused go.
                    if idle.count > 6 { idle.removeFirst() }
                }
                guard let text else { return .failure(.rejected("the talkspurt")) }
                return .success(Redacted(text))
            } catch {
                return .failure(error)
            }
        #else
            return .failure(.rejected("sherpa-onnx: built without the trait LocalSpeech"))
        #endif
    }

    /// Loads the model and has it write down a second of silence, in this process: for a child that may end by it.
    package static func checkModel(folder: String) throws(SpeechEngineError) {
        #if LocalSpeech
            let ears = try SherpaEars(folder: folder, language: "")
            guard ears.transcribe([Int16](repeating: 0, count: 16_000)[...]) != nil else {
                throw .rejected("a second of silence")
            }
        #else
            throw .rejected("sherpa-onnx: built without the trait LocalSpeech")
        #endif
    }
}

#if LocalSpeech
    /// One loaded recogniser.
    ///
    /// `@unchecked Sendable`: used by one thread at a time, which has taken it from the recogniser's list.
    private final class SherpaEars: @unchecked Sendable {
        private let recognizer: OpaquePointer
        private let language: String
        private let isBound: Bool

        init(folder: String, language: String) throws(SpeechEngineError) {
            let model = try SherpaRecogniserModel(folder: folder)
            var strings = CStrings()
            defer { strings.free() }
            var configuration = SherpaOnnxOfflineRecognizerConfig()
            configuration.feat_config.sample_rate = 16_000
            configuration.feat_config.feature_dim = 80
            configuration.model_config.num_threads = 1
            configuration.model_config.provider = strings.make("cpu")
            configuration.decoding_method = strings.make("greedy_search")
            // Held until the recogniser is made.
            var tokenFile: MemoryFile?
            defer { withExtendedLifetime(tokenFile) {} }
            let tokens: String
            switch model {
            case .moonshine(let encoder, let decoder, let path):
                configuration.model_config.moonshine.encoder = strings.make(encoder)
                configuration.model_config.moonshine.merged_decoder = strings.make(decoder)
                tokens = path
            case .whisper(let encoder, let decoder, let path):
                configuration.model_config.whisper.encoder = strings.make(encoder)
                configuration.model_config.whisper.decoder = strings.make(decoder)
                configuration.model_config.whisper.language = strings.make(language)
                configuration.model_config.whisper.task = strings.make("transcribe")
                configuration.model_config.whisper.tail_paddings = -1
                tokens = path
            case .transducer(let encoder, let decoder, let joiner, let path):
                configuration.model_config.transducer.encoder = strings.make(encoder)
                configuration.model_config.transducer.decoder = strings.make(decoder)
                configuration.model_config.transducer.joiner = strings.make(joiner)
                tokens = path
            case .senseVoice(let path, let tokenPath):
                configuration.model_config.sense_voice.model = strings.make(path)
                configuration.model_config.sense_voice.language = strings.make(language.isEmpty ? "auto" : language)
                configuration.model_config.sense_voice.use_itn = 1
                tokens = tokenPath
            }
            switch model {
            case .whisper, .senseVoice: self.isBound = true
            case .moonshine, .transducer: self.isBound = false
            }
            if tokens.hasSuffix("tokenizer.bin") {
                guard let data = try? Data(contentsOf: URL(fileURLWithPath: tokens)) else {
                    throw .modelMissing(path: tokens)
                }
                let file = try MemoryFile("tokens", [try SherpaRecogniserModel.tokens(ofTokenizer: data)])
                tokenFile = file
                configuration.model_config.tokens = strings.make(file.path)
            } else {
                configuration.model_config.tokens = strings.make(tokens)
            }
            guard let recognizer = SherpaOnnxCreateOfflineRecognizer(&configuration) else {
                throw .rejected("the recognition model in \(folder)")
            }
            self.recognizer = recognizer
            self.language = language
        }

        deinit { SherpaOnnxDestroyOfflineRecognizer(self.recognizer) }

        func serves(_ language: String) -> Bool { !self.isBound || self.language == language }

        func transcribe(_ samples: ArraySlice<Int16>) -> String? {
            guard !samples.isEmpty, let stream = SherpaOnnxCreateOfflineStream(self.recognizer) else { return nil }
            defer { SherpaOnnxDestroyOfflineStream(stream) }
            let floats: [Float] = samples.map { Float($0) / 32_768 }
            SherpaOnnxAcceptWaveformOffline(stream, 16_000, floats, Int32(floats.count))
            SherpaOnnxDecodeOfflineStream(self.recognizer, stream)
            guard let result = SherpaOnnxGetOfflineStreamResult(stream) else { return nil }
            defer { SherpaOnnxDestroyOfflineRecognizerResult(result) }
            guard let text = result.pointee.text else { return nil }
            return String(cString: text).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    /// C strings that live until `free`: sherpa-onnx's configurations are structures of pointers.
    struct CStrings {
        private var made: [UnsafeMutablePointer<CChar>] = []
        mutating func make(_ text: String) -> UnsafePointer<CChar>? {
            guard let string = strdup(text) else { return nil }
            self.made.append(string)
            return UnsafePointer(string)
        }
        mutating func free() {
            for string in self.made { Foundation.free(string) }
            self.made = []
        }
    }
#endif
