import EventSocket
import Networking
import Simulators
import Synchronization
import Telephony
import Testing

/// The simulator on a real socket, with a client's effects performed on the same loop.
@Suite struct FreeSwitchSimulatorSocketTests {
    @Test(
        "Over TCP: ready, a variable, a hand-over, and a client that comes back after a restart",
        .timeLimit(.minutes(1)))
    func inbound() async throws {
        let loop = EventLoop(name: "esl-test")
        loop.start()
        defer { loop.stop() }
        let channel = try #require(CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1"))
        var core = FreeSwitchSimulatorCore()
        core.addChannel(channel, variables: ["secretary_uuid": "s-1"])
        let simulator = try await FreeSwitchSimulator.start(core: core, on: loop)
        let (said, continuation) = AsyncStream.makeStream(of: String.self)
        var heard = said.makeAsyncIterator()
        let port = simulator.port
        let client = try await loop.run {
            let client = TestClient(port: port, on: loop) { continuation.yield($0) }
            client.start()
            return LoopBound(client, on: loop)
        }
        #expect(await heard.next() == "ready")
        try await loop.run { try client.value.ask(1, .getVariable("secretary_uuid", of: channel)) }
        #expect(await heard.next() == "1 = s-1")
        let target = DialplanTarget(extension: "2000", context: "default")
        try await loop.run { try client.value.ask(2, .transfer(channel, to: target)) }
        #expect(await heard.next() == "2 = +OK")
        #expect(
            try await simulator.commands().suffix(2) == [
                "api uuid_getvar \(channel) secretary_uuid", "api uuid_transfer \(channel) 2000 XML default",
            ])
        try await simulator.change { core, effects in core.shutDown(into: &effects) }
        #expect(
            await heard.next()
                == "interrupted(\(EventSocketLoss.disconnectNotice))"
                .replacing("interrupted(", with: "interrupted(EventSocket.EventSocketLoss."))
        #expect(await heard.next() == "ready")
        try await loop.run { client.value.stop() }
        try await simulator.stop()
    }

    @Test("A socket application reaches a port of ours and is spoken to", .timeLimit(.minutes(1)))
    func outbound() async throws {
        let loop = EventLoop(name: "esl-out")
        loop.start()
        defer { loop.stop() }
        let channel = try #require(CallID("4500d4b5-8aaa-403f-8a72-dbca171df510"))
        var core = FreeSwitchSimulatorCore()
        core.addChannel(channel, variables: ["domain_uuid": "d-1"])
        let simulator = try await FreeSwitchSimulator.start(core: core, on: loop)
        let (said, continuation) = AsyncStream.makeStream(of: String.self)
        var heard = said.makeAsyncIterator()
        let socket = try TCPListener.bind(try #require(SocketAddress("127.0.0.1", port: 0)))
        let server = try await loop.run {
            LoopBound(try TestServer(socket, on: loop) { continuation.yield($0) }, on: loop)
        }
        try await simulator.openSocket(to: socket.address.port, for: channel)
        #expect(await heard.next() == "began d-1")
        #expect(await heard.next() == "CHANNEL_PARK")
        try await simulator.change { core, effects in core.digit("7", on: channel, into: &effects) }
        #expect(await heard.next() == "DTMF")
        try await simulator.change { core, effects in
            core.hangUp(channel, into: &effects)
            core.lingerEnded(of: channel, into: &effects)
        }
        #expect(await heard.next() == "CHANNEL_HANGUP")
        #expect(await heard.next() == "CHANNEL_HANGUP_COMPLETE")
        #expect(await heard.next() == "lingering")
        #expect(await heard.next() == "ended")
        try await loop.run { server.value.stop() }
        try await simulator.stop()
    }
}

/// The smallest shell of an `InboundClient`.
private final class TestClient {
    private let loop: EventLoop
    private let port: UInt16
    private let say: @Sendable (String) -> Void
    private var client: InboundClient
    private var connector: Connector?
    private var connection: Connection?
    private var timer: TimerID?

