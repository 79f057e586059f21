#if LocalSpeech
    import CSherpaOnnx
#endif
import Audio
import Foundation
import Synchronization
import Telephony

/// Piper's voices without Piper: sherpa-onnx in this process, on threads of its own.
///
/// Takes the voice files as they are published; what sherpa-onnx wants besides is made in memory (`SherpaFiles`). The
/// phonemes come from espeak-ng as a child. Measured with en_US-joe-medium on one thread: a sixth of the time that the
/// sound lasts. sherpa-onnx ends the process on a wrong model: `SpeechModelCheck` has tried it in a child first.
package final class SherpaSynthesizer: Sendable {
    package struct Configuration: Sendable {
        package var voices: VoiceFiles
        package var espeak: String
        /// Clauses spoken at the same time. Each needs the voice in memory once.
        package var threads: Int
        package var waiting: Int
        /// Longer texts are cut here, in UTF-8 bytes.
        package var maximumText: Int
        package var cacheBytes: Int

        package init(
            voices: VoiceFiles, espeak: String = "/usr/bin/espeak-ng", threads: Int = 2, waiting: Int = 64,
            maximumText: Int = 2000, cacheBytes: Int = 8 << 20
        ) {
            self.voices = voices
            self.espeak = espeak
            self.threads = max(1, threads)
            self.waiting = waiting
            self.maximumText = min(max(maximumText, 16), 4000)
            self.cacheBytes = cacheBytes
        }
    }

    private let configuration: Configuration
    private let workers: WorkerPool
    private let cache: Mutex<UtteranceCache>
    #if LocalSpeech
        private let idle = Mutex<[(voice: String, mouth: SherpaMouth)]>([])
    #endif

    /// Loads the first voice. Throws what is missing, or that this build has no sherpa-onnx.
    package init(_ configuration: Configuration) throws(SpeechEngineError) {
        guard SileroDetector.isBuiltIn else { throw .rejected("sherpa-onnx: built without the trait LocalSpeech") }
        guard let first = configuration.voices.voices.first else { throw .noVoice }
        self.configuration = configuration
        self.workers = WorkerPool(name: "sherpa", threads: configuration.threads, limit: configuration.waiting)
        self.cache = Mutex(UtteranceCache(capacity: configuration.cacheBytes))
        #if LocalSpeech
            let mouth = try SherpaMouth(first)
            self.idle.withLock { $0.append((first.path, mouth)) }
        #endif
    }

    package var voices: VoiceFiles { self.configuration.voices }

    package func stop() { self.workers.stop() }

    /// Speaks; `deliver` is called on one of the pool's threads. Returns at once.
    package func speak(
        _ request: SynthesisRequest, _ deliver: @escaping @Sendable (SynthesisEvent) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        guard let choice = self.voices.choose(name: request.voice, language: request.language) else {
            deliver(.failed(slug: SpeechEngineError.noVoice.slug))
            return job
        }
        let isTaken: Bool = self.workers.submit { self.run(request, choice, job, deliver) }
        if !isTaken { deliver(.failed(slug: SpeechEngineError.overloaded.slug)) }
        return job
    }

    private func run(
        _ request: SynthesisRequest, _ choice: VoiceFiles.Choice, _ job: SpeechJob,
        _ deliver: @escaping @Sendable (SynthesisEvent) -> Void
    ) {
        if job.isCancelled { return }
        let name: String = choice.voice.path + "#" + (choice.speaker.map(String.init) ?? "")
        let key = UtteranceCache.Key(text: request.text.value, voice: name, format: request.format)
        if let audio = self.cache.withLock({ $0.audio(for: key) }) {
            deliver(.started)
            deliver(.audio(audio))
            deliver(.finished)
            return
        }
        do throws(SpeechEngineError) {
            let text: String = String(
                decoding: EspeakSynthesizer.sanitise(request.text.value, limit: self.configuration.maximumText),
                as: UTF8.self)
            let sentences: [[Int32]] = try Phonemizer.phonemes(
                of: text, voice: choice.voice, espeak: self.configuration.espeak)
            if job.isCancelled { return }
            deliver(.started)
            let audio: [UInt8] = try self.sound(sentences, choice, request.format, job, deliver)
            if job.isCancelled { return }
            self.cache.withLock { $0.keep(audio, for: key) }
            deliver(.finished)
        } catch {
            if !job.isCancelled { deliver(.failed(slug: error.slug)) }
        }
    }

    /// Makes one sentence after another, delivering each; returns the whole.
    private func sound(
        _ sentences: [[Int32]], _ choice: VoiceFiles.Choice, _ format: AudioFormat, _ job: SpeechJob,
        _ deliver: @Sendable (SynthesisEvent) -> Void
    ) throws(SpeechEngineError) -> [UInt8] {
        #if LocalSpeech
            let found: SherpaMouth? = self.idle.withLock { idle in
                let index: Int? = idle.lastIndex { $0.voice == choice.voice.path }
                return index.map { idle.remove(at: $0).mouth }
            }
            let mouth: SherpaMouth
            if let found { mouth = found } else { mouth = try SherpaMouth(choice.voice) }
            defer {
                self.idle.withLock { idle in
                    idle.append((choice.voice.path, mouth))
                    if idle.count > max(4, self.configuration.threads) { idle.removeFirst() }
                }
            }
            guard var transcoder = try? Transcoder(from: .l16(mouth.rate), to: format) else {
                throw .rejected("the audio format")
            }
            var whole: [UInt8] = []
            for sentence in sentences {
                if job.isCancelled { return [] }
                guard let samples = mouth.say(sentence, speaker: choice.speaker ?? 0, until: { job.isCancelled }) else {
                    if job.isCancelled { return [] }
                    throw .rejected("a sentence")
                }
                var audio: [UInt8] = []
                samples.withUnsafeBytes { transcoder.convert($0, into: &audio) }
                whole += audio
                if !audio.isEmpty, !job.isCancelled { deliver(.audio(audio)) }
            }
            var tail: [UInt8] = []
            transcoder.finish(into: &tail)
            if !tail.isEmpty, !job.isCancelled { deliver(.audio(tail)) }
            return whole + tail
        #else
            throw .rejected("sherpa-onnx: built without the trait LocalSpeech")
        #endif
    }

    /// Loads the voice and has it say a vowel, in this process: for a child that may end by it.
    package static func checkModel(path: String) throws(SpeechEngineError) {
        let voice = try VoiceFile(path: path)
        #if LocalSpeech
            let mouth = try SherpaMouth(voice)
            let known: [Int32] = ["a", "e", "i", "o"].filter { voice.phonemes[$0] != nil }
                .compactMap { $0.unicodeScalars.first.map { Int32($0.value) } }
            guard let samples = mouth.say(known, speaker: 0, until: { false }), !samples.isEmpty else {
                throw .badVoice(path: path, "the voice makes no sound")
            }
        #else
            _ = voice
            throw .rejected("sherpa-onnx: built without the trait LocalSpeech")
        #endif
    }
}

