import Assistants
import Configuration
import PhoneServer
import SpeechEngines
import Synchronization
import Telephony

/// The engines of this machine that speak, as the settings name them, each tried before a call needs it.
final class LocalVoices: Sendable {
    private let espeak: EspeakSynthesizer
    private let piper: PiperSynthesizer?
    private let sherpa: SherpaSynthesizer?
    private let preferred: LocalVoice

    /// Throws what a start should not hide: a program, voice or model that is wanted and missing, or does not work.
    init(_ settings: Settings) throws {
        self.espeak = EspeakSynthesizer()
        self.preferred = LocalVoice(rawValue: settings.localVoice.rawValue) ?? .espeak
        self.piper = try Self.makePiper(settings)
        self.sherpa = try Self.makeSherpa(settings)
        try self.checkVoice(of: settings)
    }

    /// Ends the engines' processes and threads. Call once, last.
    func stop() {
        self.espeak.stop()
        self.piper?.stop()
        self.sherpa?.stop()
    }

    /// Who wants this engine, as a setting with its value; nil: nobody.
    private static func wish(for engine: LocalVoiceName, _ settings: Settings) -> String? {
        if settings.pipelineSpeaker.rawValue == engine.rawValue { return "PRONTO_PIPELINE_TTS=\(engine.rawValue)" }
        if settings.localVoice == engine { return "PRONTO_LOCAL_VOICE=\(engine.rawValue)" }
        return nil
    }

    private static func makePiper(_ settings: Settings) throws -> PiperSynthesizer? {
        guard !settings.piperVoices.isEmpty else {
            guard let wish = Self.wish(for: .piper, settings) else { return nil }
            throw StartError("PIPER_VOICE: needed by \(wish); name a file NAME.onnx with NAME.onnx.json beside it")
        }
        guard let program = settings.piperProgram else {
            throw StartError(
                "PIPER_BINARY: needed by PIPER_VOICE; scripts/install --with-piper makes .deps/piper/bin/piper")
        }
        let files: VoiceFiles
        do throws(SpeechEngineError) { files = try VoiceFiles(settings.piperVoices) } catch {
            throw StartError("PIPER_VOICE: \(error)")
        }
        let piper = PiperSynthesizer(
            .init(program: program, voices: files, processes: settings.piperProcesses))
        do throws(SpeechEngineError) {
            try piper.check()
            return piper
        } catch {
            piper.stop()
            if case .programMissing = error {
                throw StartError("PIPER_BINARY: \(error); scripts/install --with-piper makes .deps/piper/bin/piper")
            }
            throw StartError("PIPER_VOICE: \(error)")
        }
    }

    private static func makeSherpa(_ settings: Settings) throws -> SherpaSynthesizer? {
        guard !settings.sherpaVoices.isEmpty else {
            guard let wish = Self.wish(for: .sherpa, settings) else { return nil }
            throw StartError("PRONTO_SHERPA_VOICE: needed by \(wish); name a Piper voice, NAME.onnx")
        }
        do throws(SpeechEngineError) {
            let files = try VoiceFiles(settings.sherpaVoices)
            // sherpa-onnx ends the process on a model that it does not take: a child tries each first.
            for voice in files.voices { try SpeechModelTrial.inChild(.voice, path: voice.path) }
            return try SherpaSynthesizer(.init(voices: files, threads: settings.localThreads))
        } catch {
            throw StartError("PRONTO_SHERPA_VOICE: \(error)")
        }
    }

    /// A voice of the settings that is no file would only show in the first call.
    private func checkVoice(of settings: Settings) throws {
        guard let name = settings.pipelineVoice,
            let files = settings.pipelineSpeaker == .piper
                ? self.piper?.voices : (settings.pipelineSpeaker == .sherpa ? self.sherpa?.voices : nil)
        else { return }
        guard files.choose(name: name, language: "") != nil else {
            let known = files.voices.map(\.name).joined(separator: ", ")
            throw StartError("PRONTO_PIPELINE_TTS_VOICE: no voice has this name or speaker; there are: \(known)")
        }
    }

