import EventSocket
import Networking
import Observability
import Records
import Synchronization
import Telephony

/// What the outbound Event Socket's listener is told at its start.
package struct SwitchListenerConfiguration: Sendable {
    /// Who may bring calls: there is no authentication on this wire, so addresses are it (design §8a).
    package var isTrustedPeer: @Sendable (SocketAddress) -> Bool = { $0.isLoopback }
    /// ESL_MAX_CONNECTIONS.
    package var maximumConnections = 100
    /// AUDIO_MODE, for calls that do not say, of tenants that have no mode of their own.
    package var audio: CallAudio = .esl
    package var session = OutboundSession.Configuration()
    /// Our ends of the unicast, and the switch's.
    package var ports: DatagramPorts?
    package var switchPorts: DatagramPorts?
    /// How long the other half of a call in dual mode may take to come.
    package var matchTimeout: Duration = .seconds(5)
    /// Where mod_audio_stream finds us in dual mode: `ws://host:port`, without a path.
    package var streamURL: String?
    /// Where the switch finds our SIP port: `host:port`, and through which of its profiles.
    package var sipAddress: String?
    package var sipProfile = "internal"

    package init() {}
}

/// Takes the connections of the dialplan's `socket` application on one loop: who may come, how many, and what becomes
/// of each (`SwitchVisit`). Confined to the loop.
package final class SwitchListener {
    let gateway: Gateway
    let loop: EventLoop
    let configuration: SwitchListenerConfiguration
    let reception: CallReception
    let clock: FrameClock
    private let shared: Shared
    /// Every connection that lives: it is kept by nobody else.
    private var visits: [ObjectIdentifier: SwitchVisit] = [:]
    /// Connections that are not taken, on their way out.
    private var leaving: [ObjectIdentifier: SwitchCall] = [:]
    private static let mostLeaving = 256

    /// What the listeners of all loops share.
    package final class Shared: Sendable {
        private let count = Atomic<Int>(0)
        private let listeners = Mutex<[ObjectIdentifier: LoopBound<SwitchListener>]>([:])
        package init() {}
        package var connections: Int { self.count.load(ordering: .relaxed) }

        /// ESL_MAX_CONNECTIONS bounds the sum.
        func enter(limit: Int) -> Bool {
            guard self.count.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
                self.leave()
                return false
            }
            return true
        }
        func leave() { self.count.wrappingSubtract(1, ordering: .relaxed) }

        func add(_ listener: SwitchListener) {
            let box = LoopBound(listener, on: listener.loop)
            self.listeners.withLock { $0[ObjectIdentifier(listener.loop)] = box }
        }
        func listener(of loop: EventLoop) -> LoopBound<SwitchListener>? {
            self.listeners.withLock { $0[ObjectIdentifier(loop)] }
        }
    }

    package init(
        gateway: Gateway, loop: EventLoop, configuration: SwitchListenerConfiguration, shared: Shared
    ) {
        self.gateway = gateway
        self.loop = loop
        self.configuration = configuration
        self.shared = shared
        self.reception = CallReception(gateway: gateway, loop: loop)
        self.clock = FrameClock(on: loop)
        shared.add(self)
    }

    /// A connection of the switch. What is not taken is left again: the dialplan goes on behind `socket`, to its fallback.
    /// Whether a drain refuses it is known when its channel is (`SwitchVisit.began`): calls that live come back.
    package func accept(_ connection: Connection) {
        guard self.gateway.configuration.acceptsAnybody || self.configuration.isTrustedPeer(connection.peer) else {
            self.refuse("peer-not-allowed", "Add the switch's address to ESL_ALLOWED_PEERS")
            return self.turnAway(connection)
        }
        guard self.shared.enter(limit: self.configuration.maximumConnections) else {
            self.refuse("full", "Raise ESL_MAX_CONNECTIONS, or add a node")
            return self.turnAway(connection)
        }
        let visit = SwitchVisit(connection, listener: self)
        self.visits[ObjectIdentifier(visit)] = visit
        visit.start()
    }

    /// Leaves in the way that lets the dialplan go on, which a plain close does not (see `OutboundSession`). Who is no
    /// switch is gone after the time for `connect`; beyond a bound the rest is closed, and has its dead man's switch.
    private func turnAway(_ connection: Connection) {
        guard self.leaving.count < Self.mostLeaving else { return }
        let line = SwitchCall(
            connection, configuration: self.configuration.session, on: self.loop, logger: self.gateway.logger)
        let id = ObjectIdentifier(line)
        self.leaving[id] = line
        line.onEnded = { [unowned self] _ in
            // It is in the middle of its own step: it ends in the next turn.
            let line = self.leaving.removeValue(forKey: id)
            self.loop.schedule(after: .zero) { withExtendedLifetime(line) {} }
        }
        line.start()
        line.leave()
    }

    /// The channel's call lives on another loop: its socket goes there, since its audio must.
    func move(_ visit: SwitchVisit, data: SwitchEvent, to loop: EventLoop) {
        guard let other = self.shared.listener(of: loop) else { return visit.line.leave() }
        let shared = self.shared
        self.visits[ObjectIdentifier(visit)] = nil
        // In a later turn: this one is in the middle of the connection's own callback.
        let box = LoopBound(visit.line, on: self.loop)
        self.loop.execute {
            box.value.move(to: loop) { line in
                guard let line else { return shared.leave() }
                let listener = other.value
                let visit = SwitchVisit(arrived: line, listener: listener)
                listener.visits[ObjectIdentifier(visit)] = visit
                visit.resume(with: data)
            }
        }
    }

    func refuse(_ slug: String, _ repair: String) {
        self.gateway.metrics.refused()
        self.gateway.logger.warning(
            "Event Socket call refused: the dialplan goes on",
            ["refusal.reason": .string(slug), "refusal.repair": .string(repair)])
    }

    func makeRoom(for visit: SwitchVisit) {
        guard visit.isCounted else { return }
        visit.isCounted = false
        self.shared.leave()
    }

    func ended(_ visit: SwitchVisit) {
        guard self.visits.removeValue(forKey: ObjectIdentifier(visit)) != nil else { return }
        self.makeRoom(for: visit)
    }
}
