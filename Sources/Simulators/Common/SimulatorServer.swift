import Networking
import Telephony

/// A simulator's cores on real sockets. Serves until `stop`.
final class SimulatorServer<Core: SimulatorCore>: Sendable {
    /// Decides about a request: answers it itself and gives nil, or gives the core that the WebSocket is for. It sees
    /// the connections so far. Called on the simulator's loop.
    typealias Admission =
        @Sendable (HTTPRequest, HTTPResponder, _ served: [(core: Core, isOpen: Bool)]) -> (
            core: Core, subprotocol: String?
        )?

    let port: Int
    private let loop: EventLoop
    private let ownsLoop: Bool
    private let server: HTTPServer
    private let connections: SimulatedConnections<Core>

    /// `port` 0: any free one. A loop of its own unless one is given.
    init(
        host: String, port: Int, name: String, on given: EventLoop?, admit: @escaping Admission
    ) throws(SimulatorFailure) {
        guard let address = SocketAddress(host, port: port) else { throw .badAddress(host) }
        let loop = given ?? EventLoop(name: name)
        if given == nil { loop.start() }
        let connections = SimulatedConnections<Core>(admit: admit)
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
    func records() async throws -> [Core.Record] {
        let connections = self.connections
        return try await self.loop.run { connections.records }
    }

    /// Stops listening, cuts what is open, and ends the loop when it is its own. From outside the loop.
    func stop() {
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
private final class SimulatedConnections<Core: SimulatorCore>: @unchecked Sendable {
    private let admit: SimulatorServer<Core>.Admission
    private var served: [SimulatedConnection<Core>] = []
    /// So many are remembered after their end: a load test makes thousands.
    private static var memory: Int { 2000 }

    init(admit: @escaping SimulatorServer<Core>.Admission) { self.admit = admit }

    var records: [Core.Record] { self.served.map(\.core.record) }

    func closeAll() { for connection in self.served { connection.cut() } }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        guard let admitted = self.admit(request, responder, self.served.map { ($0.core, $0.isOpen) }) else { return }
        var options = WebSocketOptions()
        options.maximumMessageSize = 32 * 1024 * 1024
        options.highWaterMark = 256 * 1024 * 1024
        guard let socket = responder.upgradeToWebSocket(subprotocol: admitted.subprotocol, options: options) else {
            return
        }
        if self.served.count >= Self.memory, let index = self.served.firstIndex(where: { !$0.isOpen }) {
            self.served.remove(at: index)
        }
        let connection = SimulatedConnection(socket, admitted.core)
        self.served.append(connection)
        connection.begin()
    }
}

/// One client: performs what the core decides. Confined to its loop.
private final class SimulatedConnection<Core: SimulatorCore> {
    private let socket: WebSocket
    private let loop: EventLoop
    private(set) var core: Core
    private var output = SimulatorOutput()
    private var timer: TimerID?
    private(set) var isOpen = true

    /// While more than this waits for a slow client, nothing more is made.
    private static var enough: Int { 8 * 1024 * 1024 }

    init(_ socket: WebSocket, _ core: Core) {
        self.socket = socket
        self.loop = socket.loop
        self.core = core
    }

    func begin() {
        self.socket.onMessage = { [unowned self] kind, bytes in
            // Binary is no part of any client's protocol here: the server has nothing to say to it.
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
        if self.socket.bufferedBytes > Self.enough { time = max(time, self.loop.now + .milliseconds(20)) }
        self.timer = self.loop.schedule(at: time) { [weak self] in
            guard let self, self.isOpen else { return }
            self.timer = nil
            if self.socket.bufferedBytes > Self.enough { return self.schedule(self.loop.now) }
            self.core.wake(at: self.loop.now, &self.output)
            self.perform()
        }
    }
}
