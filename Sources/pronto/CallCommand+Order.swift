import Audio
import Configuration
import Foundation
import Simulators
import SpeechEngines
import Telephony

/// What `pronto call` was asked for. Holds what people said and dialed: not for printing.
struct CallOrder: Sendable {
    var dialect: PhoneModule
    var rate: SampleRate
    var downlinkRate: SampleRate?
    var channels: Int
    var messageDuration: Duration
    var metadata: String?
    var texts: [String]
    var language: String
    var wav: String?
    var digits: [Character]
    var interruptAfter: Duration?
    var length: Duration?
    var calls: Int
    var ramp: Duration
    /// Until the gateway has taken the call.
    var timeout: Duration
    var headers: [(name: String, value: String)]
    var authority: String?
    var output: String?
    var printsJSON: Bool
    private var address: String
    private var call: String?

    /// A single call may last this long unless `--seconds` says otherwise.
    private static let longest: Duration = .seconds(300)

    init(_ arguments: [String]) throws {
        let parsed = try Arguments(
            arguments,
            options: [
                "--to", "--domain", "--call", "--dialect", "--rate", "--down-rate", "--buffer-ms", "--metadata",
                "--say", "--language", "--wav", "--digits", "--interrupt-after", "--seconds", "--calls", "--ramp",
                "--timeout", "--token", "--ca", "--out",
            ],
            flags: ["--json", "--stereo"])
        func number(_ option: String, _ range: ClosedRange<Int>) throws -> Int? {
            try parsed.optional(option, allowed: "\(range.lowerBound) to \(range.upperBound)") { text in
                Int(text).flatMap { range.contains($0) ? $0 : nil }
            }
        }
        func rate(_ option: String) throws -> SampleRate? {
            try parsed.optional(option, allowed: "8000, 16000, 24000, 48000") { text in
                Int(text).flatMap { [8000, 16000, 24000, 48000].contains($0) ? SampleRate(hertz: $0) : nil }
            }
        }
        let names = PhoneModule.allCases.map(\.rawValue).joined(separator: ", ")
        self.dialect = try parsed.optional("--dialect", allowed: names) { PhoneModule(stated: $0) } ?? .forkPCMU
        self.rate = try rate("--rate") ?? .wideband
        self.downlinkRate = try rate("--down-rate")
        self.channels = parsed.has("--stereo") ? 2 : 1
        self.messageDuration = .milliseconds(try number("--buffer-ms", 20...200) ?? 20)
        self.metadata = try parsed.optional("--metadata")
        self.texts = parsed.all("--say")
        self.language = try parsed.optional("--language") ?? "en"
        self.wav = try parsed.optional("--wav")
        self.digits =
            try parsed.optional("--digits", allowed: "0-9, *, #, A-D") { text -> [Character]? in
                text.allSatisfy(Tone.keypad.contains) ? Array(text) : nil
            } ?? []
        self.interruptAfter = try number("--interrupt-after", 0...60_000).map { .milliseconds($0) }
        self.length = try number("--seconds", 1...86_400).map { .seconds($0) }
        self.calls = try number("--calls", 1...5000) ?? 1
        self.ramp = .milliseconds(try number("--ramp", 0...60_000) ?? 50)
        self.timeout = .seconds(try number("--timeout", 1...60) ?? 2)
        self.headers = try parsed.optional("--token").map { [("X-Pronto-Token", $0)] } ?? []
        self.authority = try parsed.optional("--ca")
        self.output = try parsed.optional("--out")
        self.printsJSON = parsed.has("--json")
        self.call = try parsed.optional("--call", allowed: "1 to 64 letters, digits, -, _ and .") { CallID($0)?.text }
        self.address = ""
        self.address = try self.address(parsed)
        // Neither SIP nor the switch's socket needs an id of ours: each call has its own.
        let isDistinct = self.dialect.carrier != .webSocket || self.address.contains("%u")
        guard self.calls == 1 || (self.call == nil && isDistinct) else {
            throw ArgumentError.notAllowed(option: "--calls", allowed: "with %u in the URL, or --to and no --call")
        }
    }

