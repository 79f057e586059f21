import Audio
import Synchronization
import Telephony

/// What a listener hears, in order.
package enum ListeningEvent: Sendable, Equatable {
    /// The grammar is ready: talkspurts will be recognised.
    case recognitionReady
    /// There will be no recognition.
    case recognitionFailed(SpeechEngineError)
    case speech(isSpeaking: Bool)
    /// The result of the talkspurt that ended last.
    case recognised(RecognitionResult)
}

/// The engines of the process, shared by its calls.
package struct ListeningEngines: Sendable {
    package var recognizer: PocketSphinxRecognizer?
    /// Nil: the energy gate detects speech.
    package var detectors: SileroDetectors?
    /// Where the detectors run.
    package var pool: WorkerPool
    package init(recognizer: PocketSphinxRecognizer?, detectors: SileroDetectors?, pool: WorkerPool) {
        self.recognizer = recognizer
        self.detectors = detectors
        self.pool = pool
    }
}

/// One call's ears: performs `detect` and `recognise` for it.
///
/// `hear` is called on the call's loop, 20 ms at a time, and does there only what is cheap: the conversion to 16 kHz
/// (6 µs), a level, the gate. While the gate is closed nothing leaves the loop. When it opens, the half second before
/// and all that follows goes to the lane, a serial queue on the pool's threads, where Silero decides on speech and the
/// talkspurt is kept for the recogniser. Nothing allocates while the line is quiet.
package struct SpeechListener: ~Copyable {
    private let lane: ListeningLane
    private var transcoder: Transcoder
    private var gate: SpeechGate
    private var clock: Duration = .zero
    /// 16 kHz samples of this frame, as bytes.
    private var frame: [UInt8] = []
    /// The last `preRoll` of samples while the gate is closed, a ring.
    private var ring: [Int16]
    private var ringNext = 0
    private var ringCount = 0

    /// How much of the sound before the gate opened belongs to the talkspurt. A soft consonant begins below the gate.
    private static let preRollSamples = 16_000 * 3 / 10

    /// `silence` ends a turn. `deliver` is called on engine threads, in order, and not after `close` (but for one that
    /// was under way). Throws when no listener can take the format.
    package init(
        format: AudioFormat, threshold: Double = 0.5, silence: Duration = .milliseconds(500),
        engines: ListeningEngines, _ deliver: @escaping @Sendable (ListeningEvent) -> Void
    ) throws(SpeechEngineError) {
        guard let transcoder = try? Transcoder(from: format, to: .l16(.wideband)) else {
            throw .rejected("the audio format")
        }
        self.transcoder = transcoder
        let silence: Duration = min(max(silence, .milliseconds(100)), .seconds(5))
        let settings: SileroSettings? =
            engines.detectors == nil ? nil : SileroSettings(threshold: threshold, silence: silence)
        // Before Silero the gate lets more through and stays open longer: it saves work and decides nothing.
        self.gate = SpeechGate(
            settings == nil
                ? SpeechGate.Configuration(hangover: silence)
                : SpeechGate.Configuration(
                    margin: 6, minimum: -55, onset: .zero, hangover: silence + .milliseconds(300)))
        self.ring = [Int16](repeating: 0, count: Self.preRollSamples)
        self.lane = ListeningLane(engines: engines, settings: settings, deliver: deliver)
    }

    deinit { self.lane.close() }

    /// Prepares recognition by this grammar; talkspurts that end before it is ready wait for it.
    package func recognise(_ grammar: RecognitionGrammar) { self.lane.prepare(grammar) }

    /// Stops recognising; detection goes on.
    package func stopRecognising() { self.lane.stopRecognising() }

    /// 20 ms of the caller in the format stated at the start.
    package mutating func hear(_ bytes: UnsafeRawBufferPointer) {
        self.frame.removeAll(keepingCapacity: true)
        self.transcoder.convert(bytes, into: &self.frame)
        let count: Int = self.frame.count / 2
        guard count > 0 else { return }
        self.clock += .nanoseconds(Int64(count) * 62_500)
        let level: Double = self.frame.withUnsafeBytes { Level(of: $0, encoding: .l16).rms }
        let wasOpen: Bool = self.gate.isSpeaking
        let event: SpeechGate.Event? = self.gate.frame(levelDBFS: level, at: self.clock)
        if event == .speechStarted {
            self.lane.begin(preRoll: self.ring, next: self.ringNext, count: self.ringCount)
            self.ringCount = 0
        }
        if wasOpen || event == .speechStarted {
            self.frame.withUnsafeBytes { self.lane.hear($0, ends: event == .speechStopped) }
        } else {
            for index in 0..<count {
                self.ring[self.ringNext] = Int16(
                    truncatingIfNeeded: Int(self.frame[2 * index]) | Int(self.frame[2 * index + 1]) << 8)
                self.ringNext = (self.ringNext + 1) % Self.preRollSamples
            }
            self.ringCount = min(self.ringCount + count, Self.preRollSamples)
        }
    }

    /// Samples that wait for the pool: for a test that feeds faster than a call.
    var backlog: Int { self.lane.backlog }

    /// Ends listening: running decodings are called off, the detector goes back.
    package func close() { self.lane.close() }
}

