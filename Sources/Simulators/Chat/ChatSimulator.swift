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
    private var core: ChatSimulatorCore
    private let loop: EventLoop
    /// Answers that never end are held, so that they are not ended by being forgotten.
    private var held: [HTTPResponder] = []

    init(_ script: ChatScript, _ loop: EventLoop) {
        self.core = ChatSimulatorCore(script)
        self.loop = loop
    }

    var records: [ChatRecord] { self.core.records }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        var headers: [String: String] = [:]
        for (name, value) in request.headers.fields { headers[name.lowercased()] = value }
        let (number, reply) = self.core.handle(
            ChatSimulatorCore.Request(
                path: String(request.path), outputFormat: request.queryValue("output_format"), headers: headers,
                body: request.body))
        responder.onCancel = { [weak self] in self?.core.cancelled(number) }
        switch reply {
        case .whole(let status, let body):
            responder.respond(HTTPResponse(status: status, text: body, type: "application/json"))
        case .stream(let type, let pieces, let pace, let ends):
            responder.beginStreaming(status: 200, headers: ["Content-Type": type])
            if !ends { self.held.append(responder) }
            self.write(pieces[...], pace: pace, ends: ends, responder)
        }
    }

    private func write(_ pieces: ArraySlice<[UInt8]>, pace: Duration, ends: Bool, _ responder: HTTPResponder) {
        var rest = pieces
        while let piece = rest.popFirst() {
            guard piece.withUnsafeBytes({ responder.write($0) }) else { return }
            if pace > .zero, !rest.isEmpty {
                self.loop.schedule(after: pace) { [rest] in self.write(rest, pace: pace, ends: ends, responder) }
                return
            }
        }
        if ends { responder.end() }
    }
}