    private func address(_ parsed: Arguments) throws -> String {
        if parsed.words.count > 1 { throw ArgumentError.tooMany(parsed.words[1]) }
        if let word = parsed.words.first {
            let schemes =
                switch self.dialect.carrier {
                case .webSocket: ["ws://", "wss://"]
                case .unicast: ["esl://127.0.0.1:"]
                case .rtp: ["sip:"]
                }
            guard schemes.contains(where: { word.hasPrefix($0) }) else {
                throw ArgumentError.notAllowed(
                    option: "URL", allowed: schemes.map { $0 + "…" }.joined(separator: " or "))
            }
            return word
        }
        let host = try parsed.required("--to")
        guard let domain = try parsed.optional("--domain", allowed: "a UUID", { isUUID($0) ? $0 : nil }) else {
            throw ArgumentError.missing("--domain")
        }
        let id = domain.lowercased()
        switch self.dialect.carrier {
        case .unicast: return "esl://\(host)/8000?domain_uuid=\(id)&uuid=%u"
        case .rtp: return "sip:8000@\(host);tenant=\(id)"
        case .webSocket: break
        }
        guard let name = self.dialect.name else { throw ArgumentError.missing("--dialect") }
        let format = AudioFormat(
            self.dialect.encoding, self.dialect.encoding == .l16 ? self.rate : .narrowband, channels: self.channels)
        return "ws://\(host)/stream/\(domain)/%u?dialect=\(name.rawValue)"
            + "&encoding=\(format.encoding.rawValue)&rate=\(format.rate.hertz)&channels=\(format.channels)"
    }

    /// The address of one call.
    func url(_ index: Int) -> String {
        self.address.replacing("%u", with: self.call ?? UUID().uuidString.lowercased())
            .replacing("%i", with: "\(index)")
    }

    /// All that a phone needs, its speech made or read.
    func configuration() async throws -> PhoneConfiguration {
        var configuration = PhoneConfiguration(dialect: self.dialect, rate: self.rate)
        configuration.channels = self.channels
        configuration.messageDuration = self.messageDuration
        configuration.metadata = self.metadata.map { Redacted($0) }
        configuration.downlinkRate = self.downlinkRate
        configuration.maximumDuration = self.length ?? CallOrder.longest
        configuration.records = self.output != nil
        let speech = CallerSpeech(rate: configuration.uplink.rate)
        var conversation = PhoneConversation(turns: try await speech.spoken(self.texts, language: self.language))
        if let wav = self.wav { conversation.turns.append(try speech.file(wav)) }
        conversation.interruptAfter = self.interruptAfter
        conversation.digits = self.digits.map { Redacted($0) }
        conversation.length = self.length
        configuration.script = conversation.script
        return configuration
    }
}

/// Why the caller has nothing to say.
enum CallerSpeechError: Error, CustomStringConvertible {
    case voice(slug: String)
    case unreadable(path: String)
    case notPlayable(path: String, WAVError)
    case format(path: String)

    var description: String {
        switch self {
        case .voice(let slug): "espeak-ng cannot speak (\(slug)): apt-get install espeak-ng, or use --wav"
        case .unreadable(let path): "\(path): cannot be read"
        case .notPlayable(let path, let error): "\(path): not a WAV file that can be played (\(error))"
        case .format(let path): "\(path): its format cannot be converted"
        }
    }
}

/// Makes the caller's speech: samples at the rate of the uplink.
struct CallerSpeech: Sendable {
    let rate: SampleRate

    /// One utterance for each text, in order. `espeakVoice` nil: the language's own.
    func spoken(_ texts: [String], language: String, espeakVoice: String? = nil) async throws -> [[Int16]] {
        guard !texts.isEmpty else { return [] }
        let voice = EspeakSynthesizer()
        defer { voice.stop() }
        var utterances: [[Int16]] = []
        for text in texts {
            let request = SynthesisRequest(
                text: text, language: language, voice: espeakVoice, format: .l16(self.rate))
            let (events, feed) = AsyncStream.makeStream(of: SynthesisEvent.self)
            let job = voice.speak(request) { event in
                feed.yield(event)
                switch event {
                case .finished, .failed: feed.finish()
                case .started, .audio: break
                }
            }
            var samples: [Int16] = []
            for await event in events {
                switch event {
                case .audio(let bytes): bytes.withUnsafeBytes { samples.appendLittleEndian($0) }
                case .failed(let slug): throw CallerSpeechError.voice(slug: slug)
                case .started, .finished: break
                }
            }
            withExtendedLifetime(job) {}
            utterances.append(samples)
        }
        return utterances
    }

    /// A WAV file's samples, mono.
    func file(_ path: String) throws -> [Int16] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CallerSpeechError.unreadable(path: path)
        }
        let wav: WAV
        do { wav = try WAV(parsing: Array(data)) } catch { throw CallerSpeechError.notPlayable(path: path, error) }
        guard var transcoder = try? Transcoder(from: wav.format, to: .l16(self.rate)) else {
            throw CallerSpeechError.format(path: path)
        }
        var bytes: [UInt8] = []
        wav.samples.withUnsafeBytes { transcoder.convert($0, into: &bytes) }
        transcoder.finish(into: &bytes)
        var samples: [Int16] = []
        bytes.withUnsafeBytes { samples.appendLittleEndian($0) }
        return samples
    }
}
