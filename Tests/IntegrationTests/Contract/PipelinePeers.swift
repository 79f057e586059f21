import Assistants
import Audio
import Foundation
import Simulators
import Telephony
import Testing

/// The services behind one pipeline, in virtual time: recognition, text model and speech of one machine.
///
/// The script's moments are read as a pipeline has them: `opened` is the first channel of all, `configured` the first
/// that speaks, `response` a request to the text model, `midResponse` the middle of the sound that follows it, and
/// `after` a time of the recognition's socket.
final class PipelineWorld {
    let machine: Int
    let script: AssistantScript
    private(set) var chat: ChatSimulatorCore
    let deepgramScript: DeepgramScript
    private var mishaps: [AssistantScript.Mishap]
    /// Requests to the text model so far.
    fileprivate(set) var replies = 0
    /// The newest whose sound was broken into, or was to be.
    fileprivate var brokenReply = 0
    fileprivate(set) var appended: Duration = .zero
    /// Talkspurts that were understood, over all connections.
    fileprivate var said = 0
    private var opened = 0
    private var hasSpoken = false
    fileprivate var refusal: String?
    /// A service that has died stays dead for the sessions after this one.
    fileprivate(set) var isDead: Bool

    init(_ script: AssistantScript, machine: Int, isDead: Bool) {
        self.machine = machine
        self.isDead = isDead
        self.script = script
        self.mishaps = script.mishaps
        var chat = ChatScript()
        chat.answers = script.answers.map(Self.answer)
        chat.greeting = Self.answer(script.greeting)
        chat.transcripts = script.answers.map(\.callerTranscript)
        var deepgram = DeepgramScript()
        deepgram.utterances = script.answers.map(\.callerTranscript)
        for answer in script.answers {
            if case .tone(_, let length) = answer.sound { deepgram.sounds[answer.text] = length }
        }
        chat.sounds = deepgram.sounds
        self.chat = ChatSimulatorCore(chat)
        self.deepgramScript = deepgram
    }

    private static func answer(_ answer: AssistantScript.Answer) -> ChatScript.Answer {
        ChatScript.Answer(answer.text, tools: answer.tools.map { .init($0.name, arguments: $0.arguments) })
    }

    func take(_ moment: AssistantScript.Moment) -> AssistantScript.Fault? {
        self.mishaps.firstIndex { $0.moment == moment }.map { self.mishaps.remove(at: $0).fault }
    }

    /// What strikes a channel at its opening.
    func takeAtOpening(speaks: Bool) -> AssistantScript.Fault? {
        self.opened += 1
        if self.opened == 1, let fault = self.take(.opened) { return fault }
        guard speaks, !self.hasSpoken else { return nil }
        self.hasSpoken = true
        return self.take(.configured)
    }

    var nextAge: Duration? {
        self.mishaps.compactMap { if case .after(let age) = $0.moment { age } else { nil } }.min()
    }

    func handle(_ request: ChatSimulatorCore.Request) -> (number: Int, reply: ChatSimulatorCore.Reply) {
        self.chat.handle(request)
    }
    func cancelled(_ number: Int) { self.chat.cancelled(number) }

    var record: ContractRecord {
        var record = ContractRecord(appended: self.appended, refusal: self.chat.refusal ?? self.refusal)
        // Every request tells all: the newest has the most.
        let requests = self.chat.records.filter { $0.path.hasSuffix("/completions") || $0.path.hasSuffix("/messages") }
        record.replies = requests.map { $0.wasCancelled ? "cancelled" : "complete" }
        guard let body = requests.last.flatMap({ JSONValue(json: $0.body) }) else { return record }
        for message in body["messages"]?.elements ?? [] {
            if let text = message["content"]?.text {
                if message["role"] == "tool" { record.toolOutputs.append(text) } else { record.texts.append(text) }
            }
            for block in message["content"]?.elements ?? [] {
                if let text = block["text"]?.text { record.texts.append(text) }
                if let text = block["content"]?.text { record.toolOutputs.append(text) }
            }
        }
        return record
    }
}

