import EventSocket
import Networking
import Telephony

/// The sockets and timers of a simulated FreeSWITCH: performs the effects of its core. Confined to its loop.
package final class SwitchExchange {
    package typealias Core = FreeSwitchSimulatorCore

    /// What goes wrong with raw audio.
    package struct Faults: Sendable {
        /// So many `sendmsg unicast` find their port taken: `+OK`, and no datagram.
        package var portsInUse = 0
        /// Datagrams that come at once when it begins: a backlog of the switch (measured: about 15).
        package var burst = 15
        package init() {}
    }

    /// The telephone of a channel: who hears what is played and knows how the channel fares.
    package protocol Telephone: AnyObject {
        /// Raw audio flows: `say` is heard from now on.
        func audioBegan()
        /// It stopped, the channel lives.
        func audioStopped()
        /// A datagram of the program's: L16.
        func heard(_ frame: UnsafeRawBufferPointer)
        /// The program left its socket, or was not there: the dialplan goes on.
        func wentOn()
        func ended(_ cause: HangupCause)
    }

    private struct RawAudio {
        var socket: UDPSocket
        var remote: SocketAddress
    }

    let loop: EventLoop
    package var faults = Faults()
    /// Datagrams of no byte: FreeSWITCH plays nothing any more after one (measured).
    package private(set) var emptyDatagrams = 0
    /// Datagrams of another size than one frame.
    package private(set) var misshapenDatagrams = 0
    private let noticed: (Core.Notice) -> Void
    private var core: Core
    private var listener: TCPListener?
    private var connections: [Core.ConnectionID: Connection] = [:]
    private var connectors: [Core.ConnectionID: Connector] = [:]
    private var connectionsSeen = 0
    private var audio: [CallID: RawAudio] = [:]
    private var telephones: [CallID: any Telephone] = [:]
    private var timers: [Int: TimerID] = [:]
    private var timersSet = 0
    private var isStopped = false
    /// A frame of every channel here: 20 ms at 8 kHz.
    private static let frameBytes = 320

    /// - Parameter socket: for the Event Socket that programs connect to; nil: there is none.
    package init(
        _ core: Core, _ socket: BoundSocket? = nil, on loop: EventLoop, noticed: @escaping (Core.Notice) -> Void
    ) throws {
        self.core = core
        self.loop = loop
        self.noticed = noticed
        guard let socket else { return }
        self.listener = try TCPListener(socket, on: loop) { [weak self] descriptor, peer in
            // An exchange that is gone drops the connection, which closes the descriptor.
            let connection = Connection(descriptor, peer: peer, on: loop)
            self?.accept(connection)
        }
    }

    package func change<Value>(_ body: (inout Core, inout [Core.Effect]) -> Value) -> Value {
        var effects: [Core.Effect] = []
        let value = body(&self.core, &effects)
        self.perform(effects)
        return value
    }

    // MARK: Telephones

    /// `telephone` is told about the channel from now on, until its end.
    package func connect(_ telephone: any Telephone, to channel: CallID) { self.telephones[channel] = telephone }

    /// One frame of the caller's; lost where no raw audio is open.
    package func say(_ frame: UnsafeRawBufferPointer, on channel: CallID) {
        guard let audio = self.audio[channel] else { return }
        audio.socket.send(frame, to: audio.remote)
    }

    // MARK: Event Socket

    func openSocket(_ plan: Core.Socket, for channel: CallID) {
        let id = self.nextID()
        self.connectors[id] = Connector(host: "127.0.0.1", port: plan.port, on: self.loop) { [weak self] result in
            guard let self else { return }
            self.connectors[id] = nil
            switch result {
            case .success(let connection):
                self.core.socketOpened(
                    id, for: channel, isAsync: plan.isAsync, hasFullControl: plan.hasFullControl, goesOn: plan.goesOn)
                self.watch(connection, as: id)
            case .failure:
                // As measured: no server on the port, and the dialplan goes on at once, or ends.
                self.change { core, effects in
                    if plan.goesOn {
                        core.wentOn(channel, into: &effects)
                    } else {
                        core.hangUp(channel, into: &effects)
                    }
                }
            }
        }
    }

    package func stop() {
        self.isStopped = true
        self.listener?.close()
        self.listener = nil
        for connector in self.connectors.values { connector.cancel() }
        for connection in self.connections.values { connection.abort() }
        self.connections = [:]
        for audio in self.audio.values { audio.socket.close() }
        self.audio = [:]
        for timer in self.timers.values { self.loop.cancel(timer) }
        self.timers = [:]
        self.telephones = [:]
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
        guard !self.isStopped else { return }
        for effect in effects {
            switch effect {
            case .send(let id, let bytes): bytes.withUnsafeBytes { _ = self.connections[id]?.write($0) }
            case .close(let id): self.connections.removeValue(forKey: id)?.finish()
            case .noticed(let notice): self.tell(notice)
            case .openSocket(let channel, let plan): self.openSocket(plan, for: channel)
            case .openUnicast(let channel, let ports): self.openAudio(channel, ports)
            case .closeUnicast(let channel):
                self.closeAudio(of: channel)
                self.telephones[channel]?.audioStopped()
            case .schedule(let task, let time):
                self.schedule(after: time) { $0.taskFired(task, into: &$1) }
            case .linger(let id, let time):
                self.schedule(after: time) { $0.lingerEnded(id, into: &$1) }
            }
        }
    }

    private func tell(_ notice: Core.Notice) {
        switch notice {
        case .hungUp(let channel, let cause): self.telephones.removeValue(forKey: channel)?.ended(cause)
        case .continued(let channel): self.telephones[channel]?.wentOn()
        default: break
        }
        self.noticed(notice)
    }

    private func schedule(after time: Duration, _ body: @escaping (inout Core, inout [Core.Effect]) -> Void) {
        self.timersSet += 1
        let number = self.timersSet
        self.timers[number] = self.loop.schedule(after: time) { [weak self] in
            guard let self else { return }
            self.timers[number] = nil
            self.change { core, effects in body(&core, &effects) }
        }
    }

    // MARK: Raw audio

    private func closeAudio(of channel: CallID) {
        guard let audio = self.audio.removeValue(forKey: channel) else { return }
        audio.socket.close()
        // This may be the socket's own callback: it is kept for as long as that.
        let socket = LoopBound(audio.socket, on: self.loop)
        self.loop.execute { _ = socket.value }
    }

    private func openAudio(_ channel: CallID, _ ports: UnicastPorts) {
        guard self.faults.portsInUse == 0 else {
            self.faults.portsInUse -= 1
            return
        }
        guard let local = SocketAddress(ports.switchAddress, port: Int(ports.switchPort)),
            let remote = SocketAddress(ports.ourAddress, port: Int(ports.ourPort)),
            let socket = try? UDPSocket(local, on: self.loop)
        else { return }
        self.core.unicastOpened(channel, ports)
        self.audio[channel] = RawAudio(socket: socket, remote: remote)
        socket.onDatagram = { [weak self] bytes, _, _ in
            // The source is not checked (measured): whoever reaches the port is heard.
            guard let self else { return }
            if bytes.isEmpty { self.emptyDatagrams += 1 }
            if bytes.count != Self.frameBytes { self.misshapenDatagrams += 1 }
            self.telephones[channel]?.heard(bytes)
        }
        let silence = [UInt8](repeating: 0xFF, count: Self.frameBytes)
        for _ in 0..<self.faults.burst { _ = silence.withUnsafeBytes { socket.send($0, to: remote) } }
        self.telephones[channel]?.audioBegan()
    }
}
