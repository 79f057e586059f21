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
    /// For phones on the same loop.
    package let exchange: LoopBound<SwitchExchange>

    private init(port: UInt16, loop: EventLoop, exchange: LoopBound<SwitchExchange>) {
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
            LoopBound(try SwitchExchange(core, socket, on: loop, noticed: noticed), on: loop)
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
            let socket = Core.Socket(port: port, isAsync: isAsync, hasFullControl: hasFullControl, goesOn: false)
            exchange.value.openSocket(socket, for: channel)
        }
    }

    /// Closes the port and all connections, without a notice: as if the process were killed.
    package func stop() async throws {
        let exchange = self.exchange
        try await self.loop.run { exchange.value.stop() }
    }
}
