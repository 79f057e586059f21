import Assistants
import Audio
import Networking
import Observability
import Records
import Telephony

/// The turn-based HTTP interface that dialplan scripts use: `/api/v1/transcribe`, `/synthesize`, `/chat`, `/tts/voices`
/// and `/health`, each a stage of the pipeline as one exchange.
///
/// A peer of the allow-list is authenticated by its address, unless the request came through a proxy; everybody else
/// shows the service token (`Authorization: Bearer`). Files are read and written in one configured folder only.
package final class SpeechInterface: Sendable {
    package struct Configuration: Sendable {
        package var services = PipelineServices()
        package var isTrustedPeer: @Sendable (SocketAddress) -> Bool = { $0.isLoopback }
        package var token: Redacted<String>?
        /// Finds out who shows another credential: the one tenant that it is good for (nil: every tenant), or the answer
        /// that refuses it.
        package var asker: (@Sendable (HTTPRequest, Duration) async -> Result<TenantID?, SpeechRefusal>)?
        /// Where `audio_file` may be; nil: audio travels as base64 only.
        package var folder: String?
        package var timeout: Duration = .seconds(30)
        package var version = ""
        package init() {}
    }

    /// Why a request is not served: an HTTP status, a slug, and words that name the field and the repair.
    private struct Refusal: Error {
        var status: Int
        var slug: String
        var message: String
    }

    private let configuration: Configuration
    private let directory: AssistantDirectory
    private let http: ProviderHTTP
    private let speech: any SpeechServices
    private let logger: Logger
    private let files: SpeechFiles?

    private static let longestText = 4000

    package init(
        _ configuration: Configuration, directory: AssistantDirectory, http: ProviderHTTP,
        speech: any SpeechServices, logger: Logger
    ) {
        self.configuration = configuration
        self.files = configuration.folder.map { SpeechFiles(folder: $0) }
        self.directory = directory
        self.http = http
        self.speech = speech
        self.logger = logger
    }

    /// Whether the path is one of ours; the answer comes later.
    package func handle(_ request: HTTPRequest, _ responder: HTTPResponder) -> Bool {
        guard request.path.hasPrefix("/api/v1/") else { return false }
        let name = request.path.dropFirst("/api/v1/".count)
        let method = ["transcribe", "synthesize", "chat"].contains(name) ? "POST" : "GET"
        guard ["transcribe", "synthesize", "chat", "tts/voices", "health"].contains(name) else { return false }
        guard request.method == method else {
            responder.respond(HTTPResponse(status: 405, headers: ["Allow": method]))
            return true
        }
        if self.isAuthenticated(request) {
            self.serve(String(name), request, responder, tenant: nil)
        } else if let asker = self.configuration.asker, request.headers.contains("Authorization") {
            let (loop, now) = (responder.loop, responder.loop.now)
            let (held, path) = (LoopBound(responder, on: loop), String(name))
            let task = Task {
                let result = await asker(request, now)
                loop.execute {
                    switch result {
                    case .success(let tenant): self.serve(path, request, held.value, tenant: tenant)
                    case .failure(let refusal): held.value.respond(refusal.response)
                    }
                }
            }
            responder.onCancel = { task.cancel() }
        } else {
            self.refuse(
                Refusal(
                    status: 401, slug: "unauthenticated",
                    message:
                        "Send Authorization: Bearer with VOICE_AI_SERVICE_TOKEN or an API token, or call from "
                        + "PRONTO_ALLOWED_PEERS."), responder)
        }
        return true
    }

    /// `tenant`: the only one that the sender may name; nil: any.
    private func serve(_ name: String, _ request: HTTPRequest, _ responder: HTTPResponder, tenant: TenantID?) {
        do throws(Refusal) {
            if let tenant, name != "health" {
                let stated =
                    request.method == "GET"
                    ? request.queryValue("domain_uuid") : try Self.body(request)["domain_uuid"]?.text
                guard let stated, TenantID(stated) == tenant else {
                    throw Refusal(
                        status: 403, slug: "other-tenant", message: "domain_uuid: the token is good for another tenant."
                    )
                }
            }
            switch name {
            case "health":
                let body: JSONValue = [
                    "status": "healthy", "service": "pronto", "version": .string(self.configuration.version),
                ]
                Self.respond(body, responder)
            case "tts/voices": Self.respond(try self.voices(request), responder)
            case "transcribe": try self.transcribe(try Self.body(request), responder, bound: tenant)
            case "synthesize": try self.synthesize(try Self.body(request), responder)
            default: try self.chat(try Self.body(request), responder)
            }
        } catch {
            self.refuse(error, responder)
        }
    }

    private func isAuthenticated(_ request: HTTPRequest) -> Bool {
        if !request.isForwarded, self.configuration.isTrustedPeer(request.peer) { return true }
        guard let token = self.configuration.token, let shown = request.headers["Authorization"] else { return false }
        let (wanted, given) = (Array("Bearer \(token.value)".utf8), Array(shown.utf8))
        // In the same time wherever they differ.
        return wanted.count == given.count && zip(wanted, given).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func respond(_ body: JSONValue, status: Int = 200, _ responder: HTTPResponder) {
        responder.respond(HTTPResponse(status: status, text: body.json + "\n", type: "application/json"))
    }

    private func refuse(_ refusal: Refusal, _ responder: HTTPResponder) {
        self.logger.warning("Speech request refused", ["refusal.reason": .string(refusal.slug)])
        let body: JSONValue = ["error": .string(refusal.slug), "detail": .string(refusal.message)]
        Self.respond(body, status: refusal.status, responder)
    }

    private func failed(_ failure: AssistantFailure) -> Refusal {
        Refusal(
            status: 502, slug: failure.slug, message: "The provider of this stage did not serve the request.")
    }

    // MARK: What requests say

    private static func body(_ request: HTTPRequest) throws(Refusal) -> JSONValue {
        guard let body = JSONValue(json: String(decoding: request.body, as: UTF8.self)), body.members != nil else {
            throw Refusal(status: 422, slug: "body", message: "The body is no JSON object.")
        }
        return body
    }

    private static func text(_ body: JSONValue, _ field: String) throws(Refusal) -> String {
        guard let text = body[field]?.text, !text.isEmpty, text.count <= Self.longestText else {
            throw Refusal(
                status: 422, slug: "field",
                message: "\(field): a text of 1 to \(Self.longestText) characters is needed.")
        }
        return text
    }

    private func tenant(_ body: JSONValue) throws(Refusal) -> AssistantDirectory.Entry {
        guard let id = body["domain_uuid"]?.text.flatMap({ TenantID($0) }), let entry = self.directory.entry(of: id),
            entry.tenant.isEnabled
        else {
            throw Refusal(
                status: 422, slug: "tenant",
                message: "domain_uuid: no enabled tenant has this id. See: pronto tenant list")
        }
        return entry
    }

    private func make<Stage>(
        _ body: () throws(SpeechPipelineError) -> Stage
    ) throws(Refusal) -> Stage {
        do throws(SpeechPipelineError) { return try body() } catch {
            throw Refusal(status: 503, slug: error.slug, message: error.message)
        }
    }

    // MARK: Transcribe

    /// `bound`: the only tenant whose files the sender may name.
    private func transcribe(_ body: JSONValue, _ responder: HTTPResponder, bound: TenantID?) throws(Refusal) {
        let entry = try self.tenant(body)
        let recogniser = try self.make { () throws(SpeechPipelineError) in
            try self.configuration.services.makeRecogniser(.turnBased, entry)
        }
        try self.make { () throws(SpeechPipelineError) in try recogniser.check() }
        let language = body["language"]?.text ?? "en"
        if let text = body["audio_base64"]?.text {
            var audio: [UInt8] = []
            let isGood = Array(text.utf8).withUnsafeBytes { (try? Base64.decode($0, into: &audio)) != nil }
            guard isGood, !audio.isEmpty else {
                throw Refusal(status: 422, slug: "field", message: "audio_base64: no valid base64 (RFC 4648 §4).")
            }
            self.transcribe(audio, recogniser, language, responder)
            return
        }
        let name = try Self.text(body, "audio_file")
        guard let files = self.files, let path = files.path(name, bound: bound) else {
            throw Refusal(
                status: 422, slug: "file",
                message:
                    "audio_file: not within PRONTO_API_AUDIO\(bound == nil ? "" : "/DOMAIN_UUID, the tenant's part of it"); "
                    + "send audio_base64, or set that folder.")
        }
        let loop = responder.loop
        let held = LoopBound(responder, on: loop)
        files.read(path) { audio in
            loop.execute {
                guard let audio else {
                    self.refuse(
                        Refusal(
                            status: 422, slug: "file", message: "audio_file: no file that can be read, or beyond 8 MiB."
                        ),
                        held.value)
                    return
                }
                self.transcribe(audio, recogniser, language, held.value)
            }
        }
    }

    private func transcribe(
        _ file: [UInt8], _ recogniser: RecogniserConfiguration, _ language: String, _ responder: HTTPResponder
    ) {
        var pcm: [UInt8] = []
        let rate: SampleRate
        do {
            let wav = try WAV(parsing: file)
            var transcoder = try Transcoder(from: wav.format, to: .l16(wav.format.rate))
            wav.samples.withUnsafeBytes { transcoder.convert($0, into: &pcm) }
            transcoder.finish(into: &pcm)
            rate = wav.format.rate
        } catch {
            let message = "audio: a WAV file is needed, linear 16-bit, µ-law or A-law."
            return self.refuse(Refusal(status: 422, slug: "format", message: message), responder)
        }
        let length = AudioFormat.l16(rate).duration(ofBytes: pcm.count)
        func respond(_ text: String) {
            let body: JSONValue = [
                "text": .string(text), "language": .string(language), "confidence": .null,
                "duration_ms": .integer(length.milliseconds), "provider": .string(recogniser.service.rawValue),
            ]
            Self.respond(body, responder)
        }
        guard !recogniser.isLocal else {
            let loop = responder.loop
            let answer = LoopBound(respond, on: loop)
            let held = LoopBound(responder, on: loop)
            let request = TranscriptionRequest(audio: pcm, format: .l16(rate), language: language)
            _ = self.speech.transcribe(request) { report in
                loop.execute {
                    switch report {
                    case .words(let words): answer.value(words.value)
                    case .failed(let slug):
                        self.refuse(self.failed(AssistantFailure("recogniser-" + slug, .failOver)), held.value)
                    }
                }
            }
            return
        }
        let target: HTTPTarget
        do throws(SpeechPipelineError) {
            target = try BatchTranscription(configuration: recogniser, language: language)
                .target(pcm: pcm, rate: rate, timeout: self.configuration.timeout)
        } catch {
            return self.refuse(Refusal(status: 503, slug: error.slug, message: error.message), responder)
        }
        self.exchange(target, on: responder.loop) { status, answer, end in
            switch BatchTranscription.read(status: status, body: answer, end: end) {
            case .success(let text): respond(text)
            case .failure(let failure): self.refuse(self.failed(failure), responder)
            }
        }
    }

    /// One exchange with its answer gathered, within 16 MiB.
    private func exchange(
        _ target: HTTPTarget, on loop: EventLoop, done: @escaping (Int, [UInt8], ChannelEnd) -> Void
    ) {
        var status = 0
        var answer: [UInt8] = []
        _ = self.http.start(target, as: .main, on: loop) { event in
            switch event {
            case .responseHead(_, let code, _): status = code
            case .bytes(_, let bytes): answer.append(contentsOf: bytes)
            case .closed(_, let end): done(status, answer, end)
            default: break
            }
        }
    }

    // MARK: Synthesize

    private func synthesize(_ body: JSONValue, _ responder: HTTPResponder) throws(Refusal) {
        let entry = try self.tenant(body)
        let text = try Self.text(body, "text")
        guard ["wav", nil].contains(body["output_format"]?.text) else {
            throw Refusal(status: 422, slug: "field", message: "output_format: only wav is made.")
        }
        var speaker = try self.make { () throws(SpeechPipelineError) in
            try self.configuration.services.makeSpeaker(entry)
        }
        if let voice = body["voice_id"]?.text, !voice.isEmpty { speaker.voice = voice }
        let (configured, tenant) = (speaker, entry.tenant.id)
        try self.make { () throws(SpeechPipelineError) in try configured.check() }
        let format = configured.format(for: .l16(.wideband))
        let language = body["language"]?.text ?? "en"
        if configured.isLocal {
            let loop = responder.loop
            let held = LoopBound(responder, on: loop)
            let spoken = LoopBound(Spoken(), on: loop)
            let request = SpeechRequest(
                text: text, language: language, voice: configured.voice, engine: configured.localVoice, format: format)
            _ = self.speech.synthesise(request) { report in
                loop.execute {
                    switch report {
                    case .started: break
                    case .audio(let bytes): spoken.value.audio += bytes
                    case .ended(.finished):
                        self.deliver(spoken.value.audio, format, configured, of: tenant, held.value)
                    case .ended: self.refuse(self.failed(AssistantFailure("speaker-engine", .failOver)), held.value)
                    }
                }
            }
            return
        }
        let target = try self.make { () throws(SpeechPipelineError) in
            try SpeechSynthesis(configuration: configured, language: language)
                .target(text, format: format, timeout: self.configuration.timeout)
        }
        self.exchange(target, on: responder.loop) { status, answer, end in
            guard status == 200, end == .finished, !answer.isEmpty else {
                let slug = status == 200 || status == 0 ? "speaker-failed" : "speaker-refused-\(status)"
                return self.refuse(self.failed(AssistantFailure(slug, .retry)), responder)
            }
            self.deliver(answer, format, configured, of: tenant, responder)
        }
    }

    private final class Spoken {
        var audio: [UInt8] = []
    }

    /// As a file where there is a folder for it, as base64 where there is none.
    private func deliver(
        _ audio: [UInt8], _ format: AudioFormat, _ speaker: SpeakerConfiguration, of tenant: TenantID,
        _ responder: HTTPResponder
    ) {
        let wav = WAV(format: format, samples: audio).encoded()
        var body: [JSONValue.Member] = [
            .init("duration_ms", .integer(format.duration(ofBytes: audio.count).milliseconds)), .init("format", "wav"),
            .init("provider", .string(speaker.service.rawValue)),
        ]
        guard let files = self.files else {
            var text: [UInt8] = []
            wav.withUnsafeBytes { Base64.encode($0, into: &text) }
            body.append(.init("audio_base64", .string(String(decoding: text, as: UTF8.self))))
            return Self.respond(.object(body), responder)
        }
        let loop = responder.loop
        let held = LoopBound(responder, on: loop)
        let members = body
        files.write(wav, of: tenant) { path in
            loop.execute {
                guard let path else {
                    let message = "PRONTO_API_AUDIO: the file could not be written there."
                    return self.refuse(Refusal(status: 500, slug: "file", message: message), held.value)
                }
                Self.respond(.object([.init("audio_file", .string(path))] + members), held.value)
            }
        }
    }

    // MARK: Chat

    private func chat(_ body: JSONValue, _ responder: HTTPResponder) throws(Refusal) {
        let entry = try self.tenant(body)
        let message = try Self.text(body, "user_message")
        let id = body["secretary_id"]?.text.flatMap { AssistantID($0) }
        guard let assistant = entry.assistants.first(where: { $0.id == id && $0.isEnabled }) else {
            throw Refusal(
                status: 422, slug: "assistant",
                message: "secretary_id: the tenant has no enabled assistant of this id. See: pronto assistant list")
        }
        let history = (body["conversation_history"]?.elements ?? []).suffix(100).compactMap { entry in
            entry["content"]?.text.map {
                ConversationEntry(role: entry["role"] == "user" ? .caller : .agent, text: String($0.prefix(4000)))
            }
        }
        let destinations = StandardPlans.destinations(for: assistant, in: entry)
        let setup = AssistantSetup(
            instructions: assistant.instructions.value, language: assistant.language,
            tools: CallTools.definitions(destinations: destinations, allowed: assistant.tools), legFormat: .pcmu,
            history: history)
        let exchange = try self.make { () throws(SpeechPipelineError) in
            try ChatExchange(
                try self.configuration.services.makeWriter(entry), setup: setup, message: message,
                timeout: self.configuration.timeout)
        }
        var running = exchange
        let provider =
            entry.accounts.first { $0.kind == .llm && $0.isEnabled }?.provider.text
            ?? self.configuration.services.writer.rawValue
        _ = self.http.start(exchange.target, as: .main, on: responder.loop) { event in
            switch running.received(event) {
            case nil: break
            case .failure(let failure): self.refuse(self.failed(failure), responder)
            case .success(let answer):
                Self.respond(Self.chatBody(answer, destinations, provider: provider), responder)
            }
        }
    }

    private static func chatBody(
        _ answer: ChatExchange.Answer, _ destinations: [DestinationRecord], provider: String
    ) -> JSONValue {
        var action = "continue"
        var target: DestinationRecord?
        for tool in answer.tools {
            if tool.name == "end_call" { action = "hangup" }
            let asked = JSONValue(json: tool.arguments)?["destination"]?.text?.lowercased()
            if tool.name == "transfer_call", let found = destinations.first(where: { $0.name.lowercased() == asked }) {
                action = "transfer"
                target = found
            }
        }
        return [
            "text": .string(answer.text), "action": .string(action),
            "transfer_extension": target.map { .string($0.transferDestination.number.value) } ?? .null,
            "transfer_department": target.map { .string($0.name) } ?? .null, "intent": .null, "rag_sources": [],
            "provider": .string(provider),
            "tokens_used": .integer(answer.usage.inputTextTokens + answer.usage.outputTextTokens),
        ]
    }

    // MARK: Voices

    private func voices(_ request: HTTPRequest) throws(Refusal) -> JSONValue {
        let tenant = request.queryValue("domain_uuid").flatMap { TenantID($0) }
        let speaker = try self.make { () throws(SpeechPipelineError) in
            try self.configuration.services.makeSpeaker(tenant.flatMap { self.directory.entry(of: $0) })
        }
        let voices = SpeakerVoices.known(of: speaker, local: self.configuration.services.localVoices)
        return .array(
            voices.map { voice in
                [
                    "voice_id": .string(voice.id), "name": .string(voice.name), "language": .string(voice.language),
                    "gender": .null,
                ]
            })
    }
}

/// The answer to a credential that is not good.
package struct SpeechRefusal: Error, Sendable {
    package var response: HTTPResponse
    package init(_ response: HTTPResponse) { self.response = response }
}
