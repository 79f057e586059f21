import Assistants
import Networking
import Telephony

/// Deepgram on a real socket: `/v1/listen`, `/v2/listen` and `/v1/speak` over WebSocket, the first and last over HTTP
/// too. It serves until `stop`.
package final class DeepgramSimulator: Sendable {
    package let port: Int
    private let loop: EventLoop
    private let ownsLoop: Bool
    private let server: HTTPServer
    private let connections: DeepgramConnections

    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: DeepgramScript = DeepgramScript(), on given: EventLoop? = nil
    ) throws -> DeepgramSimulator {
        guard let address = SocketAddress(host, port: port) else {
            throw OpenAIRealtimeSimulator.Failure.badAddress(host)
        }
        let loop = given ?? EventLoop(name: "deepgram-simulator")
        if given == nil { loop.start() }
        do {
            return try DeepgramSimulator(address, script, loop, ownsLoop: given == nil)
        } catch {
            if given == nil { loop.stop() }
            throw error
        }
    }

    private init(_ address: SocketAddress, _ script: DeepgramScript, _ loop: EventLoop, ownsLoop: Bool) throws {
        let connections = DeepgramConnections(script)
        self.server = try HTTPServer(on: [loop], address: address) { _ in
            { request, responder in connections.handle(request, responder) }
        }
        self.connections = connections
        self.loop = loop
        self.ownsLoop = ownsLoop
        self.port = Int(self.server.address.port)
    }

    /// What each connection was sent. From outside the loop.
    package func records() async throws -> [DeepgramRecord] {
        let connections = self.connections
        return try await self.loop.run { connections.records }
    }

    package func stop() {
        self.server.close()
        let connections = self.connections
        self.loop.execute { connections.closeAll() }
        if self.ownsLoop { self.loop.stop() }
    }
}

/// All connections of one simulator.
///
/// `@unchecked Sendable`: everything in it is touched on the simulator's loop only.
private final class DeepgramConnections: @unchecked Sendable {
    private final class Served {
        let socket: WebSocket
        var core: DeepgramSimulatorCore
        init(_ socket: WebSocket, _ core: DeepgramSimulatorCore) {
            self.socket = socket
            self.core = core
        }
    }
    private let script: DeepgramScript
    private var served: [Served] = []
    private var requests: [DeepgramRecord] = []
    private var strikes = 0
    private static let memory = 2000

    init(_ script: DeepgramScript) { self.script = script }

