#if LocalSpeech
    import CSherpaOnnx
#endif
import CLinux
import Glibc
import Synchronization

/// Silero's voice-activity detector, through sherpa-onnx: 16 kHz, windows of 512 samples (32 ms).
///
/// Costs 100–140 µs a window and 6.5 MB a detector, so detectors are pooled and bounded. sherpa-onnx ends the process
/// on a wrong model: `validateInChild` first, once, at start-up. Without the trait LocalSpeech there is none, and
/// `SileroDetectors.init` says so.
package enum SileroDetector {
    /// Samples of a window. Anything else ends the process inside the library.
    package static let window = 512
    /// The file that scripts/install unpacks.
    package static let modelName = "silero_vad_16k_op15.onnx"

    /// Whether this build has the detector at all.
    package static var isBuiltIn: Bool {
        #if LocalSpeech
            true
        #else
            false
        #endif
    }

    /// Loads the model and runs a second of silence through it, in this process: for a child that may end by it.
    /// True: it works. A bad model may end the process instead of returning.
    package static func checkModel(path: String) -> Bool {
        #if LocalSpeech
            guard let voice = SileroVoice(model: path, settings: SileroSettings()) else { return false }
            let silence = [Int16](repeating: 0, count: Self.window)
            for _ in 0..<31 where voice.hears(silence[...]) { return false }
            return true
        #else
            return false
        #endif
    }

    /// Runs `executable arguments` (a hidden subcommand that calls `checkModel` and exits with 0 for true) as a child
    /// process of at most 20 s. Blocks: for start-up or an engine thread.
    package static func validateInChild(executable: String, arguments: [String]) throws(SpeechEngineError) {
        let child = try ChildProcess(executable, arguments, input: [])
        let deadline: Int64 = pronto_monotonic_ns() &+ 20_000_000_000
        var buffer = [UInt8](repeating: 0, count: 512)
        while true {
            let reading: ChildProcess.Reading = buffer.withUnsafeMutableBytes {
                child.read(into: $0, deadline: deadline)
            }
            if case .bytes = reading { continue }
            if reading == .timedOut { child.kill() }
            break
        }
        guard child.reap() else { throw .rejected("the voice-activity model") }
    }
}

/// One detector by itself, for measuring it.
package struct SileroTrial {
    #if LocalSpeech
        private let voice: SileroVoice
    #endif

    package init(model: String) throws(SpeechEngineError) {
        #if LocalSpeech
            guard access(model, R_OK) == 0 else { throw .modelMissing(path: model) }
            guard let voice = SileroVoice(model: model, settings: SileroSettings()) else {
                throw .rejected("the voice-activity model")
            }
            self.voice = voice
        #else
            throw .rejected("Silero: built without the trait LocalSpeech")
        #endif
    }

    /// Whether there is speech after this window of 512 samples.
    package func hears(_ window: [Int16]) -> Bool {
        #if LocalSpeech
            return self.voice.hears(window[...])
        #else
            return false
        #endif
    }
}

/// How the detector is set for one call.
package struct SileroSettings: Sendable, Hashable {
    /// Probability from which a window is speech, 0–1.
    package var threshold: Double
    /// Silence that ends speech.
    package var silence: Duration
    /// Shorter speech is none.
    package var speech: Duration
    package init(
        threshold: Double = 0.5, silence: Duration = .milliseconds(500), speech: Duration = .milliseconds(100)
    ) {
        self.threshold = min(max(threshold, 0.05), 0.95)
        self.silence = silence
        self.speech = speech
    }
}

