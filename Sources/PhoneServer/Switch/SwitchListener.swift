import EventSocket
import Networking
import Observability
import Synchronization
import Telephony

/// What the outbound Event Socket's listener is told at its start.
package struct SwitchListenerConfiguration: Sendable {
    /// Who may bring calls: there is no authentication on this wire, so addresses are it (design §8a).
    package var isTrustedPeer: @Sendable (SocketAddress) -> Bool = { $0.isLoopback }
    /// ESL_MAX_CONNECTIONS.
    package var maximumConnections = 100
    /// AUDIO_MODE, for calls that do not say.
    package var audio: SwitchAudioMode = .esl
    package var session = OutboundSession.Configuration()
    /// Our ends of the unicast, and the switch's.
    package var ports: DatagramPorts?
    package var switchPorts: DatagramPorts?
    /// How long the other half of a call in dual mode may take to come.
    package var matchTimeout: Duration = .seconds(5)
    /// The dead man's switch (`sched_transfer`): the fallback is this far away, and pushed on each second. Nil: not armed.
    package var deadMansSwitch: Duration? = .seconds(4)
    /// Where mod_audio_stream finds us in dual mode: `ws://host:port`, without a path.
    package var streamURL: String?
    /// Where the switch finds our SIP port: `host:port`, and through which of its profiles.
    package var sipAddress: String?
    package var sipProfile = "internal"

    package init() {}
}

/// How a call that comes by the outbound Event Socket brings its audio.
package typealias SwitchAudioMode = SwitchDial.Audio

/// Takes the connections of the dialplan's `socket` application on one loop: who may come, how many, and what becomes
/// of each (`SwitchVisit`). Confined to the loop.
package final class SwitchListener {
    let gateway: Gateway
    let loop: EventLoop
    let configuration: SwitchListenerConfiguration
    let reception: CallReception
    let clock: FrameClock
    /// Over all loops.
    private let connections: ConnectionCount
    /// Every connection that lives: it is kept by nobody else.
    private var visits: [ObjectIdentifier: SwitchVisit] = [:]

    /// Connections over all loops: ESL_MAX_CONNECTIONS bounds their sum.
    package final class ConnectionCount: Sendable {
        private let count = Atomic<Int>(0)
        package init() {}
        package var current: Int { self.count.load(ordering: .relaxed) }
        func enter(limit: Int) -> Bool {
            guard self.count.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
                self.leave()
                return false
            }
            return true
        }
        func leave() { self.count.wrappingSubtract(1, ordering: .relaxed) }
    }

    package init(
        gateway: Gateway, loop: EventLoop, configuration: SwitchListenerConfiguration, connections: ConnectionCount
    ) {
        self.gateway = gateway
        self.loop = loop
        self.configuration = configuration
        self.connections = connections
        self.reception = CallReception(gateway: gateway, loop: loop)
        self.clock = FrameClock(on: loop)
    }

    /// A connection of the switch. What is not taken is closed: the dialplan goes on behind `socket`, to its fallback.
    package func accept(_ connection: Connection) {
        guard self.gateway.configuration.acceptsAnybody || self.configuration.isTrustedPeer(connection.peer) else {
            self.refuse("peer-not-allowed", "Add the switch's address to ESL_ALLOWED_PEERS")
            return
        }
        guard !self.gateway.isDraining else { return self.refuse("draining", "Another node takes new calls") }
        guard self.connections.enter(limit: self.configuration.maximumConnections) else {
            self.refuse("full", "Raise ESL_MAX_CONNECTIONS, or add a node")
            return
        }
        let visit = SwitchVisit(connection, listener: self)
        self.visits[ObjectIdentifier(visit)] = visit
        visit.start()
    }

    func refuse(_ slug: String, _ repair: String) {
        self.gateway.metrics.refused()
        self.gateway.logger.warning(
            "Event Socket call refused: the dialplan goes on",
            ["refusal.reason": .string(slug), "refusal.repair": .string(repair)])
    }

    func ended(_ visit: SwitchVisit) {
        guard self.visits.removeValue(forKey: ObjectIdentifier(visit)) != nil else { return }
        self.connections.leave()
    }
}
