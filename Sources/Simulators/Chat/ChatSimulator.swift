import Assistants
import Networking
import Telephony

/// Text models, speech and transcription on a real socket: OpenAI's and Groq's `/chat/completions`, `/audio/speech` and
/// `/audio/transcriptions`, Anthropic's `/v1/messages`, ElevenLabs' `/v1/text-to-speech`. It serves until `stop`.
package final class ChatSimulator: Sendable {
    package let port: Int
    private let loop: EventLoop
    private let ownsLoop: Bool
    private let server: HTTPServer
    private let requests: ChatRequests

    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: ChatScript = ChatScript(), on given: EventLoop? = nil
    ) throws -> ChatSimulator {
        guard let address = SocketAddress(host, port: port) else {
            throw OpenAIRealtimeSimulator.Failure.badAddress(host)
        }
        let loop = given ?? EventLoop(name: "chat-simulator")
        if given == nil { loop.start() }
        do {
            return try ChatSimulator(address, script, loop, ownsLoop: given == nil)
        } catch {
            if given == nil { loop.stop() }
            throw error
        }
    }

    private init(_ address: SocketAddress, _ script: ChatScript, _ loop: EventLoop, ownsLoop: Bool) throws {
        let requests = ChatRequests(script, loop)
        self.server = try HTTPServer(on: [loop], address: address) { _ in
            { request, responder in requests.handle(request, responder) }
        }
        self.requests = requests
        self.loop = loop
        self.ownsLoop = ownsLoop
        self.port = Int(self.server.address.port)
    }

    /// What was asked, in order. From outside the loop.
    package func records() async throws -> [ChatRecord] {
        let requests = self.requests
        return try await self.loop.run { requests.records }
    }

    package func stop() {
        self.server.close()
        if self.ownsLoop { self.loop.stop() }
    }
}

/// All requests of one simulator.
///
/// `@unchecked Sendable`: everything in it is touched on the simulator's loop only.
private final class ChatRequests: @unchecked Sendable {
    private let script: ChatScript
    private let loop: EventLoop
    private(set) var records: [ChatRecord] = []
    private var answered = 0
    private var transcribed = 0
    /// Answers that never end are held, so that they are not ended by being forgotten.
    private var held: [HTTPResponder] = []
    private static let memory = 4000

    init(_ script: ChatScript, _ loop: EventLoop) {
        self.script = script
        self.loop = loop
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let path = String(request.path)
        let number = self.records.count
        if number < Self.memory {
            self.records.append(ChatRecord(path: path, body: String(decoding: request.body, as: UTF8.self)))
            responder.onCancel = { [weak self] in self?.records[number].wasCancelled = true }
        }
        let authorization = request.headers["authorization"] ?? ""
        let key =
            authorization.hasPrefix("Bearer ")
            ? String(authorization.dropFirst(7)) : request.headers["x-api-key"] ?? request.headers["xi-api-key"]
        guard let key, !key.isEmpty, self.script.key ?? key == key else {
            return self.refuse(401, "invalid_api_key", "Incorrect API key provided.", responder)
        }
        if path.hasSuffix("/audio/transcriptions") {
            let text = self.script.transcripts[min(self.transcribed, self.script.transcripts.count - 1)]
            self.transcribed += 1
            let body: JSONValue = ["text": .string(text)]
            return responder.respond(HTTPResponse(status: 200, text: body.json, type: "application/json"))
        }
        guard let body = JSONValue(json: String(decoding: request.body, as: UTF8.self)) else {
            return self.refuse(400, "invalid_request_error", "The body is no JSON.", responder)
        }
        if path.hasSuffix("/audio/speech") {
            self.speak(body["input"]?.text, .l16(.realtime), responder)
        } else if path.contains("/text-to-speech/") {
            let name = request.queryValue("output_format") ?? "mp3"
            let format: AudioFormat? =
                switch name {
                case "ulaw_8000": .pcmu
                case "alaw_8000": .pcma
                default: name.hasPrefix("pcm_") ? Int(name.dropFirst(4)).map { .l16(SampleRate(hertz: $0)) } : nil
                }
            self.speak(format == nil ? nil : body["text"]?.text, format ?? .pcmu, responder)
        } else if path.hasSuffix("/chat/completions") {
            if let why = ChatWire.refusal(ofCompletion: body) {
                return self.refuse(400, "invalid_request_error", why, responder)
            }
            self.answer(body, responder) { answer, model, seed in
                ChatWire.completion(
                    answer, model: model, withUsage: body[["stream_options", "include_usage"]]?.flag ?? false,
                    isGroq: path.contains("/openai/v1"), seed: seed)
            }
        } else if path.hasSuffix("/messages") {
            guard request.headers["anthropic-version"] != nil else {
                return self.refuse(400, "invalid_request_error", "anthropic-version: header is required", responder)
            }
            if let why = ChatWire.refusal(ofMessage: body) {
                return self.refuse(400, "invalid_request_error", why, responder)
            }
            self.answer(body, responder) { answer, model, seed in
                ChatWire.message(answer, model: model, seed: seed)
            }
        } else {
            self.refuse(404, "not_found_error", "no such path", responder)
        }
    }