extension ContractBackEnd {
    /// A pipeline of these services.
    static func pipeline(
        _ name: String, recogniser: RecogniserConfiguration.Service, writer: WriterConfiguration.Service,
        speaker: SpeakerConfiguration.Service
    ) -> ContractBackEnd {
        ContractBackEnd(
            name: name, canBePaused: true, hasConnection: recogniser != .deepgramBatch,
            machine: { setup in
                let key = Redacted("k")
                let base = "http://127.0.0.1"
                return SpeechPipelineMachine(
                    configuration: SpeechPipelineConfiguration(
                        recogniser: RecogniserConfiguration(recogniser, baseURL: base, key: key),
                        writer: WriterConfiguration(
                            writer, baseURL: writer == .groq ? base + "/openai/v1" : base, key: key, model: "m"),
                        speaker: SpeakerConfiguration(speaker, baseURL: base, key: key, voice: "v")), setup: setup)
            },
            peer: { opening in
                let known = opening.earlier.lazy.compactMap { ($0 as? PipelinePeer)?.world }.last
                let world =
                    known.flatMap { $0.machine == opening.machine ? $0 : nil }
                    ?? PipelineWorld(opening.script, machine: opening.machine, isDead: known?.isDead ?? false)
                switch opening.target {
                case .socket(let target): return PipelineSocketPeer(world, url: target.url)
                case .request(let target): return PipelineRequestPeer(world, target)
                }
            })
    }
}

/// One channel towards a world.
class PipelinePeer {
    let world: PipelineWorld
    fileprivate var isMute = false
    /// Pieces that are sent at the script's pace, and when the first is due.
    fileprivate var paced: [(due: Duration, effect: PeerEffect)] = []
    /// The place in `paced` at which the sound is half out.
    fileprivate var breaksAfter: (count: Int, fault: AssistantScript.Fault)?

    init(_ world: PipelineWorld) { self.world = world }
    var record: ContractRecord? { self.world.record }