    init(port: UInt16, on loop: EventLoop, say: @escaping @Sendable (String) -> Void) {
        self.port = port
        self.loop = loop
        self.say = say
        self.client = InboundClient(
            InboundClient.Configuration(password: "ClueCon", reconnectDelay: .milliseconds(10)), seed: 1,
            jobPrefix: "test")
    }

    func start() { self.step { $0.start(at: $1, into: &$2) } }
    func stop() { self.step { $0.stop(at: $1, into: &$2) } }
    func ask(_ number: UInt64, _ command: ApiCommand) throws {
        self.step { $0.execute(command, id: EventSocketRequestID(number), at: $1, into: &$2) }
    }

    private func step(_ body: (inout InboundClient, Duration, inout [InboundClient.Effect]) -> Void) {
        var effects: [InboundClient.Effect] = []
        body(&self.client, self.loop.now, &effects)
        for effect in effects { self.perform(effect) }
    }

    private func perform(_ effect: InboundClient.Effect) {
        switch effect {
        case .connect:
            self.connector = Connector(host: "127.0.0.1", port: self.port, on: self.loop) { [weak self] result in
                guard let self else { return }
                switch result {
                case .success(let connection): self.begin(connection)
                case .failure: self.step { $0.connectionLost(at: $1, into: &$2) }
                }
            }
        case .send(let bytes): bytes.withUnsafeBytes { _ = self.connection?.write($0) }
        case .close:
            self.connection?.finish()
            self.connection = nil
        case .wake(let at):
            if let timer = self.timer { self.loop.cancel(timer) }
            self.timer = at.map { at in
                self.loop.schedule(at: at) { [weak self] in self?.step { $0.timerFired(at: $1, into: &$2) } }
            }
        case .complete(let id, .success(let reply)): self.say("\(id.number) = \(reply.text)")
        case .complete(let id, .failure(let failure)): self.say("\(id.number) ! \(failure.slug)")
        case .statusChanged(let status): self.say("\(status)")
        case .deliver, .channelGone, .oddity: break
        }
    }

    private func begin(_ connection: Connection) {
        self.connection = connection
        connection.onBytes = { [weak self] bytes in
            self?.step { $0.received(UnsafeRawBufferPointer(bytes), at: $1, into: &$2) }
        }
        connection.onEnd = { [weak self] _ in
            self?.connection = nil
            self?.step { $0.connectionLost(at: $1, into: &$2) }
        }
        self.step { $0.connected(at: $1, into: &$2) }
    }
}

/// The smallest shell of one `OutboundSession`.
private final class TestServer {
    private let loop: EventLoop
    private let say: @Sendable (String) -> Void
    private var session = OutboundSession()
    private var listener: TCPListener?
    private var connection: Connection?

    init(_ socket: BoundSocket, on loop: EventLoop, say: @escaping @Sendable (String) -> Void) throws {
        self.loop = loop
        self.say = say
        self.listener = try TCPListener(socket, on: loop) { [weak self] descriptor, peer in
            let connection = Connection(descriptor, peer: peer, on: loop)
            self?.begin(connection)
        }
    }

    func stop() {
        self.listener?.close()
        self.connection?.abort()
    }

    private func begin(_ connection: Connection) {
        self.connection = connection
        connection.onBytes = { [weak self] bytes in
            self?.step { $0.received(UnsafeRawBufferPointer(bytes), at: $1, into: &$2) }
        }
        connection.onEnd = { [weak self] _ in self?.step { $0.connectionLost(at: $1, into: &$2) } }
        connection.begin()
        self.step { $0.accepted(at: $1, into: &$2) }
    }

    private func step(_ body: (inout OutboundSession, Duration, inout [OutboundSession.Effect]) -> Void) {
        var effects: [OutboundSession.Effect] = []
        body(&self.session, self.loop.now, &effects)
        for effect in effects {
            switch effect {
            case .send(let bytes): bytes.withUnsafeBytes { _ = self.connection?.write($0) }
            case .close: self.connection?.finish()
            case .began(let data): self.say("began \(data.variable("domain_uuid")?.value ?? "")")
            case .deliver(let event): self.say(event.name.wire)
            case .lingering: self.say("lingering")
            case .ended: self.say("ended")
            case .wake, .complete, .oddity: break
            }
        }
    }
}