    var records: [DeepgramRecord] { self.requests + self.served.map(\.core.record) }
    func closeAll() { for served in self.served { served.socket.abort() } }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        func refuse(_ status: Int, _ code: String, _ message: String) {
            let body: JSONValue = ["err_code": .string(code), "err_msg": .string(message), "request_id": "0"]
            responder.respond(HTTPResponse(status: status, text: body.json, type: "application/json"))
        }
        let authorization = request.headers["authorization"] ?? ""
        let key = ["Token ", "token ", "Bearer "].first { authorization.hasPrefix($0) }
            .map { String(authorization.dropFirst($0.count)) }
        guard let key, !key.isEmpty, self.script.key ?? key == key else {
            return refuse(401, "INVALID_AUTH", "Invalid credentials.")
        }
        if let status = self.script.handshakeStatus { return refuse(status, "SCRIPTED", "refused by script") }
        let path = String(request.path)
        guard let model = request.queryValue("model"), !model.isEmpty else {
            return refuse(400, "INVALID_QUERY_PARAMETER", "model is missing")
        }
        var record = DeepgramRecord()
        record.path = path
        record.query = String(request.query ?? "")
        if request.method == "POST" { return self.whole(request, record, responder, refuse) }
        let endpoint: DeepgramSimulatorCore.Endpoint
        switch path {
        case "/v1/listen": endpoint = .nova
        case "/v2/listen": endpoint = .flux
        case "/v1/speak": endpoint = .speak
        default: return refuse(404, "NOT_FOUND", "no such path")
        }
        guard let format = Self.format(request) else {
            return refuse(400, "INVALID_QUERY_PARAMETER", "encoding and sample_rate do not go together")
        }
        guard let socket = responder.upgradeToWebSocket() else { return }
        var faults = Set(self.script.faults)
        if self.script.faultsOnce, self.strikes >= self.script.faults.count { faults = [] }
        self.strikes += faults.isEmpty ? 0 : 1
        let silence = request.queryValue("endpointing").flatMap { Int($0) } ?? (endpoint == .flux ? 300 : 10)
        // A second socket of a call goes on where the first broke off.
        let said = endpoint == .speak ? 0 : self.served.last { $0.core.record.path == path }?.core.utterancesSaid ?? 0
        let core = DeepgramSimulatorCore(
            endpoint, script: self.script, faults: faults, format: format, endpointing: .milliseconds(silence),
            interim: request.queryValue("interim_results") == "true", record: record,
            said: self.script.faultsOnce ? said : 0)
        if self.served.count >= Self.memory { self.served.removeFirst() }
        let connection = Served(socket, core)
        self.served.append(connection)
        socket.onMessage = { [unowned connection] kind, bytes in
            Self.perform(
                kind == .text
                    ? connection.core.text(String(decoding: bytes, as: UTF8.self)) : connection.core.binary(bytes),
                socket)
        }
        Self.perform(connection.core.opened(), socket)
    }

    private static func perform(_ effects: [DeepgramSimulatorCore.Effect], _ socket: WebSocket) {
        for effect in effects {
            switch effect {
            case .text(let text): Array(text.utf8).withUnsafeBytes { _ = socket.send(text: $0) }
            case .binary(let bytes): bytes.withUnsafeBytes { _ = socket.send(binary: $0) }
            case .close(let code, let reason): socket.close(code: code, reason: reason)
            }
        }
    }

    /// A recording to be transcribed, or a text to be spoken, in one exchange.
    private func whole(
        _ request: HTTPRequest, _ given: DeepgramRecord, _ responder: HTTPResponder,
        _ refuse: (Int, String, String) -> Void
    ) {
        var record = given
        record.audioBytes = request.body.count
        defer { if self.requests.count < Self.memory { self.requests.append(record) } }
        switch record.path {
        case "/v1/listen":
            guard !request.body.isEmpty else { return refuse(400, "Bad Request", "no audio") }
            let said = self.requests.filter { $0.path == "/v1/listen" }.count
            let text = self.script.utterances[min(said, self.script.utterances.count - 1)]
            let alternative: JSONValue = ["transcript": .string(text), "confidence": 0.99, "words": []]
            let body: JSONValue = [
                "metadata": ["request_id": "0", "channels": 1],
                "results": ["channels": [["alternatives": .array([alternative])]]],
            ]
            responder.respond(HTTPResponse(status: 200, text: body.json, type: "application/json"))
        case "/v1/speak":
            guard let text = JSONValue(json: String(decoding: request.body, as: UTF8.self))?["text"]?.text,
                let format = Self.format(request)
            else { return refuse(400, "Bad Request", "text is missing") }
            record.spoken = [text]
            responder.respond(
                HTTPResponse(
                    status: 200, headers: ["Content-Type": "application/octet-stream"],
                    body: SimulatedSound.tone(self.script.soundPerCharacter * text.count, format)))
        default: refuse(404, "NOT_FOUND", "no such path")
        }
    }

    private static func format(_ request: HTTPRequest) -> AudioFormat? {
        let rate = request.queryValue("sample_rate").flatMap { Int($0) } ?? 24000
        guard (8000...48000).contains(rate) else { return nil }
        switch request.queryValue("encoding") ?? "linear16" {
        case "linear16": return .l16(SampleRate(hertz: rate))
        case "mulaw": return AudioFormat(.pcmu, SampleRate(hertz: rate))
        case "alaw": return AudioFormat(.pcma, SampleRate(hertz: rate))
        default: return nil
        }
    }
}