#if LocalSpeech
    /// One loaded voice.
    ///
    /// `@unchecked Sendable`: used by one thread at a time, which has taken it from the synthesizer's list.
    private final class SherpaMouth: @unchecked Sendable {
        private let engine: OpaquePointer
        let rate: SampleRate

        init(_ voice: VoiceFile) throws(SpeechEngineError) {
            guard !voice.phonemes.isEmpty else {
                throw .badVoice(path: voice.path + ".json", "phoneme_id_map is missing")
            }
            guard let model = try? Data(contentsOf: URL(fileURLWithPath: voice.path), options: .alwaysMapped) else {
                throw .modelMissing(path: voice.path)
            }
            // Read while the engine is made, and not needed after.
            let file = try MemoryFile("voice", [model, SherpaVoiceFiles.metadata(of: voice)])
            let tokens = try MemoryFile("tokens", [SherpaVoiceFiles.tokens(of: voice)])
            var strings = CStrings()
            defer { strings.free() }
            var configuration = SherpaOnnxOfflineTtsConfig()
            configuration.model.vits.model = strings.make(file.path)
            configuration.model.vits.tokens = strings.make(tokens.path)
            // piper-tts's own defaults (`piper/config.py`).
            configuration.model.vits.noise_scale = 0.667
            configuration.model.vits.noise_scale_w = 0.8
            configuration.model.vits.length_scale = 1
            configuration.model.num_threads = 1
            configuration.model.provider = strings.make("cpu")
            configuration.max_num_sentences = 1
            guard let engine = SherpaOnnxCreateOfflineTts(&configuration) else {
                throw .badVoice(path: voice.path, "sherpa-onnx does not take it")
            }
            withExtendedLifetime((file, tokens)) {}
            self.engine = engine
            self.rate = SampleRate(hertz: Int(SherpaOnnxOfflineTtsSampleRate(engine)))
        }

        deinit { SherpaOnnxDestroyOfflineTts(self.engine) }

        /// The samples of one sentence; nil: it was stopped, or cannot be said.
        func say(_ phonemes: [Int32], speaker: Int, until isStopped: @escaping () -> Bool) -> [Int16]? {
            guard !phonemes.isEmpty else { return [] }
            var configuration = SherpaOnnxGenerationConfig()
            configuration.speed = 1
            configuration.silence_scale = 0.2
            configuration.sid = Int32(speaker)
            let stop = StopQuestion(isStopped)
            let lengths: [Int32] = [Int32(phonemes.count)]
            let made: UnsafePointer<SherpaOnnxGeneratedAudio>? = phonemes.withUnsafeBufferPointer { points in
                lengths.withUnsafeBufferPointer { lengths in
                    configuration.phoneme_codepoints = points.baseAddress
                    configuration.phoneme_codepoints_lens = lengths.baseAddress
                    configuration.phoneme_codepoints_num_sentences = 1
                    return SherpaOnnxOfflineTtsGenerateWithConfig(
                        self.engine, "", &configuration,
                        { _, _, _, question in
                            guard let question else { return 1 }
                            return Unmanaged<StopQuestion>.fromOpaque(question).takeUnretainedValue().isStopped()
                                ? 0 : 1
                        }, Unmanaged.passUnretained(stop).toOpaque())
                }
            }
            withExtendedLifetime(stop) {}
            guard let made else { return nil }
            defer { SherpaOnnxDestroyOfflineTtsGeneratedAudio(made) }
            guard !isStopped(), let samples = made.pointee.samples else { return nil }
            return (0..<Int(made.pointee.n)).map { Int16(max(-1, min(1, samples[$0])) * 32_767) }
        }
    }

    /// What sherpa-onnx asks while it makes sound: a C callback has no closure.
    private final class StopQuestion {
        let isStopped: () -> Bool
        init(_ isStopped: @escaping () -> Bool) { self.isStopped = isStopped }
    }
#endif
