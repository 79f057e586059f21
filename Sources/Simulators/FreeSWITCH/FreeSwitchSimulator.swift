import EventSocket
import Networking
import Telephony

/// The simulated FreeSWITCH on a real port of 127.0.0.1: performs the effects of a `FreeSwitchSimulatorCore`.
///
/// Everything runs on the given loop; the methods may be called from anywhere.
package final class FreeSwitchSimulator: Sendable {
    package typealias Core = FreeSwitchSimulatorCore

    /// Why it could not start.
    package enum StartError: Error, Equatable {
        case listen(ListenError)
        case loop
    }

    /// Where it listens; the real one when 0 was asked for.
    package let port: UInt16
    private let loop: EventLoop
    private let exchange: LoopBound<Exchange>

    private init(port: UInt16, loop: EventLoop, exchange: LoopBound<Exchange>) {
        self.port = port
        self.loop = loop
        self.exchange = exchange
    }

    /// Listens on 127.0.0.1. `noticed` is called on the loop with what the switch was made to do.
    package static func start(
        port: Int = 0, core: Core = Core(), on loop: EventLoop,
        noticed: @escaping @Sendable (Core.Notice) -> Void = { _ in }
    ) async throws -> FreeSwitchSimulator {
        guard let address = SocketAddress("127.0.0.1", port: port) else { throw StartError.loop }
        let socket: BoundSocket
        do {
            socket = try TCPListener.bind(address)
        } catch {
            throw StartError.listen(error)
        }
        let exchange = try await loop.run {
            LoopBound(try Exchange(core, socket, on: loop, noticed: noticed), on: loop)
        }
        return FreeSwitchSimulator(port: socket.address.port, loop: loop, exchange: exchange)
    }

    /// Makes something happen in the switch, and performs what follows.
    package func change<Value: Sendable>(
        _ body: @escaping @Sendable (inout Core, inout [Core.Effect]) -> Value
    ) async throws -> Value {
        let exchange = self.exchange
        return try await self.loop.run { exchange.value.change(body) }
    }

    /// Every command in the order it came; see `FreeSwitchSimulatorCore.commands`.
    package func commands() async throws -> [String] { try await self.change { core, _ in core.commands } }

    /// The dialplan reaches `socket 127.0.0.1:<port>`, with or without `async` and `full`.
    package func openSocket(
        to port: UInt16, for channel: CallID, isAsync: Bool = true, hasFullControl: Bool = true
    ) async throws {
        let exchange = self.exchange
        try await self.loop.run {
            exchange.value.openSocket(to: port, for: channel, isAsync: isAsync, hasFullControl: hasFullControl)
        }
    }

    /// Closes the port and all connections, without a notice: as if the process were killed.
    package func stop() async throws {
        let exchange = self.exchange
        try await self.loop.run { exchange.value.stop() }
    }
}

/// The sockets of a simulator, confined to its loop.
private final class Exchange {
    private typealias Core = FreeSwitchSimulatorCore

    private let loop: EventLoop
    private let noticed: @Sendable (FreeSwitchSimulatorCore.Notice) -> Void
    private var core: Core
    private var listener: TCPListener?
    private var connections: [Core.ConnectionID: Connection] = [:]
    private var connectors: [Core.ConnectionID: Connector] = [:]
    private var connectionsSeen = 0

    init(
        _ core: FreeSwitchSimulatorCore, _ socket: BoundSocket, on loop: EventLoop,
        noticed: @escaping @Sendable (FreeSwitchSimulatorCore.Notice) -> Void
    ) throws {
        self.core = core
        self.loop = loop
        self.noticed = noticed
        self.listener = try TCPListener(socket, on: loop) { [weak self] descriptor, peer in
            // An exchange that is gone drops the connection, which closes the descriptor.
            let connection = Connection(descriptor, peer: peer, on: loop)
            self?.accept(connection)
        }
    }

    func change<Value>(
        _ body: (inout FreeSwitchSimulatorCore, inout [FreeSwitchSimulatorCore.Effect]) -> Value
    ) -> Value {
        var effects: [Core.Effect] = []
        let value = body(&self.core, &effects)
        self.perform(effects)
        return value
    }

    func openSocket(to port: UInt16, for channel: CallID, isAsync: Bool, hasFullControl: Bool) {
        let id = self.nextID()
        self.connectors[id] = Connector(host: "127.0.0.1", port: port, on: self.loop) { [weak self] result in
            guard let self else { return }
            self.connectors[id] = nil
            switch result {
            case .success(let connection):
                self.core.socketOpened(id, for: channel, isAsync: isAsync, hasFullControl: hasFullControl)
                self.watch(connection, as: id)
            case .failure:
                // As measured: no server on the port, and the call is hung up where the dialplan ends.
                self.change { core, effects in core.hangUp(channel, into: &effects) }
            }
        }
    }

    func stop() {
        self.listener?.close()
        self.listener = nil
        for connector in self.connectors.values { connector.cancel() }
        for connection in self.connections.values { connection.abort() }
        self.connections = [:]
    }

    private func nextID() -> Core.ConnectionID {
        self.connectionsSeen += 1
        return Core.ConnectionID(self.connectionsSeen)
    }

    private func accept(_ connection: Connection) {
        let id = self.nextID()
        self.watch(connection, as: id)
        connection.begin()
        self.change { core, effects in core.accepted(id, into: &effects) }
    }

    private func watch(_ connection: Connection, as id: Core.ConnectionID) {
        self.connections[id] = connection
        connection.onBytes = { [weak self] bytes in
            self?.change { core, effects in
                core.received(UnsafeRawBufferPointer(bytes), from: id, into: &effects)
            }
        }
        connection.onEnd = { [weak self] _ in
            guard let self else { return }
            self.connections[id] = nil
            self.change { core, effects in core.closed(id, into: &effects) }
        }
    }

    private func perform(_ effects: [Core.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let id, let bytes): bytes.withUnsafeBytes { _ = self.connections[id]?.write($0) }
            case .close(let id): self.connections.removeValue(forKey: id)?.finish()
            case .noticed(let notice): self.noticed(notice)
            }
        }
    }
}