/// The process's detectors: made when needed, reused, at most so many.
package final class SileroDetectors: Sendable {
    #if LocalSpeech
        private struct Pool {
            var idle: [SileroSettings: [SileroVoice]] = [:]
            var made = 0
        }
        private let pool = Mutex(Pool())
    #endif
    private let model: String
    private let maximum: Int

    /// `model` must have passed `validateInChild`. Throws when it is missing or this build has no Silero.
    package init(model: String, maximum: Int = 64) throws(SpeechEngineError) {
        guard SileroDetector.isBuiltIn else { throw .rejected("Silero: built without the trait LocalSpeech") }
        guard access(model, R_OK) == 0 else { throw .modelMissing(path: model) }
        self.model = model
        self.maximum = max(1, maximum)
    }

    #if LocalSpeech
        /// A fresh or reset detector; nil: all are taken (the energy gate serves). Loading takes some 50 ms.
        func take(_ settings: SileroSettings) -> SileroVoice? {
            enum Choice { case reuse(SileroVoice), make, none }
            let choice: Choice = self.pool.withLock { pool in
                if let voice = pool.idle[settings]?.popLast() { return .reuse(voice) }
                if pool.made >= self.maximum {
                    // One of other settings makes room.
                    guard let other = pool.idle.first(where: { !$0.value.isEmpty })?.key else { return .none }
                    pool.idle[other]?.removeLast()
                    return .make
                }
                pool.made += 1
                return .make
            }
            switch choice {
            case .reuse(let voice):
                voice.reset()
                return voice
            case .none: return nil
            case .make:
                if let voice = SileroVoice(model: self.model, settings: settings) { return voice }
                self.pool.withLock { $0.made -= 1 }
                return nil
            }
        }

        func giveBack(_ voice: SileroVoice) {
            self.pool.withLock { $0.idle[voice.settings, default: []].append(voice) }
        }
    #endif
}

#if LocalSpeech
    /// One loaded detector.
    ///
    /// `@unchecked Sendable`: sherpa-onnx's detector is not thread-safe, and is used by one listener's lane at a time:
    /// whoever took it from the pool has the only reference.
    final class SileroVoice: @unchecked Sendable {
        let settings: SileroSettings
        private let detector: OpaquePointer
        private var samples: [Float]

        init?(model: String, settings: SileroSettings) {
            func seconds(_ duration: Duration) -> Float { Float(duration / .seconds(1)) }
            var configuration = SherpaOnnxVadModelConfig()
            configuration.sample_rate = 16_000
            configuration.num_threads = 1
            configuration.silero_vad.threshold = Float(settings.threshold)
            configuration.silero_vad.min_silence_duration = seconds(settings.silence)
            configuration.silero_vad.min_speech_duration = seconds(settings.speech)
            configuration.silero_vad.max_speech_duration = 60
            configuration.silero_vad.window_size = Int32(SileroDetector.window)
            let made: OpaquePointer? = model.withCString { model in
                "cpu".withCString { provider in
                    configuration.silero_vad.model = model
                    configuration.provider = provider
                    // We keep the audio ourselves, but its buffer holds a talkspurt until its end, and complains on
                    // standard error when it must grow. Eight seconds (512 KB) are longer than most.
                    return SherpaOnnxCreateVoiceActivityDetector(&configuration, 8)
                }
            }
            guard let made else { return nil }
            self.detector = made
            self.settings = settings
            self.samples = [Float](repeating: 0, count: SileroDetector.window)
        }

        deinit { SherpaOnnxDestroyVoiceActivityDetector(self.detector) }

        /// Takes one window; whether there is speech now.
        func hears(_ window: ArraySlice<Int16>) -> Bool {
            guard window.count == SileroDetector.window else { return false }
            for (index, sample) in window.enumerated() { self.samples[index] = Float(sample) / 32_768 }
            SherpaOnnxVoiceActivityDetectorAcceptWaveform(self.detector, self.samples, Int32(self.samples.count))
            // Finished segments would pile up.
            while SherpaOnnxVoiceActivityDetectorEmpty(self.detector) == 0 {
                SherpaOnnxVoiceActivityDetectorPop(self.detector)
            }
            return SherpaOnnxVoiceActivityDetectorDetected(self.detector) != 0
        }

        func reset() {
            SherpaOnnxVoiceActivityDetectorReset(self.detector)
            SherpaOnnxVoiceActivityDetectorClear(self.detector)
        }
    }
#endif