    /// What each engine has, for listings.
    var listed: [LocalVoice: [SpeakerVoices.Voice]] {
        var listed: [LocalVoice: [SpeakerVoices.Voice]] = [:]
        if let piper = self.piper { listed[.piper] = Self.listed(piper.voices) }
        if let sherpa = self.sherpa { listed[.sherpa] = Self.listed(sherpa.voices) }
        return listed
    }

    static func listed(_ files: VoiceFiles) -> [SpeakerVoices.Voice] {
        files.voices.flatMap { voice in
            let speakers = voice.speakers.sorted { $0.value < $1.value }.prefix(100)
            let own = SpeakerVoices.Voice(id: voice.name, name: voice.name, language: voice.language)
            return [own]
                + speakers.map { .init(id: "\(voice.name)#\($0.key)", name: $0.key, language: voice.language) }
        }
    }

    // MARK: Speaking

    func synthesise(
        _ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        let job = SpokenJob()
        var wanted = SynthesisRequest(
            text: request.text.value, language: request.language, voice: request.voice, format: request.format)
        guard request.engine == nil, self.preferred != .espeak else {
            job.take(self.speak(wanted, by: request.engine ?? .espeak) { report(Self.report($0)) })
            return job
        }
        // The house's own voice: a caller is told in another one rather than not at all.
        var plain = wanted
        plain.voice = nil
        if let files = self.files(of: self.preferred), files.choose(name: wanted.voice, language: "") == nil {
            wanted.voice = nil
        }
        let standIn = plain
        job.take(
            self.speak(wanted, by: self.preferred) { [self] event in
                switch event {
                case .failed where job.mayPassOn:
                    job.take(self.speak(standIn, by: .espeak) { report(Self.report($0)) }, attempt: 2)
                case .audio:
                    job.sounded()
                    report(Self.report(event))
                default: report(Self.report(event))
                }
            })
        return job
    }

    private func files(of engine: LocalVoice) -> VoiceFiles? {
        switch engine {
        case .espeak: nil
        case .piper: self.piper?.voices
        case .sherpa: self.sherpa?.voices
        }
    }

    private func speak(
        _ request: SynthesisRequest, by engine: LocalVoice, _ deliver: @escaping @Sendable (SynthesisEvent) -> Void
    ) -> SpeechEngines.SpeechJob {
        let job: SpeechEngines.SpeechJob?
        switch engine {
        case .espeak: job = self.espeak.speak(request, deliver)
        case .piper: job = self.piper?.speak(request, deliver)
        case .sherpa: job = self.sherpa?.speak(request, deliver)
        }
        if let job { return job }
        // A tenant's account names an engine that this gateway has no voices for.
        deliver(.failed(slug: SpeechEngineError.noVoice.slug))
        return SpeechEngines.SpeechJob()
    }

    private static func report(_ event: SynthesisEvent) -> SpeechReport {
        switch event {
        case .started: .started
        case .audio(let bytes): .audio(bytes)
        case .finished: .ended(.finished)
        case .failed(let slug): .ended(.failed(slug: slug))
        }
    }
}

/// A wish to speak, which may pass from one engine to another.
private final class SpokenJob: PhoneServer.SpeechJob {
    private struct State {
        var job: SpeechEngines.SpeechJob?
        var isCancelled = false
        var hasSounded = false
        var attempt = 0
    }
    private let state = Mutex(State())

    /// Whether another engine may begin it again: it is wanted, and nobody has heard any of it.
    var mayPassOn: Bool { self.state.withLock { !$0.isCancelled && !$0.hasSounded } }
    func sounded() { self.state.withLock { $0.hasSounded = true } }

    /// - Parameter attempt: the second engine's job may be here before the first one's, which failed at once.
    func take(_ job: SpeechEngines.SpeechJob, attempt: Int = 1) {
        let isCancelled = self.state.withLock { state in
            if attempt >= state.attempt { (state.job, state.attempt) = (job, attempt) }
            return state.isCancelled
        }
        if isCancelled { job.cancel() }
    }

    func cancel() {
        let job = self.state.withLock { state in
            state.isCancelled = true
            return state.job
        }
        job?.cancel()
    }
}
