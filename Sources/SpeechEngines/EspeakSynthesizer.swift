import Audio
import CLinux
import Synchronization
import Telephony

/// Something to be said aloud.
package struct SynthesisRequest: Sendable, Equatable {
    package var text: Redacted<String>
    /// BCP 47, as `it-IT`.
    package var language: String
    /// An espeak-ng voice, as `it+f2`; nil, or not a voice's name: the language's own.
    package var voice: String?
    /// Mono.
    package var format: AudioFormat
    package init(text: String, language: String, voice: String? = nil, format: AudioFormat) {
        self.text = Redacted(text)
        self.language = language
        self.voice = voice
        self.format = format
    }
}

/// What comes of a synthesis, in order: `started`, audio as it is made, then one of the last two.
package enum SynthesisEvent: Sendable, Equatable {
    case started
    /// Whole samples in the wanted format.
    case audio([UInt8])
    case finished
    /// `timeout`, `engine`, `overflow`, `program-missing`, `format`.
    case failed(slug: String)
}

/// espeak-ng's voice, one child process an utterance, a bounded number at a time.
///
/// Short utterances are kept, so that prompts cost a copy. Measured: 20 ms from request to first audio, the process's
/// start included; a sentence is made in 1–2 ms.
package final class EspeakSynthesizer: Sendable {
    package struct Configuration: Sendable {
        package var program: String
        /// Words a minute, 80–450. 160 suits the telephone.
        package var rate: Int
        /// 0–99; 50 is the voice's own.
        package var pitch: Int
        /// Children at the same time.
        package var processes: Int
        /// Utterances that may wait for one.
        package var waiting: Int
        /// From the start of the process to its last sound.
        package var timeout: Duration
        /// Longer texts are cut here, in UTF-8 bytes: a stop for a runaway model, and below a socket's buffer.
        package var maximumText: Int
        /// Bytes of audio kept for repeated prompts; zero keeps none.
        package var cacheBytes: Int

        package init(
            program: String = "/usr/bin/espeak-ng", rate: Int = 160, pitch: Int = 50, processes: Int = 4,
            waiting: Int = 256, timeout: Duration = .seconds(10), maximumText: Int = 4000, cacheBytes: Int = 8 << 20
        ) {
            self.program = program
            self.rate = min(max(rate, 80), 450)
            self.pitch = min(max(pitch, 0), 99)
            self.processes = processes
            self.waiting = waiting
            self.timeout = timeout
            self.maximumText = min(max(maximumText, 16), 16_000)
            self.cacheBytes = cacheBytes
        }
    }

    private let configuration: Configuration
    private let pool: WorkerPool
    private let cache: Mutex<UtteranceCache>

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        self.pool = WorkerPool(
            name: "espeak", threads: configuration.processes, limit: configuration.waiting)
        self.cache = Mutex(UtteranceCache(capacity: configuration.cacheBytes))
    }

    /// Lets what runs end and returns when all threads are gone.
    package func stop() { self.pool.stop() }

    /// Speaks; `deliver` is called on one of the pool's threads. Returns at once.
    package func speak(
        _ request: SynthesisRequest, _ deliver: @escaping @Sendable (SynthesisEvent) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        let isTaken: Bool = self.pool.submit { self.run(request, job, deliver) }
        if !isTaken { deliver(.failed(slug: SpeechEngineError.overloaded.slug)) }
        return job
    }

    /// The espeak-ng voice for a language; `voice` wins when it has the shape of a voice's name.
    package static func voice(language: String, voice: String?) -> String {
        if let voice, (1...40).contains(voice.utf8.count), voice.first != "-", voice.first != "+",
            voice.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            })
        {
            return voice
        }
        let parts = language.lowercased().split(whereSeparator: { $0 == "-" || $0 == "_" })
        switch (parts.first, parts.dropFirst().first) {
        case ("pt", "pt"): return "pt"
        case ("pt", _): return "pt-br"
        case ("en", "gb"): return "en-gb"
        case ("en", _): return "en-us"
        case ("fr", _): return "fr-fr"
        case ("es", let region?) where region != "es": return "es-419"
        case (let first?, _) where (2...3).contains(first.utf8.count) && first.allSatisfy(\.isLetter):
            return String(first)
        default: return "en-us"
        }
    }

    /// The voices that the installed program has, with their languages. Blocks for some milliseconds.
    package static func installedVoices(
        program: String = "/usr/bin/espeak-ng"
    ) throws(SpeechEngineError) -> [(language: String, name: String)] {
        let child = try ChildProcess(program, ["--voices"], input: [])
        let deadline: Int64 = pronto_monotonic_ns() &+ 10_000_000_000
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while output.count < 1 << 20,
            case .bytes(let count) = buffer.withUnsafeMutableBytes({ child.read(into: $0, deadline: deadline) })
        {
            output += buffer[..<count]
        }
        child.kill()
        _ = child.reap()
        // `Pty Language Age/Gender VoiceName File Other Languages`
        return String(decoding: output, as: UTF8.self).split(separator: "\n").dropFirst().compactMap { line in
            let fields: [Substring] = line.split(separator: " ", omittingEmptySubsequences: true)
            return fields.count >= 4 ? (String(fields[1]), String(fields[3])) : nil
        }
    }

    /// What espeak-ng is given: no control characters, and no `[[`, which would be read as phoneme codes.
    static func sanitise(_ text: String, limit: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            let safe: Unicode.Scalar
            switch scalar {
            case "[", "]", "<", ">": safe = " "
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: safe = " "
            default: safe = scalar
            }
            let piece = UTF8.encode(safe) ?? UTF8.encodedReplacementCharacter
            if bytes.count + piece.count > limit { break }
            bytes.append(contentsOf: piece)
        }
        return bytes
    }

    // MARK: One utterance, on a pool thread

    private func run(
        _ request: SynthesisRequest, _ job: SpeechJob, _ deliver: @Sendable (SynthesisEvent) -> Void
    ) {
        if job.isCancelled { return }
        let voice: String = Self.voice(language: request.language, voice: request.voice)
        let key = UtteranceCache.Key(text: request.text.value, voice: voice, format: request.format)
        if let audio = self.cache.withLock({ $0.audio(for: key) }) {
            deliver(.started)
            deliver(.audio(audio))
            deliver(.finished)
            return
        }
        let text: [UInt8] = Self.sanitise(request.text.value, limit: self.configuration.maximumText)
        let child: ChildProcess
        do {
            child = try ChildProcess(
                self.configuration.program,
                [
                    "--stdin", "--stdout", "-b", "1", "-v", voice, "-s", String(self.configuration.rate), "-p",
                    String(self.configuration.pitch),
                ], input: text)
        } catch {
            deliver(.failed(slug: error.slug))
            return
        }
        job.onCancel { child.kill() }
        deliver(.started)
        let outcome: Result<[UInt8], Failure> = self.stream(child, request.format, job, deliver)
        if case .failure = outcome { child.kill() }
        let endedWell: Bool = child.reap()
        job.onCancel(nil)
        if job.isCancelled { return }
        switch outcome {
        case .success(let audio) where endedWell:
            self.cache.withLock { $0.keep(audio, for: key) }
            deliver(.finished)
        case .success: deliver(.failed(slug: "engine"))
        case .failure(let failure): deliver(.failed(slug: failure.rawValue))
        }
    }

    private enum Failure: String, Error { case timeout, engine, format }

    /// Reads the child's WAV as it comes, converts and delivers. Returns the whole, for the cache (empty when it is
    /// too long to be kept).
    private func stream(
        _ child: ChildProcess, _ format: AudioFormat, _ job: SpeechJob, _ deliver: @Sendable (SynthesisEvent) -> Void
    ) -> Result<[UInt8], Failure> {
        let deadline: Int64 = pronto_monotonic_ns() &+ self.configuration.timeout.nanoseconds
        var header: [UInt8] = []
        var transcoder: Transcoder?
        var whole: [UInt8] = []
        var keeps = true
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        func emit(_ audio: [UInt8]) {
            guard !audio.isEmpty, !job.isCancelled else { return }
            if keeps { whole.append(contentsOf: audio) }
            if whole.count > UtteranceCache.maximumEntry {
                keeps = false
                whole = []
            }
            deliver(.audio(audio))
        }
        while true {
            let reading: ChildProcess.Reading = buffer.withUnsafeMutableBytes {
                child.read(into: $0, deadline: deadline)
            }
            if job.isCancelled { return .failure(.engine) }
            switch reading {
            case .timedOut: return .failure(.timeout)
            case .end:
                // Not even a header: an unknown voice, or a text without a word. The exit status tells them apart.
                guard transcoder != nil else { return .success([]) }
                var tail: [UInt8] = []
                transcoder?.finish(into: &tail)
                emit(tail)
                return .success(whole)
            case .bytes(let count):
                var samples: ArraySlice<UInt8> = buffer[..<count]
                if transcoder == nil {
                    header.append(contentsOf: samples)
                    guard header.count >= Self.headerBytes else { continue }
                    guard let rate = Self.rate(ofHeader: header),
                        let made = try? Transcoder(from: .l16(rate), to: format)
                    else { return .failure(.format) }
                    transcoder = made
                    samples = header[Self.headerBytes...]
                }
                var audio: [UInt8] = []
                samples.withUnsafeBytes { transcoder?.convert($0, into: &audio) }
                emit(audio)
            }
        }
    }

    /// espeak-ng writes the plain 44-byte header, with sizes it does not know yet.
    private static let headerBytes = 44

    private static func rate(ofHeader header: [UInt8]) -> SampleRate? {
        guard header.count >= Self.headerBytes, header[0..<4].elementsEqual("RIFF".utf8),
            header[8..<12].elementsEqual("WAVE".utf8), header[36..<40].elementsEqual("data".utf8),
            header[20] == 1, header[22] == 1, header[34] == 16
        else { return nil }
        let hertz: Int = Int(header[24]) | Int(header[25]) << 8 | Int(header[26]) << 16
        return (8000...48000).contains(hertz) ? SampleRate(hertz: hertz) : nil
    }
}