    private func refuse(_ status: Int, _ code: String, _ message: String, _ responder: HTTPResponder) {
        let body: JSONValue = [
            "type": "error", "error": ["message": .string(message), "type": .string(code), "code": .string(code)],
        ]
        responder.respond(HTTPResponse(status: status, text: body.json, type: "application/json"))
    }

    private func speak(_ text: String?, _ format: AudioFormat, _ responder: HTTPResponder) {
        guard let text, !text.isEmpty else {
            return self.refuse(400, "invalid_request_error", "no text, or a format that is not simulated", responder)
        }
        let sound = SimulatedSound.tone(self.script.soundPerCharacter * text.count, format)
        responder.beginStreaming(status: 200, headers: ["Content-Type": "application/octet-stream"])
        // Odd pieces, so that a client that takes each for whole samples is found out.
        for start in stride(from: 0, to: sound.count, by: 4097) {
            sound[start..<min(start + 4097, sound.count)].withUnsafeBytes { _ = responder.write($0) }
        }
        responder.end()
    }

    private func answer(
        _ body: JSONValue, _ responder: HTTPResponder, pieces: (ChatScript.Answer, String, Int) -> [String]
    ) {
        let answer = self.script.answers[min(self.answered, self.script.answers.count - 1)]
        self.answered += 1
        let model = body["model"]?.text ?? ""
        if let status = answer.status { return self.refuse(status, answer.errorCode, "refused by script", responder) }
        guard body["stream"]?.flag ?? false else {
            let whole = ChatWire.whole(answer, model: model, seed: self.answered)
            return responder.respond(HTTPResponse(status: 200, text: whole.json, type: "application/json"))
        }
        responder.beginStreaming(status: 200, headers: ["Content-Type": "text/event-stream"])
        switch answer.fault {
        case .silent:
            self.held.append(responder)
            return
        case .garbage:
            responder.write("data: {no json\n\n")
            responder.end()
            return
        case .errorInStream:
            responder.write(
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"code\":\"server_error\",\"message\":\"scripted\"}}\n\n"
            )
            responder.end()
            return
        case .cutOff, nil: break
        }
        self.write(pieces(answer, model, self.answered)[...], pace: answer.pace, responder)
    }

    private func write(_ pieces: ArraySlice<String>, pace: Duration, _ responder: HTTPResponder) {
        var rest = pieces
        while let piece = rest.popFirst() {
            guard responder.write(piece) else { return }
            if pace > .zero, !rest.isEmpty {
                self.loop.schedule(after: pace) { [rest] in self.write(rest, pace: pace, responder) }
                return
            }
        }
        responder.end()
    }
}