    /// What a fault looks like here.
    fileprivate func effects(of fault: AssistantScript.Fault) -> [PeerEffect] {
        switch fault {
        case .silence:
            self.isMute = true
            self.paced = []
            return [.wake(at: nil)]
        case .close(let code, let reason): return [.end(.closed(code: code, reason: reason))]
        case .reset: return [.end(.failed(slug: "reset"))]
        case .expiry: return [.end(.closed(code: 1011, reason: "NET-0001"))]
        case .error(let code, let type, _, _): return Self.error(code ?? type)
        case .failedResponse(let code, _): return Self.error(code)
        case .malformed: return [.text(Array(#"{"type":"Results","chan"#.utf8))]
        case .binary: return [.binary([0, 1, 2, 255])]
        case .huge(let count):
            let text = #"{"type":"simulator_huge","padding":""# + String(repeating: "x", count: count) + "\"}"
            return [.text(Array(text.utf8))]
        case .slow, .flood: return []
        }
    }

    private static func error(_ code: String) -> [PeerEffect] {
        let text = #"{"type":"Error","code":"\#(code)","description":"scripted"}"#
        return [.text(Array(text.utf8)), .end(.closed(code: 1011, reason: "scripted"))]
    }

    /// Sends what makes sound at the script's pace, and breaks in where the reply's middle is to be broken.
    fileprivate func pace(_ pieces: [PeerEffect], format: AudioFormat, at now: Duration) -> [PeerEffect] {
        var due = max(now, self.paced.last?.due ?? now)
        let first = self.paced.count
        for piece in pieces {
            self.paced.append((due, piece))
            let count = Self.audio(in: piece)
            if count > 0, let pace = self.world.script.pace { due += format.duration(ofBytes: count) / pace }
        }
        if self.world.brokenReply < self.world.replies, pieces.contains(where: { Self.audio(in: $0) > 0 }) {
            self.world.brokenReply = self.world.replies
            if let fault = self.world.take(.midResponse(self.world.replies)) {
                self.breaksAfter = (first + max(1, pieces.count / 2), fault)
            }
        }
        return self.release(at: now)
    }

    private static func audio(in effect: PeerEffect) -> Int {
        switch effect {
        case .binary(let bytes), .bytes(let bytes): bytes.count
        default: 0
        }
    }

    fileprivate func release(at now: Duration) -> [PeerEffect] {
        var effects: [PeerEffect] = []
        while let first = self.paced.first, first.due <= now, !self.isMute {
            self.paced.removeFirst()
            effects.append(first.effect)
            guard let (count, fault) = self.breaksAfter else { continue }
            self.breaksAfter = count > 1 ? (count - 1, fault) : nil
            if count <= 1 { effects += self.effects(of: fault) }
        }
        if let next = self.paced.first, !self.isMute { effects.append(.wake(at: next.due)) }
        return effects
    }
}

/// Deepgram's sockets: `/v1/listen`, `/v2/listen`, `/v1/speak`.
final class PipelineSocketPeer: PipelinePeer, ContractPeer {
    let isCounted: Bool
    private let format: AudioFormat
    private var core: DeepgramSimulatorCore
    private let openedWith: AssistantScript.Fault?
    private var openedAt: Duration = .zero
    private var lastMessage: Duration = .zero
    /// A stream that hears nothing for so long is closed (providers.md §4.1).
    private static let patience: Duration = .seconds(10)

    init(_ world: PipelineWorld, url: String) {
        let parts = URLComponents(string: url)
        func query(_ name: String) -> String? { parts?.queryItems?.first { $0.name == name }?.value }
        let rate = SampleRate(hertz: query("sample_rate").flatMap { Int($0) } ?? 8000)
        let encoding = query("encoding")
        self.format = encoding == "mulaw" ? .pcmu : encoding == "alaw" ? .pcma : .l16(rate)
        let path = parts?.path ?? ""
        let endpoint: DeepgramSimulatorCore.Endpoint =
            path.hasSuffix("/speak") ? .speak : path.hasSuffix("/v2/listen") ? .flux : .nova
        self.isCounted = endpoint != .speak
        let silence = query("endpointing").flatMap { Int($0) } ?? 300
        self.core = DeepgramSimulatorCore(
            endpoint, script: world.deepgramScript, faults: [], format: self.format,
            endpointing: .milliseconds(silence), interim: true, record: DeepgramRecord(), said: world.said)
        self.openedWith = world.takeAtOpening(speaks: endpoint == .speak)
        super.init(world)
    }

    func opened(at now: Duration) -> [PeerEffect] {
        self.openedAt = now
        self.lastMessage = now
        if let fault = self.openedWith { return self.effects(of: fault) + self.watch(now) }
        return self.translate(self.core.opened(), at: now) + self.watch(now)
    }

    func received(_ message: [UInt8], isText: Bool, at now: Duration) -> [PeerEffect] {
        self.lastMessage = now
        guard !self.isMute else { return [] }
        if isText, message.elementsEqual("{\"type\":\"Clear\"}".utf8) {
            self.paced = []
            self.breaksAfter = nil
        }
        let before = self.core.record.audioBytes
        let effects =
            isText
            ? self.core.text(String(decoding: message, as: UTF8.self))
            : message.withUnsafeBytes { self.core.binary($0) }
        self.world.appended += self.format.duration(ofBytes: self.core.record.audioBytes - before)
        if self.isCounted { self.world.said = self.core.utterancesSaid }
        return self.translate(effects, at: now)
    }

    func wake(at now: Duration) -> [PeerEffect] {
        if self.isMute { return [] }
        if self.isCounted {
            if let age = self.world.nextAge, now - self.openedAt >= age, let fault = self.world.take(.after(age)) {
                return self.effects(of: fault) + self.watch(now)
            }
            if now - self.lastMessage >= Self.patience { return [.end(.closed(code: 1011, reason: "NET-0001"))] }
            return self.watch(now)
        }
        return self.release(at: now)
    }

    func closed() {}

    private func watch(_ now: Duration) -> [PeerEffect] {
        guard self.isCounted, !self.isMute else { return [] }
        let limit = self.lastMessage + Self.patience
        return [.wake(at: self.world.nextAge.map { min(limit, self.openedAt + $0) } ?? limit)]
    }

    private func translate(_ effects: [DeepgramSimulatorCore.Effect], at now: Duration) -> [PeerEffect] {
        let pieces = effects.map { effect -> PeerEffect in
            switch effect {
            case .text(let text): .text(Array(text.utf8))
            case .binary(let bytes): .binary(bytes)
            case .close(let code, let reason): .end(.closed(code: code, reason: reason))
            }
        }
        for case .text(let text) in effects where text.contains("UNPARSABLE") { self.world.refusal = text }
        return self.isCounted ? pieces : self.pace(pieces, format: self.format, at: now)
    }
}

/// One HTTP exchange: a request to the text model, to speech, or a recording's transcription.
final class PipelineRequestPeer: PipelinePeer, ContractPeer {
    let isCounted = false
    private let request: HTTPTarget
    private let path: String
    private var number: Int?
    private let openedWith: AssistantScript.Fault?

    init(_ world: PipelineWorld, _ target: HTTPTarget) {
        self.request = target
        self.path = URLComponents(string: target.url)?.path ?? ""
        let speaks = self.path.contains("speech")
        self.openedWith = world.takeAtOpening(speaks: speaks)
        super.init(world)
    }

    func opened(at now: Duration) -> [PeerEffect] {
        if let fault = self.openedWith { return self.httpEffects(of: fault) }
        if let status = self.world.script.handshakeStatus { return Self.whole(status, "{}") }
        if self.world.isDead { return Self.whole(401, "{}") }
        if self.path.hasSuffix("/listen") { return self.transcribe() }
        let isWriter = self.path.hasSuffix("/completions") || self.path.hasSuffix("/messages")
        var due = now
        if isWriter {
            self.world.replies += 1
            switch self.world.take(.response(self.world.replies)) {
            case .slow(let delay)?: due += delay
            case .failedResponse(let code, _)?: return Self.whole(500, #"{"error":{"code":"\#(code)"}}"#)
            case let fault?: return self.httpEffects(of: fault)
            case nil: break
            }
        }
        var headers: [String: String] = [:]
        for (name, value) in self.request.headers { headers[name.lowercased()] = value }
        let format = URLComponents(string: self.request.url)?.queryItems?.first { $0.name == "output_format" }?.value
        let (number, reply) = self.world.handle(
            .init(path: self.path, outputFormat: format, headers: headers, body: self.request.body))
        self.number = number
        switch reply {
        case .whole(let status, let body): return Self.whole(status, body)
        case .stream(let type, let pieces, _, let ends):
            let effects =
                [.head(status: 200, type: type)] + pieces.map { PeerEffect.bytes($0) } + (ends ? [.end(.finished)] : [])
            if isWriter {
                self.paced = effects.map { (due, $0) }
                return self.release(at: now)
            }
            return self.pace(effects, format: Self.format(named: format), at: now)
        }
    }

    private static func format(named name: String?) -> AudioFormat {
        switch name {
        case "ulaw_8000": .pcmu
        case let name? where name.hasPrefix("pcm_"): .l16(SampleRate(hertz: Int(name.dropFirst(4)) ?? 24000))
        default: .l16(.realtime)
        }
    }

    private func transcribe() -> [PeerEffect] {
        let texts = self.world.deepgramScript.utterances
        let text = texts[min(self.world.said, texts.count - 1)]
        self.world.said += 1
        // 44 bytes of WAV head, 16-bit at the leg's 8 kHz.
        self.world.appended += AudioFormat.l16(.narrowband).duration(ofBytes: max(0, self.request.body.count - 44))
        let body: JSONValue = ["results": ["channels": [["alternatives": [["transcript": .string(text)]]]]]]
        return Self.whole(200, body.json)
    }

    private static func whole(_ status: Int, _ body: String) -> [PeerEffect] {
        [.head(status: status, type: "application/json"), .bytes(Array(body.utf8)), .end(.finished)]
    }

    /// What a fault of a socket is in an exchange that has none.
    private func httpEffects(of fault: AssistantScript.Fault) -> [PeerEffect] {
        switch fault {
        case .silence:
            self.isMute = true
            return []
        case .close, .reset, .expiry: return [.end(.failed(slug: "reset"))]
        case .error(let code, let type, _, _): return Self.whole(500, #"{"error":{"code":"\#(code ?? type)"}}"#)
        case .malformed, .binary, .huge, .slow, .flood, .failedResponse: return Self.whole(200, "{no json")
        }
    }

    fileprivate override func effects(of fault: AssistantScript.Fault) -> [PeerEffect] {
        switch fault {
        // Sound has no texts in it: what would be one on a socket does not exist here.
        case .malformed, .binary, .huge: return []
        case .close(let code, _):
            // An exchange that is under way has no other end; what is asked for next is refused.
            self.world.isDead = code == 1008
            return [.end(.failed(slug: "reset"))]
        case .error, .expiry, .failedResponse: return [.end(.failed(slug: "reset"))]
        default: return super.effects(of: fault)
        }
    }

    func received(_ message: [UInt8], isText: Bool, at now: Duration) -> [PeerEffect] { [] }
    func wake(at now: Duration) -> [PeerEffect] { self.isMute ? [] : self.release(at: now) }
    func closed() { if let number = self.number { self.world.cancelled(number) } }
}