/// The part of a listener that works on the pool's threads, one job at a time.
final class ListeningLane: Sendable {
    /// What the loop hands over. Locked for moments only.
    private struct Inbox {
        var samples: [Int16] = []
        /// The gate opened before `samples`; closed after them.
        var begins = false
        var ends = false
        var isScheduled = false
        var isClosed = false
        var grammar: PreparedGrammar?
        var jobs: [SpeechJob] = []
        var wantsRecognition = false
        /// A talkspurt that ended before the grammar was ready.
        var waiting: [Int16]?
    }

    /// What only the lane's own job touches: its lock is never contended by the loop.
    private struct Ears {
        var windows: [Int16] = []
        var talkspurt: [Int16] = []
        var isSpeaking = false
        var isOpen = false
        #if LocalSpeech
            var silero: SileroVoice?
        #endif
    }

    private let engines: ListeningEngines
    private let settings: SileroSettings?
    private let deliver: @Sendable (ListeningEvent) -> Void
    private let inbox = Mutex(Inbox())
    private let ears = Mutex(Ears())

    /// At most 2 s wait for a busy pool; what comes on top is lost, the newest first: the talkspurt's begin counts.
    private static let maximumWaiting = 32_000

    init(
        engines: ListeningEngines, settings: SileroSettings?, deliver: @escaping @Sendable (ListeningEvent) -> Void
    ) {
        self.engines = engines
        self.settings = settings
        self.deliver = deliver
    }

    // MARK: On the loop

    var backlog: Int { self.inbox.withLock(\.samples.count) }

    func begin(preRoll ring: [Int16], next: Int, count: Int) {
        self.inbox.withLock { inbox in
            inbox.begins = true
            guard inbox.samples.count + count <= Self.maximumWaiting else { return }
            for index in 0..<count { inbox.samples.append(ring[(next - count + index + ring.count) % ring.count]) }
        }
    }

