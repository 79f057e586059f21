import Audio
import CLinux
import Synchronization
import Telephony

/// Piper's voices, each by processes that stay: `piper -m VOICE --output-raw`, a line of text in, raw samples out.
///
/// Piper is GPL: it runs as a child and is never linked, and its HTTP server, which listens on every address without
/// authentication, is not used. Loading a voice takes seconds, a clause a tenth of one, so processes are kept, a bounded
/// number for all voices, and replaced when they die. A job that is cancelled delivers nothing more from that moment;
/// its process is used again when it has finished the clause, or ended if that takes too long.
package final class PiperSynthesizer: Sendable {
    package struct Configuration: Sendable {
        package var program: String
        package var voices: VoiceFiles
        /// Processes at the same time, of all voices; each holds its voice in memory (some 200 MB).
        package var processes: Int
        /// Clauses that may wait for one.
        package var waiting: Int
        /// From the wish to the last sound, the start of a process included.
        package var timeout: Duration
        /// What a process may still take for a clause that nobody wants any more.
        package var patience: Duration
        /// Longer texts are cut here, in UTF-8 bytes: below what piper reads at once.
        package var maximumText: Int
        /// Bytes of audio kept for repeated prompts.
        package var cacheBytes: Int

        package init(
            program: String, voices: VoiceFiles, processes: Int = 2, waiting: Int = 64,
            timeout: Duration = .seconds(20),
            patience: Duration = .seconds(1), maximumText: Int = 4000, cacheBytes: Int = 8 << 20
        ) {
            self.program = program
            self.voices = voices
            self.processes = max(1, processes)
            self.waiting = waiting
            self.timeout = timeout
            self.patience = patience
            self.maximumText = min(max(maximumText, 16), 8000)
            self.cacheBytes = cacheBytes
        }
    }

    private struct Pool {
        /// Processes that wait for text, the longest unused first.
        var idle: [(voice: VoiceFiles.Choice, process: PiperProcess)] = []
        var running = 0
        var isStopping = false
    }

    private let configuration: Configuration
    private let workers: WorkerPool
    private let pool = Mutex(Pool())
    private let cache: Mutex<UtteranceCache>

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        self.workers = WorkerPool(name: "piper", threads: configuration.processes, limit: configuration.waiting)
        self.cache = Mutex(UtteranceCache(capacity: configuration.cacheBytes))
    }

    deinit { for (_, process) in self.pool.withLock({ $0.idle }) { process.end() } }

    package var voices: VoiceFiles { self.configuration.voices }

    /// Starts a process and has it say a word: what is wrong with the program or the first voice shows here. Blocks for
    /// as long as a voice takes to load. The process is kept for the first call, and the others that may run are started
    /// beside it, one a voice in turn: a caller's second clause should not wait for a voice to load.
    package func check() throws(SpeechEngineError) {
        guard let voice = self.voices.voices.first.map({ VoiceFiles.Choice(voice: $0, speaker: nil) }) else {
            throw .noVoice
        }
        let process = try self.start(voice)
        var heard = 0
        let deadline: Int64 = pronto_monotonic_ns() &+ Duration.seconds(60).nanoseconds
        let end: PiperProcess.End = process.speak(Array("one".utf8), deadline: deadline) { heard += $0.count }
        guard end == .finished, heard > 0 else {
            let complaint: String? = process.lastComplaint()
            self.discard(process)
            let what: String =
                switch end {
                case .timedOut: "says nothing within a minute"
                case .died: complaint.map { "ended with: \($0)" } ?? "ended at its start"
                case .finished: "makes no sound"
                }
            throw .badVoice(path: voice.voice.path, "\(self.configuration.program) \(what)")
        }
        self.giveBack(process, voice)
        for index in 1..<max(1, self.configuration.processes) {
            let next = VoiceFiles.Choice(voice: self.voices.voices[index % self.voices.voices.count], speaker: nil)
            let warming: PiperProcess = try self.start(next)
            // Before the one that is ready: the last is taken first.
            self.pool.withLock { $0.idle.insert((next, warming), at: 0) }
        }
    }

    /// Ends every process and thread.
    package func stop() {
        let idle: [PiperProcess] = self.pool.withLock { pool in
            pool.isStopping = true
            defer { pool.idle = [] }
            return pool.idle.map(\.process)
        }
        for process in idle { process.end() }
        self.workers.stop()
    }

    /// Speaks; `deliver` is called on one of the pool's threads. Returns at once.
    package func speak(
        _ request: SynthesisRequest, _ deliver: @escaping @Sendable (SynthesisEvent) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        guard let voice = self.voices.choose(name: request.voice, language: request.language) else {
            deliver(.failed(slug: SpeechEngineError.noVoice.slug))
            return job
        }
        let isTaken: Bool = self.workers.submit { self.run(request, voice, job, deliver) }
        if !isTaken { deliver(.failed(slug: SpeechEngineError.overloaded.slug)) }
        return job
    }

    // MARK: Processes

    private func start(_ voice: VoiceFiles.Choice) throws(SpeechEngineError) -> PiperProcess {
        let process = try PiperProcess(self.configuration.program, voice)
        self.pool.withLock { $0.running += 1 }
        return process
    }

    /// An idle process of that voice, or a new one; one of another voice makes room for it.
    private func take(_ voice: VoiceFiles.Choice) throws(SpeechEngineError) -> (process: PiperProcess, isFresh: Bool) {
        let (found, surplus): (PiperProcess?, PiperProcess?) = self.pool.withLock { pool in
            if let index = pool.idle.lastIndex(where: { $0.voice == voice }) {
                return (pool.idle.remove(at: index).process, nil)
            }
            guard pool.running >= self.configuration.processes, !pool.idle.isEmpty else { return (nil, nil) }
            return (nil, pool.idle.removeFirst().process)
        }
        if let surplus { self.discard(surplus) }
        if let found { return (found, false) }
        return (try self.start(voice), true)
    }

    private func giveBack(_ process: PiperProcess, _ voice: VoiceFiles.Choice) {
        let isKept: Bool = self.pool.withLock { pool in
            guard !pool.isStopping else { return false }
            pool.idle.append((voice, process))
            return true
        }
        if !isKept { self.discard(process) }
    }

    private func discard(_ process: PiperProcess) {
        self.pool.withLock { $0.running -= 1 }
        process.end()
    }

    // MARK: One clause, on a pool thread

    private func run(
        _ request: SynthesisRequest, _ voice: VoiceFiles.Choice, _ job: SpeechJob,
        _ deliver: @Sendable (SynthesisEvent) -> Void
    ) {
        if job.isCancelled { return }
        let name: String = voice.voice.path + "#" + (voice.speaker.map(String.init) ?? "")
        let key = UtteranceCache.Key(text: request.text.value, voice: name, format: request.format)
        if let audio = self.cache.withLock({ $0.audio(for: key) }) {
            deliver(.started)
            deliver(.audio(audio))
            deliver(.finished)
            return
        }
        let text: [UInt8] = EspeakSynthesizer.sanitise(request.text.value, limit: self.configuration.maximumText)
        guard var transcoder = try? Transcoder(from: .l16(voice.voice.rate), to: request.format) else {
            deliver(.failed(slug: "format"))
            return
        }
        deliver(.started)
        var deadline: Int64 = pronto_monotonic_ns() &+ self.configuration.timeout.nanoseconds
        var whole: [UInt8] = []
        var hasSounded = false
        var audio: [UInt8] = []
        func emit() {
            guard !audio.isEmpty, !job.isCancelled else { return }
            hasSounded = true
            if whole.count + audio.count <= UtteranceCache.maximumEntry { whole += audio } else { whole = [] }
            deliver(.audio(audio))
        }
        // An idle process may have been ended by somebody (the kernel, for its memory): then one more is tried, as long
        // as the caller has heard nothing of this clause.
        for _ in 0..<2 {
            let process: PiperProcess
            let isFresh: Bool
            do throws(SpeechEngineError) { (process, isFresh) = try self.take(voice) } catch {
                deliver(.failed(slug: error.slug))
                return
            }
            var isGivenUp = false
            // Asked for every few milliseconds: also where a wish that was taken back is noticed.
            let end: PiperProcess.End = process.speak(
                text,
                deadline: {
                    if job.isCancelled, !isGivenUp {
                        isGivenUp = true
                        deadline = min(deadline, pronto_monotonic_ns() &+ self.configuration.patience.nanoseconds)
                    }
                    return deadline
                }
            ) { bytes in
                guard !job.isCancelled else { return }
                audio.removeAll(keepingCapacity: true)
                transcoder.convert(bytes, into: &audio)
                emit()
            }
            switch end {
            case .finished:
                self.giveBack(process, voice)
                if job.isCancelled { return }
                audio.removeAll(keepingCapacity: true)
                transcoder.finish(into: &audio)
                emit()
                if !whole.isEmpty { self.cache.withLock { $0.keep(whole, for: key) } }
                deliver(.finished)
                return
            case .timedOut:
                self.discard(process)
                if !job.isCancelled { deliver(.failed(slug: "timeout")) }
                return
            case .died:
                self.discard(process)
                if job.isCancelled { return }
                if hasSounded || isFresh {
                    deliver(.failed(slug: "engine"))
                    return
                }
            }
        }
        deliver(.failed(slug: "engine"))
    }
}

