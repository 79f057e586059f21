import Assistants
import Networking
import Telephony

/// The OpenAI Realtime simulator on a real socket: `ws://127.0.0.1:<port>/v1/realtime?model=…`, in either shape, also
/// under Azure's two paths. It serves until `stop`.
package final class OpenAIRealtimeSimulator: Sendable {
    /// Where it listens.
    package let port: Int
    private let loop: EventLoop
    private let ownsLoop: Bool
    private let server: HTTPServer
    private let connections: Connections

    /// Why it could not start: the address cannot be listened on, or is none.
    package enum Failure: Error {
        case badAddress(String)
        case listen(ListenError)
    }

    /// Serves `script` to everybody who connects, on a loop of its own unless one is given. `port` 0: any free one.
    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: OpenAIRealtimeScript, on loop: EventLoop? = nil
    ) throws(Failure) -> OpenAIRealtimeSimulator {
        try OpenAIRealtimeSimulator(host: host, port: port, script: script, on: loop)
    }

    private init(host: String, port: Int, script: OpenAIRealtimeScript, on given: EventLoop?) throws(Failure) {
        guard let address = SocketAddress(host, port: port) else { throw .badAddress(host) }
        let loop = given ?? EventLoop(name: "openai-simulator")
        if given == nil { loop.start() }
        let connections = Connections(script: script)
        do throws(ListenError) {
            self.server = try HTTPServer(on: [loop], address: address) { _ in
                { request, responder in connections.handle(request, responder) }
            }
        } catch {
            if given == nil { loop.stop() }
            throw .listen(error)
        }
        self.loop = loop
        self.ownsLoop = given == nil
        self.connections = connections
        self.port = Int(self.server.address.port)
    }

    /// What each connection was sent, in the order in which they came. From outside the loop.
    package func records() async throws -> [OpenAIRealtimeRecord] {
        let connections = self.connections
        return try await self.loop.run { connections.records }
    }

    /// Stops listening, cuts what is open, and ends the loop when it is its own. From outside the loop.
    package func stop() {
        self.server.close()
        let connections = self.connections
        self.loop.execute { connections.closeAll() }
        if self.ownsLoop { self.loop.stop() }
    }
}

/// All connections of one simulator.
///
/// `@unchecked Sendable`: everything in it is touched on the simulator's loop only, which `handle`, `records` and
/// `closeAll` are called on.
private final class Connections: @unchecked Sendable {
    private let script: OpenAIRealtimeScript
    private var served: [ServedConnection] = []
    private var count = 0
    /// So many are remembered after their end: a load test makes thousands.
    private static let memory = 2000

    init(script: OpenAIRealtimeScript) { self.script = script }

    var records: [OpenAIRealtimeRecord] { self.served.map(\.record) }

    func closeAll() { for connection in self.served { connection.cut() } }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let path = String(request.path)
        guard path.hasSuffix("/realtime") else {
            return responder.respond(HTTPResponse(status: 404, text: "not found"))
        }
        let authorization = request.headers["authorization"]
        let key: String? =
            authorization.flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
            ?? request.headers["api-key"]
        guard let key, !key.isEmpty, self.script.key ?? key == key else {
            return responder.respond(HTTPResponse(status: 401, text: "invalid api key"))
        }
        if let status = self.script.handshakeStatus {
            return responder.respond(HTTPResponse(status: status, text: "refused by script"))
        }
        let isLegacy = path == "/openai/realtime"
        guard let model = request.queryValue(isLegacy ? "deployment" : "model"), !model.isEmpty,
            !isLegacy || request.queryValue("api-version") != nil
        else { return responder.respond(HTTPResponse(status: 400, text: "missing model")) }
        let asksForBeta = isLegacy || request.headers["openai-beta"]?.contains("realtime=v1") ?? false
        var options = WebSocketOptions()
        options.maximumMessageSize = 32 * 1024 * 1024
        options.highWaterMark = 256 * 1024 * 1024
        guard let socket = responder.upgradeToWebSocket(options: options) else { return }
        var script = self.script
        if asksForBeta, !script.acceptsBeta {
            let refusal = OpenAIRealtimeScript.Fault.error(
                code: "beta_api_shape_disabled", type: "invalid_request_error",
                message: "The Realtime Beta API is no longer supported.", closing: true)
            script.mishaps = [OpenAIRealtimeScript.Mishap(.opened, refusal)]
        }
        self.count += 1
        let core = OpenAIRealtimeSimulatorCore(
            script: script, dialect: asksForBeta ? .beta : .ga, model: model, seed: self.count)
        if self.served.count >= Connections.memory, let index = self.served.firstIndex(where: { !$0.isOpen }) {
            self.served.remove(at: index)
        }
        let connection = ServedConnection(socket, core)
        self.served.append(connection)
        connection.begin()
    }
}

/// One client: performs what the core decides. Confined to its loop.
private final class ServedConnection {
    private let socket: WebSocket
    private let loop: EventLoop
    private var core: OpenAIRealtimeSimulatorCore
    private var output = OpenAIRealtimeSimulatorCore.Output()
    private var timer: TimerID?
    private(set) var isOpen = true

    /// While more than this waits for a slow client, nothing more is made.
    private static let enough = 8 * 1024 * 1024

    init(_ socket: WebSocket, _ core: OpenAIRealtimeSimulatorCore) {
        self.socket = socket
        self.loop = socket.loop
        self.core = core
    }

    var record: OpenAIRealtimeRecord { self.core.record }

    func begin() {
        self.socket.onMessage = { [unowned self] kind, bytes in
            // Binary is no part of the protocol: the server has nothing to say to it.
            guard kind == .text else { return }
            self.core.received(bytes, at: self.loop.now, &self.output)
            self.perform()
        }
        self.socket.onClose = { [unowned self] _ in self.ended() }
        self.core.opened(at: self.loop.now, &self.output)
        self.perform()
    }

    func cut() {
        guard self.isOpen else { return }
        self.socket.abort()
        self.ended()
    }

    private func ended() {
        self.isOpen = false
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
    }

    private func perform() {
        for effect in self.output.effects where self.isOpen {
            switch effect {
            case .sendText(let range): self.withBytes(range) { _ = self.socket.send(text: $0) }
            case .sendBinary(let range): self.withBytes(range) { _ = self.socket.send(binary: $0) }
            case .close(let code, let reason): self.socket.close(code: code, reason: reason)
            case .reset: self.cut()
            case .wake(let due): self.schedule(due)
            }
        }
        self.output.removeAll()
    }

    private func withBytes(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Void) {
        self.output.bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    private func schedule(_ due: Duration?) {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        guard let due, self.isOpen else { return }
        var time = max(due, self.loop.now)
        if self.socket.bufferedBytes > ServedConnection.enough { time = max(time, self.loop.now + .milliseconds(20)) }
        self.timer = self.loop.schedule(at: time) { [weak self] in
            guard let self, self.isOpen else { return }
            self.timer = nil
            if self.socket.bufferedBytes > ServedConnection.enough { return self.schedule(self.loop.now) }
            self.core.wake(at: self.loop.now, &self.output)
            self.perform()
        }
    }
}
