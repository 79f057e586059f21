import Assistants
import Telephony

/// The text-model services of `ChatSimulator` as a value (providers.md §5): a request goes in, what is answered comes
/// out. Who owns it sends the pieces at their pace.
package struct ChatSimulatorCore: Sendable {
    /// A request as it came.
    package struct Request: Sendable {
        package var path: String
        /// The value of `output_format` in the query.
        package var outputFormat: String?
        /// Names in lower case.
        package var headers: [String: String]
        package var body: [UInt8]
        package init(path: String, outputFormat: String? = nil, headers: [String: String], body: [UInt8]) {
            self.path = path
            self.outputFormat = outputFormat
            self.headers = headers
            self.body = body
        }
    }

    package enum Reply: Sendable, Equatable {
        /// Complete, as JSON.
        case whole(status: Int, body: String)
        /// Status 200, in pieces. `pace` is between one and the next; `ends` false: nothing follows the last, ever.
        case stream(type: String, pieces: [[UInt8]], pace: Duration, ends: Bool)
    }

    private let script: ChatScript
    package private(set) var records: [ChatRecord] = []
    /// Why the newest refused request was refused; nil: all were understood. Refusals by script are not counted.
    package private(set) var refusal: String?
    private var answered = 0
    private var transcribed = 0
    private static let memory = 4000

    package init(_ script: ChatScript) { self.script = script }

    /// The client of request `number` went away before the answer was complete.
    package mutating func cancelled(_ number: Int) {
        if self.records.indices.contains(number) { self.records[number].wasCancelled = true }
    }

    /// - Returns: the request's number in `records`, and the answer.
    package mutating func handle(_ request: Request) -> (number: Int, reply: Reply) {
        let number = self.records.count
        if number < Self.memory {
            self.records.append(
                ChatRecord(path: request.path, body: String(decoding: request.body, as: UTF8.self)))
        }
        return (number, self.reply(to: request))
    }

    private mutating func reply(to request: Request) -> Reply {
        let authorization = request.headers["authorization"] ?? ""
        let key =
            authorization.hasPrefix("Bearer ")
            ? String(authorization.dropFirst(7)) : request.headers["x-api-key"] ?? request.headers["xi-api-key"]
        guard let key, !key.isEmpty, self.script.key ?? key == key else {
            return Self.error(401, "invalid_api_key", "Incorrect API key provided.")
        }
        let path = request.path
        if path.hasSuffix("/audio/transcriptions") {
            let text = self.script.transcripts[min(self.transcribed, self.script.transcripts.count - 1)]
            self.transcribed += 1
            return .whole(status: 200, body: (["text": .string(text)] as JSONValue).json)
        }
        guard let body = JSONValue(json: String(decoding: request.body, as: UTF8.self)) else {
            return self.refuse("The body is no JSON.")
        }
        if path.hasSuffix("/audio/speech") { return self.speak(body["input"]?.text, .l16(.realtime)) }
        if path.contains("/text-to-speech/") {
            let format = Self.format(named: request.outputFormat ?? "mp3")
            return self.speak(format == nil ? nil : body["text"]?.text, format ?? .pcmu)
        }
        if path.hasSuffix("/chat/completions") {
            if let why = ChatWire.refusal(ofCompletion: body) { return self.refuse(why) }
            return self.answer(body) { answer, model, seed in
                ChatWire.completion(
                    answer, model: model, withUsage: body[["stream_options", "include_usage"]]?.flag ?? false,
                    isGroq: path.contains("/openai/v1"), seed: seed)
            }
        }
        if path.hasSuffix("/messages") {
            guard request.headers["anthropic-version"] != nil else {
                return self.refuse("anthropic-version: header is required")
            }
            if let why = ChatWire.refusal(ofMessage: body) { return self.refuse(why) }
            return self.answer(body) { answer, model, seed in ChatWire.message(answer, model: model, seed: seed) }
        }
        return Self.error(404, "not_found_error", "no such path")
    }

    private static func format(named name: String) -> AudioFormat? {
        switch name {
        case "ulaw_8000": .pcmu
        case "alaw_8000": .pcma
        default: name.hasPrefix("pcm_") ? Int(name.dropFirst(4)).map { .l16(SampleRate(hertz: $0)) } : nil
        }
    }

    private mutating func refuse(_ message: String) -> Reply {
        self.refusal = message
        return Self.error(400, "invalid_request_error", message)
    }

    private static func error(_ status: Int, _ code: String, _ message: String) -> Reply {
        let body: JSONValue = [
            "type": "error", "error": ["message": .string(message), "type": .string(code), "code": .string(code)],
        ]
        return .whole(status: status, body: body.json)
    }

    private mutating func speak(_ text: String?, _ format: AudioFormat) -> Reply {
        guard let text, !text.isEmpty else { return self.refuse("no text, or a format that is not simulated") }
        let length = self.script.sounds[text] ?? self.script.soundPerCharacter * text.count
        let sound = SimulatedSound.tone(length, format)
        // Odd pieces, so that a client that takes each for whole samples is found out.
        let pieces = stride(from: 0, to: sound.count, by: 4097).map {
            Array(sound[$0..<min($0 + 4097, sound.count)])
        }
        return .stream(type: "application/octet-stream", pieces: pieces, pace: .zero, ends: true)
    }

    private mutating func answer(
        _ body: JSONValue, pieces: (ChatScript.Answer, String, Int) -> [String]
    ) -> Reply {
        let answer = self.nextAnswer(body)
        let model = body["model"]?.text ?? ""
        if let status = answer.status { return Self.error(status, answer.errorCode, "refused by script") }
        let seed = self.records.count
        guard body["stream"]?.flag ?? false else {
            return .whole(status: 200, body: ChatWire.whole(answer, model: model, seed: seed).json)
        }
        func stream(_ texts: [String], pace: Duration = .zero, ends: Bool = true) -> Reply {
            .stream(type: "text/event-stream", pieces: texts.map { Array($0.utf8) }, pace: pace, ends: ends)
        }
        switch answer.fault {
        case .silent: return stream([], ends: false)
        case .garbage: return stream(["data: {no json\n\n"])
        case .errorInStream:
            return stream([
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"code\":\"server_error\",\"message\":\"scripted\"}}\n\n"
            ])
        case .cutOff, nil: return stream(pieces(answer, model, seed), pace: answer.pace)
        }
    }

    /// A request that asks for the greeting gets it, where the script has one; others get the answers in their order.
    private mutating func nextAnswer(_ body: JSONValue) -> ChatScript.Answer {
        let task = body["messages"]?.elements?.last?["content"]?.text ?? ""
        if let greeting = self.script.greeting, task.contains("Greet the caller") { return greeting }
        let answer = self.script.answers[min(self.answered, self.script.answers.count - 1)]
        self.answered += 1
        return answer
    }
}