/// One piper program with its voice loaded.
///
/// Its output has no mark between two texts. But it reads its next line only when the last one's samples have been
/// written and flushed (`piper/__main__.py`, 1.8.0), and it skips an empty line; so a text is followed, once it has been
/// read, by an empty line: when that has been read too, all of the text's sound is there. Measured with piper-tts 1.8.0:
/// no byte came later.
final class PiperProcess: Sendable {
    enum End: Equatable { case finished, died, timedOut }

    private let child: ChildProcess
    /// How often is looked whether piper has read on. Sound is delivered when it comes, not by this measure.
    private static let look: Int64 = 4_000_000

    init(_ program: String, _ choice: VoiceFiles.Choice) throws(SpeechEngineError) {
        // Options that piper does not know would be spoken: these are 1.8.0's.
        var arguments: [String] = ["-m", choice.voice.path, "--output-raw"]
        if let speaker = choice.speaker { arguments += ["--speaker", String(speaker)] }
        self.child = try ChildProcess(program, arguments, input: [], keepsInput: true)
        self.child.yieldToOthers()
    }

    func end() {
        self.child.kill()
        _ = self.child.reap()
    }

    func lastComplaint() -> String? { self.child.lastComplaint() }

    func speak(_ text: [UInt8], deadline: Int64, _ heard: (UnsafeRawBufferPointer) -> Void) -> End {
        self.speak(text, deadline: { deadline }, heard)
    }

    /// Has `text` spoken; blocks until the last sound. `text` is one line.
    func speak(_ text: [UInt8], deadline: () -> Int64, _ heard: (UnsafeRawBufferPointer) -> Void) -> End {
        guard self.child.tell(text + [0x0A]) else { return .died }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var isMarked = false
        var isRead = false
        while true {
            let now: Int64 = pronto_monotonic_ns()
            guard now < deadline() else { return .timedOut }
            let reading: ChildProcess.Reading = buffer.withUnsafeMutableBytes {
                self.child.read(into: $0, deadline: now &+ Self.look)
            }
            switch reading {
            case .end: return .died
            case .bytes(let count): buffer.withUnsafeBytes { heard(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            case .timedOut:
                // One more look after the mark was read: what was flushed before it is in the socket by then.
                if isRead { return .finished }
                guard self.child.hasReadAll else { continue }
                if isMarked {
                    isRead = true
                } else {
                    guard self.child.tell([0x0A]) else { return .died }
                    isMarked = true
                }
            }
        }
    }
}