    func hear(_ bytes: UnsafeRawBufferPointer, ends: Bool) {
        let isDue: Bool = self.inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            if inbox.samples.count + bytes.count / 2 <= Self.maximumWaiting {
                for offset in stride(from: 0, to: bytes.count - 1, by: 2) {
                    inbox.samples.append(
                        Int16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self)))
                }
            }
            if ends { inbox.ends = true }
            guard !inbox.isScheduled, ends || inbox.samples.count >= SileroDetector.window else { return false }
            inbox.isScheduled = true
            return true
        }
        if isDue { self.schedule() }
    }

    func prepare(_ grammar: RecognitionGrammar) {
        guard let recognizer = self.engines.recognizer else {
            self.deliver(.recognitionFailed(.rejected("to recognise: no recogniser")))
            return
        }
        self.inbox.withLock { $0.wantsRecognition = true }
        let job: SpeechJob = recognizer.prepare(grammar) { [weak self] result in self?.prepared(result) }
        self.hold(job)
    }

    func stopRecognising() {
        let jobs: [SpeechJob] = self.inbox.withLock { inbox in
            inbox.wantsRecognition = false
            inbox.grammar = nil
            inbox.waiting = nil
            defer { inbox.jobs = [] }
            return inbox.jobs
        }
        for job in jobs { job.cancel() }
    }

    func close() {
        self.stopRecognising()
        let isIdle: Bool = self.inbox.withLock { inbox in
            inbox.isClosed = true
            inbox.samples = []
            defer { inbox.isScheduled = true }
            return !inbox.isScheduled
        }
        // The detector goes back on the lane, where it is used.
        if isIdle { self.schedule() }
    }

    // MARK: On the pool

    private func schedule() {
        if !self.engines.pool.submit({ self.work() }) {
            // Refused: the next frame tries again; after `close` nothing follows, so it is done here (no engine runs).
            let isClosed: Bool = self.inbox.withLock { inbox in
                inbox.isScheduled = false
                return inbox.isClosed
            }
            if isClosed { self.release() }
        }
    }

    private func work() {
        while true {
            let (samples, begins, ends, isClosed): ([Int16], Bool, Bool, Bool) = self.inbox.withLock { inbox in
                let taken = (inbox.samples, inbox.begins, inbox.ends, inbox.isClosed)
                inbox.samples.removeAll(keepingCapacity: false)
                inbox.begins = false
                inbox.ends = false
                if taken.0.isEmpty, !taken.2 { inbox.isScheduled = inbox.isClosed }
                return taken
            }
            if isClosed {
                self.release()
                return
            }
            if samples.isEmpty, !ends { return }
            self.ears.withLock { self.listen(&$0, samples, begins: begins, ends: ends) }
        }
    }

    private func release() {
        self.ears.withLock { ears in
            #if LocalSpeech
                if let silero = ears.silero { self.engines.detectors?.giveBack(silero) }
                ears.silero = nil
            #endif
            ears.talkspurt = []
        }
    }

    private func listen(_ ears: inout Ears, _ samples: [Int16], begins: Bool, ends: Bool) {
        if begins {
            ears.isOpen = true
            ears.windows = []
            #if LocalSpeech
                if let settings = self.settings, ears.silero == nil {
                    ears.silero = self.engines.detectors?.take(settings)
                } else {
                    ears.silero?.reset()
                }
            #endif
        }
        ears.windows += samples
        var used = 0
        while ears.windows.count - used >= SileroDetector.window {
            let window: ArraySlice<Int16> = ears.windows[used..<(used + SileroDetector.window)]
            used += SileroDetector.window
            let hears: Bool = self.hears(&ears, window)
            if ears.talkspurt.count < PocketSphinxRecognizer.maximumSamples { ears.talkspurt += window }
            if hears != ears.isSpeaking { self.turn(&ears, speaking: hears) }
            // Until speech is certain only its last half second is kept.
            if !ears.isSpeaking, ears.talkspurt.count > 8000 { ears.talkspurt.removeFirst(ears.talkspurt.count - 8000) }
        }
        ears.windows.removeFirst(used)
        if ends {
            if ears.isSpeaking { self.turn(&ears, speaking: false) }
            ears.isOpen = false
            ears.talkspurt = []
            ears.windows = []
        }
    }

    /// The gate has opened (or this would not run); Silero has the word where there is one.
    private func hears(_ ears: inout Ears, _ window: ArraySlice<Int16>) -> Bool {
        #if LocalSpeech
            if let silero = ears.silero { return silero.hears(window) }
        #endif
        return true
    }

    private func turn(_ ears: inout Ears, speaking: Bool) {
        ears.isSpeaking = speaking
        self.deliver(.speech(isSpeaking: speaking))
        guard !speaking else { return }
        let talkspurt: [Int16] = ears.talkspurt
        ears.talkspurt = []
        let grammar: PreparedGrammar? = self.inbox.withLock { inbox in
            if inbox.wantsRecognition, inbox.grammar == nil { inbox.waiting = talkspurt }
            return inbox.grammar
        }
        if let grammar { self.decode(talkspurt, grammar) }
    }

    private func prepared(_ result: Result<PreparedGrammar, SpeechEngineError>) {
        switch result {
        case .failure(let error): self.deliver(.recognitionFailed(error))
        case .success(let grammar):
            let (isWanted, waiting): (Bool, [Int16]?) = self.inbox.withLock { inbox in
                guard inbox.wantsRecognition else { return (false, nil) }
                inbox.grammar = grammar
                defer { inbox.waiting = nil }
                return (true, inbox.waiting)
            }
            guard isWanted else { return }
            self.deliver(.recognitionReady)
            if let waiting { self.decode(waiting, grammar) }
        }
    }

    private func decode(_ samples: [Int16], _ grammar: PreparedGrammar) {
        guard let recognizer = self.engines.recognizer else { return }
        let job: SpeechJob = recognizer.recognise(samples, with: grammar) { [deliver] result in
            switch result {
            case .success(let result): deliver(.recognised(result))
            // An overload or a refused talkspurt: the caller is asked again, as if nothing had been understood.
            case .failure: deliver(.recognised(RecognitionResult(words: Redacted(""), confidence: 0)))
            }
        }
        self.hold(job)
    }

    /// Remembers the last jobs, to call them off.
    private func hold(_ job: SpeechJob) {
        self.inbox.withLock { inbox in
            if inbox.jobs.count >= 4 { inbox.jobs.removeFirst() }
            inbox.jobs.append(job)
        }
    }
}