/// Finished utterances, least recently used first out, bounded in bytes.
struct UtteranceCache: Sendable {
    struct Key: Hashable, Sendable {
        var text: String
        var voice: String
        var format: AudioFormat
    }
    /// One entry's limit: about 30 s of G.711.
    static let maximumEntry = 256 << 10

    private let capacity: Int
    private var entries: [Key: (audio: [UInt8], used: UInt64)] = [:]
    private(set) var bytes = 0
    private var clock: UInt64 = 0

    init(capacity: Int) { self.capacity = max(0, capacity) }

    mutating func audio(for key: Key) -> [UInt8]? {
        guard let audio = self.entries[key]?.audio else { return nil }
        self.clock &+= 1
        self.entries[key]?.used = self.clock
        return audio
    }

    mutating func keep(_ audio: [UInt8], for key: Key) {
        guard !audio.isEmpty, audio.count <= min(self.capacity, Self.maximumEntry), self.entries[key] == nil else {
            return
        }
        while self.bytes + audio.count > self.capacity,
            let oldest = self.entries.min(by: { $0.value.used < $1.value.used })
        {
            self.bytes -= oldest.value.audio.count
            self.entries[oldest.key] = nil
        }
        self.clock &+= 1
        self.entries[key] = (audio, self.clock)
        self.bytes += audio.count
    }
}
